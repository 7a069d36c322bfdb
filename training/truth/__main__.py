"""Train the networks of known bias, which come with the zoo; all of them take a quarter of an hour on two cores.

    python -m training.truth [NAME …] [--jobs 2] [--over]

A name is that of a network (`python -m models list 'truth_*'`), or a pattern; without one, all are trained. What was
trained before is kept. Weights go to models/truth/weights, one line for each network to benchmarks/truth/training.csv.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError, counted
from static_dynamic.training.truth.recipe import chosen
from static_dynamic.training.truth.several import train_all

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS, TABLE = ROOT / "models" / "truth" / "weights", ROOT / "benchmarks" / "truth" / "training.csv"
MOST_JOBS = 64
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Tells the C library of Linux to keep the memory of one step for the next: a tenth faster."""


def parser() -> Parser:
    """The options of the command."""
    options = Parser("python -m training.truth", __doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help="networks, or patterns such as 'truth_cnn_*' (all)")
    options.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    options.add_argument("--over", action="store_true", help="train again what is there")
    options.add_argument("--weights", type=Path, default=WEIGHTS, help="folder for the weights (that of the zoo)")
    options.add_argument("--table", type=Path, default=TABLE, help="CSV file with what came of it")
    return options


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        UserError: For any slip in it, and if a network could not be trained.
    """
    given = parser().parse_args(arguments)
    if not 1 <= given.jobs <= MOST_JOBS:
        raise UserError(f"The '--jobs' must be between 1 and {MOST_JOBS}. Got {given.jobs}.")
    os.environ.update(KEPT)  # read by the processes that are started
    failed = train_all(chosen(given.names), given.weights, given.table, given.jobs, given.over)
    if failed:
        raise UserError(f"{counted(len(failed), 'network', 'networks')} could not be trained: {', '.join(failed)}.")


if __name__ == "__main__":
    sys.exit(command(run))
