"""The small DAVIS that is drawn on the spot: exact masks, the layout's readers, flow and copies, and its command line."""

import numpy as np
import pytest
from doors import fails, succeeds
from media import tree
from PIL import Image

from static_dynamic.common.errors import UserError
from static_dynamic.flow.tree import compute_flow
from static_dynamic.media.clip import FlowRecipe
from static_dynamic.sources import Davis
from static_dynamic.sources.small_davis import SEQUENCES, write_small_davis


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_davis(tmp_path_factory.mktemp("small"), frames=3, size=(32, 48))


def test_every_mask_covers_a_piece_and_moves(small):
    for name in list(SEQUENCES)[:3]:
        first, last = (np.asarray(Image.open(small / f"Annotations/480p/{name}/0000{i}.png")) for i in (0, 2))
        assert set(np.unique(first)) == {0, 255}
        assert (first != last).any()


def test_the_same_numbers_give_the_same_bytes_and_touch_nothing(small, tmp_path):
    other = write_small_davis(tmp_path / "other", frames=3, size=(32, 48))
    assert tree(other) == tree(small)
    before = {path: path.stat().st_mtime_ns for path in other.rglob("*.*") if path.suffix != ".txt"}
    write_small_davis(other, frames=3, size=(32, 48))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_readers_of_the_layout_read_it(tmp_path):
    root = write_small_davis(tmp_path, frames=4, sequences=2, size=(32, 48))
    report = compute_flow(root)
    assert (report.written, report.problems) == (2 * 2 * 3, [])
    source = Davis(root, flows=("forward", "backward"))
    assert [video.name for video in source.videos] == [f"{name}/0000{i}" for name in ("disc", "square") for i in (1, 2)]
    assert source.left_out == []
    clip = source.read(source.videos[0], FlowRecipe(flows=("forward", "backward"), size=(32, 48)))
    assert clip.frames.shape == clip.flows["forward"].shape == (1, 32, 48, 3)
    mask, _, size = source.truth(source.videos[0])
    assert size == (32, 48)
    assert mask.any()
    # The disc moves and its surroundings hardly do: where it is, the drawn flow is further from white.
    colour = 255 - clip.flows["forward"][0].min(-1).astype(int)
    assert np.median(colour[mask]) > np.median(colour[~mask])


def test_the_command_writes_it_and_names_slips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert succeeds("render_small_davis", "d", "--frames", 2, "--sequences", 1) == (
        "d: 1 sequences of 2 frames, with masks.\n"
    )
    assert len((tmp_path / "d/ImageSets/480p/val.txt").read_text().splitlines()) == 2
    assert "1 to 4 sequences" in fails("render_small_davis", "e", "--sequences", 9)
    (tmp_path / "file").touch()
    assert "Cannot write" in fails("render_small_davis", "file/e")
    assert "required" in fails("render_small_davis")


@pytest.mark.parametrize("numbers", [{"frames": 1}, {"sequences": 0}, {"size": (48, 32)}, {"size": (0, 32)}])
def test_numbers_that_make_no_data_set_are_refused(numbers, tmp_path):
    with pytest.raises(UserError, match="A small DAVIS requires"):
        write_small_davis(tmp_path, **numbers)
    assert not list(tmp_path.iterdir())
