"""The networks of known bias: those with trained weights, and the same architectures with random ones."""

import fnmatch
from collections.abc import Iterable
from itertools import chain

from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import unknown
from static_dynamic.models.truth.biases import MEMBERS, TAUGHT, Member
from static_dynamic.network.twins import set_batch_statistics
from static_dynamic.sources.factorial import render
from static_dynamic.sources.factorial.videos import FactorialVideos
from static_dynamic.training.truth import as_input
from static_dynamic.training.truth.places import WEIGHTS

RANDOM, TWINS = "random", 5
"""The bias of networks without training, and their number in every family."""
BIASES = (*TAUGHT, RANDOM)
CALIBRATION = 16
"""Clips on which the statistics of batch normalisation are set: as many as for the twins of a measurement."""


class Network(Member):
    """A network of the zoo, or a random one, which is named in the same way."""

    @property
    def taught(self) -> bool:
        """Whether it was trained."""
        return self.bias != RANDOM

    def build(self) -> nn.Module:
        """The network, in eval mode."""
        if self.taught:
            return models.create_model(self.name)
        model = models.create_model(f"truth_{self.family}_both", pretrained=False, seed=self.seed)
        set_batch_statistics(model, [as_input(render(FactorialVideos(CALIBRATION).scenes()))])
        return model


def named(name: str) -> Network:
    """The network of that name."""
    _, family, bias, *seed = name.split("_")
    return Network(family, bias, int(seed[0]) if seed else 0)


def all_networks() -> list[Network]:
    """Every network that has weights, and random ones: by family, bias and seed."""
    taught = [Network(*one) for one in MEMBERS if (WEIGHTS / f"{one.name}.safetensors").is_file()]
    families = dict.fromkeys(network.family for network in taught)
    random = [Network(family, RANDOM, seed) for family in families for seed in range(TWINS)]
    return sorted([*taught, *random], key=lambda one: (one.family, BIASES.index(one.bias), one.seed))


def chosen(patterns: Iterable[str]) -> list[Network]:
    """The networks whose names these are, or match; without any, all.

    Raises:
        UserError: If one fits no network; the message has the nearest name.
    """
    there = {network.name: network for network in all_networks()}
    found = {pattern: fnmatch.filter(there, pattern) for pattern in patterns}
    for pattern, names in found.items():
        if not names:
            raise unknown("network", pattern, there)
    return [there[name] for name in dict.fromkeys(chain(*found.values()))] or list(there.values())
