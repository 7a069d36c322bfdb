"""Lists of Something-Something v2, from its annotations and its frames, in the published format.

python misc/gen_label_sthv2.py ANNOTATIONS FRAMES [--out LISTS]

ANNOTATIONS holds something-something-v2-{labels,train,validation,test}.json, or the same files without the first part
of their names, as they are delivered today. Written: category.txt and
{train,val,test}_videofolder.txt with lines `<id> <frames> <label>`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.training.labels import Written, label_sthv2


def run(about: str = str(__doc__), label: Callable[[Path, Path, Path], Written] = label_sthv2) -> None:
    """Write the lists.

    Raises:
        UserError: If the annotations are missing or damaged, or name an unknown class.
    """
    options = Parser(Path(sys.argv[0]).name, about)
    options.add_argument("annotations", type=Path, help="folder of the published annotations")
    options.add_argument("frames", type=Path, help="folder of the frame folders")
    options.add_argument("--out", type=Path, help="folder for the lists (default: that of the annotations)")
    chosen = options.parse_args()
    written = label(chosen.annotations, chosen.frames, chosen.out or chosen.annotations)
    for name, videos in written.listed.items():
        print(f"{name}: {videos} videos")
    if written.missing:
        print(f"Left out, since there are no frames: {len(written.missing)} (the first is {written.missing[0]}).")


if __name__ == "__main__":
    sys.exit(command(run))
