"""One reader for every published checkpoint format, that runs no code from the file.

The format is told from the content: safetensors; ``torch.save`` files, new and old, with a state dict bare or
wrapped (PySlowFast ``.pyth``, Lightning, DataParallel, …); pickled arrays of the Caffe2 zoo. The names of the
weights may be in any style of ``models.keys``.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.keys import State, translate
from models.unpickling import HARMLESS, HarmlessUnpickler, PlainArray, RefusedError

Shape = tuple[int, ...]

WRAPPERS = ("blobs", "model_state", "model_state_dict", "state_dict", "model")
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint was and how it fitted.

    Attributes:
        path: The file.
        format: ``"safetensors"``, ``"torch"`` or ``"pickle"`` (Caffe2).
        sha256: Digest of the file.
        missing: Keys of the model that the file does not have.
        unexpected: Keys of the file that the model does not have.
        mismatched: Key → shape in the file, shape in the model.
        adapted: Keys whose weights the model made from those of the file, as published: stretched embeddings, say.
    """

    path: str
    format: str
    sha256: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    adapted: tuple[str, ...] = ()


@runtime_checkable
class Adapting(Protocol):
    """A model that has its own way with a checkpoint."""

    def adapt_checkpoint(self, state: State) -> State:
        """Weights under the model's own names → those to load; a ``ModelError`` says why they cannot be."""
        ...


def load_checkpoint(
    model: nn.Module, path: str | os.PathLike[str], strict: bool = True, trust: bool = False
) -> LoadReport:
    """Load weights into a model, in place; on an error the model is left as it was.

    Args:
        model: Any module; if it is ``Adapting``, it sees the weights first.
        path: A file in one of the formats above, or MATNet's folder of ``encoder_<epoch>.pt`` and
            ``decoder_<epoch>.pt``, of which the last epoch is taken.
        strict: Whether every key must fit. If not, those that fit are loaded and the report names the others.
        trust: Whether the file may run code while it is read.

    Raises:
        ModelError: If the file cannot be read, wants to run code or does not fit, or if nothing fits at all.
    """
    file = Path(path)
    parts = _parts(file)
    kind = _kind(next(iter(parts.values())))
    own = _shapes(model.state_dict())
    named = translate(_joined(parts, trust), own)
    published = {id(tensor) for tensor in named.values()}
    state = _adapted(model, named, file)
    given = _shapes(state)
    report = LoadReport(
        path=str(file),
        format=kind,
        sha256=_sha256(*parts.values()),
        missing=tuple(key for key in own if key not in given and not _is_counter(key)),
        unexpected=tuple(key for key in given if key not in own),
        mismatched={key: (given[key], own[key]) for key in own if given.get(key, own[key]) != own[key]},
        adapted=tuple(key for key, tensor in state.items() if id(tensor) not in published),
    )
    fitting = {key: value for key, value in state.items() if own.get(key) == given[key]}
    _check(report, fitting.keys(), own, given, strict)
    model.load_state_dict(fitting, strict=False)
    return report


# The file


def _parts(path: Path) -> dict[str, Path]:
    """The prefix of its keys → a file: the path itself or, in a folder, the pair of the last epoch that is complete."""
    epochs = [int(match[1]) for file in path.glob("encoder_*.pt") if (match := re.search(r"_(\d+)$", file.stem))]
    for epoch in sorted(epochs, reverse=True):
        pair = {f"{part}.": path / f"{part}_{epoch}.pt" for part in ("encoder", "decoder")}
        if all(file.exists() for file in pair.values()):
            return pair
    return {"": path}


def _joined(parts: Mapping[str, Path], trust: bool) -> State:
    """The tensors of all parts; those of one of several lose a wrapper's prefix before they get their own."""
    states = {prefix: _weights(_read(file, _kind(file), trust), file) for prefix, file in parts.items()}
    if len(states) == 1:
        return states[""]
    return {prefix + key.removeprefix("module."): x for prefix, state in states.items() for key, x in state.items()}


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise ModelError(f"The checkpoint {path} cannot be read: {error.strerror}.") from None
    if not head:
        raise ModelError(f"The checkpoint {path} is empty.")
    if head.startswith((b"PK\x03\x04", LEGACY_TORCH)):
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80"):  # opens every pickle since protocol 2
        return "pickle"
    raise ModelError(f"{path} is no checkpoint (safetensors, torch or Caffe2); it begins with {head!r}.")


