"""Annotation files of published data sets: JSON that can say which field of which entry is missing or wrong."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from static_dynamic.common.errors import UserError
from static_dynamic.common.texts import read_json


@dataclass(frozen=True)
class Record:
    """A piece of a JSON file that knows where it comes from, so that a missing field can be named."""

    value: Any
    where: str

    def __getitem__(self, field: str) -> "Record":
        if not isinstance(self.value, Mapping):
            raise self._wrong(f"an object with the field '{field}'")
        if field not in self.value:
            raise UserError(f"The annotation {self.where} has no field '{field}'.")
        return Record(self.value[field], f"{self.where}, field '{field}'")

    def get(self, field: str) -> "Record | None":
        """The same, or ``None`` where the field is missing."""
        return self[field] if isinstance(self.value, Mapping) and field in self.value else None

    def items(self) -> "Iterator[tuple[str, Record]]":
        """Members of an object by name, or of a list by their place in it, from 0."""
        if not isinstance(self.value, dict | list):
            raise self._wrong("a list or an object")
        pairs = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
        return ((str(key), Record(value, f"{self.where}, entry {key}")) for key, value in pairs)

    def number(self) -> float:
        """A finite number, also one that is written as text."""
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
            UserError: If it is no text, or leads out of that folder.
        """
        return inside(self.text(), f"The annotation {self.where}")

    def _wrong(self, expected: str) -> UserError:
        return UserError(f"The annotation {self.where} must be {expected}. Got {self.value!r:.60}.")


def inside(name: str, where: str) -> str:
    """The same name, if it can be that of a video below a folder: what others wrote reads nothing outside of it.

    Args:
        name: A name that a file gives.
        where: What the message begins with: the file and the place in it.

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
    """The annotation file that is given, or the first of ``names`` that lies in ``root``.

    Raises:
        UserError: If there is none, or it cannot be read as JSON.
    """
    path = file or next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        there = sorted(
            found.relative_to(root).as_posix() for at in (root, root / "labels") for found in at.glob("*.json")
        )
        raise UserError(
            f"No annotation file {' or '.join(names)} in {root}. JSON files there: {', '.join(there) or 'none'}. "
            "Another file: `annotations=FILE`."
        )
    return Record(read_json(path), str(path))
