"""Plans that read the rows of a design in parts: their numbers follow from sums, which add up over videos."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.estimators.estimates import Estimates
from static_dynamic.functional.additive import Additive, Array, Ints

PART_VIDEOS = 2048
"""Videos that are read at once."""
RUN = 64
"""Number of neighbouring groups in a part."""


class Part(NamedTuple):
    """Some of the groups of a plan.

    Attributes:
        rows: The rows of the store that it reads, in rising order.
        plan: How it reads these: its own rows are numbers among them.
        groups: The number of each of its groups in the whole plan.
    """

    rows: Ints
    plan: "Streamed"
    groups: Ints


class Streamed(ABC):
    """The protocol of a `Plan` whose numbers follow from sums over videos."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """The plan in parts, each with about `PART_VIDEOS` videos from all over the list."""

    @abstractmethod
    def sums(self, x: npt.NDArray[np.float32], shift: Array | None = None) -> Additive:
        """Sums over the videos of each group, from rows ``(rows, U)``, of units less ``shift``."""

    @abstractmethod
    def read(self, sums: Any) -> Estimates:
        """Numbers from the sums of every resample."""

    @abstractmethod
    def unrelated(self, seed: int) -> "Streamed":
        """See `Plan.unrelated`; the other video is one of the same part."""

    @abstractmethod
    def repeated(self) -> "Streamed | None":
        """See `Plan.repeated`."""

    @abstractmethod
    def alike(self, x: npt.NDArray[np.float32]) -> bool:
        """See `Plan.alike`."""

    def strangers(self, x: npt.NDArray[np.float32], sums: Any, seeds: Sequence[int]) -> list[Any]:
        """Sums over all groups for draws of unrelated videos; ``sums`` are those of the videos themselves."""
        return [self.unrelated(seed).sums(x, sums.shift).weighted() for seed in seeds]

    def estimates(self, x: npt.NDArray[np.float32], weights: Array) -> Estimates:
        """See `Plan.estimates`."""
        return self.read(self.sums(x).weighted(weights))


def is_streamed(plan: object) -> bool:
    """Whether a plan may be read in parts: not where a derived class overrides the estimates."""
    return isinstance(plan, Streamed) and type(plan).estimates is Streamed.estimates


def dealt(videos_of_groups: Ints) -> list[Ints]:
    """Numbers of the groups of every part.

    A part takes runs of neighbours from all over the list: lists of videos are often sorted by class, and the unrelated
    videos of a part should not be of one class. How the store is cut into shards does not matter.

    Args:
        videos_of_groups: Videos in each group, ``(G,)``.

    Example:
        >>> [len(part) for part in dealt(np.ones(5000, int))]
        [1672, 1664, 1664]
    """
    count = max(1, -(-int(videos_of_groups.sum()) // PART_VIDEOS))
    place = np.arange(len(videos_of_groups)) // RUN % count
    found = [np.flatnonzero(place == part) for part in range(count)]
    return [part for part in found if len(part)]
