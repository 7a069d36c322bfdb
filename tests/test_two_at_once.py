"""Of two commands that write to one folder at once, the second is told, and changes nothing."""

import json
import os
import re

import pytest
from commands import LINES, MEASURE, tree, words
from program import door

from static_dynamic.common.errors import UserError
from static_dynamic.common.locks import locked
from static_dynamic.common.runs import alone_in

pytest_plugins = ("tiny_data", "command_place")  # the fixtures `place` and `alone`


@pytest.mark.parametrize("command", [name for name in LINES if name not in ("flow", "learn")])
def test_the_second_is_told_and_changes_nothing(command, place, tmp_path, alone):
    with alone_in(tmp_path / "out"):
        before = tree(tmp_path)
        told = rf"^Another run is at work in {re.escape(str(tmp_path))}/out: process {os.getpid()} on .* Wait until it"
        with pytest.raises(UserError, match=told):
            door(command)(words(command, tmp_path / "out"))
        assert tree(tmp_path) == before


def test_a_folder_of_flows_and_a_style_are_held_too(place, tmp_path):
    with (
        alone_in(tmp_path / "FlowImages_gap1"),
        pytest.raises(UserError, match=r"at work in .*/FlowImages_gap1: process"),
    ):
        door("flow")(words("flow", tmp_path))
    with (
        locked(tmp_path / ".a.safetensors.lock", tmp_path),
        pytest.raises(UserError, match=r"at work in .*/a\.safetensors: process"),
    ):
        door("learn")(words("learn", tmp_path))


@pytest.mark.parametrize("command", ["score run --estimators released", "report run", f"measure {MEASURE} --out run"])
def test_what_replaces_the_files_of_a_run_waits_for_whoever_writes_to_it(command, place):
    before = tree(place)
    with alone_in(place / "run"), pytest.raises(UserError, match="Another run is at work in run"):
        door()(command.split())
    assert tree(place) == before


def test_a_measurement_holds_its_folder_from_its_beginning_until_its_page_is_written(place, tmp_path, monkeypatch):
    """At its first video, and while it writes its figures."""
    told = []

    def ask(*_, **__):
        with pytest.raises(UserError) as error:
            door("report")(["run", "--out", tmp_path / "out"])
        told.append(str(error.value))

    from static_dynamic import results, twins

    collect, plot = twins.collect, results.Result.plot
    monkeypatch.setattr(twins, "collect", lambda *a, **k: (ask(), collect(*a, **k)))
    monkeypatch.setattr(results.Result, "plot", lambda self, *a, **k: (ask(), plot(self, *a, **k)))
    door("measure")([*MEASURE.split(), "--out", tmp_path / "out"])
    assert len(told) == 2
    assert all(line.startswith("Another run is at work in") for line in told)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["kind"] == "measurement"
    assert not list((tmp_path / "out").rglob("*.lock"))


def test_what_fails_leaves_no_folder(place, tmp_path):
    for line in ("compare run nowhere", "report nowhere", "score nowhere", f"measure {MEASURE} --stages nothing"):
        with pytest.raises(UserError):
            door()([*line.split(), "--out", tmp_path / "out"])
    assert list(tmp_path.iterdir()) == []
