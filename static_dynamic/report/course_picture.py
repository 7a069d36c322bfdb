"""A course as a figure: how the numbers of every stage change while a model trains."""

from pathlib import Path
from typing import TYPE_CHECKING

from static_dynamic.report.parts import Part
from static_dynamic.report.theme import UNTRAINED, colours_of, house_style, save_figure, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from static_dynamic.report.course import Course

ROW = 4
"""Number of panels in a row."""


def save_course_plots(course: "Course", folder: Path) -> list[Path]:
    """Write ``course.svg`` and ``course.png``, and ``course-<name>`` of every further estimator.

    Raises:
        UserError: If the folder cannot be written.
    """
    paths = []
    for place, part in enumerate(course.parts):
        figure = plot_course_stages(course, part)
        for kind in ("svg", "png"):
            paths.append(folder / f"{'course' if place == 0 else f'course-{part.name}'}.{kind}")
            save_figure(figure, paths[-1])
    return paths


def plot_course_stages(course: "Course", part: Part) -> "Figure":
    """A panel for every stage: its numbers over the steps with their intervals, and those of untrained networks."""
    from matplotlib.figure import Figure

    columns, rows = min(ROW, len(part.stages)), -(-len(part.stages) // ROW)
    colours = colours_of(part.drawn)
    with house_style():
        figure = Figure(figsize=(1.6 + 3 * columns, 0.8 + 2.6 * rows), layout="constrained")
        all_axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, stage in zip(all_axes, part.stages, strict=False):
            for factor, colour in colours.items():
                numbers = course.rows(part, stage, factor)
                axes.fill_between(
                    numbers["step"], numbers["low"], numbers["high"], color=colour, alpha=0.22, linewidth=0
                )
                axes.plot(numbers["step"], numbers["value"], color=colour, marker="o", markersize=4, label=factor)
                grey, untrained = UNTRAINED if part.single else colour, numbers["twin"].iloc[-1]
                axes.axhline(untrained, color=grey, linestyle="--", label="untrained" if part.single else f"_{factor}")
            axes.set_title(shortened(stage))
        all_axes[0].set_ylim(bottom=min(0, all_axes[0].get_ylim()[0]))  # which all panels share
        for axes in all_axes[len(part.stages) :]:
            axes.set_axis_off()
        figure.supxlabel(course.unit)
        figure.supylabel(part.label)
        figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure
