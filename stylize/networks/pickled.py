"""Weights of modules that were saved whole: pickles that name classes of a program that is not required.

Nothing in such a file runs. Every class that it names becomes a `Kept`, which holds the data of an object and has no
code; only tensors are built, by torch.
"""

import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tarfile import is_tarfile
from types import SimpleNamespace
from typing import Any, BinaryIO
from zipfile import ZipFile, is_zipfile

import torch
from torch import Tensor

from static_dynamic.common.errors import UserError
from static_dynamic.common.pickles import check_saved

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
DEEPEST = 8
"""The deepest nesting of modules; a generator has four levels."""
MOST_TENSORS = 10_000
"""The most tensors of a module, as modules that repeat each other would have infinitely many."""
REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
TENSORS: dict[str, Any] = {f"torch._utils.{name}": getattr(torch._utils, name) for name in REBUILD}


class Kept:
    """Stands for an object of any class."""

    dump_patches = False
    """Old files come with the source of their classes, and torch looks here whether to write how it changed."""

    def __init__(self, *unused: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Unpickler(pickle.Unpickler):
    """Imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name."""
        full = f"{module}.{name}"
        return OrderedDict if full == "collections.OrderedDict" else TENSORS.get(full, Kept)


def _load(stream: BinaryIO, **options: Any) -> Any:
    return Unpickler(stream, **options).load()


def read_module(path: Path) -> dict[str, Tensor]:
    """The state dict of a module that ``torch.save(module, path)`` wrote, now or before torch 1.6.

    Raises:
        UserError: If the file does not hold a module, or is damaged.
    """
    if not path.is_file():
        raise UserError(f"The file {str(path)!r} is missing.")
    try:
        if not _is_saved(path):
            raise pickle.UnpicklingError("it was not written by torch.save")
        check_saved(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the source of the classes did change: there is none
            reader = SimpleNamespace(Unpickler=Unpickler, load=_load, __name__=__name__)
            module = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)
        if not isinstance(module, Kept):
            raise pickle.UnpicklingError("it holds something else")
        return dict(islice(_tensors(module, ""), MOST_TENSORS))
    except Exception as error:  # a damaged file can raise any error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} does not hold a saved module ({reason}).") from None


def _is_saved(path: Path) -> bool:
    """Whether torch will read the file with the reader that it is given: it reads other formats differently."""
    if is_tarfile(path):
        return False
    if not is_zipfile(path):
        with path.open("rb") as stream:
            return stream.read(len(LEGACY)) == LEGACY
    with ZipFile(path) as archive:
        return not any(name.endswith("constants.pkl") for name in archive.namelist())  # TorchScript


def _tensors(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of a module and of those in it.

    Raises:
        UnpicklingError: If modules are nested without end.
    """
    if prefix.count(".") > DEEPEST:
        raise pickle.UnpicklingError("its modules are nested without end")
    state = module.state
    own = [*state["_parameters"].items(), *state["_buffers"].items()]
    yield from ((prefix + name, value.data) for name, value in own if value is not None)
    for name, part in state["_modules"].items():
        if part is not None:
            yield from _tensors(part, f"{prefix}{name}.")
