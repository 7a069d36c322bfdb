"""The best use of a number of forward passes: videos, styles, scrambles, replicates, or the shape of blocks.

    python -m benchmarks.truth.sampling

Random draws of videos, or of blocks that cross appearance and motion, are taken from the responses of the planted units
(`benchmarks.truth.planted`), so that every design has the same number of forward passes. Videos are drawn with
replacement. One row of `sampling.csv` per estimator, design, number of forward passes and quantity: how wide a 95 %
interval is (3.92 standard deviations over draws), of the layer's number and of a unit's on average, both in points,
and the share of units that are put into the correct class. `sampling.md` is a summary: one number of every estimator.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.truth.judging import READINGS
from benchmarks.truth.planted import CROSSED, HERE, enumerated
from benchmarks.truth.responses import Responses, collected, crossed, drawn_blocks
from static_dynamic.common.seeds import generator
from static_dynamic.estimators.base import Estimates, Estimator, Plan
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.estimators.released import PairPlan
from static_dynamic.interventions import STRONG
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.variants import Cell, Conditions

Array = npt.NDArray[np.float64]
STYLES = (*STRONG, "chalk", "mosaic", "film", "sunset")
SCRAMBLES = ("shuffle", "shuffle", "shuffle")
VIDEOS, DRAWS, FORWARDS = 1000, 200, (400, 1600)
WIDTH = 2 * 1.96
STYLED = tuple((styles, orders) for styles, orders in ((2, 2), (4, 2), (8, 2), (4, 4)))
"""Numbers of styles and of orders, the intact one included."""
SHAPES = ((2, 2), (4, 4), (8, 8), (8, 24), (32, 24))
"""Appearances and motions of blocks; each pair is drawn twice."""

HEADLINES = {
    "needs_motion": ("motion",),
    "needs_order": ("order",),
    "released": ("dynamic", "static"),
    "four_pair": ("order",),
    "factorial_shares": ("motion",),
}
COLUMNS = {"layer": "layer_width", "unit": "unit_width", "right": "right"}
"""Columns of the table for the docs."""


@dataclass(frozen=True)
class Layout:
    """The clips of a video.

    Attributes:
        estimator: Which estimator reads them.
        name: Its name in the table.
        plan: How they are read.
        x: Responses to them, ``(rows, U)``.
        forwards: Forward passes of one video.
    """

    estimator: Estimator
    name: str
    plan: Plan
    x: npt.NDArray[np.float32]
    forwards: int


def conditions() -> Conditions:
    """All conditions of all layouts: replicates of the strong styles with only one shuffle."""
    named = Conditions(STYLES, SCRAMBLES)
    once, shuffled = list(named.crossed), (INTACT, "shuffle")
    again = [Cell(style, order, 1) for style in STRONG for order in shuffled]
    filmed = [Cell(ORIGINAL, order, number) for order in (*shuffled, "freeze") for number in (0, 1)]
    return replace(named, wanted=(*once, *again, *filmed))


def only(there: Responses, styles: Sequence[str], orders: Sequence[str], replicates: int) -> Responses:
    """The responses to some conditions."""
    kept = [
        i
        for i, key in enumerate(there.design.variants)
        if key.style in styles and key.order in orders and key.replicate < replicates
    ]
    paired = tuple(style for style in styles if style != ORIGINAL)
    variants = [there.design.variants[i] for i in kept]
    design = replace(there.design, variants=variants, styles=paired, orders=tuple(orders))
    return Responses(design, there.x[kept])


def layouts(there: Responses) -> Iterator[Layout]:
    """Every layout of the clips of a video."""
    motion, order, released, pairs = find_estimators("needs_motion,needs_order,released,four_pair")
    for one, kind in ((motion, "freeze"), (order, "shuffle")):
        for replicates, name in ((2, "with replicates"), (1, "without")):
            some = only(there, (ORIGINAL,), (INTACT, kind), replicates)
            yield Layout(one, name, one.plan(some.design), some.x, 2 * replicates)
    for styles, orders in STYLED:
        some = only(there, STYLES[:styles], list(there.design.orders)[:orders], 1)
        name = f"{styles} styles x {orders} orders"
        yield Layout(released, name, released.plan(some.design), some.x, styles * orders)
        yield Layout(pairs, f"{name}, without replicates", pairs.plan(some.design), some.x, styles * orders)
        if orders == 2 and styles <= len(STRONG):
            some = only(there, STYLES[:styles], list(there.design.orders)[:orders], 2)
            yield Layout(pairs, name, pairs.plan(some.design), some.x, 2 * styles * orders)
    some = only(there, STRONG, (INTACT, "shuffle"), 1)
    plan = released.plan(some.design)
    assert isinstance(plan, PairPlan)
    yield Layout(released, "one pair of each kind, as published", one_pair_each(plan), some.x, 4)


def one_pair_each(plan: PairPlan) -> PairPlan:
    """The same with one pair of each kind, drawn for every video, as the published data sets have them."""
    order = generator(0, "pairs").permutation(len(plan.found.a))
    _, first = np.unique(np.stack([plan.found.factor, plan.found.video])[:, order], axis=1, return_index=True)
    keep = np.zeros(len(order), bool)
    keep[order[first]] = True
    return replace(plan, given=plan.found.only(keep))


def of_videos(layout: Layout, forwards: int, truth: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a layout of videos."""
    count, there = forwards // layout.forwards, len(layout.plan.videos)
    draw = generator(0, "sampling", layout.estimator.name, layout.name, forwards)
    weights = draw.multinomial(count, np.full(there, 1 / there), DRAWS).astype(np.float64)
    estimates = layout.plan.estimates(layout.x, weights)
    key = {"estimator": layout.estimator.name, "design": layout.name, "forwards": forwards, "sample": count}
    return [key | row for row in widths(layout.estimator, layout.plan.quantities, estimates, truth)]


def of_blocks(estimator: Estimator, table: Array, forwards: int, truth: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of every shape of blocks of which there is at least one."""
    for shape in SHAPES:
        blocks = forwards // (2 * shape[0] * shape[1])
        if not blocks:
            continue
        found = []
        for number in range(DRAWS):
            some = crossed(drawn_blocks(table, shape, blocks, generator(0, "sampled", *shape, forwards, number)))
            plan = estimator.plan(some.design)
            found.append(plan.estimates(some.x, np.ones((1, blocks))))
        estimates = Estimates(
            *(np.concatenate([getattr(one, part) for one in found]) for part in Estimates._fields[:3])
        )
        name = f"{shape[0]}x{shape[1]}x2"
        key = {"estimator": estimator.name, "design": name, "forwards": forwards, "sample": blocks}
        yield from (key | row for row in widths(estimator, plan.quantities, estimates, truth))


def widths(
    estimator: Estimator, quantities: Sequence[str], estimates: Estimates, truth: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """Widths of intervals and units in the correct class, from numbers on draws: one row per quantity."""
    whole = np.nan_to_num(np.broadcast_to(estimates.whole, estimates.parts.shape)).sum(-1)
    layer = estimator.layer(np.nan_to_num(estimates.parts).sum(-1) / whole, len(truth))[estimator.column]
    reading = READINGS[estimator.name]
    words = dict(zip(reading.classes, reading.question.classes, strict=True))
    classes = np.vectorize(words.__getitem__, otypes=[object])(estimator.classify(estimates.units))
    right = 100 * (classes == truth[reading.question.right].to_numpy()).mean()
    for q, quantity in enumerate(quantities):
        if quantity in reading.numbers:
            spread = np.ma.masked_invalid(estimates.units[:, q]).std(0, ddof=1)  # NaN for a unit that never varies
            yield {
                "quantity": quantity,
                "layer": round(float(layer[:, q].mean()), 1),
                "layer_width": round(WIDTH * float(layer[:, q].std(ddof=1)), 1),
                "unit_width": round(100 * WIDTH * float(spread.mean()), 1),
                "right": round(float(right), 1),
            }


def markdown(table: pd.DataFrame) -> str:
    """The table for the docs: a line per estimator, design and headline quantity, at every number of forward passes."""
    sizes = sorted(set(table["forwards"]))
    named = [f"{kind}, {size}" for kind in COLUMNS for size in sizes]
    lines = ["| estimator | clips | number | " + " | ".join(named) + " |", "|---" * (3 + len(named)) + "|"]
    kept = [quantity in HEADLINES[name] for name, quantity in zip(table["estimator"], table["quantity"], strict=True)]
    for (estimator, design, quantity), rows in table[kept].groupby(["estimator", "design", "quantity"], sort=False):
        by_size = rows.set_index("forwards")
        cells = [f"{by_size[column].get(size, np.nan):.1f}" for column in COLUMNS.values() for size in sizes]
        lines.append(" | ".join([f"| {estimator}", design, quantity, *cells]).replace("nan", "–") + " |")
    return "\n".join(lines) + "\n"


def run(store: Path) -> pd.DataFrame:
    """All rows."""
    truth, table = enumerated()
    there = collected(store, VIDEOS, conditions())
    rows = [row for one in layouts(there) for forwards in FORWARDS for row in of_videos(one, forwards, truth)]
    (estimator,) = find_estimators(CROSSED)
    for forwards in FORWARDS:
        rows += of_blocks(estimator, table, forwards, truth)
    return in_order(pd.DataFrame(rows))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows estimator by estimator."""
    return table.sort_values("estimator", key=lambda names: names.map([*HEADLINES].index), kind="stable")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", type=Path, help="keep the responses here, and reuse those that exist")
    chosen = options.parse_args()
    started = time.process_time()
    with TemporaryDirectory() as folder:
        table = run(chosen.store or Path(folder) / "store")
    table.to_csv(HERE / "sampling.csv", index=False)
    (HERE / "sampling.md").write_text(markdown(table))
    print(table.to_string(index=False))
    print(f"{time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
