"""Models of two optional libraries: transformers (``hf:…``) and pytorchvideo (``pytorchvideo:…``)."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError, said, unknown
from static_dynamic.models.libraries.foreign import Wrapped, blocks, pair, require_declared, triple
from static_dynamic.models.spec import DECLARED, Input, ModelSpec, Recipe, Stage
from static_dynamic.models.weights.reading import INDEX, sha256, shards
from static_dynamic.models.weights.report import LoadReport, filled, some
from static_dynamic.optional import need

Colour = tuple[float, float, float]

# transformers


@dataclass(frozen=True)
class Family:
    """What the configuration of a model type does not state.

    Attributes:
        layers: Path of its blocks.
        tokens: Their token axis; ``{t}``, ``{h}`` and ``{w}`` stand for the lengths.
        rate: Source frames per sampled frame, of the paper's Kinetics-400 evaluation.
        mean: Per-channel mean, where no preprocessor file gives it.
        std: Per-channel standard deviation, likewise.
        paper: What to cite.
    """

    layers: str
    tokens: str
    rate: int
    mean: Colour
    std: Colour
    paper: str


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GREY = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# TimeSformer and V-JEPA 2 take any number of frames, so the length of T is left to the output.
FAMILIES = {
    "timesformer": Family(
        "timesformer.encoder.layer",
        "(1 H={h} W={w} T)",
        32,
        *GREY,
        "Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021, arXiv:2102.05095",
    ),
    "videomae": Family(
        "videomae.encoder.layer",
        "(T={t} H={h} W={w})",
        4,
        *IMAGENET,
        "Tong et al., VideoMAE, NeurIPS 2022, arXiv:2203.12602",
    ),
    "vivit": Family(
        "vivit.layers",
        "(1 T={t} H={h} W={w})",
        2,
        *HALF,
        "Arnab et al., ViViT: A Video Vision Transformer, ICCV 2021, arXiv:2103.15691",
    ),
    "vjepa2": Family(
        "vjepa2.encoder.layer",
        "(T H={h} W={w})",
        2,
        *IMAGENET,
        "Assran et al., V-JEPA 2, 2025, arXiv:2506.09985",
    ),
}


class FramesFirst(Wrapped):
    """A video classifier of transformers, whose input ``(N, T, 3, H, W)`` has its own name."""

    def __init__(self, net: Any, side: int) -> None:
        super().__init__(net)
        self.side = side

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, side, side)`` → ``(N, classes)``."""
        if tuple(clip.shape[-2:]) != (self.side, self.side):
            raise ModelError(
                f"This model takes frames of {self.side} x {self.side} pixels. Got {tuple(clip.shape[-2:])}."
            )
        net: Any = self.net
        logits: Tensor = net(**{net.main_input_name: clip.transpose(1, 2)}).logits
        return logits


def transformers_model(model: str, asked: Input = DECLARED) -> ModelSpec:
    """A TimeSformer, VideoMAE, ViViT or V-JEPA 2 by model type, local folder or hub id, for the requested input.

    A type (``videomae``) or a folder with nothing but a ``config.json`` gives random weights, as the summary states.
    """
    library: Any = need("transformers", ModelError)
    config = _config(library, model)
    family = FAMILIES[config.model_type]
    has_weights = model not in FAMILIES and (not Path(model).exists() or _holds_weights(Path(model)))
    side, frames = _resized(config, asked)
    mean, std = _normalisation(library, model, family)
    origin = f"weights of {model}" if has_weights else f"random weights from the configuration {model}"

    def build(num_classes: int) -> nn.Module:
        config.num_labels = num_classes
        # A default device of "meta" asks for shapes alone.
        if has_weights and torch.get_default_device().type != "meta":
            return _pretrained(library, model, config, side, spec)
        return FramesFirst(library.AutoModelForVideoClassification.from_config(config), side)

    spec = ModelSpec(
        name=f"hf:{model}",
        summary=f"{config.model_type} of transformers, {origin}.",
        build=build,
        stages=blocks(f"net.{family.layers}", config.num_hidden_layers, _layout(config, family, side, frames)),
        recipe=Recipe(frames=frames, rate=family.rate, crop=side, short_side=side, mean=mean, std=std),
        paper=family.paper,
        num_classes=config.num_labels if has_weights else 400,
    )
    return spec


