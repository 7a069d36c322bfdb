"""A learned style: a generator that paints any frame, and its file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from static_dynamic.common.compute import pick_device
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_bytes
from static_dynamic.interventions.census import Census, Paint, Style
from static_dynamic.interventions.styles import read_style_files
from static_dynamic.media.clip import Frames
from static_dynamic.stylize.networks.network import Architecture, Generator, as_frames, as_input

EXTENSIONS = (".safetensors", ".pth")
"""Files of learned styles: those written here, and the published ones."""
NOTE = "learned_style"
"""The entry of a file's metadata that describes the style."""


@dataclass(frozen=True)
class LearnedStyle:
    """Paints every frame with the same operator, so it can neither follow nor add motion.

    Attributes:
        network: The generator; it is put into evaluation mode, and into half precision on a GPU.
        facts: How it was learned.
        device: Device on which it paints.
    """

    network: Generator
    facts: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        if self.network.plan.inputs != 3:
            guides = (self.network.plan.inputs - 3) // 3
            raise UserError(f"This style requires {guides} guide pictures for every frame, which are not available.")
        self.network.eval().to(self.device, self.precision).to(memory_format=torch.channels_last)

    @property
    def precision(self) -> torch.dtype:
        """The type of the generator's arithmetic."""
        return torch.float16 if self.device.type == "cuda" else torch.float32

    def __call__(self, frame: Frames) -> Frames:
        """Paint one frame, ``(H, W, 3)`` uint8 RGB, 16 pixels a side or more."""
        return paint(self.network, frame)


def paint(network: Generator, frame: Frames) -> Frames:
    """One frame as the generator paints it, where and at the precision that its weights are."""
    weight = network.conv0.conv.weight
    with torch.inference_mode():
        painted = network(as_input(frame[None], weight.device).to(weight.dtype))
    return np.ascontiguousarray(as_frames(painted)[0])


def learned_style(path: Path, device: str = "auto") -> Style:
    """A learned style in the form of a built-in one: fitted to a clip, which it does not look at."""
    changed = path.stat().st_mtime_ns if path.exists() else 0
    learned = _kept(path, device, changed)

    def fit(clip: Census, rng: np.random.Generator) -> Paint:
        return learned

    return fit


@lru_cache(maxsize=4)
def _kept(path: Path, device: str, changed: int) -> LearnedStyle:
    """Read a style once, although it is requested for every clip."""
    return load_style(path, device)


def load_style(path: str | Path, device: str = "auto") -> LearnedStyle:
    """Read a learned style.

    Args:
        path: A ``.safetensors`` file that `write_style` wrote, or a ``.pth`` of the published program, which is a
            pickle of a whole module: its tensors are read, and no code in it is run.
        device: Device on which it paints; ``auto`` is a GPU if one is available.

    Raises:
        UserError: If it is neither of them, or damaged.

    Example:
        >>> style = load_style("lynx.safetensors")                                 # doctest: +SKIP
        >>> painted = style(frame)                                                 # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        facts, state = _read(path)
        network = _network(path, state, _plan(path, facts))
    else:
        from static_dynamic.stylize.networks.pickled import read_module

        facts, state = {}, read_module(path)
        network = _network(path, state, _architecture(path, state))
    return LearnedStyle(network, facts, pick_device(device))


def write_style(path: Path, network: Generator, facts: Mapping[str, Any]) -> None:
    """Write the weights of a style, and the facts about it in the metadata, to one file that is whole or absent.

    Args:
        path: The file; ``.safetensors``.
        network: The generator.
        facts: How it was learned: plain data.

    Raises:
        UserError: If it cannot be written.
    """
    from safetensors.torch import save

    note = {"architecture": asdict(network.plan), **facts}
    state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    content = save(state, {NOTE: json.dumps(note)})
    write_bytes(path, content)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {})[NOTE])
            return note, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
    except FileNotFoundError:
        raise UserError(f"The file {str(path)!r} is missing.") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"The style {path} cannot be read ({error}).") from None
    except (KeyError, ValueError, TypeError, RecursionError):
        raise UserError(f"{path} is not a learned style: it holds other weights.") from None


def _plan(path: Path, facts: Mapping[str, Any]) -> Architecture:
    try:
        return Architecture(**facts["architecture"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (KeyError, TypeError):
        raise UserError(f"{path} does not describe the generator of its style.") from None


def _architecture(path: Path, state: Mapping[str, torch.Tensor]) -> Architecture:
    try:
        return Architecture.of(state)
    except (UserError, TypeError, IndexError) as error:
        raise UserError(f"{path}: {error}") from None


def _network(path: Path, state: Mapping[str, torch.Tensor], plan: Architecture) -> Generator:
    """The generator with these weights; memory is allocated only once they fit."""
    if plan.blocks > len(state):
        raise UserError(f"{path} does not hold the weights of a generator with {plan.blocks} blocks.")
    with torch.device("meta"):
        network = Generator(plan)
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not hold the weights of a generator ({' '.join(str(error).split())[:200]})."
        ) from None
    if wrong := [name for name, weight in state.items() if not _is_sound(weight)]:
        raise UserError(f"{path} holds weights that are not finite numbers, or that repeat: {wrong[0]}.")
    return network


def _is_sound(weight: torch.Tensor) -> bool:
    """Whether these are finite numbers, each of which is in the file."""
    if weight.layout != torch.strided or weight.is_meta or weight.is_complex() or weight.is_quantized:
        return False
    lies_there = weight.numel() * weight.element_size() <= weight.untyped_storage().nbytes()
    return lies_there and bool(torch.isfinite(weight).all())


def teach() -> None:
    """Register learned styles with the measurement, which does not know this package."""
    read_style_files(EXTENSIONS, learned_style)
