"""Models of detectron2 by a configuration file, frame by frame (``detectron2:mask_rcnn_R_50_FPN_3x.yaml``).

The library is imported when such a model is requested, and nothing else needs it. Neither the configuration nor the
weights can run code, so tags like ``!!python/object/apply`` are refused in the one, and the other is read as every
checkpoint is: in the library's own names, not in those of Caffe2.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError, said, unknown
from static_dynamic.models.libraries.foreign import Wrapped, triple
from static_dynamic.models.spec import ModelSpec, Recipe, Stage, require_clip
from static_dynamic.models.weights.checkpoints import load_checkpoint
from static_dynamic.models.weights.keys import State
from static_dynamic.optional import need

LAYOUT = "(N T) C H W"
HEADS = {"RetinaNet": "RETINANET", "SemanticSegmentor": "SEM_SEG_HEAD"}
"""Architecture → the node that holds its number of classes, where that is not ROI_HEADS."""
BESIDE = re.compile(r"pixel_(mean|std)|.*anchor_generator\.cell_anchors\.\d+")
"""Entries of older files that are not weights; the configuration provides them."""
ZOO = "https://dl.fbaipublicfiles.com/detectron2/"
"""What ``detectron2://`` stands for."""


class Detector(Wrapped):
    """A network of detectron2, which takes a list of images, each in a dict.

    Args:
        net: The network, including its normalisation.
        channels: The order of colours that it expects, ``"BGR"`` or ``"RGB"``.
    """

    def __init__(self, net: nn.Module, channels: str) -> None:
        super().__init__(net)
        self.channels = channels

    def forward(self, clip: Tensor) -> list[list[Any]]:
        """``(N, 3, T, H, W)``, RGB in 0..255 → the network's output for every clip and frame."""
        require_clip(clip)
        frames = clip.transpose(1, 2).flatten(0, 1)
        found = self.net([{"image": frame} for frame in (frames if self.channels == "RGB" else frames.flip(1))])
        return [found[i : i + clip.shape[2]] for i in range(0, len(found), clip.shape[2])]

    def adapt_checkpoint(self, state: State) -> State:
        """Drop entries of old files that are not weights of this network."""
        own = self.net.state_dict()
        return {key: x for key, x in state.items() if key in own or not BESIDE.fullmatch(key)}


def detectron2_model(path: str) -> ModelSpec:
    """The model of a configuration file, with the weights of ``MODEL.WEIGHTS`` if that is a file.

    Weights behind a URL are fetched on request only (``pretrained``). All frames are processed at once, so
    memory limits their number.
    """
    modeling: Any = need("detectron2.modeling", ModelError)
    config = _config(path)
    if config.INPUT.FORMAT not in ("BGR", "RGB"):
        raise unknown(f"INPUT.FORMAT in {path}", config.INPUT.FORMAT, ("BGR", "RGB"))
    head = HEADS.get(config.MODEL.META_ARCHITECTURE, "ROI_HEADS")
    weights = str(config.MODEL.WEIGHTS)
    with _told("build", path), torch.random.fork_rng(devices=[]):
        stages = _stages(modeling.build_backbone(config))

    def build(num_classes: int) -> nn.Module:
        made = config.clone()
        made.MODEL[head].NUM_CLASSES = num_classes
        made.MODEL.DEVICE = torch.get_default_device().type
        with _told("build", path):
            model = Detector(modeling.build_model(made), made.INPUT.FORMAT)
        if Path(weights).is_file() and made.MODEL.DEVICE != "meta":  # there, only shapes are requested
            _load(model, weights, spec)
        return model

    spec = ModelSpec(
        name=f"detectron2:{path}",
        summary=f"{config.MODEL.META_ARCHITECTURE} of detectron2, frame by frame, {_origin(weights)}; "
        "8 frames at rate 8 are this project's choice.",
        build=build,
        stages=stages,
        recipe=_recipe(config.INPUT.MIN_SIZE_TEST or 800),  # 0: as large as the image
        paper="Wu et al., Detectron2, 2019, github.com/facebookresearch/detectron2, and the paper of the model",
        num_classes=config.MODEL[head].NUM_CLASSES,
        url=weights.replace("detectron2://", ZOO) if "://" in weights else None,
    )
    return spec


def _config(path: str) -> Any:
    config: Any = need("detectron2.config", ModelError).get_cfg()
    if not Path(path).is_file():
        raise ModelError(f"detectron2:{path} is not a file. Give a configuration, e.g. detectron2:configs/mine.yaml.")
    with _told("read", path):
        config.merge_from_file(path, allow_unsafe=False)
    return config


@contextmanager
def _told(deed: str, path: str) -> Iterator[None]:
    """Raise the library's errors as one line."""
    try:
        yield
    except Exception as error:
        why = f"{type(error).__name__}: {said(error)}."
        if ":python/" in why:  # a tag that YAML would call
            why += " Such tags may run code: write the values out, as cfg.dump() does."
        raise ModelError(f"detectron2 cannot {deed} {path}: {why}") from error


def _recipe(side: int) -> Recipe:
    """The recipe for values in 0..255, since the network subtracts its own mean."""
    return Recipe(frames=8, rate=8, crop=side, short_side=side, mean=triple([0] * 3), std=triple([1 / 255] * 3))


def _origin(weights: str) -> str:
    if Path(weights).is_file():
        return f"weights of {weights}"
    return f"random weights (not those of {weights})" if weights else "random weights"


def _stages(backbone: Any) -> dict[str, Stage]:
    """The stem and the residual stages are modules; what else a backbone returns, it returns in one dict."""
    bodies = {"net.backbone.bottom_up": getattr(backbone, "bottom_up", None), "net.backbone": backbone}
    found: dict[str, Stage] = {}
    for path, body in bodies.items():
        if body is None:  # no pyramid
            continue
        residual = (name for name, _ in body.named_children() if re.fullmatch(r"stem|res\d", name))
        found |= {name: Stage(f"{path}.{name}", LAYOUT) for name in residual}
        for i, name in enumerate(body.output_shape()):
            found.setdefault(name, Stage(path, LAYOUT, i))
    return found


def _load(model: nn.Module, weights: str, spec: ModelSpec) -> None:
    """Load the weights that a configuration names; missing ones are in the report."""
    vars(model)["spec"] = replace(spec, checkpoint=load_checkpoint(model, weights, strict=False))
