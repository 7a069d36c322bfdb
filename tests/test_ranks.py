"""Several processes measure into one store: what they find is what one process finds, and none waits for a dead one."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from quick import quick
from ranks import rank, workers
from torch import nn

import static_dynamic as sd
from static_dynamic import collect, shards, store
from static_dynamic.common import compute, rendezvous
from static_dynamic.common.locks import locked
from static_dynamic.common.ranks import Rank, here, shares
from static_dynamic.common.runs import LOCK, RANKS
from static_dynamic.common.tables import as_csv
from static_dynamic.main import main

ROOT = Path(__file__).parents[1]
TABLES = ("layers", "units", "twins", "quality", "pictures", "top_clips")
PER_SHARD, RUN = 2, 4


class Normed(PlantedModel):
    """Has statistics of batches, so that its twins are calibrated."""

    def __init__(self, seed=0):
        super().__init__()
        torch.default_generator.manual_seed(seed)
        self.deep = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
        self.deep[1].running_mean += 0.5

    def forward(self, clip):
        self.deep(clip)
        return super().forward(clip)


def redness(video, output):
    return {"red": float(output[..., 0].mean())}


def measured(folder, videos=21, bad=(), model=Normed, patience=60.0, max_bad=0.2, **options):
    """Measure in small shards, few of which are merged."""
    collect.VIDEOS_PER_SHARD, shards.RUN, store.RUN = PER_SHARD, RUN, RUN
    rendezvous.QUIET, rendezvous.BEAT, rendezvous.POLL, rendezvous.PATIENCE = 0.5, 0.2, 0.05, patience
    result = sd.measure(
        model(),
        PlantedVideos(videos, bad),
        {**STAGES, "deep": ("deep", "N C T H W")},
        **{
            "recipe": RECIPE,
            "styles": ("1", "2"),
            "twins": 1,
            "judge": redness,
            "scoring": sd.Scoring(replicates=20, nulls=2),
            "compute": sd.Compute(device="cpu", max_bad=max_bad),
            "store": folder / "store",
            **options,
        },
    )
    return {name: getattr(result, name) for name in TABLES} | {
        "warnings": result.warnings,
        "videos": result.manifest["videos"],
        "ranks": result.manifest["ranks"],
    }


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same(found, expected):
    """Bit for bit, since the text of a number is exact; only the types of text columns change when they are read."""
    for name in TABLES:
        assert as_csv(found[name]) == as_csv(expected[name]), name
    assert (found["warnings"], found["videos"]) == (expected["warnings"], expected["videos"])


@pytest.fixture(scope="module")
def pool():
    with workers() as started:
        yield started


@pytest.fixture(scope="module")
def whole(pool, tmp_path_factory):
    """What one process finds, by the number of videos: its result, and its files."""
    found = {}

    def of(videos=21, bad=()):
        if (videos, bad) not in found:
            folder = tmp_path_factory.mktemp("whole")
            (outcome,) = pool.launch(1, measured, folder, videos, bad)
            assert outcome.error is None, outcome
            found[videos, bad] = outcome.value, tree(folder)
        return found[videos, bad]

    return of


# ---------------------------------------------------------------- equal to one process


@pytest.mark.parametrize(
    ("count", "videos"),
    quick((3, 21), (3, 3), among=[(2, 21), (3, 21), (3, 3), (2, 40), (3, 33)]),
)
def test_results_and_stores_are_those_of_one_process(pool, whole, tmp_path, count, videos):
    """11 shards in uneven shares, with runs of 4 that lie across borders; 2 shards for 3 ranks."""
    expected, files = whole(videos)
    outcomes = pool.launch(count, measured, tmp_path, videos)
    for outcome in outcomes:
        assert outcome.error is None, outcome
        same(outcome.value, expected)
        assert outcome.value["ranks"] == count
    assert tree(tmp_path) == files
    assert any("-" in Path(name).stem for name in files if "twin" not in name) == (videos >= RUN * PER_SHARD)


def test_unreadable_videos_are_recorded_as_by_one_process(pool, whole, tmp_path):
    expected, files = whole(21, (2, 3, 17))
    for outcome in pool.launch(2, measured, tmp_path, bad=(2, 3, 17)):
        same(outcome.value, expected)
    assert tree(tmp_path) == files
    assert sum("Skipped" in line for line in expected["warnings"]) == 3


def test_too_many_unreadable_videos_are_counted_over_all_ranks(pool, tmp_path):
    """Two in one share and one in the other, where two of all are allowed."""
    first, second = pool.launch(2, measured, tmp_path, bad=(2, 3, 17), max_bad=0.1)
    said = "3 of 21 videos cannot be read, more than `max_bad=0.1` allows. The last: v017: broken on purpose."
    assert str(first.error) == said
    assert str(second.error) == f"Rank 0 of 2 failed: {said}"
    (again,) = pool.launch(1, measured, tmp_path, bad=(2, 3, 17), max_bad=0.1)
    assert str(again.error) == said


def test_all_videos_of_a_share_may_be_unreadable_and_those_of_all_may_not(pool, whole, tmp_path):
    bad = (0, 1, 2)
    first, second = pool.launch(2, measured, tmp_path / "some", 6, (4, 5), max_bad=1)
    assert first.error is None
    assert [record["problem"] is None for record in second.value["videos"]] == [True] * 4 + [False] * 2
    first, second = pool.launch(2, measured, tmp_path / "none", 3, bad, max_bad=1)
    assert str(first.error) == "No video could be read. The first: v000: broken on purpose."


def counted(folder):
    told = []
    measured(folder, on_video=lambda done, total, name: told.append((done, total)))
    return told


def test_rank_0_counts_the_videos_of_all(pool, tmp_path):
    first, second = pool.launch(2, counted, tmp_path)
    assert first.value == sorted(first.value)
    assert first.value[-1] == (21, 21)
    assert second.value == [(done, 21) for done in range(1, 10)]  # 11 shards: 6 and 5, the last of one video


# ---------------------------------------------------------------- stopped and resumed


def dies(folder, who, after, **options):
    """Measure; one rank is killed when so many videos of its share are done."""

    def told(done, total, name):
        if rank() == who and int(name[1:] if name else 0) == after:
            os.kill(os.getpid(), signal.SIGKILL)

    return measured(folder, on_video=told, **options)


@pytest.mark.parametrize("again", quick(1, among=[1, 3]))
def test_a_killed_rank_is_named_and_its_work_is_picked_up(pool, whole, tmp_path, again):
    first, second = pool.launch(2, dies, tmp_path, 1, 16)
    assert second is None
    line = str(first.error)
    assert line.startswith("Rank 1 of 2 is lost: process ")
    assert line.endswith("gives no sign of life. What is stored stays, and the same command resumes.")
    stored = tree(tmp_path)
    assert "store/00005.parquet" not in stored or "store/00010.parquet" not in stored
    assert "store/study.json" in stored
    expected, files = whole()
    for outcome in pool.launch(again, measured, tmp_path):
        same(outcome.value, expected)
    assert tree(tmp_path) == files


def test_when_rank_0_is_killed_the_others_say_so_and_any_number_goes_on(pool, whole, tmp_path):
    first, second = pool.launch(2, dies, tmp_path, 0, 3)
    assert first is None
    assert str(second.error).startswith("Rank 0 of 2 is lost: process ")
    expected, files = whole()
    for outcome in pool.launch(2, measured, tmp_path):
        same(outcome.value, expected)
    assert tree(tmp_path) == files


def test_shards_that_a_killed_run_left_apart_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "VIDEOS_PER_SHARD", PER_SHARD)
    for module in (shards, store):
        monkeypatch.setattr(module, "RUN", RUN)
    for folder in ("whole", "apart"):
        with monkeypatch.context() as killed:
            if folder == "apart":
                killed.setattr(store.Store, "_put_together", lambda self, shard: None)
            measured_alone(tmp_path / folder)
    assert (tmp_path / "apart" / "store" / "00003.parquet").exists()
    measured_alone(tmp_path / "apart")
    assert tree(tmp_path / "apart") == tree(tmp_path / "whole")


class Failing(Normed):
    """Fails in the process of one rank."""

    def forward(self, clip):
        if rank() == int(os.environ["FAILS"]):
            raise RuntimeError("no memory\nis left")
        return super().forward(clip)


def fails(folder, who):
    os.environ["FAILS"] = who
    return measured(folder, model=Failing)


@pytest.mark.parametrize("who", quick("1", among=["0", "1"]))
def test_a_rank_that_fails_ends_all_of_them_with_one_line(pool, whole, tmp_path, who):
    outcomes = pool.launch(3, fails, tmp_path, who)
    failed = outcomes[int(who)]
    assert "no memory" in str(failed.error)
    told = [str(outcome.error) for outcome in outcomes if outcome is not failed]
    assert f"Rank {who} of 3 failed: {failed.error}" in told
    assert all(isinstance(outcome.error, sd.UserError) and "\n" not in str(outcome.error) for outcome in outcomes)
    (again,) = pool.launch(1, measured_as, tmp_path)
    assert again.error is None


def measured_as(folder):
    """The model that failed, which no longer does."""
    os.environ["FAILS"] = "none"
    Failing.forward = Normed.forward
    return measured(folder, model=Failing, resume=False)


# ---------------------------------------------------------------- whose the folder is


def waits(folder, **options):
    """Measure, and wait at the last video of the share until a file appears."""

    def told(done, total, name):
        if name == ("v008" if rank() == 0 else "v018"):
            (folder / f"waits-{rank()}").touch()
            while not (folder / f"go-{rank()}").exists():
                time.sleep(0.02)

    return measured(folder, on_video=told, **options)


def wait_for(*paths):
    while not all(path.exists() for path in paths):
        time.sleep(0.02)


def test_a_second_run_is_told_whoever_is_alive(pool, whole, tmp_path):
    started = pool.start(2, waits, tmp_path, launch="first")
    wait_for(tmp_path / "waits-0", tmp_path / "waits-1")
    with pytest.raises(
        sd.UserError, match=f"Another run is at work in {tmp_path}/store: process {started[0][0].pid} on"
    ):
        measured_alone(tmp_path)
    first, second = pool.launch(2, measured, tmp_path, launch="second")
    for outcome in (first, second):
        assert f"Another run is at work in {tmp_path}/store: process {started[0][0].pid} on" in str(outcome.error)
    (tmp_path / "go-1").touch()
    started[0][0].kill()
    assert pool.finish(started[:1]) == [None]
    (tmp_path / "go-0").touch()
    (late,) = pool.finish(started[1:])
    assert str(late.error).startswith("Rank 0 of 2 is lost")


def measured_alone(folder):
    return sd.measure(PlantedModel(), PlantedVideos(18), STAGES, recipe=RECIPE, twins=0, store=folder / "store")


def test_a_run_is_told_of_a_rank_that_outlives_rank_0(tmp_path):
    (tmp_path / "store").mkdir()
    with (
        locked(tmp_path / "store" / f"{LOCK}.1", tmp_path / "store"),
        pytest.raises(sd.UserError, match=f"Another run is at work in {tmp_path}/store"),
    ):
        measured_alone(tmp_path)
    assert measured_alone(tmp_path).manifest["ranks"] == 1
    assert not list((tmp_path / "store").glob(".*"))


@pytest.mark.parametrize("earlier", quick("other", among=["equal", "other"]))
def test_a_run_that_starts_over_does_so_once(pool, whole, tmp_path, earlier):
    options = {"videos": 21 if earlier == "equal" else 30}
    (before,) = pool.launch(1, measured, tmp_path, **options)
    assert before.error is None
    marked = next((tmp_path / "store").glob("*.safetensors"))
    marked.write_bytes(b"damaged")
    if earlier == "other":
        refused = pool.launch(2, measured, tmp_path, patience=2.0)
        assert "belongs to another study" in str(refused[0].error)
    outcomes = pool.launch(3, measured, tmp_path, resume=False)
    expected, files = whole()
    for outcome in outcomes:
        assert outcome.error is None, outcome
        same(outcome.value, expected)
    assert tree(tmp_path) == files


def test_what_a_killed_launch_left_is_not_taken_for_this_one(pool, whole, tmp_path):
    """Files of ranks that met, of ranks that did not, and locks that nobody holds."""
    place = tmp_path / "store" / RANKS
    place.mkdir(parents=True)
    gone = {"process": 2**22 + 1, "host": "elsewhere", "at": "at work", "done": 3, "beat": 7}
    call = {"token": "old", "ranks": 2, "launch": "1", "plan": {"shares": [[0, 1], [1, 2]]}, **gone}
    (place / "0.json").write_text(json.dumps({**call, "members": {"1": "older"}}))
    (place / "1.json").write_text(json.dumps({**call, "to": "old", "failed": "long ago"}))
    (place / "2.json").write_text("not json")
    (tmp_path / "store" / LOCK).write_text("process 1 on elsewhere")
    (tmp_path / "store" / f"{LOCK}.1").write_text("process 2 on elsewhere")
    expected, files = whole()
    for outcome in pool.launch(2, measured, tmp_path):
        same(outcome.value, expected)
    assert tree(tmp_path) == files


def seeded_by_rank(folder):
    return measured(folder, model=lambda: Normed(rank()))


def test_ranks_with_other_weights_are_told_apart(pool, tmp_path):
    first, second = pool.launch(2, seeded_by_rank, tmp_path)
    assert str(second.error).startswith("This rank measures something else than rank 0: weights is '")
    assert str(second.error).endswith("draw the weights from one seed, or load them.")
    assert str(first.error) == f"Rank 1 of 2 failed: {second.error}"


def test_a_rank_that_does_not_come_is_named(pool, tmp_path):
    (first,) = pool.launch(3, measured, tmp_path, only=[0], patience=0.5)
    assert f"Of 3 ranks these did not come to {tmp_path}/store within 0 s: 1, 2. All processes" in str(first.error)
    assert "`alone=True`" in str(first.error)
    (third,) = pool.launch(3, measured, tmp_path / "new", only=[2], patience=0.5)
    assert "Rank 0 did not begin" in str(third.error)
    assert "and rank 2 of 3 waited" in str(third.error)
    assert not (tmp_path / "new").exists()


# ---------------------------------------------------------------- each by itself


def by_itself(folder):
    own = folder / str(rank())
    alone = measured(own, compute=sd.Compute(device="cpu", alone=True), videos=6)
    return alone, measured(own, store=None, videos=6)


def test_ranks_measure_by_themselves_if_told_to_or_without_a_folder(pool, whole, tmp_path):
    expected, _ = whole(6)
    outcomes = pool.launch(2, by_itself, tmp_path)
    for outcome in outcomes:
        alone, without = outcome.value
        same(alone, expected)
        pd.testing.assert_frame_equal(without["layers"], expected["layers"])
        assert (alone["ranks"], without["ranks"]) == (1, 1)
        assert sum("measured all videos by itself" in line for line in without["warnings"]) == 1


def test_an_address_is_not_shared(pool):
    for outcome in pool.launch(2, measured, Path(), store="s3://bucket/store"):
        assert "The 2 processes of torchrun need a folder that all of them see. Got the address 's3:" in str(
            outcome.error
        )


# ---------------------------------------------------------------- the program


WORDS = [
    "--model",
    "truth_cnn_both",
    "--videos",
    "factorial:10",
    "--twins",
    "1",
    "--replicates",
    "20",
    "--device",
    "cpu",
]


def program(words):
    sd.Result.plot = sd.Result.report = lambda *arguments: None
    return main(words), sd.rank()


def test_the_program_prints_and_writes_once(pool, tmp_path):
    first, second = pool.launch(2, program, ["measure", *WORDS, "--out", str(tmp_path / "two")])
    assert (first.value, second.value) == ((0, 0), (0, 1))
    assert (second.out, second.err) == ("", "")
    assert "needs_motion" in first.out
    (one,) = pool.launch(1, program, [*WORDS, "--out", str(tmp_path / "one")])
    assert one.value == (0, 0)
    there, alone = (tree(tmp_path / name) for name in ("two", "one"))
    assert there.keys() == alone.keys()
    for name in (name for name in alone if name.startswith("store/") or name.endswith((".parquet", ".csv"))):
        assert there[name] == alone[name], name
    assert json.loads(there["run.json"])["ranks"] == 2


def test_other_commands_say_that_they_run_in_one_process(pool, tmp_path):
    outcomes = pool.launch(2, program, ["score", str(tmp_path)])
    for outcome in outcomes:
        said = f"The command score runs in one process, and this is rank {outcome.value[1]} of 2 of torchrun"
        assert outcome.value[0] == 2
        assert outcome.err.startswith(f"error: {said}: start it without torchrun.")


SCRIPT = """
import sys
from pathlib import Path

