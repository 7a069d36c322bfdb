"""RTNet: two streams and two frames, which transform each other at every level.

Ren et al., Reciprocal Transformations for Unsupervised Video Object Segmentation, CVPR 2021.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ResNet, resnet34, resnext50_32x4d
from torchvision.ops import Conv2dNormActivation

from static_dynamic.models.registry import register_model
from static_dynamic.models.segmentation.vos_blocks import (
    Balance,
    Frames,
    Gating,
    Size,
    TwoStream,
    recipe,
    resize,
    size_of,
    stages,
)

PAPER = "Ren et al., Reciprocal Transformations for Unsupervised Video Object Segmentation, CVPR 2021"
HEADS = {1: 1, 2: 2, 3: 4, 4: 8}  # level → heads of its attention
WIDTHS = {1: 64, 2: 128, 3: 256}  # level → channels in the decoder
FRAMES = 2


class Scaling(nn.Module):
    """Maps, every channel times 1 + σ(g), where g comes from the averages of all of them."""

    def __init__(self, channels: int, hidden: int, maps: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(maps * channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, maps * channels, 1)

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Maps ``(N, C, H, W)`` → as many of the same shape."""
        average = torch.cat(maps, dim=1).mean((2, 3), keepdim=True)
        gates = self.fc2(F.relu(self.fc1(average))).sigmoid().chunk(len(maps), dim=1)
        return tuple(x + x * gate for x, gate in zip(maps, gates, strict=True))


class Attention(nn.Module):
    """Multi-head attention between positions.

    Args:
        channels: Channels of all heads together.
        heads: Number of heads.
        transposed: Whether, as published, the weights of a query, which sum to 1 over the keys, are summed over the
            queries. That is not an average, but weights were trained with it. Otherwise it is ordinary attention.
        reduced: Whether it works at half the resolution, and is interpolated back.
    """

    def __init__(self, channels: int, heads: int, transposed: bool = True, reduced: bool = False) -> None:
        super().__init__()
        self.heads, self.transposed, self.reduced = heads, transposed, reduced
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1, bias=transposed) for _ in range(3))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Three ``(N, C, H, W)``, the first of which gives the queries → the same shape."""
        size = size_of(x)
        if self.reduced:
            x, keys, values = (F.max_pool2d(part, 3, 2, 1) for part in (x, keys, values))
        parts = self.query(x), self.key(keys), self.value(values)
        query, key, value = (part.flatten(2).unflatten(1, (self.heads, -1)).mT for part in parts)
        if self.transposed:
            weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
            y = weights.mT @ value
        else:
            y = F.scaled_dot_product_attention(query, key, value)
        y = y.mT.reshape(x.shape)
        return resize(y, size, align_corners=True) if self.reduced else y


class Exchange(nn.Module):
    """Two maps transform each other: the first by the second, then the second by the transformed first.

    Args:
        channels: Channels of either map.
        heads: Heads of the attention.
        attention: Channels and heads → the transformation.
        alike: Whether the maps are of one kind, so that both directions share their weights.
    """

    def __init__(self, channels: int, heads: int, attention: Callable[..., nn.Module], alike: bool) -> None:
        super().__init__()
        self.alike = alike
        self.scaling = Scaling(channels, channels // heads, 2)
        self.transformation1 = attention(channels, heads)
        if not alike:
            self.transformation2 = attention(channels, heads)
        self.gating = Gating(channels, 2)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        """Two ``(N, C, H, W)`` → two of the same shape."""
        a, b = self.scaling(a, b)
        a = self.transformation1(a, b, b)
        b = self.transformation1(b, a, a) if self.alike else self.transformation2(b, a, a)
        return self.gating(a, b)


class SelfExchange(nn.Module):
    """A map transforms itself."""

    def __init__(self, channels: int, heads: int, attention: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.scaling = Scaling(channels, channels // heads, 1)
        self.transformation = attention(channels, heads)
        self.gating = Gating(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → the same shape."""
        (x,) = self.scaling(x)
        (x,) = self.gating(self.transformation(x, x, x))
        return x


