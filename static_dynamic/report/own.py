"""Figures of users: functions from a result to a figure, drawn with the default figures or separately."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from static_dynamic.common.errors import UserError, reason
from static_dynamic.common.registry import Registry
from static_dynamic.report.theme import Width, house_style, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUILT_IN = ("layers", "units", "histogram", "joint", "curves", "models", "datasets", "course")
"""Names of the figures that this package draws."""
plot: Registry[Callable[[Any], "Figure | tuple[Figure, pd.DataFrame]"]] = Registry("plot", reserved=BUILT_IN)
"""Decorator: a function from a result to a figure of matplotlib or, with its data, to a figure and a table."""


def draw_own(
    function: Callable[[Any], Any], name: str, result: object, width: Width
) -> "tuple[Figure, pd.DataFrame | None]":
    """The figure of a function, and its data if the function gives them.

    It is called in the style of all others, so that a figure without an explicit size has the width.

    Raises:
        UserError: If it cannot be drawn.
    """
    from matplotlib.figure import Figure

    try:
        with house_style(width):
            drawn = function(result)
    except Exception as error:  # the user's function may raise anything
        raise UserError(f"The plot {name!r} cannot be drawn: {reason(error)}.") from error
    figure, data = drawn if isinstance(drawn, tuple) and len(drawn) == 2 else (drawn, None)
    if not isinstance(figure, Figure):
        raise UserError(f"The plot {name!r} must return a matplotlib Figure. Got {type(figure).__name__}.")
    if data is not None and not isinstance(data, pd.DataFrame):
        raise UserError(f"The data of the plot {name!r} must be a pandas DataFrame. Got {type(data).__name__}.")
    return shown(figure), data
