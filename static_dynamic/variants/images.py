"""Variants of an image and its optical flow: styles change only the image, orders only the flow.

Flow is that of the original video, in every style.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from static_dynamic.common.errors import BadClip
from static_dynamic.common.seeds import derive_seed
from static_dynamic.interventions import change_flow, needs_other
from static_dynamic.media.clip import FlowRecipe, Frames, Video
from static_dynamic.media.inputs import Inputs, image_and_flow
from static_dynamic.sources import Source
from static_dynamic.variants.conditions import Conditions
from static_dynamic.variants.keys import Cell
from static_dynamic.variants.nuisance import disturbed
from static_dynamic.variants.prepared import PreparedVideo, describe_clip, read_styles, read_video


@dataclass(frozen=True)
class PreparedImages(PreparedVideo):
    """All variants of one or more images with their flow.

    Attributes:
        flows: Order → prepared flow ``(T, 3 · directions, H, W)``.
        std: Standard deviation by which channels were divided.
    """

    flows: dict[str, torch.Tensor]
    std: tuple[float, float, float]

    def show(self, cell: Cell) -> Inputs:
        """``{"Image": …, "Flow": …}``; a replicate disturbs both, and shifts them equally."""
        images, flow = self.frames[cell.style], self.flows[cell.order]
        if cell.replicate:
            both = disturbed(torch.cat([images, flow], 1), self.nuisance(cell), self.std)
            images, flow = both.split([images.shape[1], flow.shape[1]], 1)
        return image_and_flow(images, flow)


def prepare_images(source: Source, video: Video, recipe: FlowRecipe, conditions: Conditions) -> PreparedImages:
    """Read images in every style, and their flow in every order, and prepare them for the model.

    Raises:
        BadClip: If an image or its flow cannot be read.
    """
    clip, styles = read_styles(source, video, recipe, conditions)
    frames = {style: recipe.normalised(recipe.resized(shown)) for style, shown in styles.items()}
    intact = _resized_flows(clip.flows, recipe)
    flows = {}
    for order in conditions.shown()[1]:
        changed = intact
        if (kind := conditions.kind(order)) is not None:
            seed = derive_seed(conditions.seed, "order", video.name, order)
            other = _other_flows(source, video, recipe, seed) if needs_other(kind) else None
            changed = change_flow(intact, kind, seed, other)
        flows[order] = torch.cat([recipe.normalised(changed[direction]) for direction in recipe.flows], dim=1)
    return PreparedImages(video, conditions, describe_clip(video, clip), frames, flows, recipe.std)


def _resized_flows(flows: Mapping[str, Frames], recipe: FlowRecipe) -> dict[str, Frames]:
    return {direction: recipe.resized(flows[direction]) for direction in recipe.flows}


def _other_flows(source: Source, video: Video, recipe: FlowRecipe, seed: int) -> dict[str, Frames]:
    """The flow of a frame of another sequence, drawn by the seed."""
    others = [other for other in source.videos if (other.sequence or other.name) != (video.sequence or video.name)]
    if not others:
        raise BadClip(f"{video.name}: there is no other sequence to take flow from.")
    return _resized_flows(read_video(source, others[seed % len(others)], recipe).flows, recipe)
