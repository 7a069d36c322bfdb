"""Draw a small data set in the layout of DAVIS: shapes that move, with exact masks. It needs no data and no network.

python misc/render_small_davis.py data/small_davis
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.sources.small_davis import SEQUENCES, write_small_davis


def run(arguments: Sequence[str] | None = None) -> None:
    """Write it.

    Raises:
        UserError: If a number is not allowed, or the folder cannot be written.
    """
    options = Parser("render_small_davis.py", __doc__)
    options.add_argument("out", type=Path, metavar="OUT", help="folder of the data set")
    options.add_argument("--frames", type=int, default=6, help="frames of a sequence (%(default)s)")
    options.add_argument("--sequences", type=int, default=3, help=f"of them, at most {len(SEQUENCES)} (%(default)s)")
    chosen = options.parse_args(arguments)
    root = write_small_davis(chosen.out, chosen.frames, chosen.sequences)
    print(f"{root}: {chosen.sequences} sequences of {chosen.frames} frames, with masks.")


if __name__ == "__main__":
    sys.exit(command(run))
