"""A clip: the frames of one video that a model will see, and how its recipe picked and prepares them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from static_dynamic.errors import UserError, unknown

ORIGINAL = "original"
"""The style of a video as it was filmed."""
INTACT = "intact"
"""The order of a video as it was filmed."""

FLOWS = ("forward", "backward")
"""Directions of optical flow: to the next frame of a video, and to the one before."""

Frames = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """Which frames of a video to read, and which of those every pathway takes.

    Attributes:
        numbers: Frame numbers to read, 0-based, each once; ascending, for a clip that plays.
        pathways: For every pathway, positions in ``numbers`` in playing order.
    """

    numbers: tuple[int, ...]
    pathways: tuple[Indices, ...]


@dataclass(frozen=True)
class Clip:
    """Frames of one video.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8 RGB; row ``i`` is source frame ``sample.numbers[i]``.
        sample: Which frames these are, and how the pathways play them.
        source: The file or folder that was read.
        total: Frames in the video (or in its annotated segment).
        fps: Frames per second of the source, where it says so.
        flows: Direction → the optical flow of every frame, drawn as colour-wheel images ``(T, H, W, 3)``, from a
            source that gives them.
    """

    frames: Frames
    sample: Sample
    source: str = ""
    total: int = 0
    fps: float | None = None
    flows: Mapping[str, Frames] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How a model wants its input: frames × rate, size, normalisation.

    A clip spans ``frames[0] · rate`` consecutive source frames (or ``span``, when given); pathway ``p`` takes
    ``frames[p]`` of them at ``trunc(linspace(0, span - 1, frames[p]))``, as the published transforms do. A short
    video is looped.

    Attributes:
        frames: Frames per pathway; an int for a model with one input.
        rate: Source frames per sampled frame of the first pathway.
        crop: Side of the centre crop, pixels.
        short_side: Short side after resizing, pixels; ``None`` means ``crop``.
        mean: Per-channel mean, for RGB in 0..1.
        std: Per-channel standard deviation, for RGB in 0..1.
        span: Consecutive source frames that a clip covers; ``None`` means ``frames[0] · rate``.

    Raises:
        UserError: If a number is not positive.
    """

    frames: int | tuple[int, ...] = 8
    rate: int = 8
    crop: int = 224
    short_side: int | None = None
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    span: int | None = None

    def __post_init__(self) -> None:
        for name in ("rate", "crop", "short_side", "span"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"The '{name}' of a recipe must be a positive integer. Got {value}.")
        if min(self.frame_counts) < 1:
            raise UserError(f"The 'frames' of a recipe must be positive integers. Got {self.frames}.")

    def changed(
        self,
        frames: int | None = None,
        rate: int | None = None,
        image_size: int | None = None,
        span: int | None = None,
    ) -> "Recipe":
        """The same with other numbers where they are given; the short side keeps its proportion to the crop.

        Example:
            >>> Recipe(crop=224, short_side=256).changed(image_size=112).short_side
            128
        """
        crop = image_size or self.crop
        return replace(
            self,
            frames=frames or self.frames,
            rate=rate or self.rate,
            span=span or self.span,
            crop=crop,
            short_side=round(crop * self.resize / self.crop) if image_size else self.short_side,
        )

    @property
    def frame_counts(self) -> tuple[int, ...]:
        """Frames per pathway, always a tuple."""
        return (self.frames,) if isinstance(self.frames, int) else tuple(self.frames)

    @property
    def resize(self) -> int:
        """Short side after resizing, pixels."""
        return self.short_side or self.crop

    @property
    def length(self) -> int:
        """Consecutive source frames that a clip covers."""
        return self.span or self.frame_counts[0] * self.rate

    @cached_property
    def _steps(self) -> list[Indices]:
        return [np.linspace(0, self.length - 1, count).astype(np.intp) for count in self.frame_counts]

    def start(self, total: int) -> int:
        """First frame of the clip that lies in the middle of ``total`` frames."""
        return max(0, (total - self.length) // 2)

    def sample(self, total: int, start: int | None = None) -> Sample:
        """Frames to read from a video of ``total`` frames, from ``start`` (default: the middle clip)."""
        if total < 1:
            raise UserError(f"A clip needs at least one frame. Got a video of {total}.")
        first = self.start(total) if start is None else start
        played = [first + step % (total - first) for step in self._steps]
        numbers = np.unique(np.concatenate(played))
        return Sample(
            numbers=tuple(int(number) for number in numbers),
            pathways=tuple(np.searchsorted(numbers, path) for path in played),
        )

    def prepare(self, frames: Frames) -> torch.Tensor:
        """Uint8 ``(T, H, W, 3)`` → normalised, resized, centre-cropped float32 ``(T, 3, crop, crop)``.

        As published: scale to 0..1, normalise, bilinear resize of the short side without antialiasing, crop.
        """
        clip = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
        clip = (clip - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)
        height, width = clip.shape[-2:]
        long = int(max(height, width) / min(height, width) * self.resize)
        size = (self.resize, long) if height <= width else (long, self.resize)
        if size != (height, width):
            clip = F.interpolate(clip, size=size, mode="bilinear", align_corners=False)
        return centre_crop(clip, self.crop)


def centre_crop(clip: torch.Tensor, side: int) -> torch.Tensor:
    """The middle ``side × side`` pixels of ``(..., H, W)``."""
    height, width = clip.shape[-2:]
    if side > min(height, width):
        raise UserError(f"The crop must fit the resized clip. Got crop {side} for {width}x{height} pixels.")
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return clip[..., top : top + side, left : left + side]


@dataclass(frozen=True)
class FlowRecipe:
    """How a model of images and their optical flow wants its input.

    Attributes:
        frames: Images of a clip, of one video.
        flows: Directions of the flow that comes with every image, of ``FLOWS``; their channels lie side by side.
        size: Height and width, pixels; images are resized to it, whatever their proportions.
        mean: Per-channel mean of images and of drawn flow, for RGB in 0..1.
        std: Per-channel standard deviation, likewise.

    Raises:
        UserError: If a number is not positive, or a direction is unknown.
    """

    frames: int = 1
    flows: tuple[str, ...] = FLOWS[:1]
    size: tuple[int, int] = (480, 854)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.frames < 1 or len(self.size) != 2 or min(self.size) < 1:
            raise UserError(
                f"A recipe of images needs 1 or more frames, and a height and width. Got {self.frames}, {self.size}."
            )
        for direction in self.flows:
            if direction not in FLOWS:
                raise unknown("direction of flow", direction, FLOWS)

    def resized(self, frames: Frames) -> Frames:
        """``(T, H, W, 3)`` → ``(T, *size, 3)``, bilinear with antialiasing, as the published transform (PIL)."""
        if frames.shape[1:3] == tuple(self.size):
            return frames
        return resize_images(frames, self.size, Image.Resampling.BILINEAR)

    def normalised(self, frames: Frames) -> torch.Tensor:
        """Uint8 ``(T, H, W, 3)`` → float32 ``(T, 3, H, W)``, less the mean, over the standard deviation."""
        clip = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
        return (clip - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)


STRETCH = 0.02
"""How much the proportions of two pictures of one thing may differ, as a share."""


def same_proportions(a: Frames, b: Frames) -> bool:
    """Whether two clips ``(T, H, W, 3)`` have nearly the same ratio of height and width."""
    return bool(abs(a.shape[1] * b.shape[2] / (a.shape[2] * b.shape[1]) - 1) <= STRETCH)


def resize_images(frames: Frames, size: tuple[int, int], method: Image.Resampling) -> Frames:
    """``(T, H, W, 3)`` uint8 → ``(T, *size, 3)``."""
    height, width = size
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), method)) for frame in frames])


@dataclass(frozen=True)
class Video:
    """One entry of a source: a unique name and, where the data say so, a class.

    Attributes:
        name: Its name.
        label: Its class.
        details: What else the data say.
        sequence: The video that it is a moment of, where a source has several moments of one: they depend on each
            other, so intervals are over sequences.
    """

    name: str
    label: str | None = None
    details: dict[str, int] = field(default_factory=dict)
    sequence: str | None = None
