"""Checks that any model should pass before it is measured; run them on your models.

In your test suite, one test per check::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_model(check):
        check(build(), torch.rand(2, 3, 8, 64, 64), {"late": ("layer4", "N C T H W")})

or all at once: ``check_model(model, inputs, stages)``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Clip, FlowRecipe
from static_dynamic.media.inputs import Inputs, batch_size, declared_recipe, example_inputs, map_tensors
from static_dynamic.network.agreement import CheckFailed, Make, Pair, kept, must_agree, of_outputs, of_stages, read
from static_dynamic.network.recorder import eval_mode, record, untouched_randomness
from static_dynamic.network.stages import Stages

__all__ = ["CHECKS", "Check", "CheckFailed", "check_model"]

Check = Callable[[nn.Module, Inputs, Stages | None], None]


def check_model(model: nn.Module, inputs: Inputs | Clip | None = None, stages: Stages | None = None) -> None:
    """Run every check.

    Args:
        model: Any module; it is left as it was, unless it changes itself.
        inputs: Input of the model, clips along the first axis (two are best); or a :class:`Clip`; ``None`` draws
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
    """Check that every layout fits its output for two batch sizes, with the same number of units."""
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
    """Check that activations are neither NaN nor infinite."""
    for stage, units in record(model, inputs, stages).items():
        if bad := int((~units.isfinite()).any(0).sum()):
            raise CheckFailed(f"check_finite: {bad} of {units.shape[1]} units of stage {stage!r} are NaN or infinite.")


def check_determinism(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Check that two forward passes of one input in evaluation mode are equal, except for rounding."""

    def pairs(make: Make) -> Iterator[Pair]:
        plain = make()
        with torch.no_grad(), eval_mode(model), untouched_randomness():
            yield from of_outputs(kept(plain.forward(inputs)), kept(plain.forward(inputs)))
        with make() as recorder:
            yield from of_stages(recorder(inputs), recorder(inputs))

    must_agree("check_determinism: two forward passes of one input differ", model, inputs, stages, pairs)


def check_state(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Check that a recording does not change modes, parameters, buffers, hooks or random states."""
    before = _state(model)
    record(model, inputs, stages)
    for what, value in _state(model).items():
        if not _equal(value, before.get(what)):
            raise CheckFailed(f"check_state: a recording changes {what}.")


def check_outputs(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Check that the model's outputs are equal with and without a recording, except for rounding."""

    def pairs(make: Make) -> Iterator[Pair]:
        recorder = make()
        with torch.no_grad(), eval_mode(model), untouched_randomness():
            plain = kept(recorder.forward(inputs))
        with recorder:
            yield from of_outputs(plain, kept(recorder.run(inputs)))

    must_agree("check_outputs: the outputs change while they are recorded", model, inputs, stages, pairs)


def check_batch_size(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Check that a clip's activations are the same in any batch, except for rounding."""
    clips = batch_size(inputs)
    others = {2 * clips: _twice(inputs), 1: map_tensors(inputs, lambda tensor: tensor[:1])}

    def pairs(make: Make) -> Iterator[Pair]:
        batch = read(make, inputs)
        for size, other in others.items():
            found, shared = read(make, other), min(size, clips)
            for stage, units in batch.items():
                what = f"stage {stage!r} between batches of {clips} and {size}"
                yield Pair(what, units[:shared], found[stage][:shared], units, stage)

    message = (
        "check_batch_size: activations of a clip depend on the other clips of its batch (is N the axis in the layout?)"
    )
    must_agree(message, model, inputs, stages, pairs, same_shapes=False)


def check_early_stop(model: nn.Module, inputs: Inputs, stages: Stages | None = None) -> None:
    """Check that a forward pass that stops after the last stage gives the activations of a full one."""

    def pairs(make: Make) -> Iterator[Pair]:
        with make() as recorder:
            whole = recorder(inputs)
            for _ in range(2):
                yield from of_stages(whole, recorder(inputs))

    must_agree(
        "check_early_stop: a forward pass that stopped early differs from a full one", model, inputs, stages, pairs
    )


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
    """A clip and its reverse, or noise, in the form of the model's declared recipe."""
    recipe = declared_recipe(model)
    if clip is None:
        return example_inputs(recipe, clips=2)
    if isinstance(recipe, FlowRecipe):
        raise UserError("This model takes image and flow, not clips: give `inputs` of this form, or None for noise.")
    frames = recipe.prepare(clip.frames)
    played = [frames[torch.from_numpy(path)] for path in clip.sample.pathways]
    inputs = [torch.stack([recipe.arranged(path), recipe.arranged(path.flip(0))]) for path in played]
    return inputs[0] if len(inputs) == 1 else inputs


def _twice(inputs: Inputs) -> Inputs:
    return map_tensors(inputs, lambda tensor: torch.cat((tensor, tensor.flip(0))))


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


@contextmanager
def _named(check: str) -> Iterator[None]:
    """Turn the error for a layout that does not fit into a failed check."""
    try:
        yield
    except UserError as error:
        if "does not fit" not in str(error):
            raise
        raise CheckFailed(f"{check}: {error}") from None
