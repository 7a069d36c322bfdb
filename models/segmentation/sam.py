"""The conv body of "segment any moving": two ResNet-50 with feature pyramids, merged level by level.

Dave et al., Towards Segmenting Anything That Moves, ICCV Workshops 2019, arXiv:1902.03715: a Mask R-CNN of two streams.
Its heads, which see the regions of single objects, are left out; all layers before them are included.

The published measurement names fifteen stages without stating where they are. So the names are the published ones, and
the places are our choice:

* ``app_stream`` and ``mot_stream``: ``layer1`` .. ``layer4`` are res2 .. res5, each after its last ReLU, as in the
  other segmentation models; ``conv1`` is res1, after norm, ReLU and pooling, where the others take it before the norm.
* ``sensor_fusion``: ``layer1`` .. ``layer4`` are the merged levels P2 .. P5, which have the size of the layers of the
  same name; ``conv1`` is P6, the coarsest, which is left over.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection.backbone_utils import BackboneWithFPN

from static_dynamic.models.registry import register_model
from static_dynamic.models.segmentation.vos_blocks import Frames, TwoStream, stages
from static_dynamic.models.spec import FlowRecipe
from static_dynamic.models.weights.keys import State

PAPER = "Dave et al., Towards Segmenting Anything That Moves, ICCV Workshops 2019, arXiv:1902.03715"
BGR_MEAN = (102.9801, 115.9465, 122.7717)
"""Mean of the images, 0..255; flow has none."""
WIDTH = 256
"""Channels of a pyramid."""
STRIDE = 32
"""Both sides of the network's input are multiples of it."""
LEVELS = ("p2", "p3", "p4", "p5", "p6")
STREAMS = ("app_stream", "mot_stream")


class Affine(nn.Module):
    """``weight · x + bias`` per channel: a batch norm with its statistics folded in, as Detectron keeps them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def pyramid() -> BackboneWithFPN:
    """A ResNet-50 as Detectron has it, the stride of a block on its first convolution; and levels from its layers."""
    net = resnet50(norm_layer=Affine)
    for layer in (net.layer2, net.layer3, net.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    taken = {f"layer{i}": level for i, level in enumerate(LEVELS[:-1], 1)}
    return BackboneWithFPN(net, taken, [256, 512, 1024, 2048], WIDTH)


class Merging(nn.Module):
    """Level by level: both maps side by side, then three 3 × 3 convolutions, the same for all levels."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv2d(channels, WIDTH, 3, padding=1) for channels in (2 * WIDTH, WIDTH, WIDTH)]
        self.convs = nn.Sequential(*(module for conv in convs for module in (conv, nn.ReLU())))

    def forward(self, app: Mapping[str, Tensor], mot: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Level → ``(N, C, h, w)`` of both streams → level → ``(N, C, h, w)``, finest first."""
        pairs = zip(app.values(), mot.values(), strict=True)
        return {level: self.convs(torch.cat(pair, dim=1)) for level, pair in zip(LEVELS, pairs, strict=True)}


class ConvBody(TwoStream):
    """``{"Image": (N, 3, H, W), "Flow": (N, 3, H, W)}``, RGB in 0..255 → merged levels p2 .. p6, ``(N, 256, h, w)``.

    The weights expect BGR, images minus their mean, and the right and lower edge padded with zeros. All of that is
    done here, so one recipe holds for both inputs. The network was trained on flow as :func:`flow_image` makes it; the
    published measurement gave it colour wheels.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.app_stream, self.mot_stream = pyramid(), pyramid()
        self.sensor_fusion = Merging()
        self.register_buffer("mean", torch.tensor(BGR_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, frames: Frames) -> dict[str, Tensor]:
        """Level → map; a position stands for 4, 8, 16, 32 or 64 pixels a side."""
        image, flow = (x.flip(1) for x in self.streams(frames))
        levels: dict[str, Tensor] = self.sensor_fusion(
            self.app_stream(filled_up(image - self.mean)), self.mot_stream(filled_up(flow))
        )
        return levels

    def adapt_checkpoint(self, state: State) -> State:
        """The body of a published ``model_step<step>.pth``, under the names here; the heads in it are left out."""
        state = {key.removeprefix("module."): x for key, x in state.items()}
        body = {key.removeprefix("Conv_Body."): x for key, x in state.items() if key.startswith("Conv_Body.")}
        return {_own(key): x for key, x in (body or state).items()}


def filled_up(x: Tensor) -> Tensor:
    """``(N, C, H, W)`` with zeros at the right and at the bottom, up to a multiple of ``STRIDE``."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE))


def flow_image(flow: Tensor) -> Tensor:
    """Flow as the network was trained on it: direction in red, length in green, nothing in blue.

    ``red = 255 (atan2(v, u) + π) / 2π``, ``green = 6 min(|flow| / d, 1)`` where ``d`` is the diagonal of the image.

    Args:
        flow: ``(N, 2, H, W)``, pixels to the right and down.

    Returns:
        ``(N, 3, H, W)``: ``Flow`` of the model, which must not be normalised again.
    """
    across, down = flow.unbind(1)
    height, width = flow.shape[-2:]
    direction = 255 * (torch.atan2(down, across) / torch.pi + 1) / 2
    length = 6 * (torch.hypot(across, down) / (height**2 + width**2) ** 0.5).clamp(max=1)
    return torch.stack([direction, length, torch.zeros_like(length)], dim=1)


def _names(body: int, stream: str) -> dict[str, str]:
    """Beginning of a published key → of ours; Detectron counts a pyramid from the top, torchvision from the bottom."""
    theirs, fpn = f"bodies.{body}", f"{stream}.fpn"
    return {
        f"{theirs}.conv_body.res1.": f"{stream}.body.",
        **{f"{theirs}.conv_body.res{i + 1}.": f"{stream}.body.layer{i}." for i in range(1, 5)},
        f"{theirs}.conv_top.": f"{fpn}.inner_blocks.3.0.",
        **{f"{theirs}.topdown_lateral_modules.{2 - i}.conv_lateral.": f"{fpn}.inner_blocks.{i}.0." for i in range(3)},
        **{f"{theirs}.posthoc_modules.{3 - i}.": f"{fpn}.layer_blocks.{i}.0." for i in range(4)},
    }


NAMES = {"adaptor.": "sensor_fusion.convs."} | _names(0, STREAMS[0]) | _names(1, STREAMS[1])


def _own(key: str) -> str:
    found = (ours + key.removeprefix(theirs) for theirs, ours in NAMES.items() if key.startswith(theirs))
    return next(found, key)


PLACES = {
    stream: {"conv1": f"{stream}.body.maxpool", **{f"layer{i}": f"{stream}.body.layer{i}" for i in range(1, 5)}}
    for stream in STREAMS
}
FUSED = {**{f"layer{i + 1}": f"sensor_fusion[{i}]" for i in range(4)}, "conv1": "sensor_fusion[4]"}
SIZE = (749, 1333)  # of 480 × 854 pixels with the short side at 800, were the long one not to stay within 1333
BYTE = 1 / 255  # inputs in 0..255


@register_model(
    stages=stages({**PLACES, "sensor_fusion": FUSED}),
    recipe=FlowRecipe(frames=1, flows=("forward",), size=SIZE, mean=(0.0, 0.0, 0.0), std=(BYTE, BYTE, BYTE)),
    paper=PAPER,
    num_classes=1,
    aliases=("sam",),
)
def sam_conv_body(num_classes: int) -> nn.Module:
    """Two-stream body of "segment any moving" (not "segment anything"), merged pyramids without heads: no classes."""
    return ConvBody()
