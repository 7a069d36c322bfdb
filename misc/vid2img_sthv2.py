"""Frames of Something-Something v2: VIDEOS/<id>.webm → FRAMES/<id>/000001.jpg …, 256 pixels high.

python misc/vid2img_sthv2.py VIDEOS FRAMES [--workers 8]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.training.frames import BAD, Extraction, extract


def run(videos: Path, frames: Path, /, *, height: int = 256, seconds: float | None = None, workers: int = 2) -> None:
    """Extract, or resume.

    Args:
        videos: Folder of video files, or one.
        frames: Folder for the folders of frames.
        height: Height of the frames, pixels; 0: as they are.
        seconds: From the start of every video. By default all.
        workers: Processes.
    """
    found = extract(videos, frames, Extraction(height, seconds), workers)
    print(f"{found.done} videos are in {frames}.")
    if found.bad:
        print(f"{len(found.bad)} could not be read; {frames / BAD} gives the reasons. They are tried again next time.")


if __name__ == "__main__":
    sys.exit(script(run))
