"""Work in several processes that end with the main process, however it ends."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import import_plugins, imported_plugins

Item = TypeVar("Item")
Made = TypeVar("Made")

UNGUARDED = 78
"""Exit code of a worker that tries to start workers itself."""


def in_processes(make: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Made]]:
    """Every item with ``make(item)``, in the order of completion; with 0 workers, in this process and in order.

    Args:
        make: A function of a module.
        items: Its arguments; both must be picklable.
        workers: Processes. Each works in one thread, so that results do not depend on their number.

    Raises:
        UserError: If a worker cannot start, or ends before its work is done; the message states the cause.
    """
    if not workers:
        yield from ((item, make(item)) for item in items)
        return
    leave_unguarded()
    context = _Context()
    started = context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_settle, initargs=(started, imported_plugins()))
    try:
        made = {pool.submit(make, item): item for item in items}
        for future in as_completed(made):
            yield made[future], future.result()
    except BrokenProcessPool:
        pool.shutdown(cancel_futures=True)  # waits, so that the exit codes are known
        raise UserError(why_broken([worker.exitcode for worker in context.workers], started.is_set())) from None
    except BaseException:
        for worker in context.workers:
            if worker.is_alive():
                worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def leave_unguarded() -> None:
    """End a worker that runs the user's script again and has reached the line that starts workers."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(UNGUARDED)


class _Context(SpawnContext):
    """Starts new interpreters as workers, since a fork of a program with threads may hang, and keeps a list of them."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[BaseProcess] = []

    def Process(self, *arguments: Any, **options: Any) -> BaseProcess:  # type: ignore[override]  # noqa: N802
        worker = SpawnContext.Process(*arguments, **options)
        self.workers.append(worker)
        return worker


def why_broken(exit_codes: Sequence[int | None], started: bool) -> str:
    """Why a pool broke, from the exit codes of its workers; those that were not the cause were terminated."""
    codes = [code for code in exit_codes if code not in (None, 0, -signal.SIGTERM)]
    if UNGUARDED in codes or not (started or any(code < 0 for code in codes)):
        return (
            "The worker processes could not start. Each runs your script again up to its main guard: put calls "
            'below `if __name__ == "__main__":`. Without workers (`workers=0`) a guard is not required.'
        )
    if -signal.SIGKILL in codes:
        given = len(exit_codes)
        return (
            f"A worker process was killed, most likely because memory ran out. Try fewer workers than {given} "
            f"(`workers={given // 2}`)."
        )
    if codes and codes[0] < 0:
        return (
            f"A worker process crashed ({signal.Signals(-codes[0]).name}). To see where, use no workers (`workers=0`)."
        )
    return f"A worker process ended too early (exit code {codes[0] if codes else 'unknown'})."


def _settle(started: Event, plugins: Sequence[str]) -> None:
    """Set up a worker: one thread, Ctrl-C left to its parent, end with its parent, the same plugins."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    import_plugins(plugins)
    started.set()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
