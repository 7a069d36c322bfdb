"""DAVIS and the data sets made from it: single frames with their optical flow, in several styles, and their masks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError, one_line, unknown
from static_dynamic.common.files import as_path, stamp
from static_dynamic.common.seeds import generator
from static_dynamic.functional.segmentation import Box
from static_dynamic.media.clip import (
    FLOWS,
    ORIGINAL,
    Clip,
    FlowRecipe,
    Frames,
    Recipe,
    Sample,
    Video,
    resize_images,
    same_proportions,
)
from static_dynamic.media.images import image_at, read_image, read_images
from static_dynamic.sources import davis_layouts as layouts
from static_dynamic.sources.base import known
from static_dynamic.sources.left_out import summary
from static_dynamic.sources.masks import foreground, read_boxes, read_mask
from static_dynamic.sources.walk import printable

NEAR = 10
"""Largest distance between the two frames of a model that takes two."""


class Davis:
    """DAVIS, where every frame that has optical flow is a separate video; intervals are over sequences.

    The last frame of a sequence has no forward flow and the first no backward flow: they are not used, as published.
    Flow is that of the original video, in every style. A model of two frames sees one frame and another of the same
    sequence, at most ten apart, drawn per frame from the seed. The two always differ (in the published draw they could
    be the same, and it wrapped around the ends).

    Args:
        root: Folder of DAVIS (see :mod:`static_dynamic.sources.davis_layouts`).
        dataset: ``"DAVIS"``, ``"MoCA"``, ``"StylizedDAVIS"``, ``"StylizedDAVISCinematograms"`` or
            ``"StylizedDAVISStereograms"``.
        stylized: Folder of the restyled images.
        styles: Ids of the published styles, or names of folders below ``stylized/JPEGImages``; other names
            refer to the built-in styles. ``None`` means those of the data set.
        split: Name of the list in ``ImageSets``.
        flows: Directions of flow that the model takes.
        seed: Draws the second frame.
        every: Use every n-th frame of a sequence.

    Attributes:
        left_out: ``(name, reason)`` of listed frames that are missing, and of those of sequences too short for flow.

    Raises:
        UserError: If the data set, a style, the list or the flow is missing, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        dataset: str = "DAVIS",
        stylized: str | Path | None = None,
        styles: Sequence[str] | None = None,
        split: str = "val",
        flows: Sequence[str] = FLOWS[:1],
        seed: int = 1,
        every: int = 1,
    ) -> None:
        if dataset not in layouts.LAYOUTS:
            raise unknown("data set", dataset, layouts.LAYOUTS)
        if every < 1:
            raise UserError(f"The 'every' of a data set must be a positive integer. Got {every}.")
        self.name, self.root, self.split, self.seed, self.every = dataset, as_path(root), split, seed, every
        self.left_out: list[tuple[str, str]] = []
        layout = layouts.LAYOUTS[dataset]
        found = layout.sequences(self.root, split, lambda name, reason: self.left_out.append((name, reason)))
        self.flows = tuple(flows)
        self._flow_roots = {direction: layouts.flow_root(self.root, direction) for direction in self.flows}
        boxes = self.root / "Annotations" / layouts.BOXES
        self._boxes = read_boxes(boxes) if boxes.is_file() else {}
        self._styles = self._find_styles(stylized, layout.styles if styles is None else styles)
        self.styles = tuple(self._styles)
        self._frames: dict[str, tuple[layouts.Sequence, int]] = {}
        for sequence in found:
            self._add(sequence)
        self.videos = [Video(name, sequence=frame[0].name) for name, frame in self._frames.items()]
        if not self.videos:
            why = summary(self.left_out, used=0) or "There are no frames."
            raise UserError(f"No frame of {dataset} in {self.root} can be used. {why}")

    def read(self, video: Video, recipe: Recipe | FlowRecipe, style: str | None = None) -> Clip:
        """One frame with its flow, or two, in one style.

        Returns:
            Frames and flows ``(T, H, W, 3)`` uint8 RGB, flow resized to the size of the images.

        Raises:
            BadClip: If an image or its flow is missing, cannot be read or differs in proportions.
            UserError: If the recipe is one of clips, or the style is unknown.
        """
        if not isinstance(recipe, FlowRecipe):
            raise UserError(f"{self.name} gives images and their flow, not clips.")
        sequence, position = known(self._frames, video, self.name)
        positions = [position, *self._others(video.name, sequence, position, recipe.frames - 1)]
        folder, stems = self._image_root(style) / sequence.folder, [sequence.frames[i] for i in positions]
        frames = read_images(image_at(folder, stem) for stem in stems)
        flows = {
            direction: _read_flow(self._flow_roots[direction] / sequence.folder, stems, frames)
            for direction in recipe.flows
        }
        sample = Sample(tuple(positions), (np.arange(len(positions)),))
        return Clip(frames, sample, one_line(folder), len(sequence.frames), flows=flows)

    def truth(self, video: Video) -> tuple[npt.NDArray[np.bool_] | None, Box | None, tuple[int, int]]:
        """The annotation of a frame: the mask of all its objects, or for MoCA a box, if there is one.

        Returns:
            Mask ``(H, W)``, box, and height and width of the annotated image.

        Raises:
            BadClip: If the mask is missing or unreadable.
        """
        sequence, position = known(self._frames, video, self.name)
        stem = sequence.frames[position]
        if self._boxes:
            annotation = self._boxes.get((sequence.name, stem))
            height, width = read_image(image_at(layouts.image_root(self.root) / sequence.folder, stem)).shape[:2]
            return None, annotation.box if annotation else None, (height, width)
        mask = foreground(read_mask(layouts.mask_path(self.root, sequence.folder, stem)))
        return mask, None, (mask.shape[0], mask.shape[1])

    def stamp(self, video: Video) -> str:
        """The stamp of a frame in all styles, its flow and its mask, see `static_dynamic.common.files.stamp`."""
        sequence, position = known(self._frames, video, self.name)
        stem = sequence.frames[position]
        images = [layouts.image_root(self.root), *self._styles.values()]
        return stamp(
            *(image_at(root / sequence.folder, stem) for root in images),
            *(image_at(root / sequence.folder, stem, usual=".png") for root in self._flow_roots.values()),
            layouts.mask_path(self.root, sequence.folder, stem),
        )

    def describe(self) -> dict[str, object]:
        """Everything that decides which images are read."""
        return {
            "kind": self.name,
            "root": one_line(self.root),
            "split": self.split,
            "styles": {style: one_line(folder) for style, folder in self._styles.items()},
            "flows": {direction: folder.name for direction, folder in self._flow_roots.items()},
            "every": self.every,
            "seed": self.seed,
            "videos": len(self.videos),
            "left_out": len(self.left_out),
        }

    def _find_styles(self, stylized: str | Path | None, styles: Sequence[str]) -> dict[str, Path]:
        """Style → its folder, for the styles on disk."""
        if stylized is None:
            if published := [style for style in styles if style in layouts.STYLES]:
                raise UserError(
                    f"The style {published[0]!r} of {self.name} requires the folder of the stylized images."
                )
            return {}
        below = as_path(stylized) / "JPEGImages"
        there = {name: below / name for name in sorted(layouts.folders_in(below))}
        if not there:
            raise UserError(f"No stylized images in {below}: it must hold a folder for each style.")
        found = {}
        for style in styles or there:
            folder = layouts.STYLES.get(style, style)
            if folder in there:
                found[style] = there[folder]
            elif style in layouts.STYLES:
                raise unknown("style", f"{style} ({folder})", there, where=str(below))
        if not found:
            raise unknown("style", ", ".join(styles), there, where=str(below))
        return found

    def _add(self, sequence: layouts.Sequence) -> None:
        """Add the usable frames of a sequence."""
        folder = next(iter(self._styles.values()), layouts.image_root(self.root)) / sequence.folder
        stems = set(layouts.stems_in(folder))
        there = replace(sequence, frames=tuple(stem for stem in sequence.frames if stem in stems))
        usable = self._usable(there)
        self._leave_out(
            sequence.name, [stem for stem in sequence.frames if stem not in stems], f"no image (in {folder})"
        )
        if not usable:
            self._leave_out(there.name, there.frames, f"in a sequence too short for flow (length {len(there.frames)})")
        for position in usable[:: self.every]:
            self._frames[f"{there.name}/{printable(there.frames[position])}"] = there, position

    def _leave_out(self, sequence: str, stems: Sequence[str], reason: str) -> None:
        self.left_out += [(f"{sequence}/{printable(stem)}", one_line(reason)) for stem in stems]

    def _usable(self, sequence: layouts.Sequence) -> range:
        return range("backward" in self.flows, len(sequence.frames) - ("forward" in self.flows))

    def _others(self, name: str, sequence: layouts.Sequence, position: int, count: int) -> list[int]:
        """Frames that a model of several frames sees in addition to the one at ``position``."""
        near = [i for i in self._usable(sequence) if 0 < abs(i - position) <= NEAR]
        if len(near) < count:
            raise BadClip(
                f"{name}: the model takes {count + 1} frames with flow, but the sequence has {len(near) + 1} here."
            )
        draw = generator(self.seed, "neighbours", name)
        return [int(i) for i in draw.choice(near, count, replace=False)] if count else []

    def _image_root(self, style: str | None) -> Path:
        if style in self._styles:
            return self._styles[style]
        if style in (None, ORIGINAL):
            return layouts.image_root(self.root)
        raise unknown("style", style, [ORIGINAL, *self._styles], where=str(self.root))


def _read_flow(folder: Path, stems: Sequence[str], frames: Frames) -> Frames:
    """Drawn flow, resized to its images as published: bicubic."""
    paths = [image_at(folder, stem, usual=".png") for stem in stems]
    flows = read_images(paths)
    size, image = flows.shape[1:3], frames.shape[1:3]
    if not same_proportions(flows, frames):
        raise BadClip(
            f"{paths[0]}: this flow is {size[1]}x{size[0]} pixels, its image {image[1]}x{image[0]}. Proportions differ."
        )
    return flows if size == image else resize_images(flows, (image[0], image[1]), Image.Resampling.BICUBIC)
