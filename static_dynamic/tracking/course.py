"""The points of a course, in memory and on disk, and their summary.

course/course.json         the clips, styles, seeds, stages, estimators: a course of another study is refused
course/000000000500.json   a point: its numbers, and those on every resample that a paired change needs
course/untrained.json      the numbers of untrained networks
course/course.csv          all points in one table, for readers
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, reason
from static_dynamic.common.files import as_path, remove, write_text
from static_dynamic.common.runs import Kind, open_run
from static_dynamic.common.tables import as_csv
from static_dynamic.common.texts import read_json
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.registry import describe_estimator
from static_dynamic.functional.resampling import FEWEST_VIDEOS, jackknife_interval
from static_dynamic.report.course import UNTRAINED, Course
from static_dynamic.report.course_page import save_course
from static_dynamic.report.course_picture import save_course_plots
from static_dynamic.report.parts import Part
from static_dynamic.scoring import Scores

DIGITS = "[0-9]" * 12
UNTRAINED_FILE, TABLE_FILE = "untrained.json", "course.csv"
COURSE = Kind(
    "course",
    "course.json",
    (f"{DIGITS}.json", UNTRAINED_FILE, TABLE_FILE, "tensorboard/"),
    restarts=True,
    alone=True,
    notes=frozenset({"device", "described", "unit"}),
)
KEY = ["stage", "estimator", "factor"]
COLUMNS = ["step", *KEY, "value", "low", "high"]
OF_UNTRAINED = [*KEY, *UNTRAINED, "after_batches"]
"""The numbers of untrained networks, and whether they were measured after batch normalisation had seen batches."""
PAGE = "course.html"
MOST = 3
"""Largest number of steps that a note names."""


@dataclass(frozen=True)
class Point:
    """The measurement at one step.

    Attributes:
        step: The step.
        weights: Digest of the model's weights.
        rows: Stage, estimator, factor, value, low and high, by column.
        resamples: A record for every estimator and stage: ``videos`` that were resampled, the number ``left_out`` in
            each jackknife row, and ``numbers``, ``(1 + rows, factors)``: on all videos, and without some.
        warnings: Notes on it for the reader.
        finished: Time at which it was done.
        seconds: Duration in seconds.
    """

    step: int
    weights: str
    rows: Mapping[str, Sequence[Any]]
    resamples: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    finished: str
    seconds: float


def numbers_of(scores: Scores, estimators: Iterable[Estimator]) -> pd.DataFrame:
    """Value, low and high of every stage, estimator and factor, and of untrained networks."""
    tables = []
    for one in estimators:
        rows = scores.layers[scores.layers["estimator"] == one.name]
        numbers = Part(describe_estimator(one), rows, pd.DataFrame()).numbers.rename(columns={"mean": "value"})
        tables.append(numbers.assign(estimator=one.name)[[*KEY, "value", "low", "high", *UNTRAINED]])
    return pd.concat(tables, ignore_index=True)


def resamples_of(scores: Scores, estimators: Iterable[Estimator]) -> Iterator[dict[str, Any]]:
    """The numbers on all videos and on every jackknife row, for paired changes; see `Point`."""
    columns = {one.name: one.column for one in estimators}
    for (estimator, stage), sample in scores.samples.items():
        values = sample.layer[columns[estimator]]
        yield {
            "estimator": estimator,
            "stage": stage,
            "videos": list(sample.videos),
            "left_out": sample.left_out.tolist(),
            "numbers": np.concatenate([values[:1], values[1 + sample.replicates :]]).tolist(),
        }


class Points:
    """The points of a course.

    Args:
        folder: Folder of the points; only in memory if ``None``.
        described: Everything that determines the numbers, as plain data.
        resume: Whether to resume existing points; otherwise they are removed.

    Raises:
        UserError: If the folder contains a course of another study, or something else.
    """

    def __init__(self, folder: Path | None, described: Mapping[str, Any], resume: bool = True) -> None:
        self.folder, self.described = folder, described
        self.found: dict[int, Point] = {}
        self.untrained = pd.DataFrame(columns=OF_UNTRAINED)
        if folder is not None:
            with open_run(folder, COURSE, described, resume):
                self.found = {point.step: point for point in read_points(folder)}
                self.untrained = read_untrained(folder)

    def add(self, point: Point, untrained: pd.DataFrame | None = None) -> None:
        """Save a point and the numbers of untrained networks, and remove later saved points that were dropped."""
        self.found[point.step] = point
        if untrained is not None:
            self.untrained = untrained
        if self.folder is None:
            return
        with open_run(self.folder, COURSE, self.described):
            for path in set(self.folder.glob(f"{DIGITS}.json")) - {_file(self.folder, step) for step in self.found}:
                remove(path)
            if untrained is not None:
                write_text(self.folder / UNTRAINED_FILE, json.dumps(untrained.to_dict("records")) + "\n")
            write_text(_file(self.folder, point.step), json.dumps(asdict(point)) + "\n")
            write_text(self.folder / TABLE_FILE, as_csv(self.table))

    @property
    def table(self) -> pd.DataFrame:
        """The numbers of all points."""
        return table_of(self.found.values())


def read_points(folder: Path) -> Iterator[Point]:
    """Read the points of a folder.

    Raises:
        UserError: If one cannot be read.
    """
    for path in sorted(folder.glob(f"{DIGITS}.json")):
        try:
            yield Point(**read_json(path))
        except (TypeError, ValueError):
            raise UserError(f"{path} is damaged: remove it to continue the course without this point.") from None


def read_untrained(folder: Path) -> pd.DataFrame:
    """Read the numbers of untrained networks."""
    path = folder / UNTRAINED_FILE
    rows = read_json(path) if path.exists() else []
    return pd.DataFrame(rows, columns=OF_UNTRAINED).astype(dict.fromkeys(UNTRAINED, "float64"))


def _file(folder: Path, step: int) -> Path:
    return folder / f"{step:012d}.json"


def table_of(points: Iterable[Point]) -> pd.DataFrame:
    """One row per step, stage, estimator and factor; NaN where a point lacks a number that others have."""
    steps, tables = [], []
    for point in sorted(points, key=lambda point: point.step):
        steps.append(point.step)
        if len(table := pd.DataFrame(point.rows)):
            tables.append(table.assign(step=point.step))
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    fullest_first = sorted(tables, key=len, reverse=True)
    keys = pd.concat(fullest_first)[KEY].drop_duplicates()
    wanted = pd.DataFrame({"step": steps}).merge(keys, how="cross")
    return wanted.merge(pd.concat(tables), how="left")[COLUMNS]


def changes_of(first: Point, last: Point, confidence: float) -> pd.DataFrame:
    """The last value less the first one, with its interval over the same videos, per stage, estimator and factor."""
    rows = [
        {**dict(zip(KEY, key, strict=True)), **_change(values[0], values[1], confidence)}
        for key, values in _pairs(first, last)
    ]
    return pd.DataFrame(rows, columns=[*KEY, "change", "low", "high"])


Resampled = tuple[np.ndarray, Mapping[str, Any]]
"""The numbers of one factor on all videos and without some, and their record."""


def _pairs(first: Point, last: Point) -> Iterator[tuple[tuple[str, str, str], tuple[Resampled, Resampled]]]:
    """The numbers of every factor that both points have."""
    start = dict(_resampled(first))
    for key, values in _resampled(last):
        if key in start:
            yield key, (start[key], values)


def _resampled(point: Point) -> Iterator[tuple[tuple[str, str, str], Resampled]]:
    factors: dict[tuple[str, str], list[str]] = {}
    for stage, estimator, factor in zip(*(point.rows[name] for name in KEY), strict=True):
        factors.setdefault((stage, estimator), []).append(factor)
    for record in point.resamples:
        stage, estimator = record["stage"], record["estimator"]
        columns = np.array(record["numbers"], np.float64).T
        for factor, values in zip(factors.get((stage, estimator), []), columns, strict=False):
            yield (stage, estimator, factor), (values, record)


def _change(first: Resampled, last: Resampled, confidence: float) -> dict[str, float]:
    (before, there), (now, here) = first, last
    found = {"change": float(now[0] - before[0]), "low": np.nan, "high": np.nan}
    if there["videos"] != here["videos"] or len(here["videos"]) < FEWEST_VIDEOS:
        return found
    ends = jackknife_interval(found["change"], now[1:] - before[1:], here["left_out"], confidence)
    return {**found, "low": float(ends[0]), "high": float(ends[1])}


def notes_of(points: Sequence[Point], unit: str) -> list[str]:
    """Notes for the reader, each once, with its steps unless it applies to all."""
    steps: dict[str, list[int]] = {}
    for point in points:
        for warning in dict.fromkeys(point.warnings):
            steps.setdefault(warning, []).append(point.step)
    said = ["The course has one point so far: changes are shown from the second on."] if len(points) == 1 else []
    for warning, at in steps.items():
        some = ", ".join(map(str, at[:MOST])) + (" …" if len(at) > MOST else "")
        said.append(warning if len(at) == len(points) else f"{unit.capitalize()} {some}: {warning}")
    return said


class Tracked(Course):
    """A course that can be drawn and written as a page."""

    def plot(self, folder: str | Path) -> list[Path]:
        """Write ``course.svg`` and ``course.png``, and ``course-<name>`` of every further estimator.

        Raises:
            UserError: If the folder cannot be written.
        """
        return save_course_plots(self, as_path(folder))

    def report(self, path: str | Path) -> Path:
        """Write one HTML page; ``course.html`` in the folder if the path is a folder.

        Raises:
            UserError: If the folder cannot be written.
        """
        place = as_path(path)
        return save_course(self, place if place.suffix and not place.is_dir() else place / PAGE)


def course_of(points: Points) -> Tracked:
    """Combine the points into a course.

    Raises:
        UserError: If there are no points.
    """
    there = [points.found[step] for step in sorted(points.found)]
    described = points.described
    if not there:
        raise UserError("This course has no points yet: measure one, e.g. with `tracker.now(0)`.")
    unit = str(described.get("unit", "step"))
    return Tracked(
        str(described.get("model", "A model")),
        points.table,
        changes_of(there[0], there[-1], float(described.get("scoring", {}).get("confidence", 0.95))),
        points.untrained,
        described["described"],
        unit,
        notes_of(there, unit),
        _made(described, there),
    )


def _made(described: Mapping[str, Any], points: Sequence[Point]) -> dict[str, str]:
    """How it was measured, for the page."""
    seconds = sorted(point.seconds for point in points)[len(points) // 2]
    return {
        "videos": f"{len(described['videos'])}, {described['source'].get('kind', '')}".rstrip(", "),
        "styles": ", ".join(described["styles"]),
        "orders": ", ".join(described["orders"]),
        "stages": ", ".join(described["stages"]),
        "seed": str(described["seed"]),
        "confidence": f"{100 * described['scoring']['confidence']:g} %",
        "a point takes": f"{seconds:.1f} s",
        "last point": points[-1].finished,
    }


def open_course(folder: str | Path) -> Tracked:
    """Open a course on disk, to draw it or write it as a page without the model and the videos.

    Raises:
        UserError: If the folder does not contain a course, contains a run of another kind, or cannot be read.
    """
    place = as_path(folder)
    described = COURSE.read(place)
    if described is None:
        raise UserError(f"{folder} does not contain a course: {COURSE.file} is missing.")
    points = Points(None, described)
    points.found = {point.step: point for point in read_points(place)}
    points.untrained = read_untrained(place)
    try:
        return course_of(points)
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"The course in {folder} is damaged ({reason(error)}).") from None
