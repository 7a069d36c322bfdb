"""The store: pooled activations on disk, in append-only shards that are either whole or absent.

    store/study.json           what decides the activations; a store of another study is refused
    store/00003.safetensors    stage → (rows, C) float32
    store/00003.json           what was read of every video of the shard, or why it was skipped
    store/00003.parquet        video, style, order of every row, and what the output was worth if that was judged;
                               written last: its presence makes the shard count

A shard holds a fixed run of videos, so its bytes depend neither on the order in which shards are made nor on by whom.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from static_dynamic.errors import UserError, differences
from static_dynamic.files import write_atomically, write_text
from static_dynamic.variants import Variant

Record = dict[str, Any]


class Store:
    """Activations of one study in one folder.

    Args:
        folder: Where the store lies; made if it is missing.
        study: What decides the activations, as plain data.
        resume: Whether to go on with what is there; otherwise it is deleted first.

    Raises:
        UserError: If the folder holds another study (the difference is named) or cannot be written.
    """

    def __init__(self, folder: Path, study: Mapping[str, Any], resume: bool = True) -> None:
        self.folder = folder
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        study = json.loads(json.dumps(study))
        there = self._study()
        if there is not None and there != study:
            raise UserError(
                f"The store {folder} belongs to another study: {differences(there, study)}. "
                "Choose another folder, or start over with `resume=False`."
            )
        if there is None:
            write_text(folder / "study.json", json.dumps(study, indent=2) + "\n")

    def _study(self) -> dict[str, Any] | None:
        path = self.folder / "study.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except (OSError, ValueError) as error:
            raise UserError(f"Cannot read {path}: {error}.") from None

    def has(self, shard: int) -> bool:
        """Whether a shard is there, whole."""
        return self._path(shard, "parquet").exists()

    def write(
        self,
        shard: int,
        variants: Sequence[Variant],
        activations: Mapping[str, torch.Tensor],
        records: Sequence[Record],
        judgements: Sequence[Mapping[str, float]] = (),
    ) -> None:
        """Add a shard.

        Args:
            shard: Its number.
            variants: The key of every row.
            activations: Stage → ``(rows, C)`` float32.
            records: One per video of the shard, the skipped ones too.
            judgements: What the model's output was worth, row by row.
        """
        index = pd.DataFrame(variants, columns=list(Variant._fields), dtype="str")
        worth = pd.DataFrame(list(judgements), index=index.index if judgements else None, dtype="float64")
        index = index.join(worth)
        tensors = {stage: tensor.contiguous() for stage, tensor in activations.items()}
        write_atomically(self._path(shard, "safetensors"), lambda path: save_file(tensors, path))
        write_text(self._path(shard, "json"), json.dumps(list(records)) + "\n")
        write_atomically(self._path(shard, "parquet"), lambda path: index.to_parquet(path, index=False))

    def _path(self, shard: int, kind: str) -> Path:
        return self.folder / f"{shard:05d}.{kind}"

    def shards(self) -> list[int]:
        """Numbers of the shards that are there."""
        return sorted(int(path.stem) for path in self.folder.glob("[0-9]*.parquet"))

    def index(self) -> pd.DataFrame:
        """Key of every row, in the order of :meth:`stage`, and the judgements of its output."""
        tables = [pd.read_parquet(self._path(shard, "parquet")) for shard in self.shards()]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(Variant._fields))

    def judgements(self) -> pd.DataFrame | None:
        """Video, its sequence, style, order and every measure of the output; ``None`` if none was judged."""
        index = self.index()
        if len(index.columns) == len(Variant._fields):
            return None
        sequences = {record["video"]: record.get("sequence") for record in self.records()}
        index.insert(1, "sequence", index["video"].map(sequences))
        return index

    def records(self, shard: int | None = None) -> list[Record]:
        """What was read of every video (of a shard), or why it was skipped."""
        shards = self.shards() if shard is None else [shard]
        return [
            record for number in shards for record in json.loads(self._path(number, "json").read_text(encoding="utf-8"))
        ]

    def stage(self, name: str, units: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Activations of a stage, ``(rows, C)``; of some of its units only, if asked for."""
        parts = []
        for shard in self.shards():
            with safe_open(self._path(shard, "safetensors"), framework="numpy") as file:
                if name in file.keys():  # noqa: SIM118 - not a mapping
                    parts.append(file.get_slice(name)[:, units])
        return np.concatenate(parts)

    def units(self) -> dict[str, int]:
        """Stage → number of units, in the order of the study."""
        for shard in self.shards():
            with safe_open(self._path(shard, "safetensors"), framework="numpy") as file:
                sizes = {name: int(file.get_slice(name).get_shape()[1]) for name in file.keys()}  # noqa: SIM118
            if sizes:
                return {name: sizes[name] for name in (self._study() or {}).get("stages", sizes)}
        return {}
