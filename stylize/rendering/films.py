"""Whole videos, played frame by frame any number of times: memory does not grow with their length."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.files import stamp
from static_dynamic.interventions.styles import SMALLEST
from static_dynamic.media.clip import Frames
from static_dynamic.media.images import EXTENSIONS as IMAGES
from static_dynamic.media.images import read_image
from static_dynamic.media.reading import reduced
from static_dynamic.sources.davis_layouts import image_root
from static_dynamic.sources.frame_folders import frame_folders, frames_in
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.sources.video_files import video_paths
from static_dynamic.sources.walk import name_below

Frame = TypeVar("Frame")

USUAL_RATE = Fraction(25)
"""Frames per second of a video encoded from frames, which have no rate."""
FASTEST = 1000
"""The highest frame rate that is allowed."""
LONGEST = 60
"""Seconds for which one frame is held at most, where a rate is requested."""


def check_playing(short_side: int | None, fps: Fraction | None) -> None:
    """Whether films can be played at this size and rate.

    Raises:
        UserError: If the short side is less than 16 pixels, or the rate not above 0 and at most 1000.
    """
    if short_side is not None and short_side < SMALLEST:
        raise UserError(f"The 'size' must be {SMALLEST} pixels or more. Got {short_side}.")
    if fps is not None and not 0 < fps <= FASTEST:
        raise UserError(f"The 'fps' must be positive, and at most {FASTEST}. Got {fps}.")


@dataclass(frozen=True)
class Film(ABC):
    """One video; iterate over it for its frames, ``(H, W, 3)`` uint8 RGB.

    A film that cannot be read, or whose frames change size, raises a `BadClip` where it is detected.

    Attributes:
        name: Its path below the place where it was found, without extension.
        source: The file or folder.
        short_side: Larger frames are reduced to this short side, pixels.
        fps: Frames per second to play at; ``None`` plays every frame.

    Raises:
        UserError: See `check_playing`.
    """

    name: str
    source: Path
    short_side: int | None = None
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        check_playing(self.short_side, self.fps)

    def __iter__(self) -> Iterator[Frames]:
        """Play it from the first frame."""
        first = None
        for frame in self._frames():
            image = frame if self.short_side is None else reduced(frame, self.short_side)
            if min(image.shape[:2]) < SMALLEST:
                raise BadClip(
                    f"{self.source}: {_size(image.shape)} pixels are too few, at least {SMALLEST} a side are required."
                )
            first = first or image.shape
            if image.shape != first:
                raise BadClip(f"{self.source}: the frames change size, from {_size(first)} to {_size(image.shape)}.")
            yield image

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the first frame as a clip: 1, height, width, 3."""
        for frame in self:
            return (1, frame.shape[0], frame.shape[1], 3)
        raise BadClip(f"{self.source} holds no frames.")

    @cached_property
    def count(self) -> int:
        """How many frames are played."""
        return sum(1 for _ in self._frames())

    def pick(self, numbers: Iterable[int]) -> Frames:
        """Some frames, by ascending number: ``(T, H, W, 3)``.

        Raises:
            BadClip: If it is too short.
        """
        wanted = list(numbers)
        frames = [frame for number, frame in enumerate(islice(self, wanted[-1] + 1)) if number in wanted]
        if len(frames) < len(wanted):
            raise BadClip(f"{self.source} is too short: frame {wanted[len(frames)]} is missing.")
        return np.stack(frames)

    @property
    @abstractmethod
    def rate(self) -> Fraction:
        """Frames per second at which it is played."""

    @property
    def stamp(self) -> str:
        """A value that changes if the film is replaced, see `static_dynamic.common.files.stamp`."""
        return stamp(self.source)

    def stem(self, number: int) -> str:
        """The name of frame ``number``, without extension; here its number."""
        return f"{number:05d}"

    @abstractmethod
    def _frames(self) -> Iterator[Frames]:
        """The frames at their original size."""


