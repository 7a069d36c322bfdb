"""Probes: what a linear read-out finds in every stage of a model: appearance, direction, speed, the arrow of time.

A probe shows which information is present, not what the model uses. Its answer depends on the tapped activations and
on the test clips, so the result states both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor, nn

from static_dynamic.collect import Study
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError, counted, unknown
from static_dynamic.common.numbers import is_whole
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.seeds import generator
from static_dynamic.functional.contrasts import Array
from static_dynamic.functional.probing import PENALTIES, ReadOut, deal_groups, dealt_again, read_out
from static_dynamic.functional.questions import Angle, Classes, Question
from static_dynamic.functional.resampling import Resamples, resample
from static_dynamic.media.clip import INTACT, ORIGINAL, FlowRecipe, Recipe, Video
from static_dynamic.media.inputs import declared_notes, declared_recipe
from static_dynamic.network.poolings import Pooling
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.stages import Stages
from static_dynamic.network.twins import Untrained, make_twins
from static_dynamic.probes.result import ProbeResult
from static_dynamic.probes.targets import (
    ARROW,
    BACKWARDS,
    CLASSES,
    Coded,
    Target,
    Targets,
    as_targets,
    code,
    details_of,
    values_of_clips,
    values_of_videos,
)
from static_dynamic.records import skipped
from static_dynamic.sources import Source, Videos, open_source
from static_dynamic.sources.left_out import first_videos, unused
from static_dynamic.store import Store
from static_dynamic.twins import beside_twins, recorded, silent_twins
from static_dynamic.variants import Conditions, Variant

REVERSE = "reverse"
BLOCK, SEQUENCE, CLIP = "block", "sequence", "clip"
"""Group of a video: its block or, without one, its sequence or itself."""
FEW_GROUPS = 20
REPLICATES = 1000

Stage = tuple[str, npt.NDArray[Any]]


def probe(
    model: nn.Module,
    videos: Videos,
    targets: Targets,
    stages: Stages | None = None,
    *,
    recipe: Recipe | Mapping[str, Any] | None = None,
    layout: str | None = None,
    pool: str | Pooling = "avg",
    groups: str | Mapping[str, Any] | None = None,
    folds: int = 5,
    controls: int = 5,
    twins: int = 1,
    untrained: Untrained | None = None,
    max_videos: int | None = None,
    compute: Compute | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    resume: bool = True,
    on_video: OnDone = untold,
) -> ProbeResult:
    """Read targets out of every stage of a model by linear probes, tested on held-out groups of clips.

    Args:
        model: Any module; it is left as it was.
        videos: See :func:`static_dynamic.measure`.
        targets: Names of details of the videos, ``label``, ``"arrow of time"`` (every clip is shown forwards and
            backwards), or :class:`static_dynamic.Target`; or ``{name: {video: value}}``.
        stages: By depth; see :func:`static_dynamic.measure`.
        recipe: The model's input; ``None`` means the one that it declares.
        layout: Layout of stages named by module path.
        pool: How positions become one number per unit; ``"frame"`` keeps the frames apart.
        groups: Groups that are never split between folds: a detail, ``sequence``, ``label``, ``{video: group}``, or
            ``clip`` (every clip alone, so that related clips are split). ``None`` takes the block of a video if any,
            otherwise its sequence, otherwise the video.
        folds: Number of folds, 3 or more.
        controls: Draws of control labels per target. They are assigned to the groups of ``groups=None``.
        twins: Random twins: the same architecture with fresh weights, probed likewise.
        untrained: Makes the model with fresh weights, for its twins.
        max_videos: Use at most this many videos, the first ones.
        compute: Batch size, device, precision, workers.
        seed: Draws folds, controls, resamples and the weights of twins.
        store: Folder for the activations, which can be resumed; a temporary one if ``None``.
        resume: Resume from the store; otherwise start over.
        on_video: Called for every video that is done, with their number, that of all, and its name.

    Raises:
        UserError: For anything that the caller can fix, in one line.

    Example:
        >>> from torch import Tensor, nn
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> late = {"late": ("1", "N C T H W")}
        >>> small = Recipe(frames=8, rate=2, crop=32)
        >>> found = probe(net, "factorial:12", "arrow of time", late, recipe=small, folds=3, twins=0)
        >>> found.table[["stage", "target", "chance", "n"]].values.tolist()
        [['late', 'arrow of time', 0.5, 24]]
    """
    source, wanted, input_recipe = open_source(videos), as_targets(targets), declared_recipe(model, recipe)
    if isinstance(input_recipe, FlowRecipe) or getattr(source, "flows", None):
        raise UserError("Probes need a model of clips. A model of image and optical flow cannot be probed.")
    conditions = _conditions(source, wanted, seed)
    conditions.check(source, input_recipe)
    chosen, not_used = first_videos(source, max_videos), unused(source, max_videos)
    study = Study(Recorder(model, stages, layout, pool), source, chosen, input_recipe, conditions, compute or Compute())
    asked = _Asked(wanted, chosen, groups, folds, controls, seed)
    asked.plans(study.variants())  # finds targets that cannot be probed before hours of forward passes
    random, of_twins = make_twins(model, twins, seed, untrained)
    with recorded(study, random, store, resume, on_video) as (kept, of_random):
        plans = asked.plans(kept.variants())
        probes = _in_order(_probe(_stages(kept), plans), wanted)
        tables = [_probe(_stages(one), plans, quick=True).table for one in of_random]
        unread = skipped(kept.records())
    table, silent = _beside_twins(probes.table, tables)
    grouped = groups if isinstance(groups, str) else "block, sequence or video" if groups is None else "as given"
    how = {"study": study.describe(), "grouped by": grouped, "twins": [twin.how for twin in random], **probes.how}
    warnings = [*not_used, *declared_notes(model), *of_twins, *unread, *kept.damaged, *probes.warnings, *silent]
    return ProbeResult(table, how, warnings, probes.samples, probes.resamples)


def probe_activations(
    activations: Mapping[str, npt.ArrayLike],
    targets: Mapping[str, Any] | Iterable[Target],
    groups: Sequence[Any] | None = None,
    *,
    folds: int = 5,
    controls: int = 5,
    controls_by: Sequence[Any] | None = None,
    seed: int = 0,
) -> ProbeResult:
    """Read targets out of arrays of activations by linear probes.

    Args:
        activations: Stage → ``(N, C)``, by depth.
        targets: Name → one value per clip, or targets that hold such values.
        groups: Group of every clip, ``(N,)``; every clip alone, for ``None``.
        folds: Number of folds, 3 or more.
        controls: Draws of control labels per target.
        controls_by: Groups that control labels are assigned to, ``(N,)``; those of ``groups`` for ``None``.
        seed: Draws folds, controls and resamples.

    Raises:
        UserError: If a target cannot be probed, or no stage has finite activations.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 8))
        >>> found = probe_activations({"early": x[:, 4:], "late": x}, {"speed": x[:, 0] + x[:, 1]})
        >>> found.onsets[["target", "onset"]].values.tolist()
        [['speed', 'late']]
    """
    if not isinstance(activations, Mapping):
        raise UserError(
            f"Activations must be a mapping from stages, `activations={{'late': x}}`. Got {activations!r:.80}."
        )
    stages = [(stage, _as_numbers(stage, x)) for stage, x in activations.items()]
    if not stages:
        raise UserError("At least one stage is required: `activations={'late': x}`. Got none.")
    clips = stages[0][1].shape[0] if stages[0][1].ndim else 0
    if odd := [(stage, x.shape) for stage, x in stages if x.ndim != 2 or len(x) != clips or not x.shape[1]]:
        raise UserError(f"Activations must be (clips, units), with {clips} clips. Got {odd[0][1]} for {odd[0][0]!r}.")
    names = [str(group) for group in (range(clips) if groups is None else groups)]
    dealt = names if controls_by is None else [str(group) for group in controls_by]
    if {len(names), len(dealt)} != {clips}:
        raise UserError(f"Every clip needs one group. Got {len(names)} and {len(dealt)} for {clips} clips.")
    coded = [code(target, values_of_clips(target), names) for target in as_targets(targets)]
    return _in_order(_probe(stages, _plans(coded, names, dealt, folds, controls, seed)), coded)


def _as_numbers(stage: str, x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Convert an array, or a tensor of any precision."""
    try:
        array = np.asarray(x.detach().cpu().double() if isinstance(x, Tensor) else x)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise UserError(f"The activations of stage {stage!r} must be an array of real numbers. Got {x!r:.80}.")
    return array


