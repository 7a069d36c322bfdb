"""Fixtures: a tiny data set, from videos to lists, and a folder to work on it."""

import numpy as np
import pytest
from media import write_video

from static_dynamic.training.frames import Extraction, extract
from static_dynamic.training.lists import Entry, write_categories, write_list

CLASSES = ["Pushing something red", "Pushing something green", "Pushing something blue"]


def film(label, seed, count=9):
    """Noise in a colour: the class."""
    frames = np.random.default_rng([label, seed]).integers(0, 80, (count, 24, 32, 3), dtype=np.uint8)
    frames[..., label] += 120
    return frames


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Videos → frames → lists, as a user would: four videos of a class to train on, two to test."""
    root = tmp_path_factory.mktemp("tiny")
    for split, count in {"train": 4, "val": 2}.items():
        entries = [Entry(f"{split}{label}{i}", 9, label) for label in range(3) for i in range(count)]
        for seed, entry in enumerate(entries, 100 * (split == "val")):
            write_video(root / "videos" / f"{entry.name}.mp4", film(entry.label, seed))
        write_list(root / "lists" / f"{split}_videofolder.txt", entries)
    write_categories(root / "lists", CLASSES)
    extract(root / "videos", root / "frames", Extraction(height=0))
    return root


@pytest.fixture
def alone():
    """A program has one accelerator; a test run has many."""
    from accelerate.state import AcceleratorState, GradientState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def work(prepared, tmp_path, monkeypatch, alone):
    """A folder to work in: the frames, and lists of one's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames").symlink_to(prepared / "frames")
    (tmp_path / "lists").mkdir()
    for path in (prepared / "lists").iterdir():
        (tmp_path / "lists" / path.name).write_text(path.read_text())
    return tmp_path
