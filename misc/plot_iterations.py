"""Share of every factor over the iterations of a training, a picture per stage.

python misc/plot_iterations.py --in_dir runs --out_plot 'course_%s.png'

The iteration ends the name of a run (`matnet_1000`) or of a text (`matnet_1000.txt`, with a seed
`matnet_1000_final_001.txt`). Runs give shares with intervals, published texts the truncated percent; the axis states
which.
"""

import re
import sys
from collections.abc import Collection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

from static_dynamic.common.commands import Several, script
from static_dynamic.common.errors import UserError
from static_dynamic.misc._seeds import Means, Parts, Seeds, mean_over, read_seeds, require_one_study
from static_dynamic.misc._tables import Width, pick, picture, require_folder
from static_dynamic.report.scores import plot_course
from static_dynamic.report.theme import save_figure

NAME = re.compile(r"(.*)(?<!_final)_(\d+)(?:_final_\d+)?(?:\.txt)?")
TRAINED = ("weights", "checkpoint")
"""What differs between the iterations of one training."""


def iteration(name: str) -> int:
    """The iteration in the name of a file or a run.

    Example:
        >>> iteration("out/matnet_1000.txt"), iteration("runs/matnet_2000"), iteration("rtnet_500_final_001.txt")
        (1000, 2000, 500)
    """
    return int(_parts(name)[1])


def course(seeds: Seeds, across: Collection[str] = ()) -> Means:
    """Means of every iteration over its seeds, with a column ``iteration``.

    Args:
        seeds: The tables of all iterations.
        across: What seeds of one iteration may differ in.

    Raises:
        UserError: If a name does not end in an iteration, or the tables are not of one training.
    """
    groups: dict[int, list[str]] = {}
    for name in seeds.tables:
        groups.setdefault(iteration(name), []).append(name)
    _require_one_training(seeds, across)
    means = {number: _mean(seeds.some(names), across) for number, names in sorted(groups.items())}
    table = pd.concat([mean.table.assign(iteration=number) for number, mean in means.items()])
    intervals = dict.fromkeys(mean.interval for mean in means.values() if mean.interval)
    return Means(table, seeds.quantity[1], "\n".join(intervals))


def _mean(seeds: Seeds, across: Collection[str]) -> Means:
    require_one_study(seeds, across)
    return mean_over(seeds)


def _parts(name: str) -> tuple[str, str]:
    """Model and iteration."""
    match = NAME.fullmatch(Path(name).name)
    if match is None:
        raise UserError(f"{name} must end in its iteration, as model_1000.txt or model_1000_final_001.txt do.")
    return match[1], match[2]


def _require_one_training(seeds: Seeds, across: Collection[str]) -> None:
    models = {_parts(name)[0]: name for name in seeds.tables}
    if len(models) > 1:
        first, second = list(models.values())[:2]
        raise UserError(f"{first} and {second} are not of one training: before the iteration their names differ.")
    if seeds.manifests:
        require_one_study(seeds, (*TRAINED, *across))


def run(*, in_dir: Path, out_plot: Path, stages: Several = ("*",), across: Parts = (), width: Width = "double") -> None:
    """Draw the course of every stage.

    Args:
        in_dir: Folder of runs or of texts, at any depth.
        out_plot: Pictures: %s is the stage.
        stages: Names or globs.
        across: What runs may differ in, in addition to the seed.
        width: Width of a figure: single, 3.35 inches, fits one column of a page; double, 6.9 inches, two.
    """
    require_folder(in_dir)
    means = course(read_seeds([in_dir], deep=True), across)
    for stage, table in pick(means.table, stages).groupby("stage", sort=False):
        path = picture(out_plot, str(stage))
        save_figure(plot_course(table, means.label, width), path, table)
        print(path)


if __name__ == "__main__":
    sys.exit(script(run))
