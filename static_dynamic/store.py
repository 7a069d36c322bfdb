"""The store: pooled activations on disk, in append-only shards that are either whole or absent.

    store/study.json           everything that determines the activations; another study is refused
    store/00003.safetensors    the activations of a shard, with its .json and .parquet: see `static_dynamic.shards`
    store/00000-00063.…        64 shards, merged once all of them exist, so that there are few files
    store/pictures.parquet     small pictures of the clips of the first videos

A shard contains fixed videos, so its bytes do not depend on the order or the process in which shards are made.
Other files in the folder are left alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pyarrow import ArrowException

from static_dynamic.common.errors import UserError, differences
from static_dynamic.common.files import write_bytes
from static_dynamic.common.places import fetch, local
from static_dynamic.common.runs import Kind, claim
from static_dynamic.common.tables import read_parquet
from static_dynamic.shards import FILES, KEY, RUN, Ints, Record, Shards, one, run_of, there_in
from static_dynamic.variants import Cell, Index, Variant

PICTURES = "pictures.parquet"
STUDY = Kind(
    "study", "study.json", (*FILES, PICTURES), format=2, restarts=True, alone=True, notes=frozenset({"format"})
)
"""Format 1 did not merge shards."""
SCORED = ("label", "sequence", "factors")
"""Entries of the record of a video that scores use."""
GAP = 64
"""Least number of unrequested rows between requested ones that are skipped instead of read."""


class Segment(NamedTuple):
    """Consecutive rows in a file: the first one, and their number."""

    shards: Shards
    start: int
    rows: int


class Store:
    """Activations of one study in one folder.

    One run at a time may write to it, see `static_dynamic.common.runs.alone_in`, but all its ranks may.

    Args:
        folder: Folder of the store; made if it is missing.
        study: Everything that determines the activations, as plain data.
        resume: Whether to keep existing shards; otherwise they are removed first.

    Attributes:
        study: The same, as read from disk.
        damaged: A line for every unreadable shard, which is measured again.
        share: The shards that this process writes, if there are several: it merges no others.

    Raises:
        UserError: If the folder contains another study (the difference is named) or other files, or cannot be written.
    """

    def __init__(self, folder: Path, study: Mapping[str, Any], resume: bool = True) -> None:
        self._set(folder, claim(folder, STUDY, study, resume) or STUDY.full(study))

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open an existing store for reading: nothing is written, and neither model nor videos are needed.

        Raises:
            UserError: If it does not exist or cannot be read.
        """
        store = cls.__new__(cls)
        study = STUDY.read(place := local(folder))
        if study is None:
            raise UserError(f"{folder} is not a store: it does not contain {STUDY.file}.")
        store._set(place, study)
        return store

    @classmethod
    def join(cls, folder: Path, study: Mapping[str, Any]) -> Self:
        """Open a store that rank 0 of this run has made, to write to it too.

        Raises:
            UserError: If the study of rank 0 is another.
        """
        store = cls.open(folder)
        there, here = (
            {name: value for name, value in one.items() if name not in STUDY.notes}
            for one in (store.study, STUDY.full(study))
        )
        if there != here:
            raise UserError(
                f"This rank measures something else than rank 0: {differences(there, here)} ('there' is rank 0). Every "
                "rank must be given the same model, videos and options: draw the weights from one seed, or load them."
            )
        return store

    def _set(self, folder: Path, study: Mapping[str, Any]) -> None:
        self.folder, self.study = folder, study
        self.share: range | None = None
        fetch(folder, *STUDY.owns)
        self.damaged: list[str] = []
        self._whole: dict[str, bool] = {}

    def has(self, shard: int) -> bool:
        """Whether a shard exists and is readable; an unreadable one is noted in ``damaged``."""
        files = self._files(shard)
        return files.there and self._is_whole(files)

    def _files(self, shard: int) -> Shards:
        """The files of a shard, which may be missing."""
        alone, run = one(self.folder, shard), run_of(self.folder, shard)
        return run if run.there and not alone.there else alone

    def _is_whole(self, files: Shards) -> bool:
        """Whether files can be read; merged files are checked once."""
        if files.stem not in self._whole or files.first == files.last:
            try:
                files.check()
            except UserError as error:
                self.damaged.append(str(error))
                self._whole[files.stem] = False
            else:
                self._whole[files.stem] = True
        return self._whole[files.stem]

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
            records: One per video of the shard, including skipped ones.
            judgements: Quality of the model's output, row by row.
        """
        if self._whole.get(run_of(self.folder, shard).stem) is False:
            run_of(self.folder, shard).remove()  # the merged file is damaged, and all of its shards are made again
        one(self.folder, shard).write(variants, activations, records, judgements)
        self._forget()
        run = run_of(self.folder, shard)
        if self.share is None or (run.first in self.share and run.last in self.share):
            self._put_together(shard)

    def merge(self) -> None:
        """Merge all shards that exist separately, which several ranks, or a run that was killed, may have left so."""
        alone = Counter(files.first // RUN for files in there_in(self.folder) if files.first == files.last)
        for run in (run for run, count in alone.items() if count == RUN):
            self._put_together(run * RUN)
        self._forget()

    def _put_together(self, shard: int) -> None:
        """Merge shards if all of them exist separately."""
        run = run_of(self.folder, shard)
        parts = [one(self.folder, number) for number in range(run.first, run.last + 1)]
        if self.study["format"] > 1 and not run.there and all(part.there for part in reversed(parts)):
            run.put_together(parts)
            self._whole.pop(run.stem, None)
            self._forget()

    def _forget(self) -> None:
        """Forget the index, so that it is read again."""
        for name in ("_layout", "_last_members"):
            self.__dict__.pop(name, None)

    def check(self) -> None:
        """Check that all existing shards can be read.

        Raises:
            UserError: If a shard is unreadable.
        """
        for files in there_in(self.folder):
            files.check()

    def shards(self) -> list[int]:
        """Numbers of the existing shards."""
        return sorted({number for files in there_in(self.folder) for number in range(files.first, files.last + 1)})

    @property
    def _segments(self) -> list[Segment]:
        """The places of all rows, shard by shard."""
        return self._layout[0]

    @cached_property
    def _layout(self) -> tuple[list[Segment], Index]:
        """The places of all rows, and their keys as numbers: read once."""
        segments: list[Segment] = []
        videos: dict[str, int] = {}
        cells: dict[Cell, int] = {}
        numbers = [np.empty((2, 0), np.intp)]
        for files, used in self._counted():
            table = files.index()
            place, names = pd.factorize(table["video"])
            video = _numbered(names, videos)[place]
            place, kinds = _distinct(table[KEY[1:]])
            cell = _numbered(kinds, cells)[place]
            start, rows = (0, len(table)) if used is None else used
            segments.append(Segment(files, start, rows))
            numbers.append(np.stack([video, cell])[:, start : start + rows])
        video, cell = np.concatenate(numbers, axis=1)
        return segments, Index(list(videos), list(cells), video, cell)

    def _counted(self) -> Iterator[tuple[Shards, tuple[int, int] | None]]:
        """Existing files in the order of their shards, with the rows that count and their start; ``None`` for all."""
        there = there_in(self.folder)
        alone = {files.first for files in there if files.first == files.last}
        in_runs: set[int] = set()
        for files in there:
            inside = range(files.first, files.last + 1)
            if files.first == files.last:
                if files.first not in in_runs:
                    yield files, None
            elif not alone.intersection(inside):
                yield files, None
            else:
                in_runs.update(inside)
                start = 0
                for member in files.members():
                    made_again = member.shard in alone
                    yield (one(self.folder, member.shard), None) if made_again else (files, (start, member.rows))
                    start += member.rows

    def index(self) -> pd.DataFrame:
        """Key of every row, in the order of :meth:`stage`, and the judgements of its output."""
        tables = [files.index().iloc[start : start + rows] for files, start, rows in self._segments]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=KEY)

    def keys(self) -> Index:
        """The key of every row, as numbers: read once."""
        return self._layout[1]

    def variants(self) -> list[Variant]:
        """The key of every row, as variants."""
        return list(self.keys())

    def judgements(self) -> pd.DataFrame | None:
        """Video, its sequence, style, order, replicate and every measure of the output; ``None`` if none was judged."""
        index = self.index()
        if len(index.columns) == len(KEY):
            return None
        sequences = {record["video"]: record.get("sequence") for record in self.records()}
        index.insert(1, "sequence", index["video"].map(sequences))
        return index

    def records(self, shard: int | None = None) -> list[Record]:
        """The record of every video (of a shard), or why it was skipped."""
        if shard is not None:
            return self._members(self._files(shard))[shard]
        alone = {files.first for files in there_in(self.folder) if files.first == files.last}
        found: dict[int, list[Record]] = {}
        for files in there_in(self.folder):
            found |= {n: of for n, of in self._members(files).items() if files.first == files.last or n not in alone}
        return [record for number in sorted(found) for record in found[number]]

    def _members(self, files: Shards) -> dict[int, list[Record]]:
        """Shard → records; those of the last files read are cached."""
        last: tuple[str, dict[int, list[Record]]] | None = self.__dict__.get("_last_members")
        if last is None or last[0] != files.stem or files.first == files.last:
            last = files.stem, {member.shard: member.records for member in files.members()}
            self.__dict__["_last_members"] = last
        return last[1]

    def details(self) -> dict[str, Mapping[str, Any]]:
        """Video → the entries of its record that scores use, if any."""
        equal: dict[str, Mapping[str, Any]] = {}
        found = {}
        for files in there_in(self.folder):
            for record in (record for of in self._members(files).values() for record in of):
                if asked := {name: record[name] for name in SCORED if record.get(name) is not None}:
                    found[record["video"]] = equal.setdefault(repr(asked), asked)
        return found

    def stage(self, name: str, units: slice = slice(None), rows: Ints | None = None) -> npt.NDArray[np.float32]:
        """Activations of a stage, ``(rows, C)``, or of some of its units and rows.

        Args:
            name: The stage.
            units: Units to read.
            rows: Numbers of rows, in rising order.
        """
        starts = np.cumsum([0, *(segment.rows for segment in self._segments)])
        if rows is None:
            filled = [segment for segment in self._segments if segment.rows]
            return _joined([x for files, at, n in filled for x in files.stage(name, [slice(at, at + n)], units)])
        parts = []
        place = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(place):
            files, at, _ = self._segments[number]
            wanted = rows[place == number] - starts[number] + at
            runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > GAP) + 1)
            found = files.stage(name, [slice(int(run[0]), int(run[-1]) + 1) for run in runs], units)
            parts += [x if len(x) == len(run) else x[run - run[0]] for x, run in zip(found, runs, strict=True)]
        return _joined(parts)

    def units(self, shard: int | None = None) -> dict[str, int]:
        """Stage → number of units, in the order of the study; as a shard has them, or the first that has any."""
        for files in there_in(self.folder) if shard is None else [self._files(shard)]:
            if sizes := {name: units for name, (_, units) in files.shapes().items()}:
                return {name: sizes[name] for name in self.study.get("stages", sizes)}
        return {}

    def keep_pictures(self, pictures: pd.DataFrame) -> None:
        """Keep small pictures of the clips that the model is shown; see :mod:`static_dynamic.report.strips`."""
        write_bytes(self.folder / PICTURES, pictures.to_parquet(index=False))

    def pictures(self) -> pd.DataFrame | None:
        """The pictures; ``None`` if they are missing, as in stores of earlier versions, or unreadable."""
        try:
            return read_parquet((self.folder / PICTURES).read_bytes())
        except (OSError, ValueError, ArrowException):
            return None


def _numbered(keys: Iterable[Any], numbers: dict[Any, int]) -> Ints:
    """Numbers of keys; new keys are added."""
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)


def _distinct(table: pd.DataFrame) -> tuple[Ints, list[Cell]]:
    """The condition of every row, and the conditions in the order of their first occurrence."""
    code = np.zeros(len(table), np.intp)
    for name in table:
        place, found = pd.factorize(table[name])
        code = code * max(1, len(found)) + place
    place, _ = pd.factorize(code)
    first = np.unique(place, return_index=True)[1]
    return place, [Cell(*row) for row in table.iloc[first].itertuples(index=False)]


def _joined(parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
