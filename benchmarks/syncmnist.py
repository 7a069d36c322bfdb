"""Do predicted regions help, and do they find the digits? A backbone alone, fixed nodes, DyReg and others on SyncMNIST.

    python -m benchmarks.syncmnist --jobs 2             train what syncmnist.csv does not hold yet, then draw it
    python -m benchmarks.syncmnist --preset published   the same at the published size: for a GPU
    python -m benchmarks.syncmnist_profile              measure the trained networks: syncmnist_profile.*

The backbone sees every frame by itself, so the graph is the only path along which time is seen. Every variant sees the
same clips, in the same order, for the same number of steps; a run is a function of its seed. Weights and the log go to
runs/syncmnist; a run that was stopped is made again, those that the table holds are kept.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

from static_dynamic.common.files import write_atomically
from static_dynamic.media.pictures import card, write_png
from static_dynamic.report.theme import save_figure
from static_dynamic.training.pictures import enlarged, side_by_side, stacked, with_boxes
from static_dynamic.training.regions import boxes_of
from static_dynamic.training.syncmnist.digits import SETS
from static_dynamic.training.syncmnist.fit import pretrained_front, train
from static_dynamic.training.syncmnist.judging import clips_of_test, judge, right
from static_dynamic.training.syncmnist.networks import OFFSET, VARIANTS, Network
from static_dynamic.training.syncmnist.settings import SETTINGS, Setting

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "syncmnist"
SEEDS = 3
COLOURS = dict(
    zip(VARIANTS, ("#8C8C8C", "#D55E00", "#E69F00", "#56B4E9", "#0072B2", "#CC79A7", "#009E73", "#BBBBBB"), strict=True)
)
KEYS = ["variant", "seed"]
DRAWN = ("fixed nodes", "DyReg", "DyReg at peaks", "true boxes")
SCALE = {"accuracy": 100, "distance": 1, "overlap": 1}
CONTROLS = {
    "accuracy": {"off": "x", "another": "s", "frozen": "v"},
    "distance": {"distance_shuffled": "D"},
    "overlap": {"overlap_shuffled": "D"},
}
NAMES = {
    "off": "graph switched off",
    "another": "regions of another clip",
    "frozen": "frozen clips",
    "distance_shuffled": "chance: regions of another clip",
}


@dataclass(frozen=True)
class Place:
    """Where the files of a preset lie."""

    preset: str

    @property
    def table(self) -> Path:
        """The numbers; pictures have the same name."""
        return HERE / ("syncmnist.csv" if self.preset == "small" else f"syncmnist_{self.preset}.csv")

    @property
    def log(self) -> Path:
        """What is told."""
        return RUNS / self.preset / "log.txt"

    @property
    def front(self) -> Path:
        """The weights that all networks share."""
        return RUNS / self.preset / "front.pt"

    def weights(self, variant: str, seed: int) -> Path:
        """Of a trained network."""
        return RUNS / self.preset / f"{variant.replace(',', '').replace(' ', '_')}_{seed}.pt"

    def network(self, setting: Setting, variant: str, seed: int) -> Network:
        """A trained network."""
        network = Network(setting, VARIANTS[variant])
        network.load_state_dict(torch.load(self.weights(variant, seed), weights_only=True, map_location="cpu"))
        return network.eval()


def one_run(place: Place, setting: Setting, variant: str, seed: int) -> dict[str, object]:
    """Train and judge one network; the row of the table."""
    torch.set_num_threads(1)
    started, clock, tell = time.process_time(), time.perf_counter(), partial(log, place.log)
    network = train(setting, variant, seed, place.front, tell)
    write_atomically(place.weights(variant, seed), partial(torch.save, network.state_dict()))
    found = judge(network, clips_of_test(setting))
    spent = {"cpu_seconds": time.process_time() - started, "seconds": time.perf_counter() - clock}
    tell(f"{variant}, seed {seed}: {100 * found['accuracy']:.1f} % right, {spent['cpu_seconds']:.0f} CPU seconds")
    return {"variant": variant, "seed": seed, "steps": setting.steps, **found, **spent}


def log(path: Path, line: str) -> None:
    """Tell a line, and keep it."""
    print(line, flush=True)
    with path.open("a") as file:
        file.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def run(place: Place, setting: Setting, variants: Sequence[str], seeds: int, jobs: int) -> pd.DataFrame:
    """All runs; those that the table holds are kept."""
    table = pd.read_csv(place.table) if place.table.exists() else pd.DataFrame({key: [] for key in KEYS})
    done = set(zip(table["variant"], table["seed"], strict=True))
    place.log.parent.mkdir(parents=True, exist_ok=True)
    if setting.front_steps:
        pretrained_front(setting, place.front, partial(log, place.log))
    wanted = [(variant, seed) for seed in range(seeds) for variant in variants if (variant, seed) not in done]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for job in as_completed([pool.submit(one_run, place, setting, *one) for one in wanted]):
            table = pd.concat([table, pd.DataFrame([job.result()])], ignore_index=True)
            table = table.astype({"seed": int, "steps": int}).sort_values(KEYS, ignore_index=True)
            write_atomically(place.table, partial(table.round(4).to_csv, index=False))
    return table


def interval(values: pd.Series) -> tuple[float, float]:
    """Mean and half of its 95 % interval (t), of seeds."""
    half = values.sem() * t.ppf(0.975, len(values) - 1) if len(values) > 1 else np.nan
    return values.mean(), half


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every variant: means over seeds, and the accuracy's interval."""
    rows = {}
    for variant in (name for name in VARIANTS if name in set(table["variant"])):
        one = table[table["variant"] == variant].drop(columns=["variant", "seed", "steps"])
        rows[variant] = {"±": 100 * interval(one["accuracy"])[1], **one.mean()}
    percent = ["accuracy", "frozen", "off", "another"]
    found = pd.DataFrame(rows).T
    return found.assign(**{name: 100 * found[name] for name in percent if name in found}).round(2)


