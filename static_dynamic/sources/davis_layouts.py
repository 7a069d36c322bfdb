"""How DAVIS and the data sets made from it lie on disk: which sequences there are, and which frames of them.

    <root>/ImageSets/480p/<split>.txt         an image (and its mask) a line, as in DAVIS-2016, or
    <root>/ImageSets/2017/<split>.txt         a sequence a line, as in DAVIS-2017
    <root>/JPEGImages/480p/<seq>/00000.jpg
    <root>/Annotations/480p/<seq>/00000.png
    <root>/FlowImages_gap1/<seq>/00000.png    flow to the next frame, drawn; FlowImages_gap-1: to the one before
    <stylized>/JPEGImages/<style>/<seq>/00000.jpg

Cinematograms and stereograms have a short video, ``<seq>/<frame>/00000.jpg``, for every frame of DAVIS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from static_dynamic.errors import UserError, unknown
from static_dynamic.sources.images import is_image, natural_key
from static_dynamic.texts import read_lines

LISTS = ("480p", "2017", "2016")
"""Folders of ``ImageSets``, in the order in which a list is looked for."""
FLOW_FOLDERS = {"forward": ("FlowImages_gap1", "OpticalFlow_Real"), "backward": ("FlowImages_gap-1",)}
STYLES = {"1": "Lynx", "2": "Maruska640", "3": "Zuzka1", "4": "Zuzka2"}
"""The published styles."""
BOXES = "annotations.csv"
"""What MoCA has below ``Annotations`` instead of masks."""
SHORT = 10
"""Frames of a cinematogram or stereogram."""

LeaveOut = Callable[[str, str], None]
"""Takes the name of what is left out, and why."""


@dataclass(frozen=True)
class Sequence:
    """A video.

    Attributes:
        name: Its name.
        folder: Its folder below every kind of data.
        frames: Stems of its files, in playing order.
    """

    name: str
    folder: str
    frames: tuple[str, ...]


def davis(root: Path, split: str, leave_out: LeaveOut) -> list[Sequence]:
    """The sequences of a split, with the frames that its list names."""
    return [Sequence(name, name, tuple(frames)) for name, frames in _listed(root, split, leave_out).items()]


def shorts(root: Path, split: str, leave_out: LeaveOut) -> list[Sequence]:
    """The short video of every frame that the list names."""
    found = []
    for name, frames in _listed(root, split, leave_out).items():
        for frame in frames:
            folder = f"{name}/{frame}"
            stems = _stems(image_root(root) / folder)[:SHORT]
            if stems:
                found.append(Sequence(f"{name}_{frame}", folder, tuple(stems)))
            else:
                leave_out(f"{name}_{frame}", f"no frames in {image_root(root) / folder}")
    return found


@dataclass(frozen=True)
class Layout:
    """A data set made from DAVIS.

    Attributes:
        sequences: Finds them.
        styles: Ids of the published styles that it has; none where it is not stylized.
    """

    sequences: Callable[[Path, str, LeaveOut], list[Sequence]]
    styles: tuple[str, ...] = ()


LAYOUTS: Mapping[str, Layout] = {
    "DAVIS": Layout(davis),
    "MoCA": Layout(davis),
    "StylizedDAVIS": Layout(davis, ("1", "2", "3", "4")),
    "StylizedDAVISCinematograms": Layout(shorts, ("1", "2", "3")),
    "StylizedDAVISStereograms": Layout(shorts, ("1", "2", "3", "4")),
}


def image_root(root: Path) -> Path:
    """Where the folders of the sequences lie: at 480 lines, where there are several resolutions."""
    folder = root / "JPEGImages"
    return folder / "480p" if (folder / "480p").is_dir() else folder


def mask_path(root: Path, folder: str, stem: str) -> Path:
    """The mask of a frame."""
    masks = root / "Annotations"
    return (masks / "480p" if (masks / "480p").is_dir() else masks) / folder / f"{stem}.png"


def flow_root(root: Path, direction: str) -> Path:
    """Where the flow of a direction lies.

    Raises:
        UserError: If it lies nowhere.
    """
    names = FLOW_FOLDERS[direction]
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise UserError(
        f"No {direction} flow in {root}: looked for {' and '.join(names)}. "
        f"Compute it: python -m static_dynamic.flow {root}"
    )


def _listed(root: Path, split: str, leave_out: LeaveOut) -> dict[str, list[str]]:
    """Sequence → frames that the list of a split names, in its order; all of a sequence that is named as a whole.

    A data set without lists, as MoCA is, is used whole.
    """
    if not (root / "ImageSets").is_dir() and image_root(root).is_dir():
        folders = sorted((path for path in image_root(root).iterdir() if path.is_dir()), key=lambda path: path.name)
        return {folder.name: stems for folder in folders if (stems := _stems(folder))}
    path = _list(root, split)
    found: dict[str, list[str]] = {}
    for number, line in read_lines(path):
        place = PurePosixPath(line.split()[0])
        whole = not place.suffix
        name = place.name if whole else place.parent.name
        stems = _stems(image_root(root) / name) if whole else [place.stem]
        if not name or not stems:
            leave_out(str(place), f"line {number} of {path} points nowhere")
        else:
            found.setdefault(name, []).extend(stems)
    return found


def _list(root: Path, split: str) -> Path:
    for folder in LISTS:
        path = root / "ImageSets" / folder / f"{split}.txt"
        if path.is_file():
            return path
    there = sorted({path.stem for path in root.glob("ImageSets/*/*.txt")})
    if not root.is_dir() or not there:
        raise UserError(f"No data set in the layout of DAVIS in {root}: it has no ImageSets/480p/{split}.txt.")
    raise unknown("split", split, there, where=str(root / "ImageSets"))


def _stems(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [path.stem for path in sorted(filter(is_image, folder.iterdir()), key=lambda path: natural_key(path.name))]
