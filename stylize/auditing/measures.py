"""The effect of a style on a clip, measured without a network: appearance, motion, flicker, edges.

Clips are ``(T, H, W, 3)`` uint8 RGB, both of one size. Lengths are in pixels of clips with a short side of about 240.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.flow.colour_wheel import Flow
from static_dynamic.flow.estimators import Dis, Estimator
from static_dynamic.media.clip import Frames

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Histogram = npt.NDArray[np.float64]

MOVING = 1.0
"""Least motion from one frame to the next of the pixels that are judged, pixels."""
ENOUGH = 0.01
"""Share of the pixels that must move, for the motion of a clip to be judged."""
LAB_BINS = 16
SCALES = 3
"""Octaves at which texture is measured."""
STRONGEST = 0.1
"""Share of the pixels of a frame that are called edges: those of the steepest luma."""
TOLERANCE = 2
"""How far an edge may be from where it was, pixels."""


# Appearance


def total_variation(a: Histogram, b: Histogram) -> float:
    """Distance of two histograms that sum to 1: 0 (equal) to 1 (nothing in common)."""
    return float(np.abs(a - b).sum() / 2)


def colours(frames: Frames) -> Histogram:
    """Joint histogram of lightness and the two colour axes of CIELAB, over all pixels: ``(16³,)``."""
    counts = np.zeros(LAB_BINS**3, dtype=np.int64)
    for frame in frames:
        bins = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.int32) * LAB_BINS // 256
        counts += np.bincount(bins @ (LAB_BINS**2, LAB_BINS, 1), minlength=len(counts))
    return counts / counts.sum()


def textures(frames: Frames) -> Histogram:
    """Histograms of local binary patterns at three octaves, side by side: ``(3 · 256,)``, sum 1.

    A pattern states which of the eight neighbours are brighter than a pixel, at any contrast: Ojala, Pietikäinen
    and Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification with local binary patterns",
    PAMI 2002.
    """
    counts = np.zeros((SCALES, 256), dtype=np.int64)
    for frame in frames:
        luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        for scale in range(SCALES):
            counts[scale] += np.bincount(_patterns(luma).ravel(), minlength=256)
            luma = cv2.pyrDown(luma)
    return (counts / counts.sum(axis=1, keepdims=True) / SCALES).ravel()


def _patterns(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = luma.shape
    around = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    middle = luma[1:-1, 1:-1]
    codes = np.zeros(middle.shape, dtype=np.uint8)
    for bit, (y, x) in enumerate(around):
        codes |= (luma[y : y + height - 2, x : x + width - 2] > middle).astype(np.uint8) << bit
    return codes


# Edges


def edge_overlap(original: Frames, styled: Frames) -> float:
    """How many edges of the original are edges of the restyled frame, beyond what chance gives.

    ``(hit - chance) / (1 - chance)``, averaged over frames: ``hit`` is the share of the original's edges that lie
    within two pixels of a restyled one, ``chance`` the share of the plane that does.

    Returns:
        1 if all are, 0 for edges at random; less where they avoid each other. Flat frames of the original do not count;
        NaN if all are flat.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOLERANCE + 1, 2 * TOLERANCE + 1))
    overlaps = []
    for before, after in zip(original, styled, strict=True):
        edges = _edges(before)
        if edges.any():
            near = cv2.dilate(_edges(after).astype(np.uint8), kernel).astype(bool)
            hit, chance = near[edges].mean(), near.mean()
            overlaps.append((hit - chance) / max(1 - chance, 1e-6))
    return float(np.mean(overlaps)) if overlaps else float("nan")


def _edges(frame: Frames) -> Mask:
    luma = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.5)
    steepness = cv2.magnitude(cv2.Sobel(luma, -1, 1, 0), cv2.Sobel(luma, -1, 0, 1))
    return np.asarray(steepness > np.quantile(steepness, 1 - STRONGEST))


# Motion


@dataclass(frozen=True)
class Motion:
    """The optical flow of the original clip, with which restyled copies are compared.

    Attributes:
        frames: The clip.
        estimator: The estimator of flow.
    """

    frames: Frames
    estimator: Estimator = field(default_factory=Dis)

    @cached_property
    def flows(self) -> list[Flow]:
        """Flow from every frame to the next."""
        return list(self._between(self.frames))

    @cached_property
    def moving(self) -> list[Mask]:
        """Pixels that move."""
        return [np.hypot(*np.moveaxis(flow, -1, 0)) >= MOVING for flow in self.flows]

    @cached_property
    def visible(self) -> list[Mask]:
        """Pixels that are still seen in the next frame, as far as forward and backward flow show."""
        back = [self.estimator(after, before) for before, after in pairwise(self.frames)]
        return [_seen_again(there, again) for there, again in zip(self.flows, back, strict=True)]

    @property
    def enough(self) -> bool:
        """Whether enough moves to judge how motion is kept."""
        return bool(np.mean(self.moving) >= ENOUGH)

    def errors(self, styled: Frames) -> tuple[float, float]:
        """The distance of the flow of a restyled clip from that of the original, on the pixels that move there.

        Returns:
            Relative end-point error ``Σ |G - F| / Σ |F|`` (0 is the same; 1 is what no motion at all gives), and mean
            angle between ``(u, v, 1)`` of the two, degrees (Barron, Fleet and Beauchemin, IJCV 1994). NaN where too
            little moves.
        """
        if not self.enough:
            return float("nan"), float("nan")
        pairs = list(zip(self.flows, self._between(styled), self.moving, strict=True))
        true, found = (np.concatenate([pair[i][pair[2]] for pair in pairs]) for i in (0, 1))
        off = np.linalg.norm(found - true, axis=1).sum() / np.linalg.norm(true, axis=1).sum()
        return float(off), float(np.degrees(_angles(true, found)).mean())

    def warp_error(self, frames: Frames) -> float:
        """How much a clip changes along the flow of the original, where that is visible.

        Returns:
            Root mean square of the change of luma from one frame to the next along the flow, over that between two
            pixels at random: 0 for what moves with the scene, 1 for noise that is new in every frame.
        """
        luma = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
        squares = [
            (_follow(after, flow) - before)[seen] ** 2
            for (before, after), flow, seen in zip(pairwise(luma), self.flows, self.visible, strict=True)
        ]
        return float(np.sqrt(np.concatenate(squares).mean() / max(2 * np.var(luma), 1e-6)))

    def _between(self, frames: Frames) -> Iterator[Flow]:
        return (self.estimator(before, after) for before, after in pairwise(frames))


def _angles(a: Flow, b: Flow) -> Plane:
    cosine = (1 + (a * b).sum(axis=1)) / np.sqrt((1 + (a * a).sum(axis=1)) * (1 + (b * b).sum(axis=1)))
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)))


def _ends(flow: Flow) -> tuple[Plane, Plane]:
    """The target of the flow: column and row of every pixel."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def _follow(image: npt.NDArray[np.float32], flow: Flow) -> Plane:
    """The image at the targets of the flow; outside the frame, the value at its border."""
    return np.asarray(cv2.remap(image, *_ends(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _seen_again(there: Flow, back: Flow) -> Mask:
    """Whether forward flow stays in the frame, and backward flow returns to within a pixel of the start."""
    x, y = _ends(there)
    height, width = there.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray(inside & (np.linalg.norm(there + _follow(back, there), axis=-1) < 1))
