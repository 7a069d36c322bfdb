"""Comparison of two measurements: what one network needs more than another, over the same videos."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.places import local
from static_dynamic.estimators.numbers import Sample
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.resampling import FEWEST_VIDEOS, jackknife_interval
from static_dynamic.report.differences import Difference, save_differences, sentence
from static_dynamic.report.tables import in_order
from static_dynamic.results import Result, load
from static_dynamic.studies import study_differences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from static_dynamic.report.theme import Width

OF_THE_MODEL = ("model", "weights", "structure", "stages", "pool", "checkpoint", "twin")
"""Parts of a study that may differ between networks that are shown the same clips."""
OF_THE_SCORING = (
    *("scoring.nulls", "scoring.replicates", "scoring.confidence", "scoring.interval", "scoring.threshold"),
    *("cells", "style_files"),
)
"""Parts that do not change the compared numbers, or that belong to single estimators."""
MOST = 3
"""Largest number of differences that a message names."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Differences of one measurement from another.

    Attributes:
        names: Names of the two measurements.
        layers: One row per estimator, stage and factor: the ``first`` and the ``second`` number, ``difference``
            (second less first), ``low``, ``high``, ``differs``: whether the interval excludes 0, and ``grain``: half
            of the spread of random twins, so that a smaller difference may be that of two seeds.
        units: The same per unit, if both stages have the same number.
        paired: Whether the two saw the same videos, so that what varies over videos cancels.
        notes: Notes for the reader.
        described: Estimator → its description, see `static_dynamic.results.Result.described`.
    """

    names: tuple[str, str]
    layers: pd.DataFrame
    units: pd.DataFrame
    paired: bool
    notes: list[str]
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def report(self, path: str | Path) -> Path:
        """Write one HTML page that shows the differences; it needs no network and no other file.

        Raises:
            UserError: If the folder cannot be written.
        """
        return save_comparisons([self], local(path))

    def plot(
        self, path: str | Path | None = None, *, estimator: str | None = None, width: "Width" = "double"
    ) -> "Figure":
        """Draw the differences over the stages, with intervals; a notebook shows the figure.

        Args:
            path: A file that ends in ``.pdf``, ``.svg`` or ``.png``. Its data are written next to it.
            estimator: The estimator that is drawn; the headline for ``None``.
            width: ``single``: 3.35 inches, one column of a page; ``double``: 6.9 inches.

        Raises:
            UserError: If the estimator, the width or the extension is unknown, or the file cannot be written.
        """
        from static_dynamic.report.pictures import plot_differences
        from static_dynamic.report.theme import format_of, save_figure

        if path is not None:
            format_of(local(path))
        there = in_order(self.layers, "estimator")
        if estimator is not None and estimator not in there:
            raise unknown("estimator of this comparison", estimator, there)
        said, name = self._said, estimator or there[0]
        rows = self.layers[self.layers["estimator"] == name]
        figure = plot_differences(rows, said.part(name), said.title, width)
        if path is not None:
            save_figure(figure, local(path), rows)
        return figure

    @property
    def _said(self) -> Difference:
        return Difference(self.names, self.layers, self.units, self.notes, self.described)

    def __repr__(self) -> str:
        paired = "paired" if self.paired else "not paired"
        head = f"Comparison({self._said.title}: {self.layers['stage'].nunique()} stages, {paired})"
        return f"{head}\n  {sentence(self._said)}"

    def _repr_html_(self) -> str:
        """HTML for notebooks: the differences of the headline, and their figure."""
        from static_dynamic.report.notebook import as_html

        rows = self.layers[self.layers["estimator"] == self.layers["estimator"].iloc[0]]
        return as_html(self._said.title, sentence(self._said), rows.round(2), self.plot(), self.notes)


def compare(
    first: Result | str | Path,
    second: Result | str | Path,
    *,
    stages: Mapping[str, str] | None = None,
    other_clips: bool = False,
    confidence: float = 0.95,
) -> Comparison:
    """How the numbers of two measurements differ: of two networks, two checkpoints, or two seeds of one.

    Over the same videos differences are paired: ``θ_2 - θ_1`` is computed on every jackknife row, and its interval is
    that of :func:`static_dynamic.functional.jackknife_interval`. Otherwise the variances add up.

    Args:
        first: A result, or its folder.
        second: A result, or its folder.
        stages: Stage of the first → stage of the second; ``None`` takes stages of one name.
        other_clips: Whether the two may have seen different clips; a note then names the differences.
        confidence: Confidence of the intervals.

    Raises:
        UserError: If they saw different clips, share no estimator or stage, or lack resamples.

    Example:
        >>> compare("runs/seed1", "runs/seed2").layers  # doctest: +SKIP
    """
    results, names = [], []
    for number, given in enumerate((first, second), start=1):
        result = given if isinstance(given, Result) else load(given)
        model = str(result.manifest.get("study", {}).get("model", f"measurement {number}"))
        results.append(result)
        names.append(model if isinstance(given, Result) else Path(given).name)
    one, other = results
    _check_samples(results, names)
    notes = _other_clips(one, other, other_clips)
    pairs = list(_common(one, other, stages))
    if not pairs:
        raise UserError("The two measurements lack numbers of one estimator on the same stages.")
    tables = [_differences(key, *samples, one.described(key[0])["column"], confidence) for key, samples in pairs]
    paired = all(a.videos == b.videos for _, (a, b) in pairs)
    if not paired:
        notes.append("The two saw different videos, so differences are not paired and their intervals are wider.")
    if not all(_enough(*samples) for _, samples in pairs):
        notes.append(f"Too few videos for intervals: {FEWEST_VIDEOS} are required.")
    layers, units = (pd.concat(tables, ignore_index=True) for tables in zip(*tables, strict=True))
    layers = _with_grain(_with_factors(layers, one), results)
    if (small := layers["differs"] & (layers["difference"].abs() < layers["grain"])).any():
        notes.append(f"{int(small.sum())} differences exclude 0, but are smaller than the spread of random twins.")
    described = {name: one.described(name) for name in one.estimators}
    return Comparison((names[0], names[1]), layers, _with_factors(units, one), paired, notes, described)


def save_comparisons(comparisons: Sequence[Comparison], path: Path) -> Path:
    """Write one page of comparisons whose first run is the same.

    Raises:
        UserError: If the folder cannot be written.
    """
    return save_differences([each._said for each in comparisons], path)


def _other_clips(one: Result, other: Result, allowed: bool) -> list[str]:
    """The differences of the clips that the two saw, as notes."""
    if "study" not in one.manifest or "study" not in other.manifest:
        return ["One of the results does not record which clips were shown."]
    alone = [f"estimators.{name}" for name in {*one.estimators} ^ {*other.estimators}]
    found = [*study_differences(one.manifest, other.manifest, (*OF_THE_MODEL, *OF_THE_SCORING, *alone)).values()]
    if found and not allowed:
        raise UserError(
            f"These measurements saw different clips, or were scored differently: {'; '.join(found[:MOST])}"
            f"{' …' if len(found) > MOST else ''}. Shares belong to clips: measure both on the same clips, or compare "
            "them anyway with `other_clips=True`."
        )
    return [f"Different clips or scoring: {said}." for said in found]


def _check_samples(results: Iterable[Result], names: Iterable[str]) -> None:
    for result, name in zip(results, names, strict=True):
        if not result.samples:
            raise UserError(
                f"{name} does not contain numbers on resamples, which earlier versions did not save: score its store "
                "again, with `static-dynamic score RUN`."
            )


ARROW = " → "
Key = tuple[str, str, str]
"""Key: estimator, stage of the first, stage of the second."""


def _common(
    one: Result, other: Result, stages: Mapping[str, str] | None
) -> Iterator[tuple[Key, tuple[Sample, Sample]]]:
    """The samples of both for every estimator and stage that both have."""
    estimators = [name for name in one.estimators if name in other.estimators]
    if not estimators:
        raise UserError(
            f"The results have no common estimator: {', '.join(one.estimators)}; {', '.join(other.estimators)}."
        )
    matched = stages or {stage: stage for stage in one.stages if stage in other.stages}
    _check_stages(matched, one.stages, other.stages)
    for estimator in estimators:
        for here, there in matched.items():
            samples = one.samples.get((estimator, here)), other.samples.get((estimator, there))
            if samples[0] is not None and samples[1] is not None:
                yield (estimator, here, there), (samples[0], samples[1])


def _check_stages(matched: Mapping[str, str], here: Collection[str], there: Collection[str]) -> None:
    if not matched:
        raise UserError(
            f"The results have no common stage: {', '.join(here)}; {', '.join(there)}. Match them, e.g. "
            f"`stages={{{list(here)[-1]!r}: {list(there)[-1]!r}}}`."
        )
    for wanted, known in ((matched.keys(), here), (matched.values(), there)):
        if missing := [stage for stage in wanted if stage not in known]:
            raise unknown("stage", missing[0], known)


def _differences(
    key: Key, one: Sample, other: Sample, column: str, confidence: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Differences of the layer and of its units."""
    estimator, here, there = key
    stage = here if here == there else f"{here}{ARROW}{there}"
    rows = [
        np.concatenate([sample.layer[column][:1], sample.layer[column][1 + sample.replicates :]])
        for sample in (one, other)
    ]
    quantities = min(values.shape[1] for values in rows)
    layers = _table(rows[0][:, :quantities], rows[1][:, :quantities], one, other, confidence)
    layers = layers.assign(estimator=estimator, stage=stage, quantity=np.arange(quantities))
    if one.units.shape[1:] != other.units.shape[1:]:
        return layers, pd.DataFrame()
    count, units = one.units.shape[1:]
    flat = [sample.units.astype(np.float64).reshape(len(sample.units), -1) for sample in (one, other)]
    table = _table(flat[0], flat[1], one, other, confidence)
    numbers = {"quantity": np.repeat(np.arange(count), units), "unit": np.tile(np.arange(units), count)}
    return layers, table.assign(estimator=estimator, stage=stage, **numbers)


