"""MATNet: two ResNet-101 that exchange attention at every level, and a decoder that is led by edges.

Zhou et al., MATNet: Motion-Attentive Transition Network for Zero-Shot Video Object Segmentation, AAAI 2020,
arXiv:2003.04253 (TIP 2020, arXiv:2107.09192); its variants: Kowal et al., CVPR 2022, arXiv:2206.02846.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet101

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
from static_dynamic.models.weights.keys import State

PAPER = (
    "Zhou et al., MATNet: Motion-Attentive Transition Network for Zero-Shot Video Object Segmentation, AAAI 2020, "
    "arXiv:2003.04253"
)
WIDTHS = {2: 256, 3: 512, 4: 1024, 5: 2048}  # channels of a level, in either stream
CASCADES = 5

Pair = tuple[Tensor, Tensor]
Meeting = Callable[[int], nn.Module]  # channels of a stream → where two maps become two, or one


def softmax(affinity: Tensor) -> Pair:
    """As published: weights sum to 1 over the positions that receive, not over those that give."""
    return affinity.softmax(-1), affinity.softmax(-2).mT


def tanh(affinity: Tensor) -> Pair:
    """As published by default: weights of any sum and sign."""
    weights = affinity.tanh()
    return weights, weights.mT


class CoAttention(nn.Module):
    """Streams attend to each other, five times with the same weights, and are then added to what came in.

    Args:
        channels: Channels of either stream.
        gated: Whether each stream's attended map is added, with a gate.
        reciprocal: Whether the image acts on the flow stream, too; otherwise flow meets only itself.
        add: Whether the flow is added to the image stream, too.
        normalise: Affinities ``(N, flow, image)`` → weights to rearrange flow, and, transposed, the image.
    """

    def __init__(
        self,
        channels: int,
        gated: bool = False,
        reciprocal: bool = False,
        add: bool = False,
        normalise: Callable[[Tensor], Pair] = tanh,
    ) -> None:
        super().__init__()
        self.reciprocal, self.add, self.normalise = reciprocal, add, normalise
        self.proj1, self.proj2 = (nn.Conv2d(channels, 1, 1) for _ in range(2))
        self.proja, self.projb = (nn.Conv2d(channels, channels // 16, 1) for _ in range(2))
        self.rgating = Gating(channels, 2) if gated else None
        # These four are in the published weights, but never run.
        self.bottolneck1, self.bottolneck2 = (
            nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)) for _ in range(2)
        )
        self.bna, self.bnb = (nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, image: Tensor, flow: Tensor) -> Pair:
        """Two ``(N, C, H, W)`` → two of the same shape."""
        to_image, to_flow = self.messages(image, flow)
        if self.add:
            to_image = to_image + flow
        return F.relu(to_image + image), F.relu(to_flow + flow)

    def messages(self, image: Tensor, flow: Tensor) -> Pair:
        """What is added to either stream: the last of the five cascades, each on the sum of the one before."""
        for _ in range(CASCADES - 1):
            to_image, to_flow = self.cascade(image, flow)
            image, flow = F.relu(to_image + image), F.relu(to_flow + flow)
        return self.cascade(image, flow)

    def cascade(self, image: Tensor, flow: Tensor) -> Pair:
        """Self-attention, then co-attention, then gates."""
        a, b = attended(image, self.proj1(image)), attended(flow, self.proj2(flow))
        affinity = self.projb(b).flatten(2).mT @ self.proja(a).flatten(2)
        over_flow, over_image = self.normalise(affinity)
        to_image = rearranged(a, over_image)
        to_flow = rearranged(b, over_flow) if self.reciprocal else b
        if self.rgating is None:
            return to_image, to_flow
        gated_a, gated_b = self.rgating(a, b)
        return to_image + gated_a, to_flow + gated_b if self.reciprocal else to_flow


def attended(x: Tensor, scores: Tensor) -> Tensor:
    """A map times the softmax over its positions of ``(N, 1, H, W)`` scores."""
    return x * scores.flatten(2).softmax(-1).view_as(scores)


def rearranged(x: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of the features at all positions, normalised over channels."""
    return F.normalize((x.flatten(2) @ weights).view_as(x))


