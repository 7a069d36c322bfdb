"""A look inside a model: which modules a forward pass runs, what they return, and which are suitable stages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from static_dynamic.models.errors import ModelError, said

Shapes = Sequence[tuple[int, ...]] | Mapping[str, tuple[int, ...]]
"""Shapes of a model's input: one per pathway, or by name."""


@dataclass(frozen=True)
class Module:
    """A module that ran.

    Attributes:
        path: Its dotted path; empty for the model itself.
        kind: Name of its class.
        output: Shape of what it returned, element by element.
        runs: How often it ran.
    """

    path: str
    kind: str
    output: str
    runs: int

    @property
    def depth(self) -> int:
        """0 for the model itself."""
        return self.path.count(".") + bool(self.path)


def probe(model: nn.Module, shapes: Shapes, dtype: torch.dtype | None = None) -> list[Module]:
    """Run one forward pass of one clip; return every module that ran, in the order of the module tree.

    It runs on the meta device, which computes only shapes; a model that cannot do so runs on its own device.

    Args:
        model: Any module; its attributes and buffers are left as they were.
        shapes: Shapes of its input; one clip.
        dtype: Type of its input; ``None`` means that of its parameters.

    Raises:
        ModelError: If the model does not take such an input.
    """
    seen: dict[str, list[str]] = {}
    hooks = [module.register_forward_hook(_note(seen, path)) for path, module in model.named_modules()]
    try:
        _forward(model, shapes, dtype or _precision(model), seen)
    except Exception as error:
        reason = f"{type(error).__name__}: {said(error)}"
        raise ModelError(f"The model failed on an input of shape {listed(shapes)}: {reason}.") from error
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Module(path, type(module).__name__, seen[path][0], len(seen[path]))
        for path, module in model.named_modules()
        if path in seen
    ]


def listed(shapes: Shapes) -> str:
    """Shapes in words."""
    if isinstance(shapes, Mapping):
        return " and ".join(f"{name} {shape}" for name, shape in shapes.items())
    return " and ".join(map(str, shapes))


def _precision(model: nn.Module) -> torch.dtype:
    return next((tensor.dtype for tensor in model.parameters() if tensor.is_floating_point()), torch.float32)


def _forward(model: nn.Module, shapes: Shapes, dtype: torch.dtype, seen: dict[str, list[str]]) -> None:
    def inputs(device: torch.device | str) -> Any:
        if isinstance(shapes, Mapping):
            return {name: torch.zeros(shape, device=device, dtype=dtype) for name, shape in shapes.items()}
        clips = [torch.zeros(shape, device=device, dtype=dtype) for shape in shapes]
        return clips[0] if len(clips) == 1 else clips

    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    shadow = {name: tensor.to("meta") for name, tensor in (parameters | buffers).items()}
    copies = {name: tensor.clone() for name, tensor in buffers.items()}
    with torch.no_grad():
        try:
            with _attributes_kept(model):
                functional_call(model, shadow, (inputs("meta"),))
        except Exception:  # the model needs values; a genuine error is raised again below
            seen.clear()
            with _attributes_kept(model):
                home = next((tensor.device for tensor in parameters.values()), "cpu")
                functional_call(model, copies, (inputs(home),))


@contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Remove what a forward pass leaves in the attributes of a module."""
    before = {module: dict(vars(module)) for module in model.modules()}
    try:
        yield
    finally:
        for module, attributes in before.items():
            vars(module).clear()
            vars(module).update(attributes)


def _note(seen: dict[str, list[str]], path: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        seen.setdefault(path, []).append(show(output))

    return hook


def show(output: Any) -> str:
    """The shape of a tensor, or of every element of a tuple, list or dict.

    Example:
        >>> show((torch.zeros(2, 3), [8, 14]))
        'tuple[0: (2, 3), 1: list[0: 8, 1: 14]]'
    """
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return f"{type(output).__name__}[{', '.join(f'{key}: {show(value)}' for key, value in output.items())}]"
    if isinstance(output, (list, tuple)):
        return f"{type(output).__name__}[{', '.join(f'{i}: {show(value)}' for i, value in enumerate(output))}]"
    return str(output) if isinstance(output, (int, float, str, type(None))) else type(output).__name__


def suggest(modules: Iterable[Module]) -> list[Module]:
    """Modules that are suitable stages: top-level children and numbered blocks that hold others, if they run once."""
    once = [module for module in modules if module.path and module.runs == 1]
    parents = {module.path.rpartition(".")[0] for module in once}
    return [
        module
        for module in once
        if module.depth == 1 or (module.path.rpartition(".")[2].isdigit() and module.path in parents)
    ]
