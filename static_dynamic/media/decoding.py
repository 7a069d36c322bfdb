"""The frames of one video file, decoded with PyAV.

What decodes counts, whatever a header says: frames are numbered as they are shown, so that the same pictures are read
from any container. The packets of a file tell when its frames are shown, and often which of them a clip needs, which
costs little; the times of the frames that are decoded must agree, and where they do not, every frame is decoded once to
learn them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import av
import av.stream
import numpy as np
import numpy.typing as npt

from static_dynamic.common.deadlines import Deadline
from static_dynamic.common.errors import BadClip, one_line
from static_dynamic.media.clip import Clip, Frames, Recipe
from static_dynamic.media.limits import above_limit, check_clip, check_regular, check_size, most_pixels
from static_dynamic.media.packets import Packets, Stretch, again, broken, read_packets
from static_dynamic.media.parts import Part
from static_dynamic.media.reading import bad_clip, reduced, sampled

CONTAINERS = (
    "mov", "matroska", "avi", "asf", "flv", "mpeg", "mpegvideo", "mpegts", "mxf", "ogg", "dv", "rm", "nut", "gif",
    "h264", "hevc", "ivf", "yuv4mpegpipe", "mjpeg", "m4v", "mpjpeg", "mp3", "aac", "wav", "flac",
)  # fmt: skip
"""Formats of FFmpeg that hold their pictures themselves, or sound, so that it is said; others, such as playlists, open
further files and addresses."""

Matrix = npt.NDArray[np.int32]
Take = Callable[[Sequence[int]], Iterator[Any]]
"""Gives the frames with these numbers (ascending), as libav has them."""

ALIKE = 0.01
"""How much a rate that is told and one that is counted differ at most, as a share, when they are one."""


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown.

    Attributes:
        times: Of every frame, in units of the stream's time base; ``None`` where the file does not say.
        fps: Frames per second on average, where the file says when frames are shown.
        unit: The time base, seconds.
    """

    times: Sequence[int | None]
    fps: float | None
    unit: Fraction

    @property
    def seconds(self) -> list[float] | None:
        """When every frame is shown, seconds after the first; ``None`` where the file does not say."""
        known = [time for time in self.times if time is not None]
        return [float((time - known[0]) * self.unit) for time in known] if len(known) == len(self.times) else None


def versions() -> dict[str, str]:
    """The decoder and the libraries below it, for a manifest."""
    names = ("libavformat", "libavcodec", "libswscale")
    libraries = {name: ".".join(map(str, av.library_versions[name])) for name in names}
    return {"decoder": f"PyAV {av.__version__}", **libraries}


def read_clip(path: Path, recipe: Recipe, part: Part | None = None) -> Clip:
    """The clip in the middle of a video file, or of a part of it, reduced to the recipe's short side.

    Raises:
        BadClip: If the file is no video, damaged, cut short or a single picture, the part holds no frame, or it takes
            too long.
    """
    deadline = Deadline(path)
    for timeline, take in _readings(path, deadline):
        total = len(timeline.times)
        span = part.span(path, total, timeline.seconds) if part else range(total)
        sample = sampled(recipe, span, path, fps=timeline.fps)
        frames = list[Frames]()
        with bad_clip(f"{path}: no video that can be read", path):
            for frame in take(sample.numbers):
                frames.append(picture(frame, recipe.resize))
                check_clip(path, len(frames) * frames[-1].shape[0] * frames[-1].shape[1])
        if len({frame.shape for frame in frames}) > 1:
            raise BadClip(f"{path}: the frames change size within the clip.")
        if len(frames) == len(sample.numbers):
            return Clip(np.stack(frames), sample, one_line(path), len(span), timeline.fps)
    raise BadClip(f"{path}: decoding gives different frames each time.")


def decoded_frames(path: Path) -> Iterator[tuple[Fraction, Any]]:
    """Every frame that is shown, as libav has it, and when, seconds.

    Raises:
        BadClip: If the file is no video, damaged or cut short, or a frame takes too long.
    """
    deadline = Deadline(path)
    with open_video(path) as (container, stream):
        read_packets(container, stream, path, deadline)
    with open_video(path) as (container, stream):
        for number, frame in enumerate(_shown(container, stream, path, deadline)):
            yield _moment(frame, stream, number), frame
            deadline.restart()


def picture(frame: Any, short_side: int | None = None) -> Frames:
    """A decoded frame as upright RGB, brought down to a short side if one is given."""
    image = frame.to_ndarray(format="rgb24", threads=1)  # starting others takes longer than the work
    return upright(image if short_side is None else reduced(image, short_side), display_matrix(frame))


