"""Hooks that write: the output of a stage is replaced during the forward pass."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.media.inputs import batch_size, clip_frames
from static_dynamic.network.recorder import eval_mode, untouched_randomness
from static_dynamic.network.selections import Selection
from static_dynamic.network.stages import Tap, modules_by_path, naming, place, put, runs_again, unreached


class Place(NamedTuple):
    """Where hooks write: the tensor of a stage, and the selected part of it."""

    tap: Tap
    selection: Selection


Change = Callable[[str, Selection, torch.Tensor], torch.Tensor | None]
"""Stage, the selected part of it, and its output ``(N, …, C)`` → the new output; ``None`` leaves it."""


@contextmanager
def intercepted(model: nn.Module, places: Mapping[str, Place], change: Change) -> Iterator[None]:
    """In the block, every forward pass of a model uses the stages as ``change`` returns them.

    The model is in evaluation mode there. Its modes, its hooks and the global random state are restored at the end of
    the block, also after an error. The original outputs are not changed in place, since other code may use them.

    Args:
        model: Any module.
        places: Stage → its place.
        change: Function that is called once per forward pass and stage.

    Raises:
        UserError: In a forward pass, if an output does not fit its stage, a module runs twice or is never reached, or
            the stage lacks the selected units.
    """
    forward = _Forward(model, places, change)
    modules = modules_by_path(model)
    with ExitStack() as stack:
        stack.enter_context(eval_mode(model))
        stack.enter_context(untouched_randomness())
        stack.callback(model.register_forward_pre_hook(forward.begin, with_kwargs=True).remove)
        for stage, (tap, _) in places.items():
            stack.callback(modules[tap.module].register_forward_hook(partial(forward.reach, stage)).remove)
        stack.callback(model.register_forward_hook(forward.end).remove)
        yield


class _Forward:
    """The current forward pass."""

    def __init__(self, model: nn.Module, places: Mapping[str, Place], change: Change) -> None:
        self.model, self.places, self.change = model, places, change
        self.clips: int | None = None
        self.frames: int | None = None
        self.reached: set[str] = set()

    def begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.clips, self.frames = batch_size((args, kwargs)), clip_frames((args, kwargs))
        self.reached.clear()

    def reach(self, stage: str, module: nn.Module, _args: Any, output: Any) -> Any:
        """The replacement of a module's output."""
        tap, selection = self.places[stage]
        if self.clips is None:
            raise UserError(f"Stage {stage!r}: its module ran alone. Call the model itself, so that clips are counted.")
        if stage in self.reached:
            raise runs_again(stage, tap)
        self.reached.add(stage)
        placed = place(output, tap, stage, module, self.clips, self.frames)
        with naming(stage):
            x = placed.layout.unfold(placed.output, placed.clips)
            if not x.is_floating_point():
                raise UserError(f"Only real numbers can be replaced. Its output is {x.dtype}.")
            selection.check(x.shape[-1])
            changed = self.change(stage, selection, x)
        return (
            None if changed is None else put(output, tap.item, stage, placed.layout.fold(changed, placed.output.shape))
        )

    def end(self, *_: Any) -> None:
        self.clips = None
        if missing := [stage for stage in self.places if stage not in self.reached]:
            raise unreached(missing[0], self.model)
