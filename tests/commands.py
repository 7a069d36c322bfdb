"""Commands that write to a folder, each with a line that is done in a second in the fixture `place`."""

MEASURE = "--model truth_cnn_both --videos factorial:4 --estimators released --twins 0 --replicates 10"
TRAIN = "--model tiny_models:Tiny --data frames --lists lists --workers 0 --device cpu"
LEARN = "--clip clips/a --key 00000=clips/a/00001.png --vgg none --filters 4,4,4,4,4,4 --blocks 1 --steps 1"
LINES = {
    "measure": f"{MEASURE} --out OUT",
    "score": "run --estimators released --out OUT",
    "report": "run --out OUT",
    "compare": "run run --out OUT",
    "audit": "clips --styles ink --out OUT --workers 0",
    "train": f"{TRAIN} --epochs 1 --out OUT",
    "evaluate": f"{TRAIN} --out OUT",
    "stylize": "clips --styles ink --out OUT --workers 0",
    "syncmnist": "--out OUT",
    "flow": "davis --out OUT",
    "learn": f"{LEARN} --out OUT/a.safetensors",
}
"""Command → a line with which it writes to a folder."""


def words(command, out):
    """The words of the line of a command."""
    return LINES[command].replace("OUT", str(out)).split()


def tree(folder):
    """Every file in a folder, with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
