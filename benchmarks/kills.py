"""What becomes of a run that is stopped at any moment: the same command must go on to the same bytes.

    python -m benchmarks.kills --times 20

Every job is a command line that is run to its end, twice, which must give equal files; the first run is the reference.
Then it is stopped at a random moment, sometimes twice in a row, and run again to its end. Every file must be that of
the reference, and none may be left over, neither partial files nor locks. Runs are stopped in three ways:

* killed: the kernel ends the process at once, as SIGKILL does.
* asked: SIGTERM or SIGINT. The run must end with the exit code 143 or 130 and one line, and leave nothing half-written.
* full: no file may become larger than a random size, as if the disk were full. The run must end with the exit code 2
  and one line that begins with "error: ", and leave nothing half-written.

Left out of the comparison are only the times in `FACTS` and logs of TensorBoard, whose names are times. Moments are
uniform over the processor time of the reference, so that a busy machine changes nothing. Runs are forked off a process
that has imported everything, so that a moment lies in the work of a run and not in its imports.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from static_dynamic.common.seeds import generator

TABLE = Path(__file__).with_name("kills.csv")
LIMIT = 300
"""Seconds after which a run counts as hung."""
SAID = 2**20
"""Bytes of what a run says at most."""
FACTS = {
    "run.json": rb'"finished": "[^"]*"|"seconds": [0-9.e-]+|"spent": {[^}]*}',
    "report.html": rb"(time of the run|finished)</th>\s*<td[^>]*>[^<]*|[0-9-]{10}T[0-9:]{8}[+]0000",
}
"""File → what of it may differ between two runs: when it ended, and how long it took."""
OF_TORCH = (".pt", ".pkl", ".tar")
"""Endings of what torch writes, which is compared by content: equal tensors that lie otherwise in memory have other
bytes."""
PARTIAL, TOLD = ".part", "told"
LOGS = "tensorboard"

Files = dict[str, str]
"""Path → digest of what is in it."""


@dataclass(frozen=True)
class Job:
    """A command line, and what lies in the folder where it is run.

    Attributes:
        name: What it is called in the table.
        line: The command line.
        prepare: Fills the folder.
    """

    name: str
    line: str
    prepare: Callable[[Path], object] = lambda folder: None


def frames_and_lists(folder: Path) -> None:
    """Frame folders of two classes, and their lists."""
    from PIL import Image

    draw = generator(0, "kills", "frames")
    for split, count in {"train": 6, "val": 2}.items():
        lines = []
        for number in range(count):
            name, label = f"{split}{number}", number % 2
            (folder / "frames" / name).mkdir(parents=True)
            for frame in range(1, 9):
                picture = draw.integers(60 * label, 120 + 60 * label, (32, 40, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / "frames" / name / f"{frame:06d}.jpg")
            lines.append(f"{name} 8 {label}\n")
        (folder / "frames" / f"{split}_videofolder.txt").write_text("".join(lines))
    (folder / "frames" / "category.txt").write_text("dark\nbright\n")


def small_davis(folder: Path) -> None:
    """Three sequences in the layout of DAVIS."""
    from static_dynamic.sources.small_davis import write_small_davis

    write_small_davis(folder / "davis", 10, 3)


def davis_with_flow(folder: Path) -> None:
    """The same, with their flow."""
    small_davis(folder)
    finished("flow davis", folder)


def painted_frame(folder: Path) -> None:
    """A clip, and one of its frames painted."""
    from PIL import Image, ImageOps

    draw = generator(0, "kills", "painted")
    (folder / "clip").mkdir()
    for number in range(3):
        Image.fromarray(draw.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(folder / "clip" / f"{number:03d}.png")
    with Image.open(folder / "clip" / "001.png") as frame:
        ImageOps.invert(frame).save(folder / "painted.png")


def measured_run(folder: Path) -> None:
    """A finished run."""
    finished(f"measure {MEASURE} --twins 0", folder)


MEASURE = "--model truth_cnn_both --videos factorial:20 --replicates 20 --out run"
STYLES = "--styles original,ink,mosaic,neon --workers 0"
LEARN = "--clip clip --key 001=painted.png --vgg none --filters 4,4,4,4,4,4 --blocks 1 --batch-size 2"
TRAIN = "--data frames --batch-size 2 --workers 0 --image-size 32 --frames 4 --save-steps 1 --save-every 2"
SEGMENTATION = "--cfg-file rtnet_34_davis.json --original-data-root davis --crop-size 64x96 --frame-step 2"
JOBS = [
    Job("flow", "flow davis", small_davis),
    Job("stylize", f"stylize davis --out styled {STYLES}", small_davis),
    Job("stylize mp4", f"stylize davis --out styled --format mp4 {STYLES}", small_davis),
    Job("learn", f"learn {LEARN} --steps 24 --every 4 --preview seen --out style.safetensors", painted_frame),
    Job("train", f"train --model tests.tiny_models:Tiny {TRAIN} --epochs 4 --eval-freq 1 --out run", frames_and_lists),
    Job("measure", f"measure {MEASURE} --twins 1 --batch-size 16"),
    Job("score", "score run --estimators needs_order,needs_motion --replicates 30", measured_run),
    Job(
        "segmentation",
        f"measure {SEGMENTATION} --styles ink,neon --estimators released --replicates 20 --twins 0 --out run",
        davis_with_flow,
    ),
]


KILLED = signal.SIGPROF
"""What the timer of processor time sends. Without a handler the kernel ends the process at once, as SIGKILL does."""
WAYS = {"killed": (KILLED,), "asked": (signal.SIGTERM, signal.SIGINT), "full": ()}
"""How a run is stopped → by which signals."""


def main() -> None:
    """Stop every job some times, and write the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--times", type=int, default=15, help="runs of each job that are killed; a third as many otherwise"
    )
    options.add_argument("--jobs", default="", help="names with commas between (default: all)")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    rows = []
    for job in JOBS:
        if not chosen.jobs or job.name in chosen.jobs.split(","):
            with TemporaryDirectory() as folder:
                rows += Trials(job, Path(folder), chosen.seed).rows(chosen.times)
            write_table(rows)
    if any(row["differed"] for row in rows):
        sys.exit("A run that was stopped did not end as one that was not.")


