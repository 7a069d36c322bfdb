"""Videos as people have them: one file, or a folder of files in any container that FFmpeg reads."""

from pathlib import Path

from static_dynamic.clip import Clip, Recipe, Video
from static_dynamic.errors import UserError
from static_dynamic.files import stamp
from static_dynamic.sources.base import is_hidden, known, only_as_filmed

EXTENSIONS = (
    ".mp4",
    ".avi",
    ".mkv",
    ".mov",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".3gp",
    ".ogv",
    ".gif",
)


class VideoFiles:
    """Video files: one, or all in a folder and its subfolders, sorted by path.

    A video is named by its path below the folder, extension included. The clip is taken from the middle;
    rotation tags are honoured, cover art is not mistaken for the video, and frames larger than the recipe
    asks for are brought down to its short side as they are decoded.

    Args:
        root: A file or a folder.

    Raises:
        UserError: If there is nothing at ``root``, or no video in the folder.

    Example:
        >>> source = VideoFiles("clips/")                                          # doctest: +SKIP
        >>> clip = source.read(source.videos[0], Recipe(frames=8, rate=8))         # doctest: +SKIP
    """

    name = "VideoFiles"
    styles: tuple[str, ...] = ()

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._paths = {_name(path, self.root): path for path in video_paths(self.root)}
        self.videos = [Video(name) for name in self._paths]
        if not self.videos:
            raise UserError(f"No video in {self.root}. Videos are files that end in {' '.join(EXTENSIONS)}.")

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one file.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the file is no video, damaged, cut short or a single picture.
            UserError: If a style other than ``"original"`` is asked for.
        """
        from static_dynamic.sources.decoding import read_clip

        only_as_filmed(style, self.name)
        return read_clip(known(self._paths, video, self.name), recipe)

    def stamp(self, video: Video) -> str:
        """See `static_dynamic.files.stamp`."""
        return stamp(known(self._paths, video, self.name))

    def describe(self) -> dict[str, object]:
        """Root, number of videos, the rule for the clip, and the versions of the decoder."""
        from static_dynamic.sources.decoding import versions

        return {
            "kind": self.name,
            "root": str(self.root),
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }


def video_paths(root: Path) -> list[Path]:
    """Every video file at or below ``root``, sorted; hidden files and folders are passed over.

    Raises:
        UserError: If there is nothing at ``root``.
    """
    if root.is_file():
        return [root] if root.suffix.lower() in EXTENSIONS else []
    if not root.is_dir():
        raise UserError(f"No file or folder {root}. Videos are files that end in {' '.join(EXTENSIONS)}.")
    return sorted(path for path in root.rglob("*") if _is_video(path, root))


def _is_video(path: Path, root: Path) -> bool:
    """A link to nothing counts too: whoever reads it says so."""
    return path.suffix.lower() in EXTENSIONS and not is_hidden(path, root) and not path.is_dir()


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()
