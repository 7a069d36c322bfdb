"""What models take: a tensor, or lists, tuples and dicts of tensors, clips along the first axis."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from static_dynamic.clip import FlowRecipe, Recipe
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


def declared_recipe(
    model: nn.Module, recipe: Recipe | FlowRecipe | Mapping[str, Any] | None = None
) -> Recipe | FlowRecipe:
    """The recipe given, or the one that the model declares in ``model.spec.recipe``.

    A mapping that names ``flows`` is a :class:`FlowRecipe`.

    Raises:
        UserError: If there is neither.
    """
    given = recipe if recipe is not None else getattr(getattr(model, "spec", None), "recipe", None)
    if given is None:
        raise UserError(
            "This model declares no input: give its recipe, e.g. recipe=Recipe(frames=8, rate=8, crop=224)."
        )
    return make_recipe(given) if isinstance(given, Mapping) else given


def make_recipe(fields: Mapping[str, Any]) -> Recipe | FlowRecipe:
    """The recipe of these fields: of images and flow where it names ``flows``, else of clips."""
    return FlowRecipe(**fields) if "flows" in fields else Recipe(**fields)


def example_inputs(recipe: Recipe | FlowRecipe, clips: int = 1, device: str = "cpu") -> Inputs:
    """Noise of the form and size that a model takes, always the same.

    Returns:
        ``(N, *shape)`` of the recipe, a list of them for several pathways, or image and flow by name.
    """
    # Drawn on the CPU, so that every device gets the same; shapes alone need no numbers.
    draw = None if device == "meta" else torch.Generator().manual_seed(0)

    def noise(*shape: int, levels: bool = False) -> torch.Tensor:
        size = (clips, *shape)
        if draw is None:
            return torch.empty(size, device=device, dtype=torch.uint8 if levels else torch.float32)
        if levels:
            return torch.randint(256, size, generator=draw, dtype=torch.uint8).to(device)
        return torch.randn(size, generator=draw).to(device)

    if isinstance(recipe, FlowRecipe):
        return image_and_flow(
            noise(recipe.frames, 3, *recipe.size), noise(recipe.frames, 3 * len(recipe.flows), *recipe.size)
        )
    pathways = [noise(*shape, levels=recipe.values == "uint8") for shape in recipe.shapes]
    return pathways[0] if len(pathways) == 1 else pathways


def image_and_flow(images: torch.Tensor, flows: torch.Tensor) -> dict[str, torch.Tensor]:
    """``(..., T, C, H, W)`` of both → the dict that models of image and flow take; one frame has no axis of its own."""
    pair = {"Image": images, "Flow": flows}
    return {name: x.squeeze(-4) if x.shape[-4] == 1 else x for name, x in pair.items()}
