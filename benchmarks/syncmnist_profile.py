"""What needs motion in the networks of the SyncMNIST experiment: before, at and after the nodes.

    python -m benchmarks.syncmnist_profile

Reads the networks that ``python -m benchmarks.syncmnist`` trained. A style shows other digits on the very same paths;
the order is shuffled, or frozen. Every number is compared with untrained networks of the same architecture.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import t

import static_dynamic as sd
from benchmarks.syncmnist import CHOSEN_ON, COLOURS, HERE, Place
from static_dynamic.common.files import write_atomically
from static_dynamic.report.theme import save_figure
from static_dynamic.training.syncmnist.networks import VARIANTS, Network
from static_dynamic.training.syncmnist.settings import SMALL

CLIPS = 80
MEASURED = ("backbone", "fixed nodes", "DyReg")
FACTORS = {"needs_motion": "motion", "released": "dynamic"}
LABELS = {
    "needs_motion": "needs motion, % of what units tell of the clip",
    "released": "released score, dynamic, % of the stage",
}


class OtherDigits:
    """SyncMNIST as a source: a style shows other digits on the very same paths."""

    name, styles = "SyncMNIST", ("digits 1", "digits 2", "digits 3", "digits 4")

    def __init__(self, count: int) -> None:
        self.data = SMALL.clips("val", 1, 10**6)
        self.videos = [sd.Video(f"clip {i}", self.data.class_names[self.data[i].label]) for i in range(count)]

    def read(self, video: sd.Video, recipe: sd.Recipe, style: str | None = None) -> sd.Clip:
        """A clip with the digits of another one."""
        number, shift = int(video.name.split()[1]), 0 if style is None else int(style.split()[1])
        frames = self.data.clip(number, digits_of=number + 1000 * shift).frames
        sample = recipe.sample(len(frames))
        return sd.Clip(np.repeat(frames[list(sample.numbers), ..., None], 3, -1), sample, self.name, len(frames))

    def describe(self) -> dict[str, object]:
        """The identity of the source."""
        return {"kind": self.name, "videos": len(self.videos)}


def stages(network: Network) -> dict[str, tuple[str, ...]]:
    """Stages before, at and after the nodes."""
    found = {"before": ("stages.0", "(N T) C H W")}
    if network.graphs:
        found["nodes"] = ("graphs.0.dynamic_graph.rstg", "N T L C")
        found["behind"] = ("graphs.0", "N T C H W", 0)
    return found | {"back": ("stages.1", "(N T) C H W")}


def profile(place: Place, variant: str, seed: int) -> pd.DataFrame:
    """The numbers of one trained network and of two untrained ones."""
    network = place.network(SMALL, variant, seed)
    recipe = sd.Recipe(frames=SMALL.frames, rate=1, crop=SMALL.canvas.size, mean=(0, 0, 0), std=(1, 1, 1))
    result = sd.measure(
        network,
        OtherDigits(CLIPS),
        stages(network),
        recipe=recipe,
        styles=OtherDigits.styles,
        estimators=tuple(FACTORS),
        twins=2,
        untrained=partial(Network, SMALL, VARIANTS[variant]),
    )
    return result.layers.assign(variant=variant, seed=seed)


def measured() -> pd.DataFrame:
    """All existing trained networks."""
    place = Place()
    chosen = [(name, seed) for name in MEASURED for seed in CHOSEN_ON if place.weights(name, seed).exists()]
    tables = []
    for number, (name, seed) in enumerate(chosen, start=1):
        tables.append(profile(place, name, seed))
        print(f"{name}, seed {seed}: {number} of {len(chosen)}", flush=True)
    return pd.concat(tables, ignore_index=True)


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel for every estimator: stages, and the variants next to each other; hollow: untrained."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    order = list(stages(Network(SMALL, VARIANTS["DyReg"])))
    for axes, (estimator, factor) in zip(figure.subplots(1, 2), FACTORS.items(), strict=True):
        rows = table[(table["estimator"] == estimator) & (table["factor"] == factor)]
        for number, variant in enumerate(MEASURED):
            one = rows[rows["variant"] == variant].groupby("stage")
            places = np.array([order.index(stage) for stage in one.groups]) + 0.22 * (number - 1)
            half = one["share"].sem() * t.ppf(0.975, one["share"].count() - 1)
            axes.errorbar(places, one["share"].mean(), half, fmt="o", color=COLOURS[variant], capsize=3, label=variant)
            axes.plot(places, one["twin"].mean(), "D", color=COLOURS[variant], mfc="none")
        axes.set_xticks(range(len(order)), order)
        axes.set_ylabel(LABELS[estimator])
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].plot([], [], "D", color="#555555", mfc="none", label="untrained")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    for kind in ("png", "svg"):
        save_figure(figure, path.with_suffix(f".{kind}"))


def main() -> None:
    """Measure, write the table, draw it."""
    torch.set_num_threads(1)
    table, path = measured(), HERE / "syncmnist_profile.csv"
    write_atomically(path, partial(table.round(4).to_csv, index=False))
    draw(table, path)


if __name__ == "__main__":
    main()
