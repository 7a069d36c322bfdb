"""The published rules of training: rates and decays, frames and crops, each derived a second way."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from media import coded_frames, numbers, write_frames
from tiny import TRAIN, metrics, same, succeeds, weights
from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.training import loop, pretrained
from static_dynamic.training.data import IGNORED, EvaluationClips, TrainingClips, loader
from static_dynamic.training.lists import Entry
from static_dynamic.training.optimise import classifier, parameter_groups, rate_factor, set_dropout, sgd
from static_dynamic.training.options import LoopOptions, TrainOptions
from static_dynamic.training.sampling import Dense, Segments
from static_dynamic.training.setup import may_flip, short_videos
from static_dynamic.training.transforms import PLACES, Augmentation, squares

pytest_plugins = ("tiny_data",)  # the fixture `work`

# --- rules -------------------------------------------------------------------------------------------------------


def slow_rule(name):
    """The published rule, by the names of DyReg-TSM alone."""
    bias = re.search(r"(^|\.)bias(_\w+)?$", name)
    if name.startswith("new_fc"):
        return (10, 0) if bias else (5, 1)
    if re.search(r"norm|\.bn\d|base_model\.bn1|downsample\.1", name):
        return (1, 0)
    return (2, 0) if bias else (1, 1)


def test_every_parameter_of_dyreg_learns_by_the_published_rule():
    with torch.device("meta"):
        model = models.describe("dyreg_tsm_r50").build(19)
    found = {
        id(parameter): (group["lr"] / 0.5, group["weight_decay"] / 0.25)
        for group in parameter_groups(model, 0.5, 0.25)
        for parameter in group["params"]
    }
    assert {name: found[id(parameter)] for name, parameter in model.named_parameters()} == {
        name: slow_rule(name) for name, _ in model.named_parameters()
    }
    assert any(name.endswith("offset_alpha") and slow_rule(name) == (1, 1) for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    "name", ["i3d", "slowfast_r50_8x8", "x3d_m", "mvit_b_16x4", "timesformer_ssv2", "tsm_r50_8f", "dyreg_tsm_r50"]
)
def test_the_classifier_is_found_whatever_its_size(name):
    for classes in (2, 174, 193):
        with torch.device("meta"):
            model = models.describe(name).build(classes)
        assert classifier(model).out_features == classes


def test_a_layer_that_is_called_the_classifier_is_it():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    assert classifier(model) is model[1]
    model.classifier = model[0]
    assert classifier(model) is model[0]
    assert classifier(nn.Conv2d(1, 1, 1)) is None


def test_dropout_is_set_before_the_classifier_only():
    with torch.device("meta"):
        for name in ("dyreg_tsm_r50", "i3d", "mvit_b_16x4"):
            model = models.describe(name).build(5)
            before = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
            set_dropout(model, 0.0)
            assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [*before[:-1], 0.0]
        with pytest.raises(UserError, match="no dropout before its classifier"):
            set_dropout(models.describe("timesformer_ssv2").build(5), 0.5)


@pytest.mark.parametrize(
    ("lr_type", "expected"),
    [
        ("step", {0: 1, 19: 1, 20: 0.1, 29: 0.1, 30: 0.01, 40: 0.001, 59: 0.001}),
        ("small_init_step", {0: 0.2, 9: 0.2, 10: 1, 20: 0.1, 45: 0.001}),
        ("cos", {0: 1, 15: 0.5 * (1 + math.sqrt(0.5)), 30: 0.5, 60: 0}),
    ],
)
def test_the_rate_falls_as_published(lr_type, expected):
    factor = rate_factor(LoopOptions(lr_type=lr_type, lr_steps="20,30,40", epochs=60))
    assert {epoch: factor(epoch) for epoch in expected} == pytest.approx(expected)


def test_the_rate_of_every_epoch_is_the_one_that_is_used(work):
    succeeds(*TRAIN, "--epochs", 3, "--lr_steps", "1,2", "--save_dir", "r")
    assert metrics("r")["lr"].tolist() == pytest.approx([0.05, 0.005, 0.0005])
    used = [group["lr"] for group in weights("r")["optimizer"]["param_groups"]]
    assert used == pytest.approx([factor * 0.05 * 0.01 for factor in (1, 2, 1, 5, 10)])


def test_gradients_are_really_clipped(tmp_path, alone):
    """From the change of the weights, the gradient that was used; its norm is what was asked for."""
    clips = [(torch.randn(3, 4, 16, 16) + label, label) for label in (0, 1)]

    def step(gd):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 16 * 16, 4), nn.Tanh(), nn.Linear(4, 2))
        before = [parameter.detach().clone() for parameter in model.parameters()]
        given = {"batch_size": 2, "epochs": 1, "num_workers": 0, "device": "cpu", "momentum": 0, "weight_decay": 0}
        loop.fit(model, clips, None, LoopOptions(lr=0.1, gd=gd, **given), tmp_path / str(gd))
        rates = (0.1, 0.2, 0.5, 1.0)  # weight, bias, and those of the classifier
        moved = [
            (b - parameter.detach()) / rate
            for b, parameter, rate in zip(before, model.parameters(), rates, strict=True)
        ]
        return torch.cat([change.flatten() for change in moved])

    free, clipped = step(None), step(0.01)
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert free.norm() > 0.1
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=1e-3, atol=1e-4)


def test_mixed_precision_trains(work):
    succeeds(*TRAIN, "--epochs", 2, "--precision", "bfloat16", "--save_dir", "r")
    assert metrics("r")["train_loss"].iloc[-1] < math.log(3) + 0.2
    assert {value.dtype for name, value in weights("r")["state_dict"].items() if "tracked" not in name} == {
        torch.float32
    }


def test_the_optimiser_is_plain_sgd_with_the_published_momentum():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    optimiser = sgd(model, LoopOptions())
    assert type(optimiser) is torch.optim.SGD
    assert {group["momentum"] for group in optimiser.param_groups} == {0.9}
    assert [group["weight_decay"] for group in optimiser.param_groups] == [5e-4, 0, 0, 5e-4, 0]


# --- which frames ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 32))
def test_the_frames_of_a_test_are_the_published_ones(total, parts):
    """``int(t/2 + t·i)`` with t = total / T, and ``int(t·i)`` for the second clip."""
    sampling = Segments(Recipe(frames=parts, rate=1))
    tick = total / parts
    for phase, published in ((0.5, lambda i: tick / 2 + tick * i), (0.0, lambda i: tick * i)):
        sample = sampling.at(total, phase)
        frames = [sample.numbers[place] for place in sample.pathways[0]]
        wanted = [published(i) for i in range(parts)]
        # Floats: where the published sum is a whole number in truth, it may have fallen just below it.
        assert all(frame in (int(value), int(value + 1e-9)) for frame, value in zip(frames, wanted, strict=True))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 32), st.integers(0, 99))
def test_training_takes_a_random_frame_of_each_of_equal_parts(total, parts, seed):
    sample = Segments(Recipe(frames=parts, rate=1)).drawn(total, np.random.default_rng(seed))
    frames = [sample.numbers[place] for place in sample.pathways[0]]
    assert len(frames) == parts
    assert all(
        math.floor(i * total / parts + 1e-9) <= frame <= math.ceil((i + 1) * total / parts - 1e-9) - 1
        for i, frame in enumerate(frames)
    )


def test_every_frame_of_a_part_is_drawn_as_often_as_any_other():
    generator = np.random.default_rng(0)
    sampling = Segments(Recipe(frames=4, rate=1))
    drawn = np.array([sampling.drawn(12, generator).numbers for _ in range(3000)])
    for part in range(4):
        values, counts = np.unique(drawn[:, part], return_counts=True)
        assert values.tolist() == [3 * part, 3 * part + 1, 3 * part + 2]
        assert counts.min() > 900


def test_a_video_with_fewer_frames_than_segments_repeats_them_in_order():
    sample = Segments(Recipe(frames=8, rate=1)).at(3, 0.5)
    assert [sample.numbers[place] for place in sample.pathways[0]] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert "2 of 3 videos have fewer frames than the 8 of a clip" in short_videos(
        [Entry("a", 3, 0), Entry("b", 8, 0), Entry("c", 7, 0)], Recipe(frames=8, rate=1), "segments"
    )


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(0, 99))
def test_dense_clips_are_those_of_the_recipe(total, seed):
    recipe = Recipe(frames=(4, 16), rate=8)
    sampling = Dense(recipe)
    middle, drawn = sampling.at(total, 0.5), sampling.drawn(total, np.random.default_rng(seed))
    assert same(tuple(middle.numbers), tuple(recipe.sample(total).numbers))
    assert any(
        drawn.numbers == recipe.sample(total, start).numbers for start in range(max(1, total - recipe.length + 1))
    )


def test_a_slow_pathway_takes_every_so_many_frames_of_the_fast_one():
    sample = Segments(Recipe(frames=(2, 8), rate=1)).at(80, 0.5)
    slow, fast = ([sample.numbers[place] for place in path] for path in sample.pathways)
    assert fast == list(range(5, 80, 10))
    assert slow == [5, 75]


# --- crops -------------------------------------------------------------------------------------------------------


def mapped(height, width):
    """Pixels that tell their row and column."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, rows * 0], -1)[None].repeat(2, 0)


