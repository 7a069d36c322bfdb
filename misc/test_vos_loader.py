"""The input of a model of image and flow: a contact sheet of all variants of some videos, as they enter the model.

python misc/test_vos_loader.py --cfg-file configs/rtnet_davis.json --original-data-root DAVIS [--max-videos 4]

Takes the options of main.py; sheets go to tmp/, or to the folder of --out.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import command
from static_dynamic.misc._loader import run_loader

if __name__ == "__main__":
    sys.exit(command(lambda: run_loader(sys.argv[1:])))
