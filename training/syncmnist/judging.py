"""The behaviour of a trained network: how often it is correct, under which conditions, and where its regions are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

import static_dynamic as sd
from static_dynamic.models.dyreg.regions import Regions
from static_dynamic.training.syncmnist.fit import batches
from static_dynamic.training.syncmnist.networks import OFFSET, Network
from static_dynamic.training.syncmnist.settings import Setting

AT_A_TIME = 50
"""Clips in a forward pass of the test: at the published size, they do not all fit into memory."""


class Placed(NamedTuple):
    """Where regions are among the digits, means over digits, frames and clips.

    Attributes:
        distance: From a digit's centre to that of the nearest region, pixels.
        overlap: Intersection over union of a digit's box with the best region, half as wide as its window: there the
            window has half its height.
    """

    distance: Tensor
    overlap: Tensor


def placed(regions: Regions, boxes: Tensor, pixels: float) -> Placed:
    """How close regions are to digits.

    Args:
        regions: Regions of clips, in cells.
        boxes: ``(N, T, digits, 4)``, pixels.
        pixels: Pixels of a cell.
    """
    centre = (pixels * regions.centre + OFFSET)[:, :, None]
    half = (pixels * regions.half_size / 2)[:, :, None]
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    distance = ((low + high) / 2 - centre).norm(dim=-1).amin(-1)
    shared = (torch.minimum(high, centre + half) - torch.maximum(low, centre - half)).clamp_min(0).prod(-1)
    whole = (high - low).prod(-1) + (2 * half).prod(-1) - shared
    return Placed(distance.mean(), (shared / whole).amax(-1).mean())


class Test(NamedTuple):
    """The clips of every test: input and ground truth."""

    frames: Tensor
    labels: Tensor
    boxes: Tensor


def clips_of_test(setting: Setting, seed: int = 0) -> Test:
    """The clips of the test, the same for every network that is judged with this seed."""
    return Test(*map(torch.cat, zip(*batches(setting, "val", seed, setting.tested), strict=True)))


@torch.no_grad()
def judge(network: Network, test: Test) -> dict[str, float]:
    """The row of the table for a trained network.

    * ``accuracy``, and the same when a clip is ``frozen`` on its third frame, with the graph switched ``off``, and with
      the regions of ``another`` clip.
    * ``distance`` and ``overlap``, see ``placed``; ``distance_shuffled`` and ``overlap_shuffled``: of another clip's
      regions, which is chance.
    * ``size``: half-size of a window, pixels; ``moved``: how far its centre moves from clip to clip and from frame to
      frame, pixels (standard deviation).
    """
    still, boxes = test.frames[:, :, 2:3].expand_as(test.frames), test.boxes[:, 2:3].expand_as(test.boxes)
    found = {"frozen": right(network, Test(still, test.labels, boxes))}
    if network.graphs:
        with switched_off(network):
            found["off"] = right(network, test)
    found["accuracy"] = right(network, test)
    if not network.graphs:
        return found
    own = network.regions
    others = [Regions(*(part.roll(1, 0) for part in regions)) for regions in own]
    found["another"] = right(network, test, others)
    regions, pixels = own[-1], test.frames.shape[-1] / own[-1].kernels.shape[-1]
    here, elsewhere = (placed(where[-1], test.boxes, pixels) for where in (own, others))
    found |= {"distance": here.distance.item(), "overlap": here.overlap.item()}
    found |= {"distance_shuffled": elsewhere.distance.item(), "overlap_shuffled": elsewhere.overlap.item()}
    found["size"] = pixels * regions.half_size.mean().item()
    found["moved"] = pixels * regions.centre.flatten(0, 1).std(0).mean().item()
    return found


def right(network: Network, test: Test, regions: Sequence[Regions] | None = None) -> float:
    """Share of clips with the correct class, optionally with given regions; ``network.regions``: those of all clips."""
    answers, seen = [], []
    for start in range(0, len(test.labels), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        given = regions and [Regions(*(x[part] for x in each)) for each in regions]
        answers.append(network(test.frames[part], test.boxes[part], given).argmax(1))
        seen.append(network.regions)
    network.regions = [Regions(*map(torch.cat, zip(*each, strict=True))) for each in zip(*seen, strict=True)]
    return (torch.cat(answers) == test.labels).float().mean().item()


@contextmanager
def switched_off(network: Network) -> Iterator[None]:
    """Switch off every graph within the block."""
    stages = {f"graph {i}": (f"graphs.{i}.norm_dict.residual_norm", "N T C H W") for i in range(len(network.graphs))}
    channels = (graph.get_parameter("norm_dict.residual_norm.scale").numel() for graph in network.graphs)
    units = {name: range(count) for name, count in zip(stages, channels, strict=True)}
    with sd.ablate(network, units, how="zero", stages=stages):
        yield
