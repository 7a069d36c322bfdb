"""Estimators of pairs of conditions, from a store to tables: each number is derived again with the pure functions."""

from itertools import combinations, product

import numpy as np
import pytest
import torch

from static_dynamic.common.errors import UserError
from static_dynamic.estimators import numbers
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.four_pair import FourPair
from static_dynamic.estimators.mutual_information import CopulaMI, GaussianMI
from static_dynamic.estimators.pairs import PairRule, make_pairs
from static_dynamic.estimators.pearson_within import PearsonWithin
from static_dynamic.estimators.registry import describe_estimator, estimators, find_estimators
from static_dynamic.functional import (
    classify_responses,
    classify_units,
    copula_mi,
    four_pair,
    gaussian_mi,
    normal_scores,
    pearson_within,
    resample,
)
from static_dynamic.functional.mutual_information import CAP
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Conditions, Variant

STYLES, ORDERS = ("ink", "mosaic", "chalk"), ("intact", "shuffle", "reverse")
UNITS = 7
ALL = "four_pair,pearson_within,gaussian_mi,copula_mi"
PAIRWISE = {"pearson_within": pearson_within, "gaussian_mi": gaussian_mi, "copula_mi": copula_mi}
QUICK = Scoring(replicates=4, nulls=2)


def table(videos, styles=STYLES, orders=ORDERS, replicates=2, seed=0):
    """Units ``(V, K, O, replicates, U)`` float32; the third is dead, the last does not see the order."""
    g = np.random.default_rng(seed)
    shape = (len(styles), len(orders))
    z = g.normal(size=(videos, 1, 1, 1, UNITS)) + 0.3 * g.normal(size=(videos, *shape, replicates, UNITS))
    z += g.normal(size=(videos, shape[0], 1, 1, UNITS)) * np.linspace(0, 2, UNITS)
    z += g.normal(size=(videos, 1, shape[1], 1, UNITS)) * np.linspace(2, 0, UNITS)
    z = (z + 2 * g.normal(size=(*shape, 1, UNITS))) * np.linspace(1, 4, UNITS)
    z[..., 2] = 5
    z[..., -1] = z[..., :1, :, -1]
    return z.astype(np.float32)


def stored(folder, z, styles=STYLES, orders=ORDERS, without=(), shown=None, **records):
    """A store of such a table, without the rows of some variants, in two shards."""
    names = [f"v{v:02d}" for v in range(len(z))]
    keys = [Variant(*key) for key in product(names, styles, orders, range(z.shape[3]))]
    rows = {key: torch.from_numpy(row) for key, row in zip(keys, z.reshape(len(keys), -1), strict=True)}
    store = Store(folder, {"stages": {"late": []}, "styles": list(shown or styles), "orders": list(orders)})
    for shard, part in enumerate((names[:1], names[1:])):
        kept = [key for key in keys if key.video in part and key not in without]
        told = [
            {"video": name, "label": None, "problem": None} | {k: of[name] for k, of in records.items()}
            for name in part
        ]
        store.write(shard, kept, {"late": torch.stack([rows[key] for key in kept])}, told)
    return store


def flat(z):
    """Units in cells ``(V, K, U)``, without replicates; and the pairs of the two factors."""
    videos, styles, orders = z.shape[:3]
    dynamic = [(a * orders, b * orders) for a, b in combinations(range(styles), 2)]
    static = [(s * orders, s * orders + o) for s in range(styles) for o in range(1, orders)]
    return z[:, :, :, 0].reshape(videos, styles * orders, -1).astype(np.float64), {"dynamic": dynamic, "static": static}


def scored(store, wanted=ALL, scoring=QUICK):
    return score_store(store, scoring, find_estimators(wanted))


def of(scores, name):
    layers, units = (part[part["estimator"] == name].reset_index(drop=True) for part in (scores.layers, scores.units))
    return layers.set_index("factor"), units


@pytest.fixture(params=[None, 1])
def blocks(request, monkeypatch):
    """All units at once, or one in every block."""
    if request.param is not None:
        monkeypatch.setattr(numbers, "BLOCK_BYTES", request.param)


