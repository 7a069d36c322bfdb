"""A film that is played several times, decoded once if it is short."""

from collections.abc import Iterator

from static_dynamic.media.clip import Frames
from static_dynamic.stylize.rendering.films import Film

KEPT = 256 * 2**20
"""Bytes of frames that are kept: half a minute at 256x340 pixels, and no more of any longer film."""


class Reel:
    """Plays a film from memory after the first time, unless its frames exceed the limit.

    Args:
        film: The film.
        kept: Bytes of frames that may be kept.
    """

    def __init__(self, film: Film, kept: int = KEPT) -> None:
        self.film = film
        self._room = kept
        self._frames: list[Frames] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """See `Film.shape`."""
        return self.film.shape

    def __iter__(self) -> Iterator[Frames]:
        """Play it from the first frame."""
        if self._frames is not None:
            return iter(self._frames)
        return self._first_time() if self._room else iter(self.film)

    def _first_time(self) -> Iterator[Frames]:
        kept: list[Frames] = []
        for frame in self.film:
            if self._room >= frame.nbytes * (len(kept) + 1):
                kept.append(frame)
            else:
                kept, self._room = [], 0
            yield frame
        if self._room:
            self._frames = kept
