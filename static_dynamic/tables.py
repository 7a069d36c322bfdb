"""Tidy tables of a result, summarised: one row per stage, in the order of the study."""

import pandas as pd

from static_dynamic.functional.released import UNIT_CLASSES


def in_order(table: pd.DataFrame, column: str) -> list[str]:
    """The values of a column, each once, in the order in which they come."""
    return list(dict.fromkeys(table[column]))


def factor_shares(layers: pd.DataFrame) -> pd.DataFrame:
    """Share of every factor, percent, ``(stages, factors)``."""
    shares = layers.pivot(index="stage", columns="factor", values="share")
    return shares.loc[in_order(layers, "stage"), in_order(layers, "factor")]


def class_shares(units: pd.DataFrame) -> pd.DataFrame:
    """Share of the units of every class, percent, ``(stages, classes)``."""
    counts = pd.crosstab(units["stage"], units["class"], normalize="index") * 100
    return counts.reindex(index=in_order(units, "stage"), columns=list(UNIT_CLASSES), fill_value=0.0)
