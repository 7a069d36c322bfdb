"""Checks that a file holds numbers that a model can take, before anything is changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from static_dynamic.models.errors import ModelError
from static_dynamic.models.weights.keys import State
from static_dynamic.models.weights.report import some
from static_dynamic.models.weights.unpickling import PlainArray

MOST_ENTRIES = 1_000_000
"""The most entries of all mappings and lists in a file."""
SHARED = 4
"""How much more memory than its file a checkpoint may need: the file holds tied weights once."""
ROOM = 1 << 30
"""Bytes that are always allowed."""
PACKED = (torch.bool, torch.int8, torch.uint8)
"""Types of quantised weights, which would mean something else as numbers of a model."""


def check_content(content: Any, size: int) -> None:
    """Refuse content that would need much more memory than its file.

    Args:
        content: The content of the files.
        size: Bytes of the files.

    Raises:
        ModelError: If tensors repeat their numbers, or there are too many entries.
    """
    seen, open_ends, needed, entries = set[int](), [content], 0, 0
    while open_ends:
        value = open_ends.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        parts = _parts(value)
        entries += len(parts)
        needed += _bytes(value)
        if entries > MOST_ENTRIES:
            raise ModelError(f"more than {MOST_ENTRIES} entries.")
        if needed > SHARED * size + ROOM:
            raise ModelError(f"its tensors need at least {needed} bytes, but the file has {size}.")
        open_ends += parts


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*dict.values(value)] if isinstance(value, dict) else [*value.values()]
    return [*value] if isinstance(value, list | tuple) else []


def _bytes(value: Any) -> int:
    """Memory that a copy of an array needs; 0 for a sparse one."""
    array = value.values if isinstance(value, PlainArray) else value
    if isinstance(array, np.ndarray):
        return array.nbytes
    return value.numel() * value.element_size() if isinstance(value, Tensor) and not value.is_sparse else 0


def check_numbers(state: State, own: Mapping[str, Tensor], path: str) -> None:
    """Raise a ModelError, before anything is copied, if a weight cannot be copied or used.

    Args:
        state: Names of the model → tensors of the file, of the same shapes.
        own: Names → tensors of the model.
        path: The file.
    """
    if empty := [key for key, tensor in state.items() if tensor.is_meta]:
        raise ModelError(f"{path} holds weights without values (the meta device): {some(empty)}.")
    if empty := [key for key in state if own[key].is_meta]:
        raise ModelError(f"The model has no memory for its weights (the meta device): {some(empty)}.")
    for key, tensor in state.items():
        if tensor.layout != own[key].layout or tensor.is_quantized != own[key].is_quantized:
            raise ModelError(f"{path} holds {key} in a form that the model cannot take: sparse or quantised.")
    if other := [key for key, tensor in state.items() if _means_other(tensor, own[key])]:
        kinds = ", ".join(sorted({str(state[key].dtype).removeprefix("torch.") for key in other}))
        raise ModelError(f"{path} holds numbers of another kind ({kinds}) than the model takes: {some(other)}.")
    if wrong := [key for key, tensor in state.items() if _is_broken(tensor, own[key])]:
        raise ModelError(f"{path} holds weights that are NaN or infinite: {some(wrong)}.")


def _means_other(given: Tensor, own: Tensor) -> bool:
    return given.is_complex() != own.is_complex() or (own.is_floating_point() and given.dtype in PACKED)


def _is_broken(given: Tensor, own: Tensor) -> bool:
    """Whether some numbers are not finite although those of the model are: masks may hold -inf."""
    if not (given.is_floating_point() or given.is_complex()) or given.layout != torch.strided or given.is_quantized:
        return False
    finite = torch.isfinite(given.to(own.dtype))
    if finite.all():
        return False
    return bool(torch.isnan(given).any()) or bool(torch.isfinite(own).all())
