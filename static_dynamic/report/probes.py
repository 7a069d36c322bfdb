"""The picture of probes: score over the stages, a panel per target, beside controls and untrained networks."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from static_dynamic.report.pictures import LINE, MODEL
from static_dynamic.report.plots import GREY, UNTRAINED, colours_of, house_style, shortened
from static_dynamic.report.tables import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 3
LEAST = -0.25
"""The lowest score that is drawn; R² has no lower end."""
INTERVAL, ONSET = "95 % interval", "onset, 95 % interval"
CONTROL, CHANCE = "control labels, ± sd", "chance"
LEGEND = (MODEL, INTERVAL, ONSET, LINE, CONTROL, CHANCE)
MEASURES = {"classes": "balanced accuracy", "number": "R²", "angle": "mean cosine of the error"}


def plot_probes(table: pd.DataFrame, onsets: pd.DataFrame) -> "Figure":
    """Score with its interval, chance, control and twin over the stages; the onset is marked below.

    Args:
        table: As in :attr:`static_dynamic.probes.result.ProbeResult.table`.
        onsets: As in :attr:`static_dynamic.probes.result.ProbeResult.onsets`.
    """
    from matplotlib.figure import Figure

    targets, stages = in_order(table, "target"), in_order(table, "stage")
    columns = min(MOST_COLUMNS, len(targets))
    lines = -(-len(targets) // columns)
    width = max(3.2, 1.4 + 0.42 * len(stages))
    with house_style():
        figure = Figure(figsize=(columns * width + 2.2, lines * 3.1 + 0.6), layout="constrained")
        panels = figure.subplots(lines, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for axes, target in zip(panels, targets, strict=False):
            onset = onsets[onsets["target"] == target].iloc[0]
            _panel(axes, table[table["target"] == target].set_index("stage").reindex(stages), onset)
            axes.set_title(shortened(target), loc="left", fontweight="bold", fontsize=11)
            kind = table.loc[table["target"] == target, "kind"].iloc[0]
            axes.set_title(MEASURES[kind], loc="right", fontsize=9, color=UNTRAINED)
            axes.set_xticks(range(len(stages)), list(map(shortened, stages)), rotation=30, ha="right", fontsize=9)
            axes.tick_params(labelbottom=True)
            axes.grid(visible=False, axis="x")
        for axes in panels[len(targets) :]:
            axes.set_visible(False)
        lowest = min(table["score"].min(), table["low"].min(), 0)
        panels[0].set_ylim(max(LEAST, lowest - 0.06), 1.05)
        for axes in panels[::columns]:
            axes.set_ylabel("score on unseen groups")
        drawn = dict(zip(*panels[0].get_legend_handles_labels()[::-1], strict=True))
        labels = [label for label in LEGEND if label in drawn]
        figure.legend([drawn[label] for label in labels], labels, loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _panel(axes: "Axes", rows: pd.DataFrame, onset: pd.Series) -> None:
    """One target."""
    colour, x = colours_of(["dynamic"])["dynamic"], np.arange(len(rows))
    axes.axhline(rows["chance"].max(), color=GREY, linestyle=":", linewidth=1.2, label=CHANCE, zorder=1)
    small: dict[str, Any] = {"color": GREY, "linewidth": 1, "marker": "s", "markersize": 3, "capsize": 2}
    axes.errorbar(x, rows["control"], rows["control_sd"], label=CONTROL, **small)
    if "twin" in rows and rows["twin"].notna().any():
        axes.plot(x, rows["twin"], color=UNTRAINED, linestyle="--", marker=".", label=LINE)
        axes.fill_between(x, rows["twin_low"], rows["twin_high"], color=UNTRAINED, alpha=0.15, linewidth=0)
    axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0, label=INTERVAL)
    axes.plot(x, rows["score"], color=colour, marker="o", markersize=5, label=MODEL, zorder=3)
    _mark_onset(axes, list(rows.index), onset, colour)


def _mark_onset(axes: "Axes", stages: list[str], onset: pd.Series, colour: str) -> None:
    """A triangle on the lower edge at the onset, and a bar over the stages that hold it in 95 % of resamples."""
    edge = axes.get_xaxis_transform()
    marker: dict[str, Any] = {"linestyle": "none", "marker": "^", "color": colour, "markersize": 9}
    axes.plot([], [], label=ONSET, **marker)
    if onset["onset"] in stages:
        ends = [stages.index(end) if end in stages else len(stages) - 0.6 for end in (onset["low"], onset["high"])]
        axes.plot(ends, [0.035, 0.035], color=colour, linewidth=4, alpha=0.4, transform=edge, solid_capstyle="round")
        axes.plot([stages.index(onset["onset"])], [0.035], transform=edge, zorder=4, **marker)
