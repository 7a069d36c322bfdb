"""What each task loses when units are taken out: bars with intervals in front of the losses of random sets."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.report.theme import BLACK, BLUE, GREY, PALE, VERMILION, house_style, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TASKS = {"appearance": VERMILION, "motion": BLUE}
TITLE = """Which task breaks? Names have the colour of the task that is predicted to;
at the right, how many units or directions, and their share of the stage's variance"""
SECTIONS = {
    "units": "First units of a score",
    "label": "All units of a label",
    "subspace": "A subspace",
    "frozen units": "Units see a frozen clip",
}
"""What was removed → heading."""
RANDOM = {"units": "random units", "subspace": "random directions", "frozen units": "random frozen units"}
ALL = "all units"
BAR, HEAD = 0.36, 0.9
"""Thickness of a bar, and what a heading takes, where groups are 1 apart."""
LEFT, RIGHT = -0.06, 1.02


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw causal.csv: a row of panels for each network, a panel for each stage."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    networks = list(dict.fromkeys(table["network"]))
    stages = {network: list(dict.fromkeys(table["stage"][table["network"] == network])) for network in networks}
    most = max(map(len, stages.values()))
    with house_style():
        figure = Figure(figsize=(3.2 + 3.5 * most, 1.1 + 6.6 * len(networks)), layout="constrained")
        grid = figure.subplots(len(networks), most, squeeze=False)
        for network, row in zip(networks, grid, strict=True):
            for number, axes in enumerate(row):
                if number >= len(stages[network]):
                    axes.set_visible(False)
                    continue
                stage = stages[network][number]
                rows = table[(table["network"] == network) & (table["stage"] == stage)]
                _panel(axes, rows, named=number == 0)
                axes.set_title(f"{network}\n{stage}" if number == 0 else stage, fontsize=11)
        handles = [Patch(color=colour, label=f"{task} accuracy") for task, colour in TASKS.items()]
        handles.append(Patch(color=PALE, label="random sets of equal variance: range and mean"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle(TITLE, fontsize=12)
    save_figure(figure, path)


def _panel(axes: "Axes", rows: pd.DataFrame, named: bool) -> None:
    place, ticks = 0.0, {}
    for removed, heading in SECTIONS.items():
        there = rows[rows["removed"] == removed]
        place += HEAD
        if named:
            axes.annotate(
                heading,
                (0, place - 0.85),
                (-158, 0),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                fontsize=9.5,
                fontweight="bold",
                annotation_clip=False,
                va="center",
            )
        for score in dict.fromkeys(there["score"]):
            group = there[there["score"] == score].set_index("task")
            _group(axes, place, group, _counterparts(rows, removed, score))
            ticks[place] = (score, group["predicts"].iloc[0])
            place += 1
    axes.axvline(0, color=BLACK, linewidth=0.8)
    axes.set_yticks(list(ticks), [score if named else "" for score, _ in ticks.values()], fontsize=9)
    for label, (_, predicts) in zip(axes.get_yticklabels(), ticks.values(), strict=True):
        label.set_color(TASKS.get(predicts, GREY))
    axes.set(xlim=(LEFT, RIGHT), ylim=(place - 0.4, -0.3), xlabel="accuracy lost", xticks=[0, 0.2, 0.4, 0.6, 0.8])
    axes.grid(visible=False, axis="y")


def _counterparts(rows: pd.DataFrame, removed: str, score: str) -> pd.DataFrame:
    """Random sets of as much variance, by task; of a label and of all units there are none."""
    random = rows[rows["removed"] == RANDOM.get(removed)]
    return random[random["score"].isin(["", score]) & (score != ALL)].set_index("task")


def _group(axes: "Axes", place: float, group: pd.DataFrame, random: pd.DataFrame) -> None:
    """Both tasks of one set, before its random counterparts."""
    share, units = group["share"].iloc[0], group["units"].iloc[0]
    if not units:
        axes.text(0.01, place, "no unit has it", fontsize=8.5, color=GREY, va="center", style="italic")
        return
    for task, at in zip(TASKS, (place - BAR / 2, place + BAR / 2), strict=True):
        if len(random):
            low, high, mean = (random.loc[task, name] for name in ("low", "high", "drop"))
            axes.barh(at, high - low, left=low, height=BAR, color=PALE, linewidth=0, zorder=1)
            axes.plot([mean, mean], [at - BAR / 2, at + BAR / 2], color=GREY, linewidth=1, zorder=2)
        drop, low, high = (group.loc[task, name] for name in ("drop", "low", "high"))
        axes.barh(at, drop, height=0.62 * BAR, color=TASKS[task], linewidth=0, zorder=3)
        axes.plot([low, high], [at, at], color=BLACK, linewidth=1.1, zorder=4)
    axes.text(
        RIGHT - 0.01, place, f"{units:g} · {100 * share:.0f} %", fontsize=7.5, color=GREY, va="center", ha="right"
    )
