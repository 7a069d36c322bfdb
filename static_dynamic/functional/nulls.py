"""Tests against chance: which units exceed the values of pairs of unrelated videos."""

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.contrasts import Array


def pooled_p(values: npt.ArrayLike, by_chance: npt.ArrayLike) -> Array:
    """One-sided p of every unit: how often chance gives a unit of the stage at least this value.

        p_i = (1 + number of (k, j) with c_kj ≥ u_i) / (1 + number of all c_kj)

    Chance values of all units are pooled, since their statistics are on one scale, so few draws are enough. NaN are
    left out.

    Args:
        values: ``u``, ``(U,)``.
        by_chance: ``c``, ``(draws, U)``.

    Returns:
        ``(U,)`` in (0, 1]; NaN where the value is.

    Source: Storey and Tibshirani, PNAS 2003 (pooled null statistics).

    Example:
        >>> pooled_p([0.9, 0.1], [[0.0, 0.2], [-0.1, 0.3]]).tolist()
        [0.2, 0.6]
    """
    values, chance = np.asarray(values, np.float64), np.asarray(by_chance, np.float64)
    pool = np.sort(chance[np.isfinite(chance)])
    above = len(pool) - np.searchsorted(pool, values, side="left")
    return np.where(np.isnan(values), np.nan, (1 + above) / (1 + len(pool)))


def false_discovery(p: npt.ArrayLike) -> Array:
    """Benjamini and Hochberg's q: the least rate of false discoveries at which a unit counts as one.

        q_(i) = min over j ≥ i of  p_(j) · m / j,   p sorted, m units

    Args:
        p: ``(U,)`` in 0..1; NaN are left out.

    Returns:
        ``(U,)`` in 0..1; NaN where p is.

    Raises:
        UserError: If a p is outside 0..1.

    Source: Benjamini and Hochberg, JRSS B 1995.

    Example:
        >>> false_discovery([0.01, 0.04, 0.5]).tolist()
        [0.03, 0.06, 0.5]
    """
    values = np.asarray(p, np.float64)
    defined = np.flatnonzero(~np.isnan(values))
    if ((values[defined] < 0) | (values[defined] > 1)).any():
        raise UserError(f"Every p must be in 0..1. Got {np.nanmin(values)}..{np.nanmax(values)}.")
    order = defined[np.argsort(values[defined], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    found = np.full(values.shape, np.nan)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return found