def test_random_crops_lie_at_the_thirteen_places():
    """At scale 1 and the size of the crop nothing is resized: the corner pixel says where the crop lies."""
    assert len(set(PLACES)) == 13
    frames, generator, seen = mapped(40, 60), np.random.default_rng(0), set()
    for _ in range(2000):
        crop = Augmentation(side=40)(frames, generator)
        assert crop.shape == (2, 40, 40, 3)
        if crop[0, -1, 0, 0] - crop[0, 0, 0, 0] == 39 and crop[0, 0, -1, 1] - crop[0, 0, 0, 1] == 39:
            seen.add(int(crop[0, 0, 0, 1]))
    assert seen == {0, 5, 10, 15, 20}


def test_random_crops_have_the_published_scales():
    """The range of rows and columns in a crop is its size in the frame."""
    frames, generator = mapped(80, 120), np.random.default_rng(0)
    found = set()
    for _ in range(600):
        crop = Augmentation(side=160)(frames, generator).astype(int)  # enlarged, so that the borders stay
        found.add(tuple(int(crop[0, ..., axis].max() - crop[0, ..., axis].min() + 1) for axis in (0, 1)))
    sides = [80, 70, 60, 52]
    assert found == {(a, b) for a in sides for b in sides if abs(sides.index(a) - sides.index(b)) <= 1}


