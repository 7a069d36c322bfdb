"""Get a model: of the zoo, of another library, or your own."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from static_dynamic.models.errors import ModelError, PartialWeights, one_line, unknown
from static_dynamic.models.libraries.packaged import packaged_file
from static_dynamic.models.registry import registered
from static_dynamic.models.spec import Input, ModelSpec
from static_dynamic.models.weights.checkpoints import OtherClasses, load_checkpoint
from static_dynamic.models.weights.downloads import fetch
from static_dynamic.models.weights.report import LoadReport
from static_dynamic.optional import missing

FAMILIES = (
    "action.resnet3d",
    "action.slowfast",
    "action.x3d",
    "action.mvit",
    "action.timesformer",
    "action.tsm",
    "dyreg.tsm",
    "action.detection",
    "segmentation.fusionseg",
    "segmentation.matnet",
    "segmentation.rtnet",
    "segmentation.sam",
    "libraries.transnetv2",
    "libraries.efficientnet",
    "truth.cnn",
    "truth.timesformer",
)
"""Modules that register models. They are imported when a model is requested, since some load large libraries."""


left_out: dict[str, str] = {}
"""Family → the missing library that it requires, with the command that installs it."""


def _zoo() -> Mapping[str, ModelSpec]:
    """Every registered model, of all families whose libraries are installed."""
    left_out.clear()
    for family in FAMILIES:
        try:
            import_module(f"static_dynamic.models.{family}")
        except ImportError as error:
            if not (sentence := missing(error)):
                raise
            left_out[family] = sentence
    return registered


def _note() -> str:
    """Which families are left out, and why; empty where none is."""
    return f"Not listed are {', '.join(left_out)}. {'. '.join(dict.fromkeys(left_out.values()))}" if left_out else ""


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models whose name or alias matches a glob, sorted; a warning names families that are left out.

    Example:
        >>> list_models("slow_r50_*")
        ['slow_r50_4x16', 'slow_r50_8x8']
    """
    names = sorted({spec.name for name, spec in _zoo().items() if fnmatch(name, pattern)})
    if left_out:
        warnings.warn(_note(), stacklevel=2)
    return names


def describe(name: str, frames: int | None = None, image_size: int | tuple[int, int] | None = None) -> ModelSpec:
    """What is known about a model, by its name or an alias.

    Args:
        name: A name or alias of the registry, ``library:model``, or ``package.module:function``.
        frames: Frames of a clip, for a model that has to be built for them; others take any.
        image_size: Side, or height and width, in pixels, likewise.

    Raises:
        ModelError: If the model is unknown; the message has the nearest name.
    """
    asked = Input(frames, image_size)
    if ":" in name:  # of another library, or the user's own
        from static_dynamic.models.libraries.external import describe_external

        return describe_external(name, asked)
    if name not in (zoo := _zoo()):
        raise ModelError(f"{unknown('model', name, zoo)} {_note()}".rstrip())
    return _for_frames(zoo[name], frames)


def _for_frames(spec: ModelSpec, frames: int | None) -> ModelSpec:
    """The model, built for other frames where its function takes them."""
    if frames is None or "frames" not in signature(spec.build).parameters:
        return spec
    recipe: Any = {**cast(Mapping[str, Any], spec.recipe), "frames": frames}
    return replace(spec, build=partial(spec.build, frames=frames), recipe=recipe)


