"""Folders of runs: whose a folder is, whether a run may be resumed there, and what it may remove.

A run describes itself in a JSON file of its folder: its kind, the format of what it writes, and everything that decides
its output. A run with an equal description resumes it; any other is refused, with the difference. Runs work one at a
time, and remove nothing but what runs of their kind write.
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
from static_dynamic.common.processes import leave_unguarded
from static_dynamic.common.texts import read_json

Description = dict[str, Any]

LOCK = ".static-dynamic.lock"
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
        name: What its folder is called in messages.
        file: Where in the folder the description lies.
        owns: Globs of the files, or with a ``/`` at the end of the folders, that its runs write: a run that starts over
            removes these.
        format: Number of the form in which its runs write.
        restarts: Whether a run may start over.
        alone: Whether the folder may hold nothing else when the first run begins.
        adopts: Whether what it owns may lie there without a description.
        notes: Keys of the description that decide nothing.
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
        """What runs of this kind have written to a folder, but for the description."""
        found = ((path, pattern.endswith("/")) for pattern in self.owns for path in folder.glob(pattern))
        return sorted(path for path, is_folder in found if path.is_dir() == is_folder)

    def full(self, description: Mapping[str, Any]) -> Description:
        """A description with kind and format, as it is read back."""
        own = {"kind": self.name, "format": self.format}
        content: Description = json.loads(json.dumps({**own, **description}))
        if any(content[key] != value for key, value in own.items()):
            raise ValueError(f"The keys {' and '.join(own)} of a description are its own. Got {content}.")
        return content

    def write(self, folder: Path, description: Mapping[str, Any]) -> None:
        """Write the description of a run."""
        write_text(folder / self.file, json.dumps(self.full(description), indent=2) + "\n")

    def read(self, folder: Path) -> Description | None:
        """The description in a folder; ``None`` if there is none.

        Raises:
            UserError: If it cannot be read, or describes something else.
        """
        path = folder / self.file
        return self.checked(read_json(path), path) if os.path.lexists(path) else None

    def checked(self, content: object, path: Path) -> Description:
        """A description that was read, if it is of this kind and its format is known.

        Raises:
            UserError: If not.
        """
        found = _kind_of(content)
        if found != self.name or not isinstance(content, dict):
            raise UserError(f"{path} describes {_a(found)}, and not {_a(self.name)}. Choose another place.")
        content = {"kind": self.name, "format": 1, **content}
        if content["format"] not in range(1, self.format + 1):
            raise UserError(
                f"{path} is of format {content['format']}, and formats up to {self.format} are known here. "
                "Update static-dynamic, or choose another place."
            )
        return content

    def refuse_other(self, place: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        """Make sure that two full descriptions are of one run.

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
    """Make a folder that of a run, which may have begun there before.

    Args:
        folder: The folder.
        kind: Of the run.
        description: Everything that decides what the run writes, as plain data.
        resume: Whether to keep what an equal run has written; otherwise what runs of this kind wrote is removed.

    Returns:
        The description that was there, if the run can be resumed.

    Raises:
        UserError: If the folder belongs to another run, or holds what no run describes, or cannot be written.
    """
    there, owned = kind.read(folder), kind.owned(folder)
    if there is None:
        _refuse_undescribed(folder, kind, owned)
    elif resume and (owned or not kind.restarts):  # a description of nothing binds nobody
        kind.refuse_other(folder, there, kind.full(description))
        return there
    for path in owned if not resume else []:
        remove(path)
    kind.write(folder, description)
    return None


@contextmanager
def alone_in(folder: Path, kind: Kind, within: Iterable[Path] = ()) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if it is missing; a run that left nothing leaves no folder.

    Args:
        folder: The folder.
        kind: Of the run.
        within: Folders below to which the run writes; what killed runs left half-written there is removed.

    Raises:
        UserError: If another run is at work there, or the folder cannot be made.
    """
    leave_unguarded()  # its parent is at work here
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_folder(folder)
    try:
        with locked(folder / LOCK, folder):
            places, before = [folder, *within], _mark(folder / kind.file)
            clear_partials(places)
            try:
                yield
            finally:
                clear_partials(places)  # of workers that were stopped
                if _mark(folder / kind.file) != before and not kind.owned(folder):
                    remove(folder / kind.file)
    finally:
        with suppress(OSError):  # the first folder that holds something
            for place in missing:
                place.rmdir()


@contextmanager
def open_run(
    folder: Path,
    kind: Kind,
    description: Mapping[str, Any],
    resume: bool = True,
    within: Iterable[Path] = (),
) -> Iterator[Description | None]:
    """Be alone in a folder and claim it, see `alone_in` and `claim`."""
    with alone_in(folder, kind, within):
        yield claim(folder, kind, description, resume)


def _refuse_undescribed(folder: Path, kind: Kind, owned: Iterable[Path]) -> None:
    """What lies in a folder that no run has described must not be taken for a run's."""
    found = sorted([*(folder.glob("[!.]*") if kind.alone else []), *([] if kind.adopts else owned)])
    if found:
        raise UserError(
            f"{folder} holds {found[0].relative_to(folder).as_posix()!r}, and no {kind.file} tells what made it. "
            "Choose a new or an empty folder."
        )


def _kind_of(content: object) -> str | None:
    """The kind that a description names, or that its keys tell."""
    if not isinstance(content, dict):
        return None
    guesses = (kind for kind, keys in _WITHOUT_KIND.items() if keys <= content.keys())
    return content["kind"] if isinstance(content.get("kind"), str) else next(guesses, None)


def _a(kind: str | None) -> str:
    return "something else" if kind is None else f"a {kind}"


def _mark(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written again."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
