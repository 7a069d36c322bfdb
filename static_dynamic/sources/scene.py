"""One textured shape that moves before a textured background, drawn from independent factors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import unknown
from static_dynamic.media.clip import Frames

Floats = npt.NDArray[np.floating[Any]]

RADIUS = 0.2
REACH = 0.25
"""Half-size of the shape, and how far it swings, in image widths."""
SUPERSAMPLE = 2
"""Fine pixels per pixel and axis, averaged: what smooths every edge."""

PALETTES: dict[str, tuple[str, str, str, str]] = {
    "ember": ("2b2d42", "3d405b", "ef8354", "f4d35e"),
    "lagoon": ("0b3954", "14546f", "bfd7ea", "ff6663"),
    "meadow": ("e9edc9", "ccd5ae", "386641", "bc4749"),
    "plum": ("f2e9e4", "d8c7d4", "4a4e69", "9a348e"),
    "desert": ("f6e7cb", "e8cfa0", "9c3d1e", "1d6f7a"),
    "night": ("10121f", "1f2440", "7ae582", "e0fbfc"),
}
"""Background dark and light, object main and second colour."""

TEXTURES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "stripes": lambda x, y: np.sin(x + y),
    "checks": lambda x, y: np.sin(x) * np.sin(y) * 2,
    "dots": lambda x, y: (np.cos(x) + np.cos(y)) - 0.6,
    "lattice": lambda x, y: np.maximum(np.cos(x), np.cos(y)) - 0.6,
    "waves": lambda x, y: np.sin(y + 1.3 * np.sin(x)),
}
"""A pattern over the plane, of period 2π in both axes; its sign says which of two colours."""

SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "disc": lambda x, y: np.hypot(x, y) - 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) - 0.85,
    "triangle": lambda x, y: np.maximum(0.866 * abs(x) - 0.5 * y, y) - 0.55,
    "star": lambda x, y: np.hypot(x, y) - (0.82 + 0.3 * np.cos(5 * np.arctan2(x, -y))),
    "ring": lambda x, y: abs(np.hypot(x, y) - 0.75) - 0.3,
    "cross": lambda x, y: np.maximum(np.minimum(abs(x), abs(y)) - 0.36, np.maximum(abs(x), abs(y)) - 1.05),
}
"""Signed distance, about, to the outline of a shape of radius 1; negative inside."""

PATTERNS = ("translate", "oscillate", "circle", "expand")
DIRECTIONS = tuple(range(0, 360, 45))
SPEEDS = (0.006, 0.012, 0.024)
"""Widths of the image per frame, at the fastest."""


@dataclass(frozen=True)
class Appearance:
    """What a video shows, frame by frame.

    Attributes:
        shape: A key of ``SHAPES``.
        texture: A key of ``TEXTURES``, for the object and the background.
        palette: A key of ``PALETTES``.
    """

    shape: str = "disc"
    texture: str = "stripes"
    palette: str = "ember"

    def __post_init__(self) -> None:
        for kind, allowed in (("shape", SHAPES), ("texture", TEXTURES), ("palette", PALETTES)):
            if getattr(self, kind) not in allowed:
                raise unknown(kind, getattr(self, kind), allowed)


@dataclass(frozen=True)
class Motion:
    """How things move.

    Attributes:
        pattern: Along a line and round again, to and fro, in a circle, or growing and shrinking.
        direction: Degrees, counter-clockwise from the right: of a line, or where a circle or growth begins.
        speed: Fastest motion of the object (for ``expand``, of its outline), image widths per frame.
        drift: Whether the background moves too, slowly and across.
    """

    pattern: str = "translate"
    direction: int = 0
    speed: float = SPEEDS[1]
    drift: bool = False

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise unknown("pattern", self.pattern, PATTERNS)


LEVELS: dict[str, tuple[object, ...]] = {
    "shape": tuple(SHAPES),
    "texture": tuple(TEXTURES),
    "palette": tuple(PALETTES),
    "pattern": PATTERNS,
    "direction": DIRECTIONS,
    "speed": SPEEDS,
    "drift": (False, True),
}
"""The levels of every factor; ``Video.details`` holds the place of a video's level in its row."""


