"""Videos as they lie on disk, files or folders of frames."""

from pathlib import Path
from typing import Any

from static_dynamic.errors import UserError
from static_dynamic.sources.frame_folders import FrameFolders, frame_folders
from static_dynamic.sources.images import EXTENSIONS as IMAGES
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS
from static_dynamic.sources.video_files import VideoFiles, video_paths
from static_dynamic.sources.walk import files_below, kinds_of_files


def open_plain(root: Path, **options: Any) -> VideoFiles | FrameFolders:
    """The source of the videos at ``root``; a folder that holds both videos and frames counts as video files.

    Raises:
        UserError: If nothing there can be read as videos.
    """
    if video_paths(root):
        return VideoFiles(root, **options)
    if root.is_dir() and frame_folders(root):
        return FrameFolders(root, **options)
    there = kinds_of_files(files_below(root) if root.is_dir() else [root])
    raise UserError(
        f"No videos in {root}, which holds {there}. Video files end in {' '.join(VIDEOS)}; "
        f"folders of frames hold {' '.join(IMAGES)}."
    )
