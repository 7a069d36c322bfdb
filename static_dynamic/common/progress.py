"""Progress of long work, as ``(done, total, name of the last)``: a bar in a terminal, a line per minute in a log."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

REFRESHED = 4
"""Times per second; a notebook keeps every update until the front end shows it."""
NOTEBOOK_WIDTH = 100
"""Characters."""
Step = TypeVar("Step")
OnDone = Callable[[int, int, str], object]
"""Called when a part of the work is done, with the number done, the total, and the name of the last."""
FIRST, EVERY = 10.0, 60.0
"""Seconds until the first line in a log, and between lines; shorter work writes no line."""


def untold(done: int, total: int, name: str) -> None:
    """Report no progress."""


@contextmanager
def progress_bar(what: str, transient: bool = False, shown: bool = True) -> Iterator[OnDone]:
    """A bar with parts per second and the time left; it appears with the first part, so an early error stays one line.

    It is on stderr, and in a notebook below the cell. Where stderr is not a terminal, lines take its place.

    Args:
        what: What the parts are, e.g. ``"videos"``.
        transient: Whether the bar disappears when all is done.
        shown: Whether it is shown at all.
    """
    if not shown:
        yield untold
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = _console()
    if not (console.is_terminal or console.is_jupyter):
        yield Lines(what)
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    bar = Progress(*columns, console=console, refresh_per_second=REFRESHED, transient=transient)
    task = bar.add_task("", total=None, rate=0.0)
    begun: tuple[float, int] | None = None

    def show(done: int, total: int, name: str) -> None:
        nonlocal begun
        bar.start()
        begun = begun or (monotonic(), done)
        rate = (done - begun[1]) / max(monotonic() - begun[0], 1e-3)
        bar.update(task, completed=done, total=total or None, description=name, rate=rate)

    try:
        yield show
    finally:
        if begun:
            bar.stop()


def _console() -> "Console":
    """The console for the bar. In notebooks rich requires ipywidgets; without them it rewrites one line."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        return Console(force_jupyter=False, force_terminal=True, width=NOTEBOOK_WIDTH)
    return console


def tracked(steps: Iterable[Step], what: str, total: int = 0, transient: bool = False) -> Iterator[Step]:
    """Iterate over the steps and show the progress.

    Args:
        steps: The items.
        what: What they are.
        total: Their number, if they have no length.
        transient: Whether the bar disappears when all is done.
    """
    total = len(steps) if isinstance(steps, Sized) else total
    with progress_bar(what, transient) as show:
        for done, step in enumerate(steps, 1):
            yield step
            show(done, total, "")


class Lines:
    """Progress as lines of a log: one after a few seconds, one per minute, and one at the end of long work.

    Args:
        what: What the parts are.
        clock: Seconds.
    """

    def __init__(self, what: str, clock: Callable[[], float] = monotonic) -> None:
        self.what, self.clock = what, clock
        self.begun: tuple[float, int] | None = None
        self.due, self.told = 0.0, False

    def __call__(self, done: int, total: int, name: str) -> None:
        """Report that a part is done, if a line is due."""
        now = self.clock()
        if self.begun is None:
            self.begun, self.due = (now, done), now + FIRST
        if now >= self.due or (self.told and done == total):
            self.due, self.told = now + EVERY, True
            rate = (done - self.begun[1]) / max(now - self.begun[0], 1e-3)
            print(progress_line(self.what, done, total, rate), file=sys.stderr, flush=True)


def progress_line(what: str, done: int, total: int, rate: float) -> str:
    """One line that states how far the work is.

    Args:
        what: What the parts are.
        done: Parts that are done.
        total: Parts in all; 0 if that is not known.
        rate: Parts per second.

    Example:
        >>> progress_line("videos", 40, 3000, 0.5)
        'videos: 40 of 3000, 30.0 a minute, 1 h 39 min left'
    """
    count = f"{done} of {total}" if total else f"{done}"
    pace = f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"
    left = f", {duration((total - done) / rate)} left" if total > done and rate > 0 else ""
    return f"{what}: {count}, {pace}{left}"


def duration(seconds: float) -> str:
    """A time in words.

    Example:
        >>> duration(42), duration(130), duration(3 * 3600 + 62)
        ('42 s', '2 min', '3 h 1 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
