"""Every table and picture about units and networks whose bias is known: `make truth`.

python -m benchmarks.truth                 all parts
python -m benchmarks.truth probes causal   some
static-dynamic truth                   trains the networks themselves again

A part that fails does not stop the others. Their times are written to times.csv.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd

PARTS = {
    "clips": "examples of the clips, and how fast they are drawn",
    "planted": "estimators on planted units",
    "sampling": "forward passes for a width of intervals, by design",
    "networks": "estimators on trained networks",
    "causal": "what breaks without the units of each class",
    "probes": "what can be read out, stage by stage",
}
TIMES = Path(__file__).with_name("times.csv")


class Took(NamedTuple):
    """The time of a part.

    Attributes:
        part: Its name.
        seconds: Wall-clock time.
        cpu_seconds: Processor time of all its processes.
        failed: Whether it failed.
    """

    part: str
    seconds: float
    cpu_seconds: float
    failed: bool


def run(part: str) -> Took:
    """Run a part in a separate process."""
    begun, before = time.monotonic(), _cpu_seconds()
    code = subprocess.run([sys.executable, "-m", f"benchmarks.truth.{part}"], check=False).returncode
    return Took(part, round(time.monotonic() - begun, 1), round(_cpu_seconds() - before, 1), code != 0)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run the parts and write their times."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = options.parse_args().parts or list(PARTS)
    if unknown := [part for part in chosen if part not in PARTS]:
        options.error(f"Unknown part {unknown[0]!r}. Allowed: {', '.join(PARTS)}.")
    took = []
    for part in chosen:
        print(f"{part}: {PARTS[part]}", flush=True)
        took.append(run(part))
        print(f"{part}: {took[-1].seconds} s, {took[-1].cpu_seconds} CPU s{', failed' if took[-1].failed else ''}\n")
    table = pd.DataFrame(took)
    if chosen == list(PARTS):
        table.to_csv(TIMES, index=False)
    print(table.to_string(index=False))
    return int(table["failed"].any())


if __name__ == "__main__":
    sys.exit(main())
