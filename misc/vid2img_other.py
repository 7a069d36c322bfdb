"""Frames of your own videos, the first five seconds of each: VIDEOS/<id>.mp4 → FRAMES/<id>/000001.jpg ….

python misc/vid2img_other.py VIDEOS FRAMES [--seconds 5]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import script
from static_dynamic.misc import vid2img_sthv2


def run(videos: Path, frames: Path, /, *, height: int = 256, seconds: float = 5.0, workers: int = 2) -> None:
    """Extract, or resume.

    Args:
        videos: Folder of video files, or one.
        frames: Folder for the folders of frames.
        height: Height of the frames, pixels; 0: as they are.
        seconds: From the start of every video.
        workers: Processes.
    """
    vid2img_sthv2.run(videos, frames, height=height, seconds=seconds, workers=workers)


if __name__ == "__main__":
    sys.exit(script(run))
