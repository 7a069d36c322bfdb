"""Videos inside of other files: they are unpacked to a temporary folder, and read there like all others."""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.files import temporary_folder
from static_dynamic.media.clip import Clip, Recipe
from static_dynamic.media.images import read_images
from static_dynamic.media.reading import sampled


@dataclass(frozen=True)
class Stored:
    """One file inside of another one.

    Attributes:
        name: What messages call it; its extension helps to read it.
        size: Bytes.
        chunks: Gives its content, piece by piece; where that fails, it raises a `BadClip`.
    """

    name: str
    size: int
    chunks: Callable[[], Iterable[bytes | memoryview]]


def read_stored_clip(file: Stored, recipe: Recipe) -> Clip:
    """The clip in the middle of a video file inside of another one.

    Raises:
        BadClip: If it cannot be read, or is larger than the space that is free for temporary files.
        UserError: If it cannot be unpacked.
    """
    from static_dynamic.media.decoding import read_clip

    with _unpacked([file], file.name) as paths:
        return replace(read_clip(paths[0], recipe), source=one_line(file.name))


def read_stored_frames(files: Sequence[Stored], recipe: Recipe, where: str) -> Clip:
    """The clip in the middle of the frames of a video, in playing order; only those that are wanted are unpacked.

    Raises:
        BadClip: If there are fewer than two, or one cannot be read, differs in size, or is too large.
        UserError: If one cannot be unpacked.
    """
    sample = sampled(recipe, len(files), where)
    with _unpacked([files[number] for number in sample.numbers], where) as paths:
        frames = read_images(paths, short_side=recipe.resize)
    return Clip(frames, sample, one_line(where), len(files))


@contextmanager
def _unpacked(files: Sequence[Stored], where: str) -> Iterator[list[Path]]:
    """Files in a temporary folder while the block lasts; a `BadClip` of the block names the originals."""
    with temporary_folder() as folder:
        _check_space(folder, sum(file.size for file in files), where)
        paths = [folder / f"{number}{_extension(file.name)}" for number, file in enumerate(files)]
        for path, file in zip(paths, files, strict=True):
            _write(path, file)
        try:
            yield paths
        except BadClip as error:
            said = str(error)
            for path, name in [*zip(paths, (file.name for file in files), strict=True), (folder, where)]:
                said = said.replace(one_line(path), one_line(name))
            raise BadClip(said) from None


def _extension(name: str) -> str:
    found = PurePosixPath(name).suffix
    return found if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", found) else ""


def _check_space(folder: Path, size: int, where: str) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise BadClip(f"{where}: {size} bytes are too many to unpack: {free} are free in {folder.parent}. {_ELSEWHERE}")


def _write(path: Path, file: Stored) -> None:
    try:
        with path.open("wb") as stream:
            for chunk in file.chunks():
                stream.write(chunk)
    except OSError as error:
        where = path.parent.parent
        raise UserError(f"Cannot unpack {file.name} to {where}: {error.strerror or error}. {_ELSEWHERE}") from None


_ELSEWHERE = "The environment variable TMPDIR names another folder."
