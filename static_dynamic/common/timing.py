"""Where the time of a run goes: seconds of its parts, each counted once however they are nested."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from time import monotonic, process_time


class Ledger:
    """Seconds of parts, from any thread that works for the run.

    Attributes:
        seconds: Part → seconds of the wall, without those of parts within it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = Lock()
        self._begun = monotonic(), process_time()

    def add(self, part: str, seconds: float) -> None:
        """Seconds more of a part."""
        with self._lock:
            self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    def total(self) -> dict[str, float]:
        """The parts, then ``total`` and ``processor`` (of all cores): seconds since the ledger was opened."""
        wall, processor = monotonic() - self._begun[0], process_time() - self._begun[1]
        return {name: round(s, 3) for name, s in (*self.seconds.items(), ("total", wall), ("processor", processor))}


_ledger: ContextVar[Ledger | None] = ContextVar("ledger", default=None)
_within: ContextVar[list[float] | None] = ContextVar("within", default=None)


@contextmanager
def accounting() -> Iterator[Ledger]:
    """The ledger that is open here, or a new one until the block ends."""
    if (there := _ledger.get()) is not None:
        yield there
        return
    token = _ledger.set(ledger := Ledger())
    try:
        yield ledger
    finally:
        _ledger.reset(token)


@contextmanager
def spent_on(part: str) -> Iterator[None]:
    """Seconds in the block are those of a part; without an open ledger nothing is counted.

    Example:
        >>> with accounting() as ledger, spent_on("outer"), spent_on("inner"):
        ...     pass
        >>> list(ledger.seconds)
        ['inner', 'outer']
    """
    if (ledger := _ledger.get()) is None:
        yield
        return
    outer, inner, started = _within.get(), [0.0], monotonic()
    token = _within.set(inner)
    try:
        yield
    finally:
        _within.reset(token)
        seconds = monotonic() - started
        ledger.add(part, seconds - inner[0])
        if outer is not None:
            outer[0] += seconds


def count_apart() -> None:
    """From here on, parts in this context are not within the one that is open: another thread does them meanwhile."""
    _within.set(None)
