"""Styles change the look and keep shapes and motion; scrambles change the order and keep every frame."""

import subprocess
import sys
from collections import Counter
from itertools import combinations, permutations
from math import factorial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from program import door

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.interventions import (
    STRONG,
    apply_scramble,
    check_style,
    contact_sheet,
    list_scrambles,
    list_styles,
    restyle,
    scramble,
)
from static_dynamic.interventions.census import Census
from static_dynamic.interventions.colour import tone_curve, transfer
from static_dynamic.interventions.image_style import read_image
from static_dynamic.program.sheet import catalogue

run = door("sheet")

ROOT = Path(__file__).parents[1]
VIDEOS = ROOT.parent / "shared" / "data" / "videos"
REAL = ("woman_running.mp4", "carphone_qcif.mp4", "ucf101_v_BaseballPitch_g01_c01.avi")
PERMUTING = [kind for kind in list_scrambles(pixels=False) if kind != "freeze"]

styles = pytest.mark.parametrize("style", list_styles())


def scene(length=5, height=96, width=128, gain=1.0):
    """A disc and a bar that move over a soft background, with a little camera noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    back = np.stack([60 + 80 * rows / height, 90 + 50 * columns / width, 110 + 0 * rows], axis=-1)
    frames = []
    for t in range(length):
        frame = back.copy()
        frame[(rows - height / 2) ** 2 + (columns - width * (0.25 + 0.08 * t)) ** 2 < (height / 5) ** 2] = (
            220,
            70,
            60,
        )
        frame[(abs(columns - width * 0.8) < width / 12) & (rows > height * (0.2 + 0.06 * t))] = (30, 60, 40)
        frames.append(frame + rng.normal(0, 2, frame.shape))
    return (gain * np.clip(frames, 0, 255)).astype(np.uint8)


def decode(name, count=4, step=4):
    import av

    with av.open(str(VIDEOS / name)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    middle = frames[len(frames) // 2 :][: count * step : step]
    scale = 160 / min(middle[0].shape[:2])
    return np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for f in middle])


def greys(frames):
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]


def edges(frames):
    soft = [cv2.GaussianBlur(grey, (0, 0), 1.5) for grey in greys(frames)]
    return np.stack([np.hypot(cv2.Sobel(g, -1, 1, 0), cv2.Sobel(g, -1, 0, 1)) for g in soft])


def shape_agreement(a, b):
    """Correlation of gradient magnitudes: -1..1."""
    return np.corrcoef(edges(a).ravel(), edges(b).ravel())[0, 1]


def colours(frames):
    counts, _ = np.histogramdd(frames.reshape(-1, 3), bins=(6, 6, 6), range=((0, 256),) * 3)
    return counts / counts.sum()


def colour_distance(a, b):
    """Total variation between colour histograms: 0 (same) .. 1 (no colour in common)."""
    return np.abs(colours(a) - colours(b)).sum() / 2


@pytest.fixture
def painting(tmp_path):
    """An image with strokes in it, on disk."""
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (120, 150, 3)).astype(np.float32), (0, 0), sigmaX=5, sigmaY=1)
    image = np.clip(128 + 500 * noise * (0.4, 0.7, 1.0), 0, 255).astype(np.uint8)
    path = tmp_path / "painting.png"
    cv2.imwrite(str(path), image)
    return str(path)


# --- every style --------------------------------------------------------------------------------------------------


@styles
def test_style_is_a_pure_function(style):
    frames = scene()
    before = frames.copy()
    frames.setflags(write=False)
    threads = cv2.getNumThreads()
    first = restyle(frames, style, seed=3)
    try:
        cv2.setNumThreads(1)
        second = restyle(frames, style, seed=3)
    finally:
        cv2.setNumThreads(threads)
    assert first.shape == frames.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(frames, before)
    assert not np.shares_memory(first, frames)


@styles
def test_style_leaves_the_global_random_state(style):
    state = np.random.get_state()[1].copy()
    restyle(scene(2), style)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@styles
def test_style_is_one_operator_for_all_frames(style):
    frames = scene()
    still = restyle(np.repeat(frames[:1], 4, axis=0), style)
    assert all((frame == still[0]).all() for frame in still)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_array_equal(restyle(frames[order], style), restyle(frames, style)[order])


@styles
@pytest.mark.parametrize("gain", [1.0, 0.25], ids=["bright", "dark"])
def test_style_changes_the_look_and_keeps_the_shapes(style, gain):
    frames = scene(gain=gain)
    styled = restyle(frames, style)
    assert colour_distance(frames, styled) > 0.45
    assert np.abs(frames.astype(int) - styled).mean() > 15
    assert shape_agreement(frames, styled) > 0.25


@pytest.mark.skipif(not VIDEOS.is_dir(), reason="the real clips are not here")
@pytest.mark.parametrize("name", REAL)
def test_styles_on_real_clips(name):
    frames = decode(name)
    for style in list_styles():
        styled = restyle(frames, style)
        bound = 0.4 if style in STRONG else 0.25
        assert shape_agreement(frames, styled) > bound, style
        assert colour_distance(frames, styled) > 0.35, style


@styles
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (97, 61), (16, 200)])
def test_style_takes_any_size_and_one_frame(style, size):
    assert restyle(scene(1, *size), style).shape == (1, *size, 3)


@styles
@pytest.mark.parametrize("level", [0, 128, 255])
def test_style_takes_a_clip_of_one_colour(style, level):
    frames = np.full((2, 32, 40, 3), level, dtype=np.uint8)
    assert restyle(frames, style).shape == frames.shape


@styles
def test_style_takes_views(style):
    frames = scene(2)
    view = frames[::-1, :, ::-1, ::-1]
    np.testing.assert_array_equal(restyle(view, style), restyle(view.copy(), style))


def test_styles_differ_from_each_other():
    frames = scene(2)
    looks = {style: restyle(frames, style).astype(int) for style in list_styles()}
    for (a, first), (b, second) in combinations(looks.items(), 2):
        assert np.abs(first - second).mean() > 12, (a, b)


def test_strong_styles_are_far_apart():
    frames = scene(2)
    for a, b in combinations(["original", *STRONG], 2):
        assert colour_distance(restyle(frames, a), restyle(frames, b)) > 0.7, (a, b)


@pytest.mark.parametrize("style", STRONG)
def test_strong_styles_keep_the_motion(style):
    """Optical flow finds a known shift of a cloudy picture again: end-point error relative to its length."""
    noise = np.random.default_rng(0).normal(0, 1, (240, 320, 3)).astype(np.float32)
    clouds = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    shift = np.array([4, 2])
    frames = np.stack([clouds, np.roll(clouds, shift[::-1], axis=(0, 1))])
    before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in restyle(frames, style))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(before, after, None)
    error = np.linalg.norm(flow - shift, axis=-1)[20:-20, 20:-20].mean() / np.linalg.norm(shift)
    assert error < 0.4


def test_original_is_the_clip_itself():
    frames = scene(2)
    assert restyle(frames, "original") is frames


def test_seed_moves_the_grain():
    frames = scene(2)
    for style in ("ink", "random_filter", "film"):
        assert (restyle(frames, style, seed=0) != restyle(frames, style, seed=1)).any()


def test_style_from_an_image(painting):
    frames = scene(3)
    styled = restyle(frames, painting)
    np.testing.assert_array_equal(styled, restyle(frames, painting))
    order = np.array([2, 0, 1])
    np.testing.assert_array_equal(restyle(frames[order], painting), styled[order])
    assert colour_distance(frames, styled) > 0.5
    assert shape_agreement(frames, styled) > 0.4
    image = cv2.imread(painting)[None, ..., ::-1]
    assert colour_distance(image, styled) < colour_distance(image, frames)
    assert restyle(scene(1, 17, 31), painting).shape == (1, 17, 31, 3)


def test_an_image_is_read_as_it_is_seen(painting, tmp_path):
    image = Image.open(painting).convert("RGB")
    seen = read_image(Path(painting))
    turned, deep, glass = (tmp_path / name for name in ("turned.png", "deep.png", "glass.png"))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    image.rotate(90, expand=True).save(turned, exif=exif)
    np.testing.assert_array_equal(read_image(turned), seen)
    grey = np.asarray(image.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(deep)
    np.testing.assert_array_equal(read_image(deep), np.dstack([grey] * 3))
    alpha = np.zeros_like(grey)
    alpha[:, ::2] = 255
    Image.fromarray(np.dstack([seen, alpha])).save(glass)
    np.testing.assert_array_equal(read_image(glass)[:, ::2], seen[:, ::2])
    assert (read_image(glass)[:, 1::2] == 255).all()


def test_bad_styles_are_told_early(tmp_path, painting):
    broken, tiny = tmp_path / "broken.jpg", tmp_path / "tiny.png"
    broken.write_bytes(b"no image")
    cv2.imwrite(str(tiny), np.zeros((3, 3, 3), np.uint8))
    for name in (str(broken), str(tiny), str(tmp_path / "missing.png")):
        for reads in (check_style, lambda style: restyle(scene(1), style)):
            with pytest.raises(UserError, match="style image") as caught:
                reads(name)
            assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"Unknown style 'inck'. Did you mean 'ink'"):
        check_style("inck")
    for name in ("original", painting, *list_styles()):
        check_style(name)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((0, 32, 32, 3), np.uint8),
        np.zeros((2, 8, 32, 3), np.uint8),
    ],
)
def test_bad_frames(frames):
    with pytest.raises(UserError, match="The 'frames' of a clip"):
        restyle(frames, "ink")


def test_bad_seed():
    with pytest.raises(UserError, match="seed"):
        restyle(scene(1), "ink", seed=-1)
    with pytest.raises(UserError, match="seed"):
        scramble("shuffle", 4, seed=-1)


def test_names():
    assert len(list_styles()) >= 10
    assert set(STRONG) <= set(list_styles())
    assert list_styles("ha*") == ["hatch", "halftone"]
    assert list_scrambles(pixels=False) == ["shuffle", "block_shuffle", "reverse", "freeze"]
    assert list_scrambles() == [*list_scrambles(pixels=False), "blur", "phase"]
    assert list_scrambles(length=2) == [kind for kind in list_scrambles() if kind != "phase"]


# --- what the styles are made of ----------------------------------------------------------------------------------


def test_census_moments_are_those_of_all_pixels():
    frames = scene(3)
    mean, covariance = Census(frames).moments
    pixels = frames.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(mean, pixels.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(pixels.T, bias=True), rtol=1e-8)


def test_transfer_reaches_the_target():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (5000, 3)) @ rng.normal(0, 20, (3, 3)) + 100
    spread = rng.normal(0, 10, (3, 3))
    target = np.array([10.0, 20.0, 30.0]), spread @ spread.T
    matrix = transfer((x.mean(axis=0), np.cov(x.T)), target, strongest=np.inf)
    y = x @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(y.mean(axis=0), target[0], rtol=1e-3)
    np.testing.assert_allclose(np.cov(y.T), target[1], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(matrix[:, :3], matrix[:, :3].T, atol=1e-5)  # least displacement: symmetric


@given(st.lists(st.integers(0, 1000), min_size=256, max_size=256).filter(any))
@settings(max_examples=50, deadline=None)
def test_tone_curve_is_monotone(counts):
    curve = tone_curve(np.array(counts))
    assert (np.diff(curve) >= -1e-6).all()
    assert 0 <= curve.min() <= curve.max() <= 1


# --- scrambles ----------------------------------------------------------------------------------------------------

lengths, seeds = st.integers(2, 80), st.integers(0, 2**32)


@pytest.mark.parametrize("kind", [*PERMUTING, "block_shuffle:2", "block_shuffle:9"])
@given(length=lengths, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_scramble_is_another_order_of_the_same_frames(kind, length, seed):
    order = scramble(kind, length, seed)
    assert order.dtype == np.intp
    assert sorted(order) == list(range(length))
    assert list(order) != list(range(length))
    np.testing.assert_array_equal(order, scramble(kind, length, seed))


@given(length=lengths, seed=seeds, blocks=st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_blocks_stay_whole(length, seed, blocks):
    order = scramble(f"block_shuffle:{blocks}", length, seed)
    assert (np.diff(order) != 1).sum() <= min(blocks, length) - 1


def test_shuffle_is_uniform_over_all_other_orders():
    draws = 3000
    counts = Counter(tuple(scramble("shuffle", 3, seed).tolist()) for seed in range(draws))
    assert set(counts) == set(permutations(range(3))) - {(0, 1, 2)}
    expected = draws / (factorial(3) - 1)
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2 < 18.5  # 0.1 % of a chi-squared with 4 degrees of freedom


def test_reverse_and_freeze():
    assert scramble("reverse", 4).tolist() == [3, 2, 1, 0]
    assert scramble("freeze", 5).tolist() == [2] * 5
    assert scramble("freeze", 1).tolist() == [0]


@pytest.mark.parametrize("kind", list_scrambles(pixels=False))
def test_apply_scramble_keeps_frames_exactly(kind):
    frames = scene(6)
    before = frames.copy()
    np.testing.assert_array_equal(apply_scramble(frames, kind, 5), frames[scramble(kind, 6, 5)])
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("style", STRONG)
def test_styles_and_scrambles_commute(style):
    frames = scene(6)
    scrambled = apply_scramble(frames, "shuffle", 1)
    np.testing.assert_array_equal(restyle(scrambled, style), apply_scramble(restyle(frames, style), "shuffle", 1))


def test_bad_scrambles():
    for kind in PERMUTING:
        with pytest.raises(UserError, match="2 or more frames"):
            scramble(kind, 1)
    with pytest.raises(UserError, match="Did you mean 'shuffle'"):
        scramble("shufle", 8)
    for kind in ("reverse:3", "block_shuffle:", "block_shuffle:x", "block_shuffle:-2"):
        with pytest.raises(UserError, match="Unknown scramble"):
            scramble(kind, 8)
    with pytest.raises(UserError, match="blocks"):
        scramble("block_shuffle:1", 8)
    with pytest.raises(UserError, match="1 or more frames"):
        scramble("freeze", 0)


# --- the contact sheet --------------------------------------------------------------------------------------------


def test_contact_sheet_has_a_row_for_everything():
    frames = scene(3)
    full = contact_sheet(frames)
    rows = 1 + len(list_styles()) + len(list_scrambles())
    assert full.dtype == np.uint8
    assert full.shape[0] % rows == 0
    one = contact_sheet(frames[:1], styles=["ink"])
    assert one.shape[0] == 3 * full.shape[0] // rows  # as filmed, ink, and the one scramble that one frame can have


def call(*arguments, capsys):
    code = command(lambda: run(arguments))
    return code, *capsys.readouterr()


def test_command_draws_a_sheet(tmp_path, painting):
    out = tmp_path / "new" / "sheet.png"
    command = [sys.executable, "-m", "static_dynamic.interventions", "factorial", "--out", str(out)]
    done = subprocess.run(
        [*command, "--styles", f"ink,{painting}", "--frames", "4"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(out)).shape[0] == 136 * (1 + 2 + len(list_scrambles()))
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_command_lists_names(capsys):
    code, printed, _ = call("--list", capsys=capsys)
    assert code == 0
    assert printed.strip() == catalogue()
    assert all(name in printed for name in list_styles() + list_scrambles())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "A video is required"),
        (["nowhere.mp4"], "nowhere.mp4"),
        (["factorial", "--styles", "inck"], "Did you mean 'ink'"),
        (["factorial", "--styles", "missing.png"], "missing.png"),
        (["factorial", "--frames", "0"], "frames"),
        (["factorial", "--frames", "two"], "two"),
        (["factorial", "--seed", "-1"], "seed"),
        (["factorial", "--out", "sheet.gif"], ".png"),
        (["factorial", "--colour"], "--colour"),
    ],
)
def test_command_answers_a_slip_with_one_line(arguments, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, printed, complaint = call(*arguments, capsys=capsys)
    assert code == 2
    assert printed == ""
    assert complaint.count("\n") == 1
    assert said in complaint
    assert list(tmp_path.iterdir()) == []


def test_command_cannot_write(capsys, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "sheet.png"
    code, _, complaint = call("factorial", "--styles", "ink", "--out", out, capsys=capsys)
    assert code == 2
    assert complaint.count("\n") == 1
