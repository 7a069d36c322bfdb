"""Fixture: a folder with what the lines of `commands` read."""

import numpy as np
import pytest
from commands import MEASURE
from media import write_frames
from program import door


@pytest.fixture(scope="module")
def place(tmp_path_factory, prepared):
    """A run, videos, sequences, and frames with lists, in the folder in which we are."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("frames", "lists"):
            (folder / name).symlink_to(prepared / name)
        noise = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)
        for root in ("clips", "davis/JPEGImages"):
            write_frames(folder / root / "a", noise, "{:05d}.png")
        door("measure")([*MEASURE.split(), "--out", "run"])
        yield folder
