"""Do predicted regions help, and do they find the digits? The backbone alone, fixed nodes and DyReg on SyncMNIST.

    python -m benchmarks.syncmnist              train what is not in syncmnist.csv yet, then draw syncmnist.png
    python -m benchmarks.syncmnist --profile    measure static and dynamic in the trained networks: syncmnist_profile.*

Small enough for a CPU: three digits of three classes, four classes of clips (three pairs in step, and none; chance is
25 %), six frames of 32 pixels, and a network of five convolutions with temporal shifts. The first three know digits
from a pretraining on single ones, the same for all, and are frozen. Every variant sees the same clips, in the same
order, for the same number of steps.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import t
from torch import Tensor, nn

import static_dynamic as sd
from models.action.tsm import Shift
from models.dyreg.graph import DynamicGraph, Options, ResidualGraph
from models.dyreg.regions import Regions
from static_dynamic.common.files import write_atomically
from static_dynamic.report.plots import save_figure
from training.syncmnist import Canvas, SyncMNIST, load_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "runs" / "syncmnist"
FRAMES, WIDTH, SIDE, CELLS = 6, 32, 32, 8
CANVAS = Canvas(side=80, size=SIDE, step=24, nearest=20)
STEPS, BATCH, RATE, EVERY = 900, 32, 0.1, 150
SEEDS = (0, 1, 2)
VARIANTS = {"backbone": None, "fixed nodes": 0.0, "DyReg": 0.0, "DyReg, moving at the start": 0.5}
"""Name → the factor of the offsets at the start: 0 as published, so that every region starts at its anchor."""
COLOURS = dict(zip(VARIANTS, ("#8C8C8C", "#D55E00", "#0072B2", "#56B4E9"), strict=True))


def clips(split: str, seed: int) -> SyncMNIST:
    """As many clips as are asked for."""
    return SyncMNIST(10**6, split, CANVAS, frames=FRAMES, count=3, vocabulary=3, seed=seed)


def batch(data: SyncMNIST, first: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frames ``(N, T, 32, 32)`` in 0..1, classes and boxes ``(N, T, 3, 4)``."""
    some = [data[i] for i in range(first, first + count)]
    frames, boxes = (np.stack([getattr(clip, name) for clip in some]) for name in ("frames", "boxes"))
    return torch.from_numpy(frames).float() / 255, torch.tensor([clip.label for clip in some]), torch.from_numpy(boxes)


def block(channels: int, out: int, stride: int = 1, shift: bool = True) -> nn.Sequential:
    """Convolution, norm and ReLU, of frames that are shifted in time."""
    conv = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
    return nn.Sequential(Shift(conv, FRAMES) if shift else conv, nn.BatchNorm2d(out), nn.ReLU())


