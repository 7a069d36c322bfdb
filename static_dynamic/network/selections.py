"""The selected part of a stage: some of its units, or the subspace that some directions span."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from static_dynamic.common.errors import UserError

Units = Sequence[int] | Sequence[bool] | npt.NDArray[Any] | torch.Tensor
"""Numbers of units, a mask over all of them, or directions ``(k, C)`` that span a subspace."""

FORMS = "units=[0, 3], a mask of truth values over all units, or directions (k, C) of real numbers"


@dataclass(frozen=True)
class Chosen:
    """Some units.

    Attributes:
        numbers: Numbers of the units, ascending, each once.
        of: Required number of units of the stage; ``None`` if any.
    """

    numbers: npt.NDArray[np.int64]
    of: int | None = None

    @property
    def size(self) -> int:
        """Number of units."""
        return len(self.numbers)

    def check(self, width: int) -> None:
        """Raise a UserError if a stage of this width lacks some of the units."""
        if self.of is not None and self.of != width:
            raise UserError(f"The mask must have one truth value per unit, {width}. Got {self.of}.")
        missing = self.numbers[(self.numbers < 0) | (self.numbers >= width)]
        if len(missing):
            raise UserError(f"Unit {missing[0]} does not exist: units are numbered 0..{width - 1}.")

    def part(self, x: torch.Tensor) -> torch.Tensor:
        """Their values: ``(…, C)`` → ``(…, k)``, a copy."""
        return x[..., torch.from_numpy(self.numbers).to(x.device)]

    def put(self, x: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """A copy of ``(…, C)`` in which they have other values, ``(…, k)`` or broadcastable to it."""
        changed = x.clone()
        changed[..., torch.from_numpy(self.numbers).to(x.device)] = part.to(x)
        return changed


@dataclass(frozen=True)
class Span:
    """A subspace.

    Attributes:
        basis: Orthonormal, ``(k, C)``, float64.
    """

    basis: npt.NDArray[np.float64]

    @property
    def size(self) -> int:
        """Its dimensions."""
        return len(self.basis)

    def check(self, width: int) -> None:
        """Raise a UserError if a stage of this width does not fit the directions."""
        if self.basis.shape[1] != width:
            raise UserError(f"Directions must have one number per unit, {width}. Got {self.basis.shape[1]}.")

    def part(self, x: torch.Tensor) -> torch.Tensor:
        """The coordinates within it: ``(…, C)`` → ``(…, k)``, at least in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return _exact(x) @ self._basis(x).T

    def put(self, x: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """``x + (part - x Bᵀ) B``: other coordinates within it, ``(…, k)`` or broadcastable to it."""
        with torch.autocast(x.device.type, enabled=False):
            return (_exact(x) + (part.to(x.device) - self.part(x)) @ self._basis(x)).to(x.dtype)

    def _basis(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.basis).to(x.device, _exact(x).dtype)


Selection = Chosen | Span


def selection(given: Any) -> Selection:
    """Read a selection of a stage.

    Directions need not have unit length or be orthogonal; linearly dependent ones add nothing.

    Raises:
        UserError: If its form is unknown, it is empty, or it spans nothing.

    Example:
        >>> selection([True, False, True]).numbers
        array([0, 2])
        >>> selection([[3.0, 4.0]]).basis.round(3).tolist()
        [[0.6, 0.8]]
    """
    array = _array(given)
    if array.size == 0 or (array.dtype == bool and not array.any()):
        raise UserError("At least one unit is required. Got none.")
    if array.ndim == 1 and array.dtype == bool:
        return Chosen(np.flatnonzero(array), of=len(array))
    if array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
        return Chosen(np.unique(array).astype(np.int64))
    if array.ndim == 2 and array.dtype.kind in "fiu":
        return _span(array.astype(np.float64))
    raise UserError(f"Units must be given as {FORMS}. Got {given!r:.80}.")


def _span(directions: npt.NDArray[np.float64]) -> Span:
    if not np.isfinite(directions).all():
        raise UserError("Directions must be finite. Got NaN or infinite numbers.")
    _, lengths, rows = np.linalg.svd(directions, full_matrices=False)
    rank = int((lengths > lengths[0] * max(directions.shape) * np.finfo(np.float64).eps).sum())
    if not rank:
        raise UserError(f"The directions span nothing: all {directions.shape[0]} of them are 0.")
    # The sign makes the basis of one direction equal to that direction.
    return Span(rows[:rank] * np.where(rows[:rank].sum(1, keepdims=True) < 0, -1, 1))


def _array(given: Any) -> npt.NDArray[Any]:
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        return np.asarray(given.double() if given.is_floating_point() else given)
    try:
        return np.asarray(given)
    except ValueError:  # rows of different lengths
        return np.asarray(None)


def _exact(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
