"""How often the printed 95 % intervals hold the truth, on units whose truth is known.

    python -m benchmarks.coverage --estimators needs_motion,released

Videos are drawn with replacement from a fixed population, whose own numbers are the truth; each sample goes through the
scorer of the package. The units respond to sums of parts (appearance, motion, style, noise) of three kinds:

    gaussian   normal parts, summed
    skewed     log-normal parts of skewness 1.75, rectified
    heavy      log-normal parts of skewness 4, rectified or, every third unit, exponential

Any registered estimator can be named; rows of the table of other estimators are kept. One row per kind, estimator,
quantity and number of videos: the share of intervals that hold the truth, its standard error over samples, how many of
them are above and below the truth, the truth and the bias of the estimate, the mean width, and the share of intervals
that are undefined, which are left out.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.numbers import Resampling, Scorer
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.variants import Variant

TABLE = Path(__file__).with_name("coverage.csv")
KINDS = {"gaussian": 0.0, "skewed": 0.5, "heavy": 0.83}
"""Kinds of units → standard deviation of the logarithm of their parts."""
POPULATION, UNITS, PARTS = 2000, 12, 4
STYLES, ORDERS = ("original", "ink", "mosaic", "chalk"), ("intact", "shuffle", "freeze")
CROSSED = ("factorial_shares",)
"""Estimators whose samples are blocks that cross appearance and motion."""
SHAPE = (2, 2, 2)
Floats = npt.NDArray[np.float32]


class Arrays:
    """One stage in memory, read as that of a store."""

    def __init__(self, x: Floats) -> None:
        self.x = x

    def stage(self, _: str, block: slice, rows: npt.NDArray[np.intp] | None = None) -> Floats:
        """Some units of some rows, or of all."""
        return self.x[:, block] if rows is None else self.x[rows, block]


class World:
    """Units of one kind: how their parts are drawn, weigh, and become a response."""

    def __init__(self, kind: str, seed: int, parts: Sequence[str]) -> None:
        self.kind, self.spread, self.rng = kind, KINDS[kind], np.random.default_rng(seed)
        self.strength = {part: self.rng.uniform(0, 1, UNITS) for part in parts}
        self.mixing = {part: self.rng.dirichlet(np.ones(PARTS), UNITS).T for part in parts}

    def draw(self, *shape: int) -> npt.NDArray[np.float64]:
        """Parts of mean 0 and variance 1, ``(*shape, PARTS)``."""
        normal = self.rng.standard_normal((*shape, PARTS))
        if not self.spread:
            return normal
        scale = np.exp(self.spread**2)
        return (np.exp(self.spread * normal) - np.sqrt(scale)) / np.sqrt(scale * (scale - 1))

    def answer(self, **parts: npt.NDArray[np.float64]) -> Floats:
        """Responses ``(…, UNITS)`` to parts ``(…, PARTS)``, with noise."""
        total = sum(self.strength[part] * (values @ self.mixing[part]) for part, values in parts.items())
        total = total + 0.2 * self.rng.standard_normal(np.shape(total))
        bent = total if self.kind == "gaussian" else np.maximum(total, -0.3)
        steep = (np.arange(UNITS) % 3 == 0) & (self.kind == "heavy")
        return np.where(steep, np.exp(0.5 * np.minimum(total, 6)), bent).astype(np.float32)


def styled_population(kind: str, seed: int) -> Floats:
    """Videos in all styles and orders, with a replicate of each: ``(POPULATION, 24, UNITS)``."""
    world = World(kind, seed, ("look", "motion", "style"))
    looks, motions = world.draw(POPULATION), world.draw(POPULATION)
    orders = {"intact": motions, "shuffle": 0.5 * motions + 0.5 * world.draw(POPULATION), "freeze": 0 * motions}
    cells = []
    for style in STYLES:
        damage = world.draw(POPULATION) if style != "original" else 0 * looks
        for order in ORDERS:
            cells += [world.answer(look=looks, motion=orders[order], style=damage) for _ in range(2)]
    return np.stack(cells, 1)


def crossed_population(kind: str, seed: int) -> Floats:
    """Blocks that cross appearances and motions: ``(POPULATION, 8, UNITS)``."""
    world = World(kind, seed, ("look", "motion", "both", "draw"))
    looks = world.draw(POPULATION, SHAPE[0], 1, 1)
    moves = world.draw(POPULATION, 1, SHAPE[1], 1)
    x = world.answer(look=looks, motion=moves, both=looks * moves, draw=world.draw(POPULATION, *SHAPE))
    return x.reshape(POPULATION, -1, UNITS)


def styled_design(videos: int) -> Design:
    """Rows video by video, in the order of the population's cells."""
    names = [f"v{number:05d}" for number in range(videos)]
    cells = [(style, order, again) for style in STYLES for order in ORDERS for again in (0, 1)]
    rows = [Variant(name, *cell) for name in names for cell in cells]
    return Design(rows, {name: {"video": name} for name in names}, STYLES, ORDERS[:2])