def _conditions(source: Source, targets: Sequence[Target], seed: int) -> Conditions:
    """Original clips, or those in the first style if there are none; backwards too if a target needs them."""
    original = getattr(source, "original", True)
    styles = (ORIGINAL,) if original else tuple(source.styles[:1])
    backwards = any(target.name == ARROW and target.values is None for target in targets)
    return Conditions(styles, (REVERSE,) if backwards else (), seed, original=original)


def _stages(store: Store) -> Iterator[Stage]:
    return ((stage, store.stage(stage)) for stage in store.units())


@dataclass(frozen=True)
class _Asked:
    """The requested probes, before it is known which clips are readable."""

    targets: Sequence[Target]
    videos: Sequence[Video]
    groups: str | Mapping[str, Any] | None
    folds: int
    controls: int
    seed: int

    def plans(self, variants: Sequence[Variant]) -> list["Plan"]:
        """How clips are probed.

        Raises:
            UserError: If a target cannot be probed.
        """
        related = _groups(self.videos, None)
        natural = [related[key.video] for key in variants]
        if self.groups == CLIP:
            names = [f"{key.video}, {key.order}" for key in variants]
        else:
            given = _groups(self.videos, self.groups)
            names = [given[key.video] for key in variants]
        coded = [code(target, self._values(target, variants), names) for target in self.targets]
        return _plans(coded, names, natural, self.folds, self.controls, self.seed)

    def _values(self, target: Target, variants: Sequence[Variant]) -> list[Any]:
        """Yield one value per variant; clips that are played backwards have a value for the arrow of time alone."""
        of = values_of_videos(target, self.videos)
        backwards = BACKWARDS if target.name == ARROW and target.values is None else None
        return [of.get(key.video) if key.order == INTACT else backwards for key in variants]


