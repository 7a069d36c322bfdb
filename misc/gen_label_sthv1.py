"""Lists of Something-Something v1, from its annotations and its frames, in the published format.

python misc/gen_label_sthv1.py ANNOTATIONS FRAMES [--out LISTS]

ANNOTATIONS holds something-something-v1-{labels,train,validation,test}.csv. Written: category.txt and
{train,val,test}_videofolder.txt with lines `<id> <frames> <label>`.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import command
from static_dynamic.misc.gen_label_sthv2 import run
from static_dynamic.training.labels import label_sthv1

if __name__ == "__main__":
    sys.exit(command(partial(run, str(__doc__), label_sthv1)))
