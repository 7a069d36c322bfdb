"""Pearson's correlation of the clips of a pair, centred per condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from static_dynamic.estimators.base import Classes
from static_dynamic.estimators.pairwise import PairwiseEstimator
from static_dynamic.estimators.registry import estimator
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.pairwise import Covaried, correlation
from static_dynamic.functional.released import UNIT_CLASSES, classify_units


@estimator
@dataclass(frozen=True)
class PearsonWithin(PairwiseEstimator):
    """Correlations of dynamic and static pairs; see :func:`static_dynamic.functional.pearson_within`.

    Attributes:
        threshold: Correlation above which a unit encodes what the pairs of a factor share.
    """

    threshold: float = 0.5

    name = "pearson_within"
    title = "Correlation within conditions"
    axis = "correlation"
    summary = (
        "The correlation over videos of the responses to two clips of a video that differ in style (dynamic) or "
        "order (static)."
    )
    scale = "correlation"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"score": (-1.0, 1.0)}
    classes = UNIT_CLASSES

    def __post_init__(self) -> None:
        classify_units(np.zeros((2, 1)), self.threshold)

    def association(self, of: Covaried, videos: Array) -> Array:
        """See :func:`static_dynamic.functional.pearson_within`."""
        return correlation(of)

    def classify(self, units: Array) -> Classes:
        """See :func:`static_dynamic.functional.classify_units`."""
        return classify_units(units, self.threshold)
