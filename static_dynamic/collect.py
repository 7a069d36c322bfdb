"""Collecting: model × variants → store. Each variant is forwarded once; a killed run goes on where it stopped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, islice

import torch

from static_dynamic.common.compute import Compute, autocast, on_device, pick_device, prefetch
from static_dynamic.common.errors import BadClip, UserError, reason
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.registry import is_outside
from static_dynamic.common.timing import spent_on
from static_dynamic.forwards import Batch, Forwards, Judge, Judgements, Subject, batches
from static_dynamic.interventions import style_digests
from static_dynamic.interventions.flow_changes import flow_change
from static_dynamic.interventions.scrambles import scrambling
from static_dynamic.interventions.styles import style
from static_dynamic.media.clip import FlowRecipe, Recipe, Video
from static_dynamic.network.fingerprint import code_digest, forwards_of, structure_digest, weights_digest
from static_dynamic.network.pending import Trailing, lag_of
from static_dynamic.network.poolings import pooling
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.steadiness import Steadiness
from static_dynamic.report.strips import Strips
from static_dynamic.shards import Record
from static_dynamic.sources import Source
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, Index, PreparedVideo, Variant, prepare_video

VIDEOS_PER_SHARD = 8


@dataclass(frozen=True)
class Study:
    """What is measured: a model's stages on some videos under some conditions.

    Attributes:
        recorder: The model and its stages.
        source: Where the videos are.
        videos: Which of them, in order.
        recipe: The model's input.
        conditions: Styles and orders.
        compute: How forwards are run.
        judge: Also judges the model's output on every variant.
        pictured: Whether small pictures of what is shown are kept.
    """

    recorder: Recorder
    source: Source
    videos: Sequence[Video]
    recipe: Recipe | FlowRecipe
    conditions: Conditions
    compute: Compute
    judge: Judge | None = None
    pictured: bool = True

    def describe(self) -> dict[str, object]:
        """Everything that decides the activations, as plain data: equal descriptions mean equal bytes in the store."""
        model, crossed = self.recorder.model, self.conditions.crossed
        return {
            "model": getattr(getattr(model, "spec", None), "name", type(model).__name__),
            **self.fingerprint(),
            "stages": {name: [list(tap) for tap in taps] for name, taps in self.recorder.stages.items()},
            "pool": self.recorder.pool,
            **({"judge": _described(self.judge)} if self.judge else {}),
            "recipe": asdict(self.recipe),
            "source": self.source.describe(),
            "videos": [video.name for video in self.videos],
            "styles": list(self.conditions.styles),
            **({"style_files": digests} if (digests := style_digests(self._made())) else {}),
            **({"outside": digests} if (digests := self._outside()) else {}),
            "orders": list(self.conditions.orders),
            **({"cells": [list(cell) for cell in cells]} if (cells := self.conditions.cells) != crossed else {}),
            "seed": self.conditions.seed,
            "batch_size": self.compute.batch_size,
            "precision": self.compute.precision,
            **({"channels_last": True} if self.compute.channels_last else {}),
            "device": pick_device(self.compute.device).type,
        }

    def fingerprint(self) -> dict[str, str]:
        """Digests of everything in the model that decides activations."""
        model = self.recorder.model
        return {"weights": weights_digest(model), "structure": structure_digest(model)}

    def _made(self) -> list[str]:
        """The styles that do not lie on disk."""
        return [style for style in self.conditions.shown()[0] if style not in self.source.styles]

    def _outside(self) -> dict[str, str]:
        """What decides activations and comes from outside of this package → the digest of its code."""
        orders = [str(self.conditions.kind(order)).partition(":")[0] for order in self.conditions.shown()[1]]
        dynamics = flow_change if isinstance(self.recipe, FlowRecipe) else scrambling
        found: dict[str, Callable[..., object]] = {
            **style.outside(self._made()),
            **dynamics.outside(orders),
            **pooling.outside([self.recorder.pool]),
        }
        if is_outside(kind := type(self.source)):
            found[f"source {kind.__name__}"] = kind
        return {name: code_digest(thing) for name, thing in found.items()}

    def keys(self) -> Index:
        """The key of every variant, if all videos can be read, as numbers."""
        return Index.crossed([video.name for video in self.videos], list(self.conditions.cells))

    def variants(self) -> list[Variant]:
        """The same as keys."""
        return list(self.keys())

    def shards(self) -> list[Sequence[Video]]:
        """The videos of every shard."""
        return [self.videos[i : i + VIDEOS_PER_SHARD] for i in range(0, len(self.videos), VIDEOS_PER_SHARD)]

    def prepare(self, video: Video) -> PreparedVideo | Record:
        """A video ready for the model, or the record of why it is not."""
        stamp = self.stamp(video)
        try:
            with spent_on("preparing"):
                prepared = prepare_video(self.source, video, self.recipe, self.conditions)
        except BadClip as error:
            return {"video": video.name, "label": video.label, "problem": reason(error)}
        except UserError:
            raise
        except Exception as error:
            problem = f"{video.name}: cannot be read or prepared ({reason(error)})."
            return {"video": video.name, "label": video.label, "problem": problem}
        prepared.record.update(stamp)
        return prepared

    def stamp(self, video: Video) -> dict[str, str]:
        """What tells whether the data of a video have changed, where the source knows."""
        return {"stamp": self.source.stamp(video)} if hasattr(self.source, "stamp") else {}


def _described(judge: Judge) -> str:
    """A judge in words that are the same in every process; its code, where its own words name a place in memory."""
    said = repr(judge)
    return (
        said if " at 0x" not in said else f"{getattr(judge, '__qualname__', type(judge).__name__)} {code_digest(judge)}"
    )


def collect(
    study: Study,
    store: Store,
    on_video: OnDone = untold,
    twins: Sequence[Subject] = (),
    share: range | None = None,
) -> None:
    """Fill the store: every variant that is not there yet is forwarded, once.

    Args:
        study: What is measured.
        store: Where activations go, shard by shard.
        on_video: Called for every video that is done, or was there already.
        twins: Further models that are shown the same variants, each with a store of its own.
        share: Numbers of the shards that this process makes, if others make the rest; `complete` follows then.

    Raises:
        UserError: If too many videos cannot be read, or the model fails on its input. What is stored stays.
    """
    shards = study.shards()
    subjects = [Subject(study.recorder, store), *twins]
    own = range(len(shards)) if share is None else share
    for subject in subjects:
        subject.store.share = share
    lacking = {number: _lacking(study, subjects, shards[number], number) for number in own}
    missing = [number for number, subjects in lacking.items() if subjects]
    done = [record for number in own if not lacking[number] for record in store.records(number)]
    numbers = count(1)

    def tell(record: Record) -> None:
        on_video(next(numbers), len(study.videos), record["video"])

    for record in done:
        tell(record)
    problems = [record["problem"] for record in done if record["problem"]]
    device = pick_device(study.compute.device)
    videos = [video for number in missing for video in shards[number]]
    with ExitStack() as stack:
        upcoming = stack.enter_context(closing(prefetch(study.prepare, videos, study.compute.workers)))
        for subject in {id(subject): subject for number in missing for subject in lacking[number]}.values():
            stack.enter_context(on_device(subject.recorder.model, device))
            stack.enter_context(forwards_of(subject.recorder.model))
            stack.enter_context(subject.recorder)
        stack.enter_context(autocast(device, study.compute.precision))
        steadiness = Steadiness(study.recorder)
        trailing = stack.enter_context(Trailing(lag_of(device)))
        for number in missing:
            records: list[Record] = []
            readable = _readable(islice(upcoming, len(shards[number])), records, problems, study, tell)
            strips = Strips(study.recipe)
            pictured = study.pictured and number == 0 and any(subject.store is store for subject in lacking[number])
            prepared = strips.watch(readable) if pictured else readable
            judgements = Judgements(study.judge, shards[number])
            forwards = Forwards(lacking[number], study.recorder, steadiness, judgements)
            for keys, inputs in _waited_for(batches(prepared, study.compute, device)):
                trailing.add(forwards.start(keys, inputs))
            if steadiness.notes and records and own.start == 0:  # of several ranks, the first alone notes it
                records[0]["model"] = list(steadiness.notes)
                steadiness.notes.clear()
            if pictured:
                store.keep_pictures(strips.table)
            trailing.add(partial(_keep, store, number, lacking[number], forwards, records))
    if share is None:
        _complete(study, [subject.store for subject in subjects], problems)


def complete(study: Study, store: Store, twins: Sequence[Subject] = ()) -> None:
    """Check and merge what several processes have collected, once all shards are there.

    Raises:
        UserError: If too many videos could not be read.
    """
    problems = [record["problem"] for record in store.records() if record["problem"]]
    _complete(study, [store, *(twin.store for twin in twins)], problems)


def _complete(study: Study, stores: Iterable[Store], problems: Sequence[str]) -> None:
    if len(problems) == len(study.videos):
        raise UserError(f"No video could be read. The first: {problems[0]}")
    _check_readable(study, problems)
    for store in stores:
        store.merge()


def _check_readable(study: Study, problems: Sequence[str]) -> None:
    """Raise if more videos cannot be read than are allowed."""
    if len(problems) > max(1, int(study.compute.max_bad * len(study.videos))):
        raise UserError(
            f"{len(problems)} of {len(study.videos)} videos cannot be read, more than "
            f"`max_bad={study.compute.max_bad:g}` allows. The last: {problems[-1]}"
        )


def _lacking(study: Study, subjects: Sequence[Subject], videos: Sequence[Video], shard: int) -> list[Subject]:
    """The models whose shard is missing; all of them, where the data of a video have changed since."""
    there = [subject for subject in subjects if subject.store.has(shard)]
    if there and _changed(study, videos, there[0].store.records(shard)):
        return list(subjects)
    return [subject for subject in subjects if subject not in there]


def _changed(study: Study, shard: Sequence[Video], records: Iterable[Record]) -> bool:
    """Whether the data of a video have changed since its shard was made, or it could not be read and now can."""
    videos = {video.name: video for video in shard}
    for record in records:
        video = videos[record["video"]]
        if record["problem"] and _can_be_read(study, video):
            return True
        if not record["problem"] and not study.stamp(video).items() <= record.items():
            return True
    return False


def _can_be_read(study: Study, video: Video) -> bool:
    """Whether a video can be read, within the time limit."""
    return isinstance(next(prefetch(study.prepare, [video], study.compute.workers)), PreparedVideo)


def _readable(
    prepared: Iterable[PreparedVideo | Record],
    records: list[Record],
    problems: list[str],
    study: Study,
    tell: Callable[[Record], None],
) -> Iterator[PreparedVideo]:
    """The videos that could be read; all of them are recorded, and too many bad ones end the run."""
    for video in prepared:
        if isinstance(video, PreparedVideo):
            records.append(video.record)
            yield video
        else:
            records.append(video)
            problems.append(video["problem"])
            _check_readable(study, problems)
        tell(records[-1])


def _waited_for(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the model waits for the next where videos are not read fast enough."""
    while True:
        with spent_on("waiting for videos"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _keep(store: Store, shard: int, subjects: Sequence[Subject], forwards: Forwards, records: Sequence[Record]) -> None:
    """Store what all forward passes of a shard have given."""
    activations, judgements = forwards.activations(), forwards.judgements
    _check_widths(store, shard, subjects, activations)
    for record in records:
        record.update(judgements.problems.get(record["video"], {}))
    # The model's own shard comes last: where it is there, those of its twins are.
    for subject, found in reversed(list(zip(subjects, activations, strict=True))):
        with spent_on("storing"):
            subject.store.write(shard, forwards.keys, found, records, judgements.rows if subject.store is store else ())


def _check_widths(
    store: Store, shard: int, subjects: Sequence[Subject], activations: Sequence[Mapping[str, torch.Tensor]]
) -> None:
    """Raise if a twin has other units than the model, whose activations are among these or in the store."""
    own = [found for subject, found in zip(subjects, activations, strict=True) if subject.store is store]
    units = {stage: x.shape[1] for stage, x in own[0].items()} if own else store.units(shard)
    for stage, x in ((stage, x) for found in activations for stage, x in found.items()):
        if x.shape[1] != units.get(stage, x.shape[1]):
            raise UserError(
                f"The twin must be of the same architecture: it has {x.shape[1]} units in stage {stage!r}, and the "
                f"model {units[stage]}."
            )
