"""Whole videos, played frame by frame and as often as one likes: memory does not grow with their length."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from static_dynamic.clip import Frames
from static_dynamic.errors import BadClip, UserError
from static_dynamic.interventions.styles import SMALLEST
from static_dynamic.sources.base import reduced
from static_dynamic.sources.davis_layouts import image_root
from static_dynamic.sources.frame_folders import frame_folders, frames_in
from static_dynamic.sources.images import EXTENSIONS as IMAGES
from static_dynamic.sources.images import is_image, read_image
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.sources.video_files import video_paths

USUAL_RATE = Fraction(25)
"""Frames per second of an encoded video that is made of frames, which tell no rate."""


@dataclass(frozen=True)
class Film(ABC):
    """One video; iterate over it to play it, ``(H, W, 3)`` uint8 RGB frame by frame.

    A film that cannot be read, or whose frames change size, raises a `BadClip` where it is noticed.

    Attributes:
        name: Its path below the place where it was found, without extension.
        source: The file or folder.
        short_side: Larger frames are brought down to this short side, pixels.
        fps: Frames per second to play at; ``None`` plays every frame.

    Raises:
        UserError: If the short side is less than 16 pixels, or the rate not above 0.
    """

    name: str
    source: Path
    short_side: int | None = None
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < SMALLEST:
            raise UserError(f"The 'size' must be {SMALLEST} pixels or more. Got {self.short_side}.")
        if self.fps is not None and self.fps <= 0:
            raise UserError(f"The 'fps' must be positive. Got {self.fps}.")

    def __iter__(self) -> Iterator[Frames]:
        """Play it from the first frame."""
        first = None
        for frame in self._frames():
            image = frame if self.short_side is None else reduced(frame, self.short_side)
            if min(image.shape[:2]) < SMALLEST:
                raise BadClip(f"{self.source}: {_size(image.shape)} pixels are too few, {SMALLEST} a side are needed.")
            first = first or image.shape
            if image.shape != first:
                raise BadClip(f"{self.source}: the frames change size, from {_size(first)} to {_size(image.shape)}.")
            yield image

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """One, height, width and three: the shape of the first frame as a clip."""
        for frame in self:
            return (1, frame.shape[0], frame.shape[1], 3)
        raise BadClip(f"{self.source}: there is no frame in it.")

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
            raise BadClip(f"{self.source}: too short, it has no frame {wanted[len(frames)]}.")
        return np.stack(frames)

    @property
    @abstractmethod
    def rate(self) -> Fraction:
        """Frames per second of what is played."""

    @property
    def stamp(self) -> str:
        """Size and time of what is on disk: another stamp tells that the film was replaced."""
        return _stamp([self.source])

    def stem(self, number: int) -> str:
        """What the data call frame ``number``, without extension; here its number."""
        return f"{number:05d}"

    @abstractmethod
    def _frames(self) -> Iterator[Frames]:
        """The frames at the size that they have."""


class VideoFilm(Film):
    """A video file, decoded by PyAV."""

    @property
    def rate(self) -> Fraction:
        """``fps``, or that of the file."""
        return self.fps or self._own_rate

    @cached_property
    def _own_rate(self) -> Fraction:
        with self._open() as (_, stream):
            return _rate(stream)

    def _frames(self) -> Iterator[Frames]:
        timed = self._timed()
        return (frame for _, frame in timed) if self.fps is None else at_rate(timed, self.fps)

    def _timed(self) -> Iterator[tuple[Fraction, Frames]]:
        """Every frame and when it is shown, seconds."""
        import av

        from static_dynamic.sources.decoding import WHOLE, upright

        decoded = 0
        with self._open() as (container, stream):
            try:
                for decoded, frame in enumerate(container.decode(stream), start=1):
                    if frame.is_corrupt:
                        raise BadClip(f"{self.source}: damaged, frame {decoded} cannot be decoded.")
                    yield _moment(frame, stream, decoded - 1), upright(frame.to_ndarray(format="rgb24"), frame.rotation)
            except av.FFmpegError as error:
                raise BadClip(f"{self.source}: damaged, only {decoded} frames could be decoded.") from error
            if decoded < WHOLE * stream.frames - 1:
                raise BadClip(
                    f"{self.source}: cut short, only {decoded} of {stream.frames} announced frames are there."
                )

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        """The container and its video stream; what libav has to say of them becomes a `BadClip`."""
        import av

        from static_dynamic.sources.decoding import first_video

        try:
            with av.open(str(self.source), metadata_errors="replace") as container:
                stream = first_video(container.streams.video)
                if stream is None or stream.codec_context is None:
                    raise BadClip(f"{self.source}: no video stream that can be decoded.")
                yield container, stream
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadClip(f"{self.source}: no video that can be read ({reason}).") from error


class FolderFilm(Film):
    """A folder of images, which play in natural order; they tell no rate, so there is none to change."""

    @property
    def rate(self) -> Fraction:
        """25, since the images do not tell."""
        return USUAL_RATE

    @cached_property
    def paths(self) -> list[Path]:
        """The images.

        Raises:
            BadClip: If there are none, they are of several sequences, such as ``img_`` and ``flow_x_``, or there is one
                twice.
        """
        if not (frames := frames_in(self.source)):
            raise BadClip(f"No frames in {self.source}: they are images ({' '.join(IMAGES)}).")
        return frames

    @property
    def stamp(self) -> str:
        """Of all files in the folder; see `Film.stamp`."""
        return _stamp(list(filter(is_image, self.source.iterdir())))

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
        UserError: If there is none, there are both files and folders, or frames shall be played at a rate that they do
            not tell.
    """
    root = Path(place)
    images = folder_of_films(root)
    files = video_paths(root) if images == root else []
    folders = frame_folders(images) if images.is_dir() else []
    if files and folders not in ([], [root]):  # images beside the files are no videos
        raise UserError(
            f"{root} holds video files ({files[0].name}) and frame folders ({_name(folders[0], root)}): give one kind."
        )
    if files:
        return [VideoFilm(_name(path, root), path, short_side, fps) for path in files]
    if not folders:
        raise UserError(f"No videos in {root}: neither files ({' '.join(VIDEOS)}) nor folders of {' '.join(IMAGES)}.")
    if fps is not None:
        raise UserError(f"The frames in {root} do not tell their rate: 'fps' is for video files.")
    return [FolderFilm(_name(folder, images), folder, short_side) for folder in folders]


