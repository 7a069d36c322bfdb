"""What the adapters to other libraries share."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from static_dynamic.common.errors import did_you_mean
from static_dynamic.models.errors import ModelError
from static_dynamic.models.spec import Input, Stage


class Wrapped(nn.Module):
    """A network of another library behind this project's input; its state dict is that of the network itself."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the network's own state, so that published checkpoints fit."""
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load the network's own state."""
        return self.net.load_state_dict(*args, **kwargs)


def no_such(kind: str, given: str, allowed: Iterable[str], listing: str) -> ModelError:
    """The error for an unknown name, where the allowed names are too many to print."""
    names = list(allowed)
    question = did_you_mean(given, names)
    return ModelError(f"Unknown {kind} {given!r}.{question} Allowed: one of {len(names)}, which {listing} lists.")


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; a number is the side of a square."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def require_declared(name: str, asked: Input, frames: int | tuple[int, ...], crop: int) -> None:
    """Raise a ModelError if a model that is built for one input only is requested for another."""
    if asked.frames not in (None, frames) or pair(asked.image_size or crop) != pair(crop):
        given = f"{asked.frames or frames} frames of {' x '.join(map(str, pair(asked.image_size or crop)))}"
        raise ModelError(f"{name} can only be built for {frames} frames of {crop} x {crop} pixels. Got {given}.")


def numbered(name: str, modules: Iterable[str], layout: str, first: int, item: int | None = None) -> dict[str, Stage]:
    """``<name><first>`` … for the modules in turn."""
    return {f"{name}{i}": Stage(module, layout, item) for i, module in enumerate(modules, first)}


def blocks(path: str, count: int, layout: str, item: int | None = None) -> dict[str, Stage]:
    """``block0`` … of a transformer whose layers are at ``path``."""
    return numbered("block", (f"{path}.{i}" for i in range(count)), layout, 0, item)


def triple(values: Iterable[float]) -> tuple[float, float, float]:
    """Three numbers, one per colour."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue
