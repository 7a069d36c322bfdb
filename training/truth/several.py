"""Train several networks in parallel, each in its own process; those trained before are kept."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from static_dynamic.common.errors import counted, reason
from static_dynamic.common.files import make_folder
from static_dynamic.common.locks import locked
from static_dynamic.common.processes import in_processes
from static_dynamic.training.truth.recipe import Recipe
from static_dynamic.training.truth.table import read_table, write_table
from static_dynamic.training.truth.train import Trained, train


def train_all(recipes: Sequence[Recipe], weights: Path, table: Path, jobs: int, over: bool = False) -> list[str]:
    """Train missing networks, each in its own process; a failure is reported, and the others continue.

    Args:
        recipes: What to train, in this order.
        weights: Folder for the weights, ``<network>.safetensors``.
        table: The CSV file with a line for each network.
        jobs: Processes.
        over: Whether to train existing networks again.

    Returns:
        Networks that could not be trained.

    Raises:
        UserError: If another run uses the folder.
    """
    for folder in (weights, table.parent):
        make_folder(folder)
    failed = []
    with locked(weights / ".lock", weights):
        rows = read_table(table)
        missing = [recipe for recipe in recipes if over or not _is_there(recipe, weights, rows)]
        print(
            f"{counted(len(missing), 'network', 'networks')} to train, {len(recipes) - len(missing)} already trained."
        )
        for recipe, found in in_processes(partial(_attempt, weights=weights), missing, jobs):
            if isinstance(found, str):
                print(f"{recipe.network}: {found}", file=sys.stderr)
                failed.append(recipe.network)
            else:
                rows[recipe.network] = found
                write_table(rows, table)
    return failed


def _is_there(recipe: Recipe, weights: Path, rows: dict[str, Trained]) -> bool:
    return recipe.network in rows and _file(recipe, weights).is_file()


def _file(recipe: Recipe, weights: Path) -> Path:
    return weights / f"{recipe.network}.safetensors"


def _attempt(recipe: Recipe, weights: Path) -> Trained | str:
    """The result of training a network, or why it failed."""
    try:
        return train(recipe, _file(recipe, weights), partial(print, flush=True))
    except Exception as error:  # no error may stop the other networks
        return reason(error)
