"""TSM with DyReg modules inside its bottlenecks: the networks of the DyReg paper for Something-Something."""

import re
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from static_dynamic.models.action.resnet3d import R50
from static_dynamic.models.action.tsm import STAGES, TSM, recipe
from static_dynamic.models.dyreg.graph import RELEASED, DynamicGraph, Options, ResidualGraph
from static_dynamic.models.errors import ModelError, unknown
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import DECLARED, Input, ModelSpec, Stage
from static_dynamic.models.weights.keys import State

PAPER = (
    "Duta et al., Discovering Dynamic Salient Regions for Spatio-Temporal Graph Neural Networks, NeurIPS 2021, "
    "arXiv:2009.08427"
)
PLACES = tuple(f"layer{level}.{block}" for level, blocks in enumerate(R50, 1) for block in range(blocks))
THREE = "layer2.2_layer3.4_layer4.1"
ONE = "layer3.4"
CONSTANTS = ("ph_buf", "pw_buf", "arange_h_buf", "arange_w_buf", "pos_emb_buf")  # in files; they follow from the sizes
UNUSED = "glore.norm_dict.offset_location_emb."


def places_of(placement: str) -> list[str]:
    """``"layer2.2_layer3.4"`` → its places, in the order of the network.

    Raises:
        ModelError: If a place does not exist; the message lists those that do.
    """
    given = placement.split("_")
    for place in given:
        if place not in PLACES:
            raise unknown("placement", place, PLACES)
    return sorted(set(given))


class PerClip(nn.Module):
    """A layer for frames whose output has separate axes for clips and frames."""

    def __init__(self, block: nn.Module, frames: int) -> None:
        super().__init__()
        self.block = block
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """``(N·T, C, H, W)`` → ``(N, T, C', H', W')``."""
        return self.block(x).unflatten(0, (-1, self.frames))


class DyRegTSM(TSM):
    """TSM where a residual graph follows the 3 × 3 convolution of some bottlenecks (arXiv:2009.08427).

    Args:
        num_classes: Size of the classifier.
        frames: T.
        placement: The bottlenecks, e.g. ``"layer2.2_layer3.4_layer4.1"``: the third of layer 2, …
        options: Options of every graph.
        crop: Side of the frames in training, which the graphs are made for; any other works too.

    Raises:
        ModelError: If a place does not exist, or the clip has another shape.
    """

    def __init__(
        self, num_classes: int, frames: int, placement: str = THREE, options: Options = RELEASED, crop: int = 224
    ) -> None:
        super().__init__(num_classes, frames)
        self.places = places_of(placement)
        for place in self.places:
            block = self.base_model.get_submodule(place)
            level, width = int(place[5]), block.conv2.out_channels
            side = crop // 2 ** (level + 1)
            graph = DynamicGraph(width, (side, side), 256 if width > 256 else None, options)
            block.conv2 = nn.Sequential(PerClip(block.conv2, frames), ResidualGraph(graph, scale=0), nn.Flatten(0, 1))

    def adapt_checkpoint(self, state: State) -> State:
        """Released files have older names, and constants that are computed here."""
        kept = {key: value for key, value in state.items() if not key.endswith(CONSTANTS) and UNUSED not in key}
        return {_renamed(key): value for key, value in kept.items()}


def _renamed(key: str) -> str:
    """``conv2.block`` → ``conv2.0.block``, ``conv2.dynamic_graph`` → ``conv2.1.dynamic_graph``; others unchanged."""
    return re.sub(
        r"\.conv2\.(block|dynamic_graph|norm_dict)\.", lambda m: f".conv2.{int(m[1] != 'block')}.{m[1]}.", key
    )


def stages(placement: str) -> Mapping[str, Stage]:
    """TSM's stages, and of every graph its input, the nodes that leave it, and its output."""
    named = {}
    for level, (stage, place) in enumerate(STAGES.items()):
        for graph in places_of(placement):
            if graph.startswith(f"layer{level}."):
                conv = f"base_model.{graph}.conv2"
                named[f"{graph}.before"] = Stage(f"{conv}.0", "N T C H W")
                named[f"{graph}.nodes"] = Stage(f"{conv}.1.dynamic_graph.rstg", "N T L C")
                named[f"{graph}.after"] = Stage(f"{conv}.1", "N T C H W")
        named[stage] = place
    return named


three = partial(register_model, stages=stages(THREE), paper=PAPER, num_classes=174)
one = partial(register_model, stages=stages(ONE), paper=PAPER, num_classes=174)


@three(recipe=recipe(16, 4), aliases=("dyreg_tsm_r50",))
def tsm_dyreg_l2l3l4(num_classes: int, frames: int = 16) -> nn.Module:
    """TSM with three DyReg modules for Something-Something v2, 16 frames."""
    return DyRegTSM(num_classes, frames)


@three(recipe={**recipe(16, 4), "crop": 256})
def tsm_dyreg_l2l3l4_fullres(num_classes: int, frames: int = 16) -> nn.Module:
    """TSM with three DyReg modules, 16 frames, as it is evaluated at full resolution."""
    return DyRegTSM(num_classes, frames)


@three(recipe=recipe(8, 8))
def tsm_dyreg_l2l3l4_8f(num_classes: int, frames: int = 8) -> nn.Module:
    """TSM with three DyReg modules, 8 frames."""
    return DyRegTSM(num_classes, frames)


@one(recipe=recipe(16, 4))
def tsm_dyreg_l3(num_classes: int, frames: int = 16) -> nn.Module:
    """TSM with one DyReg module for Something-Something v2, 16 frames."""
    return DyRegTSM(num_classes, frames, placement=ONE)


@one(recipe=recipe(8, 8))
def tsm_dyreg_l3_8f(num_classes: int, frames: int = 8) -> nn.Module:
    """TSM with one DyReg module, 8 frames."""
    return DyRegTSM(num_classes, frames, placement=ONE)


def placed(name: str, asked: Input = DECLARED) -> ModelSpec:
    """``"layer2.1_layer3.4"`` → TSM with a DyReg module at each of these places, 16 frames; ``"layer3.4@8"``: 8 frames.

    Raises:
        ModelError: If a place does not exist, or the number of frames is not a positive integer.
    """
    placement, _, count = name.partition("@")
    found = stages(placement)
    if count and (not count.isdecimal() or not int(count)):
        raise ModelError(f"A placement ends in the number of frames, e.g. layer3.4@8. Got {name!r}.")
    frames = asked.frames or int(count or 16)
    return ModelSpec(
        name=f"dyreg:{name}",
        summary=f"TSM with DyReg modules at {placement}, {frames} frames.",
        build=partial(DyRegTSM, frames=frames, placement=placement),
        stages=found,
        recipe=recipe(frames, max(1, 64 // frames)),
        paper=PAPER,
        num_classes=174,
    )
