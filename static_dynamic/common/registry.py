"""Named functions with a one-line summary, and the random numbers they are given."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar
from zlib import crc32

import numpy as np

from static_dynamic.common.errors import unknown
from static_dynamic.common.seeds import check_seed

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Entry(Generic[Function]):
    """A registered function."""

    name: str
    summary: str
    function: Function


class Registry(Generic[Function]):
    """Functions by name, in the order of their definition.

    Args:
        kind: What a name stands for; it appears in errors.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: dict[str, Entry[Function]] = {}

    def __call__(self, name: str, summary: str) -> Callable[[Function], Function]:
        """Decorate a function to register it."""

        def register(function: Function) -> Function:
            self.entries[name] = Entry(name, summary, function)
            return function

        return register

    def __getitem__(self, name: str) -> Entry[Function]:
        """The entry of that name; ``UserError`` with the nearest names if there is none."""
        if name not in self.entries:
            raise unknown(self.kind, name, self.entries)
        return self.entries[name]

    def names(self, pattern: str = "*") -> list[str]:
        """Every name that matches a glob."""
        return [name for name in self.entries if fnmatchcase(name, pattern)]


def generator(seed: int, key: str) -> np.random.Generator:
    """Random numbers of a style or a scramble, which depend on the seed and on its name.

    This is not the rule of :mod:`static_dynamic.common.seeds`: the tables and pictures of styles in the docs were made
    so.

    Raises:
        UserError: If the seed is negative.
    """
    check_seed(seed)
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(key.encode())]))
