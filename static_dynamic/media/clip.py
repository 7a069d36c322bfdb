"""A clip: the frames of one video that a model will see, and how its recipe picked and prepares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from static_dynamic.common.errors import UserError, shown, unknown
from static_dynamic.common.numbers import is_whole, real_within, whole_within

ORIGINAL = "original"
"""The style of a video as it was filmed."""
FACTORS = ("block", "appearance", "motion")
"""Details of videos that cross appearance and motion: in a block every one of both comes with every other."""
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
    """How a model wants its input: frames × rate, size, normalisation, order of axes.

    A clip spans ``frames[0] · rate`` consecutive source frames (or ``span``, when given); pathway ``p`` takes
    ``frames[p]`` of them at ``trunc(linspace(0, span - 1, frames[p]))``, as the published transforms do. Where ``fps``
    is given, those numbers count frames at that rate, and source frames are picked at ``trunc(source fps / fps ·
    linspace(0, span - 1, frames[p]))``, so that every clip spans the same time. A short video is looped.

    Attributes:
        frames: Frames per pathway; an int for a model with one input.
        rate: Frames of the source (or of ``fps``) per sampled frame of the first pathway.
        crop: Centre crop, pixels: the side of a square, or ``(height, width)``.
        short_side: Short side after resizing, pixels, at least that of the crop; ``None`` means the smallest that
            covers the crop.
        mean: Per-channel mean, for RGB in 0..1.
        std: Per-channel standard deviation, for RGB in 0..1.
        span: Consecutive frames that a clip covers; ``None`` means ``frames[0] · rate``.
        fps: Frames per second at which ``rate`` and ``span`` count; ``None`` means those of the source.
        layout: Axes of one clip, in order: ``"C T H W"``, ``"T C H W"``, ``"T H W C"``, …
        values: ``"normalised"`` float32 by ``mean`` and ``std``, or ``"uint8"`` pixels in 0..255.

    Raises:
        UserError: If a field has a value that it cannot have.

    Example:
        >>> Recipe(frames=100, rate=1, crop=(27, 48), layout="T H W C", values="uint8").shapes
        ((100, 27, 48, 3),)
    """

    frames: int | tuple[int, ...] = 8
    rate: int = 8
    crop: int | tuple[int, int] = 224
    short_side: int | None = None
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    span: int | None = None
    fps: float | None = None
    layout: str = "C T H W"
    values: str = "normalised"

    def __post_init__(self) -> None:
        for name, most in (("rate", MOST_FRAMES), ("short_side", LARGEST_SIDE), ("span", MOST_FRAMES)):
            value = getattr(self, name)
            if not whole_within(value, 1, most) and (value is not None or name == "rate"):
                raise UserError(f"The '{name}' of a recipe must be a positive integer{_at_most(value, most)}")
        _check_counts("frames", self.frames, MOST_FRAMES)
        _check_counts("crop", self.crop, LARGEST_SIDE)
        if isinstance(self.crop, Sequence) and len(self.crop) != 2:
            raise UserError(
                f"The 'crop' of a recipe must be a side or (height, width), in pixels. Got {shown(self.crop)}."
            )
        if self.short_side is not None and self.short_side < min(self.size):
            raise UserError(
                f"The 'short_side' of a recipe must be at least the crop's. Got {self.short_side} for crop {self.crop}."
            )
        for name, positive in (("mean", False), ("std", True)):
            _check_channels(name, getattr(self, name), positive)
        if self.fps is not None and not real_within(self.fps, *RATES):
            slowest, fastest = RATES
            given = f" from {slowest:g} to {fastest:g}" if real_within(self.fps, 0, np.inf) else ""
            raise UserError(f"The 'fps' of a recipe must be a positive number{given}. Got {shown(self.fps)}.")
        if not isinstance(self.layout, str) or sorted(self.layout.split()) != sorted(AXES):
            raise UserError(
                f"The 'layout' of a recipe must name the axes C, T, H and W of one clip once each, e.g. 'T C H W'. "
                f"Got {shown(self.layout)}."
            )
        if not isinstance(self.values, str) or self.values not in VALUES:
            raise unknown("'values' of a recipe", self.values, VALUES)

    def changed(
        self,
        frames: int | None = None,
        rate: int | None = None,
        image_size: int | tuple[int, int] | None = None,
        span: int | None = None,
        fps: float | None = None,
    ) -> "Recipe":
        """The same with other numbers where they are given; the short side keeps its proportion to the crop.

        Example:
            >>> Recipe(crop=224, short_side=256).changed(image_size=112).short_side
            128
        """
        changed = replace(
            self,
            frames=self.frames if frames is None else frames,
            rate=self.rate if rate is None else rate,
            span=self.span if span is None else span,
            fps=self.fps if fps is None else fps,
            crop=self.crop if image_size is None else image_size,
            short_side=None if image_size is not None else self.short_side,
        )
        if image_size is None or self.short_side is None:
            return changed
        return replace(changed, short_side=round(min(changed.size) * self.short_side / min(self.size)))

    @property
    def frame_counts(self) -> tuple[int, ...]:
        """Frames per pathway, always a tuple."""
        return (self.frames,) if isinstance(self.frames, int) else tuple(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the crop, pixels."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else (self.crop[0], self.crop[1])

    @property
    def side(self) -> int:
        """Side of a square crop, pixels.

        Raises:
            UserError: If the crop is not square.
        """
        height, width = self.size
        if height != width:
            raise UserError(f"Only a square crop can be used here. Got {height} x {width} pixels.")
        return height

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one clip, for every pathway."""
        lengths = dict(zip("HW", self.size, strict=True)) | {"C": 3}
        return tuple(
            tuple((lengths | {"T": count})[axis] for axis in self.layout.split()) for count in self.frame_counts
        )

    @property
    def resize(self) -> int:
        """A short side, pixels, to which any frame can be brought down before :meth:`prepare`; the crop still fits."""
        return self.short_side or max(self.size)

    @property
    def length(self) -> int:
        """Consecutive frames that a clip covers: of the source or, where ``fps`` is given, at that rate."""
        return self.span or self.frame_counts[0] * self.rate

    def covered(self, fps: float | None = None) -> int:
        """Consecutive frames of a source of ``fps`` frames per second that a clip covers."""
        return int((self.length - 1) * self._stride(fps)) + 1

    def start(self, total: int, fps: float | None = None) -> int:
        """First frame of the clip that lies in the middle of ``total`` frames."""
        return max(0, (total - self.covered(fps)) // 2)

    def sample(self, total: int, start: int | None = None, fps: float | None = None) -> Sample:
        """Frames to read from a video.

        Args:
            total: Frames of the video.
            start: First frame of the clip; ``None`` means that of the clip in the middle.
            fps: Frames per second of the video, where they are known.

        Raises:
            UserError: If the video is empty, or its frame rate is not known and the recipe needs it.
        """
        if total < 1:
            raise UserError(f"A clip requires at least one frame. Got a video of {total}.")
        first = self.start(total, fps) if start is None else start
        last = (self.length - 1) * self._stride(fps)
        steps = [np.linspace(0, last, count).astype(np.intp) for count in self.frame_counts]
        played = [first + step % (total - first) for step in steps]
        numbers = np.unique(np.concatenate(played))
        return Sample(
            numbers=tuple(int(number) for number in numbers),
            pathways=tuple(np.searchsorted(numbers, path) for path in played),
        )

    def _stride(self, fps: float | None) -> float:
        """Source frames per frame that the recipe counts."""
        if self.fps is None:
            return 1.0
        if not fps:
            raise UserError(f"The frame rate of this video is unknown, so it cannot be sampled at `fps={self.fps:g}`.")
        return fps / self.fps

    def prepare(self, frames: Frames) -> torch.Tensor:
        """Uint8 ``(T, H, W, 3)`` → resized, centre-cropped ``(T, 3, *size)``: normalised float32, or uint8.

        As published: scale to 0..1, normalise, bilinear resize of the short side without antialiasing, crop.
        """
        clip = channels_first(frames)
        size = self._resized(*clip.shape[-2:])
        resized = size != clip.shape[-2:]
        if not resized:  # then the pixels outside the crop decide nothing
            clip = centre_crop(clip, self.size)
        clip = normalised(clip, self.mean, self.std) if self.values == "normalised" else clip.float()
        if resized:
            clip = centre_crop(F.interpolate(clip, size=size, mode="bilinear", align_corners=False), self.size)
        return clip if self.values == "normalised" else clip.round().clamp(0, 255).byte()

    def pixels(self, frames: torch.Tensor) -> Frames:
        """Prepared ``(T, 3, H, W)`` → uint8 ``(T, H, W, 3)``, as a person would look at them."""
        if self.values == "uint8":
            return np.asarray(frames.movedim(1, -1).numpy())
        return unnormalised(frames, self.mean, self.std)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Size of frames after resizing: the long side follows from the short one, truncated, as published."""
        short, long = min(height, width), max(height, width)
        side = self.short_side or 1
        # Where the crop is not square, how short the short side may be depends on the frame's proportions.
        while True:
            longer = int(long / short * side)
            size = (side, longer) if height <= width else (longer, side)
            if all(have >= want for have, want in zip(size, self.size, strict=True)):
                return size
            side += 1

    def arranged(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames ``(T, C, H, W)`` → a clip with the axes of ``layout``."""
        return frames.permute(*("TCHW".index(axis) for axis in self.layout.split()))

    def frames_of(self, clip: torch.Tensor) -> torch.Tensor:
        """A clip with the axes of ``layout`` → its frames ``(T, C, H, W)``: undoes :meth:`arranged`."""
        axes = self.layout.split()
        return clip.permute(*(axes.index(axis) for axis in "TCHW"))


MOST_FRAMES = 1_000_000
"""Of a clip, read or covered, and source frames per frame."""
LARGEST_SIDE = 16_384
"""Of a frame that a model takes, pixels."""
RATES = (1e-3, 1e6)
"""Frames per second that a recipe may ask for."""
AXES = ("C", "T", "H", "W")
"""Axes of one clip: channels, frames, height, width."""
VALUES = ("normalised", "uint8")
"""What the numbers of a clip can be."""


def _at_most(value: object, most: int) -> str:
    """The end of a message about counts: the greatest that is allowed, where it is too great, and what was given."""
    counts = value if isinstance(value, tuple | list) else (value,)
    limit = f" of at most {most}" if any(is_whole(count) and count > most for count in counts) else ""
    return f"{limit}. Got {shown(value)}."


def _check_counts(name: str, value: object, most: int) -> None:
    """Refuse anything but a positive whole number, or several."""
    counts = value if isinstance(value, tuple | list) else (value,)
    if not counts or not all(whole_within(count, 1, most) for count in counts):
        raise UserError(f"The '{name}' of a recipe must be positive integers{_at_most(value, most)}")


def _check_channels(name: str, value: object, positive: bool) -> None:
    """Refuse anything but three finite numbers, of one sign where they divide."""
    least = 1e-9 if positive else -1e9
    sound = isinstance(value, tuple | list) and len(value) == 3
    if not sound or not all(real_within(number, least, 1e9) for number in value):  # type: ignore[attr-defined]
        kind = "positive numbers" if positive else "numbers"
        raise UserError(f"The '{name}' of a recipe must be three {kind}, one per channel. Got {shown(value)}.")


def channels_first(frames: Frames) -> torch.Tensor:
    """Uint8 ``(T, H, W, 3)`` → the same values, ``(T, 3, H, W)``."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)


def normalised(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Uint8 ``(T, 3, H, W)`` → float32, the same shape: brought to 0..1, less the mean, over the standard deviation."""
    pixels = frames.movedim(1, -1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    # In place, and a row of pixels at once: loops over three channels take three times as long.
    rows, width = pixels.flatten(2), pixels.shape[2]
    rows.sub_(torch.tensor(mean).repeat(width)).div_(torch.tensor(std).repeat(width))
    return pixels.movedim(-1, 1)


def unnormalised(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> Frames:
    """Undo :func:`normalised`: ``(T, 3, H, W)`` → uint8 ``(T, H, W, 3)``."""
    levels = (frames * torch.tensor(std).view(3, 1, 1) + torch.tensor(mean).view(3, 1, 1)) * 255
    return np.asarray(levels.round().clamp(0, 255).byte().movedim(1, -1).numpy())


def centre_crop(clip: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The middle ``(height, width)`` pixels of ``(..., H, W)``, which must be there."""
    (height, width), (tall, wide) = clip.shape[-2:], size
    top, left = (height - tall + 1) // 2, (width - wide + 1) // 2
    return clip[..., top : top + tall, left : left + wide]


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
        sides = self.size if isinstance(self.size, tuple | list) else ()
        sized = len(sides) == 2 and all(whole_within(side, 1, LARGEST_SIDE) for side in sides)
        if not sized or not whole_within(self.frames, 1, MOST_FRAMES):
            raise UserError(
                f"A recipe of images requires 1 or more frames, up to {MOST_FRAMES}, and a height and width, up to "
                f"{LARGEST_SIDE} pixels. Got {shown(self.frames)}, {shown(self.size)}."
            )
        if not isinstance(self.flows, tuple | list) or not self.flows:
            raise UserError(
                f"The 'flows' of a recipe must be one or more of {', '.join(FLOWS)}. Got {shown(self.flows)}."
            )
        for direction in self.flows:
            if not isinstance(direction, str) or direction not in FLOWS:
                raise unknown("direction of flow", direction, FLOWS)
        _check_channels("mean", self.mean, positive=False)
        _check_channels("std", self.std, positive=True)

    def resized(self, frames: Frames) -> Frames:
        """``(T, H, W, 3)`` → ``(T, *size, 3)``, bilinear with antialiasing, as the published transform (PIL)."""
        if frames.shape[1:3] == tuple(self.size):
            return frames
        return resize_images(frames, self.size, Image.Resampling.BILINEAR)

    def normalised(self, frames: Frames) -> torch.Tensor:
        """Uint8 ``(T, H, W, 3)`` → float32 ``(T, 3, H, W)``, less the mean, over the standard deviation."""
        return normalised(channels_first(frames), self.mean, self.std)

    def pixels(self, frames: torch.Tensor) -> Frames:
        """Normalised ``(T, 3, H, W)`` → uint8 ``(T, H, W, 3)``."""
        return unnormalised(frames, self.mean, self.std)


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
        details: What else the data say, as plain data; `block`, `appearance` and `motion` where these are crossed.
        sequence: The video that it is a moment of, where a source has several moments of one: they depend on each
            other, so intervals are over sequences.
    """

    name: str
    label: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    sequence: str | None = None
