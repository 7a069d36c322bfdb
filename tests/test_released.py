"""The released measure: equal to the published code's numbers, to a slow re-derivation, and to its own sums over videos."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from static_dynamic.common.errors import UserError
from static_dynamic.functional import classify_units, released_layerwise, released_unitwise
from static_dynamic.functional.released import allocate, covariances, layer_scores, pair_moments, unit_scores

SHARED = Path(__file__).parents[2] / "shared" / "golden" / "metric.json"
GOLDEN = json.loads((SHARED if SHARED.exists() else Path(__file__).parent / "golden" / "metric.json").read_text())


def make_pairs(case, seed):
    """Pairs of a golden case: a frozen random stream, correlated by ``rho``, scaled and shifted per unit."""
    g = np.random.RandomState(zlib.crc32(f"{seed}:metric:{case['name']}".encode()))
    n, dim, residual = case["n"], case["dim"], case["residual_index"]
    factors = np.array([f for f in range(case["n_factors"]) if f != residual])
    factor = factors[g.randint(0, len(factors), n)]
    r = np.array([np.clip(rho + 0.3 * g.standard_normal(dim), -0.95, 0.95) for rho in case["rho"]])[factor]
    a, noise = g.standard_normal((n, dim)), g.standard_normal((n, dim))
    b = r * a + np.sqrt(1 - r**2) * noise
    scale, shift = 1 + case["scale"] * g.random_sample(dim), case["shift"] * g.standard_normal(dim)
    a, b = a * scale + shift, b * scale + shift
    a[:, case["const"]] = b[:, case["const"]] = 0
    return a.astype(case["dtype"]), b.astype(case["dtype"]), factor


def naive(a, b, factor, n_factors, residual):
    """The equations of the specification, unit by unit and factor by factor."""
    n, dim = a.shape
    variance = sum(np.var(np.concatenate((a[:, i], b[:, i]))) for i in range(dim))
    scores, units = [], np.ones((n_factors, dim))
    for f in range(n_factors):
        rows = [k for k in range(n) if factor[k] == f]
        covariance = []
        for i in range(dim):
            m = (np.mean([a[k, i] for k in rows]) + np.mean([b[k, i] for k in rows])) / 2 if rows else 0
            covariance.append(np.mean([(a[k, i] - m) * (b[k, i] - m) for k in rows]) if rows else 0)
            if f != residual:
                spread = np.var([v for k in rows for v in (a[k, i], b[k, i])])
                units[f, i] = covariance[-1] / spread if spread > 0 else np.nan
        scores.append(1.0 if f == residual else sum(covariance) / variance)
    powers = [np.exp(s - max(scores)) for s in scores]
    shares = [p / sum(powers) for p in powers]
    dims = [int(p * dim) for p in shares[:-1]]
    return scores, shares, [*dims, dim - sum(dims)], units


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], float)


@pytest.mark.parametrize("golden", GOLDEN["results"], ids=lambda golden: golden["case"]["name"])
def test_equal_to_the_published_code(golden):
    case = golden["case"]
    a, b, factor = make_pairs(case, GOLDEN["seed"])
    layer = released_layerwise(a, b, factor, case["n_factors"], case["residual_index"])
    units = released_unitwise(a, b, factor, case["n_factors"], case["residual_index"])
    np.testing.assert_allclose(layer.scores, golden["scores"], rtol=1e-6)
    np.testing.assert_allclose(layer.shares, golden["softmax"], rtol=1e-6)
    assert layer.dims.tolist() == golden["dims"]
    assert layer.percent.tolist() == golden["percent"]
    # Unit scores of the float32 cases carry the published code's own rounding, up to 3e-6 (the specification measured it).
    tolerance = 4e-6 if case["dtype"] == "float32" else 1e-12
    for f, expected in golden["individual_scores"].items():
        np.testing.assert_allclose(units[int(f)], numbers(expected), atol=tolerance)


@pytest.mark.parametrize(
    "golden",
    [g for g in GOLDEN["results"] if g["case"]["residual_index"] > 1],
    ids=lambda golden: golden["case"]["name"],
)
def test_unit_classes_equal_the_published_sets(golden):
    case = golden["case"]
    a, b, factor = make_pairs(case, GOLDEN["seed"])
    scores = released_unitwise(a, b, factor, case["n_factors"], case["residual_index"])
    classes = classify_units(scores, case["joint_encoding_thresh"])
    near = set(golden["joint_sets"]["within_1e-4_of_threshold"])
    for name, published in (("dynamic", "dynamic"), ("static", "static"), ("joint", "joint"), ("residual", "none")):
        assert set(np.flatnonzero(classes == name)) - near == set(golden["joint_sets"][published]) - near
    assert set(np.flatnonzero(classes == "dead")) == set(case["const"])


pairs = st.integers(0, 10**6).map(np.random.default_rng).map(
    lambda g: (
        (n := int(g.integers(4, 12))),
        g.normal(size=(n, 3)) * 10 ** g.uniform(-2, 2, 3) + g.normal(size=3),
        g.normal(size=(n, 3)),
        np.r_[0, 1, g.integers(0, 2, n - 2)],
        g.integers(0, 4, n),
    )
)  # fmt: skip


@given(pairs)
def test_equal_to_the_equations_written_out(drawn):
    _, a, b, factor, _ = drawn
    b = a + b
    scores, shares, dims, units = naive(a, b, factor, 3, 2)
    layer = released_layerwise(a, b, factor)
    np.testing.assert_allclose(layer.scores, scores, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.shares, shares, rtol=1e-9)
    assert layer.dims.tolist() == dims
    np.testing.assert_allclose(released_unitwise(a, b, factor), units, rtol=1e-6, atol=1e-9)


@given(pairs)
def test_sums_over_videos_give_the_same_scores_and_weights_count_videos(drawn):
    """Replicating a video's pairs w times is the same as giving the video the weight w."""
    _, a, b, factor, video = drawn
    weights = np.array([1.0, 2, 0, 3])
    if {0, 1} - set(factor[weights[video] > 0]):
        return
    video = np.r_[video, 3]  # so that every group exists
    a, b, factor = np.r_[a, a[:1]], np.r_[b, b[:1]], np.r_[factor, factor[:1]]
    cov = covariances(pair_moments(a, b, factor, 3, video).weighted(weights[None]))
    times = weights[video].astype(int)
    a, b, factor = np.repeat(a, times, 0), np.repeat(b, times, 0), np.repeat(factor, times)
    expected = released_layerwise(a, b, factor)
    np.testing.assert_allclose(
        layer_scores(cov.between.sum(-1), cov.total.sum(-1))[0], expected.scores, rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(unit_scores(cov)[0], released_unitwise(a, b, factor), rtol=1e-5, atol=1e-7)


@given(pairs)
def test_a_pair_of_weight_two_counts_like_two_pairs(drawn):
    _, a, b, factor, _ = drawn
    weight = np.arange(len(a)) % 3
    times = np.repeat(np.arange(len(a)), weight)
    if {0, 1} - set(factor[times]):
        return
    cov = covariances(pair_moments(a, b, factor, weight=weight).weighted())
    expected = released_layerwise(a[times], b[times], factor[times])
    np.testing.assert_allclose(
        layer_scores(cov.between.sum(-1), cov.total.sum(-1))[0], expected.scores, rtol=1e-6, atol=1e-9
    )


def test_a_pair_cannot_weigh_less_than_nothing():
    with pytest.raises(UserError, match=r"0 or more. Got -1"):
        pair_moments([[1.0], [2.0]], [[1.0], [2.0]], [0, 1], weight=[1, -1])


@pytest.mark.parametrize("residual", [-1, 0, 1, 2])
def test_any_factor_or_none_may_be_the_residual(residual):
    g = np.random.default_rng(1)
    a, b = g.normal(size=(2, 30, 4))
    b += a
    factor = np.array([f for f in range(3) if f != residual])[np.arange(30) % (2 + (residual < 0))]
    scores, shares, dims, units = naive(a, b, factor, 3, residual)
    layer = released_layerwise(a, b, factor, 3, residual)
    np.testing.assert_allclose(layer.scores, scores, rtol=1e-9)
    np.testing.assert_allclose(layer.shares, shares, rtol=1e-9)
    assert layer.dims.tolist() == dims
    np.testing.assert_allclose(released_unitwise(a, b, factor, 3, residual), units, rtol=1e-9)


def test_a_large_mean_costs_no_precision():
    """Responses of 1 on a level of 1e5: their squares differ in the eleventh digit."""
    g = np.random.default_rng(2)
    a, b = g.normal(size=(2, 40, 3))
    b = a + b + [0, 1, -1]
    level, factor = np.array([1e5, -3e5, 0]), np.arange(40) % 2
    layer, units = released_layerwise(a, b, factor), released_unitwise(a, b, factor)
    raised, raised_units = (
        released_layerwise(a + level, b + level, factor),
        released_unitwise(a + level, b + level, factor),
    )
    np.testing.assert_allclose(raised.scores, layer.scores, rtol=1e-9)
    np.testing.assert_allclose(raised_units, units, rtol=1e-9)


def test_identical_pairs_score_one_and_shares_stay_in_their_range():
    a = np.random.default_rng(0).normal(size=(40, 5))
    layer = released_layerwise(np.r_[a, a], np.r_[a, a], np.repeat([0, 1], 40))
    np.testing.assert_allclose(layer.scores, 1)
    np.testing.assert_allclose(layer.shares, 1 / 3)


def test_a_stage_that_follows_the_style_alone_scores_minus_one_over_k_minus_one():
    """With K styles, all paired, pure style dependence gives the dynamic score -1/(K-1): below 0, and not a fault."""
    style = np.random.default_rng(0).normal(size=(4, 6))
    pairs = [(i, j) for i in range(4) for j in range(i)]
    a, b = (np.concatenate([style[[p[k] for p in pairs]], style[[0, 1, 2, 3]]]) for k in (0, 1))
    layer = released_layerwise(a, b, [0] * 6 + [1] * 4)
    np.testing.assert_allclose(layer.scores[:2], [-1 / 3, 1])


def test_a_unit_that_never_varies_is_dead_however_large_it_is():
    a = np.full((30, 2), 1e4) + np.outer(np.random.default_rng(0).normal(size=30), [0, 1])
    scores = released_unitwise(a, a, np.arange(30) % 2)
    assert np.isnan(scores[:2, 0]).all()
    assert classify_units(scores).tolist() == ["dead", "joint"]


def test_a_unit_that_varies_by_rounding_alone_is_dead():
    g = np.random.default_rng(0)
    a, b = (np.float32(0.3) * (1 + 1e-7 * g.normal(size=(2, 30, 2)))).astype(np.float32)
    a[:, 1], b[:, 1] = g.normal(size=(2, 30))
    scores = released_unitwise(a, b, np.arange(30) % 2)
    assert np.isnan(scores[:2]).tolist() == [[True, False]] * 2
    moments = pair_moments(a, b, np.arange(30) % 2).weighted()
    assert covariances(moments).total[0, 0] == 0 < covariances(moments).total[0, 1]


@pytest.mark.parametrize(("variance", "dead"), [(0.8e-12, True), (1.25e-12, False)])
def test_what_counts_as_rounding_is_a_trillionth_of_the_mean_square(variance, dead):
    around = np.sqrt(variance) * np.where(np.arange(30) // 2 % 2, 1, -1)[:, None]  # each value once in both factors
    a, b = 1 + np.r_[around[:28]], 1 - np.r_[around[:28]]
    assert np.isnan(released_unitwise(a, b, np.arange(28) % 2)[0, 0]) == dead


def test_a_unit_that_is_dead_in_one_factor_is_dead():
    assert classify_units([[np.nan, 0.9, np.nan], [0.9, np.nan, np.nan]]).tolist() == ["dead"] * 3


def test_shares_of_large_scores_do_not_overflow_and_those_of_none_are_undefined():
    np.testing.assert_allclose(allocate(np.array([[2000.0, 2000.0, 1.0]]), 10).shares, [[0.5, 0.5, 0]])
    undefined = allocate(np.array([[np.nan, np.nan, 1.0]]), 10)
    assert np.isnan(undefined.shares).all()
    assert undefined.dims.tolist() == [[0, 0, 0]]


def test_a_resample_without_variance_takes_nothing_from_the_others():
    """As where one video alone moves a unit: replicates without it are undefined, the estimate is not."""
    scores = np.array([[0.4, 0.2, 1.0], [np.nan, np.nan, 1.0], [0.9, 0.9, 1.0]])
    together = allocate(scores, 50)
    for row in (0, 2):
        alone = allocate(scores[row], 50)
        assert together.dims[row].tolist() == alone.dims.tolist()
        assert together.percent[row].tolist() == alone.percent.tolist()
        assert alone.dims.sum() == 50
    assert together.dims[1].tolist() == [0, 0, 0]


def test_a_score_exactly_at_the_threshold_does_not_count():
    scores = [[0.5, 0.6, 0.5, 0.6], [0.5, 0.5, 0.6, 0.6], [1, 1, 1, 1]]
    assert classify_units(scores).tolist() == ["residual", "dynamic", "static", "joint"]


def test_truncation_bites_small_layers():
    layer = allocate(np.log([[0.214, 0.384, 0.402]]), 8)
    assert layer.percent.tolist() == [[12.5, 37.5, 50.0]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([[1.0]], [[1.0, 2.0]], [0]), "one shape"),
        (([[1.0]], [[1.0]], [0, 1]), "one shape"),
        (([[1.0]], [[1.0]], [7]), r"in 0..2. Got 7..7"),
        (([[1.0], [2.0]], [[1.0], [2.0]], [0, -1]), r"in 0..2. Got -1..0"),
        (([[1.0], [2.0]], [[1.0], [2.0]], [0, 3]), r"in 0..2. Got 0..3"),
        ((np.zeros((0, 2)), np.zeros((0, 2)), []), r"Got \(0, 2\)"),
        (([1.0], [1.0], [0]), r"one shape \(n, C\)"),
        (([[1.0], [2.0]], [[1.0], [2.0]], [0, 0]), "Factor 1 has no pairs"),
    ],
)
def test_bad_pairs_are_one_clear_line(arguments, says):
    with pytest.raises(UserError, match=says):
        released_layerwise(*arguments)


def test_a_threshold_outside_its_range_says_so():
    with pytest.raises(UserError, match=r"'threshold' parameter .* range \[0, 1\]. Got 3"):
        classify_units([[0.1], [0.2]], 3)
