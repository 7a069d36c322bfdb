"""A painted view with what styles act on: smooth tones, hard edges, fine and coarse textures, darks and lights."""

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.interventions.texture import grain
from static_dynamic.media.clip import Frames

SIZE = (288, 384)
"""Rows and columns, pixels."""
SEED = 7


def scenery() -> Frames:
    """A lake before mountains at evening: one frame, ``(288, 384, 3)`` uint8 RGB."""
    rng = np.random.default_rng(SEED)
    rows, columns = np.indices(SIZE, dtype=np.float32)
    view = _blend((70, 110, 190), (250, 205, 150), rows / 150)
    glow = np.exp(-((columns - 275) ** 2 + (rows - 92) ** 2) / 2500)
    view = view + (np.array([255, 240, 190]) - view) * np.clip(2.5 * glow, 0, 1)[..., None]
    for foot, height, near, far in (
        (100, 55, (120, 115, 160), (165, 150, 175)),
        (140, 60, (45, 75, 80), (80, 105, 105)),
    ):
        ridge = foot - height * (grain((1, SIZE[1]), 28, rng) + 0.15 * grain((1, SIZE[1]), 3, rng))[0] / 2
        rock = _blend(near, far, (rows - ridge) / 60) + 14 * grain(SIZE, 2, rng)[..., None]
        view = np.where((rows > ridge)[..., None], rock, view)
    ripples = cv2.resize(grain((SIZE[0], SIZE[1] // 8), 1.2, rng), SIZE[::-1])
    lake = view[np.clip(320 - rows.astype(int), 0, 287), columns.astype(int)] * 0.8 + 12 * ripples[..., None]
    view = np.where((rows > 160)[..., None], lake, view)
    shore = 228 + 9 * grain((1, SIZE[1]), 40, rng)[0]
    grass = _blend((120, 130, 50), (40, 60, 30), (rows - shore) / 60) + 26 * grain(SIZE, 0.8, rng)[..., None]
    view = np.where((rows > shore)[..., None], grass, view)
    return _hut(np.clip(view, 0, 255).astype(np.uint8))


def _hut(view: Frames) -> Frames:
    """A red hut at the shore, with a lit window."""
    shapes = {
        (160, 45, 40): ((70, 205), (130, 205), (130, 255), (70, 255)),
        (110, 30, 30): ((130, 205), (158, 196), (158, 244), (130, 255)),
        (60, 50, 55): ((62, 207), (98, 172), (138, 207)),
        (90, 80, 85): ((98, 172), (126, 165), (164, 197), (138, 207)),
        (255, 225, 130): ((82, 218), (98, 218), (98, 234), (82, 234)),
    }
    drawn = np.ascontiguousarray(view)
    for colour, corners in shapes.items():
        cv2.fillPoly(drawn, [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    return drawn


def _blend(first: tuple[int, ...], second: tuple[int, ...], share: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    along = np.clip(share, 0, 1)[..., None]
    return np.array(first) * (1 - along) + np.array(second) * along
