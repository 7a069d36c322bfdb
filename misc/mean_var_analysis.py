"""Mean share of every stage over seeds, with 95 % intervals.

python misc/mean_var_analysis.py dim_outputs/vos_models/final/rtnet
python misc/mean_var_analysis.py runs/rtnet_1 runs/rtnet_2 runs/rtnet_3 --ddof 1 --out means.csv
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import numpy as np
import pandas as pd

from misc._tables import note, read_layers, streams
from static_dynamic.commands import Parser, command
from static_dynamic.errors import UserError
from static_dynamic.files import write_atomically
from static_dynamic.published import over_seeds
from static_dynamic.tables import in_order

NUMBERS = {"conv1": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
"""Published numbers of stages; any other stage keeps its name."""
PRINTED = {"static": "App", "dynamic": "Mot", "differ": "Res", "same": "Same", "residual": "Residual"}
"""Published words for the factors, in the order in which they are printed."""


def lines(means: pd.DataFrame) -> list[str]:
    """The published lines: factors with mean and interval; with three factors, what is left is the residual."""
    text = []
    for stream, table in streams(means):
        for stage in in_order(table, "stage"):
            name = stage.rpartition(".")[2]
            head = f"{stream} , Stage  {NUMBERS.get(name, name)}"
            rows = table[table["stage"] == stage].set_index("factor")
            mean, interval = rows["mean"], rows["interval"]
            factors = [
                f"{head} : {PRINTED[f]} :  {mean[f]:.3f}   {interval[f]:.3f}" for f in PRINTED if f in mean.index
            ]
            if len(rows) == 3:
                left = 100 - mean["dynamic"] - mean["static"]
                text.append(f"{head}   {np.round([mean['dynamic'], mean['static'], left], 1).tolist()}")
                factors[-1] = f"{head} : Residual :  {left:.3f}"
            text += factors
    return text


def analyse(arguments: Sequence[str] | None, script: str, description: str | None, factors: int, place: str) -> None:
    """Read, print and, if asked, write the means of seeds with so many factors."""
    options = Parser(script, description)
    nargs = "*" if place else "+"
    options.add_argument(
        "dir", type=Path, nargs=nargs, default=[Path(place)], help="texts, folders of them, or runs; each is a seed"
    )
    options.add_argument("--ddof", type=int, choices=(0, 1), default=0, help="1: sample standard deviation (0)")
    options.add_argument("--out", type=Path, help="CSV file to write, with all digits")
    chosen = options.parse_args(arguments)
    seeds = read_layers(chosen.dir)
    for name, table in seeds.items():
        if (given := table["factor"].nunique()) != factors:
            other = {3: "mean_var_analysis.py", 4: "mean_var_analysis_4factors.py"}.get(
                given, "no script of this folder"
            )
            raise UserError(f"{script} is for {factors} factors. {name} has {given}: {other} is for it.")
    means = over_seeds(seeds, chosen.ddof)
    if len(seeds) == 1:
        note("one seed gives no interval.")
    if chosen.out:
        write_atomically(chosen.out, lambda path: means.to_csv(path, index=False))
    print("\n".join(lines(means)))


def run(arguments: Sequence[str] | None = None) -> None:
    """Print the means.

    Raises:
        UserError: If nothing can be read, or the seeds do not fit each other.
    """
    analyse(arguments, "mean_var_analysis.py", __doc__, factors=3, place="")


if __name__ == "__main__":
    sys.exit(command(run))
