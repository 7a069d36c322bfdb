"""Scoring: a store of activations → scores per stage and per unit, with intervals; the model is not needed.

Units are read in blocks, so memory depends on neither their number nor, beyond a few kB each, that of the videos.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.pairs import PairRule, Pairs, make_pairs
from static_dynamic.functional.bootstrap import FEWEST_VIDEOS, Resamples, resample
from static_dynamic.functional.released import (
    DYNAMIC,
    STATIC,
    allocate,
    classify_units,
    covariances,
    layer_scores,
    pair_moments,
    unit_scores,
)
from static_dynamic.store import Store
from static_dynamic.variants import Variant

BLOCK_BYTES = 64 * 2**20
ENOUGH_VIDEOS = 50
ESTIMATOR = "released"


@dataclass(frozen=True)
class Scoring:
    """How scores are computed from a store.

    Attributes:
        rule: Which variants make pairs.
        threshold: λ: a unit encodes a factor if its score is above it.
        replicates: Bootstrap replicates.
        confidence: Of the intervals.
        seed: Of the bootstrap.
        style_weights: Style → weight, 0 or more; 1 for those not named, as published. A pair counts with the product of
            the weights of its two styles.
    """

    rule: PairRule = field(default_factory=PairRule)
    threshold: float = 0.5
    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 0
    style_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UserError(f"The 'threshold' must be a float in the range [0, 1]. Got {self.threshold}.")
        for style, weight in self.style_weights.items():
            if not 0 <= weight < np.inf:
                raise UserError(f"The weight of style {style!r} must be 0 or more. Got {weight}.")
        if not 0 < self.confidence < 1 or self.replicates < 1 or self.seed < 0:
            raise UserError(
                "The intervals need replicates ≥ 1, confidence in (0, 1) and seed ≥ 0. "
                f"Got {self.replicates}, {self.confidence} and {self.seed}."
            )


@dataclass(frozen=True)
class Scores:
    """Tidy tables, and what a reader must know about them."""

    layers: pd.DataFrame
    units: pd.DataFrame
    warnings: list[str]


def score(store: Store, scoring: Scoring) -> Scores:
    """Scores of every stage of a store.

    Raises:
        UserError: If no pairs can be formed.
    """
    index = store.index()
    variants = [Variant(*row) for row in index[list(Variant._fields)].itertuples(index=False)]
    records = {record["video"]: record for record in store.records()}
    labels = {video: record["label"] for video, record in records.items()}
    sequences = {video: record.get("sequence") or video for video, record in records.items()}
    pairs = _weighed(make_pairs(variants, scoring.rule, labels, sequences), variants, scoring)
    stages = [_score_stage(store, stage, units, pairs, scoring) for stage, units in store.units().items()]
    return Scores(
        pd.concat([stage.layers for stage in stages], ignore_index=True),
        pd.concat([stage.units for stage in stages], ignore_index=True),
        [*_few(len(np.unique(pairs.video))), *(warning for stage in stages for warning in stage.warnings)],
    )


def _few(videos: int) -> list[str]:
    """What must be said of the intervals, where there are few videos."""
    if videos < FEWEST_VIDEOS:
        return [f"Too few videos ({videos}) for intervals: {FEWEST_VIDEOS} are needed, {ENOUGH_VIDEOS} are better."]
    if videos < ENOUGH_VIDEOS:
        return [f"Few videos ({videos}): under {ENOUGH_VIDEOS} the intervals tend to be too narrow."]
    return []


def _weighed(pairs: Pairs, variants: Sequence[Variant], scoring: Scoring) -> Pairs:
    """Pairs with the weights of their styles; those that count for nothing are gone."""
    weight = np.array([scoring.style_weights.get(variant.style, 1.0) for variant in variants])
    pairs = pairs._replace(weight=weight[pairs.a] * weight[pairs.b])
    kept = pairs.only(pairs.weight > 0)
    for factor in np.setdiff1d(pairs.factor, kept.factor):
        raise UserError(
            f"Every {scoring.rule.names[factor]} pair has a style of weight 0: {dict(scoring.style_weights)}."
        )
    return kept


def _score_stage(store: Store, stage: str, units: int, pairs: Pairs, scoring: Scoring) -> Scores:
    pairs, warnings = _finite(store, stage, units, pairs)
    rule = scoring.rule
    videos, video = np.unique(pairs.video, return_inverse=True)
    resamples = resample(len(videos), scoring.replicates, scoring.seed)
    rows = len(resamples.weights)
    between, total = np.zeros((rows, rule.n_factors)), np.zeros(rows)
    tables = []
    for block in _blocks(units, len(pairs.a), rows):
        x = store.stage(stage, block)
        moments = pair_moments(x[pairs.a], x[pairs.b], pairs.factor, rule.n_factors, video, pairs.weight)
        cov = covariances(moments.weighted(resamples.weights))
        between += cov.between.sum(-1)
        total += cov.total.sum(-1)
        tables.append(_unit_table(stage, block.start, unit_scores(cov, rule.residual_index), resamples, scoring))
    table = pd.concat(tables, ignore_index=True)
    if dead := int((table["class"] == "dead").sum()):
        warnings.append(f"Stage {stage}: {dead} of {units} units are dead (they never vary).")
    if dead == units:
        warnings.append(f"Stage {stage}: no unit varies, so its scores are undefined.")
    layers = _layer_table(stage, units, layer_scores(between, total, rule.residual_index), resamples, pairs, scoring)
    return Scores(layers, table, warnings)


def _finite(store: Store, stage: str, units: int, pairs: Pairs) -> tuple[Pairs, list[str]]:
    """The pairs without those of videos that gave NaN or infinity, and a warning that says so."""
    sound = np.ones(len(store.index()), bool)
    for block in _blocks(units, len(pairs.a), 1):
        sound &= np.isfinite(store.stage(stage, block)).all(1)
    broken = np.unique(pairs.video[~(sound[pairs.a] & sound[pairs.b])])
    if not len(broken):
        return pairs, []
    keep = ~np.isin(pairs.video, broken)
    if not keep.any():
        raise UserError(f"Stage {stage}: every video gives activations that are NaN or infinite.")
    left = len(np.unique(pairs.video[keep]))
    few = f" The {left} that remain are too few for intervals." if left < FEWEST_VIDEOS else ""
    return pairs.only(keep), [
        f"Stage {stage}: {len(broken)} videos give NaN or infinite activations and are left out.{few}"
    ]


def _blocks(units: int, pairs: int, rows: int) -> Iterator[slice]:
    """Slices of units small enough that neither the pairs nor the resamples of a block pass the memory allowed."""
    size = max(1, BLOCK_BYTES // (8 * max(4 * pairs, 16 * rows)))
    for start in range(0, units, size):
        yield slice(start, min(start + size, units))


def _layer_table(
    stage: str, units: int, scores: npt.NDArray[np.float64], resamples: Resamples, pairs: Pairs, scoring: Scoring
) -> pd.DataFrame:
    """One row per factor; ``scores`` is ``(resamples, F)``."""
    layer = allocate(scores, units)
    score_low, score_high = resamples.interval(layer.scores, scoring.confidence)
    share_low, share_high = resamples.interval(100 * layer.shares, scoring.confidence)
    return pd.DataFrame(
        {
            "stage": stage,
            "estimator": ESTIMATOR,
            "factor": scoring.rule.names,
            "score": resamples.estimate(layer.scores),
            "score_low": score_low,
            "score_high": score_high,
            "share": 100 * resamples.estimate(layer.shares),
            "share_low": share_low,
            "share_high": share_high,
            "dims": resamples.estimate(layer.dims),
            "percent": resamples.estimate(layer.percent),
            "units": units,
            "pairs": [int((pairs.factor == f).sum()) for f in range(scoring.rule.n_factors)],
            "videos": len(np.unique(pairs.video)),
        }
    )


def _unit_table(
    stage: str, first: int, scores: npt.NDArray[np.float64], resamples: Resamples, scoring: Scoring
) -> pd.DataFrame:
    """One row per unit; ``scores`` is ``(resamples, F, C)``."""
    low, high = resamples.interval(scores, scoring.confidence)
    classes = classify_units(scores, scoring.threshold)
    columns: dict[str, object] = {
        "stage": stage,
        "unit": np.arange(first, first + scores.shape[-1]),
        "estimator": ESTIMATOR,
    }
    for factor, name in ((DYNAMIC, "dynamic"), (STATIC, "static")):
        columns |= {name: scores[0, factor], f"{name}_low": low[factor], f"{name}_high": high[factor]}
    columns |= {"class": classes[0], "stability": resamples.stability(classes)}
    return pd.DataFrame(columns)
