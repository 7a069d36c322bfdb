"""Mean share of every stage over seeds, with 95 % intervals.

python misc/mean_var_analysis.py runs/rtnet_1 runs/rtnet_2 runs/rtnet_3 --ddof 1 --out means.csv
python misc/mean_var_analysis.py dim_outputs/vos_models/final/rtnet

Of runs it averages shares; of published texts, which hold nothing better, the truncated percent. The first line states
which. Runs that differ in more than the seed are refused, unless --across names what else may differ: with random
weights, which the seed draws too, or with weights of several trainings, --across weights.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import numpy as np
import pandas as pd

from static_dynamic.common.commands import script
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.common.tables import as_csv
from static_dynamic.misc._seeds import Means, Parts, mean_over, read_seeds, require_one_study
from static_dynamic.misc._tables import note, streams
from static_dynamic.report.tables import in_order, stream_and_name

NUMBERS = {"conv1": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
"""Published numbers of stages; any other stage keeps its name."""
SCRIPTS = {3: "mean_var_analysis.py", 4: "mean_var_analysis_4factors.py", 5: "mean_var_analysis_4factors.py"}
"""Number of factors → the script for it."""
PRINTED = {"static": "App", "dynamic": "Mot", "differ": "Res", "same": "Same", "residual": "Residual"}
"""Published words for the factors, in the order in which they are printed."""


def heading(means: Means) -> str:
    """The first line, which describes the lines below it."""
    return f"# {means.quantity}: " + " and ".join(filter(None, ("mean", means.interval or "no interval")))


def lines(means: Means) -> list[str]:
    """The published lines: every factor's mean and half of its interval over seeds, or the ends of a single run's.

    With three factors, what is left is the residual.
    """
    return [line for stream, table in streams(means.table) for line in _stream_lines(stream, table)]


def _stream_lines(stream: str, table: pd.DataFrame) -> Iterator[str]:
    for stage in in_order(table, "stage"):
        name = stream_and_name(stage)[1]
        head = f"{stream} , Stage  {NUMBERS.get(name, name)}"
        rows = table[table["stage"] == stage].set_index("factor")
        three, mean = len(rows) == 3, rows["mean"]
        left = 100 - mean["dynamic"] - mean["static"]
        if three:
            yield f"{head}   {np.round([mean['dynamic'], mean['static'], left], 1).tolist()}"
        for factor in (factor for factor in PRINTED if factor in rows.index and not (three and factor == "residual")):
            yield f"{head} : {PRINTED[factor]} :  {mean[factor]:.3f}   {_interval(rows.loc[[factor]].iloc[0])}"
        if three:
            yield f"{head} : Residual :  {left:.3f}"


def _interval(row: "pd.Series[float]") -> str:
    if not np.isfinite(row["high"] - row["low"]):
        return "-"
    return f"{(row['high'] - row['low']) / 2:.3f}" if row["seeds"] > 1 else f"[{row['low']:.3f}, {row['high']:.3f}]"


def analyse(name_of_script: str, places: Sequence[Path], ddof: int, out: Path | None, across: Sequence[str]) -> None:
    """Read, print and, if requested, write the means of seeds whose factors the script is for."""
    seeds = read_seeds(places)
    for name, table in seeds.tables.items():
        factors = table["factor"].nunique()
        if SCRIPTS[factors] != name_of_script:
            raise UserError(f"{name} has {factors} factors: {SCRIPTS[factors]} is for it.")
    require_one_study(seeds, across)
    means = mean_over(seeds, ddof)
    if len(seeds.tables) == 1:
        note("one seed: there is no interval over seeds.")
    if out:
        table = means.table.assign(quantity=means.quantity, interval=means.interval)
        write_text(out, as_csv(table))
    print("\n".join([heading(means), *lines(means)]))


def run(place: Path, /, *further: Path, ddof: Literal[0, 1] = 0, out: Path | None = None, across: Parts = ()) -> None:
    """Print the means.

    Args:
        place: Run, text, or folder of one of them; each is a seed.
        further: More of them.
        ddof: 1: sample standard deviation.
        out: CSV file to write, with all digits.
        across: What runs may differ in, in addition to the seed.
    """
    analyse("mean_var_analysis.py", (place, *further), ddof, out, across)


if __name__ == "__main__":
    sys.exit(script(run))
