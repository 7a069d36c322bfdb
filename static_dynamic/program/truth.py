"""``truth``: retrain the networks of known bias."""

import os
from pathlib import Path
from typing import Annotated

from static_dynamic.common.commands import also
from static_dynamic.common.errors import UserError, counted

MOST = 64
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Makes the C library of Linux keep the memory of one step for the next, which is 10 % faster."""


def truth(
    *names: str,
    workers: Annotated[int, also("jobs")] = 2,
    over: bool = False,
    weights: Path | None = None,
    table: Path | None = None,
) -> None:
    """Retrain the networks of known bias of the zoo; all take a quarter of an hour on two cores.

    Networks that were trained before are kept.

    Args:
        names: Networks, or patterns such as 'truth_cnn_*'. By default all.
        workers: Processes.
        over: Also retrain existing networks.
        weights: Folder for the weights. By default that of the zoo.
        table: CSV file for the results. By default benchmarks/truth/training.csv.
    """
    if not 1 <= workers <= MOST:
        raise UserError(f"The --workers must be between 1 and {MOST}. Got {workers}.")
    from static_dynamic.training.truth.places import TABLE, WEIGHTS
    from static_dynamic.training.truth.recipe import chosen
    from static_dynamic.training.truth.several import train_all

    os.environ.update(KEPT)  # read by the worker processes
    failed = train_all(chosen(names), weights or WEIGHTS, table or TABLE, workers, over)
    if failed:
        raise UserError(f"{counted(len(failed), 'network', 'networks')} could not be trained: {', '.join(failed)}.")
