"""Probes: what is planted is found, what is not is not, and no group is ever on both sides."""

import json
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from planted import RECIPE, PlantedVideos
from torch import nn

import static_dynamic as sd
from static_dynamic.functional.probing import (
    PENALTIES,
    deal_groups,
    dealt_again,
    find_basis,
    onset,
    read_out,
    standardised,
)
from static_dynamic.functional.questions import Angle, Classes, Number
from static_dynamic.functional.resampling import resample
from static_dynamic.media.clip import Clip, Video
from static_dynamic.probes.probe import Plan
from static_dynamic.probes.targets import Coded

ROOT = Path(__file__).parents[1]


def rng(*seed):
    return np.random.default_rng([11, *seed])


def one_score(x, target, groups, folds):
    return float(read_out(x, [target], groups, folds)[0].score())


# Ridge


def slow_ridge(train, test, y, penalty):
    """Solved unit by unit with an intercept of its own, which is not shrunk."""
    design = np.concatenate([np.ones((len(train), 1)), train], 1)
    shrink = penalty * np.eye(design.shape[1])
    shrink[0, 0] = 0
    weights = np.linalg.solve(design.T @ design + shrink, design.T @ y)
    return np.concatenate([np.ones((len(test), 1)), test], 1) @ weights


@pytest.mark.parametrize("units", [7, 90])
def test_a_ridge_regression_is_that_of_a_direct_solve_in_both_forms(units):
    draw = rng(units)
    x, y = draw.normal(size=(60, units)) * draw.uniform(0.1, 5, units) + 3, draw.normal(size=(40, 2))
    standard = standardised(x, np.arange(60) < 40)
    assert np.allclose(standard[:40].mean(0), 0)
    assert np.allclose(standard[:40].var(0), 1)
    train, test = standard[:40], standard[40:]
    for dual in (True, False, None):
        basis = find_basis(train, test, dual)
        assert basis.unit == pytest.approx(40 * units / min(39, units))
        for penalty in (1e-4, 0.3, 100.0):
            expected = slow_ridge(train, test, y, penalty * basis.unit)
            assert np.allclose(basis.predict(y, penalty), expected, atol=1e-7)


@pytest.mark.parametrize("units", [5, 70])
def test_what_is_said_of_a_group_that_is_left_out_is_what_a_regression_without_it_says(units):
    draw = rng(1, units)
    x, y, groups = (
        draw.normal(size=(36, units)),
        draw.normal(size=(36, 2)),
        np.repeat(np.arange(11), [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5]),
    )
    x -= x.mean(0)
    shuffled = draw.permutation(36)
    groups = groups[shuffled]
    basis = find_basis(x, x[:1])
    for penalty in (1e-3, 1.0):
        errors = basis.left_out(y, groups, penalty)
        for group in range(11):
            out = groups == group
            said = slow_ridge(x[~out], x[out], y[~out], penalty * basis.unit)
            assert np.allclose(errors[out], y[out] - said, atol=1e-7)


def test_the_penalty_is_the_one_that_predicts_groups_that_are_left_out_best():
    draw = rng(2)
    x, groups = draw.normal(size=(80, 30)), np.arange(80) // 4
    y = x[:, 0] + draw.normal(0, 2, 80)
    folds = deal_groups(groups, 4)
    [found] = read_out(x, [Number(y)], groups, folds)
    for fold in range(4):
        standard = standardised(x, folds != fold)
        train, of = standard[folds != fold], groups[folds != fold]
        unit = (train**2).sum() / min(len(train) - 1, 30)
        errors = [
            sum(
                (
                    (
                        y[folds != fold][of == g]
                        - slow_ridge(train[of != g], train[of == g], y[folds != fold][of != g], unit * penalty)
                    )
                    ** 2
                ).sum()
                for g in np.unique(of)
            )
            for penalty in PENALTIES
        ]
        assert found.penalties[fold] == PENALTIES[int(np.argmin(errors))]
        said = slow_ridge(train, standard[folds == fold], y[folds != fold], unit * found.penalties[fold])
        assert np.allclose(found.answers[folds == fold], said)


def test_units_that_never_vary_change_nothing():
    draw = rng(3)
    x, groups = draw.normal(size=(50, 4)).astype(np.float32), np.arange(50)
    folds, target = deal_groups(groups), Number(x[:, 1] * 2.0)
    constant = np.full((50, 3), 7.1, np.float32)
    alone, beside = (read_out(one, [target], groups, folds)[0] for one in (x, np.concatenate([x, constant], 1)))
    assert np.array_equal(alone.answers, beside.answers)
    [of_nothing] = read_out(constant, [target], groups, folds)
    assert float(of_nothing.score()) == pytest.approx(0, abs=1e-12)


