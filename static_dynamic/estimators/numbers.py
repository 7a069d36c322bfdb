"""The numbers of one estimator for one stage: on all videos, on every resample, and on pairs of unrelated videos.

Units are read in blocks and videos in parts, so memory does not depend on their numbers: see
`static_dynamic.estimators.streaming`. An external plan that needs all rows at once gets them, if they fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.estimators.base import Estimator, Plan
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.reading import read, read_once, require_memory
from static_dynamic.estimators.streaming import is_streamed
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.nulls import false_discovery, pooled_p
from static_dynamic.functional.resampling import GROUPS, Resamples, fold_sizes, resample, widened
from static_dynamic.store import Store

BLOCK_BYTES = 64 * 2**20
"""Approximate limit of what is held at once, in bytes."""
STRIP_BYTES = 512 * 2**20
"""The limit where sums of groups of videos are held: a store on disk is then not read in narrow strips."""


@dataclass(frozen=True)
class Resampling:
    """How videos are resampled.

    Attributes:
        replicates: Bootstrap replicates.
        confidence: Level of the intervals.
        nulls: Draws of pairs of unrelated videos.
        seed: Seed of both.
        styles: Whether intervals cover the choice of styles too.
    """

    replicates: int = 1000
    confidence: float = 0.95
    nulls: int = 20
    seed: int = 0
    styles: bool = False


@dataclass(frozen=True)
class Sample:
    """The numbers of one estimator for one stage on every resample of the videos.

    Attributes:
        videos: Names of the videos, or sequences, that were resampled.
        replicates: Bootstrap rows.
        layer: Column of the layer table → ``(rows, Q)``: on all videos, the bootstrap, the jackknife.
        units: ``(1 + jackknife rows, Q, U)`` float32: on all videos, the jackknife.
        fewer_styles: Column → ``(K, Q)``: the layer's numbers without each style in turn, where it has several.
    """

    videos: tuple[str, ...]
    replicates: int
    layer: Mapping[str, Array]
    units: npt.NDArray[np.float32]
    fewer_styles: Mapping[str, Array] = field(default_factory=dict)

    @property
    def left_out(self) -> Array:
        """Videos that each jackknife row leaves out."""
        return fold_sizes(len(self.videos), len(self.units) - 1)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one estimator for one stage.

    Attributes:
        layer: One row per quantity.
        units: One row per unit.
        sample: The numbers on every resample.
        alike: Whether the conditions that are compared gave equal activations, except for rounding.
    """

    layer: pd.DataFrame
    units: pd.DataFrame
    sample: Sample
    alike: bool


