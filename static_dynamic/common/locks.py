"""One run at a time, by a lock file that the operating system releases when its process ends, however it ends."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from static_dynamic.common.errors import UserError

PATIENCE = 0.2
"""Seconds to wait for a run that is just ending."""
HOLDER = re.compile(r"process (?P<process>\d+) on (?P<host>.*) since .*")
"""What a lock file states."""


@contextmanager
def locked(path: Path, place: Path) -> Iterator[None]:
    """Hold a lock file while the block runs, and remove it afterwards.

    A lock file that a killed process left is ignored. Where locking is impossible, as on a disk that is read-only
    or does not support locks, the block runs without one.

    Args:
        path: The lock file, in a folder that exists. It states which process holds it, and since when.
        place: What is locked, for the message.

    Raises:
        UserError: If another run holds it.
    """
    lock = FileLock(path, PATIENCE, 0o666, thread_local=False, fallback_to_soft=False, preserve_lock_file=True)
    held = _acquire(lock, path, place)
    try:
        yield
    finally:
        if held:
            with suppress(OSError):
                path.unlink()  # before the lock is released: a process that waits for it notices, and makes a new one
            lock.release()


def _acquire(lock: FileLock, path: Path, place: Path) -> bool:
    """Whether the lock is held now; false where locking is impossible."""
    try:
        lock.acquire()
    except Timeout:
        if not path.exists():  # it cannot be made either
            return False
        raise UserError(
            f"Another run is at work in {place}: {_holder(path)}. Wait until it ends, or choose another place."
        ) from None
    except OSError:
        return False
    with suppress(OSError):
        path.write_text(statement(), encoding="utf-8")
    return True


def statement() -> str:
    """What a lock file states: this process, and the time."""
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"


def _holder(path: Path) -> str:
    """The process that holds a lock, as its file states."""
    try:
        return path.read_text(encoding="utf-8") or "a process that has just begun"
    except (OSError, ValueError):
        return "an unknown process"
