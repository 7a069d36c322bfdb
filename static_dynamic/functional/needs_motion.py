"""Needs-motion: information that a still frame does not give (needs-order: that frames in another order do not)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.contrasts import Array, Contrast, cell_sums

FLOOR = 0.02
"""Least variance of the frozen clips that counts, as a share of that of the intact ones: a unit that is silent without
motion needs it."""
FEWEST = 3
"""Fewest videos for which the share is defined."""

WITHOUT_REPLICATES: dict[str, Contrast] = {
    "variance": [(0, 0)],
    "intact": [(0, 0)],
    "frozen": [(1, 1)],
    "kept": [(0, 1)],
}
WITH_REPLICATES: dict[str, Contrast] = {
    "variance": [(0, 0)],
    "intact": [(0, 2)],
    "frozen": [(1, 3)],
    "kept": [(0, 1), (0, 3), (2, 1), (2, 3)],
}
"""Contrasts of the cells intact, frozen, and a replicate of each."""


class NeedsMotion(NamedTuple):
    """Shares of motion and reliability, each 0..1.

    Attributes:
        units: Needs-motion of every unit; NaN where its response to clips is not reproducible.
        reliability: Share of a unit's variance that a replicate reproduces.
        weight: Reproducible variance of every unit, 0 or more.
        layer: Mean of the units with these weights.
    """

    units: Array
    reliability: Array
    weight: Array
    layer: Array


def needs_motion(
    intact: npt.ArrayLike,
    frozen: npt.ArrayLike,
    intact_again: npt.ArrayLike | None = None,
    frozen_again: npt.ArrayLike | None = None,
) -> NeedsMotion:
    """Of what a unit reproducibly tells about which clip it sees, the share that a still frame of it does not give.

    With ``z`` the unit on intact clips, ``f`` on frozen ones, ``z'`` and ``f'`` on both under a nuisance replicate, and
    covariances over videos:

        c = mean of cov(z, f), cov(z, f'), cov(z', f), cov(z', f')
        still = c² / (cov(z, z') · max(cov(f, f'), 0.02 var z))
        needs-motion = 1 - still, within 0..1;  1 where c ≤ 0
        reliability = cov(z, z') / var z, at most 1
        layer = Σ_i w_i needs-motion_i / Σ_i w_i,   w_i = max(cov(z, z'), 0)

    A unit that multiplies motion with something has 1: it is silent without motion, so it needs it.

    Args:
        intact: ``(V, U)``.
        frozen: ``(V, U)``.
        intact_again: ``(V, U)``; without it noise is not removed, and reliability is 1.
        frozen_again: ``(V, U)``; both or none.

    Raises:
        UserError: If the shapes differ, there are fewer than three videos, or only one replicate is given.

    Example:
        >>> z = np.arange(5.0)[:, None]
        >>> float(needs_motion(z, z).layer), float(needs_motion(z, 0 * z).layer)
        (0.0, 1.0)
    """
    if (intact_again is None) != (frozen_again is None):
        raise UserError("Give `intact_again` and `frozen_again` together, or neither. Got one.")
    given = [cell for cell in (intact, frozen, intact_again, frozen_again) if cell is not None]
    cells = [np.asarray(cell, np.float64) for cell in given]
    if cells[0].ndim != 2 or any(cell.shape != cells[0].shape for cell in cells):
        shapes = ", ".join(str(cell.shape) for cell in cells)
        raise UserError(f"All arrays must be (videos, units), of one shape. Got {shapes}.")
    if len(cells[0]) < FEWEST:
        raise UserError(
            f"Needs-motion is a covariance over videos: {FEWEST} or more are required. Got {len(cells[0])}."
        )
    contrasts = WITH_REPLICATES if len(cells) == 4 else WITHOUT_REPLICATES
    covariance = cell_sums(np.stack(cells, 1), contrasts).covariances()
    shares, reliability, weight = motion_shares(covariance)
    shares, reliability = np.clip(shares, 0, 1), np.minimum(reliability, 1)
    with np.errstate(invalid="ignore"):
        layer = (weight * shares).sum(-1) / weight.sum(-1)
    return NeedsMotion(np.where(weight > 0, shares, np.nan)[0], reliability[0], weight[0], layer[0])


def motion_shares(covariance: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Needs-motion, reliability and weight of units, from the covariances of the contrasts above.

    Returns:
        Each of the shape of the covariances. Needs-motion is not cut to 0..1: it is below 0 where a still frame seems
        to give more than the clip, and above 1 where c < 0. Where the weight is 0 it is 1, without meaning; reliability
        is NaN for a unit without variance.
    """
    variance, intact, frozen, kept = (covariance[name] for name in WITH_REPLICATES)
    weight = np.where(variance > 0, np.maximum(intact, 0), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        still = kept * np.abs(kept) / (weight * np.maximum(frozen, FLOOR * variance))
        reliability = np.where(variance > 0, intact / variance, np.nan)
    return 1 - np.where(weight > 0, still, 0), reliability, weight


def classify_motion(
    shares: npt.ArrayLike,
    reliability: npt.ArrayLike,
    still: float = 0.25,
    motion: float = 0.75,
    reliable: float = 0.5,
) -> npt.NDArray[np.str_]:
    """Class of every unit from its needs-motion and its reliability.

        dead: no variance;  unreliable: reliability < 0.5;  still: share < 0.25;  motion: share > 0.75;  else mixed

    Args:
        shares: Needs-motion, 0..1, any shape.
        reliability: The same shape; NaN for a unit without variance.
        still: Border below which a unit is still.
        motion: Border above which it needs motion.
        reliable: Border below which it is unreliable.

    Raises:
        UserError: If the borders are not rising numbers in 0..1.
    """
    if not 0 <= still <= motion <= 1 or not 0 <= reliable <= 1:
        raise UserError(
            "`still`, `motion` and `reliable` must be in 0..1, with still ≤ motion. "
            f"Got still={still}, motion={motion}, reliable={reliable}."
        )
    share, certain = np.asarray(shares, np.float64), np.asarray(reliability, np.float64)
    classes = np.where(share < still, "still", np.where(share > motion, "motion", "mixed"))
    return np.where(np.isnan(certain), "dead", np.where(~(certain >= reliable) | (certain <= 0), "unreliable", classes))
