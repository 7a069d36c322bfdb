"""Videos as folders of images, as in most unpacked data sets."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import TypeVar

from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.files import as_path, stamp
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.media.images import EXTENSIONS, is_image, natural_key, read_images
from static_dynamic.media.parts import Part
from static_dynamic.media.reading import sampled
from static_dynamic.sources.base import folder_label, known, only_as_filmed
from static_dynamic.sources.walk import folders_below, name_below

Name = TypeVar("Name", bound=PurePath)


class FrameFolders:
    """Folders of images: every folder below ``root`` that holds images is one video.

    If no folder below holds any, the images in ``root`` itself are the only video. Frames play in natural order (2
    before 10). A video is named by its path below ``root``.

    Args:
        root: The folder.
        pattern: Which images are frames, e.g. ``"img_*"`` if optical flow is in the same folders.
        labels: ``"folders"`` makes the name of the parent folder of a video's folder its class.

    Attributes:
        left_out: ``(name, reason)`` of images next to the folders, which are not used.

    Raises:
        UserError: If ``root`` is not a folder or holds no images, or a video is not in the folder of a class.
    """

    name = "FrameFolders"
    styles: tuple[str, ...] = ()

    def __init__(self, root: str | Path, pattern: str = "*", labels: str | None = None) -> None:
        self.root = as_path(root)
        self.pattern = pattern
        self._folders = {name_below(folder, self.root): folder for folder in frame_folders(self.root)}
        self.videos = [
            Video(name, folder_label(folder.relative_to(self.root), labels, self.root))
            for name, folder in self._folders.items()
        ]
        beside = self.root not in self._folders.values() and any(map(is_image, self.root.iterdir()))
        self.left_out = [(name_below(self.root, self.root), "images next to the folders of frames")] if beside else []
        if not self.videos:
            raise UserError(f"No folder of frames in {self.root}. Frames are images: {' '.join(EXTENSIONS)}.")

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one folder.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If a frame cannot be read or differs in size, if there are fewer than two, or if the
                folder holds several sequences.
            UserError: If a style other than ``"original"`` is requested.
        """
        only_as_filmed(style, self.name)
        return read_folder(known(self._folders, video, self.name), recipe, self.pattern)

    def stamp(self, video: Video) -> str:
        """See `static_dynamic.common.files.stamp`."""
        return stamp(known(self._folders, video, self.name))

    def describe(self) -> dict[str, object]:
        """Root, pattern, number of videos and the rule for the clip."""
        return {
            "kind": self.name,
            "root": one_line(self.root),
            "pattern": self.pattern,
            "videos": len(self.videos),
            "clip": "middle",
        }


def read_folder(folder: Path, recipe: Recipe, pattern: str = "*", part: Part | None = None) -> Clip:
    """The clip in the middle of a folder of frames, or of a part of it.

    Raises:
        BadClip: See `FrameFolders.read`; also if the part does not contain a frame.
    """
    paths = frames_in(folder, pattern)
    if not paths:
        named = "" if pattern == "*" else f" named {pattern!r}"
        raise BadClip(f"{folder}: no images{named} in this folder. One folder must hold the frames of one video.")
    span = part.span(folder, len(paths)) if part else range(len(paths))
    sample = sampled(recipe, span, folder)
    frames = read_images((paths[number] for number in sample.numbers), short_side=recipe.resize)
    return Clip(frames, sample, one_line(folder), len(span))


def frames_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The frames in a folder, in natural order.

    Raises:
        BadClip: If they are of several sequences, such as ``img_`` and ``flow_x_``, or a frame appears twice.
    """
    return in_playing_order(filter(is_image, folder.glob(pattern)), folder, "FrameFolders", pattern)


def in_playing_order(frames: Iterable[Name], where: object, source: str, pattern: str) -> list[Name]:
    """The frames of one video in natural order.

    Args:
        frames: Their paths.
        where: The video, for messages.
        source: The source that takes a ``pattern``.
        pattern: The pattern that chose them.

    Raises:
        BadClip: See `frames_in`.
    """
    ordered = sorted(frames, key=lambda path: natural_key(path.name))
    sequences = _sequences(ordered)
    if pattern == "*" and len(sequences) > 1:
        raise BadClip(
            f"{where}: holds several sequences ({', '.join(sequences)}). One folder is one video; "
            f"{source}(pattern={sequences[0] + '*'!r}) reads one of them."
        )
    for before, after in pairwise(ordered):
        if before.stem == after.stem:
            raise BadClip(f"{where}: holds a frame twice, {before.name} and {after.name}.")
    return ordered


def frame_folders(root: Path) -> list[Path]:
    """Folders below ``root``, links included, that hold images, in natural order; else ``root`` itself, if it does.

    Raises:
        UserError: If ``root`` is not a folder, or a folder cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder. Frame folders are folders of {' '.join(EXTENSIONS)}.")
    holders = [folder for folder, names in folders_below(root) if any(is_image(Path(name)) for name in names)]
    below = [folder for folder in holders if folder != root]
    return sorted(below or holders, key=lambda folder: natural_key(folder.relative_to(root).as_posix()))


def _sequences(frames: Sequence[PurePath]) -> list[str]:
    """The text before the number, if at least two frames share it (``img_``, ``flow_x_``)."""
    prefixes = Counter(re.sub(r"[0-9]*$", "", path.stem) for path in frames)
    return [prefix for prefix, count in prefixes.items() if count > 1]
