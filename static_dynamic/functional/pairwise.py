"""Associations between the two clips of a pair: centred per condition, for one pair of conditions or several."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.contrasts import Array, Contrast, Sums, cell_sums
from static_dynamic.functional.resampling import FEWEST_VIDEOS


class Covaried(NamedTuple):
    """Covariances of pairs of conditions, each ``(R, U)``.

    Attributes:
        covariance: One for every pair of conditions.
        scale: Products of the two standard deviations; 0 where a unit is constant in either condition.
        varies: Whether a unit varies in any of the conditions.
    """

    covariance: list[Array]
    scale: list[Array]
    varies: npt.NDArray[np.bool_]


def pairwise_contrasts(pairs: Contrast) -> dict[str, Contrast]:
    """One contrast for every pair of conditions, and one for the variance in every condition."""
    cells = dict.fromkeys(cell for pair in pairs for cell in pair)
    return {_name(a, b): [(a, b)] for a, b in [*pairs, *((cell, cell) for cell in cells)]}


def covaried(found: dict[str, Array], pairs: Contrast) -> Covaried:
    """Collect some pairs of conditions from the covariances of :func:`pairwise_contrasts`."""
    deviation = {cell: np.sqrt(found[_name(cell, cell)]) for pair in pairs for cell in pair}
    return Covaried(
        [found[_name(a, b)] for a, b in pairs],
        [deviation[a] * deviation[b] for a, b in pairs],
        np.any([values > 0 for values in deviation.values()], axis=0),
    )


def _name(a: int, b: int) -> str:
    return f"{a} {b}"


def pairwise_sums(z: npt.ArrayLike, pairs: Contrast) -> Sums:
    """Sums of ``(V, K, U)`` for all pairs of conditions.

    Raises:
        UserError: If the shapes do not fit, or there are fewer than three videos.
    """
    values = np.asarray(z, np.float64)
    if not len(pairs):
        raise UserError("At least one pair of conditions is required. Got none.")
    sums = cell_sums(values, pairwise_contrasts(pairs))
    if len(values) < FEWEST_VIDEOS:
        raise UserError(f"A correlation over videos needs {FEWEST_VIDEOS} videos or more. Got {len(values)}.")
    return sums


def pearson_within(z: npt.ArrayLike, pairs: Contrast) -> Array:
    """Pearson's correlation between the clips of a pair, centred per condition.

    With ``z_a`` a unit on all videos in condition ``a``, and covariances over videos:

        r_i = mean over (a, b) of cov(z_ai, z_bi) / mean over (a, b) of sd(z_ai) sd(z_bi)

    What a condition adds equally to every video is removed first, unlike in the released unit score.

    Args:
        z: ``(V, K, U)``: units of every video in every condition.
        pairs: Pairs of conditions, by their numbers.

    Returns:
        ``(U,)`` in -1..1; 0 where no pair has variance on both sides, NaN for a unit without variance.

    Raises:
        UserError: If the shapes do not fit, or there are fewer than three videos.

    Example:
        >>> z = np.array([[0.0, 5.0], [1.0, 7.0], [2.0, 9.0]])[..., None]
        >>> pearson_within(z, [(0, 1)]).round(6).tolist()
        [1.0]
    """
    return correlation(covaried(pairwise_sums(z, pairs).covariances(), pairs))[0]


def correlation(of: Covaried) -> Array:
    """Mean covariance over mean scale, ``(R, U)``; see :func:`pearson_within`."""
    scale = sum(of.scale, np.zeros(()))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(scale > 0, sum(of.covariance, np.zeros(())) / scale, 0.0)
    return np.where(of.varies, found, np.nan)
