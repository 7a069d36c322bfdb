"""The effect of scrambles: how much order they destroy, how much appearance they keep, how often two are the same.

Of those that are index maps; one that changes pixels has no order to be measured.
"""

from collections import Counter
from collections.abc import Sequence
from math import factorial

import numpy as np
import numpy.typing as npt
import pandas as pd

from static_dynamic.interventions import list_scrambles, scramble
from static_dynamic.interventions.scrambles import scrambling

LENGTHS = (2, 3, 4, 8, 16, 32)
DRAWS = 2000
BLOCKS = 4
"""Blocks of `block_shuffle` where its name does not state them."""

Orders = npt.NDArray[np.intp]


def audit_scrambles(
    kinds: Sequence[str] | None = None, lengths: Sequence[int] = LENGTHS, draws: int = DRAWS
) -> pd.DataFrame:
    """Measure scrambles on many draws.

    Args:
        kinds: Names for `scramble`; all that are index maps if not given.
        lengths: Frames of a clip.
        draws: Orders drawn of every kind and length, with seeds from 0 on.

    Returns:
        One row per kind and length: ``tau`` Kendall's rank correlation with the intact order, 1 (intact) to -1
        (reversed), NaN where frames repeat; ``adjacent`` the share of neighbouring frames that still follow each other;
        ``displacement`` how far a frame is from its place, as a share of the clip; ``frames_kept`` the share of the
        clip's frames that are still shown; ``coincide`` how often two draws are the same order and ``reversed`` how
        often a draw is the reverse, each with its exact probability (NaN for a scramble from outside).

    Raises:
        UserError: If a scramble is unknown, or a length too short for it.
    """
    chosen = list_scrambles(pixels=False) if kinds is None else kinds
    return pd.DataFrame([measure(kind, length, draws) for kind in chosen for length in lengths])


def measure(kind: str, length: int, draws: int = DRAWS) -> dict[str, object]:
    """One row of `audit_scrambles`."""
    orders = np.stack([scramble(kind, length, seed) for seed in range(draws)])
    known = not scrambling.outside([kind.partition(":")[0]])
    distinct = distinct_orders(kind, length)
    can_reverse = kind == "reverse" or blocks(kind, length) == length
    return {
        "kind": kind,
        "length": length,
        "tau": tau(orders).mean() if _permutes(orders) else float("nan"),
        "adjacent": (np.diff(orders) == 1).mean(),
        "displacement": np.abs(orders - np.arange(length)).mean() / length,
        "frames_kept": np.mean([len(np.unique(order)) for order in orders]) / length,
        "coincide": coincidence(orders),
        "coincide_exact": 1 / distinct if known else float("nan"),
        "reversed": (orders == np.arange(length)[::-1]).all(axis=1).mean(),
        "reversed_exact": float("nan") if not known else 1 / distinct if can_reverse else 0.0,
    }


def _permutes(orders: Orders) -> bool:
    """Whether every order shows every frame."""
    return bool((np.sort(orders, axis=1) == np.arange(orders.shape[1])).all())


def tau(orders: Orders) -> npt.NDArray[np.float64]:
    """Kendall's rank correlation of permutations, ``(draws, length)``, with the intact order.

    ``(pairs still in order - pairs turned round) / pairs``.
    """
    first, second = np.triu_indices(orders.shape[1], k=1)
    return np.asarray(np.sign(orders[:, second] - orders[:, first]).mean(axis=1))


def coincidence(orders: Orders) -> float:
    """Share of the pairs of draws that are the same order."""
    counts = np.array(list(Counter(order.tobytes() for order in orders).values()))
    return float((counts * (counts - 1)).sum() / (len(orders) * (len(orders) - 1)))


def blocks(kind: str, length: int) -> int:
    """Pieces that a kind puts in random order; one for a kind that draws nothing."""
    name, _, given = kind.partition(":")
    wanted = {"shuffle": length, "block_shuffle": int(given or BLOCKS)}.get(name, 1)
    return min(wanted, length)


def distinct_orders(kind: str, length: int) -> int:
    """How many orders a kind draws from, all equally likely: ``b! - 1`` for ``b`` pieces, never the intact one."""
    return max(factorial(blocks(kind, length)) - 1, 1)
