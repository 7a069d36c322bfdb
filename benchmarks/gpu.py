"""What a GPU does while it measures: how busy it is, how fast, and what a precision or a compiler changes.

    python -m benchmarks.gpu                                     # needs a GPU; without one it says so and ends with 2
    python -m benchmarks.gpu --device cpu --models x3d_m --videos factorial:4 --out benchmarks/precision_cpu.csv

For every model, batch size and way (float32, bfloat16, bfloat16 with the channels of clips last, compiled):

* ``bare_clips_per_s``: forward passes alone, of batches that lie on the device;
* ``clips_per_s``: the same variants read, restyled, copied, forwarded with all stages recorded, and stored;
* ``overhead``: the ratio of both times;
* ``busy``: the share of the second time in which the device ran a kernel or a copy (from ``torch.profiler``; on a CPU
  that in which a thread was in an operator of torch);
* ``largest_share_change``: how far the share of any stage moves from that of the first way in batches of the same size,
  in points, and ``unit_change_q95`` the same for the numbers of units: 95 % of them move less.

Seconds are those of the wall on a GPU, and of the processor on a CPU, which other work changes less. The first round
of each is left out: it loads kernels, and compiles. Medians are kept.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import static_dynamic as sd
from benchmarks.one_pass import prepared_batches
from static_dynamic import Compute, Recipe, models
from static_dynamic.collect import Study, collect
from static_dynamic.common.compute import autocast, on_device
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.interventions import STRONG
from static_dynamic.measurement import planned
from static_dynamic.media.inputs import channels_last, map_tensors
from static_dynamic.network.recorder import eval_mode
from static_dynamic.network.stages import modules_by_path
from static_dynamic.scoring import Scores, Scoring, score_store
from static_dynamic.store import Store

HERE = Path(__file__).parent
WAYS: dict[str, dict[str, object]] = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16-last": {"precision": "bfloat16", "channels_last": True},
    "compiled": {},
}
"""Name of a way of forwarding → its options."""


def make_study(name: str, videos: str, size: int | None, compute: Compute, compiled: bool) -> Study:
    """The default study of a model, compiled where asked."""
    torch.manual_seed(0)
    model = models.create_model(name)
    recipe = Recipe(**model.spec.recipe).changed(image_size=size)
    options = {"layout": None, "pool": "avg", "styles": STRONG, "scrambles": None, "max_videos": None, "seed": 0}
    study = planned(model, videos, None, recipe=recipe, **options, compute=compute, scoring=None, estimators=None).study
    if compiled:
        modules = modules_by_path(model)
        compile_within(model, {modules[tap.module] for taps in study.recorder.stages.values() for tap in taps})
    return replace(study, pictured=False)


def compile_within(module: nn.Module, recorded: set[nn.Module]) -> None:
    """Compile the largest parts in which nothing is recorded: a compiler would look into the hooks."""
    for child in module.children():
        if recorded.isdisjoint(child.modules()):
            child.compile()
        else:
            compile_within(child, recorded)


def bare(study: Study, batches: Sequence, device: torch.device) -> None:
    """Forward passes alone."""
    with torch.no_grad(), autocast(device, study.compute.precision):
        for batch in batches:
            study.recorder.model(batch)
    wait(device)


def collected(study: Study, keep: Callable[[Store], None] = lambda store: None) -> None:
    """Everything up to the store, which is given to ``keep``."""
    with TemporaryDirectory() as folder:
        collect(study, store := Store(Path(folder), study.describe()))
        keep(store)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(
    function: Callable[..., object], *arguments: object, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Time of one call."""
    started = clock()
    function(*arguments)
    return clock() - started


def busy(study: Study, device: torch.device) -> float:
    """Share of the time of collecting in which the device works."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiler:
        whole = seconds(collected, study)
    events = profiler.events() or []
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in events
        if (event.device_type == torch.autograd.DeviceType.CUDA if on_gpu else event.cpu_parent is None)
    ]
    return covered(spans) / 1e6 / whole


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Length of the union of some spans of time.

    Example:
        >>> covered([(0, 2), (1, 3), (5, 6)])
        4
    """
    total, end = 0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


def scores(study: Study) -> Scores:
    """The numbers of the default estimators, without resamples."""
    found = []
    collected(study, lambda store: found.append(score_store(store, Scoring().quick, find_estimators(None))))
    return found[0]


def change(one: Scores, other: Scores) -> dict[str, float]:
    """Largest change of a share, and the change that 95 % of the numbers of units stay below, in points."""
    units = ["motion", "dynamic", "static"]
    moved = 100 * (one.units[units] - other.units[units]).abs().stack()
    return {
        "largest_share_change": float((one.layers["share"] - other.layers["share"]).abs().max()),
        "unit_change_q95": float(moved.quantile(0.95)),
    }


def compare(name: str, chosen: argparse.Namespace, device: torch.device) -> Iterator[dict[str, object]]:
    """One row per batch size and way."""
    for size in map(int, chosen.batch_sizes.split(",")):
        first = None
        for way in chosen.ways.split(","):
            compute = Compute(batch_size=size, device=str(device), workers=chosen.workers, **WAYS[way])
            study = make_study(name, chosen.videos, chosen.size, compute, way == "compiled")
            batches = prepared_batches(study)
            with ExitStack() as stack:
                stack.enter_context(on_device(study.recorder.model, device))
                stack.enter_context(eval_mode(study.recorder.model))
                there = [map_tensors(batch, lambda tensor: tensor.to(device)) for batch in batches]
                there = [channels_last(batch) for batch in there] if compute.channels_last else there
                clock = time.perf_counter if device.type == "cuda" else time.process_time
                runs = [
                    (seconds(bare, study, there, device, clock=clock), seconds(collected, study, clock=clock))
                    for _ in range(chosen.rounds + 1)
                ]
                alone, all_of_it = (median(times) for times in zip(*runs[1:], strict=True))
                found = scores(study)
                first = found if first is None else first
                clips = len(study.keys())
                yield {
                    "model": name,
                    "way": way,
                    "batch_size": size,
                    "clips": clips,
                    "size": study.recipe.crop,
                    "bare_clips_per_s": clips / alone,
                    "clips_per_s": clips / all_of_it,
                    "overhead": all_of_it / alone,
                    "busy": busy(study, device),
                    **change(found, first),
                    "version": sd.__version__,
                    "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
                    "torch": torch.__version__,
                }


def main() -> int:
    """Measure, print and save the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="cuda")
    options.add_argument("--models", default="i3d_r50_8x8,slowfast_r50_8x8,x3d_m,timesformer")
    options.add_argument("--videos", default="factorial:16")
    options.add_argument("--size", type=int)
    options.add_argument("--batch-sizes", default="1,8,32")
    options.add_argument("--ways", default=",".join(WAYS), help="the first is what the others are compared with")
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--out", type=Path, default=HERE / "gpu.csv")
    chosen = options.parse_args()
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No GPU is available. `--device cpu` tries the benchmark without one.", file=sys.stderr)
        return 2
    rows = [row for name in chosen.models.split(",") for row in compare(name, chosen, device)]
    table = pd.DataFrame(rows).round(4)
    table.to_csv(chosen.out, index=False)
    print(table.T.to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