class VideoFilm(Film):
    """A video file, decoded by PyAV."""

    @property
    def rate(self) -> Fraction:
        """``fps``, or that of the file."""
        return self.fps or self._own_rate

    @cached_property
    def _own_rate(self) -> Fraction:
        from static_dynamic.media.decoding import frame_rate, open_video

        with open_video(self.source) as (_, stream):
            return frame_rate(stream) or USUAL_RATE

    @cached_property
    def count(self) -> int:
        """How many frames are played."""
        return sum(1 for _ in self._shown())

    def _frames(self) -> Iterator[Frames]:
        from static_dynamic.media.decoding import picture

        return map(picture, self._shown())

    def _shown(self) -> Iterator[Any]:
        """The frames that are played, as libav has them."""
        from static_dynamic.media.decoding import decoded_frames

        timed = decoded_frames(self.source)
        return (frame for _, frame in timed) if self.fps is None else at_rate(self._steady(timed), self.fps)

    def _steady(self, timed: Iterable[tuple[Fraction, Any]]) -> Iterator[tuple[Fraction, Any]]:
        """The times, unless a frame would be held so long that they must be wrong."""
        last = None
        for time, frame in timed:
            if last is not None and time - last > LONGEST:
                raise BadClip(
                    f"{self.source}: its times jump by {float(time - last):.0f} seconds. Play it without `fps`."
                )
            yield time, frame
            last = time


class FolderFilm(Film):
    """A folder of images, which play in natural order; they have no rate that could be changed."""

    @property
    def rate(self) -> Fraction:
        """25, since images have no rate."""
        return USUAL_RATE

    @cached_property
    def paths(self) -> list[Path]:
        """The images.

        Raises:
            BadClip: If there are none, they are of several sequences, such as ``img_`` and ``flow_x_``, or one exists
                twice.
        """
        if not (frames := frames_in(self.source)):
            raise BadClip(f"{self.source} does not contain frames. Frames are images ({' '.join(IMAGES)}).")
        return frames

    @cached_property
    def count(self) -> int:
        """How many images there are."""
        return len(self.paths)

    def stem(self, number: int) -> str:
        """The name of the image."""
        return self.paths[number].stem

    def _frames(self) -> Iterator[Frames]:
        return map(read_image, self.paths)


def find_films(place: str | Path, short_side: int | None = None, fps: Fraction | None = None) -> list[Film]:
    """Every video at ``place``: video files, frame folders, or those of a data set in the layout of DAVIS.

    Args:
        place: A video file or a folder.
        short_side: See `Film`.
        fps: See `Film`.

    Raises:
        UserError: If there is none, there are both files and folders, two have one name, or a rate is requested for
            frames, which have none.
    """
    root = Path(place)
    images = folder_of_films(root)
    files = video_paths(root) if images == root else []
    folders = frame_folders(images) if images.is_dir() else []
    if files and folders not in ([], [root]):  # images next to the files are not videos
        raise UserError(
            f"{root} holds video files ({files[0].name}) and frame folders ({_name(folders[0], root)}): give one kind."
        )
    if files:
        return _named([VideoFilm(_name(path, root), path, short_side, fps) for path in files])
    if not folders:
        raise UserError(
            f"{root} does not contain videos: neither files ({' '.join(VIDEOS)}) nor folders of {' '.join(IMAGES)}."
        )
    if fps is not None:
        raise UserError(f"The frames in {root} have no frame rate: 'fps' is for video files.")
    return [FolderFilm(_name(folder, images), folder, short_side) for folder in folders]


def _named(films: Sequence[Film]) -> list[Film]:
    """The films, if their names differ."""
    by_name: dict[str, Film] = {}
    for film in films:
        if (other := by_name.setdefault(film.name, film)) is not film:
            raise UserError(
                f"Two videos are called {film.name!r}: {other.source} and {film.source}. Rename one of them."
            )
    return list(films)


def only_film(place: Path, short_side: int | None = None) -> Film:
    """The one video at ``place``.

    Raises:
        UserError: If there is none, or more than one.
    """
    films = find_films(place, short_side)
    if len(films) > 1:
        raise UserError(f"One video is required, but {place} holds {len(films)}. 'render' takes them all.")
    return films[0]


def folder_of_films(place: Path) -> Path:
    """The folder of the films of a place: the images of a data set in the layout of DAVIS, or the place itself."""
    images = image_root(place)
    return images if images.is_dir() else place


def at_rate(timed: Iterable[tuple[Fraction, Frame]], fps: Fraction) -> Iterator[Frame]:
    """The frames shown at ``0, 1 / fps, 2 / fps, …`` seconds after the first frame, up to the last."""
    shown, held, start = 0, None, None
    for time, frame in timed:
        start = time if start is None else start
        while held is not None and shown / fps < time - start:
            yield held
            shown += 1
        held, last = frame, time - start
    if held is not None and shown / fps <= last:
        yield held


def _name(path: Path, root: Path) -> str:
    name = name_below(path, root)
    return name if path.is_dir() else str(PurePosixPath(name).with_suffix(""))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
