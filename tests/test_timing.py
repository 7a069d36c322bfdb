"""Where the time of a run goes: parts are counted once, from every thread, and a run says them all."""

import json
import time
from contextlib import suppress

import pytest
from torch import nn

import static_dynamic as sd
from static_dynamic import collect
from static_dynamic.common import timing
from static_dynamic.common.compute import prefetch
from static_dynamic.common.timing import accounting, spent_on


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to."""
    now = [0.0]
    monkeypatch.setattr(timing, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_a_part_within_another_is_counted_once(clock):
    with accounting() as ledger:
        with spent_on("outer"):
            clock(1)
            for _ in range(2):
                with spent_on("inner"):
                    clock(2)
                    with spent_on("innermost"):
                        clock(4)
            clock(8)
        clock(16)
    assert ledger.seconds == {"outer": 9, "inner": 4, "innermost": 8}
    assert ledger.total()["total"] == 9 + 4 + 8 + 16


def test_threads_work_beside_the_part_that_waits_for_them(clock):
    def read(seconds):
        with spent_on("reading"):
            clock(seconds)

    with accounting() as ledger, spent_on("waiting"):
        assert list(prefetch(read, [2.0, 3.0], workers=1)) == [None, None]
    assert ledger.seconds == {"reading": 5, "waiting": 5}


def test_a_part_that_fails_is_counted(clock):
    with accounting() as ledger:
        with suppress(ValueError), spent_on("outer"), spent_on("inner"):
            clock(1)
            raise ValueError
        with spent_on("outer"):
            clock(2)
    assert ledger.seconds == {"outer": 2, "inner": 1}


def test_an_open_ledger_is_the_one_of_the_blocks_within(clock):
    with accounting() as outer, accounting() as inner:
        assert inner is outer
    with spent_on("nothing is open"):
        clock(1)
    with accounting() as other:
        assert other is not outer
    assert not outer.seconds


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_that_read_ahead_count_for_the_run_that_waits_for_them(workers):
    def make(item):
        with spent_on("making"):
            time.sleep(0.002)
            return item

    with accounting() as ledger:
        assert list(prefetch(make, range(7), workers)) == list(range(7))
    assert ledger.seconds["making"] >= 7 * 0.002
    assert json.loads(json.dumps(ledger.total())).keys() == {"making", "total", "processor"}


def test_a_measurement_describes_its_study_once_and_says_where_its_time_went(monkeypatch):
    digests = []
    digest = collect.weights_digest
    monkeypatch.setattr(collect, "weights_digest", lambda model: digests.append(model) or digest(model))
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    recipe = sd.Recipe(frames=4, rate=1, crop=32)
    result = sd.measure(net, "factorial:2", {"relu": ("1", "N C T H W")}, recipe=recipe, twins=1)
    assert digests == [net]
    spent = result.manifest["spent"]
    assert {"reading", "restyling", "preparing", "model", "twins", "storing", "scoring"} <= spent.keys()
    assert spent["total"] >= spent["model"] + spent["twins"] + spent["scoring"]
