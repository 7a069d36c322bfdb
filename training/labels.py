"""Annotations as they are published → ``category.txt`` and the lists of :mod:`training.lists`.

Something-Something comes as ``something-something-v{1,2}-{labels,train,validation,test}``, version 1 in CSV files
(``id;label``), version 2 in JSON. A video whose frames are not there is left out, and named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from static_dynamic.errors import UserError, unknown
from static_dynamic.sources.frame_folders import frame_folders
from static_dynamic.sources.images import is_image
from static_dynamic.texts import read_json, read_lines
from training.lists import Entry, list_path, write_categories, write_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Published name of a split → that of its list."""
UNLABELLED = 0
"""The published class of a video whose class is not known."""

Video = tuple[str, int]  # id and class


@dataclass(frozen=True)
class Written:
    """What became of annotations: how many videos every list has, and which have no frames."""

    listed: Mapping[str, int]
    missing: Sequence[str]


def label_sthv1(annotations: Path, frames: Path, out: Path) -> Written:
    """Lists of Something-Something v1; its classes are numbered in alphabetical order.

    Raises:
        UserError: If a file is missing or damaged, or names an unknown class; file and line are named.
    """
    stem = annotations / "something-something-v1"
    categories = sorted(line for _, line in read_lines(Path(f"{stem}-labels.csv")))
    return _write(stem, "csv", _csv_videos, categories, frames, out)


def label_sthv2(annotations: Path, frames: Path, out: Path) -> Written:
    """Lists of Something-Something v2; its classes are numbered in the file of the labels.

    Raises:
        UserError: If a file is missing or damaged, or names an unknown class; file and video are named.
    """
    stem = annotations / "something-something-v2"
    path = Path(f"{stem}-labels.json")
    numbers = {str(number): name for name, number in _json(path, dict).items()}
    if set(numbers) != {str(number) for number in range(len(numbers))}:
        raise UserError(f"{path} must number its classes from 0 to {len(numbers) - 1}, each once.")
    categories = [numbers[str(number)] for number in range(len(numbers))]
    return _write(stem, "json", _json_videos, categories, frames, out)


def label_other(frames: Path, path: Path) -> Written:
    """One list of videos of your own, whose class is not known.

    Raises:
        UserError: If there are no frames, or the list cannot be written.
    """
    folders = frame_folders(frames)
    if not folders:
        raise UserError(f"No folder of frames in {frames}.")
    entries = [Entry(folder.relative_to(frames).as_posix(), _count(folder), UNLABELLED) for folder in folders]
    write_list(path, entries)
    return Written({path.name: len(entries)}, [])


def _write(
    stem: Path,
    kind: str,
    read: Callable[[Path, Sequence[str]], Iterator[Video]],
    categories: Sequence[str],
    frames: Path,
    out: Path,
) -> Written:
    """Read the annotations of every split that there is; write classes and lists once all of them are read."""
    paths = {split: Path(f"{stem}-{split}.{kind}") for split in SPLITS}
    found = {split: list(read(path, categories)) for split, path in paths.items() if path.exists()}
    if not found:
        raise UserError(f"No annotations beside {stem}-labels.{kind}. Wanted: {paths['train'].name}, ...")
    listed, missing = dict[str, int](), list[str]()
    write_categories(out, categories)
    for split, videos in found.items():
        entries = [Entry(name, _count(frames / name), label) for name, label in _shown(videos, split)]
        missing += [entry.name for entry in entries if not entry.frames]
        path = list_path(out, SPLITS[split])
        write_list(path, present := [entry for entry in entries if entry.frames])
        listed[path.name] = len(present)
    return Written(listed, missing)


def _count(folder: Path) -> int:
    """Frames in a folder; 0 if there is none."""
    return sum(map(is_image, folder.iterdir())) if folder.is_dir() else 0


def _csv_videos(path: Path, categories: Sequence[str]) -> Iterator[Video]:
    numbers = {name: number for number, name in enumerate(categories)}
    for line_number, line in read_lines(path):
        name, separator, label = line.partition(";")
        if separator and label not in numbers:
            raise unknown("class", label, categories, where=f"{path}, line {line_number}")
        yield name, numbers[label] if separator else UNLABELLED


def _json_videos(path: Path, categories: Sequence[str]) -> Iterator[Video]:
    numbers = {name: number for number, name in enumerate(categories)}
    for place, video in enumerate(_json(path, list), 1):
        if not isinstance(video, dict) or "id" not in video:
            raise UserError(f"{path}, video {place}: has no id. Got {video!r}.")
        label = str(video.get("template", "")).replace("[", "").replace("]", "")
        if label and label not in numbers:
            raise unknown("class", label, categories, where=f"{path}, video {video['id']}")
        yield str(video["id"]), numbers[label] if label else UNLABELLED


def _json(path: Path, kind: type) -> Any:
    content = read_json(path)
    if not isinstance(content, kind):
        raise UserError(f"{path} must hold a {kind.__name__}. Got a {type(content).__name__}.")
    return content


def _shown(videos: Sequence[Video], split: str) -> Iterator[Video]:
    from rich.console import Console
    from rich.progress import track

    yield from track(videos, split, console=Console(stderr=True))
