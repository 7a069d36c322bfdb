"""Frames on disk as single images."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from static_dynamic.common.errors import BadClip
from static_dynamic.media.clip import Frames
from static_dynamic.media.limits import above_limit, check_clip, check_regular, check_size
from static_dynamic.media.reading import bad_clip, reduced

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
"""Of Pillow; others of its formats run programs or open further files."""
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key that puts ``frame_2`` before ``frame_10``."""
    pieces = re.split(r"([0-9]+)", name)
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)], name


def is_image(path: Path) -> bool:
    """Whether a file looks like a frame: a known extension, and not hidden."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def image_at(folder: Path, stem: str, usual: str = ".jpg") -> Path:
    """The image named ``stem`` in a folder, with any extension; the usual name if it does not exist."""
    path = folder / f"{stem}{usual}"
    if path.exists() or not folder.is_dir():
        return path
    return min((found for found in folder.iterdir() if found.stem == stem and is_image(found)), default=path)


def open_image(path: Path, kind: str = "frame") -> Image.Image:
    """An image in memory, turned and mirrored by its EXIF orientation; messages call it ``kind``.

    Raises:
        BadClip: If the file is missing, empty, truncated or not an image, or has more pixels than are allowed.
    """
    if not path.exists():
        raise BadClip(f"{path}: this {kind} is missing.")
    check_regular(path, kind)
    with bad_clip(f"{path}: this {kind} cannot be read", path), _opened(path, kind) as image:
        check_size(f"{path}: this {kind}", *image.size)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image


def _opened(path: Path, kind: str) -> Image.Image:
    """An image of which only the header is read; that it is large is said by `check_size`, not by Pillow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            raise BadClip(f"{path}: this {kind} has too many pixels{above_limit()}") from None


def read_image(path: Path, kind: str = "frame") -> Frames:
    """One image as ``(H, W, 3)`` uint8 RGB, read as the published loaders read it, with PIL.

    Raises:
        BadClip: If the file is missing, empty, truncated or not an image.
    """
    return np.asarray(eight_bit(open_image(path, kind)).convert("RGB"))


def eight_bit(image: Image.Image) -> Image.Image:
    """The same image in levels of 0..255; PIL alone would clip those of 16-bit images."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))


def opacity(image: Image.Image) -> Frames:
    """The opacity of every pixel: ``(H, W)``, 0..255."""
    if not image.has_transparency_data:
        return np.full(image.size[::-1], 255, np.uint8)
    return np.asarray(image.convert("RGBA").getchannel("A"))


def read_images(paths: Iterable[Path], short_side: int | None = None) -> Frames:
    """Images of one size as ``(T, H, W, 3)`` uint8 RGB.

    Args:
        paths: The images, in playing order.
        short_side: Reduce larger images to this short side when they are read, which saves memory.

    Raises:
        BadClip: If one cannot be read, or differs in size from the first, or all have more pixels than are allowed.
    """
    frames: list[Frames] = []
    first, pixels = None, 0
    for path in paths:
        image = read_image(path)
        first = first or image.shape
        if image.shape != first:
            raise BadClip(f"{path}: this frame is {_size(image.shape)} pixels, but the first one is {_size(first)}.")
        frames.append(reduced(image, short_side) if short_side else image)
        pixels += frames[-1].shape[0] * frames[-1].shape[1]
        check_clip(path.parent, pixels)
    return np.stack(frames)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
