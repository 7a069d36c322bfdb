"""The accuracy of an estimator on units whose truth is known.

The truth of some units is a table of one row each: shares ``appearance``, ``motion``, ``interaction`` and ``nuisance``
with their ``variance`` and ``class``, and ``needs_motion`` and ``reliability`` with ``needs_variance`` and
``needs_class``; ``clear`` and ``needs_clear`` state which classes are far from a border.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.truth.enumeration import motion_table, share_table
from static_dynamic.estimators.base import Classes, Estimator
from static_dynamic.estimators.design import Design
from static_dynamic.functional.factorial import FACTOR_CLASSES, SHARES

Array = npt.NDArray[np.float64]


class Question(NamedTuple):
    """A question about a unit.

    Attributes:
        classes: The possible answers.
        right: Column of the truth that holds the correct one.
        clear: Column of the truth that states whether that is far from a border.
    """

    classes: tuple[str, ...]
    right: str
    clear: str


@dataclass(frozen=True)
class Reading:
    """How the answers of an estimator are compared with the truth.

    Attributes:
        question: The question that it answers.
        classes: Its classes, in the order of those of the question.
        numbers: Its quantity → the column of the truth of which it is taken for an estimate.
        shares: Whether its numbers can be read as shares, so that bias and error have a meaning.
    """

    question: Question
    classes: tuple[str, ...]
    numbers: Mapping[str, str]
    shares: bool = True


CAUSES = Question(FACTOR_CLASSES, "class", "clear")
"""What does the unit depend on: appearance, motion, both?"""
NEEDS = Question(("still", "mixed", "motion", "unreliable", "dead"), "needs_class", "needs_clear")
"""Does the unit need more than a still frame?"""
_PUBLISHED = ("static", "dynamic", "joint", "residual", "dead")
_OF_PAIRS = {"static": "appearance", "dynamic": "motion"}
READINGS: Mapping[str, Reading] = {
    "needs_motion": Reading(NEEDS, NEEDS.classes, {"motion": "needs_motion"}),
    "needs_order": Reading(NEEDS, ("no order", "mixed", "order", "unreliable", "dead"), {"order": "needs_motion"}),
    "factorial_shares": Reading(CAUSES, FACTOR_CLASSES, {name: name for name in SHARES}),
    "four_pair": Reading(
        CAUSES,
        ("style", "order", "both", "neither", "dead"),
        {"style": "appearance", "order": "motion", "joint": "interaction"},
    ),
    "pearson_within": Reading(CAUSES, _PUBLISHED, _OF_PAIRS),
    "gaussian_mi": Reading(CAUSES, _PUBLISHED, _OF_PAIRS, shares=False),
    "copula_mi": Reading(CAUSES, _PUBLISHED, _OF_PAIRS, shares=False),
    "released": Reading(CAUSES, _PUBLISHED, _OF_PAIRS),
}
"""Estimator → how it is compared."""


@dataclass(frozen=True)
class Answers:
    """The answers of an estimator about the units from one draw of clips.

    Attributes:
        classes: Class of every unit, in the words of the question, ``(U,)``.
        numbers: Quantity → ``(U,)``.
    """

    classes: Classes
    numbers: Mapping[str, Array]


def ask(estimator: Estimator, design: Design, x: npt.NDArray[np.float32]) -> Answers:
    """The answers of an estimator about units from the rows ``(rows, U)`` of a design."""
    plan, reading = estimator.plan(design), READINGS[estimator.name]
    units = plan.estimates(x, np.ones((1, len(plan.videos)))).units[0]
    words = dict(zip(reading.classes, reading.question.classes, strict=True))
    classes = np.array([words[name] for name in estimator.classify(units)])
    of = dict(zip(plan.quantities, units, strict=True))
    return Answers(classes, {name: of[name] for name in reading.numbers})


def noisy(truth: pd.DataFrame, level: float) -> pd.DataFrame:
    """The truth of the same units with new noise for every clip, of ``level`` of their standard deviations.

    With variance V and noise of level² V, all shares are divided by 1 + level², and the rest is nuisance.
    """
    added = level**2
    shares = truth[[*SHARES]].to_numpy().T / (1 + added)
    shares[SHARES.index("nuisance")] += added / (1 + added)
    variance, seen = truth["variance"].to_numpy(), truth["needs_variance"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        reliability = truth["reliability"].to_numpy() * seen / (seen + added * variance)
    return joined(
        share_table("", shares, variance * (1 + added)),
        motion_table("", truth["needs_motion"].to_numpy(), reliability, seen + added * variance),
        list(truth["unit"]),
    )


def joined(shares: pd.DataFrame, needs: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Both truths of the units of a stage, under their names."""
    beside = {"variance": "needs_variance", "class": "needs_class", "clear": "needs_clear"}
    needs = needs.drop(columns=["stage", "unit"]).rename(columns=beside)
    both = pd.concat([shares.drop(columns=["stage", "unit"]), needs], axis=1)
    both.insert(0, "unit", list(names))
    return both


def judge(estimator: str, answers: list[Answers], truth: pd.DataFrame) -> list[dict[str, Any]]:
    """The accuracy of answers from several draws of clips: one row per quantity.

    ``right`` and ``right_clear`` are percent of units; ``bias``, ``mae`` and ``rmse`` are in points, over the units
    whose truth is defined.
    """
    reading = READINGS[estimator]
    right = np.stack([one.classes for one in answers]) == truth[reading.question.right].to_numpy()
    clear = truth[reading.question.clear].to_numpy(bool)
    shared = {
        "draws": len(answers),
        "right": round(100 * right.mean(), 1),
        "right_clear": round(100 * right[:, clear].mean(), 1),
    }
    rows = []
    for quantity, column in reading.numbers.items():
        found, true = np.stack([one.numbers[quantity] for one in answers]), said(truth, column)
        rows.append(shared | {"quantity": quantity, "truth": column} | errors(found, true, reading.shares))
    return rows


def said(truth: pd.DataFrame, column: str) -> Array:
    """A column of the truth; NaN where it is meaningless, since the unit never varies or is not reliable."""
    values: Array = truth[column].to_numpy(float)
    if column != "needs_motion":
        return values
    return np.where(truth["needs_class"].isin(["unreliable", "dead"]), np.nan, values)


def errors(found: Array, true: Array, shares: bool) -> dict[str, float]:
    """Bias and errors in points, where the numbers are shares, and rank correlation; ``found`` is ``(draws, U)``."""
    off = 100 * (found - true)[np.isfinite(found - true)]
    ranks = [spearmanr(one, true, nan_policy="omit").statistic for one in found]
    points = {"bias": off.mean(), "mae": np.abs(off).mean(), "rmse": np.sqrt((off**2).mean())} if shares else {}
    return {name: round(float(value), 1) for name, value in points.items()} | {
        "spearman": round(float(np.mean(ranks)), 3)
    }


def confusion(estimator: str, answers: list[Answers], truth: pd.DataFrame) -> list[dict[str, Any]]:
    """How many units of every true class were given every class, on average over draws; only what occurs."""
    question = READINGS[estimator].question
    right = truth[question.right].to_numpy()
    counts = {
        (true, given): np.mean([((one.classes == given) & (right == true)).sum() for one in answers])
        for true in question.classes
        for given in question.classes
    }
    return [{"true": true, "estimated": given, "units": round(n, 2)} for (true, given), n in counts.items() if n]
