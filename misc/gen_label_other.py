"""A list of your own videos, from their frames, for the predictions of a trained model.

python misc/gen_label_other.py FRAMES [--out LIST]

Their class is unknown, so every line has class 0, as published.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.training.labels import label_other

PUBLISHED = "gifs-frames-5s.txt"


def run(frames: Path, /, *, out: Path | None = None) -> None:
    """Write the list.

    Args:
        frames: Folder of the frame folders.
        out: The list. By default gifs-frames-5s.txt in FRAMES.
    """
    written = label_other(frames, out or frames / PUBLISHED)
    for name, videos in written.listed.items():
        print(f"{name}: {videos} videos")
    if written.missing:
        print(
            f"Left out, since a list in UTF-8 cannot hold their names: {len(written.missing)} "
            f"(the first is {written.missing[0]})."
        )


if __name__ == "__main__":
    sys.exit(script(run))
