"""The maths: pure functions of arrays, no state, no files."""

from static_dynamic.functional.bootstrap import Resamples, bca_interval, resample
from static_dynamic.functional.released import (
    UNIT_CLASSES,
    Layerwise,
    classify_units,
    released_layerwise,
    released_unitwise,
)

__all__ = [
    "UNIT_CLASSES",
    "Layerwise",
    "Resamples",
    "bca_interval",
    "classify_units",
    "released_layerwise",
    "released_unitwise",
    "resample",
]
