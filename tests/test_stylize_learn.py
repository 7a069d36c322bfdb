"""Learning a style: patches, what the losses see, runs that stop and go on, slips, and the clip that comes out."""

import json
import os
from contextlib import suppress
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from media import write_video
from PIL import Image
from program import door

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.interventions import check_style, restyle
from static_dynamic.program import learning
from static_dynamic.program.learning import Plan, learn_style
from static_dynamic.stylize.learning.learn import PRESETS, Learner, TrainingSettings
from static_dynamic.stylize.learning.patches import Keyframe, Patches, open_clip, read_keyframes
from static_dynamic.stylize.networks.learned import load_style, paint
from static_dynamic.stylize.networks.network import Architecture, as_frames

TINY = Architecture((4, 4, 8, 8, 4, 4), 1, bias=True, tanh=True, smoothers=True)
SMALL = ["--filters", "4,4,8,8,4,4", "--blocks", "1", "--batch", "4", "--vgg", "none", "--device", "cpu"]


def filmed(number=0, height=40, width=56):
    """Smooth colours that move."""
    rows, columns = np.indices((height, width))
    planes = [np.sin(columns / 7 + number / 3), np.cos(rows / 5), np.sin((rows + columns) / 9 + number / 5)]
    return np.uint8(127.5 + 110 * np.stack(planes, axis=-1))


def painted(frame):
    """A style that is a function of colour: what a generator can learn to the last level."""
    return 255 - frame[..., [2, 0, 1]] // 2


def keyframe(number=0, mask=None, **size):
    frame = filmed(number, **size)
    return Keyframe(
        f"{number:03d}", frame, painted(frame), np.ones(frame.shape[:2], np.uint8) if mask is None else mask
    )


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


@pytest.fixture
def clip(tmp_path):
    """Four frames, the painted first one, and a mask for it."""
    for number in range(4):
        save(tmp_path / "frames" / f"{number:03d}.png", filmed(number))
    save(tmp_path / "keys" / "000.png", painted(filmed(0)))
    mask = np.zeros((40, 56), np.uint8)
    mask[5:30, 8:40] = 255
    save(tmp_path / "masks" / "000.png", mask)
    return tmp_path


def learn(clip, *more, out="a.safetensors", key="keys/000.png"):
    places = ["--clip", clip / "frames", "--key", clip / key, "--out", clip / out]
    door("learn")([*places, *SMALL, *more])
    return clip / out


def give(style, clip, out, *more):
    door("generate")([style, clip, "--out", out, "--device", "cpu", *more])
    return out


# ---------------------------------------------------------------- patches


