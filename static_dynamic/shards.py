"""The files of shards: activations, records and keys of consecutive videos, or of merged consecutive shards.

    00003.safetensors          stage → (rows, C) float32
    00003.json                 the record of every video of the shard, or why it was skipped
    00003.parquet              video, style, order, replicate of every row, and the quality of the output if it was
                               judged; written last: its presence makes the shard count
    00000-00063.safetensors    the same of 64 merged shards, likewise .json and .parquet; the .json
                               has number, rows and records of each of them

If a shard exists both separately and in a merged file, the separate one counts: it was made later.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pyarrow import ArrowException
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import plain_errors, remove, whole, write_bytes, write_text
from static_dynamic.common.tables import read_parquet
from static_dynamic.variants import Variant

Record = dict[str, Any]
Ints = npt.NDArray[np.intp]

KEY = list(Variant._fields)
RUN = 64
"""Number of shards that are merged."""
KINDS = ("parquet", "json", "safetensors")
_DIGITS = "[0-9]" * 5
_NUMBERS = (_DIGITS, f"{_DIGITS}[0-9]")
STEMS = (*_NUMBERS, *(f"{first}-{last}" for first in _NUMBERS for last in _NUMBERS))
FILES = tuple(f"{stem}.{kind}" for stem in STEMS for kind in KINDS)
"""Globs of all files of shards."""
_STEM = re.compile(r"(\d{5,6})(?:-(\d{5,6}))?")
_SIZES = {"F16": 2, "F32": 4, "F64": 8}


class Member(NamedTuple):
    """A shard in a file: its number, its number of rows, and its records."""

    shard: int
    rows: int
    records: list[Record]


@dataclass(frozen=True)
class Shards:
    """The files of one shard, or of merged ones.

    Attributes:
        folder: Folder of the files.
        first: Number of the first shard.
        last: Number of the last.
    """

    folder: Path
    first: int
    last: int

    @property
    def stem(self) -> str:
        """The name of the files."""
        return f"{self.first:05d}" if self.first == self.last else f"{self.first:05d}-{self.last:05d}"

    @property
    def there(self) -> bool:
        """Whether they exist and count."""
        return self.path("parquet").exists()

    def path(self, kind: str) -> Path:
        """One of the files."""
        return self.folder / f"{self.stem}.{kind}"

    def write(
        self,
        variants: Sequence[Variant],
        activations: Mapping[str, torch.Tensor],
        records: Sequence[Record],
        judgements: Sequence[Mapping[str, float]],
    ) -> None:
        """Write a shard."""
        index = pd.DataFrame(variants, columns=KEY).astype(dict.fromkeys(KEY[:-1], "str") | {KEY[-1]: "int64"})
        worth = pd.DataFrame(list(judgements), index=index.index if judgements else None, dtype="float64")
        tensors = {stage: tensor.contiguous() for stage, tensor in activations.items()}
        remove(self.path("parquet"))  # a replaced shard does not count until all of it is new
        # As bytes, since the libraries do not accept every name, nor report a full disk in one way. A power loss can
        # leave zeros, which are numbers here, and make the other two files unreadable, which is noticed.
        write_bytes(self.path("safetensors"), save(tensors), lasting=True)
        write_text(self.path("json"), json.dumps(list(records)) + "\n")
        write_bytes(self.path("parquet"), index.join(worth).to_parquet(index=False))

    def put_together(self, parts: Sequence["Shards"]) -> None:
        """Merge shards, in order, and remove them; if this is interrupted, each exists once or twice."""
        members = [(part.first, len(part.index()), part.members()[0].records) for part in parts]
        with whole(self.path("safetensors"), lasting=True) as partial, plain_errors(self.path("safetensors")):
            _concatenate([part for part, (_, rows, _) in zip(parts, members, strict=True) if rows], partial)
        described = [{"shard": shard, "rows": rows, "records": records} for shard, rows, records in members]
        write_text(self.path("json"), json.dumps(described) + "\n", lasting=True)
        index = pd.concat([part.index() for part in parts], ignore_index=True)
        write_bytes(self.path("parquet"), index.to_parquet(index=False), lasting=True)
        for part in parts:
            part.remove()

    def remove(self) -> None:
        """Remove the files, first the one that makes them count."""
        for kind in KINDS:
            remove(self.path(kind))

    def check(self) -> None:
        """Check that all files can be read.

        Raises:
            UserError: If a file is unreadable.
        """
        rows = len(self.index())
        members = self.members()
        if self.first != self.last and sum(member.rows for member in members) != rows:
            raise self.damage("json", f"its rows differ from the {rows} in the parquet file")
        if sizes := {name: size for name, size in self.shapes().items() if size[0] != rows}:
            name, size = next(iter(sizes.items()))
            raise self.damage("safetensors", f"{size[0]} rows of {name}, but {rows} in the parquet file")

    def damage(self, kind: str, reason: object) -> UserError:
        """The error for an unreadable file."""
        why = " ".join(str(reason).split()) or type(reason).__name__
        return UserError(
            f"Shard {self.stem} of {self.folder} is damaged ({self.path(kind).name}: {why}). "
            "A run of the same study measures it again."
        )

    @contextmanager
    def _reading(self, kind: str) -> Iterator[Path]:
        """The path of a file to be read; turns errors into one line."""
        try:
            yield self.path(kind)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, ArrowException) as error:
            raise self.damage(kind, error) from None

    def index(self) -> pd.DataFrame:
        """Key of every row, and the judgements of its output."""
        with self._reading("parquet") as path:
            index = read_parquet(path.read_bytes())
            if "replicate" not in index:  # an old store, without replicates
                index.insert(min(3, len(index.columns)), "replicate", 0)
            if missing := set(KEY) - set(index.columns):
                raise ValueError(f"{', '.join(sorted(missing))} is missing")
            return index

    def members(self) -> list[Member]:
        """The shards; a separate shard does not record its rows, so they are -1."""
        with self._reading("json") as path:
            content = json.loads(path.read_text(encoding="utf-8"))
            if self.first == self.last:
                return [Member(self.first, -1, _records(content))]
            found = [Member(int(one["shard"]), int(one["rows"]), _records(one["records"])) for one in _records(content)]
            if [member.shard for member in found] != list(range(self.first, self.last + 1)):
                raise ValueError("it lacks shards")
            return found

    def shapes(self) -> dict[str, tuple[int, int]]:
        """Stage → rows and units."""
        with self._reading("safetensors") as path, safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if odd := [name for name, shape in shapes.items() if len(shape) != 2]:
                raise ValueError(f"{odd[0]} is not a table of rows and units")
            return shapes

    def stage(self, name: str, rows: Sequence[slice], units: slice) -> list[npt.NDArray[np.float32]]:
        """Activations of a stage: some runs of rows, and some units."""
        with self._reading("safetensors") as path, safe_open(path, framework="numpy") as file:
            part = file.get_slice(name)
            return [part[some, units].astype(np.float32, copy=False) for some in rows]


def one(folder: Path, shard: int) -> Shards:
    """The files of a separate shard."""
    return Shards(folder, shard, shard)


def run_of(folder: Path, shard: int) -> Shards:
    """The files in which a shard is merged with others."""
    first = shard // RUN * RUN
    return Shards(folder, first, first + RUN - 1)


def there_in(folder: Path) -> list[Shards]:
    """All files in a folder that count, in order; a merged file comes before separate shards that replace its parts."""
    stems = [_STEM.fullmatch(path.stem) for path in folder.glob("*.parquet")]
    numbers = [(int(found[1]), int(found[2] or found[1])) for found in stems if found]
    return [
        Shards(folder, *pair) for pair in sorted(numbers, key=lambda pair: (pair[0] // RUN, pair[0] == pair[1], pair))
    ]


def _records(content: Any) -> list[Record]:
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise ValueError("not a list of records")
    return content


def _concatenate(parts: Sequence[Shards], target: Path) -> None:
    """Concatenate the tensors of several files, one at a time, in safetensors' format and without a copy."""
    shapes = [part.shapes() for part in parts]
    stages = {name: (sum(one[name][0] for one in shapes), shape[1]) for name, shape in (shapes or [{}])[0].items()}
    header: dict[str, Any] = {}
    start = 0
    for name, shape in stages.items():
        with safe_open(parts[0].path("safetensors"), framework="numpy") as file:
            kind = file.get_slice(name).get_dtype()
        end = start + shape[0] * shape[1] * _SIZES[kind]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in stages:
            for part in parts:
                with safe_open(part.path("safetensors"), framework="numpy") as file:
                    out.write(np.ascontiguousarray(file.get_tensor(name)).data)
