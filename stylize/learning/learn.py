"""Learning a style from painted keyframes: the losses, one training step, and a run that can be resumed."""

import io
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_bytes
from static_dynamic.common.runs import START_OVER, Kind
from static_dynamic.stylize.learning.patches import Batch, Keyframe, Patches, WholeFrames
from static_dynamic.stylize.learning.perception import Perception
from static_dynamic.stylize.networks.network import Architecture, Discriminator, Generator

IMAGE, PERCEPTION, ADVERSARIAL = 4.0, 6.0, 0.5
"""Weights of the generator's losses."""
BETAS, DECAY = (0.9, 0.999), 1e-5

STYLE = Kind("learned style", "", (), restarts=True)

Losses = dict[str, Tensor]
Study = dict[str, Any]


@dataclass(frozen=True)
class TrainingSettings:
    """How a style is learned.

    Attributes:
        architecture: Architecture of the generator.
        patch: Side of a patch, pixels; ``None`` takes whole frames, one at a time.
        batch: Patches for each step.
        rate: Learning rate of Adam.
        seed: Seed of the initial weights and the patches.

    Raises:
        UserError: If a number is out of range.
    """

    architecture: Architecture
    patch: int | None = 32
    batch: int = 40
    rate: float = 4e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.patch is not None and self.patch < 16) or self.batch < 1 or not self.rate > 0 or self.seed < 0:
            raise UserError(
                "Learning requires patches of 16 pixels or more, a batch of 1 or more, a rate above 0 and a seed of 0 "
                f"or more. Got patch {self.patch}, batch {self.batch}, rate {self.rate}, seed {self.seed}."
            )
        if self.patch is None and self.batch != 1:
            raise UserError(f"Whole frames are used one at a time, so the batch must be 1. Got {self.batch}.")


_PUBLISHED = Architecture(filters=(32, 64, 128, 128, 128, 64), blocks=7, bias=True, tanh=True, smoothers=True)
PRESETS = {
    "P": TrainingSettings(_PUBLISHED),
    "F": TrainingSettings(replace(_PUBLISHED, blocks=4), patch=None, batch=1, rate=2e-4),
}
"""As published: ``P`` learns from patches, ``F`` from whole frames."""


def discriminator_loss(judge: nn.Module, fake: Tensor, other: Tensor) -> Tensor:
    """Least squares: ``mean D(fake)² + mean (D(other) - 1)²``; Mao et al., ICCV 2017."""
    of_fake, of_other = judge(fake.detach()), judge(other)
    return of_fake.square().mean() + (of_other - 1).square().mean()


def generator_losses(judge: nn.Module, perception: nn.Module | None, fake: Tensor, painted: Tensor) -> Losses:
    """The losses of a painted batch.

    Args:
        judge: The discriminator.
        perception: Computes features of pictures; without it there is no such loss.
        fake: What the generator painted, ``(N, 3, H, W)`` in -1..1.
        painted: The target.

    Returns:
        ``image``: mean absolute difference; ``perception``: mean square difference of features; ``adversarial``:
        ``mean (D(fake) - 1)²``; ``generator``: ``4 image + 6 perception + 0.5 adversarial``.
    """
    losses = {"image": F.l1_loss(fake, painted), "adversarial": (judge(fake) - 1).square().mean()}
    total = IMAGE * losses["image"] + ADVERSARIAL * losses["adversarial"]
    if perception is not None:
        losses["perception"] = F.mse_loss(perception(fake), perception(painted))
        total = total + PERCEPTION * losses["perception"]
    return {**losses, "generator": total}


@dataclass
class Learner:
    """A generator and a discriminator, and the progress of their training.

    Attributes:
        settings: Settings of the training.
        keyframes: Keyframes of the training.
        perception: See `generator_losses`.
        device: Device of the training.
        step: Steps that are done.
    """

    settings: TrainingSettings
    keyframes: list[Keyframe]
    perception: Perception | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    step: int = 0

    def __post_init__(self) -> None:
        settings = self.settings
        self.batches: Callable[[int], Batch] = (
            Patches(self.keyframes, settings.patch, settings.batch, settings.seed)
            if settings.patch
            else WholeFrames(self.keyframes)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            # Channels last: a third faster on a CPU, and the layout of tensor cores.
            self.generator = Generator(settings.architecture).to(memory_format=torch.channels_last).to(self.device)
            self.judge = Discriminator().to(memory_format=torch.channels_last).to(self.device)
        self.optimisers = [
            torch.optim.Adam(network.parameters(), settings.rate, BETAS, weight_decay=DECAY)
            for network in (self.judge, self.generator)
        ]
        if self.perception:
            self.perception.to(self.device)

    def advance(self) -> dict[str, float]:
        """One step of the discriminator, then one of the generator.

        Returns:
            The losses, before the step.

        Raises:
            UserError: If a loss is not finite.
        """
        batch = self.batches(self.step).to(self.device)
        fake = self.generator.train()(batch.filmed)
        if batch.mask is not None:  # outside the mask, there is no error
            fake = torch.where(batch.mask > 0, fake, batch.painted)
        judge_optimiser, optimiser = self.optimisers
        judgement = discriminator_loss(self.judge, fake, batch.other)
        _descend(judge_optimiser, judgement)
        losses = generator_losses(self.judge, self.perception, fake, batch.painted)
        _descend(optimiser, losses["generator"])
        self.step += 1
        values = {name: loss.item() for name, loss in {**losses, "discriminator": judgement}.items()}
        if not all(map(math.isfinite, values.values())):
            found = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
            raise UserError(f"Step {self.step}: a loss is not finite ({found}). Try a smaller --rate.")
        return values

    @property
    def study(self) -> Study:
        """The settings that decide the weights, except the number of steps, as plain data."""
        plain = asdict(self.settings)
        return {
            **plain.pop("architecture"),
            **plain,
            "perception": self.perception.digest if self.perception else None,
            **{f"keyframe {keyframe.name}": keyframe.digest for keyframe in self.keyframes},
        }

    @property
    def facts(self) -> Study:
        """The facts about the style in its file."""
        height, width = self.keyframes[0].mask.shape
        return {"steps": self.step, "height": height, "width": width, **self.study}

    def save(self, path: Path) -> None:
        """Save the whole state, from which a run resumes, in one file that is whole or absent.

        Raises:
            UserError: If it cannot be written.
        """
        content = {
            "kind": STYLE.name,
            "format": STYLE.format,
            "study": self.study,
            "step": self.step,
            "parts": [part.state_dict() for part in self._parts],
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_bytes(path, buffer.getbuffer(), lasting=True)

    def resume(self, path: Path) -> None:
        """Resume from the state of another run, as if it had never stopped.

        Raises:
            UserError: If the file cannot be read, or is of a run with other settings, keyframes or perception.
        """
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            STYLE.refuse_other(path, STYLE.checked(content, path)["study"], self.study)
            for part, state in zip(self._parts, content["parts"], strict=True):
                part.load_state_dict(state)
            self.step = content["step"]
        except UserError:
            raise
        except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, UnpicklingError) as error:
            raise UserError(f"The checkpoint {path} cannot be read ({type(error).__name__}): {START_OVER}.") from None

    @property
    def _parts(self) -> list[nn.Module | torch.optim.Optimizer]:
        return [self.generator, self.judge, *self.optimisers]


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
