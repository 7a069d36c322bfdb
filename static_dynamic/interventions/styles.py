"""Restyling: another appearance, the same motion.

A style is fitted once, to the `Census` of a clip (order-free counts over all its frames) and to random
numbers. It returns one operator that paints every frame, so by construction it can neither follow nor add motion.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.registry import Registry, generator
from static_dynamic.interventions.census import Census, Paint, Style
from static_dynamic.media.clip import ORIGINAL, Frames
from static_dynamic.media.images import EXTENSIONS as IMAGES

style: Registry[Style] = Registry(
    "style",
    built_in=("static_dynamic.interventions.painters", "static_dynamic.interventions.grades"),
    reserved=(ORIGINAL,),
)
"""Decorator and registry of styles."""

STRONG = ("ink", "neon", "solarise", "random_filter")
"""The default static conditions of a measurement: strong, readable, and far from each other."""

SMALLEST = 16

_readers: dict[str, Callable[[Path], Style]] = {}
"""File suffix → the function that reads a style from such a file."""


def read_style_files(suffixes: Iterable[str], reader: Callable[[Path], Style]) -> None:
    """Register a reader for files of styles with these suffixes.

    Args:
        suffixes: With a dot, in lower case: ``.safetensors``.
        reader: Reads a style from such a file, or raises a ``UserError``.
    """
    _readers.update(dict.fromkeys(suffixes, reader))


def list_styles(pattern: str = "*") -> list[str]:
    """Names of the registered styles that match a glob."""
    return style.names(pattern)


def check_style(name: str) -> None:
    """Check a name before it is used in `restyle`.

    Raises:
        UserError: If the name is unknown, or is an unreadable image.
    """
    _find(name)


def style_digests(names: Iterable[str]) -> dict[str, str]:
    """Style → the first 16 digits of the SHA-256 of its file; styles that are not files are left out."""
    return {name: sha256(Path(name).read_bytes()).hexdigest()[:16] for name in names if is_style_file(name)}


def is_style_file(name: str) -> bool:
    """Whether a style is read from a file: an image, or a kind with a registered reader, see `read_style_files`."""
    return _is_image(name) or Path(name).suffix.lower() in _readers


def restyle(frames: Frames, style: str, seed: int = 0) -> Frames:
    """Give a clip another appearance.

    Every frame goes through the same operator, fitted to all frames regardless of their order; hence
    ``restyle(frames[order]) == restyle(frames)[order]`` exactly, and equal frames stay equal.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB, sides of 16 pixels or more; not modified.
        style: A name from `list_styles`, ``"original"`` (no change), or the path of an image (``.jpg``,
            ``.png``) whose style the clip takes, or of another file with a reader, see `read_style_files`.
        seed: Draws the grain of every style, and all of ``random_filter`` and ``film``.

    Returns:
        ``(T, H, W, 3)`` uint8 RGB; the same array for ``"original"``.

    Raises:
        UserError: For an unknown style, an unreadable image, a negative seed or frames of another form.

    Example:
        >>> import numpy as np
        >>> restyle(np.zeros((8, 64, 64, 3), np.uint8), "ink").shape
        (8, 64, 64, 3)
    """
    _check_frames(frames)
    if style == ORIGINAL:
        return frames
    clip = np.ascontiguousarray(frames)
    paint = fit_style(style, Census(clip), seed)
    painted = np.stack([paint(frame) for frame in clip])
    if painted.dtype != np.uint8 or painted.shape != clip.shape:
        given = f"{painted.dtype} {painted.shape[1:]}"
        raise UserError(f"The style {style!r} must paint a frame as uint8 {clip.shape[1:]}. Got {given}.")
    return painted


def fit_style(style: str, census: Census, seed: int = 0) -> Paint:
    """The operator by which `restyle` paints every frame of the counted clip.

    Raises:
        UserError: As `restyle` does.
    """
    return _find(style)(census, generator(seed, style if style in list_styles() else "image"))


def _find(name: str) -> Style:
    if name == ORIGINAL:
        return lambda census, rng: lambda frame: frame
    if _is_image(name):
        from static_dynamic.interventions.image_style import image_style

        return image_style(Path(name))
    if read := _readers.get(Path(name).suffix.lower()):
        return read(Path(name))
    if Path(name).suffix:
        kinds = [*IMAGES, *_readers]
        raise UserError(f"The style {name!r} is not a file of a supported kind. Allowed: {', '.join(kinds)}.")
    if name not in style.entries:
        raise unknown("style", name, [ORIGINAL, *style.entries, "path/to/image.jpg"])
    return style[name].function


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGES


def _check_frames(frames: Frames) -> None:
    form = f"{frames.dtype} {frames.shape}"
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise UserError(f"The 'frames' of a clip must be uint8 (T, H, W, 3) with T >= 1. Got {form}.")
    if min(frames.shape[1:3]) < SMALLEST:
        raise UserError(f"The 'frames' of a clip must be {SMALLEST} pixels or more on each side. Got {form}.")
