"""Videos and their restyled copies, on disk or to be made, for the audit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from static_dynamic.clip import ORIGINAL, Frames, Recipe, Video
from static_dynamic.errors import BadClip, UserError, unknown
from static_dynamic.interventions.census import Census
from static_dynamic.sources import Source
from static_dynamic.sources.base import reduced
from static_dynamic.variants import Conditions, read_styles
from stylize.films import Film, FolderFilm, VideoFilm, find_films
from stylize.layouts import AS_FILMED, LAYOUTS, VIDEO, Layout
from stylize.looks import fit_look, label
from stylize.settings import NOTE, read_note

Made = TypeVar("Made")

SHORT_SIDE = 240
"""Short side at which clips are compared, pixels."""
FRAMES = 16
"""Consecutive frames of a video that are looked at, from its middle."""
CUT = 0.1
"""How many frames a copy from elsewhere may lack or have too many, as a share."""
STRETCH = 0.02
"""How much the proportions of a copy may differ, as a share."""


class Shown(NamedTuple):
    """The same frames of a video and of its copies, all of one size.

    Attributes:
        filmed: ``(T, H, W, 3)`` uint8 RGB, with T >= 2.
        copies: Style → the same frames in it.
        problems: Style → why its copy cannot be compared.
    """

    filmed: Frames
    copies: dict[str, Frames]
    problems: dict[str, str] = {}  # noqa: RUF012 (nobody writes to it)


class Case(Protocol):
    """One video and its restyled copies."""

    @property
    def name(self) -> str:
        """What the video is called."""

    @property
    def frames(self) -> int:
        """How many frames to compare."""

    def clips(self) -> Shown:
        """What there is to compare.

        Raises:
            BadClip: If the video cannot be read, or has fewer than two frames.
        """


@dataclass(frozen=True)
class FilmCase:
    """A whole video, and copies of it that are whole videos, or are made.

    Attributes:
        film: The video as filmed.
        copies: What a style is called → the copy on disk, or the style by which it shall be made.
        frames: How many frames to compare.
        seed: Seed of the copies that are made.
        cut: How many frames a copy may lack or have too many, as a share.
    """

    film: Film
    copies: Mapping[str, Film | str]
    frames: int = FRAMES
    seed: int = 0
    cut: float = 0.0

    @property
    def name(self) -> str:
        """That of the film."""
        return self.film.name

    def clips(self) -> Shown:
        """See `Case.clips`."""
        problems: dict[str, str] = {}
        lengths = _readable(self.copies, self._length, problems)
        count = min(lengths.values(), default=0)
        first = max(0, (count - self.frames) // 2)
        numbers = range(first, min(first + self.frames, count))
        if len(numbers) < 2:
            raise BadClip(_first(problems) or f"{self.film.source}: two frames are needed to see motion. Got {count}.")
        filmed = self.film.pick(numbers)
        copies = _readable(lengths, lambda style: self._copy(style, filmed, numbers), problems)
        if not copies:
            raise BadClip(_first(problems))
        size = min((frames.shape[1:3] for frames in (filmed, *copies.values())), key=prod)
        return Shown(_at_size(filmed, size), {style: _at_size(copy, size) for style, copy in copies.items()}, problems)

    def _length(self, style: str) -> int:
        """How many frames of the film and of a copy can be compared."""
        copy, count = self.copies[style], self.film.count
        if isinstance(copy, str):
            return count
        if abs(copy.count - count) > ceil(self.cut * count):
            raise BadClip(f"{copy.source}: {copy.count} frames, its original {count}. If that is another rate: --fps.")
        return min(copy.count, count)

    def _copy(self, style: str, filmed: Frames, numbers: range) -> Frames:
        """The frames of a copy."""
        copy = self.copies[style]
        if isinstance(copy, str):
            return _made(copy, filmed, self.seed)
        frames = copy.pick(numbers)
        (height, width), (own_height, own_width) = filmed.shape[1:3], frames.shape[1:3]
        if abs(height * own_width / (width * own_height) - 1) > STRETCH:
            raise BadClip(
                f"{copy.source}: {own_width}x{own_height} pixels, its original {width}x{height}: other proportions."
            )
        return frames


@dataclass(frozen=True)
class StudyCase:
    """One video of a study, read as the study reads it but frame by frame, in the styles of the study.

    Attributes:
        source: Where it is.
        video: Which one.
        styles: Styles on disk, or to be made.
        seed: Seed of the study.
        frames: How many frames to compare.
    """

    source: Source
    video: Video
    styles: tuple[str, ...]
    seed: int
    frames: int = FRAMES

    @property
    def name(self) -> str:
        """That of the video."""
        return self.video.name

    def clips(self) -> Shown:
        """See `Case.clips`."""
        recipe = Recipe(frames=self.frames, rate=1, crop=SHORT_SIDE)
        conditions = Conditions((ORIGINAL, *self.styles), (), self.seed)
        _, shown = read_styles(self.source, self.video, recipe, conditions)
        filmed = np.stack([reduced(frame, SHORT_SIDE) for frame in shown.pop(ORIGINAL)])
        return Shown(filmed, {style: _at_size(copy, filmed.shape[1:3]) for style, copy in shown.items()})


def _readable(styles: Iterable[str], read: Callable[[str], Made], problems: dict[str, str]) -> dict[str, Made]:
    """Style → what is read of its copy, where it can be; otherwise why not goes to ``problems``."""
    made: dict[str, Made] = {}
    for style in styles:
        try:
            made[style] = read(style)
        except BadClip as problem:
            problems[style] = str(problem)
    return made


def _first(problems: Mapping[str, str]) -> str:
    return next(iter(problems.values()), "")


def made_cases(videos: str | Path, looks: Iterable[str], frames: int = FRAMES, seed: int = 0) -> list[FilmCase]:
    """Videos that are restyled for the audit.

    Raises:
        UserError: If there are none, or no style to judge.
    """
    copies = {label(look): look for look in looks if look != ORIGINAL}
    if not copies:
        raise UserError("There is no style to judge: the videos would be shown as filmed.")
    return [FilmCase(film, copies, frames, seed) for film in find_films(videos, SHORT_SIDE)]


def rendered_cases(
    videos: str | Path,
    data: str | Path,
    layout: str | None = None,
    frames: int = FRAMES,
    fps: Fraction | None = None,
) -> list[FilmCase]:
    """Videos, and what was rendered of them.

    Args:
        videos: What was rendered.
        data: The data set.
        layout: Name of its layout, if it was not rendered here.
        frames: How many frames to compare.
        fps: Frames per second of its clips, if it was not rendered here and they are not those of the videos.

    Raises:
        UserError: If there is no such data set, or none of the videos is in it.
    """
    root = Path(data)
    found = _foreign(root, layout) if layout is not None and not (root / NOTE).exists() else _own(root)
    films = find_films(videos, SHORT_SIDE, found.fps or fps)
    copies: dict[str, dict[str, Film | str]] = {film.name: {} for film in films}
    for style_id, name in found.styles.items():
        for film, place in found.places(root, films, style_id).items():
            copies[film][name] = (VideoFilm if place.suffix == f".{VIDEO}" else FolderFilm)(film, place, SHORT_SIDE)
    if not any(copy.source.exists() for of in copies.values() for copy in of.values() if isinstance(copy, Film)):
        raise UserError(f"None of the videos in {videos} is in {root}, such as {films[0].name}.")
    return [FilmCase(film, copies[film.name], frames, cut=found.cut) for film in films]


@dataclass(frozen=True)
class _DataSet:
    """Where the copies lie: layout and formats, frames per second, id → name of every style, and see `FilmCase`."""

    layout: Layout
    styles: Mapping[str, str]
    kinds: Sequence[str]
    fps: Fraction | None = None
    cut: float = 0.0

    def places(self, root: Path, films: Sequence[Film], style_id: str) -> dict[str, Path]:
        """Name of a film → where its copy lies, in the format in which most are there."""
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
    ids = sorted(path.relative_to(root).as_posix().removeprefix(before) for path in root.glob(f"{before}*"))
    if not ids:
        raise UserError(f"No styles in {root}: looked for {before}*.")
    styles = {style_id: style_id for style_id in ids if style_id not in AS_FILMED}
    return _DataSet(layout, styles, layout.formats, cut=CUT)


def _made(look: str, filmed: Frames, seed: int) -> Frames:
    paint = fit_look(look, Census(filmed), seed)
    return np.stack([paint(frame) for frame in filmed])


def _at_size(frames: Frames, size: Sequence[int]) -> Frames:
    """Frames brought to a height and width."""
    import cv2

    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    resized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.asarray(np.stack(resized), dtype=np.uint8)
