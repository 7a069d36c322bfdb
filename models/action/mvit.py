"""MViT: a video transformer that trades resolution for channels, as a convolutional network does.

Fan et al., Multiscale Vision Transformers, ICCV 2021, arXiv:2104.11227. Module names are those of the published
checkpoints.
"""

from collections import OrderedDict
from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import Recipe, Stage, require_clip
from static_dynamic.models.weights.keys import State

PAPER = "Fan et al., Multiscale Vision Transformers, ICCV 2021, arXiv:2104.11227"

Size = tuple[int, ...]  # T, H, W of the tokens

WIDTH = 96  # of the tokens at first, and of every head
SCALES = (1, 2, 11, 2)  # blocks that work at a width of 96, 192, 384 and 768
GRID = (8, 56, 56)  # tokens of a clip of 16 frames of 224 pixels
layer_norm = partial(nn.LayerNorm, eps=1e-6)


def on_map(layer: nn.Module, tokens: Tensor, size: Size) -> tuple[Tensor, Size]:
    """Run a 3-D layer over tokens ``(N, 1 + T·H·W, C)``, except the class token; return tokens and new size."""
    maps = layer(tokens[:, 1:].transpose(1, 2).unflatten(2, size))
    return torch.cat([tokens[:, :1], maps.flatten(2).transpose(1, 2)], dim=1), tuple(maps.shape[2:])


class PooledAttention(nn.Module):
    """Attention among queries, keys and values that strided convolutions have pooled (§3.1).

    The heads share the kernels. A stride of 0 leaves tokens as they are, one of 1 convolves them at full size.
    """

    def __init__(self, heads: int, query_stride: int, key_stride: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(heads * WIDTH, 3 * heads * WIDTH)
        self.proj = nn.Linear(heads * WIDTH, heads * WIDTH)
        for name, stride in {"q": query_stride, "k": key_stride, "v": key_stride}.items():
            if stride:
                pool = nn.Conv3d(WIDTH, WIDTH, 3, (1, stride, stride), 1, groups=WIDTH, bias=False)
                self.add_module(f"pool_{name}", pool)
                self.add_module(f"norm_{name}", nn.LayerNorm(WIDTH))  # eps 1e-5, unlike the others

    def forward(self, tokens: Tensor, size: Size) -> tuple[Tensor, Size]:
        """``(N, 1 + T·H·W, C)`` → the same at the queries' size, and that size."""
        parts = self.qkv(tokens).unflatten(2, (3, self.heads, WIDTH)).permute(2, 0, 3, 1, 4)
        (query, pooled), (key, _), (value, _) = (
            self._pool(name, part, size) for name, part in zip("qkv", parts, strict=True)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).flatten(2)), pooled

    def _pool(self, name: str, part: Tensor, size: Size) -> tuple[Tensor, Size]:
        """``(N, heads, 1 + T·H·W, C)`` → the same, pooled, and its size."""
        if not hasattr(self, f"pool_{name}"):
            return part, size
        pool, norm = self.get_submodule(f"pool_{name}"), self.get_submodule(f"norm_{name}")
        pooled, size = on_map(pool, part.flatten(0, 1), size)
        return norm(pooled).unflatten(0, part.shape[:2]), size


class Block(nn.Module):
    """Pooled attention, then an MLP that may widen the tokens (§3.2); the query stride pools the shortcut too."""

    def __init__(self, heads: int, outputs: int, query_stride: int, key_stride: int) -> None:
        super().__init__()
        inputs = heads * WIDTH
        self.norm1 = layer_norm(inputs)
        self.attn = PooledAttention(heads, query_stride, key_stride)
        self.norm2 = layer_norm(inputs)
        self.mlp = Mlp(inputs, 4 * inputs, outputs)
        self.pools, self.widens = query_stride > 1, outputs != inputs
        if self.pools:
            self.pool_skip = nn.MaxPool3d((1, 3, 3), (1, query_stride, query_stride), (0, 1, 1))
        if self.widens:
            self.proj = nn.Linear(inputs, outputs)

    def forward(self, tokens: Tensor, size: Size) -> tuple[Tensor, Size]:
        """``(N, 1 + T·H·W, inputs)`` and ``(T, H, W)`` → ``(N, 1 + T·H'·W', outputs)`` and ``(T, H', W')``."""
        attended, pooled = self.attn(self.norm1(tokens), size)
        tokens = attended + (on_map(self.pool_skip, tokens, size)[0] if self.pools else tokens)
        normed = self.norm2(tokens)
        return self.mlp(normed) + (self.proj(normed) if self.widens else tokens), pooled


