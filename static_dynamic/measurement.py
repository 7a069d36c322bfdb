"""The whole flow in one call: videos → variants → activations → pairs → scores."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, get_args

from torch import nn

from static_dynamic.collect import Study
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError, shown
from static_dynamic.common.files import as_path
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.ranks import here
from static_dynamic.common.rendezvous import Group
from static_dynamic.common.runs import START_OVER
from static_dynamic.common.timing import accounting, spent_on
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.estimators.registry import describe_estimator, find_estimators
from static_dynamic.forwards import Judge
from static_dynamic.interventions import STRONG
from static_dynamic.interventions.census import Style
from static_dynamic.interventions.flow_changes import flow_change
from static_dynamic.interventions.scrambles import scrambling
from static_dynamic.interventions.styles import style
from static_dynamic.media.clip import ORIGINAL, FlowRecipe, Recipe
from static_dynamic.media.inputs import declared_notes, declared_recipe
from static_dynamic.network.poolings import Pooling
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.stages import Stages
from static_dynamic.network.twins import Untrained, make_twins
from static_dynamic.records import skipped, spans, uneven
from static_dynamic.results import Result, load
from static_dynamic.scoring import Scoring, check_plans
from static_dynamic.sources import Source, Videos, open_source
from static_dynamic.sources.left_out import first_videos, left_out_of, unused
from static_dynamic.store import STUDY
from static_dynamic.top_clips import top_clips
from static_dynamic.twins import recorded, recorded_in_part, score_beside_twins
from static_dynamic.variants import Cell, Conditions, describe_video, union

MOST = 3
"""Largest number of conditions that a message names."""
VERSIONED = (
    "static-dynamic",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "opencv-python-headless",
    "av",
    "safetensors",
    "pyarrow",
)


def measure(
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
    store: str | Path | None = None,
    resume: bool = True,
    estimators: str | Estimator | Iterable[str | Estimator] | None = None,
    twins: int = 3,
    untrained: Untrained | None = None,
    judge: Judge | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_video: OnDone = untold,
) -> Result:
    """Measure how static and how dynamic the stages and units of a model are.

    In several processes, which torchrun or srun started, each measures a share of the videos into one ``store``. All
    return the result, which rank 0 computes.

    Args:
        model: Any module; it is left as it was.
        videos: A video file, a folder of videos or of frame folders, a list of videos (a file, or paths), tar files,
            ``"factorial"``, ``"mine:…"`` of a registered source, a data set of Hugging Face or of torch, or a source;
            see :func:`static_dynamic.open_source`.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.
        recipe: The model's input; ``None`` means the one that it declares.
        layout: Layout of stages named by module path.
        pool: How positions become one number per unit: a name or a function; see
            :meth:`static_dynamic.network.layout.Layout.pool`.
        styles: Static conditions: names of styles or functions, image files, ``"original"``, styles on disk.
        scrambles: Dynamic conditions besides the intact order, names or functions; ``None`` means ``shuffle``, or
            ``jitter`` of the flow.
        max_videos: Use at most this many videos, the first ones.
        seed: Draws styles, scrambles and, without a ``scoring``, partners of pairs and the bootstrap.
        compute: Batch size, device, precision, workers.
        scoring: Pairs, threshold, intervals.
        store: Folder for the activations, or its address (``s3://…``), which can be resumed; ``None``: a temporary one.
            Several processes need a folder that all of them see.
        resume: Resume from the store; otherwise start over.
        estimators: What is computed, by name or as objects; ``None`` means ``needs_motion``, the headline, and
            ``released``, for comparison. Each is shown the clips that it needs.
        twins: Random twins: the same architecture with fresh weights, to compare every number with. Each is shown
            every clip, which is decoded once for all; 0 leaves them out.
        untrained: Makes the model with fresh weights, for its twins; ``None`` takes the function of the zoo, or resets
            a copy.
        judge: Also judges the model's output on every variant, e.g. :class:`static_dynamic.quality.MaskJudge`.
        provenance: Further entries of the manifest, e.g. the checkpoint.
        on_video: Called for every video that is done, with their number, that of all, and its name.

    Returns:
        Tables per stage and unit with intervals, and the manifest.

    Raises:
        UserError: For anything that the caller can fix, in one line.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> result = measure(net, "factorial:4", {"relu": ("1", "N C T H W")}, recipe=Recipe(frames=8, rate=2, crop=32))
        >>> result.stages
        ['relu']
    """
    started = time.perf_counter()
    _check_kinds(
        ("store", store, str | Path | None),
        ("provenance", provenance, Mapping | None),
        ("on_video", on_video, Callable),
        ("untrained", untrained, Callable | None),
    )
    with accounting() as ledger:
        study, scoring, chosen_estimators = planned(
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
            judge=judge,
        )
        not_used = unused(study.source, max_videos)
        with spent_on("twins"):
            random, of_twins = make_twins(model, twins, seed, untrained)
        described = study.describe()
        group = _group(store, study.compute)
        if group is not None and group.rank.number:
            with recorded_in_part(study, random, group.folder, on_video, described, group):
                return group.receive(load)
        check = partial(_check_clips, described=described) if resume else lambda folder: None
        with recorded(study, random, store, resume, on_video, check, described, group) as (activations, stores):
            with spent_on("scoring"):
                scores, compared = score_beside_twins(activations, stores, scoring, chosen_estimators)
            records, quality = activations.records(), activations.judgements()
            pictures, top = activations.pictures(), top_clips(activations)
            unsteady = [note for record in records for note in record.get("model", ())]
            seen = [*unsteady, *not_used, *activations.damaged, *skipped(records), *uneven(records)]
            notes = [*declared_notes(model), *of_twins, *seen, *_by_itself(store, study.compute)]
            manifest = {
                **(provenance or {}),
                "study": described,
                "compute": asdict(study.compute),
                "ranks": 1 if group is None else group.rank.count,
                "scoring": asdict(scoring),
                "estimators": [describe_estimator(one) for one in chosen_estimators],
                "twins": [{"seed": twin.seed, "weights": twin.how} for twin in random],
                "versions": versions(),
                "machine": platform.platform(),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "seconds": round(time.perf_counter() - started, 2),
                "spent": ledger.total(),
                "left_out": [list(entry) for entry in left_out_of(study.source)],
                "seconds_seen": spans(records),
                "videos": records,
                "notes": notes,
            }
            warnings = [*notes, *scores.warnings]
            result = Result(
                scores.layers, scores.units, manifest, warnings, quality, scores.samples, compared, pictures, top
            )
            if group is not None:
                group.give(result.save)
    return result


def _group(store: str | Path | None, compute: Compute) -> Group | None:
    """The ranks that share the work of this process in a store, if there are several.

    Raises:
        UserError: If they cannot, since the store is not a folder.
    """
    rank = here()
    if store is None or compute.alone or rank.count == 1:
        return None
    if "://" in str(store):
        raise UserError(
            f"The {rank.count} processes of {rank.launcher} need a folder that all of them see. Got the address "
            f"{str(store)!r}. Measure into a folder and copy it, or measure in one process."
        )
    return Group(as_path(store), rank)


def _by_itself(store: str | Path | None, compute: Compute) -> list[str]:
    """A note where a rank measured everything because it has no folder in common with the others."""
    if store is not None or compute.alone or here().count == 1:
        return []
    return [
        "This process measured all videos by itself. With `store=FOLDER`, which all of them see, the processes of "
        "torchrun or srun share the work."
    ]


def _check_kinds(*arguments: tuple[str, object, Any]) -> None:
    """Raise for an argument of an invalid type; each is given as name, value and allowed types."""
    for name, value, kinds in arguments:
        if not isinstance(value, kinds):
            names = (kind.__name__.removesuffix("Type") for kind in get_args(kinds) or (kinds,))
            raise UserError(f"The argument '{name}' must be {' or '.join(names)}. Got {shown(value)}.")


class Planned(NamedTuple):
    """What will be measured, and how it will be scored."""

    study: Study
    scoring: Scoring
    estimators: tuple[Estimator, ...]


def planned(
    model: nn.Module,
    videos: Videos,
    stages: Stages | None,
    *,
    recipe: Recipe | FlowRecipe | Mapping[str, Any] | None,
    layout: str | None,
    pool: str | Pooling,
    styles: Sequence[str | Style],
    scrambles: Sequence[str | Callable[..., Any]] | None,
    max_videos: int | None,
    seed: int,
    compute: Compute | None,
    scoring: Scoring | None,
    estimators: str | Estimator | Iterable[str | Estimator] | None,
    judge: Judge | None = None,
) -> Planned:
    """The study for these arguments of :func:`measure`; its scoring is checked before any forward pass.

    Raises:
        UserError: For anything that the caller can fix, in one line.
    """
    _check_kinds(
        ("layout", layout, str | None),
        ("compute", compute, Compute | None),
        ("scoring", scoring, Scoring | None),
        ("styles", styles, Sequence),
        ("scrambles", scrambles, Sequence | None),
    )
    source, scoring = open_source(videos), scoring or Scoring(PairRule(seed=seed), seed=seed)
    input_recipe = declared_recipe(model, recipe)
    chosen = first_videos(source, max_videos)
    _check_flow(source, input_recipe)
    named = _named(input_recipe, styles, scrambles, seed, getattr(source, "original", True))
    conditions, found = _conditions(source, input_recipe, named, scoring, estimators)
    recorder = Recorder(model, stages, layout, pool)
    study = Study(recorder, source, chosen, input_recipe, conditions, compute or Compute(), judge)
    described = {video.name: describe_video(video) for video in study.videos}
    check_plans(study.keys(), described, conditions, scoring, found)
    return Planned(study, scoring, found)


def _check_clips(folder: Path, described: Mapping[str, Any]) -> None:
    """Raise if a store differs from a study in nothing but the conditions that its estimators need."""
    there, here = STUDY.read(folder), STUDY.full(described)
    if there is None or not STUDY.owned(folder):
        return
    if any(there.get(name) != here.get(name) for name in {*there, *here} - {"cells"}):
        return  # the store names the difference
    shown, needed = _cells_of(there), _cells_of(here)
    if shown == needed:
        return
    if lacking := [cell for cell in needed if cell not in shown]:
        some = "; ".join(map(str, lacking[:MOST])) + (" …" if len(lacking) > MOST else "")
        raise UserError(
            f"{folder} contains the clips of other estimators: it lacks {len(lacking)} of the {len(needed)} conditions "
            f"that these need ({some}). Choose another place, or {START_OVER}."
        )
    raise UserError(
        f"{folder} contains every clip that these estimators need, and more: score it as it is, with "
        f"`static-dynamic score RUN --estimators NAMES`. Otherwise choose another place, or {START_OVER}."
    )


def _cells_of(study: Mapping[str, Any]) -> list[Cell]:
    """The conditions under which a study shows its videos; every style in every order by default."""
    crossed = [(style, order) for style in study["styles"] for order in study["orders"]]
    return [Cell(*cell) for cell in study.get("cells") or crossed]


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _named(
    recipe: Recipe | FlowRecipe,
    styles: Sequence[str | Style],
    scrambles: Sequence[str | Callable[..., Any]] | None,
    seed: int,
    original: bool,
) -> Conditions:
    """The conditions by their names; functions that have not been registered yet are."""
    dynamics = flow_change if isinstance(recipe, FlowRecipe) else scrambling
    kinds = usual_scrambles(recipe) if scrambles is None else tuple(map(dynamics.name_of, scrambles))
    return Conditions(tuple(map(style.name_of, styles)), kinds, seed, original=original)


def _conditions(
    source: Source,
    recipe: Recipe | FlowRecipe,
    named: Conditions,
    scoring: Scoring,
    estimators: str | Estimator | Iterable[str | Estimator] | None,
) -> tuple[Conditions, tuple[Estimator, ...]]:
    """The conditions that the estimators need, checked, and the estimators."""
    found = find_estimators(estimators)
    if scoring.rule.normal_static and ORIGINAL not in named.styles:
        named = replace(named, styles=(*named.styles, ORIGINAL))
    conditions = replace(named, wanted=union([one.cells(named) for one in found]))
    conditions.check(source, recipe)
    return conditions, found


def _check_flow(source: Source, recipe: Recipe | FlowRecipe) -> None:
    """Models of clips need a source of clips, models of image and flow one of images and flow."""
    there = tuple(getattr(source, "flows", ()))
    if isinstance(recipe, FlowRecipe):
        for direction in recipe.flows:
            if direction not in there:
                given = f"its flow is {' and '.join(there)}" if there else "it has no optical flow"
                raise UserError(
                    f"This model takes images with their {' and '.join(recipe.flows)} flow; {source.name}: {given}. "
                    "A data set in the layout of DAVIS gives both; static-dynamic flow computes the flow."
                )
    elif there:
        raise UserError(f"This model takes clips; {source.name} gives images and their flow. Open the frames as clips.")


def usual_scrambles(recipe: Recipe | FlowRecipe) -> tuple[str, ...]:
    """The published dynamic condition of such a model."""
    return ("jitter",) if isinstance(recipe, FlowRecipe) else ("shuffle",)
