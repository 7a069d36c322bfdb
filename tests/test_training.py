"""From frames to a trained model; a run that is stopped goes on exactly."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import TEST, TRAIN, fails, metrics, run, same, succeeds, weights
from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.training import loop
from static_dynamic.training.checkpoints import Progress, publish
from static_dynamic.training.data import IGNORED, Complaint, Item, collate
from static_dynamic.training.lists import write_categories
from static_dynamic.training.options import LoopOptions

pytest_plugins = ("tiny_data",)  # the fixture `work`

ROOT = Path(__file__).resolve().parents[1]


# --- a run -------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_leaves_metrics_and_checkpoints(work, capsys):
    succeeds(*TRAIN, "--epochs", 4, "--save_every", 2, "--save_dir", "r")
    table = metrics("r")
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    assert table["val_top1"].iloc[-1] == 100
    assert table["val_loss"].iloc[-1] < table["val_loss"].iloc[0]
    assert "epoch 4" in capsys.readouterr().out
    names = {path.name for path in Path("r/checkpoint").iterdir()}
    assert names == {"ckpt.pth.tar", "best.pth.tar", "epoch_2ckpt.pth.tar", "epoch_4ckpt.pth.tar"}
    assert [path.name for path in Path("r/state").iterdir()] == ["000000012"]
    assert Path("r/bad_videos.csv").read_text() == "video,what\n"


def test_the_log_of_tensorboard_holds_the_metrics(work):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "r")
    log = EventAccumulator("r/tensorboard").Reload()
    for name in ("train_loss", "val_top1", "lr"):
        assert [event.value for event in log.Scalars(name)] == pytest.approx(metrics("r")[name])


def test_checkpoints_are_in_the_published_format_and_load_as_any_other(work):
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "r")
    content = weights("r", "best.pth.tar")
    assert content.keys() == {"epoch", "arch", "state_dict", "optimizer", "best_prec1"}
    assert content["arch"] == "tiny_models:Tiny"
    assert content["best_prec1"] == metrics("r")["val_top1"].max()
    assert all(name.startswith("module.") for name in content["state_dict"])
    model = models.create_model("tiny_models:Tiny", checkpoint="r/checkpoint/best.pth.tar", num_classes=3)
    assert model.checkpoint.missing == model.checkpoint.unexpected == ()
    for name, value in model.state_dict().items():
        assert torch.equal(value, content["state_dict"][f"module.{name}"])


def test_what_we_train_of_dyreg_loads_again(tmp_path):
    """The published loaders rename keys that need no renaming, so that only the released files load."""
    name = "tsm_dyreg_l3_8f"
    model = models.create_model(name, num_classes=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    publish(tmp_path, ["ckpt.pth.tar"], name, model, optimizer, Progress(epoch=1))
    again = models.create_model(name, checkpoint=tmp_path / "checkpoint" / "ckpt.pth.tar", num_classes=3, seed=1)
    assert same(dict(model.state_dict()), dict(again.state_dict()))


SMALL_NET = """
from tiny_models import Tiny

def build(num_classes=400):
    net = Tiny(num_classes)
    net.spec.stages = {"conv": ("conv", "N C T H W")}
    return net
"""


def test_what_we_train_can_be_measured_as_it_is(work):
    """With three classes, of a model that has 400 by default; the command needs no more than the file."""
    import static_dynamic as sd
    from static_dynamic import main as entry

    Path("small_net.py").write_text(SMALL_NET)
    succeeds("train", *TRAIN[3:], "--model", "small_net:build", "--epochs", 1, "--save_dir", "r")
    command = ["--model", "small_net:build", "--checkpoint", "r/checkpoint/ckpt.pth.tar", "--videos", "factorial:3"]
    assert entry.main([*command, "--replicates", "20", "--save_dir", "m"]) == 0
    result = sd.load("m")
    assert result.manifest["num_classes"] == 3
    assert result.manifest["checkpoint"]["missing"] == []
    assert not any("random" in warning or "weights" in warning for warning in result.warnings)


def test_other_classes_and_what_is_random_then(work, capsys):
    torch.save({"state_dict": models.create_model("tiny_models:Tiny", num_classes=7).state_dict()}, "seven.pth")
    for command in (TRAIN, TEST):
        line = fails(capsys, *command, "--checkpoint", "seven.pth", "--save_dir", "r")
        assert "seven.pth has 7 classes, lists/category.txt 3. --strict False keeps all but the classifier" in line
    says = "Note: Only 6 of 8 weights (96.2 % of parameters) came from seven.pth; random: fc.weight, fc.bias."
    numbers, head = 3 * 27 * 8 + 8 + 4 * 8, 8 * 3 + 3
    assert f"{1000 * numbers // (numbers + head) / 10} %" in says
    own = says.replace("random", "as your function made them")
    for command in (TRAIN, TEST):
        capsys.readouterr()
        epochs = ["--epochs", 1] if command is TRAIN else []
        succeeds(*command, *epochs, "--checkpoint", "seven.pth", "--strict", "False", "--save_dir", command[0])
        assert own in capsys.readouterr().out.splitlines()
    summary = json.loads(Path("evaluate/accuracy.json").read_text())
    assert summary["notes"] == [own.removeprefix("Note: ")]
    assert summary["checkpoint"]["filled"] == [6, 8, numbers, numbers + head]


def test_whatever_a_model_raises_is_one_line_with_the_shape(work, capsys):
    Path("odd_net.py").write_text(
        "from tiny_models import Tiny\nclass Odd(Tiny):\n    def forward(self, clip):\n        raise KeyError('lost')\n"
    )
    for command in (TRAIN, TEST):
        line = fails(capsys, command[0], *command[3:], "--model", "odd_net:Odd", "--save_dir", "r")
        assert "failed on an input of shape (4, 3, 4, 16, 16): KeyError: 'lost'." in line


# --- going on ----------------------------------------------------------------------------------------------------


def contents(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


class Stopped(Exception):
    """Stands for a kill: nothing runs after it."""


def stop_after(monkeypatch, steps):
    """Die in the middle of the step that follows so many."""
    step, left = loop._Run._step, iter(range(steps))

    def mortal(self, batch):
        if next(left, None) is None:
            raise Stopped
        step(self, batch)

    monkeypatch.setattr(loop._Run, "_step", mortal)


def runs_equal(a, b):
    assert same(weights(a), weights(b))
    pd.testing.assert_frame_equal(metrics(a), metrics(b), check_exact=True)
    states = [next((Path(folder) / "state").iterdir()) for folder in (a, b)]
    assert states[0].name == states[1].name
    for name in ("random_states_0.pkl", "optimizer.bin", "scheduler.bin"):
        loaded = [torch.load(state / name, weights_only=False) for state in states]
        loaded = [{**one, "numpy_random_seed": None} if "random" in name else one for one in loaded]
        assert same(*loaded)


@pytest.mark.parametrize(
    ("dies_after", "saved", "options"),
    [
        (3, 3, []),  # between the epochs, of three steps each
        (5, 3, []),  # within the second one: it is begun again
        (4, 4, ["--save_steps", 1]),  # within it: it is gone on with
        (2, 2, ["--save_steps", 2, "--lr_type", "cos", "--gd", "1"]),
        pytest.param(5, 5, ["--save_steps", 2, "--num_workers", 2], marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_killed_goes_on_exactly(work, monkeypatch, dies_after, saved, options):
    """Weights, momentum, running statistics, dropout's random numbers, order and crops: bit for bit."""
    command = [*TRAIN, "--epochs", 3, *options]
    succeeds(*command, "--save_dir", "whole")
    stop_after(monkeypatch, dies_after)
    with pytest.raises(Stopped):
        run(*command, "--save_dir", "broken")
    assert [path.name for path in Path("broken/state").iterdir()] == [f"{saved:09d}"]
    monkeypatch.undo()
    monkeypatch.chdir(work)
    succeeds(*command, "--save_dir", "broken")
    runs_equal("whole", "broken")


