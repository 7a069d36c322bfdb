"""Places on object stores: an address such as ``s3://bucket/run``, for which a local copy stands.

What runs write needs paths: files are renamed into place, locked and mapped into memory, which no object store can do.
So a local folder stands for an address of fsspec, and the code of a run sees nothing but this folder:

* A file that is finished is uploaded before it takes its place in the folder, and a file that is removed is removed at
  the address too. So the address sees the same changes in the same order, and what holds for a folder holds there: a
  shard counts once its last file is there, and its parts disappear after the merged file is whole.
* What is at the address is fetched when it is asked for (`fetch`), unless it is here and did not change.

The address is the truth. The copy is a temporary folder of one process, so nothing needs to be kept in step between
runs: a run that was killed is resumed from the address, on this machine or another one.

Paths that do the requests themselves (``universal_pathlib``) would change every function that opens, renames, locks or
lists a file, and safetensors, which maps files into memory, would need a copy nevertheless.
"""

import atexit
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from static_dynamic.common.errors import STAND_INS, BadClip, UserError, reason, unknown
from static_dynamic.common.files import (
    as_path,
    clear_partials,
    followers,
    is_alive,
    partial_path,
    refuse_address,
    remove,
    schemes,
)
from static_dynamic.common.locks import HOLDER, statement

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Place = str | os.PathLike[str]
"""A path, or an address as text."""
SCHEME = re.compile(r"([A-Za-z][\w+.-]+(?:::[A-Za-z][\w+.-]+)*)://", re.ASCII)
"""How an address begins; a drive of Windows has one letter."""
USUAL = ("s3", "gs", "az", "abfs", "hf", "oci", "sftp", "hdfs", "file", "memory")
"""Schemes that a message lists; fsspec knows others."""
PAGES = ("http", "https")
"""Schemes of pages, which have neither listings nor uploads."""


def is_address(where: object) -> bool:
    """Whether a place is an address, which has a scheme and ``://``; a path never has both slashes.

    Example:
        >>> is_address("s3://bucket/run"), is_address("runs/i3d"), is_address("mine:a"), is_address("C:/run")
        (True, False, False, False)
    """
    return isinstance(where, str) and SCHEME.match(where) is not None


def local(where: Place) -> Path:
    """The path that a user gives, or the path that stands for an address; nothing is fetched yet.

    Raises:
        UserError: If the scheme is unknown or its package missing, or the address cannot be used.
    """
    if not isinstance(where, str) or not is_address(where):
        given = as_path(where)
        refuse_address(given, "give it as text, which keeps both slashes")
        return given
    system, path = _opened(where)
    parts = path.strip("/").split("/")
    if not all(map(_is_plain, parts)):
        raise UserError(f"An address must name a folder, without '.', '..' or empty parts. Got {where!r}.")
    lead, shown = path[: len(path) - len(path.lstrip("/"))], where.rstrip("/")
    shown = shown.removesuffix("/".join(parts)) if shown.endswith("/".join(parts)) else f"{where.split(':')[0]}://"
    return _copy(system, lead, shown).folder.joinpath(*parts)


def listed(folder: Path, *patterns: str, folders: bool = False) -> list[Path]:
    """The files at the address of a folder, by glob, as paths that may not be here yet; nothing for ordinary folders.

    Args:
        folder: The folder.
        patterns: Globs of names.
        folders: List the folders instead.
    """
    copy = _copy_of(folder)
    return [] if copy is None else [folder / name for name in _matching(copy.look(folder), patterns, folders)]


def fetch(folder: Path, *patterns: str) -> None:
    """Bring the files of a folder, by glob, in step with its address; nothing for ordinary folders.

    Raises:
        UserError: If the address cannot be read.
    """
    if copy := _copy_of(folder):
        copy.fetch(folder, patterns)


