"""DyReg: a graph whose nodes are regions that move; the module alone (in a network: ``models.dyreg.tsm``).

From every frame of a feature map a few soft windows are predicted. The mean features under them are the nodes of a
graph, which passes messages in space and in time, and what comes out is written back under the same windows. Module
names are those of the published checkpoints. Parameters that the published code never uses are left out.

Duta, Nicolicioiu and Leordeanu, Discovering Dynamic Salient Regions for Spatio-Temporal Graph Neural Networks,
NeurIPS 2021, arXiv:2009.08427; the graph: Nicolicioiu, Duta and Leordeanu, NeurIPS 2019, arXiv:1904.05582.
"""

import math
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, get_args, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.models.dyreg.regions import (
    FISH,
    Fishnet,
    Glore,
    Norm,
    Regions,
    map_norm,
    masks,
    normalised,
    windows,
)
from static_dynamic.models.errors import ModelError, unknown

SHARPNESS = 5
"""Factor on the heat whose mean position is a window's centre; at 1 all windows start in the middle, and nodes learn to
leave it one after the other."""
CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class Options:
    """The options of a module; the defaults are those that learn in docs/training.md, ``RELEASED`` the published ones.

    Attributes:
        regions: Windows that are predicted (``dynamic``), learned but the same for all clips (``static``), the anchors
            on the grid as they are (``fixed``), or a soft mask per node (``semantic``).
        grid: Rows and columns of nodes.
        anchors: Where predicted windows start: all in the ``center``, or on the ``grid``.
        generator: What predicts the windows: a small encoder and decoder, then for every node its own weights for
            all positions (``big``), soft masks and positions (``small``), or where a small network answers most to a
            node (``peaks``; not published), which gives centres alone: sizes are learned, the same for all clips.
        offset_dim: Width of that prediction.
        offset_scale: How far predicted windows are from their anchors at the start; at 0 they start there (published).
        location_scale: How strongly a node's code of its window depends, at the start, on the window's centre, in whose
            place it is linear; at 0 the code starts as any linear layer does (published).
        cell: The recurrent cell, of the windows and of the graph.
        combine: How two features meet, in messages and updates: by ``sum``, or side by side (``concat``).
        aggregation: Messages are averaged with attention (``dot``) or evenly (``mean``, published as "sum").
        send_layers: Layers of a message.
        update_layers: Layers of an update.
        steps: Rounds of messages.

    Raises:
        ModelError: If an option is unknown or invalid.
    """

    regions: Literal["dynamic", "static", "fixed", "semantic"] = "dynamic"
    grid: tuple[int, int] = (3, 3)
    anchors: Literal["center", "grid"] = "grid"
    generator: Literal["big", "small", "peaks"] = "big"
    offset_dim: int = 128
    offset_scale: float = 0.1
    location_scale: float = 0.7
    cell: Literal["gru", "lstm"] = "gru"
    combine: Literal["sum", "concat"] = "concat"
    aggregation: Literal["dot", "mean"] = "dot"
    send_layers: int = 1
    update_layers: int = 1
    steps: int = 1

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
            if choices and getattr(self, name) not in choices:
                raise unknown(f"'{name}' of a graph", getattr(self, name), choices)
        least = int(self.combine == "concat")  # two features side by side need a layer to become one
        if min(self.send_layers, self.update_layers) < least:
            layers = f"{self.send_layers} and {self.update_layers}"
            raise ModelError(f"With combine='{self.combine}', layers must be at least {least}. Got {layers}.")
        if min(*self.grid, self.offset_dim) < 1 or self.steps < 0:
            raise ModelError(f"'grid' and 'offset_dim' of a graph must be positive, 'steps' not negative. Got {self}.")

    @property
    def nodes(self) -> int:
        """How many."""
        return math.prod(self.grid)


DEFAULT = Options()
RELEASED = Options(anchors="center", offset_scale=0, location_scale=0, combine="sum", update_layers=0, steps=3)


def recurrent(cell: nn.Module, nodes: Tensor) -> Tensor:
    """A cell along time, for every node alone: ``(B, T, nodes, C)`` → the same."""
    hidden = cell(nodes.transpose(1, 2).flatten(0, 1))[0]
    return hidden.unflatten(0, (-1, nodes.shape[2])).transpose(1, 2)


