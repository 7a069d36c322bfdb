"""Scores of a store, derived a second time: pair by pair, with every resample written out as repeated pairs."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from static_dynamic.common.errors import UserError
from static_dynamic.estimators import numbers
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.needs_motion import NeedsMotion
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.estimators.pearson_within import PearsonWithin
from static_dynamic.estimators.released import Released
from static_dynamic.functional import (
    classify_units,
    jackknife_interval,
    released_layerwise,
    released_unitwise,
    resample,
)
from static_dynamic.scoring import Scoring, broken_videos, check_plans, score_store
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, Variant

STYLES = ("ink", "mosaic", "chalk")
ORDERS = ("intact", "shuffle", "reverse")
QUICK = Scoring(replicates=20)


def score(store, scoring, threshold=0.5):
    return score_store(store, scoring, [Released(threshold)])


def keys_of(videos, styles=STYLES, orders=ORDERS):
    return [Variant(*key) for key in product(videos, styles, orders)]


def names(count):
    return [f"v{number:02d}" for number in range(count)]


def activations(variants, units, seed=0):
    """Units of content, style and order in parts of their own, with means, scales, and one that is dead."""
    g = np.random.default_rng(seed)
    x = 0.3 * g.normal(size=(len(variants), units))
    for part in (lambda key: key.video, lambda key: key[:2], lambda key: (key.video, key.order)):
        drawn = {value: g.normal(size=units) for value in dict.fromkeys(map(part, variants))}
        x += g.uniform(0, 1, units) * np.array([drawn[part(key)] for key in variants])
    x = x * g.uniform(0.5, 3, units) + g.normal(size=units)
    x[:, units // 2] = 1
    return torch.from_numpy(x.astype(np.float32))


def stored(folder, variants, stages, shards=(), order=None, **records):
    """A store of these rows, cut into shards after some of its videos; ``records`` say more of the videos."""
    store = Store(folder, {"stages": {name: [] for name in order or stages}})
    videos = list(dict.fromkeys(key.video for key in variants))
    for number, part in enumerate(np.split(np.arange(len(videos)), shards)):
        inside = {videos[place] for place in part}
        rows = [row for row, key in enumerate(variants) if key.video in inside]
        told = [
            {"video": name, "label": None, "problem": None, **{key: of[name] for key, of in records.items()}}
            for name in videos
            if name in inside
        ]
        store.write(number, [variants[row] for row in rows], {name: x[rows] for name, x in stages.items()}, told)
    return store


def published_pairs(variants):
    """Rows and factor of every pair of the published protocol, and the number of its video."""
    videos, styles = (list(dict.fromkeys(key[field] for key in variants)) for field in (0, 1))
    pairs = []
    for (i, a), (j, b) in product(enumerate(variants), repeat=2):
        if a.video == b.video and a.order == "intact":
            if b.order == "intact" and styles.index(a.style) < styles.index(b.style):
                pairs.append((i, j, 0, videos.index(a.video)))
            if b.order != "intact" and a.style == b.style:
                pairs.append((i, j, 1, videos.index(a.video)))
    return np.array(pairs)


def slow_scores(x, pairs, resamples):
    """Layer scores and unit scores of every resample, by repeating the pairs of a video as often as it was drawn."""
    layers, units = [], []
    for weights in resamples.weights:
        a, b, factor, _ = np.repeat(pairs, weights[pairs[:, 3]].astype(int), axis=0).T
        first, second = x[a].astype(np.float64), x[b].astype(np.float64)
        layers.append(released_layerwise(first, second, factor))
        units.append(released_unitwise(first, second, factor))
    return layers, np.array(units)


def ends(resamples, values, confidence):
    return jackknife_interval(values[0], values[1 + resamples.replicates :], None, confidence)


@pytest.fixture
def small_blocks(monkeypatch):
    """A handful of units in every block."""
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 8 * 16 * 32 * 7)


def test_every_column_equals_a_slow_derivation(tmp_path, small_blocks):
    """Two stages whose names are not in order, three shards, many blocks."""
    variants = keys_of(names(6))
    stages = {"late": activations(variants, 40, 1), "early": activations(variants, 23, 2)}
    scoring = Scoring(replicates=25, confidence=0.8, seed=3)
    scores = score(stored(tmp_path, variants, stages, [2, 5]), scoring, threshold=0.4)
    pairs, resamples = published_pairs(variants), resample(6, 25, 3)
    assert list(dict.fromkeys(scores.layers["stage"])) == ["late", "early"]
    assert list(dict.fromkeys(scores.units["stage"])) == ["late", "early"]
    for stage, x in stages.items():
        layers, units = slow_scores(x.numpy(), pairs, resamples)
        table = scores.layers[scores.layers["stage"] == stage]
        assert table["factor"].tolist() == ["dynamic", "static", "residual"]
        for column, values in {
            "score": np.array([layer.scores for layer in layers]),
            "share": np.array([100 * layer.shares for layer in layers]),
        }.items():
            np.testing.assert_allclose(table[column], values[0], rtol=1e-9)
            low, high = ends(resamples, values, 0.8)
            np.testing.assert_allclose(table[[f"{column}_low", f"{column}_high"]], np.c_[low, high], rtol=1e-6)
        assert table["dims"].tolist() == layers[0].dims.tolist()
        assert table["percent"].tolist() == layers[0].percent.tolist()
        assert table["units"].tolist() == [x.shape[1]] * 3
        assert table["pairs"].tolist() == [6 * 3, 6 * 3 * 2, 0]
        assert table["videos"].tolist() == [6] * 3
        table = scores.units[scores.units["stage"] == stage]
        assert table["unit"].tolist() == list(range(x.shape[1]))
        assert set(table["estimator"]) == {"released"}
        low, high = ends(resamples, units, 0.8)
        for factor, name in enumerate(("dynamic", "static")):
            found = table[[name, f"{name}_low", f"{name}_high"]]
            np.testing.assert_allclose(found, np.c_[units[0, factor], low[factor], high[factor]], rtol=1e-5, atol=1e-9)
        classes = classify_units(units, 0.4)
        assert table["class"].tolist() == classes[0].tolist()
        same = [np.mean([row[i] == classes[0, i] for row in classes[1:26]]) for i in range(x.shape[1])]
        np.testing.assert_allclose(table["stability"], same)
        assert f"Stage {stage}: 1 of {x.shape[1]} units is dead (it never varies)." in scores.warnings


def test_a_stage_of_real_size_has_several_blocks_and_every_unit_counts_once(tmp_path, monkeypatch):
    """2048 units with 1000 replicates: as many as a last stage has."""
    variants = keys_of(names(12), STYLES[:2], ORDERS[:2])
    x = activations(variants, 2048)
    store = stored(tmp_path, variants, {"stage5": x}, [8])
    blocks = []
    read = Store.stage
    monkeypatch.setattr(Store, "stage", lambda self, name, *of: blocks.append(of[0]) or read(self, name, *of))
    scores = score(store, Scoring())
    scored = [block for block in blocks if block.stop - block.start < 2048]
    assert len(scored) > 2
    assert [unit for block in scored for unit in range(block.start, block.stop)] == list(range(2048))
    rows = 1 + 1000 + 12
    assert all(8 * 16 * rows * (block.stop - block.start) <= numbers.BLOCK_BYTES for block in scored)
    a, b, factor, _ = published_pairs(variants).T
    layer = released_layerwise(x[a].numpy(), x[b].numpy(), factor)
    np.testing.assert_allclose(scores.layers["score"], layer.scores, rtol=1e-9)
    assert scores.layers["dims"].tolist() == layer.dims.tolist()
    assert scores.units["unit"].tolist() == list(range(2048))
    expected = released_unitwise(x[a].numpy(), x[b].numpy(), factor)
    np.testing.assert_allclose(scores.units[["dynamic", "static"]].T, expected[:2], rtol=1e-9)
    assert scores.layers["share_low"].notna().all()
    assert (scores.layers["share_low"][:2] < scores.layers["share_high"][:2]).all()


@pytest.mark.parametrize("size", [40, 16000, 4, 4 * 10**7])
def test_blocks_cover_all_units_once_within_the_memory_allowed(size):
    blocks = list(numbers.blocks(5000, size))
    assert [unit for block in blocks for unit in range(block.start, block.stop)] == list(range(5000))
    need = 8 * size
    for block in blocks:
        assert need * (block.stop - block.start) <= max(numbers.BLOCK_BYTES, need)
    assert len(blocks) == 1 or 2 * need * (blocks[0].stop - blocks[0].start) > numbers.BLOCK_BYTES


# --- what must not matter ----------------------------------------------------------------------------------------


def compare(one, other, rtol=1e-9):
    pd.testing.assert_frame_equal(one.layers, other.layers, rtol=rtol)
    pd.testing.assert_frame_equal(one.units, other.units, rtol=rtol)
    assert one.warnings == other.warnings


@pytest.mark.parametrize("units_in_a_block", [1, 5, 16, 64])
def test_the_size_of_the_blocks_does_not_matter(tmp_path, monkeypatch, units_in_a_block):
    variants = keys_of(names(5))
    store = stored(tmp_path, variants, {"x": activations(variants, 33)})
    whole = score(store, QUICK)
    rows = 1 + 20 + 5
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 8 * 16 * rows * units_in_a_block)
    compare(whole, score(store, QUICK))


@pytest.mark.parametrize("shards", [[], [1], [2, 3, 4], [1, 2, 3, 4, 5, 6]])
def test_how_the_rows_lie_in_shards_does_not_matter(tmp_path, shards):
    variants = keys_of(names(7))
    stages = {"b": activations(variants, 9), "a": activations(variants, 4)}
    compare(
        score(stored(tmp_path / "one", variants, stages), QUICK),
        score(stored(tmp_path / "two", variants, stages, shards), QUICK),
    )


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    """Within a video: in which order videos come decides which is drawn."""
    variants = keys_of(names(5))
    x = activations(variants, 8)
    order = sorted(range(len(variants)), key=lambda row: (variants[row].video, variants[row].order, row % 7))
    mixed = stored(tmp_path / "two", [variants[row] for row in order], {"x": x[order]})
    compare(score(stored(tmp_path / "one", variants, {"x": x}), QUICK), score(mixed, QUICK))


def test_scale_and_level_of_a_unit_do_not_matter_for_its_score_nor_a_common_scale_for_the_layer(tmp_path):
    variants = keys_of(names(6))
    x = activations(variants, 10)
    exact = {"plain": x, "moved": 4 * x, "each": x * 2.0 ** torch.arange(-5.0, 5.0)}  # powers of two: no rounding
    scores = score(stored(tmp_path, variants, exact), QUICK)
    layers = {
        stage: rows.drop(columns="stage").reset_index(drop=True) for stage, rows in scores.layers.groupby("stage")
    }
    units = {stage: rows.drop(columns="stage").reset_index(drop=True) for stage, rows in scores.units.groupby("stage")}
    pd.testing.assert_frame_equal(layers["plain"], layers["moved"], rtol=1e-9)
    pd.testing.assert_frame_equal(units["plain"], units["moved"], rtol=1e-9)
    pd.testing.assert_frame_equal(units["plain"], units["each"], rtol=1e-9)
    assert not np.allclose(layers["plain"]["score"], layers["each"]["score"], rtol=1e-3)


def test_a_stage_of_units_taken_twice_has_the_same_shares(tmp_path):
    variants = keys_of(names(6))
    x = activations(variants, 10)
    scores = score(stored(tmp_path, variants, {"once": x, "twice": torch.cat([x, x], 1)}), QUICK)
    once, twice = (scores.layers[scores.layers["stage"] == stage] for stage in ("once", "twice"))
    columns = ["score", "score_low", "score_high", "share", "share_low", "share_high"]
    np.testing.assert_allclose(once[columns], twice[columns], rtol=1e-9)
    assert twice["units"].tolist() == [20] * 3


def test_the_seed_and_the_number_of_replicates_decide_stability_and_nulls_alone(tmp_path):
    variants = keys_of(names(8))
    store = stored(tmp_path, variants, {"x": activations(variants, 6)})
    one, again, other = (score(store, Scoring(replicates=40, seed=seed)) for seed in (1, 1, 2))
    compare(one, again)
    more = score(store, Scoring(replicates=400, seed=1))
    for changed in (other, more):
        for column in ("share", "share_low", "share_high"):  # the jackknife draws nothing
            np.testing.assert_array_equal(one.layers[column], changed.layers[column])
        assert not np.allclose(one.units["stability"], changed.units["stability"], rtol=1e-6)
    assert not np.allclose(one.layers["null"][:2], other.layers["null"][:2], rtol=1e-6)
    np.testing.assert_array_equal(one.layers["null"], more.layers["null"])
    steps = more.units["stability"].iloc[0] * 400
    assert steps == pytest.approx(round(steps))


# --- what must matter --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("unit", [0, 20, 39])
@pytest.mark.parametrize("order", ORDERS)
def test_a_video_that_gives_what_is_not_finite_is_left_out_whole(tmp_path, small_blocks, value, unit, order):
    """In the first, a middle or the last block; in the first or the second element of its pairs."""
    variants = keys_of(names(6))
    x = activations(variants, 40)
    broken = x.clone()
    broken[variants.index(Variant("v03", "mosaic", order)), unit] = value
    found = score(stored(tmp_path / "broken", variants, {"bad": broken, "good": x}), QUICK)
    kept = [row for row, key in enumerate(variants) if key.video != "v03"]
    without = score(stored(tmp_path / "without", [variants[row] for row in kept], {"bad": x[kept]}), QUICK)
    pd.testing.assert_frame_equal(found.layers[found.layers["stage"] == "bad"], without.layers, rtol=1e-9)
    pd.testing.assert_frame_equal(found.units[found.units["stage"] == "bad"], without.units, rtol=1e-9)
    assert found.layers["videos"].tolist() == [5] * 3 + [6] * 3
    assert "Stage bad: 1 video gives NaN or infinite activations and is left out." in found.warnings


@pytest.mark.parametrize("unit", [0, 6, 7, 20, 39])
def test_what_is_not_finite_is_found_in_every_block(tmp_path, monkeypatch, unit):
    variants = keys_of(names(6))
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 8 * len(variants) * 7)
    x = activations(variants, 40)
    x[variants.index(Variant("v03", "mosaic", "reverse")), unit] = torch.nan
    store = stored(tmp_path, variants, {"x": x})
    assert broken_videos(store, "x", 40, Design.of(store, PairRule(), {})) == {"v03"}


def test_a_stage_that_never_gives_numbers_is_named(tmp_path):
    variants = keys_of(names(3))
    x = activations(variants, 4)
    x[:, 2] = torch.nan
    with pytest.raises(UserError, match="Stage late: every video gives activations that are NaN or infinite"):
        score(stored(tmp_path, variants, {"late": x}), QUICK)


def test_equal_resamples_of_a_few_videos_are_kept_as_often_as_they_were_drawn(tmp_path, small_blocks):
    """Four videos can be drawn in 35 ways, and each is computed once."""
    variants = keys_of(names(4))
    x = activations(variants, 23)
    scores = score(stored(tmp_path, variants, {"x": x}), Scoring(replicates=200), threshold=0.4)
    layers, units = slow_scores(x.numpy(), published_pairs(variants), resamples := resample(4, 200, 0))
    sample = scores.samples["released", "x"]
    assert sample.replicates == 200
    np.testing.assert_allclose(sample.layer["score"], [layer.scores for layer in layers], rtol=1e-9)
    np.testing.assert_allclose(sample.units, units[[0, *range(201, 205)]], rtol=1e-4, atol=1e-6)
    classes = classify_units(units, 0.4)
    same = (resamples.bootstrap(classes) == classes[0]).mean(0)
    np.testing.assert_allclose(scores.units["stability"], same, atol=1e-12)


def test_moments_of_one_sequence_are_drawn_together(tmp_path):
    variants = keys_of(names(6))
    x = activations(variants, 5)
    sequences = {name: f"film {int(name[1:]) // 2}" for name in names(6)}
    scores = score(stored(tmp_path, variants, {"x": x}, sequence=sequences), QUICK)
    pairs = published_pairs(variants)
    pairs[:, 3] //= 2
    layers, _ = slow_scores(x.numpy(), pairs, resamples := resample(3, 20, 0))
    low, high = ends(resamples, np.array([layer.scores for layer in layers]), 0.95)
    np.testing.assert_allclose(scores.layers[["score_low", "score_high"]], np.c_[low, high], rtol=1e-6)
    assert scores.layers["videos"].tolist() == [3] * 3


def test_a_pair_counts_with_the_product_of_the_weights_of_its_styles(tmp_path):
    """Whole weights: as many copies of the pair."""
    variants = keys_of(names(5))
    x = activations(variants, 7)
    weights = {"ink": 2, "mosaic": 3}
    scores = score(stored(tmp_path, variants, {"x": x}), Scoring(replicates=20, style_weights=weights))
    pairs = published_pairs(variants)
    times = [weights.get(variants[a].style, 1) * weights.get(variants[b].style, 1) for a, b, _, _ in pairs]
    a, b, factor, _ = np.repeat(pairs, times, axis=0).T
    layer = released_layerwise(x[a].numpy(), x[b].numpy(), factor)
    np.testing.assert_allclose(scores.layers["score"], layer.scores, rtol=1e-9)
    expected = released_unitwise(x[a].numpy(), x[b].numpy(), factor)[:2]
    np.testing.assert_allclose(scores.units[["dynamic", "static"]].T, expected, rtol=1e-9)
    assert scores.layers["pairs"].tolist() == [5 * 3, 5 * 3 * 2, 0]


def test_pairs_of_weight_0_are_gone(tmp_path):
    variants = keys_of(names(5))
    store = stored(tmp_path, variants, {"x": activations(variants, 7)})
    scores = score(store, Scoring(replicates=20, style_weights={"chalk": 0}))
    assert scores.layers["pairs"].tolist() == [5, 5 * 2 * 2, 0]


@pytest.mark.parametrize(
    ("factors", "names_of_factors"),
    [
        ((4, -1), ["dynamic", "static", "differ", "same"]),
        ((4, 2), ["dynamic", "static", "residual", "same"]),
        ((5, 4), ["dynamic", "static", "differ", "same", "residual"]),
    ],
)
def test_more_factors(tmp_path, factors, names_of_factors):
    variants = keys_of(names(5), STYLES[:2], ORDERS[:2])
    x = activations(variants, 11)
    scores = score(
        stored(tmp_path, variants, {"x": x}),
        Scoring(PairRule(n_factors=factors[0], residual_index=factors[1]), replicates=20),
    )
    pairs = [  # rows of a video: ink, ink shuffled, mosaic, mosaic shuffled
        (4 * video + a, 4 * video + b, names_of_factors.index(name))
        for video in range(5)
        for name, a, b in [
            ("dynamic", 0, 2), ("static", 0, 1), ("static", 2, 3), ("differ", 0, 3), ("same", 0, 0), ("same", 2, 2),
        ]
        if name in names_of_factors
    ]  # fmt: skip
    a, b, factor = np.array(pairs).T
    layer = released_layerwise(x[a].numpy(), x[b].numpy(), factor, *factors)
    assert scores.layers["factor"].tolist() == names_of_factors
    np.testing.assert_allclose(scores.layers["score"], layer.scores, rtol=1e-9)
    np.testing.assert_allclose(scores.layers["share"], 100 * layer.shares, rtol=1e-9)
    expected = released_unitwise(x[a].numpy(), x[b].numpy(), factor, *factors)
    np.testing.assert_allclose(scores.units[["dynamic", "static"]].T, expected[:2], rtol=1e-9)


def test_classes_of_the_videos_reach_the_pairs(tmp_path):
    variants = keys_of("abcd", STYLES[:2], ["intact"])
    x = activations(variants, 6)
    labels = {"a": "x", "b": "x", "c": "y", "d": "y"}
    rule = PairRule(same_video=False, scrambled=False, seed=1)
    store = stored(tmp_path, variants, {"x": x}, label=labels)
    scores = score(store, Scoring(rule, replicates=20))
    assert scores.layers["pairs"].tolist() == [4, 8, 0]
    rows = {key[:3]: row for row, key in enumerate(variants)}
    dynamic = [(rows[a, "ink", "intact"], rows[b, "mosaic", "intact"]) for a, b in ("ab", "ba", "cd", "dc")]
    first, second = (x[[pair[side] for pair in dynamic]].double().numpy() for side in (0, 1))
    middle = (first.mean(0) + second.mean(0)) / 2
    spread = (((first - middle) ** 2).mean(0) + ((second - middle) ** 2).mean(0)) / 2
    with np.errstate(invalid="ignore"):
        expected = ((first - middle) * (second - middle)).mean(0) / spread
    np.testing.assert_allclose(scores.units["dynamic"], expected, rtol=1e-6)


# --- what a reader is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_videos_have_scores_and_no_intervals(tmp_path, count):
    variants = keys_of(names(count))
    scores = score(stored(tmp_path, variants, {"x": activations(variants, 6)}), QUICK)
    assert scores.layers[["score", "share"]].notna().all(axis=None)
    assert scores.layers[["score_low", "score_high", "share_low", "share_high"]].isna().all(axis=None)
    undefined = [f"{name}_{end}" for name in ("dynamic", "static") for end in ("low", "high")]
    assert scores.units[[*undefined, "stability"]].isna().all(axis=None)
    assert scores.warnings[0] == f"Too few videos ({count}) for intervals: 3 are required, 50 are better."


def test_a_stage_with_one_or_two_videos_left_has_no_intervals(tmp_path):
    variants = keys_of(names(3))
    x = activations(variants, 6)
    broken = x.clone()
    broken[0] = torch.nan
    scores = score(stored(tmp_path, variants, {"bad": broken, "good": x}), QUICK)
    assert scores.layers.groupby("stage")["share_low"].apply(lambda ends: ends.isna().all()).to_dict() == {
        "bad": True,
        "good": False,
    }
    assert (
        "Stage bad: 1 video gives NaN or infinite activations and is left out. Too few remain for intervals: 2."
    ) in scores.warnings


def test_three_videos_that_remain_are_enough_for_intervals(tmp_path):
    variants = keys_of(names(4))
    x = activations(variants, 6)
    x[0] = torch.nan
    scores = score(stored(tmp_path, variants, {"x": x}), QUICK)
    assert "Stage x: 1 video gives NaN or infinite activations and is left out." in scores.warnings
    assert scores.layers["share_low"].notna().all()


@pytest.mark.parametrize(("count", "warned"), [(3, True), (49, True), (50, False)])
def test_few_videos_are_warned_of(tmp_path, count, warned):
    variants = keys_of(names(count), STYLES[:2], ORDERS[:2])
    x = activations(variants, 3)
    x[:, 1] = torch.arange(len(x))
    scores = score(stored(tmp_path, variants, {"x": x}), QUICK)
    said = f"Few videos ({count}): intervals tend to be too narrow below 50."
    assert scores.warnings == ([said] if warned else [])
    assert scores.layers["share_low"].notna().all()


def test_a_stage_that_never_varies_says_so(tmp_path):
    variants = keys_of(names(4))
    scores = score(stored(tmp_path, variants, {"x": torch.ones(len(variants), 3)}), QUICK)
    assert scores.warnings[1:] == [
        "Stage x: 3 of 3 units are dead (they never vary).",
        "Stage x: no unit varies, so its scores are undefined.",
    ]
    assert set(scores.units["class"]) == {"dead"}
    assert scores.layers["share"].isna().all()


def test_units_that_never_vary_are_dead_and_not_called_still(tmp_path):
    variants = [Variant(name, "original", order) for name in names(4) for order in ("intact", "freeze")]
    x = torch.ones(len(variants), 3)
    scores = score_store(stored(tmp_path / "dead", variants, {"x": x}), QUICK, [NeedsMotion()])
    assert "Stage x: no unit varies, so its scores are undefined." in scores.warnings
    assert not any(NeedsMotion.if_alike in warning for warning in scores.warnings)
    x[:, 1] = torch.arange(len(x)) // 2
    scores = score_store(stored(tmp_path / "still", variants, {"x": x}), QUICK, [NeedsMotion()])
    assert f"Stage x: {NeedsMotion.if_alike}" in scores.warnings


def test_three_of_the_videos_that_lack_variants_are_named(tmp_path):
    variants = [Variant(name, "original", order) for name in names(9) for order in ("intact", "freeze")]
    variants = [key for key in variants if key.order == "intact" or key.video > "v03"]
    scores = score_store(stored(tmp_path, variants, {"x": activations(variants, 3)}), QUICK, [NeedsMotion()])
    assert "needs_motion: 4 videos lack variants and are left out: v00, v01, v02 …." in scores.warnings


def test_a_broken_video_counts_in_no_interval_over_styles(tmp_path):
    variants = keys_of(names(6))
    x = activations(variants, 4)
    broken = x.clone()
    broken[0] = torch.nan
    over_styles = Scoring(replicates=2, interval="styles")
    found = score(stored(tmp_path / "broken", variants, {"x": broken}), over_styles).layers
    rows = [row for row, key in enumerate(variants) if key.video != "v00"]
    expected = score(stored(tmp_path / "sound", [variants[row] for row in rows], {"x": x[rows]}), over_styles).layers
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_what_scoring_would_refuse_is_refused_before_anything_is_measured():
    one, two = Conditions(("ink",)), Conditions(("ink", "mosaic"))
    check_plans(keys_of(names(2), two.styles, two.orders), {}, two, QUICK, [PearsonWithin()])
    with pytest.raises(UserError, match="needs two styles or more"):
        check_plans(keys_of(names(2), one.styles, one.orders), {}, one, QUICK, [PearsonWithin()])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"confidence": 0}, "Got 1000, 0, 0 and 20"),
        ({"confidence": 1}, "Got 1000, 1, 0 and 20"),
        ({"replicates": 0}, "Got 0, 0.95, 0 and 20"),
        ({"seed": -1}, "Got 1000, 0.95, -1 and 20"),
        ({"nulls": -1}, "Got 1000, 0.95, 0 and -1"),
        ({"style_weights": {"ink": -1}}, "'ink' must be 0 or more. Got -1"),
        ({"style_weights": {"ink": np.inf}}, "'ink' must be 0 or more. Got inf"),
        ({"style_weights": {"ink": np.nan}}, "'ink' must be 0 or more. Got nan"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(UserError, match=says):
        Scoring(**options)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(UserError, match=rf"'threshold'.* must be a float in the range \[0, 1\]. Got {threshold}"):
        Released(threshold)


def test_the_ends_of_the_ranges_are_allowed():
    for options in ({"replicates": 1}, {"nulls": 0}, {"style_weights": {"ink": 0}}):
        Scoring(**options)
    assert [Released(threshold).threshold for threshold in (0, 1)] == [0, 1]


def test_the_published_protocol_is_the_default():
    scoring = Scoring()
    assert (scoring.replicates, scoring.confidence, scoring.seed, Released().threshold) == (1000, 0.95, 0, 0.5)
    assert (scoring.rule, scoring.style_weights) == (PairRule(), {})
