"""What a measurement costs beyond the bare forwards of the same clips: seconds of the processor, and their ratios.

    python -m benchmarks.overhead --models x3d_m,i3d_r50_8x8 --videos factorial:4 --size 112

(a) bare forwards of every variant, already in memory, in the same batches, up to the end of the model;
(b) the same variants read, restyled, prepared, forwarded with all stages recorded, and stored;
(c) the whole of it: (b), without random twins, and scores with intervals.

(b) and (c) do what ``static-dynamic measure`` does, in one process. The three take turns and medians are kept. Threads
of the processor are counted together, so that a busy machine changes little. ``--allocator default`` leaves freed
memory to the C library, as a library call does.
"""

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
import torch

import static_dynamic as sd
from benchmarks.one_pass import prepared_batches
from static_dynamic import Compute, Recipe, models
from static_dynamic.collect import Study, collect
from static_dynamic.interventions import STRONG
from static_dynamic.measurement import planned
from static_dynamic.network.recorder import eval_mode
from static_dynamic.store import Store

HERE = Path(__file__).parent


def make_study(model_name: str, videos: str, size: int | None) -> Study:
    """The default study of a model, with its clips at another size if one is given."""
    model = models.create_model(model_name)
    recipe = Recipe(**model.spec.recipe).changed(image_size=size)
    options = {"layout": None, "pool": "avg", "styles": STRONG, "scrambles": None, "max_videos": None, "seed": 0}
    compute = Compute(device="cpu", workers=0)
    return planned(model, videos, None, recipe=recipe, **options, compute=compute, scoring=None, estimators=None).study


def bare(study: Study, batches: list) -> None:
    """(a)."""
    with torch.no_grad(), eval_mode(study.recorder.model):
        for batch in batches:
            study.recorder.model(batch)


def collected(study: Study) -> None:
    """(b)."""
    with TemporaryDirectory() as folder:
        collect(study, Store(Path(folder), study.describe()))


def whole(study: Study) -> None:
    """(c)."""
    sd.measure(study.recorder.model, study.source, recipe=study.recipe, compute=study.compute, twins=0)


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Seconds of the processor, of all threads, that one call takes."""
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def compare(study: Study, rounds: int, allocator: str) -> dict[str, object]:
    """One row."""
    batches = prepared_batches(study)
    bare(study, batches[:1])  # warm up
    times = [(seconds(bare, study, batches), seconds(collected, study), seconds(whole, study)) for _ in range(rounds)]
    a, b, c = (median(column) for column in zip(*times, strict=True))
    clips = len(study.keys())
    return {
        "model": study.recorder.model.spec.name,
        "stages": len(study.recorder.stages),
        "clips": clips,
        "size": study.recipe.crop,
        "batch_size": study.compute.batch_size,
        "allocator": allocator,
        "bare_s_per_clip": a / clips,
        "collected_over_bare": b / a,
        "whole_over_bare": c / a,
        "version": sd.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
    }


def main() -> None:
    """Compare, print and keep the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", default="i3d_r50_8x8,x3d_m,slowfast_r50_8x8,timesformer")
    options.add_argument("--videos", default="factorial:4")
    options.add_argument("--size", type=int)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--allocator", choices=["kept", "default"], default="kept")
    options.add_argument("--out", type=Path, default=HERE / "overhead.csv")
    chosen = options.parse_args()
    if chosen.allocator == "kept":
        from static_dynamic.common.compute import keep_freed_memory

        keep_freed_memory()
    names = chosen.models.split(",")
    table = pd.DataFrame(
        [compare(make_study(name, chosen.videos, chosen.size), chosen.rounds, chosen.allocator) for name in names]
    ).round(4)
    table.to_csv(chosen.out, index=False)
    print(table.T.to_string())


if __name__ == "__main__":
    main()
