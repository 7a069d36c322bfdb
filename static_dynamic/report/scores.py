"""Scores of units and of checkpoints: their distribution, their means, and their course over training."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.panels import draw_grid, draw_panels, of_streams
from static_dynamic.report.parts import Part
from static_dynamic.report.plots import plot_bars, plot_curve
from static_dynamic.report.tables import in_order
from static_dynamic.report.theme import Width, colours_of, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

BINS: Array = np.arange(0.0, 52.0, 2.0)
"""Percent: with scores in -1..1 a factor's part of the softmax is in 6-47 %."""
COUNT = 25
"""Number of bins of scores."""
FAINT = 0.35
"""Opacity of histograms that overlap."""


class Histogram(NamedTuple):
    """Numbers of units.

    Attributes:
        counts: Rows of ``stage``, ``factor``, ``low`` and ``high`` (the ends of a bin), ``units``.
        means: Rows of ``stage``, ``factor``, ``mean``, and ``undefined``: units without a score, which are left out.
    """

    counts: pd.DataFrame
    means: pd.DataFrame


def histogram(units: pd.DataFrame, factors: list[str], bins: Array | None = None) -> Histogram:
    """Count the units of every stage by score; scores beyond the bins are in the first or the last bin.

    Args:
        units: Columns ``stage`` and the factors.
        factors: Factors whose scores are counted.
        bins: Ends of the bins; ``None`` is from -1 or 0 to 1, or wider where scores exceed this.
    """
    bins = bins_of(units[factors].to_numpy(float)) if bins is None else bins
    counts, means = [], []
    for stage, rows in units.groupby("stage", sort=False):
        for factor in factors:
            scores = rows[factor].to_numpy(float)
            alive = scores[np.isfinite(scores)]
            found = np.histogram(np.clip(alive, bins[0], bins[-1]), bins)[0]
            of = {"stage": stage, "factor": factor}
            counts.append(pd.DataFrame({**of, "low": bins[:-1], "high": bins[1:], "units": found}))
            mean = float(alive.mean()) if len(alive) else np.nan
            means.append({**of, "mean": mean, "undefined": len(scores) - len(alive)})
    return Histogram(pd.concat(counts, ignore_index=True), pd.DataFrame(means))


def bins_of(scores: Array) -> Array:
    """Ends of bins that contain all scores."""
    scores = scores[np.isfinite(scores)]
    least, most = (scores.min(), scores.max()) if len(scores) else (0.0, 1.0)
    low = 0.0 if least >= 0 else min(-1.0, float(np.floor(least)))
    return np.linspace(low, max(1.0, float(np.ceil(most))), COUNT + 1)


def plot_histogram(found: Histogram, label: str, width: Width = "double", title: str = "") -> "Figure":
    """Draw the histogram of scores of units, a panel per stage; means are dashed.

    Args:
        found: The histogram.
        label: Label of the scores.
        width: Width of the figure.
        title: Title above all.
    """
    factors = in_order(found.counts, "factor")
    colours = colours_of(factors)
    by_stage = {str(stage): rows for stage, rows in found.counts.groupby("stage", sort=False)}
    means = {(row["stage"], row["factor"]): row for row in rows_of(found.means)}

    def panel(axes: "Axes", stage: str) -> None:
        for factor in factors:
            rows, mean = by_stage[stage], means[stage, factor]
            rows = rows[rows["factor"] == factor]
            edges = [*rows["low"], rows["high"].iloc[-1]]
            fine: dict[str, Any] = {"color": colours[factor], "linewidth": 0.9}
            axes.stairs(rows["units"], edges, fill=True, color=colours[factor], alpha=FAINT)
            axes.stairs(rows["units"], edges, label=factor if len(factors) > 1 else None, **fine)
            axes.axvline(mean["mean"], linestyle="--", **fine)
        axes.set_xlim(found.counts["low"].min(), found.counts["high"].max())
        axes.set_ylim(bottom=0, top=max(1.0, 1.05 * found.counts["units"].max()))
        axes.locator_params(axis="x", nbins=4)
        axes.locator_params(axis="y", nbins=4, integer=True)

    undefined = {stage: max(int(means[stage, factor]["undefined"]) for factor in factors) for stage in by_stage}
    names = {stage: shortened(stage) + (f" ({left} undefined)" if left else "") for stage, left in undefined.items()}
    return draw_grid(names, panel, (label, "units"), width, title)


def course(parts: "dict[float, Part]") -> pd.DataFrame:
    """The numbers of one estimator at every iteration: columns ``iteration``, ``stage``, ``factor``, ``mean``, ends."""
    columns = ["iteration", "stage", "factor", "mean", "low", "high"]
    tables = [part.numbers.assign(iteration=iteration) for iteration, part in sorted(parts.items())]
    drawn = next(iter(parts.values())).drawn
    table = pd.concat(tables, ignore_index=True)
    return table.loc[table["factor"].isin(drawn), columns]


def plot_course(table: pd.DataFrame, label: str, width: Width = "double", title: str = "") -> "Figure":
    """Draw every factor over training, with intervals where there are any; a panel per stage.

    Args:
        table: Columns ``iteration``, ``stage``, ``factor``, ``mean``, ``low``, ``high``.
        label: Label of the values.
        width: Width of the figure.
        title: Title above all.
    """
    factors = in_order(table, "factor")
    colours = colours_of(factors)

    def panel(axes: "Axes", stage: str) -> None:
        for factor in factors:
            rows = table[(table["stage"] == stage) & (table["factor"] == factor)].sort_values("iteration")
            plot_curve(axes, list(rows["iteration"]), rows, factor, colours[factor])
        axes.locator_params(axis="x", nbins=3)

    return draw_grid(
        {stage: shortened(stage) for stage in in_order(table, "stage")}, panel, ("iteration", label), width, title
    )


def plot_scores(table: pd.DataFrame, label: str = "score of units, mean ± std", width: Width = "double") -> "Figure":
    """Draw a bar for every factor of every stage, with an interval; a panel per stream.

    Args:
        table: Columns ``stage``, ``factor``, ``mean``, ``low``, ``high``.
        label: Label of the values.
        width: Width of the figure.
    """
    factors = in_order(table, "factor")

    def panel(axes: "Axes", stages: list[str]) -> None:
        rows = [table[table["factor"] == factor].set_index("stage").loc[stages] for factor in factors]
        plot_bars(axes, rows, factors)

    return draw_panels(of_streams(in_order(table, "stage"), len(factors)), panel, label, width)
