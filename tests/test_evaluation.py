"""Accuracies of a checkpoint, by the command and by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TEST, TRAIN, metrics, succeeds

import models
from static_dynamic.clip import Recipe
from training import scores
from training.data import EvaluationClips
from training.lists import read_list
from training.sampling import Segments

pytest_plugins = ("tiny_data",)  # the fixture `work`

# --- evaluation --------------------------------------------------------------------------------------------------


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
