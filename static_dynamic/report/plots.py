"""Plots of a result: share of every factor per stage, with intervals, and classes of units per stage."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.files import write_atomically
from static_dynamic.tables import class_shares, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart by colour-blind readers and, by their lightness, in grey.
COLOURS = {
    "dynamic": "#0072B2",
    "static": "#D55E00",
    "joint": "#009E73",
    "residual": "#8C8C8C",
    "dead": "#DDDDDD",
    "differ": "#CC79A7",
    "same": "#56B4E9",
}


def plot_layers(layers: pd.DataFrame) -> "Figure":
    """Share of every factor per stage, with intervals; a panel per stream."""
    factors = in_order(layers, "factor")

    def panel(axes: "Axes", stages: list[str]) -> None:
        for offset, factor in enumerate(factors):
            rows = layers[layers["factor"] == factor].set_index("stage").loc[stages]
            x = [i + 0.08 * (offset - (len(factors) - 1) / 2) for i in range(len(stages))]
            spread = [rows["share"] - rows["share_low"], rows["share_high"] - rows["share"]]
            axes.errorbar(x, rows["share"], yerr=spread, color=COLOURS[factor], marker="o", capsize=3, label=factor)

    return per_stream(in_order(layers, "stage"), panel, "share of the layer, percent")


def plot_units(units: pd.DataFrame) -> "Figure":
    """Share of the units of every class per stage, stacked to 100 percent; a panel per stream."""
    classes = class_shares(units)

    def panel(axes: "Axes", stages: list[str]) -> None:
        base = pd.Series(0.0, index=stages)
        for name in classes.columns[(classes > 0).any()]:
            heights = classes.loc[stages, name]
            axes.bar(range(len(stages)), heights, bottom=base, color=COLOURS[name], label=name, width=0.75)
            base += heights
        axes.set_ylim(0, 100)

    return per_stream(list(classes.index), panel, "units, percent")


def save_plots(layers: pd.DataFrame, units: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``layers`` and ``units`` as SVG and PNG.

    Raises:
        UserError: If the folder cannot be written.
    """
    paths = []
    for name, figure in (("layers", plot_layers(layers)), ("units", plot_units(units))):
        for kind in ("svg", "png"):
            paths.append(folder / f"{name}.{kind}")
            save_figure(figure, paths[-1])
    return paths


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure atomically, in the format of the file's name."""
    write_atomically(path, lambda partial: _render(figure, partial, path.suffix[1:]))


def svg(figure: "Figure") -> str:
    """A figure as an SVG element, to stand in a page."""
    text = StringIO()
    _render(figure, text, "svg")
    return text.getvalue()[text.getvalue().index("<svg") :]


def _render(figure: "Figure", target: Path | StringIO, kind: str) -> None:
    import matplotlib

    # Text stays text in SVG, and neither a date nor random ids make two equal figures differ.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "static-dynamic"}):
        figure.savefig(target, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)


def per_stream(all_stages: list[str], panel: Callable[["Axes", list[str]], None], label: str) -> "Figure":
    """A figure with one panel per stream (``slow.stage1`` and ``slow.stage2`` share one), sharing the vertical axis."""
    import seaborn as sns
    from matplotlib.figure import Figure

    streams: dict[str, list[str]] = {}
    for stage in all_stages:
        stream = stage.rpartition(".")[0] if "+" not in stage else "side by side"
        streams.setdefault(stream, []).append(stage)
    widths = [max(2, len(stages)) for stages in streams.values()]
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook"):
        figure = Figure(figsize=(2.4 + 0.8 * sum(widths), 4.2), layout="constrained")
        all_axes = figure.subplots(1, len(streams), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axes, (stream, stages) in zip(all_axes, streams.items(), strict=True):
            panel(axes, stages)
            names = [stage if "+" in stage else stage.rpartition(".")[2] for stage in stages]
            axes.set_xticks(range(len(stages)), names, rotation=30, ha="right")
            axes.set_xlim(-0.6, len(stages) - 0.4)
            axes.grid(visible=False, axis="x")
            axes.set_title(stream)
        all_axes[0].set_ylabel(label)
        handles, labels = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure
