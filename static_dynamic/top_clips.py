"""The clips to which every unit responds most, from activations on disk."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from static_dynamic.estimators.numbers import blocks
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.store import Store
from static_dynamic.variants import Variant

TOP = 3
"""Clips of a unit."""
COLUMNS = ["stage", "unit", "place", "video", "activation"]


def top_clips(store: Store, top: int = TOP) -> pd.DataFrame:
    """The clips, as filmed and in order, that give the largest pooled activations of every unit.

    Where there are none as filmed, those of the first style count.

    Returns:
        One row per stage, unit and ``place`` (1 for the largest): ``video`` and ``activation``. Units that never vary
        have none, nor have activations that are NaN or infinite.
    """
    variants = store.variants()
    rows = as_filmed(variants)
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    names = np.array([variants[row].video for row in rows], object)
    tables = [
        _of_block(store.stage(stage, block)[rows], names, top).assign(stage=stage).pipe(_moved, block.start)
        for stage, units in store.units().items()
        for block in blocks(units, len(variants))
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS] if tables else pd.DataFrame(columns=COLUMNS)


def as_filmed(variants: Sequence[Variant]) -> list[int]:
    """Rows of the clips as filmed and in order; of the first style where there are none."""
    intact = [row for row, key in enumerate(variants) if key.order == INTACT and not key.replicate]
    styles = list(dict.fromkeys(variants[row].style for row in intact))
    style = ORIGINAL if ORIGINAL in styles else next(iter(styles), None)
    return [row for row in intact if variants[row].style == style]


def _of_block(x: np.ndarray, names: np.ndarray, top: int) -> pd.DataFrame:
    """Of some units ``(videos, units)``."""
    known = np.where(np.isfinite(x), x, -np.inf)
    order = np.argsort(-known, axis=0, kind="stable")[:top]
    values = np.take_along_axis(known, order, 0)
    varies = known.max(0) > known.min(0)
    place, unit = np.nonzero(np.isfinite(values) & varies)
    table = {"unit": unit, "place": place + 1, "video": names[order[place, unit]], "activation": values[place, unit]}
    return pd.DataFrame(table).sort_values(["unit", "place"])


def _moved(table: pd.DataFrame, start: int) -> pd.DataFrame:
    return table.assign(unit=table["unit"] + start)
