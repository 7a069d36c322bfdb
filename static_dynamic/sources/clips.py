"""Videos that a data set of torch gives, or that are in memory."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset, IterableDataset

from static_dynamic.common.errors import BadClip, UserError, one_line, shown
from static_dynamic.common.numbers import real_within
from static_dynamic.media.clip import Clip, Frames, Recipe, Video
from static_dynamic.media.reading import bad_clip, reduced, sampled
from static_dynamic.sources.base import known, only_as_filmed

AXES = "T H W C"


class MapStyle(Protocol):
    """A data set of which every item can be read by its number, in any order."""

    def __len__(self) -> int:
        """The number of its items."""

    def __getitem__(self, number: int, /) -> Any:
        """One item."""


class Clips:
    """The videos of a data set with ``len(dataset)`` and ``dataset[number]``, such as one of torch, or of arrays.

    An item is all frames of one video, uint8 RGB, or a tuple that begins with them. The recipe picks frames from the
    middle, and those that are larger than it requires are reduced, as in every other source.

    Args:
        dataset: The data set.
        names: One for every item; ``None`` means ``clip 0``, ``clip 1`` …
        labels: The class of every item; those in its tuples are not read, since that would need all of its frames.
        layout: The order of the axes of an item.
        fps: Frames per second, if known; required if the recipe counts frames at a rate of its own.
        version: A text that changes when the data do. ``None``: a digest of the frames tells, so that every item is
            loaded when a run is resumed.

    Raises:
        UserError: If it is not map-style or empty, or names and labels do not fit.

    Example:
        >>> import numpy as np
        >>> source = Clips(np.zeros((2, 20, 32, 48, 3), np.uint8), labels=["walk", "run"])
        >>> source.read(source.videos[1], Recipe(frames=4, rate=2, crop=16)).frames.shape
        (4, 16, 24, 3)
    """

    name = "Clips"
    styles: tuple[str, ...] = ()

    def __init__(
        self,
        dataset: MapStyle,
        names: Sequence[str] | None = None,
        labels: Sequence[str | int | None] | None = None,
        layout: str = AXES,
        fps: float | None = None,
        version: str | None = None,
    ) -> None:
        _check_map_style(dataset)
        if not isinstance(layout, str) or sorted(layout.split()) != sorted(AXES.split()):
            raise UserError(f"The layout of clips must be {AXES!r} in any order. Got {shown(layout)}.")
        if fps is not None and not real_within(fps, 1e-3, 1e6):
            raise UserError(f"The rate of clips must be a number of frames per second, above 0. Got {shown(fps)}.")
        self.dataset, self.layout, self.fps, self.version = dataset, layout, fps, version
        given = (
            [f"clip {number}" for number in range(len(dataset))] if names is None else _each(names, dataset, "names")
        )
        self._numbers = {one_line(name): number for number, name in enumerate(given)}
        if len(self._numbers) < len(given):
            raise UserError("The names of clips must all be different.")
        classes = [None] * len(dataset) if labels is None else _each(labels, dataset, "labels")
        self.videos = [
            Video(name, None if label is None else one_line(label))
            for name, label in zip(self._numbers, classes, strict=True)
        ]
        self._last: tuple[int, Frames] | None = None

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one item.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the data set raises an error, or gives something else than frames.
            UserError: If a style other than ``"original"`` is requested.
        """
        only_as_filmed(style, self.name)
        frames = self._frames(video)
        sample = sampled(recipe, len(frames), video.name, fps=self.fps)
        taken = [reduced(np.ascontiguousarray(frames[number]), recipe.resize) for number in sample.numbers]
        return Clip(np.stack(taken), sample, video.name, len(frames), self.fps)

    def stamp(self, video: Video) -> str:
        """The version of the data set, or a digest of the frames of this video."""
        if self.version is not None:
            return one_line(self.version)
        try:
            frames = np.ascontiguousarray(self._frames(video))
        except BadClip:
            return "unreadable"
        return f"{frames.shape} {blake2b(frames.data, digest_size=16).hexdigest()}"

    def describe(self) -> dict[str, object]:
        """The class of the data set, the number of its videos, layout, rate, and the rule for the clip."""
        return {
            "kind": self.name,
            "dataset": type(self.dataset).__name__,
            "videos": len(self.videos),
            "layout": self.layout,
            "fps": self.fps,
            "clip": "middle",
        }

    def _frames(self, video: Video) -> Frames:
        """All frames of one item, ``(T, H, W, 3)``; the latest item is kept, since it is usually wanted twice."""
        number = known(self._numbers, video, self.name)
        if (last := self._last) and last[0] == number:
            return last[1]
        with bad_clip(f"{video.name}: the data set fails"):
            item = self.dataset[number]
            frames = np.asarray(item[0] if isinstance(item, tuple) and item else item)
        axes = self.layout.split()
        if frames.dtype != np.uint8 or frames.ndim != len(axes) or frames.shape[axes.index("C")] != 3:
            got = f"{frames.dtype} of shape {frames.shape}"
            raise BadClip(f"{video.name}: an item must be frames of shape ({', '.join(axes)}), uint8 RGB. Got {got}.")
        frames = frames.transpose([axes.index(axis) for axis in AXES.split()])
        self._last = number, frames
        return frames


def is_clips(thing: object) -> bool:
    """Whether an object is a data set of torch, or one like it; an array of videos; or a list of arrays of frames."""
    if isinstance(thing, type) or hasattr(thing, "videos"):
        return False
    if isinstance(thing, list | tuple):
        return bool(thing) and getattr(thing[0], "ndim", None) == 4
    by_number = hasattr(thing, "__len__") and hasattr(thing, "__getitem__") and not isinstance(thing, Iterable)
    return isinstance(thing, Dataset) or getattr(thing, "ndim", None) == 5 or by_number


def _check_map_style(dataset: Any) -> None:
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise UserError(
            f"Clips takes a data set with len(dataset) and dataset[number]. Got {shown(dataset)}. Of videos "
            "that can only be read in a row, keep those that you want in a list."
        )
    if not len(dataset):
        raise UserError("This data set of clips is empty.")


def _each(values: Sequence[Any], dataset: MapStyle, what: str) -> list[Any]:
    """One value for every item."""
    given = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
    if len(given) != len(dataset):
        raise UserError(f"Clips requires {what} for each of its {len(dataset)} items. Got {shown(values)}.")
    return given
