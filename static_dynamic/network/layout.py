"""Layouts: the meaning of every axis of a stage's output, and how an output becomes one number per clip and unit.

A layout names every axis of a tensor, in order, in the manner of einops: ``"N C T H W"`` for a 3-D convolution,
``"N T H W C"`` for channels last, ``"(N T) C H W"`` where frames are folded into the batch, ``"N (1 T H W) C"`` for
tokens with one extra (class) token in front, ``"N (T H W 1) C"`` with one behind. ``N`` (clips) and ``C`` (units) must
occur once; every other axis is pooled. A name may have a length, ``"N (1 T=8 H=14 W=14) C"``, which is checked.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import torch

from static_dynamic.common.errors import UserError, reason, unknown
from static_dynamic.network.poolings import pooling

EXAMPLES = '"N C T H W" (3-D convolution), "N (1 T H W) C" (tokens, class token first)'

Group = tuple[tuple[str, ...], int]
"""Neighbouring names of one axis and their common length."""


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor.

    Attributes:
        names: The named axes folded into it.
        before: Extra tokens in front of them.
        after: Extra tokens behind them.
        lengths: Length of every name, where the layout gives it.
    """

    names: tuple[str, ...]
    before: int = 0
    after: int = 0
    lengths: tuple[int | None, ...] = ()

    @property
    def extra(self) -> int:
        """Extra tokens on both sides."""
        return self.before + self.after

    def known(self, clips: int) -> dict[str, int]:
        """The lengths that are known, given the number of clips."""
        given = {name: length for name, length in zip(self.names, self.lengths, strict=False) if length}
        return {**given, **({"N": clips} if "N" in self.names else {})}

    def groups(self, keep: Collection[str], size: int, known: dict[str, int]) -> Iterator[Group]:
        """Its names, with those in `keep` separate and the others merged; one length may follow from the others.

        Raises:
            ValueError: If two lengths are unknown.
        """
        runs = [tuple(run) for _, run in groupby(self.names, key=lambda name: name if name in keep else "")]
        if len(runs) == 1:
            yield runs[0], size
            return
        lengths = [math.prod(known[name] for name in run) if known.keys() >= set(run) else None for run in runs]
        if lengths.count(None) > 1:
            raise ValueError
        rest = size // math.prod(length for length in lengths if length)
        yield from ((run, length or rest) for run, length in zip(runs, lengths, strict=True))


