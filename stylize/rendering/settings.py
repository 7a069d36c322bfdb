"""The settings that decide the bytes of a stylized data set, and the note of them with the data."""

import glob
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SkipValidation

from static_dynamic.common import runs
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.runs import Kind
from static_dynamic.common.seeds import check_seed
from static_dynamic.interventions import style_digests
from static_dynamic.interventions.styles import style
from static_dynamic.network.fingerprint import code_digest
from static_dynamic.stylize.rendering.films import check_playing
from static_dynamic.stylize.rendering.layouts import LAYOUTS, Places
from static_dynamic.stylize.rendering.looks import check_looks

NOTE = "run.json"

Name = SkipValidation[str]
"""The name of a file, which may not be UTF-8."""


@dataclass(frozen=True)
class Settings:
    """The settings that decide the bytes of a data set, in addition to the videos.

    Attributes:
        looks: Styles: built-in ones, ``"original"``, images, learned ones.
        layout_name: Name of a layout.
        kind: ``jpg``, ``png`` or ``mp4``, if the layout's readers take it.
        short_side: Larger frames are reduced to this short side, pixels.
        fps: Frames per second; ``None`` takes every frame.
        seed: Seed of the grain of every style.

    Raises:
        UserError: If one is invalid, or they do not fit each other.
    """

    looks: tuple[str, ...]
    layout_name: str = "folders"
    kind: str = "jpg"
    short_side: int | None = None
    fps: Fraction | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layout_name not in LAYOUTS:
            raise unknown("layout", self.layout_name, LAYOUTS)
        if self.kind not in self.layout.formats:
            raise unknown("format", self.kind, self.layout.formats, where=f"layout {self.layout_name}")
        check_seed(self.seed)
        check_looks(self.looks)
        check_playing(self.short_side, self.fps)

    @property
    def layout(self) -> Places:
        """The layout of the data set on disk."""
        return LAYOUTS[self.layout_name]

    @cached_property
    def style_ids(self) -> dict[str, str]:
        """Style → its name on disk."""
        return self.layout.style_ids(self.looks)

    def describe(self) -> "Described":
        """The settings as plain data, with digests of the styles that are files, or functions from outside."""
        files = {Path(look).name: digest for look, digest in style_digests(self.looks).items()}
        functions = {name: code_digest(function) for name, function in style.outside(self.looks).items()}
        return Described(
            layout=self.layout_name,
            format=self.kind,
            size=self.short_side,
            fps=None if self.fps is None else str(self.fps),
            seed=self.seed,
            styles={self.style_ids[look]: Path(look).name for look in self.looks},
            digests={**files, **functions},
        )


class Described(BaseModel):
    """`Settings` as plain data; styles are id → name."""

    model_config = ConfigDict(extra="forbid")

    layout: str
    format: str
    size: int | None
    fps: str | None
    seed: int
    styles: dict[str, Name]
    digests: dict[Name, str]


class Note(BaseModel):
    """The note with the data: how they were made, from what, and what is missing.

    Attributes:
        source: Place of the videos.
        settings: `Settings`, as plain data.
        videos: Name → file or folder, and the stamp that changes if it does, see `Film.stamp`.
        problems: Name of an unreadable video → why.
        versions: Of the libraries, and where learned styles paint; several where runs with others made the clips.
        finished: Whether the run finished.
    """

    model_config = ConfigDict(extra="forbid")

    source: Name
    settings: Described
    videos: dict[Name, tuple[Name, str]]
    problems: dict[Name, Name] = {}
    versions: dict[str, str] = {}
    finished: bool = False

    def write(self, out: Path) -> None:
        """Write it to the folder of the data set."""
        data_set().write(out, self.model_dump())


def data_set(folders: Iterable[str] = ()) -> Kind:
    """The kind of run that makes a stylized data set, below folders of these names."""
    notes = frozenset({"videos", "problems", "versions", "finished"})
    return Kind("stylized data set", NOTE, tuple(sorted({f"{glob.escape(name)}/" for name in folders})), notes=notes)


def claim(out: Path, kind: Kind, note: Note, rendered: Callable[[str], bool]) -> None:
    """Write the note of a folder, unless it holds the data of another run.

    Args:
        out: The folder of the data set.
        kind: Kind of the run.
        note: The note.
        rendered: Name of a video → whether clips of it exist.

    Raises:
        UserError: If there are data of another run, with the difference, or data without a note.
    """
    there = runs.claim(out, kind, note.model_dump())
    if there is None:
        return
    found = _note(there, out)
    kept = sorted(filter(rendered, found.videos))
    for name in kept:
        if name not in note.videos:
            raise UserError(f"{out} holds {name!r}, which is no longer in {note.source}. Choose another --out.")
        if found.videos[name][1] != note.videos[name][1]:
            raise UserError(f"{note.videos[name][0]} has changed since {out} was rendered. Choose another --out.")
    if kept:
        note.versions = {name: _then(found.versions.get(name), version) for name, version in note.versions.items()}
    note.write(out)


def read_note(out: Path) -> Note:
    """The note of a rendered data set.

    Raises:
        UserError: If it is missing or damaged.
    """
    if (there := data_set().read(out)) is None:
        raise UserError(f"{out} is not a data set that was rendered here: it holds no {NOTE}.")
    return _note(there, out)


def _note(content: Mapping[str, Any], out: Path) -> Note:
    try:
        return Note.model_validate({name: value for name, value in content.items() if name not in ("kind", "format")})
    except ValueError as error:
        raise UserError(f"{out / NOTE} is not the note of a rendered data set ({type(error).__name__}).") from None


def _then(before: str | None, now: str) -> str:
    """A version, and those that made other clips before."""
    return now if before is None else before if now in before.split(", then ") else f"{before}, then {now}"
