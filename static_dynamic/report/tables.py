"""Tidy tables of a result, summarised: one row per stage, in the order of the study."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from static_dynamic.functional import segmentation as seg
from static_dynamic.functional.released import UNIT_CLASSES

KEYS = ("video", "sequence", "style", "order", "replicate")
"""Columns that identify the variant of a row of the quality table; older tables lack replicates."""


UNDEFINED = "–"
"""The mark for an undefined number."""


def number(value: float, digits: int = 1) -> str:
    """A number as it is shown; a dash where it is undefined.

    Example:
        >>> number(12.34), number(float("nan"))
        ('12.3', '–')
    """
    return f"{value:.{digits}f}" if math.isfinite(value) else UNDEFINED


def with_interval(value: float, low: float, high: float, digits: int = 1) -> str:
    """A number with its interval as it is shown; a dash for an interval that is undefined.

    Example:
        >>> with_interval(12.34, 11.9, 13.0), with_interval(12.34, float("nan"), float("nan"))
        ('12.3 [11.9, 13.0]', '12.3 [–]')
    """
    defined = math.isfinite(low) and math.isfinite(high)
    ends = f"{number(low, digits)}, {number(high, digits)}" if defined else UNDEFINED
    return f"{number(value, digits)} [{ends}]"


def in_order(table: pd.DataFrame, column: str) -> list[str]:
    """The values of a column, each once, in the order in which they come."""
    return list(dict.fromkeys(table[column]))


def stream_and_name(stage: str) -> tuple[str, str]:
    """The stream of a stage, and its name there; joined stages form a separate stream.

    Example:
        >>> stream_and_name("slow.stage3"), stream_and_name("stage3"), stream_and_name("slow.stage3+fast.stage3")
        (('slow', 'stage3'), ('', 'stage3'), ('side by side', 'slow.stage3+fast.stage3'))
    """
    stream, _, name = ("side by side", "", stage) if "+" in stage else stage.rpartition(".")
    return stream, name


def factor_numbers(layers: pd.DataFrame, column: str = "share") -> pd.DataFrame:
    """The number of every factor of one estimator, ``(stages, factors)``; shares are percent."""
    numbers = layers.pivot(index="stage", columns="factor", values=column)
    return numbers.loc[in_order(layers, "stage"), in_order(layers, "factor")]


def class_shares(units: pd.DataFrame, classes: Sequence[str] = UNIT_CLASSES) -> pd.DataFrame:
    """Share of the units of every class of one estimator, percent, ``(stages, classes)``."""
    counts = pd.crosstab(units["stage"], units["class"], normalize="index") * 100
    return counts.reindex(index=in_order(units, "stage"), columns=list(classes), fill_value=0.0)


def of_estimator(table: pd.DataFrame, name: str, own: Collection[str] = ()) -> pd.DataFrame:
    """The rows of one estimator, without columns that it lacks; ``own`` are kept even if all are undefined."""
    rows = table[table["estimator"] == name].reset_index(drop=True)
    if rows.empty:
        return rows
    rows = rows[[column for column in rows if column in own or rows[column].notna().any()]]
    # Whole numbers became fractions next to the rows of other estimators, which lack them.
    return rows.astype({"dims": np.int64}) if "dims" in rows and rows["dims"].notna().all() else rows


def with_ends(column: str) -> tuple[str, str, str]:
    """Names of a column and of the ends of its interval."""
    return column, f"{column}_low", f"{column}_high"


def quality_means(quality: pd.DataFrame) -> pd.DataFrame:
    """Mean over sequences of the mean over frames, of every measure under every condition, as published for J and F.

    The overlap of boxes comes with success rates: shares of all frames whose overlap is above .5, .6, … .9, and their
    mean.

    Args:
        quality: One row per variant: ``video``, ``sequence``, ``style``, ``order`` and the measures.

    Returns:
        One row per style and order.
    """
    return pd.DataFrame([_means(key, rows) for key, rows in quality.groupby(["style", "order"], sort=False)])


def _means(key: Sequence[Hashable], rows: pd.DataFrame) -> dict[str, object]:
    means: dict[str, object] = dict(zip(("style", "order"), key, strict=True))
    for measure in [column for column in rows.columns if column not in KEYS]:
        judged = rows[rows[measure].notna()]
        if len(judged):
            means[measure] = seg.mean_over_sequences(
                judged[measure], list(judged["sequence"].astype(object).fillna(judged["video"]))
            )
    if "box" in means:
        success = seg.success_rates(rows["box"].dropna())
        names = [f"success_{round(100 * threshold)}" for threshold in seg.SUCCESS_THRESHOLDS]
        means |= dict(zip(names, success.rates.tolist(), strict=True)) | {"success": success.mean}
    means["frames"] = int(rows.drop(columns=list(KEYS), errors="ignore").notna().any(axis=1).sum())
    return means


def time_seen(seconds: Mapping[str, float] | None) -> str:
    """The time of its video that a clip shows, as a sentence; empty if frame rates are unknown.

    Example:
        >>> time_seen({"min": 1.0667, "median": 2.1333, "max": 6.4})
        'Clips show 1.1 to 6.4 s of their videos (median 2.1 s).'
    """
    if not seconds:
        return ""
    low, middle, high = (f"{seconds[name]:.1f}" for name in ("min", "median", "max"))
    return (
        f"Clips show {low} s of their videos."
        if low == high
        else (f"Clips show {low} to {high} s of their videos (median {middle} s).")
    )
