"""A model that is measured while it trains: the same numbers as a measurement, no clip read twice, nothing changed."""

import json
import random
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from torch import nn

import static_dynamic as sd
from static_dynamic.tracking import open_course

KEY = ["stage", "estimator", "factor"]
FRAMES = {"frames": STAGES["frames"]}


def tracked(model, videos=None, stages=FRAMES, **options):
    given = {"recipe": RECIPE, "styles": ("1", "2"), "twins": 0, "every": 10, "scoring": sd.Scoring(replicates=20)}
    return sd.track(model, videos or PlantedVideos(6), stages, **{**given, **options})


def learn(model, seed=0):
    """A step of what training does to the weights."""
    draw = np.random.default_rng(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.from_numpy(draw.normal(size=tuple(weight.shape)).astype(np.float32))


# ---------------------------------------------------------------- the numbers


@pytest.fixture(scope="module")
def both():
    """A course of two points, and a measurement at each."""
    model, results = PlantedModel(), []
    options = {"recipe": RECIPE, "styles": ("1", "2"), "twins": 2, "estimators": "needs_motion,released", "seed": 3}
    options["scoring"] = sd.Scoring(replicates=50)  # whose seed is another
    tracker = sd.track(model, PlantedVideos(7), STAGES, **options)
    for step in (0, 500):
        tracker(step)
        results.append(sd.measure(model, PlantedVideos(7), STAGES, **options))
        learn(model)
    return tracker, results


def test_numbers_equal_those_of_a_measurement_bit_for_bit(both):
    tracker, results = both
    for step, result in zip((0, 500), results, strict=True):
        found = tracker.course[tracker.course["step"] == step].set_index(KEY)
        expected = result.layers.set_index(KEY)
        assert len(found) == len(expected) == 10
        for name, column in (("value", "share"), ("low", "share_low"), ("high", "share_high")):
            assert found[name].tolist() == expected.loc[found.index, column].tolist()


def test_untrained_networks_are_those_of_a_measurement(both):
    tracker, (first, _) = both
    untrained = tracker._points.untrained.set_index(KEY)
    expected = first.layers.set_index(KEY).loc[untrained.index]
    for column in ("twin", "twin_low", "twin_high"):
        np.testing.assert_array_equal(untrained[column], expected[column])


def test_a_change_is_paired_as_in_a_comparison(both):
    from static_dynamic.tracking.course import course_of

    tracker, results = both
    found = course_of(tracker._points).changes.set_index(KEY)
    expected = sd.compare(*results).layers.set_index(KEY).loc[found.index]
    assert len(found) == 10
    for name, column in (("change", "difference"), ("low", "low"), ("high", "high")):
        np.testing.assert_allclose(found[name], expected[column], rtol=1e-12)


def test_every_clip_is_read_once_over_the_whole_course_also_for_untrained_networks():
    model, videos = nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4)), PlantedVideos(4)
    tracker = tracked(model, videos, {"norm": ("1", "N C T H W")}, twins=2)
    for step in (0, 10, 20):
        tracker(step)
        model.train()(torch.rand(2, 3, 6, 16, 16))
    assert tracker.course["step"].unique().tolist() == [0, 10, 20]
    assert sorted(videos.reads) == sorted({*videos.reads})
    assert {read.split("/")[0] for read in videos.reads} == {video.name for video in videos.videos}


def test_a_point_costs_one_forward_of_every_variant():
    model = PlantedModel()
    tracker = tracked(model)
    tracker(0)
    of_one = model.forwards
    assert of_one == 6 * 4  # intact and frozen, each with a replicate
    for step in (10, 20):
        learn(model)
        tracker(step)
    assert model.forwards == 3 * of_one


def test_untrained_networks_are_measured_again_once_batches_have_been_seen():
    """Before, neither the model nor they have statistics of batches; afterwards both have."""
    model = nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4), nn.ReLU())
    tracker = tracked(model, stages={"relu": ("2", "N C T H W")}, twins=2)
    tracker(0)
    before = tracker._points.untrained["twin"].tolist()
    model.train()(torch.rand(4, 3, 6, 16, 16))
    tracker(10)
    seen = tracker._points.untrained["twin"].tolist()
    learn(model)
    tracker(20)
    assert before != seen
    assert tracker._points.untrained["twin"].tolist() == seen
    assert not [warning for warning in tracker._points.found[20].warnings if "twin" in warning]


# ---------------------------------------------------------------- the model


