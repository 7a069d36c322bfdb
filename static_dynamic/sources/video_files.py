"""Video files: one, or a folder of them, in any container that FFmpeg reads."""

from pathlib import Path

from static_dynamic.common.errors import UserError, one_line
from static_dynamic.common.files import as_path, stamp
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.sources.base import folder_label, known, only_as_filmed
from static_dynamic.sources.walk import files_below, kinds_of_files, name_below

# fmt: off
EXTENSIONS = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv",
    ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".mxf",
    ".ogv", ".dv", ".rm", ".rmvb", ".nut", ".gif",
    ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".ivf", ".y4m", ".mjpg", ".mjpeg",
)
# fmt: on


class VideoFiles:
    """Video files: one, or all in a folder and the folders below it, links included, sorted by path.

    A video is named by its path below the folder, extension included. The clip is taken from the middle.
    Frames are numbered in display order, and turned and mirrored as the file states. Those larger than the recipe
    requires are resized to its short side while they are decoded. Cover art is ignored.

    Args:
        root: A file or a folder.
        labels: ``"folders"`` makes the name of a video's folder its class.

    Attributes:
        left_out: ``(name, reason)`` of folders next to the files, which are not used.

    Raises:
        UserError: If ``root`` does not exist or does not hold a video, or a video is not in the folder of a class.

    Example:
        >>> source = VideoFiles("clips/")                                          # doctest: +SKIP
        >>> clip = source.read(source.videos[0], Recipe(frames=8, rate=8))         # doctest: +SKIP
    """

    name = "VideoFiles"
    styles: tuple[str, ...] = ()

    def __init__(self, root: str | Path, labels: str | None = None) -> None:
        self.root = as_path(root)
        self.left_out: list[tuple[str, str]] = []
        self._paths = {name_below(path, self.root): path for path in video_paths(self.root)}
        self.videos = [
            Video(name, folder_label(path.relative_to(self.root), labels, self.root))
            for name, path in self._paths.items()
        ]
        if not self.videos:
            raise no_videos(self.root)

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one file.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the file is not a video, is damaged or truncated, or is a single picture.
            UserError: If a style other than ``"original"`` is requested.
        """
        from static_dynamic.media.decoding import read_clip

        only_as_filmed(style, self.name)
        return read_clip(known(self._paths, video, self.name), recipe)

    def stamp(self, video: Video) -> str:
        """See `static_dynamic.common.files.stamp`."""
        return stamp(known(self._paths, video, self.name))

    def describe(self) -> dict[str, object]:
        """Root, number of videos, the rule for the clip, and the versions of the decoder."""
        from static_dynamic.media.decoding import versions

        return {
            "kind": self.name,
            "root": one_line(self.root),
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }


def video_paths(root: Path) -> list[Path]:
    """Every video file at or below ``root``, sorted; hidden files and folders are left out.

    Raises:
        UserError: If ``root`` does not exist, or a folder cannot be read.
    """
    if root.is_file():
        return [root] if _is_video(root) else []
    if not root.is_dir():
        raise UserError(f"{root} does not exist. {_ALLOWED}")
    return sorted(filter(_is_video, files_below(root)))


def no_videos(root: Path) -> UserError:
    """The error for a place without a video file, which lists the files there."""
    files = files_below(root) if root.is_dir() else [root]
    return UserError(f"No video in {root}, which holds {kinds_of_files(files)}. {_ALLOWED}")


_ALLOWED = f"Video files end in {' '.join(EXTENSIONS)}."


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS
