"""Variants: one clip under one style and one order; each is a pure function of its key and the study's seed.

Frames are restyled and prepared once per style. An order is an index map over the frames that a pathway plays, so every
order shows exactly the same frames, and costs nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import torch

from static_dynamic.clip import INTACT, Clip, Frames, Recipe, Sample, Video
from static_dynamic.errors import UserError
from static_dynamic.interventions import check_style, list_scrambles, restyle, scramble
from static_dynamic.sources import Source


class Variant(NamedTuple):
    """The key of a variant."""

    video: str
    style: str
    order: str


def derive_seed(seed: int, *parts: object) -> int:
    """A seed that depends on the study's seed and on names alone, so that any worker at any time draws the same.

    Example:
        >>> derive_seed(1, "cat.mp4", "shuffle") == derive_seed(1, "cat.mp4", "shuffle")
        True
    """
    return int.from_bytes(sha256(repr((seed, *parts)).encode()).digest()[:8], "big")


@dataclass(frozen=True)
class Conditions:
    """The static and dynamic conditions under which every video is shown.

    Attributes:
        styles: Static conditions: names of built-in styles, image files, ``original``, or styles that lie on disk.
        scrambles: Dynamic conditions beside the intact order; one named twice is drawn twice.
        seed: Seed of the study.
    """

    styles: tuple[str, ...]
    scrambles: tuple[str, ...] = ("shuffle",)
    seed: int = 0

    @property
    def orders(self) -> dict[str, str | None]:
        """Order name → kind of scramble; the intact order has none."""
        orders: dict[str, str | None] = {INTACT: None}
        for kind in self.scrambles:
            repeat = sum(other == kind for other in orders.values())
            orders[f"{kind}-{repeat + 1}" if repeat else kind] = kind
        return orders

    def check(self, source: Source) -> None:
        """Fail before the run does: every style and scramble must exist, and each style be named once.

        Raises:
            UserError: Naming the first that is wrong.
        """
        if self.seed < 0:
            raise UserError(f"The 'seed' must be a non-negative integer. Got {self.seed}.")
        if len(set(self.styles)) < len(self.styles):
            raise UserError(f"A style is named twice: {', '.join(self.styles)}.")
        if not self.styles:
            raise UserError("At least one style is needed. Got none.")
        for style in self.styles:
            if style not in source.styles:
                check_style(style)
        for kind in self.scrambles:
            if kind.split(":")[0] not in list_scrambles():
                scramble(kind, 2, 0)


@dataclass(frozen=True)
class PreparedVideo:
    """All variants of one video, ready for a model.

    Attributes:
        video: Which video.
        frames: Style → prepared frames ``(T, 3, H, W)``.
        sample: How the pathways play them.
        record: What was read, as plain data for the manifest.
        conditions: The styles and orders.
    """

    video: Video
    frames: dict[str, torch.Tensor]
    sample: Sample
    record: dict[str, object]
    conditions: Conditions

    def variants(self) -> Iterator[tuple[Variant, list[torch.Tensor]]]:
        """Key and model inputs, one ``(3, T, H, W)`` per pathway, of every variant in a fixed order."""
        for style, frames in self.frames.items():
            for order, kind in self.conditions.orders.items():
                inputs = [
                    frames[self._play(pathway, order, kind)].movedim(1, 0)
                    for pathway in range(len(self.sample.pathways))
                ]
                yield Variant(self.video.name, style, order), inputs

    def _play(self, pathway: int, order: str, kind: str | None) -> torch.Tensor:
        intact = self.sample.pathways[pathway]
        if kind is None:
            return torch.from_numpy(intact)
        seed = derive_seed(self.conditions.seed, "order", self.video.name, order, pathway)
        return torch.from_numpy(intact[scramble(kind, len(intact), seed)])


def prepare_video(source: Source, video: Video, recipe: Recipe, conditions: Conditions) -> PreparedVideo:
    """Read a video once per style on disk, restyle it in the others, and prepare it for the model.

    Raises:
        BadClip: If the video cannot be read.
    """
    clips = _read_styles(source, video, recipe, conditions.styles)
    first = next(iter(clips.values()))[0]
    frames = {
        style: recipe.prepare(clip.frames if done else _restyled(clip.frames, style, conditions.seed))
        for style, (clip, done) in clips.items()
    }
    record: dict[str, object] = {
        "video": video.name,
        "label": video.label,
        "source": first.source,
        "total": first.total,
        "fps": first.fps,
        "frames": list(first.sample.numbers),
        "problem": None,
    }
    return PreparedVideo(video, frames, first.sample, record, conditions)


def _read_styles(source: Source, video: Video, recipe: Recipe, styles: Sequence[str]) -> dict[str, tuple[Clip, bool]]:
    """Style → the clip to start from, and whether it is in that style already."""
    filmed: Clip | None = None
    clips: dict[str, tuple[Clip, bool]] = {}
    for style in styles:
        if style in source.styles:
            clips[style] = source.read(video, recipe, style), True
        else:
            filmed = filmed or source.read(video, recipe)
            clips[style] = filmed, False
    return clips


def _restyled(frames: Frames, style: str, seed: int) -> Frames:
    return restyle(frames, style, derive_seed(seed, "style", style))


def stack(inputs: Sequence[list[torch.Tensor]], device: torch.device) -> torch.Tensor | list[torch.Tensor]:
    """Inputs of several variants → one batch ``(N, 3, T, H, W)``, or a list of them for a model of several pathways."""
    batch = [torch.stack(list(pathway)).to(device, non_blocking=True) for pathway in zip(*inputs, strict=True)]
    return batch[0] if len(batch) == 1 else batch
