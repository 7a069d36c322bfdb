"""Parts of contact sheets: labelled cells, rows of frames, and PNG files that are complete or absent."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_atomically
from static_dynamic.media.clip import Frames

HEIGHT = 136
"""Height of a cell with its margin, pixels."""
MARGIN = 4
LABEL = 190
"""Width of the label of a row, pixels."""
INK, PAPER = (30, 30, 30), (255, 255, 255)


def write_png(image: Frames, path: Path) -> None:
    """Write an RGB image as PNG, completely or not at all. Missing parent folders are made.

    Raises:
        UserError: If the name does not end in ``.png``, or the place cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"A contact sheet is a PNG, so its name must end in .png. Got {str(path)!r}.")
    write_atomically(path, lambda partial: Image.fromarray(image).save(partial, "PNG"))


def card(text: str, width: int = LABEL, height: int = HEIGHT, low: bool = False) -> Frames:
    """A text of one or more lines, in the middle of a cell ``(height, width, 3)``, or at its foot."""
    cell = Image.new("RGB", (width, height), PAPER)
    place = (width / 2, height - 2 * MARGIN if low else height / 2)
    font, anchor = ImageFont.load_default(13), "md" if low else "mm"
    ImageDraw.Draw(cell).multiline_text(place, text, INK, font, anchor=anchor, align="center")
    return np.array(cell)


def framed(image: Frames, width: int | None = None) -> Frames:
    """An image reduced to the height of a cell, and to ``width`` if given, centred in white margins."""
    picture = Image.fromarray(image)
    scale = (HEIGHT - 2 * MARGIN) / picture.height
    if width is not None:
        scale = min(scale, (width - 2 * MARGIN) / picture.width)
    inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    cell = Image.new("RGB", (width or inner[0] + 2 * MARGIN, HEIGHT), PAPER)
    picture = picture.resize(inner, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
    cell.paste(picture, ((cell.width - inner[0]) // 2, (HEIGHT - inner[1]) // 2))
    return np.array(cell)


def labelled_row(label: str, frames: Frames) -> Frames:
    """Frames ``(T, H, W, 3)`` side by side after a label."""
    return np.concatenate([card(label), *map(framed, frames)], axis=1)
