"""Intervals: equal to an independent implementation, and they hold the truth as often as they say."""

from inspect import signature

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from static_dynamic.common.errors import UserError
from static_dynamic.functional import bca_interval, resample
from static_dynamic.functional.released import covariances, layer_scores, pair_moments


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
    values = np.random.default_rng(0).normal(size=(1 + 7 + 5, 2, 3)).round(1)
    assert (resamples.estimate(values) == values[0]).all()
    assert (resamples.bootstrap(values) == values[1:8]).all()
    expected = bca_interval(values[0], values[1:8], values[8:], 0.8)
    np.testing.assert_array_equal(resamples.interval(values, 0.8), expected)
    same = [[np.mean([row[i, j] == values[0, i, j] for row in values[1:8]]) for j in range(3)] for i in range(2)]
    np.testing.assert_array_equal(resamples.stability(values), same)


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


def test_the_bca_interval_equals_scipys():
    x = np.random.default_rng(0).exponential(size=60)
    weights = resample(60, replicates=20000, seed=3)
    values = weights.weights @ np.c_[x, x**2] / weights.weights.sum(1, keepdims=True)
    ours = weights.interval(values, 0.9)
    seed = "rng" if "rng" in signature(scipy.stats.bootstrap).parameters else "random_state"  # before scipy 1.15
    for i, statistic in enumerate((np.mean, lambda sample, axis: np.mean(sample**2, axis))):
        theirs = scipy.stats.bootstrap(
            (x,), statistic, n_resamples=20000, confidence_level=0.9, method="BCa", **{seed: np.random.default_rng(4)}
        ).confidence_interval
        np.testing.assert_allclose([ours[0][i], ours[1][i]], theirs, rtol=0.02)


def slow_interval(estimate, bootstrap, jackknife, confidence):
    """The equations for one number, with sorted lists and the normal distribution of scipy."""
    values = sorted(value for value in bootstrap if not np.isnan(value))
    below = (sum(v < estimate for v in values) + sum(v <= estimate for v in values)) / 2 / len(values)
    z0 = scipy.stats.norm.ppf(min(max(below, 0.5 / len(values)), 1 - 0.5 / len(values)))
    d = [sum(jackknife) / len(jackknife) - value for value in jackknife]
    squares = sum(x**2 for x in d)
    a = sum(x**3 for x in d) / (6 * squares**1.5) if squares else 0
    ends = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + scipy.stats.norm.ppf(level)
        ends.append(np.quantile(values, scipy.stats.norm.cdf(z0 + z / (1 - a * z))))
    return ends


STEPS = st.integers(-8, 8).map(lambda number: number / 4)  # so that there are ties, also with the estimate


@settings(max_examples=40)
@given(
    arrays(float, 3, elements=STEPS),
    arrays(float, st.tuples(st.integers(2, 30), st.just(3)), elements=STEPS),
    arrays(float, st.tuples(st.integers(2, 9), st.just(3)), elements=STEPS),
    st.sampled_from([0.5, 0.9, 0.95]),
    st.integers(0, 20),
)
def test_the_bca_interval_equals_its_equations(estimate, bootstrap, jackknife, confidence, undefined):
    bootstrap[1 : 1 + undefined, 0] = np.nan  # the first always has a value
    ends = bca_interval(estimate, bootstrap, jackknife, confidence)
    for i in range(3):
        expected = slow_interval(estimate[i], bootstrap[:, i], jackknife[:, i], confidence)
        np.testing.assert_allclose([ends[0][i], ends[1][i]], expected, atol=1e-9)


def test_a_replicate_that_draws_every_video_once_is_a_tie_whatever_the_order_of_its_sum():
    drawn = np.tile([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1, 0.2, 0.9], 5)[:, None]  # the first two differ in the last bit
    assert drawn[0] != drawn[1]
    jackknife = np.array([[0.5], [0.6], [0.8]])
    ends = [bca_interval(estimate, drawn, jackknife) for estimate in drawn[:2]]
    np.testing.assert_allclose(*ends, rtol=1e-12)
    np.testing.assert_allclose(np.ravel(ends[0]), slow_interval(0.6, drawn[:, 0].round(12), jackknife[:, 0], 0.95))


def test_a_constant_has_an_interval_of_width_zero_and_an_undefined_one_none():
    low, high = bca_interval([2.0, np.nan], np.tile([2.0, np.nan], (50, 1)), np.tile([2.0, np.nan], (9, 1)))
    assert low[0] == high[0] == 2
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_outside_its_range_says_so(confidence):
    with pytest.raises(UserError, match=f"between 0 and 1. Got {confidence}"):
        bca_interval(0.0, np.zeros(5), np.zeros(5), confidence)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """60 videos, 2 styles, 2 orders, units of content, style and order in known parts: the scores are known exactly."""
    g, videos, units, trials = np.random.default_rng(0), 60, 4, 250
    content, style, order = (g.uniform(0.3, 1.5, units) for _ in range(3))
    total = (content**2 + style**2 + order**2).sum()
    truth = np.array([(content**2 + order**2).sum(), (content**2 + style**2).sum()]) / total
    hits = []
    for trial in range(trials):
        shared = content * g.normal(size=(videos, units))
        styles, orders = style * g.normal(size=(2, videos, units)), order * g.normal(size=(2, videos, units))
        a = np.concatenate([shared + styles[0] + orders[0]] * 2)
        b = np.concatenate([shared + styles[1] + orders[0], shared + styles[0] + orders[1]])
        moments = pair_moments(a, b, np.repeat([0, 1], videos), 3, np.tile(np.arange(videos), 2))
        resamples = resample(videos, 400, seed=trial)
        cov = covariances(moments.weighted(resamples.weights))
        low, high = resamples.interval(layer_scores(cov.between.sum(-1), cov.total.sum(-1))[:, :2])
        hits.append((low <= truth) & (truth <= high))
    # 250 trials resolve 95 % to about ±2.8 %.
    assert (np.abs(np.mean(hits, 0) - 0.95) < 0.045).all()