def blocks(pool_last: bool) -> nn.ModuleList:
    """All 16: where a scale begins, queries are pooled by 2; where it ends, the MLP doubles the width.

    Keys and values are pooled to 7 × 7 places per frame, 14 × 14 where a scale begins. The last scale has these
    anyway; ``pool_last`` says whether it convolves its keys and values all the same.
    """
    layers = nn.ModuleList()
    for scale, depth in enumerate(SCALES):
        heads, last = 2**scale, scale == len(SCALES) - 1
        for index in range(depth):
            outputs = heads * WIDTH * (2 if index == depth - 1 and not last else 1)
            query_stride = 2 if index == 0 and scale > 0 else 0
            layers.append(Block(heads, outputs, query_stride, 0 if last and not pool_last else 8 // heads))
    return layers


class MViT(nn.Module):
    """Takes a clip ``(N, 3, T, H, W)``; returns logits.

    Position embeddings are learned for 16 frames of 224 pixels, and resized linearly for other clips.

    Args:
        num_classes: Size of the classifier.
        pool_last: Whether blocks 14 and 15 pool keys and values.

    Raises:
        ModelError: If a clip has another shape.
    """

    def __init__(self, num_classes: int, pool_last: bool) -> None:
        super().__init__()
        frames, height, width = GRID
        self.cls_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.pos_embed_spatial = nn.Parameter(torch.empty(1, height * width, WIDTH))
        self.pos_embed_temporal = nn.Parameter(torch.empty(1, frames, WIDTH))
        self.pos_embed_class = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv3d(3, WIDTH, (3, 7, 7), (2, 4, 4), (1, 3, 3))))
        self.blocks = blocks(pool_last)
        outputs = WIDTH * 2 ** (len(SCALES) - 1)
        self.norm = layer_norm(outputs)
        self.head = nn.Sequential(OrderedDict(dropout=nn.Dropout(0.5), projection=nn.Linear(outputs, num_classes)))
        self._initialise()

    def _initialise(self) -> None:
        """Small normal weights in embeddings and linear layers, no biases."""
        for name, parameter in self.named_parameters():
            if parameter.ndim in (2, 3):
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, T, H, W)`` → ``(N, num_classes)``, before the softmax."""
        require_clip(clip)
        tokens, size = self.embed(clip)
        for block in self.blocks:
            tokens, size = block(tokens, size)
        return self.head(self.norm(tokens[:, 0]))

    def embed(self, clip: Tensor) -> tuple[Tensor, Size]:
        """Tokens ``(N, 1 + T·H·W, C)``, the class token first, and their ``(T, H, W)``."""
        maps = self.patch_embed(clip)
        frames, height, width = size = tuple(maps.shape[2:])
        spatial = self.pos_embed_spatial.transpose(1, 2).unflatten(2, GRID[1:])
        temporal = self.pos_embed_temporal.transpose(1, 2)
        if size != GRID:
            spatial = F.interpolate(spatial, (height, width), mode="bilinear")
            temporal = F.interpolate(temporal, frames, mode="linear")
        maps = maps + (spatial.unsqueeze(2) + temporal[..., None, None])
        first = (self.cls_token + self.pos_embed_class).expand(len(clip), -1, -1)
        return torch.cat([first, maps.flatten(2).transpose(1, 2)], dim=1), size

    def adapt_checkpoint(self, state: State) -> State:
        """Return the weights unchanged, if they belong to this variant.

        Raises:
            ModelError: If they belong to the other variant, which the message names.
        """
        extra = "blocks.15.attn.pool_k.weight"
        own = extra in self.state_dict()
        if "blocks.15.attn.qkv.weight" in state and own != (extra in state):
            does, name = ("does not pool", "mvit_b_16x4") if own else ("pools", "mvit_b_16x4_kv16")
            raise ModelError(f"it {does} keys and values in blocks 14 and 15, as the model '{name}' does.")
        return state


STAGES = {f"block{index}": Stage(f"blocks.{index}", "N (1 T H W) C", item=0) for index in range(sum(SCALES))}
RECIPE = Recipe(frames=16, rate=4, crop=224, short_side=256, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
# One file; whether it pools in blocks 14 and 15 is not documented, so the reader determines which model it is.
URL = "https://drive.google.com/file/d/194gJinVejq6A1FmySNKQ8vAN5-FOY-QL/view"


@register_model(stages=STAGES, recipe=RECIPE, paper=PAPER, aliases=("mvit",), url=URL, licence="Apache-2.0")
def mvit_b_16x4(num_classes: int) -> nn.Module:
    """MViT-B: 16 blocks, 16 frames; as published, blocks 14 and 15 do not pool keys and values."""
    return MViT(num_classes, pool_last=False)


@register_model(stages=STAGES, recipe=RECIPE, paper=PAPER, url=URL, licence="Apache-2.0")
def mvit_b_16x4_kv16(num_classes: int) -> nn.Module:
    """MViT-B that pools keys and values in all 16 blocks, as the present configuration of PySlowFast does."""
    return MViT(num_classes, pool_last=True)
