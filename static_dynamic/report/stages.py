"""Factors over stages, as a picture and as LaTeX: ``mean``, ``low`` and ``high`` in percent."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from static_dynamic.report.plots import plot_means
from static_dynamic.report.tables import in_order, stream_and_name
from static_dynamic.report.theme import COLOURS, Width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Limits = tuple[float, float]

PUBLISHED_LIMITS = (10.0, 50.0)
"""Ends of the vertical axis, percent."""
WIDTH = 0.8
"""Part of the line that all panels of a LaTeX figure share; a stage takes at most an eighth of it."""
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
PANEL = r"""  \begin{{tikzpicture}}[baseline]
    \begin{{axis}}[
        title={{{title}}}, scale only axis, width={width:.3f}\linewidth, height=3.5cm, ymajorgrids,
        xmin=-0.4, xmax={right:.1f}, ymin={low:g}, ymax={high:g},
        xtick={{{ticks}}}, xticklabels={{{names}}}, x tick label style={{rotate=30, anchor=north east, align=right}},
        unbounded coords=jump, {shared},
    ]
{curves}
    \end{{axis}}
  \end{{tikzpicture}}"""
FIRST = (
    r"ylabel={{{quantity}}}, ylabel style={{align=center}}, legend to name=legend:{label}, legend columns=-1, "
    r"legend style={{draw=none}}"
)
CURVE = r"""      \addplot [{colour}, thick, mark={mark}, error bars/.cd, y dir=both, y explicit] coordinates {{
        {points}
      }};"""


def limits(table: pd.DataFrame) -> Limits:
    """Ends of the vertical axis: the published 10 and 50 percent, moved by tens until every interval is inside."""
    values = table[["mean", "low", "high"]].to_numpy(float)
    seen = np.append(values[np.isfinite(values)], PUBLISHED_LIMITS)
    return math.floor(seen.min() / 10) * 10, math.ceil(seen.max() / 10) * 10


def plot_stages(table: pd.DataFrame, title: str, ends: Limits, label: str, width: Width = "double") -> "Figure":
    """A figure, with a panel per stream; ``label`` names the values and their intervals."""
    figure = plot_means(table, label, title, width)
    for axes in figure.axes:
        axes.set_ylim(*ends)
    return figure


def latex_stages(table: pd.DataFrame, title: str, ends: Limits, label: str) -> str:
    """Draw the same figure in LaTeX (pgfplots)."""
    key = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    streams = dict(iter(table.groupby(table["stage"].map(lambda stage: stream_and_name(stage)[0]), sort=False)))
    stage_width = WIDTH / max(8, table["stage"].nunique())
    first = FIRST.format(label=key, quantity=r" \\ ".join(map(escape, label.splitlines())))
    panels = [
        _panel(str(stream), rows, ends, stage_width, first if place == 0 else None)
        for place, (stream, rows) in enumerate(streams.items())
    ]
    colours = [rf"  \definecolor{{{name}}}{{HTML}}{{{COLOURS[name][1:]}}}" for name in in_order(table, "factor")]
    return FIGURE.format(colours="\n".join(colours), panels="\n".join(panels), title=escape(title), label=key)


def _panel(stream: str, table: pd.DataFrame, ends: Limits, stage_width: float, first: str | None) -> str:
    """Draw one stream; the first one has the legend and the vertical axis of all."""
    stages = in_order(table, "stage")
    curves = []
    for factor, mark in zip(in_order(table, "factor"), MARKS, strict=False):
        rows = table[table["factor"] == factor].set_index("stage").loc[stages]
        points = " ".join(
            _point(x, *row) for x, row in enumerate(rows[["mean", "low", "high"]].itertuples(index=False))
        )
        curves.append(CURVE.format(colour=factor, mark=mark, points=points))
        if first is not None:
            curves.append(rf"      \addlegendentry{{{factor}}}")
    return PANEL.format(
        title=escape(stream),
        width=stage_width * len(stages),
        right=len(stages) - 0.6,
        low=ends[0],
        high=ends[1],
        ticks=",".join(str(place) for place in range(len(stages))),
        names=",".join(escape(stream_and_name(stage)[1]).replace("+", r"+\\") for stage in stages),
        shared="yticklabels={}" if first is None else first,
        curves="\n".join(curves),
    )


def _point(x: int, mean: float, low: float, high: float) -> str:
    """A point with its interval, if any; pgfplots leaves a gap for NaN."""
    reach = f" += (0,{high - mean:.2f}) -= (0,{mean - low:.2f})" if math.isfinite(high - low) else ""
    return f"({x},{mean:.2f}){reach}"


def escape(text: str) -> str:
    r"""Text as LaTeX prints it.

    Example:
        >>> print(escape("app_stream, 50 %"))
        app\_stream, 50 \%
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "#$%&_{}" else letter) for letter in text)
