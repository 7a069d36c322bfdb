"""The benchmarks of speed run without a GPU, and say what they count."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import gpu, one_pass


def test_without_a_gpu_the_benchmark_of_one_says_so_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 2
    assert capsys.readouterr().err.splitlines() == [
        "No GPU is available. `--device cpu` tries the benchmark without one."
    ]


def test_the_benchmark_of_a_gpu_runs_on_a_cpu(monkeypatch, tmp_path):
    options = (
        "--device cpu --models truth_cnn_both --videos factorial:3 --size 16 --batch-sizes 8 --rounds 1 --workers 0"
    )
    ways = "--ways float32,bfloat16-last"
    monkeypatch.setattr(sys, "argv", ["gpu", *options.split(), *ways.split(), "--out", str(tmp_path / "gpu.csv")])
    assert gpu.main() == 0
    table = pd.read_csv(tmp_path / "gpu.csv")
    assert table["way"].tolist() == ["float32", "bfloat16-last"]
    assert table["clips"].tolist() == [3 * 12] * 2
    assert (table[["bare_clips_per_s", "clips_per_s"]] > 0).all(axis=None)
    assert table["busy"].between(0, 1).all()
    assert table["largest_share_change"][0] == table["unit_change_q95"][0] == 0 < table["unit_change_q95"][1]


def test_spans_that_overlap_are_counted_once():
    spans = [(0, 4), (1, 2), (3, 6), (8, 9), (8, 9)]
    there = np.zeros(10, bool)
    for start, end in spans:
        there[start:end] = True
    assert gpu.covered(spans) == there.sum()
    assert gpu.covered([]) == 0


def test_what_is_recorded_is_not_compiled_and_all_else_is(monkeypatch):
    model = nn.Sequential(
        nn.Sequential(nn.Linear(1, 1), nn.ReLU()), nn.Sequential(nn.ReLU(), nn.Linear(1, 1)), nn.ReLU()
    )
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    gpu.compile_within(model, {model[1], model[1][1]})
    assert compiled == [model[0], model[1][0], model[2]]


@pytest.mark.parametrize("forwards", [400, 1600])
def test_forwards_for_a_width_follow_from_the_table_of_samples(forwards):
    """At twice the width, four times the forward passes are needed."""
    table = one_pass.clips_for_a_width().set_index(["design", "forwards", "quantity"])
    sampled = pd.read_csv(one_pass.HERE / "truth" / "sampling.csv").query("estimator == 'released'")
    sampled = sampled.set_index(["design", "forwards", "quantity"])
    published = sampled.loc["one pair of each kind, as published", forwards, "static"]
    ours = sampled.loc["2 styles x 2 orders", forwards, "static"]
    found = table.loc["2 styles x 2 orders", forwards, "static"]
    assert np.isclose(found["unit_forwards_over_published"] * published["unit_width"] ** 2, ours["unit_width"] ** 2)
    assert np.isclose(found["layer_forwards_over_published"] * published["layer_width"] ** 2, ours["layer_width"] ** 2)
