"""A picture of the input of a model: every variant of one video, as it enters the model."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import torch

from static_dynamic.media.clip import FlowRecipe, Frames, Recipe
from static_dynamic.media.inputs import Inputs
from static_dynamic.media.pictures import PAPER, labelled_row
from static_dynamic.variants import PreparedVideo

SHOWN = 8
"""Largest number of frames of a row."""


def draw_variants(prepared: PreparedVideo, recipe: Recipe | FlowRecipe) -> Frames:
    """A row for every variant (and pathway): frames, or images and then their flow, with the normalisation undone.

    Args:
        prepared: The video.
        recipe: Recipe of the model.

    Returns:
        ``(rows, columns, 3)`` uint8 RGB.
    """
    rows = [
        labelled_row(
            f"{variant.style}\n{variant.order}{' again' * bool(variant.replicate)}\n{what}", recipe.pixels(pictures)
        )
        for variant, inputs in prepared.variants()
        for what, pictures in pictures_of(inputs, recipe)
    ]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=PAPER[0]) for row in rows]
    return np.concatenate(padded)


def pictures_of(inputs: Inputs, recipe: Recipe | FlowRecipe) -> Iterator[tuple[str, torch.Tensor]]:
    """The label of a row, and its pictures ``(n, 3, H, W)``."""
    if isinstance(recipe, FlowRecipe):
        named = cast(Mapping[str, torch.Tensor], inputs)
        size = named["Image"].shape[-2:]
        images, flows = (named[name].reshape(-1, 3, *size) for name in ("Image", "Flow"))
        yield "image, flow", torch.cat([images, flows])
        return
    pathways = inputs if isinstance(inputs, list) else [inputs]
    for number, clip in enumerate(pathways, start=1):
        frames = recipe.frames_of(clip)
        few = torch.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().long()
        yield f"pathway {number}" if len(pathways) > 1 else "", frames[few]
