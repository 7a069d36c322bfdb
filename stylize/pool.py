"""Work in several processes that end when it ends, however it ends."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from static_dynamic.errors import UserError

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_processes(make: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Made]]:
    """Every item with ``make(item)``, as they are done; with 0 workers, in this process and in order.

    Args:
        make: A function of a module.
        items: What it takes; both travel to other processes.
        workers: Processes. Each works in one thread, so that results do not depend on their number.

    Raises:
        UserError: If a process was killed from outside.
    """
    if not workers:
        yield from ((item, make(item)) for item in items)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_settle)
    try:
        made = {pool.submit(make, item): item for item in items}
        for future in as_completed(made):
            yield made[future], future.result()
    except BrokenProcessPool:
        raise UserError("A worker was killed, most likely for want of memory. Go on with fewer --workers.") from None
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """Begin a worker: one thread, deaf to Ctrl-C, which its parent minds, and gone as soon as its parent is."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
