"""Functions and classes that are selected by name: styles, scrambles, poolings and the like.

The built-in ones and those of users are registered in the same way, by a decorator:

    @sd.style("negative", "Every colour inverted.")
    def negative(clip, rng):
        return lambda frame: 255 - frame
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, Generic, TypeVar
from zlib import crc32

import numpy as np

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.seeds import check_seed

Thing = TypeVar("Thing", bound=Callable[..., object])

PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Entry(Generic[Thing]):
    """A registered function or class.

    Attributes:
        name: Selects it.
        summary: What it does, in one line.
        function: The function or class.
        options: Further arguments of the decorator.
    """

    name: str
    summary: str
    function: Thing
    options: Mapping[str, Any] = field(default_factory=dict)


class Registry(Generic[Thing]):
    """Functions or classes by name, in the order of definition; the registry itself is the decorator.

    Args:
        kind: What a name refers to; it appears in errors.
        built_in: Modules that register entries. They are imported when an entry is first requested.
        reserved: Names that have another meaning.
        options: Further arguments of the decorator with their defaults.
    """

    def __init__(self, kind: str, built_in: Iterable[str] = (), reserved: Iterable[str] = (), **options: Any) -> None:
        self.kind = kind
        self.built_in = tuple(built_in)
        self.reserved = frozenset(reserved)
        self.options = options
        self._entries: dict[str, Entry[Thing]] = {}
        self._complete = not self.built_in

    def __call__(self, name: str, summary: str = "", **options: Any) -> Callable[[Thing], Thing]:
        """Decorate a function or class to register it.

        Args:
            name: Selects it: letters, digits and ``_``.
            summary: What it does, in one line.
            options: See the options of this registry.

        Raises:
            UserError: If the name is taken by another function, or is invalid; if the summary is missing.
        """
        if not isinstance(name, str) or not summary:
            raise UserError(f"A {self.kind} requires a name and a summary: @{self._decorator}. Got {name!r:.80}.")

        def register(thing: Thing) -> Thing:
            self.add(thing, name, summary, **options)
            return thing

        return register

    def add(self, thing: Thing, name: str, summary: str, **options: Any) -> None:
        """Register a function or class; the same one again (same module and same name there) replaces the former.

        Raises:
            UserError: If the name is taken by another one, or is invalid.
        """
        if not name.isidentifier() or name in self.reserved:
            why = "is reserved" if name in self.reserved else "must consist of letters, digits and _, e.g. my_own"
            raise UserError(f"The name of a {self.kind} {why}. Got {name!r}.")
        for option in options:
            if option not in self.options:
                raise unknown(f"option of a {self.kind}", option, self.options)
        if thing.__module__ not in self.built_in:
            self._load()
        before = self._entries.get(name)
        if before is not None and _place(before.function) != _place(thing):
            raise UserError(
                f"The name {name!r} is that of another {self.kind}, of {before.function.__module__}. Choose another."
            )
        self._entries[name] = Entry(name, summary, thing, {**self.options, **options})

    @property
    def entries(self) -> dict[str, Entry[Thing]]:
        """Name → entry, for all entries."""
        self._load()
        return self._entries

    def __getitem__(self, name: str) -> Entry[Thing]:
        """The entry of that name; ``UserError`` with the nearest names if it does not exist."""
        if name not in self.entries:
            raise unknown(self.kind, name, self.entries)
        return self.entries[name]

    def names(self, pattern: str = "*") -> list[str]:
        """Every name that matches a glob."""
        return [name for name in self.entries if fnmatchcase(name, pattern)]

    def name_of(self, given: str | Thing) -> str:
        """The given name, or that of a function, which is registered under its own name if it is new.

        Raises:
            UserError: If it is neither, has no name, or its name is taken.
        """
        if isinstance(given, str):
            return given
        if not callable(given):
            raise UserError(f"A {self.kind} must be a name or a function. Got {given!r:.80}.")
        for entry in self.entries.values():
            if entry.function is given:
                return entry.name
        name = getattr(given, "__name__", "")
        if not name.isidentifier():
            raise UserError(f"This {self.kind} has no name: give it one with {self._decorator}. Got {given!r:.80}.")
        first = (given.__doc__ or "").strip().partition("\n")[0]
        self.add(given, name, first or f"From {given.__module__}.")
        return name

    def outside(self, names: Iterable[str]) -> dict[str, Thing]:
        """Kind and name → function, for those of the names that code outside this package has registered."""
        there = [self.entries[name] for name in names if name in self.entries]
        return {f"{self.kind} {entry.name}": entry.function for entry in there if is_outside(entry.function)}

    @property
    def _decorator(self) -> str:
        return f'sd.{self.kind.replace(" ", "_")}("mine", "One line.")'

    def _load(self) -> None:
        """Import the modules of built-in entries."""
        if not self._complete:
            for module in self.built_in:
                import_module(module)
            self._complete = True


def is_outside(thing: object) -> bool:
    """Whether a function or class is defined outside this package."""
    return str(thing.__module__).partition(".")[0] != PACKAGE


def _place(thing: object) -> tuple[str, str]:
    """Where a function or class is defined, which is the same for every import of it."""
    return str(thing.__module__), getattr(thing, "__qualname__", type(thing).__qualname__)


def generator(seed: int, key: str) -> np.random.Generator:
    """Random numbers of a style or a scramble, which depend on the seed and on its name.

    This is not the rule of :mod:`static_dynamic.common.seeds`, since the tables and pictures in the docs use this one.

    Raises:
        UserError: If the seed is negative.
    """
    check_seed(seed)
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(key.encode())]))
