"""Pictures of regions: what is drawn is where the graph looks."""

import numpy as np
import pytest
import torch
from media import write_video
from PIL import Image
from program import door
from torch import nn

from static_dynamic import Recipe, models
from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.media.decoding import read_clip
from static_dynamic.models.dyreg.graph import DynamicGraph, Options, ResidualGraph
from static_dynamic.models.dyreg.regions import windows
from static_dynamic.training.pictures import COLOURS, with_boxes
from static_dynamic.training.regions import boxes_of, draw, find_regions, short_names

run = door("regions")

FRAMES, CROP = 4, 64


class Toy(nn.Module):
    """Two graphs behind a strided convolution."""

    spec = type("Spec", (), {"recipe": Recipe(frames=FRAMES, rate=2, crop=CROP), "stages": {}})

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 8, 1)
        self.early = nn.Sequential(ResidualGraph(DynamicGraph(4, (8, 8), options=Options(offset_dim=8))))
        self.late = nn.Sequential(ResidualGraph(DynamicGraph(4, (8, 8), options=Options(grid=(1, 2), offset_dim=8))))
        self.head = nn.Linear(4, 5)

    def forward(self, clip):
        x = self.stem(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, clip.shape[:1] + clip.shape[2:3])
        return self.head(self.late(self.early(x)).mean((1, 3, 4)))


def toy():
    """Its regions have left their anchors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Toy().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("offset_alpha"):
            nn.init.constant_(parameter, 1.0)
    return model


@pytest.fixture
def video(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (12, 72, 96, 3), dtype=np.uint8)
    return write_video(tmp_path / "clip.mp4", frames)


# ---------------------------------------------------------------- finding


def test_regions_are_those_that_the_graphs_use_and_the_model_stays_as_it_is():
    model, clip = toy(), torch.rand(2, 3, FRAMES, CROP, CROP)
    before = model(clip)
    found = find_regions(model, clip)
    assert torch.equal(model(clip), before)

    x = model.stem(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, FRAMES))
    x, early = model.early[0](x, return_regions=True)
    _, late = model.late[0](x, return_regions=True)
    assert list(found) == ["early", "late"]
    for name, expected in (("early", early), ("late", late)):
        for ours, theirs in zip(found[name], expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_no_hook_is_left_behind_even_by_a_model_that_fails():
    model = toy()
    with pytest.raises(models.ModelError):
        find_regions(model.early, torch.rand(1, FRAMES, 3, 8, 8))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_model_without_regions_says_so():
    with pytest.raises(UserError, match="no DynamicGraph"):
        find_regions(nn.Linear(2, 2), torch.rand(1, 2))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["base.layer2.2.conv2.1.graph", "base.layer3.4.conv2.1.graph"], ["layer2.2", "layer3.4"]),
        (["graph", "late.graph"], ["graph", "late"]),
        (["one.graph"], ["one.graph"]),
        ([""], ["graph"]),
    ],
)
def test_names_leave_out_what_all_share(paths, names):
    assert list(short_names(paths).values()) == names


# ---------------------------------------------------------------- drawing


def test_a_window_ends_at_the_edges_of_its_box():
    regions = windows(torch.tensor([[[[3.0, 5.5]]]]), torch.tensor([[[[2.5, 3.0]]]]), (10, 12))
    top, left, bottom, right = boxes_of(regions, (100, 120))[0, 0, 0]  # a cell is 10 x 10 pixels
    rows, columns = np.nonzero(regions.kernels[0, 0, 0].numpy())
    assert top < 10 * rows.min() <= top + 10
    assert bottom - 10 <= 10 * rows.max() < bottom
    assert left < 10 * columns.min() <= left + 10
    assert right - 10 <= 10 * columns.max() < right


def test_every_node_has_a_colour_of_its_own():
    corners = torch.tensor([[row, column] for row in (2.0, 6.0, 10.0) for column in (2.0, 6.0, 10.0)])
    regions = windows(corners[None, None], torch.full((1, 1, 9, 2), 1.4), (12, 12))
    frame = draw(np.full((1, 120, 120, 3), 40, np.uint8), regions)[0]
    for colour, (row, column) in zip(COLOURS, corners.tolist(), strict=True):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        ys, xs = np.nonzero((frame == rgb).all(-1))
        assert (ys.mean(), xs.mean()) == pytest.approx((10 * row, 10 * column), abs=2)


def test_bright_places_are_under_the_windows():
    regions = windows(torch.tensor([[[[2.0, 7.0]]]]), torch.tensor([[[[2.0, 3.0]]]]), (12, 12))
    frame = draw(np.full((1, 120, 240, 3), 40, np.uint8), regions)[0]
    assert np.unravel_index(frame[..., 0][2:38, 82:198].argmax(), (36, 116)) == (20 - 2, 140 - 82)  # inside the box
    assert (frame[60:] == 40).all()


@pytest.mark.parametrize("box", [(-50, -50, 200, 200), (-30, 5, -10, 20), (90, 90, 120, 130), (5, 5, 5, 5)])
def test_a_box_that_leaves_the_picture_is_cut_off(box):
    assert with_boxes(np.zeros((64, 80, 3), np.uint8), np.array([box], float)).shape == (64, 80, 3)


# ---------------------------------------------------------------- the command


def test_the_command_draws_a_video(tmp_path, video, capsys):
    run(["--model", "test_regions:toy", "--video", str(video), "--out", str(tmp_path / "out"), "--columns", "3"])
    written = [tmp_path / "out" / f"clip.{kind}" for kind in ("png", "gif", "mp4")]
    assert capsys.readouterr().out.splitlines()[-3:] == [str(path) for path in written]
    sheet, animation = (Image.open(path) for path in written[:2])
    assert sheet.size == (90 + 3 * (CROP + 4), 24 + 2 * (CROP + 4))
    assert (animation.n_frames, animation.size) == (FRAMES, (2 * CROP + 4, CROP + 28))
    clip = read_clip(written[2], Recipe(frames=FRAMES, rate=1, crop=CROP + 28))
    assert clip.total == FRAMES
    assert np.abs(clip.frames[0].astype(int) - np.asarray(animation.convert("RGB"))).mean() < 25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--model", "dyreg_tsm_r51"], "Unknown model"),
        (["--model", "torch.nn:Identity"], "does not declare its input"),
        (["--model", "test_regions:toy", "--columns", "0"], "The --columns must be at least 1"),
        (["--model", "test_regions:toy", "--checkpoint", "missing.pth"], "missing.pth"),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing(tmp_path, video, capsys, given, message):
    out = tmp_path / "out"
    assert command(lambda: run([*given, "--video", str(video), "--out", str(out)])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not out.exists()