def display_matrix(frame: Any) -> Matrix | None:
    """How the file wants a frame to be turned or mirrored, 3 x 3, as libav keeps it; ``None`` if not at all."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)


def upright(image: Frames, matrix: Matrix | None) -> Frames:
    """An image turned and mirrored as a display matrix says, to the nearest of the eight ways.

    A pixel ``(x, y)``, to the right and down, is shown at ``(x, y) · matrix[:2, :2]`` (ISO/IEC 14496-12).
    """
    if matrix is None:
        return image
    (a, b), (c, d) = matrix[:2, :2].astype(float)
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, (a, d) = image.transpose(1, 0, 2), (c, b)
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def first_video(streams: Iterable[Any]) -> Any | None:
    """The first video stream that is no cover art; ``None`` when there is none."""
    cover_art = av.stream.Disposition.attached_pic
    return next((stream for stream in streams if not stream.disposition & cover_art), None)


def frame_rate(stream: Any) -> Fraction | None:
    """Frames per second, as far as a stream tells."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The open container and its video stream; whatever goes wrong with it becomes a `BadClip`.

    Whatever the file is called and holds, nothing but itself is opened: no address, no list of other files.
    """
    check_regular(path, "video")
    with (
        bad_clip(f"{path}: no video that can be read", path),
        av.open(f"file:{path}", metadata_errors="replace", container_options=_alone(), options=_limits()) as container,
    ):
        stream = first_video(container.streams.video)
        if stream is None or stream.codec_context is None:
            raise BadClip(f"{path}: there is no video stream that can be decoded.")
        check_size(f"{path}: this video", stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = _limits()
        yield container, stream


def _alone() -> dict[str, str]:
    """Options of libavformat that let a file open nothing but itself."""
    return {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}


def _limits() -> dict[str, str]:
    """Options of libavcodec: a limit for frames whose size no header tells; it counts edges, too, so it is generous."""
    return {"max_pixels": str(most_pixels() * 9 // 8 + (1 << 16))}


def _readings(path: Path, deadline: Deadline) -> Iterator[tuple[Timeline, Take]]:
    """Timelines, and what takes frames as long as they agree with them; the next follows where they do not.

    Where packets tell enough, those are decoded that the wanted frames need. Elsewhere decoding begins with the first
    packet. Where frames have other times than their packets, every frame is decoded once to learn them.
    """
    with open_video(path) as (container, stream):
        packets = read_packets(container, stream, path, deadline)
        if packets.plain:
            yield _timeline(packets.times, stream), partial(_needed, container, stream, path, packets, deadline)
    with open_video(path) as (container, stream):
        shown = _shown(container, stream, path, deadline)
        first = next(shown)
        times = [] if first.pts is None else [time for time in packets.times if time >= first.pts]
        if len(times) > 1:
            yield _timeline(times, stream), partial(_agreeing, chain([first], shown), times)
    with open_video(path) as (container, stream):
        timeline = _timeline([frame.pts for frame in _shown(container, stream, path, deadline)], stream)
    with open_video(path) as (container, stream):
        yield timeline, partial(_agreeing, _shown(container, stream, path, deadline), timeline.times)


def _needed(
    container: Any, stream: Any, path: Path, packets: Packets, deadline: Deadline, wanted: Sequence[int]
) -> Iterator[Any]:
    """The wanted frames (ascending), as long as decoding shows just what the packets tell."""
    times = {packets.times[number] for number in wanted}
    stretches = packets.stretches(wanted)
    try:
        numbered = again(container, stream, packets, stretches[0].first)
        for stretch in stretches:
            expected = sorted(packets.rows[number].pts or 0 for number in stretch.needed if packets.rows[number].shown)
            for time, frame in zip_longest(expected, _decoded(stream, numbered, stretch, deadline)):
                if frame is None or frame.pts != time or frame.is_corrupt:
                    return
                check_size(f"{path}: a frame of this video", frame.width, frame.height)
                if time in times:
                    yield frame
            stream.codec_context.flush_buffers()
    except av.FFmpegError:
        return


def _decoded(stream: Any, numbered: Iterator[tuple[int, Any]], stretch: Stretch, deadline: Deadline) -> Iterator[Any]:
    """The frames of the needed packets of a stretch."""
    needed = set(stretch.needed)
    for number, packet in numbered:
        deadline.check()
        if number in needed:
            yield from packet.decode()
        if number == stretch.last:
            break
    yield from stream.decode(None)


def _agreeing(shown: Iterator[Any], times: Sequence[int | None], wanted: Sequence[int]) -> Iterator[Any]:
    """The wanted frames (ascending) of those that are shown, as long as they have these times."""
    left = iter(wanted)
    following = next(left)
    for number, (time, frame) in enumerate(zip(times, shown, strict=False)):
        if frame.pts != time:
            return
        if number == following:
            yield frame
            if (following := next(left, -1)) < 0:
                return


def _timeline(times: Sequence[int | None], stream: Any) -> Timeline:
    """The rate that the times tell, which is the stream's own where that is about the same and thus not rounded."""
    known = [time for time in times if time is not None]
    if len(known) < 2 or known[-1] <= known[0]:
        return Timeline(times, None, stream.time_base)
    counted = (len(known) - 1) / float((known[-1] - known[0]) * stream.time_base)
    told = float(stream.average_rate or 0)
    fps = told if abs(told - counted) <= ALIKE * counted else counted
    return Timeline(times, fps, stream.time_base)


def _shown(container: Any, stream: Any, path: Path, deadline: Deadline) -> Iterator[Any]:
    """Every frame that is shown; packets that cannot be decoded before the first are skipped, as FFmpeg does.

    Raises:
        BadClip: If one is damaged, there is none, or it takes too long.
    """
    number = 0
    try:
        for packet in container.demux(stream):
            deadline.check()
            for frame in _frames_of(packet, number):
                if frame.is_corrupt:
                    raise broken(path, number)
                check_size(f"{path}: a frame of this video", frame.width, frame.height)
                yield frame
                number += 1
    except av.FFmpegError as error:
        raise broken(path, number) from error
    if not number:
        raise BadClip(f"{path}: no frame can be decoded, or the first has too many pixels{above_limit()}")


def _frames_of(packet: Any, number: int) -> Sequence[Any]:
    try:
        return packet.decode()
    except av.FFmpegError:
        if number:
            raise
        return []


def _moment(frame: Any, stream: Any, number: int) -> Fraction:
    """When a frame is shown; from its number where the file does not say."""
    if frame.pts is not None:
        return Fraction(frame.pts * frame.time_base)
    return number / (frame_rate(stream) or Fraction(1))
