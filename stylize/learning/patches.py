"""The data from which a style is learned: painted keyframes, and batches of patches from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from static_dynamic.common.errors import UserError, did_you_mean
from static_dynamic.common.registry import generator
from static_dynamic.media.clip import Frames
from static_dynamic.media.images import eight_bit, opacity, open_image, read_image, read_images
from static_dynamic.media.reading import reduced
from static_dynamic.stylize.networks.network import as_input
from static_dynamic.stylize.rendering.films import FolderFilm

Mask = npt.NDArray[np.uint8]
Centres = npt.NDArray[np.intp]

INSIDE = 128
"""A pixel of a mask that is brighter belongs to the style."""
EROSION = 7
"""Side of the square by which a mask shrinks before patches are centred in it, pixels."""


@dataclass(frozen=True)
class Keyframe:
    """A frame, its painting, and where the painting counts.

    Attributes:
        name: Of the frame: its file name without extension.
        filmed: The original frame, ``(H, W, 3)`` uint8 RGB.
        painted: The same frame, painted.
        mask: ``(H, W)``, 1 where the painting counts, else 0.
    """

    name: str
    filmed: Frames
    painted: Frames
    mask: Mask

    @property
    def digest(self) -> str:
        """A digest of all pixels."""
        return sha256(b"".join(image.tobytes() for image in (self.filmed, self.painted, self.mask))).hexdigest()[:16]


def open_clip(folder: Path, size: int | None = None) -> FolderFilm:
    """The frames of a clip, in one folder; larger ones are reduced to a short side of ``size`` pixels.

    Raises:
        UserError: If the folder is missing, or holds no frames.
    """
    if not folder.is_dir():
        raise UserError(f"The --clip must be a folder of frames, whose names the keys have. Got {str(folder)!r}.")
    film = FolderFilm(folder.name, folder, size)
    _ = film.paths  # raises now if there are none
    return film


def read_keyframes(film: FolderFilm, keys: Iterable[str], masks: Iterable[str] = ()) -> list[Keyframe]:
    """Frames of a clip and their paintings.

    Args:
        film: The clip.
        keys: Painted frames: ``key/000.png`` for the frame 000, or ``000=key.png``.
        masks: Where the painting counts, named in the same way; a keyframe without one counts where it is opaque.

    Raises:
        UserError: If a key has no frame, two have the same one, sizes differ, or a mask has no key.
        BadClip: If a picture cannot be read.
    """
    painted, covered = _named(keys, film, "key"), _named(masks, film, "mask")
    if not painted:
        raise UserError("At least one painted keyframe is required: --key key.png.")
    for name in covered:
        if name not in painted:
            raise UserError(f"The mask {covered[name]} is for the frame {name!r}, which has no key.")
    frames = {path.stem: path for path in film.paths}
    return [_read(name, frames[name], painted[name], covered.get(name), film.short_side) for name in painted]


def _named(pictures: Iterable[str], film: FolderFilm, kind: str) -> dict[str, Path]:
    """Name of a frame → the picture for it."""
    frames = [path.stem for path in film.paths]
    named: dict[str, Path] = {}
    for picture in pictures:
        before, _, after = picture.partition("=")
        path = Path(after or before)
        name = before if after else path.stem
        if name not in frames:
            raise UserError(
                f"The {kind} {path} is for the frame {name!r}, which {film.source} does not contain: its frames are "
                f"{frames[0]} to {frames[-1]}.{did_you_mean(name, frames)} "
                f"Give the frame with --{kind} {frames[0]}={path.name}"
            )
        if name in named:
            raise UserError(f"Two {kind}s for the frame {name!r}: {named[name]} and {path}.")
        named[name] = path
    return named


def _read(name: str, frame: Path, key: Path, mask: Path | None, short_side: int | None) -> Keyframe:
    filmed, painted = read_image(frame), read_image(key, "key")
    inside = _white(mask) if mask else opacity(open_image(key, "key"))
    for kind, path, image in (("key", key, painted), ("mask", mask, inside)):
        if image.shape[:2] != filmed.shape[:2]:
            raise UserError(f"The {kind} {path} has {_size(image)} pixels, but its frame {frame} has {_size(filmed)}.")
    if short_side:
        filmed, painted, inside = (reduced(image, short_side) for image in (filmed, painted, inside))
    return Keyframe(name, filmed, painted, (inside > INSIDE).astype(np.uint8))


def _white(mask: Path) -> Mask:
    """How white and opaque a mask is, 0..255."""
    image = open_image(mask, "mask")
    return np.minimum(np.asarray(eight_bit(image).convert("L")), opacity(image))


def _size(image: Frames) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


class Batch(NamedTuple):
    """The input of one training step, in -1..1.

    Attributes:
        filmed: Original patches, ``(N, 3, h, w)``.
        painted: The same places, painted.
        other: Painted pictures that the discriminator is shown as examples.
        mask: ``(N, 1, h, w)``, 1 where the painting counts; ``None`` is everywhere.
    """

    filmed: Tensor
    painted: Tensor
    other: Tensor
    mask: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(self.filmed.to(device), self.painted.to(device), self.other.to(device), mask)


class Patches:
    """Square patches, drawn without replacement from each keyframe in turn.

    Their centres lie in the mask less a margin. A patch that would cross a border of the frame is moved inside; the
    published code pads it with zeros. Pixels beyond the mask are not learned, unlike in the published code. The input
    of a step follows from the seed and its number alone.

    Args:
        keyframes: To cut from.
        side: Side of a patch, pixels.
        count: Patches in a batch.
        seed: Seed of the patches.

    Raises:
        UserError: If a frame is smaller than a patch, or there is no centre in its mask.
    """

    def __init__(self, keyframes: Sequence[Keyframe], side: int, count: int, seed: int) -> None:
        self.keyframes = keyframes
        self.side, self.count, self.seed = side, count, seed
        self.centres = [_centres(keyframe, side) for keyframe in keyframes]
        self._decks: dict[tuple[int, str], tuple[int, Centres]] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of one step, counted from 0."""
        corners = [self._draw(number, "learned") for number in self._numbers(step)]
        others = [self._draw(number, "shown") for number in self._numbers(step)]
        mask = torch.from_numpy(self._cut((self.keyframes[k].mask, y, x) for k, y, x in corners))
        return Batch(
            filmed=as_input(self._cut((self.keyframes[k].filmed, y, x) for k, y, x in corners)),
            painted=as_input(self._cut((self.keyframes[k].painted, y, x) for k, y, x in corners)),
            other=as_input(self._cut((self.keyframes[k].painted, y, x) for k, y, x in others)),
            mask=None if mask.all() else mask[:, None].float(),
        )

    def _numbers(self, step: int) -> range:
        return range(step * self.count, (step + 1) * self.count)

    def _draw(self, number: int, use: str) -> tuple[int, int, int]:
        """The keyframe and the corner of patch ``number`` of all."""
        turn, which = divmod(number, len(self.keyframes))
        centres = self.centres[which]
        rounds, place = divmod(turn, len(centres))
        centre = centres[self._deck(which, use, rounds)[place]]
        height, width = self.keyframes[which].mask.shape
        y, x = (centre - self.side // 2).clip(0, (height - self.side, width - self.side))
        return which, int(y), int(x)

    def _deck(self, which: int, use: str, rounds: int) -> Centres:
        """The order in which the centres of a keyframe are drawn, which differs in every round."""
        held = self._decks.get((which, use))
        if held is None or held[0] != rounds:
            order = generator(self.seed, f"{use} {which} {rounds}").permutation(len(self.centres[which]))
            held = self._decks[which, use] = (rounds, order)
        return held[1]

    def _cut(self, places: Iterable[tuple[Frames, int, int]]) -> Frames:
        return np.stack([image[y : y + self.side, x : x + self.side] for image, y, x in places])


def _centres(keyframe: Keyframe, side: int) -> Centres:
    """Where patches may be centred: ``(N, 2)``, row and column."""
    if min(keyframe.mask.shape) < side:
        raise UserError(
            f"The frame {keyframe.name!r} has {_size(keyframe.filmed)} pixels, fewer than a patch: {side}x{side}."
        )
    kernel = np.ones((EROSION, EROSION), np.uint8)
    centres = np.argwhere(cv2.erode(keyframe.mask, kernel))
    if not len(centres):
        raise UserError(
            f"The mask of the frame {keyframe.name!r} holds no patch: it has no {EROSION}x{EROSION} white pixels."
        )
    return centres


class WholeFrames:
    """One whole keyframe at a time, in turn.

    Args:
        keyframes: To show.
    """

    def __init__(self, keyframes: Sequence[Keyframe]) -> None:
        self.keyframes = keyframes
        for keyframe in keyframes:
            if not keyframe.mask.any():
                raise UserError(f"The mask of the frame {keyframe.name!r} is black: nothing can be learned from it.")

    def __call__(self, step: int) -> Batch:
        """The batch of one step, counted from 0."""
        keyframe = self.keyframes[step % len(self.keyframes)]
        filmed, painted = as_input(keyframe.filmed[None]), as_input(keyframe.painted[None])
        return Batch(filmed, painted, painted, filmed.new_tensor(keyframe.mask)[None, None])


def unseen(film: FolderFilm, keyframes: Sequence[Keyframe], count: int) -> list[Frames]:
    """Frames without a key, spread over the clip.

    Raises:
        BadClip: If one cannot be read, or is of another size than the first.
    """
    names = {keyframe.name for keyframe in keyframes}
    others = [path for path in film.paths if path.stem not in names] or film.paths
    picked = np.linspace(0, len(others) - 1, min(count, len(others))).round().astype(int)
    return list(read_images((others[number] for number in picked), film.short_side))
