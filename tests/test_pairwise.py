"""Associations of the clips of a pair: against loops, theory, and another estimator of information."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_regression

from static_dynamic.common.errors import UserError
from static_dynamic.functional import copula_mi, gaussian_mi, normal_scores, pearson_within

MEASURES = (pearson_within, gaussian_mi, copula_mi)
CAP = -0.5 * math.log(1e-7)


def gaussian(videos, units, r, seed=0):
    """Two conditions with correlation r, and means and scales of their own."""
    g = np.random.default_rng(seed)
    first, second = g.normal(size=(2, videos, units))
    return np.stack([first, 4 * (r * first + math.sqrt(1 - r * r) * second) + 7], 1)


def information(r):
    return -0.5 * math.log(1 - r * r)


def sd(values):
    return math.sqrt(sum((value - values.mean()) ** 2 for value in values) / (len(values) - 1))


def cov(a, b):
    return sum((x - a.mean()) * (y - b.mean()) for x, y in zip(a, b, strict=True)) / (len(a) - 1)


def slow_pearson(z, pairs):
    return np.array(
        [
            sum(cov(z[:, a, i], z[:, b, i]) for a, b in pairs) / sum(sd(z[:, a, i]) * sd(z[:, b, i]) for a, b in pairs)
            for i in range(z.shape[2])
        ]
    )


def slow_gaussian(z, pairs):
    found = []
    for i in range(z.shape[2]):
        each = []
        for a, b in pairs:
            r = cov(z[:, a, i], z[:, b, i]) / (sd(z[:, a, i]) * sd(z[:, b, i]))
            each.append(-0.5 * math.log(1 - min(r * r, 1 - 1e-7)))
        found.append(sum(each) / len(each) - 1 / (2 * len(z)))
    return np.array(found)


def slow_scores(z):
    """Average rank by counting, then the quantile."""
    scores = np.zeros(z.shape)
    for v, k, i in np.ndindex(z.shape):
        column = z[:, k, i]
        rank = (column < z[v, k, i]).sum() + ((column == z[v, k, i]).sum() + 1) / 2
        scores[v, k, i] = norm.ppf((rank - 0.5) / len(z))
    return scores


@st.composite
def problems(draw):
    videos, cells, units = draw(st.integers(3, 7)), draw(st.integers(2, 5)), draw(st.integers(1, 3))
    pairs = draw(st.lists(st.sampled_from([(a, b) for a in range(cells) for b in range(a)]), min_size=1, unique=True))
    g = np.random.default_rng(draw(st.integers(0, 1000)))
    common = g.normal(size=(videos, 1, units))
    return (g.normal(size=(videos, cells, units)) + common) * g.uniform(0.1, 5, (cells, 1)) + g.normal(
        size=(cells, 1)
    ), pairs


@settings(max_examples=30, deadline=None)
@given(problems())
def test_they_equal_loops_over_pairs(problem):
    z, pairs = problem
    np.testing.assert_allclose(pearson_within(z, pairs), slow_pearson(z, pairs), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(gaussian_mi(z, pairs), slow_gaussian(z, pairs), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(copula_mi(z, pairs), slow_gaussian(slow_scores(z), pairs), rtol=1e-5, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(problems(), st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 100))
def test_what_does_not_matter(problem, scale, shift, seed):
    """Scale, sign and level of a unit, means of conditions, the order of videos and of the clips of a pair."""
    z, pairs = problem
    g = np.random.default_rng(seed)
    for measure in MEASURES:
        plain = measure(z, pairs)
        for changed, its_pairs in (
            (scale * z + shift, pairs),
            (-z, pairs),
            (z + shift * g.normal(size=(z.shape[1], 1)), pairs),
            (z[g.permutation(len(z))], pairs),
            (z, [(b, a) for a, b in pairs]),
            (z, pairs[::-1]),
        ):
            np.testing.assert_allclose(measure(changed, its_pairs), plain, rtol=1e-5, atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(problems())
def test_only_ranks_matter_to_the_copula(problem):
    z, pairs = problem
    np.testing.assert_array_equal(copula_mi(np.exp(z / 5), pairs), copula_mi(z, pairs))


@pytest.mark.parametrize("r", [0.0, 0.3, -0.6, 0.9])
def test_gaussian_clips_give_the_information_of_their_correlation(r):
    """Mean over units: the delta method gives a standard deviation of |r| / √n each, and about 1/(√2 n) at r = 0."""
    n, units = 200, 500
    z = gaussian(n, units, r)
    error = max(abs(r) / math.sqrt(n), 1 / (math.sqrt(2) * n)) / math.sqrt(units)
    found = gaussian_mi(z, [(0, 1)])
    assert found.mean() == pytest.approx(information(r), abs=3 * error + 2 / n**2)
    assert copula_mi(z, [(0, 1)]).mean() == pytest.approx(information(r), abs=3 * error + 0.05 * information(r) + 0.001)
    assert pearson_within(z, [(0, 1)]).mean() == pytest.approx(r, abs=3 * (1 - r * r) / math.sqrt(n * units) + 1 / n)
    if not r:
        assert found.min() >= -1 / (2 * n)
        assert (found < 0).any()


@pytest.mark.parametrize("n", [12, 30])
def test_the_bias_is_taken_off_to_first_order(n):
    """Of Wishart matrices the expected log determinant is known, so the expected estimate is, too."""
    r, units = 0.6, 6000
    found = gaussian_mi(gaussian(n, units, r), [(0, 1)])
    expected = information(r) + (digamma((n - 1) / 2) - digamma((n - 2) / 2)) / 2 - 1 / (2 * n)
    assert found.mean() == pytest.approx(expected, abs=3 * found.std() / math.sqrt(units))
    assert abs(expected - information(r)) < 0.3 / (2 * n)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_another_estimator_finds_the_same_information(r):
    """Nearest neighbours (Kraskov et al., 2004), which assume nothing of the distribution."""
    z = gaussian(1500, 4, r, seed=3)
    oracle = np.mean([mutual_info_regression(z[:, :1, i], z[:, 1, i], random_state=0)[0] for i in range(4)])
    for measure in (gaussian_mi, copula_mi):
        assert measure(z, [(0, 1)]).mean() == pytest.approx(oracle, abs=0.03)


def test_conditions_are_not_pooled():
    """Independent clips, but each condition moves every video: that is no information about a video."""
    g = np.random.default_rng(0)
    z = g.normal(size=(400, 4, 200)) + np.array([0, 10, -10, 30])[:, None]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    for measure in MEASURES:
        assert abs(measure(z, pairs).mean()) < 0.003


def test_information_is_averaged_over_pairs_and_not_taken_of_the_average_correlation():
    """One pair of conditions is equal, one opposite: the correlation is 0, the information is not."""
    first = np.random.default_rng(0).normal(size=(100, 1, 1))
    noise = 0.5 * np.random.default_rng(1).normal(size=(100, 1, 1))
    z = np.concatenate([first, first + noise, -first - noise], 1)
    pairs = [(0, 1), (0, 2)]
    assert pearson_within(z, pairs)[0] == pytest.approx(0, abs=1e-12)
    assert gaussian_mi(z, pairs)[0] == pytest.approx(gaussian_mi(z, pairs[:1])[0])
    assert gaussian_mi(z, pairs)[0] > 0.5


def test_a_pair_counts_as_much_as_it_varies_for_pearson_but_not_for_information():
    z = np.concatenate([gaussian(300, 1, 0.9), 0.01 * gaussian(300, 1, 0.0, seed=1)], 1)
    pairs = [(0, 1), (2, 3)]
    assert pearson_within(z, pairs)[0] == pytest.approx(0.9, abs=0.03)
    assert gaussian_mi(z, pairs)[0] == pytest.approx(information(0.9) / 2, abs=0.06)


def test_equal_clips_stand_at_the_cap():
    z = np.repeat(gaussian(50, 2, 0.0)[:, :1], 2, axis=1)
    assert pearson_within(z, [(0, 1)]).tolist() == pytest.approx([1, 1])
    for measure in (gaussian_mi, copula_mi):
        np.testing.assert_allclose(measure(z, [(0, 1)]), CAP - 1 / 100, rtol=1e-6)
    assert pytest.approx(8.06, abs=0.001) == CAP


def test_dead_units_are_undefined_and_a_silent_condition_tells_nothing():
    z = gaussian(20, 4, 0.8)
    z[..., 1] = 3.0  # dead
    z[:, 1, 2] = 5.0  # silent under the second condition
    z[..., 3] = np.float32(1e4) * (1 + 6e-8 * np.sign(z[..., 3]))  # mere rounding
    for measure, none in ((pearson_within, 0), (gaussian_mi, -1 / 40), (copula_mi, -1 / 40)):
        found = measure(z, [(0, 1)])
        assert np.isnan(found).tolist() == [False, True, False, True], measure.__name__
        assert found[2] == pytest.approx(none)
        np.testing.assert_allclose(measure(z, [(1, 0)]), found)
        assert measure(z, [(1, 0), (1, 1)])[0] > measure(z, [(1, 0)])[0]


def test_nan_stays_with_its_unit():
    z = gaussian(9, 3, 0.5)
    z[0, 1, 1] = np.nan
    for measure in MEASURES:
        assert np.isnan(measure(z, [(0, 1)])).tolist() == [False, True, False]


def test_normal_scores_of_ties_and_of_constants():
    z = np.array([[1.0, 4], [2, 4], [2, 4], [9, 4]])[..., None]
    scores = normal_scores(z)
    np.testing.assert_allclose(scores[:, 0, 0], norm.ppf([0.125, 0.5, 0.5, 0.875]), atol=1e-15)
    assert (scores[:, 1] == 0).all()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("shape", "pairs", "words"),
    [
        ((2, 2, 1), [(0, 1)], "3 videos or more. Got 2."),
        ((5, 2), [(0, 1)], "(videos, cells, units). Got (5, 2)."),
        ((0, 2, 1), [(0, 1)], "Got (0, 2, 1)."),
        ((5, 2, 1), [(0, 2)], "cells in 0..1"),
        ((5, 2, 1), [], "At least one pair"),
    ],
)
def test_what_is_missing_is_said(measure, shape, pairs, words):
    with pytest.raises(UserError) as error:
        measure(np.zeros(shape), pairs)
    assert words in str(error.value)
