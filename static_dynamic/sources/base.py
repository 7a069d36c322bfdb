"""What every source of videos offers, and the few rules that all of them share."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar, runtime_checkable

from static_dynamic.common.errors import UserError, one_line, unknown
from static_dynamic.common.registry import Registry
from static_dynamic.media.clip import ORIGINAL, Clip, Video

BY_FOLDER = "folders"
"""Where the class of a video is the name of the folder in which it lies."""

T = TypeVar("T")


@runtime_checkable
class Source(Protocol):
    """Tells which videos there are and reads one clip of one video.

    Any object with these five members is a source; nothing needs to be inherited. Two more are used where they are
    there:

    * ``stamp(video)``, a text that changes when the data of a video do: changed videos are measured again when a run
      is resumed.
    * ``left_out``, ``(name, reason)`` of every video that a rule leaves out: the terminal and the report say so, by
      reasons. What concerns one video alone stands in brackets at the end: ``fewer than 8 frames (7)``.
    """

    @property
    def name(self) -> str:
        """What to call this source in a report, e.g. ``"VideoFiles"``."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Restyled versions that lie on disk; ``()`` when there is only the video as filmed."""

    @property
    def videos(self) -> Sequence[Video]:
        """Every video, in a fixed order, each with a unique name."""

    def read(self, video: Video, recipe: Any, style: str | None = None) -> Clip:
        """The frames of one video that the recipe asks for.

        Args:
            video: One of ``videos``.
            recipe: Which frames the model wants, and at what size: a ``Recipe`` where this is a source of clips, a
                ``FlowRecipe`` where it is one of images with flow, which then names its directions in ``flows``.
            style: One of ``styles``; ``None`` or ``"original"`` is the video as filmed.

        Raises:
            BadClip: If this one video cannot be read; the line says what and where.
            UserError: If the video or the style is not of this source.
        """

    def describe(self) -> dict[str, object]:
        """What a manifest has to say so that the same clips can be read again: plain, JSON-ready data."""


FACTORIAL = "factorial"
"""What clips that are made on the spot are called."""

source: Registry[Callable[..., Source]] = Registry("source", reserved=(FACTORIAL,))
"""Decorator of functions that open a source: one called ``mine`` is given the text behind ``mine:``, and options."""

MEMBERS = ("name", "styles", "videos", "read", "describe")
"""What every source has."""


def folder_label(path: PurePath | str, labels: str | None, where: object) -> str | None:
    """The class of a video by its path, as ``labels`` says: none, or the name of the folder in which it lies.

    Args:
        path: Its path below the place where videos were looked for, or as a list has it.
        labels: ``None`` or ``"folders"``.
        where: That place, for messages.

    Raises:
        UserError: If ``labels`` is something else, or the video lies in no folder.
    """
    if labels is None:
        return None
    if labels != BY_FOLDER:
        raise unknown("labels", labels, [BY_FOLDER])
    folder = PurePath(path).parent.name
    if folder in ("", ".."):
        raise UserError(
            f'{where}: `labels="folders"` takes the class of a video from the folder in which it lies, and {path} lies '
            "in none. Make a folder for each class, or give a list of videos with a column 'label'."
        )
    return one_line(folder)


def only_as_filmed(style: str | None, source: str) -> None:
    """Refuse a style of a source that has none on disk."""
    if style not in (None, ORIGINAL):
        raise unknown("style", style, [ORIGINAL], where=source)


def known(videos: dict[str, T], video: Video, source: str) -> T:
    """What a source keeps under the name of ``video``."""
    try:
        return videos[video.name]
    except KeyError:
        raise UserError(f"{source} holds no video named {video.name!r}.") from None


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a file manager would hide ``path`` on the way down from ``root``."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
