"""A limit for the time that it takes to read one video, so that one that hangs does not stop a run."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from time import monotonic
from typing import TypeVar

from static_dynamic.common.errors import BadClip
from static_dynamic.common.numbers import whole_in_environment

Made = TypeVar("Made")

MOST_SECONDS = 300
"""For reading one clip."""
LONGEST = 1_000_000
"""What the limit can be at most, seconds."""
PATIENCE = 0.2
"""Seconds after which is asked again whether a reader is still waited for."""
VARIABLE = "STATIC_DYNAMIC_MAX_SECONDS"
"""The environment variable that sets another limit."""


def most_seconds() -> int:
    """The limit for one clip: ``MOST_SECONDS``, or what the environment says.

    Raises:
        UserError: If the environment says something else than a whole number from 1 to ``LONGEST``.
    """
    return whole_in_environment(VARIABLE, MOST_SECONDS, LONGEST)


class Deadline:
    """The moment at which reading something must have ended."""

    def __init__(self, what: object) -> None:
        self.what = what
        self.seconds = most_seconds()
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._end = monotonic() + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return monotonic() > self._end

    def check(self) -> None:
        """Go on, unless the time is over.

        Raises:
            BadClip: If it is; the message names the limit and the variable that sets it.
        """
        if self.is_over:
            raise self.missed()

    def missed(self) -> BadClip:
        """The error for what is not read in time."""
        return BadClip(
            f"{self.what}: reading this video took longer than {self.seconds} seconds. "
            f"The environment variable {VARIABLE} sets another limit."
        )


def in_time(make: Callable[[], Made], what: object) -> Made:
    """What a reader makes, if it does so within the limit; one that hangs is left behind in its thread.

    The main thread makes it at once, without a limit: what hangs there can be interrupted.

    Raises:
        BadClip: If the time is over, or nobody waits for it any more, see `unwanted`.
    """
    if threading.current_thread() is threading.main_thread():
        return make()
    deadline, left = Deadline(what), unwanted.get(None)
    _here.reader = reader = getattr(_here, "reader", None) or _Reader()
    made = reader.ask(make)
    while not wait([made], PATIENCE).done:
        if deadline.is_over or (left and left.is_set()):
            _here.reader = None
            raise deadline.missed()
    return made.result()


unwanted: ContextVar[threading.Event] = ContextVar("unwanted")
"""Set when nobody waits any more for what threads make."""
_here = threading.local()
"""The reader of every thread: sources may keep open files for each thread."""


class _Reader:
    """A thread that makes one thing after the other. The process does not wait for it at its end."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=_work, args=(self._asked,), name="reader", daemon=True).start()

    def ask(self, make: Callable[[], Made]) -> Future[Made]:
        """What it will make; context variables are those of the thread that asks."""
        future: Future[Made] = Future()
        context = copy_context()

        def work() -> None:
            try:
                future.set_result(context.run(make))
            except BaseException as error:
                future.set_exception(error)

        self._asked.put(work)
        return future

    def __del__(self) -> None:
        self._asked.put(None)


def _work(asked: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (work := asked.get()) is not None:
        work()
        del work  # it holds what was made
