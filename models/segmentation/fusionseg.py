"""FusionSeg: two ResNet-101 that meet only in 1 × 1 convolutions, and the decoder of DeepLabv3+.

Jain et al., FusionSeg: Learning to Combine Motion and Appearance for Fully Automatic Segmentation of Generic Objects
in Videos, CVPR 2017, arXiv:1701.05384; in the form of Kowal et al., CVPR 2022, arXiv:2206.02846.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import ResNet, resnet101
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.ops import Conv2dNormActivation

from static_dynamic.models.registry import register_model
from static_dynamic.models.segmentation.vos_blocks import Frames, TwoStream, recipe, resize, size_of, stages

PAPER = (
    "Jain et al., FusionSeg: Learning to Combine Motion and Appearance for Fully Automatic Segmentation of Generic "
    "Objects in Videos, CVPR 2017, arXiv:1701.05384"
)
WIDTHS = {1: 256, 2: 512, 3: 1024, 4: 2048}  # channels of a layer
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}  # output stride → dilation in the pyramid


class Backbone(nn.Module):
    """The streams; their layers 1 and 4, or, with early fusion, those of both streams fused."""

    def __init__(self, output_stride: int, early: bool, norm: bool) -> None:
        super().__init__()
        self.app_stream = stream(output_stride)
        self.mot_stream = stream(output_stride)
        self.sensor_fusion = nn.ModuleDict()
        if early:  # the published weights have all four; layers 2 and 3 never run
            self.sensor_fusion.update({f"layer{level}": fusion(width, norm) for level, width in WIDTHS.items()})

    def forward(self, image: Tensor, flow: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Two ``(N, 3, H, W)`` → maps of layer 1, and of layer 4: one map each, or one per stream."""
        pairs = zip(layers(self.app_stream, image), layers(self.mot_stream, flow), strict=True)
        low, high = (list(pair) for pair in pairs)
        if not self.sensor_fusion:
            return low, high
        fuse = self.sensor_fusion
        return [fuse["layer1"](torch.cat(low, dim=1))], [fuse["layer4"](torch.cat(high, dim=1))]


def stream(output_stride: int) -> ResNet:
    """A ResNet-101 without classifier, the last stages of which are dilated."""
    net = resnet101(replace_stride_with_dilation=[False, output_stride == 8, True])
    del net.avgpool, net.fc
    return net


def layers(net: ResNet, x: Tensor) -> tuple[Tensor, Tensor]:
    """Layer 1 and layer 4 of a ResNet."""
    low = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))
    return low, net.layer4(net.layer3(net.layer2(low)))


def fusion(channels: int, norm: bool = False) -> nn.Module:
    """Two maps side by side → one."""
    conv = nn.Conv2d(2 * channels, channels, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels)) if norm else conv


class Head(nn.Module):
    """The decoder of DeepLabv3+ (Chen et al., ECCV 2018, arXiv:1802.02611, fig. 2); with late fusion it fuses, too."""

    def __init__(self, num_classes: int, output_stride: int, early: bool) -> None:
        super().__init__()
        self.project = Conv2dNormActivation(WIDTHS[1], 48, 1)
        self.aspp = ASPP(WIDTHS[4], RATES[output_stride])
        self.aspp.project[-1].p = 0.1
        narrow = Conv2dNormActivation(48 + 256, 256, 3)
        self.classifier = nn.Sequential(*narrow, nn.Conv2d(256, num_classes, 1))
        self.sensor_fusion = nn.ModuleDict()
        if not early:
            self.sensor_fusion.update({"low_level": fusion(WIDTHS[1]), "out": fusion(256)})

    def forward(self, low: list[Tensor], high: list[Tensor]) -> Tensor:
        """Maps of layer 1 and of layer 4 → logits of the size of layer 1."""
        fine, coarse = torch.cat(low, dim=1), torch.cat([self.aspp(x) for x in high], dim=1)
        if self.sensor_fusion:
            fine, coarse = self.sensor_fusion["low_level"](fine), self.sensor_fusion["out"](coarse)
        return self.classifier(torch.cat([self.project(fine), resize(coarse, size_of(fine))], dim=1))


class FusionSeg(TwoStream):
    """``{"Image": (N, 3, H, W), "Flow": (N, 3, H, W)}`` → logits ``(N, num_classes, H, W)``.

    Args:
        num_classes: Background and objects.
        output_stride: Pixels of the input per position of layer 4, 16 or 8.
        early: Whether the streams are fused before the decoder.
        norm: Whether a batch norm follows the early fusion.
    """

    def __init__(self, num_classes: int, output_stride: int = 16, early: bool = True, norm: bool = False) -> None:
        super().__init__()
        self.backbone = Backbone(output_stride, early, norm)
        self.classifier = Head(num_classes, output_stride, early)

    def forward(self, frames: Frames) -> Tensor:
        """Logits of every pixel, before the softmax."""
        image, flow = self.streams(frames)
        return resize(self.classifier(*self.backbone(image, flow)), size_of(image))


LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")  # conv1 is before its norm
STREAMS = {name: {layer: f"backbone.{name}.{layer}" for layer in LAYERS} for name in ("app_stream", "mot_stream")}
FUSED = {"sensor_fusion": {layer: f"backbone.sensor_fusion.{layer}" for layer in ("layer1", "layer4")}}
family = partial(register_model, stages=stages(STREAMS | FUSED), recipe=recipe(), paper=PAPER, num_classes=2)


@family(aliases=("fusionseg", "twostream_deeplabv3plus_resnet101"))
def fusionseg_os16(num_classes: int) -> nn.Module:
    """FusionSeg, the streams fused before the decoder, a position of its last layer for 16 pixels."""
    return FusionSeg(num_classes)


@family()
def fusionseg_os8_bnorm(num_classes: int) -> nn.Module:
    """FusionSeg, the streams fused and normalised before the decoder, a position of its last layer for 8 pixels."""
    return FusionSeg(num_classes, output_stride=8, norm=True)


@family(stages=stages(STREAMS))
def fusionseg_late_os16(num_classes: int) -> nn.Module:
    """FusionSeg, the streams fused within the decoder, a position of its last layer for 16 pixels."""
    return FusionSeg(num_classes, early=False)
