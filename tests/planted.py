"""A source and a model whose answer is known: what each unit sees is written into the pixels."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import BadClip
from static_dynamic.media.clip import Clip, Recipe, Video

RECIPE = Recipe(frames=6, rate=1, crop=16, mean=(0, 0, 0), std=(1, 1, 1))
STYLES = ("1", "2", "3", "4")
STAGES = {"planted": ("units", "N C"), "frames": ("frames", "N C T H W")}


@dataclass
class PlantedVideos:
    """Red holds the style, green a course over time that is the video's own, blue the video's identity."""

    count: int = 12
    bad: tuple[int, ...] = ()
    styles: tuple[str, ...] = STYLES
    name: str = "Planted"
    reads: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.videos = [Video(f"v{i:03d}", label=str(i % 3)) for i in range(self.count)]

    def read(self, video, recipe, style=None):
        self.reads.append(f"{video.name}/{style}")
        i = int(video.name[1:])
        if i in self.bad:
            raise BadClip(f"{video.name}: broken on purpose.")
        sample = recipe.sample(6)
        draw = np.random.default_rng([i, 7])
        colour = np.random.default_rng([i, int(style or 0)]).integers(0, 256)
        frames = np.zeros((6, 16, 16, 3), np.uint8)
        frames[..., 0] = colour
        frames[..., 1] = draw.permutation(6)[:, None, None] * 40
        frames[..., 2] = draw.integers(0, 256)
        return Clip(frames[list(sample.numbers)], sample, f"memory/{video.name}", total=6, fps=25.0)

    def describe(self):
        return {"kind": self.name, "count": self.count}


class Units(nn.Module):
    """Units: the style (static), the course over time (dynamic), the video itself (joint), nothing (dead)."""

    def forward(self, clip):
        red, green, blue = clip.mean((3, 4)).unbind(1)
        ramp = torch.linspace(-1, 1, clip.shape[2])
        return torch.stack([red.mean(1), (green * ramp).mean(1), blue.mean(1), torch.ones(len(clip))], 1)


CLASSES = ["static", "dynamic", "joint", "dead"]


class PlantedModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.frames = nn.Conv3d(3, 2, 1)
        self.units = Units()
        self.forwards = 0
        with torch.no_grad():
            self.frames.weight.copy_(torch.linspace(-1, 1, 6).view(2, 3, 1, 1, 1))
            self.frames.bias.zero_()

    def forward(self, clip):
        self.forwards += len(clip)
        self.frames(clip)
        return self.units(clip)


released = partial(sd.measure, estimators="released", twins=0)
"""The published measurement alone."""