def create_model(
    name: str | ModelSpec,
    checkpoint: str | os.PathLike[str] | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    strict: bool = True,
    trust_checkpoint: bool = False,
    pretrained: bool | None = None,
    checkpoint_key: str | None = None,
    frames: int | None = None,
    image_size: int | tuple[int, int] | None = None,
) -> nn.Module:
    """Build a model on the CPU, in eval mode; global random state stays as it is.

    Its ``ModelSpec`` is kept as ``model.spec``, and the ``LoadReport`` of its weights (or ``None``) as
    ``model.checkpoint``. Where a file fills only a part of the weights, ``model.spec.notes`` says so, and a warning.

    Args:
        name: A name or alias of the registry, ``library:model``, ``package.module:function``; or a ``ModelSpec``.
        checkpoint: File with weights, in any published format; ``None`` takes what ``pretrained`` says.
        num_classes: Size of the classifier; ``None`` means that of the checkpoint, else the published one.
        seed: For the random weights.
        strict: Whether every key of the checkpoint and of the model must fit.
        trust_checkpoint: Whether the file may run code while it is read.
        pretrained: Without a ``checkpoint``: ``True`` takes the published weights, of an installed package
            (``ModelSpec.packaged``) or fetched (``ModelSpec.url``); ``False`` draws random weights from ``seed``;
            ``None`` takes those of an installed package where the model has some, else random ones.
        checkpoint_key: Where in the file the weights are, e.g. ``"model_ema"``; ``None`` takes what fits best.
        frames: Frames of a clip, for a model that has to be built for them; others take any.
        image_size: Side, or height and width, in pixels, likewise.

    Raises:
        ModelError: If the name is unknown, the model cannot be built, the class count is not positive, or the
            checkpoint does not fit or cannot be fetched.
    """
    spec = describe(name, frames, image_size) if isinstance(name, str) else name
    if num_classes is not None and spec.fixed_classes:
        why = (
            f"The function {spec.name} has no argument num_classes" if spec.own else f"{spec.name} takes no num_classes"
        )
        raise ModelError(f"{why}, so its classifier cannot be changed.")
    if num_classes is not None:
        spec = replace(spec, num_classes=num_classes)
    if spec.num_classes < 1:
        raise ModelError(f"The 'num_classes' of a model must be a positive integer. Got {num_classes}.")
    if checkpoint is None:
        checkpoint = _published(spec, pretrained)
    model = _built(spec, seed)
    report = None
    if checkpoint is not None:
        try:
            report = load_checkpoint(model, checkpoint, strict, trust_checkpoint, checkpoint_key)
        except OtherClasses as other:
            if spec.fixed_classes:
                raise ModelError(
                    f"{other.path} has {other.given} classes, the model {other.own}, and {spec.name} has no argument "
                    "num_classes. `strict=False` keeps all but the classifier."
                ) from None
            if num_classes is not None or other.own != spec.num_classes:
                raise
            spec = replace(spec, num_classes=other.given)  # what the file was trained with
            model = _built(spec, seed)
            report = load_checkpoint(model, checkpoint, strict, trust_checkpoint, checkpoint_key)
    return _declared(model, spec, report).eval()


def _published(spec: ModelSpec, pretrained: bool | None) -> Path | None:
    """The file with the published weights, where they are requested or are the default."""
    if spec.packaged and pretrained is not False:
        return packaged_file(spec.packaged)
    return fetch(spec.name, spec.url, spec.sha256) if pretrained else None


def _built(spec: ModelSpec, seed: int) -> nn.Module:
    """The model with random weights; any error of a library is one line."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which would also seed every GPU
        with one_line(f"The model {spec.name} cannot be built"):
            return spec.build(spec.num_classes)


def _declared(model: nn.Module, spec: ModelSpec, report: LoadReport | None) -> nn.Module:
    """The model with its spec, the report on its weights, and the notes about them."""
    brought = getattr(model, "spec", None)
    made = brought if isinstance(brought, ModelSpec) else spec
    report = report or made.checkpoint
    rest = "as your function made them" if spec.own else "random"
    if report:
        notes = report.notes(rest)
    elif spec.own:
        notes = (f"No `checkpoint=FILE`: the weights of {spec.name} are as your function made them.",)
    else:
        why = "`pretrained=False`" if spec.packaged else "no `checkpoint=FILE`"
        notes = (f"The weights of {spec.name} are random ({why}): this describes an untrained network.",)
    for note in notes if report else ():
        warnings.warn(note, PartialWeights, stacklevel=3)
    vars(model)["spec"] = replace(made, num_classes=spec.num_classes, checkpoint=report, notes=notes)
    if not hasattr(model, "checkpoint"):  # a user's module may have its own
        vars(model)["checkpoint"] = report
    return model
