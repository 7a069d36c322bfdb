"""Shares of appearance and motion in a unit's variance, where both are crossed: an analysis of variance in blocks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.released import ROUNDING

SHARES = ("appearance", "motion", "interaction", "nuisance")
"""The shares into which the variance of a unit is split."""
FACTOR_CLASSES = ("appearance", "motion", "joint", "neither", "dead")


class FactorialShares(NamedTuple):
    """Shares of `SHARES`, which add up to 1; a share that is truly 0 is as often negative as positive.

    Attributes:
        units: ``(4, C)``; NaN for a unit that never varies.
        variance: The variance of which they are shares, ``(C,)``.
        layer: Summed components of all units over their summed variance, ``(4,)``.
    """

    units: Array
    variance: Array
    layer: Array


def factorial_shares(table: npt.ArrayLike) -> FactorialShares:
    """Shares of appearance, motion, their interaction, and nuisance in the variance of units.

    In each of ``B`` blocks, ``K`` appearances are crossed with ``O`` motions, and each cell is shown ``r`` times with
    everything else drawn again. With mean squares of the cell means, taken within blocks and averaged over them:

        MS_a = O Σ_k (z_k. - z_..)² / (K - 1);   MS_m = K Σ_o (z_.o - z_..)² / (O - 1)
        MS_am = Σ_ko (z_ko - z_k. - z_.o + z_..)² / ((K - 1) (O - 1));   N = mean variance within cells
        AM = MS_am - N / r;   A = (MS_a - MS_am) / O;   M = (MS_m - MS_am) / K;   shares of A + M + AM + N

    These are unbiased estimates of the variances of the main effects, of the interaction and of the rest, over all
    appearances and motions from which those of the blocks are drawn.

    Args:
        table: ``(B, K, O, r, C)``.

    Raises:
        UserError: If the shape is invalid, or there are fewer than two appearances, motions or draws.

    Source: Henderson's method of moments; Searle, Casella and McCulloch, Variance Components, 1992, chapter 4.

    Example:
        >>> red, blue = [[0.0], [0.0]], [[1.0], [1.0]]
        >>> factorial_shares([[[red, red], [blue, blue]]]).units[:, 0].tolist()
        [1.0, 0.0, 0.0, 0.0]
    """
    values = np.asarray(table, np.float64)
    if values.ndim != 5 or not len(values) or min(values.shape[1:4]) < 2:
        raise UserError(
            "A factorial table must be (blocks, appearances, motions, draws, units), with two or more appearances, "
            f"motions and draws. Got {values.shape}."
        )
    components = block_components(values).mean(0)
    shares, variance = shares_of(components, mean_square(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        layer = np.where(variance > 0, components, 0).sum(-1) / variance.sum()
    return FactorialShares(shares, variance, layer)


def block_components(table: Array) -> Array:
    """Components A, M, AM, N of every block on its own: ``(B, K, O, r, C)`` → ``(B, 4, C)``.

    They are linear in the mean squares, so those of several blocks are their mean.
    """
    appearances, motions, draws = table.shape[1:4]
    cell = table.mean(3)
    noise = ((table - cell[:, :, :, None]) ** 2).sum((1, 2, 3)) / (appearances * motions * (draws - 1))
    row, column, grand = cell.mean(2), cell.mean(1), cell.mean((1, 2))
    of_rows = ((row - grand[:, None]) ** 2).sum(1) / (appearances - 1)
    of_columns = ((column - grand[:, None]) ** 2).sum(1) / (motions - 1)
    rest = cell - row[:, :, None] - column[:, None] + grand[:, None, None]
    both = (rest**2).sum((1, 2)) / ((appearances - 1) * (motions - 1))
    return np.stack([of_rows - both / motions, of_columns - both / appearances, both - noise / draws, noise], 1)


def mean_square(table: Array) -> Array:
    """Mean square of every unit, ``(C,)``: the threshold for rounding is relative to it."""
    return np.asarray((table**2).mean((0, 1, 2, 3)))


def shares_of(components: Array, size: Array) -> tuple[Array, Array]:
    """Shares ``(…, 4, C)`` and their whole ``(…, C)``, from components ``(…, 4, C)`` and mean squares ``(C,)``.

    The whole is exactly 0 where it is only rounding; the shares are then NaN.
    """
    whole = components.sum(-2)
    whole = np.where(whole <= ROUNDING * size, 0.0, whole)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole[..., None, :] > 0, components / whole[..., None, :], np.nan), whole


def classify_factors(shares: npt.ArrayLike, depends: float = 0.25, explained: float = 0.25) -> npt.NDArray[np.str_]:
    """Class of every unit from its shares, by total effects.

        E = A + M + AM;   appearance: A + AM > 0.25 E;   motion: M + AM > 0.25 E;   joint: both
        neither: E < 0.25, or none of them;   dead: no variance

    Args:
        shares: ``(…, 4, C)``, in the order of `SHARES`.
        depends: Part of E above which a unit depends on a factor.
        explained: Least E.

    Returns:
        ``(…, C)`` of `FACTOR_CLASSES`.

    Raises:
        UserError: If a border is outside [0, 1].
    """
    if not 0 <= depends <= 1 or not 0 <= explained <= 1:
        raise UserError(f"`depends` and `explained` must be in 0..1. Got depends={depends}, explained={explained}.")
    appearance, motion, interaction, _ = np.moveaxis(np.asarray(shares, np.float64), -2, 0)
    total = appearance + motion + interaction
    on_appearance = appearance + interaction > depends * total
    on_motion = motion + interaction > depends * total
    classes = np.array(["neither", "appearance", "motion", "joint"])[on_appearance + 2 * on_motion]
    return np.where(np.isnan(total), "dead", np.where(total < explained, "neither", classes))
