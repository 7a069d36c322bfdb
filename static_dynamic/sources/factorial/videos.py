"""Factorial clips as a source of videos."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.numbers import is_real, is_whole
from static_dynamic.common.seeds import check_seed, generator
from static_dynamic.media.clip import FACTORS, Clip, Recipe, Video
from static_dynamic.media.reading import sampled
from static_dynamic.sources.base import known, only_as_filmed
from static_dynamic.sources.factorial.draws import Pair, Scenes, draw_levels, with_nuisance
from static_dynamic.sources.factorial.levels import CONTENTS, LEVELS, combinations
from static_dynamic.sources.factorial.noise import SENSOR
from static_dynamic.sources.factorial.rendering import render

SMALLEST_SIZE = 16
"""Side of a frame, pixels, below which shapes are no longer distinguishable."""
LARGEST_SIZE = 1024
"""Side of a frame, pixels, for which the strip of the sensor's noise still holds a few frames."""
MOST_FRAMES = 10**6
MOST_CLIPS = 10**5
"""The number that can be listed in seconds, and within a gigabyte."""


class Blocks(NamedTuple):
    """Clips that cross appearance and motion: in every block, each appearance comes with each motion.

    Attributes:
        blocks: Number of blocks.
        appearances: Appearances per block, drawn for each block.
        motions: Motions per block, drawn likewise.
        draws: Clips per cell, each with its own nuisance.
    """

    blocks: int
    appearances: int
    motions: int
    draws: int


