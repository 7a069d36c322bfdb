"""The responses of the planted units for the estimators: collected as for any study, or arranged in blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.truth.units import RECIPE, STAGES, planted_model
from static_dynamic.collect import Study, collect
from static_dynamic.common.compute import Compute
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.network.recorder import Recorder
from static_dynamic.sources.factorial.videos import FactorialVideos
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Conditions, Variant

Array = npt.NDArray[np.float64]
STAGE = next(iter(STAGES))


@dataclass(frozen=True)
class Responses:
    """Responses of units.

    Attributes:
        design: The clip of every row.
        x: ``(rows, U)``.
    """

    design: Design
    x: npt.NDArray[np.float32]

    def of(self, videos: Sequence[str]) -> Design:
        """The design of only some videos."""
        return self.design.without({*self.design.videos} - {*videos})


def collected(folder: Path, count: int, conditions: Conditions, seed: int = 1) -> Responses:
    """Responses to ``count`` videos under these conditions; those in the folder are not computed again."""
    source = FactorialVideos(count, seed)
    recorder = Recorder(planted_model(), STAGES)
    study = Study(recorder, source, source.videos, RECIPE, conditions, Compute(batch_size=64, workers=0, device="cpu"))
    store = Store(folder, study.describe())
    collect(study, store)
    return Responses(Design.of(store, PairRule(), {}), store.stage(STAGE))


def drawn_blocks(table: Array, shape: tuple[int, int], blocks: int, rng: np.random.Generator) -> Array:
    """Blocks of appearances x motions x 2 draws from an enumeration ``(K, O, r, U)``: ``(blocks, k, o, 2, U)``."""
    looks, moves, draws = table.shape[:3]
    rows, columns = (
        np.stack([rng.choice(there, wanted, replace=False) for _ in range(blocks)])
        for there, wanted in zip((looks, moves), shape, strict=True)
    )
    chosen = np.argsort(rng.random((blocks, *shape, draws)), -1)[..., :2]
    return np.asarray(table[rows[:, :, None, None], columns[:, None, :, None], chosen])


def crossed(blocks: Array) -> Responses:
    """Blocks ``(B, k, o, r, U)`` as clips whose factors are known."""
    records: dict[str, Mapping[str, Any]] = {}
    for block, look, move, draw in np.ndindex(blocks.shape[:4]):
        factors = {"block": block, "appearance": look, "motion": move}
        records[f"{block}-{look}-{move}-{draw}"] = {"factors": factors}
    rows = [Variant(name, "original", "intact") for name in records]
    x = blocks.reshape(len(rows), -1).astype(np.float32)
    return Responses(Design(rows, records, ("original",), ("intact",)), x)


def needed(estimators: Sequence[Estimator], styles: Sequence[str], scrambles: Sequence[str]) -> Conditions:
    """The conditions under which all of these estimators require their videos."""
    named = Conditions(tuple(styles), tuple(scrambles))
    cells: list[Cell] = [cell for one in estimators for cell in one.cells(named)]
    return Conditions(named.styles, named.scrambles, wanted=tuple(dict.fromkeys(cells)))


def subsets(names: Sequence[str], size: int, draws: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Random videos; each once, if as many are requested as exist."""
    for _ in range(draws if size < len(names) else 1):
        yield [names[i] for i in np.sort(rng.permutation(len(names))[:size])]