class Fusion(Balance):
    """The convex combination of appearance and motion."""

    def forward(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Two ``(N, C, H, W)`` → ``(N, C, H, W)``."""
        first, second = self.terms(appearance, motion)
        return first + second


class Output(nn.Module):
    """Masks from a map of the decoder, as logits, four times the size of level 1."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = Conv2dNormActivation(channels, 64, 3)
        self.conv2 = nn.Conv2d(64, num_classes, 1)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """``(N, C, H, W)`` → ``(N, num_classes, *size)``."""
        return self.conv2(resize(self.conv1(x), size, align_corners=True))


class Convs(nn.Module):
    """Three 3 × 3 convolutions, each with norm and ReLU."""

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(*[part for pair in pairwise(channels) for part in Conv2dNormActivation(*pair, 3)])

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels[0], H, W)`` → ``(N, channels[-1], H, W)``."""
        return self.layer(x)


class Stream(nn.Module):
    """Encoder and decoder of a stream.

    Only the spatial stream's dilations and decoder run: the masks of the other one are for training.

    Args:
        net: A ResNet, the stages of which are the encoder.
        inputs: Channels of the input.
        num_classes: Masks.
        bottleneck: Whether it is one with bottlenecks, whose wide maps are narrowed for the decoder.
    """

    def __init__(self, net: ResNet, inputs: int, num_classes: int, bottleneck: bool) -> None:
        super().__init__()
        stem = nn.Conv2d(inputs, 64, 7, stride=2, padding=3, bias=False)
        self.inconv = nn.Sequential(stem, net.bn1, net.relu, net.maxpool)
        for level in HEADS:
            self.add_module(f"encoder{level}", net.get_submodule(f"layer{level}"))
        for level, width in WIDTHS.items():
            self.add_module(
                f"bridge{level}", Conv2dNormActivation(4 * width, width, 1) if bottleneck else nn.Identity()
            )
        last = 2048 if bottleneck else 512
        self.dilation0 = Conv2dNormActivation(last, 512, 1) if bottleneck else nn.Identity()
        for index in (1, 2, 3, 4):
            self.add_module(f"dilation{index}", Conv2dNormActivation(last, 512, 3, dilation=2 ** (index - 1)))
        self.decoder4 = Convs(5 * 512, 512, 512, 256)
        self.decoder3 = Convs(256 + 256, 256, 256, 128)
        self.decoder2 = Convs(128 + 128, 128, 128, 64)
        self.decoder1 = Convs(64 + 64, 64, 64, 64)
        for level, width in {4: 256, 3: 128, 2: 64, 1: 64}.items():
            self.add_module(f"out{level}", Output(width, num_classes))

    def encode(self, level: int, x: Tensor) -> Tensor:
        """A level of the encoder."""
        return self.get_submodule(f"encoder{level}")(x)

    def bridge(self, level: int, x: Tensor) -> Tensor:
        """A level's map in the form that the decoder takes."""
        return self.get_submodule(f"bridge{level}")(x)

    def decode(self, x: Tensor, skips: dict[int, Tensor]) -> list[Tensor]:
        """The map of level 4, and level → what joins the decoder there; masks as logits, the finest first."""
        height, width = size_of(skips[1])
        size = 4 * height, 4 * width
        x = self.decoder4(torch.cat([self.get_submodule(f"dilation{index}")(x) for index in range(5)], dim=1))
        masks = [self.get_submodule("out4")(x, size)]
        for level in (3, 2, 1):
            joined = torch.cat([resize(x, size_of(skips[level]), align_corners=True), skips[level]], dim=1)
            x = self.get_submodule(f"decoder{level}")(joined)
            masks.insert(0, self.get_submodule(f"out{level}")(x, size))
        return masks


