"""Videos on disk: files, folders of frames, a list of both, or tar files."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.media.images import EXTENSIONS as IMAGES
from static_dynamic.media.images import is_image
from static_dynamic.sources.frame_folders import FrameFolders, frame_folders
from static_dynamic.sources.rows import EXTENSIONS as LISTS
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.sources.video_files import VideoFiles, video_paths
from static_dynamic.sources.video_list import VideoList
from static_dynamic.sources.walk import files_below, folders_below, kinds_of_files, name_below
from static_dynamic.sources.webdataset import WebDataset, is_tar

Kind = TypeVar("Kind")


def open_plain(root: Path, **options: Any) -> VideoFiles | FrameFolders | VideoList | WebDataset:
    """The source of the videos at ``root``: video files come first, then folders of frames, then tar files.

    Raises:
        UserError: If nothing there can be read as videos, or an option is unknown.
    """
    if root.suffix.lower() in LISTS and not root.is_dir():
        return with_options(VideoList, root, **options)
    if is_tar(root) and not root.is_dir():
        return with_options(WebDataset, root, **options)
    if video_paths(root):
        files = with_options(VideoFiles, root, **options)
        files.left_out = [(name, "a folder of frames next to video files") for name in _folders_beside(root)]
        files.left_out += _tar_files_beside(root, "video files")
        return files
    if root.is_dir() and frame_folders(root):
        folders = with_options(FrameFolders, root, **options)
        folders.left_out += _tar_files_beside(root, "folders of frames")
        return folders
    if root.is_dir() and any(map(is_tar, files_below(root))):
        return with_options(WebDataset, root, **options)
    there = kinds_of_files(files_below(root) if root.is_dir() else [root])
    raise UserError(
        f"No videos in {root}, which holds {there}. Video files end in {' '.join(VIDEOS)}; "
        f"folders of frames hold {' '.join(IMAGES)}; lists of videos end in {' '.join(LISTS)}; tar files end in .tar."
    )


def with_options(kind: Callable[..., Kind], *places: object, **options: Any) -> Kind:
    """Open a source with options.

    Raises:
        UserError: If an option is unknown.
    """
    allowed = list(signature(kind).parameters)[len(places) :]
    for option in options:
        if option not in allowed:
            raise unknown("option", option, allowed, where=kind.__name__)
    return kind(*places, **options)


def _tar_files_beside(root: Path, what: str) -> list[tuple[str, str]]:
    below = files_below(root) if root.is_dir() else ()
    return [(name_below(path, root), f"a tar file next to {what}") for path in below if is_tar(path)]


def _folders_beside(root: Path) -> list[str]:
    """Names of the folders below ``root`` that hold enough images to be a video."""
    if not root.is_dir():
        return []
    counts = {folder: sum(is_image(Path(name)) for name in names) for folder, names in folders_below(root)}
    return [name_below(folder, root) for folder, count in counts.items() if count > 1]
