"""Inputs of models: a tensor, or lists, tuples and dicts of tensors, clips along the first axis."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn

from static_dynamic.common.errors import UserError, reason, shown, unknown
from static_dynamic.media.clip import FlowRecipe, Recipe

Inputs: TypeAlias = torch.Tensor | Sequence["Inputs"] | Mapping[str, "Inputs"]
"""A tensor, or nested lists, tuples and dicts of tensors."""


def batch_size(inputs: Inputs) -> int:
    """Clips in a batch: the first axis of the first tensor found."""
    for tensor in tensors_of(inputs):
        return int(tensor.shape[0])
    raise UserError(
        "The inputs do not contain a tensor. Give a tensor, or a list, tuple or dict of tensors, clips first."
    )


def tensors_of(inputs: Inputs) -> Iterable[torch.Tensor]:
    """Every tensor of nested lists, tuples and dicts, in order."""
    if isinstance(inputs, torch.Tensor):
        yield inputs
    elif isinstance(inputs, Mapping):
        yield from tensors_of(list(inputs.values()))
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
        for part in inputs:
            yield from tensors_of(part)


def shapes_of(inputs: Inputs) -> str:
    """The shapes of all tensors, in words.

    Example:
        >>> shapes_of([torch.zeros(1, 3, 8), torch.zeros(1, 3, 32)])
        '(1, 3, 8) and (1, 3, 32)'
    """
    return " and ".join(str(tuple(tensor.shape)) for tensor in tensors_of(inputs))


@contextmanager
def in_one_line(inputs: Inputs, model: str = "The model", remedy: str = "") -> Iterator[None]:
    """Turn every exception of a model on these inputs into a ``UserError`` of one line.

    The message states the shape of the input instead of a traceback.

    Args:
        inputs: The inputs.
        model: Name of the model.
        remedy: A sentence with a remedy.
    """
    try:
        yield
    except UserError:
        raise
    except torch.OutOfMemoryError:
        raise UserError(
            f"The device is out of memory at {shapes_of(inputs)}: a smaller batch (`batch_size=1`) uses less."
        ) from None
    except Exception as error:
        said = f"{model} failed on an input of shape {shapes_of(inputs)}: {reason(error)}. {remedy}"
        raise UserError(said.rstrip()) from error


def clip_frames(inputs: Inputs) -> int | None:
    """Frames of a clip, inferred from shapes: ``(N, 3, T, H, W)``, ``(N, T, 3, H, W)`` or ``(N, T, H, W, 3)``.

    Of several pathways the longest counts; ``None`` if the shapes do not determine it.
    """
    counts = []
    for shape in (tensor.shape for tensor in tensors_of(inputs) if tensor.ndim == 5):
        if 3 in shape[1:3]:
            counts.append(int(shape[2] if shape[1] == 3 else shape[1]))
        elif shape[4] == 3:
            counts.append(int(shape[1]))
    return max(counts, default=None)


def in_dtype_of(model: nn.Module, inputs: Inputs) -> Inputs:
    """Inputs with floating-point tensors in the dtype of the model's weights; others are unchanged."""
    dtype = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), None)
    if dtype is None:
        return inputs
    return map_tensors(inputs, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def map_tensors(inputs: Inputs, change: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
    """The same lists, tuples and dicts with every tensor changed."""
    if isinstance(inputs, torch.Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: map_tensors(part, change) for name, part in inputs.items()}
    if isinstance(inputs, list | tuple):
        parts = [map_tensors(part, change) for part in inputs]
        return type(inputs)(*parts) if hasattr(inputs, "_fields") else type(inputs)(parts)
    return inputs


def channels_last(inputs: Inputs) -> Inputs:
    """The same batch with the channels of clips ``(N, C, T, H, W)`` and images ``(N, C, H, W)`` last in memory."""
    formats = {5: torch.channels_last_3d, 4: torch.channels_last}
    return map_tensors(
        inputs, lambda tensor: tensor.contiguous(memory_format=formats.get(tensor.ndim, torch.contiguous_format))
    )


def declared_recipe(
    model: nn.Module, recipe: Recipe | FlowRecipe | Mapping[str, Any] | None = None
) -> Recipe | FlowRecipe:
    """The recipe given, or the one that the model declares in ``model.spec.recipe``.

    A mapping that names ``flows`` is a :class:`FlowRecipe`.

    Raises:
        UserError: If both are missing.
    """
    given = recipe if recipe is not None else getattr(getattr(model, "spec", None), "recipe", None)
    if given is None:
        raise UserError(
            "This model does not declare its input: give its recipe, e.g. recipe=Recipe(frames=8, rate=8, crop=224)."
        )
    if not isinstance(given, Mapping | Recipe | FlowRecipe):
        raise UserError(f"The recipe must be a Recipe, a FlowRecipe or a mapping of its fields. Got {shown(given)}.")
    return make_recipe(given) if isinstance(given, Mapping) else given


def make_recipe(fields: Mapping[str, Any]) -> Recipe | FlowRecipe:
    """The recipe of these fields: of images and flow if they include ``flows``, otherwise of clips.

    Raises:
        UserError: For an unknown field, or an invalid value.
    """
    kind: type[Recipe | FlowRecipe] = FlowRecipe if "flows" in fields else Recipe
    allowed = [one.name for one in dataclasses.fields(kind)]
    for name in fields:
        if name not in allowed:
            raise unknown("field of a recipe", name, allowed)
    return kind(**fields)


def declared_notes(model: nn.Module) -> list[str]:
    """Notes on the model for readers of a measurement, from ``model.spec.notes``."""
    return [str(note) for note in getattr(getattr(model, "spec", None), "notes", None) or ()]


def example_inputs(recipe: Recipe | FlowRecipe, clips: int = 1, device: str = "cpu") -> Inputs:
    """Noise in the form and size of a model's input, always the same.

    Returns:
        ``(N, *shape)`` of the recipe, a list of them for several pathways, or image and flow by name.
    """
    # Drawn on the CPU, so that every device gets the same; shapes alone do not require numbers.
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
    """``(..., T, C, H, W)`` of both → the dict that models of image and flow take; one frame has no time axis."""
    pair = {"Image": images, "Flow": flows}
    return {name: x.squeeze(-4) if x.shape[-4] == 1 else x for name, x in pair.items()}
