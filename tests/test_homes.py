"""Everything that works in a folder keeps the one rule of runs: stores, data sets, flows, frames, training, styles."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from media import coded_frames, write_frames, write_video
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos, released
from test_stylize_learn import filmed, learn, painted, save
from tiny import TRAIN, run

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import partial_path, remove
from static_dynamic.common.locks import locked
from static_dynamic.common.runs import LOCK
from static_dynamic.flow.tree import FLOWS, compute_flow
from static_dynamic.results import MEASUREMENT
from static_dynamic.store import STUDY
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import NOTE, Settings
from static_dynamic.training.checkpoints import TRAINING
from static_dynamic.training.frames import FRAMES, Extraction, extract

pytest_plugins = ("tiny_data",)  # the fixture `work`


@dataclass
class Home:
    """A folder of a run, one of what it writes there, where it is described, and the run itself."""

    folder: Path
    target: Path
    description: Path
    lock: Path
    run: object
    kind: str


def measure(tmp_path):
    folder = tmp_path / "store"

    def run():
        released(PlantedModel(), PlantedVideos(4), STAGES, recipe=RECIPE, styles=("1", "2"), store=folder)

    return Home(folder, folder / "00000.json", folder / STUDY.file, folder / LOCK, run, STUDY.name)


class Steady:
    name = "steady"

    def __call__(self, start, end):
        return np.zeros((*start.shape[:2], 2), np.float32)


def flow(tmp_path):
    write_frames(tmp_path / "JPEGImages" / "480p" / "a", coded_frames(2), "{:05d}.jpg")
    folder = tmp_path / "FlowImages_gap1"

    def run():
        compute_flow(tmp_path, gaps=(1,), estimator=Steady(), workers=0)

    return Home(folder, folder / "a" / "00000.png", folder / FLOWS.file, folder / LOCK, run, FLOWS.name)


def frames(tmp_path):
    write_video(tmp_path / "videos" / "b" / "a.mp4", coded_frames(3))
    folder = tmp_path / "frames"

    def run():
        extract(tmp_path / "videos", folder, Extraction(height=0))

    return Home(folder, folder / "b" / "a", folder / FRAMES.file, folder / LOCK, run, FRAMES.name)


def stylized(tmp_path):
    write_video(tmp_path / "videos" / "a.mp4", coded_frames(3))
    folder = tmp_path / "out"

    def run():
        render(tmp_path / "videos", folder, Settings(("original",)), workers=0)

    target = folder / "style_0" / "a"
    return Home(folder, target, folder / NOTE, folder / LOCK, run, "stylized data set")


def style(tmp_path):
    for number in range(2):
        save(tmp_path / "frames" / f"{number:03d}.png", filmed(number))
    save(tmp_path / "keys" / "000.png", painted(filmed(0)))
    lock = tmp_path / ".a.safetensors.lock"
    description = tmp_path / "a.training.pt"

    def run():
        learn(tmp_path, "--steps", 1)

    return Home(tmp_path, tmp_path / "a.safetensors", description, lock, run, "learned style")


HOMES = {made.__name__: made for made in (measure, flow, frames, stylized, style)}


@pytest.fixture(params=HOMES)
def home(request, tmp_path):
    return HOMES[request.param](tmp_path)


@pytest.fixture(scope="session")
def ended():
    """The number of a process that has ended."""
    return int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True).stdout)


def leave(target, process, monkeypatch):
    """What a process leaves if it is killed while it writes."""
    with monkeypatch.context() as other:
        other.setattr("os.getpid", lambda: process)
        left = partial_path(target)
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_text("half")
    return left


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_describes_itself_and_leaves_no_lock(home):
    home.run()
    assert home.target.exists()
    if home.description.suffix == ".pt":
        description = torch.load(home.description)
    else:
        description = json.loads(home.description.read_text())
    assert (description["kind"], description["format"]) == (home.kind, STUDY.format if home.kind == STUDY.name else 1)
    assert not home.lock.exists()
    before = contents(home.folder)
    home.run()
    after = contents(home.folder)
    assert before.keys() == after.keys()
    assert before[home.target if home.target.is_file() else home.description]


def test_a_second_run_is_refused(home):
    home.folder.mkdir(exist_ok=True)
    before = contents(home.folder)
    with locked(home.lock, home.folder), pytest.raises(UserError, match=r"Another run is at work in .*: process "):
        home.run()
    assert contents(home.folder) == before
    home.run()


def test_what_a_killed_run_left_half_written_is_removed(home, ended, monkeypatch):
    home.run()
    remove(home.target)
    left = leave(home.target, ended, monkeypatch)
    home.run()
    assert not left.exists()
    assert home.target.exists()


def test_a_folder_of_another_kind_of_run_is_refused_and_kept(home):
    home.description.parent.mkdir(exist_ok=True)
    if home.description.suffix == ".pt":
        torch.save({"kind": "game", "format": 1}, home.description)
    else:
        home.description.write_text('{"kind": "game", "format": 1}')
    before = contents(home.folder)
    with pytest.raises(UserError, match=f"describes a game, not a {home.kind}"):
        home.run()
    assert contents(home.folder) == before


@pytest.mark.parametrize("name", HOMES)
def test_a_folder_may_have_a_name_that_is_not_utf_8(name, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    home = HOMES[name](folder)
    for _ in range(2):
        home.run()
        assert home.target.exists()


def test_a_result_too(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    result = released(PlantedModel(), PlantedVideos(4), STAGES, recipe=RECIPE, styles=("1", "2"))
    result.save(folder)
    assert sd.load(folder).layers.equals(result.layers)
    assert sd.load(folder).units.equals(result.units)
    assert all(path.exists() for path in (*result.plot(folder), result.report(folder / "report.html")))


# ---------------------------------------------------------------- training, and the folder of a measurement


def test_training_keeps_the_rule(work, ended, monkeypatch, capsys):
    command = [*TRAIN, "--epochs", 1, "--save_dir", "r"]
    folder = work / "r"
    folder.mkdir()
    with locked(folder / LOCK, folder):
        assert run(*command) == 2
    assert "error: Another run is at work in r: process " in capsys.readouterr().err
    MEASUREMENT.write(folder, {})
    assert run(*command) == 2
    assert "r/run.json describes a measurement, not a training run" in capsys.readouterr().err
    (folder / "run.json").unlink()
    left = [leave(folder / place, ended, monkeypatch) for place in ("state/000000003", "checkpoint/ckpt.pth.tar", "m")]
    assert run(*command) == 0
    assert not any(path.exists() for path in left)
    assert json.loads((folder / "run.json").read_text())["kind"] == TRAINING.name
    for place in ("checkpoint/mine.pth.tar", "state/notes.txt", "checkpoint/epoch_best_ckpt.pth.tar", "notes"):
        (folder / place).write_text("mine")
    stale = folder / "checkpoint" / "epoch_7ckpt.pth.tar"
    stale.write_text("of the run before")
    assert run(*command, "--lr", "0.1", "--resume", "False") == 0
    for place in ("checkpoint/mine.pth.tar", "state/notes.txt", "checkpoint/epoch_best_ckpt.pth.tar", "notes"):
        assert (folder / place).read_text() == "mine"
    assert not stale.exists()
    with pytest.raises(UserError, match="describes a training run, not a measurement"):
        sd.load(folder)


def test_a_result_takes_no_other_run_s_folder_and_reads_none(tmp_path):
    result = released(PlantedModel(), PlantedVideos(4), STAGES, recipe=RECIPE, styles=("1", "2"))
    result.save(tmp_path / "one")
    assert json.loads((tmp_path / "one" / "run.json").read_text())["kind"] == "measurement"
    assert sd.load(tmp_path / "one").manifest == json.loads(json.dumps(dict(result.manifest), default=str))
    TRAINING.write(tmp_path, {"lr": 0.1})
    before = contents(tmp_path)
    with pytest.raises(UserError, match="describes a training run, not a measurement"):
        result.save(tmp_path)
    assert contents(tmp_path) == before


# ---------------------------------------------------------------- flows


def test_flows_of_earlier_versions_know_their_estimator(tmp_path):
    home = flow(tmp_path)
    home.run()
    home.description.unlink()
    (home.folder / "made_by.txt").write_text("steady\n")
    home.run()
    (home.folder / "made_by.txt").write_text("DIS medium\n")
    with pytest.raises(UserError, match="another set of flows: estimator is 'DIS medium' there, 'steady' here"):
        home.run()
