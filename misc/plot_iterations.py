"""Share of every factor over the iterations of a training, a picture per stage.

python misc/plot_iterations.py --in_dir results --out_plot 'course_%s.png'

The iteration ends the name of a text (`matnet_1000.txt`, or with a seed `matnet_1000_final_001.txt`) or of a run.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

from misc._tables import pick, picture, read_layers
from static_dynamic.commands import Parser, command
from static_dynamic.errors import UserError
from static_dynamic.published import over_seeds
from static_dynamic.report.plots import save_figure
from static_dynamic.report.scores import plot_course


def iteration(name: str) -> int:
    """The iteration that the name of a file or a run tells.

    Example:
        >>> iteration("out/matnet_1000.txt"), iteration("runs/matnet_2000"), iteration("rtnet_500_final_001.txt")
        (1000, 2000, 500)
    """
    match = re.search(r"(?<!_final)_(\d+)(?:_final_\d+)?(?:\.txt)?$", Path(name).name)
    if match is None:
        raise UserError(f"{name} must end in its iteration, as model_1000.txt or model_1000_final_001.txt do.")
    return int(match[1])


def course(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Means of every iteration over its seeds: columns ``iteration``, ``stage``, ``factor``, ``mean``, ``interval``."""
    groups: dict[int, dict[str, pd.DataFrame]] = {}
    for name, table in tables.items():
        groups.setdefault(iteration(name), {})[name] = table
    return pd.concat([over_seeds(seeds).assign(iteration=number) for number, seeds in sorted(groups.items())])


def run(arguments: Sequence[str] | None = None) -> None:
    """Draw the course of every stage.

    Raises:
        UserError: If nothing can be read, a name tells no iteration, or a stage is unknown.
    """
    options = Parser("plot_iterations.py", __doc__)
    options.add_argument("--in_dir", type=Path, required=True, help="folder of texts, at any depth, or of runs")
    options.add_argument("--out_plot", type=Path, required=True, help="pictures: %%s is the stage")
    options.add_argument("--stages", nargs="+", default=["*"], help="names or globs (all)")
    chosen = options.parse_args(arguments)
    texts = sorted(chosen.in_dir.rglob("[!.]*.txt"))
    means = pick(course(read_layers(texts or [chosen.in_dir])), chosen.stages)
    for stage, table in means.groupby("stage", sort=False):
        path = picture(chosen.out_plot, str(stage))
        save_figure(plot_course(table, str(stage)), path)
        print(path)


if __name__ == "__main__":
    sys.exit(command(run))