@dataclass
class _Sums:
    """Parts and wholes of the numbers of a layer, summed over blocks of units; undefined units are left out."""

    parts: Array = field(default_factory=lambda: np.zeros(()))
    whole: Array = field(default_factory=lambda: np.zeros(()))

    def add(self, estimates: Estimates) -> None:
        """Add a block."""
        self.parts = self.parts + np.nan_to_num(estimates.parts).sum(-1)
        self.whole = self.whole + np.nan_to_num(np.broadcast_to(estimates.whole, estimates.parts.shape)).sum(-1)

    @property
    def ratios(self) -> Array:
        """``(R, Q)``; NaN where no unit counts."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.whole != 0, self.parts / self.whole, np.nan)


class Scorer:
    """Scores one stage.

    Args:
        estimator: The estimator.
        plan: How it reads the rows.
        resampling: How videos are resampled.
        fewer_styles: How it reads them without each style in turn.
    """

    def __init__(
        self, estimator: Estimator, plan: Plan, resampling: Resampling, fewer_styles: Sequence[Plan] = ()
    ) -> None:
        self.estimator, self.plan, self.resampling = estimator, plan, resampling
        self.resamples, self._row = resample(len(plan.videos), resampling.replicates, resampling.seed).distinct()
        self.nulls = resampling.nulls if self.resamples.enough else 0
        self.fewer_styles = fewer_styles

    def numbers(self, store: Store, stage: str, units: int) -> Numbers:
        """Score a stage of a store.

        Raises:
            UserError: If an external estimator needs more rows at once than fit in memory.
        """
        layer, ceiling, null = _Sums(), _Sums(), _Sums()
        without = [_Sums() for _ in self.fewer_styles]
        tables, kept, chance, alike = [], [], [], True
        for block in self._blocks(units):
            rows = partial(store.stage, stage, block)
            found = read(self.plan, rows, self.resamples, self.resampling.seed, self.nulls)
            own = found.own if len(self.plan.videos) >= self.estimator.fewest else found.own.undefined
            layer.add(own)
            fewer = _added([read_once(plan, rows) for plan in self.fewer_styles], without)
            tables.append(self._unit_table(own, fewer, block))
            kept.append(_for_comparison(self.resamples, own.units))
            if found.strangers is not None:
                null.add(found.strangers)
                chance.append(found.strangers.units)
            if found.again is not None:
                ceiling.add(found.again)
            alike = alike and found.alike
        table = pd.concat(tables, ignore_index=True)
        if self.nulls:
            table = self._with_p(table, np.concatenate(chance, -1))
        table.insert(0, "stage", stage)
        columns = self.estimator.layer(layer.ratios, units)
        less = [self.estimator.layer(sums.ratios, units) for sums in without]
        sample = Sample(
            self.plan.videos,
            self.resampling.replicates,
            {name: values[self._row] for name, values in columns.items()},
            np.concatenate(kept, -1),
            {name: np.concatenate([each[name] for each in less]) for name in columns} if less else {},
        )
        layers = self._layer_table(stage, units, layer.ratios, columns, sample, null, ceiling)
        return Numbers(layers, table, sample, alike)

    def _blocks(self, units: int) -> Iterator[slice]:
        """Blocks of units."""
        rows, videos = max(len(self.resamples.weights), self.nulls), len(self.plan.videos)
        size, streamed = self.plan.size(rows), is_streamed(self.plan)
        require_memory(8 * (size if streamed else size + rows * videos), self.estimator.name, videos)
        return blocks(units, size, STRIP_BYTES if streamed and videos > GROUPS else BLOCK_BYTES)

    def _interval(self, values: Array, fewer: Array, unbounded: Array | None = None) -> tuple[Array, Array]:
        """Ends of the interval of a number on all resamples ``(R, …)`` and without each style ``(K, …)``.

        For a number that was cut to 0..1 they are made from the uncut values, see `Estimates.unbounded`.
        """
        resampling = self.resampling
        if unbounded is None:
            ends = self.resamples.interval(values, resampling.confidence, self.estimator.bounded)
        else:
            low, high = self.resamples.interval(unbounded, resampling.confidence)
            ends = np.clip(low, 0, 1), np.clip(high, 0, 1)
        if not resampling.styles or not len(fewer):
            return ends
        return widened(values[0], ends, fewer, resampling.confidence)

    def _unit_table(self, estimates: Estimates, fewer: Array, block: slice) -> pd.DataFrame:
        """One row per unit of a block; ``fewer`` are its numbers without each style, ``(K, Q, U)``."""
        estimator, resamples, values = self.estimator, self.resamples, estimates.units
        low, high = self._interval(values, fewer, estimates.unbounded)
        columns: dict[str, object] = {"unit": np.arange(block.start, block.stop), "estimator": estimator.name}
        for q, name in self._shown():
            columns |= {name: values[0, q], f"{name}_low": low[q], f"{name}_high": high[q]}
        if estimator.classes:
            classes = estimator.classify(values)
            columns |= {"class": classes[0], "stability": resamples.stability(classes)}
        return pd.DataFrame(columns)

    def _with_p(self, table: pd.DataFrame, chance: Array) -> pd.DataFrame:
        """Add p and q of the numbers that are tested against unrelated videos; ``chance`` is ``(draws, Q, U)``."""
        for q, name in self._shown():
            if name in self.estimator.tested:
                table[f"{name}_p"] = pooled_p(table[name], chance[:, q])
                table[f"{name}_q"] = false_discovery(table[f"{name}_p"])
        return table

    def _shown(self) -> Iterator[tuple[int, str]]:
        """Numbers and names of the quantities of a unit; the residual is equal for all units."""
        return ((q, name) for q, name in enumerate(self.plan.quantities) if name in self.estimator.of_units)

    def _layer_table(
        self,
        stage: str,
        units: int,
        ratios: Array,
        columns: Mapping[str, Array],
        sample: Sample,
        null: _Sums,
        ceiling: _Sums,
    ) -> pd.DataFrame:
        estimator = self.estimator
        table: dict[str, object] = {
            "stage": stage,
            "estimator": estimator.name,
            "factor": list(self.plan.quantities),
        }
        for name, values in columns.items():
            scale = 100 if name == "share" else 1
            ends = self._interval(values / scale, sample.fewer_styles.get(name, np.empty(0)) / scale)
            low, high = (np.clip(scale * end, *estimator.limits.get(name, (-np.inf, np.inf))) for end in ends)
            table |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
        table |= estimator.published(ratios[0], units)
        tested = np.array([name in estimator.tested for name in self.plan.quantities])
        if null.whole.ndim:
            of_strangers = estimator.layer(null.ratios, units)[estimator.column]
            table["null"] = np.where(tested, np.mean(of_strangers, 0), np.nan)
        if sample.fewer_styles:
            over_styles = sample.fewer_styles[estimator.column]
            table |= {"style_low": over_styles.min(0), "style_high": over_styles.max(0)}
        if ceiling.whole.ndim:
            table["ceiling"] = np.where(tested, estimator.layer(ceiling.ratios, units)[estimator.column][0], np.nan)
        return pd.DataFrame(table | {"units": units, "pairs": list(self.plan.pairs), "videos": len(self.plan.videos)})


def blocks(units: int, size: int, allowed: int | None = None) -> Iterator[slice]:
    """Slices of units of ``size`` numbers each that stay within the memory allowed, in bytes."""
    step = max(1, (BLOCK_BYTES if allowed is None else allowed) // (8 * size))
    for start in range(0, units, step):
        yield slice(start, min(start + step, units))


def _added(found: Sequence[Estimates], sums: Sequence[_Sums]) -> Array:
    """Numbers of units by other plans, ``(plans, Q, U)``; the numbers of the layer are added to their sums."""
    for estimates, total in zip(found, sums, strict=True):
        total.add(estimates)
    return np.array([estimates.units[0] for estimates in found])


def _for_comparison(resamples: Resamples, values: Array) -> npt.NDArray[np.float32]:
    """The numbers on all videos, and on the jackknife rows."""
    return np.concatenate([values[:1], resamples.jackknife(values)]).astype(np.float32)
