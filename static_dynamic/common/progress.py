"""Progress of long work: it tells ``(done, total, name of the last)``, and a bar on the terminal shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

REFRESHED = 4
"""Times per second; in a notebook every one is kept until the front end shows it."""
NOTEBOOK_WIDTH = 100
"""Characters."""
OnDone = Callable[[int, int, str], object]
"""Called whenever a part of some work is done: how many are, of how many, and what the last was."""


def untold(done: int, total: int, name: str) -> None:
    """Tell nobody."""


@contextmanager
def progress_bar(what: str) -> Iterator[OnDone]:
    """A bar with parts per second and the time left; it comes with the first part, so a slip stays one line.

    It is on stderr, and in a notebook below the cell.

    Args:
        what: What the parts are, e.g. ``"videos"``.
    """
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
    bar = Progress(*columns, console=_console(), refresh_per_second=REFRESHED)
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
    """Where the bar is drawn. In notebooks rich needs ipywidgets; without them a line that is written anew does."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        return Console(force_jupyter=False, force_terminal=True, width=NOTEBOOK_WIDTH)
    return console
