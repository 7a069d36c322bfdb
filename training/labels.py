"""Annotations as they are published → ``category.txt`` and the lists of :mod:`static_dynamic.training.lists`.

Something-Something comes as ``something-something-v{1,2}-{labels,train,validation,test}``, version 1 in CSV files
(``id;label``), version 2 in JSON, today without the first part of the name. A video whose frames are missing is left
out and named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from static_dynamic.common.errors import UserError, one_line, unknown
from static_dynamic.common.progress import tracked
from static_dynamic.common.texts import read_json, read_lines
from static_dynamic.media.images import is_image
from static_dynamic.sources.annotations import Record, inside
from static_dynamic.sources.frame_folders import frame_folders
from static_dynamic.training.lists import Entry, list_path, read_classes, write_categories, write_list

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Published name of a split → that of its list."""
V1 = ("something-something-v1-{}.csv",)
V2 = ("something-something-v2-{}.json", "{}.json", "labels/{}.json")
"""Names of the files, where ``{}`` is ``labels`` or a split."""
UNLABELLED = 0
"""The published class of a video whose class is unknown."""

Video = tuple[str, int]  # id and class


@dataclass(frozen=True)
class Written:
    """The result for annotations: how many videos every list has, and which have no frames."""

    listed: Mapping[str, int]
    missing: Sequence[str]


def label_sthv1(annotations: Path, frames: Path, out: Path) -> Written:
    """Lists of Something-Something v1; its classes are numbered in alphabetical order.

    Raises:
        UserError: If a file is missing or damaged, or names an unknown class; file and line are named.
    """
    categories = sorted(read_classes(_file(annotations, "labels", V1)))
    return _write(annotations, V1, _csv_videos, categories, frames, out)


def label_sthv2(annotations: Path, frames: Path, out: Path) -> Written:
    """Lists of Something-Something v2; its classes are numbered in the file of the labels.

    Raises:
        UserError: If a file is missing or damaged, or names an unknown class; file and video are named.
    """
    path = _file(annotations, "labels", V2)
    numbered = {number.text(): name for name, number in Record(read_json(path), str(path)).items()}
    order = [str(number) for number in range(len(numbered))]
    if sorted(numbered) != sorted(order):
        raise UserError(f'{path} must number its classes from 0, each once, as in {{"Holding something": "0"}}.')
    return _write(annotations, V2, _json_videos, [numbered[number] for number in order], frames, out)


def label_other(frames: Path, path: Path) -> Written:
    """One list of your own videos, whose class is unknown.

    Raises:
        UserError: If there are no frames, or the list cannot be written.
    """
    folders = {folder.relative_to(frames).as_posix(): folder for folder in frame_folders(frames)}
    if not folders:
        raise UserError(f"No folder of frames in {frames}.")
    # A list is UTF-8 text with one video in each line, which cannot hold every name of a folder.
    entries = [Entry(name, _count(folder), UNLABELLED) for name, folder in folders.items() if one_line(name) == name]
    write_list(path, entries)
    return Written({path.name: len(entries)}, [one_line(name) for name in folders if one_line(name) != name])


def _file(annotations: Path, what: str, names: Sequence[str]) -> Path:
    """The file of a split or of the labels: the first of its names that exists, otherwise the first."""
    paths = [annotations / name.format(what) for name in names]
    return next((path for path in paths if path.exists()), paths[0])


def _write(
    annotations: Path,
    names: Sequence[str],
    read: Callable[[Path, Sequence[str]], Iterator[Video]],
    categories: Sequence[str],
    frames: Path,
    out: Path,
) -> Written:
    """Read the annotations of every existing split; write classes and lists once all of them are read."""
    paths = {split: _file(annotations, split, names) for split in SPLITS}
    found = {split: list(read(path, categories)) for split, path in paths.items() if path.exists()}
    if not found:
        wanted = " or ".join(name.format("train") for name in names)
        raise UserError(f"Annotations are missing in {annotations}: their files are called {wanted}, ...")
    listed, missing = dict[str, int](), list[str]()
    write_categories(out, categories)
    for split, videos in found.items():
        entries = [Entry(name, _count(frames / name), label) for name, label in tracked(videos, split)]
        missing += [entry.name for entry in entries if not entry.frames]
        path = list_path(out, SPLITS[split])
        write_list(path, present := [entry for entry in entries if entry.frames])
        listed[path.name] = len(present)
    return Written(listed, missing)


def _count(folder: Path) -> int:
    """Number of frames in a folder; 0 if it does not exist."""
    return sum(map(is_image, folder.iterdir())) if folder.is_dir() else 0


def _csv_videos(path: Path, categories: Sequence[str]) -> Iterator[Video]:
    numbers = {name: number for number, name in enumerate(categories)}
    for line_number, line in read_lines(path):
        where = f"{path}, line {line_number}"
        name, separator, label = line.partition(";")
        if separator and label not in numbers:
            raise unknown("class", label, categories, where=where)
        yield inside(name, where), numbers[label] if separator else UNLABELLED


def _json_videos(path: Path, categories: Sequence[str]) -> Iterator[Video]:
    numbers = {name: number for number, name in enumerate(categories)}
    for _, video in Record(read_json(path), str(path)).items():
        name, template = video["id"].path(), video.get("template")
        label = template.text().replace("[", "").replace("]", "") if template else None
        if template and label not in numbers:
            raise unknown("class", label, categories, where=f"{path}, video {name}")
        yield name, UNLABELLED if label is None else numbers[label]