def _groups(videos: Sequence[Video], by: str | Mapping[str, Any] | None) -> dict[str, str]:
    """Video → group."""
    if by is None:
        return {video.name: str(video.details.get(BLOCK) or video.sequence or video.name) for video in videos}
    if isinstance(by, Mapping):
        if lacking := [video.name for video in videos if video.name not in by]:
            raise UserError(f"The mapping `groups` must give a group for every video. {lacking[0]!r} is missing.")
        return {video.name: str(by[video.name]) for video in videos}
    said = {video.name: {SEQUENCE: video.sequence, **details_of(video)} for video in videos}
    known = list(dict.fromkeys(name for of in said.values() for name in of))
    if by not in known:
        raise unknown("grouping", by, [*known, CLIP])
    return {name: str(name if of.get(by) is None else of[by]) for name, of in said.items()}


@dataclass(frozen=True)
class Plan:
    """Targets that the same clips have, and the grouping of these clips.

    Attributes:
        targets: The targets, each followed by its controls.
        rows: Which clips, ``(N,)``.
        names: Names of the groups.
        groups: Group of every clip among these, ``(n,)``.
        folds: Fold of every clip among these.
        resamples: Resamples of the groups.
    """

    targets: Sequence[tuple[Coded, Sequence[Question]]]
    rows: npt.NDArray[np.bool_]
    names: Sequence[str]
    groups: npt.NDArray[np.intp]
    folds: npt.NDArray[np.intp]
    resamples: Resamples

    def describe(self) -> dict[str, Any]:
        """Its description in a result, as plain data."""
        fold = dict(zip(self.groups.tolist(), self.folds.tolist(), strict=True))
        return {
            "clips": len(self.groups),
            "fold of every group": {name: fold[number] for number, name in enumerate(self.names)},
        }

    def doubts(self) -> Iterator[str]:
        """Notes for the reader."""
        if len(self.names) < FEW_GROUPS:
            names = ", ".join(coded.name for coded, _ in self.targets)
            yield f"{names}: {len(self.names)} groups are few: intervals tend to be too narrow below {FEW_GROUPS}."
        for coded, _ in self.targets:
            if isinstance(coded.target, Classes):
                values = coded.target.values
                pairs = {(fold, value) for fold, value in zip(self.folds, values, strict=True)}
                for name, value in zip(coded.classes, range(len(coded.classes)), strict=True):
                    if len({fold for fold, other in pairs if other == value}) == 1:
                        yield f"{coded.name}: all clips of the class {name!r} are in one fold, so it is never learned."


def _plans(
    targets: Sequence[Coded], names: Sequence[str], related: Sequence[str], folds: int, controls: int, seed: int
) -> list[Plan]:
    """Yield a plan for every set of clips that have the same targets."""
    if not is_whole(controls) or controls < 1:
        raise UserError(f"The number of control draws must be 1 or more: `controls=5`. Got {controls!r}.")
    found = []
    for there in {coded.there.tobytes(): coded.there for coded in targets}.values():
        some = [coded for coded in targets if np.array_equal(coded.there, there)]
        groups_of, groups = np.unique(np.array(names)[there], return_inverse=True)
        _, natural = np.unique(np.array(related)[there], return_inverse=True)
        balance = [np.eye(one.target.count)[one.target.values] for one in some if isinstance(one.target, Classes)]
        dealt = deal_groups(groups, folds, seed, np.concatenate(balance, 1) if balance else None)
        draws = [
            [
                coded.target.dealt(dealt_again(natural, generator(seed, "control", coded.name, draw)))
                for draw in range(controls)
            ]
            for coded in some
        ]
        resamples = resample(len(groups_of), REPLICATES, seed)
        found.append(Plan(list(zip(some, draws, strict=True)), there, groups_of.tolist(), groups, dealt, resamples))
    return found


