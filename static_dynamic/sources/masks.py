"""Masks and boxes in formats of data sets: images of object ids, run lengths of COCO, boxes of the VGG annotator."""

import ast
import csv
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from operator import attrgetter, index
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.texts import read_lines
from static_dynamic.functional.segmentation import Box, Mask
from static_dynamic.media.images import open_image
from static_dynamic.media.limits import check_size
from static_dynamic.optional import need

Ids = npt.NDArray[np.uint8]

VOID = 255
"""The id of pixels that are neither an object nor background."""
MOST_OBJECTS = 64
# Grey levels below are dark (or ids), from the second on bright; an edge may be between.
DARK, BRIGHT = 32, 224
# MoCA's codes for the motion of a frame.
MOTIONS = {"0": "locomotion", "1": "deformation", "2": "static"}
# Columns with the image, its region and the region's attributes: VIA 3, VIA 2.
COLUMNS = (
    ("file_list", "spatial_coordinates", "metadata"),
    ("filename", "region_shape_attributes", "region_attributes"),
)


class RunLengths(TypedDict):
    """A mask in COCO's format: ``size`` is ``[H, W]``, ``counts`` its compressed runs."""

    size: list[int]
    counts: str


class BoxAnnotation(NamedTuple):
    """The box of a frame, and how the animal moves there; ``None`` if the file does not state it."""

    box: Box
    motion: str | None


def read_mask(path: str | Path, size: tuple[int, int] | None = None) -> Ids:
    """Object ids of a mask image: 0 is background, 255 void (not scored), the rest objects.

    * Palette: the index, as in DAVIS-2017; at most 64 different ones. If a palette has only black and one colour, the
      colour is object 1, in either order.
    * Grey: if there are only 0 and 255, they are background and object 1, as in DAVIS-2016; levels up to 31, and 255,
      are ids; soft edges between a dark and a bright part are thresholded at 128, as is every JPEG.
    * 16 bit: the number, 0..255; if all are multiples of 257, they are divided by 257.
    * RGB: grey where the channels are equal; colours of the palette of PASCAL VOC and DAVIS are its indices; any other
      single colour on black is object 1. Transparency is ignored.

    Args:
        path: The image.
        size: ``(H, W)`` to which the mask is resized, by nearest neighbour.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        BadClip: If the file cannot be read or is not a mask.
    """
    image = open_image(Path(path), "mask")
    try:
        ids = _object_ids(image)
    except ValueError as error:
        raise BadClip(f"{path}: this image is not a mask: {error}.") from None
    if size in (None, ids.shape):
        return ids
    return np.asarray(Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST))


def foreground(ids: Ids) -> Mask:
    """Pixels of any object, ``(H, W)``."""
    return (ids > 0) & (ids != VOID)


def objects(ids: Ids) -> dict[int, Mask]:
    """The mask of every object, ``(H, W)``, by its id."""
    return {int(number): ids == number for number in np.unique(ids[foreground(ids)])}


def encode(mask: Mask) -> RunLengths:
    """Run lengths of a mask ``(H, W)``, ready for JSON."""
    runs = _coco().encode(np.asfortranarray(mask, np.uint8))
    return RunLengths(size=[int(side) for side in runs["size"]], counts=runs["counts"].decode("ascii"))


def decode(runs: Mapping[str, Any]) -> Mask:
    """The mask ``(H, W)`` of run lengths, compressed (text or bytes) or a list of numbers.

    Raises:
        BadClip: If the run lengths are invalid, do not fill their size, or have more pixels than are allowed.
    """
    coco = _coco()
    try:
        height, width = map(index, runs["size"])
        check_size("A mask in run lengths", height, width)  # pycocotools takes the memory unasked
        packed = coco.frPyObjects(runs, height, width) if isinstance(runs["counts"], list) else runs
        mask: Mask = coco.decode(packed).astype(bool)
        counts = packed["counts"]
        # pycocotools leaves pixels beyond the runs uninitialized: only full runs are the same after encoding.
        full = encode(mask)["counts"] == (counts if isinstance(counts, str) else counts.decode("ascii"))
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError):
        full = False
    if not full:
        raise BadClip(f"Run lengths must be 'size' [H, W] and 'counts' that fill H x W pixels. Got {runs!r:.80}.")
    return mask


