"""Estimators beside the truth of networks: hand-made ones that read colour or displacement, and tables by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.truth.enumeration import crossed_responses
from benchmarks.truth.networks import __main__ as command_line
from benchmarks.truth.networks.behaviour import AGAINST, STYLES, behaviour, opposite, shown
from benchmarks.truth.networks.measuring import (
    SCORING,
    Sizes,
    measured,
    motion_of_layers,
    motion_of_units,
    needs_of_layers,
)
from benchmarks.truth.networks.pictures import COLOURS, curves, scatters
from benchmarks.truth.networks.readings import READINGS, of_layer, of_units
from benchmarks.truth.networks.summary import summarise
from benchmarks.truth.networks.zoo import RANDOM, TWINS, all_networks, chosen, named
from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.estimators.numbers import Sample
from static_dynamic.estimators.registry import estimators
from static_dynamic.interventions import STRONG
from static_dynamic.models.spec import Stage
from static_dynamic.models.truth.biases import heads_of
from static_dynamic.reopening import score
from static_dynamic.sources.factorial import CONTENTS, LEVELS, draw_scenes, render

SMALL = Sizes(appearances=6, draws=2, frames=6, videos=24, blocks=12)
INTERVAL = {"low": 0.0, "high": 0.0}


class ReadsColour(nn.Module):
    """The means of the channels."""

    def forward(self, clip):
        return clip.mean((3, 4)).mean(2)


class ReadsDisplacement(nn.Module):
    """Two components of the velocity: brightness gradients over time, by those over space."""

    def forward(self, clip):
        grey = clip.mean(1)
        over_time = grey.diff(dim=1)
        here = (grey[:, 1:] + grey[:, :-1]) / 2
        over = [(here.roll(-1, axis) - here.roll(1, axis)) / 2 for axis in (2, 3)]
        return torch.stack([-(over_time * one).sum((1, 2, 3)) / (one**2).sum((1, 2, 3)) for one in over], 1)


def declared(**stages):
    """A model whose stages are these modules, side by side."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            for name, module in stages.items():
                self.add_module(name, module)
            places = {name: Stage(name, "N C") for name in stages}
            self.spec = replace(models.describe("truth_cnn_both"), stages=places)

        def forward(self, clip):
            return [self.get_submodule(name)(clip) for name in stages]

    return Model().eval()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is found of both hand-made models, as two stages of one, and its folder."""
    folder = tmp_path_factory.mktemp("networks")
    model = declared(colour=ReadsColour(), displacement=ReadsDisplacement())
    return measured(model, folder, SMALL), model, folder


# ---------------------------------------------------------------- truth and estimates of one network


def test_truth_of_colour_and_of_displacement(found):
    layers = found[0].layers.drop_duplicates("stage").set_index("stage")
    assert layers.loc["colour", "truth"] < 3
    assert layers.loc["colour", "needs"] < 3
    assert layers.loc["displacement", "truth"] > 90
    assert layers.loc["displacement", "needs"] > 90


def test_estimates_of_colour_and_of_displacement(found):
    layers = found[0].layers.set_index(["estimator", "stage"])
    assert layers.loc[("needs_motion", "colour"), "estimate"] < 5
    assert layers.loc[("needs_motion", "displacement"), "estimate"] > 95  # a frozen clip has no displacement
    assert layers.loc[("factorial_shares", "colour"), "estimate"] < 5
    assert layers.loc[("factorial_shares", "displacement"), "estimate"] > 80
    assert (layers["low"] <= layers["estimate"] + 1e-9).all()
    assert (layers["estimate"] <= layers["high"] + 1e-9).all()


def test_needs_motion_and_its_intervals_are_those_that_are_printed(found):
    first, _, folder = found
    printed = score(folder / "videos", "needs_motion", SCORING).layer()
    printed = printed[printed["factor"] == "motion"]
    ours = first.layers[first.layers["estimator"] == "needs_motion"]
    for column, name in (("estimate", "share"), ("low", "share_low"), ("high", "share_high")):
        np.testing.assert_allclose(ours[column], printed[name], rtol=1e-6)


def test_every_stage_has_every_reading_and_every_reading_an_estimator(found):
    layers = found[0].layers
    assert sorted(layers.groupby("stage").size().items()) == [
        (name, len(READINGS)) for name in ("colour", "displacement")
    ]
    assert {one.estimator for one in READINGS.values()} == {*estimators()}


def test_units_are_compared_where_the_truth_can_be_said(found):
    units = found[0].units
    counts = units[units["estimator"] == "needs_motion"].groupby("stage").size()
    assert counts["colour"] == 3
    assert counts["displacement"] == 2
    assert units.loc[units["stage"] == "displacement", "truth"].min() > 80


def test_truth_of_a_layer_is_that_of_the_sums_over_its_units(found):
    """Without nuisance in the way: means over draws, whose spread over motions and appearances is summed over units."""
    _, model, folder = found
    shares = pd.read_parquet(folder / "shares.parquet")
    table = crossed_responses(model, appearances=SMALL.appearances, draws=SMALL.draws)["displacement"]
    noise = table.var(2, ddof=1).mean((0, 1)).sum() / SMALL.draws
    means = table.mean(2)
    whole, looks = means.reshape(-1, 2).var(0).sum(), means.mean(1).var(0).sum()
    # The variance of the means over motions is the appearance's own, and noise, thinned out, is in both.
    count = means.shape[0] * means.shape[1]
    everything = whole - noise * (count - 1) / count
    of_looks = (looks - noise / means.shape[1] * (1 - 1 / means.shape[0])) * (383 / 384) / (5 / 6)
    assert motion_of_layers(shares)["displacement"] == pytest.approx(100 * (1 - of_looks / everything), abs=1.0)


def test_what_the_folder_holds_is_kept(found):
    first, model, folder = found
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".parquet", ".safetensors")
    }
    again = measured(model, folder, SMALL)
    pd.testing.assert_frame_equal(first.layers, again.layers)
    pd.testing.assert_frame_equal(first.units, again.units)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_layers_and_units_from_shares_by_hand():
    shares = pd.DataFrame(
        {
            "stage": ["a", "a", "a", "b"],
            "appearance": [0.6, 0.1, np.nan, 0.5],
            "motion": [0.2, 0.3, np.nan, 0.25],
            "interaction": [0.2, 0.0, np.nan, 0.0],
            "variance": [1.0, 4.0, 0.0, 2.0],
            "class": ["joint", "motion", "dead", "neither"],
        }
    )
    # a: (0.4 + 4 * 0.3) of (1.0 + 4 * 0.4)
    assert motion_of_layers(shares).to_dict() == pytest.approx({"a": 100 * 1.6 / 2.6, "b": 100 / 3})
    of_units = motion_of_units(shares)
    np.testing.assert_allclose(of_units["a"], [40, 75, np.nan])
    np.testing.assert_allclose(of_units["b"], [np.nan])
    needs = pd.DataFrame(
        {"stage": ["a", "a", "a"], "needs_motion": [0.5, 1.0, np.nan], "reliability": [1.0, 0.5, np.nan]}
        | {"variance": [2.0, 4.0, 0.0]}
    )
    assert needs_of_layers(needs)["a"] == pytest.approx(75)


@pytest.mark.parametrize(
    ("name", "numbers", "share"),
    [
        ("needs_motion", {"motion": 30, "reliability": 90}, 30),
        ("needs_order", {"order": 20, "reliability": 90}, 20),
        ("factorial_shares", {"appearance": 20, "motion": 30, "interaction": 10, "nuisance": 40}, 100 * 40 / 60),
        ("factorial_shares", {"appearance": 20, "motion": 5, "interaction": -10, "nuisance": 85}, 0),
        ("four_pair", {"style": 30, "order": 15, "joint": -5, "content": 50, "noise": 10}, 100 * 15 / 45),
        ("four_pair", {"style": 30, "order": 10, "joint": 5, "content": 50, "noise": 5}, 100 * 15 / 45),
        ("pearson_within", {"dynamic": 0.2, "static": 0.6}, 25),
        ("pearson_within", {"dynamic": -0.2, "static": 0.6}, 0),
        ("gaussian_mi", {"dynamic": 1, "static": 3}, 25),
        ("copula_mi", {"dynamic": 3, "static": 1}, 75),
        ("released: dynamic", {"dynamic": 14, "static": 42, "residual": 44}, 14),
        ("released: dynamic / (dynamic + static)", {"dynamic": 14, "static": 42, "residual": 44}, 25),
        ("released: 1 - static score", {"dynamic": 0.1, "static": 0.9, "residual": 1}, 10),
    ],
)
def test_how_numbers_read_as_motion(name, numbers, share):
    reading, values = READINGS[name], np.array(list(numbers.values()), float)
    rows = np.stack([values] * 6)
    units = (values / (100 if reading.column == "share" else 1))[None, :, None].repeat(2, 2).repeat(5, 0)
    sample = Sample(tuple("abcd"), 1, {reading.column: rows}, units.astype(np.float32))
    assert of_layer(reading, sample, list(numbers)) == pytest.approx((share,) * 3)
    np.testing.assert_allclose(of_units(reading, sample, list(numbers)), [share, share], rtol=1e-5)


# ---------------------------------------------------------------- the summary


def rows(network, estimator, truths, estimates, reach=1.0):
    """Rows of one network at stages 1, 2 …, with intervals of ± ``reach``."""
    return [
        {"network": network, "stage": f"stage{n}", "estimator": estimator, "truth": truth, "needs": truth + 2}
        | {"estimate": estimate, "low": estimate - reach, "high": estimate + reach}
        for n, (truth, estimate) in enumerate(zip(truths, estimates, strict=True), start=1)
    ]


def test_summary_by_hand():
    layers = pd.DataFrame(
        rows("truth_cnn_appearance", "good", [5, 2, 1], [6, 3, 2])
        + rows("truth_cnn_both", "good", [5, 30, 40], [4, 27, 44])
        + rows("truth_cnn_motion", "good", [9, 80, 99], [9, 90, 98])
        + rows("truth_cnn_random", "good", [1, 2, 3], [1, 2, 3])
        + rows("truth_cnn_random_1", "good", [1, 2, 3], [1, 2, 6])
        + rows("truth_cnn_appearance", "bad", [5, 2, 1], [14, 14, 14])
        + rows("truth_cnn_both", "bad", [5, 30, 40], [13, 13, 15])
        + rows("truth_cnn_motion", "bad", [9, 80, 99], [14, 20, 30])
        + rows("truth_cnn_random", "bad", [1, 2, 3], [13, 17, 13])
        + rows("truth_cnn_random_1", "bad", [1, 2, 3], [17, 13, 17])
    )
    units = pd.DataFrame(
        {
            "estimator": ["good"] * 3 + ["bad"] * 3,
            "truth": [0.0, 50.0, 90.0] * 2,
            "estimate": [0.0, 10.0, 20.0, 20.0, 10.0, 0.0],
        }
    )
    table = summarise(layers, units).set_index("estimator")
    assert list(table.index) == ["truth", "good", "bad"]
    good, bad = table.loc["good"], table.loc["bad"]
    assert good["error"] == pytest.approx((1 + 1 + 1 + 1 + 3 + 4 + 0 + 10 + 1 + 3) / 15)
    taught = [1, 1, 1, 1, 3, 4, 0, 10, 1]
    assert good["taught_error"] == pytest.approx(np.mean(taught))
    assert (good["worst"], good["worst_at"]) == (10, "truth_cnn_motion stage2")
    off = [1, 1, 1, 3, 5, 2, 2, 8, 3, 2, 2, 2, 2, 2, 1]
    assert good["needs_error"] == pytest.approx(np.mean(off))
    assert good["needs_worst"] == 8
    assert good["spearman"] == pytest.approx(by_ranks(layers[layers["estimator"] == "good"]))
    assert (good["spearman_units"], bad["spearman_units"]) == (pytest.approx(1), pytest.approx(-1))
    assert table["ordered"].to_list() == ["2 of 2", "2 of 2", "1 of 2"]
    assert table["apart"].to_list()[1:] == ["1 of 1", "0 of 1"]
    assert table["random_apart"].to_list()[1:] == ["1 of 3", "3 of 3"]


def by_ranks(rows):
    """The correlation of mean ranks."""
    ranks = [rows[name].rank().to_numpy() for name in ("truth", "estimate")]
    return np.corrcoef(*ranks)[0, 1]


def test_networks_of_other_families_and_seeds_are_not_compared():
    layers = pd.DataFrame(
        rows("truth_cnn_appearance", "one", [0, 0], [0, 0])
        + rows("truth_cnn_both_1", "one", [5, 5], [5, 5])
        + rows("truth_cnn_motion", "one", [9, 9], [9, 9])
        + rows("truth_cnn_random", "one", [9, 9], [9, 9])
        + rows("truth_timesformer_random", "one", [9, 9], [20, 20])
    )
    units = pd.DataFrame({"estimator": ["one"] * 3, "truth": [0.0, 1, 2], "estimate": [0.0, 1, 2]})
    row = summarise(layers, units).set_index("estimator").loc["one"]
    assert (row["ordered"], row["apart"], row["random_apart"]) == ("0 of 0", "0 of 0", "0 of 0")


# ---------------------------------------------------------------- networks


def test_all_that_have_weights_and_random_ones():
    networks = all_networks()
    families = {network.family for network in networks}
    assert "cnn" in families
    for family in families:
        assert sum(one.family == family and one.bias == RANDOM for one in networks) == TWINS
    assert [named(network.name) for network in networks] == networks
    assert {network.bias for network in networks} <= {*COLOURS}


def test_random_networks_differ_and_have_seen_clips():
    one, other = (named(name).build() for name in ("truth_cnn_random", "truth_cnn_random_1"))
    assert not torch.equal(one.stage1[0].weight, other.stage1[0].weight)
    assert one.stage1[1].running_mean.abs().max() > 0.01
    clips = torch.randn(2, 3, 8, 32, 32)
    assert torch.equal(one(clips), named("truth_cnn_random").build()(clips))


def test_slips_name_the_nearest_network():
    with pytest.raises(UserError, match=r"Unknown network 'truth_cnn_moton'.* Did you mean 'truth_cnn_motion'"):
        chosen(["truth_cnn_moton"])
    assert [one.name for one in chosen(["truth_cnn_motion", "truth_cnn_m*n"])] == ["truth_cnn_motion"]
    assert chosen([]) == all_networks()
    with pytest.raises(UserError, match="--workers must be between 1 and 64"):
        command_line.run(workers=0)


# ---------------------------------------------------------------- behaviour


class Oracle(nn.Module):
    """Answers what it is told of every clip, found by its first pixels."""

    def __init__(self, clips, answers):
        super().__init__()
        self.heads = heads_of(tuple(answers))
        self.known = {clip.numpy().tobytes(): n for n, clip in enumerate(clips)}
        self.answers = answers

    def forward(self, clip):
        frames = ((clip * 0.225 + 0.45) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)
        rows = [self.known.get(one.numpy().tobytes(), 0) for one in frames]
        parts = [
            torch.nn.functional.one_hot(self.answers[head][rows], part.stop - part.start)
            for head, part in self.heads.items()
        ]
        return torch.cat(parts, 1).float()


def test_behaviour_of_one_that_follows_looks_and_of_one_that_follows_motion():
    pool, conditions = shown(40)
    kind = pool.levels["kind"]
    for answers, right, looks in ((kind, 100, 0), (2 * pool.levels["texture"] + pool.levels["background"] % 2, 0, 100)):
        oracle = Oracle(pool.clips, {"kind": answers, "speed": pool.levels["speed"]})
        table = behaviour(oracle, 40).set_index(["condition", "head"])
        assert table.loc[("intact", "speed"), "right"] == 100
        against = table.loc[(AGAINST, "kind")]
        assert (against["right"], against["looks"]) == (right, looks)
        assert 20 <= against["clips"] < 40
        assert (AGAINST, "speed") not in table.index
    backwards = Oracle(conditions["reverse"], {"kind": opposite(kind)})
    row = behaviour(backwards, 40).set_index("condition").loc["reverse"]
    assert (row["right"], row["opposite"], row["chance"]) == (0, 100, 12.5)


def test_styles_are_also_said_as_their_mean():
    pool, _ = shown(40)
    table = behaviour(Oracle(pool.clips, {"colour": pool.levels["colour"]}), 40).set_index("condition")["right"]
    assert table[STYLES] == pytest.approx(table[list(STRONG)].mean())
    assert set(table.index) == {"intact", "reverse", "shuffle", "freeze", *STRONG, STYLES}


def test_conditions_are_what_they_are_called():
    pool, conditions = shown(40)
    assert torch.equal(conditions["intact"], pool.clips)
    assert torch.equal(conditions["reverse"], pool.clips.flip(1))
    assert torch.equal(conditions["freeze"], pool.clips[:, 4:5].expand_as(pool.clips))
    shuffled = conditions["shuffle"]
    assert torch.equal(shuffled.sum(1, dtype=torch.int64), pool.clips.sum(1, dtype=torch.int64))
    assert not torch.equal(shuffled, pool.clips)
    assert all(conditions[style].shape == pool.clips.shape for style in STRONG)
    assert torch.equal(pool.clips, render(draw_scenes(CONTENTS["objects"], command_line_seed(), range(40))))


def command_line_seed():
    from benchmarks.truth.networks.behaviour import SEED

    return SEED


def test_opposites_turn_back():
    kinds = torch.arange(len(LEVELS["kind"]))
    assert torch.equal(opposite(opposite(kinds)), kinds)
    names = [(LEVELS["kind"][a], LEVELS["kind"][b]) for a, b in enumerate(opposite(kinds).tolist())]
    assert ("right", "left") in names
    assert ("clockwise", "counterclockwise") in names
    assert ("contract", "expand") in names


# ---------------------------------------------------------------- pictures


def test_pictures_show_every_network_and_estimator():
    names = [f"truth_{family}_{bias}" for family in ("cnn", "timesformer") for bias in ("appearance", "motion", RANDOM)]
    layers = pd.DataFrame([row for name in names for one in READINGS for row in rows(name, one, [1, 50], [2, 40])])
    units = layers[["estimator", "truth", "estimate"]]
    figure = curves(layers)
    assert len(figure.axes) == 6
    truth, estimate = ({line.get_label(): line for line in axes.lines} for axes in figure.axes[:2])
    assert [text.get_text() for text in figure.axes[0].texts] == ["appearance", "motion", "random"]
    assert truth["appearance"].get_ydata().tolist() == [1, 50]
    assert estimate["motion"].get_ydata().tolist() == [2, 40]
    shown_axes = [axes for axes in scatters(layers, summarise(layers, units)).axes if axes.get_visible()]
    assert len(shown_axes) == len(READINGS)
