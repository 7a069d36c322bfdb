"""Pictures of digits: scikit-learn's bundled set, which needs no network, or MNIST."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.media.clip import Frames
from static_dynamic.optional import need

SETS = ("sklearn", "mnist")
SPLITS = ("train", "val")
SIDE = 28
"""Side of every picture, pixels; the digit itself fits into 20 × 20 in its middle."""
STROKE = 20


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
    """The digits of one split; no picture is in both.

    Args:
        kind: ``"sklearn"``: 1797 digits of 8 × 8 pixels, scaled up; the last fifth is for validation.
            ``"mnist"``: 70,000 digits and their published splits, through torchvision.
        split: ``"train"`` or ``"val"``.
        root: Folder of MNIST.
        download: Whether to fetch MNIST if it is not there.

    Raises:
        UserError: If the set or the split does not exist, or the pictures cannot be had.
    """
    for name, given, allowed in (("set of digits", kind, SETS), ("split", split, SPLITS)):
        if given not in allowed:
            raise unknown(name, given, allowed)
    return _mnist(split, root, download) if kind == "mnist" else _sklearn(split)


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


def _mnist(split: str, root: Path | None, download: bool) -> Digits:
    if root is None:
        raise UserError("Where is MNIST? Give a folder, or use the digits of 'sklearn'.")
    try:
        data = need("torchvision.datasets", UserError).MNIST(root, train=split == "train", download=download)
    except (RuntimeError, OSError) as error:
        hint = "no network?" if download else "allow the download"
        raise UserError(
            f"No MNIST in {root} ({' '.join(str(error).split())}): {hint}, or use the digits of 'sklearn'."
        ) from None
    return Digits(data.data.numpy(), data.targets.numpy().astype(np.intp))
