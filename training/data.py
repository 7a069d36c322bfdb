"""Clips of frame folders, ready for a model; a clip is a function of seed, epoch and index in every process."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import pandas as pd
import torch
from torch.utils.data import DataLoader, default_collate

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.files import write_text
from static_dynamic.common.seeds import generator
from static_dynamic.common.tables import as_csv
from static_dynamic.media.clip import Frames, Recipe, Sample
from static_dynamic.media.images import image_at, read_images
from static_dynamic.media.inputs import Inputs
from static_dynamic.training.lists import Entry
from static_dynamic.training.sampling import Sampling
from static_dynamic.training.transforms import Augmentation, squares

IGNORED = -100
"""The label of an unreadable clip, which losses and accuracies ignore."""


class Complaint(NamedTuple):
    """A video that could not be read, and why."""

    video: str
    what: str


class Item(NamedTuple):
    """One clip, ``(3, T, H, W)`` or a list of them for several pathways; tests may have views before."""

    clip: Inputs
    label: int
    complaint: Complaint | None = None


class Batch(NamedTuple):
    """Clips along the first axis, their labels ``(N,)``, and the videos that could not be read."""

    clips: Inputs
    labels: torch.Tensor
    complaints: list[Complaint]


class Clips(Protocol):
    """What can be trained and tested on: any data set of clips and labels, e.g. ``list[tuple[Tensor, int]]``."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: int) -> Item | tuple[Inputs, int]:
        """A clip and its label; an :class:`Item` may report an unreadable video instead."""
        ...


@dataclass
class FrameFolders(ABC):
    """Videos as folders of frames that count from 1; base of the two data sets below.

    Attributes:
        root: Folder that holds the folders.
        entries: The videos.
        recipe: The input that the model expects.
        sampling: Which frames make a clip.
        template: Name of a frame; other extensions of images are also read.
    """

    root: Path
    entries: Sequence[Entry]
    recipe: Recipe
    sampling: Sampling
    template: str = "{:06d}.jpg"

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Item:
        """A clip; an unreadable one is blank, ignored and reported, and is never replaced by another video."""
        entry = self.entries[index]
        try:
            return Item(self.clip(entry, index), entry.label)
        except BadClip as error:
            return Item(self.blank(), IGNORED, Complaint(entry.name, str(error)))

    @abstractmethod
    def clip(self, entry: Entry, index: int) -> Inputs:
        """The input of the model.

        Raises:
            BadClip: If a frame is missing or cannot be read.
        """

    @abstractmethod
    def blank(self) -> Inputs:
        """Zeros in the shape of a clip."""

    def read(self, entry: Entry, sample: Sample) -> Frames:
        """Frames of a video, ``(T, H, W, 3)``, each once."""
        names = (Path(self.template.format(number + 1)) for number in sample.numbers)
        paths = (image_at(self.root / entry.name / name.parent, name.stem, usual=name.suffix) for name in names)
        return read_images(paths, short_side=self.recipe.resize)


@dataclass
class TrainingClips(FrameFolders):
    """A random, augmented clip of every video.

    Attributes:
        flip: Whether half of the clips are mirrored.
        seed: Determines the clip, with epoch and index.
        epoch: Set before every epoch.
    """

    flip: bool = False
    seed: int = 0
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the clips of another epoch."""
        self.epoch = epoch

    def clip(self, entry: Entry, index: int) -> Inputs:
        """``(3, T, crop, crop)`` per pathway."""
        draw = generator(self.seed, "clip", self.epoch, index)
        sample = self.sampling.drawn(entry.frames, draw)
        frames = Augmentation(self.recipe.side, self.flip)(self.read(entry, sample), draw)
        return _inputs(frames, sample, replace(self.recipe, short_side=self.recipe.side))

    def blank(self) -> Inputs:
        """Zeros in the shape of a clip."""
        return _zeros(self.recipe)


@dataclass
class EvaluationClips(FrameFolders):
    """The middle of every video, or six views of it: two samplings by three squares.

    Attributes:
        multi_clip: Whether there are six views.
        full_res: Whether views are as large as the short side, instead of the crop in training.
    """

    multi_clip: bool = False
    full_res: bool = True

    def clip(self, entry: Entry, index: int) -> Inputs:
        """``(3, T, crop, crop)`` per pathway, or ``(6, 3, T, side, side)``."""
        if not self.multi_clip:
            sample = self.sampling.at(entry.frames, 0.5)
            return _inputs(self.read(entry, sample), sample, self.recipe)
        samples = [self.sampling.at(entry.frames, phase) for phase in (0.5, 0.0)]
        views = [(square, sample) for sample in samples for square in squares(self.read(entry, sample))]
        return default_collate([_inputs(square, sample, self._square) for square, sample in views])

    def blank(self) -> Inputs:
        """Zeros in the shape of a clip."""
        return default_collate([_zeros(self._square)] * 6) if self.multi_clip else _zeros(self.recipe)

    @property
    def _square(self) -> Recipe:
        side = self.recipe.resize if self.full_res else self.recipe.side
        return replace(self.recipe, crop=side, short_side=side)


def loader(clips: Clips, batch_size: int, workers: int, training: bool) -> DataLoader[Batch]:
    """Batches of clips: in training shuffled, complete and without those that could not be read."""
    # A separate generator, so that the start of an epoch does not affect the random numbers of the model.
    return cast(
        DataLoader[Batch],
        DataLoader(
            cast(Any, clips),
            batch_size,
            shuffle=training,
            drop_last=training,
            num_workers=workers,
            collate_fn=partial(collate, readable=training),
            generator=torch.Generator().manual_seed(0),
            pin_memory=torch.cuda.is_available(),
        ),
    )


def collate(items: Sequence[Item | tuple[Inputs, int]], readable: bool) -> Batch:
    """A batch; only of the ``readable`` clips, if there are any."""
    named = [Item(*item) for item in items]
    complaints = [item.complaint for item in named if item.complaint]
    kept = ([item for item in named if not item.complaint] or named[:1]) if readable else named
    return Batch(default_collate([item.clip for item in kept]), torch.tensor([item.label for item in kept]), complaints)


def too_many(bad: Mapping[str, str], videos: int, share: float) -> None:
    """Stop if more than a share of the videos is unreadable; a single one is always accepted.

    Raises:
        UserError: With the reason for the last of them.
    """
    if len(bad) > max(1, share * videos):
        raise UserError(
            f"{len(bad)} of {videos} videos cannot be read, more than `max_bad={share:g}` allows. The last: "
            f"{list(bad.values())[-1]}"
        )


def write_complaints(folder: Path, bad: Mapping[str, str]) -> None:
    """Write which videos could not be read, and why, to ``bad_videos.csv``."""
    table = pd.DataFrame(list(bad.items()), columns=list(Complaint._fields))
    write_text(folder / "bad_videos.csv", as_csv(table))


def _inputs(frames: Frames, sample: Sample, recipe: Recipe) -> Inputs:
    """Frames as read → the input of the model."""
    clip = recipe.prepare(frames)
    return _one([recipe.arranged(clip[torch.from_numpy(path)]).contiguous() for path in sample.pathways])


def _one(pathways: list[torch.Tensor]) -> Inputs:
    return pathways[0] if len(pathways) == 1 else pathways


def _zeros(recipe: Recipe) -> Inputs:
    dtype = torch.uint8 if recipe.values == "uint8" else torch.float32
    return _one([torch.zeros(shape, dtype=dtype) for shape in recipe.shapes])
