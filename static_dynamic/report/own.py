"""Your own pictures: functions from a result to a figure, drawn with those of every result."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from static_dynamic.common.errors import UserError, reason
from static_dynamic.common.registry import Registry
from static_dynamic.report.plots import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

plot: Registry[Callable[[Any], "Figure"]] = Registry("plot", reserved=("layers", "units"))
"""Decorator: a function from a result to a figure of matplotlib."""


def save_own_plots(result: object, folder: Path) -> list[Path]:
    """Write every registered picture as SVG and PNG, under its name.

    Raises:
        UserError: If one cannot be drawn, or the folder cannot be written; those before it are there.
    """
    from matplotlib.figure import Figure

    paths = []
    for name, entry in plot.entries.items():
        try:
            figure = entry.function(result)
        except Exception as error:  # whatever the user's function raises
            raise UserError(f"The plot {name!r} cannot be drawn: {reason(error)}.") from error
        if not isinstance(figure, Figure):
            raise UserError(f"The plot {name!r} must return a matplotlib Figure. Got {type(figure).__name__}.")
        for kind in ("svg", "png"):
            paths.append(folder / f"{name}.{kind}")
            save_figure(figure, paths[-1])
    return paths
