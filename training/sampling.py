"""Which frames of a video make a clip."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from static_dynamic.media.clip import Indices, Recipe, Sample


class Sampling(Protocol):
    """Two rules: a random clip to train on, and a fixed one to test on."""

    def drawn(self, total: int, generator: np.random.Generator) -> Sample:
        """A random clip of a video of ``total`` frames."""
        ...

    def at(self, total: int, phase: float) -> Sample:
        """The clip at a place from 0 (as early as possible) to 1; the one to test on is at 1/2."""
        ...


@dataclass(frozen=True)
class Segments:
    """One frame out of each of T equal parts of the video (TSM, arXiv:1811.08383; TSN, arXiv:1608.00859).

    Frame i is ``⌊(i + u_i) · total / T⌋``: u is uniform in training, 1/2 in a test, and 0 for the second clip of a
    test (published: "twice sample"). In a video of fewer than T frames some come twice or more, in order. Pathways
    with fewer frames take evenly spaced ones of these.
    """

    recipe: Recipe

    def drawn(self, total: int, generator: np.random.Generator) -> Sample:
        """A random frame of each part."""
        return self._clip(total, generator.random(max(self.recipe.frame_counts)))

    def at(self, total: int, phase: float) -> Sample:
        """The frame at the same place of each part."""
        return self._clip(total, np.full(max(self.recipe.frame_counts), phase))

    def _clip(self, total: int, places: npt.NDArray[np.float64]) -> Sample:
        parts = len(places)
        frames = ((np.arange(parts) + places) * total / parts).astype(np.intp).clip(max=total - 1)
        steps = (np.linspace(0, parts - 1, count).astype(np.intp) for count in self.recipe.frame_counts)
        return _sample(frames[step] for step in steps)


@dataclass(frozen=True)
class Dense:
    """Consecutive frames, ``rate`` apart, as the recipe says; a short video is looped."""

    recipe: Recipe

    def drawn(self, total: int, generator: np.random.Generator) -> Sample:
        """A clip that begins anywhere."""
        return self.recipe.sample(total, int(generator.integers(self._room(total) + 1)))

    def at(self, total: int, phase: float) -> Sample:
        """The clip that leaves out the share ``phase`` of the surplus frames before it, and the rest after it."""
        return self.recipe.sample(total, int(phase * self._room(total)))

    def _room(self, total: int) -> int:
        return max(0, total - self.recipe.length)


SAMPLINGS: dict[str, type[Segments] | type[Dense]] = {"segments": Segments, "dense": Dense}


def _sample(pathways: Iterable[Indices]) -> Sample:
    played = list(pathways)
    numbers = np.unique(np.concatenate(played))
    return Sample(tuple(map(int, numbers)), tuple(np.searchsorted(numbers, path) for path in played))
