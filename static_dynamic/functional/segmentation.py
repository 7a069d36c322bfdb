"""How well a mask fits: region and boundary as in DAVIS, boxes and success rates as in MoCA.

A mask is a boolean array ``(H, W)``. A box is ``(x0, y0, x1, y1)`` in pixels, ends exclusive: its width is ``x1 - x0``.

The published protocol for camouflaged animals, for one frame of foreground probabilities and its annotated box:

    >>> probability = np.zeros((90, 160)); probability[20:40, 30:70] = 0.6
    >>> box_overlap(largest_box(upright(probability) > 0.2), (30, 20, 70, 60))
    0.5

Sources: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016 (J, F);
Yang et al., Self-Supervised Video Object Segmentation by Motion Grouping, ICCV 2021 (boxes), in the variant of the
MATNet fusion study by the authors of the static-dynamic measure.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects, label

from static_dynamic.common.errors import UserError

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]

SUCCESS_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class SuccessRates(NamedTuple):
    """Shares of frames whose overlap exceeds each threshold, in 0..1, and the mean of the shares."""

    rates: Array
    mean: float


class OverlapCurve(NamedTuple):
    """Overlap at every mask threshold, and the area under that curve over the range of the thresholds, in 0..1."""

    thresholds: Array
    overlaps: Array
    area: float


def region_similarity(mask: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """``J = |mask ∩ truth| / |mask ∪ truth|``, in 0..1; two empty masks agree: 1.

    Pixels that must not count are set to false in both, here and in ``boundary_accuracy``.

    Raises:
        UserError: If the masks are not ``(H, W)`` of one size.
    """
    found, wanted = _same_size(mask, truth)
    union = np.count_nonzero(found | wanted)
    return np.count_nonzero(found & wanted) / union if union else 1.0


def boundary_accuracy(mask: npt.ArrayLike, truth: npt.ArrayLike, tolerance: float = 0.008) -> float:
    """The share of the two boundaries that is within ``r`` pixels of each other.

        F = 2 P R / (P + R),   P = share of the mask's boundary near the truth's, R = the reverse

    ``r`` is ``⌈tolerance · diagonal⌉``, or ``tolerance`` itself from 1 on. Where neither mask has a boundary, F is 1;
    where only one has none, F is 0. A full mask has no boundary, so with an empty one it has F = 1 and J = 0.

    Args:
        mask: ``(H, W)``.
        truth: ``(H, W)``.
        tolerance: As a share of the image diagonal; pixels where it is 1 or more.

    Returns:
        F, in 0..1; symmetric in mask and truth.

    Raises:
        UserError: If the masks are not ``(H, W)`` of one size, or the tolerance is negative.

    Source: Perazzi et al., CVPR 2016, section 4, with the conventions of its code.
    """
    if tolerance < 0:
        raise UserError(f"The 'tolerance' parameter must not be negative. Got {tolerance}.")
    found, wanted = map(boundary, _same_size(mask, truth))
    if not (found.any() and wanted.any()):
        return float(found.any() == wanted.any())
    radius = tolerance if tolerance >= 1 else np.ceil(tolerance * np.hypot(*found.shape))
    (crop,) = find_objects((found | wanted).astype(np.uint8))
    precision = _share_near(found[crop], wanted[crop], radius)
    recall = _share_near(wanted[crop], found[crop], radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: npt.ArrayLike) -> Mask:
    """Pixels whose right, lower or lower right neighbour differs; beyond the border the mask repeats its edge.

    Raises:
        UserError: If the mask is not ``(H, W)``.
    """
    inside = _mask(mask)
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge: Mask = (inside != right) | (inside != below) | (inside != diagonal)
    return edge


def largest_box(mask: npt.ArrayLike) -> Box | None:
    """The box of the largest piece of a mask; ``None`` where the mask is empty.

    Pieces are connected over edges and corners. As in the published evaluation, the largest is the one with most
    foreground inside its box, including other pieces (Yang et al. take the largest box). Of equals, the lowest.

    Raises:
        UserError: If the mask is not ``(H, W)``.
    """
    inside = _mask(mask)
    pieces = find_objects(label(inside, EIGHT_NEIGHBOURS)[0])
    if not pieces:
        return None
    rows, columns = max(reversed(pieces), key=lambda piece: np.count_nonzero(inside[piece]))
    return columns.start, rows.start, columns.stop, rows.stop


def box_overlap(a: Box | None, b: Box | None) -> float:
    """Intersection over union of two boxes, in 0..1; 0 where one is missing or has no area."""
    if a is None or b is None:
        return 0.0
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / (_area(a) + _area(b) - shared))


def scale_box(box: Box, size: tuple[int, int], to: tuple[int, int]) -> Box:
    """A box of an image of ``size`` ``(H, W)`` in the pixels of the same image resized ``to`` ``(H, W)``."""
    y, x = to[0] / size[0], to[1] / size[1]
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def success_rates(overlaps: npt.ArrayLike, thresholds: Sequence[float] = SUCCESS_THRESHOLDS) -> SuccessRates:
    """Shares of frames whose overlap is above each threshold, and their mean; all frames count alike, as published.

    Raises:
        UserError: If there are no frames.
    """
    values = np.asarray(overlaps, np.float64).ravel()
    if not values.size:
        raise UserError("Success rates need the overlap of at least one frame. Got none.")
    rates = (values[:, None] > np.asarray(thresholds)).mean(0)
    return SuccessRates(rates, float(rates.mean()))


def mean_over_sequences(values: npt.ArrayLike, sequences: Sequence[object]) -> float:
    """Mean over sequences of the mean over their frames, the rule by which J, F and box overlaps are published.

    Args:
        values: One per frame.
        sequences: Name of the sequence of each frame.

    Raises:
        UserError: If there are no frames, or the two differ in length.
    """
    frames = np.asarray(values, np.float64).ravel()
    if not len(frames) == len(sequences) > 0:
        raise UserError(f"Every value needs its sequence. Got {len(frames)} values and {len(sequences)} sequences.")
    _, of = np.unique(np.asarray(sequences, str), return_inverse=True)
    return float(np.mean(np.bincount(of, frames) / np.bincount(of)))


def mask_inverted(probability: npt.ArrayLike, threshold: float = 0.5) -> bool:
    """Whether more than half of an image's border is foreground: the object and its background are swapped.

    The published evaluation judges this at 0.5, whatever the threshold of its masks.

    Args:
        probability: Probability of the foreground, ``(H, W)``, in 0..1.
        threshold: Foreground is above it.

    Raises:
        UserError: If ``probability`` is not ``(H, W)`` in 0..1.
    """
    foreground = _probability(probability) > threshold
    inner = np.zeros(foreground.shape, bool)
    inner[1:-1, 1:-1] = True
    return bool(foreground[~inner].mean() > 0.5)


def upright(probability: npt.ArrayLike) -> npt.NDArray[Any]:
    """The probability of the foreground, or ``1 - probability`` where that is inverted (see ``mask_inverted``)."""
    values = _probability(probability)
    return 1 - values if mask_inverted(values) else values


def overlap_curve(
    probability: npt.ArrayLike, truth: Box | npt.ArrayLike, thresholds: npt.ArrayLike | None = None
) -> OverlapCurve:
    """Overlap of the mask ``probability > t`` with the truth at every ``t``, independent of a chosen threshold.

        area = ∫ overlap(t) dt / (t_last - t_first),   by the trapezoidal rule

    The overlap is ``box_overlap`` of the ``largest_box`` where the truth is a box, else J. The area of a mean of curves
    is the mean of their areas. An inverted ``probability`` is not corrected here.

    Args:
        probability: Of the foreground, ``(H, W)``, in 0..1.
        truth: A box of four numbers, or a mask ``(H, W)``.
        thresholds: Rising, in 0..1; 0, 0.05, …, 1 if ``None``.

    Raises:
        UserError: If ``probability`` is not ``(H, W)`` in 0..1, if the truth is neither a box nor a mask of that size,
            or if the thresholds do not rise.
    """
    values, wanted = _probability(probability), np.asarray(truth)
    levels = np.linspace(0, 1, 21) if thresholds is None else np.asarray(thresholds, np.float64)
    if levels.ndim != 1 or levels.size < 2 or not (np.diff(levels) > 0).all() or not 0 <= levels[0] < levels[-1] <= 1:
        raise UserError(f"The 'thresholds' must be two or more rising numbers in 0..1. Got {levels.tolist()!s:.80}.")
    if wanted.shape == (4,):
        box: Box = tuple(wanted.tolist())
        overlaps = np.array([box_overlap(largest_box(values > level), box) for level in levels])
    else:
        overlaps = np.array([region_similarity(values > level, wanted) for level in levels])
    return OverlapCurve(levels, overlaps, float(np.trapezoid(overlaps, levels) / (levels[-1] - levels[0])))


def _share_near(pixels: Mask, others: Mask, radius: float) -> float:
    """Share of ``pixels`` with one of ``others`` within a disk of ``radius``."""
    near = distance_transform_edt(~others) <= radius
    return float(near[pixels].mean())


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _same_size(mask: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Mask, Mask]:
    found, wanted = _mask(mask), _mask(truth)
    if found.shape != wanted.shape:
        raise UserError(f"Masks must be of one size. Got {found.shape} and {wanted.shape}.")
    return found, wanted


def _mask(values: npt.ArrayLike) -> Mask:
    mask = np.asarray(values, bool)
    if mask.ndim != 2 or not mask.size:
        raise UserError(f"A mask must be (H, W). Got the shape {mask.shape}.")
    return mask


def _probability(values: npt.ArrayLike) -> npt.NDArray[Any]:
    probability = np.asarray(values)
    if probability.ndim != 2 or not probability.size:
        raise UserError(f"A foreground probability must be (H, W). Got the shape {probability.shape}.")
    low, high = probability.min(), probability.max()
    if not 0 <= low <= high <= 1:
        raise UserError(f"A foreground probability must be in 0..1. Got {low}..{high}.")
    return probability
