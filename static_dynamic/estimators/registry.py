"""Estimators by name. The built-in ones are loaded when one is asked for; `estimator` registers one from outside."""

from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any, TypeVar

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.estimators.base import Estimator

BUILT_IN = ("needs_motion", "factorial", "released")
"""Modules of this package that register estimators, in the order in which they are listed."""
HEADLINE = ("needs_motion", "released")
"""What is measured unless something else is asked for."""

registered: dict[str, type[Estimator]] = {}
Kind = TypeVar("Kind", bound=type[Estimator])


def estimator(kind: Kind) -> Kind:
    """Class decorator: an estimator that can be asked for by its ``name``.

    Raises:
        UserError: If another class has this name.
    """
    before = registered.get(kind.name)
    if before is not None and (before.__module__, before.__qualname__) != (kind.__module__, kind.__qualname__):
        raise UserError(f"The name {kind.name!r} is that of another estimator, that of {before.__module__}.")
    registered[kind.name] = kind
    return kind


def estimators() -> dict[str, type[Estimator]]:
    """Name → class of every estimator, the built-in ones first, whichever was loaded first."""
    place = {import_module(f"static_dynamic.estimators.{module}").__name__: i for i, module in enumerate(BUILT_IN)}
    return dict(sorted(registered.items(), key=lambda item: place.get(item[1].__module__, len(place))))


def find_estimators(wanted: str | Estimator | Iterable[str | Estimator] | None) -> tuple[Estimator, ...]:
    """Estimators by name (one, or several with commas), or as objects; the usual ones for ``None``.

    Raises:
        UserError: If a name is unknown, one comes twice, or there is none.
    """
    wanted = HEADLINE if wanted is None else wanted
    given = tuple(wanted) if isinstance(wanted, Iterable) and not isinstance(wanted, str) else (wanted,)
    names = [name for each in given for name in (each.split(",") if isinstance(each, str) else [each])]
    found = tuple(_find(name) for name in names)
    repeated = {one.name for i, one in enumerate(found) if one.name in [other.name for other in found[:i]]}
    if repeated or not found:
        raise UserError(
            f"The estimator {min(repeated)} is asked for twice."
            if repeated
            else f"At least one estimator is required: {', '.join(estimators())}."
        )
    return found


def _find(wanted: object) -> Estimator:
    if isinstance(wanted, Estimator):
        return wanted
    if isinstance(wanted, type) and issubclass(wanted, Estimator):
        return wanted()
    if isinstance(wanted, str):
        known = estimators()
        if wanted.strip() not in known:
            raise unknown("estimator", wanted.strip(), known)
        return known[wanted.strip()]()
    raise UserError(f"An estimator is a name or an Estimator. Got {wanted!r:.80}.")


def describe_estimator(one: Estimator) -> dict[str, Any]:
    """What a result says of an estimator, as plain data, so that it can be read where the estimator is unknown."""
    return {
        "name": one.name,
        "summary": one.summary,
        "scale": one.scale,
        "column": one.column,
        "classes": list(one.classes),
        "options": asdict(one) if is_dataclass(one) else {},
    }
