"""Clips to learn from, with the level of every factor, and clips in which the appearance reveals the motion."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from static_dynamic.common.seeds import generator
from static_dynamic.models.truth.biases import INPUT
from static_dynamic.sources.factorial import CONTENTS, Scenes, draw_scenes, render


class Pool(NamedTuple):
    """Rendered clips.

    Attributes:
        clips: ``(N, T, H, W, 3)`` uint8.
        levels: Factor → place of each clip's level, ``(N,)``.
    """

    clips: Tensor
    levels: dict[str, Tensor]


@dataclass(frozen=True)
class Shortcut:
    """In a part of the clips the kind of motion follows from texture and background.

    Attributes:
        part: Share of these clips, 0..1; in the others the two are independent.
    """

    part: float

    def kind(self, levels: dict[str, Tensor]) -> Tensor:
        """The kind that the appearance stands for, ``(N,)``: each for as many appearances."""
        return 2 * levels["texture"] + levels["background"] % 2

    def taken(self, scenes: Scenes, seed: int) -> Scenes:
        """The clips, of which that share moves as its appearance indicates."""
        follows = torch.from_numpy(generator(seed, "shortcut").random(len(scenes)) < self.part)
        kind = torch.where(follows, self.kind(scenes.levels), scenes.levels["kind"])
        return replace(scenes, levels={**scenes.levels, "kind": kind})


def draw_pool(seed: int, numbers: range, shortcut: Shortcut | None = None) -> Pool:
    """Clips of textured objects; clip ``n`` depends on ``(seed, n)`` and the shortcut alone."""
    scenes = draw_scenes(CONTENTS["objects"], seed, numbers)
    if shortcut:
        scenes = shortcut.taken(scenes, seed)
    return Pool(render(scenes), scenes.levels)


def as_input(clips: Tensor) -> Tensor:
    """Uint8 ``(N, T, H, W, 3)`` → what the networks take, ``(N, 3, T, H, W)``."""
    mean, std = INPUT["mean"][0], INPUT["std"][0]  # alike in all channels
    return clips.permute(0, 4, 1, 2, 3).float().div_(255 * std).sub_(mean / std)
