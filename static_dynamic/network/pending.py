"""Results of a forward pass on their way to the CPU: one copy for all, and nothing waits before they are read."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

IN_FLIGHT = 4
"""Forward passes that a GPU may have been given before the results of the first of them are read."""

Name = TypeVar("Name", bound=Hashable)


class Pending(Generic[Name]):
    """Float32 tensors, which are copied to the CPU together; they may be on the CPU already.

    A GPU copies them to pinned memory when it gets to it, and the next forward pass can be started at once. Other
    devices copy them when they are asked for, and those of a model on several devices are copied one by one.

    Args:
        tensors: Name → tensor. They must not be changed afterwards.
    """

    def __init__(self, tensors: Mapping[Name, torch.Tensor]) -> None:
        self._tensors = dict(tensors)
        self._packed: torch.Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        devices = {tensor.device for tensor in self._tensors.values()}
        if len(devices) > 1:
            self._tensors = {name: tensor.cpu() for name, tensor in self._tensors.items()}
        if len(devices) != 1 or (device := devices.pop()).type == "cpu":
            return
        self._packed = torch.cat([tensor.flatten() for tensor in self._tensors.values()])
        if device.type == "cuda":
            self._packed = self._packed.to("cpu", non_blocking=True)  # pinned, since it does not block
            self._copied = torch.cuda.Event(blocking=True)
            self._copied.record(torch.cuda.current_stream(device))

    def wait(self) -> dict[Name, torch.Tensor]:
        """The tensors on the CPU, once they are there."""
        if self._packed is not None:
            if self._copied is not None:
                self._copied.synchronize()
            shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
            parts = self._packed.cpu().split([shape.numel() for shape in shapes.values()])
            self._tensors = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
            self._packed = self._copied = None
        return self._tensors


class Trailing:
    """Work on the results of forward passes, which is done a little later, so that a device always has the next ones.

    In a ``with`` block, at whose end everything is done: also after an error, unless the work itself has failed.

    Args:
        lag: Pieces of work that wait; 0 does each at once.
    """

    def __init__(self, lag: int) -> None:
        self._lag = lag
        self._work: deque[Callable[[], None]] = deque()

    def add(self, work: Callable[[], None]) -> None:
        """Add work behind all that waits; the first of it is done."""
        self._work.append(work)
        self._do(self._lag)

    def _do(self, left: int) -> None:
        try:
            while len(self._work) > left:
                self._work.popleft()()
        except BaseException:
            self._work.clear()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(0)


def lag_of(device: torch.device) -> int:
    """The number of forward passes after which results are read: 0 where a forward pass is over when it returns."""
    return IN_FLIGHT if device.type == "cuda" else 0