def test_tables_hold_the_numbers_of_the_pure_functions(tmp_path, blocks):
    z = table(9)
    scores = scored(stored(tmp_path, z))
    cells, pairs = flat(z)
    for name, measure in PAIRWISE.items():
        layers, units = of(scores, name)
        assert units["unit"].tolist() == list(range(UNITS))
        for factor in pairs:
            expected = measure(cells, pairs[factor])
            assert np.isnan(expected).tolist() == [False, False, True] + [False] * 4
            np.testing.assert_allclose(units[factor], expected, rtol=1e-6)
            assert layers.loc[factor, "score"] == pytest.approx(np.nanmean(expected))
            assert layers.loc[factor, "pairs"] == 9 * len(pairs[factor])
            width = units[f"{factor}_high"] - units[f"{factor}_low"]
            assert (width[np.isfinite(expected)][:-1] > 0.001).all()
            assert width.iloc[-1] < 0.05 or factor == "dynamic"  # equal clips
            assert layers.loc[factor, "score_low"] < layers.loc[factor, "score"] < layers.loc[factor, "score_high"]
        assert layers["share"].isna().all()
    layers, units = of(scores, "four_pair")
    found = four_pair(z[:, :, :, 0], z[:, :, :, 1])
    np.testing.assert_allclose(units[list(layers.index)].T, found.units, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(layers["share"], 100 * found.layer, rtol=1e-9)
    assert layers["share"].sum() == pytest.approx(100)
    assert list(layers.index) == ["style", "order", "joint", "content", "noise"]
    assert (layers["videos"] == 9).all()
    assert units["class"].tolist() == classify_responses(found.units).tolist()


def test_every_resample_is_the_pure_function_of_repeated_videos(tmp_path, blocks):
    """With n that counts repeated videos; the copula keeps the ranks among all videos."""
    z = table(6)
    scores = scored(stored(tmp_path, z))
    weights = resample(6, QUICK.replicates, QUICK.seed).weights.astype(int)
    measures = {**PAIRWISE, "copula_mi": gaussian_mi}
    for name, measure in measures.items():
        sample = scores.samples[name, "late"]
        for row, weight in enumerate(weights):
            cells, pairs = flat(z)
            cells = normal_scores(cells) if name == "copula_mi" else cells
            drawn = np.repeat(cells, weight, axis=0)
            expected = [measure(drawn, pairs[factor]) for factor in pairs]
            np.testing.assert_allclose(sample.layer["score"][row], np.nanmean(expected, 1), rtol=1e-6)
    for row, weight in enumerate(weights):
        drawn = np.repeat(z, weight, axis=0)
        expected = four_pair(drawn[:, :, :, 0], drawn[:, :, :, 1]).layer
        np.testing.assert_allclose(scores.samples["four_pair", "late"].layer["share"][row], 100 * expected, atol=1e-6)


def test_videos_of_one_sequence_are_resampled_together_and_each_counts_for_the_bias(tmp_path):
    z = table(8)
    sequences = {f"v{v:02d}": f"s{v // 2}" for v in range(8)}
    sample = scored(stored(tmp_path, z, sequence=sequences), "gaussian_mi").samples["gaussian_mi", "late"]
    assert len(sample.videos) == 4
    weights = resample(4, QUICK.replicates, QUICK.seed).weights.astype(int)
    cells, pairs = flat(z)
    for row, weight in enumerate(weights):
        drawn = np.repeat(cells, np.repeat(weight, 2), axis=0)
        expected = [np.nanmean(gaussian_mi(drawn, pairs[factor])) for factor in pairs]
        np.testing.assert_allclose(sample.layer["score"][row], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "lost"), [("four_pair", ("chalk", "reverse", 1)), ("copula_mi", ("ink", "intact", 0))]
)
def test_a_video_that_lacks_a_variant_is_left_out_and_named(tmp_path, blocks, name, lost):
    z = table(7)
    scores = scored(stored(tmp_path / "some", z, without=[Variant("v03", *lost)]), name)
    alone = scored(stored(tmp_path / "fewer", np.delete(z, 3, 0)), name)
    columns = ["score" if name == "copula_mi" else "share", "units", "pairs", "videos"]
    np.testing.assert_allclose(scores.layers[columns], alone.layers[columns], rtol=1e-9)
    assert f"{name}: 1 video lacks variants and is left out: v03." in scores.warnings


