"""The page of a comparison: how the numbers of every further run differ from the first run, stage by stage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.page import save_html
from static_dynamic.report.parts import AUXILIARY, Part
from static_dynamic.report.profile import Axis, axis_of, profile
from static_dynamic.report.tables import in_order, number, with_interval
from static_dynamic.report.theme import colours_of

SMALL = "smaller than the spread of untrained networks"
NO_DIFFERENCE = "not distinguishable from 0"
STEPS = (10.0, 25.0, 50.0, 100.0, 200.0)
"""Possible ends of the axes of differences of shares, percent points."""


@dataclass(frozen=True)
class Difference:
    """The differences of one run from another.

    Attributes:
        names: Names of the two runs.
        layers: See `static_dynamic.comparison.Comparison.layers`.
        units: The same per unit; empty where they cannot be compared.
        notes: Notes for the reader.
        described: Estimator → its description.
    """

    names: tuple[str, str]
    layers: pd.DataFrame
    units: pd.DataFrame
    notes: Sequence[str] = ()
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The subtraction in words."""
        return f"{self.names[1]} less {self.names[0]}"

    def part(self, estimator: str) -> Part:
        """The name of an estimator, and its unit of measurement."""
        unknown = {"name": estimator, "scale": "percent", "column": "share", "classes": []}
        rows = self.layers[self.layers["estimator"] == estimator]
        return Part({**unknown, **self.described.get(estimator, {}), "name": estimator}, rows, pd.DataFrame())


def save_differences(differences: Sequence[Difference], path: Path) -> Path:
    """Write one page of several comparisons with the same first run.

    Raises:
        UserError: If the folder cannot be written.
    """
    first = differences[0]
    estimators = list(dict.fromkeys(name for each in differences for name in in_order(each.layers, "estimator")))
    parts = [first.part(name) for name in estimators]
    panels = [
        {
            "part": part,
            "runs": runs(differences, part),
            "differences": [section(each, part) for each in differences if part.name in {*each.layers["estimator"]}],
        }
        for part in parts
    ]
    content = {
        "first": first.names[0],
        "others": [each.names[1] for each in differences],
        "titles": {part.name: part.title for part in parts},
        "answers": [said for each in differences if (said := sentence(each))],
        "notes": list(dict.fromkeys(f"{each.title}: {note}" for each in differences for note in each.notes)),
        "panels": panels,
    }
    return save_html("comparison.html", content, path, ["script.js"])


def sentence(difference: Difference) -> str:
    """The headline's difference at the last stage in one sentence; empty where there is none.

    Its estimator is the first of the table.
    """
    if difference.layers.empty:
        return ""
    part = difference.part(difference.layers["estimator"].iloc[0])
    drawn = part.layer[~part.layer["factor"].isin(AUXILIARY)]
    row = drawn[drawn["stage"] == drawn["stage"].iloc[-1]].iloc[0]
    if not np.isfinite(row["difference"]):
        return f"At the last stage, {row['stage']}, the difference is undefined."
    low, high = (row["low"], row["high"]) if row["difference"] >= 0 else (-row["high"], -row["low"])
    value = with_interval(abs(row["difference"]), low, high, part.digits)
    points = " points" if part.percent else ""
    amount, _, interval = value.partition(" ")
    side = "more" if row["difference"] >= 0 else "less"
    doubt = verdict(row)
    return (
        f"At the last stage, {row['stage']}, {difference.names[1]} has {amount}{points} {interval} {side} than "
        f"{difference.names[0]} ({part.title.lower()}, {row['factor']})"
        + (f", which is {doubt}." if doubt in (SMALL, NO_DIFFERENCE) else ".")
    )


def verdict(row: Mapping[str, Any]) -> str:
    """The verdict on a difference, a row of the table; empty where it has no interval.

    Example:
        >>> verdict({"difference": 5.0, "low": 3.0, "high": 7.0, "differs": True, "grain": 6.0})
        'smaller than the spread of untrained networks'
        >>> verdict({"difference": -5.0, "low": -7.0, "high": -3.0, "differs": True, "grain": 1.0})
        'less'
    """
    if not row["low"] <= row["high"]:
        return ""
    if not row["differs"]:
        return NO_DIFFERENCE
    if abs(row["difference"]) < row["grain"]:
        return SMALL
    return "more" if row["difference"] > 0 else "less"


