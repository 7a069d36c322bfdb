"""The frames of one video file, decoded with PyAV."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.stream
import numpy as np

from static_dynamic.clip import Clip, Frames, Recipe
from static_dynamic.errors import BadClip, one_line
from static_dynamic.sources.base import reduced, sampled

WHOLE = 0.9
"""Containers miscount by a few frames (edit lists, invisible frames); one that lost a tenth has been cut."""


def versions() -> dict[str, str]:
    """The decoder and the libraries below it, for a manifest."""
    names = ("libavformat", "libavcodec", "libswscale")
    libraries = {name: ".".join(map(str, av.library_versions[name])) for name in names}
    return {"decoder": f"PyAV {av.__version__}", **libraries}


def read_clip(path: Path, recipe: Recipe) -> Clip:
    """The clip in the middle of a video file, reduced to the recipe's short side.

    The container says how many frames there are. Where it turns out to promise a few too many, the frames
    that do decode are counted and the clip is taken again from the middle of those.

    Raises:
        BadClip: If the file is no video, damaged, cut short or a single picture.
    """
    with open_video(path) as (container, stream):
        total, fps = _announced(container, stream, path), _rate(stream)
    sample = sampled(recipe, total, path, fps=fps)
    frames, decoded = _decode(path, sample.numbers, recipe.resize, total)
    if len(frames) < len(sample.numbers):
        total = unless_cut(decoded, total, path)
        sample = sampled(recipe, total, path, fps=fps)
        frames, _ = _decode(path, sample.numbers, recipe.resize, total)
    if len({frame.shape for frame in frames}) > 1:
        raise BadClip(f"{path}: the frames change size within the clip.")
    return Clip(np.stack(frames), sample, one_line(path), total, fps)


def first_video(streams: Iterable[Any]) -> Any | None:
    """The first video stream that is no cover art; ``None`` when there is none."""
    cover_art = av.stream.Disposition.attached_pic
    return next((stream for stream in streams if not stream.disposition & cover_art), None)


def upright(image: Frames, rotation: int) -> Frames:
    """An image turned counter-clockwise by ``rotation`` degrees, to the nearest quarter turn."""
    return np.rot90(image, round(rotation / 90))


def picture(frame: Any, short_side: int | None = None) -> Frames:
    """A decoded frame as upright RGB, brought down to a short side if one is given."""
    image = frame.to_ndarray(format="rgb24")
    return upright(image if short_side is None else reduced(image, short_side), frame.rotation)


def announced_frames(path: Path) -> int:
    """How many frames a file announces.

    Raises:
        BadClip: If it is no video, or cut short.
    """
    with open_video(path) as (container, stream):
        return _announced(container, stream, path)


def decoded_frames(path: Path, total: int) -> Iterator[tuple[Fraction, Any]]:
    """Every frame, as libav has it, and when it is shown, seconds; from the first on, since seeking is not exact.

    Args:
        path: The file.
        total: Frames that it announces.

    Raises:
        BadClip: If the file is no video, or a frame is damaged.
    """
    number = 0
    with open_video(path) as (container, stream):
        try:
            for number, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    raise _damaged(path, number, total)
                yield _moment(frame, stream, number), frame
        except av.FFmpegError as error:
            raise _damaged(path, number, total) from error


def frame_rate(stream: Any) -> Fraction | None:
    """Frames per second, as far as a stream tells."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None


def _moment(frame: Any, stream: Any, number: int) -> Fraction:
    """When a frame is shown; from its number where the file does not say."""
    if frame.pts is not None:
        return Fraction(frame.pts * frame.time_base)
    return number / (frame_rate(stream) or Fraction(1))


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The open container and its video stream; whatever libav has to say becomes a `BadClip`."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = first_video(container.streams.video)
            if stream is None or stream.codec_context is None:
                raise BadClip(f"{path}: no video stream that can be decoded.")
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise BadClip(f"{path}: no video that can be read ({_reason(error, path)}).") from error


def _reason(error: Exception, path: Path) -> str:
    if path.is_file() and not path.stat().st_size:
        return "the file is empty"
    return str(getattr(error, "strerror", None) or error)


def _rate(stream: Any) -> float | None:
    return float(stream.average_rate) if stream.average_rate else None


def _announced(container: Any, stream: Any, path: Path) -> int:
    """Frames that the container announces; where it keeps no count, its packets are counted."""
    if stream.frames:
        return int(stream.frames)
    times = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
    if len(times) < 2 or not container.duration:
        return len(times)
    # The header still tells the whole duration of a file that was cut.
    interval = float((max(times) - min(times)) * stream.time_base) / (len(times) - 1)
    return unless_cut(len(times), round(container.duration / av.time_base / interval), path)


def unless_cut(found: int, announced: int, path: Path) -> int:
    """``found`` frames, unless that is far from all that were announced.

    Raises:
        BadClip: If it is.
    """
    if found < WHOLE * announced - 1:
        raise BadClip(f"{path}: cut short, only {found} of {announced} announced frames could be decoded.")
    return found


def _decode(path: Path, wanted: Sequence[int], short_side: int, total: int) -> tuple[list[Frames], int]:
    """The wanted frames (ascending) as upright RGB, and how many were decoded to get at them.

    Decoding stops after the last one wanted; only those wanted are converted.
    """
    frames: list[Frames] = []
    decoded = 0
    for decoded, (_, frame) in enumerate(decoded_frames(path, total), start=1):
        if decoded - 1 == wanted[len(frames)]:
            frames.append(picture(frame, short_side))
            if len(frames) == len(wanted):
                break
    return frames, decoded


def _damaged(path: Path, decoded: int, total: int) -> BadClip:
    return BadClip(f"{path}: damaged, only {decoded} of {total} announced frames could be decoded.")
