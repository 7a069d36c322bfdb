"""Needs-motion: equal to its formula unit by unit, and to the truth of planted units."""

import numpy as np
import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.functional import classify_motion, needs_motion


def shown(videos=40, units=6, seed=0, replicates=True):
    """Still part + motion part + noise: intact, frozen, and both again, each ``(videos, units)``."""
    g = np.random.default_rng(seed)
    still, motion = g.normal(size=(videos, units)), g.normal(size=(videos, units)) * g.uniform(0, 2, units)
    cells = [still + motion, still + 1, still + motion, still + 1]
    return [cell + 0.4 * g.normal(size=(videos, units)) for cell in cells[: 4 if replicates else 2]]


def slow(z, f, z2, f2):
    """One unit, as the formula is written."""

    def cov(x, y):
        return ((x - x.mean()) * (y - y.mean())).sum() / (len(x) - 1)

    c = (cov(z, f) + cov(z, f2) + cov(z2, f) + cov(z2, f2)) / 4
    weight = max(cov(z, z2), 0)
    reliability = cov(z, z2) / cov(z, z) if cov(z, z) > 0 else np.nan
    if weight == 0:
        return np.nan, reliability, weight
    still = 0 if c <= 0 else c**2 / (weight * max(cov(f, f2), 0.02 * cov(z, z)))
    return 1 - min(still, 1), reliability, weight


@pytest.mark.parametrize("replicates", [True, False])
def test_it_is_its_formula(replicates):
    cells = shown(replicates=replicates)
    if replicates:
        cells[2][:, 1] = -cells[0][:, 1]  # cov(z, z') < 0
    cells[1][:, 2] *= -1  # c < 0, and two of four are
    cells[1][:, 3] = 0  # silent when frozen
    for cell in cells:
        cell[:, 4] = 3  # dead
    found = needs_motion(*cells)
    twice = cells if replicates else cells * 2
    expected = [slow(*(cell[:, i] for cell in twice)) for i in range(6)]
    np.testing.assert_allclose(np.transpose(found[:3]), expected, atol=1e-12)
    layer = sum(w * s for s, _, w in expected if w > 0) / sum(w for *_, w in expected)
    assert found.layer == pytest.approx(layer)
    assert np.isnan(found.units[4])
    assert np.isnan(found.reliability[4])
    assert np.isnan(found.units[1]) == replicates


def test_the_floor_holds_where_frozen_clips_hardly_vary():
    """f = z / 20 varies 1/400 as much: without the floor the unit would be still, with it 1/400 / 0.02 of it is."""
    z = np.random.default_rng(0).normal(size=(30, 1))
    assert needs_motion(z, z / 20).units[0] == pytest.approx(1 - (1 / 400) / 0.02)
    assert needs_motion(z, z / 7).units[0] == pytest.approx(1 - (1 / 49) / (1 / 49))  # above the floor: still
    assert needs_motion(z, z / 20).layer == needs_motion(z, z / 20).units[0]


def test_the_parts_of_planted_units_are_found():
    """Unit = still part + motion part + noise; its needs-motion is var(motion) / (var(still) + var(motion))."""
    part = np.linspace(0, 1, 11)
    truth = part
    found = []
    for seed in range(30):
        g = np.random.default_rng(seed)
        still, motion = np.sqrt(1 - part) * g.normal(size=(400, 11)), np.sqrt(part) * g.normal(size=(400, 11))
        cells = [still + motion, still, still + motion, still]
        found.append(needs_motion(*(cell + 0.5 * g.normal(size=(400, 11)) for cell in cells)))
    units = np.array([one.units for one in found])
    error = np.maximum(units.std(0, ddof=1) / np.sqrt(30), 1e-9)
    inside = slice(1, -1)  # at the ends the clip to 0..1 makes a bias
    # The ratio of moments is biased by about 1/n beside its standard error over 30 draws.
    assert (np.abs(units.mean(0) - truth)[inside] < 3 * error[inside] + 2 / 400).all()
    # One draw: the deviation is within three standard deviations of draws.
    assert (np.abs(units[0] - truth)[inside] < 3 * units.std(0, ddof=1)[inside]).all()
    # Every unit varies by 1 + 1/4, of which a replicate gives 1.
    reliability = np.mean([one.reliability for one in found], 0)
    np.testing.assert_allclose(reliability, 0.8, atol=0.02)
    assert np.mean([one.layer for one in found]) == pytest.approx(truth.mean(), abs=0.02)