# What is planted


def test_a_number_in_noise_has_the_r2_of_its_noise():
    """y = x + noise: R² is 1 / (1 + noise variance), and a little less for what had to be learned."""
    draw = rng(4)
    truth = draw.normal(size=(1500, 3)) @ [1.0, 1.0, 1.0]
    x = truth[:, None] * [1.0, -2.0] + draw.normal(0, [1.0, 2.0], (1500, 2))
    # Two views of the truth (variance 3), each with noise of variance 1: the best mean of them leaves 3 / (1 + 2 * 3).
    groups = np.arange(1500)
    assert one_score(x, Number(truth), groups, deal_groups(groups)) == pytest.approx(1 - 1 / 7, abs=0.02)


def test_r2_is_that_of_its_definition():
    draw = rng(5)
    x, groups = draw.normal(size=(60, 5)), np.arange(60) // 2
    y, folds = x[:, 0] + draw.normal(size=60), deal_groups(groups)
    [found] = read_out(x, [Number(y)], groups, folds)
    mean = np.array([y[folds != fold].mean() for fold in folds])
    assert float(found.score()) == pytest.approx(1 - ((y - found.answers) ** 2).sum() / ((y - mean) ** 2).sum())
    twice = np.ones(30)
    twice[3] = 2
    again = np.repeat(np.arange(60), np.where(groups == 3, 2, 1))
    expected = 1 - ((y - found.answers)[again] ** 2).sum() / ((y - mean)[again] ** 2).sum()
    assert float(found.score(twice)) == pytest.approx(expected)


def test_an_angle_on_a_ring_is_read_out_across_the_turn():
    draw = rng(6)
    angle = draw.uniform(0, 360, 400)
    ring = np.stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))], 1) @ draw.normal(size=(2, 12)) * 5
    groups = np.arange(400)
    folds, target = deal_groups(groups), Angle(angle)
    assert one_score(ring, target, groups, folds) > 0.999
    noisy = ring + draw.normal(0, 8, ring.shape)
    [found] = read_out(noisy, [target], groups, folds)
    off = (found.answers - angle + 180) % 360 - 180
    assert float(found.score()) == pytest.approx(np.cos(np.deg2rad(off)).mean())
    assert 0.5 < float(found.score()) < 0.99
    assert target.error(found.answers) == pytest.approx(abs(off).mean())
    assert Angle(np.array([350.0, 10.0])).error(np.array([10.0, 350.0])) == pytest.approx(20)
    assert target.chance < 0.1
    assert Angle(np.array([10.0, 10.0, 10.0, 190.0])).chance == pytest.approx(0.5)


def test_directions_that_cannot_be_read_out_are_guessed_only_where_they_are_uneven():
    """The mean of even directions points away from those that are held out."""
    groups, nothing = np.arange(128) // 8, np.ones((128, 3))
    even, uneven = np.arange(16)[groups] % 8 * 45.0, np.where(np.arange(16) % 4 == 0, 90.0, 0.0)[groups]
    for seed in range(4):
        folds = deal_groups(groups, 4, seed)
        assert one_score(nothing, Angle(even), groups, folds) == pytest.approx(0, abs=1e-9)
        turn = np.exp(1j * np.deg2rad(uneven))
        guess = np.array([turn[folds != fold].mean() for fold in folds])
        expected = np.cos(np.angle(guess) - np.deg2rad(uneven)).mean()
        assert one_score(nothing, Angle(uneven), groups, folds) == pytest.approx(expected)
        assert expected > 0.6
    assert Angle(even).chance == pytest.approx(0, abs=1e-9)
    assert Angle(uneven).chance == pytest.approx(np.hypot(0.75, 0.25))


def test_classes_are_scored_by_balanced_accuracy_however_frequent_they_are():
    draw = rng(7)
    values = np.repeat([0, 1, 2], [300, 60, 40])
    x = np.eye(3)[values] @ draw.normal(size=(3, 6)) * 2 + draw.normal(size=(400, 6))
    groups = np.arange(400)
    [found] = read_out(x, [Classes(values, 3)], groups, deal_groups(groups))
    recall = [(found.answers == values)[values == k].mean() for k in range(3)]
    assert float(found.score()) == pytest.approx(np.mean(recall))
    assert min(recall) > 0.75  # the rare class is not passed over
    assert Classes(values, 3).chance == pytest.approx(1 / 3)
    noise = one_score(draw.normal(size=(400, 3)), Classes(values, 3), groups, deal_groups(groups))
    assert noise == pytest.approx(1 / 3, abs=0.09)


