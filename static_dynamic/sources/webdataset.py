"""Videos in tar files, such as the shards of WebDataset; each is read at its place, and nothing is extracted."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.files import as_path, stamp
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.media.images import natural_key
from static_dynamic.media.limits import check_regular
from static_dynamic.media.reading import bad_clip
from static_dynamic.media.stored import Stored, read_stored_clip, read_stored_frames
from static_dynamic.sources.base import folder_label, known, only_as_filmed
from static_dynamic.sources.frame_folders import in_playing_order
from static_dynamic.sources.rows import rows_of
from static_dynamic.sources.tar_members import Member, compression
from static_dynamic.sources.tar_samples import Found, Samples, read_samples
from static_dynamic.sources.walk import files_below, printable

MOST_SHARDS = 1_000_000
"""Tar files that a pattern in braces may name."""
PIECE = 1 << 20
"""Bytes that are read at once."""


class Shard(NamedTuple):
    """A tar file: its path, its name in messages, and what tells whether it has changed."""

    path: Path
    name: str
    stamp: str


class Place(NamedTuple):
    """Where a video is: its tar file, its members there, and whether they are frames."""

    shard: Shard
    members: Sequence[Member]
    frames: bool


class WebDataset:
    """Videos in tar files, as WebDataset has them: members that differ only in their extension are one sample.

    Every member that is a video file is a video, named by its path in the tar file, after that of the tar file itself
    where several hold this path. Without video files, the images of a sample (``a.000.jpg``, ``a.001.jpg``) or of a
    folder are one video, in natural order. The class is in ``a.cls``, in ``a.json`` under ``"label"``, or in ``a.txt``.
    Clips are taken from the middle. The headers of all members are read once, when the source is opened; a clip is then
    read at its place, in any order. Videos of one sample depend on each other, so intervals are over samples.

    Args:
        where: A tar file, a folder of them, ``clips-{000..009}.tar``, ``clips-*.tar``, or a list of tar files.
        pattern: Which members are videos or frames, by file name: ``"*.rgb.mp4"``.
        labels: ``"folders"`` gives videos without a class the name of their folder as class.

    Attributes:
        left_out: ``(name, reason)`` of members that are not used, and of tar files that are damaged.

    Raises:
        UserError: If a tar file is missing or compressed, or none holds a video.
    """

    name = "WebDataset"
    styles: tuple[str, ...] = ()

    def __init__(
        self,
        where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        pattern: str = "*",
        labels: str | None = None,
    ) -> None:
        places = [row.written for row in rows_of([where] if isinstance(where, str | os.PathLike) else where)]
        self.where = ", ".join(places)
        self.pattern = pattern
        self._shards = [_opened(path, name) for path, name in _named([path for at in places for path in tar_files(at)])]
        held = [_samples(shard, pattern) for shard in self._shards]
        self.left_out = [
            (f"{shard.name}/{printable(name)}" if name else shard.name, reason)
            for shard, samples in zip(self._shards, held, strict=True)
            for name, reason in samples.left_out
        ]
        self._places: dict[str, Place] = {}
        self.videos: list[Video] = []
        for shard, name, video, frames in self._unique(held):
            if name in self._places:
                self.left_out.append((name, "several videos of one name"))
                continue
            self._places[name] = Place(shard, video.members, frames)
            label = video.label or folder_label(name, labels, shard.path)
            self.videos.append(Video(name, label, sequence=video.sample and f"{shard.name}/{printable(video.sample)}"))
        if not self.videos:
            raise self._no_videos()

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one video.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB, short side at most ``recipe.resize``.

        Raises:
            BadClip: If it cannot be read, or its tar file has changed since the source was opened.
            UserError: If a style other than ``"original"`` is requested, or there is no space for temporary files.
        """
        only_as_filmed(style, self.name)
        shard, members, frames = known(self._places, video, self.name)
        if stamp(shard.path) != shard.stamp:
            raise BadClip(f"{shard.path}: this tar file has changed since its members were listed. Start again.")
        if not frames:
            return read_stored_clip(_stored(shard, members[0]), recipe)
        where = f"{shard.path}/{video.name}"
        inside = {PurePosixPath(member.name): member for member in members}
        if len(inside) < len(members):
            raise BadClip(f"{where}: holds several frames of one name.")
        ordered = in_playing_order(inside, where, self.name, self.pattern)
        return read_stored_frames([_stored(shard, inside[path]) for path in ordered], recipe, where)

    def stamp(self, video: Video) -> str:
        """That of its tar file, see `static_dynamic.common.files.stamp`, and its place there."""
        shard, members, _ = known(self._places, video, self.name)
        return f"{stamp(shard.path)}, at {members[0].offset}"

    def describe(self) -> dict[str, object]:
        """Where the tar files are, pattern, number of videos, rule for the clip, and the versions of the decoder."""
        from static_dynamic.media.decoding import versions

        return {
            "kind": self.name,
            "where": one_line(self.where),
            "shards": len(self._shards),
            "pattern": self.pattern,
            "videos": len(self.videos),
            "clip": "middle",
            **versions(),
        }

    def _unique(self, held: Sequence[Samples]) -> Iterator[tuple[Shard, str, Found, bool]]:
        """Every video with its tar file, a name of its own, and whether it is of frames: only where none is a file."""
        of_frames = not any(samples.videos for samples in held)
        found = [samples.frames if of_frames else samples.videos for samples in held]
        names = Counter(name for videos in found for name in videos)
        for shard, videos, samples in zip(self._shards, found, held, strict=True):
            for name, video in videos.items():
                below = name if names[name] == 1 else f"{shard.name}/{name}"
                yield shard, printable(below or shard.path.stem), video, of_frames
            if not of_frames:
                beside = "images next to video files"
                self.left_out += [(f"{shard.name}/{printable(name)}", beside) for name in samples.frames]

    def _no_videos(self) -> UserError:
        reasons = f" Left out: {self.left_out[0][0]}, {self.left_out[0][1]}." if self.left_out else ""
        chosen = "" if self.pattern == "*" else f" named {self.pattern!r}"
        return UserError(f"No video{chosen} in {self.where}: {len(self._shards)} tar files.{reasons}")


