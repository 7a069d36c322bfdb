"""The numbers of untrained networks of the same architecture, to compare with: collected, scored, joined."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.stats import t as student

from static_dynamic.collect import Study, collect, complete
from static_dynamic.common.compute import on_device, pick_device
from static_dynamic.common.errors import UserError
from static_dynamic.common.places import listed, local
from static_dynamic.common.progress import OnDone
from static_dynamic.common.ranks import shares
from static_dynamic.common.rendezvous import Group
from static_dynamic.common.runs import alone_in, beside_rank_0
from static_dynamic.common.tables import rows_of
from static_dynamic.common.timing import spent_on
from static_dynamic.estimators.base import Estimator
from static_dynamic.forwards import Subject
from static_dynamic.media.clip import INTACT
from static_dynamic.media.inputs import Inputs
from static_dynamic.network.fingerprint import weights_digest
from static_dynamic.network.twins import (
    TWIN,
    WITHOUT,
    Twin,
    has_batch_statistics,
    has_seen_batches,
    set_batch_statistics,
)
from static_dynamic.scoring import Scores, Scoring, score_store
from static_dynamic.store import STUDY, Store
from static_dynamic.variants import PreparedVideo, stack

CALIBRATION_VIDEOS = 16
"""Number of videos on which statistics of batch normalisation are set."""
TWIN_FOLDER = "twin-"
"""Name of the stores of twins, within the store of the model: this and a number from 1."""
KEY = ["stage", "estimator", "factor"]
CONFIDENCE = 0.95


@contextmanager
def recorded(
    study: Study,
    twins: Sequence[Twin],
    place: str | Path | None,
    resume: bool,
    on_video: OnDone,
    check: Callable[[Path], object] = lambda folder: None,
    described: Mapping[str, object] | None = None,
    group: Group | None = None,
) -> Iterator[tuple[Store, list[Store]]]:
    """Activations of a study and of its twins, kept or resumed; the folders are claimed until the block ends.

    Args:
        study: The model and its clips.
        twins: Random twins, which are shown the same.
        place: Folder of the store; a temporary one if ``None``.
        resume: Resume from the store; otherwise start over.
        on_video: Called for every video that is done.
        check: Check of the claimed folder before anything is written.
        described: The description of the study, if it is known: its digests take seconds for a large model.
        group: The ranks that share the work, of which this is rank 0. The others use `recorded_in_part`.

    Raises:
        UserError: If a folder is in use, or contains another study; if another rank fails or is lost.
    """
    described = described or study.describe()
    with ExitStack() as stack:
        if group is None:
            folder = local(place or stack.enter_context(TemporaryDirectory(prefix="static-dynamic-")))
        else:
            folder = group.folder
        stack.enter_context(alone_in(folder, STUDY))
        check(folder)
        store = Store(folder, dict(described), resume)
        if group is None:
            for number in range(1, len(twins) + 1):  # a failure before the first video leaves no files
                stack.enter_context(alone_in(twin_folder(folder, number), STUDY))
        subjects = twin_subjects(study, described, twins, store, partial(Store, resume=resume))
        if group is None:
            calibrate(study, subjects)
            collect(study, store, on_video, subjects)
        else:
            stack.enter_context(_collected_by_all(study, store, subjects, on_video, group))
        yield store, [subject.store for subject in subjects]


@contextmanager
def recorded_in_part(
    study: Study,
    twins: Sequence[Twin],
    folder: Path,
    on_video: OnDone,
    described: Mapping[str, object],
    group: Group,
) -> Iterator[None]:
    """As another rank than 0: the own share is collected, and rank 0 can give what it makes of all in the block.

    Raises:
        UserError: If rank 0 measures something else, fails, or is lost.
    """
    with group.follow() as plan:
        with beside_rank_0(folder, group.rank.number):
            store = Store.join(folder, described)
            subjects = twin_subjects(study, described, twins, store, Store.join)
            share = range(*plan["shares"][group.rank.number])
            _collect_share(study, store, subjects, share, on_video, group)
        group.finish()
        yield


@contextmanager
def _collected_by_all(
    study: Study, store: Store, subjects: Sequence[Subject], on_video: OnDone, group: Group
) -> Iterator[None]:
    """As rank 0: every rank collects a share, and the stores are complete in the block."""
    there = [set(one.shards()) for one in (store, *(subject.store for subject in subjects))]
    total = len(study.shards())
    missing = [shard for shard in range(total) if not all(shard in shards for shards in there)]
    parts = shares(missing, total, group.rank.count)
    with group.lead({"shares": [[part.start, part.stop] for part in parts]}):
        _collect_share(study, store, subjects, parts[0], on_video, group)
        with spent_on("waiting for other ranks"):
            group.gather(lambda done: on_video(done, len(study.videos), ""))
        complete(study, store, subjects)
        yield


def _collect_share(
    study: Study, store: Store, subjects: Sequence[Subject], share: range, on_video: OnDone, group: Group
) -> None:
    """Collect some shards, as long as the other ranks that matter are at work."""

    def told(done: int, total: int, name: str) -> None:
        group.check()
        on_video(group.tell(done), total, name)

    calibrate(study, subjects, share)
    collect(study, store, told, subjects, share)


def twin_subjects(
    study: Study,
    described: Mapping[str, object],
    twins: Sequence[Twin],
    store: Store,
    opened: Callable[[Path, Mapping[str, object]], Store],
) -> list[Subject]:
    """Twins, each with a store within that of the study.

    Raises:
        UserError: If a twin lacks modules of the model, or its store belongs to another study.
    """
    subjects = []
    for number, twin in enumerate(twins, start=1):
        weights = {"twin": {"seed": twin.seed, "weights": weights_digest(twin.model)}}
        own = opened(twin_folder(store.folder, number), {**described, **weights})
        subjects.append(Subject(study.recorder.like(twin.model), own, (TWIN, WITHOUT)))
    return subjects


def calibrate(study: Study, twins: Sequence[Subject], share: range | None = None) -> None:
    """Make twins that lack shards ready to be shown the study's clips.

    Their statistics of batch normalisation are set on the clips, as the model has statistics of its training data. If
    the model has initial statistics, so do they.

    Args:
        study: The study.
        twins: Its twins.
        share: The shards that this process makes; all for ``None``.
    """
    shards = range(len(study.shards())) if share is None else share
    waiting = [
        subject.recorder.model
        for subject in twins
        if has_batch_statistics(subject.recorder.model) and not all(subject.store.has(shard) for shard in shards)
    ]
    if waiting and has_seen_batches(study.recorder.model):
        clips = list(_clips(study))
        device = pick_device(study.compute.device)
        for model in waiting:
            with on_device(model, device):
                set_batch_statistics(model, clips)


def twin_folder(folder: Path, number: int) -> Path:
    """The folder of the activations of a twin, in the store of the study."""
    return folder / f"{TWIN_FOLDER}{number}"


def twin_stores(store: Store, most: int | None = None) -> tuple[list[Store], list[str]]:
    """The stores of the twins of a study that was stored, and notes on them for the reader.

    Stores of another study, which an earlier run may have left, are ignored; an unfinished one is named.

    Args:
        store: The store of the study.
        most: Number of twins of the study; all existing ones for ``None``.
    """
    found, notes = [], []
    here = [path for path in store.folder.glob(f"{TWIN_FOLDER}*") if path.is_dir()]
    numbers = {
        path.name.removeprefix(TWIN_FOLDER) for path in [*here, *listed(store.folder, f"{TWIN_FOLDER}*", folders=True)]
    }
    for number in sorted(int(number) for number in numbers if number.isdecimal()):
        folder = twin_folder(store.folder, number)
        if (most is not None and number > most) or STUDY.read(folder) is None:
            continue
        twin = Store.open(folder)
        if _without(twin.study, "twin") != _without(store.study):
            continue
        if all(twin.has(shard) for shard in store.shards()):
            found.append(twin)
        else:
            notes += [f"Random twin {number} lacks clips and is left out: run the study again.", *twin.damaged]
    return found, notes


def _without(study: Mapping[str, object], *names: str) -> dict[str, object]:
    """The parts of a study's description that determine activations, without these entries."""
    return {name: value for name, value in study.items() if name not in (*STUDY.notes, *names)}


