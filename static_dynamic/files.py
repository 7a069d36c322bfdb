"""Files that are either whole or absent, however a run ends."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from static_dynamic.errors import UserError


def as_path(where: str | os.PathLike[str]) -> Path:
    """The place that a user names; ``~`` is the home folder."""
    return Path(os.path.expanduser(where))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file through a temporary one beside it; missing parent folders are made.

    Args:
        path: The file.
        write: Writes to the path that it is given.

    Raises:
        UserError: If the place cannot be written, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"Cannot write {str(path)!r}: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there.

    Raises:
        UserError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {str(path)!r}: {error.strerror or error}.") from None


def refuse_existing(*paths: Path) -> None:
    """Make sure that writing these files or folders overwrites nothing.

    Raises:
        UserError: If one of them is there.
    """
    if there := [path for path in paths if os.path.lexists(path)]:
        raise UserError(f"{there[0]} is there already: remove it, or give another place.")


def stamp(*places: Path) -> str:
    """What changes when files do: their number, bytes and latest change; of a folder, those of the files in it.

    What is not there, and links to nothing, count as nothing.
    """
    files = [file for place in places for file in (os.scandir(place) if place.is_dir() else [place])]
    stats = [os.stat(file) for file in files if os.path.exists(file)]
    latest = max((found.st_mtime_ns for found in stats), default=0)
    return f"{len(stats)} files, {sum(found.st_size for found in stats)} bytes, {latest}"


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file, whole or not at all."""
    write_atomically(path, lambda partial: partial.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_bytes(path, text.encode())
