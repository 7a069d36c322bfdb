"""Estimators of optical flow: DIS, which works without weights, and RAFT, from a file of weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.pickles import check_saved
from static_dynamic.flow.colour_wheel import Flow, Frame
from static_dynamic.optional import need

if TYPE_CHECKING:
    from torch import nn

PRESETS = ("ultrafast", "fast", "medium")
RAFT_SIDE = 128
"""Minimum side for RAFT, pixels: its pyramid halves an eighth of it three times."""
RAFT_FILE = "A .pth or .safetensors file with the state dict of torchvision's raft_small or raft_large is required."


class Estimator(Protocol):
    """Estimates how far every pixel moves from one frame to another; several threads may call it at once."""

    @property
    def name(self) -> str:
        """The method and its settings: one line, stored next to the flows."""

    def __call__(self, start: Frame, end: Frame) -> Flow:
        """Flow of two ``(H, W, 3)`` uint8 RGB frames: ``(H, W, 2)`` float32, pixels to the right and down.

        The pixel of ``start`` at ``(x, y)`` is found in ``end`` at ``(x, y) + flow[y, x]``.
        """


@dataclass(frozen=True)
class Dis:
    """Dense inverse search, as implemented in OpenCV: Kroeger, Timofte, Dai and Van Gool, ECCV 2016.

    Args:
        preset: ``medium``; ``fast`` and ``ultrafast`` are faster and blur motion boundaries.

    Raises:
        UserError: If the preset is unknown.
    """

    preset: str = "medium"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise unknown("DIS preset", self.preset, PRESETS)

    @property
    def name(self) -> str:
        """The method and its preset."""
        return f"DIS {self.preset}"

    def __call__(self, start: Frame, end: Frame) -> Flow:
        """Flow from ``start`` to ``end``, by their luminance."""
        import cv2

        preset = getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{self.preset.upper()}")
        before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (start, end))
        return np.asarray(cv2.DISOpticalFlow.create(preset).calc(before, after, None), dtype=np.float32)


class Raft:
    """Recurrent all-pairs field transforms, as implemented in torchvision: Teed and Deng, ECCV 2020.

    Args:
        weights: A state dict of torchvision's ``raft_small`` or ``raft_large``: ``.pth`` or ``.safetensors``. The file
            cannot run code.
        device: Where to run; ``auto`` is a GPU if one is available.

    Raises:
        UserError: If the file is not such a state dict, or the device is not available.
    """

    def __init__(self, weights: str | Path, device: str = "auto") -> None:
        from static_dynamic.common.compute import pick_device

        path = Path(weights)
        self._device = pick_device(device)
        kind, model = _raft(_read_state(path), path)
        self._model = model.to(self._device).eval()
        self._turn = Lock()  # torchvision's RAFT stores intermediate results of a pair as attributes
        self.name = f"RAFT {kind}, weights {sha256(path.read_bytes()).hexdigest()[:12]}"

    def __call__(self, start: Frame, end: Frame) -> Flow:
        """Flow from ``start`` to ``end``; frames are padded to sides that RAFT takes."""
        import torch
        import torch.nn.functional as F

        height, width = start.shape[:2]
        missing = [max(RAFT_SIDE, -(-side // 8) * 8) - side for side in (height, width)]
        pair = torch.from_numpy(np.stack([start, end])).to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1
        pair = F.pad(pair, (0, missing[1], 0, missing[0]), mode="replicate")
        with self._turn, torch.inference_mode():
            flow = self._model(pair[:1], pair[1:])[-1][0, :, :height, :width]
        return flow.permute(1, 2, 0).cpu().numpy()


def _read_state(path: Path) -> Mapping[str, Any]:
    """The content of a file of weights."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        check_saved(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"The file {str(path)!r} of RAFT weights does not exist.") from None
    except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError, SafetensorError) as error:
        raise UserError(f"{path}: RAFT weights cannot be read ({type(error).__name__}). {RAFT_FILE}") from None


def _raft(state: Mapping[str, Any], path: Path) -> tuple[str, "nn.Module"]:
    """The RAFT to which a state dict belongs: ``small`` or ``large``."""
    import torch

    optical_flow = need("torchvision.models.optical_flow", UserError)
    given = _shapes(state)
    for kind in ("small", "large"):
        with torch.device("meta"):
            model = getattr(optical_flow, f"raft_{kind}")()
        if given == _shapes(model.state_dict()):
            model.load_state_dict(state, assign=True)
            return kind, model
    raise UserError(f"{path}: this is not a state dict of RAFT. {RAFT_FILE}")


def _shapes(state: Any) -> dict[str, tuple[int, ...]]:
    items = state.items() if isinstance(state, Mapping) else ()
    return {key: tuple(getattr(value, "shape", ())) for key, value in items}