class FactorialVideos:
    """Clips whose appearance, motion and nuisance are independent, with labels: see docs/truth.md.

    ``Video.label`` is the kind of motion, and ``Video.details`` holds the level of every factor. A frame depends only
    on ``seed``, the number of its clip, its own number, size and length.

    Args:
        count: Number of clips, each with newly drawn factors; or ``"200x2x2x2"`` (or a tuple) for 200 blocks in
            which 2 appearances are crossed with 2 motions, with 2 clips of each: `factorial_shares` requires this.
        seed: Seed of factors and nuisance.
        size: Side of the square frames, pixels; ``None`` means that of the model.
        frames: Length of every clip, over which its motion extends; ``None`` means that of the model.
        content: ``"objects"``, ``"dots"`` or ``"noise"``.
        sensor: Standard deviation of the sensor's noise, grey levels.
        levels: Factor → the levels to use, or one level; default: all.

    Raises:
        UserError: If a number is too small or too large, or a content, factor or level is unknown.

    Example:
        >>> FactorialVideos(2, content="dots", levels={"coherence": "full"}).videos[0].details["coherence"]
        'full'
    """

    name = "FactorialVideos"
    styles: tuple[str, ...] = ()

    def __init__(
        self,
        count: int | str | Sequence[int] = 16,
        seed: int = 0,
        size: int | None = None,
        frames: int | None = None,
        content: str = "objects",
        sensor: float = SENSOR,
        levels: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        if not isinstance(content, str) or content not in CONTENTS:
            raise unknown("content of factorial clips", content, CONTENTS)
        check_seed(seed)
        _check_whole("size", size, SMALLEST_SIZE, LARGEST_SIZE)
        _check_whole("frames", frames, 2, MOST_FRAMES)
        if not is_real(sensor) or not 0 <= sensor < 256:
            raise UserError(
                f"The 'sensor' of factorial clips must be 0 or more grey levels, below 256. Got {sensor!r}."
            )
        self.seed, self.size, self.frames, self.content, self.sensor = seed, size, frames, content, sensor
        self.parts = CONTENTS[content].only(levels or {})
        self.count = _read_count(count)
        drawn = self._crossed(self.count) if isinstance(self.count, Blocks) else self._independent(self.count)
        self._pairs = {f"factorial_{number:04d}": (number, pair) for number, (pair, _) in enumerate(drawn)}
        self.videos = [
            self._video(name, pair, cell)
            for (name, (_, pair)), (_, cell) in zip(self._pairs.items(), drawn, strict=True)
        ]

    def scenes(self) -> Scenes:
        """All clips at once, for `render` and `true_flow`."""
        numbers, pairs = zip(*self._pairs.values(), strict=True)
        return with_nuisance(self.parts, pairs, self.seed, numbers)

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one video.

        Returns:
            Frames ``(T, size, size, 3)`` uint8 RGB.

        Raises:
            BadClip: If rate and length of the clip make all sampled frames the same frame.
            UserError: If the video is not of this source, a style other than ``"original"`` is requested, or the model
                takes frames that are too small for the shapes, or too large.
        """
        only_as_filmed(style, self.name)
        number, pair = known(self._pairs, video, self.name)
        size, frames = self.size or recipe.resize, self.frames or max(2, recipe.length)
        if size < SMALLEST_SIZE:
            raise UserError(
                f"Shapes are not distinguishable below {SMALLEST_SIZE} pixels, and this model takes {size}. Set the "
                "'size' of factorial clips, or give the model a larger input."
            )
        _check_whole("size", size, SMALLEST_SIZE, LARGEST_SIZE)
        sample = sampled(recipe, frames, video.name, fps=recipe.fps)
        scene = with_nuisance(self.parts, [pair], self.seed, [number])
        clip = render(scene, sample.numbers, size, frames, self.sensor)[0].numpy()
        return Clip(clip, sample, video.name, frames, recipe.fps)

    def describe(self) -> dict[str, object]:
        """Everything that decides the clips."""
        return {
            "kind": self.name,
            "count": self.count if isinstance(self.count, int) else "x".join(map(str, self.count)),
            "drawn": self.seed,  # it generates the videos; a ``seed`` draws among them
            "size": self.size,
            "frames": self.frames,
            "content": self.content,
            "sensor": self.sensor,
            "levels": {factor: list(names) for factor, names in self.parts.levels.items()},
        }

    def _independent(self, count: int) -> list[tuple[tuple[Pair, Pair], str | None]]:
        return [(draw_levels(self.parts, self.seed, number), None) for number in range(count)]

    def _crossed(self, shape: Blocks) -> list[tuple[tuple[Pair, Pair], str | None]]:
        """Appearance and motion of every clip, and its block."""
        appearances, motions = combinations(self.parts.appearance), combinations(self.parts.motion)
        for what, wanted, there in (
            ("appearances", shape.appearances, len(appearances)),
            ("motions", shape.motions, len(motions)),
        ):
            if wanted > there:
                raise UserError(f"A block cannot hold {wanted} different {what}: with these levels there are {there}.")
        drawn: list[tuple[tuple[Pair, Pair], str | None]] = []
        for block in range(shape.blocks):
            draw = generator(self.seed, "block", block)
            rows, columns = (
                [every[i] for i in draw.choice(len(every), wanted, replace=False)]
                for every, wanted in ((appearances, shape.appearances), (motions, shape.motions))
            )
            drawn += [(pair, f"block_{block:04d}") for pair in product(rows, columns) for _ in range(shape.draws)]
        return drawn

    def _video(self, name: str, pair: tuple[Pair, Pair], block: str | None) -> Video:
        of_parts = [
            {factor: LEVELS[factor][level] for factor, level in zip(part, levels, strict=True)}
            for part, levels in zip(self.parts, pair, strict=True)
        ]
        details = of_parts[0] | of_parts[1]
        if block is None:
            return Video(name, details["kind"], details)
        cell = (block, *(" ".join(part.values()) for part in of_parts))
        return Video(name, details["kind"], details | dict(zip(FACTORS, cell, strict=True)), block)


def _check_whole(option: str, value: int | None, least: int, most: int) -> None:
    """Refuse anything except ``None`` and a whole number within these bounds."""
    if value is None:
        return
    if not is_whole(value):
        raise UserError(f"The '{option}' of factorial clips must be a whole number. Got {value!r}.")
    if not least <= value <= most:
        bound = f"least {least}" if value < least else f"most {most}"
        raise UserError(f"The '{option}' of factorial clips must be at {bound}. Got {value}.")


def _read_count(count: object) -> int | Blocks:
    """A number of clips, or the shape of crossed blocks.

    Raises:
        UserError: If it is neither, or a number is too small or too large.
    """
    numbers: Any = count if isinstance(count, Sequence) and not isinstance(count, str) else str(count).split("x")
    if len(numbers) not in (1, len(Blocks._fields)) or not all(re.fullmatch(r"\d+", str(n)) for n in numbers):
        raise UserError(
            f"The 'count' of factorial clips must be a number, e.g. 24, or blocks x appearances x motions x draws, "
            f"e.g. 200x2x2x2. Got {count!r}."
        )
    given = [int(number) for number in numbers]
    if (clips := prod(given)) > MOST_CLIPS:
        in_all = f", which is {clips}" if len(given) > 1 else ""
        raise UserError(f"At most {MOST_CLIPS} factorial clips are allowed. Got {count!r}{in_all}.")
    if len(given) == 1:
        if given[0] < 1:
            raise UserError(f"The 'count' of factorial clips must be at least 1. Got {given[0]}.")
        return given[0]
    if given[0] < 1 or min(given[1:]) < 2:
        raise UserError(
            f"Crossed factorial clips require at least one block, and two or more appearances, motions and draws. "
            f"Got {count!r}."
        )
    return Blocks(*given)


NUMBERS: Mapping[str, Callable[[str], float]] = {"seed": int, "size": int, "frames": int, "sensor": float}
OPTIONS = ("count", "content", *NUMBERS)


def read_options(text: str) -> dict[str, Any]:
    """The options in the text after ``factorial:``, such as ``24,content=dots,colour=red+blue``.

    Raises:
        UserError: If a part of it is invalid, or an option is unknown.
    """
    found: dict[str, Any] = {"levels": {}}
    for place, part in enumerate(text.split(",") if text else ()):
        option, given, value = (piece.strip() for piece in part.partition("="))
        if not given and place == 0:
            option, value = "count", part
        if option not in (*OPTIONS, *LEVELS):
            raise unknown("option", option, (*OPTIONS, *LEVELS), where="factorial clips")
        if option in LEVELS:
            found["levels"][option] = tuple(value.split("+"))
        else:
            found[option] = _number(option, value) if option in NUMBERS else value
    return found


def _number(option: str, text: str) -> float:
    kind = NUMBERS[option]
    try:
        return kind(text)
    except ValueError:
        whole = "whole " if kind is int else ""
        raise UserError(f"The '{option}' of factorial clips must be a {whole}number. Got {text!r}.") from None
