"""What the adapters to other libraries share."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from torch import nn

from models.errors import ModelError
from models.spec import Stage


class Wrapped(nn.Module):
    """A network of another library behind this project's input; its state dict is that of the network itself."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The network's own, so that published checkpoints fit."""
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The network's own."""
        return self.net.load_state_dict(*args, **kwargs)


def no_such(kind: str, given: str, allowed: Iterable[str], listing: str) -> ModelError:
    """The error for a name that is not among too many to print."""
    names = list(allowed)
    close = get_close_matches(given, names, n=3, cutoff=0.5)
    nearest = f" Nearest: {', '.join(close)}." if close else ""
    return ModelError(f"Unknown {kind} {given!r}.{nearest} Allowed: one of {len(names)}, which {listing} lists.")


def lacking(missing: Sequence[str]) -> str:
    """What must be added to the summary of a model whose file lacks some of its weights."""
    return f" {len(missing)} tensors were not in it and are random: {', '.join(missing[:3])}." if missing else ""


def numbered(name: str, modules: Iterable[str], layout: str, first: int, item: int | None = None) -> dict[str, Stage]:
    """``<name><first>`` … for the modules in turn."""
    return {f"{name}{i}": Stage(module, layout, item) for i, module in enumerate(modules, first)}


def blocks(path: str, count: int, layout: str, item: int | None = None) -> dict[str, Stage]:
    """``block0`` … of a transformer whose layers lie at ``path``."""
    return numbered("block", (f"{path}.{i}" for i in range(count)), layout, 0, item)


def triple(values: Iterable[float]) -> tuple[float, float, float]:
    """Three numbers, one per colour."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue
