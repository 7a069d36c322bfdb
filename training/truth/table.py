"""The table of trained networks: a line for each."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from static_dynamic.common.files import write_text
from static_dynamic.common.tables import as_csv
from static_dynamic.training.truth.train import Trained

HEADS = ("colour", "shape", "texture", "background", "kind", "speed", "shortcut")
NUMBERS = ("seed", "seen", "cpu_seconds", "wall_seconds")
COLUMNS = ("network", *NUMBERS, *HEADS, *(f"{head}_rounded" for head in HEADS))


def read_table(path: Path) -> dict[str, Trained]:
    """Network → its result; empty if the file does not exist."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["network"]: _trained(row) for row in csv.DictReader(file)}


def write_table(rows: Mapping[str, Trained], path: Path) -> None:
    """Write the table, sorted by network."""
    table = pd.DataFrame([_row(rows[name]) for name in sorted(rows)], columns=list(COLUMNS))
    write_text(path, as_csv(table))


def _row(trained: Trained) -> dict[str, object]:
    numbers = {name: getattr(trained, name) for name in ("network", *NUMBERS)}
    exact = {head: f"{part:.3f}" for head, part in trained.accuracy.items()}
    return {**numbers, **exact, **{f"{head}_rounded": f"{part:.3f}" for head, part in trained.rounded.items()}}


def _trained(row: Mapping[str, str]) -> Trained:
    exact, rounded = (
        {head: float(row[head + ending]) for head in HEADS if row[head + ending]} for ending in ("", "_rounded")
    )
    return Trained(
        row["network"],
        int(row["seed"]),
        int(row["seen"]),
        float(row["cpu_seconds"]),
        float(row["wall_seconds"]),
        exact,
        rounded,
    )
