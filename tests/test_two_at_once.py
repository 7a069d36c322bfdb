"""Of two commands that write to one folder at once, the second is told, and changes nothing."""

import json
import os
import re

import numpy as np
import pytest
from media import write_frames
from program import door

from static_dynamic.common.errors import UserError
from static_dynamic.common.runs import alone_in

MEASURE = "--model truth_cnn_both --videos factorial:4 --estimators released --twins 0 --replicates 10"
TRAIN = "--model tiny_models:Tiny --data frames --lists lists --workers 0 --device cpu"

pytest_plugins = ("tiny_data",)  # the fixtures `prepared` and `alone`


@pytest.fixture(scope="module")
def place(tmp_path_factory, prepared):
    """A run, videos, and frames with lists, in the folder in which we are."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("frames", "lists"):
            (folder / name).symlink_to(prepared / name)
        write_frames(folder / "clips" / "a", np.zeros((6, 32, 32, 3), np.uint8), "{:05d}.png")
        door("measure")([*MEASURE.split(), "--out", "run"])
        yield folder


COMMANDS = {
    "measure": f"{MEASURE} --out OUT",
    "score": "run --estimators released --out OUT",
    "report": "run --out OUT",
    "compare": "run run --out OUT",
    "audit": "clips --styles ink --out OUT --workers 0",
    "train": f"{TRAIN} --epochs 1 --out OUT",
    "evaluate": f"{TRAIN} --out OUT",
    "stylize": "clips --styles ink --out OUT --workers 0",
    "syncmnist": "--out OUT",
}
"""Command → a line with which it writes to a folder."""


def tree(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_is_told_and_changes_nothing(command, place, tmp_path, alone):
    line = COMMANDS[command].replace("OUT", str(tmp_path / "out"))
    with alone_in(tmp_path / "out"):
        before = tree(tmp_path)
        told = rf"^Another run is at work in {re.escape(str(tmp_path))}/out: process {os.getpid()} on .* Wait until it"
        with pytest.raises(UserError, match=told):
            door(command)(line.split())
        assert tree(tmp_path) == before


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
