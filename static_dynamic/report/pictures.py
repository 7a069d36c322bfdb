"""The first figure of a result: numbers per stage over those of untrained networks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from static_dynamic.report.panels import draw_panels, of_streams
from static_dynamic.report.parts import Part
from static_dynamic.report.plots import plot_curve, side_by_side
from static_dynamic.report.theme import UNTRAINED, Width, colours_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL = "this model"
LINE = "untrained networks"
"""Label of the untrained networks, which have the same architecture."""
SPREAD = "their spread"
HOLLOW = "hollow: not distinguishable\nfrom an untrained network"
GRAIN, NO_DIFFERENCE = (
    "half of the spread of untrained networks",
    "hollow: not distinguishable from 0, or\nsmaller than the spread of untrained networks",
)
REACH = 0.3
"""How far band and dashes extend beyond the first and the last stage, in distances of stages."""


def plot_part(part: Part, width: Width = "double") -> "Figure":
    """A figure of one estimator: a panel per stream.

    One number per stage is drawn over the grey line and band of untrained networks, on an axis of its whole range. Of
    several, each has a dashed line for them. A point is hollow if it is within their spread.
    """
    table = part_drawn(part)
    colours = colours_of(part.drawn)
    hollow = bool(table["inside"].any())

    def panel(axes: "Axes", stages: list[str]) -> None:
        for place, factor in enumerate(part.drawn):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            x = side_by_side(place, len(part.drawn), len(stages))
            plot_curve(axes, x, rows, MODEL if part.single else factor, colours[factor])
            hollow_out(axes, x, rows, colours[factor])
        for place, factor in enumerate(part.drawn if part.has_twins else ()):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            x = side_by_side(place, len(part.drawn), len(stages))
            draw_twins(axes, x, rows, None if part.single else colours[factor])
        if hollow:
            axes.plot([], [], **_hollow("black"), label=HOLLOW)
        if part.single and part.percent:
            axes.set_ylim(-3, 103)  # leaves room for the points at the ends

    return draw_panels(of_streams(part.stages), panel, part.label, width, part.title)


def part_drawn(part: Part) -> pd.DataFrame:
    """The data of :func:`plot_part`: rows of `Part.numbers`."""
    return part.numbers[part.numbers["factor"].isin(part.drawn)]


def plot_differences(rows: pd.DataFrame, part: Part, title: str, width: Width = "double") -> "Figure":
    """Differences of two results under one estimator, with intervals, around 0; a panel per stream.

    Args:
        rows: Rows of the estimator, see `static_dynamic.comparison.Comparison.layers`.
        part: Name of the estimator, and its unit of measurement.
        title: The subtraction in words.
        width: Width of the figure.
    """
    drawn, table = part.drawn, rows.rename(columns={"difference": "mean"})
    colours = colours_of(drawn)

    def panel(axes: "Axes", stages: list[str]) -> None:
        for place, factor in enumerate(drawn):
            of = table[table["factor"] == factor].set_index("stage").loc[stages]
            x = side_by_side(place, len(drawn), len(stages))
            plot_curve(axes, x, of, factor, colours[factor])
            hollow_out(axes, x, of.assign(inside=~of["differs"] | (of["mean"].abs() < of["grain"])), colours[factor])
            if len(drawn) == 1 and of["grain"].notna().any():
                axes.fill_between(x, -of["grain"], of["grain"], color=UNTRAINED, alpha=0.22, linewidth=0, label=GRAIN)
        axes.plot([], [], **_hollow("black"), label=NO_DIFFERENCE)
        axes.axhline(0, color="black", linewidth=0.8, zorder=1)

    points = "percent points" if part.percent else part.unit_of_measurement
    return draw_panels(of_streams(part.stages), panel, f"difference, {points}", width, f"{part.title}: {title}")


def draw_twins(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, colour: str | None) -> None:
    """Draw untrained networks: a grey line on the band of their spread or, with several factors, a dashed line."""
    wide = [x[0] - REACH, *x, x[-1] + REACH]  # so that a single stage is visible
    twin, low, high = (np.pad(rows[name].to_numpy(float), 1, "edge") for name in ("twin", "twin_low", "twin_high"))
    if colour is not None:
        faded: dict[str, Any] = {"color": colour, "alpha": 0.45, "linestyle": "--", "linewidth": 1.0, "zorder": 1}
        axes.plot(wide, twin, label=f"_{LINE}", **faded)
        if LINE not in axes.get_legend_handles_labels()[1]:
            axes.plot([], [], color=UNTRAINED, linestyle="--", linewidth=1.0, label=LINE)
        return
    axes.plot(x, rows["twin"], color=UNTRAINED, marker=".", linewidth=1.2, zorder=1.5, label=LINE)
    if np.isfinite(low).any():
        axes.fill_between(wide, low, high, color=UNTRAINED, alpha=0.22, linewidth=0, zorder=1, label=SPREAD)


def hollow_out(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, colour: str) -> None:
    """Mark the points that are within the spread of untrained networks."""
    inside = rows["inside"].to_numpy(bool)
    if inside.any():
        axes.plot(np.array(x)[inside], rows["mean"].to_numpy(float)[inside], **_hollow(colour), label="_hollow")


def _hollow(colour: str) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markerfacecolor": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.1,
        "zorder": 3,
    }