class Gated(nn.Module):
    """Fusion by an attention over channels, one over positions and, if ``whole``, one number for the whole map."""

    def __init__(self, channels: int, whole: bool = True) -> None:
        super().__init__()
        width = 2 * channels
        self.whole = whole
        self.excitation_1 = nn.Sequential(nn.Linear(width, width // 16), nn.ReLU())
        self.excitation_2 = nn.Sequential(nn.Linear(width // 16, width), nn.Sigmoid())
        self.global_attention = nn.Sequential(nn.Linear(width // 16, 1), nn.Sigmoid())
        self.spatial = Spatial(norm=True)

    def forward(self, image: Tensor, flow: Tensor) -> Tensor:
        """Two ``(N, C, H, W)`` → ``(N, 2C, H, W)``."""
        both = torch.cat([image, flow], dim=1)
        hidden = self.excitation_1(both.mean((2, 3)))
        chosen = self.excitation_2(hidden)[..., None, None] * both
        chosen = self.spatial(chosen) * chosen  # no sigmoid in between, as published
        return both + (chosen * self.global_attention(hidden)[..., None, None] if self.whole else chosen)


class Spatial(nn.Module):
    """A 7 × 7 convolution of the maximum over channels."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, 1, H, W)``."""
        return self.bn(self.conv(x.amax(1, keepdim=True)))


class Share(nn.Module):
    """For every position, x of one map and 1 − x of the other; x comes from the maximum over the channels of both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Spatial()

    def forward(self, a: Tensor, b: Tensor) -> Pair:
        """Two ``(N, C, H, W)`` → two of the same shape."""
        share = self.conv1(torch.cat([a, b], dim=1)).sigmoid()
        return a * share, b * (1 - share)


class GatedConvex(Balance):
    """Fusion by a convex combination, the terms of which stay side by side."""

    def __init__(self, channels: int, maximum: bool = False) -> None:
        super().__init__(channels, 2 * channels // 16)
        if maximum:
            self.spatial = Share()

    def forward(self, image: Tensor, flow: Tensor) -> Tensor:
        """Two ``(N, C, H, W)`` → ``(N, 2C, H, W)``."""
        return torch.cat(self.terms(image, flow), dim=1)


class Encoder(nn.Module):
    """The streams, ``_1`` for the image and ``_2`` for flow; they cross from level 3 on."""

    def __init__(self, crossing: Meeting, fusion: Meeting) -> None:
        super().__init__()
        for stream in (1, 2):
            net = resnet101()
            self.add_module(f"conv1_{stream}", net.conv1)
            self.add_module(f"bn1_{stream}", net.bn1)
            for level in WIDTHS:
                self.add_module(f"res{level}_{stream}", net.get_submodule(f"layer{level - 1}"))
        for level, width in WIDTHS.items():
            if level > 2:
                self.add_module(f"coa_res{level}", crossing(width))
            self.add_module(f"gated_res{level}", fusion(width))

    def forward(self, image: Tensor, flow: Tensor) -> dict[int, Tensor]:
        """Two ``(N, 3, H, W)`` → level → the fused map."""
        pair, fused = (self.stem(image, 1), self.stem(flow, 2)), {}
        for level in WIDTHS:
            pair = self.run(f"res{level}_1", pair[0]), self.run(f"res{level}_2", pair[1])
            if level > 2:
                pair = self.run(f"coa_res{level}", *pair)
            fused[level] = self.run(f"gated_res{level}", *pair)
        return fused

    def stem(self, x: Tensor, stream: int) -> Tensor:
        """Convolution, norm, ReLU and max-pool of a stream."""
        return F.max_pool2d(F.relu(self.run(f"bn1_{stream}", self.run(f"conv1_{stream}", x))), 3, 2, 1)

    def run(self, name: str, *maps: Tensor) -> Any:
        """A layer by its name."""
        return self.get_submodule(name)(*maps)


class Boundary(nn.Module):
    """Edges of the object in a fused map, as logits."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = conv3(channels, 64)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv2 = conv3(64, 64)
        self.conv3 = nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, 1, H, W)``."""
        x = F.relu(self.conv1(self.bn1(x)))
        return self.conv3(F.relu(self.conv2(self.bn2(x))))


class GlobalConv(nn.Module):
    """A 7 × 7 field in two ways: down then across, and across then down."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 256) -> None:
        super().__init__()
        self.conv_l1 = nn.Conv2d(inputs, hidden, (7, 1), padding=(3, 0))
        self.conv_l2 = nn.Conv2d(hidden, outputs, (1, 7), padding=(0, 3))
        self.conv_r1 = nn.Conv2d(inputs, hidden, (1, 7), padding=(0, 3))
        self.conv_r2 = nn.Conv2d(hidden, outputs, (7, 1), padding=(3, 0))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` → ``(N, outputs, H, W)``."""
        return self.conv_l2(self.conv_l1(x)) + self.conv_r2(self.conv_r1(x))


class Pyramid(nn.Module):
    """Four convolutions side by side; as published, the first dilated one thrice, and the other two never."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block0 = nn.Conv2d(inputs, outputs, 1)
        self.block1, self.block2, self.block3 = (dilated(inputs, outputs) for _ in range(3))
        self.bn = nn.BatchNorm2d(4 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` → ``(N, 4 · outputs, H, W)``."""
        return self.bn(torch.cat([self.block0(x), *3 * [self.block1(x)]], dim=1))


class Refine(nn.Module):
    """A finer map, to which the coarser one is added."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.convFS1 = conv3(inputs, channels)  # published, but never run
        self.convFS2, self.convFS3, self.convMM1, self.convMM2 = (conv3(channels, channels) for _ in range(4))
        self.pdc = Pyramid(inputs, channels // 4)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` and ``(N, channels, h, w)`` → ``(N, channels, H, W)``."""
        fine = residual(self.pdc(fine), self.convFS2, self.convFS3)
        return residual(fine + resize(coarse, size_of(fine)), self.convMM1, self.convMM2)


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 × 3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def dilated(inputs: int, outputs: int) -> nn.Module:
    """A 3 × 3 convolution of dilation 3, named as in the published weights."""
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, padding=3, dilation=3)))


def residual(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """A residual block, with a ReLU before either convolution."""
    return x + second(F.relu(first(F.relu(x))))


class Decoder(nn.Module):
    """Fused maps, coarsest first, each with the edges that were found in it → masks."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.GC = GlobalConv(2 * WIDTHS[5] + 1, 256)
        self.convG1, self.convG2 = conv3(256, 256), conv3(256, 256)
        for level, width in WIDTHS.items():
            self.add_module(f"bdry{level}", Boundary(2 * width))
            self.add_module(f"pred{level}", conv3(256, num_classes))  # only that of level 2 runs
            if level < 5:
                self.add_module(f"RF{level}", Refine(2 * width + 1, 256))
        self.concat = conv3(4, 1)

    def forward(self, fused: dict[int, Tensor], size: Size) -> Pair:
        """Level → ``(N, 2C, H, W)``, and a height and width → masks and edges of that size, as logits."""
        edges = {level: self.get_submodule(f"bdry{level}")(x) for level, x in fused.items()}
        led = {level: torch.cat([x, edges[level]], dim=1) for level, x in fused.items()}
        x = residual(self.GC(led[5]), self.convG1, self.convG2)
        for level in (4, 3, 2):
            x = self.get_submodule(f"RF{level}")(led[level], x)
        edge = self.concat(torch.cat([resize(edges[level], size) for level in WIDTHS], dim=1))
        return resize(self.get_submodule("pred2")(F.relu(x)), size), edge


class MATNet(TwoStream):
    """``{"Image": (N, 3, H, W), "Flow": (N, 3, H, W)}`` → masks in 0..1, ``(N, num_classes, H, W)``.

    Args:
        num_classes: Masks, one for the objects.
        crossing: Channels of a stream → the module through which the streams meet.
        fusion: Channels of a stream → the module that fuses them.
        size: Height and width of the masks; ``None`` means those of the input. Published: 473 × 473.
    """

    def __init__(
        self, num_classes: int, crossing: Meeting = CoAttention, fusion: Meeting = Gated, size: Size | None = None
    ) -> None:
        super().__init__()
        self.encoder = Encoder(crossing, fusion)
        self.decoder = Decoder(num_classes)
        self.size = size

    def forward(self, frames: Frames) -> Tensor:
        """Masks; edges are for training."""
        image, flow = self.streams(frames)
        mask, _ = self.decoder(self.encoder(image, flow), self.size or size_of(image))
        return mask.sigmoid()

    def adapt_checkpoint(self, state: State) -> State:
        """Later weights of the authors of the variants lack convolutions that never run; any values serve there."""
        if not any(key.startswith("decoder.RF") for key in state):  # another model's
            return state
        return {key: value for key, value in self.state_dict().items() if IDLE.search(key)} | state


IDLE = re.compile(r"\.(convFS1|block[23]\.conv)\.")
STREAMS = {
    name: {
        "conv1": f"encoder.conv1_{item + 1}",  # before its norm
        "layer1": f"encoder.res2_{item + 1}",
        **{f"layer{level - 1}": f"encoder.coa_res{level}[{item}]" for level in (3, 4, 5)},
    }
    for item, name in enumerate(("app_stream", "mot_stream"))
}
FUSED = {f"layer{level - 1}": f"encoder.gated_res{level}" for level in WIDTHS} | {"layerf": "decoder.RF2"}
family = partial(
    register_model,
    stages=stages({**STREAMS, "sensor_fusion": FUSED}),
    recipe=recipe(),
    paper=PAPER,
    num_classes=1,
)


@family(aliases=("matnet", "matnet_coatt", "matnet_unidir"))
def matnet_gated(num_classes: int) -> nn.Module:
    """MATNet as published: image features attend to flow, flow to itself; gated fusion."""
    return MATNet(num_classes)


@family()
def matnet_gated_noglobal(num_classes: int) -> nn.Module:
    """MATNet; gated fusion without the gate for whole maps."""
    return MATNet(num_classes, fusion=partial(Gated, whole=False))


@family()
def matnet_convex_gated(num_classes: int) -> nn.Module:
    """MATNet; convex fusion."""
    return MATNet(num_classes, fusion=GatedConvex)


@family()
def matnet_convex_gated_spatialconv(num_classes: int) -> nn.Module:
    """MATNet; convex fusion, its share of a position from the maximum over channels alone."""
    return MATNet(num_classes, fusion=partial(GatedConvex, maximum=True))


@family()
def matnet_coatt_add(num_classes: int) -> nn.Module:
    """MATNet; the flow map is added to the image stream, too."""
    return MATNet(num_classes, partial(CoAttention, add=True))


@family(aliases=("matnet_unidir_gated",))
def matnet_coatt_gated(num_classes: int) -> nn.Module:
    """MATNet; from flow to image only, with gates."""
    return MATNet(num_classes, partial(CoAttention, gated=True))


@family(aliases=("matnet_bidir",))
def matnet_coatt_recip(num_classes: int) -> nn.Module:
    """MATNet; in both directions."""
    return MATNet(num_classes, partial(CoAttention, reciprocal=True))


@family(aliases=("matnet_bidir_gated",))
def matnet_coatt_gated_recip(num_classes: int) -> nn.Module:
    """MATNet; in both directions, with gates."""
    return MATNet(num_classes, partial(CoAttention, reciprocal=True, gated=True))


@family()
def matnet_coatt_softmax(num_classes: int) -> nn.Module:
    """MATNet; affinities normalised by a softmax."""
    return MATNet(num_classes, partial(CoAttention, normalise=softmax))


@family()
def matnet_coatt_recip_softmax_convex(num_classes: int) -> nn.Module:
    """MATNet; in both directions, affinities normalised by a softmax, convex fusion."""
    return MATNet(num_classes, partial(CoAttention, reciprocal=True, normalise=softmax), GatedConvex)
