"""The store: pooled activations on disk, in append-only shards that are either whole or absent.

    store/study.json           what decides the activations; a store of another study is refused
    store/00003.safetensors    stage → (rows, C) float32
    store/00003.json           what was read of every video of the shard, or why it was skipped
    store/00003.parquet        video, style, order, replicate of every row, and what the output was worth if that was
                               judged; written last: its presence makes the shard count
    store/pictures.parquet     what the model was shown of the first videos, small

A shard holds a fixed run of videos, so its bytes depend neither on the order in which shards are made nor on by whom.
Other files in the folder are left alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pyarrow import ArrowException
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import remove, write_bytes, write_text
from static_dynamic.common.runs import Kind, claim
from static_dynamic.variants import Variant

Record = dict[str, Any]

KEY = list(Variant._fields)
NUMBER = "[0-9]" * 5
KINDS = ("parquet", "json", "safetensors")
"""Files of a shard."""
PICTURES = "pictures.parquet"
STUDY = Kind("study", "study.json", (*(f"{NUMBER}.{kind}" for kind in KINDS), PICTURES), restarts=True, alone=True)


class Store:
    """Activations of one study in one folder.

    One run at a time may write to it, see `static_dynamic.common.runs.alone_in`.

    Args:
        folder: Where the store lies; made if it is missing.
        study: What decides the activations, as plain data.
        resume: Whether to keep what is there; otherwise the shards are removed first.

    Attributes:
        study: The same, as it is on disk.
        damaged: A line for every shard that was there and cannot be read; it is measured again.

    Raises:
        UserError: If the folder holds another study (the difference is named) or anything else, or cannot be written.
    """

    def __init__(self, folder: Path, study: Mapping[str, Any], resume: bool = True) -> None:
        self.folder = folder
        self.study: Mapping[str, Any] = STUDY.full(study)
        self.damaged: list[str] = []
        claim(folder, STUDY, study, resume)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """A store that is there, to be read: nothing is written, and neither model nor videos are needed.

        Raises:
            UserError: If there is none, or it cannot be read.
        """
        store = cls.__new__(cls)
        study = STUDY.read(Path(folder))
        if study is None:
            raise UserError(f"{folder} is no store: there is no {STUDY.file} in it.")
        store.folder, store.study, store.damaged = Path(folder), study, []
        return store

    def has(self, shard: int) -> bool:
        """Whether a shard is there, whole; one that cannot be read is noted in ``damaged``."""
        if not self._path(shard, "parquet").exists():
            return False
        try:
            self.check(shard)
        except UserError as error:
            self.damaged.append(str(error))
            return False
        return True

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
        index = pd.DataFrame(variants, columns=KEY).astype(dict.fromkeys(KEY[:-1], "str") | {KEY[-1]: "int64"})
        worth = pd.DataFrame(list(judgements), index=index.index if judgements else None, dtype="float64")
        tensors = {stage: tensor.contiguous() for stage, tensor in activations.items()}
        remove(self._path(shard, "parquet"))  # a shard that is replaced does not count until all of it is new
        # As bytes, since the libraries' own writing neither takes every name nor says in one way that a disk is full.
        write_bytes(self._path(shard, "safetensors"), save(tensors))
        write_text(self._path(shard, "json"), json.dumps(list(records)) + "\n")
        write_bytes(self._path(shard, "parquet"), index.join(worth).to_parquet(index=False))

    def _path(self, shard: int, kind: str) -> Path:
        return self.folder / f"{shard:05d}.{kind}"

    def check(self, shard: int | None = None) -> None:
        """Make sure that a shard, or all that are there, can be read.

        Raises:
            UserError: If not.
        """
        for number in self.shards() if shard is None else [shard]:
            self._check(number)

    def _check(self, shard: int) -> None:
        rows = len(self._index(shard))
        self.records(shard)
        if sizes := {name: size for name, size in self._shapes(shard).items() if size[0] != rows}:
            name, size = next(iter(sizes.items()))
            raise self._damage(shard, "safetensors", f"{size[0]} rows of {name}, and {rows} in the parquet file")

    def _damage(self, shard: int, kind: str, reason: object) -> UserError:
        path = self._path(shard, kind)
        why = " ".join(str(reason).split()) or type(reason).__name__
        return UserError(
            f"Shard {shard:05d} of {self.folder} is damaged ({path.name}: {why}). "
            "A run of the same study measures it again."
        )

    @contextmanager
    def _reading(self, shard: int, kind: str) -> Iterator[Path]:
        """The path of a file of a shard, to be read; what is wrong with it is one line."""
        path = self._path(shard, kind)
        try:
            yield path
        except (OSError, ValueError, SafetensorError, ArrowException) as error:
            raise self._damage(shard, kind, error) from None

    def _index(self, shard: int) -> pd.DataFrame:
        with self._reading(shard, "parquet") as path:
            index = pd.read_parquet(BytesIO(path.read_bytes()))
            if "replicate" not in index:  # a store of the time before there were any
                index.insert(min(3, len(index.columns)), "replicate", 0)
            if missing := set(KEY) - set(index.columns):
                raise ValueError(f"no {', '.join(sorted(missing))} in it")
            return index

    def _shapes(self, shard: int) -> dict[str, tuple[int, int]]:
        """Stage → rows and units."""
        with self._reading(shard, "safetensors") as path, safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if odd := [name for name, shape in shapes.items() if len(shape) != 2]:
                raise ValueError(f"{odd[0]} is not a table of rows and units")
            return shapes

    def shards(self) -> list[int]:
        """Numbers of the shards that are there."""
        return sorted(int(path.stem) for path in self.folder.glob(f"{NUMBER}.parquet"))

    def index(self) -> pd.DataFrame:
        """Key of every row, in the order of :meth:`stage`, and the judgements of its output."""
        tables = [self._index(shard) for shard in self.shards()]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=KEY)

    def variants(self) -> list[Variant]:
        """The same as keys."""
        return [Variant(*row) for row in self.index()[KEY].itertuples(index=False)]

    def judgements(self) -> pd.DataFrame | None:
        """Video, its sequence, style, order, replicate and every measure of the output; ``None`` if none was judged."""
        index = self.index()
        if len(index.columns) == len(KEY):
            return None
        sequences = {record["video"]: record.get("sequence") for record in self.records()}
        index.insert(1, "sequence", index["video"].map(sequences))
        return index

    def records(self, shard: int | None = None) -> list[Record]:
        """What was read of every video (of a shard), or why it was skipped."""
        found: list[Record] = []
        for number in self.shards() if shard is None else [shard]:
            with self._reading(number, "json") as path:
                records = json.loads(path.read_text(encoding="utf-8"))
                if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
                    raise ValueError("not a list of records")
                found += records
        return found

    def stage(self, name: str, units: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Activations of a stage, ``(rows, C)``; of some of its units only, if asked for."""
        parts = []
        for shard in self.shards():
            with self._reading(shard, "safetensors") as path, safe_open(path, framework="numpy") as file:
                if name in file.keys():  # noqa: SIM118 - not a mapping
                    parts.append(file.get_slice(name)[:, units])
        return np.concatenate(parts)

    def units(self) -> dict[str, int]:
        """Stage → number of units, in the order of the study."""
        for shard in self.shards():
            sizes = {name: units for name, (_, units) in self._shapes(shard).items()}
            if sizes:
                return {name: sizes[name] for name in self.study.get("stages", sizes)}
        return {}

    def keep_pictures(self, pictures: pd.DataFrame) -> None:
        """Keep small pictures of what the model is shown; see :mod:`static_dynamic.report.strips`."""
        write_bytes(self.folder / PICTURES, pictures.to_parquet(index=False))

    def pictures(self) -> pd.DataFrame | None:
        """Those that were kept; ``None`` if there are none, as in stores of earlier versions, or none can be read."""
        try:
            return pd.read_parquet(BytesIO((self.folder / PICTURES).read_bytes()))
        except (OSError, ValueError, ArrowException):
            return None
