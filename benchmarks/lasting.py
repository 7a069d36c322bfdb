"""What it costs that activations are on the disk before a shard counts.

    python -m benchmarks.lasting --model x3d_m --folder /a/disk

Shards of eight videos in twelve variants, all stages of the model, are written in turn with and without waiting for the
disk; medians are kept. They are compared with the processor time of the bare forward passes of such a shard, in the
same run. The cost depends on the disk of ``--folder``, and the share on the device.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pandas as pd
import torch

from static_dynamic import Recipe, models
from static_dynamic.network.recorder import Recorder
from static_dynamic.shards import one
from static_dynamic.variants import Variant

TABLE = Path(__file__).with_name("lasting.csv")
VIDEOS, VARIANTS = 8, 12


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long some work takes."""
    started = clock()
    work()
    return clock() - started


def main() -> None:
    """Measure, and write the row of the model."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="x3d_m")
    options.add_argument("--folder", type=Path, help="on the disk to measure (default: that of temporary files)")
    options.add_argument("--times", type=int, default=20)
    chosen = options.parse_args()
    model = models.create_model(chosen.model).eval()
    recipe = Recipe(**model.spec.recipe)
    clip = torch.zeros(1, 3, *([recipe.frames, recipe.crop, recipe.crop]))
    with Recorder(model) as recorder:
        activations = recorder(clip)
        forward = median(seconds(lambda: recorder(clip), time.process_time) for _ in range(3))
    rows = VIDEOS * VARIANTS
    tensors = {stage: torch.rand(rows, found.shape[1]) for stage, found in activations.items()}
    keys = [Variant(f"v{row % VIDEOS}", str(row // VIDEOS), "intact") for row in range(rows)]
    records = [{"video": f"v{video}", "problem": None} for video in range(VIDEOS)]
    spent: dict[bool, list[float]] = {True: [], False: []}
    with TemporaryDirectory(dir=chosen.folder) as folder:
        for number in range(chosen.times):
            for waits in spent:
                shard = one(Path(folder), 2 * number + waits)
                with patch("os.fsync", os.fsync if waits else lambda descriptor: None):
                    spent[waits].append(seconds(lambda shard=shard: shard.write(keys, tensors, records, ())))
    cost = median(spent[True]) - median(spent[False])
    row = {
        "model": chosen.model,
        "units": sum(found.shape[1] for found in tensors.values()),
        "shard_kib": round(sum(found.nbytes for found in tensors.values()) / 1024),
        "write_ms": round(1000 * median(spent[False]), 2),
        "write_lasting_ms": round(1000 * median(spent[True]), 2),
        "forward_cpu_s": round(forward * rows, 2),
        "share_percent": round(100 * cost / (forward * rows), 4),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
    }
    print(row)
    before = [pd.read_csv(TABLE)] if TABLE.exists() else []
    table = pd.concat([*before, pd.DataFrame([row])]).drop_duplicates("model", keep="last")
    table.sort_values("model").to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
