"""The design of a study: which variants of which videos exist, and which videos depend on each other."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Index, Variant

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Table:
    """Rows of a store as a table of videos and cells.

    Attributes:
        rows: Row of every video in every cell, ``(V, K)``.
        group: Group of every video, ``(V,)``: videos of one sequence depend on each other.
        videos: Their names.
        sequences: Names of the groups, by number.
    """

    rows: Ints
    group: Ints
    videos: tuple[str, ...]
    sequences: tuple[str, ...]

    def of(self, groups: Ints) -> "Table":
        """The table of some groups, by rising numbers; of all groups, the table itself."""
        if len(groups) == len(self.sequences):
            return self
        place = np.flatnonzero(np.isin(self.group, groups))
        return Table(
            self.rows[place],
            np.searchsorted(groups, self.group[place]),
            tuple(self.videos[i] for i in place),
            tuple(self.sequences[i] for i in groups),
        )


@dataclass(frozen=True)
class Design:
    """What there is to score.

    Attributes:
        variants: Key of every row.
        records: Video → its record in the store.
        styles: Styles that make pairs, in the order of the study.
        orders: Orders that make pairs, the intact order first.
        rule: Which variants make pairs.
        style_weights: Style → weight of its pairs, 1 by default.
        dropped: Videos that do not count, e.g. because a stage gave NaN on them.
    """

    variants: Sequence[Variant]
    records: Mapping[str, Mapping[str, Any]]
    styles: tuple[str, ...]
    orders: tuple[str, ...]
    rule: PairRule = field(default_factory=PairRule)
    style_weights: Mapping[str, float] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()

    @classmethod
    def of(cls, store: Store, rule: PairRule, style_weights: Mapping[str, float]) -> "Design":
        """The design of the contents of a store."""
        index = store.keys()
        styles, orders = (
            tuple(dict.fromkeys(getattr(cell, name) for cell in index.cells)) for name in ("style", "order")
        )
        return cls(
            index,
            store.details(),
            tuple(store.study.get("styles", styles)),
            tuple(store.study.get("orders", orders)),
            rule,
            style_weights,
        )

    def without(self, videos: Collection[str]) -> "Design":
        """Copy the design without some videos."""
        return replace(self, dropped=self.dropped | frozenset(videos)) if videos else self

    def without_style(self, style: str) -> "Design":
        """Copy the design without the pairs of a style."""
        return replace(self, style_weights={**self.style_weights, style: 0.0})

    @cached_property
    def index(self) -> Index:
        """The keys as numbers."""
        return Index.of(self.variants)

    @cached_property
    def counts(self) -> npt.NDArray[np.bool_]:
        """Which videos of the index count."""
        return np.array([video not in self.dropped for video in self.index.videos], bool)

    @cached_property
    def row(self) -> dict[Variant, int]:
        """Variant → its row, for videos that count. It is large where there are many videos."""
        return {key: i for i, key in enumerate(self.variants) if key.video not in self.dropped}

    @cached_property
    def videos(self) -> list[str]:
        """Videos that count, in order."""
        return [self.index.videos[i] for i in np.flatnonzero(self.counts)]

    def sequence(self, video: str) -> str:
        """The sequence that a video is a moment of; the video itself if it has none."""
        return str(self.records.get(video, {}).get("sequence") or video)

    def grouped(self, videos: Ints) -> tuple[Ints, tuple[str, ...]]:
        """Number of the sequence of some videos, by their numbers in the index, and the names of the sequences."""
        number: dict[str, int] = {}
        names = map(self.sequence, (self.index.videos[i] for i in videos))
        group = np.fromiter((number.setdefault(name, len(number)) for name in names), np.intp, len(videos))
        return group, tuple(number)

    def has(self, cells: Collection[Cell]) -> bool:
        """Whether any video is available in all of some cells."""
        return bool(self.complete(cells).any())

    def complete(self, cells: Collection[Cell]) -> npt.NDArray[np.bool_]:
        """Which videos of the index count and are available in all of some cells."""
        return np.asarray(self.counts & (self.index.columns(cells) >= 0).all(1))

    def table(self, cells: Sequence[Cell], estimator: str) -> Table:
        """The videos that are available in all of some cells.

        Args:
            cells: The conditions.
            estimator: What needs them, for the message.

        Raises:
            UserError: If there is no such video; the message names what is missing and the remedy.
        """
        videos = np.flatnonzero(self.complete(cells))
        if not len(videos):
            raise self._missing(cells, estimator)
        group, sequences = self.grouped(videos)
        names = tuple(self.index.videos[i] for i in videos)
        return Table(self.index.columns(cells, videos), group, names, sequences)

    def incomplete(self, cells: Collection[Cell]) -> list[str]:
        """Videos that are available, but not in all of some cells."""
        return [self.index.videos[i] for i in np.flatnonzero(self.counts & ~self.complete(cells))]

    def _missing(self, cells: Sequence[Cell], estimator: str) -> UserError:
        there = {cell for i, cell in enumerate(self.index.cells) if (self.index.table[self.counts, i] >= 0).any()}
        absent = [cell for cell in cells if cell not in there]
        if not absent:
            return UserError(f"{estimator}: no video was measured in all of {'; '.join(map(str, cells))}.")
        return UserError(
            f"The estimator {estimator} needs clips that this store does not hold: {'; '.join(map(str, absent[:4]))}"
            f"{' …' if len(absent) > 4 else ''}. Measure again with `estimators={estimator!r}`."
        )
