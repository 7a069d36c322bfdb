"""The measure of the published code, for comparison with the paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.base import Classes, Estimator, Plan, others
from static_dynamic.estimators.design import Design, Ints
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.pairs import PairRule, Pairs, make_pairs
from static_dynamic.estimators.registry import estimator
from static_dynamic.estimators.streaming import PART_VIDEOS, Part, Streamed, dealt
from static_dynamic.functional.additive import Array
from static_dynamic.functional.released import (
    UNIT_CLASSES,
    PairMoments,
    allocate,
    classify_units,
    covariances,
    pair_moments,
    total_moments,
    unit_scores,
)
from static_dynamic.functional.resampling import GROUPS
from static_dynamic.variants import Cell, Conditions


@dataclass(frozen=True)
class PairPlan(Streamed):
    """Pairs of rows, and the videos that they come from.

    Attributes:
        design: What there is to score.
        cells: Conditions that make pairs; every video is available in all of them.
        members: Numbers of the videos in the index of the design.
        group: Sequence of every video, ``(V,)``.
        names: Names of the sequences.
        incomplete: Videos that are left out.
        given: The pairs, where they are not all that the design's rule makes.
    """

    design: Design
    cells: tuple[Cell, ...]
    members: Ints
    group: Ints
    names: tuple[str, ...]
    incomplete: Sequence[str] = ()
    given: Pairs | None = None

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

    @cached_property
    def found(self) -> Pairs:
        """All pairs: a large array where there are many videos."""
        if self.given is not None:
            return self.given
        index = self.design.index
        number = np.empty(len(index.videos), np.intp)
        number[self.members] = self.group
        pairs = _pairs(self.design, np.sort(index.columns(self.cells, self.members).ravel()))
        return pairs._replace(video=number[index.video[pairs.a]])

    @property
    def pairs(self) -> Sequence[int]:
        """Pairs of every factor."""
        one = self._of(np.array([0])) if self.by_video else self
        times = len(self.members) // len(one.members)
        return [times * int((one.found.factor == f).sum()) for f in range(self.rule.n_factors)]

    @property
    def by_video(self) -> bool:
        """Whether both clips of a pair are of one video, and every video has the same pairs."""
        return self.given is None and self.rule.same_video and self.rule.scrambled

    def size(self, resamples: int) -> int:
        """Both elements of all pairs with their products, and per resample sums and scores."""
        videos, factors = len(self.members), self.rule.n_factors
        if not self.by_video or videos <= PART_VIDEOS:
            return 6 * sum(self.pairs) + 8 * factors * resamples
        at_once = 6 * sum(self.pairs) * PART_VIDEOS // videos
        return at_once + 3 * factors * min(len(self.names), GROUPS) + 8 * factors * resamples

    def parts(self) -> Iterator[Part]:
        """See `Streamed.parts`; one part where pairs are formed across videos."""
        sizes = np.bincount(self.group)
        for groups in dealt(sizes) if self.by_video else [np.arange(len(self.names))]:
            part = self._of(np.flatnonzero(np.isin(self.group, groups))) if len(groups) < len(self.names) else self
            rows = part.used
            yield Part(rows, part.within(rows), groups)

    @property
    def used(self) -> Ints:
        """Rows that make pairs, and those of their replicates."""
        again = [cell._replace(replicate=1) for cell in self.cells]
        rows = self.design.index.columns([*self.cells, *again], self.members).ravel()
        return np.unique(rows[rows >= 0])

    def within(self, rows: Ints) -> "PairPlan":
        """Restrict the plan to these rows."""
        index = self.design.index.take(rows)
        number = {name: i for i, name in enumerate(index.videos)}
        members = np.array([number[self.design.index.videos[i]] for i in self.members], np.intp)
        given = self.given
        if given is not None or not self.by_video:
            pairs = self.found
            given = pairs._replace(a=np.searchsorted(rows, pairs.a), b=np.searchsorted(rows, pairs.b))
        return replace(self, design=replace(self.design, variants=index), members=members, given=given)

    def _of(self, place: Ints) -> "PairPlan":
        """The plan for some of the videos, whose groups keep their order."""
        groups, group = np.unique(self.group[place], return_inverse=True)
        names = tuple(self.names[i] for i in groups)
        return replace(self, members=self.members[place], group=group, names=names)

    def sums(self, x: npt.NDArray[np.float32], shift: Array | None = None) -> PairMoments:
        """See `Streamed.sums`."""
        pairs = self.found
        return pair_moments(x[pairs.a], x[pairs.b], pairs.factor, self.rule.n_factors, pairs.video, pairs.weight, shift)

    def read(self, sums: PairMoments) -> Estimates:
        """See `Streamed.read`."""
        rule, cov = self.rule, covariances(sums)
        between = cov.between.copy()
        whole = np.broadcast_to(cov.total[:, None], between.shape)
        if rule.residual_index >= 0:
            between[:, rule.residual_index] = cov.total  # its score is 1 by definition
        return Estimates(unit_scores(cov, rule.residual_index), between, whole)

    def unrelated(self, seed: int) -> "PairPlan":
        """See `Plan.unrelated`."""
        index = self.design.index
        partner = np.full(len(index.videos), -1, np.intp)
        partner[self.members] = self.members[others(self._by_name, seed)]
        second = self.found.b
        return self._with_second(index.table[partner[index.video[second]], index.cell[second]])

    @cached_property
    def _by_name(self) -> Ints:
        """Sequence of every video, numbered in the order of their names."""
        videos = self.design.index.videos
        return np.unique([self.design.sequence(videos[i]) for i in self.members], return_inverse=True)[1]

    def strangers(self, x: npt.NDArray[np.float32], sums: PairMoments, seeds: Sequence[int]) -> list[PairMoments]:
        """See `Streamed.strangers`."""
        values = x - sums.shift
        squares, found = values**2, []
        for seed in seeds:
            pairs = self.unrelated(seed).found
            arrays = total_moments(values, squares, pairs.a, pairs.b, pairs.factor, self.rule.n_factors, pairs.weight)
            found.append(sums.of(arrays, sums.size, sums.entries))
        return found

    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """Return False: equal clips of a pair are what the score counts."""
        return False

    def repeated(self) -> "PairPlan | None":
        """See `Plan.repeated`."""
        index = self.design.index
        again = [cell._replace(replicate=1) for cell in index.cells]
        columns, first = index.columns(again), self.found.a
        try:
            return self._with_second(columns[index.video[first], index.cell[first]])
        except UserError:
            return None

    def _with_second(self, second: Ints) -> "PairPlan":
        """Pairs with other second elements, without those of -1, which have none."""
        pairs = self.found._replace(b=second).only(second >= 0)
        if {*pairs.factor.tolist()} != {*self.found.factor.tolist()}:
            raise UserError("A factor has no pairs left.")
        return replace(self, given=pairs)


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
        """Plan the pairs, without those of weight 0."""
        index = design.index
        cells = [
            cell
            for cell in index.cells
            if cell.style in design.styles and cell.order in design.orders and not cell.replicate
        ]
        there = (index.columns(cells) >= 0) & design.counts[:, None]
        if not there.any():
            design.table([Cell(style, order) for style in design.styles for order in design.orders], self.name)
        most = there[there.sum(1).argmax()]  # a video is incomplete if it lacks a condition that others have
        lacks = there.any(1) & (most & ~there).any(1)
        members = np.flatnonzero(there.any(1) & ~lacks)
        lacking = [index.videos[i] for i in np.flatnonzero(lacks)]
        whole = design.without(lacking)
        group, names = whole.grouped(members)
        chosen = tuple(cell for cell, kept in zip(cells, most, strict=True) if kept)
        plan = PairPlan(whole, chosen, members, group, names, lacking)
        if plan.by_video:
            plan._of(np.array([0])).found  # noqa: B018 - raises where a factor has no pairs
            return plan
        used, number = np.unique(plan.found.video, return_inverse=True)
        return replace(plan, names=tuple(names[i] for i in used), given=plan.found._replace(video=number))

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


def _pairs(design: Design, rows: Ints) -> Pairs:
    """Form the pairs among some rows of a design, without those of weight 0."""
    index = design.index.take(rows)
    labels = {video: design.records.get(video, {}).get("label") for video in index.videos}
    pairs = make_pairs(index, design.rule, labels)
    weight = np.array([design.style_weights.get(cell.style, 1.0) for cell in index.cells])
    weights = weight[index.cell[pairs.a]] * weight[index.cell[pairs.b]]
    pairs = pairs._replace(a=rows[pairs.a], b=rows[pairs.b], weight=weights)
    kept = pairs.only(weights > 0)
    for factor in np.setdiff1d(pairs.factor, kept.factor):
        raise UserError(
            f"Every {design.rule.names[factor]} pair has a style of weight 0: {dict(design.style_weights)}."
        )
    return kept
