"""The quality of the masks of a segmentation model on every variant, judged in the same forward pass."""

from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from static_dynamic.common.errors import UserError
from static_dynamic.functional import segmentation as seg
from static_dynamic.media.clip import Video


class Annotated(Protocol):
    """A source with annotated masks."""

    def truth(self, video: Video) -> "Truth":
        """The annotated mask ``(H, W)`` and box of a frame, if any, and its height and width."""


Truth = tuple[npt.NDArray[np.bool_] | None, seg.Box | None, tuple[int, int]]


class MaskJudge:
    """Compares masks with the annotated ones: J and F as in DAVIS, boxes as in MoCA.

    Measures, each in 0..1: ``J`` and ``F`` of the mask above ``threshold``; ``box``, the overlap of the box of the
    mask's largest piece above ``box_threshold``, turned upright; ``box_area``, the area under that overlap over all
    thresholds.

    Args:
        source: Source of the annotations.
        threshold: Threshold of the foreground's probability, for J and F.
        box_threshold: The same for boxes; the published evaluations used 0.1 or 0.2.

    Raises:
        UserError: If the source lacks annotations.
    """

    def __init__(self, source: object, threshold: float = 0.5, box_threshold: float = 0.2) -> None:
        if not hasattr(source, "truth"):
            name = getattr(source, "name", type(source).__name__)
            raise UserError(
                f"The source {name} has no annotated masks to compare with. Use a source with masks, e.g. DAVIS."
            )
        self.threshold, self.box_threshold = threshold, box_threshold
        # A frame is judged under every condition in turn.
        self._truth = lru_cache(maxsize=32)(lambda name: source.truth(Video(name)))

    def __repr__(self) -> str:
        return f"MaskJudge(threshold={self.threshold}, box_threshold={self.box_threshold})"

    def __call__(self, video: Video, output: torch.Tensor) -> dict[str, float]:
        """Judge the output for one variant.

        Args:
            video: The frame.
            output: ``(frames, C, h, w)``, of which the first frame counts: probabilities of the foreground for
                ``C = 1``, logits of background and foreground for ``C = 2``.

        Raises:
            BadClip: If the annotation is missing or cannot be read.
            UserError: If the output is not a mask.
        """
        mask, box, size = self._truth(video.name)
        if mask is None and box is None:
            return {}
        probability = resized(foreground(output)[0], size)
        judged = {}
        if mask is not None:
            found = probability > self.threshold
            judged = {"J": seg.region_similarity(found, mask), "F": seg.boundary_accuracy(found, mask)}
            box = box or seg.largest_box(mask)
        upright = seg.upright(probability)
        if box is not None:
            judged["box"] = seg.box_overlap(seg.largest_box(upright > self.box_threshold), box)
            judged["box_area"] = seg.overlap_curve(upright, box).area
        return judged


def foreground(output: torch.Tensor) -> torch.Tensor:
    """Probability of the foreground ``(frames, h, w)`` from a model's output ``(frames, C, h, w)``.

    Raises:
        UserError: If that is not one probability, or two logits, for every pixel.
    """
    if output.ndim == 4 and output.shape[1] == 2:
        return output.softmax(1)[:, 1]
    if output.ndim == 4 and output.shape[1] == 1 and output.min() >= 0 and output.max() <= 1:
        return output[:, 0]
    raise UserError(
        "Only masks can be judged: an output (N, 1, H, W) in 0..1, or logits (N, 2, H, W). "
        f"Got {tuple(output.shape)} per variant."
    )


def resized(probability: torch.Tensor, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Bilinear interpolation of ``(h, w)`` to the size of the annotation."""
    if tuple(probability.shape) != size:
        probability = F.interpolate(probability[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray(probability.clamp(0, 1).numpy())
