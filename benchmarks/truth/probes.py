"""What a linear read-out finds in networks whose bias is known, stage by stage: `python -m benchmarks.truth.probes`.

Every network is shown factorial clips, forwards and backwards; `static_dynamic.probe` reads out what they show, in
which direction and how fast it moves, and whether the clip plays forwards. They are compared with a network with random
weights. Writes probes.csv, onsets.csv and a picture for every family next to this file.

Backwards, every motion of these clips is its opposite, so nothing in them reveals the arrow of time: a probe
must not find it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import static_dynamic as sd
from static_dynamic import models
from static_dynamic.report.several import Curve, plot_curves
from static_dynamic.report.theme import BLUE, PURPLE, UNTRAINED, VERMILION, house_style, save_figure
from static_dynamic.sources import FactorialVideos
from static_dynamic.sources.factorial import DIRECTIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
FAMILIES = ("truth_cnn", "truth_timesformer")
BIASES = {"motion": BLUE, "both": PURPLE, "appearance": VERMILION}
RANDOM = "random"
SPEEDS = {"slow": 1, "medium": 2, "fast": 3}


def targets_of(source: FactorialVideos) -> list[str | sd.Target]:
    """Targets of the probes; clips without a direction are left out for it."""
    directions = {video.name: DIRECTIONS[video.details["kind"]] for video in source.videos}
    return [
        *("colour", "shape", "texture"),
        sd.Target("direction", "angle", directions),
        sd.Target("speed", "number", levels=SPEEDS),
        "arrow of time",
    ]


def probed(family: str, source: FactorialVideos) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and onsets of all networks of a family, and of one with random weights."""
    tables: list[pd.DataFrame] = []
    onsets: list[pd.DataFrame] = []
    for bias in (*BIASES, RANDOM):
        model = models.create_model(f"{family}_{'both' if bias == RANDOM else bias}", pretrained=bias != RANDOM)
        found = sd.probe(model, source, targets_of(source), twins=0)
        print(family, bias, found, sep="\n", flush=True)
        for kept, table in ((tables, found.table), (onsets, found.onsets)):
            kept.append(table.assign(family=family, network=bias))
    return pd.concat(tables), pd.concat(onsets)


def picture(table: pd.DataFrame) -> "Figure":
    """A panel per target: how far every network of a family is on the way from chance to no error."""
    from matplotlib.figure import Figure

    targets = list(table["target"].unique())
    with house_style():
        figure = Figure(figsize=(12, 6.6), layout="constrained")
        for axes, target in zip(figure.subplots(2, 3).flat, targets, strict=True):
            networks = table[table["target"] == target].groupby("network", sort=False)
            curves = {bias: Curve(above_chance(rows), BIASES.get(bias, UNTRAINED)) for bias, rows in networks}
            plot_curves(axes, curves)
            axes.set_title(target, loc="left")
        figure.supylabel("% of the way from chance to no error")
    return figure


def above_chance(rows: pd.DataFrame) -> pd.DataFrame:
    """How far a score is on its way from chance, 0, to the best there is, 100; nothing below chance is shown."""
    way = {name: 100 * (rows[name] - rows["chance"]) / (1 - rows["chance"]) for name in ("score", "low", "high")}
    found = pd.DataFrame({"stage": rows["stage"], **way}).rename(columns={"score": "mean"})
    return found.assign(**{name: found[name].clip(lower=0) for name in ("mean", "low", "high")})


def main() -> None:
    """Probe all networks and write the results."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=600)
    options.add_argument("--out", type=Path, default=HERE)
    chosen = options.parse_args()
    source = FactorialVideos(chosen.clips, seed=7)
    there = [family for family in FAMILIES if models.list_models(f"{family}_*")]
    tables, onsets = zip(*(probed(family, source) for family in there), strict=True)
    table = pd.concat(tables)
    table.round(4).to_csv(chosen.out / "probes.csv", index=False)
    pd.concat(onsets).round(4).to_csv(chosen.out / "onsets.csv", index=False)
    for family, rows in table.groupby("family"):
        save_figure(picture(rows), chosen.out / f"probes_{family}.png")


if __name__ == "__main__":
    main()
