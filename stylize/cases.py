"""Videos and their restyled copies, on disk or to be made, for the audit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from static_dynamic.clip import ORIGINAL, Frames, Recipe, Video
from static_dynamic.errors import BadClip, UserError, unknown
from static_dynamic.interventions.census import Census
from static_dynamic.sources import Source
from static_dynamic.sources.base import reduced
from static_dynamic.variants import Conditions, read_styles
from stylize.films import Film, FolderFilm, VideoFilm, find_films
from stylize.layouts import LAYOUTS, Layout
from stylize.looks import fit_look, label
from stylize.settings import NOTE, read_note

SHORT_SIDE = 240
"""Short side at which clips are compared, pixels."""
FRAMES = 16
"""Consecutive frames of a video that are looked at, from its middle."""
CUT = 0.1
"""How many frames a copy may lack, as a share."""
STRETCH = 0.02
"""How much the proportions of a copy may differ, as a share."""


class Case(Protocol):
    """One video and its restyled copies."""

    @property
    def name(self) -> str:
        """What the video is called."""

    @property
    def frames(self) -> int:
        """How many frames to compare."""

    def clips(self) -> tuple[Frames, dict[str, Frames]]:
        """The same frames of the video and, by style, of its copies, all of one size.

        Raises:
            BadClip: If one cannot be read, there are fewer than two, or a copy shows another picture.
        """


@dataclass(frozen=True)
class FilmCase:
    """A whole video, and copies of it that are whole videos, or are made.

    Attributes:
        film: The video as filmed.
        copies: What a style is called → the copy on disk, or the style by which it shall be made.
        frames: How many frames to compare.
        seed: Seed of the copies that are made.
    """

    film: Film
    copies: Mapping[str, Film | str]
    frames: int = FRAMES
    seed: int = 0

    @property
    def name(self) -> str:
        """That of the film."""
        return self.film.name

    def clips(self) -> tuple[Frames, dict[str, Frames]]:
        """See `Case.clips`."""
        counts = [self.film.count, *(copy.count for copy in self.copies.values() if isinstance(copy, Film))]
        count = min(counts)
        if max(counts) - count > max(1, CUT * max(counts)):
            raise BadClip(f"{self.film.source}: {counts[0]} frames, a copy {count}. If that has another rate: --fps.")
        if count < 2:
            raise BadClip(f"{self.film.source}: two frames are needed to see motion. Got {count}.")
        first = max(0, (count - self.frames) // 2)
        numbers = range(first, min(first + self.frames, count))
        filmed = self.film.pick(numbers)
        copies = {
            style: copy.pick(numbers) if isinstance(copy, Film) else _made(copy, filmed, self.seed)
            for style, copy in self.copies.items()
        }
        size = next(iter(copies.values())).shape[1:3]
        return _at_size(filmed, size), {style: _at_size(copy, size) for style, copy in copies.items()}


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

    def clips(self) -> tuple[Frames, dict[str, Frames]]:
        """See `Case.clips`."""
        recipe = Recipe(frames=self.frames, rate=1, crop=SHORT_SIDE)
        conditions = Conditions((ORIGINAL, *self.styles), (), self.seed)
        _, shown = read_styles(self.source, self.video, recipe, conditions)
        filmed = np.stack([reduced(frame, SHORT_SIDE) for frame in shown.pop(ORIGINAL)])
        return filmed, {style: _at_size(copy, filmed.shape[1:3]) for style, copy in shown.items()}


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
        for film, place in found.layout.places(films, style_id, found.kind).items():
            if (root / place).exists():
                copies[film][name] = _film_at(root / place)
    if not any(copies.values()):
        raise UserError(f"None of the videos in {videos} is in {root}, such as {films[0].name}.")
    return [FilmCase(film, copies[film.name], frames) for film in films if copies[film.name]]


@dataclass(frozen=True)
class _DataSet:
    """Where the copies lie: layout and format, frames per second, and id → name of every style."""

    layout: Layout
    styles: Mapping[str, str]
    kind: str = "jpg"
    fps: Fraction | None = None


def _own(root: Path) -> _DataSet:
    """A data set that was rendered here."""
    settings = read_note(root).settings
    styles = {style_id: label(name) for style_id, name in settings.styles.items() if name != ORIGINAL}
    fps = None if settings.fps is None else Fraction(settings.fps)
    return _DataSet(LAYOUTS[settings.layout], styles, settings.format, fps)


def _foreign(root: Path, name: str) -> _DataSet:
    """A data set that is in a published layout."""
    if name not in LAYOUTS:
        raise unknown("layout", name, LAYOUTS)
    layout = LAYOUTS[name]
    before = layout.folder.partition("{style}")[0]
    ids = sorted(path.relative_to(root).as_posix().removeprefix(before) for path in root.glob(f"{before}*"))
    if not ids:
        raise UserError(f"No styles in {root}: looked for {before}*.")
    return _DataSet(layout, {style_id: style_id for style_id in ids if style_id not in ("0", ORIGINAL)})


def _film_at(place: Path) -> Film:
    return (FolderFilm if place.is_dir() else VideoFilm)(place.name, place, SHORT_SIDE)


def _made(look: str, filmed: Frames, seed: int) -> Frames:
    paint = fit_look(look, Census(filmed), seed)
    return np.stack([paint(frame) for frame in filmed])


def _at_size(frames: Frames, size: Sequence[int]) -> Frames:
    """Frames brought to a size, if their proportions are nearly those."""
    import cv2

    height, width = frames.shape[1:3]
    if (height, width) == tuple(size):
        return frames
    if abs(height * size[1] / (width * size[0]) - 1) > STRETCH:
        raise BadClip(f"A copy is {size[1]}x{size[0]} pixels, its original {width}x{height}: other proportions.")
    resized = [cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.asarray(np.stack(resized), dtype=np.uint8)
