"""Smoothing along the motion, against flicker: the colours of one place are averaged over a few frames.

A learned style makes flicker of the camera's noise. Its authors recommend to smooth the input in time, along the
optical flow; the output can be smoothed in the same way, with the flow of the input.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.flow.colour_wheel import Flow
from static_dynamic.flow.estimators import Dis, Estimator
from static_dynamic.media.clip import Frames

Plane = npt.NDArray[np.float32]

RADIUS = 7
"""Frames on either side; 15 in all, as published."""
SIGMA = 255 / 16
"""Scale of the distance of a colour from the one in the middle, levels; a sixteenth of the range, as published."""


@dataclass
class Moment:
    """A frame of a clip that is smoothed, and how its pixels move.

    Attributes:
        frame: ``(H, W, 3)``, 0..255.
        guide: The frame that shows which pixels are of one place.
        steps: Direction in time, 1 or -1, → flow to the neighbour there.
    """

    frame: Plane
    guide: Plane
    steps: dict[int, Flow]


def smooth(
    frames: Iterable[Frames],
    guide: Iterable[Frames] | None = None,
    radius: int = RADIUS,
    sigma: float = SIGMA,
    estimator: Estimator | None = None,
) -> Iterator[Frames]:
    r"""Average every pixel with those of the frames around it that show the same place: a bilateral filter in time.

    .. math:: \hat I_t(p) = \frac{\sum_k w_k(p)\, I_{t+k}(p + F_k(p))}{\sum_k w_k(p)}, \quad
              w_k(p) = \exp\left(-\frac{\|G_{t+k}(p + F_k(p)) - G_t(p)\|^2}{2 \cdot 3\,\sigma^2}
              - \frac{k^2}{2\,(r/2)^2}\right)

    where ``F_k`` is the flow from frame ``t`` to ``t + k``, chained from neighbour to neighbour, ``G`` the guide and
    ``|k| ≤ r``; a pixel that leaves the frame has no weight. Frames are handed on as soon as they are done: memory does
    not grow with their number.

    Args:
        frames: ``(H, W, 3)`` uint8 RGB each, in playing order.
        guide: The frames that flow is estimated in and colours are compared in, one for each; for a restyled clip,
            the original ones. ``frames`` themselves if not given.
        radius: ``r``, frames on either side.
        sigma: Scale of the colours, levels.
        estimator: The estimator of flow; `Dis` if not given.

    Returns:
        As many frames.

    Raises:
        UserError: If the radius is negative, or sigma not positive.

    Example:
        >>> frames = np.full((3, 16, 16, 3), 90, np.uint8)
        >>> len(list(smooth(frames)))
        3
    """
    if radius < 0 or not sigma > 0:
        raise UserError(f"Smoothing requires a radius of 0 or more and a sigma above 0. Got {radius}, {sigma}.")
    return _smooth(_moments(frames, guide, estimator or Dis()), radius, sigma)


def _smooth(moments: Iterator[Moment], radius: int, sigma: float) -> Iterator[Frames]:
    beyond = [None] * radius
    window: deque[Moment | None] = deque(beyond, maxlen=2 * radius + 1)
    for moment in chain(moments, beyond):
        window.append(moment)
        if len(window) == window.maxlen:
            yield _middle(list(window), radius, sigma)


def _moments(frames: Iterable[Frames], guide: Iterable[Frames] | None, estimator: Estimator) -> Iterator[Moment]:
    """Every frame with the flow to both of its neighbours."""
    pairs = ((frame, frame) for frame in frames) if guide is None else zip(frames, guide, strict=True)
    last: tuple[Moment, Frames] | None = None
    for frame, shown in pairs:
        now = Moment(frame.astype(np.float32), shown.astype(np.float32), {})
        if last:
            before, shown_before = last
            before.steps[1] = estimator(shown_before, shown)
            now.steps[-1] = estimator(shown, shown_before)
            yield before
        last = now, shown
    if last:
        yield last[0]


def _middle(window: Sequence[Moment | None], radius: int, sigma: float) -> Frames:
    """The frame in the middle of a window, smoothed."""
    here = window[radius]
    assert here is not None
    total, weights = here.frame.copy(), np.ones(here.frame.shape[:2], np.float32)
    for direction in (1, -1):
        moment, place = here, _grid(weights.shape)
        for distance in range(1, radius + 1):
            other = window[radius + direction * distance]
            if other is None:
                break
            place = place + _at(moment.steps[direction], place)
            apart = np.square(_at(other.guide, place) - here.guide).mean(axis=-1)
            weight = np.exp(-apart / (2 * sigma**2) - 2 * (distance / radius) ** 2) * _inside(place)
            total += weight[..., None] * _at(other.frame, place)
            weights += weight
            moment = other
    return np.asarray((total / weights[..., None]).round(), dtype=np.uint8)


def _grid(size: tuple[int, ...]) -> Plane:
    """The position of every pixel: ``(H, W, 2)``, column and row."""
    rows, columns = np.indices(size, dtype=np.float32)
    return np.stack([columns, rows], axis=-1)


def _at(image: Plane, place: Plane) -> Plane:
    """The values of an image at positions between its pixels."""
    return np.asarray(cv2.remap(image, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _inside(place: Plane) -> Plane:
    """1 for places in the frame, else 0."""
    height, width = place.shape[:2]
    inside = (place >= 0) & (place <= (width - 1, height - 1))
    return np.asarray(inside.all(axis=-1), dtype=np.float32)
