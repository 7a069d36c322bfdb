"""A sample of SyncMNIST, to look at and for programs that read files.

It holds the clips (frames/train_000000/000001.jpg … or videos/train_000000.mp4), their list and class names in the
published format (train_videofolder.txt, category.txt), the box of every digit in every frame (train_boxes.csv) and a
contact sheet (train_sheet.png; the two in step are orange).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from static_dynamic.common.files import write_atomically, write_text
from static_dynamic.common.progress import tracked
from static_dynamic.common.runs import Kind
from static_dynamic.common.tables import as_csv
from static_dynamic.media.clip import Frames
from static_dynamic.media.pictures import card, write_png
from static_dynamic.training.pictures import enlarged, side_by_side, stacked, with_boxes, write_mp4
from static_dynamic.training.syncmnist.clips import SyncClip, SyncMNIST

FPS = 5
SHOWN = 6
"""Clips on the contact sheet."""
MOVING, OTHER = "#F58231", "#4C6FFF"
SAMPLE = Kind("sample of SyncMNIST", "run.json", ("category.txt", "*_videofolder.txt", "frames/", "videos/"))
COLUMNS = ("name", "frame", "digit", "class", "in_step", "top", "left", "bottom", "right")


def write_sample(data: SyncMNIST, folder: Path, videos: bool) -> None:
    """Write every clip of ``data``, and their ground truth."""
    lines: list[str] = []
    boxes: list[tuple[object, ...]] = []
    shown: list[tuple[str, SyncClip]] = []
    for number in tracked(range(len(data)), "clips"):
        clip, name = data[number], f"{data.split}_{number:06d}"
        frames = _rgb(clip.frames)
        if videos:
            write_mp4(frames, folder / "videos" / f"{name}.mp4", FPS)
        else:
            write_frames(frames, folder / "frames" / name)
        lines.append(f"{name} {len(frames)} {clip.label}\n")
        boxes += _rows(name, clip)
        shown += [(data.class_names[clip.label], clip)] * (number < SHOWN)
    write_text(folder / "category.txt", "".join(f"{name}\n" for name in data.class_names))
    write_text(folder / f"{data.split}_videofolder.txt", "".join(lines))
    write_text(folder / f"{data.split}_boxes.csv", as_csv(pd.DataFrame(boxes, columns=list(COLUMNS))))
    write_png(contact_sheet(shown), folder / f"{data.split}_sheet.png")


def write_frames(frames: Frames, folder: Path) -> None:
    """``000001.jpg`` and so on, as published."""
    for number, frame in enumerate(frames, start=1):
        save = partial(Image.fromarray(frame).save, format="JPEG", quality=95)
        write_atomically(folder / f"{number:06d}.jpg", save)


def contact_sheet(clips: Sequence[tuple[str, SyncClip]]) -> Frames:
    """A row for every clip with its class before it; the digits in step have another colour."""
    return stacked([_row(name, clip) for name, clip in clips])


def _row(name: str, clip: SyncClip) -> Frames:
    factor = max(1, 128 // clip.frames.shape[1])
    colours = [MOVING if place in clip.pair else OTHER for place in range(len(clip.digits))]
    frames = enlarged(_rgb(clip.frames), factor)
    drawn = [with_boxes(frame, box * factor, colours) for frame, box in zip(frames, clip.boxes, strict=True)]
    return side_by_side([card(name, 80, frames.shape[1]), *drawn])


def _rows(name: str, clip: SyncClip) -> list[tuple[object, ...]]:
    return [
        (name, frame, place, clip.digits[place], int(place in clip.pair), *(f"{side:.2f}" for side in box))
        for frame, boxes in enumerate(clip.boxes, start=1)
        for place, box in enumerate(boxes)
    ]


def _rgb(frames: Frames) -> Frames:
    return np.repeat(frames[..., None], 3, axis=-1)