def test_one_epoch_and_then_another_are_two(work):
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "two")
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "one")
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "one")
    runs_equal("two", "one")


def test_the_number_of_workers_changes_nothing(work):
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "none")
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "two", "--num_workers", 2)
    runs_equal("none", "two")


def test_a_kill_while_the_state_is_written_costs_nothing_but_that_state(work, monkeypatch):
    from accelerate import Accelerator

    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "whole")
    save, left = Accelerator.save_state, iter(range(1))

    def mortal(self, folder):
        save(self, folder)
        if next(left, None) is None:
            (Path(folder) / "model.safetensors").write_bytes(b"half")
            raise Stopped

    monkeypatch.setattr(Accelerator, "save_state", mortal)
    with pytest.raises(Stopped):
        run(*TRAIN, "--epochs", 2, "--save_dir", "broken")
    monkeypatch.undo()
    monkeypatch.chdir(work)
    assert {path.name for path in Path("broken/state").iterdir()} == {"000000003"}
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "broken")
    runs_equal("whole", "broken")


def test_a_finished_run_is_left_as_it_is(work):
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "r")
    before = {path: text for path, text in contents("r").items() if "tensorboard" not in str(path)}
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "r")
    assert {path: text for path, text in contents("r").items() if "tensorboard" not in str(path)} == before


CHANGES = {
    "lr is 0.05 there, 0.1 here": ["--lr", "0.1"],
    "batch_size is 4 there, 2 here; gd is None there, 5.0 here": ["--batch_size", "2", "--gd", "5"],
    "model is 'tiny_models:Tiny' there, 'tiny_models:steady' here": ["--model", "tiny_models:steady"],
    "crop is 16 there, 32 here; short_side is 20 there, 40 here": ["--image_size", "32"],
    "flip is False there, True here": ["--flip"],
    "dropout is None there, 0.0 here": ["--dropout", "0"],
}


def test_a_run_of_another_configuration_is_refused_and_kept(work, capsys):
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "r")
    before = contents("r")
    for says, change in CHANGES.items():
        line = fails(capsys, *TRAIN, *change, "--epochs", 2, "--save_dir", "r")
        assert (
            f"r belongs to another training run: {says}. Choose another place, or start over with --resume False"
            in line
        )
        assert contents("r") == before
    succeeds(*TRAIN, "--lr", "0.1", "--epochs", 1, "--save_dir", "r", "--resume", "False")
    assert metrics("r")["lr"].tolist() == [0.1]


def test_more_epochs_go_on_with_a_run_unless_the_rate_depends_on_them(work, capsys):
    succeeds(*TRAIN, "--epochs", 1, "--lr_type", "cos", "--save_dir", "r")
    assert "epochs is 1 there, 2 here" in fails(capsys, *TRAIN, "--epochs", 2, "--lr_type", "cos", "--save_dir", "r")


def test_other_videos_are_another_run(work, capsys):
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "r")
    path = Path("lists/train_videofolder.txt")
    path.write_text(path.read_text().replace("train00 9 0", "train00 9 1"))
    assert "videos is '12 videos, " in fails(capsys, *TRAIN, "--epochs", 2, "--save_dir", "r")