def section(difference: Difference, part: Part) -> dict[str, Any]:
    """What the page shows of one comparison under one estimator: a table for every factor."""
    rows = difference.layers[difference.layers["estimator"] == part.name]
    axis = axis_of_differences(rows, part.percent)
    return {
        "title": difference.title,
        "names": difference.names,
        "axis": axis.marks,
        "factors": [
            _factor(rows[rows["factor"] == factor], difference.units, part, axis) for factor in in_order(rows, "factor")
        ],
    }


def _factor(rows: pd.DataFrame, units: pd.DataFrame, part: Part, axis: Axis) -> dict[str, Any]:
    factor = str(rows["factor"].iloc[0])
    drawn = rows.rename(columns={"difference": "mean"}).assign(
        twin=0.0 * rows["grain"], twin_low=-rows["grain"], twin_high=rows["grain"],
        inside=[verdict(row) in (NO_DIFFERENCE, SMALL) for row in rows_of(rows)],
    )  # fmt: skip
    marks = profile(drawn, [factor], axis)
    shares = unit_shares(units, part.name, factor)
    return {
        "name": factor,
        "folded": factor in AUXILIARY,
        "rows": [
            {
                "stage": row["stage"],
                "marks": mark,
                "first": number(row["first"], part.digits),
                "second": number(row["second"], part.digits),
                "difference": with_interval(row["difference"], row["low"], row["high"], part.digits),
                "verdict": verdict(row),
                "units": number(shares[row["stage"]]) if row["stage"] in shares else "",
            }
            for row, mark in zip(rows_of(rows), marks, strict=True)
        ],
        "with_units": bool(shares),
    }


def unit_shares(units: pd.DataFrame, estimator: str, factor: str) -> dict[str, float]:
    """Stage → percent of its units whose interval excludes 0; empty where units cannot be compared."""
    if units.empty:
        return {}
    rows = units[(units["estimator"] == estimator) & (units["factor"] == factor) & units["low"].notna()]
    return {str(stage): 100 * float(differs.mean()) for stage, differs in rows.groupby("stage")["differs"]}


def axis_of_differences(rows: pd.DataFrame, percent: bool) -> Axis:
    """An axis with 0 in its middle that ends at the first step above all numbers."""
    values = rows[["difference", "low", "high"]].to_numpy(float)
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    end = next((step for step in STEPS if step >= most), STEPS[-1]) if percent else max(most, 1e-9)
    return Axis(-end, end, (-end, -end / 2, 0.0, end / 2, end))


def runs(differences: Sequence[Difference], part: Part) -> list[dict[str, Any]]:
    """The numbers of all runs side by side, a table for every factor that is drawn."""
    return [_all_of(differences, part, factor) for factor in in_order(part.layer, "factor") if factor not in AUXILIARY]


def _all_of(differences: Sequence[Difference], part: Part, factor: str) -> dict[str, Any]:
    """One factor of all runs."""
    values = pd.DataFrame(dict(_columns(differences, part.name, factor)))
    long = values.rename_axis("stage").reset_index().melt("stage", var_name="factor", value_name="mean")
    unknown = dict.fromkeys(["low", "high", "twin", "twin_low", "twin_high"], np.nan)
    axis = axis_of(long, str(part.described["scale"]))
    marks = profile(long.assign(**unknown, inside=False), list(values.columns), axis)
    return {
        "factor": factor,
        "colours": colours_of(values.columns),
        "axis": axis.marks,
        "rows": [
            {"stage": stage, "marks": mark, "cells": [number(value, part.digits) for value in row]}
            for stage, mark, row in zip(values.index, marks, values.to_numpy(float), strict=True)
        ],
    }


def _columns(differences: Sequence[Difference], estimator: str, factor: str) -> Iterator[tuple[str, pd.Series]]:
    """Name and numbers of every run, stage by stage; runs of one name are numbered."""
    for place, each in enumerate(differences, start=2):
        of_both = (each.layers["estimator"] == estimator) & (each.layers["factor"] == factor)
        rows = each.layers[of_both].set_index("stage")
        if place == 2:
            yield f"1: {each.names[0]}", rows["first"]
        if len(rows):
            yield f"{place}: {each.names[1]}", rows["second"]
