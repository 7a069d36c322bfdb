"""The ground truth of factorial clips, pixel by pixel: where the object is, and how everything moves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from static_dynamic.common.errors import UserError
from static_dynamic.sources.factorial.draws import Scenes
from static_dynamic.sources.factorial.looks import inside
from static_dynamic.sources.factorial.motion import RANGE, Path, frames_and_moments, grid, growth_of, path_of, torus
from static_dynamic.sources.factorial.noise import enlarged, shape_of


def render_masks(scenes: Scenes, frames: int | Sequence[int] = 8, size: int = 32, length: int | None = None) -> Tensor:
    """Where the object is, ``(N, T, size, size)`` bool: a pixel, or a square of noise, counts if its middle is covered.

    Arguments: see `render`.

    Raises:
        UserError: If the clips show random dots, which have no shape.
    """
    if "shape" not in scenes.levels:
        raise UserError("Random dots have no shape, and so no mask. Use the content objects or noise.")
    return _shape(scenes, frames_and_moments(frames, length)[1], size)[0]


def true_flow(scenes: Scenes, frames: int | Sequence[int] = 8, size: int = 32, length: int | None = None) -> Tensor:
    """The motion from each frame to the next at every pixel.

    Arguments: see `render`. For random dots it is the flow of those that move together, everywhere. Noise moves by
    whole squares: if ``size`` is not a multiple of their number, flow may be off by one pixel.

    Returns:
        ``(N, T - 1, size, size, 2)``, rightwards and downwards, pixels; 0 for the background; NaN where an object that
        has grown out of its range begins again at another size.
    """
    at = frames_and_moments(frames, length)[1]
    growth = growth_of(scenes) * at.diff()
    if "shape" not in scenes.levels:
        return _flow(*_steps(path_of(scenes, at)), torch.full((2,), 0.5), growth, size)
    shape, path = _shape(scenes, at, size)
    here, there = _steps(path)
    again = ((there.radius / here.radius).log() - growth).abs() > RANGE / 2
    flow = _flow(here, there, torch.stack([here.x, here.y]), torch.where(again, torch.nan, growth), size)
    return torch.where(shape[:, :-1, ..., None], flow, 0)


def _shape(scenes: Scenes, at: Tensor, size: int) -> tuple[Tensor, Path]:
    """Which pixels show the object, ``(N, T, size, size)``, and its path."""
    if "texture" in scenes.levels:
        path = path_of(scenes, at)
        return inside(scenes.levels["shape"], path, size), path
    squares, path, _ = shape_of(scenes, at, size)
    return enlarged(squares, size), path


def _steps(path: Path) -> tuple[Path, Path]:
    """Every moment except the last, and the one after each."""
    here, there = (Path(*(part[:, rows] for part in path)) for rows in (slice(-1), slice(1, None)))
    return here, there


def _flow(here: Path, there: Path, centre: Tensor, growth: Tensor, size: int) -> Tensor:
    """Flow of what moves with the object and grows around a centre, ``(N, T - 1, size, size, 2)``."""
    parts = []
    for before, after, middle, shape in zip(here, there, centre, ((1, size), (size, 1)), strict=False):
        away = torus(grid(size).view(shape) - middle[..., None, None])
        step = torus(after - before)[..., None, None] + away * torch.expm1(growth)[..., None, None]
        parts.append(step.expand(-1, -1, size, size))
    return size * torch.stack(parts, -1)