def test_a_clip_is_of_the_class_that_is_nearest_in_what_is_said_of_groups_that_are_left_out():
    draw = rng(31)
    values, groups = draw.choice(3, 90, p=[0.5, 0.3, 0.2]), np.arange(90) // 3
    x = np.eye(3)[values] @ draw.normal(size=(3, 70)) * 0.2 + draw.normal(size=(90, 70))
    folds = deal_groups(groups, 3)
    [found] = read_out(x, [Classes(values, 3)], groups, folds)
    for fold in range(3):
        test, train = folds == fold, folds != fold
        standard, y, of = standardised(x, train), np.eye(3)[values[train]], groups[train]
        units = standard[train]
        penalty = found.penalties[fold] * (units**2).sum() / (len(units) - 1 if len(units) <= 70 else 70)
        said = slow_ridge(units, standard[test], y, penalty) - y.mean(0)
        rehearsed = np.zeros_like(y)
        for group in np.unique(of):
            out = of == group
            rehearsed[out] = slow_ridge(units[~out], units[out], y[~out], penalty) - y[~out].mean(0)
        centres = np.stack([rehearsed[values[train] == k].mean(0) for k in range(3)])
        within = np.cov((rehearsed - centres[values[train]]).T)
        # What is said of all classes sums to 0, so two of the three say everything.
        metric = np.linalg.inv(within[:2, :2])
        far = [[(s - c)[:2] @ metric @ (s - c)[:2] for c in centres] for s in said]
        assert found.answers[test].tolist() == np.argmin(far, 1).tolist()
    assert 0.4 < float(found.score()) < 0.95


def test_a_class_between_two_others_is_not_masked():
    draw = rng(29)
    values = np.arange(300) % 3
    x = values[:, None] + draw.normal(0, 0.1, (300, 1))
    assert one_score(x, Classes(values, 3), np.arange(300), deal_groups(np.arange(300))) > 0.99


def test_two_frequent_and_rare_classes_are_parted_in_the_middle():
    """One unit, means -1 and 1, sd 1: the border of balanced accuracy is 0, whatever the frequencies."""
    draw = rng(8)
    values = (np.arange(3000) % 10 == 0).astype(int)
    x = (2 * values - 1 + draw.normal(size=3000))[:, None]
    groups = np.arange(3000)
    [found] = read_out(x, [Classes(values, 2)], groups, deal_groups(groups))
    border = (x[found.answers == 1, 0].min() + x[found.answers == 0, 0].max()) / 2
    assert border == pytest.approx(0, abs=0.45)  # that of plain accuracy lies at log(9) / 2 = 1.1
    assert float(found.score()) == pytest.approx(0.841, abs=0.03)


def test_a_label_in_the_identity_of_the_group_is_found_only_where_groups_are_split():
    draw = rng(9)
    groups = np.arange(240) // 6
    identity = draw.normal(size=(40, 60)) * 3
    x = identity[groups] + draw.normal(size=(240, 60))
    label = draw.permutation(np.arange(40) % 2)[groups]
    split = one_score(x, Classes(label, 2), np.arange(240), deal_groups(np.arange(240)))
    whole = one_score(x, Classes(label, 2), groups, deal_groups(groups))
    assert split > 0.9
    assert whole == pytest.approx(0.5, abs=0.2)


# Folds, controls, onsets


