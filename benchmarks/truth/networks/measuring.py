"""One network: the truth about its stages, and the estimates of every estimator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from torch import nn

import static_dynamic as sd
from benchmarks.truth.enumeration import true_needs_motion, true_shares
from benchmarks.truth.networks.readings import CROSSED, READINGS, of_layer, of_units
from static_dynamic.common.compute import Compute
from static_dynamic.common.files import make_folder, write_bytes
from static_dynamic.estimators.numbers import Sample
from static_dynamic.scoring import Scoring

COMPUTE, SCORING = Compute(batch_size=64, workers=0), Scoring(replicates=1, nulls=0)
"""No bootstrap and no null: intervals are those of the jackknife."""
UNDECIDED = ("neither", "dead")
"""Classes of units that depend on neither appearance nor motion: their share of motion is meaningless."""


@dataclass(frozen=True)
class Sizes:
    """How many clips are shown.

    Attributes:
        appearances: Appearances of the enumeration, each in every motion.
        draws: Clips of every appearance in every motion.
        frames: Frames whose motion is drawn again, for what truly needs motion.
        videos: Independent clips that estimators are shown.
        blocks: Blocks of two appearances in two motions, twice each, that `factorial_shares` is shown.
    """

    appearances: int = 128
    draws: int = 2
    frames: int = 128
    videos: int = 200
    blocks: int = 200


FULL = Sizes()


class Found(NamedTuple):
    """The measurements of a network, in percent.

    Attributes:
        layers: One row per stage and reading: ``truth``, ``needs`` (what truly needs motion), ``estimate``, ``low`` and
            ``high``.
        units: One row per stage, reading and unit that depends on something: ``truth`` and ``estimate``.
    """

    layers: pd.DataFrame
    units: pd.DataFrame


def measured(model: nn.Module, folder: Path, sizes: Sizes = FULL) -> Found:
    """Truth and estimates of a network that declares its stages and its recipe; files in the folder are reused.

    Args:
        model: Any module; it is left unchanged.
        folder: Folder for activations and true shares, only of this network.
        sizes: Numbers of clips.
    """
    make_folder(folder)
    shares = _kept(
        folder / "shares.parquet", lambda: true_shares(model, appearances=sizes.appearances, draws=sizes.draws)
    )
    needs = _kept(folder / "needs.parquet", lambda: true_needs_motion(model, frames=sizes.frames))
    truth, needed, of_unit = motion_of_layers(shares), needs_of_layers(needs), motion_of_units(shares)
    layers, units = [], []
    for name, stage, sample, quantities in _estimates(model, folder, sizes):
        estimate, low, high = of_layer(READINGS[name], sample, quantities)
        row = {"stage": stage, "estimator": name, "truth": truth[stage], "needs": needed[stage]}
        layers.append(row | {"estimate": estimate, "low": low, "high": high})
        said = pd.DataFrame({"truth": of_unit[stage], "estimate": of_units(READINGS[name], sample, quantities)})
        units.append(said.assign(stage=stage, estimator=name).dropna())
    layers.sort(key=lambda row: [*READINGS].index(str(row["estimator"])))
    return Found(pd.DataFrame(layers), pd.concat(units, ignore_index=True))


def motion_of_layers(shares: pd.DataFrame) -> "pd.Series[float]":
    """Stage → percent of what appearance and motion decide that depends on motion: components summed over units.

    T = 100 Σ (M + AM) / Σ (A + M + AM)
    """
    parts = shares[["appearance", "motion", "interaction"]].mul(shares["variance"], axis=0)
    a, m, both = (column for _, column in parts.groupby(shares["stage"], sort=False).sum().items())
    return 100 * (m + both) / (a + m + both)


def motion_of_units(shares: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    """Stage → the same of every unit; NaN for one that depends on neither."""
    a, m, both = (shares[name] for name in ("appearance", "motion", "interaction"))
    motion = (100 * (m + both) / (a + m + both)).mask(shares["class"].isin(UNDECIDED))
    return {stage: rows.reset_index(drop=True) for stage, rows in motion.groupby(shares["stage"], sort=False)}


def needs_of_layers(needs: pd.DataFrame) -> "pd.Series[float]":
    """Stage → percent of its units' reproducible information on a clip that a frame does not determine."""
    weight = (needs["variance"] * needs["reliability"]).fillna(0)
    moving = weight * needs["needs_motion"].fillna(0)
    return 100 * moving.groupby(needs["stage"]).sum() / weight.groupby(needs["stage"]).sum()


def _estimates(model: nn.Module, folder: Path, sizes: Sizes) -> Iterator[tuple[str, str, Sample, list[str]]]:
    """Reading, stage, numbers on every resample and names of the quantities."""
    runs = {
        "videos": (str(sizes.videos), sorted({one.estimator for one in READINGS.values()} - {CROSSED})),
        "blocks": (f"{sizes.blocks}x2x2x2", [CROSSED]),
    }
    for store, (count, estimators) in runs.items():
        result = sd.measure(
            model,
            f"factorial:{count}",
            estimators=estimators,
            scoring=SCORING,
            compute=COMPUTE,
            twins=0,
            store=folder / store,
        )
        for name, reading in READINGS.items():
            if reading.estimator in estimators:
                layer = result.layer(reading.estimator)
                for stage, rows in layer.groupby("stage", sort=False):
                    yield name, str(stage), result.samples[reading.estimator, str(stage)], list(rows["factor"])


def _kept(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table that is computed once."""
    if not path.exists():
        write_bytes(path, make().to_parquet(index=False))
    return pd.read_parquet(path)
