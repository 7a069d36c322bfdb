"""A part of a video, given in seconds or in frames."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from static_dynamic.common.errors import BadClip


@dataclass(frozen=True)
class Part:
    """A part of a video, from ``start`` up to, not including, ``end``.

    Attributes:
        start: Seconds after the first frame, or the number of a frame, from 0; ``None`` is the beginning.
        end: The same; ``None`` is the end of the video.
        in_frames: Whether these are numbers of frames.
    """

    start: float | None = None
    end: float | None = None
    in_frames: bool = False

    def __str__(self) -> str:
        """The part as in the name of a video: ``2-5.5s``, ``30-90``, or ``2-s`` without an end."""
        ends = ["" if value is None else f"{value:.12g}" for value in (self.start, self.end)]
        return "-".join(ends) + "s" * (not self.in_frames)

    def span(self, where: object, total: int, times: Sequence[float] | None = None) -> range:
        """Numbers of the frames in it.

        Args:
            where: The video, for messages.
            total: Frames of the whole video.
            times: Time of every frame, seconds after the first; ``None`` if the video does not state it.

        Raises:
            BadClip: If it contains no frame, or is in seconds and the video does not state the times of its frames.
        """
        if self.in_frames:
            span = range(int(self.start or 0), total if self.end is None else min(int(self.end), total))
        elif times is None:
            raise BadClip(f"{where}: the video does not state the times of its frames. Give start_frame and end_frame.")
        else:
            span = range(
                bisect_left(times, self.start or 0), total if self.end is None else bisect_left(times, self.end)
            )
        if not span:
            length = f"{total} frames" if times is None else f"{total} frames, the last at {times[-1]:.3g} s"
            raise BadClip(f"{where}: there is no frame in {self}. The video has {length}.")
        return span
