"""Videos that a rule leaves out: their names, the reasons, and a one-line summary."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from static_dynamic.common.errors import UserError
from static_dynamic.common.numbers import is_whole
from static_dynamic.media.clip import Video
from static_dynamic.sources.base import Source

Pairs = Iterable[Sequence[str]]
"""Names of what is left out, with reasons; details of one video follow in brackets: ``too short (7 frames)``."""

NAMED = 3
"""Names that a line lists per reason."""


class Reason(NamedTuple):
    """Why something is left out, and the names of everything left out for this reason."""

    why: str
    names: list[str]


def by_reason(left_out: Pairs) -> list[Reason]:
    """The reasons without the details of single videos, the most frequent first.

    Example:
        >>> by_reason([("a", "fewer than 8 frames (7)"), ("b", "fewer than 8 frames (2)"), ("c", "not in style 2")])
        [Reason(why='fewer than 8 frames', names=['a', 'b']), Reason(why='not in style 2', names=['c'])]
    """
    found: dict[str, list[str]] = {}
    for name, reason in left_out:
        found.setdefault(reason.partition(" (")[0], []).append(name)
    return sorted((Reason(why, names) for why, names in found.items()), key=lambda reason: -len(reason.names))


def summary(left_out: Pairs, used: int) -> str | None:
    """One line with the number of videos left out and the reasons; ``None`` if none is.

    Args:
        left_out: Names and reasons.
        used: Number of videos that are not left out.

    Example:
        >>> summary([("a", "fewer than 8 frames (7)"), ("b", "fewer than 8 frames (2)"), ("c", "not in style 2")], 5)
        '3 of 8 videos left out: 2 fewer than 8 frames (a, b), 1 not in style 2 (c).'
    """
    reasons = by_reason(left_out)
    count = sum(len(reason.names) for reason in reasons)
    if not count:
        return None
    told = ", ".join(f"{len(names)} {why} ({_first(names)})" for why, names in reasons)
    return f"{count} of {count + used} videos left out: {told}."


def left_out_of(source: object) -> list[tuple[str, str]]:
    """Name and reason of every video that a source leaves out, if it lists them.

    Raises:
        UserError: If its ``left_out`` is something else.
    """
    given = getattr(source, "left_out", ())
    try:
        return [(str(name), str(reason)) for name, reason in given]
    except (TypeError, ValueError):
        raise UserError(f"The 'left_out' of a source must be pairs of name and reason. Got {given!r:.60}.") from None


def first_videos(source: Source, limit: int | None = None) -> list[Video]:
    """All videos of a source, or the first ones.

    Raises:
        UserError: If the limit is not a whole number of 1 or more.
    """
    if limit is not None and (not is_whole(limit) or limit < 1):
        raise UserError(f"The maximum number of videos must be 1 or more: `max_videos=100`. Got {limit!r:.80}.")
    return list(source.videos)[:limit]


def unused(source: Source, limit: int | None = None) -> list[str]:
    """Lines that state which videos of a source are not used: those left out, and those beyond the limit.

    Raises:
        UserError: See `left_out_of`.
    """
    told = summary(left_out_of(source), len(source.videos))
    lines = [] if told is None else [told]
    if limit is not None and limit < len(source.videos):
        lines.append(f"Only the first {limit} of {len(source.videos)} videos are used: `max_videos={limit}`.")
    return lines


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:NAMED], *["…"] * (len(names) > NAMED)])
