"""The list of models: a decorated function is an entry, and its name is the model's name (as in timm).

To add a model, write one function that takes the number of classes and returns an ``nn.Module``, and put
``@register_model(stages=…, recipe=…, paper=…)`` above it. The first line of its docstring is the summary. A new
file is named in ``FAMILIES``.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from importlib import import_module

import torch
from torch import nn

from models.checkpoints import load_checkpoint
from models.downloads import fetch
from models.errors import ModelError, unknown
from models.spec import Builder, FlowRecipe, ModelSpec, Recipe, Stage

FAMILIES = (
    "resnet3d",
    "slowfast",
    "x3d",
    "mvit",
    "timesformer",
    "tsm",
    "dyreg_tsm",
    "detection",
    "fusionseg",
    "matnet",
    "rtnet",
    "sam",
)
"""Modules that register models. They are imported when a model is asked for, since some load large libraries."""

_BY_NAME: dict[str, ModelSpec] = {}  # aliases too


def _registered() -> dict[str, ModelSpec]:
    for family in FAMILIES:
        import_module(f"models.{family}")
    return _BY_NAME


def register_model(
    *,
    stages: Mapping[str, Stage],
    recipe: Recipe | FlowRecipe,
    paper: str,
    num_classes: int = 400,
    aliases: tuple[str, ...] = (),
    url: str | None = None,
    licence: str | None = None,
    sha256: str | None = None,
) -> Callable[[Builder], Builder]:
    """Decorator: enter a function ``num_classes -> nn.Module`` into the registry (fields: see ``ModelSpec``).

    Raises:
        ModelError: If the name or an alias is taken.
    """

    def enter(build: Builder) -> Builder:
        name = build.__name__
        if taken := _BY_NAME.keys() & {name, *aliases}:
            raise ModelError(f"The model name '{min(taken)}' is already taken.")
        summary = (build.__doc__ or "").partition("\n")[0]
        spec = ModelSpec(name, summary, build, stages, recipe, paper, num_classes, aliases, url, licence, sha256)
        _BY_NAME.update(dict.fromkeys((name, *aliases), spec))
        return build

    return enter


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models whose name or alias matches a glob, sorted.

    Example:
        >>> list_models("slow_r50_*")
        ['slow_r50_4x16', 'slow_r50_8x8']
    """
    return sorted({spec.name for name, spec in _registered().items() if fnmatch(name, pattern)})


def describe(name: str) -> ModelSpec:
    """What is known about a model, by its name or an alias.

    Raises:
        ModelError: If there is no such model; the message has the nearest name.
    """
    if ":" in name:  # of another library, or the user's own
        return import_module("models.external").describe_external(name)
    if name not in (registered := _registered()):
        raise unknown("model", name, registered)
    return registered[name]


def create_model(
    name: str,
    checkpoint: str | os.PathLike[str] | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    strict: bool = True,
    trust_checkpoint: bool = False,
    pretrained: bool = False,
) -> nn.Module:
    """Build a model on the CPU, in eval mode; global random state stays as it is.

    Its ``ModelSpec`` is kept as ``model.spec``, the ``LoadReport`` (or ``None``) as ``model.checkpoint``.

    Args:
        name: A name or alias of the registry.
        checkpoint: File with weights, in any published format; ``None`` draws random weights from ``seed``.
        num_classes: Size of the classifier; ``None`` means that of the published checkpoint.
        seed: For the random weights.
        strict: Whether every key of the checkpoint and of the model must fit.
        trust_checkpoint: Whether the file may run code while it is read.
        pretrained: Whether to fetch the published checkpoint (``ModelSpec.url``), if ``checkpoint`` is ``None``.

    Raises:
        ModelError: If the name is unknown, the class count not positive, or the checkpoint does not fit or cannot
            be fetched.
    """
    spec = describe(name)
    if num_classes is not None:
        spec = replace(spec, num_classes=num_classes)
    if spec.num_classes < 1:
        raise ModelError(f"The 'num_classes' of a model must be a positive integer. Got {num_classes}.")
    if pretrained and checkpoint is None:
        checkpoint = fetch(spec.name, spec.url, spec.sha256)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which would also seed every GPU.
        torch.default_generator.manual_seed(seed)
        model = spec.build(spec.num_classes)
    report = load_checkpoint(model, checkpoint, strict, trust_checkpoint) if checkpoint is not None else None
    brought = getattr(model, "spec", spec), getattr(model, "checkpoint", None)
    vars(model).update(spec=brought[0], checkpoint=report or brought[1])
    return model.eval()
