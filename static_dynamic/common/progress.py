"""Progress of long work: it tells ``(done, total, name of the last)``, and a bar on the terminal shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

OnDone = Callable[[int, int, str], object]
"""Called whenever a part of some work is done: how many are, of how many, and what the last was."""


def untold(done: int, total: int, name: str) -> None:
    """Tell nobody."""


@contextmanager
def progress_bar(what: str) -> Iterator[OnDone]:
    """A bar with parts per second and the time left, on stderr; it comes with the first part, so a slip stays one line.

    Args:
        what: What the parts are, e.g. ``"videos"``.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.fields[rate]:.1f}} {what}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    bar = Progress(*columns, console=Console(stderr=True))
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
