"""Does a score predict what breaks? Units are taken out of networks that were taught appearance and motion alike.

    python -m benchmarks.truth.causal [NETWORK …]

Without a name, every network of the zoo that was taught both and has weights. In each of its stages after the first,
these are taken out, one after the other, and both tasks are tested on new clips:

    units          those that a score ranks first, as many as carry about 27.5 % of the stage's variance
    random units   12 sets that carry as much as that one of them which is nearest to 27.5 %
    label          all units that a score calls by the name of a task
    subspace       directions in which cell means differ by motion more than by appearance, or the other way round
    random directions   12 subspaces, each of as many dimensions that carry as much
    frozen units   not taken out: they have their values on the same clip frozen
    moving units   in a frozen clip they have their values on the moving one; a drop below 0 is a gain

Scores, variances and mean maps are of the clips of the measurement. There is a row for every task, and one for the
difference of their drops, motion less appearance, with 95 % intervals over clips, paired; of random sets, low and high
are the smallest and the largest loss. For causal_units.csv, every unit is taken out by itself: Spearman's
correlation of each score with the difference that this makes, and Fisher's 95 % interval.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import norm, spearmanr
from torch import Tensor, nn

import static_dynamic as sd
from benchmarks.truth.causal_picture import ALL, draw
from benchmarks.truth.removing import BATCH, TASKS, Array, Drops, Examination, motion_axes, paired, spread
from static_dynamic import models
from static_dynamic.common.commands import script
from static_dynamic.common.errors import unknown
from static_dynamic.common.seeds import derive_seed
from static_dynamic.models.truth.biases import MEMBERS
from static_dynamic.network.controls import Controls
from static_dynamic.network.selections import Units
from static_dynamic.sources.factorial import render
from static_dynamic.sources.factorial.videos import FactorialVideos
from static_dynamic.training.truth import as_input, draw_pool
from static_dynamic.training.truth.places import WEIGHTS

HERE = Path(__file__).parent
SEED, CLIPS, VIDEOS, BLOCKS = 0, 400, 200, (200, 2, 2, 2)
"""Blocks x appearances x motions x draws of `factorial_shares`; clips on which networks are tested are others."""
SHARE, DRAWS = 0.275, 12
SELECTIVE = 3
"""Factor by which the predicted task must lose more than the other one."""
FIELLER = 1.06
"""Variance of Fisher's z of a rank correlation, times n - 3 (Fieller, Hartley and Pearson, Biometrika 1957)."""


class Ranking(NamedTuple):
    """One end of a score.

    Attributes:
        name: A short description.
        estimator: The estimator of the score.
        predicts: The task for which its first units are needed, if the score is right.
        plus: The column of the unit table that ranks them.
        minus: The column that is subtracted.
    """

    name: str
    estimator: str
    predicts: str
    plus: str = ""
    minus: str = ""

    def scores(self, units: pd.DataFrame) -> Array:
        """One number for each unit of a stage."""
        rows = of_estimator(units, self.estimator)
        plus, minus = (rows[name].to_numpy(float) if name else 0.0 for name in (self.plus, self.minus))
        return np.asarray(plus - minus)


RANKINGS = (
    Ranking("lowest needs-motion", "needs_motion", "appearance", minus="motion"),
    Ranking("highest needs-motion", "needs_motion", "motion", plus="motion"),
    Ranking("highest appearance share", "factorial_shares", "appearance", plus="appearance"),
    Ranking("highest motion share", "factorial_shares", "motion", plus="motion"),
    Ranking("released: static - dynamic", "released", "appearance", plus="static", minus="dynamic"),
    Ranking("released: dynamic - static", "released", "motion", plus="dynamic", minus="static"),
)
MOTION_SCORES = (
    Ranking("needs-motion", "needs_motion", "motion", plus="motion"),
    Ranking("motion share - appearance share", "factorial_shares", "motion", plus="motion", minus="appearance"),
    Ranking("released: dynamic - static", "released", "motion", plus="dynamic", minus="static"),
)
LABELS = {
    "needs_motion": {"still": "appearance", "motion": "motion"},
    "factorial_shares": {"appearance": "appearance", "motion": "motion"},
    "released": {"static": "appearance", "dynamic": "motion"},
}
"""Estimator → its labels that name one task → that task."""


class Measured(NamedTuple):
    """Measurements of a stage before anything is taken out.

    Attributes:
        units: The unit tables of all estimators.
        activations: Activations on the videos of the measurement, ``(VIDEOS, C)``.
        crossed: Activations on the crossed clips, ``(*BLOCKS, C)``.
    """

    units: pd.DataFrame
    activations: Array
    crossed: Array


