"""The figures of results by name: the drawing, its data, and the files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.places import local
from static_dynamic.report.own import BUILT_IN, draw_own
from static_dynamic.report.own import plot as own
from static_dynamic.report.panels import Panel, draw_panels, of_streams, side_by_side_names
from static_dynamic.report.parts import Part
from static_dynamic.report.pictures import LINE, part_drawn, plot_part
from static_dynamic.report.plots import UNITS, plot_bars, plot_curve, plot_units, side_by_side, units_drawn
from static_dynamic.report.scores import course, histogram, plot_course, plot_histogram
from static_dynamic.report.tables import in_order
from static_dynamic.report.theme import (
    FORMATS,
    Width,
    as_formats,
    colours_of,
    format_of,
    inches,
    save_data,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from static_dynamic.results import Result

DEFAULT = ("layers", "units")
"""Figures that `Result.plot` writes for every estimator."""
MARKERS = "osD^vPX*"
"""Markers of curves, in addition to their colours."""

Kind = str | Callable[[Any], Any]


class Drawing(NamedTuple):
    """A figure, and the data that it shows; ``None`` if an external function returns none."""

    figure: "Figure"
    data: pd.DataFrame | None


@dataclass(frozen=True)
class Asked:
    """The input of a figure.

    Attributes:
        results: Name of a model, a data set or an iteration → its result.
        kind: The name of the figure.
        estimator: The estimator that is drawn; the headline for ``None``.
        width: Width of the figure.
    """

    results: Mapping[Any, "Result"]
    kind: str
    estimator: str | None
    width: Width

    @property
    def only(self) -> "Result":
        """The result of a figure that shows one."""
        if len(self.results) > 1:
            names = ", ".join(map(str, self.results))
            raise UserError(f"The figure {self.kind!r} shows one result. Got {len(self.results)}: {names}.")
        return next(iter(self.results.values()))

    @property
    def part(self) -> Part:
        """The part of the only result for the estimator."""
        return part_of(self.only, self.estimator)

    @property
    def parts(self) -> dict[Any, Part]:
        """The part of every result for the estimator: by default the headline of the first one."""
        name = self.estimator or next(iter(self.results.values())).headline
        return {label: part_of(result, name) for label, result in self.results.items()}


def part_of(result: "Result", estimator: str | None) -> Part:
    """The part of a result for an estimator, by default for its headline."""
    return Part(result.described(estimator), result.layer(estimator), result.unit(estimator))


def draw(
    results: "Result | Sequence[Result] | Mapping[Any, Result]",
    path: str | Path | None = None,
    *,
    kind: Kind = "models",
    estimator: str | None = None,
    width: Width = "double",
    format: str | Sequence[str] = ("svg", "png"),
) -> "Figure":
    """Draw results in one figure and, if a path is given, write it and its data next to it.

    Args:
        results: One, several, or name → result: the names of models or data sets or, for a course, iterations.
        path: A file, whose extension is its format, or a folder for ``<kind>.<format>``.
        kind: ``models``, ``datasets`` (bars at the last stage), ``curves`` (over the stages) or ``course`` (over
            iterations); for one result ``layers``, ``units``, ``histogram`` or ``joint``; the name of a function that
            ``@sd.plot`` has registered, or the function itself.
        estimator: The estimator that is drawn; the headline for ``None``.
        width: ``single``: 3.35 inches, one column of a page; ``double``: 6.9 inches.
        format: ``pdf``, ``svg``, ``png``, or several.

    Raises:
        UserError: If an argument is unknown, the results lack its numbers, or the file cannot be written.

    Example:
        >>> draw({"I3D": first, "SlowFast": second}, "figures/models.pdf", width="single")  # doctest: +SKIP
    """
    inches(width)
    formats, (name, function) = as_formats(format), drawer(kind)
    places = [] if path is None else _places(local(path), name, formats)
    figure, data = function(Asked(_named(results, name), name, estimator, width))
    _write(figure, data, places)
    return figure


def save_all(result: "Result", folder: Path, width: Width, format: str | Sequence[str]) -> list[Path]:
    """Write ``layers`` and ``units`` of every estimator, and the figures of registered functions, with their data.

    Figures of the headline have these names, those of a further estimator are ``layers-<name>`` and ``units-<name>``.

    Raises:
        UserError: If a figure cannot be drawn, or the folder cannot be written; the figures before it are kept.
    """
    inches(width)
    formats, paths = as_formats(format), []
    if folder.suffix[1:].lower() in FORMATS:
        raise UserError(
            f"{str(folder)!r} names a file, but the default figures need a folder. Give a folder, or choose one figure "
            "by its `kind`."
        )
    wanted = [(kind, part.name) for part in result.parts for kind in DEFAULT if kind == "layers" or len(part.classes)]
    for kind, name in [*wanted, *((name, result.headline) for name in own.names())]:
        drawing = drawer(kind)[1](Asked({name: result}, kind, name, width))
        stem = kind if name == result.headline else f"{kind}-{name}"
        paths += _write(*drawing, [folder / f"{stem}.{ending}" for ending in formats])
    return paths


def drawer(kind: Kind) -> tuple[str, Callable[[Asked], Drawing]]:
    """The name of a figure, and the function that draws it.

    Raises:
        UserError: If the name is unknown.
    """
    if isinstance(kind, str):
        if kind in KINDS:
            return kind, KINDS[kind]
        if kind not in own.names():
            raise unknown("kind of figure", kind, (*KINDS, *own.names()))
        return kind, _own(own[kind].function)
    if not callable(kind):
        raise UserError(f"A kind of figure is a name or a function. Got {kind!r:.80}.")
    name = getattr(kind, "__name__", "figure")
    return name if name.isidentifier() else "figure", _own(kind)


def _own(function: Callable[[Any], Any]) -> Callable[[Asked], Drawing]:
    return lambda asked: Drawing(*draw_own(function, asked.kind, asked.only, asked.width))


def _places(path: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """The files for a path: the path itself, or files in it if it is a folder."""
    if path.suffix and not path.is_dir():
        format_of(path)
        return [path]
    return [path / f"{name}.{ending}" for ending in formats]


def _write(figure: "Figure", data: pd.DataFrame | None, places: Sequence[Path]) -> list[Path]:
    written = [path for place in places for path in save_figure(figure, place)]
    return [*written, *([save_data(data, places[0])] if data is not None and places else [])]


def _named(results: "Result | Sequence[Result] | Mapping[Any, Result]", kind: str) -> "dict[Any, Result]":
    """Results under names: the given ones, or those of their studies."""
    if isinstance(results, Mapping):
        named = dict(results)
    else:
        given = list(results) if isinstance(results, Sequence) else [results]
        named = dict(zip(_told_apart([_name_of(result, kind) for result in given]), given, strict=True))
    if not named:
        raise UserError("At least one result is required. Got none.")
    for name, result in named.items():
        if not hasattr(result, "estimators"):
            raise UserError(f"Only a Result can be drawn, e.g. from `sd.load`. Got {type(result).__name__}: {name}.")
    return named


def _name_of(result: Any, kind: str) -> str:
    study = getattr(result, "manifest", {}).get("study", {})
    if kind == "datasets":
        source = study.get("source", {})
        return str(next((source[key] for key in ("name", "path", "folder", "kind") if source.get(key)), "videos"))
    return str(study.get("model") or "model")


def _told_apart(names: Sequence[str]) -> Iterator[str]:
    """The names; equal names get a number."""
    for place, name in enumerate(names):
        again = names[:place].count(name) + 1
        yield name if names.count(name) == 1 else f"{name} {again}"


# Figures of one result


def _layers(asked: Asked) -> Drawing:
    return Drawing(plot_part(asked.part, asked.width), part_drawn(asked.part))


def _units(asked: Asked) -> Drawing:
    part = asked.part
    if part.classes.empty:
        raise UserError(f"The estimator {part.name} does not sort units into classes.")
    classes = part.described["classes"]
    return Drawing(plot_units(part.units, UNITS, classes, asked.width), units_drawn(part.units, classes))


def _joint(asked: Asked) -> Drawing:
    """The classes of the published score: dynamic, static, joint, residual."""
    if "released" not in asked.only.estimators:
        has = ", ".join(asked.only.estimators)
        raise UserError(f"Joint encoding needs the published score, but this result has {has}: measure or score "
                        "with `estimators='released'`.")  # fmt: skip
    part = part_of(asked.only, "released")
    label = f"{UNITS}\nscore above {part.described['options'].get('threshold', 0.5):g}"
    classes = part.described["classes"]
    return Drawing(plot_units(part.units, label, classes, asked.width), units_drawn(part.units, classes))


def _histogram(asked: Asked) -> Drawing:
    part = asked.part
    factors = [factor for factor in part.drawn if factor in part.units and part.units[factor].notna().any()]
    if not factors:
        raise UserError(f"The estimator {part.name} does not give numbers of units.")
    found = histogram(part.units, factors)
    return Drawing(plot_histogram(found, f"{part.title.lower()} of a unit", asked.width), found.counts)


# Figures of several results


def _curves(asked: Asked) -> Drawing:
    """The first factor of every result over the stages."""
    parts = asked.parts
    first = next(iter(parts.values()))
    factor, colours = first.drawn[0], colours_of(list(map(str, parts)))
    tables = {str(name): part.numbers[part.numbers["factor"] == factor] for name, part in parts.items()}
    data = pd.concat([table.assign(result=name) for name, table in tables.items()], ignore_index=True)

    def panel(axes: "Axes", stages: list[str]) -> None:
        for place, (name, table) in enumerate(tables.items()):
            x, rows = side_by_side(place, len(tables), len(stages)), table.set_index("stage").reindex(stages)
            plot_curve(axes, x, rows, name, colours[name], MARKERS[place % len(MARKERS)])

    label = first.label if first.single else f"{factor}, {first.unit_of_measurement}"
    figure = draw_panels(of_streams(in_order(data, "stage")), panel, label, asked.width, first.title)
    return Drawing(figure, data[["result", "stage", "factor", "mean", "low", "high"]])


def _bars(asked: Asked) -> Drawing:
    """Every factor of every result at its last stage, over the numbers of untrained networks."""
    tables = []
    for name, part in asked.parts.items():
        drawn = part_drawn(part)
        tables.append(drawn[drawn["stage"] == part.stages[-1]].assign(result=str(name)))
    data, first = pd.concat(tables, ignore_index=True), next(iter(asked.parts.values()))
    factors, names = in_order(data, "factor"), in_order(data, "result")

    def panel(axes: "Axes", keys: list[str]) -> None:
        rows = [data[data["factor"] == factor].set_index("result").reindex(keys) for factor in factors]
        plot_bars(axes, rows, factors)
        _mark_untrained(axes, rows)

    stages = in_order(data, "stage")
    where = f"at {stages[0]}" if len(stages) == 1 else "at the last stage"
    panels = [Panel("", {name: side_by_side_names(name) for name in names}, len(factors))]
    figure = draw_panels(panels, panel, first.label, asked.width, f"{first.title} {where}")
    return Drawing(figure, data[["result", *(column for column in data if column != "result")]])


def _mark_untrained(axes: "Axes", rows: Sequence[pd.DataFrame]) -> None:
    """Draw a line across every bar at the number of untrained networks."""
    thick = 0.8 / len(rows)
    for place, table in enumerate(rows):
        x = np.arange(len(table)) + thick * (place - (len(rows) - 1) / 2)
        if table["twin"].notna().any():
            ends = x - thick / 2, x + thick / 2
            label = "_twin" if place else LINE
            axes.hlines(
                table["twin"], *ends, color="white", linewidth=2.2, zorder=3
            )  # so that it is visible on any bar
            axes.hlines(
                table["twin"], *ends, color="black", linestyle=(0, (2, 1)), linewidth=1.0, zorder=3, label=label
            )


def _course(asked: Asked) -> Drawing:
    """Every stage over the iterations."""
    parts = {_iteration(name): part for name, part in asked.parts.items()}
    table = course(parts)
    first = next(iter(parts.values()))
    return Drawing(plot_course(table, first.label, asked.width, first.title), table)


def _iteration(name: Any) -> float:
    try:
        return float(name)
    except (TypeError, ValueError):
        raise UserError(
            f"A course needs the iteration of every result, as in sd.draw({{1000: …, 2000: …}}). Got {name!r}."
        ) from None


KINDS: Mapping[str, Callable[[Asked], Drawing]] = dict(
    zip(BUILT_IN, (_layers, _units, _histogram, _joint, _curves, _bars, _bars, _course), strict=True)
)
"""Name → the function that draws."""
