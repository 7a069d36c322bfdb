"""A course: how the numbers of a model change while it trains, stage by stage."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.report.differences import verdict
from static_dynamic.report.parts import Part

KEY = ["stage", "factor"]
UNTRAINED = ["twin", "twin_low", "twin_high"]


@dataclass(frozen=True)
class Course:
    """The measurements of a model during its training.

    Attributes:
        model: Name of the model.
        table: One row per step, stage, estimator and factor: ``value``, ``low``, ``high``.
        changes: One row per stage, estimator and factor: the last value less the first one, ``change``, with the ends
            ``low`` and ``high`` of its paired interval.
        untrained: The same key with ``twin``, ``twin_low``, ``twin_high``: the numbers of untrained networks.
        described: The description of every estimator, the headline first.
        unit: What steps count, e.g. ``"epoch"``.
        notes: Notes for the reader.
        made: How it was measured, a name and a text each.
    """

    model: str
    table: pd.DataFrame
    changes: pd.DataFrame
    untrained: pd.DataFrame
    described: Sequence[Mapping[str, Any]]
    unit: str = "step"
    notes: Sequence[str] = ()
    made: Mapping[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> list[int]:
        """When it was measured."""
        return sorted({*self.table["step"]})

    @property
    def parts(self) -> list[Part]:
        """The rows of the table for every estimator, with the numbers of untrained networks."""
        found = []
        for described in self.described:
            of_it = [table[table["estimator"] == described["name"]] for table in (self.table, self.untrained)]
            rows = of_it[0].merge(of_it[1][[*KEY, *UNTRAINED]], how="left", on=KEY)
            found += [Part(described, rows, pd.DataFrame())] if len(rows) else []
        return found

    def rows(self, part: Part, stage: str, factor: str) -> pd.DataFrame:
        """The rows of one stage and factor, by step."""
        rows = part.layer[(part.layer["stage"] == stage) & (part.layer["factor"] == factor)]
        return rows.sort_values("step")

    def change(self, part: Part, stage: str, factor: str) -> dict[str, Any]:
        """The change of a number, and the verdict on it."""
        key, undefined = (stage, part.name, factor), dict.fromkeys(["change", "low", "high"], math.nan)
        rows = (row for row in rows_of(self.changes) if (row["stage"], row["estimator"], row["factor"]) == key)
        found: dict[str, Any] = next(rows, undefined)
        differs = found["low"] > 0 or found["high"] < 0
        return {
            **found,
            "verdict": verdict({**found, "difference": found["change"], "differs": differs, "grain": math.nan}),
        }

    def at(self, step: int) -> str:
        """A moment in words.

        Example:
            >>> empty = pd.DataFrame()
            >>> Course("net", empty, empty, empty, [], "epoch").at(1)
            'after 1 epoch'
        """
        return f"at {self.unit} 0" if step == 0 else f"after {step} {self.unit}{'s' if step != 1 else ''}"
