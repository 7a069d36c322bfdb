"""Stages: names for places in a model, and their tensors.

A stage is named either by the model itself (``model.spec.stages``, a mapping from stage name to ``(module path,
layout, item)``), or by the caller in the same form.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn

from static_dynamic.common.errors import UserError, shown, unknown
from static_dynamic.network.layout import EXAMPLES, Placed, parse_layout

Stages = Sequence[str] | Mapping[str, str | Sequence[str | int | None]] | str
"""Names and globs (``"stage*"``, ``"slow.stage3+fast.stage3"``), or ``{name: (module path, layout[, item])}``."""

EXAMPLE = "{'late': ('layer4', 'N C T H W')}"
COMPILED = "_orig_mod."
"""Prefix that torch.compile adds to the path of every module."""
WIDTHS = ("out_channels", "num_features", "out_features")
"""Attributes of torch modules with the number of output channels."""


class Tap(NamedTuple):
    """Where one tensor is read: the output of ``module`` (its element ``item``, if it returns several)."""

    module: str
    layout: str | None = None
    item: int | str | None = None


def declared_stages(model: nn.Module) -> dict[str, Tap]:
    """The stages that a model declares in ``model.spec.stages``; empty if it declares none."""
    stages = getattr(getattr(model, "spec", None), "stages", None)
    return {name: Tap(*tap) for name, tap in stages.items()} if isinstance(stages, Mapping) else {}


def modules_by_path(model: nn.Module) -> dict[str, nn.Module]:
    """Every module below a model by its path; a module that is registered under two names has both."""
    modules = model.named_modules(remove_duplicate=False)
    return {path: module for name, module in modules if (path := name.removeprefix(COMPILED))}


def resolve_stages(
    model: nn.Module, stages: Stages | None = None, layout: str | None = None
) -> dict[str, tuple[Tap, ...]]:
    """Stage names → their taps (several for ``a+b``: units concatenated).

    Args:
        model: The model.
        stages: Names or globs over the declared stages or, where none fits, over module paths (``*`` stops at dots,
            ``**`` crosses them); or a mapping from a name to a module path, or to ``(module path, layout[, item])``.
            ``None`` means every declared stage.
        layout: Layout of stages named by module path.

    Raises:
        UserError: If a name does not match (the nearest are listed), or a module path or layout is invalid.
    """
    modules = modules_by_path(model)
    if isinstance(stages, Mapping):
        wanted: dict[str, tuple[Tap, ...]] = {name: (_tap(name, tap, layout),) for name, tap in stages.items()}
    else:
        if not isinstance(stages, Iterable | None):
            raise UserError(f"`stages` must be names, or a mapping from names to modules. Got {shown(stages)}.")
        known = declared_stages(model)
        if stages is None and not known:
            raise UserError("This model declares no stages: name modules, e.g. `stages='layer4'` `layout='N C T H W'`.")
        patterns = [stages] if isinstance(stages, str) else list(known if stages is None else stages)
        by_path = {path: Tap(path, layout) for path in modules}
        wanted = {name: taps for pattern in patterns for name, taps in _match(pattern, known, by_path)}
    if not wanted:
        raise UserError(f"At least one stage is required, e.g. stages={EXAMPLE}. Got none.")
    for name, taps in wanted.items():
        for tap in taps:
            if tap.module not in modules:
                raise unknown("module", tap.module, modules, where=f"stage {name!r}")
            if tap.layout is not None:
                parse_layout(tap.layout)
    return wanted


def _tap(stage: object, given: object, layout: str | None) -> Tap:
    """Read one entry of a mapping of stages."""
    parts = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, tuple | list) else ()
    allowed = (str, str | None, int | str | None)
    if not 1 <= len(parts) <= len(allowed) or not all(map(isinstance, parts, allowed)) or not isinstance(stage, str):
        raise UserError(
            f"Stage {stage!r} must be a module path or (module path, layout[, item]), e.g. stages={EXAMPLE}. "
            f"Got {given!r}."
        )
    return Tap(*parts) if len(parts) > 1 else Tap(parts[0], layout)


def _match(
    pattern: object, known: Mapping[str, Tap], modules: Mapping[str, Tap]
) -> Iterator[tuple[str, tuple[Tap, ...]]]:
    if not isinstance(pattern, str):
        raise UserError(
            f"The name of a stage must be text, e.g. stages=['layer4'] or stages={EXAMPLE}. Got {pattern!r}."
        )
    if "+" in pattern:
        parts = [dict(_match(part.strip(), known, modules)) for part in pattern.split("+")]
        yield pattern, tuple(tap for part in parts for taps in part.values() for tap in taps)
        return
    for names in (known, modules):
        if found := [name for name in names if _glob(pattern).fullmatch(name)]:
            yield from ((name, (names[name],)) for name in found)
            return
    raise unknown("stage", pattern, known or modules)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob over dotted names: ``*`` and ``?`` stop at dots, ``**`` crosses them, ``[12]`` is one of these."""
    meaning = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    pieces = re.split(r"(\*\*|\*|\?|\[[^\]]+\])", pattern)
    return re.compile(
        "".join(meaning.get(piece) or (piece if i % 2 else re.escape(piece)) for i, piece in enumerate(pieces))
    )


def check_model_kind(model: object) -> None:
    """Raise an error for an object that does not support hooks.

    Raises:
        UserError: If it is not a module, or is a TorchScript module.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            "A TorchScript model cannot be measured: it does not support hooks. Give the original Python module."
        )
    if not isinstance(model, nn.Module):
        raise UserError(f"The model must be a torch.nn.Module. Got {type(model).__name__}.")


def is_compiled(model: nn.Module) -> bool:
    """Whether a model, or a part of it, is compiled by torch.compile."""
    return any(hasattr(module, "_orig_mod") or module._compiled_call_impl is not None for module in model.modules())


def place(output: Any, tap: Tap, stage: str, module: nn.Module, clips: int, frames: int | None) -> Placed:
    """The tensor that a tap reads in an output of its module, with its layout, which fits.

    Args:
        output: The return value of the module.
        tap: The tensor, and the meaning of its axes.
        stage: Name of the stage for errors.
        module: The module, whose number of channels may be known.
        clips: Clips in the batch.
        frames: Frames of a clip, if known.

    Raises:
        UserError: If the tensor does not exist, or its layout is missing or does not fit.
    """
    tensor = select(output, tap.item, stage)
    if tap.layout is None:
        raise UserError(
            f"Stage {stage!r} has no layout and none is guessed. Its output has shape {tuple(tensor.shape)} "
            f"for {clips} clips; give a layout such as {EXAMPLES}."
        )
    with naming(stage):
        layout = parse_layout(tap.layout)
        layout.check_known(tensor, clips, frames, _width(module))
    return Placed(layout, tensor, clips)


@contextmanager
def naming(stage: str) -> Iterator[None]:
    """Add the name of the stage to user errors in the block."""
    try:
        yield
    except UserError as error:
        raise UserError(f"Stage {stage!r}: {error}") from None


def unreached(stage: str, model: nn.Module) -> UserError:
    """The error for a stage that a forward pass did not reach."""
    why = "its module did not run"
    if is_compiled(model):
        why = (
            "the model was compiled and had already run, so torch.compile ignores the hooks; "
            "measure the original model (model._orig_mod), or compile it after the recording"
        )
    return UserError(f"The forward pass never reached stage {stage!r}: {why}.")


def runs_again(stage: str, tap: Tap) -> UserError:
    """The error for a stage whose module runs a second time in a forward pass."""
    return UserError(
        f"Stage {stage!r}: module {tap.module!r} runs more than once in a forward pass; name one that runs once."
    )


def _width(module: nn.Module) -> int | None:
    """The number of output channels of a torch module, if it is known."""
    if not type(module).__module__.startswith("torch.nn."):
        return None
    return next((width for name in WIDTHS if isinstance(width := getattr(module, name, None), int)), None)


def select(output: Any, item: int | str | None, stage: str) -> torch.Tensor:
    """The tensor of a module's output: itself, an element by number or name, or the only tensor among several.

    Raises:
        UserError: If the tensor does not exist, or the choice is ambiguous.
    """
    return output if isinstance(output, torch.Tensor) else _parts(output)[_element(output, item, stage)]


def put(output: Any, item: int | str | None, stage: str, tensor: torch.Tensor) -> Any:
    """An output of the same type with another tensor where :func:`select` reads; the output itself stays as it is.

    Raises:
        UserError: If the place does not exist.
    """
    if isinstance(output, torch.Tensor):
        return tensor
    name = _element(output, item, stage)
    if hasattr(output, "_fields"):
        return output._replace(**{name: tensor})
    if isinstance(output, tuple):
        return type(output)([*output[:name], tensor, *output[name + 1 :]])
    changed = copy(output)
    if is_dataclass(output) and not isinstance(output, Mapping):
        object.__setattr__(changed, name, tensor)  # works for a frozen dataclass too
    else:
        changed[name] = tensor
    return changed


def _element(output: Any, item: int | str | None, stage: str) -> Any:
    """The name or number of the selected tensor among several."""
    parts = _parts(output)
    names = list(parts)
    if isinstance(item, int) and item not in parts and -len(names) <= item < len(names):
        item = names[item]
    tensors = [name for name, part in parts.items() if isinstance(part, torch.Tensor)]
    found = item if item is not None else tensors[0] if len(tensors) == 1 else None
    if found in tensors:
        return found
    seen = ", ".join(
        f"{name}: {tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__}"
        for name, part in parts.items()
    )
    asked = "does not name an element" if item is None else f"names the element {item!r}"
    raise UserError(
        f"Stage {stage!r} {asked}; its module returns a {type(output).__name__} ({seen or 'no elements'}). "
        "Give the number or the name of a tensor, e.g. ('module', 'N C T H W', 0)."
    )


def _parts(output: Any) -> dict[Any, Any]:
    """The elements of an output, by name where they have names and by number otherwise."""
    if isinstance(output, Mapping):
        return dict(output)
    if is_dataclass(output):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    if hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    return dict(enumerate(output)) if isinstance(output, Sequence) and not isinstance(output, str) else {}
