"""Results: tidy tables, the numbers on every resample, and the manifest that says how they were made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.files import remove, write_atomically, write_bytes
from static_dynamic.common.runs import Kind
from static_dynamic.common.texts import read_json
from static_dynamic.estimators.numbers import Sample
from static_dynamic.estimators.registry import describe_estimator, estimators
from static_dynamic.estimators.released import Released
from static_dynamic.estimators.samples import read_samples, samples_as_bytes
from static_dynamic.report.parts import Part, all_classes
from static_dynamic.report.tables import class_shares, factor_numbers, in_order, of_estimator, quality_means, with_ends

MEASUREMENT = Kind("measurement", "run.json", (), format=2)
"""Format 1 held one estimator, ``released``; format 2 holds several, their twins, and the numbers on every resample."""
SAMPLES = "samples.safetensors"
TWINS = "twins.csv"
PICTURES, TOP_CLIPS = "pictures.parquet", "top_clips.parquet"
UNKNOWN = {"summary": "", "scale": "percent", "column": "share", "classes": [], "options": {}}
"""What is taken of an estimator of which neither the manifest nor this version knows anything."""


@dataclass(frozen=True, repr=False)
class Result:
    """What a measurement found.

    Attributes:
        layers: One row per stage, estimator and factor: ``share`` (percent) or ``score``, their ``_low`` and ``_high``
            ends; ``twin``, the mean of the random twins, and the ends of their spread; ``null``, what pairs of
            unrelated videos give; and the published ``dims`` and ``percent``.
        units: One row per stage, estimator and unit: its numbers with their intervals, class, and ``stability`` (the
            share of bootstrap replicates that keep the class); p and q where chance could give as much.
        manifest: How it was made: versions, seed, model, weights, recipe, conditions, what was read of every video.
        warnings: What a reader must know before quoting a number.
        quality: What the model's outputs were worth, one row per variant; ``None`` if they were not judged.
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
        """The estimator that is shown where one is."""
        return self.estimators[0]

    @property
    def factors(self) -> list[str]:
        """Factors of the headline, in their order."""
        return in_order(self.layer(), "factor")

    def layer(self, estimator: str | None = None) -> pd.DataFrame:
        """The layer table of one estimator, without columns that it has not; of the headline for ``None``."""
        name = self._known(estimator)
        return of_estimator(self.layers, name, with_ends(self.described(name)["column"]))

    def unit(self, estimator: str | None = None) -> pd.DataFrame:
        """The unit table of one estimator, without columns that it has not; of the headline for ``None``."""
        name = self._known(estimator)
        factors = in_order(self.layers[self.layers["estimator"] == name], "factor")
        return of_estimator(self.units, name, [column for factor in factors for column in with_ends(factor)])

    def described(self, estimator: str | None = None) -> Mapping[str, Any]:
        """What an estimator says in one sentence, its ``scale``, main ``column``, ``classes`` and options."""
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
            UserError: If the estimator has no classes.
        """
        described = self.described(estimator)
        if not described["classes"]:
            raise UserError(f"The estimator {described['name']} sorts units into no classes.")
        units = self.unit(estimator)
        return class_shares(units, all_classes(units, described["classes"]))

    @property
    def parts(self) -> list[Part]:
        """What it says of every estimator, the headline first."""
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
        judged, ``quality.csv`` is written too. What the model was shown is in ``pictures.parquet``, and the clips to
        which units respond most in ``top_clips.parquet``.

        Raises:
            UserError: If the folder cannot be written, or its ``run.json`` is that of another kind of run.
        """
        folder = Path(folder)
        MEASUREMENT.read(folder)
        # As bytes, since pyarrow takes no path that is not UTF-8.
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
                write_atomically(folder / name, partial(table.to_csv, index=False))
            else:
                remove(folder / name)  # that of an earlier result
        manifest = json.dumps({**self.manifest, "warnings": self.warnings}, default=str)
        MEASUREMENT.write(folder, json.loads(manifest))
        return folder

    def plot(self, folder: str | Path) -> list[Path]:
        """Write ``layers`` (numbers per stage, with intervals) and ``units`` (classes per stage) as SVG and PNG.

        They are those of the headline; of a further estimator they are called ``layers-<name>`` and ``units-<name>``.
        Your own pictures (``@sd.plot``) come under their names.
        """
        from static_dynamic.report.own import save_own_plots
        from static_dynamic.report.pictures import save_plots

        paths = save_plots(self.parts, Path(folder))
        for name, stem, kind in product(estimators(), ("layers", "units"), ("svg", "png")):
            if (earlier := Path(folder) / f"{stem}-{name}.{kind}") not in paths:
                remove(earlier)  # that of an earlier result
        return [*paths, *save_own_plots(self, Path(folder))]

    def report(self, path: str | Path) -> Path:
        """Write one HTML page with tables, plots and how to read them; it needs no network and no other file."""
        from static_dynamic.report.page import save_page

        means = None if self.quality is None else quality_means(self.quality)
        tables = {"quality": means, "pictures": self.pictures, "top_clips": self.top_clips}
        return save_page(self.parts, self.manifest, self.warnings, Path(path), **tables)

    def __repr__(self) -> str:
        study = self.manifest.get("study", {})
        videos = int(self.layers["videos"].max()) if len(self.layers) else 0
        return (
            f"Result({study.get('model', 'a model')}: {len(self.stages)} stages, {videos} videos, "
            f"{', '.join(self.estimators)}; {len(self.warnings)} warnings)"
        )

    def _repr_html_(self) -> str:
        """Shown by notebooks: the headline's table."""
        from html import escape

        described = self.described()
        notes = "".join(f"<li>{escape(warning)}</li>" for warning in self.warnings)
        return (
            f"<p><b>{escape(repr(self))}</b><br>{escape(described['summary'])}</p>"
            f"{self.layer().round(1).to_html(index=False)}<ul>{notes}</ul>"
        )


