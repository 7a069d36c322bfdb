"""What an estimator is: which variants it needs, and how activations become numbers for units and layers.

A further estimator is one file: a class with ``@estimator``, most often a `CellEstimator`, which only defines which
conditions it compares and what their covariances mean.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.design import Design, Ints, Table
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.streaming import PART_VIDEOS, Part, Streamed, dealt
from static_dynamic.functional.contrasts import Array, Contrast, Sums, cell_sums, with_partners
from static_dynamic.functional.resampling import FEWEST_VIDEOS, GROUPS
from static_dynamic.variants import Cell, Conditions

Classes = npt.NDArray[np.str_]
Scale = Literal["percent", "nats", "correlation"]
UNSEEN = 1e-5
"""Difference of two activations, relative to the largest of the stage, that rounding in float32 may make."""


class Plan(Protocol):
    """How an estimator reads the rows of one design.

    Attributes:
        videos: Names of the groups of videos, which are the sample.
    """

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the videos, or sequences, that are the sample: ``G`` of them."""

    @property
    def quantities(self) -> Sequence[str]:
        """Names of the ``Q`` numbers of a unit."""

    @property
    def pairs(self) -> Sequence[int]:
        """How many pairs of variants every quantity is made of."""

    def size(self, resamples: int) -> int:
        """About how many numbers one unit takes while it is scored."""

    def estimates(self, x: npt.NDArray[np.float32], weights: Array) -> Estimates:
        """From rows ``(rows, U)`` and weights of the videos ``(R, G)``."""

    def unrelated(self, seed: int) -> "Plan":
        """Take every second clip from another video under the same condition."""

    def repeated(self) -> "Plan | None":
        """Take a replicate of the first clip as the second: the ceiling; ``None`` without replicates."""

    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """Whether the conditions that are compared give equal rows ``(rows, U)``, except for rounding."""

    @property
    def incomplete(self) -> Sequence[str]:
        """Videos that are left out, since some of their variants are missing."""


class Estimator(ABC):
    """A score.

    Attributes:
        name: Its name.
        summary: What it measures, in one sentence.
        title: Its name in words, above its pictures; derived from the name if it is empty.
        axis: Label of the axis of its pictures; derived from the title if it is empty.
        scale: ``percent`` where a layer's number is a share, else the unit of measurement.
        bounded: Whether its numbers are in 0..1: their intervals then are, too.
        limits: Column of the layer table → least and largest possible value: ends of intervals are cut there.
        of_units: Quantities that every unit has for itself.
        tested: Quantities that are tested against pairs of unrelated videos.
        classes: Classes of units; empty if it has none.
        over_styles: Whether its numbers depend on the styles that were shown.
        fewest: Least number of videos for which its numbers are defined.
        if_alike: What equal activations in the compared conditions mean for a stage.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    title: ClassVar[str] = ""
    axis: ClassVar[str] = ""
    scale: ClassVar[Scale] = "percent"
    bounded: ClassVar[bool] = False
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    of_units: ClassVar[tuple[str, ...]]
    tested: ClassVar[tuple[str, ...]] = ()
    classes: ClassVar[tuple[str, ...]] = ()
    over_styles: ClassVar[bool] = False
    fewest: ClassVar[int] = 1
    if_alike: ClassVar[str] = ""

    @property
    def column(self) -> str:
        """The column of the layer table that holds its number."""
        return "share" if self.scale == "percent" else "score"

    @abstractmethod
    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """The variants of every video that it needs."""

    @abstractmethod
    def plan(self, design: Design) -> Plan:
        """How it reads a design.

        Raises:
            UserError: If variants that it needs are missing.
        """

    def without_a_style(self, design: Design) -> "list[Plan]":
        """Plans without each style in turn; empty where styles do not matter, or none can be left out."""
        if not self.over_styles:
            return []
        try:
            return [self.plan(design.without_style(style)) for style in design.styles]
        except UserError:
            return []

    def layer(self, ratios: Array, units: int) -> dict[str, Array]:
        """Columns of the layer table, which get intervals, from sums of parts over sums of wholes, ``(…, Q)``."""
        return {"share": 100 * ratios} if self.scale == "percent" else {"score": ratios}

    def published(self, ratios: Array, units: int) -> dict[str, npt.NDArray[np.generic]]:
        """Further columns of the layer table, without intervals, from ``(Q,)``."""
        return {}

    def classify(self, units: Array) -> Classes:
        """Class of every unit from its numbers, ``(…, Q, U)`` → ``(…, U)``; only where there are classes."""
        raise NotImplementedError

    def doubts(self, plan: Plan) -> list[str]:
        """Notes for the reader on what the design lacks for this estimator."""
        return []

    def remarks(self, units: Array, videos: int) -> list[str]:
        """Notes for the reader on the numbers of a stage.

        Args:
            units: Numbers of units on all videos, ``(Q, U)``; NaN where undefined.
            videos: How many videos, or sequences, are the sample.
        """
        return []


@dataclass(frozen=True, kw_only=True)
class TablePlan(Streamed):
    """Rows as a table of videos and cells, and which covariances are taken."""

    table: Table
    contrasts: Mapping[str, Contrast]
    incomplete: Sequence[str] = ()
    partner: Ints | None = None

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the sequences, or of videos without one, as in other estimators."""
        return self.table.sequences

    @abstractmethod
    def transform(self, z: Array) -> Array:
        """The transformation of the estimator."""

    @property
    @abstractmethod
    def by_video(self) -> bool:
        """Whether the transformation of a video depends on this video alone."""

    def parts(self) -> Iterator[Part]:
        """See `Streamed.parts`; one part where all videos must be seen together."""
        sizes = np.bincount(self.table.group)
        together = not self.by_video or self.partner is not None
        for groups in [np.arange(len(sizes))] if together else dealt(sizes):
            table = self.table.of(groups)
            rows, local = np.unique(table.rows, return_inverse=True)
            yield Part(rows, replace(self, table=replace(table, rows=local.reshape(table.rows.shape))), groups)

    def sums(self, x: npt.NDArray[np.float32], shift: Array | None = None) -> Sums:
        """The sums from which the covariances follow."""
        return cell_sums(self._cells(x), self.contrasts, self.table.group, self.partner, shift)

    def _cells(self, x: npt.NDArray[np.float32]) -> Array:
        return self.transform(x[self.table.rows].astype(np.float64))

    def unrelated(self, seed: int) -> Self:
        """See `Plan.unrelated`."""
        return replace(self, partner=others(self.table.group, seed))

    def strangers(self, x: npt.NDArray[np.float32], sums: Sums, seeds: Sequence[int]) -> list[Sums]:
        """See `Streamed.strangers`."""
        return with_partners(sums, self._cells(x), [others(self.table.group, seed) for seed in seeds])

    def repeated(self) -> None:
        """Return ``None``: replicates are separate conditions here."""

    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """Whether the first two cells are equal."""
        first, second = x[self.table.rows[:, 0]], x[self.table.rows[:, 1]]
        return bool(np.abs(first - second).max() <= UNSEEN * max(np.abs(first).max(), np.finfo(np.float32).tiny))

    @property
    def held(self) -> tuple[int, int]:
        """Videos that are read at once, and groups whose sums are kept in addition."""
        videos, groups = len(self.table.rows), len(self.table.sequences)
        return (
            (min(videos, PART_VIDEOS), min(groups, GROUPS)) if self.by_video and videos > PART_VIDEOS else (videos, 0)
        )


