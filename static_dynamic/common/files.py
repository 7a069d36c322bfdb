"""Files and folders that are either whole or absent, however a run ends."""

import errno
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Protocol

from static_dynamic.common.errors import UserError

LONGEST_NAME = 255
"""Bytes; the limit of common file systems."""
FORGOTTEN = 24 * 3600
"""Seconds after which a partial file of another machine, whose processes are not visible here, is a leftover."""

_PARTIAL = re.compile(r"\..*\.(?P<host>[\w-]+)\.(?P<process>\d+)-\d+\.part", re.DOTALL)
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""Errors of places that cannot wait until a file is on the disk."""
_numbers = count()


class Follower(Protocol):
    """What is told of files, so that another place sees the same changes in the same order."""

    def finished(self, file: Path, target: Path) -> None:
        """A file is whole, and takes its place next."""

    def removed(self, path: Path) -> None:
        """A file was removed."""


followers: list[Follower] = []
_cleared: set[Path] = set()
"""Folders to which this process has written."""


@contextmanager
def whole(target: Path, lasting: bool = False) -> Iterator[Path]:
    """A path to write a file or a folder to; it becomes ``target`` if the block succeeds, and is removed otherwise.

    Missing parent folders are made. The first time that a process writes to a folder, it removes what killed processes
    left half-written there.

    Args:
        target: The file or folder.
        lasting: Whether it is on the disk before it becomes ``target``, so that it is whole also after a power loss.

    Raises:
        UserError: If the place cannot be written, or a folder that is not empty exists there.
    """
    refuse_address(target)
    partial = partial_path(target)
    try:
        with plain_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        _clear_once(target.parent)
        yield partial
        for follower in followers:
            follower.finished(partial, target)
        with plain_errors(target):
            if lasting:
                _flush(partial)
            os.replace(partial, target)
    finally:
        remove(partial)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for files that are needed only in the block; those of killed processes are removed, as in `whole`.

    Raises:
        UserError: If it cannot be made.
    """
    with plain_errors(Path("TMPDIR")):
        place = Path(tempfile.gettempdir())
    _clear_once(place)
    with plain_errors(place):
        folder = Path(tempfile.mkdtemp(prefix=".", suffix=partial_path(place / "clip").name, dir=place))
    try:
        yield folder
    finally:
        remove(folder)


def _flush(written: Path) -> None:
    """Wait until a file, or every file of a folder, is on the disk."""
    for path in written.rglob("*") if written.is_dir() else [written]:
        if path.is_file():
            with path.open("rb+") as file:
                try:
                    os.fsync(file.fileno())
                except OSError as error:
                    if error.errno not in _UNABLE:
                        raise


def as_path(where: str | os.PathLike[str]) -> Path:
    """The path that a user gives; ``~`` is the home folder."""
    return Path(os.path.expanduser(where))


def schemes() -> set[str]:
    """The schemes of addresses that fsspec knows, such as ``s3``; those that others have registered included."""
    import fsspec

    return {*fsspec.available_protocols(), *fsspec.registry}


def refuse_address(path: Path, remedy: str = "give a folder") -> None:
    """Make sure that a path was no address, before ``Path`` made one slash of two.

    Raises:
        UserError: If it was.
    """
    scheme, colon, _ = path.as_posix().partition(":/")
    if colon and len(scheme) > 1 and not Path(f"{scheme}:").exists() and scheme in schemes():
        raise UserError(f"{str(path)!r} is an address of {scheme}, which cannot be used as a path: {remedy}.")


def write_atomically(path: Path, write: Callable[[Path], object], lasting: bool = False) -> None:
    """Write a file, whole or not at all; missing parent folders are made.

    Args:
        path: The file.
        write: A function that writes to the path it is given.
        lasting: Whether that holds after a power loss too, see `whole`: for what takes long to make again.

    Raises:
        UserError: If the place cannot be written, or the disk is full.
    """
    with whole(path, lasting) as partial, plain_errors(path):
        write(partial)


def write_bytes(path: Path, content: bytes | memoryview, lasting: bool = False) -> None:
    """Write a file, whole or not at all, see `write_atomically`."""
    write_atomically(path, lambda partial: partial.write_bytes(content), lasting)


def write_text(path: Path, text: str, lasting: bool = False) -> None:
    """Write a text file, whole or not at all, see `write_atomically`."""
    write_bytes(path, text.encode(), lasting)


@contextmanager
def plain_errors(target: Path, *others: type[Exception]) -> Iterator[None]:
    """Turn errors of the file system into one line that names the file.

    Args:
        target: The file.
        others: Exceptions that libraries raise instead of an ``OSError``.
    """
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"Cannot write {str(target)!r}: {reason}.") from None


def partial_path(target: Path) -> Path:
    """The path of a file or folder while it is written: hidden, next to it, with the writing process in its name.

    No two calls give the same path. A name that would become too long is cut.
    """
    mark = f".{host_name()}.{os.getpid()}-{next(_numbers)}.part"
    name = os.fsencode(target.name)[: LONGEST_NAME - 1 - len(mark)].decode(errors="ignore")
    return target.with_name(f".{name}{mark}")


def _clear_once(folder: Path) -> None:
    """The first time that a process writes to a folder, remove what killed processes left there."""
    if folder not in _cleared:
        _cleared.add(folder)
        clear_partials([folder])


def clear_partials(folders: Iterable[Path]) -> None:
    """Remove partial files that killed processes left in some folders; those of running processes stay."""
    for folder in folders:
        with suppress(OSError):
            for entry in list(os.scandir(folder)):
                if (written := _PARTIAL.fullmatch(entry.name)) and _is_left(entry, written["host"], written["process"]):
                    remove(Path(entry.path))


def _is_left(entry: os.DirEntry[str], host: str, process: str) -> bool:
    if host == host_name():
        return not is_alive(int(process))
    age = _now(Path(entry.path).parent) - entry.stat(follow_symlinks=False).st_mtime
    return abs(age) > FORGOTTEN  # one from the future was written before a clock was set right


def _now(folder: Path) -> float:
    """The time by the clock that dates files in a folder, which may be that of another machine."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def is_alive(process: int) -> bool:
    """Whether a process of this machine has not ended."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # a process of another user
        return True


@lru_cache
def host_name() -> str:
    """The name of this machine, in letters, digits and hyphens."""
    return re.sub(r"\W", "-", socket.gethostname(), flags=re.ASCII)[:64] or "host"


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists and can be removed; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    for follower in followers:
        follower.removed(path)


def make_folder(path: Path) -> None:
    """Make a folder, unless it exists.

    Raises:
        UserError: If it cannot be made.
    """
    refuse_address(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {str(path)!r}: {error.strerror or error}.") from None


def refuse_existing(*paths: Path) -> None:
    """Make sure that writing these files or folders overwrites nothing.

    Raises:
        UserError: If one of them exists.
    """
    if there := [path for path in paths if os.path.lexists(path)]:
        raise UserError(f"{there[0]} exists already: remove it, or give another place.")


def stamp(*places: Path) -> str:
    """A text that changes when files do: their number, bytes and latest change. A folder counts by the files in it.

    Missing files and broken links do not count.
    """
    stats = []
    for file in (file for place in places for file in (os.scandir(place) if place.is_dir() else [place])):
        with suppress(OSError):
            stats.append(os.stat(file))
    latest = max((found.st_mtime_ns for found in stats), default=0)
    return f"{len(stats)} files, {sum(found.st_size for found in stats)} bytes, {latest}"
