"""The generator that paints a frame, and the discriminator that distinguishes painted patches from those of the key.

Texler et al., "Interactive video stylization using few-shot patch-based training", SIGGRAPH 2020. The modules have the
names of the published checkpoints.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.media.clip import Frames

NORMS = ("batch", "instance")
MOST = 4096
"""Channels, residual blocks and inputs of a generator."""
STRIDE = 4
"""The generator halves a frame twice."""


@dataclass(frozen=True)
class Architecture:
    """The structure of a generator; the defaults are those of the published class.

    Attributes:
        filters: Channels of conv0, conv1, conv2, the residual blocks (as many), both upconvs, conv_11.
        blocks: Residual blocks.
        bias: Whether convolutions have one; those of the upconvs have none, conv_12 always.
        tanh: Whether colours end in tanh.
        smoothers: Whether two more convolutions follow conv_11.
        norm: ``batch``, or ``instance`` (without parameters).
        inputs: Channels of the input: 3, and 3 more for each guide.

    Raises:
        UserError: If the numbers are not those of a generator.
    """

    filters: tuple[int, ...] = (64, 128, 128, 128, 128, 64)
    blocks: int = 9
    bias: bool = False
    tanh: bool = False
    smoothers: bool = False
    norm: str = "batch"
    inputs: int = 3

    def __post_init__(self) -> None:
        for count in (*self.filters, self.blocks, self.inputs):
            if not isinstance(count, int) or isinstance(count, bool) or count > MOST:
                raise UserError(
                    f"The filters and blocks of a generator must be whole numbers up to {MOST}. Got {count!r:.40}."
                )
        object.__setattr__(self, "filters", tuple(self.filters))
        if len(self.filters) != 6 or min(self.filters) < 1 or self.filters[2] != self.filters[3]:
            raise UserError(
                "A generator requires six filters, 1 or more, of which the third and the fourth are equal. "
                f"Got {','.join(map(str, self.filters))}."
            )
        if self.blocks < 0 or self.inputs < 3:
            raise UserError(
                f"A generator requires 0 blocks or more and 3 inputs or more. Got {self.blocks}, {self.inputs}."
            )
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "Architecture":
        """The architecture whose generator has these weights, as far as their names and shapes show.

        Instance norm has no weights: a state without any norm's is taken for one.

        Raises:
            UserError: If these are not weights of a generator.
        """
        names = ("conv0.conv", "conv1.conv", "conv2.conv", "conv2.conv", "upconv1.1", "conv_11.0")
        try:
            filters = tuple(len(state[f"{name}.weight"]) for name in names)
            inputs = state["conv0.conv.weight"].shape[1]
        except KeyError as missing:
            raise UserError(f"These are not the weights of a generator: {missing} is missing.") from None
        return cls(
            filters=filters,
            blocks=len({key.split(".")[1] for key in state if key.startswith("resnets.")}),
            bias="conv0.conv.bias" in state,
            tanh="conv_12.0.weight" in state,
            smoothers="conv_11_a.0.weight" in state,
            norm="batch" if "conv0.normalization.weight" in state else "instance",
            inputs=inputs,
        )


def _norm(kind: str, channels: int) -> nn.Module:
    makers: dict[str, Any] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}
    module: nn.Module = makers[kind](channels)
    return module


def as_input(frames: Frames, device: torch.device | str = "cpu") -> Tensor:
    """``(N, H, W, 3)`` uint8 RGB → ``(N, 3, H, W)`` in -1..1, channels last in memory."""
    pixels = torch.from_numpy(np.require(frames, requirements=("C", "W")))
    return pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_frames(painted: Tensor) -> Frames:
    """``(N, 3, H, W)``, -1..1 and beyond → ``(N, H, W, 3)`` uint8 RGB, cut off to whole levels as published."""
    levels = (painted.float().clamp(-1, 1) + 1) * 127.5
    return levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


class Down(nn.Module):
    """Convolution, norm, leaky ReLU."""

    def __init__(self, of: int, to: int, side: int, stride: int, plan: Architecture) -> None:
        super().__init__()
        self.conv = nn.Conv2d(of, to, side, stride, side // 2, bias=plan.bias)
        self.normalization = _norm(plan.norm, to)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, of, H, W)`` → ``(N, to, H / stride, W / stride)``."""
        return F.leaky_relu(self.normalization(self.conv(x)), 0.2)