def places(patches, steps):
    """Keyframe and corner of every patch of the first steps, told from its pixels: they hold their own place."""
    found = []
    for step in range(steps):
        for cut in as_frames(patches(step).filmed).astype(int) + 1:  # the way to -1..1 and back may cut off a level
            found.append((cut[0, 0, 2] // 50, cut[0, 0, 0] // 3, cut[0, 0, 1] // 3))
    return found


def coded(which, mask):
    """A keyframe whose colours tell row, column and keyframe."""
    rows, columns = np.indices(mask.shape)
    frame = np.uint8(np.stack([3 * rows + 1, 3 * columns + 1, np.full_like(rows, 50 * which + 10)], axis=-1))
    return Keyframe(str(which), frame, frame, mask)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_every_centre_of_the_eroded_mask_is_drawn_once_before_any_is_drawn_again(data):
    height, width = data.draw(st.tuples(st.integers(18, 30), st.integers(18, 30)))
    mask = np.zeros((height, width), np.uint8)
    top, left = data.draw(st.tuples(st.integers(0, height - 9), st.integers(0, width - 9)))
    mask[top : top + 9, left : left + data.draw(st.integers(8, 12))] = 1
    patches = Patches([coded(0, mask)], side=16, count=1, seed=data.draw(st.integers(0, 99)))
    padded = np.pad(mask, 3, constant_values=1)  # beyond the frame nothing erodes
    centres = [(y, x) for y, x in np.ndindex(mask.shape) if padded[y : y + 7, x : x + 7].all()]
    expected = sorted((min(max(y - 8, 0), height - 16), min(max(x - 8, 0), width - 16)) for y, x in centres)
    for turn in range(2):
        corners = [patches._draw(turn * len(centres) + i, "learned")[1:] for i in range(len(centres))]
        assert sorted(corners) == expected


def test_patches_lie_in_the_frame_and_keyframes_take_turns():
    patches = Patches([coded(which, np.ones((40, 50), np.uint8)) for which in range(3)], side=16, count=7, seed=3)
    found = places(patches, 40)
    assert [which for which, _, _ in found] == [number % 3 for number in range(280)]
    assert all(0 <= y <= 24 and 0 <= x <= 34 for _, y, x in found)
    assert {y for _, y, _ in found} >= {0, 24}  # the last row is used, too


def test_a_painted_patch_is_of_the_place_that_was_filmed():
    batch = Patches([keyframe(0), keyframe(2)], 32, 6, 1)(5)
    assert batch.filmed.shape == batch.painted.shape == batch.other.shape == (6, 3, 32, 32)
    again = painted(as_frames(batch.filmed).astype(np.uint8))
    assert np.abs(again.astype(int) - as_frames(batch.painted)).max() <= 1
    assert not torch.equal(batch.painted, batch.other)


def test_what_a_step_sees_follows_from_its_number_and_the_seed():
    one, other = Patches([keyframe()], 16, 5, 0), Patches([keyframe()], 16, 5, 0)
    straight = [one(step).filmed for step in range(6)]
    assert all(torch.equal(other(step).filmed, straight[step]) for step in (5, 0, 3))
    assert not torch.equal(Patches([keyframe()], 16, 5, 1)(0).filmed, straight[0])


@pytest.mark.parametrize(("patch", "batch"), [(None, 1), (24, 8)])
def test_outside_of_its_mask_a_keyframe_is_never_wrong(patch, batch):
    mask = np.zeros((40, 56), np.uint8)
    mask[:, :20] = 1
    good = keyframe(0, mask)
    spoilt = Keyframe("000", good.filmed, np.where(mask[..., None] > 0, good.painted, 7).astype(np.uint8), mask)
    whole = Keyframe("000", spoilt.filmed, spoilt.painted, np.ones_like(mask))
    learners = [Learner(TrainingSettings(TINY, patch, batch), [case]) for case in (good, spoilt, whole)]
    if patch:  # with the centres of the others, the third learns what lies beyond
        learners[2].batches.centres = learners[1].batches.centres
    losses = [learner.advance()["image"] for learner in learners]
    assert losses[0] == losses[1] != losses[2]


# ---------------------------------------------------------------- learning


def test_presets_are_the_published_ones():
    p, f = PRESETS["P"], PRESETS["F"]
    assert (p.patch, p.batch, p.rate, p.architecture.blocks) == (32, 40, 4e-4, 7)
    assert (f.patch, f.batch, f.rate, f.architecture.blocks) == (None, 1, 2e-4, 4)


def test_unseen_frames_come_to_look_like_the_painting():
    learner = Learner(
        TrainingSettings(Architecture((8, 8, 8, 8, 8, 8), 1, bias=True, tanh=True), 24, 8, rate=3e-3), [keyframe()]
    )
    for _ in range(60):
        learner.advance()
    learner.generator.eval()
    unseen, wanted = filmed(9), painted(filmed(9)).astype(float)
    before, after = (np.abs(image - wanted).mean() for image in (unseen, paint(learner.generator, unseen)))
    assert after < before / 4


@pytest.mark.parametrize("preset", [("--preset", "P"), ("--preset", "F", "--batch", "1")], ids="PF")
def test_a_run_that_was_stopped_ends_as_one_that_was_not(preset, clip):
    whole = learn(clip, *preset, "--steps", 4, out="whole.safetensors")
    learn(clip, *preset, "--steps", 2, out="parts.safetensors")
    parts = learn(clip, *preset, "--steps", 4, "--resume", out="parts.safetensors")
    assert parts.read_bytes() == whole.read_bytes()


class Counting:
    """A learner that knows its step alone."""

    def __init__(self):
        self.step, self.generator, self.facts = 0, None, {}

    def advance(self):
        self.step += 1
        return {"image": 0.0}

    def save(self, path):
        write_text(path, str(self.step))

    def resume(self, path):
        self.step = int(path.read_text())


@pytest.mark.parametrize("every", [1, 2, 9])
def test_wherever_a_run_stops_the_next_one_leaves_the_files_of_a_whole_run(every, tmp_path, monkeypatch):
    def learned(name):
        folder = tmp_path / name
        learn_style(Counting(), Plan(folder / "a.safetensors", 3, every, folder / "seen"), True, ())
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}

    monkeypatch.setattr(learning, "write_style", lambda path, network, facts: write_text(path, "style"))
    monkeypatch.setattr(learning, "_draw_preview", lambda learner, frames, path: write_text(path, str(learner.step)))
    whole, replace = learned("whole"), os.replace
    for stopped_at in range(20):
        left = stopped_at

        def replace_or_stop(*places):
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            replace(*places)

        with monkeypatch.context() as patched:
            patched.setattr("static_dynamic.common.files.os.replace", replace_or_stop)
            with suppress(KeyboardInterrupt):
                learned(str(stopped_at))
        assert learned(str(stopped_at)) == whole
        if left:
            break
    assert left  # all moments were tried


def test_another_seed_learns_another_style(clip):
    one, again = learn(clip, "--steps", 1), learn(clip, "--steps", 1, out="b.safetensors")
    other = learn(clip, "--steps", 1, "--seed", 1, out="c.safetensors")
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()


def test_learning_leaves_the_random_state_of_the_program_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Learner(TrainingSettings(TINY, 16, 2), [keyframe()]).advance()
    assert torch.rand(1) == expected


def test_a_run_of_another_configuration_is_not_taken_up(clip):
    style = learn(clip, "--steps", 1)
    before = style.read_bytes()
    with pytest.raises(UserError, match="batch is 4 there, 5 here"):
        learn(clip, "--steps", 2, "--batch", 5)
    save(clip / "keys" / "000.png", filmed(1))
    with pytest.raises(UserError, match="another learned style: keyframe 000"):
        learn(clip, "--steps", 2)
    (clip / "a.training.pt").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be read"):
        learn(clip, "--steps", 2)
    (clip / "a.training.pt").unlink()
    with pytest.raises(UserError, match=r"a.training.pt to resume from is missing"):
        learn(clip, "--steps", 2)
    assert style.read_bytes() == before
    learn(clip, "--steps", 1, "--resume", "False")
    assert style.read_bytes() != before


def test_previews_show_unseen_frames_as_they_are_painted_by_then(clip):
    style = learn(clip, "--steps", 3, "--every", 2, "--preview", clip / "seen")
    assert sorted(path.name for path in (clip / "seen").iterdir()) == ["step_000002.png", "step_000003.png"]
    sheet = np.asarray(Image.open(clip / "seen" / "step_000003.png"))
    network = load_style(style, "cpu").network
    rows = [[filmed(number) for number in (1, 2, 3)], [paint(network, filmed(number)) for number in (1, 2, 3)]]
    assert np.array_equal(sheet, np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def test_a_style_says_how_it_was_learned(clip, capsys):
    style = learn(clip, "--steps", 1, "--mask", clip / "masks" / "000.png", "--size", 36)
    assert "without the perceptual loss" in capsys.readouterr().out
    facts = load_style(style, "cpu").facts
    assert facts["perception"] is None
    assert (facts["steps"], facts["height"], facts["width"]) == (1, 36, 50)
    assert "keyframe 000" in facts
    json.dumps(facts)


def test_weights_of_vgg_give_one_more_loss(clip, capsys):
    keys = {"features.0": (64, 3), "features.2": (64, 64), "features.5": (128, 64)}
    state = {f"{key}.weight": torch.randn(*shape, 3, 3) / 30 for key, shape in keys.items()}
    state |= {f"{key}.bias": torch.zeros(shape[0]) for key, shape in keys.items()}
    torch.save(state, clip / "vgg.pth")
    style = learn(clip, "--steps", 1, "--vgg", clip / "vgg.pth")
    printed = capsys.readouterr().out
    assert "perception 0." in printed
    assert "without" not in printed
    assert len(load_style(style, "cpu").facts["perception"]) == 16


def test_a_style_counts_where_its_painting_is_opaque(clip):
    film = open_clip(clip / "frames")
    alpha = np.asarray(Image.open(clip / "masks" / "000.png"))
    save(clip / "layer.png", np.dstack([painted(filmed(0)), alpha]))
    (keyframe,) = read_keyframes(film, [f"000={clip / 'layer.png'}"])
    assert np.array_equal(keyframe.mask, alpha // 255)
    save(clip / "white.png", np.dstack([np.full_like(alpha, 255), alpha]))
    for mask in ("masks/000.png", "white.png"):
        (keyframe,) = read_keyframes(film, [str(clip / "keys" / "000.png")], [f"000={clip / mask}"])
        assert np.array_equal(keyframe.mask, alpha // 255)


def test_a_painting_of_16_bits_is_the_same_in_8(clip):
    grey = painted(filmed(0))[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(clip / "deep.png")
    (keyframe,) = read_keyframes(open_clip(clip / "frames"), [f"000={clip / 'deep.png'}"])
    assert np.array_equal(keyframe.painted, np.dstack([grey] * 3))


def test_a_finished_run_writes_a_style_that_was_lost(clip):
    style = learn(clip, "--steps", 2)
    before = style.read_bytes()
    style.unlink()
    assert learn(clip, "--steps", 2).read_bytes() == before


def test_a_disk_that_was_full_can_be_gone_on_with(clip, monkeypatch):
    whole = learn(clip, "--steps", 2, out="whole.safetensors").read_bytes()

    def full(*arguments):
        raise UserError("full")

    with monkeypatch.context() as disk:
        disk.setattr("static_dynamic.program.learning.write_style", full)
        with pytest.raises(UserError, match="full"):
            learn(clip, "--steps", 2)
    assert learn(clip, "--steps", 2).read_bytes() == whole


def test_several_keys_may_name_their_frames(clip):
    save(clip / "other.png", painted(filmed(2)))
    style = learn(clip, "--key", f"002={clip / 'other.png'}", "--steps", 1)
    assert {"keyframe 000", "keyframe 002"} < set(load_style(style, "cpu").facts)


# ---------------------------------------------------------------- slips


def small_key(clip):
    save(clip / "keys" / "000.png", filmed(0, 20, 28))


def small_frames(clip):
    save(clip / "frames" / "000.png", filmed(0, 20, 28))
    small_key(clip)


def another_size_later(clip):
    save(clip / "frames" / "003.png", filmed(0, 48, 56))


def frame_twice(clip):
    save(clip / "frames" / "001.jpg", filmed(1))


def black_mask(clip):
    save(clip / "masks" / "000.png", np.zeros((40, 56), np.uint8))


def thin_mask(clip):
    save(clip / "masks" / "000.png", np.pad(np.full((6, 40), 255, np.uint8), ((17, 17), (8, 8))))


def unreadable_key(clip):
    (clip / "keys" / "000.png").write_bytes(b"no picture")


def stray_key(clip):
    (clip / "keys" / "000.png").rename(clip / "keys" / "0000.png")
    (clip / "keys" / "000.png").symlink_to(clip / "absent.png")


MASK = ("--mask", "masks/000.png")
SLIPS = {
    "a key of another size": (small_key, (), "has 28x20 pixels, but its frame .* has 56x40"),
    "frames smaller than a patch": (small_frames, (), "28x20 pixels, fewer than a patch: 32x32"),
    "a black mask": (black_mask, MASK, "holds no patch"),
    "a mask thinner than the margin": (thin_mask, MASK, "holds no patch"),
    "a black mask for whole frames": (black_mask, (*MASK, "--preset", "F", "--batch", "1"), "is black"),
    "a key that is no picture": (unreadable_key, (), "cannot be read"),
    "a key that is missing": (stray_key, (), "missing"),
    "a key without a frame": (None, ("--key", "keys/00l.png"), "frame '00l', which .* 000 to 003. Did you mean '00."),
    "two keys for one frame": (None, ("--key", "000=masks/000.png"), "Two keys for the frame '000'"),
    "a mask without a key": (None, ("--mask", "001=masks/000.png"), "'001', which has no key"),
    "a preview that is a file": (None, ("--preview", "keys/000.png"), "Cannot make the folder"),
    "frames of several sizes": (another_size_later, (), "56x48.*56x40"),
    "a frame twice": (frame_twice, (), "a frame twice, 001.jpg and 001.png"),
    "a size of nothing": (None, ("--size", "0"), "'size' must be 16 pixels or more. Got 0"),
    "a style of another kind": (None, ("--out", "a.pth"), "must end in .safetensors. Got --out a.pth"),
    "a place that cannot be written": (None, ("--out", "keys/000.png/a.safetensors"), "Cannot make the folder"),
    "no such preset": (None, ("--preset", "Q"), "Unknown value 'Q' in --preset"),
    "filters that do not fit": (None, ("--filters", "1,2,3"), "six filters"),
    "filters that are no numbers": (None, ("--filters", "a,b"), "filters"),
    "a rate of nothing": (None, ("--rate", "0"), "rate above 0"),
    "several whole frames at a time": (None, ("--preset", "F"), "the batch must be 1. Got 4"),
    "a negative seed": (None, ("--seed", "-1"), "seed of 0 or more"),
    "no steps": (None, ("--steps", "0"), "--steps"),
    "no such device": (None, ("--device", "gpu"), "device"),
    "no such weights": (None, ("--vgg", "absent.pth"), "'absent.pth' of VGG-19's weights is missing"),
    "no folder of frames": (None, ("--clip", "absent"), "folder of frames"),
    "a folder without frames": (None, ("--clip", "."), "does not contain frames"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_and_nothing_is_written(slip, clip, monkeypatch):
    prepare, more, line = SLIPS[slip]
    if prepare:
        prepare(clip)
    monkeypatch.chdir(clip)
    with pytest.raises(UserError, match=line) as error:
        learn(clip, "--steps", 1, *more)
    assert "\n" not in str(error.value)
    assert not list(clip.glob("*.safetensors*")) + list(clip.glob("*.pt"))


def test_a_loss_that_is_not_finite_stops_the_run():
    learner = Learner(TrainingSettings(TINY, 16, 2), [keyframe()])
    torch.nn.init.constant_(learner.generator.conv_12[0].bias, float("nan"))
    with pytest.raises(UserError, match="not finite"):
        learner.advance()


# ---------------------------------------------------------------- generating


def test_a_folder_of_frames_is_painted_frame_by_frame(clip):
    style = learn(clip, "--steps", 1)
    out = give(style, clip / "frames", clip / "painted")
    operator = load_style(style, "cpu")
    assert sorted(path.name for path in out.iterdir()) == [f"{number:03d}.png" for number in range(4)]
    for number in range(4):
        assert np.array_equal(np.asarray(Image.open(out / f"{number:03d}.png")), operator(filmed(number)))


def test_a_video_becomes_a_video_of_as_many_frames(clip):
    video = write_video(clip / "a.mp4", np.stack([filmed(number) for number in range(5)]))
    out = give(learn(clip, "--steps", 1), video, clip / "b.mp4", "--smooth", "both", "--radius", 1)
    capture = cv2.VideoCapture(str(out))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (5, 10)
    assert (capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == (40, 56)


def test_smoothing_takes_flicker_from_what_is_painted(clip):
    noise = np.random.default_rng(0).normal(0, 6, (6, 40, 56, 3))
    for number, grain in enumerate(noise):
        save(clip / "noisy" / f"{number}.png", np.uint8(np.clip(filmed(0) + grain, 0, 255)))
    style = learn(clip, "--steps", 1)
    flicker = {}
    for kind in ("none", "input", "output", "both"):
        out = give(style, clip / "noisy", clip / kind, "--smooth", kind)
        frames = [np.asarray(Image.open(out / f"{number}.png")).astype(float) for number in range(6)]
        flicker[kind] = np.mean([np.abs(a - b).mean() for a, b in pairwise(frames)])
    assert max(flicker["input"], flicker["output"]) < 0.5 * flicker["none"]
    assert flicker["both"] < min(flicker["input"], flicker["output"])


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--smooth", "inptu"), "Unknown value 'inptu' in --smooth. Did you mean 'input'"),
        (("--radius", "-1", "--smooth", "input"), "radius"),
        (("--format", "gif"), "png or jpg"),
        (("--out", "a.avi"), "png or jpg, or to a .mp4"),
        (("--size", "-4"), "'size' must be 16 pixels or more. Got -4"),
        (("--out", "frames"), "exists already"),
    ],
)
def test_a_slip_in_generating_is_one_line_and_nothing_is_written(more, line, clip, monkeypatch):
    monkeypatch.chdir(clip)
    style = learn(clip, "--steps", 1)
    before = sorted(clip.iterdir())
    with pytest.raises(UserError, match=line):
        give(style, clip / "frames", "out", *more)
    assert sorted(clip.iterdir()) == before


def test_a_clip_that_cannot_be_read_to_its_end_leaves_nothing(clip):
    style = learn(clip, "--steps", 1)
    (clip / "frames" / "002.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"002.png"):
        give(style, clip / "frames", clip / "out")
    assert not (clip / "out").exists()


def test_frames_of_another_size_than_those_that_were_learned_from_are_told(clip, capsys):
    style = learn(clip, "--steps", 1, "--size", 34)
    capsys.readouterr()
    give(style, clip / "frames", clip / "same", "--size", 34)
    assert "note" not in capsys.readouterr().err
    give(style, clip / "frames", clip / "larger")
    assert "learned at a short side of 34 pixels, but these frames have 40. Use --size 34" in capsys.readouterr().err


def test_one_clip_is_generated_at_a_time(clip):
    for name in ("a", "b"):
        save(clip / "two" / name / "0.png", filmed())
    with pytest.raises(UserError, match=r"One video is required, but .* holds 2"):
        give(learn(clip, "--steps", 1), clip / "two", clip / "out")


def test_the_measurement_paints_with_a_learned_style(clip, tmp_path):
    learn(clip, "--steps", 1)
    name = str(clip / "a.safetensors")
    check_style(name)
    frames = np.stack([filmed(number) for number in range(3)])
    style = load_style(name, "cpu")
    assert np.array_equal(restyle(frames, name), np.stack([style(frame) for frame in frames]))
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        check_style(str(tmp_path / "no.safetensors"))
