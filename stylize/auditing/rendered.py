"""Videos and their rendered copies on disk, for the audit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod
from pathlib import Path
from typing import TypeVar

from static_dynamic.common.errors import BadClip, UserError, unknown
from static_dynamic.media.clip import ORIGINAL, Frames, same_proportions
from static_dynamic.media.images import natural_key
from static_dynamic.sources.base import is_hidden
from static_dynamic.stylize.auditing.cases import FRAMES, SHORT_SIDE, FilmCase, Shown, at_size, middle
from static_dynamic.stylize.rendering.films import Film, FolderFilm, VideoFilm, find_films
from static_dynamic.stylize.rendering.layouts import LAYOUTS, VIDEO, Places
from static_dynamic.stylize.rendering.looks import AS_FILMED, label
from static_dynamic.stylize.rendering.settings import NOTE, read_note

Read = TypeVar("Read")

CUT = 0.1
"""By how many frames a copy from another program may be shorter or longer, as a share."""


@dataclass(frozen=True)
class RenderedCase(FilmCase):
    """A whole video, and copies of it on disk that are whole videos.

    Attributes:
        copies: Name of a style → the copy.
        frames: How many frames to compare.
        cut: By how many frames a copy may be shorter or longer, as a share.
    """

    copies: Mapping[str, Film]
    frames: int = FRAMES
    cut: float = 0.0

    def clips(self) -> Shown:
        """See `Case.clips`."""
        problems: dict[str, str] = {}
        lengths = _readable(_readable(self.copies, self._count, problems), self._length, problems)
        numbers = middle(self.film, min(lengths.values()), self.frames)
        filmed = self.film.pick(numbers)
        copies = _readable(lengths, lambda style: self._copy(style, filmed, numbers), problems)
        size = min((frames.shape[1:3] for frames in (filmed, *copies.values())), key=prod)
        return Shown(at_size(filmed, size), {style: at_size(copy, size) for style, copy in copies.items()}, problems)

    def _count(self, style: str) -> int:
        """Frames of a copy."""
        copy = self.copies[style]
        if not copy.source.exists():
            raise BadClip(f"{copy.source} is missing.")
        return copy.count

    def _length(self, style: str) -> int:
        """The number of frames of the film and of a copy that can be compared."""
        copy, count = self.copies[style], self.film.count
        if abs(copy.count - count) > ceil(self.cut * count):
            hint = " If its frame rate differs, give it with --fps." if self.cut else ""
            raise BadClip(f"{copy.source} has {copy.count} frames, but its original has {count}.{hint}")
        return min(copy.count, count)

    def _copy(self, style: str, filmed: Frames, numbers: range) -> Frames:
        """The frames of a copy."""
        copy = self.copies[style]
        frames = copy.pick(numbers)
        if not same_proportions(frames, filmed):
            (own_height, own_width), (height, width) = frames.shape[1:3], filmed.shape[1:3]
            raise BadClip(
                f"{copy.source} has {own_width}x{own_height} pixels, but its original has {width}x{height}: "
                "the proportions differ."
            )
        return frames


def rendered_cases(
    videos: str | Path,
    data: str | Path,
    layout: str | None = None,
    frames: int = FRAMES,
    fps: Fraction | None = None,
) -> list[RenderedCase]:
    """Videos and their rendered copies.

    Args:
        videos: The original videos.
        data: The data set.
        layout: Name of its layout, if it was not rendered here.
        frames: How many frames to compare.
        fps: Frames per second of its clips, if it was not rendered here and they are not those of the videos.

    Raises:
        UserError: If the data set is missing, or holds none of the videos.
    """
    root = Path(data)
    found = _foreign(root, layout) if layout is not None and not (root / NOTE).exists() else _own(root)
    films = find_films(videos, SHORT_SIDE, found.fps or fps)
    copies: dict[str, dict[str, Film]] = {film.name: {} for film in films}
    for style_id, name in found.styles.items():
        for film, place in found.places(root, films, style_id).items():
            copies[film][name] = (VideoFilm if place.suffix == f".{VIDEO}" else FolderFilm)(film, place, SHORT_SIDE)
    if not any(copy.source.exists() for by_style in copies.values() for copy in by_style.values()):
        raise UserError(f"None of the videos in {videos} is in {root}. The first missing one is {films[0].name}.")
    return [RenderedCase(film, copies[film.name], frames, found.cut) for film in films]


@dataclass(frozen=True)
class _DataSet:
    """Where the copies are: layout and formats, frames per second, id → name of every style; see `RenderedCase`."""

    layout: Places
    styles: Mapping[str, str]
    kinds: Sequence[str]
    fps: Fraction | None = None
    cut: float = 0.0

    def places(self, root: Path, films: Sequence[Film], style_id: str) -> dict[str, Path]:
        """Name of a film → path of its copy, in the format of most copies."""
        by_kind = [self.layout.places(films, style_id, kind) for kind in self.kinds]
        most = max(by_kind, key=lambda places: sum((root / place).exists() for place in places.values()))
        return {film: root / place for film, place in most.items()}


def _own(root: Path) -> _DataSet:
    """A data set that was rendered here."""
    settings = read_note(root).settings
    styles = {style_id: label(name) for style_id, name in settings.styles.items() if name != ORIGINAL}
    fps = None if settings.fps is None else Fraction(settings.fps)
    return _DataSet(LAYOUTS[settings.layout], styles, (settings.format,), fps)


def _foreign(root: Path, name: str) -> _DataSet:
    """A data set that is in a published layout."""
    if name not in LAYOUTS:
        raise unknown("layout", name, LAYOUTS)
    layout = LAYOUTS[name]
    before = layout.folder.partition("{style}")[0]
    folders = [path for path in root.glob(f"{before}*") if path.is_dir() and not is_hidden(path, root)]
    ids = sorted((path.relative_to(root).as_posix().removeprefix(before) for path in folders), key=natural_key)
    if not ids:
        raise UserError(f"{root} does not contain styles: folders {before}*.")
    styles = {style_id: style_id for style_id in ids if style_id not in AS_FILMED}
    return _DataSet(layout, styles, layout.formats, cut=CUT)


def _readable(styles: Iterable[str], read: Callable[[str], Read], problems: dict[str, str]) -> dict[str, Read]:
    """Style → the frames of its copy; the reasons for unreadable ones are added to ``problems``.

    Raises:
        BadClip: If no copy can be read.
    """
    made: dict[str, Read] = {}
    for style in styles:
        try:
            made[style] = read(style)
        except BadClip as problem:
            problems[style] = str(problem)
    if not made:
        raise BadClip(next(iter(problems.values())))
    return made
