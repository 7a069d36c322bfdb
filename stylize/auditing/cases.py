"""Videos and their restyled copies, for the audit; those on disk are in `stylize.auditing.rendered`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.interventions.census import Census
from static_dynamic.media.clip import ORIGINAL, Frames, Recipe, Video
from static_dynamic.media.reading import reduced
from static_dynamic.sources import Source
from static_dynamic.stylize.rendering.films import Film, find_films
from static_dynamic.stylize.rendering.looks import fit_look, label
from static_dynamic.variants import Conditions, read_styles

SHORT_SIDE = 240
"""Short side at which clips are compared, pixels."""
FRAMES = 16
"""Number of consecutive frames that are examined, from the middle of a video."""


class Shown(NamedTuple):
    """The same frames of a video and of its copies, all of one size.

    Attributes:
        filmed: ``(T, H, W, 3)`` uint8 RGB, with T >= 2.
        copies: Style → the same frames in it.
        problems: Style → why its copy cannot be compared.
    """

    filmed: Frames
    copies: dict[str, Frames]
    problems: dict[str, str]


class Case(Protocol):
    """One video and its restyled copies."""

    @property
    def name(self) -> str:
        """The name of the video."""

    @property
    def frames(self) -> int:
        """How many frames to compare."""

    def clips(self) -> Shown:
        """The frames to compare.

        Raises:
            BadClip: If the video cannot be read, or has fewer than two frames.
        """


@dataclass(frozen=True)
class FilmCase:
    """A whole video.

    Attributes:
        film: The original video.
    """

    film: Film

    @property
    def name(self) -> str:
        """The name of the film."""
        return self.film.name


@dataclass(frozen=True)
class MadeCase(FilmCase):
    """A whole video, and copies that are rendered for the comparison.

    Attributes:
        looks: Name of a style → the style.
        frames: How many frames to compare.
        seed: Seed of the copies.
    """

    looks: Mapping[str, str]
    frames: int = FRAMES
    seed: int = 0

    def clips(self) -> Shown:
        """See `Case.clips`."""
        filmed = self.film.pick(middle(self.film, self.film.count, self.frames))
        return Shown(filmed, {style: _made(look, filmed, self.seed) for style, look in self.looks.items()}, {})


@dataclass(frozen=True)
class StudyCase:
    """One video of a study in the styles of the study, read in the same way, but frame by frame.

    Attributes:
        source: The source of the video.
        video: The video.
        styles: Styles on disk, or to be rendered.
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
        """The name of the video."""
        return self.video.name

    def clips(self) -> Shown:
        """See `Case.clips`."""
        recipe = Recipe(frames=self.frames, rate=1, crop=SHORT_SIDE)
        conditions = Conditions((ORIGINAL, *self.styles), (), self.seed)
        _, shown = read_styles(self.source, self.video, recipe, conditions)
        filmed = np.stack([reduced(frame, SHORT_SIDE) for frame in shown.pop(ORIGINAL)])
        return Shown(filmed, {style: at_size(copy, filmed.shape[1:3]) for style, copy in shown.items()}, {})


def middle(film: Film, count: int, frames: int) -> range:
    """The numbers of at most ``frames`` frames in the middle of ``count``.

    Raises:
        BadClip: If there are fewer than two.
    """
    if count < 2:
        raise BadClip(f"{film.source}: two frames are required to see motion. Got {count}.")
    first = max(0, (count - frames) // 2)
    return range(first, min(first + frames, count))


def made_cases(videos: str | Path, looks: Iterable[str], frames: int = FRAMES, seed: int = 0) -> list[MadeCase]:
    """Videos that are restyled for the audit.

    Raises:
        UserError: If there are no videos, or no style to judge.
    """
    painted = {label(look): look for look in looks if look != ORIGINAL}
    if not painted:
        raise UserError("There is no style to judge: only the originals are given.")
    return [MadeCase(film, painted, frames, seed) for film in find_films(videos, SHORT_SIDE)]


def at_size(frames: Frames, size: Sequence[int]) -> Frames:
    """Frames resized to a height and width."""
    import cv2

    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    resized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.asarray(np.stack(resized), dtype=np.uint8)


def _made(look: str, filmed: Frames, seed: int) -> Frames:
    paint = fit_look(look, Census(filmed), seed)
    return np.stack([paint(frame) for frame in filmed])