def folder_of_films(place: Path) -> Path:
    """Where the films of a place lie: the images of a data set in the layout of DAVIS, or the place itself."""
    images = image_root(place)
    return images if images.is_dir() else place


def at_rate(timed: Iterable[tuple[Fraction, Frames]], fps: Fraction) -> Iterator[Frames]:
    """What is on the screen at ``0, 1 / fps, 2 / fps, …`` seconds after the first frame, up to the last."""
    shown, held, start = 0, None, None
    for time, frame in timed:
        start = time if start is None else start
        while held is not None and shown / fps < time - start:
            yield held
            shown += 1
        held, last = frame, time - start
    if held is not None and shown / fps <= last:
        yield held


def _moment(frame: Any, stream: Any, number: int) -> Fraction:
    """When a frame is shown; from its number where the file does not say."""
    return number / _rate(stream) if frame.pts is None else Fraction(frame.pts * frame.time_base)


def _rate(stream: Any) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or USUAL_RATE)


def _name(path: Path, root: Path) -> str:
    if path == root:
        return root.resolve().stem if path.is_file() else root.resolve().name
    name = path.relative_to(root)
    return name.as_posix() if path.is_dir() else name.with_suffix("").as_posix()


def _stamp(files: list[Path]) -> str:
    stats = [file.stat(follow_symlinks=file.exists()) for file in files]
    return f"{len(stats)} files, {sum(stat.st_size for stat in stats)} bytes, {max(stat.st_mtime_ns for stat in stats)}"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