class RTNet(TwoStream):
    """``{"Image": (N, 2, 3, H, W), "Flow": (N, 2, 6, H, W)}`` → masks in 0..1, ``(2N, num_classes, H, W)``.

    The images are two frames of one video; flow is forward, then backward. In contrast to the published code, which
    relates frames of different clips to each other when a batch has several, a clip depends on itself alone.

    Args:
        num_classes: Masks, one for the objects.
        net: Builds the encoder's ResNet.
        bottleneck: Whether that is one with bottlenecks; the attention of its weights is transposed.
    """

    inputs: ClassVar[dict[str, tuple[int, ...]]] = {"Image": (FRAMES, 3), "Flow": (FRAMES, 6)}

    def __init__(self, num_classes: int, net: Callable[[], ResNet], bottleneck: bool) -> None:
        super().__init__()
        self.spatial_net = Stream(net(), 3, num_classes, bottleneck)
        self.temporal_net = Stream(net(), 6, num_classes, bottleneck)
        for level, heads in HEADS.items():
            channels = 32 * 2**level * (4 if bottleneck else 1)
            reduced = level == 1
            attention = partial(Attention, transposed=bottleneck or reduced, reduced=reduced)
            for kind in ("SS", "ST", "TT"):
                exchange = Exchange(channels, heads, attention, alike=kind != "ST")
                self.add_module(f"{kind}Transformer{level}", exchange)
            for kind in ("S", "T"):
                self.add_module(f"{kind}selfTransformer{level}", SelfExchange(channels, heads, attention))
        for level, width in WIDTHS.items():
            self.add_module(f"Transformerstafm{level}", Fusion(width, hidden=64))
        self.levels = nn.ModuleList(nn.Identity() for _ in HEADS)  # where both streams' maps can be read

    def forward(self, frames: Frames) -> Tensor:
        """Masks, the frames of the first clip first."""
        s, t = (x.flatten(0, 1) for x in self.streams(frames))
        s, t = self.spatial_net.inconv(s), self.temporal_net.inconv(t)
        skips = {}
        for level in HEADS:
            s, t = self.related(level, self.spatial_net.encode(level, s), self.temporal_net.encode(level, t))
            if level in WIDTHS:
                pair = self.spatial_net.bridge(level, s), self.temporal_net.bridge(level, t)
                skips[level] = self.get_submodule(f"Transformerstafm{level}")(*pair)
        return self.spatial_net.decode(s, skips)[0].sigmoid()

    def related(self, level: int, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams, plus the transformations of their frames, of each map by itself, and of the other stream."""
        of = self.get_submodule
        to_s, to_t = of(f"STTransformer{level}")(s, t)
        s = s + across(of(f"SSTransformer{level}"), s) + of(f"SselfTransformer{level}")(s) + to_s
        t = t + across(of(f"TTTransformer{level}"), t) + of(f"TselfTransformer{level}")(t) + to_t
        s, t = self.levels[level - 1]((s, t))
        return s, t


def across(exchange: nn.Module, x: Tensor) -> Tensor:
    """Two frames of a clip transform each other; ``(N · 2, C, H, W)`` → the same shape."""
    return torch.stack(exchange(*x.unflatten(0, (-1, FRAMES)).unbind(1)), dim=1).flatten(0, 1)


def places(stem: str) -> dict[str, dict[str, str]]:
    """Stream → layer → module."""
    found = {
        stream: {"conv1": f"{net}.{stem}", **{f"layer{level}": f"levels.{level - 1}[{item}]" for level in HEADS}}
        for item, (stream, net) in enumerate({"app_stream": "spatial_net", "mot_stream": "temporal_net"}.items())
    }
    # Named a fusion when it was published: layer 4 of it has only seen the spatial stream's decoder.
    fused = {f"layer{level}": f"Transformerstafm{level}" for level in WIDTHS} | {"layer4": "spatial_net.decoder4"}
    return {**found, "sensor_fusion": fused}


LAYOUT = "(N T) C H W"
family = partial(register_model, recipe=recipe(FRAMES, ("forward", "backward")), paper=PAPER, num_classes=1)


@family(stages=stages(places("inconv.0"), LAYOUT))
def rtnet(num_classes: int) -> nn.Module:
    """RTNet on ResNeXt-50; its first stage is before the norm."""
    return RTNet(num_classes, resnext50_32x4d, bottleneck=True)


@family(stages=stages(places("inconv"), LAYOUT))
def rtnet34(num_classes: int) -> nn.Module:
    """RTNet on ResNet-34; its first stage is after the max-pool."""
    return RTNet(num_classes, resnet34, bottleneck=False)
