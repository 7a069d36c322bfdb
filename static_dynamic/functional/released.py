"""The measure of the published code, as pure functions of pairs (Kowal et al., CVPR 2022).

Notation: ``A``, ``B`` ``(n, C)`` are the pooled activations of the first and second elements of the pairs; every pair
has a factor, 0 dynamic (same order, other style) or 1 static (same style, other order);
``m_f = (mean A_f + mean B_f) / 2``.

Everything here follows from three sums per factor, which add up over videos: ``Σ (A + B) / 2``, ``Σ A B`` and
``Σ (A² + B²) / 2``. A bootstrap over videos is therefore the same formula with other weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from static_dynamic.common.errors import UserError
from static_dynamic.functional.additive import Additive, bilinear

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

DYNAMIC, STATIC, RESIDUAL = 0, 1, 2
UnitClass = Literal["dynamic", "static", "joint", "residual", "dead"]
UNIT_CLASSES: tuple[UnitClass, ...] = get_args(UnitClass)
# A variance this small compared with the size of the unit is rounding, not response.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Layerwise:
    """The layer scores of the published code; every array ends in the factor axis ``(…, F)``.

    Attributes:
        scores: ``s_f``, the factor's summed covariance over the total variance; the residual's is 1 by definition.
        shares: ``softmax(s)``, in 0..1; adds up to 1.
        dims: ``int(p_f · C)``; the last factor takes the remainder.
        percent: ``round(100 · dims / C, 1)``.
    """

    scores: Array
    shares: Array
    dims: Ints
    percent: Array


@dataclass(frozen=True)
class PairMoments(Additive):
    """Sums over the pairs of each group (video) and factor.

    Attributes:
        count: Pairs, or the sum of their weights, ``(G, F)``.
        mean: ``Σ (A + B) / 2``, ``(G, F, C)``.
        cross: ``Σ A B``, ``(G, F, C)``.
        square: ``Σ (A² + B²) / 2``, ``(G, F, C)``.
        shift: See `Additive`.
        size: See `Additive`.
        entries: See `Additive`.
    """

    count: Array
    mean: Array
    cross: Array
    square: Array
    shift: Array
    size: Array
    entries: int

    def arrays(self) -> list[Array]:
        """Numbers of pairs, means, products and squares."""
        return [self.count, self.mean, self.cross, self.square]

    def of(self, arrays: Sequence[Array], size: Array, entries: int) -> "PairMoments":
        """See `Additive.of`."""
        count, mean, cross, square = arrays
        return replace(self, count=count, mean=mean, cross=cross, square=square, size=size, entries=entries)


def pair_moments(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    factor: npt.ArrayLike,
    n_factors: int = 3,
    group: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    shift: Array | None = None,
) -> PairMoments:
    """The sums from which every released score follows.

    Args:
        a: First elements, ``(n, C)``.
        b: Second elements, ``(n, C)``.
        factor: Factor of each pair, ``(n,)``, in ``0..n_factors-1``.
        n_factors: Number of factors, the residual included.
        group: Group (video) of each pair, ``(n,)`` integers from 0; one group if ``None``.
        weight: How much each pair counts, ``(n,)``, 0 or more; 1 if ``None``, as published.
        shift: The number subtracted from every unit, ``(C,)``; its mean if ``None``.

    Raises:
        UserError: If the shapes do not fit, or a weight is negative.
    """
    first, second, factors = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(factor, np.intp)
    n = len(first)
    groups = np.zeros(n, np.intp) if group is None else np.asarray(group, np.intp)
    weights = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    shapes = first.shape, second.shape, factors.shape, groups.shape, weights.shape
    if first.ndim != 2 or not n or shapes != (first.shape, first.shape, (n,), (n,), (n,)):
        given = ", ".join(map(str, shapes))
        raise UserError(f"Pairs need a and b of one shape (n, C), and n factors, groups and weights. Got {given}.")
    if not (weights >= 0).all():
        raise UserError(f"The weight of a pair must be 0 or more. Got {weights.min()}.")
    if factors.min() < 0 or factors.max() >= n_factors:
        raise UserError(f"A pair's factor must be in 0..{n_factors - 1}. Got {factors.min()}..{factors.max()}.")
    shift = (first.mean(0) + second.mean(0)) / 2 if shift is None else shift
    size = ((first**2).mean(0) + (second**2).mean(0)) / 2
    first, second = first - shift, second - shift
    cells = (int(groups.max()) + 1) * n_factors
    membership = csr_array((weights, (groups * n_factors + factors, np.arange(n))), shape=(cells, n))

    def summed(values: Array) -> Array:
        return np.asarray(membership @ values).reshape(-1, n_factors, *values.shape[1:])

    return PairMoments(
        count=summed(np.ones(n)),
        mean=summed((first + second) / 2),
        cross=summed(first * second),
        square=summed((first**2 + second**2) / 2),
        shift=shift,
        size=size,
        entries=n,
    )


def total_moments(
    values: Array, squares: Array, a: Ints, b: Ints, factor: Ints, n_factors: int, weight: Array
) -> list[Array]:
    """The arrays of :func:`pair_moments` summed over all groups, without a copy of both elements of every pair.

    Args:
        values: Units less their shift, ``(rows, C)``.
        squares: Their squares.
        a: Rows of the first elements, ``(n,)``.
        b: Rows of the second elements.
        factor: Factor of each pair.
        n_factors: Number of factors.
        weight: How much each pair counts.
    """
    found: list[tuple[Array, Array, Array, Array]] = []
    for f in range(n_factors):
        first, second, counts = (of[factor == f] for of in (a, b, weight))
        both = sum(np.bincount(rows, counts, len(values)) for rows in (first, second)) / 2
        found.append((counts.sum(), both @ values, bilinear(values, first, second, counts), both @ squares))
    return [np.stack(part)[None] for part in zip(*found, strict=True)]


@dataclass(frozen=True)
class Covariances:
    """Covariances and variances of pairs, per factor and unit; ``R`` is the number of replicates."""

    between: Array
    """``mean[(A - m_f)(B - m_f)]``, ``(R, F, C)``; NaN where a factor has no pairs."""
    within: Array
    """Variance over A and B of the factor, ``(R, F, C)``."""
    total: Array
    """Variance over A and B of all factors, ``(R, C)``."""


def covariances(moments: PairMoments) -> Covariances:
    """Covariances from summed moments; variances that are only rounding become exactly 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        count = moments.count[..., None]
        mean = moments.mean / count
        between = moments.cross / count - mean**2
        within = moments.square / count - mean**2
        pairs = count.sum(1)
        total = moments.square.sum(1) / pairs - (moments.mean.sum(1) / pairs) ** 2
    floor = ROUNDING * moments.size
    return Covariances(between, np.where(within <= floor, 0, within), np.where(total <= floor, 0, total))


