"""How DAVIS and the data sets made from it are laid out on disk: their sequences, and the frames of each.

    <root>/ImageSets/480p/<split>.txt         one image (and its mask) per line, as in DAVIS-2016, or
    <root>/ImageSets/2017/<split>.txt         one sequence per line, as in DAVIS-2017
    <root>/JPEGImages/480p/<seq>/00000.jpg
    <root>/Annotations/480p/<seq>/00000.png
    <root>/FlowImages_gap1/<seq>/00000.png    flow to the next frame, as colours; FlowImages_gap-1: to the one before
    <stylized>/JPEGImages/<style>/<seq>/00000.jpg

These are the published names. Images may have any supported extension, and lists name frames by their stems.
Cinematograms and stereograms have a short video, ``<seq>/<frame>/00000.jpg``, for every frame of DAVIS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.texts import read_lines
from static_dynamic.media.images import image_at, is_image, natural_key
from static_dynamic.sources.annotations import inside
from static_dynamic.sources.walk import printable

LISTS = ("480p", "2017", "2016")
"""Folders of ``ImageSets``, in the order in which a list is searched."""
FLOW_FOLDERS = {"forward": ("FlowImages_gap1", "OpticalFlow_Real"), "backward": ("FlowImages_gap-1",)}
STYLES = {"1": "Lynx", "2": "Maruska640", "3": "Zuzka1", "4": "Zuzka2"}
"""The published styles."""
BOXES = "annotations.csv"
"""The file that MoCA has in ``Annotations`` instead of masks."""
SHORT = 10
"""Frames of a cinematogram or stereogram."""

LeaveOut = Callable[[str, str], None]
"""Takes the name of what is left out, and the reason."""


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
    return [Sequence(printable(name), name, tuple(frames)) for name, frames in _listed(root, split, leave_out).items()]


def shorts(root: Path, split: str, leave_out: LeaveOut) -> list[Sequence]:
    """The short video of every frame that the list names."""
    found = []
    for name, frames in _listed(root, split, leave_out).items():
        for frame in frames:
            folder, short = f"{name}/{frame}", printable(f"{name}_{frame}")
            stems = stems_in(image_root(root) / folder)[:SHORT]
            if stems:
                found.append(Sequence(short, folder, tuple(stems)))
            else:
                leave_out(short, f"no frames (in {image_root(root) / folder})")
    return found


@dataclass(frozen=True)
class Folders:
    """A data set made from DAVIS.

    Attributes:
        sequences: Finds its sequences.
        styles: Ids of its published styles; empty if it is not stylized.
    """

    sequences: Callable[[Path, str, LeaveOut], list[Sequence]]
    styles: tuple[str, ...] = ()


LAYOUTS: Mapping[str, Folders] = {
    "DAVIS": Folders(davis),
    "MoCA": Folders(davis),
    "StylizedDAVIS": Folders(davis, ("1", "2", "3", "4")),
    "StylizedDAVISCinematograms": Folders(shorts, ("1", "2", "3")),
    "StylizedDAVISStereograms": Folders(shorts, ("1", "2", "3", "4")),
}


def image_root(root: Path) -> Path:
    """The folder of the sequences' folders: at 480 lines if there are several resolutions."""
    folder = root / "JPEGImages"
    return folder / "480p" if (folder / "480p").is_dir() else folder


def mask_path(root: Path, folder: str, stem: str) -> Path:
    """The mask of a frame."""
    masks = root / "Annotations"
    return image_at((masks / "480p" if (masks / "480p").is_dir() else masks) / folder, stem, usual=".png")


def flow_root(root: Path, direction: str) -> Path:
    """The folder with the flow of a direction.

    Raises:
        UserError: If it is missing.
    """
    names = FLOW_FOLDERS[direction]
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise UserError(
        f"No {direction} flow in {root}: searched for {' and '.join(names)}. Compute it: static-dynamic flow {root}"
    )


def _listed(root: Path, split: str, leave_out: LeaveOut) -> dict[str, list[str]]:
    """Sequence → frames that the list of a split names, in its order; all frames if it names a whole sequence.

    A data set without lists, such as MoCA, is used as a whole.
    """
    found: dict[str, list[str]] = {}
    if not (root / "ImageSets").is_dir() and image_root(root).is_dir():
        for folder in sorted(folders_in(image_root(root))):
            _add(found, folder, stems_in(image_root(root) / folder), f"in {image_root(root) / folder}", leave_out)
        return found
    path = _list(root, split)
    for number, line in read_lines(path):
        place = PurePosixPath(line.split()[0])
        whole = not is_image(Path(place.name))
        name = inside(place.name if whole else place.parent.name, f"{path}, line {number}")
        stems = stems_in(image_root(root) / name) if whole else [place.stem]
        _add(found, name, stems, f"line {number} of {path}", leave_out)
    return found


def _add(found: dict[str, list[str]], name: str, stems: list[str], where: str, leave_out: LeaveOut) -> None:
    """Add frames of a sequence, each once."""
    if not stems:
        leave_out(name, f"no frames ({where})")
    for stem in stems:
        if stem in found.setdefault(name, []):
            leave_out(f"{name}/{stem}", f"listed more than once ({where})")
        else:
            found[name].append(stem)


def _list(root: Path, split: str) -> Path:
    for folder in LISTS:
        path = root / "ImageSets" / folder / f"{split}.txt"
        if path.is_file():
            return path
    there = sorted({path.stem for path in root.glob("ImageSets/*/*.txt")})
    if not root.is_dir() or not there:
        raise UserError(f"No data set in the layout of DAVIS in {root}: ImageSets/480p/{split}.txt is missing.")
    raise unknown("split", split, there, where=str(root / "ImageSets"))


def folders_in(place: Path) -> list[str]:
    """Names of the folders at a place, links included; none if the place does not exist."""
    return [path.name for path in place.glob("[!.]*") if path.is_dir()]


def stems_in(folder: Path) -> list[str]:
    """Names of the images in a folder, without extension, in natural order; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    return [path.stem for path in sorted(filter(is_image, folder.iterdir()), key=lambda path: natural_key(path.name))]
