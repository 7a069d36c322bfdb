"""Where clips come from: video files, folders of frames, stylized data sets, videos made on the spot."""

from pathlib import Path
from typing import Any

from static_dynamic.errors import UserError
from static_dynamic.sources.base import Source
from static_dynamic.sources.davis import Davis
from static_dynamic.sources.frame_folders import FrameFolders
from static_dynamic.sources.plain import open_plain
from static_dynamic.sources.style_folders import FOLDERS, StyleFolders
from static_dynamic.sources.stylized import Stylized
from static_dynamic.sources.synthetic import SyntheticVideos
from static_dynamic.sources.video_files import VideoFiles

__all__ = [
    "Davis",
    "FrameFolders",
    "Source",
    "StyleFolders",
    "Stylized",
    "SyntheticVideos",
    "VideoFiles",
    "open_source",
]


def open_source(where: str | Path | Source, **options: Any) -> Source:
    """The source that fits what lies at ``where``.

    Args:
        where: ``"synthetic"``, or ``"synthetic:24"`` for 24 videos; a video file; a folder of video files, of
            frame folders or of frames; or a source, which is handed back. A folder that holds both videos and
            frames counts as video files.
        options: Passed to the source; with ``dataset`` among them, ``where`` is a stylized data set: a published one,
            or plain ``"folders"``.

    Raises:
        UserError: If nothing there can be read as videos.

    Example:
        >>> open_source("synthetic:4").videos[0].name
        'synthetic_0000'
    """
    if isinstance(where, Source):
        return where
    kind, _, count = str(where).partition(":")
    if kind == "synthetic":
        return SyntheticVideos(**_count(count, where), **options)
    root, dataset = Path(where), options.pop("dataset", None)
    if dataset is None:
        return open_plain(root, **options)
    return StyleFolders(root, **options) if dataset == FOLDERS else Stylized(root, dataset, **options)


def _count(text: str, where: object) -> dict[str, int]:
    if text and not text.isdecimal():
        raise UserError(f"The number of synthetic videos must be a whole number. Got {str(where)!r}.")
    return {"count": int(text)} if text else {}