def layer_scores(between: Array, total: Array, residual_index: int = RESIDUAL) -> Array:
    """Scores ``(R, F)`` from unit sums of covariance ``(R, F)`` and of total variance ``(R,)``; 1 for the residual."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = between / total[:, None]
    scores[:, _residual(residual_index)] = 1.0
    return scores


def _residual(index: int) -> slice:
    """The residual among the factors; empty for -1, which means there is none."""
    return slice(index, index + 1) if index >= 0 else slice(0)


def allocate(scores: Array, units: int) -> Layerwise:
    """Scores ``(…, F)`` → shares, dims and percent, with the published softmax and truncation."""
    with np.errstate(invalid="ignore"):  # scores of a stage that never varies are undefined, and so are its shares
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        shares = powers / powers.sum(-1, keepdims=True)
    defined = np.isfinite(shares).all(-1, keepdims=True)
    dims = np.where(defined, shares * units, 0).astype(np.intp)
    dims[..., -1:] = np.where(defined, units - dims[..., :-1].sum(-1, keepdims=True), 0)
    return Layerwise(scores, shares, dims, np.round(100 * dims / units, 1))


def released_layerwise(
    a: npt.ArrayLike, b: npt.ArrayLike, factor: npt.ArrayLike, n_factors: int = 3, residual_index: int = RESIDUAL
) -> Layerwise:
    """Layer scores of the published code.

        s_f = Σ_i mean_n[(A_f - m_f)_i (B_f - m_f)_i] / Σ_i Var_i(A and B of all factors);   s_residual = 1
        p = softmax(s);   N_f = int(p_f · C), the last factor takes the remainder

    With scores in 0..1 a factor's share is in 15.5-42.2 %, and the residual's is never under 33.3 %: it does not
    count units that encode nothing. The total variance pools the factors, so a score can pass 1 where their pairs come
    from different videos. With K styles, all paired, a stage that follows the style alone scores -1/(K-1).

    Args:
        a: First elements of the pairs, ``(n, C)``.
        b: Second elements, ``(n, C)``.
        factor: Factor of each pair, ``(n,)``.
        n_factors: Number of factors, the residual included.
        residual_index: Which factor is the residual, which has no pairs; -1 if none is.

    Returns:
        Scores, shares, dims and percent, each ``(n_factors,)``.

    Raises:
        UserError: If the shapes do not fit, or a factor has no pairs.

    Source: spec of the released code, ``dim_est`` (Kowal et al., CVPR 2022, section 3).
    """
    moments = pair_moments(a, b, factor, n_factors).weighted()
    _require_pairs(moments.count[0], residual_index)
    cov = covariances(moments)
    scores = layer_scores(cov.between.sum(-1), cov.total.sum(-1), residual_index)
    return allocate(scores[0], cov.total.shape[-1])


def released_unitwise(
    a: npt.ArrayLike, b: npt.ArrayLike, factor: npt.ArrayLike, n_factors: int = 3, residual_index: int = RESIDUAL
) -> Array:
    """Unit scores of the published code: Fisher's intraclass correlation of the pairs of each factor.

        u_f,i = mean_n[(A_f - m_f)_i (B_f - m_f)_i] / Var_i(A_f and B_f);   u_residual = 1

    Args:
        a: First elements of the pairs, ``(n, C)``.
        b: Second elements, ``(n, C)``.
        factor: Factor of each pair, ``(n,)``.
        n_factors: Number of factors, the residual included.
        residual_index: Which factor is the residual; -1 if none is.

    Returns:
        ``(n_factors, C)``, in -1..1; NaN for a unit without variance.

    Raises:
        UserError: If the shapes do not fit, or a factor has no pairs.
    """
    moments = pair_moments(a, b, factor, n_factors).weighted()
    _require_pairs(moments.count[0], residual_index)
    return unit_scores(covariances(moments), residual_index)[0]


def unit_scores(cov: Covariances, residual_index: int = RESIDUAL) -> Array:
    """Intraclass correlations ``(R, F, C)``; NaN without variance, 1 for the residual."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(cov.within > 0, cov.between / cov.within, np.nan)
    scores[:, _residual(residual_index)] = 1.0
    return scores


