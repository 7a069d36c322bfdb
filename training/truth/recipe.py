"""How every network of known bias is trained: the same for all, except for what is taught and for how long."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from static_dynamic.common.errors import unknown
from static_dynamic.models.truth.biases import MEMBERS
from static_dynamic.training.truth.clips import Shortcut

SHORTCUTS = {"shortcut90": Shortcut(0.9), "shortcut99": Shortcut(0.99)}
SEEN = {
    "cnn": {"appearance": 160_000, "motion": 96_000, "both": 200_000, "shortcut90": 80_000, "shortcut99": 80_000},
    "timesformer": {"appearance": 160_000, "motion": 120_000, "both": 160_000},
}
"""Clips seen in training, by family and bias; those of the pool many times, each time elsewhere in the frame."""

RATES = {"cnn": 4e-3, "timesformer": 2e-3}
"""Highest learning rate."""


@dataclass(frozen=True)
class Recipe:
    """The recipe for training one network.

    Attributes:
        network: Its name in the zoo.
        seen: Clips seen in training.
        seed: Seed of the initial weights, the clips and their order.
        shortcut: How the appearance reveals the motion in training; ``None``: not at all.
        pool: Clips that are rendered.
        batch: Clips of a step.
        rate: Highest learning rate.
        decay: Weight decay.
        rise: Share of the steps in which the learning rate rises.
        test: New clips on which the network is tested.
        bfloat16: Whether convolutions are computed in bfloat16: twice as fast on processors that support it.
    """

    network: str
    seen: int
    seed: int = 0
    shortcut: Shortcut | None = None
    pool: int = 12_000
    batch: int = 32
    rate: float = 4e-3
    decay: float = 0.02
    rise: float = 0.2
    test: int = 1000
    bfloat16: bool = False

    @property
    def steps(self) -> int:
        """Steps of the optimiser."""
        return self.seen // self.batch


RECIPES = {
    member.name: Recipe(
        member.name,
        SEEN[member.family][member.bias],
        member.seed,
        SHORTCUTS.get(member.bias),
        rate=RATES[member.family],
        bfloat16=member.family == "cnn",
    )
    for member in MEMBERS
}
"""Network → its recipe, in the order of training."""


def chosen(patterns: Iterable[str]) -> list[Recipe]:
    """The recipes of the networks with these names, or that match these globs; without any, all.

    Raises:
        UserError: If one fits no network; the message has the nearest name.
    """
    found = {pattern: fnmatch.filter(RECIPES, pattern) for pattern in patterns}
    for pattern, names in found.items():
        if not names:
            raise unknown("network", pattern, RECIPES)
    return [RECIPES[name] for name in dict.fromkeys(chain(*found.values()))] or list(RECIPES.values())
