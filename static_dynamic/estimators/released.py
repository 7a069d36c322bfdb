"""The measure of the published code, for comparison with the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.base import Classes, Estimates, Estimator, Plan, others
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.pairs import PairRule, Pairs, make_pairs
from static_dynamic.estimators.registry import estimator
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.released import (
    UNIT_CLASSES,
    allocate,
    classify_units,
    covariances,
    pair_moments,
    unit_scores,
)
from static_dynamic.variants import Cell, Conditions, Variant


@dataclass(frozen=True)
class PairPlan:
    """Pairs of rows, and the videos that they come from."""

    design: Design
    found: Pairs
    names: tuple[str, ...]
    incomplete: Sequence[str] = ()

    @property
    def rule(self) -> PairRule:
        """Which variants make pairs."""
        return self.design.rule

    @property
    def quantities(self) -> Sequence[str]:
        """The factors, the residual included."""
        return self.rule.names

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the videos, or sequences, of first elements."""
        return self.names

    @property
    def pairs(self) -> Sequence[int]:
        """Pairs of every factor."""
        return [int((self.found.factor == f).sum()) for f in range(self.rule.n_factors)]

    def size(self, resamples: int) -> int:
        """Both elements of all pairs with their products, and per resample sums and scores."""
        return 6 * len(self.found.a) + 8 * self.rule.n_factors * resamples

    def estimates(self, x: npt.NDArray[np.float32], weights: Array) -> Estimates:
        """See `Plan.estimates`."""
        pairs, rule = self.found, self.rule
        moments = pair_moments(x[pairs.a], x[pairs.b], pairs.factor, rule.n_factors, pairs.video, pairs.weight)
        cov = covariances(moments.weighted(weights))
        between = cov.between.copy()
        whole = np.broadcast_to(cov.total[:, None], between.shape)
        if rule.residual_index >= 0:
            between[:, rule.residual_index] = cov.total  # its score is 1 by definition
        return Estimates(unit_scores(cov, rule.residual_index), between, whole)

    def unrelated(self, seed: int) -> "PairPlan":
        """See `Plan.unrelated`."""
        row, variants = self.design.row, self.design.variants
        videos = self.design.videos
        group = np.unique([self.design.sequence(video) for video in videos], return_inverse=True)[1]
        partner = dict(zip(videos, (videos[i] for i in others(group, seed)), strict=True))
        second = [variants[b] for b in self.found.b]
        return self._with_second([row.get(key._replace(video=partner[key.video])) for key in second])

    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """Not asked: a pair that is alike is what the score counts."""
        return False

    def repeated(self) -> "PairPlan | None":
        """See `Plan.repeated`."""
        row, variants = self.design.row, self.design.variants
        try:
            return self._with_second([row.get(variants[a]._replace(replicate=1)) for a in self.found.a])
        except UserError:
            return None

    def _with_second(self, second: Sequence[int | None]) -> "PairPlan":
        """Pairs with other second elements, without those that have none."""
        keep = np.array([b is not None for b in second])
        pairs = self.found._replace(b=np.array([b or 0 for b in second], np.intp)).only(keep)
        if {*pairs.factor} != {*self.found.factor}:
            raise UserError("A factor has no pairs left.")
        return replace(self, found=pairs)


@estimator
@dataclass(frozen=True)
class Released(Estimator):
    """Covariances of pairs over the total variance; see :func:`static_dynamic.functional.released_layerwise`.

    Attributes:
        threshold: λ: a unit encodes a factor if its score is above it.
    """

    threshold: float = 0.5

    name = "released"
    title = "Published score"
    axis = "share of the layer, %"
    summary = (
        "The published score: how little the response to a video changes with its style (dynamic) or order (static)."
    )
    of_units = tested = ("dynamic", "static")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"share": (0.0, 100.0)}
    over_styles = True
    classes = UNIT_CLASSES

    def __post_init__(self) -> None:
        classify_units(np.zeros((2, 1)), self.threshold)

    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """Every style in every order."""
        return conditions.crossed

    def plan(self, design: Design) -> Plan:
        """Pairs, of which those that count for nothing are gone."""
        wanted = [
            key for key in design.row if key.style in design.styles and key.order in design.orders and not key.replicate
        ]
        if not wanted:
            design.table([Cell(style, order) for style in design.styles for order in design.orders], self.name)
        lacking = _incomplete(wanted)
        wanted = [key for key in wanted if key.video not in lacking]
        labels = {video: record.get("label") for video, record in design.records.items()}
        pairs = make_pairs(wanted, design.rule, labels, {video: design.sequence(video) for video in design.videos})
        rows = np.array([design.row[key] for key in wanted], np.intp)
        pairs = pairs._replace(a=rows[pairs.a], b=rows[pairs.b], weight=_weights(pairs, wanted, design))
        kept = pairs.only(pairs.weight > 0)
        for factor in np.setdiff1d(pairs.factor, kept.factor):
            raise UserError(
                f"Every {design.rule.names[factor]} pair has a style of weight 0: {dict(design.style_weights)}."
            )
        sequences = list(dict.fromkeys(design.sequence(key.video) for key in wanted))
        used, number = np.unique(kept.video, return_inverse=True)
        names = tuple(sequences[i] for i in used)
        return PairPlan(design.without(lacking), kept._replace(video=number), names, lacking)

    def layer(self, ratios: Array, units: int) -> dict[str, Array]:
        """Scores and their softmax."""
        return {"score": ratios, "share": 100 * allocate(ratios, units).shares}

    def published(self, ratios: Array, units: int) -> dict[str, npt.NDArray[np.generic]]:
        """The truncated columns of the published tables."""
        layer = allocate(ratios, units)
        return {"dims": layer.dims, "percent": layer.percent}

    def classify(self, units: Array) -> Classes:
        """See :func:`static_dynamic.functional.classify_units`."""
        return classify_units(units, self.threshold)


def _incomplete(variants: Sequence[Variant]) -> list[str]:
    """Videos that are not there in every condition in which others are; none where all lack some."""
    cells: dict[str, set[Cell]] = {}
    for key in variants:
        cells.setdefault(key.video, set()).add(key.cell)
    most = max(cells.values(), key=len, default=set())
    return [video for video, there in cells.items() if not there >= most]


def _weights(pairs: Pairs, variants: Sequence[Variant], design: Design) -> Array:
    """The product of the weights of both styles."""
    weight = np.array([design.style_weights.get(variant.style, 1.0) for variant in variants])
    return np.asarray(weight[pairs.a] * weight[pairs.b])
