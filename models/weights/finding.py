"""Where in a file the weights of a model are: the place whose names and shapes fit it best.

A *place* is a nested mapping of a file (``state_dict``), or what begins with the same name in one (``backbone.…``). All
places are tried, in every style of names of ``keys``, and the one that fills most of the model is taken. Of places that
fit alike, the raw weights go before averaged ones, published wrappers before others, and earlier ones before later.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.weights.keys import STYLES, State
from static_dynamic.models.weights.report import Shape, is_counter, some
from static_dynamic.models.weights.unpickling import PlainArray

Adapt = Callable[[State], State]
Style = Callable[[State], State]
Place = tuple[str, State]

WRAPPERS = ("blobs", "model_state", "model_state_dict", "state_dict", "model")
AVERAGED = frozenset({"ema", "teacher", "averaged", "average", "avg", "swa"})
"""Parts of the name of a place that holds a running average of the weights."""
TRANSPARENT = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Names that torch puts around a module, wherever it is."""
DEPTH = 12
"""Levels of nesting that are searched."""

MOST_ENTRIES = 300_000
"""The most entries that are examined, with all repetitions in a file."""


class Target:
    """What weights have to fit in a model.

    Args:
        own: Its names → shapes.
        adapt: The model's own conversion of a state, which may refuse one.
    """

    def __init__(self, own: Mapping[str, Shape], adapt: Adapt = lambda state: state) -> None:
        self.own, self.adapt = own, adapt
        self.count = sum(not is_counter(key) for key in own)
        self.homes: dict[str, list[str]] = {}  # end of a name → its possible beginnings
        for key in own:
            for before, end in _splits(key):
                self.homes.setdefault(end, []).append(before)

    def fits(self, key: str, tensor: Tensor) -> bool:
        """Whether the model has this name with this shape."""
        return self.own.get(key) == tuple(tensor.shape)


@dataclass(frozen=True)
class Found:
    """How a place of a file fits a model.

    Attributes:
        place: Where it is, e.g. ``"state_dict.backbone"``; empty for the top level.
        size: Tensors there.
        style: The style of their names.
        state: Names of the model → tensors; including what does not fit.
        fits: Names that fit, in name and shape, without step counters.
        adapted: Names whose tensors the model made from those of the file.
        named: How many of the names the model has, whatever their shapes.
        refused: Why the model does not take the state.
        others: Other places that fit as well, with other values.
    """

    place: str
    size: int
    style: Style
    state: State
    fits: frozenset[str]
    adapted: tuple[str, ...]
    named: int
    refused: ModelError | None = None
    others: tuple[str, ...] = ()


def find(content: Any, target: Target, key: str | None = None) -> Found:
    """The weights in the content of a file that fit a model best.

    Args:
        content: What the file holds.
        target: The model.
        key: Only places of this name, or below one.

    Raises:
        ModelError: If there are no weights, or none of that name, or if the model refuses the best ones.
    """
    places = _places(content, target, Budget())
    if not places:
        raise ModelError("it holds no weights.")
    wanted = [(place, state) for place, state in places if key is None or f".{key}." in f".{place}."]
    if not wanted:
        names = dict.fromkeys(place for place, _ in places if place)
        raise ModelError(f"it holds no weights at '{key}'. Allowed: {some(names) or 'none'}.")
    best, *rest = _ranked(wanted, target)
    if best.refused:
        raise best.refused
    return replace(best, others=tuple(dict.fromkeys(one.place for one in rest if _is_alternative(one, best, target))))


def _ranked(places: list[Place], target: Target) -> list[Found]:
    """The places that may fit, best first."""
    order = {place: position for position, (place, _) in reversed([*enumerate(places)])}
    found: list[Found] = []
    for place, state in sorted(places, key=lambda entry: abs(len(entry[1]) - len(target.own))):
        best = found[0] if found else None
        if best and len(state) < min(len(best.fits), best.size):
            continue  # it cannot fit as well
        is_whole = best is not None and len(best.fits) == target.count
        found.append(_read_as(place, state, target, (best.style,) if best and is_whole else STYLES))
        found.sort(key=lambda one: (*_merit(one), order[one.place]))
    return found


# Places


class Budget:
    """The rest of the entries that are examined: a list that another holds a thousand times counts as often."""

    def __init__(self) -> None:
        self.entries = MOST_ENTRIES

    def spend(self, entries: int) -> None:
        """Count entries, with names of the usual length.

        Raises:
            ModelError: If there are too many.
        """
        self.entries -= entries
        if self.entries < 0:
            raise ModelError("it holds too many entries, or the same ones again and again.")


