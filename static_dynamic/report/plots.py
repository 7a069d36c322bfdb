"""Plots of a result: share of every factor per stage, with intervals, and classes of units per stage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.common.files import write_atomically
from static_dynamic.report.tables import class_shares, in_order, stream_and_name

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
LONGEST_NAME = 40
"""Characters of a name below or above a picture."""
SLANTED = 12
"""Characters of a name below a picture for which there is room; longer ones make it larger."""
MOST_PANELS = 24
WIDEST = 400.0
"""Inches; at 150 dots an inch this is nearly as wide as a picture can be."""
SHARE = "share of the layer, %"
UNITS = "units of the layer, %"


def plot_layers(layers: pd.DataFrame) -> "Figure":
    """Share of every factor per stage, with intervals; a panel per stream."""
    columns = {"share": "mean", "share_low": "low", "share_high": "high"}
    return plot_means(layers[["stage", "factor", *columns]].rename(columns=columns), SHARE)


def plot_means(table: pd.DataFrame, label: str) -> "Figure":
    """How large every factor is per stage: ``mean``, and a bar from ``low`` to ``high``; a panel per stream."""
    factors = in_order(table, "factor")

    def panel(axes: "Axes", stages: list[str]) -> None:
        for offset, factor in enumerate(factors):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            plot_curve(axes, [i + 0.08 * (offset - (len(factors) - 1) / 2) for i in range(len(stages))], rows, factor)

    return per_stream(in_order(table, "stage"), panel, label)


def plot_curve(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, factor: str) -> None:
    """A factor's ``mean``, with bars from ``low`` to ``high``, which need not hold it; no bar where these are NaN."""
    middle, reach = (rows["low"] + rows["high"]) / 2, (rows["high"] - rows["low"]) / 2
    # The bars are labelled for those who look for them; the underscore keeps them out of the legend.
    axes.errorbar(x, middle, yerr=reach, fmt="none", capsize=3, ecolor=COLOURS[factor], label=f"_{factor}")
    axes.plot(x, rows["mean"], color=COLOURS[factor], marker="o", label=factor)


def plot_units(units: pd.DataFrame, label: str = UNITS) -> "Figure":
    """Share of the units of every class per stage, stacked to 100 percent; a panel per stream."""
    classes = class_shares(units)

    def panel(axes: "Axes", stages: list[str]) -> None:
        base = pd.Series(0.0, index=stages)
        for name in classes.columns[(classes > 0).any()]:
            heights = classes.loc[stages, name]
            axes.bar(range(len(stages)), heights, bottom=base, color=COLOURS[name], label=name, width=0.75)
            base += heights
        axes.set_ylim(0, 100)

    return per_stream(list(classes.index), panel, label)


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
    """A figure with one panel per stream (``slow.stage1`` and ``slow.stage2`` share one), sharing the vertical axis.

    Stages of very many streams share one panel, under their full names.
    """
    from matplotlib.figure import Figure

    streams: dict[str, dict[str, str]] = {}
    for stage in all_stages:
        stream, name = stream_and_name(stage)
        streams.setdefault(stream, {})[stage] = name
    if len(streams) > MOST_PANELS:
        streams = {"": {stage: stage for stage in all_stages}}
    widths = [max(2, len(stages)) for stages in streams.values()]
    slanted = max(
        len(line) for stages in streams.values() for name in stages.values() for line in _tick(name).split("\n")
    )
    room = 0.06 * max(0, slanted - SLANTED)
    with house_style():
        figure = Figure(figsize=(min(2.4 + 0.8 * sum(widths) + room, WIDEST), 4.2 + room / 2), layout="constrained")
        all_axes = figure.subplots(1, len(streams), sharey=True, squeeze=False, width_ratios=widths)[0]
        for axes, (stream, stages) in zip(all_axes, streams.items(), strict=True):
            panel(axes, list(stages))
            axes.set_xticks(range(len(stages)), [_tick(name) for name in stages.values()], rotation=30, ha="right")
            axes.set_xlim(-0.6, len(stages) - 0.4)
            axes.grid(visible=False, axis="x")
            axes.set_title(shortened(stream))
        all_axes[0].set_ylabel(label)
        handles, labels = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


@contextmanager
def house_style() -> Iterator[None]:
    """The look of all figures that are made meanwhile; a dollar in a name is a dollar, and begins no formula."""
    import matplotlib
    import seaborn as sns

    dollars = matplotlib.rc_context({"text.parse_math": False})
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook"), dollars:
        yield


def shortened(name: str) -> str:
    """A name that fits beside a picture.

    Example:
        >>> shortened("blocks.3.attention.projection_of_the_values_of_all_heads")
        'blocks.3.attention.…values_of_all_heads'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2 - 1]}…{name[1 - LONGEST_NAME // 2 :]}"


def _tick(name: str) -> str:
    """The name of a stage below its place; stages side by side, below each other."""
    return "+\n".join(map(shortened, name.split("+")))
