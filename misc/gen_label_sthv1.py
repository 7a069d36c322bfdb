"""Lists of Something-Something v1, from its annotations and its frames, in the published format.

python misc/gen_label_sthv1.py ANNOTATIONS FRAMES [--out LISTS]

ANNOTATIONS holds something-something-v1-{labels,train,validation,test}.csv. Written: category.txt and
{train,val,test}_videofolder.txt with lines `<id> <frames> <label>`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.misc.gen_label_sthv2 import tell
from static_dynamic.training.labels import label_sthv1


def run(annotations: Path, frames: Path, /, *, out: Path | None = None) -> None:
    """Write the lists.

    Args:
        annotations: Folder of the published annotations.
        frames: Folder of the frame folders.
        out: Folder for the lists. By default that of the annotations.
    """
    tell(label_sthv1(annotations, frames, out or annotations))


if __name__ == "__main__":
    sys.exit(script(run))