def _enough(one: Sample, other: Sample) -> bool:
    """Whether both have enough videos for an interval."""
    return min(len(one.videos), len(other.videos)) >= FEWEST_VIDEOS


def _table(first: Array, second: Array, one: Sample, other: Sample, confidence: float) -> pd.DataFrame:
    """Differences with intervals; each array is all videos and then the jackknife, ``(1 + rows, …)``."""
    difference = second[0] - first[0]
    if not _enough(one, other):
        low = high = np.full_like(difference, np.nan)
    elif one.videos == other.videos:
        low, high = jackknife_interval(difference, second[1:] - first[1:], one.left_out, confidence)
    else:
        reach = [
            np.subtract(*jackknife_interval(values[0], values[1:], sample.left_out, confidence)) / 2
            for values, sample in ((first, one), (second, other))
        ]
        both = np.hypot(*reach)
        low, high = difference - both, difference + both
    differs = (low > 0) | (high < 0)
    return pd.DataFrame(
        {"first": first[0], "second": second[0], "difference": difference, "low": low, "high": high, "differs": differs}
    )


def _with_grain(layers: pd.DataFrame, results: Iterable[Result]) -> pd.DataFrame:
    """Add half of the spread of random twins, the larger of the two; NaN without twins."""
    spreads = [_spreads(result) for result in results]
    keys = zip(layers["estimator"], layers["factor"], layers["stage"].str.split(ARROW), strict=True)
    widths = [
        [spread.get((estimator, factor, stage), np.nan) for spread, stage in zip(spreads, stages * 2, strict=False)]
        for estimator, factor, stages in keys
    ]
    return layers.assign(grain=np.array(widths).max(1) / 2)


def _spreads(result: Result) -> dict[tuple[str, str, str], float]:
    """(Estimator, factor, stage) → the spread of random twins."""
    table = result.layers
    if "twin_high" not in table:
        return {}
    keys = zip(table["estimator"], table["factor"], table["stage"], strict=True)
    return dict(zip(keys, table["twin_high"] - table["twin_low"], strict=True))


def _with_factors(table: pd.DataFrame, result: Result) -> pd.DataFrame:
    """Replace the numbers of quantities by names, and put the key columns first."""
    if table.empty:
        return table
    names = {name: list(dict.fromkeys(result.layer(name)["factor"])) for name in result.estimators}
    factor = [names[estimator][q] for estimator, q in zip(table["estimator"], table["quantity"], strict=True)]
    front = ["stage", "estimator", "factor", *(["unit"] if "unit" in table else [])]
    table = table.assign(factor=factor).drop(columns="quantity")
    return table[[*front, *table.columns.difference(front, sort=False)]]
