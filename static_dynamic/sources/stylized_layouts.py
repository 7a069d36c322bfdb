"""The three published stylized data sets: location and content of the annotations, names of the frames."""

import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.media.images import image_at, is_image
from static_dynamic.sources.annotations import Record, inside, read_annotations

ACTIVITYNET_FPS = 5.0
WHOLE_VIDEO = range(sys.maxsize)


@dataclass(frozen=True)
class Entry:
    """The annotation of one video.

    Attributes:
        name: Its id, a path inside the folder of a style.
        label: Its class.
        spans: Annotated segments in 0-based frame numbers, as in the file; the clip is taken from the first.
        frames: Number of frames, if the file states it.
    """

    name: str
    label: str
    spans: tuple[range, ...] = (WHOLE_VIDEO,)
    frames: int | None = None


@dataclass(frozen=True)
class FrameNaming:
    """The names of frames without extension: a template for the number, and the number of the first frame."""

    template: str
    first: int

    def stem(self, number: int) -> str:
        """Name of the 0-based frame ``number``, without extension."""
        return self.template.format(self.first + number)

    def path(self, folder: Path, number: int) -> Path:
        """File of the 0-based frame ``number``; the published name if it does not exist."""
        return image_at(folder, self.stem(number))

    def numbers(self, folder: Path) -> list[int]:
        """0-based numbers of the frames in a folder."""
        before, after = re.split(r"\{.*\}", self.template)
        pattern = re.compile(f"{re.escape(before)}([0-9]+){re.escape(after)}")
        stems = (path.stem for path in folder.iterdir() if is_image(path))
        return [int(match[1]) - self.first for match in map(pattern.fullmatch, stems) if match]


README_NAMING = FrameNaming("frame_{:05d}", first=1)
"""The naming that the published README shows for every data set, but that no published loader reads."""


@dataclass(frozen=True)
class Published:
    """The layout of one data set on disk, and the rules for the videos used.

    Attributes:
        annotations: Names of the annotation file, that of the published loader first; ``{split}`` is filled in.
        split: The split that the published code measures on.
        entries: Turns the annotations of one split into entries.
        folder: Folder of a video below its style, where ``{}`` is the id.
        naming: How the published loader names frames.
        shortest_video: Videos with fewer frames are left out.
        shortest_span: Videos with a shorter segment are left out.
        anywhere: Whether a clip starts anywhere in its segment (drawn) or always at its first frame.
        fps: Frames per second at which the frames were extracted, if fixed.
    """

    annotations: tuple[str, ...]
    split: str
    entries: Callable[[Record, str], Iterator[Entry]]
    folder: str
    naming: FrameNaming
    shortest_video: int
    shortest_span: int
    anywhere: bool
    fps: float | None = None

    def read(self, root: Path, split: str, file: Path | None = None) -> Iterator[Entry]:
        """Every video of a split, in the order of the annotations: those of ``file``, or else those below ``root``."""
        names = [name.format(split=split) for name in self.annotations]
        return self.entries(read_annotations(root, names, file), split)

    def naming_in(self, style_folder: Path) -> FrameNaming:
        """The naming of the frames of a style, detected in the first video that has frames.

        It is that of the loader or that of the README. Frames that count from 1 where the loader counts from 0, or
        the reverse, are accepted.
        """
        for video in sorted(path for path in style_folder.iterdir() if path.is_dir()):
            for naming in (self.naming, README_NAMING):
                if numbers := naming.numbers(video):
                    lowest = min(numbers) + naming.first
                    return replace(naming, first=lowest) if lowest in (0, 1) else naming
        return self.naming


def activitynet(record: Record, split: str) -> Iterator[Entry]:
    """ActivityNet: segments in seconds; ``num_frames`` is an addition of the authors to the official file."""
    database = record["database"]
    subsets = {name: entry["subset"].text() for name, entry in database.items()}
    if split not in subsets.values():
        raise unknown("split", split, sorted(set(subsets.values())), where=record.where)
    for name, entry in database.items():
        if subsets[name] == split:
            inside(name, f"The annotation {entry.where}")
            segments = [segment for _, segment in entry["annotations"].items()]
            labels = [segment["label"].text() for segment in segments]
            announced = entry.get("num_frames")
            yield Entry(
                name=name,
                label=labels[0] if labels else "",
                spans=tuple(_frames_between(segment["segment"]) for segment in segments),
                frames=None if announced is None else int(announced.number()),
            )


def something_something(record: Record, split: str) -> Iterator[Entry]:
    """Something-Something V2: whole videos; the class is the template without its brackets."""
    for _, entry in record.items():
        label = entry["template"].text().replace("[", "").replace("]", "")
        yield Entry(name=entry["id"].path(), label=label)


def diving48(record: Record, split: str) -> Iterator[Entry]:
    """Diving48: one dive per video, from ``start_frame`` up to, not including, ``end_frame``."""
    for _, entry in record.items():
        span = range(int(entry["start_frame"].number()), int(entry["end_frame"].number()))
        yield Entry(name=entry["vid_name"].path(), label=entry["label"].text(), spans=(span,))


def _frames_between(segment: Record) -> range:
    """Seconds to 0-based frames: the published ``⌊5·start⌋ + 1 … ⌊5·end⌋`` counts from 1."""
    times = [time.number() for _, time in segment.items()]
    if len(times) != 2:
        raise UserError(f"The annotation {segment.where} must be [start, end] in seconds. Got {segment.value!r:.60}.")
    start, end = (math.floor(ACTIVITYNET_FPS * time) for time in times)
    return range(start, end)


LAYOUTS = {
    "StylizedActivityNet": Published(
        annotations=("activitynet_v13.json", "activity_net.v1-3.min.json"),
        split="validation",
        entries=activitynet,
        folder="v_{}",
        naming=FrameNaming("{:06d}", first=1),
        shortest_video=32,
        shortest_span=16,
        anywhere=False,
        fps=ACTIVITYNET_FPS,
    ),
    "ssv2": Published(
        annotations=("something-something-v2-{split}.json", "labels/{split}.json", "{split}.json"),
        split="validation",
        entries=something_something,
        folder="{}",
        naming=FrameNaming("{:06d}", first=1),
        shortest_video=8,
        shortest_span=8,
        anywhere=True,
    ),
    "Diving48": Published(
        annotations=("Diving48_V2_{split}.json",),
        split="test",
        entries=diving48,
        folder="{}",
        naming=FrameNaming("image_{:05d}", first=0),
        shortest_video=8,
        shortest_span=8,
        anywhere=True,
    ),
}
