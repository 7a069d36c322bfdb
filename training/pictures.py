"""Boxes on frames, frames side by side, animations."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from static_dynamic.common.files import write_atomically
from static_dynamic.media.clip import Frames
from static_dynamic.media.writing import video_file

# Trubetskoy, a list of distinct colours: nine that are bright enough on any picture.
COLOURS = ("#E6194B", "#3CB44B", "#FFE119", "#4C6FFF", "#F58231", "#42D4F4", "#F032E6", "#BFEF45", "#FFFFFF")
GAP = 4
"""Between pictures, pixels."""


def with_boxes(image: Frames, boxes: npt.NDArray[Any], colours: Sequence[str] = COLOURS) -> Frames:
    """An RGB image with a frame around every box; what lies outside of it is cut off.

    Args:
        image: ``(H, W, 3)`` uint8.
        boxes: ``(N, 4)``: top, left, bottom, right, pixels.
        colours: Colours of the boxes, repeated if there are more boxes.
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    height, width = image.shape[:2]
    for number, (top, left, bottom, right) in enumerate(boxes):
        corners = [max(left, 0), max(top, 0), min(right, width) - 1, min(bottom, height) - 1]
        corners = [round(corner) for corner in (*corners[:2], max(corners[0], corners[2]), max(corners[1], corners[3]))]
        outer = [corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1]
        pen.rectangle(outer, outline="black", width=4)  # so that a bright line shows on a bright picture
        pen.rectangle(corners, outline=colours[number % len(colours)], width=2)
    return np.asarray(picture)


def enlarged(frames: Frames, factor: int) -> Frames:
    """``(…, H, W, C)`` with every pixel as a square of ``factor`` × ``factor``."""
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2)


def side_by_side(images: Sequence[Frames]) -> Frames:
    """Pictures of one height, with a gap between."""
    gap = np.full((len(images[0]), GAP, 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)


def stacked(images: Sequence[Frames]) -> Frames:
    """Pictures of one width below each other, with a gap between."""
    gap = np.full((GAP, images[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1])


def write_gif(frames: Frames, path: Path, fps: float) -> None:
    """Write ``(T, H, W, 3)`` as an animated GIF that plays for ever."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    duration = round(1000 / fps)

    def save(partial: Path) -> None:
        first.save(partial, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)

    write_atomically(path, save)


def write_mp4(frames: Frames, path: Path, fps: int) -> None:
    """Write ``(T, H, W, 3)`` as H.264; a side of odd length loses its last line, which many players cannot show."""
    height, width = (side // 2 * 2 for side in frames.shape[1:3])
    with video_file(path, Fraction(fps)) as add:
        for frame in frames:
            add(frame[:height, :width])
