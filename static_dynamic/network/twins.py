"""Random twins: the same architecture with fresh weights, with which every number of a model is compared.

An untrained network already responds to colours and textures. Only the distance from it was learned.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from static_dynamic.common.errors import UserError, reason, shown
from static_dynamic.common.numbers import whole_within
from static_dynamic.common.seeds import derive_seed
from static_dynamic.media.inputs import Inputs, in_dtype_of, in_one_line
from static_dynamic.network.fingerprint import weights_digest
from static_dynamic.network.recorder import eval_mode, untouched_randomness

Untrained = Callable[[], nn.Module]
"""Makes the model with fresh weights, drawn from torch's global generator."""
REMEDY = "In Python, give `measure` a function that builds the model with fresh weights, as `untrained`."
NAMED = 3
"""Number of parameters that a message names."""
TWIN = "A random twin of the model"
WITHOUT = "If the model itself accepts such inputs, leave out its twins: `twins=0`."
"""Remedy if a twin fails."""


MOST_TWINS = 1000
"""Largest number of twins, each of which is a model in memory."""


@dataclass(frozen=True)
class Twin:
    """A model with fresh weights.

    Attributes:
        model: The model in evaluation mode.
        seed: Seed of its weights.
        how: How they were drawn.
    """

    model: nn.Module
    seed: int
    how: str


def make_twins(
    model: nn.Module, count: int, seed: int = 0, untrained: Untrained | None = None
) -> tuple[list[Twin], list[str]]:
    """Random twins of a model, if it can have some; global random state is unchanged.

    Weights are those of ``untrained`` or, for a model of the zoo, of its build function. Any other model is copied,
    every module with ``reset_parameters`` is reset, and the values of all other parameters are shuffled.

    Args:
        model: The model; it is left as it was.
        count: Number of twins.
        seed: Seed that draws the weights.
        untrained: Makes the model with fresh weights.

    Returns:
        The twins, and notes on them for the reader.

    Raises:
        UserError: If the number of twins is invalid, or ``untrained`` does not return a new module.
    """
    check_count(count)
    twins: list[Twin] = []
    notes = []
    for number in range(count):
        weights_seed = derive_seed(seed, "twin", number) % 2**63
        try:
            with untouched_randomness():
                torch.default_generator.manual_seed(weights_seed)
                made, how = _made(model, untrained)
        except Exception as error:  # the user's module may raise anything
            remedy = (
                REMEDY
                if untrained is None
                else "The function given as `untrained` must make the model with fresh weights."
            )
            return [], [f"Random twins for comparison are missing: {reason(error)}. {remedy}"]
        _check_new(made, [model, *(twin.model for twin in twins)])
        twins.append(Twin(made.eval(), weights_seed, how))
        if "shuffled" in how:
            notes.append(f"Random twins: {how}.")
    if len(twins) > 1 and len({weights_digest(twin.model) for twin in twins}) == 1:
        notes.append("Random twins: all have the same weights, so their spread is meaningless.")
    return twins, list(dict.fromkeys(notes))


def check_count(count: object) -> None:
    """Raise if the number of twins is invalid."""
    if not whole_within(count, 0, MOST_TWINS):
        raise UserError(f"The number of random twins must be 0 to {MOST_TWINS}: `twins=3`. Got {shown(count)}.")


def _check_new(made: object, before: Iterable[nn.Module]) -> None:
    """Raise if the result is not a module, or is not new."""
    if not isinstance(made, nn.Module):
        raise UserError(
            f"The function given as `untrained` must return the model with fresh weights. Got {type(made).__name__}."
        )
    if any(made is model for model in before):
        raise UserError(
            "The function given as `untrained` must make a new model at every call. It returned an existing one."
        )


def _made(model: nn.Module, untrained: Untrained | None) -> tuple[nn.Module, str]:
    spec: Any = getattr(model, "spec", None)
    if untrained is not None:
        return untrained(), "weights of the given function"
    if hasattr(spec, "build") and not getattr(spec, "own", False):
        return spec.build(spec.num_classes), "weights as the model is built"
    twin = copy.deepcopy(model)
    return twin, reset(twin)


def reset(model: nn.Module) -> str:
    """Draw all weights of a module again, in place; return how that was done, in words.

    The values of parameters whose module has no ``reset_parameters`` are shuffled, which keeps their distribution
    and removes what was learned.
    """
    done: set[nn.Parameter] = set()
    for module in model.modules():
        again = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(again):
            again()
            done |= set(module.parameters(recurse=False))
    shuffled = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter not in done:
                values = parameter.flatten()
                parameter.copy_(values[torch.randperm(len(values), device=values.device)].view_as(parameter))
                shuffled.append(name)
    if not shuffled:
        return "every module was reset"
    some = ", ".join(shuffled[:NAMED]) + (" …" if len(shuffled) > NAMED else "")
    if len(shuffled) == 1:
        return f"1 parameter belongs to a module without reset_parameters, so its values were shuffled ({some})"
    return (
        f"{len(shuffled)} parameters belong to modules without reset_parameters, so their values were shuffled ({some})"
    )


def has_batch_statistics(model: nn.Module) -> bool:
    """Whether a model has batch statistics, which fresh weights lack."""
    return any(_keeps_statistics(module) for module in model.modules())


def has_seen_batches(model: nn.Module) -> bool:
    """Whether the statistics of any batch normalisation differ from the initial mean 0 and variance 1."""
    return any(
        bool(module.running_mean.any()) or bool((module.running_var - 1).any())
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None
        if not module.running_mean.is_meta  # it has no numbers; the forward pass of the model reports that
    )


def set_batch_statistics(model: nn.Module, clips: Iterable[Inputs]) -> None:
    """Set the statistics of batch normalisation to those of some clips, without other changes.

    Raises:
        UserError: If the model fails on the clips.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and _keeps_statistics(module)]
    momenta = [module.momentum for module in norms]
    try:
        with eval_mode(model), torch.no_grad(), untouched_randomness():
            for module in norms:
                module.reset_running_stats()
                module.momentum = None  # the plain mean over all batches
                module.train()
            for inputs in clips:
                with in_one_line(inputs, TWIN, WITHOUT):
                    model(in_dtype_of(model, inputs))
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum


def _keeps_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None
