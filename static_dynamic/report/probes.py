"""The figure of probes: score over the stages, a panel per target, with controls and untrained networks."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from static_dynamic.report.panels import Panel, draw_panels, side_by_side_names
from static_dynamic.report.pictures import LINE, MODEL
from static_dynamic.report.tables import in_order
from static_dynamic.report.theme import GREY, UNTRAINED, Width, colours_of, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = -0.25
"""The lowest score that is drawn, since R² does not have a lower end."""
INTERVAL, ONSET = "95 % interval", "onset, 95 % interval"
CONTROL, CHANCE = "control labels, ± sd", "chance"
MEASURES = {"classes": "balanced accuracy", "number": "R²", "angle": "mean cosine of the error"}


def plot_probes(table: pd.DataFrame, onsets: pd.DataFrame, width: Width = "double") -> "Figure":
    """Score with its interval, chance, control and twin over the stages; the onset is marked below.

    Args:
        table: As in :attr:`static_dynamic.probes.result.ProbeResult.table`.
        onsets: As in :attr:`static_dynamic.probes.result.ProbeResult.onsets`.
        width: Width of the figure.
    """
    names = {stage: side_by_side_names(stage) for stage in in_order(table, "stage")}
    place = {stage: number for number, stage in enumerate(names)}
    by_target = {str(target): rows for target, rows in table.groupby("target", sort=False)}
    onset = {str(row["target"]): row for _, row in onsets.iterrows()}
    drawn = [
        *(table[name] for name in ("score", "low", "twin_low") if name in table),
        table["control"] - table["control_sd"],
    ]
    lowest = max(LEAST, min(0, *(values.min() for values in drawn if values.notna().any())) - 0.06)

    def panel(axes: "Axes", keys: list[tuple[str, str]]) -> None:
        target = keys[0][0]
        rows = by_target[target].set_index("stage").reindex([stage for _, stage in keys])
        _panel(axes, rows)
        _mark_onset(axes, onset[target], place, keys)
        axes.set_ylim(lowest, 1.05)

    panels = [
        Panel(
            f"{shortened(target)}\n{MEASURES[rows['kind'].iloc[0]]}",
            {(target, stage): name for stage, name in names.items()},
        )
        for target, rows in by_target.items()
    ]
    return draw_panels(panels, panel, "score on unseen groups", width)


def _panel(axes: "Axes", rows: pd.DataFrame) -> None:
    """Draw one target."""
    colour, x = colours_of(["dynamic"])["dynamic"], np.arange(len(rows))
    axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0, label=INTERVAL)
    axes.plot(x, rows["score"], color=colour, marker="o", label=MODEL, zorder=3)
    if "twin" in rows and rows["twin"].notna().any():
        axes.plot(x, rows["twin"], color=UNTRAINED, linestyle="--", marker=".", label=LINE)
        axes.fill_between(x, rows["twin_low"], rows["twin_high"], color=UNTRAINED, alpha=0.15, linewidth=0)
    small: dict[str, Any] = {"color": GREY, "linewidth": 1, "marker": "s", "markersize": 2.5, "capsize": 1.5}
    axes.errorbar(x, rows["control"], rows["control_sd"], label=CONTROL, **small)
    axes.axhline(rows["chance"].max(), color=GREY, linestyle=":", linewidth=1, label=CHANCE, zorder=1)


def _mark_onset(axes: "Axes", onset: pd.Series, place: dict[str, int], keys: list[tuple[str, str]]) -> None:
    """Draw a triangle on the lower edge at the onset, and a bar over the stages that contain it in 95 % of resamples.

    Args:
        axes: Axes of some stages of a target.
        onset: Onset of the target.
        place: Place of every stage.
        keys: Keys of the target and these stages.
    """
    edge, colour = axes.get_xaxis_transform(), colours_of(["dynamic"])["dynamic"]
    marker: dict[str, Any] = {"linestyle": "none", "marker": "^", "color": colour, "markersize": 6}
    axes.plot([], [], label=ONSET, **marker)
    if onset["onset"] not in place:
        return
    first = place[keys[0][1]]  # other stages may be in other lines of the figure
    low, at, high = (place.get(onset[name], len(place) - 0.6) - first for name in ("low", "onset", "high"))
    ends = np.clip([low, high], -0.4, len(keys) - 0.6)
    if low <= ends[1] and high >= ends[0]:
        axes.plot(ends, [0.035, 0.035], color=colour, linewidth=3, alpha=0.4, transform=edge, solid_capstyle="round")
    if 0 <= at < len(keys):
        axes.plot([at], [0.035], transform=edge, zorder=4, **marker)
