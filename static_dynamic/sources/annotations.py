"""Annotation files of published data sets: JSON that can say which field of which entry is missing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from static_dynamic.errors import UserError


@dataclass(frozen=True)
class Record:
    """A piece of a JSON file that knows where it comes from, so that a missing field can be named."""

    value: Any
    where: str

    def __getitem__(self, field: str) -> "Record":
        if not isinstance(self.value, Mapping) or field not in self.value:
            raise UserError(f"The annotation {self.where} has no field '{field}'.")
        return Record(self.value[field], f"{self.where}, field '{field}'")

    def get(self, field: str) -> "Record | None":
        """The same, or ``None`` where the field is missing."""
        return self[field] if field in self.value else None

    def items(self) -> "Iterator[tuple[str, Record]]":
        """Members of an object by name, or of a list by their place in it."""
        if not isinstance(self.value, dict | list):
            raise self._wrong("a list or an object")
        pairs = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
        return ((str(key), Record(value, f"{self.where}, entry {key}")) for key, value in pairs)

    def number(self) -> float:
        """A number, also one that is written as text."""
        try:
            return float(self.value)
        except (TypeError, ValueError):
            raise self._wrong("a number") from None

    def text(self) -> str:
        """A name or a class number, as text."""
        if not isinstance(self.value, str | int) or self.value == "":
            raise self._wrong("text")
        return str(self.value)

    def _wrong(self, expected: str) -> UserError:
        return UserError(f"The annotation {self.where} must be {expected}. Got {self.value!r:.60}.")


def read_annotations(root: Path, names: list[str]) -> Record:
    """The first of ``names`` that lies in ``root``.

    Raises:
        UserError: If there is none, or it is no JSON.
    """
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        found = ", ".join(sorted(file.name for file in root.glob("*.json"))) or "none"
        raise UserError(f"No annotation file {' or '.join(names)} in {root}. JSON files there: {found}.")
    try:
        return Record(json.loads(path.read_text(encoding="utf-8")), str(path))
    except ValueError as error:
        raise UserError(f"The annotation {path} is not valid JSON: {error}.") from error
