"""Variants of a clip: most orders are index maps over the frames of a pathway, so they cost nothing.

Frames are restyled and prepared once per style, and every such order shows exactly the same frames. An order that
changes pixels receives the restyled frames of a pathway in playing order, and its output is prepared when it is shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from static_dynamic.common.seeds import derive_seed
from static_dynamic.interventions import apply_scramble, changes_pixels, scramble
from static_dynamic.media.clip import Frames, Recipe, Sample, Video
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
        sample: The frames that the pathways play.
        recipe: The form of the model's input.
        restyled: Style → its frames ``(T, H, W, 3)`` uint8, for styles shown in an order that changes pixels.
    """

    sample: Sample
    recipe: Recipe
    restyled: dict[str, Frames]

    def show(self, cell: Cell) -> Inputs:
        """A clip in the recipe's layout; a list of them for several pathways, which are scrambled independently.

        A replicate disturbs the frames before they are put in order, so that a frozen clip stays frozen. If an order
        changes pixels, it disturbs the output of the order.
        """
        play = self._changed if _is_changed(self.conditions, cell.order) else self._ordered
        pathways = [self.recipe.arranged(frames) for frames in play(cell)]
        return pathways[0] if len(pathways) == 1 else pathways

    def _ordered(self, cell: Cell) -> Iterator[torch.Tensor]:
        """The frames of every pathway, if the order is an index map."""
        frames = self._disturbed(self.frames[cell.style], cell)
        return (frames[self._play(pathway, cell.order)] for pathway in range(len(self.sample.pathways)))

    def _changed(self, cell: Cell) -> Iterator[torch.Tensor]:
        """The frames of every pathway, if the order changes pixels."""
        kind = str(self.conditions.kind(cell.order))
        for pathway, intact in enumerate(self.sample.pathways):
            frames = apply_scramble(self.restyled[cell.style][intact], kind, self._seed(pathway, cell.order))
            yield self._disturbed(self.recipe.prepare(frames), cell)

    def _disturbed(self, frames: torch.Tensor, cell: Cell) -> torch.Tensor:
        """Disturbed frames for a replicate; those of the clip itself are unchanged."""
        if not cell.replicate:
            return frames
        std = self.recipe.std if self.recipe.values == "normalised" else None
        return disturbed(frames, self.nuisance(cell), std)

    def _play(self, pathway: int, order: str) -> torch.Tensor:
        intact = self.sample.pathways[pathway]
        kind = self.conditions.kind(order)
        if kind is None:
            return torch.from_numpy(intact)
        return torch.from_numpy(intact[scramble(kind, len(intact), self._seed(pathway, order))])

    def _seed(self, pathway: int, order: str) -> int:
        return derive_seed(self.conditions.seed, "order", self.video.name, order, pathway)


def _is_changed(conditions: Conditions, order: str) -> bool:
    """Whether an order changes pixels."""
    kind = conditions.kind(order)
    return kind is not None and changes_pixels(kind)


def prepare_clip(source: Source, video: Video, recipe: Recipe, conditions: Conditions) -> PreparedClip:
    """Read a clip in every style, and prepare it for the model.

    Raises:
        BadClip: If the video is unreadable.
    """
    clip, styles = read_styles(source, video, recipe, conditions)
    changed = {cell.style for cell in conditions.cells if _is_changed(conditions, cell.order)}
    ordered = {cell.style for cell in conditions.cells if not _is_changed(conditions, cell.order)}
    frames = {style: recipe.prepare(shown) for style, shown in styles.items() if style in ordered}
    restyled = {style: shown for style, shown in styles.items() if style in changed}
    return PreparedClip(video, conditions, describe_clip(video, clip), frames, clip.sample, recipe, restyled)
