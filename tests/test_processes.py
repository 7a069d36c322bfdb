"""Work in several processes: what it was that ended a worker is said, and truly."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.common.processes import UNGUARDED, in_processes, why_broken
from static_dynamic.training.data import loader as clip_loader
from static_dynamic.training.machinery import readable

ROOT = Path(__file__).parents[1]
TERMINATED = -signal.SIGTERM
REASONS = {
    "killed": ([TERMINATED, -signal.SIGKILL], True, "was killed, most likely because memory ran out"),
    "killed at the start": ([-signal.SIGKILL], False, "was killed, most likely because memory ran out"),
    "killed of four": ([TERMINATED, -signal.SIGKILL, None, 0], True, "Try fewer workers than 4 (`workers=2`)."),
    "killed, and the only one": ([-signal.SIGKILL], True, "Try fewer workers than 1 (`workers=0`)."),
    "crashed": ([-signal.SIGSEGV, TERMINATED], True, "crashed (SIGSEGV)"),
    "left": ([0, 3, TERMINATED], True, "ended too early (exit code 3)"),
    "no guard": ([UNGUARDED, TERMINATED], False, "below `if __name__"),
    "failed in the script": ([1, None], False, "below `if __name__"),
    "unknown": ([0, None], True, "ended too early"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_the_exit_codes_of_the_workers_say_why_a_pool_broke(reason):
    codes, started, says = REASONS[reason]
    assert says in why_broken(codes, started)


def test_a_worker_that_is_killed_is_one_line():
    with pytest.raises(UserError, match=r"A worker process was killed, most likely because memory ran out"):
        list(in_processes(signal.raise_signal, [signal.SIGKILL], workers=1))


@pytest.mark.parametrize("first", ["", "Path('made').mkdir()\n"], ids=["at the call", "before it"])
def test_a_script_without_a_main_guard_is_told_so(tmp_path, first):
    """Each worker runs the script again: it comes to the same call, or fails on its way there."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import math, sys\nfrom pathlib import Path\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from static_dynamic.common.processes import in_processes\n{first}print(list(in_processes(math.sqrt, [4], 2)))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "UserError: The worker processes could not start" in last
    assert '`if __name__ == "__main__":`' in last
    assert "memory" not in done.stderr
    assert ("FileExistsError" in done.stderr) == bool(first)
    assert "bootstrapping phase" not in done.stderr


def loader(message, steps=(1, 2)):
    yield from steps
    raise RuntimeError(message)


def test_a_process_of_a_loader_that_ends_is_one_line():
    steps = readable(loader("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert [next(steps), next(steps)] == [1, 2]
    with pytest.raises(UserError, match=r"ended too early \(DataLoader worker \(pid 7\) is killed by signal: Killed\)"):
        next(steps)
    with pytest.raises(RuntimeError, match="something else"):
        list(readable(loader("something else")))
    assert list(readable([1, 2])) == [1, 2]


class Deadly:
    """Clips whose reading ends the process, as the kernel does where memory runs out."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        signal.raise_signal(signal.SIGKILL)


def test_a_process_of_torch_s_loader_that_is_killed_is_one_line():
    with pytest.raises(
        UserError,
        match=r"ended too early \(DataLoader.*memory ran out.*With `workers=0`, this process reads the clips\.$",
    ):
        list(readable(clip_loader(Deadly(), 1, 1, training=False)))


def test_without_workers_all_is_done_here_in_order():
    assert list(in_processes(os.path.basename, ["a/b", "c/d"], workers=0)) == [("a/b", "b"), ("c/d", "d")]
