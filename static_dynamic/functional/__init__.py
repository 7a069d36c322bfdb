"""The maths: pure functions of arrays, no state, no files."""

from static_dynamic.functional.contrasts import Sums, cell_sums
from static_dynamic.functional.factorial import FactorialShares, classify_factors, factorial_shares
from static_dynamic.functional.needs_motion import NeedsMotion, classify_motion, needs_motion
from static_dynamic.functional.nulls import false_discovery, pooled_p
from static_dynamic.functional.released import (
    UNIT_CLASSES,
    Layerwise,
    classify_units,
    released_layerwise,
    released_unitwise,
)
from static_dynamic.functional.resampling import Resamples, jackknife_interval, resample

__all__ = [
    "UNIT_CLASSES",
    "FactorialShares",
    "Layerwise",
    "NeedsMotion",
    "Resamples",
    "Sums",
    "cell_sums",
    "classify_factors",
    "classify_motion",
    "classify_units",
    "factorial_shares",
    "false_discovery",
    "jackknife_interval",
    "needs_motion",
    "pooled_p",
    "released_layerwise",
    "released_unitwise",
    "resample",
]
