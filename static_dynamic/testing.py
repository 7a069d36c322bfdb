"""Checks that any model should pass before it is measured; run them on your own.

In your test suite, one test per check::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_model(check):
        check(build(), torch.rand(2, 3, 8, 64, 64), {"late": ("layer4", "N C T H W")})

or all at once: ``check_model(model, inputs, stages)``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from static_dynamic.clip import Clip, FlowRecipe
from static_dynamic.errors import UserError
from static_dynamic.inputs import Inputs, batch_size, declared_recipe, example_inputs, tensors_of
from static_dynamic.recorder import (
    Recorder,
    Stages,
    eval_mode,
    record,
    untouched_randomness,
)

Check = Callable[[nn.Module, Inputs, Stages | None], None]

TOLERANCE = 1e-4
"""How far activations may move with the batch size, as a share of the stage's largest: kernels differ in order."""


class CheckFailed(AssertionError):
    """A model fails a check; the message names the check and what was seen."""


def check_model(model: nn.Module, inputs: Inputs | Clip | None = None, stages: Stages | None = None) -> None:
    """Run every check.

    Args:
        model: Any module; it is left as it was found, unless it changes itself.
        inputs: What the model takes, clips along the first axis (two are best); or a :class:`Clip`; ``None`` draws
            noise of the size that the model declares.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.

    Raises:
        CheckFailed: At the first check that fails.
        UserError: If a stage is unknown or has no layout.

    Example:
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> check_model(net, torch.rand(2, 3, 4, 8, 8), {"relu": ("1", "N C T H W")})
    """
    if inputs is None or isinstance(inputs, Clip):
        inputs = _prepare(model, inputs)
    for check in CHECKS:
        check(model, inputs, stages)


def check_layouts(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Every layout fits its output, for one batch size and for twice of it, with the same number of units."""
    clips = batch_size(inputs)
    with _named("check_layouts"):
        once = record(model, inputs, stages)
        twice = record(model, _twice(inputs), stages)
    for stage, units in once.items():
        if twice[stage].shape != (2 * clips, units.shape[1]):
            raise CheckFailed(
                f"check_layouts: stage {stage!r} gives {tuple(units.shape)} for {clips} clips, but "
                f"{tuple(twice[stage].shape)} for {2 * clips}."
            )


def check_finite(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """No activation is NaN or infinite."""
    for stage, units in record(model, inputs, stages).items():
        if bad := int((~units.isfinite()).any(0).sum()):
            raise CheckFailed(f"check_finite: {bad} of {units.shape[1]} units of stage {stage!r} are NaN or infinite.")


def check_determinism(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """In evaluation mode, two forwards of one input are equal bit for bit."""
    with eval_mode(model), untouched_randomness():
        first, second = _outputs(model, inputs), _outputs(model, inputs)
    _same("check_determinism: two forwards of one input differ", first, second)
    with Recorder(model, stages) as recorder:
        _same_stages("check_determinism: two forwards of one input differ", recorder(inputs), recorder(inputs))


def check_state(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """A recording changes no mode, parameter, buffer, hook or random state."""
    before = _state(model)
    record(model, inputs, stages)
    for what, value in _state(model).items():
        if not _equal(value, before.get(what)):
            raise CheckFailed(f"check_state: a recording changes {what}.")


def check_outputs(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """The model's outputs are equal bit for bit with and without a recording."""
    with eval_mode(model), untouched_randomness():
        plain = _outputs(model, inputs)
    with Recorder(model, stages):
        recorded = _outputs(model, inputs)
    _same("check_outputs: the outputs change while they are recorded", plain, recorded)


def check_batch_size(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """A clip's activations depend on that clip alone: in any batch they are the same, within ``TOLERANCE``."""
    clips = batch_size(inputs)
    batch, twice, alone = (
        record(model, given, stages) for given in (inputs, _twice(inputs), _map(inputs, lambda tensor: tensor[:1]))
    )
    for stage, units in batch.items():
        scale = units.abs().max().clamp_min(1e-12)
        for size, other in ((2 * clips, twice[stage][:clips]), (1, alone[stage])):
            moved = float((other - units[: len(other)]).abs().max() / scale)
            if not moved <= TOLERANCE:
                raise CheckFailed(
                    f"check_batch_size: activations of stage {stage!r} move by {moved:.1e} of the largest between "
                    f"batches of {clips} and {size}. Allowed: {TOLERANCE:.0e}. Is N where the layout says?"
                )


def check_early_stop(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """A forward that stops after the last wanted stage gives the activations of a whole one."""
    with Recorder(model, stages) as recorder:
        whole, stopped, again = recorder(inputs), recorder(inputs), recorder(inputs)
    for other in (stopped, again):
        _same_stages("check_early_stop: a forward that stopped early differs from a whole one", whole, other)


CHECKS: tuple[Check, ...] = (
    check_layouts,
    check_finite,
    check_determinism,
    check_state,
    check_outputs,
    check_batch_size,
    check_early_stop,
)
"""Every check, in the order in which failures are easiest to understand."""


def _prepare(model: nn.Module, clip: Clip | None) -> Inputs:
    """A clip and its reverse, or noise, as the model's declared recipe wants them."""
    recipe = declared_recipe(model)
    if clip is None:
        return example_inputs(recipe, clips=2)
    if isinstance(recipe, FlowRecipe):
        raise UserError("This model takes image and flow, not clips: give its inputs, or none for noise.")
    frames = recipe.prepare(clip.frames)
    played = [frames[torch.from_numpy(path)] for path in clip.sample.pathways]
    inputs = [torch.stack([recipe.arranged(path), recipe.arranged(path.flip(0))]) for path in played]
    return inputs[0] if len(inputs) == 1 else inputs


def _outputs(model: nn.Module, inputs: Inputs) -> list[torch.Tensor]:
    with torch.no_grad():
        return [tensor.clone() for tensor in tensors_of(model(inputs))]


def _twice(inputs: Inputs) -> Inputs:
    return _map(inputs, lambda tensor: torch.cat((tensor, tensor.flip(0))))


def _map(inputs: Inputs, change: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
    if isinstance(inputs, torch.Tensor):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: _map(part, change) for name, part in inputs.items()}
    return type(inputs)(_map(part, change) for part in inputs) if isinstance(inputs, (list, tuple)) else inputs


def _state(model: nn.Module) -> dict[str, Any]:
    modules = dict(model.named_modules())
    return {
        **{f"the mode of {name or 'the model'}": module.training for name, module in modules.items()},
        **{
            f"the hooks of {name or 'the model'}": (len(module._forward_hooks), len(module._forward_pre_hooks))
            for name, module in modules.items()
        },
        **{f"the parameter {name}": tensor.detach().clone() for name, tensor in model.named_parameters()},
        **{f"the buffer {name}": tensor.detach().clone() for name, tensor in model.named_buffers()},
        "the global random state": torch.get_rng_state(),
    }


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())
    return bool(a == b)


def _same(message: str, a: list[torch.Tensor], b: list[torch.Tensor]) -> None:
    if len(a) != len(b) or not all(map(_equal, a, b)):
        raise CheckFailed(f"{message}.")


def _same_stages(message: str, a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    for stage in a:
        _same(f"{message} at stage {stage!r}", [a[stage]], [b[stage]])


@contextmanager
def _named(check: str) -> Iterator[None]:
    """A layout that does not fit is the failure of a check."""
    try:
        yield
    except UserError as error:
        if "does not fit" not in str(error):
            raise
        raise CheckFailed(f"{check}: {error}") from None
