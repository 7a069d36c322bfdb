"""Shared by all readers of videos: choice of frames, size, and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from static_dynamic.common.errors import BadClip, UserError, reason
from static_dynamic.media.clip import Frames, Recipe, Sample


def sampled(
    recipe: Recipe, frames: int | range, where: object, start: int | None = None, fps: float | None = None
) -> Sample:
    """The frames that a recipe takes from a video, which must be enough to have an order.

    Args:
        recipe: Which frames the model takes.
        frames: Number of frames of the video, or the numbers of the frames to choose from.
        where: The video, for messages.
        start: First frame of the clip; ``None`` takes the clip from the middle.
        fps: Frames per second of the video, if known.

    Raises:
        BadClip: If there is only one frame, if a short video loops so that all sampled frames are the same, or if the
            recipe requires a frame rate and that of the video is unknown.
    """
    span = range(frames) if isinstance(frames, int) else frames
    if len(span) < 2:
        raise BadClip(f"{where}: a video requires at least two frames to have an order. Got {len(span)}.")
    try:
        start = span.start + recipe.start(len(span), fps) if start is None else start
        sample = recipe.sample(span.stop, start, fps)
    except UserError as error:
        raise BadClip(f"{where}: {error}") from None
    if len(sample.numbers) == 1 < max(recipe.frame_counts):
        raise BadClip(f"{where}: too short: all frames sampled from its {len(span)} are frame {sample.numbers[0]}.")
    return sample


@contextmanager
def bad_clip(said: str, path: Path | None = None) -> Iterator[None]:
    """Turn errors in the block into a `BadClip` of one line; a ``UserError`` is unchanged.

    Args:
        said: Beginning of the message: the video, and what failed.
        path: Its file, which may be empty.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise BadClip(f"{said} ({_reason(error, path)}).") from error


def _reason(error: Exception, path: Path | None) -> str:
    if path and path.is_file() and not path.stat().st_size:
        return "the file is empty"
    return str(getattr(error, "strerror", None) or reason(error))


def reduced(image: Frames, short_side: int) -> Frames:
    """An ``(H, W, 3)`` image reduced to a short side of ``short_side``; never enlarged.

    The long side becomes ``⌊long / short · short_side⌋``, as in the published transform,
    so that a recipe does not resize a reduced clip again. Areas are averaged, which avoids aliasing.
    """
    import cv2

    height, width = image.shape[:2]
    short, long = sorted((height, width))
    if short <= short_side:
        return image
    long_side = int(long / short * short_side)
    size = (long_side, short_side) if height <= width else (short_side, long_side)
    smaller: Frames = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return smaller