class SpaceTimeGraph(nn.Module):
    """Rounds of a recurrent step and of messages, then another recurrent step (RSTG, arXiv:1904.05582).

    A round: ``n ← RNN(n)``; ``m_ij = LN(f(n_i, n_j))``; ``a_i = relu(Σ_j softmax_j⟨Q n_i, K n_j⟩ m_ij + b)``;
    ``n ← LN(g(n, a))``. The weights of all rounds are the same.
    """

    def __init__(self, width: int, options: Options) -> None:
        super().__init__()
        self.options = options
        norms = {"before_graph_norm": 2, "send_message_norm": 3, "update_norm": 2}
        self.norm_dict = nn.ModuleDict({name: Norm(axes, width) for name, axes in norms.items()})
        self.internal_lstm = CELLS[options.cell](width, width, batch_first=True)
        self.external_lstm = CELLS[options.cell](width, width, batch_first=True)
        self.send_mlp = self._mlp(width, options.send_layers)
        self.update_mlp = self._mlp(width, options.update_layers)
        if options.aggregation == "dot":
            self.att_q = nn.Linear(width, width)
            self.att_k = nn.Linear(width, width)
            self.att_bias = nn.Parameter(torch.zeros(1, 1, 1, width))

    def _mlp(self, width: int, layers: int) -> nn.Sequential:
        widths = [2 * width if self.options.combine == "concat" else width, *[width] * layers]
        pairs = ((nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths))
        return nn.Sequential(*[module for pair in pairs for module in pair])

    def forward(self, nodes: Tensor) -> Tensor:
        """``(B, T, nodes, C)`` → the same."""
        nodes = self.norm_dict["before_graph_norm"](nodes)
        for _ in range(self.options.steps):
            nodes = recurrent(self.internal_lstm, nodes)
            received = self._aggregated(nodes, self._messages(nodes))
            nodes = self.norm_dict["update_norm"](self.update_mlp(self._combined(nodes, received)))
        return recurrent(self.external_lstm, nodes)

    def _combined(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b if self.options.combine == "sum" else torch.cat([a, b], -1)

    def _messages(self, nodes: Tensor) -> Tensor:
        """``(B, T, receiver, sender, C)``."""
        receivers, senders = torch.broadcast_tensors(nodes[:, :, :, None], nodes[:, :, None])
        return self.norm_dict["send_message_norm"](self.send_mlp(self._combined(senders, receivers)))

    def _aggregated(self, nodes: Tensor, messages: Tensor) -> Tensor:
        if self.options.aggregation == "mean":
            return messages.mean(3)
        attention = (self.att_q(nodes) @ self.att_k(nodes).transpose(2, 3)).softmax(3)
        return F.relu((attention[..., None] * messages).sum(3) + self.att_bias)


class DynamicGraph(nn.Module):
    """``(B, T, C, H, W)`` → the same shape: regions, nodes, graph, and back (arXiv:2009.08427).

    ``v_n = Σ_yx X(y, x) K_n(y, x) + P(K_n)``, where ``P`` is linear; ``out(y, x) = Σ_n v'_n K_n(y, x)`` for the nodes
    ``v'`` that leave the graph. With offsets ``o`` and an anchor ``p``, in shares of the map from −1 to 1, the window
    of a node has half-size ``exp(o₁) (H / (2·rows) + 1) + 1`` and centre ``H/2 (1 + tanh(o₃ + atanh p))``, at most
    ``H − 1``, and alike for columns.

    Maps of another size than ``size`` (published: "full resolution") are pooled to it before the offsets are
    predicted, and so are the windows before ``P``; the windows themselves are of the map's own size.

    The baselines: ``fixed`` is the above with o = 0; ``static`` learns o itself, the same for all clips. For
    ``semantic`` nothing was published that runs; from its description, each position is shared out among the nodes (a
    small convolutional network, softmax over the nodes), and what a node has is divided by its sum, so that nodes are
    means as for windows.

    Args:
        channels: C.
        size: H and W at training time, at least 7.
        width: Width of the nodes; if it is not C, there are projections before and after.
        options: All other options.

    Raises:
        ModelError: If ``size`` is too small, or an input has another shape.

    Example:
        >>> graph = DynamicGraph(16, (14, 14), options=Options(anchors="grid", cell="lstm"))
        >>> out, regions = graph(torch.rand(2, 8, 16, 14, 14), return_regions=True)
        >>> out.shape, regions.centre.shape
        (torch.Size([2, 8, 16, 14, 14]), torch.Size([2, 8, 9, 2]))
    """

    anchor: Tensor

    def __init__(
        self, channels: int, size: tuple[int, int], width: int | None = None, options: Options = DEFAULT
    ) -> None:
        if min(size) < 7:
            raise ModelError(f"The 'size' of a graph must be at least 7 x 7. Got {size}.")
        super().__init__()
        self.channels, self.size, self.options = channels, size, options
        self.norm_dict = nn.ModuleDict()
        self.projects = width is not None
        inner = width or channels
        if self.projects:
            self.project_i3d_linear = nn.Conv2d(channels, inner, 1)
            self.project_back_i3d_linear = nn.Conv2d(inner, channels, 1)
            self.norm_dict["dynamic_graph_projection"] = map_norm(inner)
        if options.regions == "dynamic":
            self._add_offsets(inner)
        elif options.regions == "static":
            self.offsets = nn.Parameter(torch.zeros(options.nodes, 4))
        elif options.regions == "semantic":
            wide, last = nn.Conv2d(FISH, FISH, 3, padding=1), nn.Conv2d(FISH, options.nodes, 1)
            self.masks = nn.Sequential(nn.Conv2d(inner, FISH, 1), nn.ReLU(), wide, nn.ReLU(), last)
        self.kernel_projection1 = nn.Linear(math.prod(size), inner)
        if options.location_scale:
            self._place_codes(options.location_scale)
        self.rstg = SpaceTimeGraph(inner, options)
        self.register_buffer("anchor", self._anchors(), persistent=False)

    def _add_offsets(self, inner: int) -> None:
        width = self.options.offset_dim
        if self.options.generator == "peaks":
            self.peaks = nn.Sequential(nn.Conv2d(inner, FISH, 1), nn.ReLU(), nn.Conv2d(FISH, self.options.nodes, 1))
            self.sizes = nn.Parameter(torch.zeros(self.options.nodes, 2))
            return
        if self.options.generator == "big":
            self.fishnet = Fishnet(inner, self.size)
            everywhere = nn.Conv2d(16, self.options.nodes * width, self.fishnet.output)
            self.global_conv = nn.Sequential(everywhere, nn.Flatten())
        else:
            self.glore = Glore(inner, self.size, self.options.nodes, width)
        self.norm_dict["offset_ln_feats_coords"] = Norm(2, width)
        self.norm_dict["offset_ln_lstm"] = Norm(2, width)
        self.offset_lstm = CELLS[self.options.cell](width, width, batch_first=True)
        self.offset_pred = nn.Linear(width, 4)
        self.offset_alpha = nn.Parameter(torch.full((4,), float(self.options.offset_scale)))

    @torch.no_grad()
    def _place_codes(self, scale: float) -> None:
        """Make the codes of windows linear in their centres: rows and columns from -1 to 1, in random directions."""
        axes = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in self.size), indexing="ij")
        weight = self.kernel_projection1.weight
        weight.copy_(scale * torch.randn(len(weight), 2) @ torch.stack(axes).flatten(1))

    def _anchors(self) -> Tensor:
        """``(nodes, 2)``, atanh p."""
        if self.options.regions in ("dynamic", "static") and self.options.anchors == "center":
            return torch.zeros(self.options.nodes, 2)
        axes = ([(2 * i + 1) / count - 1 for i in range(count)] for count in self.options.grid)
        return torch.tensor(list(product(*axes))).atanh()

    def forward(
        self, x: Tensor, return_regions: bool = False, regions: Regions | None = None
    ) -> Tensor | tuple[Tensor, Regions]:
        """``(B, T, C, H, W)``, any B, T, H and W → the same, with the regions if they are requested.

        Given regions, for example at the boxes of a detector, replace the module's own.
        """
        features = self.project(x)
        regions = self.locate(features) if regions is None else regions
        nodes = torch.einsum("btchw,btnhw->btnc", features, regions.kernels)
        nodes = self.rstg(nodes + self._location(regions.kernels))
        out = torch.einsum("btnc,btnhw->btchw", nodes, regions.kernels)
        if self.projects:
            out = _per_frame(self.project_back_i3d_linear, out)
        return (out, regions) if return_regions else out

    def project(self, x: Tensor) -> Tensor:
        """The input → the features that nodes are made of, ``(B, T, width, H, W)``."""
        if x.ndim != 5 or x.shape[2] != self.channels:
            raise ModelError(f"The input of a graph must be (B, T, {self.channels}, H, W). Got {tuple(x.shape)}.")
        if not self.projects:
            return x
        return self.norm_dict["dynamic_graph_projection"](_per_frame(self.project_i3d_linear, x))

    def locate(self, features: Tensor) -> Regions:
        """Projected features → where the nodes are."""
        size = features.shape[-2], features.shape[-1]
        if self.options.regions == "semantic":
            return masks(normalised(_per_frame(self.masks, features).softmax(2)))
        if self.options.regions == "dynamic" and self.options.generator == "peaks":
            return self._at_peaks(features)
        offsets = self._offsets(features)
        extent = offsets.new_tensor(size)
        cells = extent / 2 / offsets.new_tensor(self.options.grid) + 1
        centre = extent / 2 * (1 + torch.tanh(offsets[..., 2:] + self.anchor))
        return windows(centre.minimum(extent - 1), offsets[..., :2].exp() * cells + 1, size)

    def _at_peaks(self, features: Tensor) -> Regions:
        """Windows at the mean place of every node's heat: a spatial softmax (Levine et al., arXiv:1504.00702)."""
        heat = SHARPNESS * _per_frame(self.peaks, features)
        centre = masks(heat.flatten(3).softmax(-1).unflatten(3, features.shape[-2:])).centre
        half = self.sizes.exp() * centre.new_tensor(features.shape[-2:]) / 6 + 1
        return windows(centre, half.expand_as(centre), (features.shape[-2], features.shape[-1]))

    def _offsets(self, features: Tensor) -> Tensor:
        """``(B, T, nodes, 4)``: log half-sizes and shifts of the centre."""
        if self.options.regions == "fixed":
            return features.new_zeros(*features.shape[:2], self.options.nodes, 4)
        if self.options.regions == "static":
            return self.offsets.expand(*features.shape[:2], -1, -1)
        seen = F.adaptive_avg_pool2d(features.flatten(0, 1), self.size)
        guess = self.glore(seen) if self.options.generator == "small" else self.global_conv(self.fishnet(seen))
        guess = guess.reshape(*features.shape[:2], self.options.nodes, -1)
        guess = recurrent(self.offset_lstm, self.norm_dict["offset_ln_feats_coords"](guess))
        return self.offset_pred(self.norm_dict["offset_ln_lstm"](guess)) * self.offset_alpha

    def _location(self, kernels: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(kernels.flatten(0, 1), self.size)
        return self.kernel_projection1(pooled.flatten(2)).unflatten(0, kernels.shape[:2])


class ResidualGraph(nn.Module):
    """``x + LN(graph(x))``; the scale of the norm starts at ``scale``: at 0 (published) the module is the identity."""

    def __init__(self, graph: DynamicGraph, scale: float = 0.3) -> None:
        super().__init__()
        self.dynamic_graph = graph
        norm = map_norm(graph.channels)
        nn.init.constant_(norm.scale, scale)
        self.norm_dict = nn.ModuleDict({"residual_norm": norm})

    def forward(
        self, x: Tensor, return_regions: bool = False, regions: Regions | None = None
    ) -> Tensor | tuple[Tensor, Regions]:
        """``(B, T, C, H, W)`` → the same; regions as for the graph."""
        change, regions = self.dynamic_graph(x, True, regions)
        out = x + self.norm_dict["residual_norm"](change)
        return (out, regions) if return_regions else out


def _per_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer for images, on ``(B, T, C, H, W)``."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
