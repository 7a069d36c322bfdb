"""How long a model waits for its videos, as a share of the wall time in which it is shown them.

    python -m benchmarks.waiting --model i3d_r50_8x8

Videos of 10 s are written as MP4 (H.264, 320 x 240 pixels, 25 frames a second, see `benchmarks.reading`), read,
restyled as usual, shown to the model and stored, with 0, 1 and 2 threads that read ahead. The first video is always
waited for, so that more videos have a smaller share: ``later_percent`` leaves it out.
"""

import argparse
import os
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import pandas as pd
import torch

import static_dynamic as sd
from benchmarks.overhead import make_study
from benchmarks.reading import write_videos
from static_dynamic import collect as collecting
from static_dynamic.collect import Study, collect
from static_dynamic.common.timing import accounting
from static_dynamic.store import Store

HERE = Path(__file__).parent


def wait(study: Study, workers: int) -> dict[str, object]:
    """One row."""
    study = replace(study, compute=replace(study.compute, workers=workers))
    waited: list[float] = []
    following = collecting._next

    def timed(*arguments):
        begun = perf_counter()
        found = following(*arguments)
        waited.append(perf_counter() - begun)
        return found

    collecting._next = timed
    try:
        with accounting() as ledger, TemporaryDirectory() as folder:
            begun = perf_counter()
            collect(study, Store(Path(folder), study.describe()))
            wall = perf_counter() - begun
    finally:
        collecting._next = following
    spent = ledger.seconds
    return {
        "model": study.recorder.model.spec.name,
        "crop": study.recipe.crop,
        "videos": len(study.videos),
        "variants": len(study.keys()),
        "workers": workers,
        "wall_s": round(wall, 2),
        "model_s": round(spent["model"], 2),
        "reading_s": round(spent["reading"], 2),
        "restyling_s": round(spent["restyling"], 2),
        "preparing_s": round(spent["preparing"], 2),
        "waiting_s": round(sum(waited), 3),
        "waiting_percent": round(100 * sum(waited) / wall, 2),
        "later_percent": round(100 * sum(waited[1:]) / (wall - waited[0]), 2),
    }


def main() -> None:
    """Write a row for every number of threads."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="i3d_r50_8x8")
    options.add_argument("--size", type=int)
    options.add_argument("--count", type=int, default=8)
    options.add_argument("--workers", default="0,1,2")
    options.add_argument("--out", type=Path, default=HERE / "waiting.csv")
    chosen = options.parse_args()
    with TemporaryDirectory() as folder:
        (video,) = write_videos(Path(folder), ["h264.mp4"]).iterdir()
        for number in range(chosen.count):
            shutil.copy(video, Path(folder) / f"{number:03d}.mp4")
        video.unlink()
        study = make_study(chosen.model, folder, chosen.size)
        rows = [wait(study, int(workers)) for workers in chosen.workers.split(",")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"
    table = pd.DataFrame(rows).assign(version=sd.__version__, machine=machine)
    table.to_csv(chosen.out, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
