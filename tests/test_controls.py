"""Units and subspaces are compared at equal variance: how much a set carries, and random sets that carry as much."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import UserError


def activations(clips, units, seed=0):
    """Correlated, of very different variance, with a dead unit at the end."""
    draw = np.random.default_rng(seed)
    z = draw.normal(size=(clips, units)) @ draw.normal(size=(units, units)) * draw.uniform(0.1, 2, units) + 7
    z[:, -1] = 3
    return z


def by_hand(z, units):
    """Variance of some units over that of all, number by number."""
    means = [sum(unit) / len(z) for unit in z.T]
    variance = [sum((value - mean) ** 2 for value in unit) for unit, mean in zip(z.T, means, strict=True)]
    return sum(variance[c] for c in units) / sum(variance)


def by_hand_within(z, directions):
    """What is lost of the variance with the component that least squares find within the directions."""
    columns = np.asarray(directions, float).T
    rest = z - (columns @ np.linalg.lstsq(columns, z.T, rcond=None)[0]).T
    return 1 - rest.var(0).sum() / z.var(0).sum()


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(2, 12), st.data())
def test_the_share_that_units_carry(clips, width, data):
    z = activations(clips, width, data.draw(st.integers(0, 9)))
    units = data.draw(st.lists(st.integers(0, width - 1), min_size=1))
    mask = [number in units for number in range(width)]
    for given_as in (units, mask, np.eye(width)[units]):
        assert sd.variance_share(z, given_as) == pytest.approx(by_hand(z, set(units)))
    assert sd.variance_share(torch.from_numpy(z).bfloat16(), range(width)) == pytest.approx(1)
    directions = np.random.default_rng(clips).normal(size=(data.draw(st.integers(1, width)), width))
    assert sd.variance_share(z, directions) == pytest.approx(by_hand_within(z, directions))


# ---------------------------------------------------------------- the strongest


@settings(max_examples=25)
@given(st.integers(2, 30), st.floats(0.05, 0.95), st.integers(0, 99))
def test_the_strongest_are_the_first_by_score_that_come_nearest_to_the_share(width, share, seed):
    z, scores = activations(20, width, seed), np.random.default_rng(seed).integers(0, 5, width) / 4
    ranked = sorted(range(width - 1), key=lambda unit: (-scores[unit], unit))  # the last is dead
    each = [by_hand(z, [unit]) for unit in ranked]
    nearest = min(range(1, width), key=lambda k: abs(sum(each[:k]) - share))
    assert sd.strongest(scores, z, share).tolist() == ranked[:nearest]


def test_units_without_a_score_are_left_out():
    z = activations(20, 6)
    scores = [0.1, np.nan, 0.9, 0.5, 0.4, 1.0]
    assert set(sd.strongest(scores, z, 0.02)) <= {2}
    assert 1 not in sd.strongest(scores, z, by_hand(z, [0, 2, 3, 4]) - 1e-9)
    with pytest.raises(
        UserError, match=r"Units with a score carry .*% of the variance in total, less than `share=0.999`"
    ):
        sd.strongest(scores, z, 0.999)
    with pytest.raises(UserError, match=r"Units with a score carry 0\.0%"):
        sd.strongest([np.nan] * 6, z, 0.5)


# ---------------------------------------------------------------- random units


@settings(max_examples=25)
@given(st.integers(20, 80), st.integers(0, 20))
def test_random_units_carry_the_variance_of_those_given(width, seed):
    z = activations(30, width, seed)
    units = np.random.default_rng(seed).permutation(width - 1)[: width // 3]
    controls = sd.matched_units(z, units, draws=5, seed=seed, tolerance=0.05)
    assert controls.target == pytest.approx(by_hand(z, units))
    assert controls.tolerance == 0.05
    for drawn, achieved in zip(controls.draws, controls.achieved, strict=True):
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(width))
        assert achieved == pytest.approx(by_hand(z, drawn))
        assert abs(achieved - controls.target) <= 0.05 * controls.target + 1e-12
    assert len({tuple(drawn) for drawn in controls.draws}) > 1


def test_of_many_units_the_variance_is_met_nearly_exactly_and_not_from_one_side():
    z = np.random.default_rng(0).normal(size=(60, 500))
    off = sd.matched_units(z, range(130), draws=50).achieved - by_hand(z, range(130))
    assert np.abs(off).max() < 1e-3
    assert 10 < (off > 0).sum() < 40


def test_of_few_units_every_set_of_that_variance_comes_and_no_other():
    variance = np.array([1, 2, 3, 4, 5, 6])
    z = np.array([[1], [-1]]) * np.sqrt(variance)
    sets = {s for k in range(1, 7) for s in combinations(range(6), k) if variance[list(s)].sum() == 9}
    controls = sd.matched_units(z, [2, 5], draws=400, tolerance=0.01)
    assert {tuple(drawn) for drawn in controls.draws} == sets
    assert np.allclose(controls.achieved, 9 / 21)


def test_units_of_equal_variance_are_drawn_equally_often():
    z = np.random.default_rng(0).permutation(np.repeat([[-1.0], [1.0]], 5, 0)) * np.ones(20)
    controls = sd.matched_units(z, range(5), draws=400)
    assert {len(drawn) for drawn in controls.draws} == {5}
    counts = np.bincount(np.concatenate(controls.draws), minlength=20)
    assert abs(counts - 100).max() < 40  # 4.6 standard deviations


def test_draws_follow_from_the_seed():
    z = activations(30, 40)
    for draw in (sd.matched_units, sd.matched_directions):
        first, again, other = (draw(z, [1, 2, 3, 4], 2, seed).draws for seed in (1, 1, 2))
        assert all(map(np.array_equal, first, again))
        assert not any(map(np.array_equal, first, other))


def test_no_set_is_passed_off_as_matched():
    says = r"Too few random sets .*% of the variance within `tolerance=1e-09`; the nearest was off by 0\.00.*Increase"
    with pytest.raises(UserError, match=says):
        sd.matched_units(activations(30, 40), range(13), 1, tolerance=1e-9)


def test_what_random_sets_share_with_the_units_given_is_told():
    variance = np.array([60.0, 10, 8, 6, 5, 4, 3, 2, 1, 1])
    z = np.array([[1], [-1]]) * np.sqrt(variance)
    controls = sd.matched_units(z, [0, 9], draws=20)
    for drawn, overlap in zip(controls.draws, controls.overlap, strict=True):
        assert overlap == pytest.approx(variance[[unit for unit in drawn if unit in (0, 9)]].sum() / 61)
    assert controls.overlap.min() > 0.9  # nothing else carries as much
    assert len(set(controls.overlap)) == 2


# ---------------------------------------------------------------- random subspaces


@pytest.mark.parametrize(("clips", "width"), [(100, 12), (10, 40)])
@settings(max_examples=25)
@given(st.data())
def test_random_subspaces_carry_the_variance_of_the_one_given(clips, width, data):
    z = activations(clips, width, data.draw(st.integers(0, 5)))
    k = data.draw(st.integers(1, 5))
    directions = np.random.default_rng(k).normal(size=(k, width))
    given_as = data.draw(st.sampled_from([directions, list(range(k)), 1e-3 * directions[::-1]]))
    controls = sd.matched_directions(z, given_as, draws=2, seed=data.draw(st.integers(0, 9)))
    spanned = np.eye(width)[given_as] if isinstance(given_as, list) else given_as
    assert controls.target == pytest.approx(by_hand_within(z, spanned))
    for drawn, achieved in zip(controls.draws, controls.achieved, strict=True):
        assert drawn.shape == (k, width)
        assert np.allclose(drawn @ drawn.T, np.eye(k))
        assert achieved == pytest.approx(by_hand_within(z, drawn))
        assert abs(achieved - controls.target) <= 0.01 * controls.target


@pytest.mark.parametrize("ends", ["most", "least"])
def test_subspaces_of_nearly_the_most_and_of_little_variance_are_matched_too(ends):
    z = activations(200, 10)[:, :-1]
    axes = np.linalg.svd(z - z.mean(0))[2]
    chosen = axes[:2] + 0.3 * axes[4:6] if ends == "most" else axes[-2:] + 0.3 * axes[2:4]
    controls = sd.matched_directions(z, chosen, draws=4)
    assert np.allclose(controls.achieved, by_hand_within(z, chosen), rtol=0.01)
    overlaps = [np.linalg.norm(one @ other.T) ** 2 / 2 for one, other in combinations(controls.draws, 2)]
    assert max(overlaps) < 0.999  # they are not one and the same


def test_where_all_directions_carry_the_same_none_is_preferred():
    z = np.concatenate((np.eye(8), -np.eye(8)))
    controls = sd.matched_directions(z, [0, 1], draws=300)
    mean = sum(one.T @ one for one in controls.draws) / 300
    assert np.abs(mean - np.eye(8) / 4).max() < 0.1
    assert np.allclose(controls.achieved, 0.25)


def test_what_random_subspaces_cannot_carry_is_said():
    z = np.concatenate((np.eye(4), -np.eye(4))) * np.sqrt([1, 1e-7, 1e-7, 1e-14])
    with pytest.raises(
        UserError, match=r"Random subspaces of 1 dimensions carry .* to 1 of .*The target is 1e-14 within"
    ):
        sd.matched_directions(z, [3])


def test_what_random_subspaces_share_with_the_one_given_is_told():
    z, directions = activations(50, 6), np.random.default_rng(1).normal(size=(2, 6))
    controls = sd.matched_directions(z, directions, draws=5)
    projector = np.linalg.pinv(directions) @ directions
    for drawn, overlap in zip(controls.draws, controls.overlap, strict=True):
        assert overlap == pytest.approx(np.mean([row @ projector @ row for row in drawn]))
    axes = np.linalg.svd(z - z.mean(0))[2]
    assert sd.matched_directions(z, axes[:1], draws=3).overlap.min() > 0.95  # no other carries as much


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda z: sd.variance_share(z, [5]), r"Unit 5 does not exist: units are numbered 0\.\.4"),
        (lambda z: sd.variance_share(z[0], [0]), r"finite numbers \(clips, units\) that vary\. Got shape \(5,\)"),
        (lambda z: sd.variance_share(0 * z, [0]), "that vary"),
        (lambda z: sd.variance_share(z / 0, [0]), "finite"),
        (lambda z: sd.strongest([1.0, 2.0], z, 0.5), r"one score per unit, \(5,\)\. Got \(2,\)"),
        (lambda z: sd.strongest(range(5), z, 0), r"between 0 and 1\. Got 0"),
        (lambda z: sd.strongest(range(5), z, 1), r"between 0 and 1\. Got 1"),
        (lambda z: sd.strongest(range(5), z, "half"), r"between 0 and 1\. Got 'half'"),
        (lambda z: sd.strongest(["high"] * 5, z, 0.5), "Scores must be an array of numbers"),
        (lambda z: sd.strongest(range(5), z[:0], 0.5), r"that vary\. Got shape \(0, 5\)"),
        (lambda z: sd.variance_share([[1.0], [1.0, 2.0]], [0]), "Activations must be an array of numbers"),
        (lambda z: sd.matched_units(z, [4]), "The units do not vary over these clips"),
        (lambda z: sd.matched_units(z, np.eye(5)), "Got directions: use `matched_directions` for these"),
        (lambda z: sd.matched_units(z, [0], draws=0), r"`draws` must be a whole number, 1 or more\. Got 0"),
        (lambda z: sd.matched_units(z, [0], draws=2.5), r"`draws` must be a whole number, 1 or more\. Got 2\.5"),
        (lambda z: sd.matched_directions(z, [4]), "The units do not vary over these clips"),
        (lambda z: sd.matched_directions(z, [0], draws=0), r"`draws` must be a whole number"),
        (lambda z: sd.matched_directions(z, [0], draws=2.5), r"`draws` must be a whole number"),
        (lambda z: sd.matched_directions(z, [[1.0, 2.0]]), r"one number per unit, 5\. Got 2"),
        (lambda z: sd.matched_units(z, [0], seed=-1), "'seed' must be a non-negative integer"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_slip_is_one_line(call, says):
    with pytest.raises(UserError, match=says) as error:
        call(activations(10, 5))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_any_precision_are_read(precision):
    z, scores = torch.from_numpy(activations(40, 6)).to(precision), torch.arange(6).to(precision).requires_grad_()
    exact = sd.strongest(np.arange(6), z.double().numpy(), 0.4)
    assert sd.strongest(scores, z.requires_grad_(), 0.4).tolist() == exact.tolist()


# ---------------------------------------------------------------- the whole check


class TwoTasks(nn.Module):
    """Sixteen units follow the brightness of a clip and sixteen its change over time; a score is read from either."""

    def __init__(self):
        super().__init__()
        self.units = nn.Identity()
        self.gains = torch.linspace(0.5, 1.5, 16)[:, None]

    def forward(self, clips):
        still, moving = clips.mean((1, 2, 3, 4)), clips.diff(dim=2).abs().mean((1, 2, 3, 4))
        z = self.units(torch.cat((self.gains * still, self.gains * moving)).T)
        return torch.stack((z[:, :16].sum(1), z[:, 16:].sum(1)), 1)


def test_units_that_need_motion_break_motion_alone_and_random_ones_of_that_variance_both_in_part():
    draw = torch.Generator().manual_seed(0)
    level, speed = torch.rand(2, 200, 1, 1, 1, 1, generator=draw)
    clips = level + speed * torch.arange(4.0).sub(1.5).reshape(1, 1, 4, 1, 1) * torch.ones(1, 3, 1, 2, 2)
    frozen = clips[:, :, 1:2].expand_as(clips) + 0.5 * speed  # the frame in the middle, and its brightness
    net, stages = TwoTasks(), {"units": ("units", "N C")}
    intact = net(clips)

    def kept(units):
        """How well the scores follow those of the intact model, of brightness and of motion."""
        with sd.ablate(net, {"units": units}, reference=clips, stages=stages):
            found = net(clips)
        return [float((found[:, i].var() / intact[:, i].var()).sqrt()) for i in (0, 1)]

    z, f = (sd.record(net, x, stages)["units"].numpy() for x in (clips, frozen))
    needed = sd.functional.needs_motion(z, f).units
    motion = sd.strongest(needed, z, 0.25)
    still = sd.strongest(-needed, z, 0.25)
    assert min(motion) >= 16
    assert max(still) < 16
    random = sd.matched_units(z, motion, draws=10)
    for_motion, for_still = kept(motion), kept(still)
    at_random = np.array([kept(units) for units in random.draws])
    assert for_motion[0] == pytest.approx(1)
    assert for_still[1] == pytest.approx(1)
    assert for_motion[1] < at_random[:, 1].min()
    assert for_still[0] < at_random[:, 0].min()
    with sd.patch(net, {"units": range(16, 32)}, frozen, stages=stages):
        still_left, moving_left = net(clips).T
    assert torch.allclose(still_left, intact[:, 0])
    assert float(moving_left.abs().max()) < 1e-5
