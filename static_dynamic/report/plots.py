"""Common pieces of figures of stages: curves with intervals, bars with intervals, classes of units."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from static_dynamic.functional.released import UNIT_CLASSES
from static_dynamic.report.panels import draw_panels, of_streams
from static_dynamic.report.parts import all_classes
from static_dynamic.report.tables import class_shares, in_order
from static_dynamic.report.theme import Width, colours_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARE = "share of the layer, %"
UNITS = "units of the layer, %"


def plot_units(
    units: pd.DataFrame, label: str = UNITS, classes: Sequence[str] = UNIT_CLASSES, width: Width = "double"
) -> "Figure":
    """Share of the units of every class per stage, stacked to 100 percent; a panel per stream."""
    shares = class_shares(units, all_classes(units, classes))
    colours = colours_of(list(shares.columns))

    def panel(axes: "Axes", stages: list[str]) -> None:
        base = pd.Series(0.0, index=stages)
        for name in shares.columns[(shares > 0).any()]:
            heights = shares.loc[stages, name]
            axes.bar(range(len(stages)), heights, bottom=base, color=colours[name], label=name, width=0.75)
            base += heights
        axes.set_ylim(0, 100)

    return draw_panels(of_streams(list(shares.index)), panel, label, width)


def units_drawn(units: pd.DataFrame, classes: Sequence[str] = UNIT_CLASSES) -> pd.DataFrame:
    """The data of :func:`plot_units`: ``stage``, ``class``, ``percent``."""
    shares = class_shares(units, all_classes(units, classes)).rename_axis("stage").reset_index()
    return shares.melt("stage", var_name="class", value_name="percent")


def plot_means(table: pd.DataFrame, label: str, title: str = "", width: Width = "double") -> "Figure":
    """How large every factor is per stage: ``mean``, and a bar from ``low`` to ``high``; a panel per stream."""
    factors = in_order(table, "factor")
    colours = colours_of(factors)

    def panel(axes: "Axes", stages: list[str]) -> None:
        for offset, factor in enumerate(factors):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            plot_curve(axes, side_by_side(offset, len(factors), len(stages)), rows, factor, colours[factor])

    return draw_panels(of_streams(in_order(table, "stage")), panel, label, width, title)


def side_by_side(place: int, factors: int, stages: int) -> list[float]:
    """Places of the points of one of several factors on the horizontal axis."""
    return [i + 0.08 * (place - (factors - 1) / 2) for i in range(stages)]


def plot_curve(
    axes: "Axes", x: Sequence[float], rows: pd.DataFrame, factor: str, colour: str | None = None, marker: str = "o"
) -> None:
    """Draw a factor's ``mean``, with bars from ``low`` to ``high``, which need not contain it, unless these are NaN."""
    middle, reach = (rows["low"] + rows["high"]) / 2, (rows["high"] - rows["low"]) / 2
    colour = colour or colours_of([factor])[factor]
    # The bars are labelled for code that searches for them; the underscore keeps them out of the legend.
    axes.errorbar(x, middle, yerr=reach, fmt="none", capsize=2, ecolor=colour, label=f"_{factor}")
    axes.plot(x, rows["mean"], color=colour, marker=marker, label=factor)


def plot_bars(axes: "Axes", rows: Sequence[pd.DataFrame], factors: Sequence[str]) -> None:
    """Draw bars of several factors next to each other at 0, 1, 2 and so on.

    Args:
        axes: The axes to draw in.
        rows: For every factor, ``mean`` and the ends of its interval, ``low`` and ``high``.
        factors: Their names.
    """
    colours, thick = colours_of(factors), 0.8 / max(1, len(factors))
    for place, (factor, table) in enumerate(zip(factors, rows, strict=True)):
        x = np.arange(len(table)) + thick * (place - (len(factors) - 1) / 2)
        middle, reach = (table["low"] + table["high"]) / 2, (table["high"] - table["low"]) / 2
        axes.bar(x, table["mean"], thick, color=colours[factor], label=factor)
        axes.errorbar(
            x, middle, yerr=reach, fmt="none", elinewidth=1, capsize=2, ecolor="black", zorder=4, label=f"_{factor}"
        )
    axes.axhline(0, color="black", linewidth=0.8)
