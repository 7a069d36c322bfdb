"""The picture of the demo: a clip and its frozen copy, and how networks respond to the difference."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from static_dynamic.interventions.scrambles import apply_scramble
from static_dynamic.report.several import Curve, plot_curves, untrained
from static_dynamic.report.theme import BLUE, GREEN, PURPLE, VERMILION, house_style
from static_dynamic.sources.factorial import one_scene, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure
    from pandas import DataFrame

    from static_dynamic import Result
    from static_dynamic.media.clip import Frames

UNTAUGHT = "never taught"
TITLE = "Same architecture, same clips. One was taught what things look like, one how they move."
ASKED = "Of what a unit tells about which clip it sees:\nhow much does the frozen clip not give?"
SIDE, GAP = 72, 4
"""Side of a frame with its white border, and width of the border, pixels."""
COLOURS, GREYS = (BLUE, PURPLE, VERMILION), ("#222222", "#555555", "#888888")
SCENE = {
    "colour": "cyan",
    "shape": "cross",
    "texture": "plain",
    "background": "diagonal",
    "kind": "right",
    "speed": "fast",
}


def picture(results: Mapping[str, "Result"], real: "Result | None") -> "Figure":
    """A clip and its frozen copy above; needs-motion, the published score, and the network of real videos below."""
    from matplotlib.figure import Figure

    panels = {
        "Needs motion": curves_of(results, "needs_motion", dict(zip(results, COLOURS, strict=True))),
        "Published score: dynamic": curves_of(results, "released", dict(zip(results, GREYS, strict=True))),
    }
    if real:
        panels["Needs motion, trained on real videos"] = curves_of(
            {"TransNetV2": real}, "needs_motion", {"TransNetV2": GREEN}
        )
    with house_style():
        figure = Figure(figsize=(max(11.5, 4.6 * len(panels)), 6.6), layout="constrained")
        figure.suptitle(TITLE, x=0.01, ha="left", fontsize=16)
        rows = figure.add_gridspec(2, 1, height_ratios=(1, 2.4))
        above, below = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
        _draw_strips(above)
        for axes, (title, curves) in zip(below.subplots(1, len(panels)), panels.items(), strict=True):
            plot_curves(axes, curves)
            axes.set_title(title, loc="left", fontsize=13)
        for axes, label in zip(below.axes, ("%", "% of the layer", "%"), strict=False):
            axes.set_ylabel(label)
    return figure


def curves_of(results: Mapping[str, "Result"], estimator: str, colours: Mapping[str, str]) -> "dict[str, Curve]":
    """A curve for every network, and for the untrained copies of one of them."""
    numbers = {what: numbers_of(result, estimator) for what, result in results.items()}
    curves = {what: Curve(rows, colours[what]) for what, rows in numbers.items()}
    beside = next(rows for rows in numbers.values() if rows["twin"].notna().any())
    return {**curves, UNTAUGHT: untrained(beside)}


def numbers_of(result: "Result", estimator: str) -> "DataFrame":
    """The numbers of the first factor: needs-motion, or the dynamic share."""
    part = next(part for part in result.parts if part.name == estimator)
    return part.numbers[part.numbers["factor"] == part.drawn[0]]


def _draw_strips(figure: "SubFigure") -> None:
    """A clip and its frozen copy, with the question next to them."""
    clip = render(one_scene(SCENE, size=0.6), size=SIDE - 2 * GAP)[0].numpy()
    rows = {"a clip": clip, "frozen": apply_scramble(clip, "freeze")}
    shown, said = figure.subplots(1, 2, width_ratios=(3, 2))
    shown.imshow(np.concatenate([_strip(frames) for frames in rows.values()]))
    shown.set_yticks([SIDE // 2, SIDE + SIDE // 2], list(rows), fontsize=13)
    shown.set_anchor("W")
    said.text(0, 0.5, ASKED, va="center", fontsize=13, linespacing=1.5)
    for axes in (shown, said):
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
    said.set_yticks([])


def _strip(frames: "Frames") -> "Frames":
    """Frames side by side, with white between them."""
    return np.concatenate([np.pad(frame, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255) for frame in frames], 1)
