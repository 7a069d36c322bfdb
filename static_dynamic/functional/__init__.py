"""The maths: pure functions of arrays, no state, no files."""

from static_dynamic.functional.contrasts import Sums, cell_sums
from static_dynamic.functional.factorial import FactorialShares, classify_factors, factorial_shares
from static_dynamic.functional.four_pair import FourPair, classify_responses, four_pair
from static_dynamic.functional.mutual_information import copula_mi, gaussian_mi, normal_scores
from static_dynamic.functional.needs_motion import NeedsMotion, classify_motion, needs_motion
from static_dynamic.functional.nulls import false_discovery, pooled_p
from static_dynamic.functional.pairwise import pearson_within
from static_dynamic.functional.probing import ReadOut, deal_groups, dealt_again, onset, read_out
from static_dynamic.functional.questions import Angle, Classes, Number
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
    "Angle",
    "Classes",
    "FactorialShares",
    "FourPair",
    "Layerwise",
    "NeedsMotion",
    "Number",
    "ReadOut",
    "Resamples",
    "Sums",
    "cell_sums",
    "classify_factors",
    "classify_motion",
    "classify_responses",
    "classify_units",
    "copula_mi",
    "deal_groups",
    "dealt_again",
    "factorial_shares",
    "false_discovery",
    "four_pair",
    "gaussian_mi",
    "jackknife_interval",
    "needs_motion",
    "normal_scores",
    "onset",
    "pearson_within",
    "pooled_p",
    "read_out",
    "released_layerwise",
    "released_unitwise",
    "resample",
]
