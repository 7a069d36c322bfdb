"""Several networks in one picture: one curve each over the stages, with its name at its end."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from static_dynamic.report.plots import plot_curve
from static_dynamic.report.theme import UNTRAINED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 5.5
"""Least distance of two names, in hundredths of the axis."""


class Curve(NamedTuple):
    """One network under one estimator.

    Attributes:
        numbers: Rows of `Part.numbers`: per stage ``mean``, ``low``, ``high``.
        colour: Colour of its line and its name.
        band: Whether ``low`` and ``high`` are drawn as a band rather than as bars.
    """

    numbers: pd.DataFrame
    colour: str
    band: bool = False


def untrained(numbers: pd.DataFrame) -> Curve:
    """The curve of the untrained networks in the rows of `Part.numbers`."""
    twins = numbers[["stage", "twin", "twin_low", "twin_high"]]
    return Curve(twins.set_axis(["stage", "mean", "low", "high"], axis=1), UNTRAINED, band=True)


def plot_curves(axes: "Axes", curves: Mapping[str, Curve], top: float = 100) -> None:
    """Draw curves of shares, percent, over the same number of stages; names are at the right, without overlap."""
    stages = list(next(iter(curves.values())).numbers["stage"])
    x = list(range(len(stages)))
    for name, (numbers, colour, band) in curves.items():
        if band:
            axes.fill_between(x, numbers["low"], numbers["high"], color=colour, alpha=0.22, linewidth=0, zorder=1)
            axes.plot(x, numbers["mean"], color=colour, marker=".", linewidth=1.6, zorder=1.5)
        else:
            plot_curve(axes, x, numbers, name, colour)
    ends = [float(curve.numbers["mean"].iloc[-1]) for curve in curves.values()]
    for (name, curve), height in zip(curves.items(), spread(ends, APART * top / 100), strict=True):
        axes.text(x[-1] + 0.2, height, name, color=curve.colour, va="center", ha="left", fontsize=10.5)
    axes.set_xticks(x, stages)
    axes.set_xlim(-0.2, x[-1] + 0.15)
    axes.set_ylim(-0.03 * top, 1.03 * top)
    axes.grid(visible=False, axis="x")


def spread(heights: list[float], apart: float) -> list[float]:
    """Move heights as little as possible so that neighbours are ``apart``.

    Example:
        >>> spread([10, 11, 50], apart=5)
        [8.0, 13.0, 50.0]
    """
    order = np.argsort(heights, kind="stable")
    # Heights less the room of their ranks must not fall: pool neighbours that do.
    groups: list[list[float]] = []
    for place, height in enumerate(np.asarray(heights, float)[order]):
        groups.append([height - place * apart])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = [float(np.mean(group)) + 0.0 for group in groups for _ in group]
    found = np.empty(len(heights))
    found[order] = [height + place * apart for place, height in enumerate(moved)]
    return [float(height) for height in found]