def load(folder: str | Path) -> Result:
    """Read what :meth:`Result.save` wrote, also in older formats.

    Raises:
        UserError: If a file is missing or cannot be read.
    """
    folder = Path(folder)
    try:
        content = read_json(folder / "run.json")
        if not isinstance(content, dict):
            raise UserError(f"run.json must hold an object. Got {type(content).__name__}")
        manifest = MEASUREMENT.checked({"kind": MEASUREMENT.name, **content}, folder / "run.json")
        layers, units = (
            pd.read_parquet(BytesIO((folder / f"{name}.parquet").read_bytes())) for name in ("layers", "units")
        )
        quality, twins = (_table(folder / name) for name in ("quality.csv", TWINS))
        pictures, top = (_parquet(folder / name) for name in (PICTURES, TOP_CLIPS))
        samples = read_samples((folder / SAMPLES).read_bytes()) if (folder / SAMPLES).exists() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"No result can be read from {folder}: {str(error).rstrip('.')}.") from None
    described = {name: value for name, value in manifest.items() if name not in ("kind", "format", "warnings")}
    if manifest["format"] == 1:
        described, layers, units = _of_format_1(described, layers, units)
    warnings = manifest.get("warnings", [])
    return Result(layers, units, described, warnings, quality, samples, twins, pictures, top)


def _of_format_1(
    manifest: Mapping[str, Any], layers: pd.DataFrame, units: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Manifest and tables as they would be written today: their one estimator is named."""
    threshold = manifest.get("scoring", {}).get("threshold", Released.threshold)
    released = Released(threshold)
    layers, units = (table.assign(estimator=released.name) for table in (layers, units))
    return {**manifest, "estimators": [describe_estimator(released)]}, layers, units


def _parquet(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(BytesIO(path.read_bytes())) if path.exists() else None


def _table(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.exists() else None
