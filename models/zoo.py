"""Ask for a model: of the zoo, of another library, or your own."""

import os
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from importlib import import_module

import torch
from torch import nn

from models.checkpoints import load_checkpoint
from models.downloads import fetch
from models.errors import ModelError, unknown
from models.registry import registered
from models.spec import ModelSpec

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


def _zoo() -> Mapping[str, ModelSpec]:
    """Every registered model."""
    for family in FAMILIES:
        import_module(f"models.{family}")
    return registered


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models whose name or alias matches a glob, sorted.

    Example:
        >>> list_models("slow_r50_*")
        ['slow_r50_4x16', 'slow_r50_8x8']
    """
    return sorted({spec.name for name, spec in _zoo().items() if fnmatch(name, pattern)})


def describe(name: str) -> ModelSpec:
    """What is known about a model, by its name or an alias.

    Raises:
        ModelError: If there is no such model; the message has the nearest name.
    """
    if ":" in name:  # of another library, or the user's own
        from models.external import describe_external

        return describe_external(name)
    if name not in (zoo := _zoo()):
        raise unknown("model", name, zoo)
    return zoo[name]


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
