"""Small pictures of the input of a model: a strip of frames for the variants of some videos, for a page."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageFile

from static_dynamic.media.clip import INTACT, FlowRecipe, Frames, Recipe
from static_dynamic.report.variants import pictures_of
from static_dynamic.variants import Cell, Conditions, PreparedVideo

VIDEOS = 2
"""Number of videos that get strips."""
ROWS = 12
"""Largest number of strips of a video."""
HEIGHT = 96
"""Largest height of a frame, in pixels."""
QUALITY = 82
COLUMNS = ["video", "style", "order", "replicate", "frames", "width", "height", "picture"]
"""Columns of the table of strips: key of a variant, frames of its strip, size of one, and the strip as JPEG."""


class Strips:
    """Makes strips of the first videos that are processed.

    Args:
        recipe: Recipe of the model.
    """

    def __init__(self, recipe: Recipe | FlowRecipe) -> None:
        self.recipe = recipe
        self._rows: list[dict[str, Any]] = []
        self._videos = 0

    def watch(self, videos: Iterable[PreparedVideo]) -> Iterator[PreparedVideo]:
        """Yield the same videos and make strips of the first ones."""
        for video in videos:
            if self._videos < VIDEOS:
                self._videos += 1
                self._rows += strips_of(video, self.recipe)
            yield video

    @property
    def table(self) -> pd.DataFrame:
        """The table of strips, see `COLUMNS`."""
        return pd.DataFrame(self._rows, columns=COLUMNS)


def strips_of(prepared: PreparedVideo, recipe: Recipe | FlowRecipe) -> Iterator[dict[str, Any]]:
    """Rows of the table for one video."""
    for cell in telling(prepared.conditions):
        shown = max((frames for _, frames in pictures_of(prepared.show(cell), recipe)), key=len)
        frames = [_reduced(frame) for frame in recipe.pixels(shown)]
        height, width, _ = frames[0].shape
        size = {"frames": len(frames), "width": width, "height": height}
        yield {"video": prepared.video.name, **cell._asdict(), **size, "picture": as_jpeg(np.concatenate(frames, 1))}


def telling(conditions: Conditions) -> list[Cell]:
    """The conditions that a page shows: original, every order, a replicate, every style."""
    cells = conditions.cells
    style = conditions.filmed if conditions.filmed in conditions.shown()[0] else cells[0].style
    filmed = [cell for cell in cells if cell.style == style and not cell.replicate]
    again = [cell for cell in cells if cell.style == style and cell.order == INTACT and cell.replicate]
    restyled = [cell for cell in cells if cell.style != style and cell.order == INTACT and not cell.replicate]
    there = {cell.order for cell in filmed}
    others = {cell.order: cell for cell in reversed(cells) if cell.order not in there and not cell.replicate}
    return [*filmed, *reversed(others.values()), *again[:1], *restyled][:ROWS]


def as_jpeg(image: Frames) -> bytes:
    """An image ``(H, W, 3)`` as a file."""
    plain = _encoded(image, optimize=False)
    # That is how much memory Pillow takes for a smaller file, which is too little for noise.
    fits = len(plain) <= max(ImageFile.MAXBLOCK, image.shape[0] * image.shape[1])
    return _encoded(image, optimize=True) if fits else plain


def _encoded(image: Frames, optimize: bool) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY, subsampling=0, optimize=optimize)
    return file.getvalue()


def _reduced(frame: Frames) -> Frames:
    """Shrink a frame to at most `HEIGHT`."""
    height, width, _ = frame.shape
    if height <= HEIGHT:
        return frame
    size = max(1, round(width * HEIGHT / height)), HEIGHT
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
