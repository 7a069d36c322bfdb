"""Videos as folders of images, the way most data sets unpack them."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from static_dynamic.clip import Clip, Recipe, Video
from static_dynamic.errors import BadClip, UserError, one_line
from static_dynamic.files import stamp
from static_dynamic.sources.base import known, only_as_filmed, sampled
from static_dynamic.sources.images import EXTENSIONS, is_image, natural_key, read_images
from static_dynamic.sources.walk import folders_below, name_below


class FrameFolders:
    """Folders of images: every folder below ``root`` that holds images is one video.

    Where no folder below does, the images in ``root`` itself are the one video. Frames play in natural order
    (2 before 10). A video is named by its path below ``root``.

    Args:
        root: The folder.
        pattern: Which images are frames, e.g. ``"img_*"`` where optical flow lies in the same folders.

    Raises:
        UserError: If ``root`` is no folder or holds no images.
    """

    name = "FrameFolders"
    styles: tuple[str, ...] = ()

    def __init__(self, root: str | Path, pattern: str = "*") -> None:
        self.root = Path(root)
        self.pattern = pattern
        self._folders = {name_below(folder, self.root): folder for folder in frame_folders(self.root)}
        self.videos = [Video(name) for name in self._folders]
        if not self.videos:
            raise UserError(f"No folder of frames in {self.root}. Frames are images: {' '.join(EXTENSIONS)}.")

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one folder.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If a frame cannot be read or differs in size, if there are fewer than two, or if the
                folder holds several sequences.
            UserError: If a style other than ``"original"`` is asked for.
        """
        only_as_filmed(style, self.name)
        folder = known(self._folders, video, self.name)
        paths = frames_in(folder, self.pattern)
        sample = sampled(recipe, len(paths), folder)
        frames = read_images((paths[number] for number in sample.numbers), short_side=recipe.resize)
        return Clip(frames, sample, one_line(folder), len(paths))

    def stamp(self, video: Video) -> str:
        """See `static_dynamic.files.stamp`."""
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


def frames_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The frames in a folder, in natural order.

    Raises:
        BadClip: If they are of several sequences, such as ``img_`` and ``flow_x_``, or there is one twice.
    """
    frames = sorted(filter(is_image, folder.glob(pattern)), key=lambda path: natural_key(path.name))
    sequences = _sequences(frames)
    if pattern == "*" and len(sequences) > 1:
        raise BadClip(
            f"{folder}: holds several sequences ({', '.join(sequences)}). One folder is one video; "
            f"FrameFolders(pattern={sequences[0] + '*'!r}) takes one of them."
        )
    for before, after in pairwise(frames):
        if before.stem == after.stem:
            raise BadClip(f"{folder}: holds a frame twice, {before.name} and {after.name}.")
    return frames


def frame_folders(root: Path) -> list[Path]:
    """Folders below ``root``, links included, that hold images, in natural order; else ``root`` itself, if it does.

    Raises:
        UserError: If ``root`` is no folder, or a folder cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"No folder {root}. Frame folders are folders of {' '.join(EXTENSIONS)}.")
    holders = [folder for folder, names in folders_below(root) if any(is_image(Path(name)) for name in names)]
    below = [folder for folder in holders if folder != root]
    return sorted(below or holders, key=lambda folder: natural_key(folder.relative_to(root).as_posix()))


def _sequences(frames: list[Path]) -> list[str]:
    """What stands before the number, wherever at least two frames share it (``img_``, ``flow_x_``)."""
    prefixes = Counter(re.sub(r"[0-9]*$", "", path.stem) for path in frames)
    return [prefix for prefix, count in prefixes.items() if count > 1]
