"""The estimates of an estimator."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from static_dynamic.functional.additive import Array


class Estimates(NamedTuple):
    """Numbers of units on every resample, and the sums behind the numbers of the layer.

    Attributes:
        units: ``(R, Q, U)``, in the order of the estimator's quantities; NaN where undefined.
        parts: ``(R, Q, U)``.
        whole: ``(R, Q, U)``, or a shape that fits: a layer's number is the sum of parts over the sum of wholes.
        unbounded: ``units`` before they were cut to 0..1, where they were. Intervals are made from these, because
            resamples of a unit at a bound are equal once they are cut.
    """

    units: Array
    parts: Array
    whole: Array
    unbounded: Array | None = None

    @property
    def undefined(self) -> "Estimates":
        """Return estimates of the same shapes, all NaN."""
        units, parts, whole = (np.full_like(part, np.nan) for part in (self.units, self.parts, self.whole))
        return Estimates(units, parts, whole)


def joined(several: Iterable[Estimates]) -> Estimates | None:
    """The rows of several estimates below each other; ``None`` for none."""
    found = [one._replace(whole=np.broadcast_to(one.whole, one.parts.shape)) for one in several]
    if not found:
        return None
    units, parts, whole = (np.concatenate(of) for of in list(zip(*found, strict=True))[:3])
    return Estimates(units, parts, whole)
