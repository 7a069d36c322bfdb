"""Video files on an object store, each of which is fetched when it is read, and removed."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from static_dynamic.common.errors import UserError, one_line
from static_dynamic.common.places import files_below, lent, local
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.sources.base import folder_label, known, only_as_filmed
from static_dynamic.sources.video_files import EXTENSIONS
from static_dynamic.sources.walk import printable

VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""Under what name file systems say which version of a file is there, the most telling first."""


class RemoteVideos:
    """Video files below an address such as ``s3://bucket/clips/``, sorted by path; as `VideoFiles` in all else.

    A video is fetched to a temporary place when it is read, and removed afterwards.

    Args:
        root: The address of a folder.
        labels: ``"folders"`` makes the name of a video's folder its class.

    Raises:
        UserError: If the address cannot be read or does not hold a video, or a video is not in the folder of a class.
    """

    name = "RemoteVideos"
    styles: tuple[str, ...] = ()

    def __init__(self, root: str, labels: str | None = None) -> None:
        self.root = root
        self._folder = local(root)
        found = {path: info for path, info in sorted(files_below(self._folder).items()) if _is_video(path)}
        if not found:
            raise UserError(f"No video below {root}. Video files end in {' '.join(EXTENSIONS)}.")
        self._paths = {printable(path): self._folder / path for path in found}
        self._stamps = {printable(path): _stamp(info) for path, info in found.items()}
        self.videos = [Video(printable(path), folder_label(path, labels, root)) for path in found]

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one file.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the file is missing by now, not a video, damaged or truncated, or a single picture.
            UserError: If a style other than ``"original"`` is requested, or the object store fails.
        """
        from static_dynamic.media.decoding import read_clip

        only_as_filmed(style, self.name)
        with lent(known(self._paths, video, self.name)) as path:
            return read_clip(path, recipe)

    def stamp(self, video: Video) -> str:
        """What the object store said of the file when it was listed: its size and, where it says so, its version."""
        return known(self._stamps, video, self.name)

    def describe(self) -> dict[str, object]:
        """Address, number of videos, the rule for the clip, and the versions of the decoder."""
        from static_dynamic.media.decoding import versions

        return {
            "kind": self.name,
            "root": one_line(self.root),
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }


def _is_video(path: str) -> bool:
    """Whether a path is that of a video file, and no part of it is hidden."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(path).suffix.lower() in EXTENSIONS and not any(part.startswith(".") for part in parts)


def _stamp(info: Mapping[str, Any]) -> str:
    version = next((info[name] for name in VERSIONS if info.get(name) is not None), None)
    return f"{info['size']} bytes, {version}"
