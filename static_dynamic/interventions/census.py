"""The information that a style may use of a clip: its size, and counts over all its frames.

Nothing here depends on the order of the frames, so nothing fitted to it does either. Counts are integers, and the
moments are sums of integers below 2⁵³, which float64 adds without rounding in any order.
"""

from collections.abc import Callable, Iterator
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.media.clip import Frames

Frame = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
Paint = Callable[[Frame], Frame]


def luminance(frame: Frame) -> Frame:
    """Rec. 601 luma of an ``(H, W, 3)`` RGB frame: ``(H, W)``, 0..255."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


class Census:
    """Order-free statistics of a clip.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        through: An operator to apply to each frame before counting.
    """

    def __init__(self, frames: Frames, through: Paint | None = None) -> None:
        self._frames = frames
        self._through = through

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self._frames.shape[1], self._frames.shape[2]

    def scaled(self, length: float, least: float = 0.5) -> float:
        """A length given in pixels of a clip with a short side of 240, in pixels of this clip."""
        return max(least, length * min(self.size) / 240)

    def pixels(self, length: float, least: int = 1) -> int:
        """The same in whole pixels."""
        return round(self.scaled(length, least))

    def after(self, paint: Paint) -> "Census":
        """The census of the clip painted with ``paint``."""
        return Census(self._frames, paint)

    @cached_property
    def luminances(self) -> npt.NDArray[np.int64]:
        """Pixels with each luma: ``(256,)``."""
        counts = np.zeros(256, dtype=np.int64)
        for frame in self._painted():
            counts += np.bincount(luminance(frame).ravel(), minlength=256)
        return counts

    @cached_property
    def channels(self) -> npt.NDArray[np.int64]:
        """Pixels with each value of red, green, blue: ``(3, 256)``."""
        counts = np.zeros((3, 256), dtype=np.int64)
        for frame in self._painted():
            counts += [np.bincount(frame[..., c].ravel(), minlength=256) for c in range(3)]
        return counts

    @cached_property
    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean ``(3,)`` and covariance ``(3, 3)`` of RGB over all pixels."""
        count, total, squares = 0, np.zeros(3), np.zeros((3, 3))
        for frame in self._painted():
            colours = frame.reshape(-1, 3).astype(np.float64)
            count += len(colours)
            total += colours.sum(axis=0)
            squares += colours.T @ colours
        mean = total / count
        return mean, squares / count - np.outer(mean, mean)

    def _painted(self) -> Iterator[Frame]:
        return iter(self._frames) if self._through is None else map(self._through, self._frames)


Style = Callable[[Census, np.random.Generator], Paint]
"""A style is fitted once to a clip and to random numbers, and returns the operator that paints every frame."""
