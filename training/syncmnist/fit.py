"""Train one network of the experiment, deterministic by its seed; a run that was stopped resumes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_atomically
from static_dynamic.common.seeds import derive_seed
from static_dynamic.training.syncmnist.networks import VARIANTS, WIDTH, Network
from static_dynamic.training.syncmnist.settings import Setting

TOLD = 100
"""Steps from one line of the log, and one saved state, to the next."""
LARGEST = 5.0
"""Norm to which gradients are clipped."""
FEW, FRONT_SEED = 16, 10**6
"""Clips in a step of the front, and their seed."""
Tell = Callable[[str], object]


def train(
    setting: Setting, name: str, seed: int, front: Path, tell: Tell = print, state: Path | None = None
) -> Network:
    """A trained network, in evaluation mode.

    Args:
        setting: Clips, network and training.
        name: Of the variant.
        seed: Of weights and clips.
        front: File of the front's weights, see ``pretrained_front``.
        tell: Called with lines about progress.
        state: File from which a stopped run resumes.

    Raises:
        UserError: If ``state`` belongs to another run.
    """
    torch.manual_seed(derive_seed(seed, "weights") % 2**63)
    network = Network(setting, VARIANTS[name])
    if network.frozen:
        network.stages[0].load_state_dict(torch.load(front, weights_only=True))
    network.to(device()).train()
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    step = Optimiser(learned, setting.rate, setting.steps)
    run = f"{name}, seed {seed}, {replace(setting, workers=0, root=None)}"
    first = resumed(state, run, network, step)
    began, clips = time.perf_counter(), batches(setting, "train", seed, setting.steps * setting.batch, first)
    for number, (frames, labels, boxes) in enumerate(clips, first):
        loss = F.cross_entropy(network(frames, boxes), labels)
        step(loss)
        if number % TOLD == 0:
            seconds = (time.perf_counter() - began) * (setting.steps - number - 1) / (number + 1 - first)
            left = f"{timedelta(seconds=round(seconds))} left"
            tell(f"{name}, seed {seed}: step {number} of {setting.steps}, loss {loss.item():.3f}, {left}")
        if state and (number + 1) % TOLD == 0:
            content = {"run": run, "step": number + 1, "network": network.state_dict(), "optimiser": step.state_dict()}
            write_atomically(state, partial(torch.save, content), lasting=True)
    return network.eval()


def resumed(state: Path | None, run: str, network: Network, optimiser: "Optimiser") -> int:
    """The step at which a run starts: after that of its saved state, which is loaded, if there is one."""
    if state is None or not state.exists():
        return 0
    saved = torch.load(state, weights_only=True, map_location=device())
    if saved["run"] != run:
        raise UserError(f"{state} is the state of a run with other settings: remove it to start over. Got {run}.")
    network.load_state_dict(saved["network"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"])


def batches(
    setting: Setting, split: str, seed: int, count: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Frames ``(N, 1, T, H, W)`` in 0..1, classes, and boxes of the digits ``(N, T, digits, 4)``, from a batch on."""
    wanted = Subset(setting.clips(split, seed, count), range(first * setting.batch, count))
    for clips in DataLoader(wanted, setting.batch, num_workers=setting.workers):
        frames, labels, _, _, boxes = (torch.as_tensor(part).to(device()) for part in clips)
        yield frames[:, None] / 255, labels, boxes


class Optimiser:
    """AdamW in one cycle: called with a loss, it makes a step."""

    def __init__(self, learned: list[nn.Parameter], rate: float, steps: int) -> None:
        self.learned, self.adam = learned, torch.optim.AdamW(learned, rate)
        self.cycle = torch.optim.lr_scheduler.OneCycleLR(self.adam, rate, total_steps=steps)

    def __call__(self, loss: Tensor) -> None:
        """One step."""
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, LARGEST)
        self.adam.step()
        self.cycle.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` takes."""
        return {"adam": self.adam.state_dict(), "cycle": self.cycle.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from the state of another one."""
        self.adam.load_state_dict(state["adam"])
        self.cycle.load_state_dict(state["cycle"])


def pretrained_front(setting: Setting, path: Path, tell: Tell = print) -> None:
    """Write the front's weights, if missing: it learns which half of the digits a single frame shows."""
    if path.exists():
        return
    torch.manual_seed(0)
    front = Network(setting, VARIANTS["backbone"]).stages[0].requires_grad_(True).to(device()).train()
    head = nn.Conv2d(WIDTH, setting.vocabulary, 1).to(device())
    step = Optimiser([*front.parameters(), *head.parameters()], setting.rate, setting.front_steps)
    data = replace(setting, count=(setting.count + 1) // 2).clips("train", FRONT_SEED, setting.front_steps * FEW)
    for number, clips in enumerate(DataLoader(data, FEW)):
        frames = clips.frames.flatten(0, 1)[:, None].to(device()) / 255
        shown = F.one_hot(clips.digits, setting.vocabulary).amax(1).float().to(device())
        found = head(front(frames)).amax((2, 3)).unflatten(0, (-1, setting.frames))
        loss = F.binary_cross_entropy_with_logits(found, shown[:, None].expand_as(found))
        step(loss)
        if number % TOLD == 0:
            tell(f"front: step {number} of {setting.front_steps}, loss {loss.item():.3f}")
    write_atomically(path, partial(torch.save, front.state_dict()))


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
