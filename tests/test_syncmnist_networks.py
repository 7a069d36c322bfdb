"""The SyncMNIST experiment: where time is seen, where regions are, and that a run is a function of its seed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import benchmarks.syncmnist as benchmark
from static_dynamic.common.errors import UserError
from static_dynamic.models.dyreg.graph import RELEASED
from static_dynamic.models.dyreg.regions import Regions
from static_dynamic.training.syncmnist.fit import batches, pretrained_front, train
from static_dynamic.training.syncmnist.judging import clips_of_test, judge, placed, right, switched_off
from static_dynamic.training.syncmnist.networks import VARIANTS, Network, at_boxes
from static_dynamic.training.syncmnist.settings import PUBLISHED, SMALL

TINY = replace(SMALL, steps=2, batch=4, front_steps=2, tested=8)


def network(name, setting=TINY):
    torch.manual_seed(0)
    return Network(setting, VARIANTS[name]).eval()


@pytest.fixture(scope="module")
def clips():
    return clips_of_test(TINY)


# ---------------------------------------------------------------- where time is seen


@pytest.mark.parametrize("name", VARIANTS)
def test_only_graphs_and_shifts_see_the_order_of_frames(name, clips):
    model, swapped = network(name), [0, 3, 2, 1, 4, 5]
    with torch.no_grad():
        here = model(clips.frames, clips.boxes)
        there = model(clips.frames[:, :, swapped], clips.boxes[:, swapped])
    deviation = (here - there).abs().max().item()
    if name in ("backbone", "DyReg as published"):  # which starts as the identity
        assert deviation < 1e-6
    else:
        assert deviation > 1e-5


def test_a_graph_that_is_switched_off_leaves_the_backbone(clips):
    model, plain = network("DyReg"), network("backbone")
    plain.load_state_dict({key: x for key, x in model.state_dict().items() if not key.startswith("graphs.")})
    with torch.no_grad():
        with switched_off(model):
            off = model(clips.frames)
        torch.testing.assert_close(off, plain(clips.frames))
        assert (model(clips.frames) - off).abs().max() > 1e-3


def test_the_front_of_the_small_network_stays_as_it_is():
    model = network("fixed nodes").train()
    assert not model.stages[0].training
    assert not any(parameter.requires_grad for parameter in model.stages[0].parameters())
    assert all(parameter.requires_grad for parameter in model.graphs.parameters())


def test_the_published_size():
    setting = replace(PUBLISHED, frames=2)
    assert (PUBLISHED.classes, PUBLISHED.canvas.size, PUBLISHED.count, PUBLISHED.frames) == (46, 128, 5, 10)
    model = Network(setting, VARIANTS["DyReg as published"]).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 1, 2, 128, 128)).shape == (1, 46)
    assert [tuple(regions.kernels.shape[-2:]) for regions in model.regions] == [(32, 32), (16, 16), (8, 8)]
    assert [graph.dynamic_graph.channels for graph in model.graphs] == [64, 128, 256]
    assert all(graph.dynamic_graph.options == replace(RELEASED, grid=(3, 3)) for graph in model.graphs)
    assert not any(regions.centre.std() for regions in model.regions)  # all in the centre


def test_true_boxes_have_to_be_given(clips):
    with pytest.raises(UserError, match=r"takes the boxes of the digits beside the clips"):
        network("true boxes")(clips.frames)


# ---------------------------------------------------------------- where regions are


def test_windows_on_boxes_weigh_the_pixels_of_the_digit(clips):
    """The mean place under a window, in pixels, is the middle of its box, but for windows cut off at the border."""
    boxes = clips.boxes
    regions = at_boxes(boxes, 4, (8, 8))
    cells = torch.arange(8.0)
    rows, columns = regions.kernels.sum(-1) @ cells, regions.kernels.sum(-2) @ cells
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    inside = ((boxes[..., :2] > 4) & (boxes[..., 2:] < 28)).all(-1)
    found = 4 * torch.stack([rows, columns], -1) + 0.5
    assert inside.sum() > 10
    assert (found - middles)[inside].abs().max() < 0.6


def test_cells_are_where_the_convolutions_have_them():
    """A dot in the input answers strongest in the cell at its pixel, at that pixel + 0.5 in the measure of boxes."""
    model = network("backbone")
    for parameter in model.stages[0].parameters():
        torch.nn.init.constant_(parameter, 0.1)
    frames = torch.zeros(2, 1, 32, 32)
    frames[1, 0, 12, 20] = 1
    with torch.no_grad():
        without, seen = model.stages[0](frames)[:, 0]
    weights = seen - without
    rows, columns = weights.sum(1) / weights.sum(), weights.sum(0) / weights.sum()
    assert (rows @ torch.arange(8.0)).item() * 4 == pytest.approx(12, abs=0.5)
    assert (columns @ torch.arange(8.0)).item() * 4 == pytest.approx(20, abs=0.5)


def test_distance_and_overlap_are_their_definition():
    draw = np.random.default_rng(0)
    centre, half = draw.uniform(0, 7, (2, 3, 4, 2)), draw.uniform(1, 4, (2, 3, 4, 2))
    low = draw.uniform(0, 20, (2, 3, 3, 2))
    boxes = np.concatenate([low, low + 11], -1)
    distances, overlaps = [], []
    for n, t, d in np.ndindex(2, 3, 3):
        top, left, bottom, right_ = boxes[n, t, d]
        found = []
        for (y, x), (a, b) in zip(4 * centre[n, t] + 0.5, 4 * half[n, t] / 2, strict=True):
            shared = max(min(bottom, y + a) - max(top, y - a), 0) * max(min(right_, x + b) - max(left, x - b), 0)
            iou = shared / (4 * a * b + 121 - shared)
            found.append((np.hypot((top + bottom) / 2 - y, (left + right_) / 2 - x), iou))
        distances.append(min(distance for distance, _ in found))
        overlaps.append(max(iou for _, iou in found))
    regions = Regions(torch.tensor(centre), torch.tensor(half), torch.zeros(2, 3, 4, 8, 8))
    result = placed(regions, torch.tensor(boxes), 4)
    assert result.distance.item() == pytest.approx(np.mean(distances))
    assert result.overlap.item() == pytest.approx(np.mean(overlaps))


# ---------------------------------------------------------------- runs


def test_a_run_is_a_function_of_its_seed(tmp_path):
    front = tmp_path / "front.pt"
    pretrained_front(TINY, front, tell=str)
    made = front.read_bytes()
    pretrained_front(TINY, front, tell=str)
    assert front.read_bytes() == made
    one, again, other = (train(TINY, "DyReg", seed, front, tell=str).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])
    assert all(torch.equal(one[key], other[key]) for key in one if key.startswith("stages.0."))


def test_all_variants_see_the_same_clips_and_the_test_sees_others():
    first, again = (next(batches(TINY, "train", 0, 4)) for _ in range(2))
    other, test = next(batches(TINY, "train", 1, 4)), next(batches(TINY, "val", 0, 4))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], test[0])
    assert first[0].shape == (4, 1, 6, 32, 32)
    assert 0.9 < first[0].max() <= 1


def test_what_is_judged(clips):
    model = network("DyReg")
    found = judge(model, clips)
    with torch.no_grad():
        answers = model(clips.frames).argmax(1)
        assert found["accuracy"] == pytest.approx((answers == clips.labels).float().mean().item())
        rolled = [Regions(*(part.roll(1, 0) for part in model.regions[0]))]
        assert found["another"] == pytest.approx(right(model, clips, rolled))
        still = model(clips.frames[:, :, [2] * 6]).argmax(1)
    assert found["frozen"] == pytest.approx((still == clips.labels).float().mean().item())
    assert judge(network("true boxes"), clips)["distance"] < 1e-4
    assert set(judge(network("backbone"), clips)) == {"accuracy", "frozen"}


def test_a_table_keeps_its_runs_and_a_second_call_makes_only_what_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(benchmark, "HERE", tmp_path)
    monkeypatch.setattr(benchmark, "ProcessPoolExecutor", Here)
    place = benchmark.Place("small")
    first = benchmark.run(place, TINY, ["backbone", "fixed nodes"], seeds=1, jobs=1)
    made = place.weights("backbone", 0).stat().st_mtime_ns
    second = benchmark.run(place, TINY, ["backbone", "fixed nodes"], seeds=2, jobs=1)
    assert place.weights("backbone", 0).stat().st_mtime_ns == made
    assert (len(first), len(second)) == (2, 4)
    pd.testing.assert_frame_equal(pd.read_csv(place.table)[["variant", "seed"]], second[["variant", "seed"]])
    assert "fixed nodes, seed 1" in place.log.read_text()
    assert set(benchmark.summary(second).index) == {"backbone", "fixed nodes"}
    benchmark.draw(second, 1 / 3, place.table)
    assert place.table.with_suffix(".png").stat().st_size > 10_000


class Here:
    """A pool that does everything at once, in this process."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future