def _clips(study: Study) -> Iterator[Inputs]:
    """Batches, as equal as possible, of intact clips of the first readable videos."""
    device = pick_device(study.compute.device)
    cell = next(cell for cell in study.conditions.cells if cell.order == INTACT)
    prepared = map(study.prepare, study.videos[:CALIBRATION_VIDEOS])
    clips = [video.show(cell) for video in prepared if isinstance(video, PreparedVideo)]
    # A last batch of one clip would have no variance where a module normalises over clips alone.
    batches = -(-len(clips) // study.compute.batch_size)
    for numbers in np.array_split(np.arange(len(clips)), batches) if clips else ():
        yield stack([clips[number] for number in numbers], device)


def score_beside_twins(
    store: Store, twins: Sequence[Store], scoring: Scoring, estimators: Sequence[Estimator]
) -> tuple[Scores, pd.DataFrame | None]:
    """Scores of a store together with those of its twins, and the table of the twins; ``None`` without twins.

    Raises:
        UserError: See :func:`static_dynamic.scoring.score_store`.
    """
    scores, of_twins = score_store(store, scoring, estimators), score_twins(twins, scoring, estimators)
    warnings = [*scores.warnings, *silent_twins(scores.layers, of_twins, len(twins))]
    layers = beside_twins(scores.layers, of_twins, limited(estimators))
    return replace(scores, layers=layers, warnings=warnings), of_twins if twins else None


def score_twins(stores: Sequence[Store], scoring: Scoring, estimators: Sequence[Estimator]) -> pd.DataFrame:
    """Numbers of the layers of every twin: one row per twin, stage, estimator and factor, with its ``value``."""
    tables = []
    for number, store in enumerate(stores, start=1):
        try:
            layers = score_store(store, scoring.quick, estimators).layers
        except UserError:  # fresh weights of a deep network can give infinity in every stage
            continue
        columns = {one.name: one.column for one in estimators}
        value = [row[columns[row["estimator"]]] for row in rows_of(layers)]
        tables.append(layers[KEY].assign(twin=number, value=value))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*KEY, "twin", "value"])


