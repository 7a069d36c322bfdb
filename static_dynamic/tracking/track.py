"""The tracker: measures a model at some steps of its training, on the same clips, and leaves it as it was."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import nn

from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError, counted
from static_dynamic.common.files import as_path
from static_dynamic.common.numbers import is_whole
from static_dynamic.common.progress import untold
from static_dynamic.common.tables import rows_of
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.registry import describe_estimator
from static_dynamic.interventions import STRONG
from static_dynamic.interventions.census import Style
from static_dynamic.measurement import Planned, planned
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import declared_notes
from static_dynamic.network.fingerprint import weights_digest
from static_dynamic.network.poolings import Pooling
from static_dynamic.network.recorder import untouched_randomness
from static_dynamic.network.stages import Stages
from static_dynamic.network.twins import Twin, Untrained, check_count, has_seen_batches, make_twins
from static_dynamic.records import skipped
from static_dynamic.report.course import UNTRAINED
from static_dynamic.scoring import Scoring
from static_dynamic.sources import Videos
from static_dynamic.sources.left_out import unused
from static_dynamic.tracking.callbacks import lightning_callback, transformers_callback
from static_dynamic.tracking.clips import kept_study
from static_dynamic.tracking.course import KEY, Point, Points, course_of, numbers_of, resamples_of
from static_dynamic.tracking.scalars import scalar_log
from static_dynamic.twins import recorded, score_beside_twins

DEFAULT_FOLDER = Path("runs/course")
ROWS = [*KEY, "value", "low", "high"]


def track(
    model: nn.Module,
    videos: Videos,
    stages: Stages | None = None,
    *,
    recipe: Recipe | FlowRecipe | Mapping[str, Any] | None = None,
    layout: str | None = None,
    pool: str | Pooling = "avg",
    styles: Sequence[str | Style] = STRONG,
    scrambles: Sequence[str | Callable[..., Any]] | None = None,
    max_videos: int | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    scoring: Scoring | None = None,
    estimators: str | Estimator | Iterable[str | Estimator] | None = "needs_motion",
    twins: int = 3,
    untrained: Untrained | None = None,
    every: int = 500,
    unit: str = "step",
    store: str | Path | None = None,
    resume: bool = True,
    log_to: Any = None,
    memory: float = 4.0,
    disk: float = 40.0,
) -> "Tracker":
    """Measure a model while it trains, always on the same clips, which are read and prepared once.

    The numbers are those of :func:`static_dynamic.measure` on these clips. Call the tracker at every step; it measures
    at the first call and whenever a multiple of ``every`` has been reached, and leaves mode, gradients, hooks and
    random state as they were.

    Args:
        model: The module that is trained, without a wrapper for several devices.
        videos: See :func:`static_dynamic.measure`, as all arguments up to ``untrained``.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.
        recipe: The model's input; ``None`` means the one that it declares.
        layout: Layout of stages named by module path.
        pool: How positions become one number per unit.
        styles: Static conditions.
        scrambles: Dynamic conditions in addition to the intact order.
        max_videos: Use at most this many videos, the first ones.
        seed: Draws styles, scrambles, partners of pairs and the bootstrap.
        compute: Batch size, device, precision; ``None`` takes the device of the model at each point.
        scoring: Pairs, threshold, intervals.
        estimators: The estimators to compute.
        twins: Random twins, which are measured once.
        untrained: Makes the model with fresh weights, for its twins.
        every: Number of steps between two points.
        unit: Unit of the steps, in the singular, e.g. ``"epoch"``.
        store: Folder for the course, which can be resumed; only in memory if ``None``.
        resume: Resume the course in the folder; otherwise start over.
        log_to: Log that also gets every number: ``"tensorboard"``, ``"trackio"``, ``"wandb"``, or an object with
            ``add_scalar(tag, value, step)`` or ``log(values, step=…)``.
        memory: Gigabytes of prepared clips that are kept in memory.
        disk: Further gigabytes that go to temporary files.

    Raises:
        UserError: For anything that the caller can fix, in one line.

    Example:
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> relu = {"relu": ("1", "N C T H W")}
        >>> tracker = track(net, "factorial:6", relu, recipe=Recipe(frames=8, rate=2, crop=32), every=100, twins=0)
        >>> for step in range(200):  # here the model learns
        ...     tracker(step)
        >>> tracker.course["step"].unique().tolist()
        [0, 100]
    """
    plan = planned(
        model,
        videos,
        stages,
        recipe=recipe,
        layout=layout,
        pool=pool,
        styles=styles,
        scrambles=scrambles,
        max_videos=max_videos,
        seed=seed,
        compute=compute,
        scoring=scoring,
        estimators=estimators,
    )
    return Tracker(
        plan._replace(study=kept_study(plan.study, memory, disk)),
        every=every,
        unit=unit,
        folder=None if store is None else as_path(store),
        resume=resume,
        log_to=log_to,
        twins=twins,
        untrained=untrained,
        compute=compute,
        notes=unused(plan.study.source, max_videos),
    )


class Tracker:
    """Measures a model at some steps of its training; see :func:`track`, which makes one.

    Attributes:
        every: Number of steps between two points.
        unit: Unit of the steps.
    """

    def __init__(
        self,
        plan: Planned,
        *,
        every: int,
        unit: str,
        folder: Path | None,
        resume: bool,
        log_to: Any,
        twins: int,
        untrained: Untrained | None,
        compute: Compute | None,
        notes: Sequence[str],
    ) -> None:
        if not is_whole(every) or every < 1:
            raise UserError(f"The 'every' parameter must be a whole number, 1 or more. Got {every!r:.80}.")
        check_count(twins)
        self.every, self.unit = every, unit
        self._study, self._scoring, self._estimators = plan
        self._twins, self._untrained, self._compute, self._notes = twins, untrained, compute, notes
        self._log = None if log_to is None else scalar_log(log_to, (folder or DEFAULT_FOLDER) / "tensorboard")
        self._points = Points(folder, self._describe(), resume)
        self._earlier = {*self._points.found}
        self._visited: set[int] = set()

    def _describe(self) -> dict[str, Any]:
        """Everything that determines the numbers, except the model's weights."""
        described = [describe_estimator(one) for one in self._estimators]
        return {
            **self._study.describe(),
            "scoring": asdict(self._scoring),
            "estimators": [{name: one[name] for name in ("name", "options")} for one in described],
            "described": described,
            "unit": self.unit,
        }

    @property
    def model(self) -> nn.Module:
        """The model that is measured."""
        return self._study.recorder.model

    # ---------------------------------------------------------------- measuring

    def __call__(self, step: int) -> None:
        """Measure if it is due: at the first call, and when a multiple of ``every`` has been reached since.

        Raises:
            UserError: If the step is not a whole number, or the model fails on its input.
        """
        if self._is_due(_checked(step)):
            self.now(step)

    def _is_due(self, step: int) -> bool:
        if step in self._visited:
            return False
        before = max((there for there in self._points.found if there <= step), default=None)
        return before is None or before == step or step // self.every > before // self.every

    def now(self, step: int) -> None:
        """Measure now, unless this step was already measured with these weights.

        If a resumed course has other weights at this step, its later points belong to another training and are removed.

        Raises:
            UserError: If the step is not a whole number, or the model fails on its input.
        """
        step = _checked(step)
        weights = weights_digest(self.model)
        before = self._points.found.get(step)
        if before is None or before.weights != weights:
            gone = self._forget_from(step) if step in self._earlier else 0
            self._measure(step, weights, _told(gone, step))
        self._visited.add(step)

    def _forget_from(self, step: int) -> int:
        """Drop the points of an earlier session from a step on."""
        gone = {there for there in self._earlier if there >= step}
        for there in gone:
            self._points.found.pop(there, None)
        self._earlier -= gone
        return len(gone)

    def _measure(self, step: int, weights: str, notes: Sequence[str]) -> None:
        """Measure the clips once, and make a point of the result."""
        started = time.perf_counter()
        with untouched_randomness():
            found = self._numbers()
        point = Point(
            step,
            weights,
            {name: found.rows[name].tolist() for name in ROWS},
            found.resamples,
            [*notes, *found.notes],
            time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            round(time.perf_counter() - started, 2),
        )
        self._points.add(point, found.untrained)
        if self._log is not None:
            self._log(_scalars(found.rows), step)

    def _numbers(self) -> "Found":
        """Measure the clips once."""
        study, scoring = replace(self._study, compute=self._where()), replace(self._scoring, nulls=0)
        random, notes = self._fresh_twins()
        with recorded(study, random, None, False, untold) as (store, stores):
            notes = [*self._notes, *declared_notes(self.model), *notes, *skipped(store.records())]
            try:
                scores, compared = score_beside_twins(store, stores, scoring, self._estimators)
            except UserError as error:  # e.g. the training diverged: it continues, and the course reports it
                return Found(pd.DataFrame(columns=ROWS), [], [*notes, str(error)])
        numbers = numbers_of(scores, self._estimators)
        resamples = list(resamples_of(scores, self._estimators))
        untrained = numbers[[*KEY, *UNTRAINED]].assign(after_batches=has_seen_batches(self.model))
        said = [*notes, *scores.warnings]
        return Found(numbers[ROWS], resamples, said, None if compared is None else untrained)

    def _where(self) -> Compute:
        """How forward passes are run: as requested, or on the device of the model."""
        home = next((str(weight.device) for weight in self.model.parameters()), "cpu")
        return self._compute or replace(self._study.compute, device=home)

    def _fresh_twins(self) -> tuple[list[Twin], list[str]]:
        """Twins that have not been measured; again once the model's batch normalisation has seen batches."""
        before = self._points.untrained
        if len(before) and (before["after_batches"].all() or not has_seen_batches(self.model)):
            return [], []
        return make_twins(self.model, self._twins, self._study.conditions.seed, self._untrained)

    # ---------------------------------------------------------------- results

    @property
    def course(self) -> pd.DataFrame:
        """One row per step, stage, estimator and factor: ``value`` (a share is in percent), ``low``, ``high``."""
        return self._points.table

    def plot(self, folder: str | Path) -> list[Path]:
        """Write ``course.svg`` and ``course.png``, and ``course-<name>`` of every further estimator.

        Raises:
            UserError: If there are no points yet, or the folder cannot be written.
        """
        return course_of(self._points).plot(folder)

    def report(self, path: str | Path) -> Path:
        """Write one HTML page; ``course.html`` in the folder if the path is a folder.

        Raises:
            UserError: If there are no points yet, or the path cannot be written.
        """
        return course_of(self._points).report(path)

    # ---------------------------------------------------------------- trainers

    def lightning(self) -> Any:
        """A callback for the ``Trainer`` of Lightning.

        Raises:
            UserError: If it is not installed.
        """
        return lightning_callback(self)

    def transformers(self) -> Any:
        """A callback for the ``Trainer`` of transformers, which runs on accelerate.

        Raises:
            UserError: If it is not installed.
        """
        return transformers_callback(self)

    def __repr__(self) -> str:
        points = counted(len(self._points.found), "point", "points")
        return f"Tracker({type(self.model).__name__}, every {self.every} {self.unit}s, {points})"


class Found(NamedTuple):
    """The result of one measurement: numbers, also on resamples, notes, and the numbers of untrained networks."""

    rows: pd.DataFrame
    resamples: list[dict[str, Any]]
    notes: list[str]
    untrained: pd.DataFrame | None = None


def _checked(step: object) -> int:
    if not is_whole(step) or step < 0:  # type: ignore[operator]  # a whole number
        raise UserError(f"A step must be a whole number, 0 or more. Got {step!r:.80}.")
    return int(step)  # type: ignore[call-overload]


def _scalars(rows: pd.DataFrame) -> dict[str, float]:
    """Tag → value of every number that is defined."""
    defined = rows_of(rows.dropna(subset="value"))
    return {"/".join([row["estimator"], row["stage"], row["factor"]]): float(row["value"]) for row in defined}


def _told(gone: int, step: int) -> list[str]:
    """The note on a course that was resumed with other weights."""
    if not gone:
        return []
    points = counted(gone, "point", "points")
    return [f"The weights differ from those that were measured before: {points} from {step} on were removed."]