class Residual(nn.Module):
    """``x + conv_1(ReLU(norm(conv_0(ReLU(x)))))``."""

    def __init__(self, channels: int, plan: Architecture) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, channels, 3, padding=1, bias=plan.bias)
        self.normalization = _norm(plan.norm, channels)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1, bias=plan.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → the same shape."""
        return x + self.conv_1(F.relu(self.normalization(self.conv_0(F.relu(x)))))


def _up(of: int, to: int, plan: Architecture) -> nn.Sequential:
    convolution = nn.Conv2d(of, to, 3, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution, _norm(plan.norm, to), nn.ReLU())


class Generator(nn.Module):
    """Paints frames, 4 pixels a side or more: a U-net whose middle is residual blocks at a quarter of the size.

    The published module takes sides that are multiples of four only and evaluates conv2 twice, which moves the
    statistics of its norm twice for each training step; here it is evaluated once.

    Args:
        plan: Its structure.
    """

    def __init__(self, plan: Architecture) -> None:
        super().__init__()
        self.plan = plan
        f0, f1, f2, f3, f4, f5 = plan.filters
        self.conv0 = Down(plan.inputs, f0, 7, 1, plan)
        self.conv1 = Down(f0, f1, 3, 2, plan)
        self.conv2 = Down(f1, f2, 3, 2, plan)
        self.resnets = nn.ModuleList(Residual(f2, plan) for _ in range(plan.blocks))
        self.upconv2 = _up(f3 + f2, f4, plan)
        self.upconv1 = _up(f4 + f1, f4, plan)
        self.conv_11 = nn.Sequential(nn.Conv2d(f0 + f4 + plan.inputs, f5, 7, padding=3, bias=plan.bias), nn.ReLU())
        self.conv_11_a = _smoothers(f5, plan) if plan.smoothers else nn.Identity()
        colours = nn.Conv2d(f5, 3, 1)
        self.conv_12 = nn.Sequential(colours, nn.Tanh()) if plan.tanh else colours

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` in -1..1 → painted ``(N, 3, H, W)``; sides are padded by reflection if necessary."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="reflect")
        whole = self.conv0(x)
        half = self.conv1(whole)
        quarter = inner = self.conv2(half)
        for block in self.resnets:
            inner = block(inner)
        inner = self.upconv2(torch.cat([inner, quarter], dim=1))
        inner = self.upconv1(torch.cat([inner, half], dim=1))
        inner = self.conv_11_a(self.conv_11(torch.cat([inner, whole, x], dim=1)))
        painted: Tensor = self.conv_12(inner)
        return painted[..., :height, :width]


def _smoothers(channels: int, plan: Architecture) -> nn.Sequential:
    """Two convolutions with a batch norm between, independently of the other norms."""
    first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=plan.bias) for _ in range(2))
    return nn.Sequential(first, nn.ReLU(), nn.BatchNorm2d(channels), second, nn.ReLU())


class Discriminator(nn.Module):
    """Judges for every place of a picture whether its surroundings are a real painting: a map of logits."""

    def __init__(self) -> None:
        super().__init__()
        steps = {
            "conv0": _judge(3, 12, stride=2, norm=False),
            "conv_1": _judge(12, 24, stride=2, norm=True),
            "conv_2": _judge(24, 48, stride=1, norm=True),
            "conv_out": nn.Sequential(OrderedDict(conv=nn.Conv2d(48, 1, 4, padding=1))),
        }
        self.net = nn.Sequential(OrderedDict(steps))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` → ``(N, 1, h, w)``."""
        logits: Tensor = self.net(x)
        return logits


def _judge(of: int, to: int, stride: int, norm: bool) -> nn.Sequential:
    steps: dict[str, nn.Module] = {"conv": nn.Conv2d(of, to, 4, stride, padding=1)}
    if norm:
        steps["norm"] = nn.InstanceNorm2d(to)
    return nn.Sequential(OrderedDict(steps, active=nn.LeakyReLU(0.2)))
