"""The clips to which every unit responds most, from activations on disk."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from static_dynamic.estimators.numbers import BLOCK_BYTES
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.store import Store
from static_dynamic.variants import Index, Variant
from static_dynamic.variants.index import Ints

TOP = 3
"""Number of clips of a unit."""
COLUMNS = ["stage", "unit", "place", "video", "activation"]


def top_clips(store: Store, top: int = TOP) -> pd.DataFrame:
    """The intact original clips that give the largest pooled activations of every unit.

    If there are no original clips, those of the first style count.

    Returns:
        One row per stage, unit and ``place`` (1 for the largest): ``video`` and ``activation``. Units that never vary
        have no clips, and activations that are NaN or infinite are left out.
    """
    index = store.keys()
    rows = as_filmed(index)
    if not len(rows):
        return pd.DataFrame(columns=COLUMNS)
    names = np.array([index.videos[i] for i in index.video[rows]], object)
    tables = [
        _of_stage(store, stage, units, rows, names, top).assign(stage=stage) for stage, units in store.units().items()
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS] if tables else pd.DataFrame(columns=COLUMNS)


def as_filmed(variants: Sequence[Variant]) -> Ints:
    """Rows of the intact original clips; of the first style if there are none."""
    index = Index.of(variants)
    cells = [cell for cell in index.cells if cell.order == INTACT and not cell.replicate]
    style = ORIGINAL if any(cell.style == ORIGINAL for cell in cells) else next((cell.style for cell in cells), None)
    rows = index.columns([cell for cell in cells if cell.style == style]).ravel()
    return np.sort(rows[rows >= 0])


def _of_stage(store: Store, stage: str, units: int, rows: Ints, names: np.ndarray, top: int) -> pd.DataFrame:
    """The clips of all units of a stage, from some of the rows after the other."""
    best, clip = np.empty((0, units)), np.empty((0, units), np.intp)
    least, most = np.full(units, np.inf), np.full(units, -np.inf)
    step = max(1, BLOCK_BYTES // (16 * units))
    for start in range(0, len(rows), step):
        x = store.stage(stage, slice(0, units), rows[start : start + step])
        known = np.where(np.isfinite(x), x, -np.inf)
        least, most = np.minimum(least, known.min(0)), np.maximum(most, known.max(0))
        known, number = (
            np.concatenate([best, known]),
            np.broadcast_to(np.arange(start, start + len(x))[:, None], x.shape),
        )
        order = np.argsort(-known, axis=0, kind="stable")[:top]  # of equal values the first
        best = np.take_along_axis(known, order, 0)
        clip = np.take_along_axis(np.concatenate([clip, number]), order, 0)
    place, unit = np.nonzero(np.isfinite(best) & (most > least))
    table = {"unit": unit, "place": place + 1, "video": names[clip[place, unit]], "activation": best[place, unit]}
    return pd.DataFrame(table).astype({"activation": "float32"}).sort_values(["unit", "place"])