class Network(nn.Module):
    """``(N, 3, T, 32, 32)`` grey as RGB, in 0..1 → ``(N, 4)``; the graph, where there is one, stands in the middle."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.front = nn.Sequential(block(1, 16, 2, False), block(16, WIDTH, 2, False), block(WIDTH, WIDTH, 1, False))
        self.before = block(WIDTH, WIDTH)
        self.graph: nn.Module = nn.Identity()
        if variant != "backbone":
            regions = "fixed" if variant == "fixed nodes" else "dynamic"
            options = Options(regions=regions, anchors="grid", offset_dim=WIDTH)
            self.graph = ResidualGraph(DynamicGraph(WIDTH, (CELLS, CELLS), options=options))
            if regions == "dynamic":
                nn.init.constant_(self.graph.dynamic_graph.offset_alpha, VARIANTS[variant] or 0.0)
        self.back = nn.Sequential(block(WIDTH, 2 * WIDTH, 2), block(2 * WIDTH, 2 * WIDTH))
        self.classifier = nn.Linear(2 * WIDTH, 4)
        self.regions: Regions | None = None

    def forward(self, clip: Tensor) -> Tensor:
        """Class scores; ``regions`` are then those of this clip."""
        with torch.no_grad():
            x = self.front(clip[:, :1].transpose(1, 2).flatten(0, 1))
        x = self.before(x)
        if isinstance(self.graph, ResidualGraph):
            x, self.regions = self.graph(x.unflatten(0, (-1, FRAMES)), return_regions=True)
            x = x.flatten(0, 1)
        x = self.back(self.graph(x) if isinstance(self.graph, nn.Identity) else x)
        return self.classifier(x.mean((2, 3)).unflatten(0, (-1, FRAMES)).mean(1))

    def train(self, mode: bool = True) -> "Network":
        """The front stays as it was pretrained."""
        super().train(mode)
        self.front.eval()
        return self


def as_clip(frames: Tensor) -> Tensor:
    """``(N, T, H, W)`` → ``(N, 3, T, H, W)``."""
    return frames[:, None].expand(-1, 3, -1, -1, -1)


def pretrained_front() -> dict[str, Tensor]:
    """The front, after 300 steps of naming single digits that lie anywhere in a frame; made once."""
    path = WEIGHTS / "front.pt"
    if path.exists():
        return torch.load(path, weights_only=True)
    torch.manual_seed(0)
    draw, front, head = np.random.default_rng(0), Network("backbone").front.train(), nn.Linear(WIDTH, 10)
    pictures, classes = load_digits()
    scale = SIDE / CANVAS.side
    small = [cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for picture in pictures]
    room = SIDE - len(small[0])
    optimiser = torch.optim.AdamW([*front.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(300):
        chosen = draw.integers(len(small), size=64)
        frames = np.zeros((64, 1, SIDE, SIDE), np.float32)
        for frame, which in zip(frames, chosen, strict=True):
            top, left = draw.integers(room + 1, size=2)
            frame[0, top : top + len(small[0]), left : left + len(small[0])] = small[which] / 255
        scores = head(front(torch.from_numpy(frames)).amax((2, 3)))
        optimiser.zero_grad()
        F.cross_entropy(scores, torch.from_numpy(classes[chosen]).long()).backward()
        optimiser.step()
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    torch.save(front.state_dict(), path)
    return front.state_dict()


@dataclass(frozen=True)
class Test:
    """The clips of every test."""

    frames: Tensor
    labels: Tensor
    boxes: Tensor


@torch.no_grad()
def evaluate(network: Network, test: Test) -> dict[str, float]:
    """Accuracy, and where the regions are: pixels from a digit's centre to the nearest region's, and the best overlap.

    ``moved`` is how far the centre of a region wanders from clip to clip, pixels (standard deviation).
    """
    network.eval()
    scores = network(as_clip(test.frames))
    found = {
        "accuracy": (scores.argmax(1) == test.labels).float().mean().item(),
        "loss": F.cross_entropy(scores, test.labels).item(),
    }
    network.train()
    if network.regions is None:
        return found
    pixels = SIDE / CELLS
    centre = pixels * network.regions.centre + 0.5  # two convolutions of stride 2 and odd width: see `boxes_of`
    half = pixels * network.regions.half_size
    low, high = centre - half, centre + half
    digits = (test.boxes[..., :2] + test.boxes[..., 2:]) / 2
    distance = (digits[:, :, :, None] - centre[:, :, None]).norm(dim=-1).amin(-1)
    shared = (
        torch.minimum(test.boxes[:, :, :, None, 2:], high[:, :, None])
        - torch.maximum(test.boxes[:, :, :, None, :2], low[:, :, None])
    ).clamp_min(0)
    area = shared.prod(-1)
    whole = (test.boxes[..., 2:] - test.boxes[..., :2]).prod(-1)[..., None] + (2 * half).prod(-1)[:, :, None]
    overlap = (area / (whole - area)).amax(-1)
    moved = centre.std(0).mean()
    return found | {
        "distance": distance.mean().item(),
        "overlap": overlap.mean().item(),
        "moved": moved.item(),
    }


def train(variant: str, seed: int) -> list[dict[str, object]]:
    """Train one network, and keep its weights; a row for every evaluation."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rows, test = [], Test(*batch(clips("val", 0), 0, 400))
    network, data = Network(variant), clips("train", seed)
    network.front.load_state_dict(pretrained_front())
    network.train()
    learned = [parameter for name, parameter in network.named_parameters() if not name.startswith("front.")]
    optimiser = torch.optim.SGD(learned, RATE, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS, pct_start=0.15)
    started = time.process_time()
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            spent = round(time.process_time() - started, 1)
            found = evaluate(network, test)
            rows.append({"variant": variant, "seed": seed, "step": step, **found, "cpu_seconds": spent})
            print(variant, seed, step, {name: round(value, 3) for name, value in found.items()}, spent, flush=True)
        if step < STEPS:
            frames, labels, _ = batch(data, step * BATCH, BATCH)
            optimiser.zero_grad()
            F.cross_entropy(network(as_clip(frames)), labels).backward()
            nn.utils.clip_grad_norm_(learned, 5.0)
            optimiser.step()
            schedule.step()
    torch.save(network.state_dict(), WEIGHTS / f"{variant}_{seed}.pt")
    return rows


def run() -> pd.DataFrame:
    """All runs; those that the table holds are kept."""
    path = HERE / "syncmnist.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"variant": [], "seed": [], "step": []})
    done = set(zip(table["variant"], table["seed"], strict=True))
    pretrained_front()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(train, variant, seed) for seed in SEEDS for variant in VARIANTS if (variant, seed) not in done
        ]
        for job in as_completed(jobs):
            table = pd.concat([table, pd.DataFrame(job.result())], ignore_index=True)
            table = table.sort_values(["seed", "variant", "step"], ignore_index=True)
            table = table.astype({"seed": int, "step": int})
            write_atomically(path, partial(table.round(4).to_csv, index=False))
    return table


