"""Draw a small data set in the layout of DAVIS: moving shapes with exact masks. It needs neither data nor network.

python misc/render_small_davis.py data/small_davis
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.sources.small_davis import write_small_davis


def run(out: Path, /, *, frames: int = 6, sequences: int = 3) -> None:
    """Write the data set.

    Args:
        out: Folder of the data set.
        frames: Frames of a sequence.
        sequences: Sequences, at most 3.
    """
    root = write_small_davis(out, frames, sequences)
    print(f"{root}: {sequences} sequences of {frames} frames, with masks.")


if __name__ == "__main__":
    sys.exit(script(run))
