"""What a response to styles and scrambles is made of: against loops, an analysis of variance, and planted units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from static_dynamic.common.errors import UserError
from static_dynamic.functional import classify_responses, four_pair

STYLE, ORDER, JOINT, CONTENT, NOISE = range(5)


def cov(a, b):
    """Covariance over videos, written out."""
    return sum((x - a.mean()) * (y - b.mean()) for x, y in zip(a, b, strict=True)) / (len(a) - 1)


def slow_four_pair(z, again=None):
    """Components of every unit, not divided, and their variance: pair by pair."""
    styles, scrambles = range(z.shape[1]), range(1, z.shape[2])
    parts, variances = [], []
    for i in range(z.shape[3]):
        at = z[..., i]
        other = at if again is None else again[..., i]

        def of_style(s, o, at=at):
            return np.mean([cov(at[:, s, o], at[:, t, o]) for t in styles if t != s])

        def halves(of):
            return (np.mean([of(s, 0) for s in styles]) + np.mean([of(s, o) for s in styles for o in scrambles])) / 2

        variance = halves(lambda s, o, at=at: cov(at[:, s, o], at[:, s, o]))
        c_r = halves(lambda s, o, at=at, other=other: cov(at[:, s, o], other[:, s, o]))
        c_d = halves(of_style)
        c_s = np.mean([cov(at[:, s, 0], at[:, s, o]) for s in styles for o in scrambles])
        c_c = np.mean([cov(at[:, s, 0], at[:, t, o]) for s in styles for t in styles if t != s for o in scrambles])
        parts.append([c_s - c_c, c_d - c_c, c_r - c_d - c_s + c_c, c_c, variance - c_r])
        variances.append(variance)
    return np.array(parts).T, np.array(variances)


def planted(videos, styles, orders, units, seed=0, **variance):
    """Clips and replicates of units of which the components have these variances; conditions have means of their own."""
    g = np.random.default_rng(seed)

    def drawn(name, *shape):
        return np.sqrt(variance.get(name, 0)) * g.normal(size=(*shape, units))

    clean = (
        drawn("content", videos, 1, 1)
        + drawn("style", videos, styles, 1)
        + drawn("order", videos, 1, orders)
        + drawn("joint", videos, styles, orders)
        + 3 * g.normal(size=(styles, orders, units))
    )
    return [clean + drawn("noise", videos, styles, orders) for _ in range(2)]


sizes = st.tuples(st.integers(3, 6), st.integers(2, 4), st.integers(2, 4), st.integers(1, 3))


@settings(max_examples=25, deadline=None)
@given(sizes, st.booleans(), st.integers(0, 1000))
def test_it_equals_a_loop_over_pairs(shape, replicates, seed):
    z, again = np.random.default_rng(seed).normal(size=(2, *shape)) + 5
    again = z + 0.5 * again if replicates else None
    found = four_pair(z, again)
    parts, variance = slow_four_pair(z, again)
    np.testing.assert_allclose(found.units, parts / variance, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-9)
    np.testing.assert_allclose(found.layer, parts.sum(1) / variance.sum(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.units.sum(0), 1, rtol=1e-9)


def test_with_one_scramble_it_is_the_crossed_analysis_of_variance_within_videos():
    """Mean squares of styles, orders and their interaction, solved for the components of variance."""
    n, styles, orders = 40, 4, 2
    z, _ = planted(n, styles, orders, 6, content=1, style=0.5, order=0.8, joint=0.3, noise=0.2)
    centred = (z - z.mean(0)) * np.sqrt(n / (n - 1))
    mean, of_style, of_order = (
        centred.mean((1, 2), keepdims=True),
        centred.mean(2, keepdims=True),
        centred.mean(1)[:, None],
    )
    ms_style = orders * ((of_style - mean) ** 2).sum((1, 2)).mean(0) / (styles - 1)
    ms_order = styles * ((of_order - mean) ** 2).sum((1, 2)).mean(0) / (orders - 1)
    rest = centred - of_style - of_order + mean
    ms_joint = (rest**2).sum((1, 2)).mean(0) / ((styles - 1) * (orders - 1))
    style, order, joint = (ms_style - ms_joint) / orders, (ms_order - ms_joint) / styles, ms_joint
    content = (mean**2).mean((0, 1, 2)) - style / styles - order / orders - joint / (styles * orders)
    total = style + order + joint + content
    expected = np.stack([style, order, joint, content, np.zeros(6)]) / total
    np.testing.assert_allclose(four_pair(z).units, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_planted_components_are_recovered(seed):
    truth = {"style": 0.25, "order": 0.2, "joint": 0.15, "content": 0.3, "noise": 0.1}
    found = four_pair(*planted(300, 4, 3, 400, seed, **truth))
    error = found.units.std(1, ddof=1) / np.sqrt(400)
    assert (error < 0.005).all()
    assert (np.abs(found.layer - list(truth.values())) < 3 * error + 0.001).all(), found.layer


def test_without_replicates_noise_counts_as_joint():
    z, again = planted(300, 3, 2, 200, joint=0.2, content=0.5, noise=0.3)
    without, corrected = four_pair(z).layer, four_pair(z, again).layer
    assert without[NOISE] == 0
    assert corrected[NOISE] == pytest.approx(0.3, abs=0.01)
    assert corrected[JOINT] == pytest.approx(0.2, abs=0.01)
    assert without[JOINT] == pytest.approx(corrected[JOINT] + corrected[NOISE])
    np.testing.assert_allclose(without[[STYLE, ORDER, CONTENT]], corrected[[STYLE, ORDER, CONTENT]])


@pytest.mark.parametrize(("name", "part"), [("style", 0), ("order", 1), ("joint", 2), ("content", 3), ("noise", 4)])
def test_a_unit_of_one_kind_has_one_component_and_negative_ones_are_kept(name, part):
    found = four_pair(*planted(200, 3, 3, 100, **{name: 2.0}))
    np.testing.assert_allclose(found.layer, np.eye(5)[part], atol=0.02)
    if name != "content":
        assert (found.units < 0).any()


def test_a_layer_weighs_units_by_their_variance_and_leaves_out_dead_ones():
    z, again = planted(50, 2, 2, 3, content=1, style=1)
    z, again = z * [1, 10, 1], again * [1, 10, 1]
    z[..., 2] = again[..., 2] = 7.3
    found = four_pair(z, again)
    assert np.isnan(found.units[:, 2]).all()
    assert found.variance[2] == 0
    expected = (found.units[:, :2] * found.variance[:2]).sum(1) / found.variance[:2].sum()
    np.testing.assert_allclose(found.layer, expected, rtol=1e-9, atol=1e-12)
    assert np.isnan(four_pair(np.ones((4, 2, 2, 1))).layer).all()


def test_rounding_is_not_variance():
    """A unit at one level but for the last digits of float32."""
    level = np.float32(1000) * (1 + np.random.default_rng(0).integers(-1, 2, (9, 2, 2, 1)) * np.float32(6e-8))
    assert np.isnan(four_pair(level).units).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
def test_what_does_not_matter(seed, scale, shift):
    """Scale and level of a unit, means of conditions, the order of videos, of styles, and of scrambles."""
    g = np.random.default_rng(seed)
    z, again = planted(8, 3, 3, 2, seed, content=1, style=1, order=1, joint=1, noise=1)
    plain = four_pair(z, again).units
    videos, styles, scrambles = g.permutation(8), g.permutation(3), [0, *(1 + g.permutation(2))]
    means = shift * g.normal(size=(3, 3, 1))
    for changed in (
        [scale * part + shift for part in (z, again)],
        [-scale * part for part in (z, again)],
        [part + means for part in (z, again)],
        [part[videos] for part in (z, again)],
        [part[:, styles] for part in (z, again)],
        [part[:, :, scrambles] for part in (z, again)],
    ):
        np.testing.assert_allclose(four_pair(*changed).units, plain, rtol=1e-6, atol=1e-8)


def test_the_intact_order_is_not_one_among_others():
    z, _ = planted(20, 2, 3, 1, content=1, order=1)
    assert not np.allclose(four_pair(z).units, four_pair(z[:, :, ::-1]).units, atol=1e-3)


def test_intact_and_scrambled_clips_weigh_the_same_however_many_scrambles_there_are():
    """Intact clips vary ten times as much as scrambled ones."""
    g = np.random.default_rng(0)
    z = g.normal(size=(500, 2, 4, 50)) * np.sqrt([10, 1, 1, 1])[:, None]
    assert four_pair(z).variance.mean() == pytest.approx(5.5, rel=0.02)


def test_nan_stays_with_its_unit():
    z, again = planted(6, 2, 2, 3, content=1, style=1)
    z[0, 0, 0, 1] = np.nan
    found = four_pair(z, again)
    assert np.isnan(found.units).all(0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("shape", "again", "words"),
    [
        ((5, 1, 2, 3), None, "Two styles, two orders and 3 videos or more are required. Got 1, 2, 5."),
        ((5, 2, 1, 3), None, "Got 2, 1, 5"),
        ((2, 2, 2, 3), None, "Got 2, 2, 2"),
        ((5, 2, 3), None, "(videos, styles, orders, units), of one shape. Got (5, 2, 3)."),
        ((5, 2, 2, 3), (5, 2, 2, 1), "Got (5, 2, 2, 3), (5, 2, 2, 1)."),
    ],
)
def test_what_is_missing_is_said(shape, again, words):
    with pytest.raises(UserError) as error:
        four_pair(np.zeros(shape), None if again is None else np.zeros(again))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("components", "threshold", "expected"),
    [
        ((0.6, 0.0, 0.0), 0.25, "style"),
        ((0.0, 0.6, 0.0), 0.25, "order"),
        ((0.0, 0.0, 0.6), 0.25, "both"),
        ((0.3, 0.3, 0.0), 0.25, "both"),
        ((0.25, 0.0, 0.0), 0.25, "style"),  # at the border a unit responds
        ((0.1, 0.1, 0.049), 0.25, "neither"),
        ((0.75, 0.25, 0.0), 0.25, "style"),  # at the border the order does not matter
        ((0.25, 0.75, 0.0), 0.25, "order"),  # nor the style
        ((0.74, 0.26, 0.0), 0.25, "both"),
        ((0.26, 0.74, 0.0), 0.25, "both"),
        ((0.70, 0.10, 0.20), 0.25, "both"),
        ((0.8, 0.0, -0.5), 0.25, "style"),  # what is negative counts as 0
        ((-0.9, 0.3, 0.0), 0.25, "order"),
        ((1.4, 0.3, 0.0), 0.25, "style"),  # and what is above 1 as 1
        ((1.4, 0.3, 0.0), 0.2, "both"),
        ((0.3, 0.3, 0.0), 0.65, "neither"),
        ((0.4, 0.4, 0.0), 0.65, "order"),
        ((0.4, 0.4, 0.0), 0.0, "both"),
        ((np.nan, np.nan, np.nan), 0.25, "dead"),
    ],
)
def test_classes(components, threshold, expected):
    units = np.array([*components, 0.1, 0.1])[:, None]
    assert classify_responses(units, threshold).tolist() == [expected]
    assert classify_responses(np.stack([units, units]), threshold).tolist() == [[expected]] * 2


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(UserError, match=r"0\.\.1"):
        classify_responses(np.zeros((5, 1)), threshold)
