"""Poolings: how the positions of a stage's output become one number per unit.

A pooling is a function of positions ``(N, positions, C)``, float32 or float64, that returns ``(N, units)``. With
``of="patches"`` it gets all except extra tokens, with ``of="first_extra"`` the first extra token, ``(N, 1 or T, C)``,
and with ``of="frames"`` the positions of every frame, ``(N, T, positions, C)``.
"""

from collections.abc import Callable

import torch

from static_dynamic.common.registry import Registry

Pooling = Callable[[torch.Tensor], torch.Tensor]

pooling: Registry[Pooling] = Registry("pooling", of="positions")
"""Decorator of poolings, and the registry of all poolings."""


@pooling("avg", "The mean over every position, extra tokens included; as published.")
def avg(x: torch.Tensor) -> torch.Tensor:
    """``(N, positions, C)`` → ``(N, C)``."""
    return x.mean(1)


@pooling("max", "The largest value.")
def largest(x: torch.Tensor) -> torch.Tensor:
    """``(N, positions, C)`` → ``(N, C)``."""
    return x.amax(1)


@pooling("avgmax", "The mean of avg and max.")
def avgmax(x: torch.Tensor) -> torch.Tensor:
    """``(N, positions, C)`` → ``(N, C)``."""
    return (avg(x) + largest(x)) / 2


@pooling("avgmaxc", "avg and max, concatenated.")
def avgmaxc(x: torch.Tensor) -> torch.Tensor:
    """``(N, positions, C)`` → ``(N, 2C)``."""
    return torch.cat((avg(x), largest(x)), 1)


@pooling("patch", "The mean without the extra tokens.", of="patches")
def patch(x: torch.Tensor) -> torch.Tensor:
    """``(N, patches, C)`` → ``(N, C)``."""
    return x.mean(1)


@pooling("cls", "The first extra token alone.", of="first_extra")
def cls(x: torch.Tensor) -> torch.Tensor:
    """``(N, 1 or T, C)`` → ``(N, C)``."""
    return x.mean(1)


@pooling("frame", "The mean over the patches of every frame, frames concatenated.", of="frames")
def frame(x: torch.Tensor) -> torch.Tensor:
    """``(N, T, positions, C)`` → ``(N, T·C)``."""
    return x.mean(2).flatten(1)
