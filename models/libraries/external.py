"""Models of other libraries and of your own, under names with a colon: ``library:model`` or ``package.module:factory``.

``dyreg:layer2.1_layer3.4`` is TSM with graph modules at places of your choice.

``torchvision:r3d_18``, ``timm:resnet50`` (frame by frame), ``hf:videomae`` (a model type, folder or hub id; see
``hubs``), ``pytorchvideo:slowfast_r50``, ``detectron2:config.yaml`` (frame by frame; see ``detectron``),
and ``mypackage.mymodule:build`` for a function of your own that returns an ``nn.Module``. Weights are random unless the
name refers to some (a hub id, a folder or a configuration that has them, your function) or a checkpoint is given.
"""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass, replace
from typing import Any, cast

from torch import nn

from static_dynamic.models.errors import ModelError, one_line, said, unknown
from static_dynamic.models.libraries.detectron import detectron2_model
from static_dynamic.models.libraries.hubs import pytorchvideo_model, transformers_model
from static_dynamic.models.libraries.vision import timm_model, torchvision_model
from static_dynamic.models.spec import DECLARED, Input, ModelSpec, Stage


def describe_external(name: str, asked: Input = DECLARED) -> ModelSpec:
    """What is known about a model of another library, or of the user's own.

    Args:
        name: ``library:model``, or ``package.module:function``.
        asked: The requested input, for models that are built for one.

    Raises:
        ModelError: If the library or the model does not exist.

    Example:
        >>> describe_external("torchvision:r3d_18").stages["stage5"]
        Stage(module='layer4', layout='N C T H W', item=None)
    """
    library, _, model = name.partition(":")
    libraries: dict[str, Callable[[str, Input], ModelSpec]] = {
        "torchvision": torchvision_model,
        "timm": timm_model,
        "hf": transformers_model,
        "pytorchvideo": pytorchvideo_model,
        "detectron2": lambda model, _: detectron2_model(model),
        "dyreg": _dyreg,
    }
    if library in libraries:
        with one_line(f"The model {name} cannot be described"):
            return libraries[library](model, asked)
    return own_model(library, model, asked, [*libraries])


def _dyreg(model: str, asked: Input) -> ModelSpec:
    from static_dynamic.models.dyreg.tsm import placed  # your own module does not need torchvision

    return placed(model, asked)


def own_model(module: str, factory: str, asked: Input, libraries: list[str]) -> ModelSpec:
    """A function or class of the user's own that returns an ``nn.Module``; the current folder is searched too.

    It gets those of ``num_classes``, ``frames`` and ``image_size`` that it has arguments for. Where the module that it
    returns has a ``spec``, its ``stages`` and ``recipe`` are used.
    """
    build = _find(module, factory, libraries)
    with one_line(f"The arguments of {module}:{factory} are unknown"):
        arguments = inspect.signature(build).parameters
    takes_classes = "num_classes" in arguments
    default = arguments["num_classes"].default if takes_classes else None
    options = {name: value for name, value in asked._asdict().items() if value is not None and name in arguments}
    spec = ModelSpec(
        name=f"{module}:{factory}",
        summary=f"Your own module, as {module}:{factory} returns it.",
        build=lambda num_classes: _own(
            spec, build, {**options, **({"num_classes": num_classes} if takes_classes else {})}
        ),
        stages={},
        recipe=None,
        own=True,
        fixed_classes=not takes_classes,
        paper="-",
        num_classes=default if isinstance(default, int) else 400,
    )
    return spec


def _own(spec: ModelSpec, build: Callable[..., object], options: Mapping[str, object]) -> nn.Module:
    try:
        model = build(**options)
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {said(error)} ({where.filename}, line {where.lineno})"
        raise ModelError(f"{spec.name} failed with {reason}.") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"The function {spec.name} must return an nn.Module. Got {type(model).__name__}.")
    brought = getattr(model, "spec", None)
    with one_line(f"The 'spec' of the module that {spec.name} returns is invalid"):
        stages = {stage: Stage(*place) for stage, place in (getattr(brought, "stages", None) or {}).items()}
        recipe: Any = getattr(brought, "recipe", None) or None
        if is_dataclass(recipe):  # the measurement's Recipe, which has the same names
            recipe = asdict(cast(Any, recipe))
    vars(model)["spec"] = replace(spec, stages=stages, recipe=recipe)
    return model


def _find(module: str, factory: str, libraries: list[str]) -> Callable[..., object]:
    no_module = unknown("library", module, [*libraries, "a module of yours that can be imported from here"])
    if not module:
        raise no_module
    try:
        with _current_folder():
            home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise no_module from None
        raise ModelError(f"The module {module!r} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {said(error)}"
        raise ModelError(f"The module {module!r} cannot be imported: {reason}.") from error
    found = getattr(home, factory, None)
    if found is None:
        own = [name for name, value in vars(home).items() if callable(value) and not name.startswith("_")]
        raise unknown(f"function of {module!r}", factory, own)
    if not callable(found) or isinstance(found, nn.Module):
        raise ModelError(
            f"{module}:{factory} must be a function that returns an nn.Module. Got {type(found).__name__}."
        )
    return cast(Callable[..., object], found)


@contextmanager
def _current_folder() -> Iterator[None]:
    """The current folder in front of the import path."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
