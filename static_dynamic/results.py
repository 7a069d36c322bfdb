"""Results: tidy tables and the manifest that says how they were made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_atomically, write_bytes
from static_dynamic.common.runs import Kind
from static_dynamic.common.texts import read_json
from static_dynamic.report.tables import class_shares, factor_shares, in_order, quality_means

MEASUREMENT = Kind("measurement", "run.json", ())


@dataclass(frozen=True)
class Result:
    """What a measurement found.

    Attributes:
        layers: One row per stage and factor: score, share (percent), their ``_low`` and ``_high`` ends, and the
            published ``dims`` and ``percent``.
        units: One row per stage and unit: dynamic and static score with their intervals, class, and ``stability`` (the
            share of bootstrap replicates that keep the class).
        manifest: How it was made: versions, seed, model, weights, recipe, conditions, what was read of every video.
        warnings: What a reader must know before quoting a number.
        quality: What the model's outputs were worth, one row per variant; ``None`` if they were not judged.
    """

    layers: pd.DataFrame
    units: pd.DataFrame
    manifest: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    quality: pd.DataFrame | None = None

    @property
    def stages(self) -> list[str]:
        """Stages, in the order of the study."""
        return in_order(self.layers, "stage")

    @property
    def factors(self) -> list[str]:
        """Factors, in their published order."""
        return in_order(self.layers, "factor")

    def shares(self) -> pd.DataFrame:
        """Share of every factor, in percent: one row per stage."""
        return factor_shares(self.layers)

    def classes(self) -> pd.DataFrame:
        """Share of the units of every class, in percent: one row per stage."""
        return class_shares(self.units)

    def save(self, folder: str | Path) -> Path:
        """Write ``layers.parquet``, ``layers.csv``, ``units.parquet`` and ``run.json``; each file is whole or absent.

        Where outputs were judged, ``quality.csv`` too.

        Raises:
            UserError: If the folder cannot be written, or its ``run.json`` is that of another kind of run.
        """
        folder = Path(folder)
        MEASUREMENT.read(folder)
        # As bytes, since pyarrow takes no path that is not UTF-8.
        write_bytes(folder / "layers.parquet", self.layers.to_parquet(index=False))
        write_atomically(folder / "layers.csv", lambda path: self.layers.to_csv(path, index=False))
        write_bytes(folder / "units.parquet", self.units.to_parquet(index=False))
        if (quality := self.quality) is not None:
            write_atomically(folder / "quality.csv", lambda path: quality.to_csv(path, index=False))
        manifest = json.dumps({**self.manifest, "warnings": self.warnings}, default=str)
        MEASUREMENT.write(folder, json.loads(manifest))
        return folder

    def plot(self, folder: str | Path) -> list[Path]:
        """Write ``layers`` (share per stage, with intervals) and ``units`` (classes per stage) as SVG and PNG."""
        from static_dynamic.report.plots import save_plots

        return save_plots(self.layers, self.units, Path(folder))

    def report(self, path: str | Path) -> Path:
        """Write one HTML page with tables, plots and how to read them; it needs no network and no other file."""
        from static_dynamic.report.page import save_page

        means = None if self.quality is None else quality_means(self.quality)
        return save_page(self.layers, self.units, self.manifest, self.warnings, Path(path), means)


def load(folder: str | Path) -> Result:
    """Read what :meth:`Result.save` wrote.

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
        quality = pd.read_csv(folder / "quality.csv") if (folder / "quality.csv").exists() else None
    except (OSError, ValueError) as error:
        raise UserError(f"No result can be read from {folder}: {str(error).rstrip('.')}.") from None
    described = {name: value for name, value in manifest.items() if name not in ("kind", "format", "warnings")}
    return Result(layers, units, described, manifest.get("warnings", []), quality)