def silent_twins(layers: pd.DataFrame, twins: pd.DataFrame, count: int) -> list[str]:
    """A line for every stage that has numbers, but not for all twins."""
    numbers = layers.reindex(columns=["share", "score"]).notna().any(axis=1)
    speaking = twins.dropna(subset="value").groupby("stage")["twin"].nunique()
    said = []
    for stage in dict.fromkeys(layers.loc[numbers, "stage"]):
        if silent := count - int(speaking.get(stage, 0)):
            said.append(
                f"Stage {stage}: {silent} of {count} random twins give no numbers, since their activations are NaN, "
                "infinite, or never vary."
            )
    return said


def limited(estimators: Iterable[Estimator]) -> dict[str, tuple[float, float]]:
    """Estimator → least and largest value of its number, for bounded ones."""
    found = {one.name: (0.0, 100.0) if one.bounded else one.limits.get(one.column) for one in estimators}
    return {name: ends for name, ends in found.items() if ends is not None}


def beside_twins(
    layers: pd.DataFrame, twins: pd.DataFrame, limits: Mapping[str, tuple[float, float]] | None = None
) -> pd.DataFrame:
    """The layer table with ``twin``, the mean over the twins, and ``twin_low`` and ``twin_high``, ends of their spread.

        mean ± t(k - 1) · sd · √(1 + 1 / k)

    A further untrained network would be within these ends in 95 % of cases, so a model there is not distinguishable
    from one. A twin without a number is left out. The ends are missing for fewer than two twins.

    Args:
        layers: The layer table.
        twins: Numbers of twins, see `score_twins`.
        limits: Estimator → least and largest value of its number, see `limited`: the ends are cut there.
    """
    defined = twins.dropna(subset="value")
    spread = [_spread(values["value"].to_numpy(float)) for _, values in defined.groupby(KEY, sort=False)]
    keys = list(defined.groupby(KEY, sort=False).groups)
    ends = pd.DataFrame(spread, columns=["twin", "twin_low", "twin_high"], dtype="float64")
    table = pd.DataFrame(keys, columns=KEY).join(ends)
    merged = layers.merge(table, how="left", on=KEY)
    for name, (least, largest) in (limits or {}).items():
        within = merged["estimator"] == name, ["twin_low", "twin_high"]
        merged.loc[within] = merged.loc[within].clip(least, largest)
    return merged


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    k, mean = len(values), float(np.mean(values))
    if k < 2:
        return mean, np.nan, np.nan
    reach = float(student.ppf((1 + CONFIDENCE) / 2, k - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / k))
    return mean, mean - reach, mean + reach
