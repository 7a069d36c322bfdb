"""Lists of Something-Something v2, from its annotations and its frames, in the published format.

python misc/gen_label_sthv2.py ANNOTATIONS FRAMES [--out LISTS]

ANNOTATIONS holds something-something-v2-{labels,train,validation,test}.json, or the same files without the first part
of their names, as they are delivered today. Written: category.txt and
{train,val,test}_videofolder.txt with lines `<id> <frames> <label>`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.training.labels import Written, label_sthv2


def run(annotations: Path, frames: Path, /, *, out: Path | None = None) -> None:
    """Write the lists.

    Args:
        annotations: Folder of the published annotations.
        frames: Folder of the frame folders.
        out: Folder for the lists. By default that of the annotations.
    """
    tell(label_sthv2(annotations, frames, out or annotations))


def tell(written: Written) -> None:
    """Print what was written, and what was left out."""
    for name, videos in written.listed.items():
        print(f"{name}: {videos} videos")
    if written.missing:
        print(f"Left out, since their frames are missing: {len(written.missing)} (the first is {written.missing[0]}).")


if __name__ == "__main__":
    sys.exit(script(run))
