"""Every command that writes to a folder meets a full disk, a place that cannot be written, a clock that jumps."""

import errno
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from commands import LINES, MEASURE, tree, words
from program import door

import static_dynamic as sd
from static_dynamic.common import files, progress, timing
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import FORGOTTEN, clear_partials
from static_dynamic.common.progress import Lines, progress_line
from static_dynamic.common.timing import Ledger

pytest_plugins = ("tiny_data", "command_place")  # the fixtures `place` and `alone`

NOTHING_THERE = Path("/proc/self/task")
"""No file can be made there, not even by root."""


def half_written(folder):
    return [path for path in folder.rglob("*") if path.name.endswith((".part", ".lock"))]


def refused(work):
    """The line with which a command ends; empty if it succeeds."""
    try:
        work()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("command", [name for name in LINES if name != "syncmnist"])
def test_a_full_disk_is_one_line_and_nothing_is_half_written(command, after, place, tmp_path, monkeypatch, alone):
    """It is full when some files have been written; afterwards, with room, the same command ends well."""
    replace, tried = os.replace, []

    def put(*arguments):
        tried.append(arguments)
        if len(tried) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(*arguments)

    out = tmp_path / "out"
    with monkeypatch.context() as disk:
        disk.setattr(files.os, "replace", put)
        said = refused(lambda: door(command)(words(command, out)))
    assert bool(said) == (len(tried) > after)  # a comparison writes three files
    assert re.fullmatch(r"(Cannot write '.*': No space left on device\..*)?", said)
    assert half_written(tmp_path) == []
    if command != "audit" or after == 0:  # an audit does not replace what is there
        door(command)(words(command, out))
        assert half_written(tmp_path) == []


@pytest.mark.skipif(not NOTHING_THERE.is_dir(), reason="of Linux")
@pytest.mark.parametrize("command", [name for name in LINES if name != "syncmnist"])
def test_a_place_that_cannot_be_written_is_one_line(command, place, alone):
    with pytest.raises(UserError, match=r"^Cannot (make the folder|write) '/proc/self/task/out.*'"):
        door(command)(words(command, NOTHING_THERE / "out"))


# ---------------------------------------------------------------- what vanishes


def test_activations_that_vanish_are_named(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "store" / "00000.safetensors").unlink()
    with pytest.raises(UserError, match=r"^Shard 00000 of .*/run/store is damaged \(00000\.safetensors: .*\)\."):
        door("score")([tmp_path / "run", "--estimators", "released"])


def test_tables_that_vanish_are_named(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "units.parquet").unlink()
    for command in ("report", "compare"):
        with pytest.raises(UserError, match=r"^No result can be read from .*/run: .*units\.parquet"):
            door(command)([tmp_path / "run", *([tmp_path / "run"] if command == "compare" else [])])


# ---------------------------------------------------------------- clocks


@pytest.fixture(params=[-1e9, 0.0, 1e9], ids=["long ago", "now", "far ahead"])
def clock(request, monkeypatch):
    """The clock of this machine is wrong, and jumps at every look."""
    told, at = time.time, [request.param]

    def jumping(*_):
        at[0] = -at[0]
        return told() + at[0]

    for name in ("time", "time_ns"):
        scale = 10**9 if name == "time_ns" else 1
        monkeypatch.setattr(time, name, lambda scale=scale: type(scale)(jumping() * scale))
    monkeypatch.setattr(time, "strftime", lambda form, *_: time.asctime(time.gmtime(max(0, jumping()))))


def partial_of_another_machine(folder, name, age):
    path = folder / f".{name}.elsewhere.1-0.part"
    path.write_text("half")
    stamp = os.stat(path).st_mtime - age
    os.utime(path, (stamp, stamp))
    return path


def test_what_another_machine_is_writing_stays_whatever_this_one_s_clock_says(clock, tmp_path):
    young = partial_of_another_machine(tmp_path, "young", 60)
    old = partial_of_another_machine(tmp_path, "old", 2 * FORGOTTEN)
    ahead = partial_of_another_machine(tmp_path, "ahead", -2 * FORGOTTEN)  # written before the clock was set right
    clear_partials([tmp_path])
    assert young.exists()
    assert not old.exists()
    assert not ahead.exists()
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_a_run_and_its_resumption_rest_on_no_clock(clock, place, tmp_path):
    for _ in range(2):
        door("measure")([*MEASURE.split(), "--out", tmp_path / "out"])
    before, found = sd.load(place / "run"), sd.load(tmp_path / "out")
    assert found.layers.equals(before.layers)
    stores = [
        {path.name: content for path, content in tree(root / "store").items()}
        for root in (place / "run", tmp_path / "out")
    ]
    assert stores[0] == stores[1]


def test_a_clock_that_stands_still_or_goes_back_gives_no_nonsense(monkeypatch, capsys):
    times = iter([100.0, 100.0, 50.0, 200.0, 10.0])
    lines = Lines("videos", lambda: next(times))
    for done in range(5):
        lines(done, 5, "")
    said = capsys.readouterr().err
    assert "-" not in said
    assert progress_line("videos", 1, 2, 0.0) == "videos: 1 of 2, 0.0 a minute"
    for module in (timing, progress):
        assert module.monotonic is time.monotonic  # it never goes back
    assert all(seconds >= 0 for seconds in Ledger().total().values())
