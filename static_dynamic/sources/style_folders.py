"""Restyled videos without annotations: a folder for each style, with the same videos in each."""

from collections.abc import Sequence
from pathlib import Path

from static_dynamic.common.errors import UserError, one_line
from static_dynamic.common.files import as_path
from static_dynamic.media.clip import ORIGINAL, Clip, Recipe, Video
from static_dynamic.media.images import natural_key
from static_dynamic.sources.base import known
from static_dynamic.sources.left_out import summary
from static_dynamic.sources.plain import open_plain
from static_dynamic.sources.stylized import in_style, style_folders, styles_in

FOLDERS = "folders"
"""The name of such data where published data sets are selected by name."""


class StyleFolders:
    """Videos in the folders ``style_1``, ``style_2``, … of ``root``: files, or folders of frames.

    A video is used if it is in every folder: those of the styles, and that of the original videos (``style_0``,
    ``original`` or ``normal``) if it exists. The clip is its middle one.

    Args:
        root: The folder with the ``style_<k>`` folders.
        styles: The ``k`` of the folders to read; all except 0 if none is given.
        use_normal_app: Require the original videos too.
        labels: ``"folders"`` makes the name of a video's folder, below that of its style, its class.

    Attributes:
        left_out: ``(name, reason)`` of every video that is not in every folder.

    Raises:
        UserError: If a folder is missing, or no video is in every folder.
    """

    name = "StyleFolders"
    original: bool
    """Whether the original videos are available."""

    def __init__(
        self,
        root: str | Path,
        styles: Sequence[str | int] = (),
        use_normal_app: bool = False,
        labels: str | None = None,
    ) -> None:
        self.root = as_path(root)
        found = sorted((style for style in styles_in(self.root) if style != "0"), key=natural_key)
        self.styles = tuple(str(style) for style in styles or found)
        folders = style_folders(self.root, self.styles, use_normal_app)
        self._sources = {style: open_plain(folder, labels=labels) for style, folder in folders.items()}
        there = {style: {video.name for video in source.videos} for style, source in self._sources.items()}
        every = {video.name: video for source in self._sources.values() for video in source.videos}
        lacking = {name: [style for style in there if name not in there[style]] for name in every}
        self.left_out = [(name, f"not in style {', '.join(styles)}") for name, styles in lacking.items() if styles]
        self.original = ORIGINAL in self._sources
        self.left_out += [
            (f"{name} in style {style}", reason)
            for style, source in self._sources.items()
            for name, reason in source.left_out
        ]
        self._videos = {name: every[name] for name, styles in lacking.items() if not styles}
        self.videos = list(self._videos.values())
        if not self.videos:
            raise UserError(f"No video in {self.root} is in every style. {summary(self.left_out, used=0)}")

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of a video, in one style.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If it cannot be read.
            UserError: If the style is not one of ``styles``, or the original videos are missing.
        """
        return in_style(self._sources, style, self.root).read(known(self._videos, video, self.name), recipe)

    def stamp(self, video: Video) -> str:
        """The stamp of the video in all styles, see `static_dynamic.common.files.stamp`."""
        return "; ".join(source.stamp(video) for source in self._sources.values())

    def describe(self) -> dict[str, object]:
        """Root, styles, and the source of each style."""
        return {
            "kind": self.name,
            "root": one_line(self.root),
            "styles": list(self.styles),
            "videos": len(self.videos),
            "left_out": len(self.left_out),
            "folders": {style: source.describe() for style, source in self._sources.items()},
        }
