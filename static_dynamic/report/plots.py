"""What all plots of a result share: colours, panels of streams, curves with intervals, classes of units per stage."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.common.files import write_atomically
from static_dynamic.functional.released import UNIT_CLASSES
from static_dynamic.report.parts import all_classes
from static_dynamic.report.tables import class_shares, in_order, stream_and_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart by colour-blind readers and, by their lightness, in grey.
BLUE, SKY, GREEN, VERMILION, ORANGE, PURPLE, YELLOW = (
    *("#0072B2", "#56B4E9", "#009E73", "#D55E00"),
    *("#E69F00", "#CC79A7", "#F0E442"),
)
GREY, PALE, BLACK = "#8C8C8C", "#DDDDDD", "#000000"
COLOURS = {
    **dict.fromkeys(("dynamic", "motion", "order"), BLUE),
    **dict.fromkeys(("static", "still", "no order", "appearance", "style"), VERMILION),
    **dict.fromkeys(("joint", "interaction", "both"), GREEN),
    **dict.fromkeys(("residual", "neither", "noise", "unreliable"), GREY),
    **dict.fromkeys(("differ", "mixed", "nuisance"), PURPLE),
    **dict.fromkeys(("same", "content"), SKY),
    "reliability": ORANGE,
    "dead": PALE,
}
"""Of factors and classes; what means the same has the same colour, and two of one estimator differ."""
CYCLE = (BLUE, ORANGE, PURPLE, SKY, BLACK, YELLOW, GREEN, VERMILION)
"""Colours of names from outside, of which each picture takes those that it does not use yet."""
UNTRAINED = "#6E6E6E"
LONGEST_NAME = 40
"""Characters of a name below or above a picture."""
SLANTED = 12
"""Characters of a name below a picture for which there is room; longer ones make it larger."""
MOST_PANELS = 24
WIDEST = 400.0
"""Inches; at 150 dots an inch this is nearly as wide as a picture can be."""
SHARE = "share of the layer, %"
UNITS = "units of the layer, %"


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """The colour of every name; names from outside get some that the others leave.

    Example:
        >>> colours_of(["dynamic", "colour", "texture"])
        {'dynamic': '#0072B2', 'colour': '#E69F00', 'texture': '#CC79A7'}
    """
    known = {name: COLOURS[name] for name in names if name in COLOURS}
    free = cycle([colour for colour in CYCLE if colour not in known.values()] or CYCLE)
    return {name: known[name] if name in known else next(free) for name in names}


def plot_units(units: pd.DataFrame, label: str = UNITS, classes: Sequence[str] = UNIT_CLASSES) -> "Figure":
    """Share of the units of every class per stage, stacked to 100 percent; a panel per stream."""
    shares = class_shares(units, all_classes(units, classes))
    colours = colours_of(list(shares.columns))

    def panel(axes: "Axes", stages: list[str]) -> None:
        base = pd.Series(0.0, index=stages)
        for name in shares.columns[(shares > 0).any()]:
            heights = shares.loc[stages, name]
            axes.bar(range(len(stages)), heights, bottom=base, color=colours[name], label=name, width=0.75)
            base += heights
        axes.set_ylim(0, 100)

    return per_stream(list(shares.index), panel, label)


def plot_means(table: pd.DataFrame, label: str) -> "Figure":
    """How large every factor is per stage: ``mean``, and a bar from ``low`` to ``high``; a panel per stream."""
    factors = in_order(table, "factor")
    colours = colours_of(factors)

    def panel(axes: "Axes", stages: list[str]) -> None:
        for offset, factor in enumerate(factors):
            rows = table[table["factor"] == factor].set_index("stage").loc[stages]
            plot_curve(axes, side_by_side(offset, len(factors), len(stages)), rows, factor, colours[factor])

    return per_stream(in_order(table, "stage"), panel, label)


def side_by_side(place: int, factors: int, stages: int) -> list[float]:
    """Where on the horizontal axis the points of one of several factors lie."""
    return [i + 0.08 * (place - (factors - 1) / 2) for i in range(stages)]


def plot_curve(axes: "Axes", x: Sequence[float], rows: pd.DataFrame, factor: str, colour: str | None = None) -> None:
    """A factor's ``mean``, with bars from ``low`` to ``high``, which need not hold it; no bar where these are NaN."""
    middle, reach = (rows["low"] + rows["high"]) / 2, (rows["high"] - rows["low"]) / 2
    colour = colour or COLOURS[factor]
    # The bars are labelled for those who look for them; the underscore keeps them out of the legend.
    axes.errorbar(x, middle, yerr=reach, fmt="none", capsize=3, ecolor=colour, label=f"_{factor}")
    axes.plot(x, rows["mean"], color=colour, marker="o", label=factor)


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


def per_stream(
    all_stages: list[str], panel: Callable[["Axes", list[str]], None], label: str, title: str = ""
) -> "Figure":
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
        longest = max((len(line) for name in labels for line in name.split("\n")), default=0)
        figure.set_figwidth(min(figure.get_figwidth() + 0.08 * max(0, longest - SLANTED), WIDEST))
        if title:
            figure.suptitle(title, x=0.01, ha="left")
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