@dataclass(frozen=True, kw_only=True)
class CellPlan(TablePlan):
    """The plan of a `CellEstimator`, which compares these cells."""

    estimator: "CellEstimator"
    cells: Sequence[Cell] = ()

    @property
    def quantities(self) -> Sequence[str]:
        """The numbers that the estimator forms from these covariances."""
        return self.estimator.quantities

    @property
    def pairs(self) -> Sequence[int]:
        """Return one pair per video: each covariance of cells has one."""
        return [len(self.table.rows)] * len(self.estimator.quantities)

    def size(self, resamples: int) -> int:
        """Units in all cells and their products, and per resample their means and covariances."""
        (videos, groups), cells = self.held, self.table.rows.shape[1]
        contrasts, quantities = len(self.contrasts), len(self.estimator.quantities)
        of_videos = videos * (4 * cells + contrasts) + groups * (cells + contrasts)
        return of_videos + resamples * (cells + 4 * contrasts + 6 * quantities)

    def transform(self, z: Array) -> Array:
        """The transformation of the estimator."""
        return self.estimator.transform(z)

    @property
    def by_video(self) -> bool:
        """True unless the estimator transforms all videos together."""
        return type(self.estimator).transform is CellEstimator.transform

    def read(self, sums: Sums) -> Estimates:
        """See `Streamed.read`."""
        return self.estimator.values(sums.covariances_by_group())


def others(group: Ints, seed: int) -> Ints:
    """Choose a video of another group for every video, each once: groups in random order, shifted by one.

    Where groups differ in size, members are repeated or left out.
    """
    from static_dynamic.common.seeds import generator

    size = np.bincount(group)
    members, start = np.argsort(group, kind="stable"), np.cumsum(size) - size
    order = generator(seed, "unrelated", len(size)).permutation(len(size))
    following = np.empty(len(size), np.intp)
    following[order] = np.roll(order, -1)
    place = np.empty(len(group), np.intp)
    place[members] = np.arange(len(group)) - np.repeat(start, size)
    theirs = following[group]
    return np.asarray(members[start[theirs] + place % size[theirs]])


class CellEstimator(Estimator):
    """An estimator that is a function of covariances between conditions over videos.

    Attributes:
        quantities: Names of the numbers of a unit.
    """

    quantities: ClassVar[tuple[str, ...]]
    fewest = FEWEST_VIDEOS

    @property
    def of_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """All quantities."""
        return self.quantities

    @abstractmethod
    def compared(self, design: Design) -> Sequence[Cell]:
        """The cells that it compares."""

    @abstractmethod
    def contrasts(self, cells: Sequence[Cell]) -> Mapping[str, Contrast]:
        """Name → the pairs of cells over which a covariance is averaged.

        Raises:
            UserError: If the cells are too few.
        """

    @abstractmethod
    def values(self, covariance: Mapping[str, Array]) -> Estimates:
        """Numbers of units from the covariance of every contrast, each ``(R, U)``."""

    def transform(self, z: Array) -> Array:
        """Transform units in cells ``(V, K, U)`` before their sums are taken."""
        return z

    def plan(self, design: Design) -> CellPlan:
        """See `Estimator.plan`."""
        cells = self.compared(design)
        return CellPlan(
            estimator=self,
            table=design.table(cells, self.name),
            contrasts=self.contrasts(cells),
            incomplete=design.incomplete(cells),
            cells=cells,
        )
