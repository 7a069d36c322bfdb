"""Frames of Something-Something v2: VIDEOS/<id>.webm → FRAMES/<id>/000001.jpg …, 256 pixels high.

python misc/vid2img_sthv2.py VIDEOS FRAMES [--workers 8]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.training.frames import BAD, Extraction, extract


def run(about: str = str(__doc__), seconds: float | None = None) -> None:
    """Extract, or go on extracting.

    Raises:
        UserError: If there is no video, or the folder of frames was begun with other settings.
    """
    options = Parser(Path(sys.argv[0]).name, about)
    options.add_argument("videos", type=Path, help="folder of video files, or one")
    options.add_argument("frames", type=Path, help="folder for the folders of frames")
    options.add_argument("--height", type=int, default=256, help="of the frames, pixels; 0: as they are (default: 256)")
    options.add_argument(
        "--seconds", type=float, default=seconds, help=f"from the start of every video (default: {seconds or 'all'})"
    )
    options.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    chosen = options.parse_args()
    found = extract(chosen.videos, chosen.frames, Extraction(chosen.height, chosen.seconds), chosen.workers)
    print(f"{found.done} videos are in {chosen.frames}.")
    if found.bad:
        print(f"{len(found.bad)} could not be read; {chosen.frames / BAD} says why. They are tried again next time.")


if __name__ == "__main__":
    sys.exit(command(run))