def crossed_design(blocks: int) -> Design:
    """Rows block by block, in the order of the population's cells."""
    records = {
        f"b{block:05d}-{a}{m}{draw}": {"factors": {"block": block, "appearance": a, "motion": m}}
        for block in range(blocks)
        for a, m, draw in np.ndindex(SHAPE)
    }
    return Design([Variant(name, "original", "intact") for name in records], records, ("original",), ("intact",))


def numbers(estimator: Estimator, design: Design, x: Floats) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    """``layer`` and ``unit`` → quantity → estimate, low and high end, ``(3, …)``."""
    scorer = Scorer(estimator, estimator.plan(design), Resampling(replicates=1, nulls=0))
    found = scorer.numbers(Arrays(x.reshape(-1, UNITS)), "stage", UNITS)
    ends, column = ("", "_low", "_high"), estimator.column
    layer = {
        row["factor"]: np.array([[row[f"{column}{end}"]] for end in ends])
        for row in found.layer.to_dict("records")
        if row["factor"] != "residual"
    }
    units = {
        name: np.stack([found.units[f"{name}{end}"].to_numpy(float) for end in ends])
        for name in layer
        if name in estimator.of_units
    }
    return {"layer": layer, "unit": units}


def coverage(
    estimator: Estimator, kind: str, videos: Sequence[int], trials: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Rows of the table of one estimator and kind of units."""
    crossed = estimator.name in CROSSED
    population = (crossed_population if crossed else styled_population)(kind, seed)
    make = crossed_design if crossed else styled_design
    true = numbers(estimator, make(POPULATION), population)
    rng = np.random.default_rng(seed + 1)
    for count in videos:
        design = make(count)
        samples = [numbers(estimator, design, population[rng.integers(0, POPULATION, count)]) for _ in range(trials)]
        for of, quantities in true.items():
            for name, ends in quantities.items():
                key = {"estimator": estimator.name, "kind": kind, "of": of, "quantity": name, "videos": count}
                yield key | summary(np.stack([sample[of][name] for sample in samples]), ends[0])


def summary(found: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> dict[str, float]:
    """Coverage, percent, of intervals ``(trials, 3, numbers)``."""
    estimate, low, high = np.moveaxis(found, 1, 0)
    defined = np.isfinite(low) & np.isfinite(high)

    def percent(condition: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return 100 * np.ma.masked_array(condition, ~defined).mean(1).compressed()

    held = percent((low <= truth) & (truth <= high))
    return {
        "trials": len(found),
        "coverage": round(held.mean(), 1),
        "error": round(held.std(ddof=1) / np.sqrt(len(held)), 1),
        "above": round(percent(low > truth).mean(), 1),
        "below": round(percent(high < truth).mean(), 1),
        "truth": round(truth.mean(), 3),
        "bias": round(np.nanmean(estimate - truth), 3),
        "width": round(np.ma.masked_array(high - low, ~defined).mean(), 3),
        "undefined": round(100 * (~defined).mean(), 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--estimators", default="needs_motion,released,factorial_shares")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.add_argument("--videos", type=int, nargs="+", default=[16, 50, 100, 200])
    options.add_argument("--trials", type=int, default=400)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--table", type=Path, default=TABLE)
    chosen = options.parse_args()
    rows = []
    for estimator in find_estimators(chosen.estimators):
        for kind in chosen.kinds:
            found = list(coverage(estimator, kind, chosen.videos, chosen.trials, chosen.seed))
            print(pd.DataFrame(found).to_string(index=False), flush=True)
            rows += found
    table = pd.DataFrame(rows)
    if chosen.table.exists():
        before = pd.read_csv(chosen.table)
        table = pd.concat([before[~before["estimator"].isin(table["estimator"])], table])
    table.to_csv(chosen.table, index=False)


if __name__ == "__main__":
    main()
