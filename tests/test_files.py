"""Files and folders are whole or absent, whatever their names; leftovers are told from what is still being written."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import (
    clear_partials,
    partial_path,
    plain_errors,
    remove,
    whole,
    write_bytes,
    write_text,
)

NAMES = {
    "plain": b"a.txt",
    "as long as a name may be": b"n" * 255,
    "long, of letters of two bytes": "é".encode() * 127,
    "not UTF-8": b"caf\xe9.txt",
    "long and not UTF-8": b"\xff" * 255,
    "of two lines": b"a\nb",
}


def listed(folder):
    return sorted(os.listdir(os.fsencode(folder)))


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_a_file_may_have_can_be_written(name, tmp_path):
    path = tmp_path / os.fsdecode(NAMES[name])
    for content in (b"first", b"second"):
        write_bytes(path, content)
        assert path.read_bytes() == content
        assert listed(tmp_path) == [NAMES[name]]


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^Cannot write '.*File name too long\.$"):
        write_text(tmp_path / ("n" * 256), "x")
    assert listed(tmp_path) == []


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a", "old")

    def write(place, error):
        place.write_text("half")
        raise error

    for error in (RuntimeError("broken"), OSError(errno.ENOSPC, "No space left on device")):
        with pytest.raises(type(error)), whole(tmp_path / "a") as place:
            write(place, error)
        assert listed(tmp_path) == [b"a"]
        assert (tmp_path / "a").read_text() == "old"


def test_a_full_disk_is_one_line_whichever_library_writes(tmp_path):
    for error in (OSError(errno.ENOSPC, "No space left on device"), RuntimeError("No space left on device\nat line 3")):
        with pytest.raises(UserError, match=r"^Cannot write 'a': No space left on device\.$"):  # noqa: SIM117
            with plain_errors(Path("a"), RuntimeError):
                raise error


def test_a_folder_is_whole_or_absent_and_takes_no_other_s_place(tmp_path):
    with whole(tmp_path / "deep" / "a") as place:
        place.mkdir()
        (place / "1").write_text("x")
        assert not (tmp_path / "deep" / "a").exists()
    assert (tmp_path / "deep" / "a" / "1").read_text() == "x"
    with pytest.raises(UserError, match="Cannot write"), whole(tmp_path / "deep" / "a") as place:
        place.mkdir()
    assert (tmp_path / "deep" / "a" / "1").read_text() == "x"
    assert listed(tmp_path / "deep") == [b"a"]


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path):
    contents = [bytes([number]) * 10_000 for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda content: write_bytes(tmp_path / "a", content), contents))
    assert (tmp_path / "a").read_bytes() in contents
    assert listed(tmp_path) == [b"a"]


# ---------------------------------------------------------------- leftovers

MAKE = """
import sys
from pathlib import Path
from static_dynamic.common.files import partial_path
for name in ("file", "n" * 255):
    partial_path(Path(sys.argv[1], name)).write_text("half")
folder = partial_path(Path(sys.argv[1], "folder"))
folder.mkdir()
(folder / "1").write_text("half")
print("made", flush=True)
sys.stdin.read()
"""


def test_leftovers_of_processes_that_are_gone_are_removed_and_nothing_else(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", MAKE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"made\n"
    theirs = listed(tmp_path)
    assert len(theirs) == 3
    own = partial_path(tmp_path / "own")
    own.write_text("half")
    others = [".a.part", "a.part", ".a.123.part", ".part", f"{own.name}~", f"x{own.name}", "00000.parquet"]
    for name in others:
        (tmp_path / name).write_text("a user's")
    kept = sorted([*map(os.fsencode, others), os.fsencode(own.name)])
    clear_partials([tmp_path])
    assert listed(tmp_path) == sorted([*theirs, *kept])  # it is at work
    process.kill()  # and not waited for, as by a parent that was killed too
    while (Path("/proc") / str(process.pid) / "status").exists() and not is_zombie(process.pid):
        time.sleep(0.01)
    clear_partials([tmp_path, tmp_path / "missing", tmp_path / "a.part"])
    assert listed(tmp_path) == kept
    process.communicate()


def test_the_first_write_to_a_folder_removes_what_a_killed_process_left_there(tmp_path):
    process = subprocess.run([sys.executable, "-c", MAKE, tmp_path], input=b"", stdout=subprocess.PIPE)
    assert process.stdout == b"made\n"
    assert len(listed(tmp_path)) == 3
    write_text(tmp_path / "other", "x")
    assert listed(tmp_path) == [b"other"]


def is_zombie(process):
    return "State:\tZ" in (Path("/proc") / str(process) / "status").read_text()


def test_of_another_machine_only_what_is_old_is_a_leftover(tmp_path):
    young, old = tmp_path / ".a.elsewhere.1-0.part", tmp_path / ".b.elsewhere.1-0.part"
    for path in (young, old):
        path.write_text("half")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    clear_partials([tmp_path])
    assert listed(tmp_path) == [os.fsencode(young.name)]


def test_of_a_link_only_the_link_is_removed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("x")
    for name in ("data", "data/a", "nowhere"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / name)
        remove(link)
        assert not os.path.lexists(link)
    remove(tmp_path / "missing")
    assert (tmp_path / "data" / "a").read_text() == "x"
