"""A video with all variants ready for a model, for any form of input."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from static_dynamic.common.deadlines import in_time
from static_dynamic.common.errors import BadClip
from static_dynamic.common.seeds import generator
from static_dynamic.common.timing import spent_on
from static_dynamic.interventions import restyle
from static_dynamic.interventions.styles import SMALLEST
from static_dynamic.media.clip import FACTORS, Clip, FlowRecipe, Frames, Recipe, Video, same_proportions
from static_dynamic.media.inputs import Inputs, map_tensors
from static_dynamic.sources import Source
from static_dynamic.variants.conditions import Conditions
from static_dynamic.variants.keys import Cell, Variant, style_seed


@dataclass(frozen=True)
class PreparedVideo(ABC):
    """All variants of one video, ready for a model.

    Attributes:
        video: The video.
        conditions: The styles and orders.
        record: The description of what was read, as plain data for the manifest.
        frames: Style → prepared frames ``(T, 3, H, W)``.
    """

    video: Video
    conditions: Conditions
    record: dict[str, object]
    frames: dict[str, torch.Tensor]

    def variants(self) -> Iterator[tuple[Variant, Inputs]]:
        """Key and model input, without an axis for clips, of every variant in a fixed order."""
        for cell in self.conditions.cells:
            yield Variant(self.video.name, *cell), self.show(cell)

    @abstractmethod
    def show(self, cell: Cell) -> Inputs:
        """The input of a model for one variant."""

    def nuisance(self, cell: Cell) -> np.random.Generator:
        """Random numbers of a replicate, which depend only on its key and the study's seed."""
        style = Path(cell.style).name  # for a file, only its name counts, not its folder
        return generator(self.conditions.seed, "replicate", self.video.name, style, cell.order, cell.replicate)


def read_video(source: Source, video: Video, recipe: Recipe | FlowRecipe, *style: str) -> Clip:
    """The clip of a video; a thread that reads ahead waits for it for a limited time.

    Raises:
        BadClip: If the video cannot be read, or not within `static_dynamic.common.deadlines.most_seconds`.
    """
    with spent_on("reading"):
        return in_time(partial(source.read, video, recipe, *style), video.name)


def read_styles(
    source: Source, video: Video, recipe: Recipe | FlowRecipe, conditions: Conditions
) -> tuple[Clip, dict[str, Frames]]:
    """A video read once per style on disk, and restyled in the others: the first clip read, and style → frames.

    Raises:
        BadClip: If the video cannot be read.
    """
    filmed: Clip | None = None
    first: Clip | None = None
    frames: dict[str, Frames] = {}
    styles, _ = conditions.shown()
    for style in styles:
        if style in source.styles:
            clip = read_video(source, video, recipe, style)
            frames[style] = clip.frames
        else:
            if filmed is None:
                filmed = read_video(source, video, recipe)
            clip = filmed
            if min(clip.frames.shape[1:3]) < SMALLEST:
                raise BadClip(
                    f"{clip.source}: {_size(clip)} pixels are too few: at least {SMALLEST} on each side are required."
                )
            with spent_on("restyling"):
                frames[style] = restyle(clip.frames, style, style_seed(conditions.seed, style))
        first = first or clip
        if clip.sample.numbers != first.sample.numbers:
            raise BadClip(f"{clip.source}: the frames of style {style!r} are not those of style {styles[0]!r}.")
        if not same_proportions(clip.frames, first.frames):
            raise BadClip(f"{clip.source}: style {style!r} has other proportions than style {styles[0]!r}.")
    assert first is not None  # conditions without a style are refused
    return first, frames


def _size(clip: Clip) -> str:
    return f"{clip.frames.shape[2]}x{clip.frames.shape[1]}"


def describe_video(video: Video) -> dict[str, object]:
    """The entry of a video in the manifest, read or not; with its details if they name factors."""
    said: dict[str, object] = {"video": video.name, "label": video.label, "sequence": video.sequence}
    return said | ({"factors": dict(video.details)} if {*FACTORS} & {*video.details} else {})


def describe_clip(video: Video, clip: Clip) -> dict[str, object]:
    """The entry in the manifest of a video that was read."""
    return {
        **describe_video(video),
        "source": clip.source,
        "total": clip.total,
        "fps": clip.fps,
        "frames": list(clip.sample.numbers),
        "seconds": seconds_seen(clip),
        "problem": None,
    }


def seconds_seen(clip: Clip) -> float | None:
    """Seconds of its video that a clip covers, from its first to its last frame; ``None`` without a frame rate."""
    numbers = clip.sample.numbers
    return round((max(numbers) - min(numbers) + 1) / clip.fps, 3) if clip.fps else None


def stack(inputs: Sequence[Inputs], device: torch.device) -> Inputs:
    """Inputs of several variants → one batch of the same form, with a leading axis for clips.

    Nothing waits for a GPU to copy it.
    """
    gpu = device.type == "cuda"

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return (tensor.pin_memory() if gpu else tensor).to(device, non_blocking=gpu)

    return map_tensors(default_collate(list(inputs)), moved)