Row = dict[str, Any]


def of_estimator(units: pd.DataFrame, estimator: str) -> pd.DataFrame:
    """The rows of one estimator, unit by unit."""
    return units[units["estimator"] == estimator].sort_values("unit")


def removals(exam: Examination, measured: Measured) -> Iterator[Row]:
    """All rows of the table of one stage."""
    before, still, z = exam.intact(), exam.frozen(), measured.activations
    sets = {ranking: sd.strongest(ranking.scores(measured.units), z, SHARE) for ranking in RANKINGS}
    nearest = min(sets.values(), key=lambda units: abs(sd.variance_share(z, units) - SHARE))
    random = sd.matched_units(z, nearest, DRAWS, SEED)
    for ranking, units in sets.items():
        yield from _chosen("units", ranking.name, ranking.predicts, z, units, before, exam.without)
    yield from _random("random units", "", random, before, exam.without)
    for estimator, labels in LABELS.items():
        classes = of_estimator(measured.units, estimator)["class"]
        for label, task in labels.items():
            units = np.flatnonzero(classes == label)
            yield from _chosen("label", f"{estimator}: {label}", task, z, units, before, exam.without)
    values, axes = motion_axes(measured.crossed)
    for task, scores in (("appearance", -values), ("motion", values)):
        directions, name = axes[sd.strongest(scores, z @ axes.T, SHARE)], f"directions of {task}"
        yield from _chosen("subspace", name, task, z, directions, before, exam.without)
        controls = sd.matched_directions(z, directions, DRAWS, SEED)
        yield from _random("random directions", name, controls, before, exam.without)
    whole = (ALL, "motion", np.arange(z.shape[1]))
    ends = [(ranking.name, ranking.predicts, sets[ranking]) for ranking in RANKINGS[:2]]
    for score, task, units in (*ends, whole):
        predicts = "motion" if task == "motion" else "nothing"
        yield from _chosen("frozen units", score, predicts, z, units, before, exam.partly_frozen)
        yield from _chosen("moving units", score, "", z, units, still, exam.partly_moving)
    yield from _random("random frozen units", "", random, before, exam.partly_frozen)
    yield from _random("random moving units", "", random, still, exam.partly_moving)


Changed = Callable[[Units], Array]
"""Units, or directions → accuracy after the intervention, ``(2, N)``."""


def _chosen(
    removed: str, score: str, predicts: str, z: Array, units: npt.NDArray[Any], before: Array, change: Changed
) -> Iterator[Row]:
    """Rows of one set; where there is none, all drops are NaN."""
    drops = paired(before, change(units)) if len(units) else Drops(*np.full((3, 3), np.nan))
    share = sd.variance_share(z, units) if len(units) else 0.0
    row = {"removed": removed, "score": score, "predicts": predicts, "units": len(units), "share": share}
    yield from _by_task(row, before, drops)


def _random(removed: str, score: str, controls: Controls, before: Array, change: Changed) -> Iterator[Row]:
    drops = spread(before, [change(units) for units in controls.draws])
    units, share = np.mean([len(one) for one in controls.draws]), controls.achieved.mean()
    row = {"removed": removed, "score": score, "predicts": "", "units": float(units), "share": float(share)}
    yield from _by_task(row, before, drops)


def _by_task(row: Row, before: Array, drops: Drops) -> Iterator[Row]:
    bases = (*before.mean(1), np.nan)
    for task, base, drop, low, high in zip((*TASKS, "difference"), bases, *drops, strict=True):
        yield {**row, "task": task, "base": base, "drop": drop, "low": low, "high": high}


def single_units(exam: Examination, measured: Measured) -> Iterator[Row]:
    """How well each score ranks units by how much more motion than appearance suffers without each."""
    before = exam.intact()
    damage = np.array([paired(before, exam.without([unit])).mean[2] for unit in range(measured.activations.shape[1])])
    for ranking in MOTION_SCORES:
        scores = ranking.scores(measured.units)
        there = np.isfinite(scores)
        rho = float(spearmanr(scores[there], damage[there]).statistic)
        reach = norm.ppf(0.975) * np.sqrt(FIELLER / (there.sum() - 3))
        low, high = np.tanh(np.arctanh(rho) + np.array([-reach, reach]))
        yield {"score": ranking.name, "units": int(there.sum()), "rho": rho, "low": low, "high": high}


