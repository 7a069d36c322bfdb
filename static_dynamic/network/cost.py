"""The cost of a model: parameters, and multiply-accumulates (MACs) per clip, in total and up to each stage.

A MAC is one multiplication and one addition: 1 MAC = 2 FLOPs. "GFLOPs" in the video literature are GMACs. Two counters
are used: torch's (convolutions, matrix products, attention) and fvcore's, which also counts normalisation
and some pooling by its own rules, and lists the operators that it does not know.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import Inputs, example_inputs, in_dtype_of, in_one_line
from static_dynamic.network.recorder import eval_mode, untouched_randomness
from static_dynamic.network.stages import Stages, Tap, declared_stages, resolve_stages
from static_dynamic.optional import need


@dataclass(frozen=True)
class StageCost:
    """The cost of reaching a stage's output.

    Attributes:
        stage: Its name.
        parameters: Parameters of all modules that have run by then, including those of the stage.
        macs: Multiply-accumulates per clip until then (torch's counter).
    """

    stage: str
    parameters: int
    macs: float


@dataclass(frozen=True)
class Cost:
    """The cost of a model per clip.

    Attributes:
        parameters: Trainable and frozen parameters, without buffers.
        macs: Multiply-accumulates, by torch's counter.
        fvcore_macs: Multiply-accumulates by fvcore; ``None`` if it cannot trace the model.
        uncounted: Operators that fvcore does not count, with how often they occur.
        stages: Cost up to every stage.
    """

    parameters: int
    macs: float
    fvcore_macs: float | None
    uncounted: dict[str, int]
    stages: tuple[StageCost, ...]


def measure_cost(
    model: nn.Module, recipe: Recipe | FlowRecipe, stages: Stages | None = None, fvcore: bool = True
) -> Cost:
    """Count parameters and MACs of a model on one clip; the model is left as it was.

    It runs on the meta device, which has shapes alone and takes neither time nor memory. A model that needs numbers
    (``.item()``, tensors that it creates on a fixed device) runs on its own device.

    Args:
        model: Any module whose input :func:`static_dynamic.media.inputs.example_inputs` can make.
        recipe: Frames and size of the clip.
        stages: The stages; ``None`` means those that the model declares, if any.
        fvcore: Whether to count with fvcore too, which runs a real forward pass.

    Raises:
        UserError: If a stage is unknown or its module does not run, if the model fails on such an input, or if fvcore
            is not installed (``fvcore=False`` does not need it).

    Example:
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1, bias=False))
        >>> cost = measure_cost(net, Recipe(frames=2, rate=1, crop=8), {"conv": ("0", "N C T H W")})
        >>> cost.parameters, cost.macs == 324 * 2 * 8 * 8
        (324, True)
    """
    taps = resolve_stages(model, stages) if stages or declared_stages(model) else {}
    try:
        macs, reached = _count(model, taps, lambda: _on_meta(model, recipe))
    except Exception:  # the model may fail for want of numbers; a true error is raised again
        macs, reached = _count(model, taps, lambda: _for_real(model, recipe))
    counted, uncounted = _count_with_fvcore(model, recipe) if fvcore else (None, {})
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=macs,
        fvcore_macs=counted,
        uncounted=uncounted,
        stages=tuple(_at_stage(stage, parts, reached) for stage, parts in taps.items()),
    )


def _at_stage(stage: str, parts: tuple[Tap, ...], reached: dict[str, StageCost]) -> StageCost:
    """The cost up to the last of the modules that form a stage."""
    for tap in parts:
        if tap.module not in reached:
            raise UserError(f"The forward pass never reached stage {stage!r}: its module {tap.module!r} did not run.")
    last = max((reached[tap.module] for tap in parts), key=lambda cost: cost.macs)
    return StageCost(stage, last.parameters, last.macs)


def _count(
    model: nn.Module, taps: dict[str, tuple[Tap, ...]], forward: Callable[[], object]
) -> tuple[float, dict[str, StageCost]]:
    """MACs of a forward pass, and the cost at the output of every module that is tapped."""
    reached: dict[str, StageCost] = {}
    with _untouched(model), FlopCounterMode(display=False) as counter, ExitStack() as hooks:
        ran = hooks.enter_context(_parameters_that_ran(model))
        for module in {tap.module for parts in taps.values() for tap in parts}:

            def reach(_module: nn.Module, _args: Any, _output: Any, name: str = module) -> None:
                reached[name] = StageCost(name, sum(ran.values()), counter.get_total_flops() / 2)

            hooks.callback(model.get_submodule(module).register_forward_hook(reach).remove)
        forward()
    return counter.get_total_flops() / 2, reached


# A forward pass


def _on_meta(model: nn.Module, recipe: Recipe | FlowRecipe) -> None:
    """Run with shapes alone: all tensors that the model has or creates are on the meta device."""
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                vars(module)[name] = value.detach().to("meta")
    state = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    with torch.device("meta"):
        functional_call(model, state, (_inputs(model, recipe, "meta"),))


def _for_real(model: nn.Module, recipe: Recipe | FlowRecipe) -> None:
    """Run with numbers, on the model's device; attention as matrix products, since not all its kernels are counted."""
    inputs = _inputs(model, recipe, str(next((tensor.device for tensor in model.parameters()), "cpu")))
    with in_one_line(inputs), sdpa_kernel(SDPBackend.MATH):
        model(inputs)


def _inputs(model: nn.Module, recipe: Recipe | FlowRecipe, device: str) -> Inputs:
    return in_dtype_of(model, example_inputs(recipe, device=device))


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode without gradients; restore tensors, attributes and random states at the end."""
    before = {module: (dict(vars(module)), dict(module._buffers)) for module in model.modules()}
    with eval_mode(model), untouched_randomness(), torch.no_grad():
        for module, (attributes, buffers) in before.items():
            vars(module).update(_cloned(attributes))
            module._buffers.update(_cloned(buffers))
        try:
            yield
        finally:
            for module, (attributes, buffers) in before.items():
                vars(module).clear()
                vars(module).update(attributes)
                module._buffers.clear()
                module._buffers.update(buffers)


def _cloned(values: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in values.items() if isinstance(value, torch.Tensor)}


@contextmanager
def _parameters_that_ran(model: nn.Module) -> Iterator[dict[int, int]]:
    """Sizes of the parameters of every module that has run, each counted once."""
    ran: dict[int, int] = {}

    def note(module: nn.Module, _args: Any) -> None:
        ran.update({id(parameter): parameter.numel() for parameter in module.parameters(recurse=False)})

    handles = [module.register_forward_pre_hook(note) for module in model.modules()]
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


def _count_with_fvcore(model: nn.Module, recipe: Recipe | FlowRecipe) -> tuple[float | None, dict[str, int]]:
    with warnings.catch_warnings(), _untouched(model):
        warnings.simplefilter("ignore")  # advice of the tracer for its authors
        library: Any = need("fvcore.nn", UserError)
        device = str(next((tensor.device for tensor in model.parameters()), "cpu"))
        analysis = library.FlopCountAnalysis(model, (_inputs(model, recipe, device),))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)  # they are returned instead
        try:
            return float(analysis.total()), dict(analysis.unsupported_ops())
        except Exception:  # untraceable models fail in many ways
            return None, {}