def _coco() -> ModuleType:
    return need("pycocotools.mask", UserError)


def read_boxes(path: str | Path) -> dict[tuple[str, str], BoxAnnotation]:
    """Boxes by sequence and frame, e.g. ``("arctic_fox", "00010")``, from a CSV file of the VGG image annotator (VIA).

    MoCA's file is VIA 3 (``file_list``, ``spatial_coordinates``, ``metadata``), as is the one by Yang et al. VIA 2
    has ``filename``, ``region_shape_attributes``, ``region_attributes``. As published, a row without a box is ignored,
    the last of several boxes of a frame counts, and a motion holds until the sequence names the next. Boxes are clipped
    at the left and upper edges of the image.

    Raises:
        UserError: If the file cannot be read or has other columns, or a row is not a rectangle; the line is stated.
    """
    boxes: dict[tuple[str, str], BoxAnnotation] = {}
    motions: dict[str, str | None] = {}
    for row in sorted(_rows(Path(path)), key=attrgetter("frame")):
        if box := _box(row):
            sequence = row.frame[0]
            motions[sequence] = _motion(row) or motions.get(sequence)
            boxes[row.frame] = BoxAnnotation(box, motions[sequence])
    return boxes


def _object_ids(image: Image.Image) -> Ids:
    """Object ids by the rule for the kind of image; a ``ValueError`` states why it is not a mask."""
    levels, lossy = np.asarray(image), image.format == "JPEG"
    match image.mode:
        case "1":
            return _from_numbers(levels.astype(np.uint8))
        case "P":
            return _from_palette(levels, np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3))
        case "L":
            return _from_grey(levels, lossy)
        case "LA":
            return _from_grey(levels[..., 0], lossy)
        case "RGB" | "RGBA":
            return _from_colours(levels[..., :3], lossy)
        case "I" | "I;16" | "I;16B":
            return _from_numbers(levels // 257 if levels.max() > VOID and not (levels % 257).any() else levels)
    raise ValueError(f"its mode is {image.mode}; allowed: palette, grey, 16 bit, RGB")


def _from_palette(indices: Ids, colours: Ids) -> Ids:
    """The indices; for a palette with only black and one colour, 1 for that colour."""
    bright = colours.max(axis=1) >= DARK
    present = np.unique(indices)
    told_apart = present[-1] < len(colours) and len({*bright[present]}) == len(present)
    if told_apart and len(np.unique(colours, axis=0)) == 2 and bright.any() and not bright.all():
        return bright[indices].astype(np.uint8)
    return _from_numbers(indices)


def _from_numbers(numbers: npt.NDArray[Any]) -> Ids:
    present = np.unique(numbers)
    if present[0] < 0 or present[-1] > VOID or len(present) > MOST_OBJECTS:
        raise ValueError(
            f"it has {len(present)} different numbers up to {present[-1]}; allowed: {MOST_OBJECTS}, up to {VOID}"
        )
    return _binary(numbers.astype(np.uint8))


def _binary(ids: Ids) -> Ids:
    """Map 0 and 255 to background and object 1 if there are no other values."""
    return ids // VOID if np.isin(ids, (0, VOID)).all() else ids


def _from_grey(levels: Ids, lossy: bool) -> Ids:
    count = np.bincount(levels.ravel(), minlength=256)
    if not lossy and not count[DARK:VOID].any():
        return _binary(levels)
    dark, edge, bright = count[:DARK].sum(), count[DARK:BRIGHT].sum(), count[BRIGHT:].sum()
    if edge > min(dark, bright):
        raise ValueError(f"most of its grey levels are intermediate; allowed: 0 and 255, or ids up to {DARK - 1}")
    return (levels >= 128).astype(np.uint8)


def _from_colours(colours: Ids, lossy: bool) -> Ids:
    if (colours == colours[..., :1]).all():
        return _from_grey(colours[..., 0], lossy)
    packed = colours @ np.array([1 << 16, 1 << 8, 1])
    present, place = np.unique(packed, return_inverse=True)
    if {*present} <= _palette().keys():
        return np.array([_palette()[colour] for colour in present], np.uint8)[place].reshape(packed.shape)
    if len(present) == 2 and present[0] == 0:
        return (packed > 0).astype(np.uint8)
    raise ValueError(f"it has {len(present)} colours; allowed: those of the VOC palette, or one on black")


@cache
def _palette() -> dict[int, int]:
    """Colour ``0xRRGGBB`` → id in the VOC palette: the bits of an id, lowest first, give R, G and B in turn."""
    palette = {}
    for number in range(256):
        bits = f"{number:09b}"[::-1]
        red, green, blue = (int(bits[channel::3], 2) << 5 for channel in range(3))
        palette[red << 16 | green << 8 | blue] = number
    return palette


class _Row(NamedTuple):
    """A row of a file of boxes: sequence and frame, the cells of the region and of its attributes, and the location."""

    frame: tuple[str, str]
    region: str
    said: str
    where: str


def _rows(path: Path) -> Iterator[_Row]:
    lines = _lines(path)
    names = _cells(*next(lines, ("", "")))
    columns = next((columns for columns in COLUMNS if {*columns[:2]} <= {*names}), None)
    if columns is None:
        wanted = " or ".join(" and ".join(columns[:2]) for columns in COLUMNS)
        raise UserError(f"{path}: boxes require the columns {wanted}. Got {', '.join(names) or 'an empty file':.80}.")
    for where, line in lines:
        cells = dict(zip(names, _cells(where, line), strict=False))
        file, region, said = (cells.get(column, "") for column in columns)
        yield _Row(_frame(file, where), region, said, where)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Location and text of every line that is neither empty nor a comment; VIA 3 names the columns in a comment."""
    for number, line in read_lines(path):
        content = line.removeprefix("# CSV_HEADER = ")
        if not content.startswith("#"):
            yield f"{path}, line {number}", content


def _cells(where: str, line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error as error:
        raise UserError(f"{where}: this is not a row of a CSV file ({error}).") from None


def _frame(file: str, where: str) -> tuple[str, str]:
    """``/arctic_fox/00010.jpg``, also in a list, → ``("arctic_fox", "00010")``."""
    names = _value(file, where) if file.startswith("[") else [file]
    if not isinstance(names, list) or not names or not names[0]:
        raise UserError(f"{where}: a box requires the name of its image. Got {file!r:.80}.")
    path = PurePosixPath(str(names[0]).replace("\\", "/"))
    return path.parent.name, path.stem


def _box(row: _Row) -> Box | None:
    shape = _value(row.region, row.where)
    if not shape:
        return None
    match shape:
        case [2, x, y, width, height] | {"x": x, "y": y, "width": width, "height": height}:
            with suppress(TypeError, ValueError):
                x, y, width, height = map(float, (x, y, width, height))
                if math.isfinite(x + y + width + height) and min(width, height) >= 0:
                    return max(x, 0.0), max(y, 0.0), max(x + width, 0.0), max(y + height, 0.0)
    raise UserError(
        f"{row.where}: a box must be a rectangle of x, y, width, height (VIA shape 2). Got {row.region!r:.80}."
    )


def _motion(row: _Row) -> str | None:
    """The first attribute, which is the only one in MoCA."""
    attributes = _value(row.said, row.where)
    if not isinstance(attributes, dict) or not attributes:
        return None
    motion = str(next(iter(attributes.values())))
    return MOTIONS.get(motion, motion)


def _value(text: str, where: str) -> Any:
    """The value of a cell, in JSON or, as in the file by Yang et al., in Python; ``None`` if it is empty."""
    if not text.strip():
        return None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return read(text)
    raise UserError(f"{where}: this is neither JSON nor a Python value: {text!r:.80}.")
