"""Sums over videos: the sums of several sets of videos add up, so a statistic that is made of them needs one pass.

All sets are shifted by the same numbers, close to the means of the units, so that no digits are lost.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


class Additive(ABC):
    """Sums over the videos of each of ``G`` groups, of units that were shifted.

    Attributes:
        shift: The number subtracted from every unit, ``(U,)``.
        size: Mean square of the unit before the shift, ``(U,)``: the threshold for rounding is relative to it.
        entries: Number of values in this mean.
    """

    shift: Array
    size: Array
    entries: int

    @abstractmethod
    def arrays(self) -> list[Array]:
        """All sums, each ``(G, …)``."""

    @abstractmethod
    def of(self, arrays: Sequence[Array], size: Array, entries: int) -> Self:
        """Replace the sums by others of these shapes, except for the number of groups."""

    def weighted(self, weights: Array | None = None) -> Self:
        """Sums over all groups, each counted ``weights`` times: ``(R, G)`` → groups become the ``R`` replicates."""
        arrays = self.arrays()
        if weights is None:
            return self.of([sums.sum(0, keepdims=True) for sums in arrays], self.size, self.entries)
        flat = [(weights @ sums.reshape(len(sums), -1)).reshape(len(weights), *sums.shape[1:]) for sums in arrays]
        return self.of(flat, self.size, self.entries)


Sums = TypeVar("Sums", bound=Additive)


def side_by_side(several: Sequence[Sums]) -> Sums:
    """Sums of the same units as the groups of one; the first says what is rounding."""
    arrays = [np.concatenate(of) for of in zip(*(sums.arrays() for sums in several), strict=True)]
    return several[0].of(arrays, several[0].size, several[0].entries)


class Collected(Generic[Sums]):
    """Collects the sums of several sets of videos.

    Args:
        groups: Number of groups.
    """

    def __init__(self, groups: int) -> None:
        self.groups = groups
        self._first: Sums | None = None
        self._arrays: list[Array] = []
        self._squares: Array = np.zeros(())
        self._entries = 0

    @property
    def shift(self) -> Array | None:
        """The number to subtract from the units of all further sets; ``None`` before the first."""
        return None if self._first is None else self._first.shift

    def add(self, sums: Sums, groups: Ints | None = None) -> None:
        """Add a set.

        Args:
            sums: Sums of this set.
            groups: The groups that its own groups are part of, ``(own groups,)``; the same groups if ``None``.
        """
        arrays = sums.arrays()
        everything = groups is None or np.array_equal(groups, np.arange(self.groups))
        if self._first is None:
            self._first = sums
            self._arrays = arrays if everything else [np.zeros((self.groups, *one.shape[1:])) for one in arrays]
        if not everything or self._entries:
            for total, one in zip(self._arrays, arrays, strict=True):
                _add_to(total, one, groups)
        self._squares = self._squares + sums.size * sums.entries
        self._entries += sums.entries

    @property
    def sums(self) -> Sums:
        """The sums of all sets.

        Raises:
            ValueError: If there are no sets.
        """
        if self._first is None:
            raise ValueError("There are no sums of any videos yet.")
        return self._first.of(self._arrays, self._squares / self._entries, self._entries)


def _add_to(total: Array, sums: Array, groups: Ints | None) -> None:
    """Add the sums of some groups to those of all."""
    if groups is None:
        total += sums
        return
    found, place = np.unique(groups, return_inverse=True)
    if len(found) < len(groups):  # several belong to one group
        belongs = csr_array((np.ones(len(groups)), (place, np.arange(len(groups)))), shape=(len(found), len(groups)))
        flat: Array = np.asarray(belongs @ sums.reshape(len(sums), -1))
        sums = flat.reshape(len(found), *sums.shape[1:])
    else:
        found = groups
    total[found] += sums


def bilinear(values: Array, first: Ints, second: Ints, weight: Array | None = None) -> Array:
    """``Σ_n w_n x[first_n] x[second_n]`` of every unit, from values ``(rows, U)``: ``(U,)``."""
    weight = np.ones(len(first)) if weight is None else weight
    order = np.lexsort((second, first))
    rows, start = np.unique(first[order], return_index=True)
    partners = csr_array((weight[order], second[order], [*start, len(first)]), shape=(len(rows), len(values)))
    theirs: Array = np.asarray(partners @ values)
    return np.asarray((values[rows] * theirs).sum(0))