def states(model):
    python, numpy = random.getstate(), np.random.get_state()
    return {
        "weights": [tensor.clone() for tensor in model.state_dict().values()],
        "gradients": [weight.grad.clone() for weight in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "random": [torch.get_rng_state().tolist(), python, numpy[1].tolist(), numpy[2]],
        "enabled": torch.is_grad_enabled(),
    }


def same(one, other):
    tensors = all(all(map(torch.equal, one[name], other[name])) for name in ("weights", "gradients"))
    return tensors and all(one[name] == other[name] for name in one if name not in ("weights", "gradients"))


@pytest.mark.parametrize("breaks", [False, True])
def test_the_model_is_left_as_it_was_found(breaks):
    model = nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4), nn.Dropout(0.5), nn.ReLU())
    model(torch.rand(2, 3, 6, 16, 16)).sum().backward()
    model[1].eval()
    gradients = [weight.grad for weight in model.parameters()]
    tracker = tracked(model, stages={"relu": ("3", "N C T H W")}, twins=2)
    if breaks:
        model[3].register_forward_pre_hook(lambda *_: 1 / 0)
    before = states(model)
    if breaks:
        with pytest.raises(sd.UserError, match="ZeroDivisionError"):
            tracker(0)
    else:
        tracker(0)
    assert same(before, states(model))
    assert all(now is then for now, then in zip((w.grad for w in model.parameters()), gradients, strict=True))


# ---------------------------------------------------------------- when it measures


def test_it_measures_at_the_first_call_and_whenever_a_multiple_has_been_reached():
    tracker = tracked(PlantedModel(), PlantedVideos(3))
    for step in (3, 4, 9, 10, 10, 11, 19, 27, 29, 30):
        tracker(step)
    assert tracker.course["step"].unique().tolist() == [3, 10, 27, 30]
    tracker.now(31)
    assert tracker.course["step"].unique().tolist() == [3, 10, 27, 30, 31]


def test_now_measures_anew_where_the_weights_are_others_and_else_does_nothing():
    model = PlantedModel()
    tracker = tracked(model)
    tracker.now(5)
    forwards, first = model.forwards, tracker.course
    tracker.now(5)
    assert model.forwards == forwards
    learn(model)
    tracker.now(5)
    assert model.forwards == 2 * forwards
    assert len(tracker.course) == len(first)
    assert not np.array_equal(tracker.course["value"], first["value"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"every": 0}, "The 'every' parameter must be a whole number, 1 or more. Got 0."),
        ({"every": 1.5}, "Got 1.5."),
        ({"twins": -1}, "The number of random twins must be 0 to 1000"),
        ({"log_to": "tensorbord"}, "Unknown log 'tensorbord' in log_to. Did you mean 'tensorboard'?"),
        ({"log_to": object()}, "Got object."),
        ({"compute": 3}, "The argument 'compute' must be Compute or None. Got 3"),
        ({"memory": -1}, "`memory` and `disk` must be 0 gigabytes or more"),
        ({"estimators": "needs_motoin"}, "Did you mean 'needs_motion'"),
    ],
)
def test_slips_are_found_before_anything_is_read(options, says):
    videos = PlantedVideos(3)
    with pytest.raises(sd.UserError) as error:
        tracked(PlantedModel(), videos, **options)
    assert says in str(error.value)
    assert videos.reads == []


@pytest.mark.parametrize("step", [-1, 1.0, "3", None, True])
def test_a_step_is_a_whole_number(step):
    tracker = tracked(PlantedModel(), PlantedVideos(3))
    for call in (tracker, tracker.now):
        with pytest.raises(sd.UserError, match="A step must be a whole number, 0 or more"):
            call(step)


# ---------------------------------------------------------------- the clips


def test_clips_in_files_give_the_same_numbers():
    courses = []
    for memory in (4.0, 0.0001, 0):
        model = PlantedModel()
        tracker = tracked(model, memory=memory)
        tracker(0)
        learn(model)
        tracker(10)
        clips = tracker._study.clips
        files = [video for video in clips._kept.values() if not isinstance(video.kept, dict)]
        assert len(files) == {4.0: 0, 0.0001: 5, 0: 6}[memory]  # 73 728 bytes a video
        courses.append(tracker.course)
    pd.testing.assert_frame_equal(courses[0], courses[1])
    pd.testing.assert_frame_equal(courses[0], courses[2])


def test_too_little_room_is_found_with_the_first_video():
    videos = PlantedVideos(6)
    tracker = tracked(PlantedModel(), videos, memory=0.0001, disk=0.00002, compute=sd.Compute(workers=0))
    with pytest.raises(sd.UserError) as error:
        tracker(0)
    assert "about 0.000442 GB, and 0.00012 GB are allowed" in str(error.value)
    assert "The room is enough for 1 video." in str(error.value)
    assert {read.split("/")[0] for read in videos.reads} == {"v000"}


