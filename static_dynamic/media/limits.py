"""What may be opened, and how large it may be: the header says so before memory is taken for it."""

from pathlib import Path

from static_dynamic.common.errors import BadClip
from static_dynamic.common.numbers import whole_in_environment

MOST_PIXELS = 8192 * 8192
"""Of one image, frame or mask."""
MOST_OF_A_CLIP = 16
"""Times as many pixels may the frames of one clip have together, in memory."""
LARGEST = 178_956_970
"""What the limit can be at most: Pillow refuses larger images."""
VARIABLE = "STATIC_DYNAMIC_MAX_PIXELS"
"""The environment variable that sets another limit."""


def most_pixels() -> int:
    """The limit for one image or frame: ``MOST_PIXELS``, or what the environment says.

    Raises:
        UserError: If the environment says something else than a whole number from 1 to ``LARGEST``.
    """
    return whole_in_environment(VARIABLE, MOST_PIXELS, LARGEST)


def check_size(what: object, width: int, height: int) -> None:
    """Refuse what has more pixels than are allowed.

    Raises:
        BadClip: If it does; the message names the limit and the variable that sets it.
    """
    if width * height > most_pixels():
        raise BadClip(f"{what} has {width}x{height} pixels{above_limit()}")


def check_clip(what: object, pixels: int) -> None:
    """Refuse frames that together have more pixels than are allowed.

    Raises:
        BadClip: If they do.
    """
    if pixels > MOST_OF_A_CLIP * most_pixels():
        raise BadClip(f"{what} has frames of {pixels} pixels together{above_limit(MOST_OF_A_CLIP)}")


def above_limit(times: int = 1) -> str:
    """The end of a message: the limit, and how to raise it."""
    factor = f"{times} times " if times > 1 else ""
    return (
        f"; allowed are {times * most_pixels()}, {factor}the limit for one image. "
        f"The environment variable {VARIABLE} sets another limit."
    )


def check_regular(path: Path, kind: str) -> None:
    """Refuse folders, pipes, sockets and devices: reading them may never end.

    Raises:
        BadClip: If something is there that is not a regular file.
    """
    if path.exists() and not path.is_file():
        raise BadClip(f"{path}: this {kind} is not a regular file.")
