"""A result in the words and numbers of its page: a section per estimator, and the values in its text."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.atlas import thresholds
from static_dynamic.report.parts import SAME, Part, beside_untrained
from static_dynamic.report.profile import axis_of, profile
from static_dynamic.report.tables import number, with_interval
from static_dynamic.report.theme import colours_of

Row = dict[str, Any]


def section(part: Part) -> dict[str, Any]:
    """The content of the page for an estimator."""
    classes = part.classes
    axis = axis_of(part.numbers[part.numbers["factor"].isin(part.drawn)], part.described["scale"])
    marks = profile(part.numbers, part.drawn, axis)
    stages = part.numbers.groupby("stage", sort=False)
    return {
        "part": part,
        "axis": axis.marks,
        "colours": colours_of(part.drawn),
        "hollow": bool(part.numbers["inside"].any()),
        "rows": [
            {**_stage(part, str(stage), rows), "marks": drawn}
            for (stage, rows), drawn in zip(stages, marks, strict=True)
        ],
        "auxiliary": [factor for factor in part.factors if factor not in part.drawn],
        "scores": _scores(part),
        "chance": _chance(part),
        "class_colours": colours_of(classes.columns),
        "classes": [_classes(str(stage), shares) for stage, shares in classes.iterrows()],
        "thresholds": thresholds(part),
    }


def _stage(part: Part, stage: str, numbers: pd.DataFrame) -> Row:
    """A line of the main table."""
    layer = part.layer[part.layer["stage"] == stage]
    cells = [_cell(row, part.digits) for row in rows_of(numbers) if row["factor"] in part.drawn]
    others = [row for row in rows_of(numbers) if row["factor"] not in part.drawn]
    score = layer.set_index("factor").reindex(columns=["score"])["score"]
    return {
        "stage": stage,
        "cells": cells,
        "auxiliary": [with_interval(row["mean"], row["low"], row["high"], part.digits) for row in others],
        "scores": [number(score[factor], 3) for factor in _scores(part)],
        "units": layer["units"].iloc[0],
        "pairs": layer["pairs"].sum(),
        "videos": layer["videos"].iloc[0],
    }


def _classes(stage: str, shares: pd.Series) -> Row:
    """The share of every class in a stage, with the place of its bar."""
    starts = shares.cumsum().shift(fill_value=0)
    bars = [
        {"name": name, "x": round(start, 2), "width": round(share, 2)}
        for (name, share), start in zip(shares.items(), starts, strict=True)
    ]
    return {"stage": stage, "bars": bars, "shares": [number(share) for share in shares]}


def _cell(row: Mapping[str, Any], digits: int) -> Row:
    """A number, compared with those of untrained networks."""
    twin = with_interval(row["twin"], row["twin_low"], row["twin_high"], digits)
    verdict = beside_untrained(row)
    return {
        "text": with_interval(row["mean"], row["low"], row["high"], digits),
        "untrained": twin if row["twin"] == row["twin"] else "",
        "verdict": verdict,
        "same": verdict == SAME,
    }


def _scores(part: Part) -> list[str]:
    """Factors whose scores are shown with their shares; the score of a residual is 1 by definition."""
    there = part.column != "score" and "score" in part.layer
    return [factor for factor in part.drawn if factor != "residual"] if there else []


def _chance(part: Part) -> list[Row]:
    """Numbers of unrelated clips and of replicates, one row per stage and factor; empty if none are known."""
    known = part.numbers.dropna(subset=["null", "ceiling"], how="all")
    columns = ("null", "ceiling")
    return [
        {"stage": row["stage"], "factor": row["factor"], **{name: number(row[name], part.digits) for name in columns}}
        for row in rows_of(known)
    ]


def reading(parts: Sequence[Part], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and names in the text on how to read the page."""
    study = manifest.get("study", {})
    return {
        "twins": len(manifest.get("twins", [])),
        "compared": any(part.has_twins for part in parts),
        "spread": any(part.numbers["twin_low"].notna().any() for part in parts),
        "videos": max((int(part.layer["videos"].max()) for part in parts), default=0),
        "styles": ", ".join(study.get("styles", [])),
        "confidence": f"{100 * manifest.get('scoring', {}).get('confidence', 0.95):g}",
        "by_name": {part.name: _of_last_stage(part) for part in parts},
    }


def _of_last_stage(part: Part) -> dict[str, Any]:
    """Numbers of untrained networks and unrelated clips at the last stage, and of the former over all stages."""
    drawn = part.numbers[part.numbers["factor"].isin(part.drawn)]
    last = drawn[drawn["stage"] == part.stages[-1]]
    first = last.iloc[0]
    twins, null = last["twin"].tolist(), dict(zip(last["factor"], last["null"], strict=True))
    if part.factors == ["dynamic", "static", "residual"]:
        null["residual"] = 100 - null["dynamic"] - null["static"]  # shares of three factors add up to 100
    return {
        "title": part.title,
        "stage": part.stages[-1],
        "factors": " / ".join(last["factor"]),
        "twins": " / ".join(number(value, part.digits) for value in twins) if part.has_twins else "",
        "twin": with_interval(first["twin"], first["twin_low"], first["twin_high"], part.digits),
        "least": number(drawn["twin"].min(), part.digits),
        "most": number(drawn["twin"].max(), part.digits),
        "unrelated": " / ".join(number(value, part.digits) for value in null.values())
        if last["null"].notna().any()
        else "",
    }
