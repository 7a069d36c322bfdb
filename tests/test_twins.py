"""Random twins: fresh weights that follow from a seed, and what they give beside the model."""

import copy
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from planted import RECIPE, PlantedVideos
from torch import nn

import static_dynamic as sd
from static_dynamic import twins as of_study
from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import derive_seed
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.network.twins import (
    has_batch_statistics,
    has_seen_batches,
    make_twins,
    reset,
    set_batch_statistics,
)
from static_dynamic.twins import KEY, beside_twins, limited, silent_twins
from static_dynamic.variants import Cell, Conditions, prepare_video


class Attention(nn.Module):
    """Modules with reset_parameters, one with _reset_parameters, and a parameter that belongs to none."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv3d(3, 8, 2)
        self.norm = nn.BatchNorm3d(8)
        self.attend = nn.MultiheadAttention(8, 2)
        self.position = nn.Parameter(torch.arange(24.0).view(3, 8))
        self.head = nn.Linear(8, 2)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained():
    model = Attention()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    return model


def test_every_weight_is_drawn_anew():
    model = trained()
    model.norm.running_mean += 5
    model.norm.running_var += 5
    before = state(model)
    torch.manual_seed(0)
    how = reset(model)
    assert how == "1 parameter belongs to a module without reset_parameters, so its values were shuffled (position)"
    after = state(model)
    assert all(not torch.equal(before[name], after[name]) for name in before if name != "norm.num_batches_tracked")
    assert after["norm.running_mean"].tolist() == [0] * 8
    assert after["norm.weight"].tolist() == [1] * 8
    # What is shuffled keeps its values and its shape.
    assert torch.equal(after["position"].flatten().sort().values, before["position"].flatten())
    assert reset(nn.Sequential(nn.Linear(2, 3), nn.ReLU())) == "every module was reset"


def test_the_first_three_shuffled_parameters_are_named():
    model = nn.Module()
    for name in "abcd":
        model.register_parameter(name, nn.Parameter(torch.arange(9.0)))
    assert reset(model) == (
        "4 parameters belong to modules without reset_parameters, so their values were shuffled (a, b, c …)"
    )
    only = nn.Module()
    only.register_parameter("a", nn.Parameter(torch.arange(9.0)))
    assert reset(only).endswith("(a)")


def test_twins_follow_from_the_seed_and_leave_everything_else_as_it_was():
    model = trained()
    before, random = state(model), torch.get_rng_state()
    twins, notes = make_twins(model, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not any(twin.model.training for twin in twins)
    assert [twin.seed for twin in twins] == [derive_seed(5, "twin", number) % 2**63 for number in range(3)]
    weights = [twin.model.embed.weight for twin in twins]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    torch.manual_seed(99)
    again, _ = make_twins(model, 2, seed=5)
    for one, other in zip(twins, again, strict=False):
        assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in one.model.state_dict().items())
    assert not torch.equal(make_twins(model, 1, seed=6)[0][0].model.embed.weight, weights[0])
    assert notes == [
        "Random twins: 1 parameter belongs to a module without reset_parameters, so its values were shuffled (position)."
    ]
    assert make_twins(model, 0) == ([], [])


def test_a_function_or_the_zoo_makes_twins_as_it_makes_models():
    model = trained()
    twins, notes = make_twins(model, 2, untrained=lambda: nn.Linear(2, 2))
    assert isinstance(twins[0].model, nn.Linear)
    assert twins[0].how == "weights of the given function"
    assert not torch.equal(twins[0].model.weight, twins[1].model.weight)
    assert notes == []
    model.spec = SimpleNamespace(build=lambda classes: nn.Linear(2, classes), num_classes=7, own=False)
    (twin,), _ = make_twins(model, 1)
    assert twin.model.out_features == 7
    assert twin.how == "weights as the model is built"
    model.spec.own = True
    assert isinstance(make_twins(model, 1)[0][0].model, Attention)
    model.spec.own = False
    assert make_twins(model, 1, untrained=lambda: nn.Linear(2, 3))[0][0].model.out_features == 3


def test_a_model_that_cannot_be_made_again_costs_one_line():
    def build():
        raise RuntimeError("no file of weights")

    assert make_twins(nn.Linear(2, 2), 2, untrained=build) == (
        [],
        [
            "Random twins for comparison are missing: RuntimeError: no file of weights. The function given as "
            "`untrained` must make the model with fresh weights."
        ],
    )


def test_a_model_that_cannot_be_copied_or_reset_costs_one_line():
    class Stubborn(nn.Linear):
        def reset_parameters(self):
            if hasattr(self, "made"):
                raise RuntimeError("I stay\nas I am")
            super().reset_parameters()

    no_copy, no_reset = nn.Linear(2, 2), Stubborn(2, 2)
    no_copy.lock, no_reset.made = threading.Lock(), True
    for model, why in ((no_copy, "cannot pickle"), (no_reset, "RuntimeError: I stay as I am. ")):
        twins, (note,) = make_twins(model, 2)
        assert twins == []
        assert why in note
        assert note.endswith(
            "In Python, give `measure` a function that builds the model with fresh weights, as `untrained`."
        )
        assert "\n" not in note


@pytest.mark.parametrize("returned", [None, "a model", nn.Linear])
def test_a_function_that_returns_no_model_is_refused(returned):
    with pytest.raises(UserError, match="must return the model with fresh weights") as error:
        make_twins(nn.Linear(2, 2), 1, untrained=lambda: returned)
    assert "\n" not in str(error.value)


def test_a_function_must_make_a_new_model_at_every_call():
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    for returned, count in ((model, 1), (other, 2)):
        with pytest.raises(UserError, match="must make a new model at every call"):
            make_twins(model, count, untrained=lambda returned=returned: returned)
    assert len(make_twins(model, 1, untrained=lambda: other)[0]) == 1


def test_twins_with_the_same_weights_are_named():
    def published():
        model = nn.Linear(2, 2)
        with torch.no_grad():
            model.weight.fill_(1)
            model.bias.fill_(1)
        return model

    notes = make_twins(nn.Linear(2, 2), 3, untrained=published)[1]
    assert notes == ["Random twins: all have the same weights, so their spread is meaningless."]
    assert make_twins(nn.Linear(2, 2), 1, untrained=published)[1] == []


@pytest.mark.parametrize("count", [-1, 1.5, "3", None])
def test_a_number_of_twins_that_cannot_be_is_refused(count):
    with pytest.raises(UserError, match="must be 0 to 1000"):
        make_twins(nn.Linear(2, 2), count)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_batch_statistics_are_set_in_the_dtype_of_the_model(dtype):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).to(dtype)
    set_batch_statistics(model, [torch.randn(4, 2)])
    assert model[1].running_mean.dtype == dtype
    assert model[1].running_mean.abs().min() > 0


def test_a_twin_that_fails_on_the_clips_is_one_line():
    model = nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))
    with pytest.raises(UserError, match=r"A random twin of the model failed on an input of shape \(4, 2\)") as error:
        set_batch_statistics(model, [torch.randn(4, 2)])
    assert str(error.value).endswith("leave out its twins: `twins=0`.")
    assert model[1].momentum == 0.1


def test_batch_statistics_are_those_of_the_clips():
    model = nn.Sequential(
        nn.BatchNorm1d(2, momentum=0.3), nn.Dropout(0.5), nn.BatchNorm1d(2, track_running_stats=False)
    )
    assert has_batch_statistics(model)
    assert not has_batch_statistics(model[1:])
    assert not has_batch_statistics(nn.LayerNorm(3))
    model.train()
    model(torch.tensor([[90.0, 2.0], [3.0, 80.0]]))  # what it saw before does not count
    before = copy.deepcopy(model)
    model.train()
    clips = [torch.tensor([[1.0, 2.0], [3.0, 8.0]]), torch.tensor([[5.0, 0.0], [5.0, 4.0]])]
    set_batch_statistics(model, clips)
    assert model[0].running_mean.tolist() == [np.mean([2, 5]), np.mean([5, 2])]
    assert model[0].running_var.tolist() == [np.mean([2, 0]), np.mean([18, 8])]
    assert model[0].momentum == 0.3
    assert [module.training for module in model] == [True] * 3
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))


def test_nothing_is_left_out_at_random_while_statistics_are_set():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(1))
    set_batch_statistics(model, [torch.full((8, 1), 3.0)])
    assert model[1].running_mean.tolist() == [3]


class Normed(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.frames, self.norm = nn.Conv3d(3, 2, 1), norm

    def forward(self, clip):
        return self.norm(self.frames(clip))


def test_statistics_are_set_once_by_the_intact_clips_of_the_first_videos(tmp_path, monkeypatch):
    shown = []

    def kept(model, clips):
        shown.append(torch.cat(list(clips)))

    monkeypatch.setattr(of_study, "set_batch_statistics", kept)

    def measured(model):
        options = {"recipe": RECIPE, "styles": ("1", "2"), "twins": 2, "estimators": "released"}
        stages = {"norm": ("norm", "N C T H W")}
        return sd.measure(model, PlantedVideos(20), stages, store=tmp_path / type(model.norm).__name__, **options)

    model = Normed(nn.BatchNorm3d(2))
    model.norm.running_mean += 0.5  # it has seen something
    result = measured(model)
    assert result.twins["twin"].nunique() == 2
    videos = PlantedVideos(20)
    first = [prepare_video(videos, video, RECIPE, Conditions(("1", "2"))) for video in videos.videos[:16]]
    expected = torch.stack([video.show(Cell("1", "intact")) for video in first])
    assert len(shown) == 2
    assert all(torch.equal(clips, expected) for clips in shown)
    measured(model)  # everything is there
    assert len(shown) == 2
    for shard in (tmp_path / "BatchNorm3d" / "twin-2").glob("00001.*"):
        shard.unlink()
    measured(model)
    assert len(shown) == 3
    measured(Normed(nn.Identity()))
    assert len(shown) == 3


def test_statistics_of_twins_are_as_built_if_those_of_the_model_are(monkeypatch):
    model = Normed(nn.BatchNorm3d(2))
    assert not has_seen_batches(model)
    monkeypatch.setattr(of_study, "set_batch_statistics", None)  # would fail
    stages = {"norm": ("norm", "N C T H W")}
    options = {"recipe": RECIPE, "styles": ("1", "2"), "twins": 1, "estimators": "released"}
    assert len(sd.measure(model, PlantedVideos(4), stages, **options).twins)
    for statistic in (model.norm.running_mean, model.norm.running_var):
        statistic += 0.5
        assert has_seen_batches(model)
        statistic -= 0.5


def layer_table(**columns):
    return pd.DataFrame({"stage": ["a", "a", "b"], "estimator": "mine", "factor": ["x", "y", "x"], **columns})


def twin_table(values):
    """Values of every twin of the three rows of the layer table."""
    return pd.concat(
        [layer_table(twin=number, value=value) for number, value in enumerate(values, 1)], ignore_index=True
    )


def test_beside_a_number_stands_where_a_further_twin_would_lie():
    layers = layer_table(score=[0.3, 0.4, 0.5], share=np.nan)
    values = np.array([[0.1, -0.5, 3.0], [0.2, -0.7, 3.0], [0.4, -0.6, 3.0], [0.3, -0.1, 3.0]])
    found = beside_twins(layers, twin_table(values))
    assert found["factor"].tolist() == ["x", "y", "x"]
    assert found["score"].tolist() == [0.3, 0.4, 0.5]
    for i in range(3):
        mean, sd = values[:, i].mean(), values[:, i].std(ddof=1)
        reach = scipy.stats.t.ppf(0.975, 3) * sd * np.sqrt(1 + 1 / 4)
        np.testing.assert_allclose(
            found.loc[i, ["twin", "twin_low", "twin_high"]].astype(float), [mean, mean - reach, mean + reach]
        )


def test_a_further_twin_lies_there_in_95_of_100_cases():
    drawn = np.random.default_rng(0).normal(size=(4, 1500))
    layers = pd.DataFrame({"stage": range(1500), "estimator": "mine", "factor": "x", "share": np.nan})
    twins = pd.concat([layers.assign(twin=number, value=drawn[number]) for number in range(3)], ignore_index=True)
    found = beside_twins(layers, twins[[*KEY, "twin", "value"]])
    held = (found["twin_low"] <= drawn[3]) & (drawn[3] <= found["twin_high"])
    assert held.mean() == pytest.approx(0.95, abs=0.02)


def test_shares_of_a_bounded_estimator_stay_between_0_and_100():
    values = twin_table([[1.0, 1.0, 99.0], [9.0, 9.0, 90.0]])
    found = beside_twins(layer_table(share=50.0), values, {"mine": (0.0, 100.0)})
    assert found["twin_low"].tolist()[:2] == [0, 0]
    assert found["twin_high"][2] == 100
    for limits in ({}, None, {"other": (0.0, 100.0)}):
        found = beside_twins(layer_table(share=50.0), values, limits)
        assert found["twin_low"][0] < 0
        assert found["twin_high"][2] > 100


def test_numbers_of_which_estimators_are_limited():
    found = limited(find_estimators("needs_motion,four_pair,gaussian_mi,pearson_within,released"))
    assert found == {"needs_motion": (0, 100), "pearson_within": (-1, 1), "released": (0, 100)}


def test_one_twin_has_no_spread_and_none_has_nothing():
    layers = layer_table(share=50.0)
    one = beside_twins(layers, twin_table([[1.0, 2.0, 3.0]]))
    assert one["twin"].tolist() == [1, 2, 3]
    assert one[["twin_low", "twin_high"]].isna().all().all()
    none = beside_twins(layers, pd.DataFrame(columns=[*KEY, "twin", "value"]))
    assert len(none) == 3
    assert none[["twin", "twin_low", "twin_high"]].isna().all().all()
    some = beside_twins(layers, twin_table([[1.0, 2.0, 3.0]] * 2).query("stage == 'b'"))
    assert some["twin"].isna().tolist() == [True, True, False]


def test_a_twin_without_a_number_is_not_counted():
    """Fresh weights of a deep network can give infinity in a stage: the other twins remain."""
    found = beside_twins(layer_table(share=50.0), twin_table([[1.0, 2.0, np.nan], [3.0, 2.0, 5.0], [2.0, 2.0, 7.0]]))
    assert found["twin"].tolist() == [2, 2, 6]
    assert np.isfinite(found["twin_low"]).all()
    nothing = beside_twins(layer_table(share=50.0), twin_table([[1.0, 2.0, np.nan]]))
    assert nothing["twin"].isna().tolist() == [False, False, True]


def test_twins_without_numbers_are_counted_by_stage():
    layers = layer_table(share=[50.0, 40.0, np.nan])
    twins = twin_table([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]])
    assert silent_twins(layers, twins, 2) == [
        "Stage a: 1 of 2 random twins give no numbers, since their activations are NaN, infinite, or never vary."
    ]
    assert silent_twins(layers, twin_table([[1.0, 2.0, 3.0]] * 2), 2) == []
    assert silent_twins(layers, pd.DataFrame(columns=[*KEY, "twin", "value"]), 0) == []
    assert len(silent_twins(layers, pd.DataFrame(columns=[*KEY, "twin", "value"]), 3)) == 1
