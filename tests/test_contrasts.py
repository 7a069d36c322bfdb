"""Covariances between cells: equal to numpy's, video by video, for any weights, groups and partners."""

import numpy as np
import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.functional import cell_sums

CONTRASTS = {"variance": [(0, 0)], "two": [(0, 1), (2, 1)], "variances": [(1, 1), (2, 2)], "mixed": [(0, 0), (0, 1)]}


def units(videos=9, count=5, seed=0):
    """Videos in three cells that resemble each other; the third unit is constant."""
    g = np.random.default_rng(seed)
    z = g.normal(size=(videos, 1, count)) + 0.5 * g.normal(size=(videos, 3, count)) + 3 * g.normal(size=(3, count))
    z[..., 2] = 0.1
    return z


def slow(z, pairs):
    """Mean of numpy's covariances, unit by unit."""
    return [np.mean([np.cov(z[:, a, i], z[:, b, i])[0, 1] for a, b in pairs]) for i in range(z.shape[-1])]


def test_covariances_are_numpys():
    z = units()
    found = cell_sums(z, CONTRASTS).covariances()
    assert list(found) == list(CONTRASTS)
    for name, pairs in CONTRASTS.items():
        assert found[name].shape == (1, 5)
        np.testing.assert_allclose(found[name][0], slow(z, pairs), atol=1e-12)


def test_weights_repeat_videos():
    z, weights = (
        units(),
        np.array([[2, 0, 1, 3, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 0], [5, 0, 0, 0, 0, 0, 0, 1, 0]]),
    )
    found = cell_sums(z, CONTRASTS).covariances(weights.astype(float))
    for row, times in enumerate(weights):
        for name, pairs in CONTRASTS.items():
            np.testing.assert_allclose(found[name][row], slow(np.repeat(z, times, 0), pairs), atol=1e-12)


def test_groups_are_drawn_as_a_whole():
    z, group = units(), np.array([0, 0, 1, 2, 1, 2, 2, 3, 0])
    weights = np.array([[1, 2, 0, 1], [0, 1, 1, 1]])
    sums = cell_sums(z, CONTRASTS, group)
    assert sums.count.tolist() == [3, 2, 3, 1]
    found = sums.covariances(weights.astype(float))
    for row, times in enumerate(weights):
        for name, pairs in CONTRASTS.items():
            np.testing.assert_allclose(found[name][row], slow(np.repeat(z, times[group], 0), pairs), atol=1e-12)


def test_groups_of_one_come_in_their_own_order():
    z, group = units(4), np.array([2, 0, 3, 1])
    weights = np.array([[1.0, 2, 0, 3]])
    found = cell_sums(z, CONTRASTS, group).covariances(weights)
    again = cell_sums(z, CONTRASTS).covariances(weights[:, group])
    np.testing.assert_allclose(found["two"], again["two"], atol=1e-12)


def test_a_partner_lends_its_second_cell_and_variances_stay():
    z, partner = units(), np.array([3, 0, 1, 2, 5, 6, 7, 8, 4])
    found = cell_sums(z, CONTRASTS, partner=partner).covariances()
    for name in ("variance", "variances"):
        np.testing.assert_allclose(found[name][0], slow(z, CONTRASTS[name]), atol=1e-12)
    for name in ("two", "mixed"):
        expected = [
            np.mean([np.cov(z[:, a, i], z[partner, b, i])[0, 1] for a, b in CONTRASTS[name]])
            for i in range(z.shape[-1])
        ]
        np.testing.assert_allclose(found[name][0], expected, atol=1e-12)


@pytest.mark.parametrize("level", [0.1, 1e4, -7.3])
def test_a_unit_that_varies_by_rounding_alone_has_no_variance(level):
    z = np.full((12, 3, 2), level)
    z[:, :, 1] *= 1 + 1e-8 * np.random.default_rng(0).normal(size=(12, 3))
    found = cell_sums(z, CONTRASTS).covariances(np.array([[1.0] * 12, [0, 3] + [1] * 9 + [0]]))
    assert (found["variance"] == 0).all()
    assert (found["variances"] == 0).all()
    small = level + 1e-4 * abs(level) * np.random.default_rng(0).normal(size=(12, 3, 2))
    assert (cell_sums(small, CONTRASTS).covariances()["variance"] > 0).all()


def test_a_large_mean_costs_no_digits():
    z = units() + 1e6
    np.testing.assert_allclose(
        cell_sums(z, CONTRASTS).covariances()["two"][0], slow(units(), CONTRASTS["two"]), atol=1e-8
    )


def test_one_video_has_no_covariance():
    found = cell_sums(units(1), CONTRASTS).covariances()
    assert all(np.isnan(values).all() for values in found.values())
    none = cell_sums(units(3), CONTRASTS).covariances(np.zeros((1, 3)))
    assert all(np.isnan(values).all() for values in none.values())


def test_what_does_not_fit_says_so():
    with pytest.raises(UserError, match=r"\(videos, cells, units\). Got \(4, 2\)"):
        cell_sums(np.zeros((4, 2)), CONTRASTS)
    with pytest.raises(UserError, match=r"Got \(0, 3, 2\)"):
        cell_sums(np.zeros((0, 3, 2)), CONTRASTS)
    with pytest.raises(UserError, match=r"one group. Got \(3,\) for 4 videos"):
        cell_sums(np.zeros((4, 3, 2)), CONTRASTS, group=[0, 1, 2])
    with pytest.raises(UserError, match=r"'two' needs pairs of cells in 0..1. Got \[\(0, 1\), \(2, 1\)\]"):
        cell_sums(np.zeros((4, 2, 2)), {"two": CONTRASTS["two"]})
    with pytest.raises(UserError, match="'none' needs pairs"):
        cell_sums(np.zeros((4, 2, 2)), {"none": []})
