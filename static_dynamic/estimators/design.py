"""The design of a study: which variants there are of which videos, and which videos depend on each other."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Variant

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


@dataclass(frozen=True)
class Design:
    """What there is to score.

    Attributes:
        variants: Key of every row.
        records: Video → what was read of it.
        styles: Styles that make pairs, in the order of the study.
        orders: Orders that make pairs, the intact one first.
        rule: Which variants make pairs.
        style_weights: Style → weight of its pairs, 1 where none is given.
        dropped: Videos that do not count, e.g. since a stage gave NaN on them.
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
        """The design of what a store holds."""
        variants = store.variants()
        styles, orders = (tuple(dict.fromkeys(getattr(key, name) for key in variants)) for name in ("style", "order"))
        return cls(
            variants,
            {record["video"]: record for record in store.records()},
            tuple(store.study.get("styles", styles)),
            tuple(store.study.get("orders", orders)),
            rule,
            style_weights,
        )

    def without(self, videos: Collection[str]) -> "Design":
        """The same without some videos."""
        return replace(self, dropped=self.dropped | frozenset(videos))

    def without_style(self, style: str) -> "Design":
        """The same without the pairs of a style."""
        return replace(self, style_weights={**self.style_weights, style: 0.0})

    @cached_property
    def row(self) -> dict[Variant, int]:
        """Variant → its row; of videos that count."""
        return {key: i for i, key in enumerate(self.variants) if key.video not in self.dropped}

    @cached_property
    def videos(self) -> list[str]:
        """Videos that count, in order."""
        return list(dict.fromkeys(key.video for key in self.row))

    def sequence(self, video: str) -> str:
        """The sequence that a video is a moment of: itself, where it is none."""
        return str(self.records.get(video, {}).get("sequence") or video)

    def has(self, cells: Collection[Cell]) -> bool:
        """Whether any video is there in all of some cells."""
        return any(self._complete(video, cells) for video in self.videos)

    def table(self, cells: Sequence[Cell], estimator: str) -> Table:
        """The videos that are there in all of some cells.

        Args:
            cells: The conditions.
            estimator: What needs them, for the message.

        Raises:
            UserError: If there is no such video, with what is missing and what would make it.
        """
        videos = [video for video in self.videos if self._complete(video, cells)]
        if not videos:
            raise self._missing(cells, estimator)
        rows = [[self.row[Variant(video, *cell)] for cell in cells] for video in videos]
        number = {name: i for i, name in enumerate(dict.fromkeys(map(self.sequence, videos)))}
        group = [number[self.sequence(video)] for video in videos]
        return Table(np.array(rows, np.intp), np.array(group, np.intp), tuple(videos), tuple(number))

    def incomplete(self, cells: Collection[Cell]) -> list[str]:
        """Videos that are there, but not in all of some cells."""
        return [video for video in self.videos if not self._complete(video, cells)]

    def _complete(self, video: str, cells: Collection[Cell]) -> bool:
        return all(Variant(video, *cell) in self.row for cell in cells)

    def _missing(self, cells: Sequence[Cell], estimator: str) -> UserError:
        there = {Cell(key.style, key.order, key.replicate) for key in self.row}
        absent = [cell for cell in cells if cell not in there]
        if not absent:
            return UserError(f"{estimator}: no video was measured in all of {'; '.join(map(str, cells))}.")
        return UserError(
            f"The estimator {estimator} needs clips that this store does not hold: {'; '.join(map(str, absent[:4]))}"
            f"{' …' if len(absent) > 4 else ''}. Measure again with `estimators={estimator!r}`."
        )
