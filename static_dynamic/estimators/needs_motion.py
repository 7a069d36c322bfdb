"""Needs-motion and needs-order: the information that a still frame, or frames in another order, do not give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from static_dynamic.estimators.base import CellEstimator, CellPlan, Classes, Plan
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.registry import estimator
from static_dynamic.functional.contrasts import Array, Contrast
from static_dynamic.functional.needs_motion import (
    WITH_REPLICATES,
    WITHOUT_REPLICATES,
    classify_motion,
    motion_shares,
)
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.variants import Cell, Conditions


@estimator
@dataclass(frozen=True)
class NeedsMotion(CellEstimator):
    """Intact clips against frozen ones, each with a replicate; see :func:`static_dynamic.functional.needs_motion`.

    Attributes:
        style: The style in which clips are compared; ``None`` takes the original videos or, without them, the
            first style.
        still: Needs-motion below which a unit is called still.
        motion: Needs-motion above which it is called motion.
        reliable: Reliability below which it is called unreliable.
    """

    style: str | None = None
    still: float = 0.25
    motion: float = 0.75
    reliable: float = 0.5

    name = "needs_motion"
    title = "Needs motion"
    axis = "needs motion,\n% of what units tell about the clip"
    summary = (
        "Of what a unit reproducibly tells about which clip it sees, the share that a still frame of the clip does not "
        "give."
    )
    quantities = ("motion", "reliability")
    tested = ("reliability",)
    if_alike = "frozen clips give what the intact ones give. It sees no motion, or the clips are stills."
    classes = ("still", "mixed", "motion", "unreliable", "dead")
    bounded = True
    order: ClassVar[str] = "freeze"

    def __post_init__(self) -> None:
        classify_motion(0.0, 1.0, self.still, self.motion, self.reliable)

    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """Intact and frozen, and a replicate of each."""
        return self._cells(self.style or conditions.filmed)

    def compared(self, design: Design) -> Sequence[Cell]:
        """Read replicates too where they exist."""
        styles = [self.style] if self.style else [ORIGINAL, *design.styles]
        wanted = [self._cells(style) for style in styles]
        found = [cells[:n] for n in (4, 2) for cells in wanted if design.has(cells[:n])]
        return found[0] if found else wanted[0]

    def doubts(self, plan: Plan) -> list[str]:
        """Add notes where original videos or replicates are missing."""
        said = []
        cells = plan.cells if isinstance(plan, CellPlan) else ()
        if cells and not self.style and cells[0].style != ORIGINAL:
            said.append(
                f"it compares clips in the style {cells[0].style!r}, since clips of the original videos are missing."
            )
        if len(cells) == 2:
            said.append(
                f"replicates are missing, so noise counts as {self.quantities[0]}, and the reliability is 100 % "
                f"whatever the noise. Measure with `estimators={self.name!r}` to have them."
            )
        return said

    def _cells(self, style: str) -> list[Cell]:
        return [Cell(style, order, replicate) for replicate in (0, 1) for order in (INTACT, self.order)]

    def contrasts(self, cells: Sequence[Cell]) -> Mapping[str, Contrast]:
        """Apply the pure function to these covariances."""
        return WITH_REPLICATES if len(cells) == 4 else WITHOUT_REPLICATES

    def values(self, covariance: Mapping[str, Array]) -> Estimates:
        """Units weigh in a layer as much as they vary reproducibly."""
        uncut, reliability, weight = motion_shares(covariance)
        shares, reliable, variance = np.clip(uncut, 0, 1), np.minimum(reliability, 1), covariance["variance"]
        units, unbounded = (
            np.stack([np.where(weight > 0, share, np.nan), certain], 1)
            for share, certain in ((shares, reliable), (uncut, reliability))
        )
        parts = np.stack([weight * shares, np.nan_to_num(reliable) * variance], 1)
        return Estimates(units, parts, np.stack([weight, variance], 1), unbounded)

    def classify(self, units: Array) -> Classes:
        """See :func:`static_dynamic.functional.classify_motion`."""
        return classify_motion(units[..., 0, :], units[..., 1, :], self.still, self.motion, self.reliable)


@estimator
@dataclass(frozen=True)
class NeedsOrder(NeedsMotion):
    """Intact clips against shuffled ones, each with a replicate; see :func:`static_dynamic.functional.needs_motion`."""

    name = "needs_order"
    title = "Needs the order of frames"
    axis = "needs the order of frames,\n% of what units tell about the clip"
    summary = (
        "Of what a unit reproducibly tells about which clip it sees, the share that the same frames in another order "
        "do not give."
    )
    quantities = ("order", "reliability")
    if_alike = "shuffled clips give what the intact ones give. It cannot see the order of frames."
    classes = ("no order", "mixed", "order", "unreliable", "dead")
    order = "shuffle"

    def classify(self, units: Array) -> Classes:
        """Classify as for needs-motion, under other names."""
        names = dict(zip(NeedsMotion.classes, self.classes, strict=True))
        return np.vectorize(names.__getitem__, otypes=[object])(super().classify(units)).astype(str)
