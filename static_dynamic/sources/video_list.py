"""Videos from a list: files and folders of frames, whole or in part, with their classes."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.files import as_path, stamp
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.sources.base import folder_label, known, only_as_filmed
from static_dynamic.sources.frame_folders import read_folder
from static_dynamic.sources.rows import Row, read_rows, rows_of
from static_dynamic.sources.walk import printable


class VideoList:
    """The videos of a list, which may hold both video files and folders of frames.

    A video is named as in the list, followed by its part if it has one: ``a.mp4@2-5.5s``. Its clip is the middle one
    of the part. Parts of one file depend on each other, so intervals are over files. A missing file gives an error of
    one line when it is read.

    Args:
        where: A list file, see :func:`static_dynamic.sources.rows.read_rows`, or paths.
        labels: ``"folders"`` gives videos without a class the name of their folder as class.

    Raises:
        UserError: If the list cannot be read, a row is invalid (its line is stated), a video appears twice, or none of
            the files exists.

    Example:
        >>> VideoList(["clips/a.mp4", "clips/b.mp4"]).videos                          # doctest: +SKIP
        [Video(name='clips/a.mp4', ...), Video(name='clips/b.mp4', ...)]
    """

    name = "VideoList"
    styles: tuple[str, ...] = ()

    def __init__(
        self, where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], labels: str | None = None
    ) -> None:
        self.left_out: list[tuple[str, str]] = []
        if isinstance(where, str | os.PathLike):
            self.list: Path | None = as_path(where)
            rows = read_rows(self.list)
        else:
            self.list, rows = None, rows_of(where)
        self._rows = _by_name(rows)
        files = Counter(_file(row) for row in rows)
        self.videos = [
            Video(
                name,
                row.label or folder_label(row.written, labels, row.where),
                row.factors,
                sequence=one_line(row.path) if files[_file(row)] > 1 else None,
            )
            for name, row in self._rows.items()
        ]
        if not any(row.path.exists() for row in rows):
            relative = "" if self.list is None else " Paths are relative to the folder of the list."
            raise UserError(f"{rows[0].where}: {rows[0].path} does not exist, nor do all others of the list.{relative}")

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one video, or of its part.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the file is missing, not a video, damaged or truncated, or its part does not contain a frame.
            UserError: If a style other than ``"original"`` is requested.
        """
        from static_dynamic.media.decoding import read_clip

        only_as_filmed(style, self.name)
        row = known(self._rows, video, self.name)
        if not row.path.exists():
            raise BadClip(f"{row.where}: {row.path} does not exist.")
        return (read_folder if row.path.is_dir() else read_clip)(row.path, recipe, part=row.part)

    def stamp(self, video: Video) -> str:
        """See `static_dynamic.common.files.stamp`."""
        return stamp(known(self._rows, video, self.name).path)

    def describe(self) -> dict[str, object]:
        """The list, the number of videos, the rule for the clip, and the versions of the decoder."""
        from static_dynamic.media.decoding import versions

        return {
            "kind": self.name,
            "list": None if self.list is None else one_line(self.list),
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }


def _by_name(rows: Sequence[Row]) -> dict[str, Row]:
    """Name → row; a video that appears twice is an error, since it would count twice."""
    found: dict[str, Row] = {}
    seen: dict[tuple[str, str], Row] = {}
    for row in rows:
        part = f"@{row.part}" if row.part else ""
        name = printable(Path(row.written).as_posix()) + part
        other = seen.setdefault((_file(row), part), row)
        if other is not row or name in found:
            raise UserError(f"{row.where}: {name} appears twice, first in {found.get(name, other).where}.")
        found[name] = row
    return found


def _file(row: Row) -> str:
    return os.path.abspath(row.path)