def test_a_video_that_cannot_be_read_is_named_and_left_out_of_every_point():
    videos = PlantedVideos(6, bad=(2,))
    tracker = tracked(PlantedModel(), videos, compute=sd.Compute(max_bad=0.5))
    tracker(0)
    tracker(10)
    assert sum(read.startswith("v002") for read in videos.reads) == 1
    for point in tracker._points.found.values():
        assert "Skipped v002: v002: broken on purpose." in point.warnings


# ---------------------------------------------------------------- on disk


def test_a_course_goes_on_where_it_was(tmp_path):
    model, place = PlantedModel(), tmp_path / "course"
    tracker = tracked(model, store=place, twins=2)
    tracker(0)
    learn(model)
    tracker(10)
    written, forwards = {path.name: path.read_bytes() for path in place.iterdir()}, model.forwards
    again = tracked(model, store=place, twins=2)
    pd.testing.assert_frame_equal(again.course, tracker.course)
    again(10)  # the weights are those that were measured
    assert model.forwards == forwards
    assert {path.name: path.read_bytes() for path in place.iterdir()} == written
    learn(model, 1)
    again(17)
    again(20)
    assert again.course["step"].unique().tolist() == [0, 10, 20]
    straight = tracked(model)
    straight(20)
    found = again.course.query("step == 20").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, straight.course)
    pd.testing.assert_frame_equal(pd.read_csv(place / "course.csv"), again.course, check_exact=False)
    assert open_course(place).steps == [0, 10, 20]
    assert open_course(place).untrained["twin"].notna().all()


def test_another_study_is_refused_in_one_line_and_can_start_over(tmp_path):
    model = PlantedModel()
    tracked(model, store=tmp_path / "course")(0)
    for options in (
        {"seed": 1},
        {"videos": PlantedVideos(5)},
        {"estimators": "released"},
        {"styles": ("1", "3"), "estimators": "released"},
    ):
        with pytest.raises(sd.UserError, match="belongs to another course") as error:
            tracked(model, store=tmp_path / "course", **options)
        assert "\n" not in str(error.value)
        assert "`resume=False`" in str(error.value)
    over = tracked(model, store=tmp_path / "course", seed=1, resume=False)
    assert over.course.empty
    over(7)
    assert open_course(tmp_path / "course").steps == [7]


def test_points_of_another_training_go_once_its_weights_are_others(tmp_path):
    place = tmp_path / "course"

    def train(seed, last):
        model = PlantedModel()
        tracker = tracked(model, store=place)
        for step in range(0, last + 1, 10):
            tracker(step)
            learn(model, seed)
        return tracker

    train(0, 30)
    stale = open_course(place).table
    tracker = train(1, 10)
    assert tracker.course["step"].unique().tolist() == [0, 10]
    assert sorted(path.name for path in place.glob("0*.json")) == ["000000000000.json", "000000000010.json"]
    assert tracker.course.query("step == 0").equals(stale.query("step == 0"))
    assert any("3 points from 10 on were removed" in note for note in open_course(place).notes)


def test_a_run_of_another_kind_is_named(tmp_path):
    result = sd.measure(PlantedModel(), PlantedVideos(3), FRAMES, recipe=RECIPE, styles=("1", "2"), twins=0, store=tmp_path / "store")  # fmt: skip
    result.save(tmp_path / "run")
    with pytest.raises(sd.UserError, match=r"does not contain a course: course\.json is missing"):
        open_course(tmp_path / "run")
    (tmp_path / "run" / "course.json").write_text((tmp_path / "run" / "run.json").read_text())
    with pytest.raises(sd.UserError, match="describes a measurement, not a course"):
        open_course(tmp_path / "run")
    with pytest.raises(sd.UserError, match=r"holds '\w+\.\w+', but course\.json is missing"):
        tracked(PlantedModel(), store=tmp_path / "store")


def test_a_damaged_point_is_named(tmp_path):
    tracked(PlantedModel(), store=tmp_path)(0)
    (tmp_path / "000000000000.json").write_text('{"step": 0}')
    with pytest.raises(sd.UserError, match=r"000000000000\.json is damaged: remove it"):
        tracked(PlantedModel(), store=tmp_path)


def test_a_tracker_that_measured_nothing_leaves_nothing(tmp_path):
    tracker = tracked(PlantedModel(), store=tmp_path / "course")
    assert tracker.course.empty
    with pytest.raises(sd.UserError, match="has no points yet"):
        tracker.report(tmp_path / "course.html")
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_runs_to_infinity_goes_on_and_the_course_says_so(tmp_path):
    model = PlantedModel()
    tracker = tracked(model, store=tmp_path)
    tracker(0)
    with torch.no_grad():
        model.frames.weight[0, 0] = float("nan")
        model.frames.weight[1, 0] = float("inf")
    tracker(10)
    assert tracker.course["step"].unique().tolist() == [0, 10]
    assert tracker.course.query("step == 10")["value"].isna().all()
    notes = open_course(tmp_path).notes
    assert any(note.startswith("Step 10: Stage frames: every video gives activations that are NaN") for note in notes)
    json.loads((tmp_path / "000000000010.json").read_text())


