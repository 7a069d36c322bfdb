"""Chance: p of units against the pool of all, and rates of false discoveries against scipy's."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from static_dynamic.common.errors import UserError
from static_dynamic.functional import false_discovery, pooled_p

STEPS = st.integers(-4, 4).map(lambda number: number / 4) | st.just(np.nan)  # with ties, and some undefined


@given(arrays(float, 5, elements=STEPS), arrays(float, (3, 5), elements=STEPS))
def test_p_counts_how_often_chance_gives_any_unit_as_much(values, chance):
    pool = [value for value in chance.ravel() if not np.isnan(value)]
    expected = [
        np.nan if np.isnan(value) else (1 + sum(other >= value for other in pool)) / (1 + len(pool)) for value in values
    ]
    np.testing.assert_array_equal(pooled_p(values, chance), expected)


def test_p_of_units_that_are_chance_is_uniform():
    g = np.random.default_rng(0)
    p = pooled_p(g.normal(size=4000), g.normal(size=(20, 4000)))
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
    assert p.min() > 0


@given(arrays(float, st.integers(1, 12), elements=st.integers(0, 20).map(lambda number: number / 20)))
def test_q_equals_scipys(p):
    np.testing.assert_allclose(false_discovery(p), scipy.stats.false_discovery_control(p), rtol=1e-12)


def test_q_leaves_out_what_is_undefined():
    p = np.array([0.01, np.nan, 0.04, 0.5, np.nan])
    q = false_discovery(p)
    assert np.isnan(q[[1, 4]]).all()
    np.testing.assert_allclose(q[[0, 2, 3]], scipy.stats.false_discovery_control(p[[0, 2, 3]]))
    assert np.isnan(false_discovery([np.nan])).all()


@pytest.mark.parametrize("wrong", [-0.1, 1.5])
def test_a_p_outside_its_range_says_so(wrong):
    with pytest.raises(UserError, match=r"must be in 0\.\.1\. Got"):
        false_discovery([0.5, wrong, np.nan])
