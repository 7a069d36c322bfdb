"""The pictures of a result: numbers per stage over those of untrained networks, and classes of units."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from static_dynamic.report.parts import Part
from static_dynamic.report.plots import (
    UNITS,
    UNTRAINED,
    colours_of,
    per_stream,
    plot_curve,
    plot_units,
    save_figure,
    side_by_side,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL = "this model"
LINE = "untrained networks"
"""Of the same architecture."""
SPREAD = "their spread"
HOLLOW = "hollow: not distinguishable\nfrom an untrained network"
REACH = 0.3
"""How far band and dashes go on beside the first and the last stage, in distances of stages."""


def save_plots(parts: Sequence[Part], folder: Path) -> list[Path]:
    """Write ``layers`` and ``units`` as SVG and PNG: of the first part, and of the others under their names.

    Raises:
        UserError: If the folder cannot be written.
    """
    paths = []
    for part in parts:
        figures = {"layers": plot_part(part)}
        if not part.classes.empty:
            figures["units"] = plot_units(part.units, UNITS, part.described["classes"])
        for (name, figure), kind in product(figures.items(), ("svg", "png")):
            paths.append(folder / f"{name}{'' if part is parts[0] else f'-{part.name}'}.{kind}")
            save_figure(figure, paths[-1])
    return paths


def plot_part(part: Part) -> "Figure":
    """A picture of one estimator: a panel per stream.

    One number per stage is drawn over the grey line and band of untrained networks, on an axis of all it can be. Of
    several, each has a dashed line for them. A point is hollow where it lies within their spread.
    """
    table = part.numbers[part.numbers["factor"].isin(part.drawn)]
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
            axes.set_ylim(-3, 103)  # with room for the points at the ends

    return per_stream(part.stages, panel, part.label, part.title)


def draw_twins(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, colour: str | None) -> None:
    """What untrained networks give: a grey line on the band of their spread or, beside others, a dashed line."""
    wide = [x[0] - REACH, *x, x[-1] + REACH]  # so that those of a lone stage are seen
    twin, low, high = (np.pad(rows[name].to_numpy(float), 1, "edge") for name in ("twin", "twin_low", "twin_high"))
    if colour is not None:
        faded: dict[str, Any] = {"color": colour, "alpha": 0.45, "linestyle": "--", "linewidth": 1.2, "zorder": 1}
        axes.plot(wide, twin, label=f"_{LINE}", **faded)
        if LINE not in axes.get_legend_handles_labels()[1]:
            axes.plot([], [], color=UNTRAINED, linestyle="--", linewidth=1.2, label=LINE)
        return
    axes.plot(x, rows["twin"], color=UNTRAINED, marker=".", linewidth=1.6, zorder=1.5, label=LINE)
    if np.isfinite(low).any():
        axes.fill_between(wide, low, high, color=UNTRAINED, alpha=0.22, linewidth=0, zorder=1, label=SPREAD)


def hollow_out(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, colour: str) -> None:
    """Mark the points that lie within the spread of untrained networks."""
    inside = rows["inside"].to_numpy(bool)
    if inside.any():
        axes.plot(np.array(x)[inside], rows["mean"].to_numpy(float)[inside], **_hollow(colour), label="_hollow")


def _hollow(colour: str) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markerfacecolor": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.6,
        "zorder": 3,
    }