def test_a_video_that_gives_nan_is_left_out(tmp_path):
    z = table(7)
    whole = scored(stored(tmp_path / "fewer", np.delete(z, 3, 0)))
    z[3, 1, 1, 0, 4] = np.nan
    scores = scored(stored(tmp_path / "some", z))
    np.testing.assert_allclose(scores.layers[["score", "share"]], whole.layers[["score", "share"]], rtol=1e-9)
    assert "Stage late: 1 video gives NaN or infinite activations and is left out." in scores.warnings


def test_what_conditions_they_ask_for():
    conditions = Conditions(("ink", "original"), ("shuffle", "reverse"))
    plain = [Cell(style, order) for style in ("ink", "original") for order in ("intact", "shuffle", "reverse")]
    for one in find_estimators(tuple(PAIRWISE)):
        assert list(one.cells(conditions)) == plain
    assert list(FourPair().cells(conditions)) == plain + [cell._replace(replicate=1) for cell in plain]


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("normal_static", [False, True])
def test_their_pairs_are_those_of_the_rule(name, normal_static):
    styles = ("ink", "original", "chalk")
    keys = [Variant(*key) for key in product(("a", "b", "c"), styles, ORDERS)]
    rule = PairRule(normal_static=normal_static)
    plan = find_estimators(name)[0].plan(Design(keys, {}, styles, ORDERS, rule))
    rows = plan.table.rows
    found = {
        (factor, frozenset(pair))
        for factor, pairs in enumerate(plan.factors.values())
        for a, b in pairs
        for pair in zip(rows[:, a], rows[:, b], strict=True)
    }
    expected = make_pairs(keys, rule)
    assert found == {(f, frozenset((a, b))) for a, b, f in zip(expected.a, expected.b, expected.factor, strict=True)}
    assert list(plan.pairs) == np.bincount(expected.factor).tolist()


def test_original_videos_that_serve_static_pairs_alone_are_no_style_of_four_pair(tmp_path):
    styles = ("original", "ink", "chalk")
    z = table(6, styles)
    scoring = Scoring(PairRule(normal_static=True), replicates=2, nulls=0)
    layers, _ = of(scored(stored(tmp_path, z, styles), "four_pair", scoring), "four_pair")
    np.testing.assert_allclose(layers["share"], 100 * four_pair(z[:, 1:, :, 0], z[:, 1:, :, 1]).layer)


@pytest.mark.parametrize("name", ALL.split(","))
def test_styles_of_weight_0_are_left_out_and_other_weights_refused(tmp_path, name):
    z = table(6)
    store = stored(tmp_path, z)
    weighted = scored(store, name, Scoring(replicates=2, nulls=0, style_weights={"mosaic": 0}))
    without = scored(stored(tmp_path / "x", np.delete(z, 1, 1), ("ink", "chalk")), name, Scoring(replicates=2, nulls=0))
    columns = ["score" if name in PAIRWISE else "share", "pairs"]
    np.testing.assert_allclose(weighted.layers[columns], without.layers[columns], rtol=1e-9)
    with pytest.raises(UserError, match=f"{name} counts all pairs alike, so the weight of a style must be 0 or 1"):
        scored(store, name, Scoring(style_weights={"ink": 0.5}))