def write_table(rows: list[dict[str, Any]]) -> None:
    """Write the rows; those of other jobs are kept."""
    import pandas as pd

    before = [pd.read_csv(TABLE)] if TABLE.exists() else []
    table = pd.concat([*before, pd.DataFrame(rows)]).drop_duplicates(["job", "way"], keep="last")
    table.sort_values(["job", "way"]).to_csv(TABLE, index=False)


class Trials:
    """A job, its reference, and runs that are stopped.

    Args:
        job: The job.
        folder: An empty one.
        seed: Draws the moments.
    """

    def __init__(self, job: Job, folder: Path, seed: int) -> None:
        self.job, self.work, self.start, self.draw = (
            job,
            folder / "work",
            folder / "start",
            generator(seed, "kills", job.name),
        )
        self.start.mkdir()
        code, said = forked(lambda: job.prepare(self.start)).ended()
        if code:
            sys.exit(f"{job.name}: {said}")
        self.whole()  # with all imports, which are made here after it: some draw random numbers, which states keep
        self.reference, _ = self.whole()
        again, self.seconds = self.whole()
        if unequal := differences(self.reference, again):
            sys.exit(f"{job.name}: two whole runs differ: {unequal}")
        self.largest = max(path.stat().st_size for path in self.work.rglob("*") if path.is_file())

    def whole(self) -> tuple[Files, float]:
        """The files of a whole run from the start, and its processor seconds."""
        self.begin()
        if said := self.finish():
            sys.exit(f"{self.job.name}: {said[0]}")
        return files_in(self.work), json.loads((self.work.parent / TOLD).read_text())[0]

    def rows(self, times: int) -> list[dict[str, Any]]:
        """A row of the table for each way to stop a run."""
        return [self.row(way, times if way == "killed" else -(-times // 3)) for way in WAYS]

    def row(self, way: str, times: int) -> dict[str, Any]:
        """Stop some runs in one way."""
        stops = late = differed = 0
        for number in range(times):
            self.begin()
            problems: list[str] = []
            for _ in range(1 + int(self.draw.integers(2))):
                stopped, said = self.stop(way)
                stops, late, problems = stops + stopped, late + (not stopped), problems + said
            problems += [*self.finish(), *differences(self.reference, files_in(self.work))]
            differed += bool(problems)
            for line in problems:
                print(f"  {self.job.name}, {way}, run {number}: {line}", file=sys.stderr, flush=True)
        row = {
            "job": self.job.name, "way": way, "cpu_s": round(self.seconds, 2), "files": len(self.reference),
            "runs": times, "stops": stops, "ended_before": late, "differed": differed,
        }  # fmt: skip
        print(row, flush=True)
        return row

    def begin(self) -> None:
        """The folder as it is before the first run."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.start, self.work)

    def stop(self, way: str) -> tuple[bool, list[str]]:
        """Stop a run; whether it was still at work, and what is wrong with how it ended."""
        line, work, share = self.job.line, self.work, self.draw.random()
        if way == "full":
            child = forked(lambda: limited(line, work, int(share * self.largest)))
            return self.ended(child, 2, "error: ")
        number = WAYS[way][int(self.draw.integers(len(WAYS[way])))]
        child = forked(lambda: timed(line, work, share * self.seconds, number))
        if way == "killed":
            return child.ended()[0] == -number, []
        return self.ended(child, 128 + number, "Stopped. ")

    def ended(self, child: "Child", wanted: int, line: str) -> tuple[bool, list[str]]:
        """Wait for a run that was stopped and may end in order; whether it had to, and what is wrong."""
        code, said = child.ended()
        last = said.rpartition("\n")[2]
        half = [f"half-written: {name}" for name in files_in(self.work) if name.endswith((PARTIAL, ".lock"))]
        if code and (code != wanted or not last.startswith(line)):
            half.append(f"exit code {code}: {said[-2000:]}")
        return bool(code), half

    def finish(self) -> list[str]:
        """Run to the end; what went wrong."""
        return finished(self.job.line, self.work)


# Processes


@dataclass
class Child:
    """A process of its own, and what it says."""

    number: int
    output: int

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended; its exit code, and what it said."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        try:
            said = os.read(self.output, SAID)
        except BlockingIOError:  # nothing
            said = b""
        os.close(self.output)
        return code, said.decode(errors="replace").strip()


def forked(work: Callable[[], object]) -> Child:
    """Begin some work in a process group of its own."""
    read, write = os.pipe()  # a file would be cut where files may not be large
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SAID)
    os.set_blocking(read, False)
    child = os.fork()
    if child:
        os.close(write)
        return Child(child, read)
    code = 1
    try:
        os.setsid()
        os.dup2(write, 1)
        os.dup2(write, 2)
        signal.alarm(LIMIT)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        code = int(work() or 0)  # type: ignore[call-overload]
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def run(line: str, folder: Path, told: Path | None = None) -> int:
    """The program in a folder; afterwards it tells its processor seconds, and what it has imported."""
    from static_dynamic.main import main

    os.chdir(folder)
    code = main(line.split())
    if told is not None:
        told.write_text(json.dumps([time.process_time(), *sys.modules]))
    return code


def finished(line: str, folder: Path) -> list[str]:
    """Run to the end; what went wrong. What the run imported is imported here, too: later runs begin with it."""
    told = folder.parent / TOLD
    code, said = forked(lambda: run(line, folder, told)).ended()
    if code:
        return [f"exit code {code}: {said[-2000:]}"]
    for name in json.loads(told.read_text())[1:]:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    return []


def timed(line: str, folder: Path, moment: float, number: int) -> int:
    """The program, which gets a signal when it has used so much processor time."""
    if number != KILLED:
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), number))
    signal.setitimer(signal.ITIMER_PROF, max(moment, 1e-4))
    return run(line, folder)


def limited(line: str, folder: Path, size: int) -> int:
    """The program, where no file may be larger than this number of bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return run(line, folder)


# Files


def files_in(folder: Path) -> Files:
    """All files of a folder, but for logs."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and LOGS not in path.parts)
    return {path.relative_to(folder).as_posix(): digest(path) for path in paths}


def digest(path: Path) -> str:
    """Of what is in a file, without the times that may differ."""
    content = re.sub(FACTS[path.name], b"", path.read_bytes()) if path.name in FACTS else path.read_bytes()
    if path.name == "metrics.csv":
        import pandas as pd

        content = pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    elif path.name.endswith(OF_TORCH):
        import torch

        # The runs of this benchmark wrote these files, states of optimisers and of random numbers among them.
        content = repr(_plain(torch.load(path, map_location="cpu", weights_only=False))).encode()
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    """Tensors and arrays as digests; without any ``seconds``."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if name != "seconds"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    return hashlib.sha256(value.tobytes()).hexdigest() if isinstance(value, np.ndarray) else value


def differences(reference: Files, found: Files) -> list[str]:
    """What is missing, left over or other than in the reference."""
    return [
        *(f"missing: {name}" for name in reference.keys() - found.keys()),
        *(f"left over: {name}" for name in sorted(found.keys() - reference.keys())),
        *(f"other: {name}" for name in sorted(reference.keys() & found.keys()) if reference[name] != found[name]),
    ]


if __name__ == "__main__":
    main()
