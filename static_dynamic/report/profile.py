"""Places of the marks of a layer profile: stages from top to bottom, values from left to right, in percent.

Every row of the table draws its own piece. A curve extends to the edge of its row, where it meets the next one, so
pieces of rows of any height and width make one picture.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.tables import stream_and_name
from static_dynamic.report.theme import colours_of

Point = tuple[float, float]
"""A point: right of the left edge, below the upper edge, in percent of width and height."""
APART = 20.0
"""Distance between the heights of two series in a row."""
FIRST, LAST = 12.0, 88.0
"""The ends of the band at the first and last stage, so that the band of a single stage is visible."""
TOLERANCE = 0.5
"""Percent by which numbers may exceed the axis before it is extended."""
STEP = 25.0


class Axis(NamedTuple):
    """The horizontal axis.

    Attributes:
        low: Its left end.
        high: Its right end.
        ticks: Values that are marked.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """The place of a value in percent of the width; the end of the axis if it is beyond.

        Example:
            >>> Axis(-1, 1, (-1, 0, 1)).place(0.5)
            75.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Place and text of every tick."""
        return [(self.place(tick), f"{tick:g}".replace("-", "−")) for tick in self.ticks]


@dataclass(frozen=True)
class Mark:
    """The marks of one series in a row.

    Attributes:
        colour: Colour of the series.
        y: Its height in the row.
        x: Its number; ``None`` where it is undefined.
        ends: Ends of the interval, if any.
        hollow: Whether the number is within the spread of untrained networks.
        curve: Corners of its piece of the curve.
        twin: Corners of the piece of the curve of untrained networks.
        band: Corners of the piece of their spread.
    """

    colour: str
    y: float
    x: float | None
    ends: tuple[float, float] | None
    hollow: bool = False
    curve: Sequence[Point] = field(default_factory=list)
    twin: Sequence[Point] = field(default_factory=list)
    band: Sequence[Point] = field(default_factory=list)


def axis_of(numbers: pd.DataFrame, scale: str) -> Axis:
    """The axis of an estimator: the same in every report, unless numbers exceed it.

    Shares have an axis from 0 to 100, correlations from -1 to 1, others from 0 to a round number above all.

    Args:
        numbers: See `static_dynamic.report.parts.Part.numbers`.
        scale: ``percent``, ``correlation`` or a unit of measurement.

    Example:
        >>> axis_of(pd.DataFrame({"mean": [12.0, -30.0]}), "percent")
        Axis(low=-50.0, high=100.0, ticks=(-50.0, 0.0, 50.0, 100.0))
    """
    values = numbers.reindex(columns=["mean", "low", "high", "twin", "twin_low", "twin_high"]).to_numpy(float)
    values = values[np.isfinite(values)]
    least, most = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    if scale == "percent":
        low = 0.0 if least >= -TOLERANCE else STEP * math.floor(least / STEP)
        high = 100.0 if most <= 100 + TOLERANCE else STEP * math.ceil(most / STEP)
        step = STEP if high - low <= 5 * STEP else STEP * math.ceil((high - low) / (5 * STEP))
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
        return Axis(low, high, tuple(np.arange(low, high + step / 2, step).tolist()))
    if scale == "correlation":
        return Axis(-1.0, 1.0, (-1.0, -0.5, 0.0, 0.5, 1.0))
    high, low = _round_up(most), -_round_up(-least) if least < 0 else 0.0
    return Axis(low, high, tuple(np.linspace(low, high, 5).tolist()))


def _round_up(value: float) -> float:
    """The least 1, 2 or 5 times a power of ten that is not below a value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= value)


def profile(numbers: pd.DataFrame, factors: Sequence[str], axis: Axis) -> list[list[Mark]]:
    """The marks of every stage, a series for every factor.

    Args:
        numbers: See `static_dynamic.report.parts.Part.numbers`.
        factors: Factors that are drawn.
        axis: The horizontal axis.
    """
    colours = colours_of(factors)
    stages = list(dict.fromkeys(numbers["stage"]))
    series = []
    for place, factor in enumerate(factors):
        rows = numbers[numbers["factor"] == factor].set_index("stage").reindex(stages)
        y = (
            50 + APART * (place - (len(factors) - 1) / 2)
            if len(factors) <= 4
            else 100 * (place + 1) / (len(factors) + 1)
        )
        series.append(list(_series(rows, colours[factor], y, axis, len(factors) == 1)))
    return [list(marks) for marks in zip(*series, strict=True)]


def _series(rows: pd.DataFrame, colour: str, y: float, axis: Axis, with_band: bool) -> Iterator[Mark]:
    """One mark per stage."""
    streams = [stream_and_name(str(stage))[0] for stage in rows.index]
    drawn = {name: _curve(rows[name].tolist(), streams, y, axis) for name in ("mean", "twin", "twin_low", "twin_high")}
    for i, row in enumerate(rows_of(rows)):
        low, high = row["low"], row["high"]
        left, right = drawn["twin_low"][i], drawn["twin_high"][i]
        yield Mark(
            colour,
            round(y, 2),
            axis.place(row["mean"]) if math.isfinite(row["mean"]) else None,
            (axis.place(low), axis.place(high)) if math.isfinite(low) and math.isfinite(high) else None,
            row["inside"] is True,
            drawn["mean"][i],
            _reaching(drawn["twin"][i]),
            [*_reaching(left), *reversed(_reaching(right))] if with_band and left and right else [],
        )


def _curve(values: Sequence[float], streams: Sequence[str], y: float, axis: Axis) -> list[list[Point]]:
    """Corners of the piece of every row: at the edge to the previous row, in it, and at the edge to the next row."""
    pieces: list[list[Point]] = []
    for i, value in enumerate(values):
        if not math.isfinite(value):
            pieces.append([])
            continue
        x = axis.place(value)
        pieces.append([(x, round(y, 2))])
        for step, edge in ((-1, 0.0), (1, 100.0)):
            j = i + step
            if 0 <= j < len(values) and streams[j] == streams[i] and math.isfinite(values[j]):
                part = abs(edge - y) / 100
                corner = (round(x + part * (axis.place(values[j]) - x), 2), edge)
                pieces[-1].insert(0, corner) if step < 0 else pieces[-1].append(corner)
    return pieces


def _reaching(piece: Sequence[Point]) -> list[Point]:
    """Extend a piece that ends in its row a little."""
    if not piece:
        return []
    (first, top), (last, bottom) = piece[0], piece[-1]
    above = [(first, FIRST)] if top > FIRST else []
    below = [(last, LAST)] if bottom < LAST else []
    return [*above, *piece, *below]
