"""Estimators of pairs of conditions: which styles and orders make pairs, and how their cells are read."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.base import Estimator, TablePlan
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.functional.contrasts import Array, Contrast, Sums
from static_dynamic.functional.pairwise import Covaried, covaried, pairwise_contrasts
from static_dynamic.functional.resampling import FEWEST_VIDEOS
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.variants import Cell, Conditions


def paired_styles(design: Design, name: str) -> list[str]:
    """Styles that are paired with each other; styles of weight 0 are left out.

    Raises:
        UserError: If there are fewer than two, or only the released score supports the rule.
    """
    styles = [style for style in _weighted(design, name) if not (design.rule.normal_static and style == ORIGINAL)]
    if len(styles) < 2:
        raise UserError(f"{name} needs two styles or more. Got {', '.join(styles) or 'none'}: add some.")
    return styles


def static_styles(design: Design, name: str) -> list[str]:
    """Styles whose intact clips are paired with their scrambles.

    Raises:
        UserError: If there is none, or only the released score supports the rule.
    """
    styles = [style for style in _weighted(design, name) if style == ORIGINAL or not design.rule.normal_static]
    if not styles:
        raise UserError(f"{name} needs the original videos for its static pairs (style {ORIGINAL!r}): add them.")
    return styles


def scrambled_orders(design: Design, name: str) -> list[str]:
    """Orders other than the intact one.

    Raises:
        UserError: If there is none.
    """
    orders = [order for order in design.orders if order != INTACT]
    if not orders:
        raise UserError(f"{name} needs a scramble, e.g. shuffle. Got the intact order alone: add one.")
    return orders


def _weighted(design: Design, name: str) -> list[str]:
    """Styles whose weight is not 0."""
    if not (design.rule.same_video and design.rule.scrambled):
        raise UserError(
            f"{name} compares clips of one video. Only the estimator 'released' has pairs across videos: leave out "
            f"{name}, or the rule for pairs (same_video={design.rule.same_video}, scrambled={design.rule.scrambled})."
        )
    weights = {style: design.style_weights.get(style, 1.0) for style in design.styles}
    if not {*weights.values()} <= {0.0, 1.0}:
        raise UserError(f"{name} counts all pairs alike, so the weight of a style must be 0 or 1. Got {weights}.")
    return [style for style, weight in weights.items() if weight]


@dataclass(frozen=True, kw_only=True)
class PairwisePlan(TablePlan):
    """The plan of a `PairwiseEstimator`: the pairs of cells of every factor."""

    estimator: "PairwiseEstimator"
    factors: Mapping[str, Contrast]

    @property
    def quantities(self) -> Sequence[str]:
        """The factors."""
        return list(self.factors)

    @property
    def pairs(self) -> Sequence[int]:
        """Count the pairs: every video gives one for every pair of conditions."""
        return [len(self.table.rows) * len(pairs) for pairs in self.factors.values()]

    def size(self, resamples: int) -> int:
        """Units in all cells, their ranks and products, and per resample means, covariances and scales."""
        (videos, groups), cells = self.held, self.table.rows.shape[1]
        of_videos = videos * (8 * cells + len(self.contrasts)) + groups * (cells + len(self.contrasts))
        return of_videos + resamples * (2 * cells + 2 * len(self.contrasts) + 12)

    def transform(self, z: Array) -> Array:
        """The transformation of the estimator."""
        return self.estimator.transform(z)

    @property
    def by_video(self) -> bool:
        """True unless the estimator transforms all videos together, e.g. ranks them."""
        return type(self.estimator).transform is PairwiseEstimator.transform

    def read(self, sums: Sums) -> Estimates:
        """Units of every factor; a layer's number is the mean over the units that vary."""
        found, videos = sums.covariances_by_group(), sums.count[:, None]
        units = np.stack(
            [self.estimator.association(covaried(found, pairs), videos) for pairs in self.factors.values()], axis=1
        )
        return Estimates(units, units, np.isfinite(units).astype(np.float64))


class PairwiseEstimator(Estimator):
    """An association between the clips of dynamic pairs (other style, intact) and static ones (intact, scrambled)."""

    of_units = tested = ("dynamic", "static")
    over_styles = True
    fewest = FEWEST_VIDEOS

    @abstractmethod
    def association(self, of: Covaried, videos: Array) -> Array:
        """Units ``(R, U)`` from the covariances of one factor, and how many videos count, ``(R, 1)``."""

    def transform(self, z: Array) -> Array:
        """Transform units in cells ``(V, K, U)`` before their sums are taken."""
        return z

    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """Every style in every order."""
        return conditions.crossed

    def plan(self, design: Design) -> PairwisePlan:
        """Intact clips of all pairs of styles, and intact clips against every scramble within a style."""
        restyled, scrambles = paired_styles(design, self.name), scrambled_orders(design, self.name)
        same_style = [(style, order) for style in static_styles(design, self.name) for order in scrambles]
        pairs = {
            "dynamic": [(Cell(a, INTACT), Cell(b, INTACT)) for a, b in combinations(restyled, 2)],
            "static": [(Cell(style, INTACT), Cell(style, order)) for style, order in same_style],
        }
        cells = list(dict.fromkeys(cell for some in pairs.values() for pair in some for cell in pair))
        number = {cell: i for i, cell in enumerate(cells)}
        factors = {name: [(number[a], number[b]) for a, b in some] for name, some in pairs.items()}
        return PairwisePlan(
            estimator=self,
            table=design.table(cells, self.name),
            contrasts=pairwise_contrasts([pair for some in factors.values() for pair in some]),
            incomplete=design.incomplete(cells),
            factors=factors,
        )
