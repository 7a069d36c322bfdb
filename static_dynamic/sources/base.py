"""The interface of sources of videos, and the rules that all of them share."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar, runtime_checkable

from static_dynamic.common.errors import UserError, one_line, unknown
from static_dynamic.common.registry import Registry
from static_dynamic.media.clip import ORIGINAL, Clip, Video

BY_FOLDER = "folders"
"""The value of ``labels`` for which the class of a video is the name of its folder."""

T = TypeVar("T")


@runtime_checkable
class Source(Protocol):
    """Lists its videos and reads one clip of one video.

    Any object with these five members is a source; nothing needs to be inherited. Two more members are
    optional:

    * ``stamp(video)``, a text that changes when the data of a video do: changed videos are measured again when a run
      is resumed.
    * ``left_out``, ``(name, reason)`` of every video that a rule leaves out: the terminal and the report list them by
      reason. Details of one video follow in brackets at the end: ``fewer than 8 frames (7)``.
    """

    @property
    def name(self) -> str:
        """The name of this source in a report, e.g. ``"VideoFiles"``."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Restyled versions on disk; ``()`` if there is only the original video."""

    @property
    def videos(self) -> Sequence[Video]:
        """Every video, in a fixed order, each with a unique name."""

    def read(self, video: Video, recipe: Any, style: str | None = None) -> Clip:
        """The frames of one video that the recipe asks for.

        Args:
            video: One of ``videos``.
            recipe: Which frames the model takes, and at what size: a ``Recipe`` for a source of clips, a ``FlowRecipe``
                for a source of images with flow, which then names its directions in ``flows``.
            style: One of ``styles``; ``None`` or ``"original"`` is the original video.

        Raises:
            BadClip: If this one video cannot be read; the message states why.
            UserError: If the video or the style is not of this source.
        """

    def describe(self) -> dict[str, object]:
        """What a manifest must contain so that the same clips can be read again, as JSON-ready data."""


FACTORIAL = "factorial"
"""The name of generated clips."""

source: Registry[Callable[..., Source]] = Registry("source", reserved=(FACTORIAL,))
"""Decorator of functions that open a source: the one called ``mine`` receives the text after ``mine:``, and options."""

MEMBERS = ("name", "styles", "videos", "read", "describe")
"""The members that every source has."""


def folder_label(path: PurePath | str, labels: str | None, where: object) -> str | None:
    """The class of a video by its path, according to ``labels``: none, or the name of its folder.

    Args:
        path: Its path below the searched place, or as written in a list.
        labels: ``None`` or ``"folders"``.
        where: That place, for messages.

    Raises:
        UserError: If ``labels`` is something else, or the video is not in a folder.
    """
    if labels is None:
        return None
    if labels != BY_FOLDER:
        raise unknown("labels", labels, [BY_FOLDER])
    folder = PurePath(path).parent.name
    if folder in ("", ".."):
        raise UserError(
            f'{where}: `labels="folders"` takes the class of a video from its folder, but {path} is '
            "not in one. Make a folder for each class, or give a list of videos with a column 'label'."
        )
    return one_line(folder)


def only_as_filmed(style: str | None, source: str) -> None:
    """Refuse a style for a source without styles on disk."""
    if style not in (None, ORIGINAL):
        raise unknown("style", style, [ORIGINAL], where=source)


def known(videos: dict[str, T], video: Video, source: str) -> T:
    """What a source stores under the name of ``video``."""
    try:
        return videos[video.name]
    except KeyError:
        raise UserError(f"{source} does not have a video named {video.name!r}.") from None


def is_hidden(path: Path, root: Path) -> bool:
    """Whether ``path`` has a hidden part below ``root``."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
