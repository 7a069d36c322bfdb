"""Estimates against the truth: a panel per estimator, and which units each of them puts into the correct class."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.truth.judging import CAUSES, NEEDS, READINGS, Question
from static_dynamic.report.theme import BLUE, COLOURS, GREY, VERMILION, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "factorial_shares": ("motion", "1600 crossed clips"),
    "needs_motion": ("motion", "200 videos"),
    "needs_order": ("order", "200 videos"),
    "four_pair": ("order", "200 videos"),
    "pearson_within": ("dynamic", "200 videos"),
    "released": ("dynamic", "200 videos"),
}
"""Estimator → the quantity that is drawn, and of which clips."""
ASKED = {
    CAUSES: "Does the unit depend on appearance, on motion, on both?",
    NEEDS: "Does the unit need more than a still frame?",
}
SHADES = ("#BFE3D5", VERMILION)
"""Colours of units whose class is always correct, and never."""


def draw(numbers: pd.DataFrame, truth: pd.DataFrame, path: Path) -> None:
    """Draw `estimates.csv` and `planted_truth.csv`."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    there = [name for name in PANELS if name in set(numbers["estimator"])]
    judged = [name for name in READINGS if name in set(numbers["estimator"])]
    groups = [(question, [name for name in judged if READINGS[name].question == question]) for question in ASKED]
    groups = [(question, names) for question, names in groups if names]
    lower = sum(1.9 + 0.3 * len(names) for _, names in groups)
    figure = Figure(figsize=(15, 3.7 + lower), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3.7, lower))
    for axes, name in zip(np.atleast_1d(above.subplots(1, len(there))), there, strict=True):
        _scatter(axes, numbers, name)
    above.suptitle("What estimators say of motion, beside what is true. A point per planted unit; a cross: wrong class")
    heights = [1.9 + 0.3 * len(names) for _, names in groups]
    panels = below.subplots(len(groups), 1, height_ratios=heights, squeeze=False)
    for axes, (question, names) in zip(panels[:, 0], groups, strict=True):
        _heat(axes, numbers, truth, names, question)
    below.legend(
        handles=[
            Patch(color=colour, label=f"class right in {n} draws")
            for n, colour in zip(("all", "no"), SHADES, strict=True)
        ],
        loc="outside upper right",
        ncols=2,
        frameon=False,
    )
    save_figure(figure, path)


def _scatter(axes: "Axes", numbers: pd.DataFrame, name: str) -> None:
    """Estimates against the truth of one estimator."""
    quantity, clips = PANELS[name]
    rows = numbers[(numbers["estimator"] == name) & (numbers["quantity"] == quantity)].dropna(subset=["estimate"])
    right = rows["class"] == rows["true_class"]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, zorder=0)
    axes.scatter(rows["truth"][right], rows["estimate"][right], s=28, color=BLUE, alpha=0.8, linewidths=0)
    axes.scatter(rows["truth"][~right], rows["estimate"][~right], s=34, color=VERMILION, marker="x")
    asked = "needs motion, truly" if READINGS[name].question == NEEDS else "share of motion, truly"
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.3, 1.05), xlabel=asked, aspect="equal")
    axes.set_ylabel(f"estimate ({quantity})")
    axes.set_title(f"{name}\n{clips}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _heat(axes: "Axes", numbers: pd.DataFrame, truth: pd.DataFrame, names: list[str], question: Question) -> None:
    """Which units each estimator puts into the right class, units sorted by their true class."""
    from matplotlib.colors import LinearSegmentedColormap

    place = truth[question.right].map(question.classes.index)
    order = truth.assign(place=place).sort_values("place", kind="stable")
    units, classes = list(order["unit"]), list(order[question.right])
    found = numbers.drop_duplicates(["estimator", "unit"]).pivot(index="estimator", columns="unit", values="right")
    right = found.loc[names, units].to_numpy()
    axes.imshow(right, cmap=LinearSegmentedColormap.from_list("right", SHADES[::-1]), vmin=0, vmax=100, aspect="auto")
    axes.set_title(ASKED[question], loc="left", fontsize=11, pad=26)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(units)), units, rotation=55, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_xticks(np.arange(-0.5, len(units)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(names)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    for name in dict.fromkeys(classes):
        _bracket(axes, name, [i for i, one in enumerate(classes) if one == name])
    axes.set_xlim(-0.5, len(units) - 0.5)
    for row, of in enumerate(right):
        axes.text(len(units) - 0.3, row, f"{of.mean():.0f} %", va="center", fontsize=10)


def _bracket(axes: "Axes", name: str, places: list[int]) -> None:
    """The name of a class over its units, in the class's colour."""
    above = axes.get_xaxis_transform()
    ends = (places[0] - 0.45, places[-1] + 0.45)
    axes.plot(ends, (1.03, 1.03), transform=above, clip_on=False, color=COLOURS[name], linewidth=3)
    side, at = ("center", float(np.mean(places))) if len(places) > 3 else ("right", ends[1])
    if name == "dead":
        side, at = "left", ends[0]
    axes.annotate(name, (at, 1.03), (0, 4), xycoords=above, textcoords="offset points", ha=side, fontsize=9)
