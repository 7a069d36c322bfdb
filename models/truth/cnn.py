"""A small 3-D CNN, once for every known bias."""

from torch import Tensor, nn

from static_dynamic.models.spec import Stage, require_clip
from static_dynamic.models.truth.biases import Heads, register_biases, width_of

WIDTHS = (16, 24, 32, 32)
"""Units of the stages."""
STRIDES = ((1, 2, 2), (2, 2, 2), (1, 1, 1), (2, 2, 2))
"""The third stage keeps 8 × 8 positions, from which shapes can be recognised."""


class SmallCNN(nn.Module):
    """Four convolutions, each with batch norm and ReLU, then the mean over all positions and a linear layer.

    Args:
        heads: What the output means.

    Raises:
        ModelError: If a clip has another shape than ``(N, 3, T, H, W)``.
    """

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.heads = heads
        self.stage1, self.stage2, self.stage3, self.stage4 = map(_stage, (3, *WIDTHS), WIDTHS, STRIDES)
        self.head = nn.Linear(WIDTHS[-1], width_of(heads))

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → logits ``(N, levels of all heads)``."""
        require_clip(clip)
        maps = self.stage4(self.stage3(self.stage2(self.stage1(clip))))
        return self.head(maps.mean((2, 3, 4)))


def _stage(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    convolution = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(outputs), nn.ReLU())


register_biases(
    "cnn",
    "Small 3-D CNN",
    SmallCNN,
    {f"stage{number}": Stage(f"stage{number}", "N C T H W") for number in (1, 2, 3, 4)},
)
