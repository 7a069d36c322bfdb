"""Optical flow: the colour wheel and back, the estimators, and the flow of a whole data set."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from killed import killed
from media import cut, write_frames
from PIL import Image
from program import door
from safetensors.torch import save_file
from torchvision.models.optical_flow import raft_large, raft_small
from torchvision.utils import flow_to_image

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.flow import Dis, Raft, compute_flow, draw, flow_sheet, paint, read
from static_dynamic.flow.sheet import WIDTH, wheel_disc
from static_dynamic.media.pictures import HEIGHT, LABEL

run = door("flow")

ROOT = Path(__file__).resolve().parents[1]
DAVIS = ROOT.parent / "shared" / "data" / "davis_mini"
FORWARD, BACKWARD = "FlowImages_gap1", "FlowImages_gap-1"


def texture(height=96, width=128, seed=0):
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def moving(count, step=(3, 0), seed=0, **size):
    """A texture that moves by ``step`` (right, down) pixels per frame."""
    picture = texture(seed=seed, **size)
    return [np.roll(picture, (step[1] * t, step[0] * t), axis=(0, 1)) for t in range(count)]


def tree(root, **sequences):
    for name, frames in sequences.items():
        write_frames(root / "JPEGImages" / "480p" / name, frames, "{:05d}.jpg")
    return root


def flows(root, gap=FORWARD):
    """Sequence/frame → flow image."""
    folder = root / gap
    return {
        path.relative_to(folder).with_suffix("").as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*.png"))
    }


class Steady:
    """An estimator that knows the answer."""

    name = "steady"

    def __init__(self, vector=(2.0, 0.0)):
        self.vector = np.float32(vector)

    def __call__(self, start, end):
        return np.broadcast_to(self.vector, (*start.shape[:2], 2))


# ---------------------------------------------------------------- the colour wheel

vectors = arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(2)), elements=st.floats(-1, 1, width=32)
)


def in_disc(flow):
    return flow / np.maximum(np.linalg.norm(flow, axis=-1, keepdims=True), 1)


@settings(deadline=None)
@given(vectors, st.floats(0.125, 500, width=32))
def test_flow_is_drawn_as_torchvision_draws_it(flow, longest):
    flow = flow * np.float32(longest)
    if np.linalg.norm(flow, axis=-1).max() < 0.1:
        return  # their normalisation adds another tiny number
    theirs = flow_to_image(torch.from_numpy(flow).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    # a level apart by rounding; 0 and 255 are neighbours, since a channel of theirs may wrap round
    apart = (draw(flow).astype(int) - theirs + 128) % 256 - 128
    assert abs(apart).max() <= 1


def test_the_longest_vector_is_never_drawn_with_a_channel_that_wraps_round():
    draws = np.random.default_rng(0).normal(size=(500, 4, 4, 2)).astype(np.float32)
    for flow in draws * 10:
        longest = np.linalg.norm(flow, axis=-1).argmax()
        assert draw(flow).reshape(-1, 3)[longest].min() <= 1


@settings(deadline=None)
@given(vectors)
def test_vectors_are_read_as_they_were_drawn(flow):
    flow = in_disc(flow)
    found = read(paint(flow))
    assert np.linalg.norm(found - flow, axis=-1).max() < 0.012
    length = np.linalg.norm(flow, axis=-1)
    angle = np.degrees(np.arctan2(found[..., 1], found[..., 0]) - np.arctan2(flow[..., 1], flow[..., 0]))
    off = abs((angle + 180) % 360 - 180)
    assert (off * length)[length > 0.05].max(initial=0) < 0.6


@settings(deadline=None)
@given(vectors)
def test_an_image_read_and_drawn_again_is_the_same_to_a_level(flow):
    image = paint(in_disc(flow))
    assert abs(paint(read(image)).astype(int) - image).max() <= 1


@settings(deadline=None)
@given(arrays(np.uint8, (3, 5, 3)))
def test_any_image_can_be_read(image):
    found = read(image)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=-1).max() <= 1 + 1e-6


def test_colours_of_the_directions():
    right, down, left, up, none = paint(np.float32([[(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)]]))[0].tolist()
    assert right == [255, 0, 0]
    assert down == [255, 229, 0]
    assert left == [0, 209, 255]
    assert up == [88, 0, 255]
    assert none == [255, 255, 255]


def test_flow_is_drawn_the_same_at_any_speed_and_white_where_nothing_moves():
    flow = np.random.default_rng(0).normal(size=(8, 8, 2)).astype(np.float32)
    assert abs(draw(flow).astype(int) - draw(7 * flow)).max() <= 1
    assert (draw(np.zeros((4, 4, 2), np.float32)) == 255).all()


# ---------------------------------------------------------------- estimators


@pytest.mark.parametrize("step", [(3, 0), (-3, 0), (0, 2), (0, -2), (2, -3)])
def test_dis_recovers_a_translation_and_the_colour_says_it(step):
    start, end = moving(2, step)
    flow = Dis()(start, end)
    assert flow.dtype == np.float32
    inner = flow[12:-12, 12:-12]
    assert np.median(inner, axis=(0, 1)) == pytest.approx(step, abs=0.15)
    back = Dis()(end, start)[12:-12, 12:-12]
    assert np.median(back, axis=(0, 1)) == pytest.approx([-x for x in step], abs=0.15)
    expected = paint(np.float32([[step]]) / np.hypot(*step))[0, 0].astype(int)
    assert abs(np.median(draw(inner), axis=(0, 1)) - expected).max() < 30


def test_dis_presets_agree_and_others_are_refused():
    start, end = moving(2)
    for preset in ("ultrafast", "fast", "medium"):
        assert np.median(Dis(preset)(start, end)[12:-12, 12:-12, 0]) == pytest.approx(3, abs=0.2)
    with pytest.raises(UserError, match=r"Unknown DIS preset 'slow'\. Allowed: ultrafast, fast, medium"):
        Dis("slow")


@pytest.fixture(scope="module")
def raft_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raft")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small, large = raft_small(), raft_large()
    torch.save(small.state_dict(), folder / "small.pth")
    save_file(small.state_dict(), folder / "small.safetensors")
    torch.save(large.state_dict(), folder / "large.pth")
    torch.save({"conv.weight": torch.zeros(3)}, folder / "other.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save(small, folder / "module.pth")
    (folder / "text.pth").write_text("weights")
    (folder / "text.safetensors").write_text("weights")
    return folder, small.eval()


def test_raft_is_torchvisions_with_frames_padded(raft_files):
    folder, model = raft_files
    start, end = (texture(seed=seed, height=130, width=140) for seed in (0, 1))
    state = torch.get_rng_state()
    estimators = [Raft(folder / name, device="cpu") for name in ("small.pth", "small.safetensors")]
    flow, again = (estimator(start, end) for estimator in estimators)
    assert torch.equal(torch.get_rng_state(), state)
    padded = [np.pad(frame, ((0, 6), (0, 4), (0, 0)), mode="edge") for frame in (start, end)]
    inputs = [torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 * 2 - 1 for frame in padded]
    with torch.no_grad():
        expected = model(*inputs)[-1][0].permute(1, 2, 0).numpy()[:130, :140]
    assert flow.shape == (130, 140, 2)
    np.testing.assert_allclose(flow, expected, rtol=1e-3, atol=1e-3 * abs(expected).max())
    assert np.array_equal(flow, again)
    assert estimators[0].name.startswith("RAFT small, weights ")
    assert Raft(folder / "large.pth", device="cpu").name.startswith("RAFT large, weights ")


def test_threads_that_share_a_raft_do_not_disturb_each_other(raft_files):
    estimator = Raft(raft_files[0] / "small.pth", device="cpu")
    pairs = [(texture(32, 40, seed), texture(32, 40, seed + 1)) for seed in range(4)]
    alone = [estimator(*pair) for pair in pairs]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda pair: estimator(*pair), pairs))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    "name", ["other.pth", "list.pth", "module.pth", "text.pth", "text.safetensors", "none.pth", "none.safetensors", "."]
)
def test_a_file_that_is_no_raft_is_one_clear_line(name, raft_files):
    with pytest.raises(UserError, match=r"does not exist|raft_small or raft_large is required") as error:
        Raft(raft_files[0] / name)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- a data set


def test_every_frame_that_has_a_neighbour_gets_its_flow(tmp_path):
    root = tree(tmp_path / "davis", pan=moving(4), fall=moving(3, (0, -3), seed=1))
    done = []
    report = compute_flow(root, on_done=lambda *args: done.append(args))
    assert list(flows(root)) == ["fall/00000", "fall/00001", "pan/00000", "pan/00001", "pan/00002"]
    assert list(flows(root, BACKWARD)) == ["fall/00001", "fall/00002", "pan/00001", "pan/00002", "pan/00003"]
    assert (report.written, report.kept, report.problems, report.too_short) == (10, 0, [], [])
    assert [number for number, _, _ in done] == list(range(1, 11))
    assert {(total, sequence) for _, total, sequence in done} == {(10, "fall"), (10, "pan")}
    middle = {gap: read(flows(root, gap)["pan/00001"])[12:-12, 12:-12] for gap in (FORWARD, BACKWARD)}
    assert np.median(middle[FORWARD][..., 0]) > 0.3
    assert np.median(middle[BACKWARD][..., 0]) < -0.3
    assert np.median(read(flows(root)["fall/00001"])[12:-12, 12:-12, 1]) < -0.3


@pytest.mark.parametrize("workers", [0, 3])
def test_flow_depends_neither_on_the_number_of_workers_nor_on_where_it_goes(tmp_path, workers):
    root = tree(tmp_path / "davis", pan=moving(5))
    compute_flow(root, workers=2)
    compute_flow(root, tmp_path / "out", workers=workers)
    here, there = flows(root), flows(tmp_path / "out")
    assert here.keys() == there.keys()
    assert all(np.array_equal(here[name], there[name]) for name in here)


def test_a_gap_counts_frames(tmp_path):
    root = write_frames(tmp_path / "JPEGImages" / "car", moving(4), "{:05d}.jpg").parents[1]
    named = []

    class Named(Steady):
        def __call__(self, start, end):
            named.append((start.tobytes(), end.tobytes()))
            return super().__call__(start, end)

    compute_flow(root, gaps=(2, -3, 2), estimator=Named(), workers=0)
    frames = [np.asarray(Image.open(path)).tobytes() for path in sorted((root / "JPEGImages" / "car").iterdir())]
    assert [(frames.index(a), frames.index(b)) for a, b in named] == [(0, 2), (1, 3), (3, 0)]
    assert list(flows(root, "FlowImages_gap2")) == ["car/00000", "car/00001"]
    assert list(flows(root, "FlowImages_gap-3")) == ["car/00003"]


def test_a_second_run_computes_only_what_is_missing_or_cut_short(tmp_path):
    root = tree(tmp_path, pan=moving(5, height=32, width=40))
    compute_flow(root)
    before = flows(root)
    folder = root / FORWARD / "pan"
    (folder / "00001.png").unlink()
    cut(folder / "00002.png", 0.9, "00002.png")
    (folder / "00003.png").write_bytes(b"")
    report = compute_flow(root)
    assert (report.written, report.kept) == (3, 5)
    after = flows(root)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_run_that_is_killed_leaves_whole_files_and_goes_on(tmp_path):
    root = tree(tmp_path / "davis", pan=moving(6))
    killed("from static_dynamic.flow import compute_flow; compute_flow(sys.argv[1], workers=0)", 7, root)
    left = [path for gap in (FORWARD, BACKWARD) for path in (root / gap).rglob("*.png")]
    assert len(left) == 7 - 2  # without the notes of whose flows they are
    for path in left:
        assert np.asarray(Image.open(path)).shape == (96, 128, 3)
    report = compute_flow(root)
    assert (report.written, report.kept) == (10 - len(left), len(left))


def test_a_bad_frame_costs_one_line_and_the_flows_that_need_it(tmp_path):
    root = tree(tmp_path, pan=moving(5), other=moving(2))
    frame = root / "JPEGImages" / "480p" / "pan" / "00002.jpg"
    cut(frame, 0.3, "00002.jpg")
    report = compute_flow(root, estimator=Steady())
    assert [name for name in flows(root) if name.startswith("pan")] == ["pan/00000", "pan/00003"]
    assert [name for name in flows(root, BACKWARD) if name.startswith("pan")] == ["pan/00001", "pan/00004"]
    assert len(report.problems) == 1
    assert str(frame) in report.problems[0]
    write_frames(frame.parent, moving(3)[2:], "{:05d}.jpg", first=2)
    assert compute_flow(root, estimator=Steady()).written == 4


def test_frames_that_do_not_fit_each_other_are_named(tmp_path):
    root = tree(tmp_path, pan=[*moving(2), texture(64, 64)], tiny=moving(2, height=8, width=60))
    report = compute_flow(root, gaps=(1,), estimator=Steady())
    pan, tiny = report.problems
    assert pan.endswith("pan/00001.jpg: this frame is 128x96 pixels, but 00002.jpg is 64x64.")
    assert tiny.endswith("tiny/00000.jpg: flow requires 16 pixels or more on each side, but this frame is 60x8.")
    assert list(flows(root)) == ["pan/00000"]


def test_flow_that_is_not_finite_is_not_drawn(tmp_path):
    root = tree(tmp_path, pan=moving(2), still=moving(2))
    with pytest.raises(UserError, match=r"No flow .*: the flow to 00001\.jpg is not finite"):
        compute_flow(root, estimator=Steady((np.nan, 0)))


def test_whatever_goes_wrong_in_an_estimator_costs_one_line(tmp_path):
    class Fails(Dis):
        def __call__(self, start, end):
            if start.max() == 0:
                raise cv2.error("OpenCV(9): no flow\n in black")
            return super().__call__(start, end)

    frames = [*moving(3), np.zeros((96, 128, 3), np.uint8), *moving(2)]
    report = compute_flow(tree(tmp_path, a=frames), gaps=[1], estimator=Fails())
    assert report.written == 4
    assert len(report.problems) == 1
    assert re.search(
        r"00003\.jpg: the flow to 00004\.jpg cannot be computed \(.*no flow in black\)\.$", report.problems[0]
    )


def test_flows_of_two_estimators_are_not_mixed(tmp_path):
    root = tree(tmp_path, pan=moving(2))
    compute_flow(root, estimator=Steady())
    with pytest.raises(
        UserError,
        match=r"FlowImages_gap1 belongs to another set of flows: estimator is 'steady' there, 'DIS fast' here",
    ):
        compute_flow(root, estimator=Dis("fast"))


def test_flow_from_elsewhere_is_kept(tmp_path):
    root = tree(tmp_path, pan=moving(3))
    theirs = np.full((96, 128, 3), 7, np.uint8)
    (root / FORWARD / "pan").mkdir(parents=True)
    Image.fromarray(theirs).save(root / FORWARD / "pan" / "00000.png")
    report = compute_flow(root, gaps=(1,), estimator=Steady())
    assert (report.written, report.kept) == (1, 1)
    assert np.array_equal(flows(root)["pan/00000"], theirs)


# ---------------------------------------------------------------- the command


def sequences(root, **lengths):
    return tree(root, **{name: moving(length, height=32, width=40) for name, length in lengths.items()})


def test_the_command_says_what_was_done_and_what_was_left_out(tmp_path, capsys):
    root = sequences(tmp_path, pan=3, lone=1)
    cut(root / "JPEGImages" / "480p" / "pan" / "00002.jpg", 0.3, "00002.jpg")
    assert command(lambda: run([str(root), "--sheet", str(tmp_path / "sheets" / "flow.png")])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 flows written, 0 existed already."
    assert lines[1] == "left out: lone: too short for a pair of frames."
    assert lines[2].startswith(f"left out: {root / 'JPEGImages/480p/pan/00002.jpg'}: this frame cannot be read")
    assert lines[3:] == [str(tmp_path / "sheets" / "flow.png")]
    assert Image.open(tmp_path / "sheets" / "flow.png").width == LABEL + 6 * WIDTH


def test_the_command_takes_gaps_and_folders(tmp_path):
    root = tmp_path / "set"
    write_frames(root / "frames" / "a" / "b", moving(3, height=32, width=40), "{:d}.png")
    run([str(root), "--frames", "frames", "--gaps=-1,2", "--out", str(tmp_path / "out"), "--preset", "ultrafast"])
    assert list(flows(tmp_path / "out", BACKWARD)) == ["a/b/1", "a/b/2"]
    assert list(flows(tmp_path / "out", "FlowImages_gap2")) == ["a/b/0"]
    assert not (root / BACKWARD).exists()


SLIPS = {
    "no folder": (["nowhere"], r"nowhere.* is not a folder"),
    "no sequences": (["--frames", "JPEGImages/480p/pan"], r"No sequences in .*pan: each must be a folder"),
    "gap 0": (["--gaps", "1,0"], r"gaps other than 0.*\[1, 0\]"),
    "gap of letters": (["--gaps", "next"], r"--gaps is invalid: whole numbers are required.*'next'"),
    "gap too large": (["--gaps", "9"], r"Every sequence in .* is too short for gaps \[9\]"),
    "workers": (["--workers", "-1"], r"workers ≥ 0.*-1 workers"),
    "preset": (["--preset", "fastest"], r"Unknown value 'fastest' in --preset.*Did you mean 'fast'"),
    "weights": (["--raft", "weights.pth"], r"weights.pth' of RAFT weights does not exist"),
    "device": (["--raft", "weights.pth", "--device", "gpu9"], r"Unknown device 'gpu9'"),
    "sheet": (["--sheet", "flow.jpg"], r"must end in \.png.*'flow\.jpg'"),
    "option": (["--gap", "1"], r"Unknown option '--gap'.*Did you mean '--gaps'"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_and_writes_nothing(slip, tmp_path, capsys):
    arguments, message = SLIPS[slip]
    root = sequences(tmp_path, pan=3)
    before = sorted(tmp_path.rglob("*"))
    root = root / arguments[0] if slip == "no folder" else root
    with pytest.raises(UserError, match=message) as error:
        run([str(root), *(arguments if slip != "no folder" else [])])
    assert "\n" not in str(error.value)
    assert "flows" not in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


# ---------------------------------------------------------------- the sheet


def test_the_sheet_shows_frames_and_their_flow_side_by_side(tmp_path):
    root = sequences(tmp_path, pan=8)
    compute_flow(root, estimator=Steady())
    (root / BACKWARD / "pan" / "00006.png").unlink()
    sheet = flow_sheet(root)
    assert sheet.shape == (2 * HEIGHT, LABEL + 6 * WIDTH, 3)
    cells = [sheet[HEIGHT + HEIGHT // 2, LABEL + WIDTH // 2 + i * WIDTH].tolist() for i in range(6)]
    assert cells[1] == cells[2] == cells[4] == [255, 0, 0]
    assert cells[5] == [225, 225, 225]
    frames = [np.asarray(Image.open(root / f"JPEGImages/480p/pan/0000{i}.jpg")) for i in (2, 6)]
    assert [cells[0], cells[3]] == [frame[16, 20].tolist() for frame in frames]


def test_the_wheel_shows_flow_from_its_centre():
    disc = wheel_disc(101)
    assert disc[50, 50].tolist() == disc[0, 0].tolist() == [255, 255, 255]
    assert disc[50, 100].tolist() == [255, 0, 0]
    found = read(disc)
    assert found[80, 50] == pytest.approx((0, 0.6), abs=0.02)
    assert found[50, 20] == pytest.approx((-0.6, 0), abs=0.02)


# ---------------------------------------------------------------- real video


@pytest.mark.skipif(not DAVIS.is_dir(), reason="no real data set here")
def test_flow_of_a_real_sequence_sets_the_object_apart(tmp_path):
    names = [f"{i:05d}" for i in (4, 5)]
    frames = [np.asarray(Image.open(DAVIS / "JPEGImages" / "480p" / "blackswan" / f"{name}.jpg")) for name in names]
    mask = np.asarray(Image.open(DAVIS / "Annotations" / "480p" / "blackswan" / f"{names[0]}.png")) > 0
    flow = Dis()(*frames)
    assert mask.shape == flow.shape[:2]
    swan, rest = (np.median(flow[inside], axis=0) for inside in (mask, ~mask))
    assert np.linalg.norm(swan - rest) > 1
    warped = cv2.remap(
        frames[1],
        flow + np.stack(np.meshgrid(*map(np.arange, mask.shape[::-1])), -1).astype("f4"),
        None,
        cv2.INTER_LINEAR,
    )
    still, moved = (abs(frames[0].astype(int) - other).mean() for other in (frames[1], warped))
    assert moved < still / 2