def test_folds_hold_whole_groups_and_are_alike():
    draw = rng(10)
    sizes = draw.integers(1, 9, 60)
    groups = draw.permutation(np.repeat(np.arange(60), sizes))
    for seed in range(3):
        folds = deal_groups(groups, 6, seed)
        assert all(len(set(folds[groups == group])) == 1 for group in range(60))
        assert np.ptp(np.bincount(folds, minlength=6)) <= 2
    assert not np.array_equal(deal_groups(groups, 6, 0), deal_groups(groups, 6, 1))
    assert np.array_equal(deal_groups(groups, 6, 1), deal_groups(groups, 6, 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_in_every_fold(seed):
    """Also where groups are of several sizes, and hold clips of frequent classes beside."""
    draw = rng(30, seed)
    groups = np.repeat(np.arange(60), draw.integers(1, 5, 60))
    classes = draw.integers(0, 2, len(groups))
    rare = np.searchsorted(groups, [4, 17, 33, 40, 41])
    classes[rare] = 2
    folds = deal_groups(groups, 5, seed, np.eye(3)[classes])
    assert len(set(folds[rare])) == 5
    assert np.ptp(np.bincount(folds)) <= 12


def test_a_group_in_two_folds_is_refused():
    with pytest.raises(sd.UserError, match="All clips of a group must be in one fold"):
        read_out(rng(11).normal(size=(6, 2)), [Number(np.arange(6.0))], [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2])


def test_controls_deal_labels_to_whole_groups():
    draw = rng(12)
    groups = draw.permutation(np.repeat(np.arange(30), 4))
    label = draw.integers(0, 3, 30)[groups]
    order = dealt_again(groups, draw)
    dealt = label[order]
    assert sorted(order) == list(range(120))
    assert all(len(set(dealt[groups == group])) == 1 for group in range(30))
    assert (dealt != label).mean() > 0.4
    within = np.tile([0, 1], 60)
    pairs = np.arange(120) // 2
    flipped = within[dealt_again(pairs, draw)].reshape(60, 2)
    assert (flipped.sum(1) == 1).all()
    assert 10 < flipped[:, 0].sum() < 50


def test_controls_are_at_chance_where_few_units_cannot_tell_groups_apart_and_above_where_many_can():
    """Groups are split by the folds here, so a probe that can tell groups apart has seen their control labels."""
    draw = rng(13)
    groups = np.arange(240) // 6
    speed = draw.normal(size=40)[groups]
    few = speed[:, None] + draw.normal(0, 0.5, (240, 1))
    many = np.concatenate([few, draw.normal(size=(40, 80))[groups] + draw.normal(0, 0.3, (240, 80))], 1)
    found = sd.probe_activations({"few": few, "many": many}, {"speed": speed}, controls_by=groups, controls=6).table
    few_row, many_row = found.to_dict("records")
    assert abs(few_row["control"]) < 0.1
    assert few_row["selectivity"] > 0.6
    assert many_row["control"] > 0.8
    assert many_row["selectivity"] < 0.2
    whole = sd.probe_activations({"many": many}, {"speed": speed}, groups, controls=6).table.iloc[0]
    assert whole["control"] < 0.15
    assert whole["selectivity"] == pytest.approx(whole["score"] - whole["control"])


def test_the_onset_is_the_first_stage_that_reaches_the_part():
    assert onset([0.1, 0.3, 0.55, 1.0, 0.2]) == 2
    assert onset([0.5, 0.6, 0.74, 0.76, 1.0], chance=0.5) == 3
    assert onset([0.1, 0.3, 0.55, 1.0, 0.2], part=0.25) == 1
    assert onset([0.1, 0.5, 1.0], part=1.0) == 2
    assert onset([-0.1, -0.4], part=1.0) == 2
    assert onset([0.0, 0.0]) == 2
    assert onset([[0.0, 1.0], [1.0, 1.0]]).tolist() == [1, 0]
    with pytest.raises(sd.UserError, match=r"must be in \(0, 1\]. Got 0"):
        onset([1.0], part=0)


# Tables


def stages_of(profile, truth, noise=1.0, units=6, seed=0):
    """Stages of which each shows a part of the truth."""
    draw = rng(20, seed)
    return {
        f"stage{place}": (part * truth[:, None] + noise * draw.normal(size=(len(truth), units))).astype(np.float32)
        for place, part in enumerate(profile)
    }


def test_onset_and_its_interval_follow_the_profile():
    truth = rng(21).normal(size=200)
    steep = sd.probe_activations(stages_of([0, 0, 2, 2, 0], truth), {"speed": truth}, controls=2).onsets.iloc[0]
    assert [steep[name] for name in ("onset", "low", "median", "high")] == ["stage2"] * 4
    assert steep["stability"] == 1
    slow = sd.probe_activations(stages_of([0.0, 0.39, 0.41, 0.42, 3], truth), {"speed": truth}, controls=2).onsets
    assert slow.iloc[0]["low"] < slow.iloc[0]["high"]
    assert slow.iloc[0]["best"] == "stage4"
    nothing = sd.probe_activations(stages_of([0, 0], truth), {"speed": truth}, controls=2)
    assert nothing.onsets.iloc[0]["onset"] == "none"
    assert "not above chance" in repr(nothing)


def test_another_part_and_fewer_stages_give_another_onset():
    truth = rng(22).normal(size=300)
    found = sd.probe_activations(stages_of([0, 0.5, 3], truth), {"speed": truth}, controls=2)
    assert found.onsets["onset"][0] == "stage1"
    assert found.onset(part=0.9)["onset"][0] == "stage2"
    assert found.onset(stages=["stage0", "stage2"])["onset"][0] == "stage2"
    with pytest.raises(sd.UserError, match=r"Unknown stage 'stage3'"):
        found.onset(stages=["stage3"])


def test_intervals_are_over_groups():
    """Every clip eight times over tells no more than once."""
    truth = rng(23).normal(size=60)
    stages = stages_of([0.7], truth)
    once = sd.probe_activations(stages, {"speed": truth}, controls=1).table.iloc[0]
    copies = {stage: np.repeat(x, 8, 0) for stage, x in stages.items()}
    many = sd.probe_activations(copies, {"speed": truth.repeat(8)}, np.arange(60).repeat(8), controls=1).table.iloc[0]
    assert (many["n"], many["groups"]) == (480, 60)
    assert many["high"] - many["low"] == pytest.approx(once["high"] - once["low"], rel=0.35)
    assert once["low"] < once["score"] < once["high"]


def test_intervals_of_classes_stay_between_0_and_1():
    truth = np.arange(60) % 2
    row = sd.probe_activations(stages_of([1.4], truth), {"shape": truth}, controls=1).table.iloc[0]
    assert 0.9 < row["score"] < 1
    assert row["score"] < row["high"] <= 1


def test_the_spread_of_controls_is_that_of_their_draws():
    truth = rng(34).normal(size=60)
    one, two = (
        sd.probe_activations(stages_of([3], truth), {"speed": truth}, controls=draws).table.iloc[0] for draws in (1, 2)
    )
    first, second = one["control"], 2 * two["control"] - one["control"]
    assert np.isnan(one["control_sd"])
    assert two["control_sd"] == pytest.approx(abs(first - second) / np.sqrt(2))


def test_a_class_that_is_never_learned_is_named():
    target = Coded("shape", "classes", np.ones(6, bool), Classes(np.array([0, 1, 0, 1, 2, 2]), 3), ("a", "b", "c"))
    plan = Plan(
        [(target, [])], target.there, list("uvwxyz"), np.arange(6), np.array([0, 0, 1, 1, 2, 2]), resample(6, 1)
    )
    assert [doubt for doubt in plan.doubts() if "fold" in doubt] == [
        "shape: all clips of the class 'c' are in one fold, so it is never learned."
    ]


def test_targets_of_some_clips_are_probed_on_these():
    truth = rng(24).normal(size=90)
    shape = [None if place % 3 == 0 else "ab"[int(value > 0)] for place, value in enumerate(truth)]
    groups = [f"{place:03d}" for place in range(90)]
    targets = {"shape": shape, "speed": truth, "size": [None if value is None else 2.5 * len(value) for value in shape]}
    targets["size"][1] = 1.0
    found = sd.probe_activations(stages_of([1, 2], truth), targets, groups, controls=2)
    assert found.table[["target", "n", "kind", "chance"]].drop_duplicates().values.tolist() == [
        ["shape", 60, "classes", 0.5],
        ["speed", 90, "number", 0.0],
        ["size", 60, "number", 0.0],
    ]
    assert found.how["targets"]["shape"]["classes"] == ["a", "b"]
    there = [value is not None for value in shape]
    some = {stage: x[there] for stage, x in stages_of([1, 2], truth).items()}
    labels = [value for value in shape if value]
    alone = sd.probe_activations(some, {"shape": labels}, np.array(groups)[there], controls=2)
    assert np.allclose(alone.table["score"], found.table["score"][:2])


def test_the_same_seed_gives_the_same_table():
    truth = rng(25).normal(size=60)
    tables = [
        sd.probe_activations(stages_of([0.4, 1], truth), {"speed": truth}, controls=2, seed=seed).table
        for seed in (3, 3, 4)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0]["score"].equals(tables[2]["score"])


def test_a_stage_of_nan_is_named_and_the_others_are_probed():
    truth = rng(26).normal(size=60)
    stages = stages_of([1, 1], truth)
    stages["stage0"][7, 2] = np.nan
    found = sd.probe_activations(stages, {"speed": truth}, controls=1)
    assert found.stages == ["stage1"]
    assert "Stage stage0: 1 of 60 clips gives NaN or infinite activations, so it is not probed." in found.warnings
    with pytest.raises(sd.UserError, match=r"^None of the stages can be probed.*stage0"):
        sd.probe_activations({"stage0": stages["stage0"]}, {"speed": truth})
    with pytest.raises(sd.UserError, match="1 of 60 clips give NaN"):
        read_out(stages["stage0"], [Number(truth)], np.arange(60), deal_groups(np.arange(60)))


SLIPS = {
    "one class": ({"shape": ["disc"] * 12}, {}, r"^The target 'shape' has one class alone \(disc\)"),
    "constant": ({"speed": [0.5] * 12}, {}, r"^The target 'speed' is the same for every clip \(0.5\)"),
    "constant angle": (
        [sd.Target("turn", "angle", [0.0, 360.0] * 6)],
        {},
        r"^The target 'turn' is the same for every clip \(0.0\)",
    ),
    "alone": (
        {"shape": ["disc"] * 4 + ["star", "ring"] * 4},
        {"groups": ["one"] * 4 + ["two", "three"] * 4},
        r"^The group 'one' has every clip of the class 'disc' of 'shape', and 2 more classes likewise: it cannot",
    ),
    "few groups": ({"speed": np.arange(12.0)}, {"groups": np.arange(12) // 3}, "^5 folds need 5 groups or more. Got 4"),
    "folds": ({"speed": np.arange(12.0)}, {"folds": 2}, "^Probes need 3 folds or more: `folds=5`. Got 2"),
    "text": (
        [sd.Target("speed", "number", ["slow"] * 12)],
        {},
        "^The target 'speed' is of the kind 'number', so it needs",
    ),
    "length": ({"speed": np.arange(11.0)}, {}, "one value per clip. Got 11 for 12"),
    "none": ({}, {}, "^At least one target is required"),
    "a name": (["speed"], {}, "^The target 'speed' must have one value per clip"),
    "controls": ({"speed": np.arange(12.0)}, {"controls": 0}, "^The number of control draws must be 1 or more"),
    "no level": (
        [sd.Target("way", "angle", [0, 9] * 6, (0, 90))],
        {},
        "^The level 9 of the target 'way' does not exist: it has 2",
    ),
    "a level from the end": (
        [sd.Target("way", "angle", [0, -1] * 6, (0, 90))],
        {},
        "The level -1 of the target 'way' does not exist: it has 2",
    ),
    "half a fold": ({"speed": np.arange(12.0)}, {"folds": 3.5}, r"3 folds or more: `folds=5`\. Got 3\.5"),
    "folds in words": ({"speed": np.arange(12.0)}, {"folds": "5"}, "3 folds or more: `folds=5`. Got '5'"),
    "half a control": ({"speed": np.arange(12.0)}, {"controls": 1.5}, "1 or more: `controls=5`. Got 1.5"),
    "groups": ({"speed": np.arange(12.0)}, {"groups": [1, 2]}, "^Every clip needs one group. Got 2"),
}


@pytest.mark.parametrize(("targets", "options", "message"), SLIPS.values(), ids=SLIPS)
def test_slips_are_one_line(targets, options, message):
    with pytest.raises(sd.UserError, match=message) as error:
        sd.probe_activations({"late": rng(27).normal(size=(12, 3))}, targets, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        ([np.ones((12, 3))], r"^Activations must be a mapping from stages, `activations=\{'late': x\}`"),
        ({"late": np.full((12, 3), "a")}, "^The activations of stage 'late' must be an array of real numbers"),
        ({"late": [[1.0], [1.0, 2.0]]}, "^The activations of stage 'late' must be an array of real numbers"),
        ({"late": 1.0}, r"^Activations must be \(clips, units\).*Got \(\) for 'late'"),
        ({"late": np.ones((12, 0))}, r"^Activations must be \(clips, units\).*Got \(12, 0\) for 'late'"),
    ],
)
def test_activations_that_are_none_are_one_line(activations, message):
    with pytest.raises(sd.UserError, match=message):
        sd.probe_activations(activations, {"speed": np.arange(12.0)})


def test_tensors_of_half_precision_that_carry_gradients_are_probed():
    x = torch.from_numpy(rng(4).normal(size=(30, 3))).bfloat16().requires_grad_()
    exact = x.detach().double().numpy()
    tables = [sd.probe_activations({"late": one}, {"speed": exact[:, 0]}, controls=1).table for one in (x, exact)]
    pd.testing.assert_frame_equal(*tables)


def test_levels_that_are_no_list_are_named():
    with pytest.raises(sd.UserError, match=r"levels of the target 'way' must be a sequence or a mapping. Got 3"):
        sd.Target("way", "angle", levels=3)


def test_a_kind_that_is_not_there_is_named():
    with pytest.raises(sd.UserError, match=r"Unknown kind 'angel' in the target 'way'. Did you mean 'angle'"):
        sd.Target("way", "angel")


def test_a_result_is_saved_and_drawn(tmp_path):
    truth = rng(28).normal(size=80)
    way = np.arange(80) % 8 * 45
    ring = np.stack([np.cos(np.deg2rad(way)), np.sin(np.deg2rad(way))], 1) * 3
    stages = {
        stage: np.concatenate([x, ring + rng(1).normal(size=ring.shape)], 1)
        for stage, x in stages_of([0, 1], truth).items()
    }
    found = sd.probe_activations(stages, [sd.Target("speed", values=truth), sd.Target("way", "angle", way)], controls=2)
    found.save(tmp_path)
    assert pd.read_csv(tmp_path / "probes.csv")["score"].tolist() == pytest.approx(found.table["score"].tolist())
    assert pd.read_csv(tmp_path / "onsets.csv")["onset"].tolist() == found.onsets["onset"].tolist()
    how = json.loads((tmp_path / "probes.json").read_text())["how"]
    assert how["units"] == {"stage0": 8, "stage1": 8}
    assert len(how["targets"]["speed"]["fold of every group"]) == 80
    assert len(how["chosen"]["way"]["stage1"]) == 5
    assert set(found.table.loc[found.table["target"] == "way", "error"].notna()) == {True}
    picture = matplotlib.image.imread(found.plot(tmp_path / "probes.png"))
    assert picture.std() > 0.05
    assert found.plot(tmp_path / "probes.svg").read_text().count("onset, 95 % interval") == 1


# Through a model


class Moving:
    """Grey clips: red holds the shape, green runs up or down, blue is how fast; a block of videos shares its grain."""

    name, styles = "Moving", ()

    def __init__(self, count=60):
        self.videos = []
        for number in range(count):
            details = {"shape": number % 2, "speed": [0.5, 1.0, 2.0][number // 2 % 3], "block": f"b{number // 4}"}
            self.videos.append(Video(f"v{number:03d}", "ab"[number % 2], details))

    def read(self, video, recipe, style=None):
        number, said = int(video.name[1:]), video.details
        sample = recipe.sample(6)
        frames = np.zeros((6, 16, 16, 3), np.uint8)
        draw = np.random.default_rng([number, 5])
        frames[..., 0] = 90 + 60 * said["shape"] + draw.integers(0, 20)
        frames[..., 1] = 60 + (np.arange(6) * 20)[:, None, None] + draw.integers(0, 9, 6)[:, None, None]
        frames[..., 2] = 50 + 50 * said["speed"] + draw.integers(0, 9)
        return Clip(frames[list(sample.numbers)], sample, f"memory/{video.name}", total=6, fps=25.0)

    def describe(self):
        return {"kind": self.name, "count": len(self.videos)}


class ThreeStages(nn.Module):
    """Colour of single frames, then the course of green over time."""

    def __init__(self):
        super().__init__()
        self.frames, self.course = nn.Identity(), nn.Identity()

    def forward(self, clip):
        colours = clip.mean((3, 4))
        self.frames(colours.mean(2))
        return self.course((colours[:, 1] * torch.linspace(-1, 1, clip.shape[2])).sum(1, keepdim=True))


TAPS = {"frames": ("frames", "N C"), "course": ("course", "N C")}


@pytest.fixture(scope="module")
def moving():
    return sd.probe(
        ThreeStages(), Moving(), ["shape", "speed", "label", "arrow of time"], TAPS, recipe=RECIPE, controls=2, twins=1
    )


def test_a_model_is_probed_for_appearance_speed_and_the_arrow_of_time(moving):
    scores = moving.table.pivot(index="target", columns="stage", values="score")
    assert scores.loc["shape", "frames"] == 1
    assert scores.loc["label", "frames"] == 1
    assert scores.loc["speed", "frames"] > 0.9
    assert scores.loc["arrow of time", "frames"] < 0.65
    assert scores.loc["arrow of time", "course"] == 1
    rows = moving.table.set_index(["target", "stage"])
    assert rows.loc[("arrow of time", "course"), ["n", "groups", "folds"]].tolist() == [120, 15, 5]
    assert rows.loc[("shape", "frames"), ["n", "groups", "folds"]].tolist() == [60, 15, 5]
    assert moving.onsets.set_index("target")["onset"].to_dict() == {
        "shape": "frames",
        "speed": "frames",
        "label": "frames",
        "arrow of time": "course",
    }
    assert moving.table["twin"].notna().all()
    assert np.allclose(moving.table["twin"], moving.table["score"])  # this model has no weights to reset
    fold = moving.how["targets"]["arrow of time"]["fold of every group"]
    assert set(fold) == {f"b{number}" for number in range(15)}
    assert moving.how["study"]["stages"]["course"] == [["course", "N C", None]]
    assert any("15 groups are few" in warning for warning in moving.warnings)
    assert "arrow of time: 1.00 at course, from course on" in repr(moving)


def test_a_run_goes_on_and_other_targets_need_no_forward(tmp_path):
    forwards = []
    model = ThreeStages()
    model.register_forward_hook(lambda *_: forwards.append(1))
    first = sd.probe(model, Moving(24), "shape", TAPS, recipe=RECIPE, folds=3, twins=0, store=tmp_path)
    done = len(forwards)
    again = sd.probe(model, Moving(24), "shape", TAPS, recipe=RECIPE, folds=3, twins=0, store=tmp_path)
    sd.probe(model, Moving(24), "speed", TAPS, recipe=RECIPE, folds=3, twins=0, store=tmp_path)
    assert done > 0
    assert len(forwards) == done
    pd.testing.assert_frame_equal(first.table, again.table)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3"])
def test_a_number_of_videos_that_is_none_is_refused(limit):
    with pytest.raises(sd.UserError, match=r"^The maximum number of videos must be 1 or more: `max_videos=100`"):
        sd.probe(torch.nn.Conv3d(3, 4, 3), "factorial:12", "kind", recipe=RECIPE, max_videos=limit)
    with pytest.raises(sd.UserError, match=r"^The maximum number of videos must be 1 or more: `max_videos=100`"):
        sd.measure(torch.nn.Conv3d(3, 4, 3), "factorial:12", recipe=sd.Recipe(4, 1, 32), max_videos=limit)


def test_groups_are_what_the_caller_says():
    options = {"recipe": RECIPE, "folds": 3, "twins": 0, "controls": 1}
    tables = {
        by: sd.probe(ThreeStages(), Moving(24), "shape", TAPS, groups=groups, **options).table.iloc[0]
        for by, groups in {"block": None, "clip": "clip", "mapping": {f"v{n:03d}": n // 8 for n in range(24)}}.items()
    }
    assert {by: row["groups"] for by, row in tables.items()} == {"block": 6, "clip": 24, "mapping": 3}
    with pytest.raises(sd.UserError, match=r"Unknown grouping 'blok'. Did you mean 'block'"):
        sd.probe(ThreeStages(), Moving(24), "shape", TAPS, groups="blok", **options)
    with pytest.raises(sd.UserError, match=r"must give a group for every video. 'v000' is missing"):
        sd.probe(ThreeStages(), Moving(24), "shape", TAPS, groups={"x": 1}, **options)


def test_moments_of_a_sequence_are_one_group():
    source = Moving(24)
    source.videos = [
        Video(video.name, video.label, {"shape": video.details["shape"], "speed": 1.0}, sequence=f"s{place // 4}")
        for place, video in enumerate(source.videos)
    ]
    found = sd.probe(ThreeStages(), source, "shape", TAPS, recipe=RECIPE, folds=3, twins=0, controls=1)
    assert set(found.how["targets"]["shape"]["fold of every group"]) == {f"s{place}" for place in range(6)}


def test_levels_are_what_they_stand_for():
    turn = sd.Target("speed", "angle", levels={0.5: 0, 1.0: 90, 2.0: 180})
    found = sd.probe(ThreeStages(), Moving(60), turn, TAPS, recipe=RECIPE, folds=3, twins=0, controls=1).table
    assert found["chance"].tolist() == pytest.approx([1 / 3, 1 / 3])  # the mean of right, up and left is a third of up
    assert found["kind"].tolist() == ["angle", "angle"]
    assert found["score"][0] > 0.8  # one unit holds the speed, and so its sine only roughly


def test_a_target_that_no_video_has_is_named_before_any_forward():
    model = ThreeStages()
    model.forward = None
    with pytest.raises(
        sd.UserError, match=r"Unknown target 'shap'. Did you mean 'shape'\? Allowed: shape, speed, block, label, arrow"
    ):
        sd.probe(model, Moving(24), "shap", TAPS, recipe=RECIPE)
    with pytest.raises(sd.UserError, match="does not have a value for any of the 24 videos"):
        sd.probe(model, Moving(24), {"speed": {"other": 1.0}}, TAPS, recipe=RECIPE)
    with pytest.raises(sd.UserError, match="is listed twice"):
        sd.probe(model, Moving(24), ["shape", "shape"], TAPS, recipe=RECIPE)
    with pytest.raises(sd.UserError, match=r"^5 folds need 5 groups or more. Got 2"):
        sd.probe(model, Moving(8), "shape", TAPS, recipe=RECIPE)


def test_a_video_that_cannot_be_read_is_left_out_and_named():
    source = PlantedVideos(30, bad=(3,))
    found = sd.probe(ThreeStages(), source, "label", TAPS, recipe=RECIPE, twins=0, controls=1)
    assert set(found.table["n"]) == {29}
    assert "Skipped v003: v003: broken on purpose." in found.warnings


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "probes.md").read_text(), re.DOTALL)
)
def test_every_python_block_of_the_docs_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "probes.md", "exec"), {"__name__": "probes"})
