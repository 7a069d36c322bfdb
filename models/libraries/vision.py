"""Models of torchvision (``torchvision:r3d_18``) and image models of timm, frame by frame (``timm:resnet50``)."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError, unknown
from static_dynamic.models.libraries.foreign import Wrapped, blocks, no_such, numbered, pair, require_declared, triple
from static_dynamic.models.spec import DECLARED, Input, ModelSpec, Recipe, Stage, require_clip
from static_dynamic.models.weights.keys import State

# torchvision

RESNET = numbered("stage", ("stem", "layer1", "layer2", "layer3", "layer4"), "N C T H W", 1)
S3D = numbered("stage", (f"features.{i}" for i in (0, 3, 6, 12, 15)), "N C T H W", 1)  # the last before every pooling
SWIN = numbered("stage", (f"features.{i}" for i in (0, 2, 4, 6)), "N T H W C", 1)
MVIT = blocks("blocks", 16, "N (1 T=8 H W) C", item=0)

_TRAN = "Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018, arXiv:1711.11248"
_XIE = "Xie et al., Rethinking Spatiotemporal Feature Learning, ECCV 2018, arXiv:1712.04851"
_LIU = "Liu et al., Video Swin Transformer, CVPR 2022, arXiv:2106.13230"
_FAN = "Fan et al., Multiscale Vision Transformers, ICCV 2021, arXiv:2104.11227"
_LI = "Li et al., MViTv2: Improved Multiscale Vision Transformers, CVPR 2022, arXiv:2112.01526"

# Stages, frames and rate (clip_len and 30 / frame_rate of the library's notes on its weights), paper.
TORCHVISION: dict[str, tuple[Mapping[str, Stage], int, int, str]] = {
    "r3d_18": (RESNET, 16, 2, _TRAN),
    "mc3_18": (RESNET, 16, 2, _TRAN),
    "r2plus1d_18": (RESNET, 16, 2, _TRAN),
    "s3d": (S3D, 128, 2, _XIE),
    "mvit_v1_b": (MVIT, 16, 4, _FAN),
    "mvit_v2_s": (MVIT, 16, 4, _LI),
    "swin3d_t": (SWIN, 32, 2, _LIU),
    "swin3d_s": (SWIN, 32, 2, _LIU),
    "swin3d_b": (SWIN, 32, 2, _LIU),
}


def torchvision_model(model: str, asked: Input = DECLARED) -> ModelSpec:
    """One of torchvision's video classifiers; the library builds MViT for one input only."""
    if model not in TORCHVISION:
        raise unknown("torchvision model", model, TORCHVISION)
    import torchvision.models as library

    stages, frames, rate, paper = TORCHVISION[model]
    weights = library.get_model_weights(model).DEFAULT
    prepare = weights.transforms()
    crop = prepare.crop_size[0]
    if stages is MVIT:
        require_declared(f"torchvision:{model}", asked, frames, crop)
    return ModelSpec(
        name=f"torchvision:{model}",
        summary=f"{model} of torchvision.",
        build=lambda num_classes: library.get_model(model, weights=None, num_classes=num_classes),
        stages=stages,
        recipe=Recipe(
            frames=frames,
            rate=rate,
            crop=crop,
            short_side=min(prepare.resize_size),
            mean=triple(prepare.mean),
            std=triple(prepare.std),
        ),
        paper=paper,
        num_classes=len(weights.meta["categories"]),
        url=weights.url,
        licence="BSD-3-Clause (the library; Kinetics-400 has terms of its own)",
        sha256=weights.url.rpartition("-")[2].partition(".")[0],  # its first eight digits end the file's name
    )


# timm


