"""One pass over all stages against the published protocol and against bare forward passes, on the same clips and model.

    python -m benchmarks.one_pass --videos DIR --size 112 --count 6

(a) this project's flow: one forward pass for every variant, all stages recorded, pairs formed afterwards;
(b) the published protocol: pairs first, two forward passes a pair, one run per stage that stops after it;
(c) bare forward passes of the variants of (a), already in memory.

Seconds are compared within one run only; the ratios are what to quote. The rounds alternate, and medians are reported.
"""

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from static_dynamic import Compute, Recipe, Recorder, models
from static_dynamic.collect import Study, collect
from static_dynamic.estimators.pairs import PairRule, make_pairs
from static_dynamic.interventions import STRONG
from static_dynamic.sources import open_source
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, prepare_video, stack

HERE = Path(__file__).parent


def make_study(model_name: str, videos: str, size: int, count: int) -> Study:
    """The study that all three measure."""
    model, source = models.create_model(model_name), open_source(videos)
    recipe = Recipe(**{**model.spec.recipe, "crop": size, "short_side": size})
    return Study(Recorder(model), source, source.videos[:count], recipe, Conditions(STRONG), Compute(workers=0))


def one_pass(study: Study) -> int:
    """(a): the number of pairs that it gives for every stage."""
    with TemporaryDirectory() as folder:
        store = Store(Path(folder), study.describe())
        collect(study, store)
        return len(make_pairs(study.variants(), PairRule()).a)


def pairs_first(study: Study) -> int:
    """(b): one pair a video, a dynamic and a static one in turn; every stage is a separate run."""
    model, draw = study.recorder.model, np.random.default_rng(0)
    for stage in study.recorder.stages:
        with Recorder(model, [stage]) as record:
            for i, video in enumerate(study.videos):
                styles = tuple(draw.permutation(STRONG)[: 1 + (i % 2 == 0)])
                conditions = Conditions(styles, ("shuffle",) if i % 2 else ())
                for _, inputs in prepare_video(study.source, video, study.recipe, conditions).variants():
                    record(stack([inputs], torch.device("cpu")))
    return len(study.videos)


def prepared_batches(study: Study) -> list:
    """Every variant of (a), in its batches."""
    variants = [
        inputs
        for video in study.videos
        for _, inputs in prepare_video(study.source, video, study.recipe, study.conditions).variants()
    ]
    size = study.compute.batch_size
    return [stack(variants[i : i + size], torch.device("cpu")) for i in range(0, len(variants), size)]


@torch.no_grad()
def bare(study: Study, batches: list) -> None:
    """(c)."""
    for batch in batches:
        study.recorder.model(batch)


def seconds(function, *arguments) -> float:
    """Time of one call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def compare(study: Study, rounds: int) -> pd.DataFrame:
    """One row: medians over the rounds, per pair, and their ratios."""
    batches = prepared_batches(study)
    bare(study, batches[:1])  # warm up
    times = [
        (seconds(one_pass, study), seconds(pairs_first, study), seconds(bare, study, batches)) for _ in range(rounds)
    ]
    a, b, c = (median(column) for column in zip(*times, strict=True))
    pairs = len(make_pairs(study.variants(), PairRule()).a)
    return pd.DataFrame(
        {
            "model": [study.recorder.model.spec.name],
            "stages": len(study.recorder.stages),
            "videos": len(study.videos),
            "crop": study.recipe.crop,
            "one_pass_pairs": pairs,
            "one_pass_s_per_pair": a / pairs,
            "pairs_first_s_per_pair": b / len(study.videos),
            "bare_s_per_pair": c / pairs,
            "pairs_first_over_one_pass": (b / len(study.videos)) / (a / pairs),
            "one_pass_over_bare": a / c,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        }
    )


# VmHWM, unlike ru_maxrss, does not start with the memory of the process that started this one.
PEAK = """
import sys
from benchmarks.one_pass import make_study, one_pass
one_pass(make_study("i3d", "factorial:" + sys.argv[1], 64, int(sys.argv[1])))
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024)
"""


def peak_memory(counts: list[int]) -> pd.DataFrame:
    """Peak memory, MiB, of the whole process for several numbers of videos."""
    peaks = [
        float(subprocess.run([sys.executable, "-c", PEAK, str(n)], check=True, capture_output=True).stdout)
        for n in counts
    ]
    return pd.DataFrame({"videos": counts, "peak_mib": peaks})


def main() -> None:
    """Run both, print and save the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--videos", default="factorial")
    options.add_argument("--models", default="i3d_r50_8x8,slowfast_r50_8x8")
    options.add_argument("--size", type=int, default=112)
    options.add_argument("--count", type=int, default=6)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    tables = [
        compare(make_study(name, chosen.videos, chosen.size, chosen.count), chosen.rounds)
        for name in chosen.models.split(",")
    ]
    for name, table in {"one_pass": pd.concat(tables), "memory": peak_memory([8, 32, 64])}.items():
        table.round(4).to_csv(HERE / f"{name}.csv", index=False)
        print(table.round(4).T.to_string(), end="\n\n")


if __name__ == "__main__":
    main()
