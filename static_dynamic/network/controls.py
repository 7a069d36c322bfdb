"""Controls of an ablation: the removal of the same share of a stage's variance, at random or by another score.

The more variance is removed, the larger the effect, whatever it encodes. So units of two scores, or units and random
ones, are compared at an equal share of the variance of their stage over the clips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import brentq

from static_dynamic.common.errors import UserError
from static_dynamic.common.numbers import is_real, is_whole
from static_dynamic.common.seeds import generator
from static_dynamic.network.selections import Chosen, Selection, Span, Units, selection

AT_ONCE = 64
"""Number of random orders of units that are drawn together."""
ATTEMPTS = 100
"""Number of such draws before the search for random sets ends."""
STEEPEST = 16.0
"""Limits on how strongly random directions may follow, or avoid, the variance of a stage."""
FLOOR = 1e-6
"""Variance of an axis, as a share of the largest, below which random directions treat all axes alike."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Controls:
    """Random counterparts of some units or of a subspace.

    Attributes:
        draws: Units for :func:`static_dynamic.ablate`: numbers of units ``(k,)``, or directions ``(k, C)``.
        target: Share of the variance of the stage that the units or the subspace carry, 0..1.
        achieved: The share that each draw carries, ``(draws,)``.
        tolerance: How far it may be from the target, as a share of the target.
        overlap: Overlap of each draw with the given units, 0..1, ``(draws,)``: of units, the share of their variance
            that it contains too; of subspaces, the mean squared cosine of the angles between the two. Near 1
            nothing else carries as much, and the draws are not controls.
    """

    draws: tuple[npt.NDArray[Any], ...]
    target: float
    achieved: Array
    tolerance: float
    overlap: Array


def variance_share(activations: npt.ArrayLike | torch.Tensor, units: Units) -> float:
    """Share of the variance of a stage over clips that some units, or a subspace, carry.

        share = Σ over units of var_i / Σ over all of var_i;   of a subspace with orthonormal basis B: tr(B Σ Bᵀ) / tr Σ

    Args:
        activations: Pooled, ``(N, C)``.
        units: Numbers, a mask, or directions, as for :func:`static_dynamic.ablate`.

    Returns:
        The share, 0..1.

    Raises:
        UserError: If the stage has no such units, or activations are not ``(N, C)`` numbers that vary.

    Example:
        >>> variance_share([[0.0, 0.0], [1.0, 3.0]], [1])
        0.9
    """
    centred = _centred(activations)
    return _carried(centred, _checked(units, centred))


def strongest(scores: npt.ArrayLike, activations: npt.ArrayLike | torch.Tensor, share: float) -> npt.NDArray[np.int64]:
    """The units of highest score that together carry about a given share of the variance of their stage.

    Units are taken in the order of their scores until the set is nearest to the share, at least one. Those without
    variance, or whose score is NaN, are left out. So sets of different scores are comparable, though not of equal size.
    With few units check :func:`variance_share` of each.

    Args:
        scores: ``(C,)``; negate them for the units of lowest score.
        activations: Pooled, ``(N, C)``.
        share: Share of the variance, above 0 and below 1.

    Returns:
        Numbers of units, the highest score first; of equal scores the lower number.

    Raises:
        UserError: If the share is not in 0..1, there is not one score per unit, or the units with a score carry less.

    Example:
        >>> strongest([0.9, 0.1, 0.5], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], share=0.6)
        array([0, 2])
    """
    variance = _centred(activations).var(0)
    scores = _numbers(scores, "Scores")
    if scores.shape != variance.shape:
        raise UserError(f"There must be one score per unit, {variance.shape}. Got {scores.shape}.")
    if not is_real(share) or not 0 < share < 1:
        raise UserError(f"The `share` of the variance must be between 0 and 1. Got {share!r}.")
    order = np.argsort(-scores, kind="stable")
    order = order[(variance[order] > 0) & ~np.isnan(scores[order])]
    carried = np.cumsum(variance[order]) / variance.sum()
    if not len(order) or carried[-1] < share:
        most = carried[-1] if len(order) else 0.0
        raise UserError(f"Units with a score carry {most:.1%} of the variance in total, less than `share={share}`.")
    return order[: np.abs(carried - share).argmin() + 1]


