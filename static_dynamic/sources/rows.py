"""The rows of a list of videos: a path and, optionally, a class and a part of the video."""

import csv
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import as_path
from static_dynamic.common.texts import read_lines
from static_dynamic.media.clip import FACTORS
from static_dynamic.media.parts import Part

EXTENSIONS = (".txt", ".csv", ".tsv")
"""Files that are lists of videos."""
COLUMNS = ("path", "label", "start", "end", "start_frame", "end_frame", *FACTORS)
UNNAMED = ((), COLUMNS[:1], COLUMNS[:2], (), COLUMNS[:4])
"""Number of columns → their names, if the first line does not name them."""
SECONDS, FRAMES = COLUMNS[2:4], COLUMNS[4:6]


@dataclass(frozen=True)
class Row:
    """One video of a list.

    Attributes:
        path: The file or folder.
        written: The same, as written in the list.
        where: The list and the place in it, for messages.
        label: Its class, if the list gives it.
        part: The part of the video, if the list gives it.
        factors: Its block, appearance and motion, if the list gives them.
    """

    path: Path
    written: str
    where: str
    label: str | None = None
    part: Part | None = None
    factors: dict[str, str] = field(default_factory=dict)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file.

    The columns are ``path``, ``label``, ``start`` and ``end`` (seconds), ``start_frame`` and ``end_frame`` (from 0, the
    end not included), ``block``, ``appearance`` and ``motion``, in any order if the first line names them; without
    names they are path, or path and label, or path, label, start and end. They are separated by commas, semicolons or
    tabs, as in the first line; a path that contains one is in double quotes. Lines that begin with ``#`` are comments.
    Paths are relative to the folder of the list.

    Raises:
        UserError: If the file cannot be read or holds no row, or a row is invalid; its line is stated.
    """
    lines = [(f"{path}, line {number}", line) for number, line in read_lines(path, comment="#")]
    delimiter = _delimiter(lines[0][1]) if lines else ","
    cells = [(where, _cells(line, delimiter, where)) for where, line in lines]
    names = _names(*cells[0], path.parent) if cells else ()
    rows = [_row(where, row, names, path.parent) for where, row in cells[bool(names) :]]
    if not rows:
        raise UserError(f"{path} does not list any video.")
    return rows


def rows_of(paths: Sequence[str | os.PathLike[str]]) -> list[Row]:
    """The rows of a Python list of paths.

    Raises:
        UserError: If it is empty, or holds something else.
    """
    for number, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise UserError(f"A list of videos must hold paths. Got {path!r:.60} as item {number}.")
    if not paths:
        raise UserError("A list of videos must hold at least one path. Got an empty list.")
    return [Row(as_path(path), os.fspath(path), f"item {number} of the list") for number, path in enumerate(paths)]


def _delimiter(line: str) -> str:
    outside_quotes = re.sub(r'"[^"]*"', "", line)
    return next((mark for mark in "\t;" if mark in outside_quotes), ",")


def _cells(line: str, delimiter: str, where: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise UserError(f"{where}: this is not a row of a table ({error}). Got {line!r:.80}.") from None
    return [cell.strip() for cell in cells]


def _names(where: str, cells: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The names of the columns, if the first row holds names; otherwise empty."""
    names = tuple(cell.lower() for cell in cells)
    if not {*names} & {*COLUMNS} or (folder / as_path(cells[0])).exists():
        return ()
    for name in names:
        if name not in COLUMNS and ("path" not in names or get_close_matches(name, COLUMNS, cutoff=0.7)):
            raise unknown("column", name, COLUMNS, where=where)
        if name in COLUMNS and names.count(name) > 1:
            raise UserError(f"{where}: the column '{name}' appears twice.")
    if "path" not in names:
        raise UserError(f"{where}: the column 'path' is required. Got {', '.join(names):.80}.")
    return names


def _row(where: str, cells: Sequence[str], names: Sequence[str], folder: Path) -> Row:
    names = names or (UNNAMED[len(cells)] if len(cells) < len(UNNAMED) else ())
    if len(cells) > len(names):
        wanted = ", ".join(names) or "a path, or a path and a label, or path, label, start and end"
        raise UserError(f"{where}: a row must be {wanted}. Got {len(cells)} cells: {', '.join(cells):.80}.")
    values = dict(zip(names, cells, strict=False))
    if not values.get("path"):
        raise UserError(f"{where}: the path is missing. Got {', '.join(cells):.80}.")
    path = folder / as_path(values["path"])
    part = _part(where, values)
    if part and not part.in_frames and path.is_dir():
        raise UserError(
            f"{where}: a folder of frames has no times in seconds: use the columns start_frame and end_frame."
        )
    factors = {name: values[name] for name in FACTORS if values.get(name)}
    return Row(path, values["path"], where, values.get("label") or None, part, factors)


def _part(where: str, values: Mapping[str, str]) -> Part | None:
    seconds, frames = ([_number(where, name, values.get(name, "")) for name in names] for names in (SECONDS, FRAMES))
    in_frames = frames != [None, None]
    if in_frames and seconds != [None, None]:
        raise UserError(f"{where}: a part must be either in seconds or in frames.")
    start, end = frames if in_frames else seconds
    if end is not None and end <= (start or 0):
        raise UserError(f"{where}: a part must end after its start. Got {start or 0:g} to {end:g}.")
    return None if start is None and end is None else Part(start, end, in_frames)


def _number(where: str, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(int(text)) if name in FRAMES else float(text)
    except (ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        kind = "a whole number of frames" if name in FRAMES else "a number of seconds"
        raise UserError(f"{where}: '{name}' must be {kind}, 0 or more. Got {text!r}.")
    return number