def test_two_processes_do_what_one_does(work):
    """Half the batch each, by torchrun; where nothing looks across a batch or at random numbers, metrics agree."""
    common = [*TRAIN, "--model", "tiny_models:steady", "--dropout", "0", "--epochs", 2]
    succeeds(*common, "--save_dir", "one")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "training"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [*launch, *map(str, common), "--batch_size", "2", "--save_dir", "two"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2") == 1
    np.testing.assert_allclose(metrics("two"), metrics("one"), rtol=1e-4)
    for name, value in weights("one")["state_dict"].items():
        torch.testing.assert_close(weights("two")["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    assert weights("two")["state_dict"].keys() == weights("one")["state_dict"].keys()


# --- what is bad -------------------------------------------------------------------------------------------------


def copy_frames(work):
    """Frames of one's own, to damage."""

    (work / "frames").rename(work / "good")
    shutil.copytree(work / "good", work / "frames")


def test_videos_that_cannot_be_read_are_named_and_take_no_part(work):
    copy_frames(work)
    for number in range(1, 10):
        Path(f"frames/train00/{number:06d}.jpg").unlink()
        Path(f"frames/val21/{number:06d}.jpg").write_text("no picture")
    succeeds(*TRAIN, "--epochs", 2, "--max_bad", "0.2", "--save_dir", "r")
    table = pd.read_csv("r/bad_videos.csv")
    assert table["video"].tolist() == ["train00", "val21"]
    assert "frame is missing" in table["what"][0]
    assert "cannot be read" in table["what"][1]
    succeeds(*TEST, "--checkpoint", "r/checkpoint/best.pth.tar", "--save_dir", "e", "--max_bad", "0.2")
    summary = json.loads(Path("e/accuracy.json").read_text())
    assert (summary["videos"], summary["listed"]) == (5, 6)
    assert pd.read_csv("e/predictions.csv")["video"].tolist() == ["val00", "val01", "val10", "val11", "val20"]


def test_too_many_of_them_end_the_run(work, capsys):
    copy_frames(work)
    for name in ("train00", "train01"):
        for path in Path(f"frames/{name}").iterdir():
            path.unlink()
    line = fails(capsys, *TRAIN, "--epochs", 1, "--save_dir", "r")
    assert "2 of 18 videos cannot be read, more than --max-bad 0.05 allows" in line
    assert "train0" in line


def test_a_batch_of_unreadable_clips_changes_no_weight(tmp_path, alone):
    clips = [(torch.randn(3, 4, 16, 16), 0, None)] * 2
    options = LoopOptions(batch_size=2, epochs=1, workers=0, device="cpu", max_bad=1, momentum=0, weight_decay=0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 16 * 16, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}

    bad = [Item(clip, IGNORED, Complaint(str(i), "gone")) for i, (clip, *_) in enumerate(clips)]
    (row,) = loop.fit(model, bad, None, options, tmp_path)
    assert same(dict(model.state_dict()), before)
    assert row["train_loss"] == row["train_top1"] == 0


def test_a_batch_holds_the_readable_clips_in_training_and_all_in_a_test():

    complaint = Complaint("b", "gone")
    items = [Item(torch.ones(3), 1), Item(torch.zeros(3), IGNORED, complaint), (torch.ones(3), 2)]
    training, test = (collate(items, readable) for readable in (True, False))
    assert training.labels.tolist() == [1, 2]
    assert test.labels.tolist() == [1, IGNORED, 2]
    assert training.complaints == test.complaints == [complaint]


SLIPS = {
    "unknown command": (["trian"], "Unknown command 'trian'. Did you mean 'train'"),
    "no model": (["train", "--data", "frames"], "--model is required"),
    "no data": (["train", "--model", "i3d"], "--data is required"),
    "unknown option": ([*TRAIN, "--epoch", "3"], "Unknown option '--epoch'. Did you mean '--epochs'"),
    "unknown model": ([*TRAIN, "--model", "tms_r50_8f"], "Did you mean 'tsm_r50_8f'"),
    "no number": ([*TRAIN, "--lr_steps", "20,x"], "--lr-steps is invalid"),
    "no place for the number": ([*TRAIN, "--image_tmpl", "frame.jpg"], "--image-tmpl is invalid: give a file name"),
    "missing frames": ([*TRAIN, "--data", "nowhere"], "The folder nowhere is missing"),
    "missing lists": ([*TRAIN, "--lists", "nowhere"], "Cannot read nowhere/category.txt"),
    "batch too large": ([*TRAIN, "--batch_size", "13"], "A batch needs 13 clips .*there are only 12"),
    "checkpoint and backbone": (
        [*TRAIN, "--checkpoint", "x", "--pretrained_backbone"],
        "either --checkpoint or --pretrained-backbone",
    ),
    "no base": ([*TRAIN, "--pretrained_backbone"], "is for models around an image ResNet-50"),
    "missing checkpoint": ([*TEST, "--checkpoint", "no.pth.tar"], "no.pth.tar cannot be read"),
    "missing split": ([*TEST, "--split", "test"], "Cannot read lists/test_videofolder.txt"),
    "takes flow": ([*TRAIN, "--model", "matnet_gated"], "only models that take clips"),
    "no recipe": ([*TRAIN, "--model", "torch.nn:Identity"], "declares no input: give --frames and --image-size"),
    "not scores": ([*TRAIN, "--model", "tiny_models:Pair"], "must return .clips, classes.. Got tuple for 4 clips"),
    "not a number": ([*TRAIN, "--model", "tiny_models:Lost"], "The loss is nan in epoch 1, step 1. Try a lower --lr"),
    "scores that are none": ([*TEST, "--model", "tiny_models:Lost"], "The scores of 6 videos are infinite or not"),
    "label file": ([*TRAIN, "--lists", "damaged"], "damaged/train_videofolder.txt, line 2: unknown class 3"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_clear_line(work, capsys, slip):
    arguments, says = SLIPS[slip]
    write_categories(work / "damaged", ["red", "green", "blue"])
    (work / "damaged" / "train_videofolder.txt").write_text("train00 9 0\ntrain10 9 3\n")
    line = fails(capsys, *arguments, *(["--save_dir", "r"] if "--data" in arguments else []))
    assert re.search(says, line), line
    assert not Path("r/checkpoint").exists()


def test_options_come_from_a_file_too_and_help_lists_them(work, capsys):
    Path("o.yaml").write_text(
        "model: tiny_models:Tiny\ndata: frames\nlists: lists\nepochs: 1\nlr_steps: [20, 40]\nbatch_size: 4\n"
        "num_workers: 0\ndevice: cpu\neval_freq: 0\n"
    )
    succeeds("train", "--cfg_file", "o.yaml", "--save_dir", "r", "--lr", "0.2")
    assert metrics("r")["lr"].tolist() == [0.2]
    assert json.loads(Path("r/run.json").read_text())["lr_steps"] == [20, 40]
    assert "val_top1" not in metrics("r")
    assert run() == 0
    assert "evaluate  Test a model" in capsys.readouterr().out


def test_any_list_of_clips_can_be_trained_on(tmp_path, alone):
    """The loop knows nothing of frame folders."""
    clips = [(torch.full((3, 2, 8, 8), float(label)), label) for label in (0, 1, 0, 1)]
    model = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2))
    options = LoopOptions(epochs=3, batch_size=2, workers=0, device="cpu", lr=0.1, eval_freq=3)
    rows = loop.fit(model, clips, clips, options, tmp_path, arch="tiny", study={"data": "flat"})
    assert [("val_top1" in row) for row in rows] == [False, False, True]
    with pytest.raises(UserError, match="data is 'flat' there, 'other' here"):
        loop.fit(model, clips, clips, options, tmp_path, arch="tiny", study={"data": "other"})


def test_every_epoch_shows_every_clip_once_in_another_order(tmp_path, alone):
    class Noted(list):
        """Clips that note in which epoch they are asked for."""

        asked = None

        def set_epoch(self, epoch):
            self.epoch = epoch
            self.asked = self.asked or [[], [], []]

        def __getitem__(self, index):
            self.asked[self.epoch].append(index)
            return super().__getitem__(index)

    model = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2))
    orders = []
    for seed in (1, 1, 2):
        clips = Noted((torch.zeros(3, 2, 8, 8), i % 2) for i in range(12))
        options = LoopOptions(epochs=3, batch_size=4, workers=0, device="cpu", seed=seed)
        loop.fit(model, clips, None, options, tmp_path / str(len(orders)))
        assert all(sorted(order) == list(range(12)) for order in clips.asked)
        orders.append(clips.asked)
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in (*orders[0], *orders[2])}) == 6
