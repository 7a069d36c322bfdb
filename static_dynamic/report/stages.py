"""Percentage over stages, as a picture and as LaTeX, from the table of `static_dynamic.published.over_seeds`."""

import math
from typing import TYPE_CHECKING

import pandas as pd

from static_dynamic.report.plots import COLOURS, plot_layers
from static_dynamic.tables import in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Limits = tuple[float, float]

PUBLISHED_LIMITS = (10.0, 50.0)
"""Ends of the vertical axis, percent."""
WIDTH = 0.8
"""Part of the line that all panels of a LaTeX figure take together; a stage takes at most an eighth of it."""
MARKS = ("*", "square*", "triangle*", "diamond*", "pentagon*")
FIGURE = r"""% needs \usepackage{{pgfplots}} and \pgfplotsset{{compat=1.16}}; LaTeX draws the legend in its second run
\begin{{figure}}[t]
  \centering
{colours}
{panels}
  \\ \ref{{legend:{label}}}
  \caption{{{title}}}
  \label{{fig:{label}}}
\end{{figure}}
"""
PANEL = r"""  \begin{{tikzpicture}}
    \begin{{axis}}[
        title={{{title}}}, scale only axis, width={width:.3f}\linewidth, height=3.5cm, ymajorgrids,
        xmin=-0.4, xmax={right:.1f}, ymin={low:g}, ymax={high:g},
        xtick={{{ticks}}}, xticklabels={{{names}}}, x tick label style={{rotate=30, anchor=north east}},
        {shared},
    ]
{curves}
    \end{{axis}}
  \end{{tikzpicture}}"""
FIRST = (
    r"ylabel={{share of the layer, \%}}, legend to name=legend:{label}, legend columns=-1, legend style={{draw=none}}"
)
CURVE = r"""      \addplot [{colour}, thick, mark={mark}, error bars/.cd, y dir=both, y explicit] coordinates {{
        {points}
      }};"""


def limits(table: pd.DataFrame) -> Limits:
    """Ends of the vertical axis: the published 10 and 50 percent, moved by tens until every interval is inside."""
    reach = table["interval"].fillna(0)
    low, high = float((table["mean"] - reach).min()), float((table["mean"] + reach).max())
    return min(PUBLISHED_LIMITS[0], math.floor(low / 10) * 10), max(PUBLISHED_LIMITS[1], math.ceil(high / 10) * 10)


def plot_stages(table: pd.DataFrame, title: str, ends: Limits) -> "Figure":
    """Percentage of every factor per stage, a panel per stream; several seeds give 95 % intervals."""
    ranges = {"share_low": table["mean"] - table["interval"], "share_high": table["mean"] + table["interval"]}
    figure = plot_layers(table.assign(share=table["mean"], **ranges))
    for axes in figure.axes:
        axes.set_ylim(*ends)
    figure.suptitle(title)
    figure.legends[0].remove()  # from beside the title, which it would meet
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def latex_stages(table: pd.DataFrame, title: str, ends: Limits) -> str:
    """The same as a figure for LaTeX (pgfplots)."""
    label = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    names = table["stage"].str.rpartition(".")[0]
    streams = dict(iter(table.groupby(names, sort=False)))
    stage_width = WIDTH / max(8, table["stage"].nunique())
    panels = [
        _panel(str(stream), rows, ends, stage_width, label if place == 0 else None)
        for place, (stream, rows) in enumerate(streams.items())
    ]
    colours = [rf"  \definecolor{{{name}}}{{HTML}}{{{COLOURS[name][1:]}}}" for name in in_order(table, "factor")]
    return FIGURE.format(colours="\n".join(colours), panels="\n".join(panels), title=escape(title), label=label)


def _panel(stream: str, table: pd.DataFrame, ends: Limits, stage_width: float, label: str | None) -> str:
    """One stream; the panel with a label has the legend and the vertical axis of all."""
    stages = in_order(table, "stage")
    curves = []
    for factor, mark in zip(in_order(table, "factor"), MARKS, strict=False):
        rows = table[table["factor"] == factor]
        heights = zip(rows["mean"], rows["interval"].fillna(0), strict=True)
        points = " ".join(f"({x},{mean:.2f}) +- (0,{reach:.2f})" for x, (mean, reach) in enumerate(heights))
        curves.append(CURVE.format(colour=factor, mark=mark, points=points))
        if label is not None:
            curves.append(rf"      \addlegendentry{{{factor}}}")
    return PANEL.format(
        title=escape(stream),
        width=stage_width * len(stages),
        right=len(stages) - 0.6,
        low=ends[0],
        high=ends[1],
        ticks=",".join(str(place) for place in range(len(stages))),
        names=",".join(escape(stage.rpartition(".")[2]) for stage in stages),
        shared="yticklabels={}" if label is None else FIRST.format(label=label),
        curves="\n".join(curves),
    )


def escape(text: str) -> str:
    r"""Text as LaTeX prints it.

    Example:
        >>> print(escape("app_stream, 50 %"))
        app\_stream, 50 \%
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "#$%&_{}" else letter) for letter in text)
