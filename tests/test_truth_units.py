"""The planted units answer to what they are named after, and enumeration gives shares that are known otherwise."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.truth.enumeration import (
    crossed_responses,
    is_clear,
    motion_table,
    of_population,
    population_shares,
    responses,
    share_table,
    true_needs_motion,
    true_shares,
)
from benchmarks.truth.judging import CAUSES, NEEDS, READINGS, Answers, ask, confusion, joined, judge, noisy
from benchmarks.truth.responses import crossed, drawn_blocks
from benchmarks.truth.units import BASIC, COMPOSED, NAMES, RECIPE, STAGES, PlantedUnits, basic_units
from static_dynamic.common.errors import UserError
from static_dynamic.estimators.registry import estimators, find_estimators
from static_dynamic.functional.factorial import SHARES, block_components
from static_dynamic.media.clip import Recipe
from static_dynamic.sources.factorial import CONTENTS, draw_scenes, one_scene, render

FEW = CONTENTS["objects"].only({"shape": "disc", "texture": "plain", "background": ["bars", "columns"]})
"""12 appearances."""
LOOK = {"colour": "red", "shape": "disc", "texture": "plain", "background": "bars"}


def clip(seed=0, **levels):
    """A clip ``(1, 3, 8, 32, 32)`` of these levels."""
    scene = one_scene({**LOOK, "kind": "right", "speed": "medium", **levels}, x=0.4, y=0.6, turn=0.1, size=0.5)
    return render(scene).permute(0, 4, 1, 2, 3).contiguous() / 255


def answer(name, **levels):
    return float(basic_units(clip(**levels))[0, list(BASIC).index(name)])


def bar(step=1, colour=(1.0, 1.0, 1.0), axis=-1):
    """A bright bar of three pixels that moves before black, by ``step`` pixels a frame."""
    made = torch.zeros(1, 3, 8, 32, 32)
    for time in range(8):
        at = torch.arange(10, 13) + step * time
        frame = made[0, :, time].movedim(axis, -1)
        frame[..., at % 32] = torch.tensor(colour).view(3, 1, 1)
    return made


@pytest.mark.parametrize(
    ("unit", "more", "less"),
    [
        ("red_green", {"colour": "red"}, {"colour": "green"}),
        ("blue_yellow", {"colour": "blue"}, {"colour": "yellow"}),
        ("saturation", {"colour": "yellow", "background": "bars"}, {"colour": "red", "background": "bars"}),
        ("luminance", {"background": "columns"}, {"background": "bars"}),
        ("orientation", {"background": "bars"}, {"background": "columns"}),
        ("fineness", {"texture": "dots"}, {"texture": "plain"}),
        ("ring", {"shape": "ring"}, {"shape": "disc"}),
        ("cross", {"shape": "cross"}, {"shape": "square"}),
        ("energy", {"speed": "fast"}, {"speed": "slow"}),
        ("energy_by_contrast", {"speed": "fast"}, {"speed": "slow"}),
        ("rightwards", {"kind": "right"}, {"kind": "left"}),
        ("upwards", {"kind": "up"}, {"kind": "down"}),
        ("opponent", {"kind": "right"}, {"kind": "left"}),
        ("rectified_right", {"kind": "right"}, {"kind": "left"}),
        ("speed", {"speed": "fast"}, {"speed": "slow"}),
        ("expansion", {"kind": "expand"}, {"kind": "contract"}),
        ("turning", {"kind": "counterclockwise"}, {"kind": "clockwise"}),
    ],
)
def test_a_unit_answers_to_what_it_is_named_after(unit, more, less):
    assert answer(unit, **more) > answer(unit, **less)


def test_directions_are_velocities_with_a_sign_and_still_clips_have_none():
    velocity = {step: float(basic_units(bar(step))[0, list(BASIC).index("rightwards")]) for step in (-1, 0, 1)}
    assert velocity[1] == pytest.approx(1, abs=0.3)
    assert velocity[-1] == pytest.approx(-velocity[1], rel=0.01)
    assert velocity[0] == 0
    down = basic_units(bar(1, axis=-2))[0].tolist()
    assert down[list(BASIC).index("upwards")] == pytest.approx(-velocity[1], rel=0.01)
    assert abs(down[list(BASIC).index("rightwards")]) < 0.01


def test_colour_units_are_means_of_channels():
    seen = dict(zip(BASIC, basic_units(bar(colour=(0.8, 0.2, 0.4)))[0].tolist(), strict=True))
    lit = 3 / 32
    assert seen["red_green"] == pytest.approx(0.6 * lit, rel=1e-5)
    assert seen["blue_yellow"] == pytest.approx(-0.1 * lit, rel=1e-4)
    assert seen["saturation"] == pytest.approx(0.6 * lit, rel=1e-5)
    assert seen["luminance"] == pytest.approx((0.299 * 0.8 + 0.587 * 0.2 + 0.114 * 0.4) * lit, rel=1e-5)


def test_place_is_the_cosine_of_where_the_object_is():
    x, y = (list(BASIC).index(name) for name in ("layout_x", "layout_y"))
    for at in (0, 8, 16, 24):
        still = bar(0).roll(at - 11, -1)
        assert basic_units(still)[0, x] == pytest.approx(np.cos(2 * np.pi * at / 32), abs=0.01)
        assert basic_units(still.movedim(-1, -2))[0, y] == pytest.approx(np.cos(2 * np.pi * at / 32), abs=0.01)


def test_noise_is_drawn_by_the_clip_alone_and_is_normal():
    scenes = draw_scenes(CONTENTS["objects"], 3, range(120))
    clips = render(scenes).permute(0, 4, 1, 2, 3).contiguous() / 255
    column = list(BASIC).index("hash")
    noise = basic_units(clips)[:, column]
    assert torch.equal(noise, torch.cat([basic_units(part)[:, column] for part in clips.split(7)]))
    assert abs(noise.mean()) < 0.3
    assert noise.std() == pytest.approx(1, abs=0.2)
    other = clips.clone()
    other[:, 0, 0, 0, 0] += 1 / 255
    assert abs(np.corrcoef(noise, basic_units(other)[:, column])[0, 1]) < 0.3


def test_composed_units_are_made_of_basic_ones_at_mean_0():
    shift, scale = torch.linspace(-1, 1, len(BASIC)), torch.linspace(0.5, 2, len(BASIC))
    basic = basic_units(clip())[0]
    found = dict(zip(NAMES, PlantedUnits(shift, scale)(clip())[0].tolist(), strict=True))
    z = dict(zip(BASIC, ((basic - shift) / scale).tolist(), strict=True))
    assert len(found) == len(BASIC) + len(COMPOSED) >= 52
    assert {name: found[name] for name in BASIC} == pytest.approx(z, abs=1e-5)
    red, right, hashed = z["red_green"], z["rightwards"], z["hash"]
    assert found["red*right"] == pytest.approx(red * right, rel=1e-4)
    assert found["red_and_right"] == pytest.approx(max(red, 0) * max(right, 0), abs=1e-6)
    assert found["red_xor_right"] == pytest.approx(np.tanh(3 * red) * np.tanh(3 * right), rel=1e-4)
    assert found["red+right_0.3"] == pytest.approx(0.3**0.5 * red + 0.7**0.5 * right, rel=1e-4)
    assert found["relu_red+right_0.5"] == pytest.approx(max(0.5**0.5 * (red + right) - 0.5, 0), abs=1e-6)
    assert found["noisy_red"] == pytest.approx(red + 0.7 * hashed, rel=1e-4)


def test_a_unit_that_never_varies_stays_as_it_is():
    units = PlantedUnits(torch.zeros(len(BASIC)), torch.zeros(len(BASIC)))
    assert torch.equal(units.spread, torch.ones(len(BASIC)))


class Known(nn.Module):
    """Is there a pixel far more red than green; does it move to the right; both; where it is; nothing; a hash."""

    def forward(self, x):
        basic = dict(zip(BASIC, basic_units(x).unbind(1), strict=True))
        red = ((x[:, 0] - x[:, 1]).amax((1, 2, 3)) > 0.25).float()
        right = (basic["rightwards"] > 0).float()
        return torch.stack([red, right, red * right, basic["layout_x"], 0 * red, basic["hash"]], 1)


SIDEWAYS = CONTENTS["objects"].only(
    {"shape": "disc", "texture": "plain", "background": ["bars", "columns"], "kind": ["right", "left"]}
)
"""12 appearances, of which red and magenta ones are 4, and 6 motions, of which 3 go to the right."""


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.known = Known()

    def forward(self, x):
        return self.known(x)


KNOWN = (Network(), {"known": ("known", "N C")}, RECIPE)


def test_enumeration_gives_the_shares_that_follow_from_the_levels():
    found = true_shares(*KNOWN, draws=2, content=SIDEWAYS)
    p, q = 4 / 12, 3 / 6
    product = np.array([q**2 * p * (1 - p), p**2 * q * (1 - q), p * (1 - p) * q * (1 - q), 0]) / (p * q * (1 - p * q))
    shares = found[[*SHARES]].to_numpy()
    np.testing.assert_allclose(shares[:3], [[1, 0, 0, 0], [0, 1, 0, 0], product], atol=1e-9)
    np.testing.assert_allclose(found["variance"][:3], [p * (1 - p), q * (1 - q), p * q * (1 - p * q)], atol=1e-9)
    np.testing.assert_allclose(shares[3], [0, 0, 0, 1], atol=0.25)
    np.testing.assert_allclose(shares[5], [0, 0, 0, 1], atol=0.25)
    assert np.isnan(shares[4]).all()
    np.testing.assert_allclose(np.delete(shares, 4, 0).sum(1), 1)
    assert list(found["class"][:5]) == ["appearance", "motion", "joint", "neither", "dead"]


def test_enumeration_is_the_same_again_and_of_fewer_appearances_about_the_same():
    once, again = (true_shares(*KNOWN, draws=2, content=SIDEWAYS) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)
    some = {"appearances": 9, "draws": 2, "content": SIDEWAYS}
    fewer, red = true_shares(*KNOWN, **some), crossed_responses(*KNOWN, **some)["known"][..., 0].mean((1, 2))
    np.testing.assert_allclose(fewer["motion"][:2], [0, 1], atol=1e-9)
    assert fewer["variance"][0] == pytest.approx(red.var(ddof=1) * 11 / 12)  # what nine say of all twelve
    assert fewer["interaction"][2] == pytest.approx(0.4, abs=0.15)


def test_enumeration_refuses_too_little():
    with pytest.raises(UserError, match="2 to 12 appearances and at least 2 draws"):
        true_shares(*KNOWN, appearances=13, draws=2, content=SIDEWAYS)
    with pytest.raises(UserError, match="Got 12 and 1"):
        true_shares(*KNOWN, draws=1, content=SIDEWAYS)


def test_needs_motion_is_what_is_left_when_all_that_a_frame_shows_is_held():
    frames = 30
    found = true_needs_motion(*KNOWN, frames=frames, content=SIDEWAYS).set_index("unit")
    assert found["needs_motion"][0] == pytest.approx(0, abs=1e-9)
    assert found["needs_motion"][1] == pytest.approx(1, abs=0.05)  # less what 30 frames have by chance
    assert found["needs_motion"][2] == pytest.approx(0.6, abs=0.1)  # (M + AM) of the shares above
    assert found["needs_motion"][3] == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(found["reliability"][:4], 1, atol=0.05)
    assert found["reliability"][5] < 0.2
    assert list(found["class"]) == ["still", "motion", "mixed", "still", "dead", "unreliable"]


def test_the_middle_of_a_clip_is_the_same_for_all_motions():
    from benchmarks.truth.enumeration import _held

    scenes = _held(CONTENTS["objects"], 3, seed=4)
    middle = render(scenes, [4], 32, length=9)[:, 0].unflatten(0, (3, 24)).int()
    assert (middle - middle[:, :1]).abs().max() <= 1
    assert (middle[0, 0] - middle[1, 0]).abs().max() > 20


def by_hand(values):
    """Components of ``(K, O)`` fixed values, all levels there: variances of row means, column means and the rest."""
    rows, columns = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    return [rows.var(), columns.var(), (values - rows - columns + values.mean()).var()]


def test_components_of_a_population_are_plain_variances():
    values = np.random.default_rng(0).standard_normal((7, 5))
    table = np.repeat(values[:, :, None, None], 3, 2)
    shares, variance = population_shares(table)
    np.testing.assert_allclose(shares[:, 0] * variance, [*by_hand(values), 0], atol=1e-12)
    assert variance == pytest.approx(values.var())


def test_nuisance_and_fewer_appearances_leave_the_components_unbiased():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((12, 5)) + 2 * rng.standard_normal((12, 1))
    found = []
    for _ in range(4000):
        some = values[rng.permutation(12)[:6]]
        table = some[:, :, None] + rng.standard_normal((6, 5, 2))
        found.append(of_population(block_components(table[None, ..., None])[0], 12, 5)[:, 0])
    error = np.std(found, 0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, 0) - [*by_hand(values), 1]) < 4 * error).all()


def test_a_class_is_clear_if_nothing_that_decides_it_is_near_its_border():
    shares = np.array(
        [
            [0.90, 0.00, 0.00, 0.10],  # appearance
            [0.70, 0.28, 0.00, 0.02],  # motion is .286 of what is explained: near .25
            [0.20, 0.00, 0.00, 0.80],  # explains .20: near .25
            [0.10, 0.00, 0.00, 0.90],  # neither
            [np.nan] * 4,
        ]
    )
    assert list(is_clear(shares.T)) == [True, False, False, True, True]


def test_needs_motion_is_clear_if_neither_it_nor_the_reliability_is_near_a_border():
    needed = np.array([0.1, 0.2, 0.5, 0.8, 0.9, 0.2, 0.9, np.nan])
    reliability = np.array([1, 1, 1, 1, 1, 0.2, 0.55, np.nan])
    found = motion_table("", needed, reliability, np.ones(8))
    assert list(found["clear"]) == [True, False, True, False, True, True, False, True]
    assert list(found["class"]) == ["still", "still", "mixed", *["motion"] * 2, "unreliable", "motion", "dead"]


class Pathways(nn.Module):
    """A model of two pathways, of 8 frames and of 2."""

    def forward(self, clips):
        slow, fast = clips
        return torch.stack([slow.mean((1, 2, 3, 4)), fast.mean((1, 2, 3, 4))], 1)


def test_clips_are_brought_to_what_the_model_takes():
    recipe = Recipe(frames=(8, 2), rate=2, crop=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), layout="T C H W")
    model = nn.Sequential(Pathways())
    scenes = draw_scenes(FEW, 1, range(70))  # more than a batch
    found = responses(model, scenes, {"means": ("0", "N C")}, recipe)["means"]
    seen = 2 * (render(scenes, [0, 2, 4, 6, 8, 10, 12, 15], 16, length=16) / 255 - 0.5)
    np.testing.assert_allclose(found[:, 0], seen.mean((1, 2, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], seen[:, [0, 7]].mean((1, 2, 3, 4)), atol=1e-5)
    again = responses(model, scenes, {"means": ("0", "N C")}, recipe, replicate=1)["means"]
    assert 0 < np.abs(again - found).max() < 0.2


@pytest.fixture(scope="module")
def world():
    """Responses to 24 appearances in all motions of units whose truth is known, and that truth."""
    rng = np.random.default_rng(2)
    looks, moves = rng.standard_normal((24, 1, 1)), rng.standard_normal((1, 24, 1))
    looks, moves = (x / x.std() - (x / x.std()).mean() for x in (looks, moves))
    noise = rng.standard_normal((24, 24, 4, 5))
    parts = np.broadcast_arrays(looks, moves, looks * moves, looks + moves, 0 * looks)
    table = np.stack([np.broadcast_to(part, (24, 24, 4)) for part in parts], -1) + 0.1 * noise
    table[..., 4] = 0
    shares = share_table("", *population_shares(table))
    needs = pd.DataFrame({"stage": "", "unit": range(5), "needs_motion": [0, 1, 1, 0.5, np.nan]})
    needs = needs.assign(reliability=[1, 1, 1, 1, np.nan], variance=[1, 1, 1, 2, 0])
    needs = needs.assign(**{"class": ["still", "motion", "motion", "mixed", "dead"], "clear": True})
    return table, joined(shares, needs, ["look", "move", "product", "sum", "dead"])


def test_truth_of_noisy_units_is_that_of_their_responses_with_noise(world):
    table, truth = world
    assert list(truth["class"]) == ["appearance", "motion", "joint", "joint", "dead"]
    spread = np.sqrt(truth["variance"].to_numpy())
    noise = np.random.default_rng(3).standard_normal(table.shape) * spread
    again = share_table("", *population_shares(table + noise))
    found = noisy(truth, 1.0)
    np.testing.assert_allclose(found[[*SHARES]], again[[*SHARES]], atol=0.05)
    np.testing.assert_allclose(found["variance"], again["variance"], rtol=0.08)
    np.testing.assert_allclose(found["reliability"][:4], 0.5, atol=0.01)
    pd.testing.assert_frame_equal(noisy(truth, 0.0), truth, check_dtype=False)


def test_blocks_hold_the_responses_to_what_they_cross():
    marked = np.arange(24)[:, None, None] * 1000.0 + np.arange(24)[None, :, None] * 10 + np.arange(4)
    blocks = drawn_blocks(marked[..., None], (3, 2), 50, np.random.default_rng(0))[..., 0]
    look, move, draw = blocks // 1000, blocks % 1000 // 10, blocks % 10
    assert blocks.shape == (50, 3, 2, 2)
    assert (look == look[:, :, :1, :1]).all()
    assert (move == move[:, :1, :, :1]).all()
    assert (draw[..., 0] != draw[..., 1]).all()
    assert all(len(set(row)) == 3 for row in look[:, :, 0, 0])
    assert all(len(set(row)) == 2 for row in move[:, 0, :, 0])


def test_answers_are_those_of_the_estimator_and_judged_by_the_truth(world):
    table, truth = world
    (estimator,) = find_estimators("factorial_shares")
    blocks = drawn_blocks(table, (4, 4), 60, np.random.default_rng(1))
    dealt = crossed(blocks)
    answers = ask(estimator, dealt.design, dealt.x)
    own = block_components(blocks.astype(np.float32).astype(float)).mean(0)
    np.testing.assert_allclose(answers.numbers["motion"][:4], own[1, :4] / own[:, :4].sum(0), rtol=1e-6)
    assert list(answers.classes) == list(truth["class"])
    rows = judge("factorial_shares", [answers], truth)
    assert [row["quantity"] for row in rows] == [*SHARES]
    assert all(row["right"] == row["right_clear"] == 100 for row in rows)
    off = 100 * (answers.numbers["motion"] - truth["motion"].to_numpy())[:4]
    assert rows[1]["bias"] == pytest.approx(off.mean(), abs=0.051)
    assert rows[1]["mae"] == pytest.approx(np.abs(off).mean(), abs=0.051)
    assert rows[1]["rmse"] == pytest.approx(np.sqrt((off**2).mean()), abs=0.051)


def test_wrong_classes_are_counted_and_unreliable_units_have_no_error(world):
    truth = noisy(world[1], 2.0)
    assert list(truth["needs_class"]) == ["unreliable"] * 4 + ["dead"]
    truth.loc[0, ["needs_class", "needs_clear"]] = ["still", False]
    truth.loc[1, "needs_class"] = "motion"
    numbers = {"motion": np.array([0.25, 0.85, 0.5, 0.5, np.nan])}
    given = Answers(np.array(["motion", "motion", "still", "unreliable", "dead"]), numbers)
    (row,) = judge("needs_motion", [given, given], truth)
    assert (row["right"], row["right_clear"], row["draws"]) == (60, 75, 2)
    assert (row["bias"], row["mae"], row["spearman"]) == (5, 20, 1)  # of the two that are reliable
    counted = {
        (row["true"], row["estimated"]): row["units"] for row in confusion("needs_motion", [given, given], truth)
    }
    assert counted == {
        ("still", "motion"): 1,
        ("motion", "motion"): 1,
        ("unreliable", "still"): 1,
        ("unreliable", "unreliable"): 1,
        ("dead", "dead"): 1,
    }


def test_every_estimator_of_the_package_is_compared_in_its_own_words():
    own = {name: kind for name, kind in estimators().items() if kind.__module__.startswith("static_dynamic.")}
    assert {*READINGS} == {*own}
    for name, reading in READINGS.items():
        assert {*reading.classes} == {*own[name].classes}
        assert len(reading.classes) == len(reading.question.classes)
        assert {*reading.numbers} <= {*own[name]().of_units}
    assert CAUSES.right != NEEDS.right


def test_planted_units_are_a_stage_of_a_model(monkeypatch):
    monkeypatch.setattr("benchmarks.truth.units.NATURAL", 100)
    from benchmarks.truth.units import planted_model

    planted_model.cache_clear()
    scenes = draw_scenes(FEW, 0, range(4))
    (found,) = responses(planted_model(), scenes, STAGES, RECIPE).values()
    planted_model.cache_clear()
    assert found.shape == (4, len(NAMES))
    assert np.isfinite(found).all()


def test_responses_are_in_the_order_of_the_levels():
    table = crossed_responses(*KNOWN, appearances=12, draws=2, content=SIDEWAYS)["known"]
    assert table.shape == (12, 6, 2, 6)
    assert set(np.unique(table[..., 0].mean((1, 2)))) == {0, 1}
    assert list(table[..., 1].mean((0, 2))) == [1, 1, 1, 0, 0, 0]
