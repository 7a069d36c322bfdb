"""Folders of runs: which run a folder belongs to, whether it can be resumed, and what it may remove.

A run describes itself in a JSON file of its folder: its kind, the format of what it writes, and everything that decides
its output. A run with an equal description resumes it. Any other is refused, and the error states the difference. Only
one run works in a folder at a time, and it removes only what runs of its kind write.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from static_dynamic.common.errors import UserError, differences
from static_dynamic.common.files import clear_partials, make_folder, remove, write_text
from static_dynamic.common.locks import locked
from static_dynamic.common.places import announced, fetch, listed
from static_dynamic.common.processes import leave_unguarded
from static_dynamic.common.texts import read_json

Description = dict[str, Any]

LOCK = ".static-dynamic.lock"
"""The lock of a run in its folder; those of further ranks end with their numbers."""
RANKS = ".static-dynamic.ranks"
"""The folder in which the ranks of a run meet, within that of the run; see `static_dynamic.common.rendezvous`."""
START_OVER = "start over with `resume=False`"

_WITHOUT_KIND = {
    "study": {"weights", "stages", "videos"},
    "training run": {"lr", "lr_type", "clips"},
    "stylized data set": {"source", "settings", "videos"},
    "measurement": {"study", "scoring", "versions"},
    "set of frames": {"height", "seconds"},
    "learned style": {"study", "step", "parts"},
}
"""Kind → keys of its descriptions, for those that were written before they named their kind."""


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes:
        name: The name of its folder in messages.
        file: Name of the description in the folder.
        owns: Globs of the files, or with a ``/`` at the end of the folders, that its runs write: a run that starts over
            removes these.
        format: Version of the format in which its runs write.
        restarts: Whether a run may start over.
        alone: Whether the folder may hold nothing else when the first run begins.
        adopts: Whether what it owns may be there without a description.
        notes: Keys of the description that do not affect the output.
    """

    name: str
    file: str
    owns: tuple[str, ...]
    format: int = 1
    restarts: bool = False
    alone: bool = False
    adopts: bool = False
    notes: frozenset[str] = frozenset()

    def owned(self, folder: Path) -> list[Path]:
        """What runs of this kind have written to a folder, except the description."""
        found = ((path, pattern.endswith("/")) for pattern in self.owns for path in folder.glob(pattern))
        here = {path for path, is_folder in found if path.is_dir() == is_folder}
        return sorted(here.union(listed(folder, *self.owns)))

    def full(self, description: Mapping[str, Any]) -> Description:
        """A description with its kind and format, as it is read back."""
        own = {"kind": self.name, "format": self.format}
        content: Description = json.loads(json.dumps({**own, **description}))
        if any(content[key] != value for key, value in own.items()):
            raise ValueError(f"The keys {' and '.join(own)} of a description are its own. Got {content}.")
        return content

    def write(self, folder: Path, description: Mapping[str, Any]) -> None:
        """Write the description of a run."""
        write_text(folder / self.file, json.dumps(self.full(description), indent=2) + "\n")

    def read(self, folder: Path) -> Description | None:
        """The description in a folder; ``None`` if it is missing.

        Raises:
            UserError: If it cannot be read, or describes something else.
        """
        path = folder / self.file
        fetch(folder, self.file)
        return self.checked(read_json(path), path) if os.path.lexists(path) else None

    def checked(self, content: object, path: Path) -> Description:
        """Check that a description is of this kind and that its format is known.

        Raises:
            UserError: If not.
        """
        found = _kind_of(content)
        if found != self.name or not isinstance(content, dict):
            raise UserError(f"{path} describes {_a(found)}, not {_a(self.name)}. Choose another place.")
        content = {"kind": self.name, "format": 1, **content}
        if content["format"] not in range(1, self.format + 1):
            raise UserError(
                f"{path} has format {content['format']}, but this version reads formats up to {self.format}. "
                "Update static-dynamic, or choose another place."
            )
        return content

    def refuse_other(self, place: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        """Make sure that two full descriptions are of the same run.

        Raises:
            UserError: If not, with the differences.
        """
        there, here = ({key: value for key, value in one.items() if key not in self.notes} for one in (there, here))
        if there != here:
            over = f", or {START_OVER}" if self.restarts else ""
            raise UserError(
                f"{place} belongs to another {self.name}: {differences(there, here)}. Choose another place{over}."
            )


def claim(folder: Path, kind: Kind, description: Mapping[str, Any], resume: bool = True) -> Description | None:
    """Assign a folder to a run, which may have begun there before.

    Args:
        folder: The folder.
        kind: The kind of run.
        description: Everything that decides what the run writes, as plain data.
        resume: Whether to keep what an equal run has written; otherwise the files of runs of this kind are removed.

    Returns:
        The description that was there, if the run can be resumed.

    Raises:
        UserError: If the folder belongs to another run, or holds files without a description, or cannot be written.
    """
    there, owned = kind.read(folder), kind.owned(folder)
    if there is None:
        _refuse_undescribed(folder, kind, owned)
    elif resume and (owned or not kind.restarts):  # a description without output has no effect
        kind.refuse_other(folder, there, kind.full(description))
        return there
    for path in owned if not resume else []:
        remove(path)
    kind.write(folder, description)
    return None


@contextmanager
def alone_in(folder: Path, kind: Kind | None = None, within: Iterable[Path] = ()) -> Iterator[None]:
    """Lock a folder, which is made if it is missing, against other runs; it is removed if the run wrote nothing.

    Args:
        folder: The folder.
        kind: Of the run; ``None`` for one that does not describe itself before it ends.
        within: Subfolders to which the run writes; partial files of killed runs there are removed.

    Raises:
        UserError: If another run works there, or the folder cannot be made.
    """
    leave_unguarded()  # its parent is at work here
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_folder(folder)
    try:
        with locked(folder / LOCK, folder), announced(folder / LOCK):
            _refuse_ranks(folder)
            places, before = [folder, *within], kind and _mark(folder / kind.file)
            clear_partials(places)
            try:
                yield
            finally:
                clear_partials(places)  # of workers that were stopped
                alone = not (folder / RANKS).exists()  # other ranks of a run that failed may be writing still
                if kind and alone and _mark(folder / kind.file) != before and not kind.owned(folder):
                    remove(folder / kind.file)
    finally:
        with suppress(OSError):  # stops at the first folder that is not empty
            for place in missing:
                place.rmdir()


@contextmanager
def beside_rank_0(folder: Path, rank: int) -> Iterator[None]:
    """Lock a folder for a further rank of the run whose rank 0 has locked it: the run is at work until all have ended.

    Raises:
        UserError: If such a rank works there already.
    """
    leave_unguarded()
    with locked(folder / f"{LOCK}.{rank}", folder):
        yield


def _refuse_ranks(folder: Path) -> None:
    """Refuse a folder in which ranks are at work whose rank 0 has ended, and remove what ended ones left."""
    for lock in sorted(folder.glob(f"{LOCK}.*")):
        with locked(lock, folder):
            pass
    remove(folder / RANKS)


@contextmanager
def open_run(
    folder: Path,
    kind: Kind,
    description: Mapping[str, Any],
    resume: bool = True,
    within: Iterable[Path] = (),
) -> Iterator[Description | None]:
    """Lock a folder and claim it, see `alone_in` and `claim`."""
    with alone_in(folder, kind, within):
        yield claim(folder, kind, description, resume)


def _refuse_undescribed(folder: Path, kind: Kind, owned: Iterable[Path]) -> None:
    """Refuse a folder with files that a description does not explain."""
    visible = [*folder.glob("[!.]*"), *listed(folder, "[!.]*")] if kind.alone else []
    found = sorted([*visible, *([] if kind.adopts else owned)])
    if found:
        raise UserError(
            f"{folder} holds {found[0].relative_to(folder).as_posix()!r}, but {kind.file} is missing, "
            "which states what wrote it. Choose a new or an empty folder."
        )


def _kind_of(content: object) -> str | None:
    """The kind that a description names, or else the one that its keys imply."""
    if not isinstance(content, dict):
        return None
    guesses = (kind for kind, keys in _WITHOUT_KIND.items() if keys <= content.keys())
    return content["kind"] if isinstance(content.get("kind"), str) else next(guesses, None)


def _a(kind: str | None) -> str:
    return "something else" if kind is None else f"a {kind}"


def _mark(path: Path) -> tuple[int, int] | None:
    """A mark that changes when a file is rewritten."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
