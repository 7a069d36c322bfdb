"""The recorder: pooled activations of any stages of any model, from one forward, the model left as it was found.

Hooks live only inside a ``with`` block. A stage is named either by the model itself (``model.spec.stages``, a mapping
from stage name to ``(module path, layout, item)``), or by the caller in the same form.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import torch
from torch import nn

from static_dynamic.errors import UserError, unknown
from static_dynamic.inputs import Inputs, batch_size
from static_dynamic.layout import EXAMPLES, parse_layout, pooling

Stages = Sequence[str] | Mapping[str, Sequence[Any]] | str
"""Names and globs (``"stage*"``, ``"slow.stage3+fast.stage3"``), or ``{name: (module path, layout[, item])}``."""


class Tap(NamedTuple):
    """Where one tensor is read: the output of ``module`` (its element ``item``, if it returns several)."""

    module: str
    layout: str | None = None
    item: int | None = None


def declared_stages(model: nn.Module) -> dict[str, Tap]:
    """The stages that a model declares in ``model.spec.stages``; empty if it declares none."""
    stages = getattr(getattr(model, "spec", None), "stages", None)
    return {name: Tap(*tap) for name, tap in stages.items()} if isinstance(stages, Mapping) else {}


def resolve_stages(
    model: nn.Module, stages: Stages | None = None, layout: str | None = None
) -> dict[str, tuple[Tap, ...]]:
    """Stage names → the taps that make them (several for ``a+b``: units side by side).

    Args:
        model: The model.
        stages: Names or globs over the declared stages or, where none fits, over module paths; or a mapping. ``None``
            means every declared stage.
        layout: Layout of stages named by module path.

    Raises:
        UserError: If a name fits nothing (the nearest are listed), or a module path or layout is wrong.
    """
    if isinstance(stages, Mapping):
        wanted: dict[str, tuple[Tap, ...]] = {name: (Tap(*tap),) for name, tap in stages.items()}
    else:
        known = declared_stages(model)
        if stages is None and not known:
            raise UserError("This model declares no stages: name modules, e.g. `stages='layer4'` `layout='N C T H W'`.")
        patterns = [stages] if isinstance(stages, str) else list(known if stages is None else stages)
        modules = {name: Tap(name, layout) for name, _ in model.named_modules() if name}
        wanted = {name: taps for pattern in patterns for name, taps in _match(pattern, known, modules)}
    for name, taps in wanted.items():
        for tap in taps:
            _check_tap(model, name, tap)
    return wanted


def _match(pattern: str, known: Mapping[str, Tap], modules: Mapping[str, Tap]) -> Iterator[tuple[str, tuple[Tap, ...]]]:
    if "+" in pattern:
        parts = [dict(_match(part.strip(), known, modules)) for part in pattern.split("+")]
        yield pattern, tuple(tap for part in parts for taps in part.values() for tap in taps)
        return
    for names in (known, modules):
        if found := [name for name in names if fnmatchcase(name, pattern)]:
            yield from ((name, (names[name],)) for name in found)
            return
    raise unknown("stage", pattern, known or modules)


def _check_tap(model: nn.Module, stage: str, tap: Tap) -> None:
    paths = dict(model.named_modules())
    if tap.module not in paths:
        raise unknown("module", tap.module, [path for path in paths if path], where=f"stage {stage!r}")
    if tap.layout is not None:
        parse_layout(tap.layout)


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
        pool: See :meth:`static_dynamic.layout.Layout.pool`.

    Raises:
        UserError: At once, if a stage is unknown or cannot be pooled so; in a forward, if an output does not fit.

    Example:
        >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> with Recorder(model, {"relu": ("1", "N C T H W")}) as record:
        ...     record(torch.zeros(2, 3, 4, 8, 8))["relu"].shape
        torch.Size([2, 4])
    """

    def __init__(
        self, model: nn.Module, stages: Stages | None = None, layout: str | None = None, pool: str = "avg"
    ) -> None:
        self.model = model
        self.stages = resolve_stages(model, stages, layout)
        self.pool = pool
        self._check_pooling()
        self._taps = list(dict.fromkeys(tap for taps in self.stages.values() for tap in taps))
        self._pooled: dict[Tap, torch.Tensor] = {}
        self._calls: dict[Tap, int] = {}
        self._clips = 0
        self._stopping = False
        self._each_ran_once = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
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
        self._open.close()

    @property
    def activations(self) -> dict[str, torch.Tensor]:
        """Stage → float32 ``(N, C)`` of the last forward, on the CPU."""
        missing = [name for name, taps in self.stages.items() if not all(tap in self._pooled for tap in taps)]
        if missing:
            raise UserError(f"The forward never reached stage {missing[0]!r}: its module did not run.")
        return {name: torch.cat([self._pooled[tap] for tap in taps], 1) for name, taps in self.stages.items()}

    @torch.no_grad()
    def __call__(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """One forward up to the last wanted stage; stage → float32 ``(N, C)`` on the CPU.

        The first forward runs to the end: only then is it known that each module runs once, so that stopping is safe.
        """
        self._stopping = self._each_ran_once
        try:
            self.model(inputs)
            self._each_ran_once = True
        except _Enough:
            pass
        finally:
            self._stopping = False
        return self.activations

    def _check_pooling(self) -> None:
        pooling(self.pool)
        for stage, taps in self.stages.items():
            for layout in (tap.layout for tap in taps if tap.layout is not None):
                try:
                    parse_layout(layout).check_pooling(self.pool)
                except UserError as error:
                    raise UserError(f"Stage {stage!r}: {error}") from None

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._clips = batch_size((args, kwargs))
        self._pooled.clear()
        self._calls.clear()

    def _hook(self, tap: Tap) -> torch.utils.hooks.RemovableHandle:
        stage = next(name for name, taps in self.stages.items() if tap in taps)

        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            self._calls[tap] = self._calls.get(tap, 0) + 1
            if self._calls[tap] > 1:
                raise UserError(
                    f"Stage {stage!r}: module {tap.module!r} runs more than once in a forward; name one that runs once."
                )
            tensor = select(output, tap.item, stage)
            if tap.layout is None:
                raise UserError(
                    f"Stage {stage!r} has no layout and none is guessed. Its output has shape {tuple(tensor.shape)} "
                    f"for {self._clips} clips; give a layout such as {EXAMPLES}."
                )
            try:
                pooled = parse_layout(tap.layout).pool(tensor.detach(), self._clips, self.pool)
            except UserError as error:
                raise UserError(f"Stage {stage!r}: {error}") from None
            self._pooled[tap] = pooled.cpu()
            if self._stopping and len(self._pooled) == len(self._taps):
                raise _Enough

        return self.model.get_submodule(tap.module).register_forward_hook(keep)


def record(
    model: nn.Module, inputs: Inputs, stages: Stages | None = None, *, layout: str | None = None, pool: str = "avg"
) -> dict[str, torch.Tensor]:
    """Pooled activations of some stages from one forward.

    Args:
        model: Any module; it is left as it was found, also after an error.
        inputs: What the model takes, clips along the first axis.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.
        layout: Layout of stages named by module path.
        pool: ``avg``, ``max``, ``avgmax``, ``avgmaxc``, ``patch``, ``cls`` or ``frame``; see
            :meth:`static_dynamic.layout.Layout.pool`.

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
    """The global random state of torch, on every device, as before once the block ends."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


def select(output: Any, item: int | None, stage: str) -> torch.Tensor:
    """The tensor of a module's output: itself, element ``item``, or the only tensor among several elements."""
    if isinstance(output, torch.Tensor):
        return output
    parts: list[Any] = (
        list(output.values()) if isinstance(output, Mapping) else list(output) if isinstance(output, Sequence) else []
    )
    if item is not None:
        if item < len(parts) and isinstance(parts[item], torch.Tensor):
            return cast(torch.Tensor, parts[item])
    elif len(tensors := [part for part in parts if isinstance(part, torch.Tensor)]) == 1:
        return tensors[0]
    seen = ", ".join(
        str(tuple(part.shape)) if isinstance(part, torch.Tensor) else type(part).__name__ for part in parts
    )
    asked = "says not which is meant" if item is None else f"asks for element {item}"
    raise UserError(
        f"Stage {stage!r} {asked}; its module returns a {type(output).__name__} ({seen or 'no elements'}). "
        f"Give the element, e.g. ('module', 'N C T H W', 0)."
    )
