"""What models take: a tensor, or lists, tuples and dicts of tensors, clips along the first axis."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from static_dynamic.clip import Recipe
from static_dynamic.errors import UserError

Inputs = Any
"""A tensor, or nested lists, tuples and dicts of tensors."""


def batch_size(inputs: Inputs) -> int:
    """Clips in a batch: the first axis of the first tensor found."""
    for tensor in tensors_of(inputs):
        return int(tensor.shape[0])
    raise UserError("The inputs hold no tensor. Give a tensor, or a list, tuple or dict of tensors, clips first.")


def tensors_of(inputs: Inputs) -> Iterable[torch.Tensor]:
    """Every tensor of nested lists, tuples and dicts, in order."""
    if isinstance(inputs, torch.Tensor):
        yield inputs
    elif isinstance(inputs, Mapping):
        yield from tensors_of(list(inputs.values()))
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
        for part in inputs:
            yield from tensors_of(part)


def declared_recipe(model: nn.Module, recipe: Recipe | Mapping[str, Any] | None = None) -> Recipe:
    """The recipe given, or the one that the model declares in ``model.spec.recipe``.

    Raises:
        UserError: If there is neither.
    """
    given = recipe if recipe is not None else getattr(getattr(model, "spec", None), "recipe", None)
    if given is None:
        raise UserError(
            "This model declares no input: give its recipe, e.g. recipe=Recipe(frames=8, rate=8, crop=224)."
        )
    return given if isinstance(given, Recipe) else Recipe(**given)


def named_axes(model: nn.Module) -> Mapping[str, tuple[int, ...]]:
    """The inputs of a model that takes a dict: name → axes between clips and height; empty if it takes clips."""
    declared = getattr(model, "inputs", None)
    is_one = isinstance(declared, Mapping) and all(isinstance(axes, tuple) for axes in declared.values())
    return cast(Mapping[str, tuple[int, ...]], declared) if is_one else {}


def example_inputs(model: nn.Module, recipe: Recipe, clips: int = 1, device: str = "cpu") -> Inputs:
    """Noise of the form and size that a model takes, always the same.

    Returns:
        ``(N, 3, T, H, W)``, a list of them for several pathways, or a dict for a model that declares its ``inputs``.
    """
    # Drawn on the CPU, so that every device gets the same; shapes alone need no numbers.
    draw = None if device == "meta" else torch.Generator().manual_seed(0)

    def noise(*middle: int) -> torch.Tensor:
        size = (clips, *middle, recipe.crop, recipe.crop)
        return torch.empty(size, device=device) if draw is None else torch.randn(size, generator=draw).to(device)

    if axes := named_axes(model):
        return {name: noise(*middle) for name, middle in axes.items()}
    pathways = [noise(3, frames) for frames in recipe.frame_counts]
    return pathways[0] if len(pathways) == 1 else pathways
