"""Uncertainty: resampling videos, which are the sample; the clips of one video depend on each other.

A resample is a row of weights, how often each video counts: a statistic of weighted sums needs no loop.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import generator

Array = npt.NDArray[np.float64]

FEWEST_VIDEOS = 3
"""Fewest videos for an interval: with one or two it would be narrow whatever the truth."""
FOLDS = 200
"""Largest number of rows of a jackknife."""
GROUPS = 4000
"""Largest number of units of resampling: more videos form groups. A multiple of ``FOLDS``."""


class Resamples(NamedTuple):
    """Weights of the videos, and how to read a statistic that was computed with each row of weights.

    Attributes:
        weights: ``(1 + replicates + folds, groups)``: all videos once; the bootstrap; the jackknife.
        replicates: Number of bootstrap rows.
        group: Group of every video, ``(videos,)``: up to ``GROUPS`` videos, each is a group.
        times: How often each bootstrap row counts, ``(replicates,)``; once if ``None``.
    """

    weights: Array
    replicates: int
    group: npt.NDArray[np.intp]
    times: npt.NDArray[np.intp] | None = None

    def distinct(self) -> tuple["Resamples", npt.NDArray[np.intp]]:
        """The same without bootstrap rows that are equal, and the place of every row among those that are left.

        A few videos can be drawn in a few ways only: four in 35. Where most rows differ, all are kept.
        """
        groups, everything = self.weights.shape[1], np.arange(len(self.weights))
        if self.times is not None or math.comb(2 * groups - 1, groups) > 2 * self.replicates:
            return self, everything
        rows, place, times = np.unique(self.bootstrap(self.weights), axis=0, return_inverse=True, return_counts=True)
        if 2 * len(rows) > self.replicates:
            return self, everything
        weights = np.concatenate([self.weights[:1], rows, self.jackknife(self.weights)])
        folds = len(rows) + np.arange(1, len(weights) - len(rows))
        return Resamples(weights, len(rows), self.group, times), np.concatenate([[0], 1 + place.ravel(), folds])

    @property
    def of_videos(self) -> Array:
        """Weights of every video, ``(rows, videos)``: large where there are many videos."""
        return self.weights if len(self.group) == self.weights.shape[1] else self.weights[:, self.group]

    def estimate(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The statistic itself, from its values on all rows ``(rows, …)``."""
        return values[0]

    def bootstrap(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The statistic on the bootstrap rows."""
        return values[1 : 1 + self.replicates]

    def jackknife(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The statistic on the jackknife rows."""
        return values[1 + self.replicates :]

    @property
    def left_out(self) -> Array:
        """Videos that each jackknife row leaves out."""
        return fold_sizes(len(self.group), len(self.jackknife(self.weights)))

    @property
    def enough(self) -> bool:
        """Whether there are enough videos for an interval."""
        return self.weights.shape[1] >= FEWEST_VIDEOS

    def stability(self, values: npt.NDArray[Any]) -> Array:
        """Share of the bootstrap rows on which the statistic is the same, ``(…)``; NaN with too few videos."""
        same = np.average(self.bootstrap(values) == self.estimate(values), axis=0, weights=self.times)
        return np.where(self.enough, same, np.nan)

    def interval(self, values: Array, confidence: float = 0.95, bounded: bool = False) -> tuple[Array, Array]:
        """Low and high ends of the jackknife interval of a statistic, from its values on all rows ``(rows, …)``.

        Returns:
            Both ends, ``(…)``; NaN with too few videos.
        """
        if not self.enough:
            undefined = np.full(values.shape[1:], np.nan)
            return undefined, undefined
        return jackknife_interval(self.estimate(values), self.jackknife(values), self.left_out, confidence, bounded)


def resample(videos: int, replicates: int = 1000, seed: int = 0, folds: int = FOLDS) -> Resamples:
    """Bootstrap and jackknife weights.

    A bootstrap row counts how often each video is drawn in n draws with replacement (Efron, 1979): a multinomial draw.
    A jackknife row leaves out one video or, with more than ``folds`` videos, one of ``folds`` groups of them.

    More than ``GROUPS`` videos are first assigned at random to this number of groups of nearly equal size, and these
    are drawn and left out. A sum over a group is then the unit of the sample. The variance of a statistic is estimated
    as from single videos, without bias, with a relative standard error of √(2 / GROUPS), 2 %. Memory does not depend
    on the number of videos.

    Args:
        videos: Number of videos.
        replicates: Bootstrap rows.
        seed: Seed of the draws.
        folds: Largest number of jackknife rows.
    """
    group = np.arange(videos)
    if videos > GROUPS:
        group = generator(seed, "groups", videos).permutation(videos) % GROUPS
    groups, folds = min(videos, GROUPS), min(folds, videos, GROUPS)
    drawn = generator(seed, "bootstrap", videos).multinomial(groups, np.full(groups, 1 / groups), size=replicates)
    left_out = np.arange(groups) % folds == np.arange(folds)[:, None]
    return Resamples(np.concatenate([np.ones((1, groups)), drawn, ~left_out]), replicates, group)


def widened(
    estimate: npt.ArrayLike, ends: tuple[Array, Array], without: npt.ArrayLike, confidence: float = 0.95
) -> tuple[Array, Array]:
    """An interval over videos, widened so that it covers the choice of styles too.

        s² = (K - 1) / K Σ_k (θ_k - mean)²;   each reach becomes √(reach² + (t(K - 1) s)²)

    With a handful of styles this is wide: t(3) = 3.2.

    Args:
        estimate: The statistic, ``(…)``.
        ends: Low and high ends over videos, each ``(…)``.
        without: The statistic without each style in turn, ``(K, …)``.
        confidence: Confidence of the ends.

    Returns:
        Low and high ends, ``(…)``.
    """
    theta, fewer = np.asarray(estimate, np.float64), np.asarray(without, np.float64)
    low, high = jackknife_interval(theta, fewer, None, confidence)
    reach = (high - low) / 2
    return theta - np.hypot(theta - ends[0], reach), theta + np.hypot(ends[1] - theta, reach)


def fold_sizes(videos: int, folds: int) -> Array:
    """Number of videos in each fold, as equal as possible: ``(folds,)``."""
    groups = np.arange(min(videos, GROUPS))
    sizes = (videos - groups - 1) // GROUPS + 1
    return np.bincount(groups % folds, sizes, folds).astype(np.float64)


def jackknife_interval(
    estimate: npt.ArrayLike,
    jackknife: npt.ArrayLike,
    left_out: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    bounded: bool = False,
) -> tuple[Array, Array]:
    """Jackknife-t interval, elementwise, over videos or groups of them.

    With ``θ`` the statistic, ``θ_j`` the same without the ``m_j`` videos of group ``j`` out of ``n``, in ``g`` groups:

        h_j = n / m_j;   pseudo-values p_j = h_j θ - (h_j - 1) θ_j;   p = g θ - Σ_j (1 - 1 / h_j) θ_j
        u_j = (p_j - p) / √(h_j - 1);   s² = 1/g Σ_j u_j²;   interval θ ± t(f) s
        f = min(g - 1, 2 g / (κ - 1)),   κ = 1/g Σ_j u_j⁴ / s⁴

    For one video a group this is ``s² = (n - 1) / n Σ_j (θ_j - mean)²``. Where few videos decide, ``s²`` itself is
    uncertain, by ``(κ - 1) / g`` of its square: ``f`` are the degrees of freedom of a χ² as uncertain. A share is
    transformed first, by ``arcsin √θ``, and its ends back, so that they stay in 0..1.

    Args:
        estimate: The statistic, ``(…)``.
        jackknife: Its values without each group, ``(g, …)``; where one is NaN, so is the interval.
        left_out: Videos in each group, ``(g,)``; one if ``None``.
        confidence: In (0, 1).
        bounded: Whether the statistic is a share in 0..1.

    Returns:
        Low and high ends, ``(…)``; NaN where the statistic is undefined.

    Raises:
        UserError: If the confidence is outside (0, 1).

    Source: Quenouille, Biometrika 1956; Tukey 1958; for unequal groups Busing, Meijer and van der Leeden, Statistics
    and Computing 1999; for the degrees of freedom Satterthwaite, Biometrics Bulletin 1946.

    Example:
        >>> low, high = jackknife_interval(2.0, [2.5, 2.0, 1.5])
        >>> round(float(low), 2), round(float(high), 2)
        (-0.48, 4.48)
    """
    if not 0 < confidence < 1:
        raise UserError(f"The 'confidence' parameter must be between 0 and 1. Got {confidence}.")
    theta, without = np.asarray(estimate, np.float64), np.asarray(jackknife, np.float64)
    if bounded:
        theta, without = (np.arcsin(np.sqrt(np.clip(values, 0, 1))) for values in (theta, without))
    groups = len(without)
    sizes = np.ones(groups) if left_out is None else np.asarray(left_out, np.float64)
    ratio = (sizes.sum() / sizes).reshape(-1, *[1] * (without.ndim - 1))
    change = theta - without  # p_j and p minus θ: exact for a constant
    spread = ((ratio - 1) * change - ((1 - 1 / ratio) * change).sum(0)) / np.sqrt(ratio - 1)
    variance = (spread**2).mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = (spread**4).mean(0) / variance**2 - 1
        freedom = np.fmin(groups - 1, 2 * groups / np.maximum(excess, 0))
    reach = student.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance)
    low, high = theta - reach, theta + reach
    if bounded:
        low, high = (np.sin(np.clip(end, 0, np.pi / 2)) ** 2 for end in (low, high))
    return low, high
