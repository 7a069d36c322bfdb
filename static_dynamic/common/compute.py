"""Where and how forward passes run: device, precision, batch size, memory, and threads that read ahead."""

import ctypes
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import TypeVar

import torch
from torch import nn

from static_dynamic.common.deadlines import unwanted
from static_dynamic.common.errors import UserError, shown, unknown
from static_dynamic.common.numbers import real_within, whole_within
from static_dynamic.common.ranks import here
from static_dynamic.common.timing import count_apart

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

MOST = 1_000_000
"""Variants per forward, and threads."""
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Numbers of parameters in ``malloc.h`` of glibc."""
KEPT = 2**30
"""Bytes of freed memory that are kept for later use."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How forward passes are run.

    Attributes:
        batch_size: Variants per forward pass.
        device: ``auto`` (a GPU if one is available), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``float32``, or ``bfloat16`` or ``float16`` by autocast.
        channels_last: Whether clips lie in memory with their channels last, with which forward passes of convolutions
            in ``bfloat16`` are about twice as fast on a CPU. Code that uses ``view`` on clips may refuse them.
        workers: Threads that read and restyle videos while the model runs; with 0 the model waits for each video, and
            for one that hangs for ever.
        max_bad: Share of the videos that may be unreadable before the run fails; one video is always allowed.
        alone: Measure in this process alone, also if ``torchrun`` or ``srun`` started several.
    """

    batch_size: int = 8
    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = False
    workers: int = 1
    max_bad: float = 0.05
    alone: bool = False

    def __post_init__(self) -> None:
        counts = whole_within(self.batch_size, 1, MOST) and whole_within(self.workers, 0, MOST)
        if not counts or not real_within(self.max_bad, 0, 1):
            given = ", ".join(f"{name}={shown(getattr(self, name))}" for name in ("batch_size", "workers", "max_bad"))
            raise UserError(
                f"The compute options require whole numbers batch_size ≥ 1 and workers ≥ 0, up to {MOST}, and max_bad "
                f"in [0, 1]. Got {given}."
            )
        if not isinstance(self.device, str):
            raise unknown("device", self.device, ["auto", "cpu", "cuda", "mps"])
        if not isinstance(self.precision, str) or self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        for name in ("channels_last", "alone"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"The compute option {name} must be True or False. Got {shown(getattr(self, name))}.")


def pick_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if one is available. Of several ranks each takes its own GPU.

    Raises:
        UserError: If the device is not available.
    """
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if name == "auto":
        name = next(kind for kind, count in there.items() if count)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown("device", name, ["auto", *there]) from None
    if (device.index or 0) >= there.get(device.type, 0):
        found = ", ".join(kind for kind, count in there.items() if count)
        raise UserError(f"The device {name!r} is not available. Available: auto, {found}.")
    if device.type == "cuda" and device.index is None and (rank := here()).count > 1:
        return torch.device("cuda", rank.local % there["cuda"])
    return device


@contextmanager
def on_device(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Move the model to a device, and back when the block ends.

    Raises:
        UserError: If the model has weights on the device ``meta``.
    """
    if any(tensor.is_meta for tensor in model.parameters()):
        raise UserError(
            "This model has weights on the device 'meta', where they hold no numbers. Load them first, e.g. by "
            '`model.to_empty(device="cpu")` and `model.load_state_dict(...)`.'
        )
    home = next((tensor.device for tensor in model.parameters()), device)
    model.to(device)
    try:
        yield
    finally:
        model.to(home)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which forward passes run at a precision."""
    return torch.autocast(device.type, dtype=PRECISIONS[precision], enabled=precision != "float32")


def keep_freed_memory() -> bool:
    """Let this process use memory again that it freed, instead of asking the system for other pages; whether it will.

    The layers of a batch are larger than what the C library of Linux (glibc) keeps, so every forward would be given
    fresh pages, which the system clears one by one. It concerns the whole process: for programs, not for libraries.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, KEPT))


def prefetch(make: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Generator[Made]:
    """``make(item)`` for every item, in order, with at most ``workers`` of them made ahead in threads.

    Threads see the context variables of the caller.
    """
    if not workers:
        yield from map(make, items)
        return
    rest, left = iter(items), Event()

    def submit(item: Item) -> Future[Made]:
        context = copy_context()
        context.run(unwanted.set, left)
        context.run(count_apart)
        return pool.submit(context.run, make, item)

    with ThreadPoolExecutor(workers) as pool:
        try:
            ahead = deque(submit(item) for item in islice(rest, workers))
            while ahead:
                made = ahead.popleft().result()
                ahead.extend(submit(item) for item in islice(rest, 1))
                yield made
        finally:
            left.set()
