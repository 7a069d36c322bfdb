"""TSM: an image ResNet-50 whose blocks see a little of the next and of the previous frame.

Lin et al., TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019, arXiv:1811.08383.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50

from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe, Stage, require_clip

PAPER = "Lin et al., TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019, arXiv:1811.08383"
ZOO = "https://file.lzhu.me/projects/tsm/models/TSM_somethingv2_RGB_resnet50_shift8_blockres_avg_"


class Shift(nn.Module):
    """Before a layer, an eighth of the channels comes from the next frame, an eighth from the previous (§3.2)."""

    def __init__(self, net: nn.Module, frames: int) -> None:
        super().__init__()
        self.net = net
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """``(N·T, C, H, W)`` → the layer's output; there are zeros beyond both ends of a clip."""
        clips = x.unflatten(0, (-1, self.frames))
        fold = clips.shape[2] // 8
        upcoming, past, present = clips.split([fold, fold, clips.shape[2] - 2 * fold], dim=2)
        # The pairs of padding count from the last axis: W, H, C, T.
        upcoming = F.pad(upcoming[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        past = F.pad(past[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        return self.net(torch.cat([upcoming, past, present], dim=2).flatten(0, 1))


class TSM(nn.Module):
    """A clip ``(N, 3, T, H, W)`` → logits, averaged over its frames.

    Raises:
        ModelError: If the clip has another number of frames, or another shape.
    """

    def __init__(self, num_classes: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.base_model = resnet50()
        for level in (1, 2, 3, 4):
            for block in self.base_model.get_submodule(f"layer{level}"):
                block.conv1 = Shift(block.conv1, frames)
        self.new_fc = nn.Linear(self.base_model.fc.in_features, num_classes)
        self.base_model.fc = nn.Dropout(0.5)

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → ``(N, num_classes)``, before the softmax."""
        require_clip(clip, self.frames)
        features = self.base_model(clip.transpose(1, 2).flatten(0, 1))
        return self.new_fc(features).unflatten(0, (-1, self.frames)).mean(1)


LAYOUT = "(N T) C H W"
STAGES = {
    "stage1": Stage("base_model.maxpool", LAYOUT),
    **{f"stage{level + 1}": Stage(f"base_model.layer{level}", LAYOUT) for level in (1, 2, 3, 4)},
}


def recipe(frames: int, rate: int) -> Recipe:
    """64 source frames, as for other models of these videos; TSM was trained on frames spread over a whole video."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Recipe(frames=frames, rate=rate, crop=224, short_side=256, mean=mean, std=std)


released = partial(register_model, stages=STAGES, paper=PAPER, num_classes=174, licence="MIT")


@released(recipe=recipe(8, 8), url=f"{ZOO}segment8_e45.pth")
def tsm_r50_8f(num_classes: int, frames: int = 8) -> nn.Module:
    """TSM for Something-Something v2, 8 frames."""
    return TSM(num_classes, frames)


@released(recipe=recipe(16, 4), url=f"{ZOO}segment16_e45.pth")
def tsm_r50_16f(num_classes: int, frames: int = 16) -> nn.Module:
    """TSM for Something-Something v2, 16 frames."""
    return TSM(num_classes, frames)