def draw(table: pd.DataFrame, chance: float, path: Path) -> None:
    """Accuracy and where the regions are: a dot for every seed, the mean and its 95 % interval, and controls."""
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    panels = figure.subplots(1, 3, width_ratios=(2, 1, 1), sharey=True)
    labels = ("right, % of new clips", "digit to nearest region, pixels", "overlap of digit and region, IoU")
    columns = ("accuracy", "distance", "overlap")
    there = [name for name in VARIANTS if name in set(table["variant"])][::-1]
    for axes, label, column in zip(panels, labels, columns, strict=True):
        for place, variant in enumerate(there):
            rows = table[table["variant"] == variant]
            for control, mark in CONTROLS[column].items():
                if rows.get(control, pd.Series([np.nan])).notna().all():
                    axes.plot(rows[control].mean() * SCALE[column], place, mark, color="#555555", mfc="none", ms=8)
            if rows[column].notna().all():
                dots(axes, rows[column] * SCALE[column], place, COLOURS[variant])
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].axvline(100 * chance, color="#999999", ls=":", lw=1)
    panels[0].set_yticks(range(len(there)), there)
    for control, mark in {**CONTROLS["accuracy"], **CONTROLS["distance"]}.items():
        panels[0].plot([], [], mark, color="#555555", mfc="none", ms=8, label=NAMES[control])
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    for kind in ("png", "svg"):
        save_figure(figure, path.with_suffix(f".{kind}"))


def dots(axes: Axes, values: pd.Series, place: float, colour: str) -> None:
    """Seeds as dots, their mean as a large one with its interval."""
    mean, half = interval(values)
    axes.plot(values, np.full(len(values), place) - 0.22, ".", color=colour, alpha=0.6, ms=6)
    axes.errorbar(mean, place, xerr=None if np.isnan(half) else half, fmt="o", color=colour, ms=7, capsize=4, lw=2)


@torch.no_grad()
def draw_regions(place: Place, setting: Setting, path: Path, clips: int = 2) -> None:
    """Frames of test clips with the regions of trained networks, boxes half as wide as the windows."""
    test, rows = clips_of_test(replace(setting, tested=clips, batch=clips)), []
    factor = max(1, 128 // setting.canvas.size)
    for number in range(clips):
        frames = (255 * test.frames[number, 0]).byte().cpu().numpy()[..., None].repeat(3, -1)
        for variant in DRAWN:
            network = place.network(setting, variant, 0).to(test.frames.device)
            right(network, test)
            where = network.regions[-1]
            boxes = boxes_of(where._replace(half_size=where.half_size / 2), frames.shape[1:3])[number] + OFFSET
            drawn = [with_boxes(x, b * factor) for x, b in zip(enlarged(frames, factor), boxes, strict=True)]
            rows.append(side_by_side([card(variant, 170, drawn[0].shape[0]), *drawn]))
    write_png(stacked(rows), path)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=SETTINGS, default="small", help="(%(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="(all)")
    parser.add_argument("--digits", choices=SETS, default="sklearn", help="(%(default)s)")
    parser.add_argument("--root", type=Path, help="folder of MNIST")
    given = parser.parse_args()
    torch.set_num_threads(1)
    place, setting = Place(given.preset), replace(SETTINGS[given.preset], digits=given.digits, root=given.root)
    table = run(place, setting, given.variants, given.seeds, given.jobs)
    draw(table, 1 / setting.classes, place.table)
    if all(place.weights(variant, 0).exists() for variant in DRAWN):
        draw_regions(place, setting, place.table.with_name(f"{place.table.stem}_regions.png"))
    print(summary(table).to_string())
    print(f"{table['cpu_seconds'].sum() / 60:.0f} CPU minutes in all, {len(table)} runs")


if __name__ == "__main__":
    main()
