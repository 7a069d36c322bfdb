"""X3D: a small 3-D ResNet of depthwise convolutions, grown along one axis at a time.

Feichtenhofer, X3D: Expanding Architectures for Efficient Video Recognition, CVPR 2020, arXiv:2004.04730.
"""

from collections import OrderedDict
from functools import partial
from math import ceil

import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.models.action.resnet3d import STAGES, Maps, Pathways, Residual, VideoResNet, initialise, recipe
from static_dynamic.models.registry import register_model

PAPER = "Feichtenhofer, X3D: Expanding Architectures for Efficient Video Recognition, CVPR 2020, arXiv:2004.04730"
ZOO = "https://dl.fbaipublicfiles.com/pyslowfast/x3d_models/"
WIDTHS = {1: 24, 2: 24, 3: 48, 4: 96, 5: 192}
BLOCKS = {2: 1, 3: 2, 4: 5, 5: 3}  # before the depth factor
INNER = 2.25  # of a block's width


class SqueezeExcite(nn.Module):
    """``x · σ(W₂ ReLU(W₁ mean(x)))``, about 16 times fewer channels between (Hu et al., arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = rounded(channels / 16)
        self.fc1 = nn.Conv3d(channels, inner, 1)
        self.fc2 = nn.Conv3d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W)`` → the same shape."""
        mean = x.mean((2, 3, 4), keepdim=True)
        return x * self.fc2(F.relu(self.fc1(mean))).sigmoid()


def rounded(channels: float) -> int:
    """The nearest multiple of 8, or the next where that would take away more than a tenth.

    Example:
        >>> [rounded(channels / 16) for channels in (54, 108, 216, 432)]
        [8, 8, 16, 32]
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def branch(inputs: int, outputs: int, stride: int, squeeze: bool) -> nn.Sequential:
    """``1×1×1`` to a wider map, ``3×3×3`` depthwise, optional squeeze and excitation, swish, ``1×1×1`` (Table 1)."""
    inner = int(INNER * outputs)
    layers = OrderedDict[str, nn.Module](
        a=nn.Conv3d(inputs, inner, 1, bias=False),
        a_bn=nn.BatchNorm3d(inner),
        a_relu=nn.ReLU(inplace=True),
        b=nn.Conv3d(inner, inner, 3, (1, stride, stride), 1, groups=inner, bias=False),
        b_bn=nn.BatchNorm3d(inner),
    )
    if squeeze:
        layers["se"] = SqueezeExcite(inner)
    layers |= {"b_swish": nn.SiLU(), "c": nn.Conv3d(inner, outputs, 1, bias=False), "c_bn": nn.BatchNorm3d(outputs)}
    return nn.Sequential(layers)


def stem() -> nn.Sequential:
    """Stage 1: a convolution in space, one in time for each channel; no pooling."""
    width = WIDTHS[1]
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv_xy=nn.Conv3d(3, width, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            conv=nn.Conv3d(width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False),
            bn=nn.BatchNorm3d(width),
            relu=nn.ReLU(inplace=True),
        )
    )


class X3DHead(nn.Module):
    """A convolution, the global average, a hidden layer, dropout, the classifier: map → ``(N, num_classes)``."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        inner = int(INNER * WIDTHS[5])
        self.conv_5 = nn.Conv3d(WIDTHS[5], inner, 1, bias=False)
        self.conv_5_bn = nn.BatchNorm3d(inner)
        self.lin_5 = nn.Conv3d(inner, 2048, 1, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.projection = nn.Linear(2048, num_classes)

    def forward(self, maps: Maps) -> Tensor:
        """Logits, before the softmax."""
        (x,) = maps
        mean = F.relu(self.conv_5_bn(self.conv_5(x))).mean((2, 3, 4), keepdim=True)
        return self.projection(self.dropout(F.relu(self.lin_5(mean)).flatten(1)))


def x3d(num_classes: int, depth: float) -> VideoResNet:
    """Five stages, each half as large as the one before; time keeps its length.

    Args:
        num_classes: Size of the classifier.
        depth: Factor on the number of blocks.
    """
    layers: dict[str, nn.Module] = {"s1": Pathways({0: {"stem": stem()}})}
    for level, blocks in BLOCKS.items():
        chain: dict[str, nn.Module] = {}
        for block in range(ceil(depth * blocks)):
            inputs, stride = (WIDTHS[level], 1) if block else (WIDTHS[level - 1], 2)
            inner = branch(inputs, WIDTHS[level], stride, squeeze=block % 2 == 0)
            chain[f"res{block}"] = Residual(inputs, WIDTHS[level], stride, inner)
        layers[f"s{level}"] = Pathways({0: chain})
    return initialise(VideoResNet({**layers, "head": X3DHead(num_classes)}))


released = partial(register_model, stages=STAGES, paper=PAPER, licence="Apache-2.0")


@released(recipe=recipe(4, 12, crop=160, short_side=182), url=f"{ZOO}x3d_xs.pyth")
def x3d_xs(num_classes: int) -> nn.Module:
    """X3D, extra small: 4 frames of 160 pixels."""
    return x3d(num_classes, depth=2.2)


@released(recipe=recipe(13, 6, crop=160, short_side=182), url=f"{ZOO}x3d_s.pyth")
def x3d_s(num_classes: int) -> nn.Module:
    """X3D, small: 13 frames of 160 pixels; the weights have the shapes of x3d_xs."""
    return x3d(num_classes, depth=2.2)


@released(recipe=recipe(16, 5, crop=224), url=f"{ZOO}x3d_m.pyth")
def x3d_m(num_classes: int) -> nn.Module:
    """X3D, medium: 16 frames of 224 pixels; the weights have the shapes of x3d_xs."""
    return x3d(num_classes, depth=2.2)


@released(recipe=recipe(16, 5, crop=312, short_side=356), url=f"{ZOO}x3d_l.pyth")
def x3d_l(num_classes: int) -> nn.Module:
    """X3D, large: 16 frames of 312 pixels, more than twice as many blocks."""
    return x3d(num_classes, depth=5.0)
