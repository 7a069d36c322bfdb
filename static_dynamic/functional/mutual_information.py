"""Mutual information of the two clips of a pair, under Gaussian assumptions, per pair of conditions."""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from static_dynamic.functional.contrasts import Array, Contrast
from static_dynamic.functional.pairwise import Covaried, covaried, pairwise_sums
from static_dynamic.functional.released import ROUNDING

UNEXPLAINED = 1e-7
"""Least unexplained share of a variance: without it, equal clips would have infinite information."""
CAP = -0.5 * float(np.log(UNEXPLAINED))
"""Largest value of a pair before the bias is subtracted, 8.06 nats."""
HALF = -0.5 * float(np.log1p(-(0.5**2)))
"""Information of Gaussian variables of which the correlation is one half, 0.144 nats."""


def gaussian_mi(z: npt.ArrayLike, pairs: Contrast) -> Array:
    """Mutual information of the clips of a pair, for Gaussian variables, in nats.

    With ``r_ab`` the correlation over videos of a unit in conditions ``a`` and ``b``, and ``n`` videos:

        I = mean over (a, b) of -½ ln(1 - min(r_ab², 1 - 1e-7)) - 1 / (2 n)

    The last term is the bias of the estimate, to first order. The sign of a correlation does not matter. Each pair of
    conditions has a separate correlation: pooled, the difference between conditions would count as information. An
    estimate from n videos cannot show more than about ln n nats.

    Args:
        z: ``(V, K, U)``: units of every video in every condition.
        pairs: Pairs of conditions, by their numbers.

    Returns:
        ``(U,)`` in -1/(2n)..8.06, where values below 0 are sampling noise; a pair counts 0 nats before the bias where
        the unit is constant in one of its conditions; NaN for a unit without variance.

    Raises:
        UserError: If the shapes do not fit, or there are fewer than three videos.

    Source: Cover and Thomas, Elements of Information Theory, section 8.5; the bias: Misra, Singh and Demchuk, Journal
    of Multivariate Analysis 2005.

    Example:
        >>> z = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [3.0, 3.0]])[..., None]
        >>> gaussian_mi(z, [(0, 1)]).round(3).tolist()
        [0.256]
    """
    sums = pairwise_sums(z, pairs)
    return information(covaried(sums.covariances(), pairs), sums.count.sum())[0]


def copula_mi(z: npt.ArrayLike, pairs: Contrast) -> Array:
    """Mutual information of normal scores of every unit in every condition: of the Gaussian copula, in nats.

    It depends on ranks alone, so the scale of a unit and outliers do not matter. It is a lower bound of the
    information where the relation is monotone. Arguments, values and errors are those of :func:`gaussian_mi`.

    Source: Ince et al., Human Brain Mapping 2017.

    Example:
        >>> z = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [3.0, 30.0]])[..., None]
        >>> float(copula_mi(z, [(0, 1)])[0]) == float(copula_mi(np.minimum(z, 5), [(0, 1)])[0])
        True
    """
    values = np.asarray(z, np.float64)
    return gaussian_mi(normal_scores(values) if values.ndim == 3 and len(values) else values, pairs)


def normal_scores(z: Array) -> Array:
    """Φ⁻¹((rank - ½) / V), the rank among all videos in the same condition; ties get the average of their ranks.

    Args:
        z: ``(V, K, U)``.

    Returns:
        The same shape; 0 where a unit is constant in a condition, except for rounding.
    """
    constant = z.var(0) <= ROUNDING * (z**2).mean((0, 1))
    return np.where(constant, 0.0, ndtri((rankdata(z, axis=0) - 0.5) / len(z)))


def information(of: Covaried, videos: npt.ArrayLike) -> Array:
    """Mean information of pairs of conditions, ``(R, U)``, from ``videos`` that count; see :func:`gaussian_mi`."""
    total = np.zeros(())
    with np.errstate(invalid="ignore", divide="ignore"):
        for covariance, scale in zip(of.covariance, of.scale, strict=True):
            explained = np.where(scale > 0, (covariance / scale) ** 2, 0.0)
            total = total - 0.5 * np.log1p(-np.minimum(explained, 1 - UNEXPLAINED))
        found = total / len(of.scale) - 0.5 / np.asarray(videos, np.float64)
    return np.where(of.varies, found, np.nan)
