"""Whether a model gives the same numbers twice and keeps its weights: checked once, on the first batch."""

import random
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from static_dynamic.media.inputs import Inputs
from static_dynamic.network.recorder import Recorder, untouched_randomness

ALIKE = 1e-3
"""Largest difference of equal forward passes, relative to the largest activation; devices add in any order."""


class Steadiness:
    """Watches the first forward pass of a recorder's model.

    Args:
        recorder: The recorder, which must be open at the first batch.

    Attributes:
        notes: Notes on the model for the reader; empty before the check.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.notes: list[str] = []
        self._recorder = recorder
        self._versions, self._drawn = versions(recorder.model), _random_states()
        self._asked = False

    def ask(self, inputs: Inputs, activations: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Note the effects of the first batch on the model; later batches are not checked.

        Only if random numbers were drawn, it is run again, to check whether its activations depend on them.

        Args:
            inputs: The batch.
            activations: Returns what the model says of it.
        """
        if self._asked:
            return
        self._asked = True
        after = versions(self._recorder.model)
        if changed := [name for name, version in after.items() if self._versions.get(name, version) != version]:
            self.notes.append(
                f"A forward pass changes weights or buffers of this model ({_some(changed)}): it is not left as it was "
                "found, and results depend on the order of videos."
            )
        if _random_states() == self._drawn:
            return
        with untouched_randomness():
            again = self._recorder(inputs)
        if unlike := [name for name, found in activations().items() if not _alike(found, again[name])]:
            self.notes.append(
                f"Two equal forward passes of this model differ (stages {_some(unlike)}): something in it is random, "
                "such as dropout that is always on, and adds to both static and dynamic scores."
            )


def versions(model: nn.Module) -> dict[str, int]:
    """Weight or buffer → how often it was changed in place, as torch counts."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensor._version for name, tensor in tensors.items() if not tensor.is_inference()}


def _random_states() -> list[object]:
    """The global random states of torch, on every device, of NumPy and of Python."""
    devices = [torch.cuda.get_rng_state(place) for place in range(torch.cuda.device_count())]
    of_torch = [state.numpy().tobytes() for state in (torch.get_rng_state(), *devices)]
    _, keys, *rest = np.random.get_state()
    return [*of_torch, bytes(np.asarray(keys)), rest, random.getstate()]


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    scale = float(one[torch.isfinite(one)].abs().max()) if torch.isfinite(one).any() else 0.0
    return torch.allclose(one, other, rtol=0, atol=ALIKE * scale, equal_nan=True)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
