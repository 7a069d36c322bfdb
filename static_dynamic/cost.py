"""What a model costs: parameters, and multiply-accumulates (MACs) per clip, in all and up to each stage.

A MAC is one multiplication and one addition: 1 MAC = 2 FLOPs. "GFLOPs" in the video literature are GMACs. Two counters
are used side by side: torch's (convolutions, matrix products, attention) and fvcore's, which also counts normalisation
and some pooling by its own rules, and names the operators that it does not know.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from static_dynamic.clip import FlowRecipe, Recipe
from static_dynamic.inputs import example_inputs
from static_dynamic.recorder import eval_mode
from static_dynamic.stages import Stages, resolve_stages


@dataclass(frozen=True)
class StageCost:
    """What it takes to reach a stage's output.

    Attributes:
        stage: Its name.
        parameters: Of all modules that have run by then, the stage's own included.
        macs: Multiply-accumulates per clip until then (torch's counter).
    """

    stage: str
    parameters: int
    macs: float


@dataclass(frozen=True)
class Cost:
    """What a model costs per clip.

    Attributes:
        parameters: Trainable or not, buffers left out.
        macs: Multiply-accumulates, by torch's counter.
        fvcore_macs: The same by fvcore's; ``None`` if it cannot trace the model.
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
    """Parameters and MACs of a model on one clip; its weights and mode are left alone.

    Args:
        model: Any module whose input :func:`static_dynamic.inputs.example_inputs` can make.
        recipe: Frames and size of the clip.
        stages: Which stages; ``None`` means those that the model declares.
        fvcore: Whether to count with fvcore too, which runs a real forward.

    Raises:
        UserError: If a stage is unknown.

    Example:
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1, bias=False))
        >>> cost = measure_cost(net, Recipe(frames=2, rate=1, crop=8), {"conv": ("0", "N C T H W")})
        >>> cost.parameters, cost.macs == 324 * 2 * 8 * 8
        (324, True)
    """
    taps = resolve_stages(model, stages)
    shadow = copy.deepcopy(model).to("meta").eval()  # shapes without numbers: no arithmetic, no memory
    reached: dict[str, StageCost] = {}
    with torch.no_grad(), FlopCounterMode(display=False) as counter, ExitStack() as hooks:
        ran = hooks.enter_context(_parameters_that_ran(shadow))
        for module in {tap.module for parts in taps.values() for tap in parts}:

            def reach(_module: nn.Module, _args: Any, _output: Any, name: str = module) -> None:
                reached[name] = StageCost(name, sum(ran.values()), counter.get_total_flops() / 2)

            hooks.callback(shadow.get_submodule(module).register_forward_hook(reach).remove)
        shadow(example_inputs(recipe, device="meta"))
    by_stage = {
        stage: max((reached[tap.module] for tap in parts), key=lambda cost: cost.macs) for stage, parts in taps.items()
    }
    counted, uncounted = _count_with_fvcore(model, recipe) if fvcore else (None, {})
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.get_total_flops() / 2,
        fvcore_macs=counted,
        uncounted=uncounted,
        stages=tuple(StageCost(stage, cost.parameters, cost.macs) for stage, cost in by_stage.items()),
    )


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
    with warnings.catch_warnings(), eval_mode(model), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's own advice, meant for its authors
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, (example_inputs(recipe),))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)  # they are returned instead
        try:
            return float(analysis.total()), dict(analysis.unsupported_ops())
        except (RuntimeError, TypeError):
            return None, {}