def matched_units(
    activations: npt.ArrayLike | torch.Tensor, units: Units, draws: int = 20, seed: int = 0, *, tolerance: float = 0.05
) -> Controls:
    """Random sets of units that carry as much variance as some units do.

    In random order, every unit is taken that brings the set nearer to the target; orders by which it does not come
    within the tolerance are drawn again. Sets may be smaller or larger than the given one and may contain
    some of its units: they are the choice of an uninformative score. Draws are independent, so with few units the
    same set may occur twice.

    Args:
        activations: Pooled, ``(N, C)``.
        units: Numbers or a mask.
        draws: How many sets.
        seed: Draws them.
        tolerance: Greatest distance from the target, as a share of the target.

    Returns:
        The sets, and the share of the variance that each of them carries.

    Raises:
        UserError: If no set within the tolerance is found, the stage has no such units, or directions are given.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 64))
        >>> controls = matched_units(z, range(16), draws=3)
        >>> len(controls.draws), bool((abs(controls.achieved / controls.target - 1) <= 0.05).all())
        (3, True)
    """
    centred = _centred(activations)
    chosen = _checked(units, centred)
    if not isinstance(chosen, Chosen):
        raise UserError("Random units need units to match. Got directions: use `matched_directions` for these.")
    shares = (centred**2).sum(0) / (centred**2).sum()
    target = _target(centred, chosen)
    random = generator(seed, "matched units")
    sets = tuple(islice(_random_sets(shares, target, tolerance, random), _positive(draws)))
    achieved = np.array([shares[one].sum() for one in sets])
    overlap = np.array([shares[np.intersect1d(one, chosen.numbers)].sum() for one in sets]) / target
    return Controls(sets, target, achieved, tolerance, overlap)


