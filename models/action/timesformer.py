"""TimeSformer: a Vision Transformer whose tokens are the patches of all frames.

Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021, arXiv:2102.05095.
Members differ in frames, crop, classes and in what a patch attends to. Module names are those of the published
checkpoints.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Attention
from timm.models.vision_transformer import Block as ImageBlock
from torch import Tensor, nn

from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Builder, Recipe, Stage, require_clip
from static_dynamic.models.weights.keys import State

PAPER = "Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021, arXiv:2102.05095"
ZOO = "https://www.dropbox.com/s/"

PATCH, WIDTH, DEPTH, HEADS = 16, 768, 12, 12  # ViT-B/16
layer_norm = partial(nn.LayerNorm, eps=1e-6)


class Block(ImageBlock):
    """A block of ViT: every token attends to all others (the space-only and the joint model)."""

    def __init__(self) -> None:
        super().__init__(WIDTH, HEADS, qkv_bias=True, norm_layer=layer_norm)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """``(N, L, C)`` → the same."""
        return super().forward(tokens)


class DividedBlock(Block):
    """A patch attends to its place in all frames, then to its frame, the class token included (§3, eq. 11).

    The class token takes part in every frame; its results over the frames are averaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.temporal_norm1 = layer_norm(WIDTH)
        self.temporal_attn = Attention(WIDTH, HEADS, qkv_bias=True)
        self.temporal_fc = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """``(N, 1 + H·W·T, C)`` → the same; T is ``frames``."""
        first, patches = tokens[:, :1], tokens[:, 1:].unflatten(1, (-1, frames))
        patches = patches + self._over_time(patches)
        scenes = torch.cat([first[:, None].expand(-1, frames, -1, -1), patches.transpose(1, 2)], dim=2)
        scenes = scenes + self._over_space(scenes)
        first, patches = scenes[:, :, 0].mean(1, keepdim=True), scenes[:, :, 1:].transpose(1, 2)
        tokens = torch.cat([first, patches.flatten(1, 2)], dim=1)
        return tokens + self.mlp(self.norm2(tokens))

    def _over_time(self, patches: Tensor) -> Tensor:
        """``(N, H·W, T, C)`` → the same."""
        update = self.temporal_attn(self.temporal_norm1(patches).flatten(0, 1))
        return self.temporal_fc(update).view_as(patches)

    def _over_space(self, scenes: Tensor) -> Tensor:
        """``(N, T, 1 + H·W, C)`` → the same."""
        return self.attn(self.norm1(scenes).flatten(0, 1)).view_as(scenes)