def _places(value: Any, target: Target, budget: Budget, path: str = "", above: tuple[int, ...] = ()) -> list[Place]:
    """Every place with tensors, in the order of the file.

    Those of a nested mapping are the mapping itself, each beginning of names behind which the model may be and, where
    it contains other mappings, all of them together.
    """
    if id(value) in above or len(above) > DEPTH:
        return []
    entries = _entries(value)
    budget.spend(sum(1 + (len(path) + len(name) * name.count(".")) // 512 for name, _ in entries))
    direct = _bare({name: tensor for name, entry in entries if (tensor := _tensor(entry)) is not None})
    found: list[Place] = [(path, direct)] if direct else []
    found += [(_below(path, prefix[:-1]), _behind(direct, prefix)) for prefix in _prefixes(direct, target)]
    whole = dict(direct)
    for name, entry in entries:
        inner = _places(entry, target, budget, _below(path, name), (*above, id(value)))
        found += inner
        for place, state in inner:
            budget.spend(len(state))
            whole |= {_below(place, key)[len(path) + bool(path) :]: tensor for key, tensor in state.items()}
    return [*found, (path, whole)] if len(whole) > len(direct) else found


def _behind(state: State, prefix: str) -> State:
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _entries(value: Any) -> list[tuple[str, Any]]:
    """Name and value of all tensors and containers in a mapping, a sequence or a module."""
    if isinstance(value, nn.Module):  # a whole model was saved; only a trusted file gets here
        value = value.state_dict()
    if isinstance(value, Mapping):
        return [(str(name), entry) for name, entry in dict(value).items()]
    if isinstance(value, (list, tuple)):
        return [(str(i), entry) for i, entry in enumerate(value)]
    return []


def _tensor(value: Any) -> Tensor | None:
    array = value.values if isinstance(value, PlainArray) else value
    if isinstance(array, np.ndarray) and array.dtype.kind in "biuf":
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    return value if isinstance(value, Tensor) else None


def _bare(state: State) -> State:
    """Names without what torch puts around a model: ``_orig_mod`` anywhere, ``module`` around all."""
    named = {bare(key): tensor for key, tensor in state.items()}
    while named and all(key.startswith("module.") for key in named):
        named = {key.removeprefix("module."): tensor for key, tensor in named.items()}
    return named


def bare(key: str) -> str:
    """A name without what torch puts around modules.

    Example:
        >>> bare("_orig_mod.layer1._orig_mod.weight")
        'layer1.weight'
    """
    return ".".join(part for part in key.split(".") if part not in TRANSPARENT)


def _splits(key: str) -> list[tuple[str, str]]:
    """Beginning, with its dot, and end of a name, at every dot.

    Example:
        >>> _splits("conv.0.weight")
        [('conv.', '0.weight'), ('conv.0.', 'weight')]
    """
    return [(key[: i + 1], key[i + 1 :]) for i, letter in enumerate(key) if letter == "."]


def _prefixes(state: State, target: Target) -> list[str]:
    """Beginnings of names behind which the model may be: most names have it, or most of what follows fits."""
    shared, voted = Counter[str](), Counter[str]()
    for key, tensor in state.items():
        for before, end in _splits(key):
            shared[before] += 1
            voted[before] += target.fits(end, tensor)
    most = max(voted.values(), default=0)
    return [prefix for prefix in shared if 2 * shared[prefix] > len(state) or (most and 2 * voted[prefix] > most)]


# Fit


def _read_as(place: str, state: State, target: Target, styles: Sequence[Style]) -> Found:
    """A place in the style of names that fits best."""
    styled: dict[frozenset[str], tuple[Style, State]] = {}
    for style in styles:
        named = style(state)
        styled.setdefault(frozenset(named), (style, named))  # a style that knows none of the names changes nothing
    readings = (
        _adapted(Found(place, len(state), style, named, frozenset(), (), 0), target) for style, named in styled.values()
    )
    return min(readings, key=lambda one: (-len(one.fits), -one.named, len(one.state)))


def _adapted(found: Found, target: Target) -> Found:
    """The place as the model takes it: adapted, and with a prefix before the names if they fit only then."""
    try:
        state = target.adapt(found.state)
    except ModelError as error:
        return replace(_fitted(found, found.state, target), refused=error)
    published = {id(tensor) for tensor in found.state.values()}
    found = replace(found, adapted=tuple(key for key, tensor in state.items() if id(tensor) not in published))
    home = _home(state, target)
    forms = (state, {home + key: tensor for key, tensor in state.items()}) if home else (state,)
    return max((_fitted(found, form, target) for form in forms), key=lambda one: len(one.fits))


def _fitted(found: Found, state: State, target: Target) -> Found:
    fits = frozenset(key for key, tensor in state.items() if target.fits(key, tensor) and not is_counter(key))
    return replace(found, state=state, fits=fits, named=len(state.keys() & target.own.keys()))


def _home(state: State, target: Target) -> str:
    """The prefix with which most of the names fit, e.g. ``"backbone."``; empty if there is none."""
    votes = Counter[str]()
    for key, tensor in state.items():
        votes.update(before for before in target.homes.get(key, ()) if target.fits(before + key, tensor))
    return max(votes, key=lambda prefix: votes[prefix], default="")


def _merit(found: Found) -> tuple[int, ...]:
    """The order of preference, best first."""
    names = found.place.split(".")
    wrapper = next((i for i, name in enumerate(WRAPPERS) if name in names), len(WRAPPERS))
    unexpected = len(found.state) - found.named
    return -len(found.fits), -found.named, int(is_averaged(found.place)), unexpected, wrapper


def is_averaged(place: str) -> bool:
    """Whether a place holds a running average of the weights, by its name.

    Example:
        >>> is_averaged("state_dict_ema"), is_averaged("student.backbone")
        (True, False)
    """
    return bool(set(re.split(r"[._]", place.lower())) & AVERAGED)


def _is_alternative(other: Found, best: Found, target: Target) -> bool:
    """Whether a place fills as much as the best one, which is most of the model, with other values."""
    return (
        other.place != best.place
        and not other.refused
        and len(other.fits) == len(best.fits) > target.count / 2
        and any(not torch.equal(other.state[key], best.state[key]) for key in other.fits & best.fits)
    )
