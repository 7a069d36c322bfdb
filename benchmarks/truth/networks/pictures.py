"""Pictures of the table: every network over its stages, and every estimator against the truth."""

from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.truth.networks.zoo import RANDOM, Network, named
from static_dynamic.models.truth.biases import TAUGHT
from static_dynamic.report.several import Curve, plot_curves
from static_dynamic.report.theme import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, UNTRAINED, VERMILION, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORTCUTS = dict(zip([bias for bias in TAUGHT if bias.startswith("shortcut")], (GREEN, ORANGE), strict=True))
COLOURS = {"motion": BLUE, **SHORTCUTS, "both": PURPLE, "appearance": VERMILION, RANDOM: UNTRAINED}
WORDS = {bias: bias.replace("shortcut", "shortcut ") + " %" for bias in SHORTCUTS}
"""Biases that have another name in pictures."""
FAMILIES = {"cnn": "3-D CNN", "timesformer": "TimeSformer"}
MARKERS = {"cnn": "o", "timesformer": "^"}
TRUTH, SHOWN = "truth", "estimate"
PANELS = {
    "Truth: depends on motion, %": ("needs_motion", TRUTH),
    "Estimate: needs motion, %": ("needs_motion", SHOWN),
    "Published score: dynamic, %": ("released: dynamic", SHOWN),
}
"""Title → estimator and column."""
NUMBERS = ["stage", "mean", "low", "high"]


def curves(layers: pd.DataFrame) -> "Figure":
    """Truth, needs-motion and the published score over the stages: a curve per network, a row per family."""
    from matplotlib.figure import Figure

    networks = [named(str(name)) for name in layers["network"].unique()]
    families = list(dict.fromkeys(network.family for network in networks))
    with house_style():
        figure = Figure(figsize=(14, 0.5 + 3.9 * len(families)), layout="constrained")
        panels = figure.subplots(len(families), len(PANELS), sharey=True, squeeze=False)
        for family, row in zip(families, panels, strict=True):
            members = [network for network in networks if network.family == family]
            for axes, (title, (estimator, column)) in zip(row, PANELS.items(), strict=True):
                _panel(axes, layers[layers["estimator"] == estimator], members, column)
                axes.set_title(title if family == families[0] else "", loc="left", fontsize=13)
            row[0].set_ylabel(FAMILIES.get(family, family), fontsize=13, fontweight="bold")
    return figure


def _panel(axes: "Axes", layers: pd.DataFrame, members: list[Network], column: str) -> None:
    """The curves of one family; second seeds are thin lines, and random networks are a band over all of them."""
    columns = {column: "mean"} | ({"low": "low", "high": "high"} if column == SHOWN else {})
    rows = {one: layers[layers["network"] == one.name].reset_index(drop=True) for one in members}
    numbers = {one: of[["stage", *columns]].rename(columns=columns) for one, of in rows.items()}
    drawn = {}
    for one, of in numbers.items():
        if one.taught and one.bias not in drawn:
            drawn[one.bias] = Curve(of.reindex(columns=NUMBERS), COLOURS[one.bias])
        elif one.taught:
            axes.plot(of["mean"], color=COLOURS[one.bias], linewidth=1, alpha=0.8)
    if random := [of["mean"] for one, of in numbers.items() if not one.taught]:
        drawn[RANDOM] = Curve(_band(next(iter(numbers.values()))["stage"], pd.concat(random, axis=1)), UNTRAINED, True)
    plot_curves(axes, {WORDS.get(bias, bias): curve for bias, curve in drawn.items()})
    axes.spines[["top", "right"]].set_visible(False)


def _band(stages: "pd.Series[str]", values: pd.DataFrame) -> pd.DataFrame:
    """Mean and extremes over networks, a column of ``values`` each."""
    return pd.DataFrame(
        {"stage": stages, "mean": values.mean(axis=1), "low": values.min(axis=1), "high": values.max(axis=1)}
    )


def scatters(layers: pd.DataFrame, summary: pd.DataFrame) -> "Figure":
    """Every estimator against the truth: a point per network and stage, on the line where it is correct."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    names, about = list(dict.fromkeys(layers["estimator"])), summary.set_index("estimator")
    columns = -(-len(names) // 2)
    with house_style():
        figure = Figure(figsize=(3 * columns, 7.4), layout="constrained")
        panels = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
        for axes, name in zip(panels.flat, names, strict=False):
            _scatter(axes, layers[layers["estimator"] == name], about.loc[name])
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        figure.supxlabel("truth: share that depends on motion, %", fontsize=12)
        figure.supylabel("estimate, %", fontsize=12)
        networks = [named(str(name)) for name in layers["network"].unique()]
        there = [bias for bias in COLOURS if bias in {network.bias for network in networks}]
        handles = [
            Line2D([], [], color=COLOURS[bias], marker="o", linestyle="", label=WORDS.get(bias, bias)) for bias in there
        ]
        families = list(dict.fromkeys(network.family for network in networks))
        for family in families if len(families) > 1 else ():
            shape = MARKERS.get(family, "s")
            handles.append(Line2D([], [], color=GREY, marker=shape, linestyle="", label=FAMILIES.get(family, family)))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def _scatter(axes: "Axes", rows: pd.DataFrame, about: "pd.Series[float]") -> None:
    """One estimator; its error and rank correlation are above."""
    axes.plot([0, 100], [0, 100], color=PALE, linewidth=2, zorder=1)
    for name, some in rows.groupby("network", sort=False):
        network = named(str(name))
        colour, shape = COLOURS[network.bias], MARKERS.get(network.family, "s")
        axes.scatter(
            some["truth"], some["estimate"], s=26, color=colour, marker=shape, alpha=0.8, linewidths=0, zorder=2
        )
    axes.set(xlim=(-4, 104), ylim=(-4, 104), xticks=range(0, 101, 50), yticks=range(0, 101, 50), aspect="equal")
    title = str(rows["estimator"].iloc[0]).replace("dynamic / (dynamic + static)", "\ndynamic / (dynamic + static)")
    axes.set_title(f"{title}\nerror {about['error']:.1f}, ρ {about['spearman']:.2f}", fontsize=10.5)
    axes.spines[["top", "right"]].set_visible(False)
