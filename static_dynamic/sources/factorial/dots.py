"""Random dots of which a part moves together, each living for a while."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from static_dynamic.common.seeds import generator
from static_dynamic.sources.factorial.draws import Scenes
from static_dynamic.sources.factorial.motion import COURSES, GROWTH, ORBIT, TRAVEL, TURNS, grid, growth_of

COHERENT = torch.tensor((0.25, 0.5, 1.0))
"""Part of the dots that moves together, by coherence; the others move in random directions at the same speed."""
DOTS = 120
LIFE = 0.6
"""Lifetime of a dot, as a share of the length of a clip."""
LIVES = math.ceil(1 / LIFE) + 1
FIELD = 1.5
"""Side of the square over which dots are spread, around the frame, in widths of the frame."""
SPREAD = 0.018
"""Standard deviation of the blob that a dot is, in widths of the frame."""
FASTEST = GROWTH * float(TRAVEL.max())


class Dots(NamedTuple):
    """Random numbers of the dots of ``N`` clips; ``D`` dots of ``L`` lives, all in 0..1.

    Attributes:
        born: When the first life began, ``(N, D)``.
        together: Below the coherence, a dot moves with the others, ``(N, D)``.
        x: Where a dot is halfway through a life, ``(N, D, L)``.
        y: The same downwards.
        course: Direction of a dot on its own.
        seen: Whether it is seen, compared with how far the dots are spread.
    """

    born: Tensor
    together: Tensor
    x: Tensor
    y: Tensor
    course: Tensor
    seen: Tensor


def draw_dots(scenes: Scenes, at: Tensor, size: int) -> Tensor:
    """How much every pixel is covered by dots, ``(N, T, size, size)`` in 0..1.

    As many dots, on average, are everywhere at any moment whatever the motion: those that move apart become more.
    """
    x, y, seen = _places(scenes, _dots(scenes.grain), at)
    across, down = (torch.exp(-(((grid(size) - place[..., None]) / SPREAD) ** 2) / 2) for place in (x, y))
    return torch.einsum("ntdy,ntdx->ntyx", down * seen[..., None], across).clamp_(0, 1)


def _dots(grain: Tensor) -> Dots:
    draws = (generator(seed, "dots").random((DOTS, 2 + 4 * LIVES), np.float32) for seed in grain.tolist())
    once, in_lives = torch.from_numpy(np.stack(list(draws))).split((2, 4 * LIVES), -1)
    return Dots(*once.unbind(-1), *in_lives.unflatten(-1, (4, LIVES)).unbind(-2))


def _places(scenes: Scenes, dots: Dots, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the dots are, and whether they are seen, each ``(N, T, D)``."""
    lived = (at[:, None] + 0.5) / LIFE + dots.born[:, None]  # (N, T, D), in lives
    life = lived.long()
    age = (lived - life - 0.5) * LIFE
    middle_x, middle_y, course, seen = (_of_life(part, life) for part in dots[2:])
    together = (dots.together < COHERENT[scenes.levels["coherence"]][:, None])[:, None]
    kind, travel = scenes.levels["kind"], TRAVEL[scenes.levels["speed"]][:, None, None]
    turn = 2 * math.pi * scenes.nuisance["turn"][:, None] + TURNS[kind][:, None] * travel[..., 0] / ORBIT * at
    reach = ORBIT * TURNS[kind].abs()[:, None]
    growth = torch.where(together, growth_of(scenes)[..., None], 0) * age
    x, y = (
        _moved(middle, torch.where(together, one * travel * age + (reach * wave(turn))[..., None], own), growth)
        for middle, one, wave, own in (
            (middle_x, COURSES[kind, 0][:, None, None], torch.cos, travel * age * torch.cos(2 * math.pi * course)),
            (middle_y, COURSES[kind, 1][:, None, None], torch.sin, travel * age * torch.sin(2 * math.pi * course)),
        )
    )
    return x, y, (seen <= torch.exp(2 * growth - FASTEST * LIFE)).float()


def _of_life(drawn: Tensor, life: Tensor) -> Tensor:
    """Numbers ``(N, D, L)`` of the life ``(N, T, D)`` in which a dot is."""
    return drawn[:, None].expand(-1, life.shape[1], -1, -1).gather(-1, life[..., None])[..., 0]


def _moved(middle: Tensor, way: Tensor, growth: Tensor) -> Tensor:
    """A place from where a dot is halfway (0..1 of the field), around the centre of the frame."""
    shifted = (middle + way / FIELD) % 1
    return 0.5 + FIELD * (shifted - 0.5) * torch.exp(growth)
