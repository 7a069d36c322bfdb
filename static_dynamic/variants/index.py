"""Keys of many variants as arrays of numbers: a few bytes per row, instead of a few hundred for a separate key."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from static_dynamic.variants.keys import Cell, Variant

Ints = npt.NDArray[np.intp]


class Index(Sequence[Variant]):
    """The key of every row.

    Args:
        videos: Names of the videos, in order of first appearance.
        cells: Conditions, likewise.
        video: Number of every row's video, ``(rows,)``.
        cell: Number of every row's condition, ``(rows,)``.
    """

    def __init__(self, videos: list[str], cells: list[Cell], video: Ints, cell: Ints) -> None:
        self.videos, self.cells, self.video, self.cell = videos, cells, video, cell

    @classmethod
    def of(cls, variants: Iterable[Variant]) -> "Index":
        """The index of some keys; an index is returned unchanged."""
        if isinstance(variants, Index):
            return variants
        videos: dict[str, int] = {}
        cells: dict[Cell, int] = {}
        numbers = [
            (videos.setdefault(key.video, len(videos)), cells.setdefault(key.cell, len(cells))) for key in variants
        ]
        video, cell = np.array(numbers, np.intp).reshape(-1, 2).T
        return cls(list(videos), list(cells), video, cell)

    @classmethod
    def crossed(cls, videos: list[str], cells: list[Cell]) -> "Index":
        """Every video in every condition, video by video; names must be unique."""
        video, cell = np.divmod(np.arange(len(videos) * len(cells)), max(1, len(cells)))
        return cls(videos, cells, video, cell)

    @overload
    def __getitem__(self, row: int) -> Variant: ...

    @overload
    def __getitem__(self, row: slice) -> list[Variant]: ...

    def __getitem__(self, row: int | slice) -> Variant | list[Variant]:
        """The key of a row."""
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        return Variant(self.videos[self.video[row]], *self.cells[self.cell[row]])

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.video)

    @cached_property
    def table(self) -> Ints:
        """Row of every video in every condition, ``(videos, cells)``; -1 if it is missing."""
        table = np.full((len(self.videos), len(self.cells)), -1, np.intp)
        table[self.video, self.cell] = np.arange(len(self))
        return table

    def columns(self, cells: Iterable[Cell], videos: Ints | slice = slice(None)) -> Ints:
        """Row of some videos in some conditions, ``(videos, len(cells))``; -1 if it is missing."""
        number = {cell: i for i, cell in enumerate(self.cells)}
        table = self.table[videos]
        found = [table[:, number[cell]] if cell in number else np.full(len(table), -1) for cell in cells]
        return np.stack(found, 1) if found else np.empty((len(table), 0), np.intp)

    def take(self, rows: Ints) -> "Index":
        """The index of some rows, in this order."""
        videos, video = _renumbered(self.video[rows])
        cells, cell = _renumbered(self.cell[rows])
        return Index([self.videos[i] for i in videos], [self.cells[i] for i in cells], video, cell)


def _renumbered(numbers: Ints) -> tuple[Ints, Ints]:
    """The distinct numbers in order of first appearance, and the position of each number among them."""
    found, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    return found[order], rank[place]
