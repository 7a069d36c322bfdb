"""All measurements of one network, in a separate process."""

from pathlib import Path
from time import process_time
from typing import NamedTuple

import pandas as pd

from benchmarks.truth.networks.behaviour import behaviour
from benchmarks.truth.networks.measuring import measured
from benchmarks.truth.networks.zoo import Network
from static_dynamic.network.fingerprint import weights_digest


class Examined(NamedTuple):
    """The results of one network.

    Attributes:
        layers: See `measuring.Found`.
        units: Likewise.
        behaviour: See `behaviour.behaviour`; empty for a random network, which answers by chance.
        cpu_seconds: Processor time.
    """

    layers: pd.DataFrame
    units: pd.DataFrame
    behaviour: pd.DataFrame
    cpu_seconds: float


def examine(network: Network, work: Path) -> Examined:
    """Measure everything; the folder in ``work`` is named after the weights, so that other weights never use it."""
    started = process_time()
    model = network.build()
    found = measured(model, work / f"{network.name}-{weights_digest(model)[:8]}")
    answers = behaviour(model) if network.taught else pd.DataFrame()
    return Examined(found.layers, found.units, answers, process_time() - started)
