"""Colours, shapes and textures of factorial clips; one level per line."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from static_dynamic.sources.factorial.motion import Path, grid, torus

COLOURS = torch.tensor(
    [
        [[230, 60, 50], [120, 20, 30]],
        [[60, 190, 80], [20, 90, 40]],
        [[70, 110, 235], [20, 40, 120]],
        [[235, 200, 50], [140, 100, 10]],
        [[200, 70, 210], [95, 20, 105]],
        [[50, 205, 215], [10, 100, 110]],
    ],
    dtype=torch.float32,
)
"""Main and second colour of every level, ``(6, 2, 3)``, 0..255."""
BACKS = torch.tensor(
    [
        [[35, 38, 48], [62, 64, 80]],
        [[225, 222, 210], [190, 186, 170]],
        [[70, 95, 75], [105, 130, 108]],
        [[120, 95, 85], [160, 132, 118]],
    ],
    dtype=torch.float32,
)
"""The two colours of every background, ``(4, 2, 3)``, 0..255."""

SHAPES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda x, y: torch.hypot(x, y) - 0.95,
    lambda x, y: torch.maximum(x.abs(), y.abs()) - 0.82,
    lambda x, y: torch.maximum(torch.minimum(x.abs(), y.abs()) - 0.34, torch.maximum(x.abs(), y.abs()) - 1),
    lambda x, y: (torch.hypot(x, y) - 0.72).abs() - 0.27,
)
"""Distance to the outline of every shape, about, in radii; negative inside."""

FINE = 2 * math.pi * 0.9
TEXTURES: tuple[Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], ...] = (
    lambda x, y, a, b: -torch.ones_like(x + y),
    lambda x, y, a, b: torch.sin(0.75 * FINE * (x + y) + a),
    lambda x, y, a, b: 2 * torch.sin(FINE * x + a) * torch.sin(FINE * y + b),
    lambda x, y, a, b: torch.cos(1.5 * FINE * x + a) + torch.cos(1.5 * FINE * y + b) - 0.6,
)
"""Pattern of every texture over the object, in radii, at two phases; its sign selects one of two colours."""

COARSE = 2 * math.pi * 3
BACKGROUNDS: tuple[Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], ...] = (
    lambda x, y, a, b: torch.sin(COARSE * y + a) + 0 * x,
    lambda x, y, a, b: torch.sin(COARSE * x + a) + 0 * y,
    lambda x, y, a, b: 1.6 * torch.sin(COARSE * x + a) * torch.sin(COARSE * y + b),
    lambda x, y, a, b: torch.sin(4 * math.pi * (x + y) + a),
)
"""Pattern of every background over the frame; all have a whole number of periods, as a torus needs."""


def by_level(levels: Tensor, functions: tuple[Callable[..., Tensor], ...], *arguments: Tensor) -> Tensor:
    """Apply to every clip the function of its level; each function is computed only for its clips."""
    parts, order = [], []
    for level, function in enumerate(functions):
        rows = torch.nonzero(levels == level)[:, 0]
        if len(rows):
            parts.append(function(*(argument[rows] for argument in arguments)))
            order.append(rows)
    return torch.cat(parts)[torch.argsort(torch.cat(order))]


def outline(shapes: Tensor, path: Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distance to the outline of the object, ``(N, T, size, size)``, and coordinates on the object, in radii."""
    x = (torus(grid(size) - path.x[..., None]) / path.radius[..., None])[..., None, :]
    y = (torus(grid(size) - path.y[..., None]) / path.radius[..., None])[..., None]
    return by_level(shapes, SHAPES, x, y), x, y


def inside(shapes: Tensor, path: Path, size: int) -> Tensor:
    """Which pixels have their middle in the object, ``(N, T, size, size)``."""
    return outline(shapes, path, size)[0] < 0
