"""Reading pickles without running anything from them.

A pickle calls what it names. Here it can name only the entries of ``HARMLESS``, and those that would be
NumPy's own functions are stand-ins, for NumPy lets a file say that its bytes are Python objects: pointers.
"""

import argparse
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt


class RefusedError(Exception):
    """A file names something that is not on the list; the message is that name."""


class PlainDType:
    """Stands for ``numpy.dtype``: numbers, booleans and text, no objects."""

    def __init__(self, code: str, *unused: object) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in "biufcSU":
            raise RefusedError(f"numpy.dtype {code}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class PlainArray:
    """Stands for ``numpy.ndarray``; ``values`` is the array itself."""

    def __init__(self, *unused: object) -> None:
        self.values: npt.NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        self.values = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _array(buffer: bytes, kind: PlainDType, shape: tuple[int, ...], order: Any) -> npt.NDArray[Any]:
    return np.frombuffer(buffer, kind.dtype).reshape(shape, order=order)


def _scalar(kind: PlainDType, raw: bytes | str) -> Any:
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, kind.dtype)[0]


def _encode(text: str, encoding: str) -> bytes:
    return text.encode("latin1")  # how protocol 2 writes bytes


HARMLESS: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode,
    "numpy.dtype": PlainDType,
    "numpy.ndarray": PlainArray,
    "numpy._core.multiarray._reconstruct": PlainArray,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _array,
}
HARMLESS |= {name.replace("_core", "core"): value for name, value in HARMLESS.items()}  # NumPy 1


class HarmlessUnpickler(pickle.Unpickler):
    """Looks names up in ``HARMLESS`` and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """The entry for a name.

        Raises:
            RefusedError: If there is none.
        """
        full = f"{module}.{name}"
        if full not in HARMLESS:
            raise RefusedError(full)
        return HARMLESS[full]