def _probe(stages: Iterable[Stage], plans: Sequence[Plan], quick: bool = False) -> ProbeResult:
    """Probe all targets in every stage; ``quick``: without controls."""
    rows, warnings = [], [doubt for plan in plans for doubt in plan.doubts()]
    samples: dict[tuple[str, str], Array] = {}
    penalties: dict[str, dict[str, list[float]]] = {}
    units: dict[str, int] = {}
    for stage, x in stages:
        units[stage] = x.shape[1]
        if broken := int((~np.isfinite(x)).any(1).sum()):
            clips = counted(broken, f"of {len(x)} clips gives", f"of {len(x)} clips give")
            warnings.append(f"Stage {stage}: {clips} NaN or infinite activations, so it is not probed.")
            continue
        for plan in plans:
            asked = [[coded.target, *([] if quick else draws)] for coded, draws in plan.targets]
            found = iter(read_out(x[plan.rows], [one for some in asked for one in some], plan.groups, plan.folds))
            for (coded, _), some in zip(plan.targets, asked, strict=True):
                own, *controls = [next(found) for _ in some]
                samples[coded.name, stage] = own.score(plan.resamples.of_videos)
                penalties.setdefault(coded.name, {})[stage] = own.penalties.tolist()
                rows.append(_row(stage, coded, plan, samples[coded.name, stage], own, controls))
    if not rows:
        raise UserError(f"None of the stages can be probed. {' '.join(warnings)}")
    how = {
        "probe": "ridge regression; units standardised and penalty chosen within the training folds, group by group",
        "penalties": list(PENALTIES),
        "chosen": penalties,
        "units": units,
        "controls": len(plans[0].targets[0][1]),
        "targets": {
            coded.name: {"kind": coded.kind, "classes": list(coded.classes), **plan.describe()}
            for plan in plans
            for coded, _ in plan.targets
        },
    }
    resamples = {coded.name: plan.resamples for plan in plans for coded, _ in plan.targets}
    return ProbeResult(pd.DataFrame(rows), how, warnings, samples, resamples)


def _in_order(result: ProbeResult, targets: Sequence[Target | Coded]) -> ProbeResult:
    """Sort the table by targets in the requested order."""
    place = {target.name: number for number, target in enumerate(targets)}
    table = result.table.sort_values("target", key=lambda names: names.map(place), kind="stable", ignore_index=True)
    return replace(result, table=table)


def _row(
    stage: str, coded: Coded, plan: Plan, scores: Array, own: ReadOut, controls: Sequence[ReadOut]
) -> dict[str, Any]:
    low, high = plan.resamples.interval(scores, bounded=coded.kind == CLASSES)
    drawn = np.array([float(control.score()) for control in controls] or [np.nan])
    score, control = float(scores[0]), float(drawn.mean())
    return {
        "stage": stage,
        "target": coded.name,
        "kind": coded.kind,
        "score": score,
        "low": float(low),
        "high": float(high),
        "chance": coded.target.chance,
        "control": control,
        "control_sd": float(drawn.std(ddof=1)) if len(drawn) > 1 else np.nan,
        "selectivity": score - control,
        "error": coded.target.error(own.answers) if isinstance(coded.target, Angle) else np.nan,
        "n": int(plan.rows.sum()),
        "groups": len(plan.names),
        "folds": len(np.unique(plan.folds)),
    }


def _beside_twins(table: pd.DataFrame, twins: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """The table with the numbers of untrained networks, and notes on them for the reader."""
    keyed = table.assign(estimator="probe", factor=table["target"])
    found = [
        pd.DataFrame({"stage": one["stage"], "estimator": "probe", "factor": one["target"], "value": one["score"]})
        for one in twins
    ]
    if not found:
        return table.assign(twin=np.nan, twin_low=np.nan, twin_high=np.nan), []
    values = pd.concat([one.assign(twin=number) for number, one in enumerate(found, 1)], ignore_index=True)
    silent = silent_twins(keyed, values, len(twins))
    beside = beside_twins(keyed, values, {"probe": (-np.inf, 1.0)})
    return beside.drop(columns=["estimator", "factor"]), silent
