"""Scoring: a store of activations → numbers per stage and per unit, with intervals; the model is not needed."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, counted, shown, unknown
from static_dynamic.common.numbers import real_within, whole_within
from static_dynamic.estimators.base import Estimator, Plan
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.numbers import BLOCK_BYTES, Numbers, Resampling, Sample, Scorer
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.functional.resampling import FEWEST_VIDEOS
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, Variant

ENOUGH_VIDEOS = 50
MOST = 10_000_000
"""Largest number of replicates, and of draws of partners."""
INTERVALS = ("videos", "styles")
"""What the intervals cover: the choice of videos, or of styles too."""
COLUMNS = (
    *("stage", "estimator", "factor"),
    *("score", "score_low", "score_high", "share", "share_low", "share_high"),
    *("dims", "percent", "null", "ceiling", "style_low", "style_high", "units", "pairs", "videos"),
)
"""Key columns of the layer table."""


@dataclass(frozen=True)
class Scoring:
    """How scores are computed from a store.

    Attributes:
        rule: Which variants make pairs.
        replicates: Bootstrap replicates: for the stability of classes, and kept for comparisons.
        confidence: Confidence of the intervals.
        seed: Seed of the bootstrap, and of the partners in pairs of unrelated videos.
        nulls: Draws of partners for the numbers of unrelated videos; 0 leaves these out.
        interval: ``videos``: intervals cover the choice of videos, for these styles; ``styles``: of styles too.
        style_weights: Style → weight, 0 or more; 1 by default, as published. A pair counts with the product of
            the weights of its two styles.
    """

    rule: PairRule = field(default_factory=PairRule)
    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 0
    nulls: int = 20
    interval: str = "videos"
    style_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.rule, PairRule):
            raise UserError(f"The 'rule' of a scoring must be a PairRule. Got {shown(self.rule)}.")
        if not isinstance(self.style_weights, Mapping):
            raise UserError(
                f"The weights of styles must be a mapping, style to weight. Got {shown(self.style_weights)}."
            )
        for style, weight in self.style_weights.items():
            if not real_within(weight, 0, sys.float_info.max):
                raise UserError(f"The weight of style {shown(style)} must be 0 or more. Got {shown(weight)}.")
        if not isinstance(self.interval, str) or self.interval not in INTERVALS:
            raise unknown("interval", self.interval, INTERVALS)
        ranges = ((self.replicates, 1, MOST), (self.seed, 0, 2**64), (self.nulls, 0, MOST))
        counts = all(whole_within(value, least, most) for value, least, most in ranges)
        if not counts or not real_within(self.confidence, 0, 1) or not 0 < self.confidence < 1:
            given = (shown(value) for value in (self.replicates, self.confidence, self.seed, self.nulls))
            raise UserError(
                "Intervals need replicates ≥ 1, confidence in (0, 1), seed ≥ 0 and nulls ≥ 0. "
                "Got {}, {}, {} and {}.".format(*given)
            )

    @property
    def quick(self) -> "Scoring":
        """The same for the numbers alone."""
        return replace(self, replicates=1, nulls=0)

    @property
    def resampling(self) -> Resampling:
        """How videos are resampled."""
        return Resampling(self.replicates, self.confidence, self.nulls, self.seed, self.interval == "styles")


@dataclass(frozen=True)
class Scores:
    """Tidy tables, notes on them for the reader, and ``(estimator, stage)`` → the numbers on every resample."""

    layers: pd.DataFrame
    units: pd.DataFrame
    warnings: list[str]
    samples: Mapping[tuple[str, str], Sample]


def score_store(store: Store, scoring: Scoring, estimators: Sequence[Estimator]) -> Scores:
    """Scores of every stage of a store.

    Raises:
        UserError: If an estimator needs variants that are missing, or no stage has a finite number.
    """
    design = Design.of(store, scoring.rule, scoring.style_weights)
    if not len(design.index):
        raise UserError(f"The store {store.folder} does not contain clips yet: run its study again.")
    plans = {one.name: one.plan(design) for one in estimators}
    found: dict[tuple[str, str], Numbers] = {}
    warnings = _few(max(len(plan.videos) for plan in plans.values()))
    for stage, units in store.units().items():
        broken = broken_videos(store, stage, units, design)
        warnings += _left_out(stage, broken, design)
        sound = design.without(broken)
        for one in estimators if sound.counts.any() else ():
            try:
                plan = one.plan(sound) if broken else plans[one.name]
            except UserError as error:  # too few videos are left in this stage; others have all
                warnings.append(f"Stage {stage}: {error}")
                continue
            fewer = one.without_a_style(sound)
            numbers = Scorer(one, plan, scoring.resampling, fewer).numbers(store, stage, units)
            found[one.name, stage] = numbers
            warnings += _remarks(stage, one, plan, numbers, bool(broken))
            if scoring.interval == "styles" and one.over_styles and not fewer:
                warnings.append(
                    f"{one.name}: its intervals cover the choice of videos alone, since styles cannot be left out: "
                    "three are required."
                )
        of_stage = {name: numbers for (name, where), numbers in found.items() if where == stage}
        warnings += _dead(stage, of_stage, estimators)
    if not found:
        raise UserError(warnings[-1])
    return Scores(
        pd.concat([numbers.layer for numbers in found.values()], ignore_index=True).reindex(columns=COLUMNS),
        pd.concat([numbers.units for numbers in found.values()], ignore_index=True),
        list(dict.fromkeys(warnings)),
        {key: numbers.sample for key, numbers in found.items()},
    )


def check_plans(
    variants: Sequence[Variant],
    records: Mapping[str, Mapping[str, object]],
    conditions: Conditions,
    scoring: Scoring,
    estimators: Sequence[Estimator],
) -> None:
    """Raise the error now that :func:`score_store` would raise once these variants and records are stored."""
    design = Design(variants, records, conditions.styles, tuple(conditions.orders), scoring.rule, scoring.style_weights)
    for one in estimators:
        one.plan(design)


def broken_videos(store: Store, stage: str, units: int, design: Design) -> set[str]:
    """Videos that gave NaN or infinity in any variant."""
    index, step = design.index, max(1, BLOCK_BYTES // (4 * units))
    broken = np.zeros(len(index.videos), bool)
    for start in range(0, len(index), step):
        rows = np.arange(start, min(start + step, len(index)))
        sound = np.isfinite(store.stage(stage, slice(0, units), rows)).all(1)
        broken[index.video[rows[~sound]]] = True
    return {index.videos[i] for i in np.flatnonzero(broken & design.counts)}


def _few(videos: int) -> list[str]:
    """The notes on intervals over few videos."""
    if videos < FEWEST_VIDEOS:
        return [f"Too few videos ({videos}) for intervals: {FEWEST_VIDEOS} are required, {ENOUGH_VIDEOS} are better."]
    if videos < ENOUGH_VIDEOS:
        return [f"Few videos ({videos}): intervals tend to be too narrow below {ENOUGH_VIDEOS}."]
    return []


def _left_out(stage: str, broken: set[str], design: Design) -> list[str]:
    if not broken:
        return []
    left = len({design.sequence(video) for video in design.videos if video not in broken})
    if not left:
        return [f"Stage {stage}: every video gives activations that are NaN or infinite, so it has no scores."]
    few = f" Too few remain for intervals: {left}." if left < FEWEST_VIDEOS else ""
    what = "NaN or infinite activations and"
    given = counted(len(broken), f"video gives {what} is", f"videos give {what} are")
    return [f"Stage {stage}: {given} left out.{few}"]


def _dead(stage: str, of: Mapping[str, Numbers], estimators: Sequence[Estimator]) -> list[str]:
    """Notes on units that never vary; by estimator if that depends on its clips."""
    fewest = {one.name: one.fewest for one in estimators}
    counts = {
        name: int((numbers.units["class"] == "dead").sum())
        for name, numbers in of.items()
        if "class" in numbers.units and len(numbers.sample.videos) >= fewest[name]
    }
    said = []
    for dead in sorted({*counts.values()} - {0}):
        names = [name for name, count in counts.items() if count == dead]
        among = "" if len(names) == len(counts) else f" on the clips of {', '.join(names)}"
        units = len(of[names[0]].units)
        are = "is dead (it never varies" if dead == 1 else "are dead (they never vary"
        said.append(f"Stage {stage}: {dead} of {units} units {are}{among}).")
        if dead == units:
            said.append(f"Stage {stage}: no unit varies{among}, so {'these' if among else 'its'} scores are undefined.")
    return said


def _remarks(stage: str, estimator: Estimator, plan: Plan, numbers: Numbers, of_some: bool) -> list[str]:
    """Notes on the numbers of a stage for the reader; ``of_some``: of fewer videos than other stages."""
    said = [f"{estimator.name}: {doubt}" for doubt in estimator.doubts(plan)]
    units = len(numbers.units)
    if plan.incomplete:
        some = ", ".join(plan.incomplete[:3]) + (" …" if len(plan.incomplete) > 3 else "")
        lack = counted(len(plan.incomplete), "video lacks variants and is", "videos lack variants and are")
        said.append(f"{estimator.name}: {lack} left out: {some}.")
    if len(plan.videos) < estimator.fewest:
        said.append(
            f"{f'Stage {stage}: ' if of_some else ''}{estimator.name} is a covariance over videos, so it is undefined: "
            f"{estimator.fewest} or more are required. Got {len(plan.videos)}."
        )
        return said
    if "class" in numbers.units and (doubtful := int((numbers.units["class"] == "unreliable").sum())):
        said.append(
            f"Stage {stage}: for {estimator.name} {doubtful} of {units} units {'is' if doubtful == 1 else 'are'} "
            "unreliable: a shift by one pixel and mild noise change the response as much as another clip does."
        )
    dead = "class" in numbers.units and (numbers.units["class"] == "dead").all()
    if numbers.alike and estimator.if_alike and not dead:
        said.append(f"Stage {stage}: {estimator.if_alike}")
    values = numbers.sample.units[0].astype(np.float64)
    return said + [
        f"Stage {stage}: {estimator.name}: {remark}" for remark in estimator.remarks(values, len(plan.videos))
    ]