def classify_units(scores: npt.ArrayLike, threshold: float = 0.5) -> npt.NDArray[Any]:
    """Class of every unit from its dynamic and static score.

        dynamic: u_D > λ ≥ u_S;  static: u_S > λ ≥ u_D;  joint: both > λ;  residual: neither;  dead: no variance

    A unit encodes a factor only above λ, so one exactly at λ does not (the published code leaves it without a class).

    Args:
        scores: ``(…, F, C)`` with the dynamic scores first and the static second, as from :func:`released_unitwise`.
        threshold: λ, in [0, 1].

    Returns:
        ``(…, C)`` of ``dynamic``, ``static``, ``joint``, ``residual`` or ``dead``.

    Raises:
        UserError: If the threshold is outside [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise UserError(
            f"The 'threshold' parameter of classify_units must be a float in the range [0, 1]. Got {threshold}."
        )
    scores = np.asarray(scores, np.float64)
    dynamic, static = scores[..., DYNAMIC, :], scores[..., STATIC, :]
    names = np.array(["residual", "dynamic", "static", "joint"])
    classes = names[(dynamic > threshold) + 2 * (static > threshold)]
    return np.where(np.isnan(dynamic) | np.isnan(static), "dead", classes)


def _require_pairs(count: Array, residual_index: int) -> None:
    for factor, pairs in enumerate(count):
        if factor != residual_index and not pairs:
            raise UserError(
                f"Factor {factor} has no pairs. Every factor except the residual ({residual_index}) needs some. "
                f"Got counts {count.astype(int).tolist()}."
            )
