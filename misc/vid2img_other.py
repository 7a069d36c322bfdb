"""Frames of videos of your own, the first five seconds of each: VIDEOS/<id>.mp4 → FRAMES/<id>/000001.jpg ….

python misc/vid2img_other.py VIDEOS FRAMES [--seconds 5]
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import command
from static_dynamic.misc.vid2img_sthv2 import run

if __name__ == "__main__":
    sys.exit(command(partial(run, str(__doc__), seconds=5.0)))
