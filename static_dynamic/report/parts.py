"""The part of a result that belongs to one estimator, for pictures, pages and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from static_dynamic.report.tables import class_shares, in_order

AUXILIARY = ("reliability",)
"""Factors that qualify the others, such as the reliability: tables show them, pictures do not."""
ROUNDING = 1e-9
"""Relative rounding: a stage without weights gives equal numbers in every network up to this difference."""
SAME = "not distinguishable from an untrained network"


@dataclass(frozen=True)
class Part:
    """The part of a result that belongs to one estimator.

    Attributes:
        described: Its ``name``, ``title``, ``axis``, ``summary``, ``scale``, main ``column``, ``classes``, ``options``.
        layer: Its rows of the layer table.
        units: Its rows of the unit table; empty if it has none.
    """

    described: Mapping[str, Any]
    layer: pd.DataFrame
    units: pd.DataFrame

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.described["name"])

    @property
    def title(self) -> str:
        """Its name in words."""
        return str(self.described.get("title") or self.name.replace("_", " ").capitalize())

    @property
    def column(self) -> str:
        """The column of the layer table that is its number."""
        return str(self.described["column"])

    @property
    def unit_of_measurement(self) -> str:
        """Its unit of measurement."""
        return {"percent": "%", "correlation": "correlation"}.get(self.described["scale"], self.described["scale"])

    @property
    def label(self) -> str:
        """The label of the axis in a picture."""
        return str(self.described.get("axis") or f"{self.title.lower()}, {self.unit_of_measurement}")

    @property
    def percent(self) -> bool:
        """Whether its numbers are shares."""
        return bool(self.described["scale"] == "percent")

    @property
    def digits(self) -> int:
        """Number of digits that are shown."""
        return 1 if self.percent else 3

    @property
    def stages(self) -> list[str]:
        """Stages, in the order of the study."""
        return in_order(self.layer, "stage")

    @property
    def factors(self) -> list[str]:
        """All factors."""
        return in_order(self.layer, "factor")

    @property
    def drawn(self) -> list[str]:
        """Factors that pictures show: all except those in ``AUXILIARY``."""
        return [factor for factor in self.factors if factor not in AUXILIARY] or self.factors

    @property
    def single(self) -> bool:
        """Whether it gives one number per stage."""
        return len(self.drawn) == 1

    @property
    def numbers(self) -> pd.DataFrame:
        """Its numbers under common names, NaN where they are missing.

        ``stage``, ``factor``, ``mean``, ``low``, ``high``, those of ``twin``, ``null``, ``ceiling``, and whether a
        number is ``inside`` the spread of the twins.
        """
        names = {self.column: "mean", f"{self.column}_low": "low", f"{self.column}_high": "high"}
        kept = ["twin", "twin_low", "twin_high", "null", "ceiling"]
        table = self.layer.reindex(columns=["stage", "factor", *names, *kept]).rename(columns=names)
        near = ROUNDING * table["mean"].abs()
        return table.assign(inside=table["mean"].between(table["twin_low"] - near, table["twin_high"] + near))

    @property
    def has_twins(self) -> bool:
        """Whether untrained networks were measured too."""
        return bool(self.numbers["twin"].notna().any())

    @property
    def classes(self) -> pd.DataFrame:
        """Share of the units of every class, percent, ``(stages, classes)``; empty where there are no classes."""
        if "class" not in self.units or self.units.empty:
            return pd.DataFrame()
        return class_shares(self.units, all_classes(self.units, self.described["classes"]))


def all_classes(units: pd.DataFrame, named: Sequence[str]) -> list[str]:
    """The classes that an estimator names, and further classes of its units."""
    return list(dict.fromkeys([*named, *sorted(set(units["class"]))]))


def beside_untrained(row: Mapping[str, Any]) -> str:
    """Compare a number, a row of `Part.numbers`, with untrained networks in words; empty without their spread.

    Example:
        >>> beside_untrained({"mean": 40.0, "twin": 5.0, "twin_low": 1.0, "twin_high": 9.0, "inside": False})
        'above untrained'
        >>> beside_untrained({"mean": 8.0, "twin": 5.0, "twin_low": 1.0, "twin_high": 9.0, "inside": True})
        'not distinguishable from an untrained network'
    """
    if not row["twin_low"] <= row["twin_high"] or row["mean"] != row["mean"]:
        return ""
    return SAME if row["inside"] else "above untrained" if row["mean"] > row["twin"] else "below untrained"