@pytest.mark.parametrize("name", ALL.split(","))
@pytest.mark.parametrize(
    ("styles", "orders", "rule", "words"),
    [
        (("ink",), ORDERS, {}, "needs two styles or more. Got ink: add some."),
        (("ink", "original"), ORDERS, {"normal_static": True}, "needs two styles or more. Got ink: add some."),
        (STYLES, ("intact",), {}, "needs a scramble, e.g. shuffle. Got the intact order alone"),
        (STYLES, ORDERS, {"same_video": False}, "compares clips of one video"),
        (STYLES, ORDERS, {"scrambled": False}, "compares clips of one video"),
    ],
)
def test_a_study_without_pairs_is_refused_in_one_line(name, styles, orders, rule, words):
    keys = [Variant(*key) for key in product("abc", styles, orders)]
    with pytest.raises(UserError) as error:
        find_estimators(name)[0].plan(Design(keys, {}, styles, orders, PairRule(**rule)))
    assert str(error.value).startswith(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_static_pairs_of_the_originals_need_the_originals():
    keys = [Variant(*key) for key in product("abc", STYLES, ORDERS)]
    with pytest.raises(UserError, match=r"gaussian_mi needs the original videos for its static pairs"):
        GaussianMI().plan(Design(keys, {}, STYLES, ORDERS, PairRule(normal_static=True)))


@pytest.mark.parametrize("name", ALL.split(","))
def test_clips_that_are_not_in_the_store_are_named(tmp_path, name):
    """The study crosses all styles and orders, but some were not shown."""
    z = table(4, orders=ORDERS[:2])
    store = stored(tmp_path, z, orders=ORDERS[:2], shown=(*STYLES, "neon"))
    with pytest.raises(
        UserError, match=f"The estimator {name} needs clips that this store does not hold: neon, intact"
    ):
        scored(store, name)


def test_without_replicates_four_pair_says_that_noise_is_joint(tmp_path):
    z = table(6)
    said = "Stage late: four_pair: noise is 0, since no replicate was measured"
    with_replicates, without = (scored(stored(tmp_path / str(n), z[:, :, :, :n]), "four_pair") for n in (2, 1))
    assert not any(said in warning for warning in with_replicates.warnings)
    assert any(said in warning for warning in without.warnings)
    np.testing.assert_allclose(of(without, "four_pair")[0]["share"], 100 * four_pair(z[:, :, :, 0]).layer, atol=1e-9)


@pytest.mark.parametrize("name", ["gaussian_mi", "copula_mi"])
def test_information_beyond_what_the_videos_can_show_is_flagged(tmp_path, name):
    scores = scored(stored(tmp_path, table(20)), name)
    flagged = [warning for warning in scores.warnings if "lower bound" in warning]
    assert flagged == [
        f"Stage late: {name}: the static number of 1 of 7 units is above ln 20 = 3.0 nats, the most that 20 videos can "
        "show; 1 of them at the cap of 8.1, where the clips of every pair give equal responses. Such a number is a lower "
        "bound."
    ]


def test_remarks_tell_the_cap_from_what_is_merely_much():
    one = GaussianMI()
    most, cap = np.log(50), np.float32(CAP - 0.01)
    assert one.remarks(np.array([[0.1, most], [np.nan, most]]), 50) == []
    dynamic, static = one.remarks(np.array([[0.1, most + 0.01], [most + 0.01, cap]]), 50)
    assert "dynamic number of 1 of 2 units" in dynamic
    assert "cap" not in dynamic
    assert "static number of 2 of 2 units" in static
    assert "1 of them at the cap" in static
    assert not PearsonWithin().remarks(np.ones((2, 3)), 50)


def test_units_stand_out_from_pairs_of_unrelated_videos(tmp_path):
    z = table(120)
    g = np.random.default_rng(1)
    z[..., 0] = g.normal(size=z[..., 0].shape)  # noise
    scores = scored(stored(tmp_path, z), scoring=Scoring(replicates=2, nulls=10))
    for name in PAIRWISE:
        layers, units = of(scores, name)
        assert (units["static_p"][3:] < 0.03).all()
        assert units["static_p"][0] > 0.1
        assert (layers["null"].abs() < 0.1 * layers["score"]).all()
    layers, units = of(scores, "four_pair")
    assert (units["content_p"][3:] < 0.03).all()
    assert layers.loc[["style", "order", "content"], "null"].abs().max() < 5
    assert layers.loc[["joint", "noise"], "null"].isna().all()


def test_few_videos_give_no_numbers(tmp_path):
    scores = scored(stored(tmp_path, table(2)))
    assert scores.layers[["score", "share"]].isna().all(axis=None)
    assert (
        "copula_mi is a covariance over videos, so it is undefined: 3 or more are required. Got 2." in scores.warnings
    )


@pytest.mark.parametrize(
    ("one", "inside", "classes"),
    [
        (PearsonWithin(), 0.5, classify_units),
        (PearsonWithin(threshold=0.7), 0.7, None),
        (GaussianMI(), -0.5 * np.log(0.75), None),
        (CopulaMI(threshold=2.0), 2.0, None),
    ],
)
def test_classes_need_more_than_the_threshold(one, inside, classes):
    over = inside + 1e-6
    units = np.array([[inside, over, inside, over, np.nan], [inside, inside, over, over, 1.0]])
    assert one.classify(units).tolist() == ["residual", "dynamic", "static", "joint", "dead"]
    assert set(one.classify(units)) <= set(one.classes)
    if classes:
        assert one.classify(units).tolist() == classes(units).tolist()


def test_each_style_is_left_out_in_turn_where_two_remain(tmp_path):
    z = table(5)
    x = z.reshape(-1, UNITS)
    design = Design.of(stored(tmp_path, z), PairRule(), {"ink": 1.0})
    (one,) = find_estimators("pearson_within")
    found = [plan.estimates(x, np.ones((1, 5))).units for plan in one.without_a_style(design)]
    for style, units in enumerate(found):
        left = np.delete(z, style, axis=1)
        cells, pairs = flat(left)
        expected = [pearson_within(cells, pairs[factor]) for factor in one.of_units]
        np.testing.assert_allclose(units[0], expected, rtol=1e-6)
    assert len(found) == 3
    assert one.without_a_style(design.without_style("ink")) == []
    (needs_motion,) = find_estimators("needs_motion")
    assert needs_motion.without_a_style(design) == []


def test_four_pair_classifies_by_its_own_threshold():
    units = np.array([[0.5], [0.1], [0.0], [0.3], [0.1]])
    assert FourPair().classify(units).tolist() == ["style"]
    assert FourPair(threshold=0.7).classify(units).tolist() == ["neither"]


def test_noise_is_unknown_where_no_unit_that_varies_has_any():
    units = np.full((5, 3), 0.2)
    units[:, 0] = np.nan
    assert FourPair().remarks(units, 10) == []
    units[4, 1] = 0
    assert FourPair().remarks(units, 10) == []
    units[4, 2] = 0
    assert "Noise then counts as joint" in FourPair().remarks(units, 10)[0]
    assert FourPair().remarks(units[:, :1], 10) == []


def test_options_out_of_range_are_refused():
    for kind, wrong in (
        (GaussianMI, -0.1),
        (CopulaMI, np.inf),
        (GaussianMI, np.nan),
        (FourPair, 1.5),
        (PearsonWithin, 2),
    ):
        with pytest.raises(UserError):
            kind(threshold=wrong)


def test_they_are_listed_and_described():
    assert {*ALL.split(",")} < set(estimators())
    described = {one.name: describe_estimator(one) for one in find_estimators(ALL)}
    assert {name: (one["scale"], one["column"]) for name, one in described.items()} == {
        "four_pair": ("percent", "share"),
        "pearson_within": ("correlation", "score"),
        "gaussian_mi": ("nats", "score"),
        "copula_mi": ("nats", "score"),
    }
    assert described["four_pair"]["options"] == {"threshold": 0.25}
    for words in (described["four_pair"]["summary"], FourPair.__doc__):
        assert "static" not in words.replace(":func:`static_dynamic", "")


@pytest.mark.parametrize("name", [*ALL.split(","), "released"])
@pytest.mark.parametrize("resamples", [1, 600])
def test_the_size_that_blocks_are_cut_by_holds(name, resamples):
    """Most memory at once, in numbers a unit."""
    import tracemalloc

    z = table(30)
    z = np.repeat(z, 20, axis=-1)
    keys = [Variant(*key) for key in product([f"v{v}" for v in range(30)], STYLES, ORDERS, (0, 1))]
    x = z.reshape(len(keys), -1)
    plan = find_estimators(name)[0].plan(Design(keys, {}, STYLES, ORDERS))
    weights = np.ones((resamples, 30))
    plan.estimates(x, weights)
    tracemalloc.start()
    plan.estimates(x, weights)
    peak = tracemalloc.get_traced_memory()[1] / 8 / x.shape[1]
    tracemalloc.stop()
    assert peak < plan.size(resamples) < 5 * peak
