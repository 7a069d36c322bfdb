"""Annotation files of published data sets: JSON with errors that name the missing or invalid field."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from static_dynamic.common.errors import UserError
from static_dynamic.common.texts import read_json


@dataclass(frozen=True)
class Record:
    """A part of a JSON file with its location, so that errors can name a missing field."""

    value: Any
    where: str

    def __getitem__(self, field: str) -> "Record":
        if not isinstance(self.value, Mapping):
            raise self._wrong(f"an object with the field '{field}'")
        if field not in self.value:
            raise UserError(f"The annotation {self.where} has no field '{field}'.")
        return Record(self.value[field], f"{self.where}, field '{field}'")

    def get(self, field: str) -> "Record | None":
        """The field, or ``None`` if it is missing."""
        return self[field] if isinstance(self.value, Mapping) and field in self.value else None

    def items(self) -> "Iterator[tuple[str, Record]]":
        """Members of an object by name, or of a list by their index, from 0."""
        if not isinstance(self.value, dict | list):
            raise self._wrong("a list or an object")
        pairs = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
        return ((str(key), Record(value, f"{self.where}, entry {key}")) for key, value in pairs)

    def number(self) -> float:
        """A finite number, which may be written as text."""
        try:
            number = math.nan if isinstance(self.value, bool) else float(self.value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self._wrong("a finite number")
        return number

    def text(self) -> str:
        """A name or a class number, as text."""
        if not isinstance(self.value, str | int) or isinstance(self.value, bool) or self.value == "":
            raise self._wrong("text")
        return str(self.value)

    def path(self) -> str:
        """The id of a video, which is its path below a folder of the data set.

        Raises:
            UserError: If it is not text, or leads out of that folder.
        """
        return inside(self.text(), f"The annotation {self.where}")

    def _wrong(self, expected: str) -> UserError:
        return UserError(f"The annotation {self.where} must be {expected}. Got {self.value!r:.60}.")


def inside(name: str, where: str) -> str:
    """Check that a name is a path below a folder, so that an annotation file cannot make a run read files outside it.

    Args:
        name: A name that a file gives.
        where: Beginning of the message: the file and the place in it.

    Raises:
        UserError: If it is empty or absolute, or has a part ``..``.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    absolute = path.is_absolute() or PureWindowsPath(name).drive
    if not name or absolute or ".." in path.parts or "\0" in name:
        raise UserError(
            f"{where}: the name of a video must be a path inside the data set, neither absolute nor with '..'. "
            f"Got {name!r:.80}."
        )
    return name


def read_annotations(root: Path, names: Sequence[str], file: Path | None = None) -> Record:
    """The given annotation file, or the first of ``names`` that exists in ``root``.

    Raises:
        UserError: If none exists, or it cannot be read as JSON.
    """
    path = file or next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        there = sorted(
            found.relative_to(root).as_posix() for at in (root, root / "labels") for found in at.glob("*.json")
        )
        raise UserError(
            f"No annotation file {' or '.join(names)} in {root}. JSON files there: {', '.join(there) or 'none'}. "
            "Give another file: `annotations=FILE`."
        )
    return Record(read_json(path), str(path))
