"""Layouts: which axis of a stage's output is what, and how an output becomes one number per clip and unit.

A layout names every axis of a tensor, in order, in the manner of einops: ``"N C T H W"`` for a 3-D convolution,
``"N T H W C"`` for channels last, ``"(N T) C H W"`` where frames are folded into the batch, ``"N (1 T H W) C"`` for
tokens with one extra (class) token. ``N`` (clips) and ``C`` (units) must occur once; every other axis is pooled.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from static_dynamic.errors import UserError, unknown

EXAMPLES = '"N C T H W" (3-D convolution), "N (1 T H W) C" (tokens, class token first)'


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor: the named axes folded into it, and the extra tokens beside them."""

    names: tuple[str, ...]
    extra: int = 0


@dataclass(frozen=True)
class Layout:
    """A parsed layout string; make one with :func:`parse_layout`."""

    text: str
    axes: tuple[Axis, ...]

    def _where(self, name: str) -> int:
        return next(i for i, axis in enumerate(self.axes) if name in axis.names)

    def flatten(self, output: torch.Tensor, clips: int) -> torch.Tensor:
        """Output → ``(N, positions, C)``, a view where the memory allows it.

        Raises:
            UserError: If the output does not have the layout's axes, or its batch does not fit ``clips``.
        """
        if output.ndim != len(self.axes):
            raise self._misfit(output, f"{len(self.axes)} axes expected, {output.ndim} found")
        batch, units = self._where("N"), self._where("C")
        for i, axis in enumerate(self.axes):
            if axis.extra >= output.shape[i]:
                raise self._misfit(output, f"axis {i} holds no more than the {axis.extra} extra tokens")
        folded, rest = divmod(output.shape[batch], clips)
        if rest or (folded != 1 and len(self.axes[batch].names) == 1):
            raise self._misfit(output, f"axis {batch} should hold {clips} clips")
        output = output.movedim((batch, units), (0, -1))
        if self.axes[batch].names[0] == "N":
            output = output.unflatten(0, (clips, folded))
        else:  # "(T N)": clips run fastest
            output = output.unflatten(0, (folded, clips)).transpose(0, 1)
        return output.flatten(1, -2)

    def pool(self, output: torch.Tensor, clips: int, how: str = "avg") -> torch.Tensor:
        """Output → float32 ``(N, C)``: one number per clip and unit.

        Args:
            output: A stage's output.
            clips: Clips in the batch (N).
            how: ``avg`` (as published: the mean over every position, class token included), ``max``, ``avgmax``
                (their mean) or ``avgmaxc`` (both, side by side: ``(N, 2C)``).
        """
        return pooling(how)(self.flatten(output, clips).float()).contiguous()

    def _misfit(self, output: torch.Tensor, why: str) -> UserError:
        return UserError(f'Layout "{self.text}" does not fit an output of shape {tuple(output.shape)}: {why}.')


@cache
def parse_layout(text: str) -> Layout:
    """Read a layout string.

    Raises:
        UserError: If the string is malformed, or lacks ``N`` or a ``C`` that stands alone.

    Example:
        >>> parse_layout("N (1 T H W) C").axes[1]
        Axis(names=('T', 'H', 'W'), extra=1)
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
    if Axis(("C",)) not in axes:
        raise UserError(f'Layout "{text}" needs an axis C (units) that stands alone. Examples: {EXAMPLES}.')
    batch = next((axis for axis in axes if "N" in axis.names), None)
    if batch is None or batch.extra or "N" not in (batch.names[0], batch.names[-1]):
        raise UserError(
            f'Layout "{text}" needs an axis N (clips), alone or at an end of its brackets. Examples: {EXAMPLES}.'
        )
    return Layout(text, axes)


def _parse_axis(word: str, text: str) -> Axis:
    parts = word.strip("()").split()
    extra = sum(int(part) for part in parts if part.isdigit())
    names = tuple(part for part in parts if not part.isdigit())
    if not all(re.fullmatch(r"[A-Z][A-Za-z]*", name) for name in names) or not names:
        raise UserError(
            f'Layout "{text}" cannot be read at "{word}": axis names start with a capital. Examples: {EXAMPLES}.'
        )
    return Axis(names, extra)


POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "avg": lambda x: x.mean(1),
    "max": lambda x: x.amax(1),
    "avgmax": lambda x: (x.mean(1) + x.amax(1)) / 2,
    "avgmaxc": lambda x: torch.cat((x.mean(1), x.amax(1)), 1),
}


def pooling(how: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function ``(N, positions, C) → (N, C)`` of that name."""
    if how not in POOLINGS:
        raise unknown("pooling", how, POOLINGS)
    return POOLINGS[how]
