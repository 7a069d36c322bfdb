"""Action detection on AVA: SlowFast whose classifier sees persons, not clips.

Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019, arXiv:1812.03982, §5; boxes are cut out as in
He et al., Mask R-CNN, ICCV 2017, arXiv:1703.06870, §3.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypedDict

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from static_dynamic.models.action.resnet3d import (
    HUB,
    R50,
    R101,
    SLOW,
    SLOWFAST,
    Maps,
    NonLocal,
    VideoResNet,
    initialise,
    recipe,
)
from static_dynamic.models.action.slowfast import CHANNELS, STAGES, trunk
from static_dynamic.models.errors import ModelError
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Stage

AVA = "Gu et al., AVA: Spatio-temporally Localized Atomic Visual Actions, CVPR 2018, arXiv:1705.08421"
STRIDE = 16  # pixels of the input per position of stage 5, which is dilated and so as large as stage 4
RESOLUTION = 7


class Persons(TypedDict):
    """Clips, and the boxes in each: ``(K, 4)`` pixels of the input, left, top, right, bottom."""

    clips: Sequence[Tensor]
    boxes: Sequence[Tensor]


class BoxPool(nn.Module):
    """Mean over time, 7 × 7 positions cut out of each box by bilinear interpolation, their maximum.

    Args:
        aligned: Whether pixel centres are at halves, as in detectron2; older weights expect whole numbers.
    """

    def __init__(self, aligned: bool) -> None:
        super().__init__()
        self.aligned = aligned

    def forward(self, x: Tensor, boxes: list[Tensor]) -> Tensor:
        """``(N, C, T, H, W)`` and N times ``(K, 4)`` → ``(ΣK, C)``, the persons of the first clip first."""
        return self.cut(x.mean(2), boxes).amax((2, 3))

    def cut(self, x: Tensor, boxes: list[Tensor]) -> Tensor:
        """``(N, C, H, W)`` → ``(ΣK, C, 7, 7)``."""
        return roi_align(x, boxes, RESOLUTION, spatial_scale=1 / STRIDE, aligned=self.aligned)


class BoxHead(nn.Module):
    """Pools every pathway at the boxes; dropout, linear classifier."""

    def __init__(self, num_classes: int, aligned: bool) -> None:
        super().__init__()
        self.pathway0_boxes = BoxPool(aligned)
        self.pathway1_boxes = BoxPool(aligned)
        self.dropout = nn.Dropout(0.5)
        self.projection = nn.Linear(CHANNELS, num_classes)

    def forward(self, maps: Maps, boxes: list[Tensor]) -> Tensor:
        """Logits ``(ΣK, num_classes)``; the sigmoid of one is the probability of that action."""
        slow, fast = maps
        persons = torch.cat([self.pathway0_boxes(slow, boxes), self.pathway1_boxes(fast, boxes)], dim=1)
        return self.projection(self.dropout(persons))


class Detector(VideoResNet):
    """A trunk and a ``BoxHead``; takes ``{"clips": [slow, fast], "boxes": boxes}``.

    Given only the clips, it takes the whole frame as the one box of each, so that it can be measured like a classifier.

    Raises:
        ModelError: If the clips are not two, a clip has another shape, or the boxes do not fit the clips.
    """

    def forward(self, inputs: Persons | Tensor | Sequence[Tensor]) -> Tensor:
        """``(persons, num_classes)``, before the sigmoid."""
        maps = self.as_maps(inputs["clips"] if isinstance(inputs, dict) else inputs)
        count, *_, height, width = maps[0].shape
        frame = maps[0].new_tensor([[0, 0, width, height]])
        boxes = [box.to(frame) for box in inputs["boxes"]] if isinstance(inputs, dict) else [frame] * count
        shapes = [tuple(box.shape) for box in boxes]
        if len(boxes) != count or any(shape[1:] != (4,) for shape in shapes):
            raise ModelError(f"The 'boxes' must be {count} x (K, 4), one for each clip. Got {shapes}.")
        *stages, head = self.children()
        for stage in stages:
            maps = stage(maps)
        return head(maps, boxes)


def detector(num_classes: int, layers: Mapping[str, nn.Module], aligned: bool = False) -> Detector:
    """A detector on the layers of ``trunk``, which should be dilated."""
    return initialise(Detector({**layers, "head": BoxHead(num_classes, aligned)}, pathways=2))


PERSONS = {
    **STAGES,
    "slow.persons": Stage("head.pathway0_boxes", "N C"),
    "fast.persons": Stage("head.pathway1_boxes", "N C"),
}
family = partial(register_model, stages=PERSONS, recipe=recipe((8, 32), 8), paper=f"{SLOWFAST}; {AVA}", num_classes=80)


@family()
def slowfast_ava_r50_8x8(num_classes: int) -> nn.Module:
    """SlowFast for the 80 actions of AVA, 8 slow and 32 fast frames; measures persons."""
    return detector(num_classes, trunk(alpha=4, kernel=7, dilation=2), aligned=True)


@family(url=f"{HUB}ava/SLOWFAST_8x8_R50_DETECTION.pyth", licence="Apache-2.0")
def slowfast_ava_hub_r50_8x8(num_classes: int) -> nn.Module:
    """SlowFast for the 80 actions of AVA, from PyTorchVideo, whose boxes are not aligned; measures persons."""
    return detector(num_classes, trunk(alpha=4, kernel=7, dilation=2))


@family(
    url="https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/ava/SLOWFAST_32x2_R101_50_50.pkl",
    licence="Apache-2.0",
)
def slowfast_ava_r101_50_50_8x8(num_classes: int) -> nn.Module:
    """SlowFast with 101 layers and three non-local blocks for AVA, whose boxes are not aligned; measures persons."""
    nonlocals = {block: NonLocal(SLOW.channels(4), dot_product=True, pool=(2, 2, 2)) for block in (6, 13, 20)}
    layers = trunk(alpha=4, kernel=5, blocks=R101, temporal=R50, nonlocals=nonlocals, dilation=2)
    return detector(num_classes, layers)
