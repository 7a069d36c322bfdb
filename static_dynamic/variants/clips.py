"""Variants of a clip: an order is an index map over the frames that a pathway plays, so it costs nothing.

Frames are restyled and prepared once per style, and every order shows exactly the same frames.
"""

from dataclasses import dataclass

import torch

from static_dynamic.common.seeds import derive_seed
from static_dynamic.interventions import scramble
from static_dynamic.media.clip import Recipe, Sample, Video
from static_dynamic.media.inputs import Inputs
from static_dynamic.sources import Source
from static_dynamic.variants.conditions import Conditions
from static_dynamic.variants.keys import Cell
from static_dynamic.variants.nuisance import disturbed
from static_dynamic.variants.prepared import PreparedVideo, describe_clip, read_styles


@dataclass(frozen=True)
class PreparedClip(PreparedVideo):
    """All variants of one clip.

    Attributes:
        sample: How the pathways play the frames.
        recipe: How the model wants them.
    """

    sample: Sample
    recipe: Recipe

    def show(self, cell: Cell) -> Inputs:
        """A clip in the recipe's layout; a list of them for several pathways, which are scrambled independently.

        A replicate disturbs the frames before they are put in order, so that a frozen clip stays frozen.
        """
        frames = self.frames[cell.style]
        if cell.replicate:
            std = self.recipe.std if self.recipe.values == "normalised" else None
            frames = disturbed(frames, self.nuisance(cell), std)
        pathways = [
            self.recipe.arranged(frames[self._play(pathway, cell.order)])
            for pathway in range(len(self.sample.pathways))
        ]
        return pathways[0] if len(pathways) == 1 else pathways

    def _play(self, pathway: int, order: str) -> torch.Tensor:
        intact = self.sample.pathways[pathway]
        kind = self.conditions.kind(order)
        if kind is None:
            return torch.from_numpy(intact)
        seed = derive_seed(self.conditions.seed, "order", self.video.name, order, pathway)
        return torch.from_numpy(intact[scramble(kind, len(intact), seed)])


def prepare_clip(source: Source, video: Video, recipe: Recipe, conditions: Conditions) -> PreparedClip:
    """Read a clip in every style, and prepare it for the model.

    Raises:
        BadClip: If the video cannot be read.
    """
    clip, styles = read_styles(source, video, recipe, conditions)
    frames = {style: recipe.prepare(shown) for style, shown in styles.items()}
    return PreparedClip(video, conditions, describe_clip(video, clip), frames, clip.sample, recipe)
