"""Four kinds of pairs: the components of the response to these styles and scrambles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from static_dynamic.estimators.base import CellEstimator, Classes
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.pairwise import paired_styles, scrambled_orders
from static_dynamic.estimators.registry import estimator
from static_dynamic.functional.contrasts import Array, Contrast
from static_dynamic.functional.four_pair import (
    COMPONENTS,
    RESPONSE_CLASSES,
    classify_responses,
    components,
    four_pair_contrasts,
    shares,
)
from static_dynamic.media.clip import INTACT
from static_dynamic.variants import Cell, Conditions


@estimator
@dataclass(frozen=True)
class FourPair(CellEstimator):
    """Every style in every order, each with a replicate; see :func:`static_dynamic.functional.four_pair`.

    Attributes:
        threshold: Share of the variance below which a unit responds to neither, and share of the change with the
            interventions above which one of them matters.
    """

    threshold: float = 0.25

    name = "four_pair"
    title = "Response to these styles and scrambles"
    axis = "share of the variance, %"
    summary = (
        "What the response to these styles and scrambles is made of: what changes with the style, with the order, with "
        "either of them, what survives both, and noise."
    )
    quantities = COMPONENTS
    tested = ("style", "order", "content")
    classes = RESPONSE_CLASSES
    over_styles = True

    def __post_init__(self) -> None:
        classify_responses(np.zeros((5, 1)), self.threshold)

    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """Every style in every order, and a replicate of each."""
        return [cell._replace(replicate=replicate) for replicate in (0, 1) for cell in conditions.crossed]

    def compared(self, design: Design) -> Sequence[Cell]:
        """Read replicates too where they exist."""
        styles, orders = paired_styles(design, self.name), [INTACT, *scrambled_orders(design, self.name)]
        cells = [Cell(style, order) for style in styles for order in orders]
        replicated = [*cells, *(cell._replace(replicate=1) for cell in cells)]
        return replicated if design.has(replicated) else cells

    def contrasts(self, cells: Sequence[Cell]) -> Mapping[str, Contrast]:
        """Apply the pure function to these covariances."""
        styles, orders = ({cell[part] for cell in cells} for part in (0, 1))
        return four_pair_contrasts(len(styles), len(orders), cells[-1].replicate == 1)

    def values(self, covariance: Mapping[str, Array]) -> Estimates:
        """Units weigh in a layer as much as they vary."""
        parts, variance = components(covariance), covariance["variance"]
        return Estimates(shares(parts, variance), parts, variance[:, None])

    def classify(self, units: Array) -> Classes:
        """See :func:`static_dynamic.functional.classify_responses`."""
        return classify_responses(units, self.threshold)

    def remarks(self, units: Array, videos: int) -> list[str]:
        """Add a note where noise cannot be estimated."""
        noise = units[COMPONENTS.index("noise")]
        if (noise[np.isfinite(noise)] == 0).all() and np.isfinite(noise).any():
            return ["noise is 0, since no replicate was measured or all equal their clips. Noise then counts as joint."]
        return []
