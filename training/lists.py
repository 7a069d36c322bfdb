"""The published lists of a data set: ``category.txt``, and ``{train,val,test}_videofolder.txt``."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.common.texts import read_lines
from static_dynamic.sources.annotations import inside

CATEGORIES = "category.txt"


class Entry(NamedTuple):
    """A line of a list: the folder of a video, how many frames it has, and the number of its class."""

    name: str
    frames: int
    label: int


def list_path(folder: Path, split: str) -> Path:
    """The list of a split; the name of a file is used unchanged."""
    return folder / (split if split.endswith(".txt") else f"{split}_videofolder.txt")


def read_categories(folder: Path) -> list[str]:
    """The classes, one per line; the number of a class is its position.

    Raises:
        UserError: If the file is missing, or holds no class.
    """
    return read_classes(folder / CATEGORIES)


def read_classes(path: Path) -> list[str]:
    """The lines of a file of classes.

    Raises:
        UserError: If it holds no class, or one twice; the line is named.
    """
    found: dict[str, int] = {}
    for number, name in read_lines(path):
        if (first := found.setdefault(name, number)) != number:
            raise UserError(f"{path}, line {number}: the class {name!r} repeats that of line {first}.")
    if not found:
        raise UserError(f"{path} names no class.")
    return list(found)


def read_list(path: Path, classes: int) -> list[Entry]:
    """The videos of a list, ``<id> <frames> <label>`` per line; an id may hold spaces.

    Args:
        path: The list.
        classes: Number of classes.

    Raises:
        UserError: If it cannot be read, holds no video, or a line does not fit; file and line are named.
    """
    entries = [_entry(line, classes, f"{path}, line {number}") for number, line in read_lines(path)]
    if not entries:
        raise UserError(f"{path} lists no video.")
    return entries


def check_frames(path: Path, entries: Sequence[Entry], root: Path, share: float) -> None:
    """Refuse a list whose videos are mostly missing, before hours of work.

    Args:
        path: The list.
        entries: What it holds.
        root: Folder of the frame folders.
        share: Up to this share of the videos may be missing, and always one; each is reported.

    Raises:
        UserError: If more folders are missing; the line of the first is named.
    """
    missing = [place for place, entry in enumerate(entries) if not (root / entry.name).is_dir()]
    if len(missing) > max(1, share * len(entries)):
        number, _ = read_lines(path)[missing[0]]
        raise UserError(
            f"{path}, line {number}: the folder {root / entries[missing[0]].name} is missing. Of {len(entries)} videos "
            f"in the list, {len(missing)} have no folder of frames in {root}."
        )


def write_list(path: Path, entries: Iterable[Entry]) -> None:
    """Write a list."""
    write_text(path, "".join(f"{name} {frames} {label}\n" for name, frames, label in entries))


def write_categories(folder: Path, names: Iterable[str]) -> None:
    """Write the classes."""
    write_text(folder / CATEGORIES, "".join(f"{name}\n" for name in names))


def digest(entries: Sequence[Entry]) -> str:
    """A short description of a list: its number of videos, and a digest."""
    return f"{len(entries)} videos, {hashlib.sha256(repr(entries).encode()).hexdigest()[:12]}"


def _entry(line: str, classes: int, where: str) -> Entry:
    fields = line.rsplit(maxsplit=2)
    if len(fields) != 3 or not all(field.isdecimal() for field in fields[1:]):
        raise UserError(f"{where}: must be '<id> <frames> <label>', the last two whole numbers. Got {line!r}.")
    entry = Entry(inside(fields[0], where), int(fields[1]), int(fields[2]))
    if entry.label >= classes:
        raise UserError(f"{where}: unknown class {entry.label}. Allowed: 0 to {classes - 1}, as in {CATEGORIES}.")
    if not entry.frames:
        raise UserError(f"{where}: a video needs at least one frame. Got {line!r}.")
    return entry
