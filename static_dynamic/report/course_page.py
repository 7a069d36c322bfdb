"""The page of a course: its answer, a chart for every stage, and tables."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.answer import WORDS, with_unit
from static_dynamic.report.course import UNTRAINED, Course
from static_dynamic.report.differences import NO_DIFFERENCE
from static_dynamic.report.page import save_html
from static_dynamic.report.parts import Part
from static_dynamic.report.profile import STEP, Axis, Point, axis_of
from static_dynamic.report.tables import with_interval
from static_dynamic.report.theme import colours_of

TICKS = 4
"""Approximate number of marks on the axis of steps."""


def save_course(course: Course, path: Path) -> Path:
    """Write the page.

    Raises:
        UserError: If the folder cannot be written.
    """
    parts = course.parts
    content = {
        "course": course,
        "steps": course.steps,
        "answer": answer(course),
        "titles": {part.name: part.title for part in parts},
        "panels": [panel(course, part) for part in parts],
    }
    return save_html("course.html", content, path, ["script.js"])


def answer(course: Course) -> str:
    """The numbers of the headline at the last stage, in one sentence; empty if there are none."""
    if not course.parts:
        return ""
    part = course.parts[0]
    stage = part.stages[-1]
    rows = [course.rows(part, stage, factor) for factor in part.drawn]
    now = ", ".join(_now(part, row) for row in rows)
    said = f"At the last stage, {stage}, {now} {course.at(course.steps[-1])}"
    if len(course.steps) < 2:
        return f"{said}{_untrained(part, rows)}. Its change is shown from the second point on."
    return f"{said}; that is {', '.join(_change(course, part, stage, row) for row in rows)}{_untrained(part, rows)}."


def _now(part: Part, rows: pd.DataFrame) -> str:
    last = rows.iloc[-1]
    if not math.isfinite(last["value"]):
        return f"{part.title.lower() if part.single else last['factor']} is undefined"
    value = with_unit(part, last["value"], last["low"], last["high"])
    if part.single:
        return f"{value} {WORDS.get(part.name, f'({part.title.lower()})')}"
    return f"{last['factor']} {value}"


def _change(course: Course, part: Part, stage: str, rows: pd.DataFrame) -> str:
    """How much one number has changed: ``12.0 points [9.0, 15.0] more than at step 0 (19.0 %)``."""
    first = rows.iloc[0]
    found = course.change(part, stage, first["factor"])
    if not math.isfinite(found["change"]):
        return "undefined compared with the start"
    low, high = (found["low"], found["high"]) if found["change"] >= 0 else (-found["high"], -found["low"])
    amount, _, interval = with_interval(abs(found["change"]), low, high, part.digits).partition(" ")
    points, side = " points" if part.percent else "", "more" if found["change"] >= 0 else "less"
    start = f"{course.at(first['step'])} ({with_unit(part, first['value'], math.nan, math.nan)})"
    doubt = f", {NO_DIFFERENCE}" if found["verdict"] == NO_DIFFERENCE else ""
    return f"{amount}{points} {interval if math.isfinite(low) else ''}".rstrip() + f" {side} than {start}{doubt}"


def _untrained(part: Part, rows: Sequence[pd.DataFrame]) -> str:
    """The numbers of untrained networks, as the end of a sentence."""
    values = [with_unit(part, *row.iloc[-1][UNTRAINED]) for row in rows if math.isfinite(row.iloc[-1]["twin"])]
    return f"; untrained networks of the same architecture give {' / '.join(values)}" if values else ""


# ---------------------------------------------------------------- what the page draws


def panel(course: Course, part: Part) -> dict[str, Any]:
    """What the page shows of one estimator."""
    across, up = axis_of_steps(course.steps), axis_of_values(part)
    of_stages = {stage: [course.rows(part, stage, factor) for factor in part.drawn] for stage in part.stages}
    colours = colours_of(part.drawn)
    return {
        "part": part,
        "across": [(across.place(tick), short(tick)) for tick in across.ticks],
        "up": [(100 - place, text) for place, text in up.marks],
        "colours": colours,
        "has_twins": bool(part.layer["twin"].notna().any()),
        "has_spread": bool(part.layer["twin_low"].notna().any()),
        "charts": [
            {"stage": stage, "series": [series(row, across, up, colours[row["factor"].iloc[0]]) for row in rows]}
            for stage, rows in of_stages.items()
        ],
        "rows": [_row(course, part, row) for rows in of_stages.values() for row in rows],
        "columns": [stage if part.single else f"{stage}, {factor}" for stage in part.stages for factor in part.drawn],
        "steps": list(_by_step(course.steps, part, [row for rows in of_stages.values() for row in rows])),
    }


def axis_of_steps(steps: Sequence[int]) -> Axis:
    """Axis from the first to the last step, marked at round numbers; a single step is in the middle.

    Example:
        >>> axis_of_steps([0, 500, 4000]).ticks
        (0, 1000, 2000, 3000, 4000)
    """
    first, last = steps[0], steps[-1]
    if first == last:
        return Axis(first - 1, last + 1, (first,))
    least = (last - first) / TICKS
    power = 10 ** math.floor(math.log10(least))
    width = max(1, math.ceil(next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least)))
    return Axis(first, last, tuple(range(math.ceil(first / width) * width, last + 1, width)))


def axis_of_values(part: Part) -> Axis:
    """Axis from 0, for shares to the next 25 percent above all numbers, so that changes are visible."""
    axis = axis_of(part.layer.rename(columns={"value": "mean"}), str(part.described["scale"]))
    values = part.layer[["value", "low", "high", *UNTRAINED]].to_numpy(float)
    most = float(np.nanmax(values)) if np.isfinite(values).any() else 100.0
    if not part.percent or axis.low < 0 or axis.high > 100:
        return axis
    high = min(100.0, max(STEP, STEP * math.ceil(most / STEP)))
    return Axis(0.0, high, tuple(np.linspace(0, high, 1 + round(high / STEP) if high > STEP else 6).tolist()))


def short(tick: float) -> str:
    """A step as an axis shows it.

    Example:
        >>> short(500), short(20000), short(1500000)
        ('500', '20k', '1.5M')
    """
    for size, letter in ((10**6, "M"), (10**4, "k")):
        if abs(tick) >= size:
            return f"{tick / (1000 if letter == 'k' else size):g}{letter}"
    return f"{tick:g}"


def series(rows: pd.DataFrame, across: Axis, up: Axis, colour: str) -> dict[str, Any]:
    """The marks of one number over all steps; its curve has a gap where the number is undefined."""
    places = [(across.place(step), _height(up, value)) for step, value in zip(rows["step"], rows["value"], strict=True)]
    ends = [
        ((across.place(row["step"]), _height(up, row["low"])), (across.place(row["step"]), _height(up, row["high"])))
        for row in rows_of(rows)
    ]
    twin, low, high = (_height(up, value) for value in rows.iloc[-1][UNTRAINED])
    return {
        "colour": colour,
        "curves": list(_runs(places)),
        "bands": [[*(low for low, _ in run), *reversed([high for _, high in run])] for run in _whole(ends)],
        "bars": [(low, high) for run in _whole(ends) if len(run) == 1 for low, high in run],
        "dots": [place for run in _runs(places) for place in run],
        "twin": twin,
        "spread": None if low is None or high is None else (high, round(low - high, 2)),
    }


def _height(axis: Axis, value: float) -> float | None:
    return round(100 - axis.place(value), 2) if math.isfinite(value) else None


def _runs(places: Sequence[tuple[float, float | None]]) -> Iterator[list[Point]]:
    """The defined points, in pieces that undefined points separate."""
    for there, run in groupby(places, key=lambda place: place[1] is not None):
        if there:
            yield [(x, y) for x, y in run if y is not None]


def _whole(
    ends: Sequence[tuple[tuple[float, float | None], tuple[float, float | None]]],
) -> Iterator[list[tuple[Point, Point]]]:
    """The defined intervals, in pieces that undefined ones separate."""
    for there, run in groupby(ends, key=lambda both: both[0][1] is not None and both[1][1] is not None):
        if there:
            yield [((x, a), (x, b)) for (x, a), (_, b) in run if a is not None and b is not None]


def _row(course: Course, part: Part, rows: pd.DataFrame) -> dict[str, Any]:
    """A line of the main table."""
    first, last = rows.iloc[0], rows.iloc[-1]
    found = course.change(part, last["stage"], last["factor"])
    ends = float(last["twin"]), float(last["twin_low"]), float(last["twin_high"])
    return {
        "stage": last["stage"],
        "factor": last["factor"],
        "first": with_interval(first["value"], first["low"], first["high"], part.digits),
        "last": with_interval(last["value"], last["low"], last["high"], part.digits),
        "change": with_interval(found["change"], found["low"], found["high"], part.digits),
        "verdict": found["verdict"],
        "untrained": with_interval(*ends, digits=part.digits) if math.isfinite(last["twin"]) else "",
    }


def _by_step(steps: Sequence[int], part: Part, columns: Sequence[pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """A line of the table of all steps."""
    numbers = [{row["step"]: row for row in rows_of(rows)} for rows in columns]
    for step in steps:
        found = [rows.get(step, dict.fromkeys(["value", "low", "high"], math.nan)) for rows in numbers]
        cells = [with_interval(row["value"], row["low"], row["high"], part.digits) for row in found]
        yield {"step": step, "cells": cells}
