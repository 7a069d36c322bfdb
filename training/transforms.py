"""Transforms of the frames of a clip: random crops and mirroring in training, fixed crops in a test."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from static_dynamic.media.clip import Frames

SCALES = (1, 0.875, 0.75, 0.66)
"""Sides of a random crop, as shares of the short side; height and width are at most one step apart."""
PLACES = [(row, column) for row, column in product(range(5), repeat=2) if row % 2 == column % 2]
"""The 13 positions of a random crop, in quarters of the margin around it."""


@dataclass(frozen=True)
class Augmentation:
    """Multi-scale corner crops (Wang et al., arXiv:1507.02159, §3), and mirroring; alike for all frames of a clip.

    Attributes:
        side: Height and width of the result, pixels.
        flip: Whether half of the clips are mirrored.
    """

    side: int
    flip: bool = False

    def __call__(self, frames: Frames, generator: np.random.Generator) -> Frames:
        """``(T, H, W, 3)`` → ``(T, side, side, 3)``."""
        height, width = frames.shape[1:3]
        sides = [int(min(height, width) * scale) for scale in SCALES]
        shapes = [(sides[i], sides[j]) for i, j in product(range(len(sides)), repeat=2) if abs(i - j) <= 1]
        tall, wide = shapes[generator.integers(len(shapes))]
        row, column = PLACES[generator.integers(len(PLACES))]
        top, left = row * ((height - tall) // 4), column * ((width - wide) // 4)
        crop = resized(frames[:, top : top + tall, left : left + wide], self.side)
        return crop[:, :, ::-1] if self.flip and generator.random() < 0.5 else crop


def resized(frames: Frames, side: int) -> Frames:
    """``(T, H, W, 3)`` → ``(T, side, side, 3)``, bilinear with antialiasing."""
    from torchvision.transforms.v2.functional import resize

    images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    smaller: torch.Tensor = resize(images, [side, side], antialias=True)
    return smaller.permute(0, 2, 3, 1).numpy()


def squares(frames: Frames) -> Iterator[Frames]:
    """The three squares of ``(T, H, W, 3)`` over its whole short side: at both ends of the long one and in its middle.

    As published, they are at 0, 4 and 2 steps of a quarter of the margin, rounded down.
    """
    height, width = frames.shape[1:3]
    short, step = min(height, width), abs(height - width) // 4
    for start in (0, 4 * step, 2 * step):
        along = slice(start, start + short)
        yield frames[:, :, along] if width > height else frames[:, along]
