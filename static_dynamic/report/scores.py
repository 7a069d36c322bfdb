"""Scores of units and of checkpoints: how they spread, their means, and their course over training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.report.plots import COLOURS, house_style, per_stream, plot_curve, shortened
from static_dynamic.report.tables import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = [float(end) for end in range(0, 52, 2)]
"""Percent: with scores in -1..1 a factor's part of the softmax lies in 6-47 %."""


def plot_histogram(percent: npt.NDArray[np.float64], factor: str, stage: str) -> "Figure":
    """How many units give a factor how large a part of their softmax, in percent; dead units are left out."""
    alive = percent[np.isfinite(percent)]
    with _one_panel(stage) as (figure, axes):
        axes.hist(alive, bins=BINS, color=COLOURS[factor], edgecolor="white", linewidth=0.5)
        if len(alive):
            axes.axvline(float(alive.mean()), color="black", linestyle="--", label=f"mean {alive.mean():.1f}")
            axes.legend(frameon=False, loc="upper left")  # "best" searches, and warns where it takes long
        else:
            axes.text(0.5, 0.5, "no unit varies", transform=axes.transAxes, ha="center")
            axes.set_yticks([0, 1])
        axes.set_xlim(BINS[0], BINS[-1])
        axes.set_xlabel(f"{factor}, % of the unit's softmax")
        axes.set_ylabel("units")
    return figure


def plot_course(table: pd.DataFrame, stage: str, label: str) -> "Figure":
    """How large every factor is over training, with intervals where there are any.

    Args:
        table: Columns ``iteration``, ``factor``, ``mean``, ``low``, ``high``.
        stage: The stage that it is about.
        label: What the values are.
    """
    with _one_panel(stage) as (figure, axes):
        for factor in in_order(table, "factor"):
            rows = table[table["factor"] == factor].sort_values("iteration")
            plot_curve(axes, list(rows["iteration"]), rows, factor)
        axes.set_xlabel("iteration")
        axes.set_ylabel(label)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def plot_scores(table: pd.DataFrame) -> "Figure":
    """Mean score of the units of every stage, with their standard deviation; a panel per stream.

    Args:
        table: Columns ``stage``, ``factor``, ``mean``, ``std``.
    """
    factors = in_order(table, "factor")
    width = 0.8 / len(factors)

    def panel(axes: "Axes", stages: list[str]) -> None:
        for place, factor in enumerate(factors):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            x = np.arange(len(stages)) + width * (place - (len(factors) - 1) / 2)
            error = {"elinewidth": 1, "capsize": 2}
            axes.bar(x, rows["mean"], width, yerr=rows["std"], color=COLOURS[factor], label=factor, error_kw=error)
        axes.axhline(0, color="black", linewidth=0.8)

    return per_stream(in_order(table, "stage"), panel, "score of units, mean ± std")


@contextmanager
def _one_panel(title: str) -> "Iterator[tuple[Figure, Axes]]":
    """A figure with one panel, in the style of all others."""
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.set_title(shortened(title))
        axes.grid(visible=False, axis="x")
        yield figure, axes
