"""Intervals: equal to an independent implementation, and they hold the truth as often as they say."""

import numpy as np
import pytest
import scipy.stats

from static_dynamic.errors import UserError
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


def test_the_seed_decides():
    assert (resample(9, 20, seed=1).weights == resample(9, 20, seed=1).weights).all()
    assert (resample(9, 20, seed=1).weights != resample(9, 20, seed=2).weights).any()


def test_the_bca_interval_equals_scipys():
    x = np.random.default_rng(0).exponential(size=60)
    weights = resample(60, replicates=20000, seed=3)
    values = weights.weights @ np.c_[x, x**2] / weights.weights.sum(1, keepdims=True)
    ours = weights.interval(values, 0.9)
    for i, statistic in enumerate((np.mean, lambda sample, axis: np.mean(sample**2, axis))):
        theirs = scipy.stats.bootstrap(
            (x,), statistic, n_resamples=20000, confidence_level=0.9, method="BCa", rng=4
        ).confidence_interval
        np.testing.assert_allclose([ours[0][i], ours[1][i]], theirs, rtol=0.02)


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
