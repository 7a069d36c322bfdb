"""How the numbers of every estimator read as the share of a response that depends on motion: one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from static_dynamic.estimators.numbers import Sample
from static_dynamic.functional.resampling import jackknife_interval

Array = npt.NDArray[np.float64]
Numbers = Mapping[str, Array]
"""Quantity → its values: shares are 0..1."""


@dataclass(frozen=True)
class Reading:
    """How an estimator is read.

    Attributes:
        estimator: Its name.
        motion: Its numbers → the share that depends on motion, 0..1.
        column: Column of the layer table that holds them.
        bounded: Whether that is a share on every resample, as one of which parts are cut is not.
    """

    estimator: str
    motion: Callable[[Numbers], Array]
    column: str = "share"
    bounded: bool = True


def part(changing: Array, other: Array) -> Array:
    """``changing / (changing + other)``, where a negative number counts as 0; NaN where both do."""
    up, rest = np.maximum(changing, 0), np.maximum(other, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(up / (up + rest))


def _crossed(x: Numbers) -> Array:
    motion = x["motion"] + x["interaction"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(motion / (x["appearance"] + motion))


def _four_pair(x: Numbers) -> Array:
    return part(np.maximum(x["order"], 0) + np.maximum(x["joint"], 0), x["style"])  # cut as its classes cut them


def _dynamic(x: Numbers) -> Array:
    return part(x["dynamic"], x["static"])


READINGS: Mapping[str, Reading] = {
    "needs_motion": Reading("needs_motion", lambda x: x["motion"]),
    "factorial_shares": Reading("factorial_shares", _crossed, bounded=False),
    "needs_order": Reading("needs_order", lambda x: x["order"]),
    "four_pair": Reading("four_pair", _four_pair),
    "pearson_within": Reading("pearson_within", _dynamic, "score"),
    "gaussian_mi": Reading("gaussian_mi", _dynamic, "score"),
    "copula_mi": Reading("copula_mi", _dynamic, "score"),
    "released: dynamic": Reading("released", lambda x: x["dynamic"]),
    "released: dynamic / (dynamic + static)": Reading("released", _dynamic),
    "released: 1 - static score": Reading("released", lambda x: 1 - x["static"], "score"),
}
"""Name in the tables → how it is read. The first two are designed for this question, the others are not."""
CROSSED = "factorial_shares"
"""The estimator that is computed from crossed blocks of clips."""


def of_layer(reading: Reading, sample: Sample, quantities: list[str]) -> tuple[float, float, float]:
    """The share of a layer with both ends of its interval over videos, in percent."""
    values = sample.layer[reading.column] / (100 if reading.column == "share" else 1)
    shares = reading.motion(dict(zip(quantities, values.T, strict=True)))
    without = shares[1 + sample.replicates :]
    low, high = jackknife_interval(shares[0], without, sample.left_out, bounded=reading.bounded)
    estimate, *ends = (float(100 * np.clip(value, 0, 1)) for value in (shares[0], low, high))
    return estimate, ends[0], ends[1]


def of_units(reading: Reading, sample: Sample, quantities: list[str]) -> Array:
    """The share of every unit, in percent, ``(U,)``."""
    numbers = dict(zip(quantities, sample.units[0].astype(np.float64), strict=True))
    return np.asarray(100 * np.clip(reading.motion(numbers), 0, 1))
