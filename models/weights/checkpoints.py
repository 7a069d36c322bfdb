"""Loading a checkpoint, in any published format, into a model.

What a file holds is read by ``reading``, which runs no code from it; ``finding`` finds the weights in it, in any
wrapper and any style of names of ``keys``. This file checks whether they fit.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from static_dynamic.models.errors import ModelError, said
from static_dynamic.models.weights.finding import Found, Target, bare, find
from static_dynamic.models.weights.keys import State
from static_dynamic.models.weights.reading import read
from static_dynamic.models.weights.report import LoadReport, Shape, filled, is_counter, some
from static_dynamic.models.weights.soundness import check_numbers

SHOWN = 3
"""The most names of a file and of a model in a message."""


class OtherClasses(ModelError):
    """A checkpoint differs from a model in the size of the classifier alone.

    Args:
        path: The checkpoint.
        given: Classes of the checkpoint.
        own: Classes of the model.
    """

    def __init__(self, path: str, given: int, own: int) -> None:
        super().__init__(
            f"{path} does not fit the model: it has {given} classes, the model {own}. Pass `num_classes={given}`, or "
            "`strict=False` for a random classifier."
        )
        self.path, self.given, self.own = path, given, own


@runtime_checkable
class Adapting(Protocol):
    """A model that adapts the weights of a checkpoint itself."""

    def adapt_checkpoint(self, state: State) -> State:
        """Weights under the model's own names → those to load; a ``ModelError`` states why they do not fit."""
        ...


def load_checkpoint(
    model: nn.Module,
    path: str | os.PathLike[str],
    strict: bool = True,
    trust: bool = False,
    key: str | None = None,
) -> LoadReport:
    """Load weights into a model, in place; on an error the model is left as it was.

    Args:
        model: Any module; if it is ``Adapting``, it sees the weights first.
        path: A file in one of the formats of ``models.weights.reading``, an ``*.index.json`` of shards, or a folder.
        strict: Whether every key must fit. If not, those that fit are loaded and the report names the others.
        trust: Whether the file may run code while it is read.
        key: Where in the file the weights are, e.g. ``"model_ema"``; ``None`` takes what fits best.

    Raises:
        OtherClasses: If only the size of the classifier differs, and ``strict`` is on.
        ModelError: If the file cannot be read, wants to run code or does not fit, or if nothing fits at all.
    """
    contents = read(Path(path), trust)
    own = {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    homes = {bare(name): name for name in own}  # torch.compile changes the names of a model
    shapes = {bare(name): tuple(tensor.shape) for name, tensor in own.items()}
    found = _find(contents.content, Target(shapes, _adapter(model)), key, path)
    report = _report(found, shapes, str(path), contents.format, contents.sha256)
    _check(report, found, shapes, contents.content, strict)
    fitting = {homes[name]: x for name, x in found.state.items() if shapes.get(name) == tuple(x.shape)}
    check_numbers(fitting, own, str(path))
    model.load_state_dict(fitting, strict=False)
    return report


def _adapter(model: nn.Module) -> Any:
    return model.adapt_checkpoint if isinstance(model, Adapting) else lambda state: state


def _find(content: Any, target: Target, key: str | None, path: str | os.PathLike[str]) -> Found:
    try:
        return find(content, target, key)
    except ModelError as error:
        raise ModelError(f"The checkpoint {path} does not fit the model: {error}") from None
    except Exception as error:  # a model or a style of names may fail in any way on weights that are not meant for it
        raise ModelError(f"The checkpoint {path} does not fit the model: {said(error)}.") from error


def _report(found: Found, own: Mapping[str, Shape], path: str, kind: str, sha256: str) -> LoadReport:
    given = {key: tuple(tensor.shape) for key, tensor in found.state.items()}
    missing = tuple(key for key in own if key not in given and not is_counter(key))
    mismatched = {key: (given[key], own[key]) for key in own if given.get(key, own[key]) != own[key]}
    return LoadReport(
        path=path,
        format=kind,
        sha256=sha256,
        missing=missing,
        unexpected=tuple(key for key in given if key not in own and not is_counter(key)),
        mismatched=mismatched,
        adapted=found.adapted,
        found_at=found.place,
        others=found.others,
        filled=filled(own, {*missing, *mismatched}),
    )


# Whether it fits


def _check(report: LoadReport, found: Found, own: Mapping[str, Shape], content: Any, strict: bool) -> None:
    fits, wanted, there = (sum(not is_counter(key) for key in keys) for keys in (found.fits, own, found.state))
    if fits == 0 or (strict and fits < max(wanted, there) / 2):
        theirs = {key: tuple(tensor.shape) for key, tensor in found.state.items()}
        raise ModelError(
            f"{report.path} looks like another model{_named(content)}: {fits} of its {there} keys fit. Its first: "
            f"{_first(theirs)}; the model's: {_first(own)}."
        )
    if strict and (report.missing or report.unexpected or report.mismatched):
        if counts := _class_counts(report):
            raise OtherClasses(report.path, *counts)
        raise ModelError(f"{report.path} does not fit the model: {_misfits(report)}")


def _named(content: Any) -> str:
    """The name of the model that a file states."""
    name = dict(content).get("arch") if isinstance(content, Mapping) else None
    return f" (it names '{name}')" if isinstance(name, str) else ""


def _first(shapes: Mapping[str, Shape]) -> str:
    return some((f"{key} {shape}" for key, shape in shapes.items() if not is_counter(key)), SHOWN)


def _class_counts(report: LoadReport) -> tuple[int, int] | None:
    """Classes of the file and of the model, if the size of the classifier is all that differs."""
    counts = {(given[:1], own[:1]) for given, own in report.mismatched.values()}
    same_rest = all(given[1:] == own[1:] for given, own in report.mismatched.values())
    if report.missing or report.unexpected or len(counts) != 1 or not same_rest:
        return None
    ((given, own),) = counts
    return (given[0], own[0]) if given and own else None


def _misfits(report: LoadReport) -> str:
    shapes = tuple(f"{key} {given} for {own}" for key, (given, own) in report.mismatched.items())
    kinds = {"missing": report.missing, "unexpected": report.unexpected, "of another shape": shapes}
    return "; ".join(f"{len(names)} {what}: {some(names)}" for what, names in kinds.items() if names) + "."