def _random_sets(
    shares: Array, target: float, tolerance: float, random: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield sets whose shares add up to the target, as long as they are found."""
    nearest = np.inf
    for _ in range(ATTEMPTS):
        off, taken = np.full(AT_ONCE, -target), np.zeros((AT_ONCE, len(shares)), bool)
        for units in random.permuted(np.tile(np.arange(len(shares)), (AT_ONCE, 1)), axis=1).T:
            nearer = np.abs(off + shares[units]) < np.abs(off)
            taken[np.arange(AT_ONCE), units] = nearer
            off += nearer * shares[units]
        yield from (np.flatnonzero(one) for one in taken[np.abs(off) <= tolerance * target])
        nearest = min(nearest, np.abs(off).min() / target)
    raise UserError(
        f"Too few random sets of units carry {target:.1%} of the variance within `tolerance={tolerance}`; "
        f"the nearest was off by {nearest:.3f}. Increase `tolerance`, or choose other units."
    )


def matched_directions(
    activations: npt.ArrayLike | torch.Tensor, units: Units, draws: int = 20, seed: int = 0, *, tolerance: float = 0.01
) -> Controls:
    """Random subspaces of the same dimension that carry as much variance as some units, or a subspace, do.

    In the principal axes of the activations, with variances ``λ``, ``k`` directions are drawn from ``N(0, λ^2t)``:
    ``t = 0`` gives uniform directions, ``t = ½`` such as differences of clips have. For every draw ``t`` is set so that
    its subspace carries the target. It may overlap with the given one.

    Args:
        activations: Pooled, ``(N, C)``.
        units: Numbers, a mask, or directions ``(k, C)``.
        draws: How many subspaces.
        seed: Draws them.
        tolerance: Greatest distance from the target, as a share of the target.

    Returns:
        Orthonormal directions ``(k, C)`` of each, and the share of the variance that it carries.

    Raises:
        UserError: If random subspaces cannot carry the target, or the stage has no such units.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 16))
        >>> controls = matched_directions(z, [[1.0] * 16, [1.0, -1.0] * 8], draws=2)
        >>> controls.draws[0].shape, bool((abs(controls.achieved / controls.target - 1) < 0.01).all())
        ((2, 16), True)
    """
    centred = _centred(activations)
    chosen = _checked(units, centred)
    target = _target(centred, chosen)
    variances, axes = _principal(centred)
    random = generator(seed, "matched directions")
    subspaces = tuple(
        _random_subspace(random.normal(size=(centred.shape[1], chosen.size)), variances, target, tolerance).T @ axes
        for _ in range(_positive(draws))
    )
    achieved = np.array([_carried(centred, Span(one)) for one in subspaces])
    basis = chosen.basis if isinstance(chosen, Span) else np.eye(centred.shape[1])[chosen.numbers]
    overlap = np.array([((one @ basis.T) ** 2).sum() for one in subspaces]) / chosen.size
    return Controls(subspaces, target, achieved, tolerance, overlap)


def _random_subspace(drawn: Array, variances: Array, target: float, tolerance: float) -> Array:
    """Orthonormal columns in the principal axes, ``(C, k)``, that carry the target."""
    logs = np.log(np.maximum(variances / variances[0], FLOOR))

    def turned(t: float) -> Array:
        # Rows descend in size: otherwise a factorisation is not exact for rows of very different sizes.
        falling = slice(None) if t > 0 else slice(None, None, -1)
        scale = np.exp(t * logs - (t * logs).max())
        return np.linalg.qr((scale[:, None] * drawn)[falling])[0][falling]

    def off(t: float) -> float:
        return float((variances @ turned(t) ** 2).sum() / target - 1)

    least, most = off(-STEEPEST), off(STEEPEST)
    t = -STEEPEST if least >= 0 else STEEPEST if most <= 0 else brentq(off, -STEEPEST, STEEPEST, xtol=1e-4)
    if abs(off(t)) > tolerance:
        raise UserError(
            f"Random subspaces of {drawn.shape[1]} dimensions carry {(1 + least) * target:.2g} to "
            f"{(1 + most) * target:.2g} of the variance. The target is {target:.2g} within `tolerance={tolerance}`."
        )
    return turned(t)


def _principal(centred: Array) -> tuple[Array, Array]:
    """Shares of the variance along all principal axes, descending, ``(C,)``; the axes ``(C, C)``, one a row."""
    variances, columns = np.linalg.eigh(centred.T @ centred)
    return np.maximum(variances[::-1], 0) / np.trace(centred.T @ centred), columns[:, ::-1].T


def _carried(centred: Array, chosen: Selection) -> float:
    part = centred[:, chosen.numbers] if isinstance(chosen, Chosen) else centred @ chosen.basis.T
    return float((part**2).sum() / (centred**2).sum())


def _target(centred: Array, chosen: Selection) -> float:
    target = _carried(centred, chosen)
    if target <= 0:
        raise UserError("The units do not vary over these clips, so random ones cannot match them.")
    return target


def _checked(units: Units, centred: Array) -> Selection:
    chosen = selection(units)
    chosen.check(centred.shape[1])
    return chosen


def _centred(activations: npt.ArrayLike | torch.Tensor) -> Array:
    """Activations less their mean over clips."""
    z = _numbers(activations, "Activations")
    if z.ndim != 2 or not z.size or not np.isfinite(z).all() or not np.ptp(z, 0).any():
        raise UserError(f"Activations must be finite numbers (clips, units) that vary. Got shape {z.shape}.")
    return z - z.mean(0)


def _numbers(given: npt.ArrayLike | torch.Tensor, what: str) -> Array:
    """Convert an array, or a tensor of any precision, to float64."""
    try:
        return np.asarray(given.detach().cpu().double() if isinstance(given, torch.Tensor) else given, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{what} must be an array of numbers. Got {given!r:.80}.") from None


def _positive(draws: int) -> int:
    if not is_whole(draws) or draws < 1:
        raise UserError(f"The number of `draws` must be a whole number, 1 or more. Got {draws!r}.")
    return draws
