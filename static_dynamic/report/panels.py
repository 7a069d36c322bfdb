"""The arrangement of the panels of a figure, so that every name is legible at the width of a column."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from static_dynamic.report.tables import stream_and_name
from static_dynamic.report.theme import (
    SMALL,
    TEXT,
    Width,
    house_style,
    inches,
    line_height,
    shortened,
    shown,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes", list[Any]], None]
"""Draws the stages of the given keys at 0, 1, 2 …"""

SCALE = 0.62
"""Width of the vertical axis and its label, in inches."""
HEIGHTS = {"single": 1.6, "double": 1.9}
"""Height of a panel, in inches."""
SEVERAL = 1.25
"""Height of a panel if there are several rows, in inches."""
SLANT = 0.3
"""Least distance of places, in inches, whose names can be slanted; nearer names are vertical."""
WRAPPED = 0.8
"""Least distance of places, in inches, whose names can be broken into lines."""
SLANTED = 14
"""Largest number of characters of a slanted name."""
KEY = 0.45
"""Width of a legend entry without its text, in inches."""
BAR = 0.06
"""Least width of one of several bars, in inches."""
SMALLEST, LOWEST = 1.3, 0.6
"""Width and height of a panel of a grid, in inches."""
PAGE = 8.0
"""Height of a figure above which its panels get lower, in inches."""
BETWEEN = 0.08
"""Distance between panels of a grid, in inches, so that numbers at their ends do not overlap."""
MOST_PANELS = 5
"""Largest number of panels of streams."""


@dataclass(frozen=True)
class Panel:
    """Stages in one panel, next to each other.

    Attributes:
        title: Title above them.
        names: Key of a stage → its name below its place.
        bars: Number of bars at a place.
    """

    title: str
    names: Mapping[Any, str]
    bars: int = 1

    @property
    def pitch(self) -> float:
        """Least distance of two places at which their vertical names do not touch, in inches."""
        upright = 1.1 * line_height() * max(name.count("\n") + 1 for name in self.names.values())
        return max(upright, BAR * (self.bars + 1))

    @property
    def least(self) -> float:
        """Least width of the panel, in inches."""
        return max(self.pitch * max(2, len(self.names)), text_width(self.title, TEXT))

    def pieces(self, room: float) -> "list[Panel]":
        """Split the stages into panels of similar size that fit into lines of the figure."""
        keys, most = list(self.names), max(1, int(room / self.pitch))
        count = -(-len(keys) // most)
        ends = [round(place * len(keys) / count) for place in range(count + 1)]
        return [Panel(self.title, {key: self.names[key] for key in keys[a:b]}, self.bars) for a, b in pairwise(ends)]


def of_streams(stages: Sequence[str], bars: int = 1) -> list[Panel]:
    """A panel per stream: ``slow.stage1`` and ``slow.stage2`` share one, under their short names.

    Stages of many streams share one panel, under their full names.
    """
    streams: dict[str, dict[str, str]] = {}
    for stage in stages:
        stream, name = stream_and_name(stage)
        streams.setdefault(stream, {})[stage] = side_by_side_names(name)
    if len(streams) > MOST_PANELS:
        return [Panel("", {stage: side_by_side_names(stage) for stage in stages}, bars)]
    return [Panel(shortened(stream), names, bars) for stream, names in streams.items()]


def side_by_side_names(name: str) -> str:
    """The name of a stage below its place; stages joined by ``+`` are on separate lines."""
    return "+\n".join(map(shortened, name.split("+")))


def draw_panels(panels: Sequence[Panel], draw: Draw, label: str, width: Width, title: str = "") -> "Figure":
    """A figure of panels that share the vertical axis, on the number of lines that their names need.

    Args:
        panels: The panels, from left to right and line by line.
        draw: Draws one panel.
        label: Label of the vertical axis.
        width: Width of the figure.
        title: Title above all.
    """
    from matplotlib.figure import Figure

    room = inches(width) - SCALE
    lines = in_lines([piece for panel in panels for piece in panel.pieces(room)], room)
    height = HEIGHTS[width] if len(lines) == 1 else SEVERAL
    label = wrapped(label, height + 0.3, TEXT)
    with house_style(width):
        figure = Figure(layout="constrained")
        names = [max(_below(panel, width_of)[1] for panel, width_of in line) for line in lines]
        titles = [panel.title for panel in panels if panel.title]
        titled = max((line_height(TEXT) * (text.count("\n") + 1) for text in titles), default=0.05)
        tall = [height + room_below + titled for room_below in names]
        grid = figure.add_gridspec(len(lines), 1, height_ratios=tall)
        first: Axes | None = None
        for place, line in enumerate(lines):
            columns = grid[place].subgridspec(1, len(line), width_ratios=[width_of for _, width_of in line])
            for column, (panel, width_of) in enumerate(line):
                axes = figure.add_subplot(columns[column], sharey=first)
                first = first or axes
                draw(axes, list(panel.names))
                _name_places(axes, panel, width_of)
                axes.set_title(panel.title)
                axes.tick_params(labelleft=column == 0)
                if column == 0:
                    axes.set_ylabel(label)
        finish(figure, sum(tall), title)
    return shown(figure)


def in_lines(panels: Sequence[Panel], room: float) -> list[list[tuple[Panel, float]]]:
    """Panels in lines, each with its width in inches; the panels of a line share its remaining width."""
    lines: list[list[Panel]] = []
    for panel in panels:
        if lines and sum(other.least for other in lines[-1]) + panel.least <= 0.9 * room:
            lines[-1].append(panel)
        else:
            lines.append([panel])
    return [list(zip(line, _shared(line, room), strict=True)) for line in lines]


def _shared(line: Sequence[Panel], room: float) -> list[float]:
    """Widths of the panels of a line, in proportion to their places, and at least as wide as required."""
    widths = {place: panel.least for place, panel in enumerate(line)}
    wide = {place: max(2, len(panel.names)) for place, panel in enumerate(line)}
    while wide:
        free = room - sum(width for place, width in widths.items() if place not in wide)
        each = free / sum(wide.values())
        tight = [place for place, places in wide.items() if each * places < widths[place]]
        if not tight:
            return [each * wide[place] if place in wide else width for place, width in widths.items()]
        for place in tight:
            del wide[place]
    return [room * width / sum(widths.values()) for width in widths.values()]


def draw_grid(
    names: Mapping[str, str],
    draw: Callable[["Axes", str], None],
    labels: tuple[str, str],
    width: Width,
    title: str = "",
) -> "Figure":
    """A figure with a small panel for every name, all on the same axes.

    Args:
        names: Key of a panel → its title.
        draw: Draws one panel.
        labels: Labels of the horizontal and the vertical axis.
        width: Width of the figure.
        title: Title above all.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    room = inches(width) - SCALE
    lines = -(-len(names) // int(room / SMALLEST))
    columns = -(-len(names) // lines)
    titles = [wrapped(name, room / columns) for name in names.values()]
    above = line_height() * max(text.count("\n") + 1 for text in titles)
    height = HEIGHTS[width] if lines == 1 else max(LOWEST, min(SEVERAL, PAGE / lines - above))
    with house_style(width):
        figure = Figure(layout=ConstrainedLayoutEngine(w_pad=BETWEEN))
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, name, heading in zip(grid, names, titles, strict=False):
            draw(axes, name)
            axes.set_title(heading, size=SMALL)
            axes.grid(visible=False, axis="x")
        for place, axes in enumerate(grid):
            axes.set_visible(place < len(names))
            # The last panel of a column is the lowest visible one.
            axes.tick_params(labelbottom=place + columns >= len(names))
        figure.supylabel(wrapped(labels[1], lines * height, TEXT), size=TEXT)
        finish(figure, lines * (height + above) + 0.3, title, labels[0])
    return shown(figure)


def finish(figure: "Figure", height: float, title: str = "", below: str = "") -> None:
    """Set the height, given that of the panels.

    Args:
        figure: The figure with its panels.
        height: Height of the panels, inches.
        title: Title above them.
        below: The label of their horizontal axis; the legend of all panels follows below it.
    """
    drawn: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            drawn.setdefault(label, handle)
        # Ticks that come later would have the size that is set then.
        axes.tick_params(labelsize=SMALL)
    if title:
        figure.suptitle(wrapped(title, figure.get_figwidth(), TEXT), x=0.01, ha="left")
        height += line_height(TEXT) * 1.4
    if below:
        height += line_height(TEXT) + 0.05
    if below and not drawn:
        figure.supxlabel(below, size=TEXT)
    if drawn:
        widest = max(map(text_width, drawn)) + KEY
        columns = max(1, min(len(drawn), int(figure.get_figwidth() / widest)))
        rows = -(-len(drawn) // columns) * max(label.count("\n") + 1 for label in drawn)
        titled: dict[str, Any] = {"title": below, "title_fontsize": TEXT} if below else {}
        figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=columns, frameon=False, **titled)
        height += line_height() * rows * 1.1 + 0.1
    figure.set_figheight(height)


def _name_places(axes: "Axes", panel: Panel, width: float) -> None:
    """Set the names below the places: in lines, or slanted or vertical where they would touch."""
    angle, _, names = _below(panel, width)
    turned: dict[str, Any] = {"rotation": angle, "ha": "center" if angle in (0, 90) else "right"}
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="x")


def _below(panel: Panel, width: float) -> tuple[int, float, list[str]]:
    """Angle of the names in degrees, the room that they take in inches, and the names, in lines."""
    distance, names = width / (len(panel.names) + 0.2), list(panel.names.values())
    longest = max(map(text_width, names))
    if longest > 0.9 * distance and distance >= WRAPPED:
        names = [wrapped(name, 0.9 * distance) for name in names]
        longest = max(map(text_width, names))
    lines = max(name.count("\n") + 1 for name in names)
    if longest <= 0.9 * distance:
        return 0, line_height() * lines + 0.08, names
    if distance >= SLANT * lines and longest <= SLANTED * text_width("x"):
        return 30, 0.5 * longest + line_height() * lines + 0.08, names
    return 90, longest + 0.08, names