def test_mirroring_is_for_whole_clips_and_half_of_them():
    frames, generator = np.stack([mapped(40, 40)[0]] * 3), np.random.default_rng(0)
    turned = []
    for _ in range(400):
        crop = Augmentation(side=40, flip=True)(frames, generator).astype(int)
        signs = np.sign(crop[:, 20, -1, 1] - crop[:, 20, 0, 1])
        assert len(set(signs)) == 1
        turned.append(signs[0] < 0)
    assert 150 < sum(turned) < 250


@pytest.mark.parametrize(
    ("name", "classes", "flips"),
    [
        ("kinetics", ["archery", "bowling"], True),
        ("somethingv2", ["a"], False),
        ("mine", ["Pushing something"], False),
        ("mine", ["turning left"], False),
    ],
)
def test_clips_are_mirrored_unless_a_name_speaks_against_it(name, classes, flips):
    options = TrainOptions(model="i3d", data=Path(name))
    assert may_flip(options, classes) is flips
    assert may_flip(options.model_copy(update={"flip": not flips}), classes) is not flips


@pytest.mark.parametrize(("height", "width"), [(256, 340), (340, 256), (256, 256)])
def test_the_three_squares_lie_as_published(height, width):
    """Left, right, middle at 0, 4 and 2 steps of (w − 256) // 4; in an upright video along its height."""
    places = [
        (int(square[0, 0, 0, 0]), int(square[0, 0, 0, 1]), square.shape[1:3])
        for square in squares(np.mgrid[:height, :width].transpose(1, 2, 0)[None])
    ]
    step = (max(height, width) - 256) // 4
    starts = [(0, start) if width >= height else (start, 0) for start in (0, 4 * step, 2 * step)]
    assert places == [(*start, (256, 256)) for start in starts]


# --- clips -------------------------------------------------------------------------------------------------------

PLAIN = {"crop": 32, "short_side": 32, "mean": (0, 0, 0), "std": (1, 1, 1)}


@pytest.fixture
def coded(tmp_path):
    """Two videos whose frames tell their numbers, counted from 1 on disk."""
    for name, count in {"a": 40, "b": 30}.items():
        write_frames(tmp_path / name, coded_frames(count), "{:06d}.jpg", first=1)
    return tmp_path, [Entry("a", 40, 0), Entry("b", 30, 1)]


def as_frames(clip):
    return (clip.movedim(0, -1) * 255).round().byte().numpy()


