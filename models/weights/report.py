"""What a checkpoint was, how much of a model it filled, and the sentences about it."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Shape = tuple[int, ...]

NAMED = 3
"""The most weights that a sentence names."""


class Filled(NamedTuple):
    """How much of a model came from a file; the step counters of batch norm do not count.

    Attributes:
        tensors: Tensors that were filled.
        of: All tensors.
        numbers: Numbers in the former.
        of_numbers: Numbers in all.
    """

    tensors: int = 0
    of: int = 0
    numbers: int = 0
    of_numbers: int = 0


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint was and how it fitted.

    Attributes:
        path: The file, index or folder.
        format: ``"safetensors"``, ``"torch"`` or ``"pickle"`` (Caffe2).
        sha256: Digest of the file, or of all files one after the other.
        missing: Keys of the model that the file does not have.
        unexpected: Keys of the file that the model does not have.
        mismatched: Key → shape in the file, shape in the model.
        adapted: Keys whose weights the model made from those of the file, as published: stretched embeddings, say.
        found_at: Where in the file the weights are, e.g. ``"state_dict"``; empty for a bare state dict.
        others: Other places in the file whose weights fit as well and differ, e.g. ``"model_ema"``.
        filled: How much of the model came from the file.
    """

    path: str
    format: str
    sha256: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    adapted: tuple[str, ...] = ()
    found_at: str = ""
    others: tuple[str, ...] = ()
    filled: Filled = field(default_factory=Filled)

    def notes(self, rest: str = "random") -> tuple[str, ...]:
        """What a reader must know before quoting a number: weights that were not filled, and a choice of places.

        Args:
            rest: What the weights are that were not filled.
        """
        return tuple(note for note in (self._partial(rest), self._choice()) if note)

    def _partial(self, rest: str) -> str:
        unfilled = [*self.missing, *self.mismatched]
        if not unfilled:
            return ""
        share = percent(self.filled.numbers, self.filled.of_numbers)
        return (
            f"Only {self.filled.tensors} of {self.filled.of} weights ({share} of parameters) came from {self.path}; "
            f"{rest}: {some(unfilled)}."
        )

    def _choice(self) -> str:
        if not self.others:
            return ""
        where = f"'{self.found_at}'" if self.found_at else "the top level"
        remedy = f"`checkpoint_key='{self.others[0]}'` takes the other"
        return f"The weights came from {where} of {self.path}; {some(self.others)} would fit as well: {remedy}."


def filled(own: Mapping[str, Shape], unfilled: Collection[str]) -> Filled:
    """How much of a model was filled.

    Args:
        own: Every name of the model → its shape.
        unfilled: The names that were not filled.

    Example:
        >>> filled({"conv.weight": (4, 3), "fc.bias": (8,)}, ["fc.bias"])
        Filled(tensors=1, of=2, numbers=12, of_numbers=20)
    """
    sizes = {key: math.prod(shape) for key, shape in own.items() if not is_counter(key)}
    kept = [size for key, size in sizes.items() if key not in unfilled]
    return Filled(len(kept), len(sizes), sum(kept), sum(sizes.values()))


def is_counter(key: str) -> bool:
    """Whether a name is that of batch norm's step counter: Caffe2 has none, and inference does not need it."""
    return key.endswith("num_batches_tracked")


def percent(part: int, whole: int) -> str:
    """A share in percent that is never rounded to nothing or to all.

    Example:
        >>> percent(1, 3), percent(1, 10**6), percent(10**6 - 1, 10**6)
        ('33.3 %', 'under 0.1 %', '99.9 %')
    """
    tenths = 1000 * part // max(whole, 1)
    return f"{tenths / 10:.1f} %" if tenths or not part else "under 0.1 %"


def some(names: Iterable[str], most: int = NAMED) -> str:
    """The first names, and how many more there are.

    Example:
        >>> some(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
