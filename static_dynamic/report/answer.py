"""The answer of a result in one sentence: its number at the last stage, and its distance from untrained networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from static_dynamic.common.tables import rows_of
from static_dynamic.report.parts import Part
from static_dynamic.report.tables import UNDEFINED, number, with_interval

WORDS = {
    "needs_motion": "of what units tell about the clip needs motion",
    "needs_order": "of what units tell about the clip needs the order of frames",
}
"""Wording for the built-in estimators; others take the label of their axis."""


@dataclass(frozen=True)
class Answer:
    """A sentence in three pieces.

    Attributes:
        where: The stage.
        what: Its number, or numbers, with intervals.
        beside: The distance from untrained networks.
    """

    where: str
    what: str
    beside: str

    def __str__(self) -> str:
        return f"At the last stage, {self.where}, {self.what}; {self.beside}."


def answer(parts: Sequence[Part]) -> Answer | None:
    """The numbers of the headline at the last stage; ``None`` if there are none."""
    if not parts or parts[0].numbers.empty:
        return None
    part = parts[0]
    rows = part.numbers[part.numbers["factor"].isin(part.drawn) & (part.numbers["stage"] == part.stages[-1])]
    records = rows_of(rows)
    if part.single:
        row = records[0]
        value = with_unit(part, row["mean"], row["low"], row["high"])
        what = f"{value} {WORDS[part.name]}" if part.name in WORDS else f"{' '.join(part.label.split())}: {value}"
        return Answer(part.stages[-1], what, _beside(part, row))
    shown = [f"{row['factor']} {with_unit(part, row['mean'], row['low'], row['high'])}" for row in records]
    return Answer(part.stages[-1], f"{part.title.lower()}: {', '.join(shown)}", _all_beside(part, records))


def with_unit(part: Part, value: float, low: float, high: float) -> str:
    """A number with its unit and interval: ``42.0 % [30.1, 55.0]``."""
    if value != value:
        return "undefined"
    shown = with_interval(value, low, high, part.digits)
    first, _, interval = shown.partition(" ")
    unit = f" {part.unit_of_measurement}" if part.percent else ""
    return f"{first}{unit}" + ("" if interval == f"[{UNDEFINED}]" else f" {interval}")


def _beside(part: Part, row: Mapping[str, Any]) -> str:
    """Compare one number with those of untrained networks."""
    if row["twin"] != row["twin"]:
        return "no untrained networks were measured, so it does not show what was learned"
    untrained = with_unit(part, row["twin"], row["twin_low"], row["twin_high"])
    if row["mean"] != row["mean"]:
        return f"untrained networks of the same architecture give {untrained}"
    points = " points" if part.percent else ""
    distance = row["mean"] - row["twin"]
    side = "above" if distance >= 0 else "below"
    told = (
        f"{number(abs(distance), part.digits)}{points} {side} untrained networks of the same architecture ({untrained})"
    )
    if row["inside"]:
        return f"that is {told}, and not distinguishable from them"
    return f"that is {told}"


def _all_beside(part: Part, rows: Sequence[Mapping[str, Any]]) -> str:
    """Compare several numbers with those of untrained networks."""
    if not part.has_twins:
        return "no untrained networks were measured, so these do not show what was learned"
    twins = " / ".join(number(row["twin"], part.digits) for row in rows)
    same = [str(row["factor"]) for row in rows if row["inside"]]
    told = f"untrained networks of the same architecture give {twins}"
    return told if not same else f"{told}, and {', '.join(same)} cannot be distinguished from theirs"