def _config(library: Any, model: str) -> Any:
    if model in FAMILIES:
        return library.AutoConfig.for_model(model)
    if not Path(model).exists() and "/" not in model:
        raise unknown("transformers model type, folder or hub id", model, FAMILIES)
    config = _read(library.AutoConfig, model)
    if config.model_type not in FAMILIES:
        raise unknown(f"model type of {model}", config.model_type, FAMILIES)
    return config


def _resized(config: Any, asked: Input) -> tuple[int, int]:
    """Side and frames of the input, which are set as requested."""
    size_name = "crop_size" if hasattr(config, "crop_size") else "image_size"
    frames_name = "frames_per_clip" if hasattr(config, "frames_per_clip") else "num_frames"
    if asked.image_size:
        height, width = pair(asked.image_size)
        if height != width:
            raise ModelError(f"Models of transformers take square frames here. Got {height} x {width}.")
        setattr(config, size_name, height)
    if asked.frames:
        setattr(config, frames_name, asked.frames)
    return _first(getattr(config, size_name)), getattr(config, frames_name)


def _read(reader: Any, model: str, **options: Any) -> Any:
    """Read from a folder, from the local cache or, last, from the hub."""
    try:
        with _quiet():
            try:
                return reader.from_pretrained(model, local_files_only=True, **options)
            except OSError:
                if Path(model).exists():
                    raise
                return reader.from_pretrained(model, **options)
    except Exception as error:  # a damaged file can raise any error
        hint = f" Offline, give a folder, or a model type ({', '.join(FAMILIES)}) for random weights."
        raise ModelError(f"hf:{model} cannot be read: {said(error)}.{'' if Path(model).exists() else hint}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of the libraries, which state in many lines what the error or the summary states in one."""
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in ("transformers", "huggingface_hub")}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _first(value: int | list[int] | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _layout(config: Any, family: Family, side: int, frames: int) -> str:
    tubelet: Any = getattr(config, "tubelet_size", 1)  # ViViT: of time, height and width
    thickness, patch = _first(tubelet), _first(getattr(config, "patch_size", None) or tubelet[1:])
    if getattr(config, "attention_type", None) == "space_only":
        return "(N T) (1 H W) C"
    return f"N {family.tokens.format(t=frames // thickness, h=side // patch, w=side // patch)} C"


def _normalisation(library: Any, model: str, family: Family) -> tuple[Colour, Colour]:
    """Mean and standard deviation that the model's own preprocessor names, else those of the family."""
    names = () if model in FAMILIES else ("video_preprocessor_config.json", "preprocessor_config.json")
    for file in filter(None, (_file(library, model, name) for name in names)):
        options = json.loads(file.read_text(encoding="utf-8-sig"))
        if options.get("image_mean") and options.get("image_std"):
            return triple(options["image_mean"]), triple(options["image_std"])
    return family.mean, family.std


def _file(library: Any, model: str, name: str) -> Path | None:
    """A file of a folder or of a hub model; ``None`` if it does not exist."""
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    found = library.utils.cached_file(model, name, **quiet)
    return Path(found) if found else None


def _holds_weights(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "*.bin"))


def _pretrained(library: Any, model: str, config: Any, side: int, spec: ModelSpec) -> nn.Module:
    """The network with its weights; those missing in the file are in the report.

    Raises:
        ModelError: If the weights cannot be read, or belong to another size of the input.
    """
    options = {"config": config, "output_loading_info": True, "ignore_mismatched_sizes": True}
    net, info = _read(library.AutoModelForVideoClassification, model, **options)
    own = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    mismatched = {key: (tuple(given), tuple(mine)) for key, given, mine in sorted(info["mismatched_keys"])}
    missing = tuple(key for key in own if key in info["missing_keys"])
    if sized := [key for key in mismatched if "embed" in key]:
        key, (given, mine) = sized[0], mismatched[sized[0]]
        raise ModelError(
            f"The weights of hf:{model} are for another size of input ({key} is {given}, here {mine}). Allowed: the "
            "frames and the size of its configuration."
        )
    if empty := [key for key, tensor in net.state_dict().items() if tensor.is_meta]:
        raise ModelError(f"hf:{model} holds weights without values (the meta device): {some(empty)}.")
    files = _weight_files(library, model)
    report = LoadReport(
        path=str(files[0] if len(files) == 1 else model),
        format="transformers",
        sha256=sha256(files),
        missing=missing,
        unexpected=tuple(sorted(info["unexpected_keys"])),
        mismatched=mismatched,
        filled=filled(own, {*missing, *mismatched}),
    )
    wrapped = FramesFirst(net, side)
    vars(wrapped)["spec"] = replace(spec, checkpoint=report)
    return wrapped


