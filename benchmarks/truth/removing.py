"""The loss of both tasks of a network when units of a stage are taken out, or see another clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.functional.resampling import jackknife_interval
from static_dynamic.interventions.scrambles import scramble
from static_dynamic.models.truth.biases import APPEARANCE, MOTION
from static_dynamic.network.selections import Units
from static_dynamic.training.truth.train import heads_of

TASKS = {"appearance": APPEARANCE, "motion": MOTION}
"""Task → its factors."""
BATCH = 50
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Examination:
    """A network, and the clips on which it is tested.

    Attributes:
        model: In eval mode; ``heads`` are its factors, some of each task.
        stage: Where units are taken out.
        clips: Input of the network, ``(N, 3, T, H, W)``.
        levels: Factor → place of each clip's level, ``(N,)``.
        reference: Clips of which units get the mean map, ``(M, 3, T, H, W)``.
    """

    model: nn.Module
    stage: str
    clips: Tensor
    levels: Mapping[str, Tensor]
    reference: Tensor

    def intact(self) -> Array:
        """Accuracy with nothing taken out, ``(2, N)``, see `right`."""
        return right(self.model, self.clips, self.levels)

    def frozen(self) -> Array:
        """Accuracy on frozen clips."""
        return right(self.model, frozen(self.clips), self.levels)

    def without(self, units: Units) -> Array:
        """Accuracy without some units, or without a subspace."""
        with sd.ablate(self.model, {self.stage: units}, reference=iter(self.reference.split(BATCH))):
            return right(self.model, self.clips, self.levels)

    def partly_frozen(self, units: Units) -> Array:
        """Accuracy if some units have their values on the frozen clip."""
        return self._interchanged(self.clips, frozen(self.clips), units)

    def partly_moving(self, units: Units) -> Array:
        """Accuracy on frozen clips if only some units have their values on the moving clip."""
        return self._interchanged(frozen(self.clips), self.clips, units)

    def _interchanged(self, clips: Tensor, donors: Tensor, units: Units) -> Array:
        parts = []
        for rows in torch.arange(len(clips)).split(BATCH):
            with sd.patch(self.model, {self.stage: units}, donors[rows]):
                levels = {factor: level[rows] for factor, level in self.levels.items()}
                parts.append(right(self.model, clips[rows], levels))
        return np.concatenate(parts, 1)


def right(model: nn.Module, clips: Tensor, levels: Mapping[str, Tensor]) -> Array:
    """Of the factors of each task, the part that a network names right in each clip: ``(2, N)``, 0..1.

    Raises:
        UserError: If the network was taught no factor of a task.
    """
    heads = heads_of(model)
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in clips.split(BATCH)])
    hits = {factor: logits[:, columns].argmax(1) == levels[factor] for factor, columns in heads.items()}
    tasks = []
    for task, factors in TASKS.items():
        of_task = [hits[factor] for factor in factors if factor in hits]
        if not of_task:
            raise UserError(
                f"The network must be taught both tasks. This one was taught {', '.join(heads)}, but nothing of "
                f"{task}. Allowed: truth_*_both."
            )
        tasks.append(torch.stack(of_task).double().mean(0).numpy())
    return np.stack(tasks)


def frozen(clips: Tensor) -> Tensor:
    """The middle frame throughout, of ``(N, 3, T, H, W)``."""
    return clips[:, :, torch.from_numpy(scramble("freeze", clips.shape[2]))]


class Drops(NamedTuple):
    """How much accuracy is lost, of appearance, of motion, and of motion less that of appearance: each ``(3,)``."""

    mean: Array
    low: Array
    high: Array


def paired(before: Array, after: Array) -> Drops:
    """Mean losses over clips, of what was right before and after ``(2, N)``; jackknife-t intervals over clips, 95 %."""
    lost = _with_difference(before - after).T
    without = (lost.sum(0) - lost) / (len(lost) - 1)
    return Drops(lost.mean(0), *jackknife_interval(lost.mean(0), without))


def spread(before: Array, after: Sequence[Array]) -> Drops:
    """The mean loss of random sets, and their smallest and largest loss.

    Of n sets, a further one is outside with probability 2 / (n + 1), for any distribution.
    """
    lost = np.stack([_with_difference((before - one).mean(1)) for one in after])
    return Drops(lost.mean(0), lost.min(0), lost.max(0))


def _with_difference(lost: Array) -> Array:
    """``(2, …)`` → ``(3, …)``."""
    return np.stack([*lost, lost[1] - lost[0]])


def motion_axes(table: Array) -> tuple[Array, Array]:
    """Directions, by how much more cell means differ between motions than between appearances.

    They are the eigenvectors of the covariance of the means of motions, within blocks, less that of the means of
    appearances. As there are as many of both, interaction and noise are in the two alike.

    Args:
        table: ``(blocks, appearances, motions, draws, C)``, with as many appearances as motions.

    Returns:
        The eigenvalues ``(C,)``, motion's first, and orthonormal axes ``(C, C)``, one a row.
    """
    cell = table.mean(3)
    grand = cell.mean((1, 2))[:, None]
    looks, moves = ((cell.mean(axis) - grand).reshape(-1, cell.shape[-1]) for axis in (2, 1))
    values, columns = np.linalg.eigh(moves.T @ moves - looks.T @ looks)
    return values[::-1] / len(looks), columns[:, ::-1].T
