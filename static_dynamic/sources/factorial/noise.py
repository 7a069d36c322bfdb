"""Noise of the sensor, and clips in which only motion distinguishes a shape from its background."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from static_dynamic.common.seeds import generator
from static_dynamic.sources.factorial.draws import Scenes
from static_dynamic.sources.factorial.looks import COLOURS, inside
from static_dynamic.sources.factorial.motion import Path, path_of

SENSOR = 4.0
"""Usual standard deviation of the sensor's noise, grey levels."""
STRIP = 2**22
"""Length of the strip from which the sensor's noise is cut."""
CELLS = 32
"""Squares of noise along a side of the frame; in smaller frames a square is a pixel."""


def sensor_noise(grain: Tensor, numbers: Tensor, size: int) -> Tensor:
    """Standard normal, ``(N, T, size, size, 3)``: a piece of one long strip, another for each clip and frame."""
    strip, pixels = _strip(), size * size * 3
    # Powers of generators of pseudo-random sequences, so that neighbours are far apart.
    places = (grain[:, None] * 16807 + numbers * 48271**2) % (STRIP - pixels)
    pieces = torch.stack([strip[place : place + pixels] for place in places.flatten().tolist()])
    return pieces.view(*places.shape, size, size, 3)


@cache
def _strip() -> Tensor:
    return torch.from_numpy(generator(0, "sensor").standard_normal(STRIP, np.float32))


def draw_noise(scenes: Scenes, at: Tensor, size: int) -> Tensor:
    """Noise that moves within a shape, and is static around it: ``(N, T, size, size, 3)``.

    Motion is in whole squares, so every single frame is the same kind of noise everywhere.
    """
    shape, path, cells = shape_of(scenes, at, size)
    column, row = ((centre * cells).round().long() for centre in (path.x, path.y))
    still, moving = _fields(scenes.grain, cells).unbind(1)
    places = torch.arange(cells)
    rows, columns = ((places - shift[..., None]) % cells for shift in (row, column))
    clips = torch.arange(len(scenes))[:, None, None, None]
    moved = moving[clips, rows[..., :, None], columns[..., None, :]]
    value = enlarged(torch.where(shape, moved, still[:, None]), size)
    main, second = COLOURS[scenes.levels["colour"]][:, None, None, None].unbind(-2)
    return torch.lerp(second, main, value[..., None])


def shape_of(scenes: Scenes, at: Tensor, size: int) -> tuple[Tensor, Path, int]:
    """Which squares belong to the shape, ``(N, T, cells, cells)``; its path in whole squares; squares along a side."""
    cells = min(CELLS, size)
    path = path_of(scenes, at)
    path = Path((path.x * cells).round() / cells, (path.y * cells).round() / cells, path.radius)
    return inside(scenes.levels["shape"], path, cells), path, cells


def enlarged(squares: Tensor, size: int) -> Tensor:
    """``(…, cells, cells)`` as pixels, ``(…, size, size)``."""
    nearest = torch.arange(size) * squares.shape[-1] // size
    return squares[..., nearest, :][..., nearest]


def _fields(grain: Tensor, cells: int) -> Tensor:
    """For every clip a static field and a moving one, ``(N, 2, cells, cells)`` in 0..1."""
    draws = (generator(seed, "noise").random((2, cells, cells), np.float32) for seed in grain.tolist())
    return torch.from_numpy(np.stack(list(draws)))
