"""What a checkpoint file or folder holds, read without running any code from it.

The format follows from the content: safetensors; ``torch.save`` files, new and old; pickled arrays of the Caffe2 zoo.
Weights in several files are read as one: shards behind an ``*.index.json``, a folder of safetensors, MATNet's
folder of an encoder and a decoder.
"""

import hashlib
import json
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from static_dynamic.common.pickles import UnboundedError, check_pickle, check_saved
from static_dynamic.models.errors import ModelError, said
from static_dynamic.models.weights.report import some
from static_dynamic.models.weights.soundness import check_content
from static_dynamic.models.weights.unpickling import HARMLESS, HarmlessUnpickler, RefusedError

LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
INDEX = ".index.json"
SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".pyth", ".ckpt", ".tar", ".pkl")
"""Endings of the files in a folder that may be checkpoints; the first one that exists counts."""

LONGEST_HEADER = 32 << 20
"""Bytes of the list of tensors, in a safetensors file or next to its shards; 100 000 tensors need half of it."""


class Contents(NamedTuple):
    """What was read.

    Attributes:
        content: Nested data, tensors among them.
        format: ``"safetensors"``, ``"torch"`` or ``"pickle"``.
        sha256: Digest of all files, one after the other.
    """

    content: Any
    format: str
    sha256: str


def read(path: Path, trust: bool = False) -> Contents:
    """The content of a file, of an index with its shards, or of a folder.

    Args:
        path: What to read.
        trust: Whether the file may run code while it is read.

    Raises:
        ModelError: If it cannot be read, would run code, or if the folder holds several checkpoints.
    """
    if epoch := _matnet(path):
        content: Any = {part: _read(file, trust) for part, file in epoch.items()}
        files: Sequence[Path] = [*epoch.values()]
    elif path.is_dir() or path.name.endswith(INDEX):
        files = shards(path) if path.name.endswith(INDEX) else _of_folder(path)
        content = _joined({file: _read(file, trust) for file in files})
    else:
        files, content = [path], _read(path, trust)
    _check(content, path, files)
    return Contents(content, _kind(files[0]), sha256(files))


def _check(content: Any, path: Path, files: Sequence[Path]) -> None:
    try:
        check_content(content, sum(file.stat().st_size for file in files))
    except ModelError as error:
        raise ModelError(f"The checkpoint {path} is invalid: {error}") from None


def sha256(paths: Iterable[Path]) -> str:
    """Digest of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


# Several files


def shards(index: Path) -> list[Path]:
    """The files that an ``*.index.json`` names.

    Raises:
        ModelError: If it is invalid, or one of them is missing.
    """
    try:
        if index.stat().st_size > LONGEST_HEADER:
            raise ValueError
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        files = [index.parent / name for name in sorted(set(names))]
        if any(file.parent != index.parent for file in files):
            raise ValueError
    except OSError as error:
        raise _unreadable(index, error) from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ModelError(
            f"The index {index} is invalid: it must hold a 'weight_map' of weights to files in the same folder."
        ) from None
    if missing := [file.name for file in files if not file.is_file()]:
        raise ModelError(f"The index {index} names files that are missing: {some(missing)}.")
    if not files:
        raise ModelError(f"The index {index} names no files.")
    return files


def _matnet(folder: Path) -> dict[str, Path]:
    """The pair of the last epoch that is complete, in a folder of ``encoder_<epoch>.pt`` and ``decoder_<epoch>.pt``."""
    epochs = [int(match[1]) for file in folder.glob("encoder_*.pt") if (match := re.search(r"_(\d+)$", file.stem))]
    for epoch in sorted(epochs, reverse=True):
        pair = {part: folder / f"{part}_{epoch}.pt" for part in ("encoder", "decoder")}
        if all(file.exists() for file in pair.values()):
            return pair
    return {}


def _of_folder(folder: Path) -> list[Path]:
    """The files of a folder that are one checkpoint."""
    for suffix in SUFFIXES:
        for index in sorted(folder.glob(f"*{suffix}{INDEX}")):
            return shards(index)
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) > 1 and suffix != ".safetensors":
            raise ModelError(f"The folder {folder} holds several checkpoints. Give one: {some(f.name for f in files)}.")
        if files:
            return files
    raise ModelError(f"The folder {folder} holds no checkpoint. Looked for: {', '.join(SUFFIXES)}.")


def _joined(parts: Mapping[Path, Any]) -> Any:
    """The content of all files as one; no weight may be in two of them."""
    joined: dict[Any, Any] = {}
    for file, content in parts.items():
        entries = content if isinstance(content, Mapping) else {}
        if twice := [str(key) for key in entries if key in joined]:
            raise ModelError(f"{file.parent} holds several checkpoints ({twice[0]} is in two files). Give one file.")
        joined |= entries
    return joined


# One file


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not head:
        raise ModelError(f"The checkpoint {path} is empty.")
    if head.startswith((b"PK\x03\x04", LEGACY_TORCH)):
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80"):  # opens every pickle since protocol 2
        return "pickle"
    raise ModelError(f"{path} is not a checkpoint (safetensors, torch or Caffe2); it begins with {head!r}.")


def _read(path: Path, trust: bool) -> Any:
    readers: dict[str, Callable[[Path, bool], Any]] = {
        "safetensors": _read_safetensors,
        "torch": _read_torch,
        "pickle": _read_pickle,
    }
    reader = readers[_kind(path)]
    try:
        return reader(path, trust)
    except UnboundedError as error:
        remedy = "If you trust its author, pass `trust_checkpoint=True`."
        raise ModelError(f"{path} was not read: it would need unlimited time or memory, by {error}. {remedy}") from None
    except RefusedError as refused:
        remedy = "If you trust its author, pass `trust_checkpoint=True`."
        raise ModelError(f"{path} was not read: it names '{refused}', which may run code. {remedy}") from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise ModelError(f"{path} is TorchScript, which is code. Save the state_dict() of its model.") from None
        raise ModelError(f"The checkpoint {path} is damaged or cut short: {said(error)}.") from error


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"The checkpoint {path} cannot be read: {error.strerror or error}.")


def _read_safetensors(path: Path, trust: bool) -> Any:
    from safetensors.torch import load_file

    with path.open("rb") as stream:
        if int.from_bytes(stream.read(8), "little") > LONGEST_HEADER:
            raise ValueError(f"its header is longer than {LONGEST_HEADER} bytes")
    return load_file(path)


def _read_torch(path: Path, trust: bool) -> Any:
    allowed: list[Any] = [(value, name) for name, value in HARMLESS.items()]
    if not trust:
        check_saved(path)
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a problem is raised as an error
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        # The message is a page long; what matters is the name of the global or, now and then, of its type.
        detail = str(error).rpartition("WeightsUnpickler error:")[2].strip()
        if name := re.search(r"GLOBAL (\S+)|<class '(\S+)'>", detail):
            raise RefusedError(name[1] or name[2]) from None
        raise pickle.UnpicklingError(detail) from None


def _read_pickle(path: Path, trust: bool) -> Any:
    unpickler = pickle.Unpickler if trust else HarmlessUnpickler
    with path.open("rb") as stream:
        if not trust:
            check_pickle(stream)
            stream.seek(0)
        return unpickler(stream, encoding="latin1").load()  # the Caffe2 zoo was written by Python 2
