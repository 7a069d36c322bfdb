"""The nuisance of a replicate: camera effects, which should not matter to a model."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

SHIFTS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))
"""Possible shifts of a picture, pixels."""
NOISE = 2.0
"""Standard deviation of sensor noise, grey levels of 255."""


def disturbed(frames: torch.Tensor, seed: np.random.Generator, std: Sequence[float] | None = None) -> torch.Tensor:
    """Pictures shifted by one pixel, all equally, with sensor noise of two grey levels, independent for each pixel.

    Args:
        frames: ``(T, C, H, W)``: uint8 pixels, or float32 scaled to 0..1 and divided by ``std``.
        seed: Draws the shift and the noise.
        std: Standard deviation by which channels were divided, ``(C,)`` or one that repeats; ``None`` for uint8.

    Returns:
        The same shape and dtype; the border is filled by repetition.
    """
    down, right = SHIFTS[seed.integers(len(SHIFTS))]
    height, width = frames.shape[-2:]
    padded = F.pad(frames.float(), (1, 1, 1, 1), mode="replicate")
    moved = padded[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]
    noise = NOISE * torch.from_numpy(seed.standard_normal(frames.shape, np.float32))
    if std is None:
        return (moved + noise).round().clamp(0, 255).to(frames.dtype)
    channels = torch.tensor(std).repeat(frames.shape[1] // len(std)).view(-1, 1, 1)
    return moved + noise / 255 / channels
