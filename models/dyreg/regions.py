"""Where the nodes of a DyReg graph are: the windows, and the two published ways to guess them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FISH = 32  # channels of the global feature


class Regions(NamedTuple):
    """Where the nodes are, in cells of the feature map; rows before columns.

    Attributes:
        centre: ``(B, T, nodes, 2)``, within the map.
        half_size: ``(B, T, nodes, 2)``; from there on the window is zero.
        kernels: The windows, ``(B, T, nodes, H, W)``, each of sum 1.
    """

    centre: Tensor
    half_size: Tensor
    kernels: Tensor

    @property
    def foreground(self) -> Tensor:
        """The mean of the windows, ``(B, T, H, W)``, of sum 1."""
        return normalised(self.kernels.mean(2))

    @property
    def background(self) -> Tensor:
        """The foreground's maximum minus the foreground, ``(B, T, H, W)``, of sum 1, or 0 if it is constant."""
        return normalised(self.foreground.amax((-2, -1), keepdim=True) - self.foreground)


def windows(centre: Tensor, half_size: Tensor, size: tuple[int, int]) -> Regions:
    """Tents: ``K(y, x) = relu(a − |y − u|) · relu(b − |x − v|)``, divided by its sum (arXiv:2009.08427).

    Args:
        centre: ``(…, 2)``, u and v.
        half_size: ``(…, 2)``, a and b.
        size: H and W of the map.
    """
    rows, columns = (
        F.relu(half_size[..., axis, None] - (torch.arange(side, device=centre.device) - centre[..., axis, None]).abs())
        for axis, side in enumerate(size)
    )
    return Regions(centre, half_size, normalised(rows[..., :, None] * columns[..., None, :]))


def masks(kernels: Tensor) -> Regions:
    """Masks of any form, ``(…, H, W)`` of sum 1, as regions: the tents of the same mean and variance, a²/6."""
    ys, xs = (torch.arange(side, device=kernels.device, dtype=kernels.dtype) for side in kernels.shape[-2:])
    rows, columns = kernels.sum(-1), kernels.sum(-2)
    centre = torch.stack([rows @ ys, columns @ xs], -1)
    square = torch.stack([rows @ ys**2, columns @ xs**2], -1)
    return Regions(centre, (6 * (square - centre**2)).clamp_min(0).sqrt(), kernels)


def normalised(kernels: Tensor) -> Tensor:
    """``(…, H, W)`` of sum 1."""
    return kernels / (kernels.sum((-2, -1), keepdim=True) + 1e-37)


class Norm(nn.Module):
    """Layer norm over the last axes, then a scale and a shift per channel; the parameters' shape says where that is."""

    def __init__(self, axes: int, *shape: int) -> None:
        super().__init__()
        self.axes = axes
        self.scale = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape that ends in those axes → the same."""
        return F.layer_norm(x, x.shape[-self.axes :]) * self.scale + self.bias


def map_norm(channels: int) -> Norm:
    """Over channels and positions of ``(…, C, H, W)``."""
    return Norm(3, 1, channels, 1, 1)


class Fishnet(nn.Module):
    """The ``big`` generator's global feature: convolutions down, one up with a skip, one down again.

    Args:
        channels: Channels of the map.
        size: H and W of the map; larger maps have larger strides.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = tuple(28 if side > 50 else side for side in size)  # larger maps are pooled first
        height, width = self.size
        first = (1 + (height > 10), 1 + (width > 10))
        second = (1 + (height > 20), 1 + (width > 20))
        padding = (2 - second[0], 2 - second[1])
        norms = {"norm1": FISH, "tail_norm_0": FISH, "tail_norm_1": 16, "body_trans_norm_0": FISH, "head_norm_0": 16}
        self.norm_dict = nn.ModuleDict({name: map_norm(count) for name, count in norms.items()})
        self.conv1 = nn.Conv2d(channels, FISH, 1)
        tail = nn.Conv2d(FISH, FISH, 3, first), nn.Conv2d(FISH, 16, 3, second, padding)
        self.tail_conv = nn.ModuleList(tail)
        self.body_trans_conv = nn.ModuleList([nn.ConvTranspose2d(16, FISH, 3, second, padding)])
        self.head_conv = nn.ModuleList([nn.Conv2d(FISH, 16, 3, second, padding)])
        # 3 × 3 kernels: the first has no padding; the others have, unless their stride is 2.
        middle = [(side - 3) // stride + 1 for side, stride in zip(self.size, first, strict=True)]
        height, width = ((side - 3) // 2 + 1 if pad == 0 else side for side, pad in zip(middle, padding, strict=True))
        self.output = height, width

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *size)`` → ``(N, 16, *output)``."""
        x = self._rectified("norm1", self.conv1(F.adaptive_max_pool2d(x, self.size)))
        skip = self._rectified("tail_norm_0", self.tail_conv[0](x))
        x = self._rectified("tail_norm_1", self.tail_conv[1](skip))
        x = self.body_trans_conv[0](x, output_size=skip.shape[-2:])
        x = self._rectified("body_trans_norm_0", x) + skip
        return self._rectified("head_norm_0", self.head_conv[0](x))

    def _rectified(self, norm: str, x: Tensor) -> Tensor:
        return self.norm_dict[norm](F.relu(x))


class Glore(nn.Module):
    """The ``small`` generator: sums of features and positions under soft masks (after Chen et al., arXiv:1811.12814).

    Args:
        channels: Channels of the map.
        size: H and W of the map.
        nodes: Number of masks.
        width: Width of the output.
    """

    positions: Tensor

    def __init__(self, channels: int, size: tuple[int, int], nodes: int, width: int) -> None:
        super().__init__()
        self.mask_conv = nn.Conv2d(channels, nodes, 1)
        self.sin_pos_emb_proj = nn.Conv2d(channels, channels, 1)
        self.update = nn.Conv1d(channels, width, 1)
        rows, columns = (self._waves(side, (channels + 1) // 2) for side in size)
        rows, columns = torch.broadcast_tensors(rows[:, :, None], columns[:, None, :])
        self.register_buffer("positions", torch.cat([rows, columns])[:channels], persistent=False)

    @staticmethod
    def _waves(side: int, channels: int) -> Tensor:
        """Sines and cosines in turn, ``(channels, side)``; each has its own period."""
        number = torch.arange(channels)[:, None]
        phase = torch.linspace(0, 1, side) / 10000 ** (number / channels)
        return torch.where(number % 2 == 0, phase.sin(), phase.cos())

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *size)`` → ``(N, nodes, width)``."""
        placed = x + self.sin_pos_emb_proj(self.positions)
        sums = torch.einsum("bchw,bnhw->bcn", placed, self.mask_conv(x).softmax(1))
        return self.update(sums).transpose(1, 2)
