"""The 3-D ResNet family of PySlowFast: C2D, I3D, I3D with non-local blocks, Slow, Fast.

Every model is a chain of modules that pass on a tuple of feature maps, one ``(N, C, T, H, W)`` per pathway:
``s1`` (stem), ``s2`` … ``s5`` (residual stages), ``head``. Members differ in widths, temporal kernels and
extras, so each is one row at the end of this file. Module names are those of the published checkpoints.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import ModelError
from models.registry import Recipe, Stage, register_model

Maps = tuple[Tensor, ...]

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}  # ResNet-50: bottlenecks per residual stage
LEVELS = (1, 2, 3, 4, 5)
LAYOUT = "N C T H W"
ZOO = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400/"
NONLOCAL = "Wang et al., Non-local Neural Networks, CVPR 2018, arXiv:1711.07971"
SLOWFAST = "Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019, arXiv:1812.03982"


@dataclass(frozen=True)
class Pathway:
    """One stream of a network.

    Attributes:
        kernels: Temporal kernel sizes of the stem and of stages 2..5; a stage's blocks take them in turn.
        width: Channels of the stem.
        index: Its number in module names.
    """

    kernels: tuple[tuple[int, ...], ...]
    width: int = 64
    index: int = 0

    def channels(self, level: int) -> int:
        """Channels after stage ``level``: w, 4w, 8w, 16w, 32w."""
        return self.width if level == 1 else self.width * 2**level


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


def residual_branch(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """The convolutions of a bottleneck: ``t×1×1`` to a quarter of the width, ``1×3×3``, ``1×1×1`` to all."""
    inner = outputs // 4
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            a=nn.Conv3d(inputs, inner, (kernel, 1, 1), padding=(kernel // 2, 0, 0), bias=False),
            a_bn=nn.BatchNorm3d(inner),
            a_relu=nn.ReLU(inplace=True),
            b=nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            b_bn=nn.BatchNorm3d(inner),
            b_relu=nn.ReLU(inplace=True),
            c=nn.Conv3d(inner, outputs, 1, bias=False),
            c_bn=nn.BatchNorm3d(outputs),
        )
    )


class Bottleneck(nn.Module):
    """A residual block, ``ReLU(shortcut(x) + branch2(x))`` (He et al., arXiv:1512.03385, §4.1).

    The shortcut is a projection (``branch1``) where channels or size change, else the identity.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.projects = inputs != outputs or stride != 1
        if self.projects:
            self.branch1 = nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(outputs)
        self.branch2 = residual_branch(inputs, outputs, kernel, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, T, H, W)`` → ``(N, outputs, T, H/stride, W/stride)``."""
        shortcut = self.branch1_bn(self.branch1(x)) if self.projects else x
        return self.relu(shortcut + self.branch2(x))


class NonLocal(nn.Module):
    """Every position attends to all others: ``x + BN(W softmax(θ(x)ᵀ φ(x') / √d) g(x'))``.

    ``x'`` is ``x`` max-pooled by 2×2 in space; no ReLU follows, so the output has negative values
    (Wang et al., arXiv:1711.07971, eq. 6 and the embedded Gaussian of §3.2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.conv_theta = nn.Conv3d(channels, inner, 1)
        self.conv_phi = nn.Conv3d(channels, inner, 1)
        self.conv_g = nn.Conv3d(channels, inner, 1)
        self.conv_out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, H, W)`` → the same shape."""
        pooled = self.pool(x)
        theta, phi, g = self.conv_theta(x), self.conv_phi(pooled), self.conv_g(pooled)
        query, key, value = (y.flatten(2).transpose(1, 2) for y in (theta, phi, g))
        y = F.scaled_dot_product_attention(query, key, value)
        return x + self.bn(self.conv_out(y.transpose(1, 2).reshape(theta.shape)))


class Pathways(nn.Module):
    """Runs each pathway through layers of its own, named ``pathway<index>_<layer>``; tuple in, tuple out."""

    def __init__(self, pathways: Sequence[Pathway], layers: Sequence[Mapping[str, nn.Module]]) -> None:
        super().__init__()
        self.chains: list[list[str]] = []
        for pathway, chain in zip(pathways, layers, strict=True):
            self.chains.append([f"pathway{pathway.index}_{layer}" for layer in chain])
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
        maps = (clips,) if isinstance(clips, Tensor) else tuple(clips)
        shapes = [tuple(x.shape) for x in maps]
        if len(maps) != self.pathways or any(len(shape) != 5 or shape[1] != 3 for shape in shapes):
            raise ModelError(f"The input must be {self.pathways} x (N, 3, T, H, W). Got {shapes}.")
        return super().forward(maps)


def initialise(model: VideoResNet) -> VideoResNet:
    """He initialisation of convolutions, small weights in the classifier; in place.

    Unlike in published training, the last norm of a block does not start at zero: in a network with random
    weights every branch should take part.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def stem(pathways: Sequence[Pathway]) -> Pathways:
    """Stage 1."""
    return Pathways(pathways, [{"stem": conv_stem(p.width, p.kernels[0][0])} for p in pathways])


def residual_stage(
    level: int, pathways: Sequence[Pathway], inputs: Sequence[int], nonlocal_after: Iterable[int] = ()
) -> Pathways:
    """Stage 2..5: ``inputs`` channels per pathway; non-local blocks follow those of ``nonlocal_after``."""
    layers = []
    for pathway, width in zip(pathways, inputs, strict=True):
        outputs = pathway.channels(level)
        chain: dict[str, nn.Module] = {}
        for block, kernel in zip(range(BLOCKS[level]), cycle(pathway.kernels[level - 1])):
            stride = 2 if level > 2 and block == 0 else 1
            chain[f"res{block}"] = Bottleneck(outputs if block else width, outputs, kernel, stride)
            if block in nonlocal_after:
                chain[f"nonlocal{block}"] = NonLocal(outputs)
        layers.append(chain)
    return Pathways(pathways, layers)


def resnet3d(
    pathway: Pathway,
    num_classes: int,
    temporal_pool: bool = False,
    nonlocal_after: Mapping[int, Sequence[int]] | None = None,
) -> VideoResNet:
    """A network of one pathway.

    Args:
        pathway: Widths and temporal kernels.
        num_classes: Size of the classifier.
        temporal_pool: Whether time is halved between stages 2 and 3.
        nonlocal_after: Stage → the blocks that a non-local block follows.
    """
    layers: dict[str, nn.Module] = {"s1": stem([pathway])}
    for level in LEVELS[1:]:
        after = (nonlocal_after or {}).get(level, ())
        layers[f"s{level}"] = residual_stage(level, [pathway], [pathway.channels(level - 1)], after)
        if level == 2 and temporal_pool:
            layers["s2_pool"] = Pathways([pathway], [{"pool": nn.MaxPool3d((2, 1, 1))}])
    layers["head"] = Head(pathway.channels(5), num_classes)
    return initialise(VideoResNet(layers))


def recipe(frames: int | tuple[int, ...], rate: int) -> Recipe:
    """The input that the published measurement gives this family: 256-pixel crops, mean 0.45, std 0.225."""
    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
    return Recipe(frames=frames, rate=rate, crop=256, short_side=256, mean=mean, std=std)


STAGES = {f"stage{level}": Stage(f"s{level}", LAYOUT, item=0) for level in LEVELS}


@register_model(
    stages=STAGES,
    recipe=recipe(8, 8),
    paper=NONLOCAL,
    aliases=("c2d",),
    url="https://dl.fbaipublicfiles.com/video-nonlocal/c2d_baseline_8x8_IN_pretrain_400k.pkl",
    licence="CC-BY-NC-4.0",
)
def c2d_r50_8x8(num_classes: int) -> nn.Module:
    """C2D: a ResNet-50 without temporal kernels; time is only pooled."""
    return resnet3d(FLAT, num_classes, temporal_pool=True)


@register_model(
    stages=STAGES,
    recipe=recipe(8, 8),
    paper=f"Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017, arXiv:1705.07750; {NONLOCAL}",
    aliases=("i3d",),
    url=f"{ZOO}I3D_8x8_R50.pkl",
    licence="Apache-2.0",
)
def i3d_r50_8x8(num_classes: int) -> nn.Module:
    """I3D: a ResNet-50 with inflated kernels in every second block."""
    return resnet3d(INFLATED, num_classes, temporal_pool=True)


@register_model(
    stages=STAGES,
    recipe=recipe(8, 8),
    paper=NONLOCAL,
    aliases=("i3d_nln",),
    url=f"{ZOO}I3D_NLN_8x8_R50.pkl",
    licence="Apache-2.0",
)
def i3d_nln_r50_8x8(num_classes: int) -> nn.Module:
    """I3D with five non-local blocks; its stages 3 and 4 end in one and are not rectified."""
    return resnet3d(INFLATED, num_classes, temporal_pool=True, nonlocal_after={3: (1, 3), 4: (1, 3, 5)})


@register_model(
    stages=STAGES,
    recipe=recipe(8, 8),
    paper=SLOWFAST,
    url=f"{ZOO}SLOWONLY_8x8_R50.pkl",
    licence="Apache-2.0",
)
def slow_r50_8x8(num_classes: int) -> nn.Module:
    """Slow: temporal kernels in stages 4 and 5 only; 8 frames."""
    return resnet3d(SLOW, num_classes)


@register_model(
    stages=STAGES,
    recipe=recipe(4, 16),
    paper=SLOWFAST,
    url=f"{ZOO}SLOWONLY_4x16_R50.pkl",
    licence="Apache-2.0",
)
def slow_r50_4x16(num_classes: int) -> nn.Module:
    """Slow: temporal kernels in stages 4 and 5 only; 4 frames."""
    return resnet3d(SLOW, num_classes)


@register_model(stages=STAGES, recipe=recipe(32, 2), paper=SLOWFAST, aliases=("fast",))
def fast_r50_8x8(num_classes: int) -> nn.Module:
    """Fast: the thin pathway of SlowFast alone, temporal kernels everywhere; 32 frames."""
    return resnet3d(FAST, num_classes)


@register_model(stages=STAGES, recipe=recipe(32, 2), paper=SLOWFAST, num_classes=48)
def fast_d48_r50_8x8(num_classes: int) -> nn.Module:
    """Fast, with the 48 classes of Diving48."""
    return resnet3d(FAST, num_classes)