def is_tar(path: str | os.PathLike[str]) -> bool:
    """Whether a path, or a pattern of paths, names tar files, compressed or not."""
    return re.search(r"\.(tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst|lz4|Z))$", os.fspath(path), re.IGNORECASE) is not None


def tar_files(where: str | os.PathLike[str]) -> list[Path]:
    """The tar files that a path, a folder or a pattern names; those of a folder or ``*`` in natural order.

    Raises:
        UserError: If one is missing, or there is none.

    Example:
        >>> tar_files("missing-{8..10}.tar")
        Traceback (most recent call last):
        ...
        static_dynamic.common.errors.UserError: missing-8.tar does not exist.
    """
    root = as_path(where)
    if root.is_dir():
        found = sorted(filter(is_tar, files_below(root)), key=_in_order)
    elif root.exists():
        found = [root]
    else:
        found = [path for place in _expanded(str(root)) for path in _matching(place)]
    if not found:
        raise UserError(f"No tar file in {where}.")
    return found


def _in_order(path: Path) -> tuple[list[str | int], str]:
    return natural_key(str(path))


def _matching(place: str) -> list[Path]:
    """The files that ``*``, ``?`` and ``[…]`` match, or the file itself, which must exist."""
    if glob.has_magic(place):
        return sorted(map(Path, glob.glob(place, recursive=True)), key=_in_order)
    if not os.path.exists(place):
        raise UserError(f"{place} does not exist.")
    return [Path(place)]


def _expanded(pattern: str) -> Iterator[str]:
    """The paths that a pattern in braces names, in order: ``{000..012}`` counts, ``{a,b}`` lists."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    choices = [_choices(piece, pattern) if number % 2 else [piece] for number, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST_SHARDS:
        raise UserError(f"{pattern} names {count} tar files; allowed are {MOST_SHARDS}.")
    return map("".join, product(*choices))


def _choices(piece: str, pattern: str) -> Sequence[str]:
    counted = re.fullmatch(r"([0-9]{1,18})\.\.([0-9]{1,18})", piece)
    if not counted:
        return piece.split(",") if "," in piece else ["{" + piece + "}"]
    first, last = map(int, counted.groups())
    if last < first or last - first >= MOST_SHARDS:
        raise UserError(f"{pattern}: {{{piece}}} must count up, to at most {MOST_SHARDS} tar files.")
    return [str(number).zfill(len(counted[1])) for number in range(first, last + 1)]


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Every tar file with its path below the folder that holds all of them."""
    whole = [os.path.abspath(path) for path in paths]
    if twice := [path for path, count in Counter(whole).items() if count > 1]:
        raise UserError(f"{twice[0]} is listed twice.")
    above = os.path.commonpath([os.path.dirname(path) for path in whole])
    return [
        (path, printable(Path(os.path.relpath(full, above)).as_posix()))
        for path, full in zip(paths, whole, strict=True)
    ]


def _opened(path: Path, name: str) -> Shard:
    check_regular(path, "tar file")
    with bad_clip(f"{path}: this tar file cannot be read", path):
        program = compression(path)
    if program:
        raise UserError(
            f"{path} is compressed with {program}, so that single videos cannot be read: unpack it to .tar."
        )
    return Shard(path, name, stamp(path))


def _samples(shard: Shard, pattern: str) -> Samples:
    with bad_clip(f"{shard.path}: this tar file cannot be read"):
        return read_samples(shard.path, pattern)


def _stored(shard: Shard, member: Member) -> Stored:
    name = f"{shard.path}/{printable(member.name)}"
    return Stored(name, member.size, partial(_chunks, shard.path, member, name))


def _chunks(path: Path, member: Member, name: str) -> Iterator[bytes]:
    with bad_clip(f"{name}: cannot be read"), path.open("rb") as stream:
        stream.seek(member.offset)
        for done in range(0, member.size, PIECE):
            yield stream.read(min(PIECE, member.size - done))
