"""Estimators by name. The built-in ones are loaded when one is requested; `estimator` registers an external one."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar, overload

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.registry import Registry
from static_dynamic.estimators.base import Estimator

BUILT_IN = ("needs_motion", "factorial", "four_pair", "mutual_information", "pearson_within", "released")
"""Modules of this package that register estimators, in the order in which they are listed."""
HEADLINE = ("needs_motion", "released")
"""The default estimators."""

registered: Registry[type[Estimator]] = Registry(
    "estimator", [f"static_dynamic.estimators.{module}" for module in BUILT_IN]
)
Kind = TypeVar("Kind", bound=type[Estimator])


@overload
def estimator(name: Kind) -> Kind: ...


@overload
def estimator(name: str, summary: str) -> Callable[[Kind], Kind]: ...


def estimator(name: Any, summary: str = "") -> Any:
    """Class decorator that makes an estimator available by its name.

    ``@estimator("mine", "One line.")`` sets ``name`` and ``summary`` of the class; ``@estimator`` takes those of
    the class.

    Raises:
        UserError: If another class has this name.
    """
    if isinstance(name, type) and issubclass(name, Estimator):
        return registered(name.name, name.summary)(name)

    def register(kind: Kind) -> Kind:
        kind.name, kind.summary = name, summary
        return registered(name, summary)(kind)  # type: ignore[return-value]  # the given class

    return register


def estimators() -> dict[str, type[Estimator]]:
    """Name → class of every estimator, the built-in ones first, whichever was loaded first."""
    names = [f"static_dynamic.estimators.{module}" for module in BUILT_IN]
    place = {name: i for i, name in enumerate(names)}
    found = {name: entry.function for name, entry in registered.entries.items()}
    return dict(sorted(found.items(), key=lambda item: place.get(item[1].__module__, len(place))))


def find_estimators(wanted: str | Estimator | Iterable[str | Estimator] | None) -> tuple[Estimator, ...]:
    """Estimators by name (one, or several with commas), or as objects; the default ones for ``None``.

    Raises:
        UserError: If a name is unknown, one occurs twice, or none is given.
    """
    wanted = HEADLINE if wanted is None else wanted
    given = tuple(wanted) if isinstance(wanted, Iterable) and not isinstance(wanted, str) else (wanted,)
    names = [name for each in given for name in (each.split(",") if isinstance(each, str) else [each])]
    found = tuple(_find(name) for name in names if not isinstance(name, str) or name.strip())
    repeated = {one.name for i, one in enumerate(found) if one.name in [other.name for other in found[:i]]}
    if repeated or not found:
        raise UserError(
            f"The estimator {min(repeated)} is listed twice."
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
        if (name := wanted.strip()) not in known:
            raise unknown("estimator", name, known)
        return known[name]()
    raise UserError(f"An estimator is a name or an Estimator. Got {wanted!r:.80}.")


def describe_estimator(one: Estimator) -> dict[str, Any]:
    """Describe an estimator as plain data, so that a result can be read where the estimator is unknown."""
    own = vars(type(one))  # an inherited title belongs to another score
    return {
        "name": one.name,
        "title": own.get("title", ""),
        "axis": own.get("axis", ""),
        "summary": one.summary,
        "scale": one.scale,
        "column": one.column,
        "classes": list(one.classes),
        "options": asdict(one) if is_dataclass(one) else {},
    }
