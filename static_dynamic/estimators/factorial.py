"""Shares of appearance and motion, from videos in which both are known and crossed."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import generator
from static_dynamic.estimators.base import Classes, Estimator
from static_dynamic.estimators.design import Design, Ints
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.registry import estimator
from static_dynamic.estimators.streaming import PART_VIDEOS, Part, Streamed, dealt
from static_dynamic.functional.additive import Additive, Array
from static_dynamic.functional.factorial import (
    FACTOR_CLASSES,
    SHARES,
    block_components,
    classify_factors,
    mean_square,
    shares_of,
)
from static_dynamic.functional.resampling import GROUPS
from static_dynamic.media.clip import FACTORS, INTACT, ORIGINAL
from static_dynamic.variants import Cell, Conditions

Block = Mapping[tuple[str, str], Sequence[int]]
"""Appearance and motion → rows of the clips that show both."""


class Shape(NamedTuple):
    """Appearances, motions and draws of a block."""

    appearances: int
    motions: int
    draws: int

    def __str__(self) -> str:
        return " x ".join(map(str, self))


@dataclass(frozen=True)
class Components(Additive):
    """Sums of the components of blocks.

    Attributes:
        count: Blocks, ``(G,)``.
        components: ``(G, 4, U)``.
        shift: 0, since mean squares do not need a shift.
        size: See `Additive`.
        entries: See `Additive`.
    """

    count: Array
    components: Array
    shift: Array
    size: Array
    entries: int

    def arrays(self) -> list[Array]:
        """Numbers of blocks and of components."""
        return [self.count, self.components]

    def of(self, arrays: Sequence[Array], size: Array, entries: int) -> "Components":
        """See `Additive.of`."""
        count, components = arrays
        return Components(count, components, self.shift, size, entries)


@dataclass(frozen=True)
class FactorialPlan(Streamed):
    """Rows as a table of blocks, appearances, motions and draws.

    Attributes:
        rows: ``(B, K, O, r)``.
        blocks: Names of the blocks.
        incomplete: Videos of blocks of another shape.
    """

    rows: Ints
    blocks: tuple[str, ...]
    incomplete: Sequence[str] = ()

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the blocks: they are the sample."""
        return self.blocks

    @property
    def quantities(self) -> Sequence[str]:
        """The shares into which the variance is split."""
        return SHARES

    @property
    def pairs(self) -> Sequence[int]:
        """Return the number of clips: every share uses all of them."""
        return [self.rows.size] * len(SHARES)

    def size(self, resamples: int) -> int:
        """A unit in all clips, its residuals, and its components per resample."""
        held = min(self.rows.size, 2 * PART_VIDEOS)
        return 5 * held + 4 * len(SHARES) * (resamples + min(len(self.rows), GROUPS))

    def parts(self) -> Iterator[Part]:
        """See `Streamed.parts`; each block is a group."""
        for groups in dealt(np.full(len(self.rows), self.rows[0].size)):
            rows, local = np.unique(self.rows[groups], return_inverse=True)
            names = tuple(self.blocks[i] for i in groups)
            yield Part(rows, FactorialPlan(local.reshape(self.rows[groups].shape), names), groups)

    def sums(self, x: npt.NDArray[np.float32], shift: Array | None = None) -> Components:
        """See `Streamed.sums`."""
        table = x[self.rows].astype(np.float64)
        found = block_components(table)
        return Components(np.ones(len(found)), found, np.zeros(x.shape[1]), mean_square(table), self.rows.size)

    def read(self, sums: Components) -> Estimates:
        """See `Streamed.read`."""
        with np.errstate(invalid="ignore"):  # a resample may be without blocks
            components = sums.components / sums.count[:, None, None]
        shares, whole = shares_of(components, sums.size)
        return Estimates(shares, np.where(np.isnan(shares), 0.0, components), whole[:, None])

    def unrelated(self, seed: int) -> "FactorialPlan":
        """Assign the clips of every block to its cells at random."""
        rng = generator(seed, "dealt", len(self.blocks))
        return replace(self, rows=rng.permuted(self.rows.reshape(len(self.rows), -1), axis=1).reshape(self.rows.shape))

    def repeated(self) -> None:
        """Return ``None``: draws of one cell are part of the table."""

    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """Return False: a unit that never varies is dead."""
        return False


