"""The published lists of a data set: ``category.txt``, and ``{train,val,test}_videofolder.txt``."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from static_dynamic.errors import UserError
from static_dynamic.files import write_text
from static_dynamic.texts import read_lines

CATEGORIES = "category.txt"


class Entry(NamedTuple):
    """A line of a list: the folder of a video, how many frames it has, and the number of its class."""

    name: str
    frames: int
    label: int


def list_path(folder: Path, split: str) -> Path:
    """The list of a split; the name of a file stands for itself."""
    return folder / (split if split.endswith(".txt") else f"{split}_videofolder.txt")


def read_categories(folder: Path) -> list[str]:
    """The classes, one per line; the number of a class is its place.

    Raises:
        UserError: If there is no such file, or no class in it.
    """
    path = folder / CATEGORIES
    names = [line for _, line in read_lines(path)]
    if not names:
        raise UserError(f"{path} names no class.")
    return names


def read_list(path: Path, classes: int) -> list[Entry]:
    """The videos of a list, ``<id> <frames> <label>`` per line; an id may hold spaces.

    Args:
        path: The list.
        classes: How many there are.

    Raises:
        UserError: If it cannot be read, holds no video, or a line does not fit; file and line are named.
    """
    entries = [_entry(line, classes, f"{path}, line {number}") for number, line in read_lines(path)]
    if not entries:
        raise UserError(f"{path} lists no video.")
    return entries


def write_list(path: Path, entries: Iterable[Entry]) -> None:
    """Write a list."""
    write_text(path, "".join(f"{name} {frames} {label}\n" for name, frames, label in entries))


def write_categories(folder: Path, names: Iterable[str]) -> None:
    """Write the classes."""
    write_text(folder / CATEGORIES, "".join(f"{name}\n" for name in names))


def digest(entries: Sequence[Entry]) -> str:
    """What a list is, in short: how many videos, and a digest."""
    return f"{len(entries)} videos, {hashlib.sha256(repr(entries).encode()).hexdigest()[:12]}"


def _entry(line: str, classes: int, where: str) -> Entry:
    fields = line.rsplit(maxsplit=2)
    if len(fields) != 3 or not all(field.isdecimal() for field in fields[1:]):
        raise UserError(f"{where}: must be '<id> <frames> <label>', the last two whole numbers. Got {line!r}.")
    entry = Entry(fields[0], int(fields[1]), int(fields[2]))
    if entry.label >= classes:
        raise UserError(f"{where}: unknown class {entry.label}. Allowed: 0 to {classes - 1}, as in {CATEGORIES}.")
    if not entry.frames:
        raise UserError(f"{where}: a video needs at least one frame. Got {line!r}.")
    return entry
