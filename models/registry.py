"""The list of models: a decorated function is an entry, and its name is the model's name (as in timm).

To add a model, write one function that takes the number of classes and returns an ``nn.Module``, and put
``@register_model(stages=…, recipe=…, paper=…)`` above it. The first line of its docstring is the summary.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import NamedTuple, TypedDict

import torch
from torch import nn

from models.checkpoints import load_checkpoint
from models.errors import ModelError, unknown

Builder = Callable[[int], nn.Module]


class Stage(NamedTuple):
    """A named place in a model.

    Attributes:
        module: Dotted path of the module whose output is the stage.
        layout: The axes of that output, e.g. ``"N C T H W"``.
        item: Which element to take, where the module returns a tuple.
    """

    module: str
    layout: str
    item: int | None = None


class Recipe(TypedDict):
    """How a model wants its input, in plain data.

    Keys: ``frames`` per pathway; ``rate``, source frames per sampled frame of the first pathway; ``crop``
    and ``short_side``, pixels; ``mean`` and ``std`` per channel, for RGB in 0..1.
    """

    frames: int | tuple[int, ...]
    rate: int
    crop: int
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a model before it is built.

    Attributes:
        name: Its name in the registry.
        summary: One line.
        build: Number of classes → the module with random weights.
        stages: Stage name → place, from the input to the output.
        recipe: How it wants its input.
        paper: What to cite.
        num_classes: Classes of the published checkpoint.
        aliases: Other names, those of the published ``--model`` option among them.
        url: The published checkpoint, where there is a public one.
        licence: Under which that checkpoint is released.
    """

    name: str
    summary: str
    build: Builder
    stages: Mapping[str, Stage]
    recipe: Recipe
    paper: str
    num_classes: int = 400
    aliases: tuple[str, ...] = ()
    url: str | None = None
    licence: str | None = None


_BY_NAME: dict[str, ModelSpec] = {}  # aliases too


def register_model(
    *,
    stages: Mapping[str, Stage],
    recipe: Recipe,
    paper: str,
    num_classes: int = 400,
    aliases: tuple[str, ...] = (),
    url: str | None = None,
    licence: str | None = None,
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
        spec = ModelSpec(name, summary, build, stages, recipe, paper, num_classes, aliases, url, licence)
        _BY_NAME.update(dict.fromkeys((name, *aliases), spec))
        return build

    return enter


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models whose name or alias matches a glob, sorted.

    Example:
        >>> list_models("slow_*")
        ['slow_r50_4x16', 'slow_r50_8x8']
    """
    return sorted({spec.name for name, spec in _BY_NAME.items() if fnmatch(name, pattern)})


def describe(name: str) -> ModelSpec:
    """What is known about a model, by its name or an alias.

    Raises:
        ModelError: If there is no such model; the message has the nearest name.
    """
    if name not in _BY_NAME:
        raise unknown("model", name, _BY_NAME)
    return _BY_NAME[name]


def create_model(
    name: str,
    checkpoint: str | os.PathLike[str] | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    strict: bool = True,
    trust_checkpoint: bool = False,
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

    Raises:
        ModelError: If the name is unknown, the class count not positive, or the checkpoint does not fit.
    """
    spec = describe(name)
    if num_classes is not None:
        spec = replace(spec, num_classes=num_classes)
    if spec.num_classes < 1:
        raise ModelError(f"The 'num_classes' of a model must be a positive integer. Got {num_classes}.")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which would also seed every GPU.
        torch.default_generator.manual_seed(seed)
        model = spec.build(spec.num_classes)
    report = load_checkpoint(model, checkpoint, strict, trust_checkpoint) if checkpoint is not None else None
    vars(model).update(spec=spec, checkpoint=report)
    return model.eval()
