"""Data sets of Hugging Face `datasets`: a column of videos, or of lists of images."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from static_dynamic.common.errors import BadClip, UserError, reason, shown, unknown
from static_dynamic.common.files import as_path, stamp
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.media.reading import bad_clip
from static_dynamic.media.stored import Stored, read_stored_clip, read_stored_frames
from static_dynamic.optional import need
from static_dynamic.sources.base import known, only_as_filmed, source
from static_dynamic.sources.walk import printable

MAP_STYLE = "datasets.arrow_dataset.Dataset"
KINDS = {
    MAP_STYLE: "",
    "datasets.dataset_dict.DatasetDict": "Give one of its splits: {splits}.",
    "datasets.iterable_dataset.IterableDataset": "Its rows have no numbers: load it without streaming=True, or save "
    "the rows that you want as a datasets.Dataset.",
    "datasets.dataset_dict.IterableDatasetDict": "Load it without streaming=True, and give one split: {splits}.",
}
"""Classes of `datasets` → what to do with one that cannot be measured as it is."""


class HuggingFace:
    """The rows of a data set of Hugging Face, each a video.

    A row is named by a column, or by its number: ``row 0``. The bytes or the file of a video are read by the decoder of
    this package, so that frames have the same numbers as in every other source; torchcodec is not needed. Clips are
    taken from the middle. ``select``, ``filter`` and ``shuffle`` of the data set count; its format does not.

    Args:
        dataset: A ``datasets.Dataset``.
        column: The videos, or lists of images; ``None`` means the only column of this kind.
        labels: The classes; ``None`` means the column ``label``, or the only one of classes, if there is one.
        names: The names of the videos, all different.

    Raises:
        UserError: If it is not a map-style data set of one split, lacks a column, or names are missing or not unique.

    Example:
        >>> sd.measure(model, datasets.load_dataset("clips/", split="train"))        # doctest: +SKIP
    """

    name = "HuggingFace"
    styles: tuple[str, ...] = ()

    def __init__(
        self, dataset: Any, column: str | None = None, labels: str | None = None, names: str | None = None
    ) -> None:
        _check_map_style(dataset)
        self.column = _column_of_videos(dataset) if column is None else _known_column(dataset, column)
        self._frames = _is_frames(dataset.features[self.column])
        if not (self._frames or _is_video(dataset.features[self.column])):
            kind = shown(dataset.features[self.column])
            raise UserError(f"The column {self.column!r} must hold videos, or lists of images. Got {kind}.")
        self.labels = _column_of_classes(dataset) if labels is None else _known_column(dataset, labels)
        self.names = names
        self.fingerprint = str(dataset._fingerprint)
        self._rows = dataset.select_columns([self.column]).with_format("arrow")
        self._numbers = {name: number for number, name in enumerate(_names(dataset, names))}
        classes = _classes(dataset, self.labels) if self.labels else [None] * len(dataset)
        self.videos = [Video(name, label) for name, label in zip(self._numbers, classes, strict=True)]

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one row.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If the row is empty, or cannot be read.
            UserError: If a style other than ``"original"`` is requested, or there is no space for temporary files.
        """
        from static_dynamic.media.decoding import read_clip

        only_as_filmed(style, self.name)
        number = known(self._numbers, video, self.name)
        where = f"row {number}"
        with bad_clip(f"{where}: cannot be read"):
            value = self._rows[number].column(0)[0]
        if not value.is_valid:
            raise BadClip(f"{where}: the column {self.column!r} is empty.")
        if self._frames:
            files = [_stored(image, f"{where}, image {place}") for place, image in enumerate(value.values)]
            return read_stored_frames(files, recipe, where)
        if (path := _path_only(value)) is not None:
            return read_clip(_local(path, where), recipe)
        return read_stored_clip(_stored(value, where), recipe)

    def stamp(self, video: Video) -> str:
        """The fingerprint of the data set, the row, and the stamp of its file, if the row only names one."""
        number = known(self._numbers, video, self.name)
        value = None if self._frames else self._rows[number].column(0)[0]
        path = _path_only(value) if value is not None and value.is_valid else None
        return f"{self.fingerprint}, row {number}" + ("" if path is None else f", {stamp(as_path(path))}")

    def describe(self) -> dict[str, object]:
        """Fingerprint, columns, number of videos, the rule for the clip, and the versions of the decoder."""
        from static_dynamic.media.decoding import versions

        return {
            "kind": self.name,
            "fingerprint": self.fingerprint,
            "column": self.column,
            "labels": self.labels,
            "names": self.names,
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }


def is_hugging_face(thing: object) -> bool:
    """Whether an object is a data set of `datasets`, of any kind; told by its class, so nothing is imported."""
    return _kind(thing) is not None


@source("hf", "A data set of Hugging Face in a folder: hf:FOLDER, or hf:FOLDER:SPLIT.")
def open_folder(
    where: str, column: str | None = None, labels: str | None = None, names: str | None = None
) -> HuggingFace:
    """The data set in a folder: one that was saved, or files that ``datasets.load_dataset`` reads.

    Raises:
        UserError: If the folder or the split does not exist, the folder cannot be read, or see `HuggingFace`.
    """
    place, mark, split = (where, "", "") if as_path(where).is_dir() else where.rpartition(":")
    folder = as_path(place if mark else where)
    if not where or not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder: 'hf:' takes a data set in a folder, hf:FOLDER or hf:FOLDER:SPLIT. "
            "Load one of the Hub in Python, and give it as the videos: datasets.load_dataset(...)."
        )
    return HuggingFace(_split(_loaded(folder), split, folder), column, labels, names)


