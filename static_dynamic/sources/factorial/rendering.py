"""Factorial clips as pixels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from static_dynamic.sources.factorial.dots import draw_dots
from static_dynamic.sources.factorial.draws import Scenes
from static_dynamic.sources.factorial.looks import (
    BACKGROUNDS,
    BACKS,
    COLOURS,
    TEXTURES,
    by_level,
    outline,
)
from static_dynamic.sources.factorial.motion import frames_and_moments, grid, path_of
from static_dynamic.sources.factorial.noise import SENSOR, draw_noise, sensor_noise

CHUNK = 2**18
"""Pixels that are drawn at a time: as many as fit into the processor's cache."""
SOFT = 1.5
"""Width of the edge of a shape, pixels."""
GAIN = 0.15
"""How far the contrast of a clip may be above or below the usual one."""


def render(
    scenes: Scenes,
    frames: int | Sequence[int] = 8,
    size: int = 32,
    length: int | None = None,
    sensor: float = SENSOR,
) -> Tensor:
    """Draw clips.

    Args:
        scenes: The clips, see `draw_scenes`.
        frames: Number of frames, or their numbers.
        size: Side of the square frames, pixels.
        length: Frames of a whole clip, over which its motion extends; ``None`` means the frames drawn.
        sensor: Standard deviation of the sensor's noise, grey levels.

    Returns:
        ``(N, T, size, size, 3)`` uint8 RGB. A frame depends only on its scene, its number, ``size`` and ``length``.

    Example:
        >>> from static_dynamic.sources.factorial import CONTENTS, draw_scenes
        >>> render(draw_scenes(CONTENTS["objects"], seed=0, numbers=range(3))).shape
        torch.Size([3, 8, 32, 32, 3])
    """
    numbers, at = frames_and_moments(frames, length)
    together = max(1, CHUNK // (len(numbers) * size * size))
    parts = [scenes[i : i + together] for i in range(0, len(scenes), together)]
    return torch.cat([_pixels(_image(part, at, size), part.grain, numbers, sensor) for part in parts])


def _pixels(image: Tensor, grain: Tensor, numbers: Tensor, sensor: float) -> Tensor:
    if sensor:
        image += sensor * sensor_noise(grain, numbers, image.shape[-2])
    return image.round_().clamp_(0, 255).to(torch.uint8)


def _image(scenes: Scenes, at: Tensor, size: int) -> Tensor:
    """What the camera sees, ``(N, T, size, size, 3)`` in 0..255."""
    if "shape" not in scenes.levels:
        return _dots(scenes, at, size)
    if "texture" not in scenes.levels:
        return draw_noise(scenes, at, size)
    return _objects(scenes, at, size)


def _objects(scenes: Scenes, at: Tensor, size: int) -> Tensor:
    """A textured object in front of a pattern."""
    path, drawn = path_of(scenes, at), scenes.nuisance
    distance, x, y = outline(scenes.levels["shape"], path, size)
    alpha = (0.5 - distance * path.radius[..., None, None] * (size / SOFT)).clamp_(0, 1)
    body = by_level(scenes.levels["texture"], TEXTURES, x, y, *_phases(drawn["body_x"], drawn["body_y"]))
    main, second = _contrast(scenes, COLOURS[scenes.levels["colour"]])
    body = torch.lerp(main, second, (0.5 + 1.2 * body).clamp_(0, 1)[..., None])
    return torch.lerp(_background(scenes, size), body, alpha[..., None])


def _dots(scenes: Scenes, at: Tensor, size: int) -> Tensor:
    """Random dots in front of a pattern."""
    main, _ = _contrast(scenes, COLOURS[scenes.levels["colour"]])
    return torch.lerp(_background(scenes, size), main, draw_dots(scenes, at, size)[..., None])


def _background(scenes: Scenes, size: int) -> Tensor:
    """``(N, 1, size, size, 3)``: it never moves."""
    x, y = (grid(size).view(shape).expand(len(scenes), *shape) for shape in ((1, 1, size), (1, size, 1)))
    phases = _phases(scenes.nuisance["back_x"], scenes.nuisance["back_y"])
    pattern = by_level(scenes.levels["background"], BACKGROUNDS, x, y, *phases)
    first, second = _contrast(scenes, BACKS[scenes.levels["background"]])
    return torch.lerp(first, second, (0.5 + 0.8 * pattern).clamp_(0, 1)[..., None])


def _phases(*drawn: Tensor) -> list[Tensor]:
    return [2 * math.pi * phase[:, None, None, None] for phase in drawn]


def _contrast(scenes: Scenes, colours: Tensor) -> tuple[Tensor, Tensor]:
    """Two colours ``(N, 2, 3)`` at the contrast of each clip, each ``(N, 1, 1, 1, 3)``."""
    gain = 1 + GAIN * (2 * scenes.nuisance["gain"] - 1)
    first, second = (128 + (colours - 128) * gain[:, None, None]).unbind(1)
    return first[:, None, None, None], second[:, None, None, None]
