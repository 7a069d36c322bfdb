"""Devices, precisions, and threads that read ahead."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from static_dynamic.common import compute
from static_dynamic.common.compute import Compute, autocast, on_device, pick_device, prefetch
from static_dynamic.common.errors import UserError


@pytest.mark.parametrize("workers", [0, 1, 3, 20])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_everything_is_made_once_and_in_order(workers, count):
    made = []

    def make(item):
        time.sleep(0.002 * (item % 3))  # later ones are done sooner
        made.append(item)
        return item * item

    assert list(prefetch(make, range(count), workers)) == [item * item for item in range(count)]
    assert sorted(made) == list(range(count))


@pytest.mark.parametrize("workers", [1, 3])
def test_at_most_so_many_are_made_ahead(workers):
    """One is handed out, as many as there are workers are under way, and nothing more is taken from the source."""
    taken = []

    def source():
        for item in range(20):
            taken.append(item)
            yield item

    made = prefetch(lambda item: item, source(), workers)
    assert not taken
    for handed in range(20):
        assert next(made) == handed
        assert len(taken) == min(handed + 1 + workers, 20)


def test_without_workers_all_is_made_in_the_thread_that_asks():
    assert set(prefetch(lambda item: threading.current_thread().name, range(3), 0)) == {threading.current_thread().name}
    assert threading.current_thread().name not in set(prefetch(lambda item: threading.current_thread().name, [1, 2], 1))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_fails_fails_in_its_turn(workers):
    made = prefetch(lambda item: 6 // item, [3, 2, 0, 1], workers)
    assert [next(made), next(made)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_the_device_is_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match=r"'cuda' is not available\. Available: auto, cpu\."):
        pick_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match=r"'cuda:2' is not available\. Available: auto, cuda, mps, cpu\."):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    ("name", "says"), [("gpu", "Unknown device 'gpu'.*auto, cuda, mps, cpu"), ("meta", "'meta' is not available")]
)
def test_a_device_that_does_not_exist_is_named(name, says):
    with pytest.raises(UserError, match=says):
        pick_device(name)


class Moved(nn.Linear):
    """Notes where it is asked to go, and stays."""

    def __init__(self):
        super().__init__(2, 2)
        self.moves = []

    def to(self, device):
        self.moves.append(str(device))
        return self


def fails_on(model, device):
    with on_device(model, torch.device(device)):
        assert model.moves == [device]
        raise ZeroDivisionError


def test_a_model_comes_back_from_the_device_whatever_happens():
    model = Moved()
    with pytest.raises(ZeroDivisionError):
        fails_on(model, "meta")
    assert model.moves == ["meta", "cpu"]
    with on_device(nn.ReLU(), torch.device("cpu")):  # one without weights has no home
        pass


def test_a_precision_below_float32_is_an_autocast():
    linear, x = nn.Linear(2, 2), torch.zeros(1, 2)
    for precision in ("float32", "bfloat16", "float16"):
        with autocast(torch.device("cpu"), precision):
            assert torch.is_autocast_enabled("cpu") == (precision != "float32")
            assert linear(x).dtype == getattr(torch, precision)
    assert linear(x).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 0}, "Got batch_size=0, workers=1, max_bad=0.05"),
        ({"workers": -1}, "Got batch_size=8, workers=-1"),
        ({"max_bad": -0.1}, "max_bad=-0.1"),
        ({"max_bad": 1.1}, "max_bad=1.1"),
        ({"precision": "float8"}, "Unknown precision 'float8'.*Allowed: float32, bfloat16, float16"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(UserError, match=says):
        Compute(**options)


def test_the_ends_of_the_ranges_and_the_defaults():
    assert Compute(batch_size=1, workers=0, max_bad=0) == Compute(batch_size=1, workers=0, max_bad=0.0)
    assert Compute(max_bad=1).max_bad == 1
    default = Compute()
    assert (default.batch_size, default.device, default.precision, default.workers) == (8, "auto", "float32", 1)


@pytest.mark.parametrize("accepted", [0, 1])
def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch, accepted):
    asked = []

    def mallopt(parameter, value):
        asked.append((parameter, value))
        return accepted

    monkeypatch.setattr(compute.sys, "platform", "linux")
    monkeypatch.setattr(compute.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert compute.keep_freed_memory() == bool(accepted)
    assert asked == [(-4, 0), (-1, 2**30)][: 1 + accepted]


def test_elsewhere_memory_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(compute.sys, "platform", "linux")
    monkeypatch.setattr(compute.ctypes, "CDLL", lambda name: SimpleNamespace())  # musl has no mallopt
    assert not compute.keep_freed_memory()
    monkeypatch.setattr(compute.sys, "platform", "darwin")
    monkeypatch.setattr(compute.ctypes, "CDLL", None)
    assert not compute.keep_freed_memory()
