"""Train one network of the experiment, deterministic by its seed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from static_dynamic.common.files import write_atomically
from static_dynamic.common.seeds import derive_seed
from static_dynamic.training.syncmnist.networks import VARIANTS, WIDTH, Network
from static_dynamic.training.syncmnist.settings import Setting

TOLD = 100
"""Steps from one line of the log to the next."""
LARGEST = 5.0
"""Norm to which gradients are cut."""
FEW, FRONT_SEED = 16, 10**6
"""Clips in a step of the front, and their seed."""
Tell = Callable[[str], object]


def train(setting: Setting, name: str, seed: int, front: Path, tell: Tell = print) -> Network:
    """A trained network, in evaluation mode.

    Args:
        setting: Clips, network and training.
        name: Of the variant.
        seed: Of weights and clips.
        front: File of the front's weights, see ``pretrained_front``.
        tell: Takes lines about progress.
    """
    torch.manual_seed(derive_seed(seed, "weights") % 2**63)
    network = Network(setting, VARIANTS[name])
    if network.frozen:
        network.stages[0].load_state_dict(torch.load(front, weights_only=True))
    network.to(device()).train()
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    step = optimiser(learned, setting.rate, setting.steps)
    for number, (frames, labels, boxes) in enumerate(batches(setting, "train", seed, setting.steps * setting.batch)):
        loss = F.cross_entropy(network(frames, boxes), labels)
        step(loss)
        if number % TOLD == 0:
            tell(f"{name}, seed {seed}: step {number} of {setting.steps}, loss {loss.item():.3f}")
    return network.eval()


def batches(setting: Setting, split: str, seed: int, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Frames ``(N, 1, T, H, W)`` in 0..1, classes, and boxes of the digits ``(N, T, digits, 4)``, in order."""
    loader = DataLoader(setting.clips(split, seed, count), setting.batch, num_workers=setting.workers)
    for clips in loader:
        frames, labels, _, _, boxes = (torch.as_tensor(part).to(device()) for part in clips)
        yield frames[:, None] / 255, labels, boxes


def optimiser(learned: list[nn.Parameter], rate: float, steps: int) -> Callable[[Tensor], None]:
    """AdamW in one cycle: loss → a step."""
    adam = torch.optim.AdamW(learned, rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=steps)

    def step(loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, LARGEST)
        adam.step()
        cycle.step()

    return step


def pretrained_front(setting: Setting, path: Path, tell: Tell = print) -> None:
    """Write the front's weights, if they are not there: it learns which half of the digits a single frame shows."""
    if path.exists():
        return
    torch.manual_seed(0)
    front = Network(setting, VARIANTS["backbone"]).stages[0].requires_grad_(True).to(device()).train()
    head = nn.Conv2d(WIDTH, setting.vocabulary, 1).to(device())
    step = optimiser([*front.parameters(), *head.parameters()], setting.rate, setting.front_steps)
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
