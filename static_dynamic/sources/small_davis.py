"""A small data set in the layout of DAVIS, generated from moving shapes, with exact masks."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_bytes, write_text
from static_dynamic.sources.factorial import one_scene, render, render_masks

LEVELS = ("colour", "shape", "texture", "background", "kind", "speed")
SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "disc": ("cyan", "disc", "checks", "grid", "right", "fast"),
    "square": ("red", "square", "stripes", "grid", "counterclockwise", "fast"),
    "ring": ("yellow", "ring", "dots", "diagonal", "expand", "fast"),
    "cross": ("blue", "cross", "plain", "diagonal", "left", "medium"),
}
"""Name of a sequence → what it shows."""
SIZE = (64, 96)
"""Height and width of the frames, pixels."""
SPLIT = "val"
LENGTH = 20
"""Frames over which the whole motion extends; sequences may be shorter."""


def write_small_davis(root: str | Path, frames: int = 6, sequences: int = 3, size: tuple[int, int] = SIZE) -> Path:
    """Write images, masks and their list; the same numbers give the same bytes, and equal files are kept.

    Optical flow and restyled copies are made as for any other data set: `static_dynamic.flow`, `stylize`.

    Args:
        root: Folder of the data set.
        frames: Frames per sequence.
        sequences: Number of sequences.
        size: Height and width of the frames, no higher than wide.

    Returns:
        ``root``.

    Raises:
        UserError: If a number is invalid, or the folder cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> root = write_small_davis(mkdtemp(), frames=2, sequences=1, size=(24, 32))
        >>> sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))[:2]
        ['Annotations/480p/disc/00000.png', 'Annotations/480p/disc/00001.png']
    """
    height, width = size
    if frames < 2 or not 1 <= sequences <= len(SEQUENCES) or not 1 <= height <= width:
        raise UserError(
            f"A small DAVIS requires 2 frames or more, 1 to {len(SEQUENCES)} sequences, and a height up to the width. "
            f"Got {frames}, {sequences} and {height}x{width}."
        )
    root, lines = Path(root), []
    for name, shown in list(SEQUENCES.items())[:sequences]:
        scene = one_scene(dict(zip(LEVELS, shown, strict=True)))
        pictures = render(scene, range(frames), width, LENGTH, sensor=0)[0].numpy()
        masks = render_masks(scene, range(frames), width, LENGTH)[0].numpy()
        top = (width - height) // 2
        for number in range(frames):
            image, mask = f"JPEGImages/480p/{name}/{number:05d}.jpg", f"Annotations/480p/{name}/{number:05d}.png"
            _write(root / image, pictures[number, top : top + height], quality=95)
            _write(root / mask, 255 * masks[number, top : top + height].astype(np.uint8))
            lines.append(f"/{image} /{mask}\n")
    write_text(root / "ImageSets" / "480p" / f"{SPLIT}.txt", "".join(lines))
    return root


def _write(path: Path, picture: npt.NDArray[np.uint8], **options: int) -> None:
    """Write a picture, unless the same one exists: a new file would look like a change to a run that is resumed."""
    content = BytesIO()
    Image.fromarray(picture).save(content, path.suffix[1:].replace("jpg", "jpeg"), **options)
    if not path.exists() or path.read_bytes() != content.getvalue():
        write_bytes(path, content.getvalue())
