"""One pass over all stages against the published protocol and against bare forward passes, on the same clips and model.

    python -m benchmarks.one_pass --videos DIR --size 112 --count 6

(a) this project's flow: one forward pass for every variant, all stages recorded, pairs formed afterwards;
(b) the published protocol: pairs first, two forward passes a pair with autograd on, one run per stage that stops after
    it, and one for the scores of the layer, another for those of units (two published commands);
(c) bare forward passes of the variants of (a), already in memory;
(d) the whole measurement: (a) with the clips of both default estimators, scores of layers and units, and intervals.

What is counted: seconds of the wall, from reading a video to the last score. Clips are read, restyled and prepared in
(a), (b) and (d) alike, although the published data sets are restyled beforehand. Pairs are those of the published
score: (d) also shows a frozen clip and two replicates, which (b) does not. Untrained copies are left out. The seconds
of (b) are those of one pair of every video, static and dynamic in turn, times the number of pairs: each costs the same.

Seconds are compared within one run only; the ratios are what to quote. The rounds alternate, and medians are reported.

A second table, ``one_pass_clips.csv``, says how many forward passes give an interval of the published width. It follows
from ``truth/sampling.csv``: widths shrink with the square root of the number of forward passes.
"""

import argparse
import platform
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

import static_dynamic as sd
from static_dynamic import Compute, Recipe, Recorder, models
from static_dynamic.collect import Study, collect
from static_dynamic.estimators.pairs import PairRule, make_pairs
from static_dynamic.interventions import STRONG
from static_dynamic.media.inputs import Inputs
from static_dynamic.network.stages import Tap, modules_by_path, place
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


class _Enough(Exception):
    """The stage has been seen."""


def pairs_first(study: Study) -> dict[str, npt.NDArray[np.float32]]:
    """(b), for scores of the layer or of units: one pair a video; every stage is a separate run."""
    draw, scores = np.random.default_rng(0), {}
    for stage, (tap,) in study.recorder.stages.items():
        pairs = []
        for i, video in enumerate(study.videos):
            styles = tuple(draw.permutation(STRONG)[: 1 + (i % 2 == 0)])
            conditions = Conditions(styles, ("shuffle",) if i % 2 else ())
            variants = prepare_video(study.source, video, study.recipe, conditions).variants()
            pairs.append([up_to(study.recorder.model, tap, inputs) for _, inputs in variants])
        first, second = np.array(pairs).swapaxes(0, 1)
        covariance = (first * second).mean(0) - first.mean(0) * second.mean(0)
        with np.errstate(invalid="ignore"):  # units that never vary
            scores[stage] = covariance / np.concatenate([first, second]).var(0)
    return scores


def up_to(model: nn.Module, tap: Tap, inputs: Inputs) -> npt.NDArray[np.float32]:
    """Pooled units of a stage for one clip, from a forward pass that keeps what gradients would need."""
    found = []

    def keep(module: nn.Module, _args: object, output: object) -> None:
        placed = place(output, tap, tap.module, module, 1, None)
        found.append(placed.layout.pool(placed.output, 1)[0])
        raise _Enough

    handle = modules_by_path(model)[tap.module].register_forward_hook(keep)
    with suppress(_Enough):
        model(stack([inputs], torch.device("cpu")))
    handle.remove()
    return found[0].detach().numpy()


def whole(study: Study) -> None:
    """(d)."""
    sd.measure(
        study.recorder.model,
        study.source,
        recipe=study.recipe,
        max_videos=len(study.videos),
        compute=study.compute,
        twins=0,
    )


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
        (
            seconds(one_pass, study),
            seconds(pairs_first, study),
            seconds(bare, study, batches),
            seconds(whole, study),
        )
        for _ in range(rounds)
    ]
    a, b, c, d = (median(column) for column in zip(*times, strict=True))
    pairs = len(make_pairs(study.variants(), PairRule()).a)
    published = b / len(study.videos) * pairs
    return pd.DataFrame(
        {
            "model": [study.recorder.model.spec.name],
            "stages": len(study.recorder.stages),
            "videos": len(study.videos),
            "crop": study.recipe.crop,
            "pairs": pairs,
            "one_pass_s": a,
            "published_layer_s": published,
            "published_layer_and_units_s": 2 * published,
            "bare_s": c,
            "whole_s": d,
            "one_pass_over_bare": a / c,
            "published_layer_over_one_pass": published / a,
            "published_layer_over_whole": published / d,
            "published_over_whole": 2 * published / d,
            "version": sd.__version__,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        }
    )


def clips_for_a_width(path: Path = HERE / "truth" / "sampling.csv") -> pd.DataFrame:
    """Forward passes for an interval as wide as the published design's, as a share of its forward passes.

    Variances fall as 1 / forward passes, so the share is the squared ratio of widths at equal numbers of them.
    """
    table = pd.read_csv(path).query("estimator == 'released'").set_index(["design", "forwards", "quantity"])
    published = table.loc["one pair of each kind, as published", ["layer_width", "unit_width"]]
    ratios = (table[["layer_width", "unit_width"]] / published) ** 2
    ratios.columns = pd.Index(["layer_forwards_over_published", "unit_forwards_over_published"])
    return ratios.reset_index()


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
    found = {
        "one_pass": pd.concat(tables),
        "one_pass_clips": clips_for_a_width(),
        "memory": peak_memory([8, 32, 64]),
    }
    for name, table in found.items():
        table.round(4).to_csv(HERE / f"{name}.csv", index=False)
        print(table.round(4).T.to_string(), end="\n\n")


if __name__ == "__main__":
    main()