def _read(path: Path, kind: str, trust: bool) -> Any:
    readers: dict[str, Callable[[Path, bool], Any]] = {
        "safetensors": _read_safetensors,
        "torch": _read_torch,
        "pickle": _read_pickle,
    }
    try:
        return readers[kind](path, trust)
    except RefusedError as refused:
        remedy = "If you trust its author, pass `trust_checkpoint=True`."
        raise ModelError(f"{path} was not read: it names '{refused}', which may run code. {remedy}") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise ModelError(f"The checkpoint {path} is damaged or cut short: {reason}") from error


def _read_safetensors(path: Path, trust: bool) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_torch(path: Path, trust: bool) -> Any:
    allowed: list[Any] = [(value, name) for name, value in HARMLESS.items()]
    try:
        with torch.serialization.safe_globals(allowed):
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
        return unpickler(stream, encoding="latin1").load()  # the Caffe2 zoo was written by Python 2


def _sha256(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


# What is in it


def _weights(content: Any, path: Path) -> State:
    """The tensors in a file, under the names they have there."""
    while isinstance(content, Mapping) and (wrapper := next((w for w in WRAPPERS if w in content), None)):
        content = content[wrapper]
    if isinstance(content, nn.Module):  # a whole model was saved; only a trusted file gets here
        content = content.state_dict()
    named = content if isinstance(content, Mapping) else {}
    tensors = {str(key): _tensor(value) for key, value in named.items()}
    state = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    if not state:
        raise ModelError(f"The checkpoint {path} holds no weights.")
    return state


def _tensor(value: Any) -> Tensor | None:
    array = value.values if isinstance(value, PlainArray) else value
    if isinstance(array, np.ndarray) and array.dtype.kind in "biuf":
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    return value if isinstance(value, Tensor) else None


def _adapted(model: nn.Module, state: State, path: Path) -> State:
    try:
        return model.adapt_checkpoint(state) if isinstance(model, Adapting) else state
    except ModelError as error:
        raise ModelError(f"{path} does not fit the model: {error}") from None


# Whether it fits


def _shapes(state: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _is_counter(key: str) -> bool:
    """Batch norm's step counter: Caffe2 has none, and inference does not need it."""
    return key.endswith("num_batches_tracked")


def _check(report: LoadReport, fitting: Iterable[str], own: Iterable[str], given: Iterable[str], strict: bool) -> None:
    fits, wanted, found = (sum(not _is_counter(key) for key in keys) for keys in (fitting, own, given))
    if fits == 0 or (strict and fits < max(wanted, found) / 2):
        raise ModelError(f"{report.path} looks like another model: {fits} of its {found} keys fit.")
    if strict and (report.missing or report.unexpected or report.mismatched):
        raise ModelError(f"{report.path} does not fit the model: {_class_counts(report) or _misfits(report)}")


def _class_counts(report: LoadReport) -> str | None:
    """The explanation, if the size of the classifier is all that differs."""
    layers = {key.rpartition(".")[0] for key in report.mismatched}
    counts = {(given[:1], own[:1]) for given, own in report.mismatched.values()}
    same_rest = all(given[1:] == own[1:] for given, own in report.mismatched.values())
    if report.missing or report.unexpected or len(layers) != 1 or len(counts) != 1 or not same_rest:
        return None
    ((given,), (own,)) = counts.pop()
    remedy = f"Pass `num_classes={given}`, or `strict=False` for a random classifier."
    return f"it has {given} classes, the model {own}. {remedy}"


def _misfits(report: LoadReport) -> str:
    shapes = tuple(f"{key} {given} for {own}" for key, (given, own) in report.mismatched.items())
    kinds = {"missing": report.missing, "unexpected": report.unexpected, "of another shape": shapes}
    return "; ".join(_some(what, names) for what, names in kinds.items() if names) + "."


def _some(what: str, names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} {what}: {', '.join(names[:most])}{more}"
