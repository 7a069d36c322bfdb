"""Results of probes: a tidy table, onsets by depth, and how they were made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import write_text
from static_dynamic.common.places import local
from static_dynamic.common.runs import Kind
from static_dynamic.common.tables import as_csv, rows_of
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.probing import onset
from static_dynamic.functional.resampling import Resamples
from static_dynamic.report.tables import in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from static_dynamic.report.theme import Width

PROBES = Kind("set of probes", "probes.json", ("probes.csv", "onsets.csv"), restarts=True)
NONE = "none"
"""The onset where no stage is above chance."""
SPAN = (0.025, 0.5, 0.975)
"""Quantiles of the onset over resamples: ends of its interval, and its median."""


@dataclass(frozen=True, repr=False)
class ProbeResult:
    """The results of probes.

    Attributes:
        table: One row per stage and target: ``score`` with its interval over groups (``low``, ``high``), ``chance``
            (the best constant answer), ``control`` (labels assigned at random to groups; mean, and ``control_sd`` over
            the draws), ``selectivity`` (score - control), ``error`` (degrees, of angles), ``twin`` with the ends of its
            spread (untrained networks), ``n``, ``groups``, ``folds``.
        how: How it was made: layouts, pooling, units, groups, folds, penalties, controls.
        warnings: Notes for the reader.
        samples: ``(target, stage)`` → the score on every resample of the groups.
        resamples: Target → its resamples.
    """

    table: pd.DataFrame
    how: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)
    samples: Mapping[tuple[str, str], Array] = field(default_factory=dict)
    resamples: Mapping[str, Resamples] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Targets, in the requested order."""
        return in_order(self.table, "target")

    @property
    def stages(self) -> list[str]:
        """Stages, by depth."""
        return in_order(self.table, "stage")

    @property
    def onsets(self) -> pd.DataFrame:
        """The stage from which on every target can be read out: :meth:`onset` with its defaults."""
        return self.onset()

    def onset(self, part: float = 0.5, stages: Sequence[str] | None = None) -> pd.DataFrame:
        """The first stage that reaches a given part of the best stage's score above chance, for every target.

        Args:
            part: The part, in (0, 1].
            stages: By depth, e.g. those of one stream; all of them for ``None``.

        Returns:
            One row per target: the ``onset``; its ``median`` over bootstrap resamples of the groups and the stages
            ``low`` … ``high`` that contain it in 95 % of them; ``stability``, the share of resamples with this onset;
            the ``best`` stage with its ``score``. The onset is ``none`` where the best stage's interval reaches chance.

        Raises:
            UserError: If a stage is unknown, or the part is outside (0, 1].
        """
        if wrong := [stage for stage in stages or () if stage not in self.stages]:
            raise unknown("stage", wrong[0], self.stages)
        chosen = list(stages or self.stages)
        if not chosen:
            raise UserError("An onset needs at least one stage.")
        return pd.DataFrame([self._onset(target, part, chosen) for target in self.targets])

    def _onset(self, target: str, part: float, stages: list[str]) -> dict[str, object]:
        rows = self.table[self.table["target"] == target].set_index("stage")
        seen = [stage for stage in stages if (target, stage) in self.samples]
        scores = np.stack([self.samples[target, stage] for stage in seen], 1)
        found = onset(scores, rows["chance"].iloc[0], part)
        resamples, best = self.resamples[target], seen[int(scores[0].argmax())]
        score, low, chance = (rows[column][best] for column in ("score", "low", "chance"))
        said = {"best": best, "score": score}
        if not low > chance:  # also false if the interval is undefined
            return {
                "target": target,
                **dict.fromkeys(("onset", "low", "median", "high"), NONE),
                "stability": np.nan,
            } | said
        spread = np.quantile(resamples.bootstrap(found), SPAN, method="inverted_cdf")
        places = [found[0], *spread]
        names = dict(
            zip(("onset", "low", "median", "high"), ([*seen, NONE][int(place)] for place in places), strict=True)
        )
        return {"target": target, **names, "stability": float(resamples.stability(found))} | said

    def save(self, folder: str | Path) -> Path:
        """Write ``probes.csv``, ``onsets.csv`` and ``probes.json`` (how it was made); each file is whole or absent.

        Raises:
            UserError: If the folder cannot be written.
        """
        folder = local(folder)
        PROBES.read(folder)
        for name, table in {"probes.csv": self.table, "onsets.csv": self.onsets}.items():
            write_text(folder / name, as_csv(table))
        PROBES.write(folder, {"how": self.how, "warnings": self.warnings})
        return folder

    @overload
    def plot(self, path: None = None, *, width: "Width" = ...) -> "Figure": ...

    @overload
    def plot(self, path: str | Path, *, width: "Width" = ...) -> Path: ...

    def plot(self, path: str | Path | None = None, *, width: "Width" = "double") -> "Figure | Path":
        """Draw the score over the stages, a panel per target, with intervals, controls, twins and onsets.

        Args:
            path: A file that ends in ``.pdf``, ``.svg`` or ``.png``. Its data are written next to it.
            width: ``single``: 3.35 inches, one column of a page; ``double``: 6.9 inches.

        Returns:
            The file or, without one, the figure, which a notebook shows.

        Raises:
            UserError: If the extension or the width is unknown, or the file cannot be written.
        """
        from static_dynamic.report.probes import plot_probes
        from static_dynamic.report.theme import format_of, save_figure

        if path is not None:
            format_of(local(path))
        figure = plot_probes(self.table, self.onsets, width)
        return figure if path is None else save_figure(figure, local(path), self.table)[0]

    def __repr__(self) -> str:
        lines = [
            f"  {row['target']}: {row['score']:.2f} at {row['best']}, from {row['onset']} on"
            if row["onset"] != NONE
            else f"  {row['target']}: not above chance ({row['score']:.2f} at {row['best']})"
            for row in rows_of(self.onsets)
        ]
        rows = self.table.iloc[0]
        head = f"ProbeResult({len(self.stages)} stages, {rows['n']} clips, {rows['groups']} groups)"
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        """HTML for notebooks: onsets, and the figure."""
        from static_dynamic.report.notebook import as_html

        head = repr(self).partition("\n")[0]
        return as_html(head, "", self.onsets.round(2), self.plot(), self.warnings)
