"""What the networks for video object segmentation share: two streams, one for the image, one for its optical flow."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.spec import FlowRecipe, Stage

Size = tuple[int, int]


class Frames(TypedDict):
    """An image and its optical flow, which is drawn as a second image and normalised like one."""

    Image: Tensor
    Flow: Tensor


class TwoStream(nn.Module):
    """A network that takes ``{"Image": x, "Flow": y}`` and returns masks.

    Attributes:
        inputs: Name → the axes that stand between clips and height and width: channels, or frames and channels.
    """

    inputs: ClassVar[Mapping[str, tuple[int, ...]]] = {"Image": (3,), "Flow": (3,)}

    def streams(self, frames: Frames) -> tuple[Tensor, Tensor]:
        """The two inputs, if their shapes fit.

        Raises:
            ModelError: If they do not fit.
        """
        found: list[Any] = [frames.get(name) for name in self.inputs] if isinstance(frames, Mapping) else []
        shapes = [tuple(x.shape) for x in found if isinstance(x, Tensor)]
        if shapes and shapes == [(*shapes[0][:1], *axes, *shapes[0][-2:]) for axes in self.inputs.values()]:
            image, flow = found
            return image, flow
        names = (f"'{name}' (N, {', '.join(map(str, axes))}, H, W)" for name, axes in self.inputs.items())
        given = shapes if isinstance(frames, Mapping) else type(frames).__name__
        raise ModelError(f"The input must be a dict of {', '.join(names)}, all of one size. Got {given}.")


class Gating(nn.Module):
    """Maps, each times 1 + g, where g is its own map, from a 1 × 1 convolution and sigmoid over all of them."""

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(maps * channels, maps, 1), nn.Sigmoid())

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Maps ``(N, C, H, W)`` → as many of the same shape."""
        gates = self.conv(torch.cat(maps, dim=1)).split(1, dim=1)
        return tuple(x + x * gate for x, gate in zip(maps, gates, strict=True))


class ChannelBalance(nn.Module):
    """For every channel, f of one map and 1 − f of the other; f comes from the average of both."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(2 * channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps ``(N, C, H, W)`` → two of the same shape."""
        average = torch.cat([a, b], dim=1).mean((2, 3), keepdim=True)
        share = self.fc2(F.relu(self.fc1(average))).sigmoid()
        return a * share, b * (1 - share)


class SpatialBalance(nn.Module):
    """For every position, x of one map and 1 − x of the other; x comes from the mean and maximum over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 1, 7, padding=3, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps ``(N, C, H, W)`` → two of the same shape."""
        summary = [y for x in (a, b) for y in (x.mean(1, keepdim=True), x.amax(1, keepdim=True))]
        share = self.conv1(torch.cat(summary, dim=1)).sigmoid()
        return a * share, b * (1 - share)


class Balance(nn.Module):
    """The convex combination of two maps, first per channel, then per position, before its terms are put together."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channel = ChannelBalance(channels, hidden)
        self.spatial: nn.Module = SpatialBalance()

    def terms(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps ``(N, C, H, W)`` → two of the same shape."""
        first, second = self.spatial(*self.channel(a, b))
        return first, second


def resize(x: Tensor, size: Size, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation of ``(N, C, H, W)`` to a height and width."""
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def size_of(x: Tensor) -> Size:
    """Height and width."""
    height, width = x.shape[-2:]
    return height, width


def stages(places: Mapping[str, Mapping[str, str]], layout: str = "N C H W") -> dict[str, Stage]:
    """Stream → layer → module, or ``module[item]``; entries ``<stream>.<layer>`` of the registry."""
    found = {}
    for stream, layers in places.items():
        for layer, place in layers.items():
            module, _, item = place.rstrip("]").partition("[")
            found[f"{stream}.{layer}"] = Stage(module, layout, int(item) if item else None)
    return found


def recipe(frames: int = 1, flows: tuple[str, ...] = ("forward",)) -> FlowRecipe:
    """The published input; flow is drawn as an image and normalised like one."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return FlowRecipe(frames=frames, flows=flows, size=(480, 854), mean=mean, std=std)
