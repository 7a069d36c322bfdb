"""Where clips come from: files, folders of frames, lists, tar files, data sets of other libraries, generated videos."""

import os
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from static_dynamic.common.errors import UserError, reason, unknown
from static_dynamic.common.files import as_path
from static_dynamic.common.places import is_address
from static_dynamic.sources.base import FACTORIAL, MEMBERS, Source, source
from static_dynamic.sources.clips import Clips, MapStyle, is_clips
from static_dynamic.sources.davis import Davis
from static_dynamic.sources.davis_layouts import LAYOUTS as DAVIS
from static_dynamic.sources.factorial.videos import FactorialVideos, read_options
from static_dynamic.sources.frame_folders import FrameFolders
from static_dynamic.sources.hugging_face import HuggingFace, is_hugging_face
from static_dynamic.sources.plain import open_plain, with_options
from static_dynamic.sources.remote_videos import RemoteVideos
from static_dynamic.sources.style_folders import FOLDERS, StyleFolders
from static_dynamic.sources.stylized import Stylized
from static_dynamic.sources.stylized_layouts import LAYOUTS as STYLIZED
from static_dynamic.sources.video_files import VideoFiles
from static_dynamic.sources.video_list import VideoList
from static_dynamic.sources.webdataset import WebDataset, is_tar

__all__ = [
    "Clips",
    "Davis",
    "FactorialVideos",
    "FrameFolders",
    "HuggingFace",
    "RemoteVideos",
    "Source",
    "StyleFolders",
    "Stylized",
    "VideoFiles",
    "VideoList",
    "Videos",
    "WebDataset",
    "open_source",
    "source",
]

ALLOWED = "Videos must be a path, a list of paths, 'factorial', a data set or a source."


Videos: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | MapStyle | Source
"""What videos can be opened from, see `open_source`."""


def open_source(where: Videos, **options: Any) -> Source:
    """The source that fits the videos at ``where``.

    Args:
        where: ``"factorial"``, ``"factorial:24"`` for 24 clips, ``"factorial:24,content=dots,speed=fast"``,
            ``"factorial:200x2x2x2"`` for crossed clips, see `FactorialVideos`; ``"mine:…"`` for a source that was
            registered as ``mine``; a video file; a folder of video files, of frame folders or of frames; a
            list of videos, as a file (``.txt``, ``.csv``, ``.tsv``) or as paths; tar files, ``clips-{000..009}.tar``,
            see `WebDataset`; ``"hf:folder"`` or a ``datasets.Dataset``, see `HuggingFace`; a data set of torch, or
            arrays of frames, see `Clips`; ``"s3://bucket/clips/"`` for the video files below an address; or a source,
            which is returned. A folder that holds both videos and frames counts as video files.
        options: Passed to the source, e.g. ``labels="folders"``; with ``dataset`` among them, ``where`` is a data set:
            a published one, or ``"folders"`` for folders of styles.

    Raises:
        UserError: If nothing there can be read as videos, an option is unknown, or an object lacks members of a source.

    Example:
        >>> open_source("factorial:4").videos[0].name
        'factorial_0000'
    """
    if isinstance(where, str | os.PathLike):
        return _at(where, **options)
    if is_hugging_face(where):
        return with_options(HuggingFace, where, **options)
    if is_clips(where):
        return with_options(Clips, where, **options)
    if isinstance(where, Iterable) and not (hasattr(where, "read") or hasattr(where, "videos")):
        return _listed(list(where), **options)
    given = _complete(where)
    if options:
        raise UserError(f"Options of videos ({', '.join(options)}) require a path, but {given.name} is a source.")
    return given


def _at(where: str | os.PathLike[str], dataset: str | None = None, **options: Any) -> Source:
    """The source of the videos at a path."""
    if not os.fspath(where):
        raise UserError(f"{ALLOWED} Got an empty path.")
    kind, _, rest = os.fspath(where).partition(":")
    if kind == FACTORIAL:
        return with_options(FactorialVideos, **{**read_options(rest), **options})
    if kind == "synthetic":
        raise UserError(f"Generated clips are called 'factorial': 'factorial:24' gives 24 of them. Got {kind!r}.")
    if kind in source.entries:
        return _registered(kind, rest, **options)
    if dataset is None and isinstance(where, str) and is_address(where):
        return with_options(RemoteVideos, where, **options)
    if dataset is None:
        return open_plain(as_path(where), **options)
    if dataset == FOLDERS:
        return with_options(StyleFolders, where, **options)
    if dataset not in (*STYLIZED, *DAVIS):
        raise unknown("data set", dataset, [FOLDERS, *STYLIZED, *DAVIS])
    if dataset in DAVIS:
        return with_options(Davis, where, dataset, **options)
    return with_options(Stylized, where, dataset, **options)


def _listed(places: list[Any], **options: Any) -> Source:
    """The source of the videos in a list of paths."""
    if places and all(isinstance(place, str | os.PathLike) and is_tar(place) for place in places):
        return with_options(WebDataset, places, **options)
    return with_options(VideoList, places, **options)


def _registered(kind: str, rest: str, **options: Any) -> Source:
    """The source that a registered function opens."""
    try:
        opened = with_options(source[kind].function, rest, **options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The source {kind!r} cannot open {rest!r}: {reason(error)}.") from error
    return _complete(opened)


def _complete(source: object) -> Source:
    """Check that an object has every member of a source."""
    missing = [member for member in MEMBERS if not hasattr(source, member)]
    if len(missing) == len(MEMBERS):
        raise UserError(f"{ALLOWED} Got {source!r:.60}.")
    if missing or isinstance(source, type):
        what = f"The class {source.__name__}" if isinstance(source, type) else f"This {type(source).__name__}"
        lacks = f" Missing: {', '.join(missing)}." if missing else " Give an instance of it."
        raise UserError(f"{what} is not a source of videos: it must have {', '.join(MEMBERS)}.{lacks}")
    return cast(Source, source)
