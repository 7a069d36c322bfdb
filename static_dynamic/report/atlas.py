"""Data for the script of a page: units of every stage, and classes of the published score at any threshold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.report.parts import Part, all_classes
from static_dynamic.report.tables import in_order
from static_dynamic.report.theme import colours_of

MOST = 700_000
"""Largest number of unit values on a page; with more units only every second, third, … is shown."""
THRESHOLDS = np.arange(101) / 100
ENDS = ("", "_low", "_high")
PUBLISHED = ("dynamic", "static", "joint", "residual", "dead")

Plain = dict[str, Any]
"""A mapping that becomes JSON."""


def atlas(parts: Sequence[Part], top_clips: pd.DataFrame | None = None) -> Plain:
    """The units of a result: their numbers in hundredths, classes by place, stability in percent, clips by place.

    Args:
        parts: The part of a result for every estimator.
        top_clips: The clips to which units respond most.

    Returns:
        ``stages``, each with ``units``, their numbers, and ``clips``, lists of the places of ``videos``;
        ``estimators``, each with its ``stages`` in the same order, ``null`` where it has none; and ``every``: 1 if all
        units are included.
    """
    parts = [part for part in parts if not part.units.empty]
    stages = list(dict.fromkeys(stage for part in parts for stage in in_order(part.units, "stage")))
    units = {stage: _units(parts, stage) for stage in stages}
    every = _step(parts, sum(map(len, units.values())), top_clips is not None)
    units = {stage: numbers[::every] for stage, numbers in units.items()}
    videos = [] if top_clips is None else in_order(top_clips, "video")
    return {
        "every": every,
        "videos": [str(video) for video in videos],
        "stages": [
            {"name": stage, "units": units[stage].tolist(), "clips": _clips(top_clips, stage, units[stage], videos)}
            for stage in stages
        ],
        "estimators": [_estimator(part, units) for part in parts],
    }


def _units(parts: Sequence[Part], stage: str) -> npt.NDArray[np.int64]:
    """Numbers of the units of a stage."""
    found = [part.units.loc[part.units["stage"] == stage, "unit"].to_numpy() for part in parts]
    return np.unique(np.concatenate(found))


def _step(parts: Sequence[Part], units: int, with_clips: bool) -> int:
    columns = sum(2 + len(ENDS) * len(_columns(part)) for part in parts) + 4 * with_clips
    return max(1, -(-units * columns // MOST))


def _columns(part: Part) -> list[str]:
    """Numbers that its units have."""
    return [factor for factor in part.factors if factor in part.units]


def _estimator(part: Part, units: dict[str, npt.NDArray[np.int64]]) -> Plain:
    classes = all_classes(part.units, part.described["classes"]) if "class" in part.units else []
    return {
        "name": part.name,
        "title": part.title,
        "columns": _columns(part),
        "classes": [{"name": name, "colour": colour} for name, colour in colours_of(classes).items()],
        "stages": [_stage(part, stage, numbers, classes) for stage, numbers in units.items()],
    }


def _stage(part: Part, stage: str, units: npt.NDArray[np.int64], classes: Sequence[str]) -> Plain | None:
    rows = part.units[part.units["stage"] == stage].set_index("unit")
    if rows.empty:
        return None
    rows = rows.reindex(units)
    found: Plain = {
        "values": [[_whole(rows, f"{name}{end}") for end in ENDS] for name in _columns(part)],
    }
    if classes:
        place = {name: i for i, name in enumerate(classes)}
        found["class"] = [place.get(name) for name in rows["class"]]
        found["stability"] = _whole(rows, "stability")
    return found


def _whole(rows: pd.DataFrame, column: str) -> list[int | None] | None:
    """A column in hundredths; ``None`` where it is undefined or the column does not exist."""
    if column not in rows:
        return None
    values = 100 * rows[column].to_numpy(float)
    return [round(value) if known else None for value, known in zip(values, np.isfinite(values), strict=True)]


def _clips(
    top_clips: pd.DataFrame | None, stage: str, units: npt.NDArray[np.int64], videos: Sequence[str]
) -> list[list[int]] | None:
    """For every unit the places of its clips."""
    if top_clips is None:
        return None
    place = {video: i for i, video in enumerate(videos)}
    found: dict[int, list[int]] = {}
    rows = top_clips[top_clips["stage"] == stage].sort_values(["unit", "place"])
    for unit, video in zip(rows["unit"], rows["video"], strict=True):
        found.setdefault(int(unit), []).append(place[video])
    return [found.get(int(unit), []) for unit in units]


def thresholds(part: Part) -> Plain | None:
    """Units of every class of the published score at every threshold from 0 to 1, percent of the stage.

        dynamic: u_D > λ ≥ u_S;  static: u_S > λ ≥ u_D;  joint: both > λ;  residual: neither;  dead: no variance

    Returns:
        ``classes``; ``stages``, each with ``shares``, ``(thresholds, classes)``; and ``now``, the hundredths at which
        the units were classified. ``None`` for another estimator, or where units have no scores.
    """
    if part.name != "released" or not {"dynamic", "static", "class"} <= {*part.units} or part.units.empty:
        return None
    stages = [
        {"name": stage, "shares": _shares(*(rows[name].to_numpy(float) for name in PUBLISHED[:2])).tolist()}
        for stage, rows in part.units.groupby("stage", sort=False)
    ]
    now = part.described["options"].get("threshold", 0.5)
    return {"classes": list(PUBLISHED), "stages": stages, "now": round(100 * now)}


def _shares(dynamic: npt.NDArray[np.float64], static: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``(thresholds, classes)``, percent."""
    dead = np.isnan(dynamic) | np.isnan(static)
    moving, still = (scores > THRESHOLDS[:, None] for scores in (dynamic, static))
    members = [moving & ~still, still & ~moving, moving & still, ~(moving | still)]
    shares = [(member & ~dead).mean(1) for member in members]
    return np.round(100 * np.stack([*shares, np.full(len(THRESHOLDS), dead.mean())], 1), 1)
