"""Clips that are prepared once and kept in the form for the model: in memory and, beyond some size, in files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import torch

from static_dynamic.collect import Study
from static_dynamic.common.errors import UserError, counted
from static_dynamic.common.files import write_atomically
from static_dynamic.media.clip import Video
from static_dynamic.media.inputs import Inputs, tensors_of
from static_dynamic.shards import Record
from static_dynamic.variants import Cell, PreparedVideo

GIGABYTE = 10**9


@dataclass(frozen=True)
class KeptVideo(PreparedVideo):
    """A video whose variants are kept in the form for the model.

    Attributes:
        kept: Condition → the input of the model, or the file with it.
    """

    kept: Mapping[Cell, Inputs] | Path = field(default_factory=dict)

    def show(self, cell: Cell) -> Inputs:
        """The input of the model for one variant."""
        if isinstance(self.kept, Mapping):
            return self.kept[cell]
        return torch.load(self.kept, mmap=True, weights_only=True)[self.conditions.cells.index(cell)]


class Clips:
    """Prepared videos, each kept at its first use.

    Args:
        videos: Number of videos.
        memory: Gigabytes that may be kept in memory.
        disk: Gigabytes that may go to temporary files (in ``TMPDIR``).

    Raises:
        UserError: If a size is negative.
    """

    def __init__(self, videos: int, memory: float, disk: float) -> None:
        if memory < 0 or disk < 0:
            raise UserError(f"`memory` and `disk` must be 0 gigabytes or more. Got {memory:g} and {disk:g}.")
        self.videos, self.memory, self.disk = videos, memory, disk
        self._kept: dict[str, KeptVideo | Record] = {}
        self._bytes, self._files = 0, 0
        self._folder: TemporaryDirectory[str] | None = None
        self._lock = Lock()

    def __getitem__(self, name: str) -> KeptVideo | Record | None:
        """A kept video, or the record of an unreadable one; ``None`` if it is new."""
        return self._kept.get(name)

    def keep(self, name: str, video: PreparedVideo | Record) -> KeptVideo | Record:
        """Keep a prepared video.

        Raises:
            UserError: If the room is too small for all videos of this size, or the disk is full.
        """
        kept = self._with_variants(video) if isinstance(video, PreparedVideo) else video
        self._kept[name] = kept
        return kept

    def _with_variants(self, video: PreparedVideo) -> KeptVideo:
        shown = {cell: video.show(cell) for cell in video.conditions.cells}
        size = sum(tensor.nbytes for inputs in shown.values() for tensor in tensors_of(inputs))
        with self._lock:
            self._check_room(size)
            self._bytes += size
            in_memory = self._bytes <= self.memory * GIGABYTE
        kept = shown if in_memory else self._on_disk(list(shown.values()))
        return KeptVideo(video.video, video.conditions, video.record, {}, kept)

    def _check_room(self, size: int) -> None:
        needed, room = self.videos * size / GIGABYTE, self.memory + self.disk
        if needed > room:
            fit = counted(int(room * GIGABYTE / size), "video", "videos")
            raise UserError(
                f"The clips of {self.videos} videos take about {needed:.3g} GB, and {room:g} GB are allowed: "
                f"{self.memory:g} in memory and {self.disk:g} on disk. The room is enough for {fit}."
            )

    def _on_disk(self, shown: list[Inputs]) -> Path:
        with self._lock:
            self._folder = self._folder or TemporaryDirectory(prefix="static-dynamic-clips-")
            self._files += 1
            path = Path(self._folder.name) / f"{self._files}.pt"
        write_atomically(path, lambda partial: torch.save(shown, partial))
        return path


@dataclass(frozen=True)
class KeptStudy(Study):
    """A study whose videos are read and prepared once, however often it is collected."""

    clips: Clips = field(default_factory=lambda: Clips(0, 0, 0))

    def prepare(self, video: Video) -> PreparedVideo | Record:
        """The kept video; it is read at its first use."""
        return self.clips[video.name] or self.clips.keep(video.name, super().prepare(video))

    def fingerprint(self) -> dict[str, str]:
        """Return nothing, since the model changes while it trains."""
        return {}


def kept_study(study: Study, memory: float, disk: float) -> KeptStudy:
    """Copy a study so that its clips are kept in the given gigabytes of memory and of disk."""
    parts = {one.name: getattr(study, one.name) for one in fields(study)}
    return KeptStudy(**{**parts, "pictured": False}, clips=Clips(len(study.videos), memory, disk))