def examine(network: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of one network."""
    model = models.create_model(network).eval()
    pool = draw_pool(derive_seed(SEED, "truth", "causal"), range(CLIPS))
    clips, seen, crossed = map(as_input, (pool.clips, *map(_clips, (VIDEOS, BLOCKS))))
    units, activations, cells = _scored(model), _recorded(model, seen), _recorded(model, crossed)
    removed, single = [], []
    for stage in list(activations)[1:]:
        exam = Examination(model, stage, clips, pool.levels, seen)
        measured = Measured(units[units["stage"] == stage], activations[stage], cells[stage].reshape(*BLOCKS, -1))
        where = {"network": network, "stage": stage}
        removed += [where | row for row in removals(exam, measured)]
        single += [where | row for row in single_units(exam, measured)]
    return pd.DataFrame(removed), pd.DataFrame(single)


def _clips(count: int | tuple[int, ...]) -> Tensor:
    return render(FactorialVideos(count).scenes())


def _scored(model: nn.Module) -> pd.DataFrame:
    """The unit tables of the three estimators."""
    videos = sd.measure(model, FactorialVideos(VIDEOS), estimators=["needs_motion", "released"], twins=0, seed=SEED)
    crossed = sd.measure(model, FactorialVideos(BLOCKS), estimators="factorial_shares", twins=0, seed=SEED)
    return pd.concat([videos.units, crossed.units])


def _recorded(model: nn.Module, clips: Tensor) -> dict[str, Array]:
    """Stage → pooled activations, ``(N, C)``."""
    parts = [sd.record(model, part) for part in clips.split(BATCH)]
    return {stage: torch.cat([part[stage] for part in parts]).double().numpy() for stage in parts[0]}


def predicted(table: pd.DataFrame) -> pd.DataFrame:
    """For every set that predicts a task, whether that task broke and the other did not.

    It broke if it lost more, the interval of the difference excludes 0, and it lost at least three times as much.

    Returns:
        A row per network, stage, kind of removal and score, with ``right``: 0 or 1; a label of no unit is not right.
    """
    keys = ["network", "stage", "removed", "score", "predicts"]
    rows = table[table["predicts"].isin(TASKS)]
    drop, low, high = (rows.pivot(index=keys, columns="task", values=column) for column in ("drop", "low", "high"))
    motion = drop.index.get_level_values("predicts") == "motion"
    surely = np.where(motion, low["difference"] > 0, high["difference"] < 0)
    hit, spared = (np.where(motion == first, drop["motion"], drop["appearance"]) for first in (True, False))
    return drop.assign(right=surely & (hit >= SELECTIVE * spared))["right"].astype(int).reset_index()


def verdict(table: pd.DataFrame) -> str:
    """Lines that state how often each score predicted the task that broke."""
    rows = predicted(table)
    estimators = {ranking.name: ranking.estimator for ranking in RANKINGS}
    whose = pd.Series([estimators.get(score, score.partition(":")[0]) for score in rows["score"]], rows.index)
    lines = [f"The predicted task lost significantly more, and at least {SELECTIVE} times as much:"]
    for removed, what in (("units", "first units of "), ("label", "labels of "), ("subspace", "")):
        there = rows[rows["removed"] == removed]
        names = whose[there.index] if what else pd.Series("subspaces", there.index)
        for name, hits in there.groupby(names, sort=False)["right"]:
            lines.append(f"  {what}{name}: {hits.sum()} of {len(hits)}")
    return "\n".join(lines)


def with_weights() -> list[str]:
    """Networks of the zoo that were taught both tasks and have weights."""
    names = [member.name for member in MEMBERS if member.bias == "both"]
    return [name for name in names if (WEIGHTS / f"{name}.safetensors").is_file()]


def _merged(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write a table; rows of other networks are kept."""
    if path.exists():
        before = pd.read_csv(path).fillna({"score": "", "predicts": ""})
        table = pd.concat([before[~before["network"].isin(table["network"])], table])
    table = table.sort_values("network", kind="stable", ignore_index=True)
    table.round(4).to_csv(path, index=False)
    return table


def run(*networks: str, out: Path = HERE) -> None:
    """Run the command line.

    Args:
        networks: Networks that were taught both tasks. By default all.
        out: Folder for the tables and the picture.
    """
    there = with_weights()
    for network in networks:
        if network not in there:
            raise unknown("network that was taught both tasks", network, there)
    torch.set_num_threads(1)
    for network in networks or there:
        clock, cpu = time.perf_counter(), time.process_time()
        removed, single = examine(network)
        table = _merged(removed, out / "causal.csv")
        _merged(single, out / "causal_units.csv")
        print(f"{network}: {time.perf_counter() - clock:.0f} s, {time.process_time() - cpu:.0f} s of the processor")
    for kind in ("png", "svg"):
        draw(table, out / f"causal.{kind}")
    print(verdict(table))


if __name__ == "__main__":
    sys.exit(script(run))
