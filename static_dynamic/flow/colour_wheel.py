"""Flow drawn as an RGB image by the Middlebury colour wheel: hue is direction, saturation is length.

Baker et al., "A database and evaluation methodology for optical flow", IJCV 2011, in the form in which the tools
around RAFT write it. `torchvision.utils.flow_to_image` draws the same, but if rounding makes the longest vector
longer than 1, one of its channels wraps around from 0 to 255. Also, it cannot draw vectors that are already normalised.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]

STEPS = (15, 6, 4, 11, 13, 6)
"""Colours from red to yellow, green, cyan, blue, magenta, and back to red: 55."""
CORNERS = np.array([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)])
TINY = 1e-5


def draw(flow: Flow) -> Frame:
    """Draw flow, normalised by the longest vector of the image: ``paint(flow / (max |flow| + 1e-5))``.

    Args:
        flow: ``(H, W, 2)``, pixels to the right and down.

    Returns:
        ``(H, W, 3)`` uint8 RGB; right is red, down yellow, left cyan, up violet, no motion white.
    """
    return paint(flow / (_length(flow).max() + TINY))


def paint(vectors: Flow) -> Frame:
    """Draw vectors as long as they are: white for length 0, the full colour from length 1 on.

    The ``k``-th of the ``n = 55`` colours represents the angle ``π (2 k / (n - 1) - 1)`` of the reversed vector.

    Args:
        vectors: ``(H, W, 2)``, right and down, without unit.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    length = np.minimum(_length(vectors), 1)
    angle = np.arctan2(-vectors[..., 1], -vectors[..., 0])
    place = (angle / np.pi + 1) / 2 * (len(wheel()) - 1)
    planes = (np.interp(place, np.arange(len(wheel())), channel) for channel in wheel().T)
    return np.stack([(255 - length * (255 - plane)).astype(np.uint8) for plane in planes], axis=-1)


def read(image: Frame) -> Flow:
    """The vectors that an image shows, their length in 0..1 of the longest: the inverse of `paint`.

    A level ``v < 255`` represents ``[v, v + 1)``, and its middle is used. Brightness has no effect, so an image with
    changed colours can be read too. The direction is accurate to ``0.4° / length``.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W, 2)`` float32, right and down.
    """
    hue, length = _hue_and_saturation(np.where(image < 255, image + np.float32(0.5), np.float32(255)))
    place = np.interp(hue, _hue_and_saturation(wheel()[None])[0][0], np.arange(len(wheel())))
    angle = (2 * place / (len(wheel()) - 1) - 1) * np.pi
    return np.stack([-length * np.cos(angle), -length * np.sin(angle)], axis=-1).astype(np.float32)


@cache
def wheel() -> Plane:
    """The colours: ``(55, 3)``, 0..255."""
    ramps = [
        255 * first + np.outer(np.floor(255 * np.arange(steps) / steps), last - first)
        for (first, last), steps in zip(pairwise(CORNERS), STEPS, strict=True)
    ]
    return np.concatenate(ramps).astype(np.float32)


def _length(vectors: Flow) -> Plane:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _hue_and_saturation(colours: Plane) -> tuple[Plane, Plane]:
    """Hue, 0..360, and saturation, 0..1, of RGB colours ``(H, W, 3)``."""
    import cv2

    hue, saturation, _ = cv2.split(cv2.cvtColor(colours, cv2.COLOR_RGB2HSV))
    return np.asarray(hue), np.asarray(saturation)