class FrameByFrame(Wrapped):
    """An image model applied to every frame; the logits are averaged over the frames."""

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → ``(N, classes)``."""
        require_clip(clip)
        logits: Tensor = self.net(clip.transpose(1, 2).flatten(0, 1))
        return logits.unflatten(0, (clip.shape[0], clip.shape[2])).mean(1)

    def adapt_checkpoint(self, state: State) -> State:
        """Resample positions in weights for images of another size, as the library itself does."""
        own = self.net.state_dict()
        resample = getattr(sys.modules[type(self.net).__module__], "checkpoint_filter_fn", None)
        if resample is None or all(own[key].shape == x.shape for key, x in state.items() if key in own):
            return state
        try:
            adapted: State = resample(dict(state), self.net)
        except Exception:  # a state of another model, or a function of another signature
            return state
        return state | {key: x for key, x in adapted.items() if key in state}


def timm_model(model: str, asked: Input = DECLARED) -> ModelSpec:
    """One of timm's image models, frame by frame; its stages are those that the library names as features.

    Layouts follow from a dry run on the meta device, where the number of channels gives the axis of the units. A model
    whose positions belong to one size is built for the requested size.
    """
    import timm

    if not timm.is_model(model):
        raise no_such("timm model", model, timm.list_models(), "timm.list_models()")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        net = timm.create_model(model).eval()
        made = net.pretrained_cfg
        channels, *size = made["input_size"]
        if channels != 3:
            raise ModelError(f"timm:{model} takes images of {channels} channels. Allowed: RGB images.")
        stages = _timm_stages(net, torch.zeros(1, 3, *size))
    crop = asked.image_size or (size[0] if size[0] == size[1] else (size[0], size[1]))

    def build(num_classes: int) -> nn.Module:
        options = {} if pair(crop) == tuple(size) else {"img_size": pair(crop)}
        try:
            return FrameByFrame(timm.create_model(model, num_classes=num_classes, **options))
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return FrameByFrame(timm.create_model(model, num_classes=num_classes))  # it takes any size

    return ModelSpec(
        name=f"timm:{model}",
        summary=f"{model} of timm, frame by frame, logits averaged; 8 frames at rate 8 are this project's choice.",
        build=build,
        stages=stages,
        recipe=Recipe(
            frames=8,
            rate=8,
            crop=crop,
            short_side=math.floor(min(pair(crop)) / (made.get("crop_pct") or 1)),
            mean=triple(made["mean"]),
            std=triple(made["std"]),
        ),
        paper="Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861, and the paper of the model",
        num_classes=made.get("num_classes") or 1000,
        url=f"https://huggingface.co/{hub}/resolve/main/model.safetensors" if (hub := made.get("hf_hub_id")) else None,
        licence=made.get("license"),
    )


def _timm_stages(net: nn.Module, image: Tensor) -> dict[str, Stage]:
    """A stage for each of the library's features whose layout is unambiguous."""
    features = getattr(net, "feature_info", None) or []
    named = {feature["module"]: feature for feature in getattr(features, "info", features)}
    inner = dict(net.named_modules())
    seen: dict[str, Any] = {}
    hooks = [inner[path].register_forward_hook(_keep(seen, path)) for path in named if path and path in inner]
    with torch.no_grad():
        net(image)
    for hook in hooks:
        hook.remove()
    prefix = getattr(net, "num_prefix_tokens", None)
    size = (image.shape[2], image.shape[3])
    layouts = {path: _timm_layout(seen[path], named[path]["num_chs"], prefix, size) for path in named if path in seen}
    found = {f"net.{path}": layout for path, layout in layouts.items() if layout}
    isotropic = all(path == f"net.blocks.{i}" for i, path in enumerate(found))
    name, first = ("block", 0) if isotropic else ("stage", 1)
    return {f"{name}{i}": Stage(path, layout) for i, (path, layout) in enumerate(found.items(), first)}


def _keep(seen: dict[str, Any], path: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        seen[path] = output

    return hook


def _timm_layout(output: Any, channels: int, prefix: int | None, size: tuple[int, int]) -> str | None:
    """The layout of an output for one image of this size; ``None`` where it is ambiguous."""
    if not isinstance(output, Tensor):
        return None
    height, width = size
    match tuple(output.shape):
        case (_, rows, columns, last) if last == channels and rows * width == columns * height and rows != channels:
            return "(N T) H W C"
        case (_, first, rows, columns) if first == channels and rows * width == columns * height and rows != channels:
            return "(N T) C H W"
        case (_, tokens, last) if last == channels:
            rows = math.isqrt(tokens * height // width)
            extra = tokens - rows * rows * width // height
            if prefix is None or extra not in (0, prefix):
                return "(N T) L C"  # positions in an order that the library does not state
            return f"(N T) ({extra} H W) C" if extra else "(N T) (H W) C"
    return None