@estimator
@dataclass(frozen=True)
class Factorial(Estimator):
    """Analysis of variance of crossed factors; see :func:`static_dynamic.functional.factorial_shares`.

    Attributes:
        depends: Part of the explained variance above which a unit depends on a factor.
        explained: Explained share below which a unit depends on neither.
    """

    depends: float = 0.25
    explained: float = 0.25

    name = "factorial_shares"
    title = "Appearance and motion, crossed"
    axis = "share of the variance, %"
    summary = (
        "Of a unit's variance over clips that cross appearance and motion, the shares of both, of their interaction, "
        "and of nuisance."
    )
    of_units = SHARES
    tested = SHARES[:3]
    classes = FACTOR_CLASSES

    def __post_init__(self) -> None:
        classify_factors(np.zeros((4, 1)), self.depends, self.explained)

    def cells(self, conditions: Conditions) -> Sequence[Cell]:
        """The clips as they are."""
        return [Cell(conditions.filmed, INTACT)]

    def plan(self, design: Design) -> FactorialPlan:
        """Blocks of the commonest shape, by the factors in the records of the videos.

        Raises:
            UserError: If a video has no factors, or no block is crossed.
        """
        cells = [[Cell(style, INTACT)] for style in (ORIGINAL, *design.styles)]
        table = design.table(next(filter(design.has, cells), cells[0]), self.name)
        members = dict(zip(table.videos, table.rows[:, 0], strict=True))
        factors = {video: _factors(design, video, self.name) for video in members}
        found: defaultdict[str, defaultdict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
        for video, (block, appearance, motion) in factors.items():
            found[block][appearance, motion].append(members[video])
        shapes = {name: _shape(block) for name, block in found.items()}
        usable = Counter(shape for shape in shapes.values() if min(shape) >= 2)
        if not usable:
            name, shape = next(iter(shapes.items()))
            raise UserError(
                f"{self.name} needs blocks in which two or more appearances are crossed with two or more motions, and "
                f"each cell has two or more clips with everything else drawn again. Block {name!r} has {shape} "
                "(appearances x motions x draws of the rarest cell)."
            )
        chosen = max(usable, key=lambda shape: (usable[shape], shape))
        kept = [name for name in found if shapes[name] == chosen]
        return FactorialPlan(
            np.array([_table(found[name], chosen.draws) for name in kept], np.intp),
            tuple(kept),
            [video for video in design.videos if video not in members or factors[video][0] not in kept],
        )

    def classify(self, units: Array) -> Classes:
        """See :func:`static_dynamic.functional.classify_factors`."""
        return classify_factors(units, self.depends, self.explained)


def _factors(design: Design, video: str, estimator: str) -> tuple[str, str, str]:
    given = design.records.get(video, {}).get("factors") or {}
    missing = [name for name in FACTORS if given.get(name) is None]
    if missing:
        raise UserError(
            f"The estimator {estimator} needs the factors {', '.join(FACTORS)} of every video; {video!r} has no "
            f"{' and no '.join(missing)}. Give crossed clips, 'factorial:200x2x2x2', or a list of videos with these "
            "columns, see docs/data.md."
        )
    block, appearance, motion = (str(given[name]) for name in FACTORS)
    return block, appearance, motion


def _levels(block: Block) -> tuple[list[str], list[str]]:
    appearances, motions = ([*dict.fromkeys(levels)] for levels in zip(*block, strict=True))
    return appearances, motions


def _shape(block: Block) -> Shape:
    appearances, motions = _levels(block)
    draws = min(len(block.get((appearance, motion), ())) for appearance in appearances for motion in motions)
    return Shape(len(appearances), len(motions), draws)


def _table(block: Block, draws: int) -> list[list[Sequence[int]]]:
    """Rows of a block, ``(K, O, r)``; further draws of a cell are left out."""
    appearances, motions = _levels(block)
    return [[block[appearance, motion][:draws] for motion in motions] for appearance in appearances]
