"""Forward passes over the variants of a shard: each is started, and read later, so that a device need not wait."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch

from static_dynamic.common.compute import Compute, prefetch
from static_dynamic.common.errors import BadClip, UserError, reason
from static_dynamic.common.timing import spent_on
from static_dynamic.media.clip import Video
from static_dynamic.media.inputs import Inputs, channels_last, in_one_line, tensors_of
from static_dynamic.network.pending import Pending
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.steadiness import Steadiness
from static_dynamic.store import Store
from static_dynamic.variants import Cell, PreparedVideo, Variant, stack

Judge = Callable[[Video, torch.Tensor], dict[str, float]]
"""What a model's output is worth: video and output, clips left out → measure → value."""


@dataclass(frozen=True)
class Subject:
    """A model whose activations are kept: the one that is studied, or a random twin of it.

    Attributes:
        recorder: The model and its stages.
        store: Where its activations go.
        named: What it is called where it fails, and what may help then.
    """

    recorder: Recorder
    store: Store
    named: tuple[str, ...] = ()


class Judgements:
    """What the outputs of some variants are worth, row by row, and of which videos that cannot be said."""

    def __init__(self, judge: Judge | None, videos: Sequence[Video]) -> None:
        self.rows: list[dict[str, float]] = []
        self.problems: dict[str, dict[str, str]] = {}
        self.wanted = judge is not None
        self._judge = judge
        self._videos = {video.name: video for video in videos}

    def add(self, keys: Sequence[Variant], output: torch.Tensor | None) -> None:
        """Judge the output of a forward: ``(N · frames, …)`` for ``N`` variants."""
        if self._judge is None or output is None:
            self.rows += [{}] * len(keys)
            return
        if output.ndim < 1 or len(output) % len(keys):
            raise UserError(
                f"The judge needs outputs with an axis for clips. Got {tuple(output.shape)} for {len(keys)} clips."
            )
        for key, part in zip(keys, output.unflatten(0, (len(keys), -1)), strict=True):
            try:
                self.rows.append(self._worth(key.video, part))
            except BadClip as error:
                self.rows.append({})
                self.problems[key.video] = {"unjudged": reason(error)}

    def _worth(self, video: str, output: torch.Tensor) -> dict[str, float]:
        """What the judge says, if it is what a judge says."""
        assert self._judge is not None  # outputs are kept for a judge alone
        try:
            found = self._judge(self._videos[video], output)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"The judge failed on {video} with an output of shape {tuple(output.shape)}: {reason(error)}."
            ) from error
        if not isinstance(found, Mapping) or not all(isinstance(value, int | float) for value in found.values()):
            raise UserError(f"A judge returns a mapping from a measure to its value. Got {found!r:.80} for {video}.")
        return dict(found)


class Forwards:
    """Forward passes of one or more models over the variants of a shard.

    Args:
        subjects: The models.
        studied: The recorder of the model that is studied, which may not be among them.
        steadiness: Watches its first forward pass.
        judgements: What its outputs are worth.

    Attributes:
        keys: The key of every row.
        judgements: The judgement of every row.
    """

    def __init__(
        self, subjects: Sequence[Subject], studied: Recorder, steadiness: Steadiness, judgements: Judgements
    ) -> None:
        self.keys: list[Variant] = []
        self.judgements = judgements
        self._subjects, self._studied, self._steadiness = subjects, studied, steadiness
        self._parts: list[list[Mapping[str, torch.Tensor]]] = [[] for _ in subjects]

    def start(self, keys: Sequence[Variant], inputs: Inputs) -> Callable[[], None]:
        """Start a forward pass of every model, and return the function that reads their results."""
        self.keys += keys
        return partial(self._read, keys, [self._started(subject, inputs) for subject in self._subjects])

    def activations(self) -> list[dict[str, torch.Tensor]]:
        """Of every model: stage → ``(rows, C)``, of all forward passes that have been read."""
        return [_joined(found) for found in self._parts]

    def _started(self, subject: Subject, inputs: Inputs) -> "_Started":
        with self._time_of(subject):
            if subject.recorder is not self._studied:
                return _run(subject, inputs, False)
            started = _run(subject, inputs, self.judgements.wanted)
            self._steadiness.ask(inputs, started.activations)
            return started

    def _read(self, keys: Sequence[Variant], started: Sequence["_Started"]) -> None:
        for subject, found, results in zip(self._subjects, self._parts, started, strict=True):
            with self._time_of(subject):
                found.append(results.activations())
                output = results.output()
            if subject.recorder is self._studied:
                with spent_on("judging"):
                    self.judgements.add(keys, output)

    def _time_of(self, subject: Subject) -> AbstractContextManager[None]:
        return spent_on("model" if subject.recorder is self._studied else "twins")


class _Started(NamedTuple):
    """A forward pass that may still run: functions that return its results."""

    activations: Callable[[], dict[str, torch.Tensor]]
    output: Callable[[], torch.Tensor | None]


def _run(subject: Subject, inputs: Inputs, to_the_end: bool) -> _Started:
    """A forward pass, with the model's output if it goes to the end."""
    recorder = subject.recorder
    with in_one_line(inputs, *subject.named):
        if not to_the_end:
            recorder.reach(inputs)
            return _Started(recorder.pending(), lambda: None)
        outputs = list(tensors_of(recorder.run(inputs)))
        if len(outputs) != 1:
            raise UserError(f"A judge needs a model with one tensor for its output. This one has {len(outputs)}.")
        output = Pending({"output": outputs[0].float()})
        return _Started(recorder.pending(), lambda: output.wait()["output"])


def _joined(parts: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The activations of several forwards behind each other."""
    return {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else {})}


Batch = tuple[list[Variant], Inputs]
"""Keys of variants, and the model's input for all of them."""


def batches(prepared: Iterable[PreparedVideo], compute: Compute, device: torch.device) -> Iterator[Batch]:
    """The variants of some videos, ``batch_size`` at a time, on the device.

    Threads put them together for a GPU, which would have to wait for them. A CPU would only share its cores with them.
    """
    variants = ((video, cell) for video in prepared for cell in video.conditions.cells)
    some = iter(lambda: list(islice(variants, compute.batch_size)), [])
    return prefetch(
        partial(_shown, device, compute.channels_last), some, compute.workers if device.type == "cuda" else 0
    )


def _shown(device: torch.device, last: bool, variants: Sequence[tuple[PreparedVideo, Cell]]) -> Batch:
    with spent_on("preparing"):
        keys = [Variant(video.video.name, *cell) for video, cell in variants]
        inputs = stack([video.show(cell) for video, cell in variants], device)
        return keys, channels_last(inputs) if last else inputs