def _weight_files(library: Any, model: str) -> list[Path]:
    """The files that hold the weights."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if file := _file(library, model, name):
            return [file]
        if index := _file(library, model, f"{name}{INDEX}"):
            return shards(index)
    return []


# pytorchvideo


def _chain(*paths: str) -> dict[str, Stage]:
    return {f"stage{i}": Stage(path, "N C T H W") for i, path in enumerate(paths, 1)}


CHAIN = _chain("blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4")
POOLED = _chain("blocks.0", "blocks.1", "blocks.3", "blocks.4", "blocks.5")  # blocks.2 is a pooling layer
EFFICIENT = _chain("s1", "s2", "s3", "s4", "s5")
SLOWFAST = {
    **{f"slow.stage{i + 1}": Stage(f"blocks.{i}.multipathway_blocks.0", "N C T H W") for i in range(5)},
    **{f"fast.stage{i + 1}": Stage(f"blocks.{i}.multipathway_blocks.1", "N C T H W") for i in range(5)},
    **{f"fused.stage{i + 1}": Stage(f"blocks.{i}", "N C T H W", 0) for i in range(4)},
}

# Stages, frames and rate (of the library's model zoo), crop and short side in pixels.
PYTORCHVIDEO: dict[str, tuple[Mapping[str, Stage], int | tuple[int, int], int, int, int]] = {
    "c2d_r50": (POOLED, 8, 8, 224, 256),
    "i3d_r50": (POOLED, 8, 8, 224, 256),
    "slow_r50": (CHAIN, 8, 8, 224, 256),
    "csn_r101": (CHAIN, 32, 2, 224, 256),
    "r2plus1d_r50": (CHAIN, 16, 4, 224, 256),
    "x3d_xs": (CHAIN, 4, 12, 160, 160),
    "x3d_s": (CHAIN, 13, 6, 160, 160),
    "x3d_m": (CHAIN, 16, 5, 224, 224),
    "x3d_l": (CHAIN, 16, 5, 312, 312),
    "efficient_x3d_xs": (EFFICIENT, 4, 12, 160, 160),
    "efficient_x3d_s": (EFFICIENT, 13, 6, 160, 160),
    "slowfast_r50": (SLOWFAST, (8, 32), 8, 224, 256),
    "slowfast_r101": (SLOWFAST, (8, 32), 8, 224, 256),
    "slowfast_16x8_r101_50_50": (SLOWFAST, (16, 64), 8, 224, 256),
    "mvit_base_16x4": (blocks("blocks", 16, "N (1 T=8 H W) C", 0), 16, 4, 224, 256),
    "mvit_base_32x3": (blocks("blocks", 16, "N (1 T=16 H W) C", 0), 32, 3, 224, 256),
}


def pytorchvideo_model(model: str, asked: Input = DECLARED) -> ModelSpec:
    """One of the video classifiers of ``pytorchvideo.models.hub``; the hub builds MViT for one input only."""
    hub: Any = need("pytorchvideo.models.hub", ModelError)
    if model not in PYTORCHVIDEO:
        raise unknown("pytorchvideo model", model, PYTORCHVIDEO)
    stages, frames, rate, crop, short_side = PYTORCHVIDEO[model]
    if model.startswith("mvit"):
        require_declared(f"pytorchvideo:{model}", asked, frames, crop)
    builder = getattr(hub, model)

    def build(num_classes: int) -> nn.Module:
        family = model.partition("_")[0]
        option = {"mvit": "head_num_classes", "efficient": "num_classes"}.get(family, "model_num_class")
        net: nn.Module = builder(pretrained=False, **{option: num_classes})
        return net

    return ModelSpec(
        name=f"pytorchvideo:{model}",
        summary=f"{model} of pytorchvideo.",
        build=build,
        stages=stages,
        recipe=Recipe(frames=frames, rate=rate, crop=crop, short_side=short_side, mean=GREY[0], std=GREY[1]),
        paper="Fan et al., PyTorchVideo: A Deep Learning Library for Video Understanding, ACM MM 2021",
        url=getattr(sys.modules[builder.__module__], "checkpoint_paths", {}).get(model),
        licence="Apache-2.0",
    )
