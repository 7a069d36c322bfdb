"""What the networks of known bias were taught, and what all of them share.

They were trained on factorial clips (``static_dynamic.sources.factorial``) by ``training.truth``.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import nn

from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe, Stage

LEVELS = {"colour": 6, "shape": 4, "texture": 4, "background": 4, "kind": 8, "speed": 3}
"""Factors of a clip, with the number of their levels."""
APPEARANCE, MOTION = ("colour", "shape", "texture", "background"), ("kind", "speed")

TAUGHT = {
    "appearance": APPEARANCE,
    "motion": MOTION,
    "both": APPEARANCE + MOTION,
    "shortcut90": ("kind",),
    "shortcut99": ("kind",),
}
"""Name of a bias → the factors that were taught. With a shortcut, the appearance alone revealed the kind of motion in
that percentage of the training clips."""
MANNERS = {
    "appearance": "taught how things look",
    "motion": "taught how things move",
    "both": "taught how things look and how they move",
    "shortcut90": "taught how things move, which their appearance revealed in 90 % of the clips",
    "shortcut99": "taught how things move, which their appearance revealed in 99 % of the clips",
}


class Member(NamedTuple):
    """One of the networks."""

    family: str
    bias: str
    seed: int

    @property
    def name(self) -> str:
        """Its name in the zoo."""
        return f"truth_{self.family}_{self.bias}" + (f"_{self.seed}" if self.seed else "")


SEEDS = {
    "cnn": {"appearance": 2, "motion": 2, "both": 2, "shortcut90": 2, "shortcut99": 2},
    "timesformer": {"appearance": 2, "motion": 2, "both": 2},
}
"""Family → bias → from how many seeds it was trained."""
MEMBERS = tuple(
    Member(family, bias, seed)
    for seed in (0, 1)
    for bias in TAUGHT
    for family in SEEDS
    if seed < SEEDS[family].get(bias, 0)
)
"""All of them, in the order of training."""

FRAMES, SIDE = 8, 32
INPUT = Recipe(frames=FRAMES, rate=1, crop=SIDE, short_side=SIDE, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
Heads = Mapping[str, slice]
"""Factor → the columns of the output that are the logits of its levels."""


def heads_of(factors: tuple[str, ...]) -> dict[str, slice]:
    """The columns of every factor, side by side.

    Example:
        >>> heads_of(("kind", "speed"))
        {'kind': slice(0, 8, None), 'speed': slice(8, 11, None)}
    """
    ends = [sum(LEVELS[factor] for factor in factors[: place + 1]) for place in range(len(factors))]
    return {factor: slice(end - LEVELS[factor], end) for factor, end in zip(factors, ends, strict=True)}


def width_of(heads: Heads) -> int:
    """Columns of the output."""
    return max(columns.stop for columns in heads.values())


def register_biases(family: str, what: str, network: Callable[[Heads], nn.Module], stages: Mapping[str, Stage]) -> None:
    """Enter a network into the registry for every bias and seed.

    Args:
        family: One of ``MEMBERS``.
        what: Beginning of the summary.
        network: Heads → the module with random weights.
        stages: See ``ModelSpec``.
    """
    for member in MEMBERS:
        if member.family == family:
            heads, again = heads_of(TAUGHT[member.bias]), f"; seed {member.seed}" if member.seed else ""
            register_model(
                name=member.name,
                summary=f"{what}, {MANNERS[member.bias]}{again}.",
                series=f"truth_{family}_*",
                stages=stages,
                recipe=INPUT,
                paper="This project: `static-dynamic truth` trains it",
                num_classes=width_of(heads),
                licence="MIT",
                fixed_classes=True,
                packaged=f"static_dynamic.models.truth/weights/{member.name}.safetensors",
            )(_builder(network, heads))


def _builder(network: Callable[[Heads], nn.Module], heads: Heads) -> Callable[[int], nn.Module]:
    return lambda num_classes: network(heads)
