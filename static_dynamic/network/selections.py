"""What of a stage is meant: some of its units, or the subspace that some directions span."""

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
        numbers: Ascending, each once.
        of: How many units there must be; ``None`` where that is not said.
    """

    numbers: npt.NDArray[np.int64]
    of: int | None = None

    @property
    def size(self) -> int:
        """How many units."""
        return len(self.numbers)

    def check(self, width: int) -> None:
        """Raise a UserError if a stage of that many units does not have these."""
        if self.of is not None and self.of != width:
            raise UserError(f"The mask must have one truth value per unit, {width}. Got {self.of}.")
        missing = self.numbers[(self.numbers < 0) | (self.numbers >= width)]
        if len(missing):
            raise UserError(f"There is no unit {missing[0]}: units are numbered 0..{width - 1}.")

    def part(self, x: torch.Tensor) -> torch.Tensor:
        """Their values: ``(…, C)`` → ``(…, k)``, a copy."""
        return x[..., torch.from_numpy(self.numbers).to(x.device)]

    def put(self, x: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """A copy of ``(…, C)`` in which they have other values, ``(…, k)`` or what can be broadcast to it."""
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
        """Raise a UserError if a stage of that many units has no such subspace."""
        if self.basis.shape[1] != width:
            raise UserError(f"Directions must have one number per unit, {width}. Got {self.basis.shape[1]}.")

    def part(self, x: torch.Tensor) -> torch.Tensor:
        """The coordinates within it: ``(…, C)`` → ``(…, k)``, at least in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return _exact(x) @ self._basis(x).T

    def put(self, x: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """``x + (part - x Bᵀ) B``: other coordinates within it, ``(…, k)`` or what can be broadcast to it."""
        with torch.autocast(x.device.type, enabled=False):
            return (_exact(x) + (part.to(x.device) - self.part(x)) @ self._basis(x)).to(x.dtype)

    def _basis(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.basis).to(x.device, _exact(x).dtype)


Selection = Chosen | Span


def selection(given: Any) -> Selection:
    """Read what of a stage is meant.

    Directions need be neither of unit length nor orthogonal; those that depend on others add nothing.

    Raises:
        UserError: If it is of no known form, empty, or spans nothing.

    Example:
        >>> selection([True, False, True]).numbers
        array([0, 2])
        >>> selection([[3.0, 4.0]]).basis.round(3).tolist()
        [[0.6, 0.8]]
    """
    array = _array(given)
    if array.size == 0 or (array.dtype == bool and not array.any()):
        raise UserError("No unit is selected: give at least one.")
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
    # A sign of its own makes the basis of one direction that direction.
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
