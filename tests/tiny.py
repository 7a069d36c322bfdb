"""The commands of `training` on the tiny data set of `tiny_data`, and what they leave."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from static_dynamic.main import main

FILES = ["--data", "frames", "--lists", "lists", "--num_workers", "0", "--device", "cpu", "--batch_size", "4"]
TRAIN = ["train", "--model", "tiny_models:Tiny", *FILES, "--lr", "0.05", "--eval_freq", "1"]
TEST = ["evaluate", "--model", "tiny_models:Tiny", *FILES]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def succeeds(*arguments):
    assert run(*arguments) == 0


def fails(capsys, *arguments):
    """Exit code 2 and one line on stderr, which is returned."""
    capsys.readouterr()
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def metrics(folder):
    return pd.read_csv(Path(folder) / "metrics.csv").drop(columns="seconds")


def weights(folder, name="ckpt.pth.tar"):
    return torch.load(Path(folder) / "checkpoint" / name)


def same(a, b):
    """Whether nested data with tensors are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b))