def test_noise_counts_as_motion_unless_there_are_replicates():
    g = np.random.default_rng(0)
    still = g.normal(size=(2000, 1))
    cells = [still + g.normal(size=(2000, 1)) for _ in range(4)]
    assert needs_motion(*cells).units[0] == pytest.approx(0, abs=0.1)
    assert needs_motion(*cells[:2]).units[0] == pytest.approx(0.75, abs=0.05)  # 1 - r², r = 1/2


def test_reliability_is_at_most_1():
    z = np.random.default_rng(0).normal(size=(10, 1))
    assert needs_motion(z, z, 3 * z, z).reliability[0] == 1


def test_a_unit_that_varies_by_rounding_is_dead_whatever_its_replicate_does():
    z = np.random.default_rng(0).normal(size=(10, 1))
    found = needs_motion(1 + 1e-8 * z, np.ones((10, 1)), 1 + z, np.ones((10, 1)))
    assert np.isnan(found.reliability[0])
    assert np.isnan(found.units[0])


def test_weights_are_reproducible_variance():
    z, f, z2, f2 = shown(units=2)
    cells = [np.stack([cell[:, 0], 10 * cell[:, 1]], 1) for cell in (z, f, z2, f2)]
    found = needs_motion(*cells)
    assert found.weight[1] > 50 * found.weight[0]
    assert found.layer == pytest.approx(found.units[1], abs=0.02)


def test_a_layer_without_a_reproducible_unit_is_undefined():
    assert np.isnan(needs_motion(np.ones((5, 2)), np.ones((5, 2))).layer)


def test_what_does_not_fit_says_so():
    z = np.zeros((4, 2))
    with pytest.raises(UserError, match="Give `intact_again` and `frozen_again` together"):
        needs_motion(z, z, z)
    with pytest.raises(UserError, match="Give `intact_again` and `frozen_again` together"):
        needs_motion(z, z, frozen_again=z)
    with pytest.raises(UserError, match=r"one shape. Got \(4, 2\), \(4, 3\)"):
        needs_motion(z, np.zeros((4, 3)))
    with pytest.raises(UserError, match=r"one shape. Got \(4,\), \(4,\)"):
        needs_motion(z[:, 0], z[:, 0])
    with pytest.raises(UserError, match=r"3 or more are required\. Got 2"):
        needs_motion(z[:2], z[:2])
    assert needs_motion(z[:3], z[:3]).units.shape == (2,)


def test_classes():
    shares = [0.1, 0.25, 0.5, 0.75, 0.9, 0.1, 0.1, np.nan, np.nan]
    reliability = [1, 1, 0.5, 1, 1, 0.49, -0.2, 0, np.nan]
    expected = ["still", "mixed", "mixed", "mixed", "motion", "unreliable", "unreliable", "unreliable", "dead"]
    assert classify_motion(shares, reliability).tolist() == expected
    assert classify_motion([0.1, 0.3], [0.2, 0.0], still=0.2, reliable=0).tolist() == ["still", "unreliable"]
    assert classify_motion([0.3, 0.3], [1, 1], 0.4, 0.4).tolist() == ["still", "still"]
    assert classify_motion(np.zeros((2, 3)), np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    "borders", [(0.8, 0.2, 0.5), (-0.1, 0.5, 0.5), (0.2, 1.1, 0.5), (0.2, 0.5, 1.5), (0.2, 0.5, -1)]
)
def test_borders_that_do_not_rise_say_so(borders):
    with pytest.raises(UserError, match=f"in 0..1, with still ≤ motion. Got still={borders[0]}"):
        classify_motion(0.5, 1, *borders)
