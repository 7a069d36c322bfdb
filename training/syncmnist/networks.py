"""The networks of the experiment: a plain 2-D network per frame, in which graphs are the only path along time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from torch import Tensor, nn

from static_dynamic.common.errors import UserError
from static_dynamic.models.action.tsm import Shift
from static_dynamic.models.dyreg.graph import RELEASED, DynamicGraph, ResidualGraph
from static_dynamic.models.dyreg.regions import Regions, windows
from static_dynamic.training.syncmnist.settings import Setting

WIDTH = 32
"""Channels of the small front."""
OFFSET = 0.5
"""Pixels from a box's edge to the middle of the first pixel, where cell 0 is: all convolutions have odd widths."""


class Variant(NamedTuple):
    """How a network differs from the others.

    Attributes:
        regions: Regions of its graphs, as in ``models.dyreg.graph.Options``; ``None``: no graph.
        boxes: Whether the true regions are given.
        published: Whether graphs have the options and the start of the released networks.
        shift: Whether the convolutions behind the front see frames shifted in time.
        peaks: Whether windows are centred on peaks, each node on its own, as many nodes as digits.
    """

    regions: Literal["dynamic", "static", "fixed"] | None
    boxes: bool = False
    published: bool = False
    shift: bool = False
    peaks: bool = False


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "backbone": Variant(None),
        "fixed nodes": Variant("fixed"),
        "static regions": Variant("static"),
        "DyReg as published": Variant("dynamic", published=True),
        "DyReg": Variant("dynamic"),
        "DyReg at peaks": Variant("dynamic", peaks=True),
        "true boxes": Variant("fixed", boxes=True),
        "backbone with shift": Variant(None, shift=True),
    }
)


def make_graph(channels: int, side: int, setting: Setting, variant: Variant) -> ResidualGraph:
    """A graph of the setting, with the regions of the variant."""
    options = replace(setting.options, regions=variant.regions or "fixed")
    if variant.published:
        options = replace(RELEASED, grid=options.grid, anchors=options.anchors, offset_dim=options.offset_dim)
    if variant.peaks:
        options = replace(options, generator="peaks", grid=(1, setting.count))
    graph = DynamicGraph(channels, (side, side), options=options)
    return ResidualGraph(graph, scale=0.0) if variant.published else ResidualGraph(graph)


def block(channels: int, out: int, stride: int = 1, shifted: int = 0) -> nn.Sequential:
    """Convolution, norm and ReLU of frames; ``shifted``: how many make a clip, along which channels are shifted."""
    conv = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
    return nn.Sequential(Shift(conv, shifted) if shifted else conv, nn.BatchNorm2d(out), nn.ReLU())


class Stage(NamedTuple):
    """A part of the backbone, its channels, and how many pixels a cell of its map has in a row."""

    module: nn.Module
    channels: int
    pixels: int


def small_stages(setting: Setting, variant: Variant) -> list[Stage]:
    """Five convolutions; the first three are the front."""
    front = nn.Sequential(block(1, 16, 2), block(16, WIDTH, 2), block(WIDTH, WIDTH))
    frames = setting.frames * variant.shift
    back = nn.Sequential(block(WIDTH, 2 * WIDTH, 2, frames), block(2 * WIDTH, 2 * WIDTH, 1, frames))
    return [Stage(front, WIDTH, 4), Stage(back, 2 * WIDTH, 8)]


def resnet_stages() -> list[Stage]:
    """ResNet-18 without its layer 4, for grey frames."""
    from torchvision.models import resnet18

    net = resnet18()
    stem = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3, bias=False), net.bn1, net.relu, net.maxpool, net.layer1)
    return [Stage(stem, 64, 4), Stage(net.layer2, 128, 8), Stage(net.layer3, 256, 16)]


class Network(nn.Module):
    """``(N, 1 or more, T, H, W)`` in 0..1, of which the first channel is used → class scores.

    Stages see every frame by itself, and graphs follow them: in the small network after the front, which is frozen, in
    the published one after every stage. Scores come from the mean over space and time.

    Args:
        setting: Clips and network.
        variant: How it differs.

    Example:
        >>> import torch
        >>> from static_dynamic.training.syncmnist.settings import SETTINGS
        >>> network = Network(SETTINGS["small"], VARIANTS["DyReg"])
        >>> network(torch.rand(2, 1, 6, 32, 32)).shape, network.regions[0].centre.shape
        (torch.Size([2, 3]), torch.Size([2, 6, 2, 2]))
    """

    def __init__(self, setting: Setting, variant: Variant) -> None:
        super().__init__()
        self.variant, self.frozen = variant, setting.front_steps > 0
        stages = small_stages(setting, variant) if self.frozen else resnet_stages()
        self.stages = nn.ModuleList(stage.module for stage in stages)
        self.graphs = nn.ModuleList()
        if variant.regions:
            for stage in stages[:1] if self.frozen else stages:
                self.graphs.append(make_graph(stage.channels, setting.canvas.size // stage.pixels, setting, variant))
        self.classifier = nn.Linear(stages[-1].channels, setting.classes)
        self.regions: list[Regions] = []

    def train(self, mode: bool = True) -> "Network":
        """A frozen front stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.stages[0].requires_grad_(False).eval()
        return self

    def forward(self, clips: Tensor, boxes: Tensor | None = None, regions: Sequence[Regions] | None = None) -> Tensor:
        """Class scores; afterwards ``self.regions`` are those of these clips.

        Args:
            clips: ``(N, 1 or more, T, H, W)``.
            boxes: ``(N, T, digits, 4)`` in pixels; the places of the nodes, for the variant with true boxes.
            regions: Regions for every graph, which replace its own.
        """
        count, frames = len(clips), clips.shape[2]
        x, self.regions = clips[:, 0].flatten(0, 1)[:, None], []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number < len(self.graphs):
                given = regions[number] if regions else self._given(boxes, clips.shape[-1], x.shape[-1])
                x, found = self.graphs[number](x.unflatten(0, (count, frames)), True, given)
                self.regions.append(found)
                x = x.flatten(0, 1)
        return self.classifier(x.mean((2, 3)).unflatten(0, (count, frames)).mean(1))

    def _given(self, boxes: Tensor | None, side: int, cells: int) -> Regions | None:
        """The true regions, for the variant that takes them."""
        if not self.variant.boxes:
            return None
        if boxes is None:
            raise UserError("This network takes the boxes of the digits as its second argument. Got only clips.")
        return at_boxes(boxes, side / cells, (cells, cells))


def at_boxes(boxes: Tensor, pixels: float, size: tuple[int, int]) -> Regions:
    """Windows on boxes in pixels, ``(N, T, digits, 4)``: as wide as these, and a cell wider on each side.

    Args:
        boxes: Top, left, bottom, right.
        pixels: Pixels of a cell.
        size: H and W of the map.
    """
    low, high = boxes[..., :2] / pixels, boxes[..., 2:] / pixels
    return windows((low + high) / 2 - OFFSET / pixels, (high - low) / 2 + 1, size)