# ---------------------------------------------------------------- logs


class Writer:
    def __init__(self):
        self.seen = []

    def add_scalar(self, tag, value, step):
        self.seen.append((tag, value, step))


class Logger:
    def __init__(self):
        self.seen = []

    def log(self, values, step):
        self.seen += [(tag, value, step) for tag, value in values.items()]


def wanted(tracker):
    rows = tracker.course.dropna(subset="value").to_dict("records")
    return [
        ("/".join(row[name] for name in ("estimator", "stage", "factor")), row["value"], row["step"]) for row in rows
    ]


@pytest.mark.parametrize("kind", [Writer, Logger])
def test_every_number_goes_to_a_log(kind):
    log = kind()
    tracker = tracked(PlantedModel(), log_to=log)
    for step in (0, 5, 10):
        tracker(step)
    assert log.seen == wanted(tracker)
    assert log.seen[0][0] == "needs_motion/frames/motion"


def test_tensorboard_has_a_log_beside_the_course(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = tracked(PlantedModel(), log_to="tensorboard", store=tmp_path / "course")
    tracker(0)
    tracker(10)
    log = EventAccumulator(str(tmp_path / "course" / "tensorboard")).Reload()
    events = log.Scalars("needs_motion/frames/motion")
    assert [event.step for event in events] == [0, 10]
    assert events[1].value == pytest.approx(wanted(tracker)[0][1])
    assert tracked(PlantedModel(), store=tmp_path / "course", seed=3, resume=False).course.empty
    assert not (tmp_path / "course").exists() or not (tmp_path / "course" / "tensorboard").exists()


@pytest.mark.parametrize("package", ["trackio", "wandb"])
def test_numbers_go_to_the_run_that_is_open(package, monkeypatch):
    log = Logger()
    module = ModuleType(package)
    module.log = log.log
    monkeypatch.setitem(sys.modules, package, module)
    tracker = tracked(PlantedModel(), log_to=package)
    tracker(0)
    assert log.seen == wanted(tracker)
    module.log = lambda *_, **__: 1 / 0
    with pytest.raises(sd.UserError, match=rf"Open a run first: {package}\.init"):
        tracker(10)


@pytest.mark.parametrize("package", ["tensorboard", "trackio", "wandb"])
def test_a_log_that_is_not_installed_is_one_line(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(sd.UserError, match=f"{package}(, which)? is not installed: pip install"):
        tracked(PlantedModel(), log_to=package)


# ---------------------------------------------------------------- trainers


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
def test_a_callback_of_lightning_measures_at_the_start_when_it_is_due_and_at_the_end(name, monkeypatch):
    module = ModuleType(name)
    module.Callback = type("Callback", (), {})
    for other in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, other, module if other == name else None)
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    tracker = tracked(PlantedModel(), PlantedVideos(3))
    callback = tracker.lightning()
    trainer = SimpleNamespace(global_step=0, is_global_zero=True)
    callback.on_train_start(trainer, None)
    for trainer.global_step in (1, 2, 2, 10, 10, 11, 14):
        callback.on_train_batch_end(trainer, None, None, None, 0)
    callback.on_train_end(trainer, None)
    assert tracker.course["step"].unique().tolist() == [0, 10, 14]
    trainer.global_step, trainer.is_global_zero = 99, False
    callback.on_train_end(trainer, None)
    assert tracker.course["step"].max() == 14


def test_a_callback_of_transformers_does_the_same(monkeypatch):
    module = ModuleType("transformers")
    module.TrainerCallback = type("TrainerCallback", (), {})
    monkeypatch.setitem(sys.modules, "transformers", module)
    tracker = tracked(PlantedModel(), PlantedVideos(3))
    callback = tracker.transformers()
    state = SimpleNamespace(global_step=0, is_world_process_zero=True)
    callback.on_train_begin(None, state, None, model=None)
    for state.global_step in (1, 10, 12):
        callback.on_step_end(None, state, None, model=None)
    callback.on_train_end(None, state, None, model=None)
    assert tracker.course["step"].unique().tolist() == [0, 10, 12]


def test_trainers_that_are_not_installed_are_one_line(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    tracker = tracked(PlantedModel(), PlantedVideos(3))
    with pytest.raises(sd.UserError, match="lightning is not installed: pip install lightning"):
        tracker.lightning()
    with pytest.raises(sd.UserError, match="transformers is not installed: pip install transformers"):
        tracker.transformers()
