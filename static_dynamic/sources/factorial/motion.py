"""Where the object is, and how large, at every moment of a clip.

Every motion is a stationary process: at any one moment the object is anywhere in the frame (which is a torus) and of
any size with equal probability, so a single frame does not tell the motion. Played backwards, a motion becomes its
opposite, so the frames without their order do not show its direction.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from static_dynamic.common.errors import UserError
from static_dynamic.sources.factorial.draws import Scenes
from static_dynamic.sources.factorial.levels import LEVELS

TRAVEL = torch.tensor((0.13, 0.26, 0.44))
"""How far an object moves from the first frame to the last, in widths of the frame, by speed."""
ORBIT = 0.16
"""Radius of an orbit, in widths of the frame."""
SMALLEST, LARGEST = 0.15, 0.33
"""Radius of the object, in widths of the frame. What grows beyond the largest begins again as the smallest."""
RANGE = math.log(LARGEST / SMALLEST)
GROWTH = 1.7
"""Change of the logarithm of the radius for which a moving object would move by a width."""
COURSES = torch.tensor(((1, 0), (0, -1), (-1, 0), (0, 1), (0, 0), (0, 0), (0, 0), (0, 0)), dtype=torch.float32)
"""Direction of every kind of motion; ``y`` points down."""
TURNS = torch.tensor((0, 0, 0, 0, 1, -1, 0, 0), dtype=torch.float32)
"""Sense of every orbit, as seen on the screen."""
GROWTHS = torch.tensor((0, 0, 0, 0, 0, 0, 1, -1), dtype=torch.float32)
"""Sense of every change of size."""
assert len(COURSES) == len(TURNS) == len(GROWTHS) == len(LEVELS["kind"])


class Path(NamedTuple):
    """The object over time; each ``(N, T)``, in widths of the frame.

    Attributes:
        x: Its centre, from the left; beyond 0..1 it comes in again on the other side.
        y: The same from the top.
        radius: Its size.
    """

    x: Tensor
    y: Tensor
    radius: Tensor


def frames_and_moments(frames: int | Sequence[int], length: int | None) -> tuple[Tensor, Tensor]:
    """Numbers of frames, and when each is shown: -1/2 is the first of a clip of ``length``, 1/2 the last.

    A single frame is the first.

    Raises:
        UserError: If there is none.
    """
    if frames == 0 or (not isinstance(frames, int) and not len(frames)):
        raise UserError("Clips require at least one frame: `frames=8`. Got none.")
    numbers = torch.arange(frames) if isinstance(frames, int) else torch.tensor(list(frames))
    return numbers, numbers.float() / max(1, (length or len(numbers)) - 1) - 0.5


def path_of(scenes: Scenes, moments: Tensor) -> Path:
    """Where the objects are at these ``(T,)`` moments."""
    kind, drawn = scenes.levels["kind"], scenes.nuisance
    travel = TRAVEL[scenes.levels["speed"]][:, None] * moments
    angle = 2 * math.pi * drawn["turn"][:, None] + TURNS[kind][:, None] * travel / ORBIT
    reach = ORBIT * TURNS[kind].abs()[:, None]
    x = drawn["x"][:, None] + COURSES[kind, :1] * travel + reach * torch.cos(angle)
    y = drawn["y"][:, None] + COURSES[kind, 1:] * travel + reach * torch.sin(angle)
    grown = (drawn["size"][:, None] + growth_of(scenes) * moments / RANGE) % 1
    return Path(x, y, SMALLEST * torch.exp(grown * RANGE))


def growth_of(scenes: Scenes) -> Tensor:
    """Change of the logarithm of the size from the first moment to the last, ``(N, 1)``."""
    return (GROWTHS[scenes.levels["kind"]] * GROWTH * TRAVEL[scenes.levels["speed"]])[:, None]


def torus(distance: Tensor) -> Tensor:
    """A distance on the torus, -1/2..1/2."""
    return (distance + 0.5) % 1 - 0.5


def grid(size: int) -> Tensor:
    """Centres of the pixels of a row, ``(size,)``, in widths of the frame."""
    return (torch.arange(size) + 0.5) / size