class TimeSformer(nn.Module):
    """Takes a clip ``(N, 3, T, H, W)`` of any size, in patches of 16 × 16 pixels; returns logits.

    Args:
        num_classes: Size of the classifier.
        frames: Frames that have a time embedding; for another T they are stretched.
        crop: Side, in pixels, of the frames whose patches have a position embedding; likewise.
        block: The kind of attention.
        over_frames: Whether the tokens of all frames form one sequence; else every frame is a sequence, with
            a class token and no time embedding, and the class tokens are averaged at the end.

    Raises:
        ModelError: If a clip has another shape.
    """

    def __init__(
        self,
        num_classes: int,
        frames: int = 8,
        crop: int = 224,
        block: Callable[[], Block] = DividedBlock,
        over_frames: bool = True,
    ) -> None:
        super().__init__()
        self.over_frames = over_frames
        self.side = crop // PATCH
        self.cls_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + self.side**2, WIDTH))
        if over_frames:
            self.time_embed = nn.Parameter(torch.empty(1, frames, WIDTH))
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(3, WIDTH, PATCH, PATCH)))
        self.blocks = nn.ModuleList(block() for _ in range(DEPTH))
        self.norm = layer_norm(WIDTH)
        self.head = nn.Linear(WIDTH, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Small normal weights; unlike in published training, the temporal ones do not start at zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → ``(N, num_classes)``, before the softmax."""
        require_clip(clip)
        count = len(clip)
        if not self.over_frames:
            clip = clip.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # clips of one frame
        frames, tokens = clip.shape[2], self.embed(clip)
        for block in self.blocks:
            tokens = block(tokens, frames)
        class_tokens = tokens[:, 0].unflatten(0, (count, -1))  # one, or one for each frame
        return self.head(self.norm(class_tokens.mean(1)))

    def embed(self, clip: Tensor) -> Tensor:
        """Tokens ``(N, 1 + H·W·T, C)``: class token, then the patches row by row, each through all frames."""
        maps = self.patch_embed(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(clip), -1))
        patches = maps.permute(0, 3, 4, 1, 2)  # N, H, W, T, C
        places = self.pos_embed[:, 1:].unflatten(1, (self.side, self.side))
        patches = patches + nearest(places, *patches.shape[1:3]).unsqueeze(3)
        if self.over_frames:
            patches = patches + nearest(self.time_embed, patches.shape[3])[:, None, None]
        first = self.cls_token + self.pos_embed[:, :1]
        return torch.cat([first.expand(len(clip), -1, -1), patches.flatten(1, 3)], dim=1)

    def adapt_checkpoint(self, state: State) -> State:
        """As the published loader does, stretch embeddings and fill missing temporal weights from the spatial ones."""
        adapted, own = dict(state), self.state_dict()
        for key in own:
            spatial = key.replace("temporal_attn", "attn").replace("temporal_norm1", "norm1")
            if spatial in state:
                adapted.setdefault(key, state[spatial])
        for key, first in {"pos_embed": 1, "time_embed": 0}.items():
            if key in own and key in state and state[key].ndim == 3 and state[key].shape != own[key].shape:
                given, length = state[key], own[key].shape[1] - first
                # Positions are stretched as one row, though they are a grid, as for the published numbers.
                adapted[key] = torch.cat([given[:, :first], nearest(given[:, first:], length)], dim=1)
        return adapted


def nearest(embedding: Tensor, *size: int) -> Tensor:
    """Resize ``(1, ..., C)`` to ``(1, *size, C)`` by the nearest neighbour, as published."""
    return F.interpolate(embedding.movedim(-1, 1), size, mode="nearest").movedim(1, -1)


def preset(
    frames: int, rate: int, crop: int = 224, num_classes: int = 400, file: str | None = None, **options: Any
) -> Callable[[Builder], Builder]:
    """``register_model`` with what the family shares; ``file`` is the checkpoint's place in the zoo."""
    return register_model(
        stages=options.pop("stages", STAGES),
        recipe=Recipe(
            frames=frames,
            rate=rate,
            crop=crop,
            short_side=max(crop, 256),
            mean=(0.45, 0.45, 0.45),
            std=(0.225, 0.225, 0.225),
        ),
        paper=PAPER,
        num_classes=num_classes,
        url=f"{ZOO}{file}?dl=1" if file else None,
        licence="CC-BY-NC-4.0" if file else None,
        **options,
    )


STAGES = {f"block{index}": Stage(f"blocks.{index}", "N (1 H W T) C") for index in range(DEPTH)}
FRAME_STAGES = {stage: place._replace(layout="(N T) (1 H W) C") for stage, place in STAGES.items()}


# The published measurement fed crops of 256 pixels to these models; here each gets the crop that it was trained on.


@preset(8, 32, file="g5t24we9gl5yk88/TimeSformer_divST_8x32_224_K400.pyth", aliases=("timesformer",))
def timesformer_k400(num_classes: int) -> nn.Module:
    """TimeSformer for Kinetics-400: 8 frames."""
    return TimeSformer(num_classes)


@preset(16, 16, 448, file="6f0x172lpqy3oxt/TimeSformer_divST_16x16_448_K400.pyth")
def timesformer_hr_k400(num_classes: int) -> nn.Module:
    """TimeSformer-HR for Kinetics-400: 16 frames of 448 pixels."""
    return TimeSformer(num_classes, frames=16, crop=448)


@preset(96, 4, file="r1iuxahif3sgimo/TimeSformer_divST_96x4_224_K400.pyth")
def timesformer_l_k400(num_classes: int) -> nn.Module:
    """TimeSformer-L for Kinetics-400: 96 frames."""
    return TimeSformer(num_classes, frames=96)


@preset(8, 32, num_classes=600, file="4h2qt41m2z3aqrb/TimeSformer_divST_8x32_224_K600.pyth")
def timesformer_k600(num_classes: int) -> nn.Module:
    """TimeSformer for Kinetics-600: 8 frames."""
    return TimeSformer(num_classes)


@preset(16, 16, 448, num_classes=600, file="ft1e92g2vhvxecv/TimeSformer_divST_16x16_448_K600.pyth")
def timesformer_hr_k600(num_classes: int) -> nn.Module:
    """TimeSformer-HR for Kinetics-600: 16 frames of 448 pixels."""
    return TimeSformer(num_classes, frames=16, crop=448)


@preset(96, 4, num_classes=600, file="857rx6xeclxfhdg/TimeSformer_divST_96x4_224_K600.pyth")
def timesformer_l_k600(num_classes: int) -> nn.Module:
    """TimeSformer-L for Kinetics-600: 96 frames."""
    return TimeSformer(num_classes, frames=96)


# Trained on 8 frames, measured by the authors of the published numbers on 16: every time embedding counts twice.
@preset(16, 8, num_classes=174, file="tybhuml57y24wpm/TimeSformer_divST_8_224_SSv2.pyth")
def timesformer_ssv2(num_classes: int) -> nn.Module:
    """TimeSformer for Something-Something v2: 16 frames."""
    return TimeSformer(num_classes, frames=16)


# Trained on frames spread over the whole video; these rates span 48 and 64 frames, about the length of a video there.


@preset(16, 3, 448, num_classes=174, file="9t68uzk8w2fpfnv/TimeSformer_divST_16_448_SSv2.pyth")
def timesformer_hr_ssv2(num_classes: int) -> nn.Module:
    """TimeSformer-HR for Something-Something v2: 16 frames of 448 pixels."""
    return TimeSformer(num_classes, frames=16, crop=448)


@preset(64, 1, num_classes=174, file="3f1rm2al8mhprwa/TimeSformer_divST_64_224_SSv2.pyth")
def timesformer_l_ssv2(num_classes: int) -> nn.Module:
    """TimeSformer-L for Something-Something v2: 64 frames."""
    return TimeSformer(num_classes, frames=64)


@preset(8, 32, stages=FRAME_STAGES)
def timesformer_space_only(num_classes: int) -> nn.Module:
    """TimeSformer without time: a patch attends to its own frame, and the frames are averaged."""
    return TimeSformer(num_classes, block=Block, over_frames=False)


@preset(8, 32)
def timesformer_joint_space_time(num_classes: int) -> nn.Module:
    """TimeSformer with joint attention: a patch attends to all patches of all frames."""
    return TimeSformer(num_classes, block=Block)
