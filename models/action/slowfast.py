"""SlowFast: two 3-D ResNets, one of few frames and many channels, one of many frames and few channels.

Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019, arXiv:1812.03982.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from static_dynamic.models.action.resnet3d import (
    FAST,
    HUB,
    LAYOUT,
    LEVELS,
    R50,
    R101,
    SLOW,
    SLOWFAST,
    ZOO,
    Head,
    Maps,
    VideoResNet,
    initialise,
    recipe,
    residual_stage,
    stem,
)
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Stage

MULTIGRID = "Wu et al., A Multigrid Method for Efficiently Training Video Models, CVPR 2020, arXiv:1912.00998"
SSV2_ZOO = "https://dl.fbaipublicfiles.com/pyslowfast/pyslowfast/model_zoo/multigrid/model_zoo/SSv2/"
CHANNELS = SLOW.channels(5) + FAST.channels(5)  # what the classifier sees


class Lateral(nn.Module):
    """Fast to slow: a time-strided convolution doubles the channels, which are appended to the slow ones (§3.4)."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_f2s = nn.Conv3d(
            channels, 2 * channels, (kernel, 1, 1), (stride, 1, 1), (kernel // 2, 0, 0), bias=False
        )
        self.bn = nn.BatchNorm3d(2 * channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Maps) -> Maps:
        """``(slow, fast)`` → ``([slow, lateral], fast)``; fast has ``stride`` times the frames of slow."""
        slow, fast = maps
        return torch.cat([slow, self.relu(self.bn(self.conv_f2s(fast)))], dim=1), fast


def trunk(
    alpha: int,
    kernel: int,
    blocks: tuple[int, ...] = R50,
    temporal: tuple[int, ...] = R101,
    nonlocals: Mapping[int, nn.Module] | None = None,
    dilation: int = 1,
) -> dict[str, nn.Module]:
    """Two pathways, fused after stages 1 to 4; everything but the classifier.

    Args:
        alpha: Frames of the fast pathway for one of the slow.
        kernel: Temporal kernel of the lateral connections.
        blocks: Bottlenecks of stages 2..5.
        temporal: How many of them have temporal kernels, counted from the first.
        nonlocals: Block of stage 4 of the slow pathway → the non-local block that follows it.
        dilation: Dilation of stage 5; if dilated, it keeps the size of stage 4.
    """
    pathways = tuple(replace(pathway, blocks=blocks, temporal=temporal) for pathway in (SLOW, FAST))
    layers: dict[str, nn.Module] = {"s1": stem(pathways)}
    for level in LEVELS[1:]:
        slow, fast = (pathway.channels(level - 1) for pathway in pathways)
        layers[f"s{level - 1}_fuse"] = Lateral(fast, kernel, alpha)
        layers[f"s{level}"] = residual_stage(
            level,
            pathways,
            inputs=(slow + 2 * fast, fast),
            nonlocals=nonlocals if level == 4 else None,
            dilation=dilation if level == 5 else 1,
        )
    return layers


def slowfast(
    num_classes: int,
    alpha: int,
    kernel: int,
    blocks: tuple[int, ...] = R50,
    temporal: tuple[int, ...] = R101,
) -> VideoResNet:
    """A classifier of clips; the other arguments are those of ``trunk``."""
    layers = trunk(alpha, kernel, blocks, temporal)
    return initialise(VideoResNet({**layers, "head": Head(CHANNELS, num_classes)}, pathways=2))


STAGES = {
    **{f"slow.stage{level}": Stage(f"s{level}", LAYOUT, item=0) for level in LEVELS},
    **{f"fast.stage{level}": Stage(f"s{level}", LAYOUT, item=1) for level in LEVELS},
    **{f"fused.stage{level}": Stage(f"s{level}_fuse", LAYOUT, item=0) for level in LEVELS[:-1]},
}
# PyTorchVideo fuses inside a stage, so what was published as its slow pathway is the fused one up to stage 4.
FUSED_STAGES = {name: STAGES[name] for name in STAGES if name not in [f"slow.stage{level}" for level in LEVELS[:-1]]}

family = partial(register_model, stages=STAGES, paper=SLOWFAST)
released = partial(family, licence="Apache-2.0")


@released(recipe=recipe((8, 32), 8), url=f"{ZOO}SLOWFAST_8x8_R50.pkl")
def slowfast_r50_8x8(num_classes: int) -> nn.Module:
    """SlowFast, 8 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=7)


@released(recipe=recipe((4, 32), 16), url=f"{ZOO}SLOWFAST_4x16_R50.pkl")
def slowfast_r50_4x16(num_classes: int) -> nn.Module:
    """SlowFast, 4 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=8, kernel=5)


@released(recipe=recipe((8, 32), 8), url=f"{HUB}kinetics/SLOWFAST_8x8_R101.pyth")
def slowfast_r101_8x8(num_classes: int) -> nn.Module:
    """SlowFast with 101 layers, 8 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=5, blocks=R101)


@family(recipe=recipe((8, 32), 8))
def slowfast_r101_50_50_8x8(num_classes: int) -> nn.Module:
    """SlowFast with 101 layers, temporal kernels where SlowFast with 50 layers has them; 8 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=5, blocks=R101, temporal=R50)


@released(recipe=recipe((16, 64), 8), url=f"{HUB}kinetics/SLOWFAST_16x8_R101_50_50.pyth")
def slowfast_r101_50_50_16x8(num_classes: int) -> nn.Module:
    """SlowFast with 101 layers, temporal kernels where SlowFast with 50 layers has them; 16 slow and 64 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=5, blocks=R101, temporal=R50)


@family(recipe=recipe((8, 32), 8), num_classes=48)
def slowfast_d48_r18_8x8(num_classes: int) -> nn.Module:
    """Published as "R18" for Diving48, yet of 50 layers, temporal kernels in the first two blocks of a stage only."""
    return slowfast(num_classes, alpha=4, kernel=7, temporal=(2, 2, 2, 2))


@family(recipe=recipe((4, 32), 16))
def slowfast_r18_4x16(num_classes: int) -> nn.Module:
    """Published as "R18": two bottlenecks a stage, so 26 layers, 4 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=8, kernel=5, blocks=(2, 2, 2, 2))


# 128 frames, as in training; the published measurement opened only 64 of them (`span=64` repeats that).
SSV2 = recipe((16, 64), 8)


@released(recipe=SSV2, num_classes=174, url=f"{SSV2_ZOO}SLOWFAST_16x8_R50.pkl")
def slowfast_ssv2_16x8(num_classes: int) -> nn.Module:
    """SlowFast for Something-Something v2, 16 slow and 64 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=7)


@released(
    recipe=SSV2,
    paper=f"{SLOWFAST}; {MULTIGRID}",
    num_classes=174,
    url=f"{SSV2_ZOO}SLOWFAST_16x8_R50_multigrid.pkl",
)
def slowfast_ssv2_16x8_multigrid(num_classes: int) -> nn.Module:
    """SlowFast for Something-Something v2, trained with the multigrid schedule."""
    return slowfast(num_classes, alpha=4, kernel=7)


@released(
    stages=FUSED_STAGES,
    recipe=recipe((8, 32), 8),
    num_classes=174,
    url=f"{HUB}ssv2/SLOWFAST_8x8_R50.pyth",
)
def slowfast_ssv2_r50_8x8(num_classes: int) -> nn.Module:
    """SlowFast for Something-Something v2, from PyTorchVideo, 8 slow and 32 fast frames."""
    return slowfast(num_classes, alpha=4, kernel=7)
