"""Results trail the forward passes: one copy for each, nothing waits for a device, and the store is that of a CPU.

No GPU is needed: `Elsewhere` is a tensor that says it lies on one, counts what is copied from there, and is not there
before somebody waits for it.
"""

import hashlib
from functools import partial

import pytest
import torch
from planted import PlantedModel, PlantedVideos
from test_collect import Asked, study_of
from torch import nn
from torch.utils._pytree import tree_map

from static_dynamic import collect, forwards
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError
from static_dynamic.media.inputs import map_tensors
from static_dynamic.network.pending import IN_FLIGHT, Pending, Trailing, lag_of
from static_dynamic.network.recorder import Recorder
from static_dynamic.store import Store


class Elsewhere(torch.Tensor):
    """Numbers of the CPU that pass for those of another device."""

    @staticmethod
    def __new__(cls, there, device="cuda"):
        return torch.Tensor._make_wrapper_subclass(cls, there.shape, dtype=there.dtype, device=device)

    def __init__(self, there, device="cuda"):
        self.there, self.of = there, device

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        device = next(one.of for one in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(one, Elsewhere))
        args, kwargs = tree_map(lambda one: one.there if isinstance(one, Elsewhere) else one, (args, kwargs))
        if function is torch.ops.aten._to_copy.default and kwargs.get("device", torch.device(device)).type == "cpu":
            return Elsewhere.copied(args[0], device, bool(kwargs.get("non_blocking")))
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        wrapped = partial(cls, device=device)
        return tree_map(lambda one: wrapped(one) if isinstance(one, torch.Tensor) else one, function(*args, **kwargs))

    copies: list
    """What was copied: device, whether the copy is asynchronous, and numbers."""
    underway: list
    """Copies that are not there yet, with what will be there."""

    @classmethod
    def copied(cls, tensor, device, later):
        cls.copies.append((device, later, tensor.numel()))
        if not later:
            return tensor.clone()
        empty = torch.full_like(tensor, torch.nan)
        cls.underway.append((empty, tensor.clone()))
        return empty


class Event:
    """An event of a GPU whose copies are there only once somebody waits."""

    def __init__(self, blocking=False):
        assert blocking  # a thread that spins would take a core from the readers

    def record(self, stream):
        self.copies = list(Elsewhere.underway)

    def synchronize(self):
        for target, numbers in self.copies:
            target.copy_(numbers)


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """A GPU of a kind."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    Elsewhere.copies, Elsewhere.underway = [], []
    return Elsewhere


NUMBERS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2, 4), "c": torch.zeros(0, 5)}


def test_a_gpu_copies_all_tensors_at_once_and_they_are_there_when_they_are_waited_for(gpu):
    pending = Pending({name: gpu(x) for name, x in NUMBERS.items()})
    assert gpu.copies == [("cuda", True, 14)]
    found = pending.wait()
    assert list(found) == list(NUMBERS)
    assert all(torch.equal(found[name], x) and type(found[name]) is torch.Tensor for name, x in NUMBERS.items())
    assert pending.wait() is found
    assert len(gpu.copies) == 1


def test_another_device_copies_them_when_they_are_asked_for(gpu):
    pending = Pending({name: gpu(x, "mps") for name, x in NUMBERS.items()})
    assert gpu.copies == []
    assert all(torch.equal(x, NUMBERS[name]) for name, x in pending.wait().items())
    assert gpu.copies == [("mps", False, 14)]


def test_the_tensors_of_several_devices_are_copied_one_by_one(gpu):
    pending = Pending({"a": gpu(NUMBERS["a"]), "b": gpu(NUMBERS["b"], "mps"), "c": NUMBERS["c"]})
    assert all(torch.equal(x, NUMBERS[name]) for name, x in pending.wait().items())
    assert [device for device, _, _ in gpu.copies] == ["cuda", "mps"]


def test_on_the_cpu_nothing_is_copied():
    found = Pending(NUMBERS).wait()
    assert all(found[name] is x for name, x in NUMBERS.items())
    assert Pending({}).wait() == {}


# --- work that trails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_work_is_done_in_order_when_enough_waits_behind_it_and_all_of_it_at_the_end(lag):
    done = []
    with Trailing(lag) as trailing:
        for i in range(6):
            trailing.add(partial(done.append, i))
            assert done == list(range(max(0, i + 1 - lag)))
    assert done == list(range(6))


def test_after_an_error_elsewhere_the_work_that_waits_is_done():
    done = []

    def fails():
        with Trailing(3) as trailing:
            trailing.add(partial(done.append, 0))
            raise ValueError("elsewhere")

    with pytest.raises(ValueError, match="elsewhere"):
        fails()
    assert done == [0]


def test_after_work_that_failed_nothing_that_waits_is_done():
    done = []

    def fails():
        with Trailing(1) as trailing:
            trailing.add(lambda: 1 // 0)
            trailing.add(partial(done.append, 0))

    with pytest.raises(ZeroDivisionError):
        fails()
    assert done == []


def test_results_of_a_cpu_are_read_at_once_and_those_of_a_gpu_later():
    assert [lag_of(torch.device(kind)) for kind in ("cpu", "mps", "cuda", "cuda:1")] == [0, 0, IN_FLIGHT, IN_FLIGHT]


# --- recording ---------------------------------------------------------------------------------------------------


class Deep(nn.Module):
    """Five stages."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv3d(3, 3, 1) for _ in range(5)))

    def forward(self, x):
        return self.layers(x).mean((2, 3, 4))


