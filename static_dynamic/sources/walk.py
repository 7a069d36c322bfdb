"""The files of a folder and of all folders below it, links included, and the names of videos that follow from them."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from static_dynamic.common.errors import UserError, one_line


def files_below(root: Path) -> Iterator[Path]:
    """Every file in ``root`` and in the folders below it, see `folders_below`.

    Raises:
        UserError: If a folder cannot be read.
    """
    return (folder / name for folder, names in folders_below(root) for name in names)


def folders_below(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """``root`` and every folder below it, in order, each with the sorted names of its files; hidden ones are left out.

    Links to folders are followed, unless one leads back to a folder that contains it, which would never end. Everything
    else counts as a file, including a broken link, which fails when it is read.

    Raises:
        UserError: If a folder cannot be read.
    """
    return _walk(root, frozenset())


def name_below(path: Path, root: Path) -> str:
    """The name of a video: its path below ``root``, or its file name if it is ``root``."""
    return printable(Path(os.path.abspath(path)).name if path == root else path.relative_to(root).as_posix())


def printable(name: str) -> str:
    r"""A file name that can be printed and written anywhere, and remains unique.

    Bytes that are not UTF-8 and control characters are escaped: ``\xff``, ``\n``. A backslash is doubled.
    """
    return one_line(name.replace("\\", "\\\\"))


def kinds_of_files(paths: Iterable[Path]) -> str:
    """The number of files by extension, the most frequent first: ``12 .txt, 1 .json``."""
    counts = Counter(path.suffix.lower() or "without extension" for path in paths)
    return one_line(", ".join(f"{count} {kind}" for kind, count in counts.most_common(8))) or "no files"


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, list[str]]]:
    try:
        place = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: this folder cannot be read ({error.strerror or error}).") from None
    here = (place.st_dev, place.st_ino)
    if here in above:
        return
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    folders = {entry.name for entry in shown if _is_folder(entry)}
    yield folder, [entry.name for entry in shown if entry.name not in folders]
    for name in sorted(folders):
        yield from _walk(folder / name, above | {here})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
