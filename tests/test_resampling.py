"""Resamples of videos, and jackknife intervals: equal to a direct computation and to the textbook."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from static_dynamic.common.errors import UserError
from static_dynamic.functional import jackknife_interval, resample
from static_dynamic.functional.resampling import widened


def test_a_resample_draws_as_many_videos_as_there_are():
    weights = resample(7, replicates=50).weights
    assert (weights[0] == 1).all()
    assert (weights[1:51].sum(1) == 7).all()
    assert weights[51:].tolist() == (1 - np.eye(7)).tolist()


def test_many_videos_are_left_out_in_groups():
    weights = resample(1000, replicates=3, folds=10).weights
    assert weights.shape == (14, 1000)
    assert (weights[4:].sum(1) == 900).all()
    assert (weights[4:].sum(0) == 9).all()


def test_up_to_200_groups_of_videos_are_left_out():
    assert resample(200, replicates=1).weights.shape == (1 + 1 + 200, 200)
    assert resample(450, replicates=1).weights.shape == (1 + 1 + 200, 450)
    assert set(resample(450, replicates=1).weights[2:].sum(1)) == {447, 448}


def test_the_draws_are_those_of_a_fair_draw_with_replacement():
    """How often a video comes up in n draws has mean 1 and variance 1 - 1/n, and videos take from each other."""
    drawn = resample(8, replicates=20000, seed=5).weights[1:20001]
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.04)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(8) - 1 / 8, atol=0.05)


def test_every_row_of_weights_is_read_as_what_it_is():
    resamples = resample(5, replicates=7)
    values = np.random.default_rng(0).uniform(size=(1 + 7 + 5, 2, 3)).round(1)
    assert (resamples.estimate(values) == values[0]).all()
    assert (resamples.bootstrap(values) == values[1:8]).all()
    assert (resamples.jackknife(values) == values[8:]).all()
    for bounded in (False, True):
        expected = jackknife_interval(values[0], values[8:], np.ones(5), 0.8, bounded)
        np.testing.assert_array_equal(resamples.interval(values, 0.8, bounded), expected)
    same = [[np.mean([row[i, j] == values[0, i, j] for row in values[1:8]]) for j in range(3)] for i in range(2)]
    np.testing.assert_array_equal(resamples.stability(values), same)


def test_an_interval_knows_how_many_videos_every_group_has():
    resamples = resample(11, replicates=2, folds=4)
    assert resamples.left_out.tolist() == [3, 3, 3, 2]
    values = np.random.default_rng(0).normal(size=(1 + 2 + 4, 5))
    expected = jackknife_interval(values[0], values[3:], [3, 3, 3, 2])
    np.testing.assert_array_equal(resamples.interval(values), expected)


@pytest.mark.parametrize("videos", [1, 2, 3])
def test_one_or_two_videos_say_nothing_of_how_sure_a_number_is(videos):
    resamples = resample(videos, replicates=20)
    values = resamples.weights @ np.arange(1.0, videos + 1)[:, None]
    defined = videos > 2
    assert resamples.enough == defined
    assert np.isfinite(resamples.interval(values)).all() == np.isfinite(resamples.stability(values)).all() == defined
    assert np.shape(resamples.interval(values)) == (2, 1)


def test_the_seed_decides():
    assert (resample(9, 20, seed=1).weights == resample(9, 20, seed=1).weights).all()
    assert (resample(9, 20, seed=1).weights != resample(9, 20, seed=2).weights).any()


def test_the_interval_of_a_mean_is_students():
    """The jackknife of a mean gives its standard error exactly: s / √n, with n - 1 degrees of freedom if no tail is long."""
    x = np.random.default_rng(0).uniform(size=(23, 4))
    resamples = resample(23, replicates=5)
    values = resamples.weights @ x / resamples.weights.sum(1, keepdims=True)
    for confidence in (0.8, 0.95):
        theirs = scipy.stats.ttest_1samp(x, 0).confidence_interval(confidence)
        np.testing.assert_allclose(resamples.interval(values, confidence), [theirs.low, theirs.high], rtol=1e-9)


def test_leaving_out_one_video_is_the_textbook_formula():
    """s² = (n - 1) / n Σ (θ_j - mean θ_j)², around the estimate: here of a coefficient of variation."""
    x = np.random.default_rng(1).gamma(2, size=30)
    theta = x.std() / x.mean()
    without = np.array([np.delete(x, i).std() / np.delete(x, i).mean() for i in range(30)])
    freedom = min(29, 60 / (scipy.stats.kurtosis(without, fisher=False) - 1))
    assert freedom < 25
    reach = scipy.stats.t.ppf(0.95, freedom) * np.sqrt(29 / 30 * ((without - without.mean()) ** 2).sum())
    low, high = jackknife_interval(theta, without, confidence=0.9)
    np.testing.assert_allclose([low, high], [theta - reach, theta + reach], rtol=1e-12)


def slow_interval(estimate, jackknife, left_out, confidence, bounded):
    """The equations for one number, one group after the other."""
    change = (lambda value: np.arcsin(np.sqrt(min(max(value, 0), 1)))) if bounded else float
    theta, without = change(estimate), [change(value) for value in jackknife]
    n, g = sum(left_out), len(left_out)
    centre = g * theta
    for m, value in zip(left_out, without, strict=True):
        centre -= (1 - m / n) * value
    squares = []
    for m, value in zip(left_out, without, strict=True):
        h = n / m
        squares.append((h * theta - (h - 1) * value - centre) ** 2 / (h - 1))
    variance = np.mean(squares)
    freedom = g - 1
    if variance > 1e-20:
        kappa = np.mean(np.square(squares)) / variance**2
        freedom = min(g - 1, 2 * g / (kappa - 1)) if kappa > 1 else g - 1
    reach = scipy.stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance)
    if not bounded:
        return theta - reach, theta + reach
    return np.sin(max(theta - reach, 0)) ** 2, np.sin(min(theta + reach, np.pi / 2)) ** 2


@settings(max_examples=60)
@given(
    arrays(float, 2, elements=st.floats(-0.2, 1.2)),
    arrays(float, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-0.2, 1.2)),
    st.data(),
)
def test_the_interval_equals_its_equations(estimate, jackknife, data):
    groups = len(jackknife)
    left_out = data.draw(st.lists(st.integers(1, 5), min_size=groups, max_size=groups))
    confidence, bounded = data.draw(st.sampled_from([0.5, 0.95])), data.draw(st.booleans())
    ends = jackknife_interval(estimate, jackknife, left_out, confidence, bounded)
    for i in range(2):
        expected = slow_interval(estimate[i], jackknife[:, i], left_out, confidence, bounded)
        np.testing.assert_allclose([ends[0][i], ends[1][i]], expected, atol=1e-12)


def test_250_videos_in_200_groups_equal_a_direct_computation():
    """50 groups of two and 150 of one: each statistic is computed on the videos that are left."""
    x = np.random.default_rng(2).lognormal(size=(250, 2))

    def ratio(rows):
        return rows[:, 0].sum() / rows.sum()

    members = [[video for video in range(250) if video % 200 == fold] for fold in range(200)]
    assert sorted({len(some) for some in members}) == [1, 2]
    without = [ratio(np.delete(x, some, 0)) for some in members]
    resamples = resample(250, replicates=3)
    sums = resamples.weights @ x
    got = resamples.interval(sums[:, 0] / sums.sum(1), bounded=True)
    expected = slow_interval(ratio(x), without, [len(some) for some in members], 0.95, bounded=True)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    # The groups hardly matter: it is close to leaving out one by one.
    one_by_one = slow_interval(ratio(x), [ratio(np.delete(x, i, 0)) for i in range(250)], [1] * 250, 0.95, bounded=True)
    assert got[1] - got[0] == pytest.approx(one_by_one[1] - one_by_one[0], rel=0.1)


def test_intervals_of_a_variance_hold_the_truth():
    """Of log-normal values, where few decide: more often than with n - 1 degrees of freedom, which is 82 %."""
    g = np.random.default_rng(0)
    truth = (np.exp(0.25) - 1) * np.exp(0.25)
    resamples = resample(50, replicates=1)
    x = np.exp(0.5 * g.normal(size=(50, 4000)))
    n = resamples.weights.sum(1)[:, None]
    variance = (resamples.weights @ x**2 / n - (resamples.weights @ x / n) ** 2) * n / (n - 1)
    low, high = resamples.interval(variance)
    held = ((low <= truth) & (truth <= high)).mean()
    s = np.sqrt(49 / 50 * ((variance[2:] - variance[2:].mean(0)) ** 2).sum(0))
    narrow = (np.abs(variance[0] - truth) < scipy.stats.t.ppf(0.975, 49) * s).mean()
    assert narrow < 0.84
    assert narrow + 0.03 < held < 0.95


def test_a_choice_of_styles_widens_both_ends_by_the_root_of_squares():
    """Ends at -2 and +3; without one of four styles 1.0, 1.4, 0.8 or 0.8, around an estimate of 1."""
    without = np.array([1.0, 1.4, 0.8, 0.8])
    s = np.sqrt(3 / 4 * (without - without.mean()) @ (without - without.mean()))
    kappa = np.mean((without - 1) ** 4) / np.mean((without - 1) ** 2) ** 2
    reach = s * scipy.stats.t.ppf(0.95, min(3, 2 * 4 / (kappa - 1)))
    got = widened([1.0], (np.array([-1.0]), np.array([4.0])), without[:, None], confidence=0.9)
    np.testing.assert_allclose(np.ravel(got), [1 - np.hypot(2, reach), 1 + np.hypot(3, reach)], rtol=1e-12)


def test_a_share_stays_in_its_range():
    low, high = jackknife_interval(
        [0.02, 0.98, 0.5], [[0.0, 1.0, 0.4], [0.06, 0.9, 0.6], [0.01, 0.99, 0.5]], bounded=True
    )
    assert (low[:2] == [0, low[1]]).all()
    assert high[1] == 1
    assert ((low >= 0) & (low < high) & (high <= 1)).all()


def test_a_constant_has_an_interval_of_width_zero_and_an_undefined_one_none():
    low, high = jackknife_interval([2.0, np.nan, 1.0], [[2.0, np.nan, 1.0]] * 8 + [[2.0, np.nan, np.nan]])
    assert low[0] == high[0] == 2
    assert np.isnan([low[1:], high[1:]]).all()


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_outside_its_range_says_so(confidence):
    with pytest.raises(UserError, match=f"between 0 and 1. Got {confidence}"):
        jackknife_interval(0.0, np.zeros(5), confidence=confidence)


# --- equal resamples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("videos", [3, 4, 5])
def test_few_videos_are_drawn_in_few_ways_and_each_is_computed_once(videos):
    whole = resample(videos, replicates=1000)
    few, row = whole.distinct()
    ways = math.comb(2 * videos - 1, videos)
    assert len(few.bootstrap(few.weights)) == len({*map(tuple, whole.bootstrap(whole.weights))}) <= ways
    assert len(few.weights) == 1 + few.replicates + videos
    assert (few.weights[row] == whole.weights).all()
    x = np.random.default_rng(0).standard_normal((videos, 6))
    rounded, of_few = (np.round(some.weights @ x / videos, 1) for some in (whole, few))
    assert (few.stability(of_few) == whole.stability(rounded)).all()
    for one, other in zip(few.interval(of_few), whole.interval(rounded), strict=True):
        assert (one == other).all()


def test_resamples_that_mostly_differ_are_kept():
    whole = resample(12, replicates=50)
    few, row = whole.distinct()
    assert few is whole
    assert (row == np.arange(len(whole.weights))).all()
