"""Stores made by hand, for tests of what is computed from them."""

from itertools import product

import numpy as np
import torch

from static_dynamic.estimators.design import Design
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.store import Store
from static_dynamic.variants import Variant


def variants_of(videos, cells):
    """Keys of videos in cells, video by video."""
    return [Variant(video, *cell) for video, cell in product(videos, cells)]


def make_store(folder, variants, x, shards=1, records=None, **study):
    """A store of one stage, ``stage``, with these rows; its videos lie in some shards, one after the other."""
    store = Store(folder, {"stages": {"stage": []}, **study})
    videos = list(dict.fromkeys(key.video for key in variants))
    for number, part in enumerate(np.array_split(np.array(videos), shards)):
        rows = [row for row, key in enumerate(variants) if key.video in set(part)]
        told = [
            {"video": str(name), "label": None, "problem": None, **(records or {}).get(str(name), {})} for name in part
        ]
        store.write(
            number, [variants[row] for row in rows], {"stage": torch.from_numpy(x[rows].astype(np.float32))}, told
        )
    return store


def design_of(store):
    return Design.of(store, PairRule(), {})
