"""Results: tidy tables, the numbers on every resample, and the manifest that records how they were made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

from static_dynamic.common.errors import UserError, counted, reason, unknown
from static_dynamic.common.files import remove, write_bytes, write_text
from static_dynamic.common.places import fetch, local
from static_dynamic.common.runs import Kind
from static_dynamic.common.tables import as_csv, from_csv, read_parquet
from static_dynamic.common.texts import read_json, read_text
from static_dynamic.estimators.numbers import Sample
from static_dynamic.estimators.registry import describe_estimator, estimators
from static_dynamic.estimators.released import Released
from static_dynamic.estimators.samples import read_samples, samples_as_bytes
from static_dynamic.records import RECORDS, read_records, write_records
from static_dynamic.report.parts import Part, all_classes
from static_dynamic.report.tables import class_shares, factor_numbers, in_order, of_estimator, quality_means, with_ends

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from static_dynamic.report.figures import Kind as Figures
    from static_dynamic.report.theme import Width

MEASUREMENT = Kind("measurement", "run.json", (), format=2)
"""Format 1 had one estimator, ``released``; format 2 has several, their twins, and the numbers on every resample."""
SAMPLES = "samples.safetensors"
TWINS = "twins.csv"
PICTURES, TOP_CLIPS = "pictures.parquet", "top_clips.parquet"
COLUMNS = {
    "layers": ("stage", "estimator", "factor"),
    "units": ("stage", "estimator", "unit"),
    "quality": ("video", "style", "order"),
    "twins": ("twin", "stage", "estimator", "factor"),
    "pictures": ("video", "style", "order"),
    "top_clips": ("stage", "unit", "place"),
}
"""Table of a result → the columns of text and numbers that say of what a row is."""
TEXTS = ("video", "sequence", "stage", "style", "order", "estimator", "factor")
"""Columns of CSV files that hold text; all others hold numbers."""
FILES = (
    MEASUREMENT.file,
    "layers.parquet",
    "units.parquet",
    "quality.csv",
    TWINS,
    PICTURES,
    TOP_CLIPS,
    SAMPLES,
    RECORDS,
)
"""What a result is read from."""
UNKNOWN = {"summary": "", "scale": "percent", "column": "share", "classes": [], "options": {}}
"""The description of an estimator that neither the manifest nor this version knows."""


@dataclass(frozen=True, repr=False)
class Result:
    """The result of a measurement.

    Attributes:
        layers: One row per stage, estimator and factor: ``share`` (percent) or ``score``, their ``_low`` and ``_high``
            ends; ``twin``, the mean of the random twins, and the ends of their spread; ``null``, the number of pairs of
            unrelated videos; and the published ``dims`` and ``percent``.
        units: One row per stage, estimator and unit: its numbers with their intervals, class, and ``stability`` (the
            share of bootstrap replicates that keep the class); p and q where they are tested against chance.
        manifest: How it was made: versions, seed, model, weights, recipe, conditions, and a record of every video.
        warnings: Notes for the reader before a number is quoted.
        quality: Quality of the model's outputs, one row per variant; ``None`` if they were not judged.
        samples: ``(estimator, stage)`` → the numbers on every resample of the videos.
        twins: One row per twin, stage, estimator and factor, with its ``value``.
        pictures: Strips of frames of the first videos as they were shown, see `static_dynamic.report.strips`.
        top_clips: One row per stage, unit and place: the clips to which a unit responds most.
    """

    layers: pd.DataFrame
    units: pd.DataFrame
    manifest: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    quality: pd.DataFrame | None = None
    samples: Mapping[tuple[str, str], Sample] = field(default_factory=dict)
    twins: pd.DataFrame | None = None
    pictures: pd.DataFrame | None = None
    top_clips: pd.DataFrame | None = None

    @property
    def stages(self) -> list[str]:
        """Stages, in the order of the study."""
        return in_order(self.layers, "stage")

    @property
    def estimators(self) -> list[str]:
        """Estimators, the headline first."""
        asked = [one["name"] for one in self.manifest.get("estimators", [])]
        place = {name: number for number, name in enumerate(asked)}
        return sorted(in_order(self.layers, "estimator"), key=lambda name: place.get(name, len(place)))

    @property
    def headline(self) -> str:
        """The estimator that is shown by default."""
        return self.estimators[0]

    @property
    def factors(self) -> list[str]:
        """Factors of the headline, in their order."""
        return in_order(self.layer(), "factor")

    def layer(self, estimator: str | None = None) -> pd.DataFrame:
        """The layer table of one estimator, without columns that it lacks; of the headline for ``None``."""
        name = self._known(estimator)
        return of_estimator(self.layers, name, with_ends(self.described(name)["column"]))

    def unit(self, estimator: str | None = None) -> pd.DataFrame:
        """The unit table of one estimator, without columns that it lacks; of the headline for ``None``."""
        name = self._known(estimator)
        factors = in_order(self.layers[self.layers["estimator"] == name], "factor")
        return of_estimator(self.units, name, [column for factor in factors for column in with_ends(factor)])

    def described(self, estimator: str | None = None) -> Mapping[str, Any]:
        """The description of an estimator: its summary, ``scale``, main ``column``, ``classes`` and options."""
        name = self._known(estimator)
        there = {one["name"]: one for one in self.manifest.get("estimators", [])}
        if name not in there and name in estimators():
            return describe_estimator(estimators()[name]())
        return there.get(name, {**UNKNOWN, "name": name})

    def shares(self, estimator: str | None = None) -> pd.DataFrame:
        """The number of every factor: one row per stage; shares are percent."""
        described = self.described(estimator)
        return factor_numbers(self.layer(estimator), described["column"])

    def classes(self, estimator: str | None = None) -> pd.DataFrame:
        """Share of the units of every class, in percent: one row per stage.

        Raises:
            UserError: If the estimator does not have classes.
        """
        described = self.described(estimator)
        if not described["classes"]:
            raise UserError(f"The estimator {described['name']} does not sort units into classes.")
        units = self.unit(estimator)
        return class_shares(units, all_classes(units, described["classes"]))

    @property
    def parts(self) -> list[Part]:
        """Its part for every estimator, the headline first."""
        return [Part(self.described(name), self.layer(name), self.unit(name)) for name in self.estimators]

    def _known(self, estimator: str | None) -> str:
        if estimator is None:
            return self.headline
        if estimator not in self.estimators:
            raise unknown("estimator of this result", estimator, self.estimators)
        return estimator

    def save(self, folder: str | Path) -> Path:
        """Write ``layers.parquet``, ``layers.csv``, ``units.parquet`` and ``run.json``; each file is whole or absent.

        Numbers on every resample go to ``samples.safetensors``, those of twins to ``twins.csv``; where outputs were
        judged, ``quality.csv`` is written too. Pictures of the clips are in ``pictures.parquet``, and the clips to
        which units respond most in ``top_clips.parquet``.

        Args:
            folder: The folder, or its address on an object store (``s3://…``).

        Returns:
            The folder; of an address, the temporary folder of its copy.

        Raises:
            UserError: If the folder cannot be written, or its ``run.json`` belongs to another kind of run.
        """
        folder = local(folder)
        MEASUREMENT.read(folder)
        # As bytes, since pyarrow does not accept paths that are not UTF-8.
        write_bytes(folder / "layers.parquet", self.layers.to_parquet(index=False))
        write_bytes(folder / "units.parquet", self.units.to_parquet(index=False))
        write_bytes(folder / SAMPLES, samples_as_bytes(self.samples))
        for name, table in {PICTURES: self.pictures, TOP_CLIPS: self.top_clips}.items():
            if table is not None:
                write_bytes(folder / name, table.to_parquet(index=False))
            else:
                remove(folder / name)  # that of an earlier result
        tables = {"layers.csv": self.layers, "quality.csv": self.quality, TWINS: self.twins}
        for name, table in tables.items():
            if table is not None:
                write_text(folder / name, as_csv(table))
            else:
                remove(folder / name)  # that of an earlier result
        manifest = {**write_records(folder, self.manifest), "warnings": self.warnings}
        MEASUREMENT.write(folder, json.loads(json.dumps(manifest, default=str)))
        return folder

    @overload
    def plot(
        self, path: None = None, *, estimator: str | None = ..., width: "Width" = ..., format: str | Sequence[str] = ...
    ) -> "Figure": ...

    @overload
    def plot(self, path: str | Path, *, width: "Width" = ..., format: str | Sequence[str] = ...) -> list[Path]: ...

    @overload
    def plot(
        self,
        path: str | Path | None = None,
        *,
        kind: "Figures",
        estimator: str | None = ...,
        width: "Width" = ...,
        format: str | Sequence[str] = ...,
    ) -> "Figure": ...

    def plot(
        self,
        path: str | Path | None = None,
        *,
        kind: "Figures | None" = None,
        estimator: str | None = None,
        width: "Width" = "double",
        format: str | Sequence[str] = ("svg", "png"),
    ) -> "Figure | list[Path]":
        """Draw one figure, which a notebook shows, or write all default figures, each with its data.

        The default figures are ``layers`` (numbers per stage, with intervals) and ``units`` (classes per stage) of the
        headline; ``layers-<name>`` and ``units-<name>`` of every further estimator; and registered ones (``@sd.plot``).

        Args:
            path: A file, whose extension is its format, or a folder; for the default figures a folder.
            kind: ``layers``, ``units``, ``histogram``, ``joint``, the name of a function that ``@sd.plot`` has
                registered, or a function from a result to a figure; ``None`` is all default figures if a folder is
                given, and ``layers`` otherwise. For several results see :func:`static_dynamic.draw`.
            estimator: The estimator of a single figure; the headline for ``None``.
            width: ``single``: 3.35 inches, one column of a page; ``double``: 6.9 inches.
            format: ``pdf``, ``svg``, ``png``, or several.

        Returns:
            The figure; for all default figures the paths that were written.

        Raises:
            UserError: If an argument is unknown, or the figure cannot be drawn or written.
        """
        from static_dynamic.report.figures import DEFAULT, draw, save_all
        from static_dynamic.report.theme import FORMATS

        if kind is not None or path is None:
            kind = "layers" if kind is None else kind
            return draw(self, path, kind=kind, estimator=estimator, width=width, format=format)
        if estimator is not None:
            raise UserError(
                "The default figures show every estimator. To choose one, choose one figure too by its `kind`."
            )
        paths = save_all(self, place := local(path), width, format)
        for name, stem, ending in product(estimators(), DEFAULT, (*FORMATS, "data.csv")):
            if (earlier := place / f"{stem}-{name}.{ending}") not in paths:
                remove(earlier)  # that of an earlier result
        return paths

    def report(self, path: str | Path) -> Path:
        """Write one HTML page with tables, plots and explanations; it needs no network and no other file."""
        from static_dynamic.report.page import save_page

        means = None if self.quality is None else quality_means(self.quality)
        tables = {"quality": means, "pictures": self.pictures, "top_clips": self.top_clips}
        return save_page(self.parts, self.manifest, self.warnings, local(path), **tables)

    def __repr__(self) -> str:
        from static_dynamic.report.answer import answer

        study = self.manifest.get("study", {})
        videos = int(self.layers["videos"].max()) if len(self.layers) else 0
        counts = counted(len(self.stages), "stage", "stages"), counted(videos, "video", "videos")
        notes = counted(len(self.warnings), "warning", "warnings")
        head = f"Result({study.get('model', 'a model')}: {', '.join(counts)}, {', '.join(self.estimators)}; {notes})"
        said = answer(self.parts)
        return head if said is None else f"{head}\n  {said}"

    def _repr_html_(self) -> str:
        """HTML for notebooks: the headline per stage compared with untrained networks, and its figure."""
        from static_dynamic.report.notebook import as_html, small_table

        head, _, said = repr(self).partition("\n")
        said = f"{self.described()['summary']} {said}"
        return as_html(head, said, small_table(self.parts[0]), self.plot(), self.warnings)


def load(folder: str | Path) -> Result:
    """Read a result that :meth:`Result.save` wrote to a folder or an address (``s3://…``), also in older formats.

    Raises:
        UserError: If a file is missing or cannot be read.
    """
    folder = local(folder)
    fetch(folder, *FILES)
    try:
        content = read_json(folder / "run.json")
        if not isinstance(content, dict):
            raise UserError(f"run.json must hold an object. Got {type(content).__name__}")
        manifest = MEASUREMENT.checked({"kind": MEASUREMENT.name, **content}, folder / "run.json")
        manifest = {**manifest, **read_records(folder)}
        layers, units = (read_parquet((folder / f"{name}.parquet").read_bytes()) for name in ("layers", "units"))
        quality, twins = (_table(folder / name) for name in ("quality.csv", TWINS))
        pictures, top = (_parquet(folder / name) for name in (PICTURES, TOP_CLIPS))
        samples = read_samples((folder / SAMPLES).read_bytes()) if (folder / SAMPLES).exists() else {}
    except Exception as error:  # a file that was changed can fail in any way
        said = str(error) if isinstance(error, OSError | ValueError) else reason(error)
        raise UserError(f"No result can be read from {folder}: {said.rstrip('.')}.") from None
    described = {name: value for name, value in manifest.items() if name not in ("kind", "format", "warnings")}
    if manifest["format"] == 1:
        described, layers, units = _of_format_1(described, layers, units)
    warnings = manifest.get("warnings", [])
    result = Result(layers, units, described, warnings, quality, samples, twins, pictures, top)
    _check_tables(result, folder)
    return result


def _check_tables(result: Result, folder: Path) -> None:
    """Raise if a table lacks columns, or holds text in place of numbers."""
    for name, columns in COLUMNS.items():
        if (table := getattr(result, name)) is None:
            continue
        if lacking := [column for column in columns if column not in table]:
            raise UserError(f"No result can be read from {folder}: its {name} lack the column {lacking[0]!r}.")
        numbers = table.drop(columns=[*TEXTS], errors="ignore") if name in ("quality", "twins") else table[[]]
        if texts := [column for column in numbers if numbers[column].dtype.kind not in "biuf"]:
            raise UserError(f"No result can be read from {folder}: {texts[0]!r} of its {name} is not a number.")


def _of_format_1(
    manifest: Mapping[str, Any], layers: pd.DataFrame, units: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Convert a manifest and tables to the current format, in which their one estimator is named."""
    threshold = manifest.get("scoring", {}).get("threshold", Released.threshold)
    released = Released(threshold)
    layers, units = (table.assign(estimator=released.name) for table in (layers, units))
    return {**manifest, "estimators": [describe_estimator(released)]}, layers, units


def _parquet(path: Path) -> pd.DataFrame | None:
    return read_parquet(path.read_bytes()) if path.exists() else None


def _table(path: Path) -> pd.DataFrame | None:
    return from_csv(read_text(path)) if path.exists() else None