@dataclass(frozen=True)
class Layout:
    """A parsed layout string; make one with :func:`parse_layout`."""

    text: str
    axes: tuple[Axis, ...]

    def flatten(self, output: torch.Tensor, clips: int) -> torch.Tensor:
        """Output → ``(N, positions, C)``, with extra tokens; a view where possible.

        Raises:
            UserError: If the output does not have the layout's axes, or a length does not fit.
        """
        self.check(output, clips)
        return self._unfold(output, clips, ("N",)).flatten(1, -2)

    def unfold(self, output: torch.Tensor, clips: int) -> torch.Tensor:
        """Output → ``(N, …, C)``, with its other axes in order and extra tokens; :meth:`fold` is the inverse.

        Raises:
            UserError: If the output does not have the layout's axes, or a length does not fit.
        """
        self.check(output, clips)
        return self._unfold(output, clips, ("N",)).squeeze(-2)

    def fold(self, unfolded: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """``(N, …, C)`` → an output of the given shape: the inverse of :meth:`unfold`.

        Example:
            >>> layout, frames = parse_layout("(T N) C H W"), torch.rand(8, 3, 5, 5)
            >>> clips = layout.unfold(frames, clips=2)
            >>> clips.shape, torch.equal(layout.fold(clips, frames.shape), frames)
            (torch.Size([2, 4, 5, 5, 3]), True)
        """
        names = [run for run, _ in self._groups(shape, len(unfolded), ("N",))]
        return unfolded.movedim((0, -1), (names.index(("N",)), names.index(("C",)))).reshape(tuple(shape))

    def pool(self, output: torch.Tensor, clips: int, how: str = "avg") -> torch.Tensor:
        """Output → float32 ``(N, units)``.

        Args:
            output: A stage's output.
            clips: Clips in the batch (N).
            how: ``avg`` (as published: the mean over every position, class token included), ``max``, ``avgmax``
                (their mean), ``avgmaxc`` (both, concatenated: ``(N, 2C)``), ``patch`` (the mean without the extra
                tokens), ``cls`` (the first extra token alone), ``frame`` (the mean over the patches of every frame
                of the stage, frames concatenated: ``(N, T·C)``, which ``unflatten(1, (T, C))`` separates again), or
                a registered pooling, see ``network/poolings.py``.

        Raises:
            UserError: If the output does not fit, the layout lacks the extra token or T that the pooling needs, or a
                registered pooling fails.
        """
        self.check(output, clips)
        exact = output if output.dtype == torch.float64 else output.float()
        part = PARTS[self.check_pooling(how)](Placed(self, exact, clips))
        try:
            pooled = pooling[how].function(part)
        except Exception as error:
            raise UserError(f"The pooling {how!r} failed on {tuple(part.shape)}: {reason(error)}.") from error
        if not isinstance(pooled, torch.Tensor) or pooled.ndim != 2 or len(pooled) != clips:
            given = tuple(pooled.shape) if isinstance(pooled, torch.Tensor) else type(pooled).__name__
            raise UserError(f"The pooling {how!r} must return a tensor ({clips} clips, units). Got {given}.")
        return pooled.float().contiguous()

    def check(self, output: torch.Tensor, clips: int) -> None:
        """Raise a UserError if the output does not have the layout's axes, or a length does not fit."""
        if output.ndim != len(self.axes):
            raise self._misfit(output, f"{len(self.axes)} axes expected, {output.ndim} found")
        for i, (axis, size) in enumerate(zip(self.axes, output.shape, strict=True)):
            known = axis.known(clips)
            if axis.extra >= size:
                raise self._misfit(output, f"axis {i} contains only the {axis.extra} extra tokens")
            times, rest = divmod(size - axis.extra, math.prod(known.values()))
            if rest or not times or (times > 1 and len(known) == len(axis.names)):
                given = [f"{name}={length}" for name, length in known.items() if name != "N"]
                wanted = " x ".join([*([f"{clips} clips"] if "N" in known else []), *given])
                raise self._misfit(output, f"axis {i} should have {wanted}")

    def check_known(self, output: torch.Tensor, clips: int, frames: int | None, width: int | None) -> None:
        """Raise a UserError if an output contradicts known lengths of its axes; a length in the layout is trusted.

        Args:
            output: A stage's output.
            clips: Clips in the batch.
            frames: Frames of a clip, which a stage may reduce but not increase.
            width: Units of the stage.
        """
        self.check(output, clips)
        for i, (axis, size) in enumerate(zip(self.axes, output.shape, strict=True)):
            if axis.names == ("C",) and width is not None and size != width:
                raise self._misfit(output, f"axis {i} should have the {width} units (C) of this module")
            known = axis.known(clips)
            alone = "T" not in known and set(axis.names) - known.keys() == {"T"}
            steps = (size - axis.extra) // math.prod(known.values())
            if alone and frames is not None and steps > frames:
                raise self._misfit(
                    output, f"axis {i} has {steps} time steps (T), more than the {frames} frames of a clip"
                )

    def check_pooling(self, how: str) -> str:
        """The part of an output that this pooling takes: a name in ``PARTS``.

        Raises:
            UserError: If outputs of this layout cannot be pooled so.
        """
        part = str(pooling[how].options["of"])
        if part not in PARTS:
            raise unknown("part of an output", part, PARTS, where=f"the pooling {how!r}")
        if part == "first_extra" and not any(axis.extra for axis in self.axes):
            raise UserError(
                f'Pooling "{how}" needs an extra token, as in "N (1 T H W) C". Layout "{self.text}" has none.'
            )
        if part == "frames":
            time = next((axis for axis in self.axes if "T" in axis.names), None)
            if time is None:
                raise UserError(f'Pooling "{how}" needs an axis T; layout "{self.text}" has none.')
            try:
                list(time.groups(("N", "T"), 1, time.known(1)))
            except ValueError:
                told = re.sub(r"\bT\b", "T=8", self.text)
                raise UserError(
                    f'Pooling "{how}" needs the length of T in layout "{self.text}": write e.g. "{told}".'
                ) from None
        return part

    def _unfold(self, output: torch.Tensor, clips: int, keep: tuple[str, ...]) -> torch.Tensor:
        """Output → ``(*keep, …, C)`` with at least one axis of positions in between."""
        names, lengths = zip(*self._groups(output.shape, clips, keep), strict=True)
        ends = tuple(names.index((name,)) for name in (*keep, "C"))
        output = output.reshape(lengths)
        return output.movedim(ends, (*range(len(keep)), -1)).unsqueeze(-2)

    def _groups(self, shape: Sequence[int], clips: int, keep: tuple[str, ...]) -> list[Group]:
        """The axes of an output of the given shape, with axes that contain a name in `keep` split."""
        sizes = zip(self.axes, shape, strict=True)
        return [group for axis, size in sizes for group in axis.groups(keep, size, axis.known(clips))]

    def _misfit(self, output: torch.Tensor, why: str) -> UserError:
        return UserError(f'Layout "{self.text}" does not fit an output of shape {tuple(output.shape)}: {why}.')


@dataclass(frozen=True)
class Placed:
    """An output with its layout: the input of a pooling."""

    layout: Layout
    output: torch.Tensor
    clips: int

    def positions(self) -> torch.Tensor:
        """Every position, extra tokens included: ``(N, positions, C)``."""
        return self._flat(self.output)

    def patches(self) -> torch.Tensor:
        """Every position except extra tokens: ``(N, positions, C)``."""
        return self._flat(self._cut(lambda axis, size: (axis.before, size - axis.extra)))

    def first_extra(self) -> torch.Tensor:
        """The first extra token, of every frame if the frames are folded into the batch: ``(N, 1 or T, C)``."""
        return self._flat(
            self._cut(lambda axis, size: (0 if axis.before else size - axis.after, 1) if axis.extra else (0, size))
        )

    def frames(self) -> torch.Tensor:
        """The positions of every frame: ``(N, T, positions, C)``."""
        patches = self._cut(lambda axis, size: (axis.before, size - axis.extra))
        return self.layout._unfold(patches, self.clips, ("N", "T")).flatten(2, -2)

    def _flat(self, output: torch.Tensor) -> torch.Tensor:
        return self.layout._unfold(output, self.clips, ("N",)).flatten(1, -2)

    def _cut(self, part: Callable[[Axis, int], tuple[int, int]]) -> torch.Tensor:
        output = self.output
        for i, axis in enumerate(self.layout.axes):
            output = output.narrow(i, *part(axis, output.shape[i]))
        return output


PARTS: dict[str, Callable[[Placed], torch.Tensor]] = {
    "positions": Placed.positions,
    "patches": Placed.patches,
    "first_extra": Placed.first_extra,
    "frames": Placed.frames,
}
"""Parts of an output that a pooling can take."""


@cache
def parse_layout(text: str) -> Layout:
    """Read a layout string.

    Raises:
        UserError: If the string is malformed, or lacks ``N`` or a separate ``C``.

    Example:
        >>> axis = parse_layout("N (1 T=8 H W) C").axes[1]
        >>> axis.names, axis.before, axis.known(clips=2)
        (('T', 'H', 'W'), 1, {'T': 8})
    """
    words = re.findall(r"\([^()]*\)|[^\s()]+", text)
    if "".join(words).replace(" ", "") != text.replace(" ", "") or not words:
        raise UserError(
            f'Layout "{text}" cannot be read: axes are names, or names in one pair of brackets. Examples: {EXAMPLES}.'
        )
    axes = tuple(_parse_axis(word, text) for word in words)
    names = [name for axis in axes for name in axis.names]
    if len(set(names)) < len(names):
        raise UserError(f'Layout "{text}" names an axis twice. Examples: {EXAMPLES}.')
    if not any(axis.names == ("C",) and not axis.extra for axis in axes):
        raise UserError(f'Layout "{text}" needs a separate axis C (units). Examples: {EXAMPLES}.')
    batch = next((axis for axis in axes if "N" in axis.names), None)
    if batch is None or batch.extra or "N" not in (batch.names[0], batch.names[-1]):
        raise UserError(
            f'Layout "{text}" needs an axis N (clips), alone or at an end of its brackets. Examples: {EXAMPLES}.'
        )
    return Layout(text, axes)


def _parse_axis(word: str, text: str) -> Axis:
    shape = re.fullmatch(
        r"((?:\d+ )*)((?:[A-Z][A-Za-z]*(?:=[1-9]\d*)? ?)+)((?: ?\d+)*)", " ".join(word.strip("()").split())
    )
    if shape is None:
        raise UserError(
            f'Layout "{text}" cannot be read at "{word}": axis names start with a capital, lengths are written T=8, '
            f"extra tokens come first or last. Examples: {EXAMPLES}."
        )
    before, named, after = (part.split() for part in shape.groups())
    names, lengths = zip(*(name.partition("=")[::2] for name in named), strict=True)
    return Axis(
        names,
        before=sum(map(int, before)),
        after=sum(map(int, after)),
        lengths=tuple(int(length) if length else None for length in lengths),
    )
