"""The optional libraries: what each is for, how to get it, and whether it works here.

The one list of them: the adapters import through :func:`need`, and ``python main.py doctor`` prints
:func:`check_optional`. Nothing is imported before one of the two is called.
"""

import importlib
import importlib.util
import pkgutil
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, NamedTuple

from models.errors import ModelError, said

State = Literal["usable", "not installed", "not there", "broken"]


class Finding(NamedTuple):
    """What was found of one thing that a run may need.

    Attributes:
        name: Of the thing.
        state: Whether it works here.
        detail: Its version; how to get it; or why it does not work. One line.
    """

    name: str
    state: State
    detail: str


@dataclass(frozen=True)
class Library:
    """What must be known of a library to say whether it works.

    Attributes:
        use: What needs it, in the plural.
        install: The command that installs it.
        parts: What is used of it, ``module`` or ``module:name``, beginning with the library's own module.
    """

    use: str
    install: str
    parts: tuple[str, ...]


OPTIONAL = {
    "transformers": Library(
        use="Models named 'hf:…'",
        install="pip install 'transformers>=5.0'",
        parts=("transformers:AutoModelForVideoClassification", "transformers:VJEPA2ForVideoClassification"),
    ),
    "pytorchvideo": Library(
        use="Models named 'pytorchvideo:…'",
        install="pip install 'pytorchvideo>=0.1.5'",
        parts=("pytorchvideo.models.hub",),
    ),
    "detectron2": Library(
        use="Models named 'detectron2:…'",
        # It is on no index, and its setup.py imports torch, which an isolated build does not see.
        install="pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'",
        parts=("detectron2.config:get_cfg", "detectron2.modeling:build_backbone", "detectron2.modeling:build_model"),
    ),
}


def need(module: str) -> ModuleType:
    """Import an optional library, or a module of one.

    Raises:
        ModelError: With the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # built for another torch, a library fails in more ways than ImportError
        name = module.partition(".")[0]
        library = OPTIONAL[name]
        state = f"is broken here ({said(error)})" if is_there(name) else "is not installed"
        raise ModelError(f"{library.use} need {name}, which {state}: {library.install}") from None


def check_optional() -> list[Finding]:
    """What there is of every optional library."""
    return [check(name, library) for name, library in OPTIONAL.items()]


def check(name: str, library: Library) -> Finding:
    """Whether all that is used of a library can be imported; it is imported."""
    module = library.parts[0].partition(":")[0].partition(".")[0]
    if not is_there(module):
        return Finding(name, "not installed", f"{library.use} need it: {library.install}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for part in library.parts:
                pkgutil.resolve_name(part)
    except Exception as error:  # as in need
        return Finding(name, "broken", f"{type(error).__name__}: {said(error)}. Try: {library.install}")
    return Finding(name, "usable", str(getattr(importlib.import_module(module), "__version__", "")))


def is_there(module: str) -> bool:
    """Whether a top-level module is installed, without importing it."""
    return importlib.util.find_spec(module) is not None