def render(appearance: Appearance, motion: Motion, frame_numbers: Sequence[int], size: int = 128) -> Frames:
    """Frames of one video; any appearance goes with any motion.

    Args:
        appearance: What it shows.
        motion: How it moves.
        frame_numbers: Which frames, 0-based.
        size: Side of the square frames, pixels.

    Returns:
        ``(T, size, size, 3)`` uint8 RGB.

    Example:
        >>> render(Appearance("star"), Motion("circle"), [0, 1, 2], size=32).shape
        (3, 32, 32, 3)
    """
    return np.stack([_frame(appearance, motion, number, size) for number in frame_numbers])


def render_masks(
    appearance: Appearance, motion: Motion, frame_numbers: Sequence[int], size: int = 128
) -> npt.NDArray[np.bool_]:
    """Where the shape is in these frames, ``(T, size, size)``: it covers half of a pixel or more."""
    inside = [-_outline(appearance, motion, number, size)[0] > 0 for number in frame_numbers]
    return np.stack([_averaged(255 * shape[..., None].astype(np.float32))[..., 0] >= 128 for shape in inside])


def _outline(appearance: Appearance, motion: Motion, number: int, size: int) -> tuple[Floats, Floats, Floats]:
    """Signed distance to the shape's outline, and coordinates on the shape, of every fine pixel."""
    x, y = _grid(size * SUPERSAMPLE)
    (centre_x, centre_y), radius = _place(motion, number)
    u, v = _around(x - centre_x) / radius, _around(y - centre_y) / radius
    return SHAPES[appearance.shape](u, v), u, v


def _frame(appearance: Appearance, motion: Motion, number: int, size: int) -> Frames:
    x, y = _grid(size * SUPERSAMPLE)
    _, radius = _place(motion, number)
    shift_x, shift_y = _drift(motion, number)
    dark, light, main, second = (_colour(code) for code in PALETTES[appearance.palette])
    texture = TEXTURES[appearance.texture]

    turn = 2 * np.pi
    background = _mix(dark, light, texture(3 * turn * (x - shift_x), 3 * turn * (y - shift_y)), softness=0.3)
    distance, u, v = _outline(appearance, motion, number, size)
    body = _mix(main, second, texture(turn * u, turn * v), softness=0.2)
    image = _mix(background, body, -distance, softness=1 / (size * radius))
    return _averaged(image)


def _place(motion: Motion, number: int) -> tuple[tuple[float, float], float]:
    """Centre and radius of the shape; every pattern moves at ``motion.speed`` where it is fastest."""
    angle = np.deg2rad(motion.direction)
    swing = motion.speed / REACH * number
    if motion.pattern == "translate":
        return _at(angle, motion.speed * number), RADIUS
    if motion.pattern == "oscillate":
        return _at(angle, REACH * np.sin(swing)), RADIUS
    if motion.pattern == "circle":
        return _at(angle + swing, REACH), RADIUS
    growth = RADIUS / 2
    return _at(0, 0), RADIUS + growth * np.sin(angle + motion.speed / growth * number)


def _at(angle: float, distance: float) -> tuple[float, float]:
    """A point at a distance from the middle of the image, whose rows count downwards."""
    return 0.5 + distance * np.cos(angle), 0.5 - distance * np.sin(angle)


def _drift(motion: Motion, number: int) -> tuple[float, float]:
    """How far the background has moved: across the shape's direction, at half its speed."""
    return _at(np.deg2rad(motion.direction + 90), motion.speed / 2 * number if motion.drift else 0)


def _grid(side: int) -> tuple[Floats, Floats]:
    """Centres of the pixels, as a row of ``x`` and a column of ``y`` in 0..1."""
    centres = ((np.arange(side) + 0.5) / side).astype(np.float32)
    return centres[None, :], centres[:, None]


def _around(distance: Floats) -> Floats:
    """Distance on a torus: what leaves on one side comes in on the other, so that a line needs no end."""
    return (distance + 0.5) % 1 - 0.5


def _mix(below: Floats, above: Floats, value: Floats, softness: float) -> Floats:
    """``above`` where ``value`` is positive, ``below`` where it is negative, a smooth step between."""
    step = np.clip(0.5 + value / (2 * softness), 0, 1)[..., None]
    return below + (above - below) * step * step * (3 - 2 * step)


def _colour(code: str) -> Floats:
    return np.array(list(bytes.fromhex(code)), np.float32)


def _averaged(image: Floats) -> Frames:
    side = len(image) // SUPERSAMPLE
    blocks = image.reshape(side, SUPERSAMPLE, side, SUPERSAMPLE, -1)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
