"""Accuracies of a checkpoint, by the command and by hand; other models; the shell scripts."""

import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TEST, TRAIN, metrics, succeeds

from static_dynamic import models
from static_dynamic.common.options import read_options
from static_dynamic.media.clip import Recipe
from static_dynamic.training import scores
from static_dynamic.training.data import EvaluationClips
from static_dynamic.training.lists import read_list
from static_dynamic.training.options import EvaluateOptions, TrainOptions
from static_dynamic.training.sampling import Segments

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ("tiny_data",)  # the fixture `work`


def test_an_evaluation_agrees_with_one_by_hand(work, capsys):
    succeeds(*TRAIN, "--epochs", 1, "--lr", "0.005", "--save_dir", "r")
    checkpoint = ["--checkpoint", "r/checkpoint/ckpt.pth.tar"]
    succeeds(*TEST, *checkpoint, "--save_dir", "one")
    succeeds(*TEST, *checkpoint, "--multi_clip", "--save_dir", "six", "--batch_size", 2)
    model = models.create_model("tiny_models:Tiny", checkpoint=checkpoint[1], num_classes=3)
    recipe = Recipe(**model.spec.recipe)
    entries = read_list(Path("lists/val_videofolder.txt"), 3)
    for folder, multi_clip in {"one": False, "six": True}.items():
        clips = EvaluationClips(Path("frames"), entries, recipe, Segments(recipe), multi_clip=multi_clip)
        rows = pd.read_csv(f"{folder}/predictions.csv")
        hits = []
        with torch.no_grad():
            for i, entry_ in enumerate(entries):
                views = clips[i].clip if multi_clip else clips[i].clip[None]
                logits = torch.stack([model(view[None])[0] for view in views]).mean(0)
                assert rows["video"][i] == entry_.name
                assert rows["predicted"][i] == int(logits.argmax())
                assert rows["probability"][i] == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
                hits.append(int(logits.argmax()) == entry_.label)
        summary = json.loads(Path(f"{folder}/accuracy.json").read_text())
        assert summary["top1"] == pytest.approx(100 * np.mean(hits))
        assert summary["top1_low"] <= summary["top1"] <= summary["top1_high"]
        assert summary["top5"] == 100
    assert capsys.readouterr().out.count("6 of 6 videos. Tables: ") == 2
    assert metrics("r")["val_top1"].iloc[-1] == pytest.approx(json.loads(Path("one/accuracy.json").read_text())["top1"])
    assert {path.name for path in Path("one").iterdir()} == {
        "accuracy.json", "classes.csv", "confusion.csv", "confusion.png", "predictions.csv", "bad_videos.csv",
    }  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 9), st.integers(1, 20), st.integers(0, 99))
def test_accuracies_tables_and_confusions_by_loops(classes, videos, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(0, 5, (videos, classes), generator=generator).float()  # with ties
    labels = torch.randint(0, classes, (videos,), generator=generator)
    names = [f"class {i}" for i in range(classes)]
    ranks = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        order = sorted(range(classes), key=lambda i: (-row[i], i))
        ranks.append(order.index(label))
    found = scores.accuracies(logits, labels)
    assert found["top1"] == pytest.approx(100 * sum(rank < 1 for rank in ranks) / videos)
    assert found["top5"] == pytest.approx(100 * sum(rank < 5 for rank in ranks) / videos)
    table = scores.class_table(logits, labels, names)
    confused = scores.confusion(logits, labels, names)
    assert confused.to_numpy().sum() == table["videos"].sum() == videos
    for number, row in table.iterrows():
        of_class = [rank for rank, label in zip(ranks, labels.tolist(), strict=True) if label == number]
        assert row["videos"] == len(of_class)
        assert confused.iloc[number, number] == sum(rank < 1 for rank in of_class)
        if of_class:
            assert row["top1"] == pytest.approx(100 * sum(rank < 1 for rank in of_class) / len(of_class))
        else:
            assert math.isnan(row["top1"])


# --- other models


@pytest.mark.parametrize("options", [["--sampling", "dense"], ["--sampling", "segments"]])
def test_models_of_several_pathways_train_and_are_tested_in_views(work, options):
    succeeds(*TRAIN, "--model", "tiny_models:two_paths", *options, "--epochs", 3, "--save_dir", "r")
    checkpoint = ["--model", "tiny_models:two_paths", "--checkpoint", "r/checkpoint/ckpt.pth.tar", *options]
    succeeds(*TEST, *checkpoint, "--multi_clip", "--save_dir", "e")
    assert json.loads(Path("e/accuracy.json").read_text())["top1"] > 50


def test_a_model_of_the_zoo_trains(work):
    succeeds(*TRAIN, "--model", "x3d_xs", "--image_size", 32, "--batch_size", 6, "--epochs", 1, "--save_dir", "r")
    assert metrics("r")["val_loss"].notna().all()


# --- the scripts -------------------------------------------------------------------------------------------------

PUBLISHED = {
    "epochs": 60, "batch_size": 2, "lr": 0.001, "lr_type": "step", "lr_steps": (20, 30, 40), "momentum": 0.9,
    "weight_decay": 5e-4, "dropout": 0.5, "eval_freq": 1, "model": "dyreg_tsm_r50", "sync_bn": True,
    "pretrained_backbone": True, "gd": None,
}  # fmt: skip


def test_the_scripts_pass_the_published_values(tmp_path):
    """Run with a python that only says what it was given."""

    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)

    def given(name, *arguments):
        done = subprocess.run(
            [ROOT / "misc" / name, *arguments],
            env={**os.environ, "PYTHON": str(fake), "GPUS": "4", "FRAMES": ".", "LISTS": "."},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        launch, _, rest = done.stdout.partition("\ntraining\n")
        assert launch.split("\n")[:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "4"]
        return rest.split("\n")[0], rest.strip("\n").split("\n")[1:]

    command, flags = given("train_model.sh", "--epochs", "61")
    assert command == "train"
    options = read_options(TrainOptions, flags)
    assert {name: getattr(options, name) for name in PUBLISHED} == {**PUBLISHED, "epochs": 61}
    (tmp_path / "my best.pth.tar").touch()
    for name, multi_clip in {"evaluate_model.sh": False, "evaluate_model_multi_clip.sh": True}.items():
        command, flags = given(name, "my best.pth.tar", "--split", "test")
        assert command == "evaluate"
        options = read_options(EvaluateOptions, flags)
        assert options.multi_clip is multi_clip
        assert (options.checkpoint, options.split) == (Path("my best.pth.tar"), "test")
