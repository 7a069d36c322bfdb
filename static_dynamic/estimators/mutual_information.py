"""Mutual information of the clips of a pair, for Gaussian variables or for ranks."""

from dataclasses import dataclass

import numpy as np

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.base import Classes
from static_dynamic.estimators.pairwise import PairwiseEstimator
from static_dynamic.estimators.registry import estimator
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.mutual_information import CAP, HALF, information, normal_scores
from static_dynamic.functional.pairwise import Covaried
from static_dynamic.functional.released import UNIT_CLASSES, classify_units


@estimator
@dataclass(frozen=True)
class GaussianMI(PairwiseEstimator):
    """Information of dynamic and static pairs; see :func:`static_dynamic.functional.gaussian_mi`.

    Attributes:
        threshold: Nats above which a unit encodes what the pairs of a factor share. The default is the information
            at a correlation of one half.
    """

    threshold: float = HALF

    name = "gaussian_mi"
    title = "Mutual information, Gaussian"
    axis = "mutual information, nats"
    summary = (
        "The information in nats that the response to a clip gives about the response to another clip of the video in "
        "another style (dynamic) or order (static), as if both were Gaussian."
    )
    scale = "nats"
    classes = UNIT_CLASSES

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < np.inf:
            raise UserError(f"The threshold of mutual information must be 0 nats or more. Got {self.threshold}.")

    def association(self, of: Covaried, videos: Array) -> Array:
        """See :func:`static_dynamic.functional.gaussian_mi`."""
        return information(of, videos)

    def classify(self, units: Array) -> Classes:
        """Classify units as for the released score, in nats."""
        return classify_units(units - self.threshold, 0.0)

    def remarks(self, units: Array, videos: int) -> list[str]:
        """Add a note where a number exceeds what this number of videos can show."""
        return [
            said for name, values in zip(self.of_units, units, strict=True) if (said := _beyond(name, values, videos))
        ]


def _beyond(name: str, values: Array, videos: int) -> str:
    """The note on units that have more than ln n nats; empty if there are none."""
    most, cap = np.log(videos), CAP - 0.5 / videos - 1e-5  # the numbers are in float32
    over, capped = int((values > most).sum()), int((values >= cap).sum())
    if not over:
        return ""
    equal = f"; {capped} of them at the cap of {CAP:.1f}, where the clips of every pair give equal responses"
    return (
        f"the {name} number of {over} of {len(values)} units is above ln {videos} = {most:.1f} nats, the most that "
        f"{videos} videos can show{equal if capped else ''}. Such a number is a lower bound."
    )


@estimator
@dataclass(frozen=True)
class CopulaMI(GaussianMI):
    """Information of dynamic and static pairs from ranks; see :func:`static_dynamic.functional.copula_mi`.

    Videos are ranked once: a bootstrap or a jackknife keeps the normal scores of all videos.
    """

    name = "copula_mi"
    title = "Mutual information, Gaussian copula"
    axis = "mutual information, nats"
    summary = (
        "The information in nats that the response to a clip gives about the response to another clip of the video in "
        "another style (dynamic) or order (static), from ranks alone."
    )

    def transform(self, z: Array) -> Array:
        """Normal scores in every condition."""
        return normal_scores(z)
