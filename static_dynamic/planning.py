"""The effect of further clips, and of another border, estimated from the numbers of a run."""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from math import ceil, isfinite
from numbers import Real

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.tables import rows_of
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.functional.resampling import FEWEST_VIDEOS, jackknife_interval
from static_dynamic.results import Result


def needed(result: Result, points: float = 2.0, estimator: str | None = None) -> pd.DataFrame:
    """The number of videos, and of styles, that would narrow the interval of every layer's number to ± ``points``.

    An interval narrows with the root of the number: ``n_needed = n (reach / points)²``. The number of videos assumes
    these styles, and the number of styles these videos.

    Args:
        result: A result with samples.
        points: Half the required width, in units of the number: percentage points for a share.
        estimator: The estimator; the headline for ``None``.

    Returns:
        One row per stage and factor: the number, its ``reach``, and how many ``videos`` and ``styles`` are needed, as
        text (``–`` if unknown).

    Raises:
        UserError: If ``points`` is not positive, or the result lacks the estimator.
    """
    if not isinstance(points, Real) or not points > 0:
        raise UserError(f"The 'points' must be a positive number. Got {points!r:.80}.")
    described = result.described(estimator)
    name, column = described["name"], described["column"]
    rows = []
    for row in rows_of(result.layer(name)):
        number, low, high = (row.get(f"{column}{end}", np.nan) for end in ("", "_low", "_high"))
        reach = max(number - low, high - number)
        fewer = _reach_over_styles(result, name, row["stage"], row["factor"], column)
        rows.append(
            {
                "stage": row["stage"],
                "factor": row["factor"],
                column: number,
                "reach": reach,
                "videos": _enough(row["videos"], reach, points, FEWEST_VIDEOS),
                "styles": _enough(*fewer, points, 2),
            }
        )
    return pd.DataFrame(rows)


def _enough(there: float, reach: float, points: float, fewest: int) -> str:
    return str(max(fewest, ceil(there * (reach / points) ** 2))) if isfinite(reach) and reach > 0 else "–"


def _reach_over_styles(result: Result, estimator: str, stage: str, factor: str, column: str) -> tuple[int, float]:
    """How many styles there are, and half the width of an interval over them alone."""
    sample = result.samples.get((estimator, stage))
    fewer = sample.fewer_styles.get(column) if sample else None
    if sample is None or fewer is None:
        return 0, np.nan
    quantity = list(result.layer(estimator).query("stage == @stage")["factor"]).index(factor)
    low, high = jackknife_interval(sample.layer[column][0, quantity], fewer[:, quantity])
    return len(fewer), float(high - low) / 2


def sweep(result: Result, option: str, values: Iterable[float], estimator: str | None = None) -> pd.DataFrame:
    """Share of the units of every class, percent, at other values of a border.

    Args:
        result: A result with samples.
        option: The border: an option of the estimator, e.g. ``"threshold"`` of ``released``, ``"motion"`` of
            ``needs_motion``.
        values: The values of the border.
        estimator: The estimator; the headline for ``None``.

    Returns:
        One row per stage and value.

    Raises:
        UserError: If the border is unknown, a value is invalid, or the result does not contain samples.

    Example:
        >>> sweep(result, "threshold", [0.3, 0.5, 0.7], "released")  # doctest: +SKIP
    """
    described = result.described(estimator)
    (one,) = find_estimators(described["name"])
    borders = [
        name for name, value in described["options"].items() if isinstance(value, Real) and not isinstance(value, bool)
    ]
    if not is_dataclass(one) or option not in borders:
        raise unknown(f"border of {one.name}", option, borders)
    one = type(one)(**described["options"])
    rows = []
    for value in values:
        if not isinstance(value, Real):
            raise UserError(f"The border {option!r} must be a number. Got {value!r:.80}.")
        changed = replace(one, **{option: value})
        for stage in dict.fromkeys(result.layer(one.name)["stage"]):
            if (sample := result.samples.get((one.name, stage))) is None:
                raise UserError(
                    "This result does not contain numbers of units to classify again: score its store again."
                )
            classes = changed.classify(sample.units[0].astype(np.float64))
            shares = {name: 100 * float(np.mean(classes == name)) for name in one.classes}
            rows.append({"stage": stage, "option": option, "value": value, **shares})
    return pd.DataFrame(rows)