def _loaded(folder: Path) -> Any:
    datasets = need("datasets", UserError)
    saved = any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))
    try:
        return (datasets.load_from_disk if saved else datasets.load_dataset)(os.path.abspath(folder))
    except Exception as error:
        raise UserError(f"{folder} cannot be read as a data set of Hugging Face: {reason(error)}.") from None


def _split(loaded: Any, split: str, folder: Path) -> Any:
    splits = list(loaded) if isinstance(loaded, dict) else [str(loaded.split)]
    if split and split not in splits:
        raise unknown("split", split, splits, where=str(folder))
    if not split and len(splits) > 1:
        raise UserError(f"{folder} has several splits ({', '.join(splits)}): give one, as in hf:{folder}:{splits[0]}.")
    return loaded[split or splits[0]] if isinstance(loaded, dict) else loaded


def _kind(thing: object) -> str | None:
    classes = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(thing).__mro__)
    return next((kind for kind in classes if kind in KINDS), None)


def _check_map_style(dataset: Any) -> None:
    if (kind := _kind(dataset)) is None:
        raise UserError(f"HuggingFace takes a datasets.Dataset. Got {shown(dataset)}.")
    if KINDS[kind]:
        splits = ", ".join(f"dataset[{split!r}]" for split in dataset) if isinstance(dataset, dict) else ""
        raise UserError(f"A {kind.rpartition('.')[2]} cannot be measured. {KINDS[kind].format(splits=splits)}")
    if not len(dataset):
        raise UserError("This data set of Hugging Face has no rows.")


def _is_video(feature: Any) -> bool:
    return type(feature).__name__ == "Video"


def _is_frames(feature: Any) -> bool:
    inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    return type(inner).__name__ == "Image"


def _column_of_videos(dataset: Any) -> str:
    found = [name for name, feature in dataset.features.items() if _is_video(feature)]
    found = found or [name for name, feature in dataset.features.items() if _is_frames(feature)]
    if len(found) == 1:
        return found[0]
    columns = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in dataset.features.items())
    if found:
        raise UserError(
            f"The data set has several columns of videos ({', '.join(found)}): choose one with "
            f"HuggingFace(dataset, column={found[0]!r})."
        )
    raise UserError(
        f"The data set has no column of videos, or of lists of images: {columns}. A column of paths becomes one with "
        "dataset.cast_column(name, datasets.Video())."
    )


def _column_of_classes(dataset: Any) -> str | None:
    found = [name for name, feature in dataset.features.items() if type(feature).__name__ == "ClassLabel"]
    if "label" in dataset.features and _gives_classes(dataset.features["label"]):
        return "label"
    return found[0] if len(found) == 1 else None


def _gives_classes(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel" or str(getattr(feature, "dtype", "")).startswith(
        ("string", "large_string", "int", "uint")
    )


def _known_column(dataset: Any, column: str) -> str:
    if column not in dataset.features:
        raise unknown("column", column, dataset.features, where="the data set")
    return column


def _values(dataset: Any, column: str) -> list[Any]:
    values: list[Any] = dataset.select_columns([column]).with_format("arrow")[:].column(0).to_pylist()
    return values


def _names(dataset: Any, column: str | None) -> Sequence[str]:
    """The name of every row."""
    if column is None:
        return [f"row {number}" for number in range(len(dataset))]
    first: dict[str, int] = {}
    for number, value in enumerate(_values(dataset, _known_column(dataset, column))):
        if not isinstance(value, str | int) or value == "":
            raise UserError(f"The column {column!r} cannot name videos: row {number} holds {shown(value)}.")
        if (name := printable(str(value))) in first:
            raise UserError(f"The column {column!r} cannot name videos: rows {first[name]} and {number} are {name!r}.")
        first[name] = number
    return list(first)


def _classes(dataset: Any, column: str) -> list[str | None]:
    """The class of every row; ``None`` where it has none."""
    feature = dataset.features[column]
    if not _gives_classes(feature):
        raise UserError(
            f"The column {column!r} must hold classes: texts, numbers or a ClassLabel. Got {shown(feature)}."
        )
    names = getattr(feature, "names", None)
    return [_class(value, names) for value in _values(dataset, column)]


def _class(value: str | int | None, names: Sequence[str] | None) -> str | None:
    if names is not None and isinstance(value, int):
        return printable(names[value]) if 0 <= value < len(names) else None
    return None if value is None or value == "" else printable(str(value))


def _path_only(value: Any) -> str | None:
    """The file of a video whose bytes are not in the data set."""
    path: str | None = value["path"].as_py()
    return None if value["bytes"].is_valid else path


def _local(path: str, where: str) -> Path:
    if "://" in path:
        raise BadClip(f"{where}: {path} is not on this machine. Download it, or save the data set with its bytes.")
    return Path(path)


def _stored(value: Any, where: str) -> Stored:
    """A video or an image, of which the data set holds the bytes, or names the file."""
    if not value.is_valid or not (value["bytes"].is_valid or value["path"].is_valid):
        raise BadClip(f"{where}: it is empty.")
    path = value["path"].as_py()
    name = where if path is None else f"{where}, {path}"
    if value["bytes"].is_valid:
        content = value["bytes"].as_buffer()
        return Stored(name, content.size, lambda: [memoryview(content)])
    file = _local(path, where)
    with bad_clip(f"{name}: cannot be read"):
        return Stored(name, file.stat().st_size, partial(_pieces, file, name))


def _pieces(file: Path, name: str) -> Iterator[bytes]:
    with bad_clip(f"{name}: cannot be read"):
        yield file.read_bytes()