def test_clips_hold_the_frames_that_were_sampled(coded):
    root, entries = coded
    recipe = Recipe(frames=(2, 5), rate=1, **PLAIN)
    middle = EvaluationClips(root, entries, recipe, Segments(recipe))
    slow, fast = middle[0].clip
    assert slow.shape == (3, 2, 32, 32)
    wide = EvaluationClips(root, entries, Recipe(frames=5, rate=1, **PLAIN), Segments(Recipe(frames=5, rate=1)))
    whole = wide[0].clip
    torch.testing.assert_close(fast, whole)
    torch.testing.assert_close(slow, whole[:, [0, 4]])


def test_six_views_are_two_samplings_of_three_squares(coded):
    root, entries = coded
    recipe = Recipe(frames=4, rate=1, crop=16, short_side=32, mean=(0, 0, 0), std=(1, 1, 1))
    clips = EvaluationClips(root, entries, recipe, Segments(recipe), multi_clip=True)
    views = clips[0].clip
    assert views.shape == (6, 3, 4, 32, 32)
    # Side by side again, left, middle and right square are the frame, whose three blocks tell its number.
    for first, shift in ((0, 5), (3, 0)):
        whole = torch.cat([views[first], views[first + 2], views[first + 1]], -1)
        assert numbers(as_frames(whole)) == [i * 10 + shift for i in range(4)]
    small = EvaluationClips(root, entries, recipe, Segments(recipe), multi_clip=True, full_res=False)
    assert small[0].clip.shape == small.blank().shape == (6, 3, 4, 16, 16)


def test_a_clip_is_a_function_of_seed_epoch_and_index(coded):
    root, entries = coded
    recipe = Recipe(frames=4, rate=1, **PLAIN)

    def clips(seed, epoch):
        made = TrainingClips(root, entries, recipe, Segments(recipe), seed=seed)
        made.set_epoch(epoch)
        return made

    first = [item.clip for item in clips(1, 0)]
    assert all(torch.equal(clips(1, 0)[i].clip, first[i]) for i in (1, 0))
    assert not torch.equal(clips(1, 1)[0].clip, first[0])
    assert not torch.equal(clips(2, 0)[0].clip, first[0])


@pytest.mark.parametrize("training", [True, False])
def test_a_missing_frame_is_a_complaint_and_never_another_video(coded, training):
    root, entries = coded
    for path in (root / "b").iterdir():
        path.unlink()
    recipe = Recipe(frames=4, rate=1, **PLAIN)
    kind = TrainingClips if training else EvaluationClips
    item = kind(root, entries, recipe, Segments(recipe))[1]
    assert item.label == IGNORED
    assert item.clip.shape == (3, 4, 32, 32)
    assert not item.clip.any()
    assert item.complaint.video == "b"
    assert re.search(r"b/0000\d\d.jpg: this frame is missing", item.complaint.what)


# --- the published beginning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tsm_r50_8f", "tsm_dyreg_l2l3l4_8f"])
def test_the_imagenet_backbone_goes_where_it_belongs(monkeypatch, name):
    """Every convolution and norm of a ResNet-50 finds its place, whatever stands around it."""
    from torchvision.models import resnet50

    image = resnet50(num_classes=2)
    monkeypatch.setattr(pretrained, "fetched", image.state_dict)
    model = models.create_model(name, num_classes=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pretrained.load_imagenet(model)
    after = model.state_dict()
    for key, value in image.state_dict().items():
        if not key.startswith("fc."):
            inner = re.sub(r"conv1\.weight", "conv1.net.weight", key) if key.startswith("layer") else key
            own = f"base_model.{inner}"
            if own not in after:
                own = own.replace("conv2.weight", "conv2.0.block.weight")
            assert torch.equal(after.pop(own), value)
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_without_a_network_there_is_one_clear_line(monkeypatch):
    import timm

    def offline(*args, **kwargs):
        raise OSError("Name or service not known\nmore")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match=r"Cannot fetch timm's resnet50\.tv_in1k: Name or service not known") as caught:
        pretrained.fetched()
    assert "\n" not in str(caught.value)


def test_the_order_of_a_loader_is_that_of_seed_and_epoch():
    clips = [(torch.tensor([float(i)]), i) for i in range(7)]
    plain = loader(clips, 3, 0, training=False)
    assert [batch.labels.tolist() for batch in plain] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader(clips, 3, 0, training=True)) == 2  # complete batches
