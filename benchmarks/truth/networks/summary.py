"""The distance of every estimator from the truth, over all networks and stages: a row each."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.truth.networks.zoo import named

ORDER = ("appearance", "both", "motion")
"""Networks whose shares of motion rise, if an estimator is correct."""
TRUTH = "truth"


class Count(NamedTuple):
    """A count out of a total.

    Example:
        >>> str(Count.of([True, False, True]))
        '2 of 3'
    """

    yes: int
    all: int

    def __str__(self) -> str:
        return f"{self.yes} of {self.all}"

    @classmethod
    def of(cls, answers: list[bool]) -> "Count":
        """The number of true ones, and of all."""
        return cls(sum(answers), len(answers))


def summarise(layers: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """One row per estimator, the truth first.

    Args:
        layers: One row per ``network``, ``stage`` and ``estimator``: ``truth``, ``needs``, ``estimate``, ``low`` and
            ``high``, percent.
        units: ``estimator``, ``truth`` and ``estimate`` of units.

    Returns:
        ``error``, the mean, and ``worst`` distance from the truth over networks and stages, points, with the
        ``worst_at``; ``taught_error``, the mean without random networks; ``needs_error`` and ``needs_worst``, the
        distance from what truly needs motion; ``spearman``, and over units ``spearman_units``; ``ordered``: at how many
        stages after the first the three networks of a family and a seed come in the right order; ``apart``: how often
        their intervals are apart at the last stage; ``random_apart``: how many pairs of random networks of a family
        have intervals apart at a stage.
    """
    true = layers.drop_duplicates(["network", "stage"]).assign(estimator=TRUTH)
    true = true.assign(estimate=true["truth"], low=np.nan, high=np.nan)
    rows = [{"estimator": TRUTH, "ordered": str(Count.of(list(_ordered(true))))}]
    for name, rows_of in layers.groupby("estimator", sort=False):
        rows.append(
            {"estimator": name} | _errors(rows_of) | _ranks(rows_of, units[units["estimator"] == name]) | _told(rows_of)
        )
    return pd.DataFrame(rows)


def _errors(rows: pd.DataFrame) -> dict[str, object]:
    off, needs_off = ((rows["estimate"] - rows[column]).abs() for column in ("truth", "needs"))
    worst = rows.loc[off.idxmax()]
    return {
        "error": off.mean(),
        "taught_error": off[rows["network"].map(lambda name: named(name).taught)].mean(),
        "worst": off.max(),
        "worst_at": f"{worst['network']} {worst['stage']}",
        "needs_error": needs_off.mean(),
        "needs_worst": needs_off.max(),
    }


def _ranks(rows: pd.DataFrame, units: pd.DataFrame) -> dict[str, object]:
    return {
        "spearman": spearmanr(rows["truth"], rows["estimate"], nan_policy="omit").statistic,
        "spearman_units": spearmanr(units["truth"], units["estimate"], nan_policy="omit").statistic,
    }


def _told(rows: pd.DataFrame) -> dict[str, object]:
    counts = {"ordered": _ordered(rows), "apart": _apart(rows), "random_apart": _random_apart(rows)}
    return {name: str(Count.of(list(answers))) for name, answers in counts.items()}


def _ordered(rows: pd.DataFrame) -> Iterator[bool]:
    """Whether the estimates rise, at every stage after the first, in every family and seed."""
    for stages in _triples(rows):
        yield from (a < b < c for a, b, c in zip(*(of["estimate"][1:] for of in stages), strict=True))


def _apart(rows: pd.DataFrame) -> Iterator[bool]:
    """Whether the intervals at the last stage rise without touching, in every family and seed."""
    for stages in _triples(rows):
        a, b, c = (of.iloc[-1] for of in stages)
        yield bool(a["high"] < b["low"] and b["high"] < c["low"])


def _triples(rows: pd.DataFrame) -> Iterator[list[pd.DataFrame]]:
    """The rows of the three networks of `ORDER`, of every family and seed that has all of them."""
    by_name = {named(str(name)): of for name, of in rows.groupby("network", sort=False)}
    for family, seed in dict.fromkeys((network.family, network.seed) for network in by_name):
        there = {
            network.bias: of for network, of in by_name.items() if (network.family, network.seed) == (family, seed)
        }
        if {*ORDER} <= {*there}:
            yield [there[bias] for bias in ORDER]


def _random_apart(rows: pd.DataFrame) -> Iterator[bool]:
    """Whether the intervals of two random networks of a family are apart, at every stage."""
    networks = rows["network"].map(named)
    random = rows[networks.map(lambda one: not one.taught)]
    for _, some in random.groupby([networks.map(lambda one: one.family), "stage"], sort=False):
        for (_, one), (_, other) in combinations(some.iterrows(), 2):
            yield bool(one["high"] < other["low"] or other["high"] < one["low"])