import torch.distributed as dist

sys.path.insert(0, "tests")
from test_ranks import measured, same, tree

dist.init_process_group("gloo")
found = measured(Path(sys.argv[1]))
everywhere = [None] * dist.get_world_size()
dist.all_gather_object(everywhere, found)
for other in everywhere:
    same(other, found)
dist.barrier()
dist.destroy_process_group()
"""


def test_two_processes_of_torchrun(whole, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, tmp_path / "script.py", tmp_path / "run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "run") == whole()[1]


# ---------------------------------------------------------------- which process this is

SRUN = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1, 0, "")),
        ({"RANK": "1"}, (0, 1, 0, "")),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1, 0, "")),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (5, 8, 1, "torchrun")),
        ({"RANK": "5", "WORLD_SIZE": "8"}, (5, 8, 5, "torchrun")),
        (SRUN, (2, 4, 0, "srun")),
        ({**SRUN, "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (5, 8, 1, "torchrun")),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "3"}, (2, 3, 0, "srun")),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, (0, 1, 0, "")),
        ({**SRUN, "SLURM_STEP_ID": "4294967290"}, (0, 1, 0, "")),  # an interactive shell of salloc
        ({name: value for name, value in SRUN.items() if name != "SLURM_STEP_ID"}, (0, 1, 0, "")),  # a script of sbatch
    ],
)
def test_the_launcher_states_the_rank(variables, expected):
    found = here(variables)
    assert (found.number, found.count, found.local, found.launcher) == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK.*must be a whole number from 0 to 1. Got 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK.*from 0 to 1. Got '2'"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "WORLD_SIZE.*of at least 1. Got '0'"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "-1"}, "LOCAL_RANK.*of at least 0. Got '-1'"),
        ({**SRUN, "SLURM_PROCID": "4"}, "SLURM_PROCID.*from 0 to 3. Got '4'"),
        ({**SRUN, "SLURM_NTASKS": "9" * 99}, "SLURM_NTASKS.*of at least 1"),
        ({"SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}, "SLURM_NTASKS.*Got ''"),
    ],
)
def test_malformed_variables_are_named(variables, said):
    with pytest.raises(sd.UserError, match=said):
        here(variables)


def test_every_rank_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for local, device in ((0, "cuda:0"), (1, "cuda:1"), (5, "cuda:1")):
        monkeypatch.setattr(compute, "here", lambda local=local: Rank(local, 8, local))
        assert compute.pick_device("auto") == compute.pick_device("cuda") == torch.device(device)
        assert compute.pick_device("cuda:0") == torch.device("cuda:0")
        assert compute.pick_device("cpu") == torch.device("cpu")


# ---------------------------------------------------------------- shares


@given(st.lists(st.booleans(), max_size=120), st.integers(1, 40))
def test_every_shard_is_of_one_share_and_missing_ones_are_spread_evenly(there, count):
    missing = [shard for shard, found in enumerate(there) if not found]
    parts = shares(missing, len(there), count)
    assert len(parts) == count
    assert list(chain(*parts)) == list(range(len(there)))
    work = [sum(shard in part for shard in missing or range(len(there))) for part in parts]
    assert max(work) - min(work) <= 1
    assert parts[0] or not there


@given(st.integers(1, 500), st.integers(1, 30))
def test_at_most_one_run_fewer_than_ranks_lies_across_a_border(total, count):
    parts = [part for part in shares([], total, count) if part]
    runs = [{shard // shards.RUN for shard in part} for part in parts]
    shared = sum(len(one) for one in runs) - len(set().union(*runs))
    assert shared <= len(parts) - 1
    assert parts[0].start == 0
