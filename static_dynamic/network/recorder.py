"""The recorder: pooled activations of any stages of any model, from one forward, the model left as it was found.

Hooks live only inside a ``with`` block.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.media.inputs import Inputs, batch_size, clip_frames, in_dtype_of
from static_dynamic.network.layout import parse_layout
from static_dynamic.network.pending import Pending
from static_dynamic.network.poolings import Pooling, pooling
from static_dynamic.network.stages import (
    Stages,
    Tap,
    check_model_kind,
    modules_by_path,
    naming,
    place,
    resolve_stages,
    runs_again,
    unreached,
)


class _Enough(BaseException):
    """Raised inside a forward once every wanted stage has been seen; never leaves the recorder."""


class Recorder:
    """Records pooled activations while its ``with`` block is open.

    Inside the block, calling the model yourself works as ever and fills :attr:`activations`; calling the recorder runs
    the model no further than the last wanted stage.

    Args:
        model: Any module. Its mode, parameters, buffers and hooks, and the global random state, are left as they were.
        stages: See :func:`resolve_stages`.
        layout: Layout of stages that declare none.
        pool: See :meth:`static_dynamic.network.layout.Layout.pool`.

    Raises:
        UserError: At once, if the model takes no hooks, or a stage is unknown or cannot be pooled so; in a forward, if
            an output does not fit.

    Example:
        >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> with Recorder(model, {"relu": ("1", "N C T H W")}) as record:
        ...     record(torch.zeros(2, 3, 4, 8, 8))["relu"].shape
        torch.Size([2, 4])
    """

    def __init__(
        self, model: nn.Module, stages: Stages | None = None, layout: str | None = None, pool: str | Pooling = "avg"
    ) -> None:
        check_model_kind(model)
        self.model = model
        self.stages = resolve_stages(model, stages, layout)
        self.pool = pooling.name_of(pool)
        self._check_pooling()
        self._taps = list(dict.fromkeys(tap for taps in self.stages.values() for tap in taps))
        self._pooled: dict[Tap, torch.Tensor] = {}
        self._calls: dict[Tap, int] = {}
        self._clips = 0
        self._frames: int | None = None
        self._stopping = False
        self._each_ran_once = False
        self._open: ExitStack | None = None

    def like(self, model: nn.Module) -> "Recorder":
        """A recorder of the same stages of another model of this architecture.

        Raises:
            UserError: If the other model has no module that a stage needs.
        """
        modules = modules_by_path(model)
        if missing := [tap.module for tap in self._taps if tap.module not in modules]:
            raise UserError(f"The twin must be of the same architecture: it has no module {missing[0]!r}.")
        other = copy(self)
        other.model, other._open, other._each_ran_once = model, None, False
        other._pooled, other._calls = {}, {}
        return other

    def __enter__(self) -> Self:
        if self._open is not None:
            raise UserError("This recorder is already open. Use one 'with' block, or make a second Recorder.")
        with ExitStack() as stack:
            stack.enter_context(eval_mode(self.model))
            stack.enter_context(untouched_randomness())
            handle = self.model.register_forward_pre_hook(self._begin, with_kwargs=True)
            stack.callback(handle.remove)
            for tap in self._taps:
                stack.callback(self._hook(tap).remove)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._open = self._open, None
        if stack is not None:
            stack.close()

    @property
    def activations(self) -> dict[str, torch.Tensor]:
        """Stage → float32 ``(N, C)`` of the last forward, on the CPU."""
        return self.pending()()

    def pending(self) -> Callable[[], dict[str, torch.Tensor]]:
        """A function that returns :attr:`activations`; until it is called, nothing waits for a GPU to compute them."""
        missing = [name for name, taps in self.stages.items() if not all(tap in self._pooled for tap in taps)]
        if missing:
            raise unreached(missing[0], self.model)
        pooled = Pending(self._pooled)
        return lambda: self._by_stage(pooled.wait())

    def _by_stage(self, pooled: Mapping[Tap, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: torch.cat([pooled[tap] for tap in taps], 1) for name, taps in self.stages.items()}

    def __call__(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """One forward up to the last wanted stage; stage → float32 ``(N, C)`` on the CPU.

        Floating-point inputs are brought to the dtype of the model's weights. The first forward runs to the end: only
        then is it known that each module runs once, so that stopping is safe.

        Raises:
            UserError: If the recorder's ``with`` block is not open, or an output does not fit its stage.
        """
        self.reach(inputs)
        return self.activations

    def reach(self, inputs: Inputs) -> None:
        """The same forward; what was recorded is in :attr:`activations` and :meth:`pending`."""
        self._stopping = self._each_ran_once
        try:
            self.run(inputs)
            self._each_ran_once = True
        except _Enough:
            pass
        finally:
            self._stopping = False

    @torch.no_grad()
    def run(self, inputs: Inputs) -> Any:
        """One forward to the end: the model's output; :attr:`activations` holds what was recorded.

        Raises:
            UserError: If the recorder's ``with`` block is not open, or an output does not fit its stage.
        """
        if self._open is None:
            raise UserError(
                "This recorder is not open: call it inside 'with Recorder(model, stages) as record:', or use "
                "static_dynamic.record(model, inputs, stages)."
            )
        return self.forward(inputs)

    def forward(self, inputs: Inputs) -> Any:
        """The model's output for inputs in the dtype of its weights; nothing is opened or checked."""
        return self.model(in_dtype_of(self.model, inputs))

    def _check_pooling(self) -> None:
        _ = pooling[self.pool]
        for stage, taps in self.stages.items():
            for layout in (tap.layout for tap in taps if tap.layout is not None):
                with naming(stage):
                    parse_layout(layout).check_pooling(self.pool)

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._clips, self._frames = batch_size((args, kwargs)), clip_frames((args, kwargs))
        self._pooled.clear()
        self._calls.clear()

    def _hook(self, tap: Tap) -> torch.utils.hooks.RemovableHandle:
        stage = next(name for name, taps in self.stages.items() if tap in taps)
        module = modules_by_path(self.model)[tap.module]

        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            self._calls[tap] = self._calls.get(tap, 0) + 1
            if self._calls[tap] > 1:
                raise runs_again(stage, tap)
            placed = place(output, tap, stage, module, self._clips, self._frames)
            with naming(stage):
                pooled = placed.layout.pool(placed.output.detach(), self._clips, self.pool)
            self._pooled[tap] = pooled.clone()  # it may be a part of the output, which the model may overwrite later
            if self._stopping and len(self._pooled) == len(self._taps):
                raise _Enough

        return module.register_forward_hook(keep)


def record(
    model: nn.Module,
    inputs: Inputs,
    stages: Stages | None = None,
    *,
    layout: str | None = None,
    pool: str | Pooling = "avg",
) -> dict[str, torch.Tensor]:
    """Pooled activations of some stages from one forward.

    Args:
        model: Any module; it is left as it was found, also after an error.
        inputs: What the model takes, clips along the first axis.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.
        layout: Layout of stages named by module path.
        pool: ``avg``, ``max``, ``avgmax``, ``avgmaxc``, ``patch``, ``cls``, ``frame``, or a function; see
            :meth:`static_dynamic.network.layout.Layout.pool`.

    Returns:
        Stage → float32 ``(N, units)`` on the CPU.

    Raises:
        UserError: If a stage is unknown, its layout is missing or does not fit.
    """
    with Recorder(model, stages, layout, pool) as recorder:
        return recorder(inputs)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; every module's own mode is restored, whatever happens."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """The global random state of torch (on every device), NumPy and Python, as before once the block ends."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