def draw(table: pd.DataFrame) -> None:
    """Accuracy, distance and movement over training: the mean over seeds, and its 95 % interval (t)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), layout="constrained")
    labels = {
        "accuracy": "accuracy (chance 0.25)",
        "distance": "digit to nearest region, pixels",
        "overlap": "overlap of digit and region",
        "moved": "wandering of a region, pixels",
    }
    for axes, (name, label) in zip(figure.subplots(1, len(labels)), labels.items(), strict=True):
        for variant in VARIANTS:
            steps = table[table["variant"] == variant].groupby("step")[name]
            mean, colour = steps.mean(), COLOURS[variant]
            if not mean.notna().any():
                continue
            half = steps.sem() * t.ppf(0.975, steps.count() - 1)
            axes.plot(mean.index, mean, color=colour, label=variant, marker="o", ms=3)
            axes.fill_between(mean.index, mean - half, mean + half, color=colour, alpha=0.15, lw=0)
        axes.set_xlabel("steps")
        axes.set_title(label, fontsize=11)
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    save(figure, "syncmnist")


def save(figure: "Figure", name: str) -> None:
    """Keep a figure as PNG and SVG."""
    for kind in ("png", "svg"):
        save_figure(figure, HERE / f"{name}.{kind}")


class OtherDigits:
    """SyncMNIST as a source: a style shows other digits on the very same paths, an order the same frames scrambled."""

    name, styles = "SyncMNIST", ("digits 1", "digits 2", "digits 3", "digits 4")

    def __init__(self, count: int) -> None:
        self.data = clips("val", 1)
        self.videos = [sd.Video(f"clip {i}", self.data.class_names[self.data[i].label]) for i in range(count)]

    def read(self, video: sd.Video, recipe: sd.Recipe, style: str | None = None) -> sd.Clip:
        """A clip with the digits of another one."""
        number, shift = int(video.name.split()[1]), 0 if style is None else int(style.split()[1])
        frames = self.data.clip(number, digits_of=number + 1000 * shift).frames
        sample = recipe.sample(len(frames))
        return sd.Clip(np.repeat(frames[list(sample.numbers), ..., None], 3, -1), sample, self.name, len(frames))

    def describe(self) -> dict[str, object]:
        """What it is."""
        return {"kind": self.name, "videos": len(self.videos)}


def profile() -> None:
    """Static and dynamic shares before, in and after the graph of every trained network."""
    recipe = sd.Recipe(frames=FRAMES, rate=1, crop=SIDE, mean=(0, 0, 0), std=(1, 1, 1))
    tables = []
    for path in sorted(WEIGHTS.glob("*_[0-9].pt")):
        variant, _, seed = path.stem.rpartition("_")
        network = Network(variant)
        network.load_state_dict(torch.load(path, weights_only=True))
        stages = {"front": ("front", "(N T) C H W"), "before": ("before", "(N T) C H W")}
        if variant != "backbone":
            stages |= {"nodes": ("graph.dynamic_graph.rstg", "N T L C"), "after": ("graph", "N T C H W", 0)}
        stages |= {"back": ("back", "(N T) C H W")}
        # A pair keeps its distance in any order, so shuffles hardly change the class; a frozen clip has none.
        orders = ("shuffle", "freeze")
        source = OtherDigits(100)
        options = {"recipe": recipe, "styles": source.styles, "scrambles": orders}
        result = sd.measure(network.eval(), source, stages, **options, estimators="released", twins=0)
        tables.append(result.layer().assign(variant=variant, seed=int(seed)))
    table = pd.concat(tables, ignore_index=True)
    table.round(4).to_csv(HERE / "syncmnist_profile.csv", index=False)
    draw_profile(table)


def draw_profile(table: pd.DataFrame) -> None:
    """Shares per stage, a panel per variant, dots for the seeds."""
    from matplotlib.figure import Figure

    from static_dynamic.report.plots import COLOURS as FACTORS

    figure = Figure(figsize=(13, 3.6), layout="constrained")
    for axes, variant in zip(figure.subplots(1, len(VARIANTS), sharey=True), VARIANTS, strict=True):
        rows = table[table["variant"] == variant]
        stages = list(dict.fromkeys(rows["stage"]))
        for factor in ("dynamic", "static"):
            shares = rows[rows["factor"] == factor].pivot(index="seed", columns="stage", values="share")[stages]
            axes.plot(stages, shares.mean(), color=FACTORS[factor], marker="o", label=factor)
            for _, one in shares.iterrows():
                axes.plot(stages, one, ".", color=FACTORS[factor], alpha=0.4)
        axes.set_title(variant, fontsize=11)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("share of the stage, percent")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    save(figure, "syncmnist_profile")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true", help="measure the trained networks")
    torch.set_num_threads(1)
    if parser.parse_args().profile:
        profile()
    else:
        draw(run())


if __name__ == "__main__":
    main()
