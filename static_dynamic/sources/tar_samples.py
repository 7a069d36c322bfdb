"""The videos in a tar file, their frames and their classes, by the conventions of WebDataset."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import basename, dirname, join, splitext

from static_dynamic.common.errors import one_line
from static_dynamic.media.images import EXTENSIONS as IMAGES
from static_dynamic.sources.tar_members import Damaged, Member, members
from static_dynamic.sources.video_files import EXTENSIONS as VIDEOS

LABELS = (".cls", ".json", ".txt")
"""Members that give the class of a sample, in order of precedence: a text, or a JSON object with a "label"."""
LONGEST_FILE = 1 << 20
"""Bytes of a member that gives a class."""
LONGEST_LABEL = 200
"""Characters of a class; a longer text is a caption."""

Texts = Mapping[str, bytes | None]
"""Path of a member that gives a class → what it holds; ``None`` if it is too long."""


@dataclass(slots=True)
class Found:
    """One video in a tar file.

    Attributes:
        members: The video file, or the frames.
        label: Its class.
        sample: The sample that it shares with other videos; ``None`` if it is the only one.
    """

    members: list[Member]
    label: str | None = None
    sample: str | None = None


@dataclass
class Samples:
    """What a tar file holds.

    Attributes:
        videos: Path in the tar file → video file.
        frames: Path of a folder, or of a sample → video of frames; the path of images at the top is empty.
        left_out: Path, or an empty text for the tar file itself, and reason.
    """

    videos: dict[str, Found] = field(default_factory=dict)
    frames: dict[str, Found] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_samples(path: Path, pattern: str = "*") -> Samples:
    """The videos in a tar file.

    Args:
        path: The tar file.
        pattern: Which members are videos or frames, by their file names.
    """
    found, texts, twice = Samples(), dict[str, bytes | None](), set[str]()
    with path.open("rb") as stream:
        for member in _regular(path, found.left_out):
            name, kind = member.name, splitext(member.name)[1].lower()
            if kind in LABELS:
                stream.seek(member.offset)
                texts[name] = stream.read(member.size) if member.size <= LONGEST_FILE else None
            elif not fnmatchcase(basename(name), pattern):
                continue
            elif kind in VIDEOS:
                twice |= {name} & found.videos.keys()
                found.videos[name] = Found([member])
            elif kind in IMAGES:
                found.frames.setdefault(_video_of(name), Found([])).members.append(member)
    for name in sorted(twice):
        del found.videos[name]
        found.left_out.append((name, "several members of one name"))
    _share_samples(found.videos)
    _drop_single_images(found, texts)
    _label(found.videos, texts, found.left_out, lambda name: (splitext(name)[0], sample_of(name)))
    _label(found.frames, texts, found.left_out, lambda name: (name,))
    return found


def sample_of(name: str) -> str:
    """The sample that a member belongs to: its path up to the first dot of the file name, as in WebDataset.

    Example:
        >>> sample_of("walk/v1.2/a.rgb.mp4")
        'walk/v1.2/a'
    """
    folder, _, last = name.rpartition("/")
    return join(folder, last.partition(".")[0])


def _regular(path: Path, left_out: list[tuple[str, str]]) -> Iterator[Member]:
    """The members that are files with a path inside of the tar file, and not hidden, with this path normalised."""
    try:
        for member in members(path):
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if member.name.startswith("/") or ".." in parts:
                left_out.append((member.name, "a path that leads out of the tar file"))
            elif not parts or any(part.startswith(".") for part in parts):
                continue
            elif member.refused:
                left_out.append((member.name, f"{member.refused} in a tar file"))
            else:
                yield member._replace(name="/".join(parts))
    except Damaged as error:
        left_out.append(("", str(error)))


def _video_of(image: str) -> str:
    """The video that an image is a frame of: its sample, where that can have several images, or its folder."""
    return sample_of(image) if basename(image).count(".") > 1 else dirname(image)


def _share_samples(videos: Mapping[str, Found]) -> None:
    """Videos of one sample depend on each other."""
    samples = [sample_of(name) for name in videos]
    counts = Counter(samples)
    for sample, video in zip(samples, videos.values(), strict=True):
        video.sample = sample if counts[sample] > 1 else None


def _drop_single_images(found: Samples, texts: Texts) -> None:
    """Leave out images that are samples of their own: alone, or with a class each."""
    for name, video in list(found.frames.items()):
        alone = len(video.members) == 1
        if alone or any(_texts_of(splitext(member.name)[0], texts) for member in video.members):
            del found.frames[name]
            found.left_out.append((name, "a single image" if alone else "images with a class each, not frames"))


def _label(
    videos: dict[str, Found],
    texts: Texts,
    left_out: list[tuple[str, str]],
    stems: Callable[[str], Iterable[str]],
) -> None:
    """Give videos their class; the members that hold it are called like one of their stems, the first that has one."""
    for name, video in list(videos.items()):
        try:
            video.label = _label_of(text for stem in stems(name) for text in _texts_of(stem, texts))
        except (ValueError, RecursionError) as error:
            del videos[name]
            left_out.append((name, f"a class that cannot be read ({one_line(error)})"))


def _texts_of(stem: str, texts: Texts) -> list[tuple[str, bytes | None]]:
    return [(kind, texts[stem + kind]) for kind in LABELS if stem + kind in texts]


def _label_of(texts: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The first class that a text gives.

    Raises:
        ValueError: If its content is not what its extension says.
        RecursionError: If it is JSON without end.
    """
    return next((label for kind, content in texts if (label := _class_in(content, kind))), None)


def _class_in(content: bytes | None, kind: str) -> str | None:
    if content is None:
        raise ValueError(f"more than {LONGEST_FILE} bytes in {kind}")
    text: object = content.decode().strip()
    if kind == ".json":
        data = json.loads(content)
        text = data.get("label") if isinstance(data, dict) else None
    if not isinstance(text, str | int | float | None):
        raise ValueError(f"the label in {kind} is a {type(text).__name__}")
    label = "" if text is None else one_line(text).strip()
    return label if 0 < len(label) <= LONGEST_LABEL else None
