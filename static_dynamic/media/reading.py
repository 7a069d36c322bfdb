"""What every way of reading a video shares: which frames, how large, and what is said where it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from static_dynamic.common.errors import BadClip, UserError, reason
from static_dynamic.media.clip import Frames, Recipe, Sample


def sampled(
    recipe: Recipe, frames: int | range, where: object, start: int | None = None, fps: float | None = None
) -> Sample:
    """The frames that a recipe takes from a video, if they are enough to have an order.

    Args:
        recipe: Which frames the model wants.
        frames: How many frames the video has, or the numbers of those that may be taken.
        where: The video, for messages.
        start: First frame of the clip; ``None`` takes the clip from the middle.
        fps: Frames per second of the video, where they are known.

    Raises:
        BadClip: If there is one frame, if a short video loops so that every sampled frame is the same one, or if the
            recipe asks for a frame rate and that of the video is unknown.
    """
    span = range(frames) if isinstance(frames, int) else frames
    if len(span) < 2:
        raise BadClip(f"{where}: a video needs at least two frames to have an order. Got {len(span)}.")
    try:
        start = span.start + recipe.start(len(span), fps) if start is None else start
        sample = recipe.sample(span.stop, start, fps)
    except UserError as error:
        raise BadClip(f"{where}: {error}") from None
    if len(sample.numbers) == 1 < max(recipe.frame_counts):
        raise BadClip(f"{where}: too short, every frame sampled from its {len(span)} is number {sample.numbers[0]}.")
    return sample


@contextmanager
def bad_clip(said: str, path: Path | None = None) -> Iterator[None]:
    """Whatever goes wrong in the block with one video becomes a `BadClip` of one line; mistakes of the user stay.

    Args:
        said: Which video, and what cannot be done with it.
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
    """An ``(H, W, 3)`` image with its short side brought down to ``short_side``; never enlarged.

    The long side becomes ``⌊long / short · short_side⌋``, the size that the published transform arrives at,
    so that a recipe resizes a reduced clip no further. Areas are averaged, which does not alias.
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