STAGES = {f"s{i}": (f"layers.{i}", "N C T H W") for i in range(5)}


def test_a_forward_of_many_stages_is_one_copy(gpu):
    model, clips = Deep(), torch.rand(2, 3, 4, 8, 8)
    with Recorder(model, STAGES) as record:
        expected = record(clips)
        for _ in range(2):
            found = record(gpu(clips))
            assert all(torch.equal(found[name], x) for name, x in expected.items())
    assert gpu.copies == [("cuda", True, 5 * 2 * 3)] * 2


# --- collecting --------------------------------------------------------------------------------------------------


@pytest.fixture
def shown_elsewhere(monkeypatch, gpu):
    """Clips lie on the GPU, and results trail as they do there."""
    real = forwards.stack
    monkeypatch.setattr(forwards, "stack", lambda inputs, device: map_tensors(real(inputs, device), gpu))
    monkeypatch.setattr(collect, "lag_of", lambda device: IN_FLIGHT)


def contents(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix != ".lock"
    }


def run(folder, study):
    store = Store(folder, study.describe())
    collect.collect(study, store)
    return contents(folder)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize("judged", [False, True])
def test_the_store_of_a_gpu_that_lags_is_that_of_the_cpu(tmp_path, gpu, judged, batch_size, request):
    """20 videos in three shards, one of them unreadable; videos that cannot be judged are noted in time."""

    def study():
        judge = Asked(cannot=("v001", "v008", "v019")) if judged else None
        return study_of(PlantedVideos(20, bad=(9,)), judge=judge, batch_size=batch_size)

    expected = run(tmp_path / "cpu", study())
    request.getfixturevalue("shown_elsewhere")
    assert run(tmp_path / "gpu", study()) == expected
    batches = sum(-(-6 * videos // batch_size) for videos in (8, 7, 4))
    assert len(gpu.copies) == batches * (1 + judged)
    assert all(later for _, later, _ in gpu.copies)


class Watched(PlantedModel):
    """Notes which shards are there when a forward pass begins."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.there = folder, []

    def forward(self, clip):
        self.there.append(len(list(self.folder.glob("*.parquet"))))
        return super().forward(clip)


def study_watched(folder, **options):
    study = study_of(PlantedVideos(24), Watched(folder), batch_size=6, **options)
    study = collect.Study(**{**vars(study), "pictured": False})
    study.recorder.model.there.clear()
    return study


def test_a_shard_is_stored_while_the_gpu_has_forwards_of_the_next(tmp_path, shown_elsewhere):
    study = study_watched(tmp_path / "store")
    run(tmp_path / "store", study)
    shards = [0] * (8 + IN_FLIGHT) + [1] * 8 + [2] * (8 - IN_FLIGHT)
    assert study.recorder.model.there == shards


def test_on_the_cpu_a_shard_is_stored_before_the_next_begins(tmp_path):
    study = study_watched(tmp_path / "store")
    run(tmp_path / "store", study)
    assert study.recorder.model.there == [0] * 8 + [1] * 8 + [2] * 8


def test_a_shard_that_trails_is_stored_even_if_the_next_fails(tmp_path, shown_elsewhere):
    study = study_of(PlantedVideos(20, bad=(9, 10)))
    store = Store(tmp_path, study.describe())
    with pytest.raises(UserError, match=r"2 of 20 videos cannot be read"):
        collect.collect(study, store)
    assert store.shards() == [0]


# --- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_are_the_variants_of_all_videos_in_order_whoever_puts_them_together(monkeypatch, device):
    study = study_of(PlantedVideos(5), batch_size=7)
    seen = []
    monkeypatch.setattr(forwards, "stack", lambda inputs, device: seen.append(device) or torch.stack(list(inputs)))
    prepared = [study.prepare(video) for video in study.videos]
    found = list(forwards.batches(iter(prepared), Compute(batch_size=7, workers=2), torch.device(device)))
    keys, clips = zip(*(pair for video in prepared for pair in video.variants()), strict=True)
    assert [len(names) for names, _ in found] == [7, 7, 7, 7, 2]
    assert [key for names, _ in found for key in names] == list(keys)
    assert torch.equal(torch.cat([inputs for _, inputs in found]), torch.stack(clips))
    assert seen == [torch.device(device)] * 5
