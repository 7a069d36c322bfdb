"""Work in several processes that end when it ends, however it ends."""

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
"""Exit code of a worker that would start workers itself."""


def in_processes(make: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Made]]:
    """Every item with ``make(item)``, as they are done; with 0 workers, in this process and in order.

    Args:
        make: A function of a module.
        items: What it takes; both travel to other processes.
        workers: Processes. Each works in one thread, so that results do not depend on their number.

    Raises:
        UserError: If a worker cannot start, or ends before its work is done; the line says which, and why.
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
    """End a worker that runs the script again that started it, and has come to the line that starts workers."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(UNGUARDED)


class _Context(SpawnContext):
    """Starts workers from nothing, since one forked off a program with threads may hang, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[BaseProcess] = []

    def Process(self, *arguments: Any, **options: Any) -> BaseProcess:  # type: ignore[override]  # noqa: N802
        worker = SpawnContext.Process(*arguments, **options)
        self.workers.append(worker)
        return worker


def why_broken(exit_codes: Sequence[int | None], started: bool) -> str:
    """Why a pool broke: by the exit codes of its workers, of which those that were not at fault were terminated."""
    codes = [code for code in exit_codes if code not in (None, 0, -signal.SIGTERM)]
    if UNGUARDED in codes or not (started or any(code < 0 for code in codes)):
        return (
            "The worker processes could not start. Each runs your script again up to its main guard: calls must stand "
            'below `if __name__ == "__main__":`. Without workers (`workers=0`) there is no need for one.'
        )
    if -signal.SIGKILL in codes:
        return "A worker process was killed, most likely because memory ran out. Try fewer workers (`workers=1`)."
    if codes and codes[0] < 0:
        return (
            f"A worker process crashed ({signal.Signals(-codes[0]).name}). Without workers (`workers=0`) you see where."
        )
    return f"A worker process ended too early (exit code {codes[0] if codes else 'unknown'})."


def _settle(started: Event, plugins: Sequence[str]) -> None:
    """Begin a worker: one thread, deaf to Ctrl-C, which its parent minds, gone with its parent, with its plugins."""
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
