"""Draw where the nodes of a network's graphs are on a video: an animation (GIF and MP4) and a contact sheet.

A row per graph; every node has a box in its own colour, at whose edge its window becomes zero. Bright places are under
the windows of many nodes.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Frames, Recipe
from static_dynamic.media.pictures import card
from static_dynamic.models.dyreg.graph import DynamicGraph
from static_dynamic.models.dyreg.regions import Regions
from static_dynamic.sources import open_source
from static_dynamic.training.pictures import side_by_side, stacked, with_boxes

HEAT = 0.35
"""How strongly windows brighten a picture, at most."""


def find_regions(model: nn.Module, clip: torch.Tensor) -> dict[str, Regions]:
    """Where the nodes of every graph in a network are, by the graph's name; the network stays as it is.

    Args:
        model: Any network with ``DynamicGraph`` modules.
        clip: Its input.

    Raises:
        UserError: If it has no ``DynamicGraph``.

    Example:
        >>> from static_dynamic.models.dyreg.graph import DynamicGraph
        >>> regions = find_regions(DynamicGraph(4, (7, 7)), torch.rand(1, 2, 4, 7, 7))
        >>> regions["graph"].centre.shape
        torch.Size([1, 2, 9, 2])
    """
    graphs = {name: module for name, module in model.named_modules() if isinstance(module, DynamicGraph)}
    if not graphs:
        raise UserError("This model has no regions: it holds no DynamicGraph, as dyreg_tsm_r50 does.")
    found: dict[str, Regions] = {}

    def locate(graph: DynamicGraph, args: tuple[torch.Tensor], name: str) -> None:
        found[name] = graph.locate(graph.project(args[0]))

    names = short_names(list(graphs))
    hooks = [graph.register_forward_pre_hook(partial(locate, name=names[name])) for name, graph in graphs.items()]
    try:
        with torch.no_grad():
            model(clip)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Module paths without the beginning and the end that all share: ``base.layer3.4.graph`` → ``layer3.4``."""
    if len(paths) == 1:
        return {paths[0]: paths[0] or "graph"}
    parts = [path.split(".") for path in paths]
    for _ in ("beginning", "end"):
        shared = len(list(takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))))
        parts = [part[shared:][::-1] for part in parts]
    return {path: ".".join(part) or path for path, part in zip(paths, parts, strict=True)}


def boxes_of(regions: Regions, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """``(B, T, nodes, 4)``: centre ± half-size as top, left, bottom, right in pixels of an image of ``size``.

    Cell i of a map of H cells is at pixel i · height / H, as published; with convolutions of odd width it is.
    """
    cells = regions.kernels.shape[-2:]
    pixels = torch.tensor([side / count for side, count in zip(size, cells, strict=True)])
    low, high = regions.centre - regions.half_size, regions.centre + regions.half_size
    return torch.cat([low.cpu() * pixels, high.cpu() * pixels], -1).numpy()


def draw(frames: Frames, regions: Regions) -> Frames:
    """Boxes and heat of one clip on its frames.

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        regions: Regions of a batch of one.
    """
    size = frames.shape[1], frames.shape[2]
    heat = HEAT * _enlarged(regions.foreground[0].cpu(), size).numpy()[..., None]
    lit = (frames * (1 - heat) + 255 * heat).astype(np.uint8)
    boxes = boxes_of(regions, size)[0]
    return np.stack([with_boxes(frame, box) for frame, box in zip(lit, boxes, strict=True)])


def _enlarged(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``(T, H, W)`` at the pixels of an image, with cells where `boxes_of` has them; at most 1."""
    cells = (torch.arange(side) * count / side for side, count in zip(size, maps.shape[1:], strict=True))
    rows, columns = (2 * cell / (count - 1) - 1 for cell, count in zip(cells, maps.shape[1:], strict=True))
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).expand(len(maps), -1, -1, -1)
    found = F.grid_sample(maps[:, None], grid, padding_mode="border", align_corners=True)[:, 0]
    return found / found.amax((1, 2), keepdim=True)


def animation(drawn: Mapping[str, Frames]) -> Frames:
    """Graphs side by side, each below its name: ``(T, H, W, 3)``."""
    titles = side_by_side([card(name, frames.shape[2], 24) for name, frames in drawn.items()])
    return np.stack([stacked([titles, side_by_side(list(images))]) for images in zip(*drawn.values(), strict=True)])


def contact_sheet(drawn: Mapping[str, Frames], columns: int) -> Frames:
    """A row for every graph; frames spread evenly over the clip, their numbers above."""
    width = max(90, *(9 * len(name) for name in drawn))
    length, height, side = next(iter(drawn.values())).shape[:3]
    chosen = np.unique(np.linspace(0, length - 1, columns).round().astype(int))
    header = side_by_side([card("", width, 24), *(card(f"frame {number + 1}", side, 24) for number in chosen)])
    rows = [side_by_side([card(name, width, height), *frames[chosen]]) for name, frames in drawn.items()]
    return stacked([header, *rows])


def read_clip(video: str, recipe: Recipe) -> tuple[Frames, torch.Tensor]:
    """The first video: the frames as the network sees them, ``(T, crop, crop, 3)`` uint8, and its input."""
    source = open_source(video)
    clip = source.read(source.videos[0], recipe)
    prepared = recipe.prepare(clip.frames[clip.sample.pathways[0]])
    return recipe.pixels(prepared), recipe.arranged(prepared)[None]


if __name__ == "__main__":  # `python -m training.regions` is the same as `static-dynamic regions`
    import sys

    from static_dynamic.main import main

    sys.argv.insert(1, "regions")
    sys.exit(main())
