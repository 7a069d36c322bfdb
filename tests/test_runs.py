"""Folders of runs: one run at a time, whose a folder is, and what may be removed."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import filelock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from static_dynamic.common import runs
from static_dynamic.common.errors import UserError, differences
from static_dynamic.common.runs import Kind, alone_in, claim, open_run

ITEMS = Kind("set of items", "items.json", ("item_[0-9].txt", "parts/[0-9]/"), format=2, restarts=True)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def run(folder, items=3, resume=True, **description):
    """A run that writes numbered items; how many it had to make."""
    made = 0
    with open_run(folder, ITEMS, {"seed": 0, **description}, resume):
        for number in range(items):
            if not (path := folder / f"item_{number}.txt").exists():
                path.write_text(f"{number} of {description}")
                made += 1
    return made


# ---------------------------------------------------------------- whose a folder is


def test_an_equal_run_is_resumed_and_another_is_refused_with_the_difference(tmp_path):
    folder = tmp_path / "new" / "run"
    assert [run(folder), run(folder, 5), run(folder, 5)] == [3, 2, 0]
    before = tree(tmp_path)
    for description, said in (
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"crop": {"height": 2}}, "crop is missing there, {'height': 2} here"),
    ):
        with pytest.raises(UserError) as refusal:
            run(folder, **description)
        line = f"{folder} belongs to another set of items: {said}. Choose another place, or start over with"
        assert str(refusal.value) == f"{line} `resume=False`."
        assert tree(tmp_path) == before


def test_what_is_described_is_compared_as_plain_data(tmp_path):
    assert run(tmp_path, sizes=(1, 2), deep={"a": [None, 0.5]}) == 3
    assert run(tmp_path, deep={"a": [None, 0.5]}, sizes=[1, 2]) == 0
    assert json.loads((tmp_path / "items.json").read_text()) == {
        "kind": "set of items",
        "format": 2,
        "seed": 0,
        "sizes": [1, 2],
        "deep": {"a": [None, 0.5]},
    }


def test_kind_and_format_are_no_one_else_s_keys(tmp_path):
    with pytest.raises(ValueError, match="keys kind and format of a description are its own"):
        run(tmp_path, format="jpg")


def test_differences_name_the_place():
    there = {"a": {"b": [1, {"c": 2}], "d": 0}, "videos": [1, 2], "gone": None}
    here = {"a": {"b": [1, {"c": 3}], "d": 0}, "videos": [1], "new": "x" * 100 + "end"}
    assert differences(there, here).split("; ")[:2] == [
        "a.b[1].c is 2 there, 3 here",
        "videos is [1, 2] there, [1] here",
    ]
    assert differences({}, {"new": here["new"]}).endswith("xend' here")
    assert differences({"x": list(range(99))}, {"x": [1]}) == "x is a list of 99 there, [1] here"


FOREIGN = {
    '{"kind": "training run", "format": 1}': "describes a training run, not a set of items",
    '{"kind": "set of items", "format": 3}': "has format 3, but this version reads formats up to 2",
    '{"kind": "set of items", "format": "1"}': "has format 1, but this version",
    '{"source": "a", "settings": {}, "videos": {}}': "describes a stylized data set, not",
    '{"name": "a project"}': "describes something else, not",
    "[1]": "describes something else, not",
    '{"kind"': "not valid JSON",
    "": "is empty",
}


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("resume", [True, False])
def test_what_something_else_describes_is_left_alone(content, resume, tmp_path):
    (tmp_path / "items.json").write_text(content)
    (tmp_path / "item_0.txt").write_text("theirs")
    before = tree(tmp_path)
    with pytest.raises(UserError) as refusal:
        run(tmp_path, resume=resume)
    assert FOREIGN[content] in str(refusal.value)
    assert str(tmp_path / "items.json") in str(refusal.value)
    assert tree(tmp_path) == before


def test_descriptions_from_before_kinds_are_recognised(tmp_path):
    kind = Kind("training run", "run.json", ("state/",))
    (tmp_path / "state").mkdir()
    (tmp_path / "run.json").write_text(json.dumps({"lr": 0.1, "lr_type": "cos", "clips": 3}))
    with open_run(tmp_path, kind, {"lr": 0.1, "lr_type": "cos", "clips": 3}) as there:
        assert there["lr"] == 0.1
    with pytest.raises(UserError, match=r"another training run: lr is 0\.1 there, 0\.2 here"):
        claim(tmp_path, kind, {"lr": 0.2, "lr_type": "cos", "clips": 3})


def test_an_older_format_is_another_run(tmp_path):
    (tmp_path / "items.json").write_text('{"kind": "set of items", "format": 1, "seed": 0}')
    (tmp_path / "item_0.txt").write_text("0")
    with pytest.raises(UserError, match="format is 1 there, 2 here"):
        run(tmp_path)


def test_what_no_run_describes_is_not_taken_for_a_run_s(tmp_path):
    (tmp_path / "item_7.txt").write_text("theirs")
    for resume in (True, False):
        with pytest.raises(
            UserError, match=r"holds 'item_7\.txt', but items\.json is missing, which states what wrote it"
        ):
            run(tmp_path, resume=resume)
    assert tree(tmp_path) == {"item_7.txt": b"theirs"}
    shutil.move(tmp_path / "item_7.txt", tmp_path / "notes.txt")
    assert run(tmp_path) == 3  # what is no item is no item of another run
    lone = Kind("set of items", "items.json", ("item_[0-9].txt",), alone=True)
    (tmp_path / "items.json").unlink()
    with pytest.raises(UserError, match=r"holds 'item_0\.txt', but items\.json is missing"):
        claim(tmp_path, lone, {})
    assert (tmp_path / "notes.txt").read_text() == "theirs"


# ---------------------------------------------------------------- what is removed


def test_starting_over_removes_what_runs_of_the_kind_write_and_nothing_else(tmp_path):
    run(tmp_path)
    for place in (
        "item_10.txt",
        "item_x.txt",
        "item_1.txt.bak",
        "sub/item_1.txt",
        "parts/1/a",
        "parts/12/a",
        "parts/2",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("theirs")
    (tmp_path / "item_9.txt").mkdir()  # a folder is no item
    before = tree(tmp_path)
    assert run(tmp_path, items=1, resume=False, seed=5) == 1
    gone = {"item_0.txt", "item_1.txt", "item_2.txt", "items.json", "parts/1", "parts/1/a"}
    after = tree(tmp_path)
    assert before.keys() - after.keys() == gone - {"item_0.txt", "items.json"}
    assert {name: after[name] for name in before.keys() - gone} == {name: before[name] for name in before.keys() - gone}


OWNED = re.compile(r"(item_[0-9]\.txt|parts/[0-9](/.*)?|items\.json)", re.DOTALL)
PIECES = st.one_of(
    st.sampled_from(
        ["item_1.txt", "item_10.txt", "item_1.txt~", "parts", "1", "items.json", ".lock", ".item.part", "é"]
    ),
    st.text(string.ascii_letters + string.digits + "._- \n", min_size=1, max_size=6).filter(lambda t: t.strip(".")),
)
PLACES = st.lists(st.lists(PIECES, min_size=1, max_size=3).map("/".join), max_size=8)


@settings(deadline=None, max_examples=100)
@given(places=PLACES, describes=st.sampled_from(["nothing", "this", "another", "foreign"]), resume=st.booleans())
def test_whatever_lies_in_a_folder_only_what_is_a_run_s_is_ever_removed(places, describes, resume):
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        for place in places:
            with suppress(OSError):  # a file where a folder is needed
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_text(place)
        notes = {"this": {"seed": 0}, "another": {"seed": 1}, "foreign": {"kind": "training run"}}
        if describes in notes and not (folder / "items.json").is_dir():
            (folder / "items.json").write_text(json.dumps({"kind": ITEMS.name, "format": 2, **notes[describes]}))
        before = tree(folder)
        refused = False
        try:
            run(folder, items=2, resume=resume)
        except UserError:
            refused = True
        except IsADirectoryError:  # of this test: an item cannot be written where a folder is
            pass
        after = tree(folder)
        lost = {name for name in before if after.get(name, "lost") != before[name]}
        assert all(OWNED.fullmatch(name) for name in lost)
        if refused:
            assert not lost
        if describes in ("nothing", "foreign"):  # what no run of the kind describes is not its own
            assert lost <= {"items.json"}
        if describes == "this" and resume:
            assert lost <= {"items.json"}
            assert json.loads(after["items.json"] or "null") in (None, {"kind": ITEMS.name, "format": 2, "seed": 0})


# ---------------------------------------------------------------- what fails leaves nothing


def test_a_run_that_leaves_nothing_leaves_no_folder(tmp_path):
    def fail(place, items=0):
        assert (place / "items.json").exists()
        run(tmp_path / "other", items)
        for number in range(items):
            (place / f"item_{number}.txt").write_text("kept")
        raise ZeroDivisionError

    (tmp_path / "there").mkdir()
    for place in (tmp_path / "a" / "b", tmp_path / "there"):
        with pytest.raises(ZeroDivisionError), open_run(place, ITEMS, {}):
            fail(place)
    assert tree(tmp_path) == {"there": None}
    with pytest.raises(ZeroDivisionError), open_run(tmp_path / "there", ITEMS, {}):
        fail(tmp_path / "there", 1)
    shutil.rmtree(tmp_path / "other")
    assert tree(tmp_path).keys() == {"there", "there/item_0.txt", "there/items.json"}


def test_a_description_of_nothing_binds_nobody(tmp_path):
    (tmp_path / "items.json").write_text('{"kind": "set of items", "format": 2, "seed": 9}')  # left by a kill
    assert run(tmp_path) == 3


# ---------------------------------------------------------------- one run at a time

HOLD = """
import sys
from pathlib import Path
from static_dynamic.common.files import partial_path
from static_dynamic.common.runs import Kind, open_run
items = Kind("set of items", "items.json", ("item_[0-9].txt",), format=2, restarts=True)
folder = Path(sys.argv[1])
with open_run(folder, items, {"seed": 0}):
    (folder / "item_0.txt").write_text("0 of {}")
    partial_path(folder / "item_1.txt").write_text("half")
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path):
    """Another process at work in a folder."""
    command = [sys.executable, "-c", HOLD, tmp_path / "run"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_and_told_which_is_the_first(other_run, tmp_path):
    before = tree(tmp_path)
    for resume in (True, False):
        with pytest.raises(UserError) as refusal:
            run(tmp_path / "run", resume=resume)
        holder = rf"process {other_run.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
        line = (
            rf"Another run is at work in {re.escape(str(tmp_path))}/run: {holder}\. Wait until it ends, or choose .*\."
        )
        assert re.fullmatch(line, str(refusal.value))
    assert tree(tmp_path) == before
    other_run.communicate()  # it ends
    assert run(tmp_path / "run") == 2


def test_a_killed_run_is_resumed_and_what_it_left_half_written_is_removed(other_run, tmp_path):
    other_run.send_signal(signal.SIGKILL)
    other_run.communicate()
    folder = tmp_path / "run"
    left = set(os.listdir(folder))
    assert len(left) == 4  # the description, an item, half an item, the lock
    assert runs.LOCK in left
    assert run(folder) == 2
    assert set(os.listdir(folder)) == {"items.json", "item_0.txt", "item_1.txt", "item_2.txt"}


def test_a_second_run_of_the_same_process_is_refused_too(tmp_path):
    with alone_in(tmp_path, ITEMS), pytest.raises(UserError, match=f"process {os.getpid()} on"):
        run(tmp_path)
    assert run(tmp_path) == 3


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOLCK, errno.ENOSYS, errno.EACCES])
def test_where_nothing_can_be_locked_a_run_goes_without(number, tmp_path, monkeypatch):
    def unable(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "_acquire", unable)
    assert run(tmp_path) == 3
    assert run(tmp_path) == 0


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"^Cannot make the folder '.*/file/run': Not a directory\.$"):
        run(tmp_path / "file" / "run")
    if (proc := Path("/proc/self/task")).is_dir():  # no file can be made there, not even by root
        with pytest.raises(UserError, match=r"^Cannot write '/proc/self/task/items\.json'"):
            run(proc)
