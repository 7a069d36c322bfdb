"""How near every estimator is to the truth, on networks that were taught appearance, motion, both, or nothing.

    python -m benchmarks.truth.networks [NAME …] [--jobs 2] [--work FOLDER]

The truth of a stage is the share of what appearance and motion decide of its responses that depends on motion, from
an enumeration of factorial clips. One row of `networks.csv` per network, stage and estimator, one of
`networks_summary.csv` per estimator, and one of `behaviour.csv` per network, condition and head; pictures next to them.
`readings.py` states how a number is read as a share of motion. Networks that are named (or matched) have separate
tables; without names all are measured.
"""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import pandas as pd

from benchmarks.truth.networks.examining import Examined, examine
from benchmarks.truth.networks.pictures import curves, scatters
from benchmarks.truth.networks.summary import summarise
from benchmarks.truth.networks.zoo import Network, chosen
from static_dynamic.common.commands import also, script
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import make_folder, write_text
from static_dynamic.common.processes import in_processes
from static_dynamic.report.theme import save_figure

HERE = Path(__file__).parents[1]
MOST = 64


def run(*names: str, workers: Annotated[int, also("jobs")] = 2, work: Path | None = None, out: Path = HERE) -> None:
    """Run the command line.

    Args:
        names: Networks, or patterns such as 'truth_cnn_*'. By default all.
        workers: Processes.
        work: Keep activations here, and reuse those that exist.
        out: Folder for tables and pictures.
    """
    if not 1 <= workers <= MOST:
        raise UserError(f"The --workers must be between 1 and {MOST}. Got {workers}.")
    networks = chosen(names)
    with ExitStack() as stack:
        folder = work or Path(stack.enter_context(TemporaryDirectory(prefix="truth-networks-")))
        done = {}
        for network, one in in_processes(partial(examine, work=folder), networks, workers):
            done[network] = one
            print(f"{network.name}: {one.cpu_seconds:.0f} CPU seconds", flush=True)
    tables = {
        part: _joined({network: getattr(done[network], part) for network in networks}) for part in Examined._fields[:3]
    }
    write(tables["layers"], summarise(tables["layers"], tables["units"]), tables["behaviour"], out)
    print(f"{sum(one.cpu_seconds for one in done.values()):.0f} CPU seconds in all")


def write(layers: pd.DataFrame, summary: pd.DataFrame, answers: pd.DataFrame, folder: Path) -> None:
    """Tables and pictures; the summary is also printed."""
    make_folder(folder)
    digits = {"spearman": 3, "spearman_units": 3}
    for name, table, decimals in (
        ("networks", layers, 2),
        ("networks_summary", summary.round(digits), 2),
        ("behaviour", answers, 1),
    ):
        write_text(folder / f"{name}.csv", table.round(decimals).to_csv(index=False))
    for name, figure in (("networks", curves(layers)), ("networks_scatter", scatters(layers, summary))):
        for kind in ("png", "svg"):
            save_figure(figure, folder / f"{name}.{kind}")
    print(summary.round(2).to_string(index=False))


def _joined(tables: dict[Network, pd.DataFrame]) -> pd.DataFrame:
    """Tables below each other, with the name of the network first; those without rows are left out."""
    filled = [table.assign(network=network.name) for network, table in tables.items() if len(table)]
    if not filled:
        return pd.DataFrame()
    table = pd.concat(filled, ignore_index=True)
    return table[["network", *table.columns.drop("network")]]


if __name__ == "__main__":
    sys.exit(script(run))
