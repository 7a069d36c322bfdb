"""Whether two readings of a model agree: a rule that separates a true difference from rounding at any depth.

Kernels add in another order for another batch size or processor, and a deep model magnifies that. So a large difference
is computed again in float64, where rounding is a billion times smaller and a true difference is as large as before.
Between batches, it is also compared with the effect of a change of every weight in its last digit.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from static_dynamic.media.inputs import Inputs, map_tensors, tensors_of
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.stages import Stages

UNSEEN = 1e-5
"""A difference that does not affect scores, as a share of the largest value."""
EXACT = 1e-6
"""The limit in float64; activations are kept as float32."""
DIGITS = 64
"""Limit of rounding, as a multiple of the movement by the last digits of all weights."""
COARSER = (torch.float32, torch.float16, torch.bfloat16)

Make = Callable[[], Recorder]
"""Makes a recorder of the model at a given precision."""


class CheckFailed(AssertionError):
    """A model failed a check; the message names the check and the observation."""


class Pair(NamedTuple):
    """Two readings that must agree."""

    what: str
    first: torch.Tensor
    second: torch.Tensor
    whole: torch.Tensor
    """The tensor whose largest value is the scale of a movement."""
    stage: str | None = None
    """The stage that was read; ``None`` for an output."""

    def moved(self) -> float:
        """The largest difference as a share of the largest value; infinite where the two cannot be compared."""
        first, second, whole = (part.detach().cpu().double() for part in (self.first, self.second, self.whole))
        if first.shape != second.shape or not torch.equal(first.isnan(), second.isnan()):
            return float("inf")
        first, second, whole = (part.nan_to_num() for part in (first, second, whole))
        if torch.equal(first, second):
            return 0.0
        return float((first - second).abs().max() / whole.abs().max().clamp_min(1e-12))


Pairs = Callable[[Make], Iterable[Pair]]


def must_agree(
    message: str, model: nn.Module, inputs: Inputs, stages: Stages | None, pairs: Pairs, same_shapes: bool = True
) -> None:
    """Fail unless all pairs agree, except for rounding.

    Args:
        message: The meaning of a disagreement.
        model: The model.
        inputs: Its inputs.
        stages: The stages that are read.
        pairs: Makes recorders and reads the pairs with them.
        same_shapes: Whether both readings of a pair have inputs of one shape; otherwise their kernels may differ.

    Raises:
        CheckFailed: With the first pair that differs by more than ``UNSEEN`` of the largest value in the model's own
            precision and, in float64 (or in its own, where its code does not run in another), by more than ``EXACT``
            and, where shapes differ, ``DIGITS`` times the movement by the last digits of the weights.
    """

    def own() -> Recorder:
        return Recorder(model, stages)

    def exact() -> Recorder:
        return InFloat64(model, stages)

    apart = _moves(pairs, own)
    if all(move.moved <= UNSEEN for move in apart):
        return
    try:
        precision, make, least, moves = "in float64", exact, EXACT, _moves(pairs, exact)
    except Exception:
        # Code that fixes its precision does not run in another one.
        precision, make, least, moves = "in its own precision", own, UNSEEN, apart
    rounding = {"": 0.0} if same_shapes else _rounding(make, inputs)
    for move in moves:
        limit = max(least, DIGITS * rounding.get(move.stage or "", max(rounding.values())))
        if not move.moved <= limit:
            raise CheckFailed(
                f"{message}: {move.what} moves by {move.moved:.1e} of the largest {precision}; {limit:.0e} is allowed."
            )


def of_stages(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> Iterator[Pair]:
    """Yield a pair for every stage."""
    for stage, units in first.items():
        yield Pair(f"stage {stage!r}", units, second[stage], units, stage)


def of_outputs(first: list[torch.Tensor], second: list[torch.Tensor]) -> Iterator[Pair]:
    """Yield a pair for every tensor of a model's output."""
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        yield Pair(f"output {number}", one, other, one)


def kept(output: Any) -> list[torch.Tensor]:
    """Copy all tensors of an output, which a further forward pass may overwrite."""
    return [tensor.clone() for tensor in tensors_of(output)]


def read(make: Make, inputs: Inputs) -> dict[str, torch.Tensor]:
    """Activations of every stage from one full forward pass."""
    with make() as recorder:
        return recorder(inputs)


class InFloat64(Recorder):
    """A recorder whose forward passes run in float64, with copies of the weights; the model's weights are unchanged."""

    def __init__(self, model: nn.Module, stages: Stages | None = None) -> None:
        super().__init__(model, stages)
        self.weights = {name: _double(tensor) for name, tensor in [*model.named_parameters(), *model.named_buffers()]}

    def forward(self, inputs: Inputs) -> Any:
        """The model's output in float64, even if its code sets another precision."""
        with _Float64():
            return functional_call(self.model, self.weights, (map_tensors(inputs, _double),))


class _Float64(TorchDispatchMode):
    """Runs every operation in float64 that would create numbers of a coarser precision."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = {name: torch.float64 if value in COARSER else value for name, value in (kwargs or {}).items()}
        return func(*args, **options)


@contextmanager
def perturbed(recorder: Recorder) -> Iterator[None]:
    """Move every weight by its last digit, up or down, and restore it at the end of the block."""
    weights = recorder.weights if isinstance(recorder, InFloat64) else dict(recorder.model.named_parameters())
    before = {name: tensor.detach().clone() for name, tensor in weights.items() if tensor.is_floating_point()}
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        try:
            for name, tensor in before.items():
                step = torch.finfo(tensor.dtype).eps
                signs = torch.randint(2, tensor.shape, generator=draw).to(tensor.device) * 2 - 1
                weights[name].copy_(tensor * (1 + step * signs))
            yield
        finally:
            for name, tensor in before.items():
                weights[name].copy_(tensor)


class _Move(NamedTuple):
    """A reading, its stage, and how far it moved."""

    what: str
    stage: str | None
    moved: float


def _moves(pairs: Pairs, make: Make) -> list[_Move]:
    return [_Move(pair.what, pair.stage, pair.moved()) for pair in pairs(make)]


def _rounding(make: Make, inputs: Inputs) -> dict[str, float]:
    """How far every stage moves when every weight changes in its last digit."""
    with make() as recorder:
        before = recorder(inputs)
        with perturbed(recorder):
            after = recorder(inputs)
    return {str(pair.stage): pair.moved() for pair in of_stages(before, after)}


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float64, copy=True) if tensor.is_floating_point() else tensor
