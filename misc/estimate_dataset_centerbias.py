"""Where the objects of a segmentation data set are: how often each position is foreground.

python misc/estimate_dataset_centerbias.py --davis DAVIS/Annotations/480p --taovos TAO-VOS/annotations/val
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.commands import script
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.files import write_atomically
from static_dynamic.common.progress import tracked
from static_dynamic.media.images import is_image
from static_dynamic.misc._tables import note, require_folder
from static_dynamic.sources.base import is_hidden
from static_dynamic.sources.masks import foreground, read_mask

SIZE = (480, 854)
MASKS = {"davis": "*/*", "taovos": "*/*/*"}
"""Where the masks of a data set are below its root."""


def find_masks(root: Path, pattern: str) -> list[Path]:
    """The masks below a root, in a fixed order.

    Raises:
        UserError: If there are none.
    """
    require_folder(root)
    masks = sorted(path for path in root.glob(pattern) if is_image(path) and not is_hidden(path, root))
    if not masks:
        raise UserError(f"{root} does not contain masks: images {pattern}.")
    return masks


def centre_bias(masks: Sequence[Path]) -> tuple[npt.NDArray[np.float64], int]:
    """Share of the masks in which each position is foreground, ``(480, 854)`` in 0..1, and how many masks were read.

    Raises:
        UserError: If none can be read.
    """
    total, count = np.zeros(SIZE), 0
    for path in tracked(masks, "masks"):
        try:
            total += foreground(read_mask(path, SIZE))
            count += 1
        except BadClip as bad:
            note(f"skipped {bad}")
    if not count:
        raise UserError(f"None of {len(masks)} masks can be read.")
    return total / count, count


def write_prior(prior: npt.NDArray[np.float64], path: Path) -> None:
    """Write a map of shares as a grey picture, white where it is largest."""
    grey = np.rint(255 * prior / max(prior.max(), 1e-12)).astype(np.uint8)
    write_atomically(path, lambda partial: Image.fromarray(grey).save(partial, format="png"))


def run(*, davis: Path | None = None, taovos: Path | None = None, out: Path = Path()) -> None:
    """Write ``saliency_prior_<dataset>.png`` for every root that is given.

    Args:
        davis: Folder whose images */* are masks.
        taovos: Folder whose images */*/* are masks.
        out: Folder to write into.
    """
    masks = {
        dataset: find_masks(root, MASKS[dataset]) for dataset, root in (("davis", davis), ("taovos", taovos)) if root
    }
    if not masks:
        raise UserError("A data set is required. Give --davis or --taovos with the folder of its masks.")
    for dataset, paths in masks.items():
        prior, count = centre_bias(paths)
        path = out / f"saliency_prior_{dataset}.png"
        write_prior(prior, path)
        print(f"{path}: {count} masks; a position is foreground in up to {100 * prior.max():.1f} % of them.")


if __name__ == "__main__":
    sys.exit(script(run))
