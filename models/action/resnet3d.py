"""The 3-D ResNet family of PySlowFast and PyTorchVideo: C2D, I3D, I3D with non-local blocks, Slow, Fast.

Every model is a chain of modules that pass on a tuple of feature maps, one ``(N, C, T, H, W)`` per pathway:
``s1`` (stem), ``s2`` … ``s5`` (residual stages), ``head``. Members differ in widths, temporal kernels and
extras, so each is one row at the end of this file. Module names are those of the published checkpoints.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe, Stage

Maps = tuple[Tensor, ...]
Network = TypeVar("Network", bound=nn.Module)

R50, R101 = (3, 4, 6, 3), (3, 4, 23, 3)  # bottlenecks of stages 2..5
LEVELS = (1, 2, 3, 4, 5)
LAYOUT = "N C T H W"
ZOO = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400/"
HUB = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/"
NONLOCAL = "Wang et al., Non-local Neural Networks, CVPR 2018, arXiv:1711.07971"
I3D = f"Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017, arXiv:1705.07750; {NONLOCAL}"
SLOWFAST = "Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019, arXiv:1812.03982"


@dataclass(frozen=True)
class Pathway:
    """One stream of a network.

    Attributes:
        kernels: Temporal kernel sizes of the stem and of stages 2..5; a stage's blocks take them in turn.
        width: Channels of the stem.
        index: Its number in module names.
        blocks: Bottlenecks of stages 2..5.
        temporal: How many of them have temporal kernels, counted from the first; the kernels of the others are 1.
    """

    kernels: tuple[tuple[int, ...], ...]
    width: int = 64
    index: int = 0
    blocks: tuple[int, ...] = R50
    temporal: tuple[int, ...] = R101

    def channels(self, level: int) -> int:
        """Channels after stage ``level``: w, 4w, 8w, 16w, 32w."""
        return self.width if level == 1 else self.width * 2**level

    def block_kernels(self, level: int) -> list[int]:
        """Temporal kernel of every block of stage 2..5."""
        blocks = self.blocks[level - 2]
        temporal = min(blocks, self.temporal[level - 2])
        return [*islice(cycle(self.kernels[level - 1]), temporal), *[1] * (blocks - temporal)]


FLAT = Pathway(((1,), (1,), (1,), (1,), (1,)))
INFLATED = Pathway(((5,), (3,), (3, 1), (3, 1), (1, 3)))
SLOW = Pathway(((1,), (1,), (1,), (3,), (3,)))
FAST = Pathway(((5,), (3,), (3,), (3,), (3,)), width=8, index=1)


def conv_stem(channels: int, kernel: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU and max pool: ``(N, 3, T, H, W)`` → ``(N, C, T, H/4, W/4)``."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv=nn.Conv3d(3, channels, (kernel, 7, 7), (1, 2, 2), (kernel // 2, 3, 3), bias=False),
            bn=nn.BatchNorm3d(channels),
            relu=nn.ReLU(inplace=True),
            pool_layer=nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
    )


def bottleneck(inputs: int, outputs: int, kernel: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """Three convolutions: ``t×1×1`` to a quarter of the width, ``1×3×3``, ``1×1×1`` to all of it."""
    inner = outputs // 4
    strides, dilations, padding = (1, stride, stride), (1, dilation, dilation), (0, dilation, dilation)
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            a=nn.Conv3d(inputs, inner, (kernel, 1, 1), padding=(kernel // 2, 0, 0), bias=False),
            a_bn=nn.BatchNorm3d(inner),
            a_relu=nn.ReLU(inplace=True),
            b=nn.Conv3d(inner, inner, (1, 3, 3), strides, padding, dilations, bias=False),
            b_bn=nn.BatchNorm3d(inner),
            b_relu=nn.ReLU(inplace=True),
            c=nn.Conv3d(inner, outputs, 1, bias=False),
            c_bn=nn.BatchNorm3d(outputs),
        )
    )


class Residual(nn.Module):
    """A residual block, ``ReLU(shortcut(x) + branch2(x))`` (He et al., arXiv:1512.03385, §4.1).

    The shortcut is a projection (``branch1``) where channels or size change, else the identity.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, branch: nn.Sequential) -> None:
        super().__init__()
        self.projects = inputs != outputs or stride != 1
        if self.projects:
            self.branch1 = nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(outputs)
        self.branch2 = branch
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, T, H, W)`` → ``(N, outputs, T, H/stride, W/stride)``."""
        shortcut = self.branch1_bn(self.branch1(x)) if self.projects else x
        return self.relu(shortcut + self.branch2(x))


class NonLocal(nn.Module):
    """Every position attends to all others: ``x + BN(W a(θ(x)ᵀ φ(x')) g(x'))``.

    ``x'`` is ``x`` max-pooled; ``a`` is a softmax, after division by √d, or (``dot_product``) the division by the
    number of positions. No ReLU follows, so the output has negative values (Wang et al., arXiv:1711.07971, eq. 6,
    and the embedded Gaussian and the dot product of §3.2).
    """

    def __init__(self, channels: int, dot_product: bool = False, pool: tuple[int, int, int] = (1, 2, 2)) -> None:
        super().__init__()
        inner = channels // 2
        self.dot_product = dot_product
        self.conv_theta = nn.Conv3d(channels, inner, 1)
        self.conv_phi = nn.Conv3d(channels, inner, 1)
        self.conv_g = nn.Conv3d(channels, inner, 1)
        self.conv_out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d(pool)
        if dot_product:  # the cube of the input; with random weights a few of these in a row would overflow
            nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W)`` → the same shape."""
        pooled = self.pool(x)
        theta, phi, g = self.conv_theta(x), self.conv_phi(pooled), self.conv_g(pooled)
        query, key, value = (y.flatten(2).transpose(1, 2) for y in (theta, phi, g))
        if self.dot_product:
            y = query @ (key.transpose(1, 2) @ value) / key.shape[1]
        else:
            y = F.scaled_dot_product_attention(query, key, value)
        return x + self.bn(self.conv_out(y.transpose(1, 2).reshape(theta.shape)))


class Pathways(nn.Module):
    """Runs each pathway through its own layers, named ``pathway<index>_<layer>``; tuple in, tuple out."""

    def __init__(self, layers: Mapping[int, Mapping[str, nn.Module]]) -> None:
        super().__init__()
        self.chains: list[list[str]] = []
        for index, chain in layers.items():
            self.chains.append([f"pathway{index}_{layer}" for layer in chain])
            for name, module in zip(self.chains[-1], chain.values(), strict=True):
                self.add_module(name, module)

    def forward(self, maps: Maps) -> Maps:
        """One ``(N, C, T, H, W)`` per pathway → the same with each pathway's own size."""
        return tuple(self._run(chain, x) for chain, x in zip(self.chains, maps, strict=True))

    def _run(self, chain: list[str], x: Tensor) -> Tensor:
        for name in chain:
            x = self.get_submodule(name)(x)
        return x


class Head(nn.Module):
    """Global average pool of every pathway, dropout, linear classifier: maps → ``(N, num_classes)``."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.projection = nn.Linear(inputs, num_classes)

    def forward(self, maps: Maps) -> Tensor:
        """Logits, before the softmax."""
        # The published head pools with a kernel of the training crop's size, which at that crop is the same.
        pooled = torch.cat([x.mean((2, 3, 4)) for x in maps], dim=1)
        return self.projection(self.dropout(pooled))


class VideoResNet(nn.Sequential):
    """The chain of stages. Takes a clip ``(N, 3, T, H, W)``, or one for each pathway; returns logits.

    Raises:
        ModelError: If the number of clips is not the number of pathways, or a clip has another shape.
    """

    def __init__(self, layers: Mapping[str, nn.Module], pathways: int = 1) -> None:
        super().__init__(OrderedDict(layers))
        self.pathways = pathways

    def forward(self, clips: Tensor | Sequence[Tensor]) -> Tensor:
        """``(N, 3, T, H, W)``, or a sequence of them → ``(N, num_classes)``, before the softmax."""
        return super().forward(self.as_maps(clips))

    def as_maps(self, clips: Tensor | Sequence[Tensor]) -> Maps:
        """Check the input and return it in the form that stages pass on."""
        maps = (clips,) if isinstance(clips, Tensor) else tuple(clips)
        shapes = [tuple(x.shape) for x in maps]
        if len(maps) != self.pathways or any(len(shape) != 5 or shape[1] != 3 for shape in shapes):
            raise ModelError(f"The input must be {self.pathways} x (N, 3, T, H, W). Got {shapes}.")
        return maps


def initialise(model: Network) -> Network:
    """He initialisation of convolutions, small weights in the classifier; in place.

    Unlike in published training, the last norm of a block does not start at zero: in a network with random
    weights every branch should take part.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            # For a depthwise convolution, whose channels are separate, only the fan-in is that of one channel.
            fan: Literal["fan_in", "fan_out"] = "fan_out" if module.groups == 1 else "fan_in"
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def stem(pathways: Sequence[Pathway]) -> Pathways:
    """Stage 1."""
    return Pathways({p.index: {"stem": conv_stem(p.width, p.kernels[0][0])} for p in pathways})


def residual_stage(
    level: int,
    pathways: Sequence[Pathway],
    inputs: Sequence[int],
    nonlocals: Mapping[int, nn.Module] | None = None,
    dilation: int = 1,
) -> Pathways:
    """Stage 2..5.

    Args:
        level: Number of the stage.
        pathways: Widths, blocks and temporal kernels.
        inputs: Channels per pathway.
        nonlocals: Block of the first pathway → the non-local block that follows it.
        dilation: Dilation of the spatial convolutions; a dilated stage keeps the size of its input.
    """
    layers: dict[int, dict[str, nn.Module]] = {}
    for pathway, width in zip(pathways, inputs, strict=True):
        outputs, chain = pathway.channels(level), dict[str, nn.Module]()
        for block, kernel in enumerate(pathway.block_kernels(level)):
            stride = 2 if level > 2 and block == 0 and dilation == 1 else 1
            channels = outputs if block else width
            branch = bottleneck(channels, outputs, kernel, stride, dilation)
            chain[f"res{block}"] = Residual(channels, outputs, stride, branch)
            if not layers and nonlocals and block in nonlocals:
                chain[f"nonlocal{block}"] = nonlocals[block]
        layers[pathway.index] = chain
    return Pathways(layers)


def resnet3d(
    pathway: Pathway,
    num_classes: int,
    temporal_pool: bool = False,
    nonlocal_after: Mapping[int, Sequence[int]] | None = None,
) -> VideoResNet:
    """A network of one pathway.

    Args:
        pathway: Widths, blocks and temporal kernels.
        num_classes: Size of the classifier.
        temporal_pool: Whether time is halved between stages 2 and 3.
        nonlocal_after: Stage → the blocks that a non-local block follows.
    """
    layers: dict[str, nn.Module] = {"s1": stem([pathway])}
    for level in LEVELS[1:]:
        after = (nonlocal_after or {}).get(level, ())
        nonlocals = {block: NonLocal(pathway.channels(level)) for block in after}
        layers[f"s{level}"] = residual_stage(level, [pathway], [pathway.channels(level - 1)], nonlocals)
        if level == 2 and temporal_pool:
            layers["s2_pool"] = Pathways({pathway.index: {"pool": nn.MaxPool3d((2, 1, 1))}})
    layers["head"] = Head(pathway.channels(5), num_classes)
    return initialise(VideoResNet(layers))


def recipe(frames: int | tuple[int, ...], rate: int, crop: int = 256, short_side: int = 256) -> Recipe:
    """The input that the published measurement gives this family: 256-pixel crops, mean 0.45, std 0.225."""
    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
    return Recipe(frames=frames, rate=rate, crop=crop, short_side=short_side, mean=mean, std=std)


STAGES = {f"stage{level}": Stage(f"s{level}", LAYOUT, item=0) for level in LEVELS}
NONLOCAL_AFTER = {3: (1, 3), 4: (1, 3, 5)}
family = partial(register_model, stages=STAGES, recipe=recipe(8, 8))
released = partial(family, licence="Apache-2.0")


@family(
    paper=NONLOCAL,
    aliases=("c2d",),
    url="https://dl.fbaipublicfiles.com/video-nonlocal/c2d_baseline_8x8_IN_pretrain_400k.pkl",
    licence="CC-BY-NC-4.0",
)
def c2d_r50_8x8(num_classes: int) -> nn.Module:
    """C2D: a ResNet-50 without temporal kernels; time is only pooled."""
    return resnet3d(FLAT, num_classes, temporal_pool=True)


@released(paper=NONLOCAL, url=f"{ZOO}C2D_NOPOOL_8x8_R50.pkl")
def c2d_nopool_r50_8x8(num_classes: int) -> nn.Module:
    """C2D without the pooling of time: frames meet only in the classifier."""
    return resnet3d(FLAT, num_classes)


@released(paper=I3D, aliases=("i3d",), url=f"{ZOO}I3D_8x8_R50.pkl")
def i3d_r50_8x8(num_classes: int) -> nn.Module:
    """I3D: a ResNet-50 with inflated kernels in every second block."""
    return resnet3d(INFLATED, num_classes, temporal_pool=True)


@family(paper=I3D)
def i3d_r101_8x8(num_classes: int) -> nn.Module:
    """I3D with 101 layers."""
    return resnet3d(replace(INFLATED, blocks=R101), num_classes, temporal_pool=True)


@family(paper=I3D)
def i3d_r18_8x8(num_classes: int) -> nn.Module:
    """Published as "I3D R18", yet I3D of 50 layers, with inflated kernels in the first two blocks of a stage only."""
    return resnet3d(replace(INFLATED, temporal=(2, 2, 2, 2)), num_classes, temporal_pool=True)


@released(paper=NONLOCAL, aliases=("i3d_nln",), url=f"{ZOO}I3D_NLN_8x8_R50.pkl")
def i3d_nln_r50_8x8(num_classes: int) -> nn.Module:
    """I3D with five non-local blocks; its stages 3 and 4 end in one and are not rectified."""
    return resnet3d(INFLATED, num_classes, temporal_pool=True, nonlocal_after=NONLOCAL_AFTER)


@family(paper=NONLOCAL)
def i3d_nln_r101_8x8(num_classes: int) -> nn.Module:
    """I3D with 101 layers and five non-local blocks; its stage 3 ends in one and is not rectified."""
    return resnet3d(replace(INFLATED, blocks=R101), num_classes, temporal_pool=True, nonlocal_after=NONLOCAL_AFTER)


@released(paper=SLOWFAST, url=f"{ZOO}SLOWONLY_8x8_R50.pkl")
def slow_r50_8x8(num_classes: int) -> nn.Module:
    """Slow: temporal kernels in stages 4 and 5 only; 8 frames."""
    return resnet3d(SLOW, num_classes)


@released(paper=SLOWFAST, recipe=recipe(4, 16), url=f"{ZOO}SLOWONLY_4x16_R50.pkl")
def slow_r50_4x16(num_classes: int) -> nn.Module:
    """Slow: temporal kernels in stages 4 and 5 only; 4 frames."""
    return resnet3d(SLOW, num_classes)


@released(paper=SLOWFAST, num_classes=174, url=f"{HUB}ssv2/SLOW_8x8_R50.pyth")
def slow_ssv2_r50_8x8(num_classes: int) -> nn.Module:
    """Slow for Something-Something v2, from PyTorchVideo; 8 frames."""
    return resnet3d(SLOW, num_classes)


@family(paper=SLOWFAST, recipe=recipe(32, 2), aliases=("fast",))
def fast_r50_8x8(num_classes: int) -> nn.Module:
    """Fast: the thin pathway of SlowFast alone, temporal kernels everywhere; 32 frames."""
    return resnet3d(FAST, num_classes)


@family(paper=SLOWFAST, recipe=recipe(32, 2), num_classes=48)
def fast_d48_r50_8x8(num_classes: int) -> nn.Module:
    """Fast, with the 48 classes of Diving48."""
    return resnet3d(FAST, num_classes)