def files_below(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Every file below the address of a folder: its path below it, and what the file system says of it.

    Raises:
        UserError: If the address cannot be read.
    """
    copy = _copy_of(folder)
    return {} if copy is None else copy.files_below(folder)


@contextmanager
def lent(path: Path) -> Iterator[Path]:
    """A file, fetched from its address and removed from the copy when the block ends.

    Raises:
        BadClip: If it is missing.
        UserError: If the address cannot be read.
    """
    try:
        if copy := _copy_of(path):
            with _in_one_line("read", path, missing=BadClip):
                copy.get([path])
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def announced(lock: Path) -> Iterator[None]:
    """State at the address of a lock file that a run is at work in its folder, until the block ends.

    An object store has no locks. So a run that is known to be alive, since it is on this machine, is respected. Of one
    on another machine a warning tells: it may have been killed. Two runs of one study do the same work twice, and each
    leaves files that are whole. Nothing happens for ordinary folders, and within a folder that is announced already.

    Raises:
        UserError: If another process of this machine is at work at the address.
    """
    copy = _copy_of(lock)
    if copy is None or any(lock.is_relative_to(folder) for folder in copy.announced):
        yield
        return
    copy.heed(lock)
    copy.write(lock, lambda place: copy.system.pipe_file(place, statement().encode()))
    copy.announced.append(lock.parent)
    try:
        yield
    finally:
        copy.announced.remove(lock.parent)
        with suppress(UserError):  # what ended the block matters more
            copy.erase(lock)


@dataclass(frozen=True, eq=False)
class Copy:
    """The local copy of a file system, which holds only what was asked for.

    Attributes:
        system: The file system.
        lead: How its paths begin: ``/`` or nothing.
        folder: The folder that stands for its root.
        there: Folder → name → what the file system said of it last.
        here: File → what the file system said of it when it was fetched; ``None`` if it was written here.
        announced: Folders in which this process is at work, see `announced`.
    """

    system: "AbstractFileSystem"
    lead: str
    folder: Path
    there: dict[Path, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    here: dict[Path, Mapping[str, Any] | None] = field(default_factory=dict)
    announced: list[Path] = field(default_factory=list)

    def holds(self, path: Path) -> bool:
        """Whether a path is in this copy."""
        return path.is_relative_to(self.folder)

    def at(self, path: Path) -> str:
        """The path in the file system."""
        return self.lead + path.relative_to(self.folder).as_posix()

    def look(self, folder: Path) -> dict[str, Mapping[str, Any]]:
        """The files and folders in a folder of the file system; names that lead elsewhere are left out."""
        top = self.at(folder)
        with _in_one_line("read", folder):
            self.system.invalidate_cache()
            try:
                found = self.system.ls(top, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                found = []
        named = ((_name_below(info, top), info) for info in found)
        self.there[folder] = {name: info for name, info in named if name and _is_plain(name)}
        return self.there[folder]

    def files_below(self, folder: Path) -> dict[str, Mapping[str, Any]]:
        """The files in a folder of the file system and in those below it."""
        top = self.at(folder)
        with _in_one_line("read", folder):
            self.system.invalidate_cache()
            found = self.system.find(top, detail=True)
        named = ((_name_below(info, top), info) for info in found.values())
        return {name: info for name, info in named if name and all(map(_is_plain, name.split("/")))}

    def fetch(self, folder: Path, patterns: tuple[str, ...]) -> None:
        """Fetch the files that are new or changed, and remove those that are no longer at the address."""
        there = self.look(folder)
        wanted = {folder / name: there[name] for name in _matching(there, patterns)}
        for pattern in patterns:
            for path in {*folder.glob(pattern)} - wanted.keys():
                path.unlink(missing_ok=True)
        with _in_one_line("read", folder):
            self.get([path for path, info in wanted.items() if not self._is_same(path, info)])
        self.here.update(wanted)

    def get(self, paths: list[Path]) -> None:
        """Fetch files, each of which is whole or absent."""
        partials = [partial_path(path) for path in paths]
        try:
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
            self.system.get([self.at(path) for path in paths], [str(partial) for partial in partials])
            for partial, path in zip(partials, paths, strict=True):
                os.replace(partial, path)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)

    def _is_same(self, path: Path, info: Mapping[str, Any]) -> bool:
        """Whether a file is here and did not change at the address."""
        if path not in self.here or not path.exists():
            return False
        before = self.here[path]
        return path.stat().st_size == info["size"] if before is None else before == info

    def finished(self, file: Path, target: Path) -> None:
        """Upload a finished file, which is about to take its place."""
        if self.holds(target):
            self.write(target, lambda place: self.system.put_file(str(file), place))
            self.here[target] = None
            os.utime(_top(), None)  # other machines that see it know that it is in use

    def write(self, path: Path, put: Callable[[str], object]) -> None:
        """Write a file of the file system by a function of its place."""
        place = self.at(path)
        with _in_one_line("write", path):
            if self.lead:  # a file system with folders
                self.system.makedirs(place.rpartition("/")[0], exist_ok=True)
            put(place)
        self.there.get(path.parent, {})[path.name] = {"type": "file"}

    def removed(self, path: Path) -> None:
        """Remove at the address what was removed here."""
        if self.holds(path) and not path.name.startswith("."):
            self.erase(path)

    def erase(self, path: Path) -> None:
        """Remove a file at the address, if it is there."""
        names = self.there[path.parent] if path.parent in self.there else self.look(path.parent)
        if names.pop(path.name, None) is not None:
            with _in_one_line("remove", path):
                self.system.rm_file(self.at(path))

    def heed(self, lock: Path) -> None:
        """Refuse to work next to a process that is alive, and warn of one that may be; see `announced`."""
        if lock.name not in self.look(lock.parent):
            return
        with _in_one_line("read", lock):
            said = self.system.cat_file(self.at(lock)).decode(errors="replace")
        holder, own = HOLDER.match(said), HOLDER.match(statement())
        if holder and own and holder["host"] == own["host"]:
            if holder["process"] != own["process"] and is_alive(int(holder["process"])):
                raise UserError(
                    f"Another run is at work in {lock.parent}: {said}. Wait until it ends, or choose another place. "
                    f"If that process is no run, remove {lock}."
                )
            return
        warning = UserError(f"Another run began to work in {lock.parent} and has not ended, unless killed: {said}.")
        warnings.warn(str(warning), stacklevel=2)


_copies: list[Copy] = []


def _copy_of(path: Path) -> Copy | None:
    """The copy that a path is in."""
    return next((copy for copy in _copies if copy.holds(path)), None)


def _copy(system: "AbstractFileSystem", lead: str, shown: str) -> Copy:
    """The copy of a file system, which is begun at its first use."""
    for copy in _copies:
        if copy.system == system and copy.lead == lead:
            return copy
    copy = Copy(system, lead, _top() / str(len(_copies)))
    copy.folder.mkdir()
    STAND_INS[f"{copy.folder}{os.sep}"] = shown
    followers.append(copy)
    _copies.append(copy)
    return copy


@cache
def _top() -> Path:
    """The folder of all copies of this process, which is removed when it ends; those of killed processes are too."""
    temporary = Path(tempfile.gettempdir())
    clear_partials([temporary])
    top = partial_path(temporary / "static-dynamic")
    try:
        top.mkdir(mode=0o700)
    except OSError as error:
        raise UserError(f"Cannot make the folder {str(top)!r}: {error.strerror or error}.") from None
    atexit.register(_leave, top, os.getpid())
    return top


def _leave(top: Path, process: int) -> None:
    if os.getpid() == process:  # not a fork of it
        remove(top)


def _opened(where: str) -> tuple["AbstractFileSystem", str]:
    """The file system of an address, and the path in it."""
    import fsspec

    scheme = SCHEME.match(where)
    assert scheme is not None  # it is an address
    if scheme[1].lower() in PAGES:
        raise UserError(f"{where} can be neither listed nor written: download it, and give the path of the folder.")
    if scheme[1] not in (known := schemes()):
        raise unknown("kind of address", scheme[1], USUAL, where=where, further=known - {*USUAL})
    try:
        system, path = fsspec.url_to_fs(where)
    except ImportError as error:
        raise UserError(f"{where} requires a package that is not installed: {error}.") from None
    except Exception as error:  # a file system of others can fail in any way
        raise UserError(f"{where} cannot be used: {reason(error)}.") from None
    return system, path


def _matching(there: Mapping[str, Mapping[str, Any]], patterns: Iterable[str], folders: bool = False) -> list[str]:
    """The names of files, or of folders, that fit one of some globs."""
    patterns = list(patterns)
    named = [name for name, info in there.items() if (info["type"] == "directory") == folders]
    return [name for name in named if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _name_below(info: Mapping[str, Any], top: str) -> str | None:
    """The path of a listed thing below the folder that was listed; ``None`` for what is not below it."""
    name = str(info["name"]).rstrip("/")
    return name.removeprefix(f"{top}/") if name.startswith(f"{top}/") else None


def _is_plain(name: str) -> bool:
    """Whether a name is one part of a path on every system, so that it cannot lead out of a folder."""
    return name not in ("", ".", "..") and not {*name} & {*"/\\\0"} and not PureWindowsPath(name).drive


@contextmanager
def _in_one_line(what: str, path: Path, missing: type[UserError] = UserError) -> Iterator[None]:
    """Turn whatever a file system raises into one line that names the address."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a file system of others can fail in any way
        kind = missing if isinstance(error, FileNotFoundError) else UserError
        raise kind(f"Cannot {what} {path}: {reason(error)}.") from None
