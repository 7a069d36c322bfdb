"""Uncertainty: resampling videos, which are the sample; the pairs of one video depend on each other.

A resample is a row of weights, how often each video counts: a statistic of weighted sums needs no loop.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import generator

Array = npt.NDArray[np.float64]

FEWEST_VIDEOS = 3
"""One or two videos can hardly be resampled: their interval would be narrow whatever the truth, so there is none."""

TIE = 1e-9
"""Values that differ by less, as a share, are equal: a replicate of every video once may add them in another order."""


class Resamples(NamedTuple):
    """Weights of the videos, and how to read a statistic that was computed with each row of them.

    Attributes:
        weights: ``(1 + replicates + folds, videos)``: every video once; the bootstrap; the jackknife.
        replicates: Number of bootstrap rows.
    """

    weights: Array
    replicates: int

    def estimate(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The statistic itself, from its values on all rows ``(rows, …)``."""
        return values[0]

    def bootstrap(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The statistic on the bootstrap rows."""
        return values[1 : 1 + self.replicates]

    @property
    def enough(self) -> bool:
        """Whether there are videos enough to say how sure a statistic is."""
        return self.weights.shape[1] >= FEWEST_VIDEOS

    def stability(self, values: npt.NDArray[Any]) -> Array:
        """Share of the bootstrap rows on which the statistic is the same, ``(…)``; NaN with too few videos."""
        same = (self.bootstrap(values) == self.estimate(values)).mean(0)
        return np.where(self.enough, same, np.nan)

    def interval(self, values: Array, confidence: float = 0.95) -> tuple[Array, Array]:
        """Low and high ends of the BCa interval of a statistic, from its values on all rows ``(rows, …)``.

        Returns:
            Both ends, ``(…)``; NaN with too few videos.
        """
        if not self.enough:
            undefined = np.full(values.shape[1:], np.nan)
            return undefined, undefined
        return bca_interval(self.estimate(values), self.bootstrap(values), values[1 + self.replicates :], confidence)


def resample(videos: int, replicates: int = 1000, seed: int = 0, folds: int = 200) -> Resamples:
    """Bootstrap and jackknife weights.

    A bootstrap row is how often each video comes up in n draws with replacement (Efron, 1979): a multinomial draw. A
    jackknife row leaves out one video or, with more than ``folds`` videos, one of ``folds`` groups of them.

    Args:
        videos: Number of videos.
        replicates: Bootstrap rows.
        seed: Of the draws.
        folds: Most jackknife rows.
    """
    rng = generator(seed, "bootstrap", videos)
    drawn = rng.multinomial(videos, np.full(videos, 1 / videos), size=replicates)
    folds = min(folds, videos)
    left_out = np.arange(videos) % folds == np.arange(folds)[:, None]
    return Resamples(np.concatenate([np.ones((1, videos)), drawn, ~left_out]), replicates)


def bca_interval(
    estimate: npt.ArrayLike, bootstrap: npt.ArrayLike, jackknife: npt.ArrayLike, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Bias-corrected and accelerated bootstrap interval, elementwise.

        z0 = Φ⁻¹(share of replicates under the estimate)
        a = Σ d³ / 6 (Σ d²)^1.5,   d = mean of the jackknife - jackknife
        end at level α: the replicates' quantile at Φ(z0 + (z0 + z_α) / (1 - a (z0 + z_α)))

    Args:
        estimate: The statistic, ``(…)``.
        bootstrap: Its replicates, ``(R, …)``; NaN replicates are left out.
        jackknife: Its values without one video each, ``(J, …)``.
        confidence: In (0, 1).

    Returns:
        Low and high ends, ``(…)``; NaN where the statistic is undefined.

    Raises:
        UserError: If the confidence lies outside (0, 1).

    Source: Efron, Better bootstrap confidence intervals, JASA 1987.
    """
    if not 0 < confidence < 1:
        raise UserError(f"The 'confidence' parameter must lie between 0 and 1. Got {confidence}.")
    estimate, bootstrap, jackknife = (np.asarray(values, np.float64) for values in (estimate, bootstrap, jackknife))
    ordered = np.sort(bootstrap, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slack = TIE * np.abs(estimate)
        below = ((ordered < estimate - slack).sum(0) + (ordered <= estimate + slack).sum(0)) / (2 * count)  # ties: half
        bias = ndtri(np.clip(below, 0.5 / count, 1 - 0.5 / count))
        spread = jackknife.mean(0) - jackknife
        squares = (spread**2).sum(0)
        acceleration = np.where(squares > 0, (spread**3).sum(0) / (6 * squares**1.5), 0)

        def end(level: float) -> Array:
            z = bias + ndtri(level)
            return _quantile(ordered, count, ndtr(bias + z / (1 - acceleration * z)))

        tail = (1 - confidence) / 2
        return end(tail), end(1 - tail)


def _quantile(ordered: Array, count: npt.NDArray[np.intp], level: Array) -> Array:
    """Quantile of the first ``count`` sorted values of every column, at a level of its own, interpolated linearly."""
    position = np.nan_to_num(level) * np.maximum(count - 1, 0)
    floor = np.floor(position).astype(np.intp)
    ceiling = np.minimum(floor + 1, np.maximum(count - 1, 0))
    low, high = (np.take_along_axis(ordered, index[None], 0)[0] for index in (floor, ceiling))
    return np.where(np.isnan(level), np.nan, low + (position - floor) * (high - low))
