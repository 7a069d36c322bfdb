"""What decides the bytes of a stylized data set, and the note of it beside the data."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from static_dynamic.errors import UserError, unknown
from static_dynamic.files import write_text
from static_dynamic.interventions import style_digests
from stylize.films import check_playing
from stylize.layouts import LAYOUTS, Layout
from stylize.looks import check_looks

NOTE = "run.json"


@dataclass(frozen=True)
class Settings:
    """What decides the bytes of a data set, beside the videos.

    Attributes:
        looks: Styles: built-in ones, ``"original"``, images, learned ones.
        layout_name: Name of a layout.
        kind: ``jpg``, ``png`` or ``mp4``, as far as the layout's readers take it.
        short_side: Larger frames are brought down to this short side, pixels.
        fps: Frames per second; ``None`` takes every frame.
        seed: Draws the grain of every style.

    Raises:
        UserError: If one is not valid, or they do not fit each other.
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
        if self.seed < 0:
            raise UserError(f"The 'seed' must be a non-negative integer. Got {self.seed}.")
        check_looks(self.looks)
        check_playing(self.short_side, self.fps)

    @property
    def layout(self) -> Layout:
        """How the data set lies on disk."""
        return LAYOUTS[self.layout_name]

    @cached_property
    def style_ids(self) -> dict[str, str]:
        """Style → what it is called on disk."""
        return self.layout.style_ids(self.looks)

    def describe(self) -> "Described":
        """The same as plain data, with digests of the styles that are files."""
        return Described(
            layout=self.layout_name,
            format=self.kind,
            size=self.short_side,
            fps=None if self.fps is None else str(self.fps),
            seed=self.seed,
            styles={self.style_ids[look]: Path(look).name for look in self.looks},
            digests={Path(look).name: digest for look, digest in style_digests(self.looks).items()},
        )


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if it is not there; a killed run lets go of it.

    Raises:
        UserError: If another run is at work there, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"Cannot write to {str(folder)!r}: {error.strerror or error}.") from None
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"Another run is at work in {folder}. Wait for it, or choose another --out.") from None
    except (ModuleNotFoundError, OSError):  # systems and disks without locks of this kind
        return


class Described(BaseModel):
    """`Settings` as plain data; styles are id → name."""

    model_config = ConfigDict(extra="forbid")

    layout: str
    format: str
    size: int | None
    fps: str | None
    seed: int
    styles: dict[str, str]
    digests: dict[str, str]


class Note(BaseModel):
    """What lies beside the data: what made them, of what, and what is missing.

    Attributes:
        source: Where the videos were.
        settings: `Settings`, as plain data.
        videos: Name → file or folder, and the stamp that changes if it does, see `Film.stamp`.
        problems: Name of a video that cannot be read → why.
        versions: Of the libraries, and where learned styles paint; several where runs with others made the clips.
        finished: Whether the run came to its end.
    """

    model_config = ConfigDict(extra="forbid")

    source: str
    settings: Described
    videos: dict[str, tuple[str, str]]
    problems: dict[str, str] = {}
    versions: dict[str, str] = {}
    finished: bool = False

    def write(self, out: Path) -> None:
        """Write it to the folder of the data set."""
        write_text(out / NOTE, self.model_dump_json(indent=1) + "\n")


def claim(out: Path, note: Note, folders: set[str], rendered: Callable[[str], bool]) -> None:
    """Note whose data a folder holds, unless it holds those of another run.

    Args:
        out: The folder of the data set.
        note: What the note shall say.
        folders: Names in ``out`` that the run will write below.
        rendered: Tells of the name of a video whether clips of it are there.

    Raises:
        UserError: If there are data of another run, with the first difference, or data without a note.
    """
    if (out / NOTE).exists():
        found = read_note(out)
        wanted, there = ({"source": one.source, **one.settings.model_dump()} for one in (note, found))
        for name, value in wanted.items():
            if there[name] != value:
                raise UserError(f"{out} holds another run: {name} {_told(there[name])}, not {_told(value)}.")
        kept = sorted(filter(rendered, found.videos))
        for name in kept:
            if name not in note.videos:
                raise UserError(f"{out} holds {name!r}, which is not in {note.source} any more. Choose another --out.")
            if found.videos[name][1] != note.videos[name][1]:
                raise UserError(f"{note.videos[name][0]} has changed since {out} was rendered. Choose another --out.")
        if kept:
            note.versions = {name: _then(found.versions.get(name), version) for name, version in note.versions.items()}
    elif taken := sorted(name for name in folders if (out / name).exists()):
        raise UserError(f"{out / taken[0]} is there already, and no {NOTE} tells what made it. Choose another --out.")
    note.write(out)


def read_note(out: Path) -> Note:
    """The note of a rendered data set.

    Raises:
        UserError: If there is none, or it is damaged.
    """
    path = out / NOTE
    try:
        return Note.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{out} holds no {NOTE}: no data set that was rendered here.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no note of a rendered data set ({type(error).__name__}).") from None


def _then(before: str | None, now: str) -> str:
    """A version, and those that made other clips before."""
    return now if before is None else before if now in before.split(", then ") else f"{before}, then {now}"


def _told(value: object) -> str:
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else str(value)
