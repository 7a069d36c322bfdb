"""The estimator layer: from rows of a store to tables of layers and units, each derived a second time by loops."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from stores import design_of, make_store, variants_of

from static_dynamic.common.errors import UserError
from static_dynamic.common.registry import Registry
from static_dynamic.estimators import base, numbers, registry
from static_dynamic.estimators import samples as samples_module
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.needs_motion import NeedsMotion, NeedsOrder
from static_dynamic.estimators.numbers import Resampling, Sample, Scorer
from static_dynamic.estimators.registry import describe_estimator, estimator, find_estimators
from static_dynamic.estimators.samples import read_samples, samples_as_bytes
from static_dynamic.functional import false_discovery, jackknife_interval, needs_motion, pooled_p, resample
from static_dynamic.functional.needs_motion import classify_motion
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.variants import Cell, Conditions, Variant

CELLS = [("original", order, again) for again in (0, 1) for order in ("intact", "freeze")]
UNITS = 7
QUICK = Resampling(replicates=30, nulls=3)


def names(count):
    return [f"v{number:02d}" for number in range(count)]


def activations(videos, seed=0):
    """Still + motion + noise, video by video in the order of CELLS; unit 2 is dead, unit 4 noise, unit 5 motion."""
    g = np.random.default_rng(seed)
    still, motion = g.gamma(2, size=(videos, 1, UNITS)), g.gamma(1, size=(videos, 1, UNITS)) * np.linspace(0, 2, UNITS)
    x = np.concatenate([still + motion, still, still + motion, still], 1) + 0.3 * g.normal(size=(videos, 4, UNITS))
    x[..., 2] = 1
    x[..., 4] = g.normal(size=(videos, 4))
    x[..., 5] -= still[..., 5]
    return x.astype(np.float32)


def stored(tmp_path, videos=12, cells=CELLS, **options):
    x = activations(videos)[:, : len(cells)]
    variants = variants_of(names(videos), cells)
    return make_store(tmp_path / "store", variants, x.reshape(-1, UNITS), **options), x.astype(np.float64)


def scored(store, one=None, resampling=QUICK):
    one = one or NeedsMotion()
    return Scorer(one, one.plan(design_of(store)), resampling).numbers(store, "stage", UNITS)


def pure(x):
    return needs_motion(*(x[:, cell] for cell in range(x.shape[1])))


def uncut(x):
    """Numbers of units before they are cut to 0..1."""
    found = {"motion": [], "reliability": []}
    for z, f, z2, f2 in np.moveaxis(x, 2, 0).transpose(0, 2, 1):
        v, again, frozen = (np.cov(a, b)[0, 1] for a, b in ((z, z), (z, z2), (f, f2)))
        c = np.mean([np.cov(a, b)[0, 1] for a in (z, z2) for b in (f, f2)])
        defined = v > 0 and again > 0
        found["motion"].append(1 - c * abs(c) / (again * max(frozen, 0.02 * v)) if defined else np.nan)
        found["reliability"].append(again / v if v > 0 else np.nan)
    return found


def without(x, groups, group):
    return x[[number != group for number in groups]]


@pytest.mark.parametrize("block_bytes", [1, 2**26])
@pytest.mark.parametrize("shards", [1, 4])
def test_the_tables_are_those_of_the_pure_function(tmp_path, monkeypatch, block_bytes, shards):
    """Also where units come one by one, and videos lie in several shards."""
    monkeypatch.setattr(numbers, "BLOCK_BYTES", block_bytes)
    store, x = stored(tmp_path, shards=shards)
    found, expected = scored(store), pure(x)
    folds = [pure(without(x, range(12), video)) for video in range(12)]

    units = found.units
    assert units["unit"].tolist() == list(range(UNITS))
    assert set(units["stage"]) == {"stage"}
    assert set(units["estimator"]) == {"needs_motion"}
    np.testing.assert_allclose(units["motion"], expected.units, atol=1e-6)
    np.testing.assert_allclose(units["reliability"], expected.reliability, atol=1e-6)
    whole, parts = uncut(x), [uncut(without(x, range(12), video)) for video in range(12)]
    for name in ("motion", "reliability"):
        low, high = jackknife_interval(whole[name], [part[name] for part in parts])
        np.testing.assert_allclose(units[f"{name}_low"], np.clip(low, 0, 1), atol=1e-5)
        np.testing.assert_allclose(units[f"{name}_high"], np.clip(high, 0, 1), atol=1e-5)
    assert units["class"].tolist() == classify_motion(expected.units, expected.reliability).tolist()
    assert units["class"][2] == "dead"
    assert units["class"][4] == "unreliable"

    draws = resample(12, QUICK.replicates, QUICK.seed).weights[1 : 1 + QUICK.replicates].astype(int)
    drawn = [pure(np.repeat(x, times, 0)) for times in draws]
    classes = np.array([classify_motion(one.units, one.reliability) for one in drawn])
    np.testing.assert_allclose(units["stability"], (classes == units["class"].to_numpy()).mean(0))

    layer = found.layer.set_index("factor")
    assert list(layer.index) == ["motion", "reliability"]
    assert (layer[["units", "pairs", "videos"]] == [UNITS, 12, 12]).all().all()
    np.testing.assert_allclose(layer.loc["motion", "share"], 100 * expected.layer, rtol=1e-5)
    ends = jackknife_interval(expected.layer, [fold.layer for fold in folds], bounded=True)
    np.testing.assert_allclose(
        layer.loc["motion", ["share_low", "share_high"]].astype(float), 100 * np.array(ends), rtol=1e-4
    )

    def reproducible(one, rows):
        variance = rows[:, 0].var(0, ddof=1)
        return np.nansum(one.reliability * variance) / variance.sum()

    share = [
        reproducible(one, rows)
        for one, rows in [(expected, x), *((f, without(x, range(12), v)) for v, f in enumerate(folds))]
    ]
    np.testing.assert_allclose(layer.loc["reliability", "share"], 100 * share[0], rtol=1e-5)
    low, high = jackknife_interval(share[0], share[1:], bounded=True)
    np.testing.assert_allclose(layer.loc["reliability", "share_low"], 100 * low, rtol=1e-4)
    assert not found.alike


def test_a_unit_at_a_bound_has_an_interval_of_some_width(tmp_path):
    """Units that are still by construction: many are cut to 0, and their intervals hold 0 all the same."""
    g = np.random.default_rng(0)
    still = g.normal(size=(30, 1, 200))
    x = (still + 0.3 * g.normal(size=(30, 4, 200))).astype(np.float32)
    store = make_store(tmp_path, variants_of(names(30), CELLS), x.reshape(-1, 200))
    one = NeedsMotion()
    units = Scorer(one, one.plan(design_of(store)), QUICK).numbers(store, "stage", 200).units
    at_bound = units["motion"] == 0
    assert 0.2 < at_bound.mean() < 0.8
    assert (units["motion_low"] <= units["motion"]).all()
    assert (units["motion_high"] >= units["motion"]).all()
    assert (units["motion_low"] == 0).mean() > 0.93
    assert (units["motion_high"][at_bound] > 0).mean() > 0.9


def test_both_ends_of_an_interval_stay_in_their_range(tmp_path):
    """A unit that turns its sign when frozen needs motion, beyond doubt; and one that does not does not."""
    z = np.random.default_rng(0).normal(size=(30, 1, 1)) * [[[1, 1], [-1, 1], [1.01, 1.01], [-1, 1.01]]]
    store = make_store(tmp_path, variants_of(names(30), CELLS), z.reshape(-1, 2).astype(np.float32))
    one = NeedsMotion()
    units = Scorer(one, one.plan(design_of(store)), QUICK).numbers(store, "stage", 2).units
    assert units["motion_low"][0] == units["motion_high"][0] == 1
    assert units["reliability_low"][0] == units["reliability_high"][0] == 1
    np.testing.assert_allclose(units[["motion_low", "motion_high"]].iloc[1], 0, atol=1e-5)


def test_what_is_kept_for_comparisons(tmp_path):
    store, x = stored(tmp_path, videos=6)
    sample = scored(store).sample
    assert sample.videos == tuple(names(6))
    assert sample.replicates == QUICK.replicates
    assert sample.units.dtype == np.float32
    assert sample.units.shape == (1 + 6, 2, UNITS)
    assert sample.layer["share"].shape == (1 + QUICK.replicates + 6, 2)
    np.testing.assert_allclose(sample.layer["share"][0, 0], 100 * pure(x).layer, rtol=1e-5)
    np.testing.assert_allclose(sample.layer["share"][-1, 0], 100 * pure(x[:-1]).layer, rtol=1e-5)
    np.testing.assert_allclose(sample.units[-1, 1], pure(x[:-1]).reliability, rtol=1e-5)
    times = resample(6, QUICK.replicates, QUICK.seed).weights[5].astype(int)
    np.testing.assert_allclose(sample.layer["share"][5, 0], 100 * pure(np.repeat(x, times, 0)).layer, rtol=1e-4)


def test_sequences_are_drawn_as_a_whole(tmp_path):
    """Ten moments of six sequences: a fold leaves out a sequence, and the sample is named after them."""
    of = ["a", "b", "a", "c", "d", "d", "e", "f", "a", "c"]
    records = {name: {"sequence": sequence} for name, sequence in zip(names(10), of, strict=True)}
    store, x = stored(tmp_path, videos=10, records=records, shards=3)
    found = scored(store)
    assert found.sample.videos == tuple("abcdef")
    layer = found.layer.iloc[0]
    assert layer["videos"] == 6
    assert layer["pairs"] == 10
    folds = [pure(without(x, of, sequence)).layer for sequence in "abcdef"]
    ends = jackknife_interval(pure(x).layer, folds, bounded=True)
    np.testing.assert_allclose(layer[["share_low", "share_high"]].astype(float), 100 * np.array(ends), rtol=1e-4)
    plan = NeedsMotion().plan(design_of(store))
    for seed in range(5):
        assert all(of[partner] != mine for mine, partner in zip(of, plan.unrelated(seed).partner, strict=True))
    dropped = NeedsMotion().plan(design_of(store).without(["v00"]))
    assert sorted(dropped.videos) == list("abcdef")


def test_unrelated_videos_give_what_is_chance(tmp_path):
    store, x = stored(tmp_path, videos=40)
    found = scored(store, resampling=Resampling(replicates=2, nulls=4, seed=3))
    one = NeedsMotion()
    plan = one.plan(design_of(store))
    chance, layers = [], []
    for draw in range(4):
        partner = plan.unrelated(base_seed(3, draw)).partner
        assert sorted(partner) == list(range(40))
        assert (partner != np.arange(40)).all()
        z, z2 = x[:, 0], x[partner, 2]
        covariance = [np.cov(z[:, i], z2[:, i])[0, 1] for i in range(UNITS)]
        variance = z.var(0, ddof=1)
        with np.errstate(invalid="ignore"):
            chance.append(np.where(variance > 0, covariance / variance, np.nan))
        layers.append(np.sum(covariance) / variance.sum())
    p = pooled_p(pure(x).reliability, chance)
    np.testing.assert_allclose(found.units["reliability_p"], p, atol=1e-12)
    np.testing.assert_allclose(found.units["reliability_q"], false_discovery(p), atol=1e-12)
    assert (found.units["reliability_q"].dropna() > found.units["reliability_p"].dropna()).any()
    assert "motion_p" not in found.units
    layer = found.layer.set_index("factor")
    assert np.isnan(layer.loc["motion", "null"])
    assert layer.loc["reliability", "null"] == pytest.approx(100 * np.mean(layers), abs=1e-4)
    assert "ceiling" not in layer


def base_seed(seed, draw):
    from static_dynamic.common.seeds import derive_seed

    return derive_seed(seed, "unrelated", draw)


def test_partners_are_of_another_group():
    group = np.array([0, 0, 1, 2, 2, 2, 3])
    seen = set()
    for seed in range(30):
        partner = base.others(group, seed)
        assert (group[partner] != group).all()
        # All members of a group have partners of one group, and different ones as long as there are some.
        assert group[partner[0]] == group[partner[1]]
        assert len({*partner[3:6]}) == min(3, (group == group[partner[3]]).sum())
        seen.add(tuple(partner))
    assert len(seen) > 5
    assert (base.others(group, 1) == base.others(group, 1)).all()


def test_without_replicates_noise_is_not_taken_out(tmp_path):
    store, x = stored(tmp_path, cells=CELLS[:2])
    found = scored(store)
    np.testing.assert_allclose(found.units["motion"], pure(x[:, :2]).units, atol=1e-6)
    assert found.layer["share"][0] == pytest.approx(100 * pure(x[:, :2]).layer)
    assert found.layer["share"][1] == 100


def test_stills_are_noticed(tmp_path):
    x = activations(8)[:, :2]
    x[:, 1] = x[:, 0]
    store = make_store(tmp_path, variants_of(names(8), CELLS[:2]), x.reshape(-1, UNITS))
    found = scored(store)
    assert found.alike
    assert found.layer["share"][0] == pytest.approx(0, abs=1e-9)
    assert (found.units["class"].drop(2) == "still").all()


def test_stills_are_said_of_an_estimator_without_classes_too(tmp_path):
    class Mine(NeedsMotion):
        name, classes = "mine", ()

    x = activations(8)[:, :2]
    x[:, 1] = x[:, 0]
    store = make_store(tmp_path, variants_of(names(8), CELLS[:2]), x.reshape(-1, UNITS))
    said = score_store(store, Scoring(replicates=20), [Mine()]).warnings
    assert f"Stage stage: {NeedsMotion.if_alike}" in said


@pytest.mark.parametrize("block_bytes", [1, 2**26])
@pytest.mark.parametrize(("change", "alike"), [(1e-6, True), (1e-3, False)])
def test_rounding_is_no_difference(tmp_path, monkeypatch, change, alike, block_bytes):
    """A difference in one unit counts, also where units come one by one."""
    monkeypatch.setattr(numbers, "BLOCK_BYTES", block_bytes)
    x = activations(8)[:, :2]
    x[:, 1] = x[:, 0]
    x[3, 1, 1] += change * np.abs(x).max()
    assert scored(make_store(tmp_path, variants_of(names(8), CELLS[:2]), x.reshape(-1, UNITS))).alike == alike


def test_two_videos_have_no_numbers_and_three_have(tmp_path):
    for videos in (2, 3):
        store, _ = stored(tmp_path / str(videos), videos=videos)
        found = scored(store)
        defined = videos == 3
        assert np.isfinite(found.layer["share"]).all() == defined
        assert np.isfinite(found.units["motion"][[0, 1]]).all() == defined
        assert np.isfinite(found.layer["share_low"]).all() == defined
        assert ("reliability_p" in found.units) == defined


def test_the_cells_that_are_compared(tmp_path):
    """Replicates first, as filmed first; then styles in the order of the study."""
    conditions = Conditions(("ink", "mosaic"), original=False)
    assert NeedsMotion().cells(Conditions(("ink",))) == [Cell(*cell) for cell in CELLS]
    assert {cell.style for cell in NeedsMotion().cells(conditions)} == {"ink"}
    assert {cell.style for cell in NeedsMotion(style="mosaic").cells(conditions)} == {"mosaic"}
    assert [cell.order for cell in NeedsOrder().cells(conditions)] == ["intact", "shuffle"] * 2

    def compared(cells, one=None, videos="abc"):
        return (one or NeedsMotion()).compared(Design(variants_of(videos, cells), {}, ("ink", "mosaic"), ()))

    ink, mosaic = ([(style, *cell[1:]) for cell in CELLS] for style in ("ink", "mosaic"))
    assert compared([*ink, *CELLS]) == CELLS
    assert compared([*mosaic, *ink]) == ink
    assert compared([*ink, *CELLS[:2]]) == ink
    assert compared([*ink[:2], *CELLS[:2]]) == CELLS[:2]
    assert compared([*ink, *mosaic], NeedsMotion(style="mosaic")) == mosaic
    assert compared([("other", "intact", 0)]) == CELLS


def test_a_video_that_lacks_a_cell_is_left_out(tmp_path):
    x = activations(6)
    variants = variants_of(names(6), CELLS)
    keep = [row for row, key in enumerate(variants) if key != Variant("v02", "original", "freeze", 1)]
    store = make_store(tmp_path, [variants[row] for row in keep], x.reshape(-1, UNITS)[keep])
    plan = NeedsMotion().plan(design_of(store))
    assert plan.incomplete == ["v02"]
    assert plan.videos == ("v00", "v01", "v03", "v04", "v05")
    found = scored(store)
    assert found.layer["share"][0] == pytest.approx(100 * pure(np.delete(x, 2, 0).astype(float)).layer)


def test_videos_can_be_dropped(tmp_path):
    store, x = stored(tmp_path, videos=6)
    design = design_of(store).without(["v01"]).without(["v04"])
    assert design.videos == ["v00", "v02", "v03", "v05"]
    one = NeedsMotion()
    found = Scorer(one, one.plan(design), QUICK).numbers(store, "stage", UNITS)
    assert found.layer["share"][0] == pytest.approx(100 * pure(np.delete(x, [1, 4], 0)).layer)


def test_clips_that_a_store_lacks_are_one_clear_line(tmp_path):
    store, _ = stored(tmp_path)
    with pytest.raises(UserError) as error:
        NeedsOrder().plan(design_of(store))
    assert str(error.value) == (
        "The estimator needs_order needs clips that this store does not hold: original, shuffle; original, shuffle, "
        "replicate 1. Measure again with `estimators='needs_order'`."
    )
    cells = [Cell("ink", "intact"), Cell("ink", "freeze")]
    split = [Variant("a", *cells[0]), Variant("b", *cells[1])]
    with pytest.raises(UserError, match=r"^mine: no video was measured in all of ink, intact; ink, freeze\.$"):
        Design(split, {}, ("ink",), ()).table(cells, "mine")
    many = [Cell(str(number), "intact") for number in range(6)]
    with pytest.raises(UserError, match=r"does not hold: 0, intact; 1, intact; 2, intact; 3, intact …\. Measure"):
        Design(split, {}, ("ink",), ()).table(many, "mine")


def test_a_design_takes_styles_and_orders_from_the_study_or_the_rows(tmp_path):
    store, _ = stored(tmp_path)
    assert design_of(store).styles == ("original",)
    assert design_of(store).orders == ("intact", "freeze")
    told, _ = stored(tmp_path / "told", styles=["ink"], orders=["intact", "shuffle"])
    assert design_of(told).styles == ("ink",)
    assert design_of(told).orders == ("intact", "shuffle")


def test_needs_order_has_names_of_its_own(tmp_path):
    x = activations(9)
    cells = [(style, order.replace("freeze", "shuffle"), again) for style, order, again in CELLS]
    store = make_store(tmp_path, variants_of(names(9), cells), x.reshape(-1, UNITS))
    found = scored(store, NeedsOrder())
    same = Scorer(NeedsMotion(), replace(NeedsOrder().plan(design_of(store)), estimator=NeedsMotion()), QUICK)
    other = same.numbers(store, "stage", UNITS).units["class"]
    renamed = dict(zip(NeedsMotion.classes, NeedsOrder.classes, strict=True))
    assert found.units["class"].tolist() == [renamed[name] for name in other]
    assert {"still", "motion"} & {*other}
    np.testing.assert_allclose(found.units["order"], pure(x.astype(float)).units, atol=1e-6)


def test_borders_are_checked_when_they_are_given():
    with pytest.raises(UserError, match=r"Got still=0\.9, motion=0\.75"):
        NeedsMotion(still=0.9)
    assert NeedsMotion(reliable=0).classify(np.array([[0.1], [0.1]])).tolist() == ["still"]
    assert NeedsOrder(still=0).classify(np.array([[0.1], [0.9]])).tolist() == ["mixed"]


def test_blocks_cover_all_units_within_the_memory(monkeypatch):
    monkeypatch.setattr(numbers, "BLOCK_BYTES", 8 * 30)
    assert list(numbers.blocks(7, 10)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(numbers.blocks(2, 1000)) == [slice(0, 1), slice(1, 2)]


def test_estimators_are_found_by_name():
    assert [one.name for one in find_estimators(None)] == list(registry.HEADLINE)
    assert [one.name for one in find_estimators("needs_order, released")] == ["needs_order", "released"]
    mine = NeedsMotion(still=0.1)
    assert find_estimators(mine) == (mine,)
    assert find_estimators(["released", mine])[1] is mine
    assert find_estimators(NeedsOrder) == (NeedsOrder(),)
    assert find_estimators([NeedsOrder, "needs_motion"])[0] == NeedsOrder()
    for wrong, message in {
        "needs_mtion": "needs_motion",
        "needs_motion,needs_motion": "needs_motion is listed twice",
        (): "At least one estimator is required: needs_motion, needs_order, ",
        5: "An estimator is a name or an Estimator. Got 5",
        (NeedsMotion(), "needs_motion"): "needs_motion is listed twice",
        (None,): "Got None",
    }.items():
        with pytest.raises(UserError, match=message):
            find_estimators(wrong)


def test_every_built_in_estimator_says_what_it_is():
    found = registry.estimators()
    assert {*registry.HEADLINE} <= {*found}
    modules = list(dict.fromkeys(kind.__module__.rpartition(".")[2] for kind in found.values()))
    assert modules[: len(registry.BUILT_IN)] == list(registry.BUILT_IN)  # in this order, whichever was loaded first
    for name, kind in found.items():
        said = describe_estimator(kind())
        assert said["name"] == name == kind.name
        assert said["summary"].endswith(".")
        assert said["title"] or not kind.__module__.startswith("static_dynamic.")
        assert said["column"] == ("share" if kind.scale == "percent" else "score")
        assert {*kind().tested} <= {*kind().of_units}
    assert describe_estimator(NeedsMotion(still=0.1)) == {
        "name": "needs_motion",
        "title": "Needs motion",
        "axis": "needs motion,\n% of what units tell about the clip",
        "summary": NeedsMotion.summary,
        "scale": "percent",
        "column": "share",
        "classes": ["still", "mixed", "motion", "unreliable", "dead"],
        "options": {"style": None, "still": 0.1, "motion": 0.75, "reliable": 0.5},
    }


def test_a_name_belongs_to_one_class(monkeypatch):
    monkeypatch.setattr(registry, "registered", Registry("estimator"))

    @estimator
    @dataclass(frozen=True)
    class Mine(NeedsMotion):
        name = "mine"

    assert registry.estimators() == {"mine": Mine}
    assert estimator(Mine) is Mine  # a module that is loaded again
    with pytest.raises(UserError, match="'mine'"):
        estimator(type("Other", (NeedsMotion,), {"name": "mine"}))
    assert registry.estimators() == {"mine": Mine}


def test_a_title_is_not_inherited():
    class Mine(NeedsMotion):
        name = "mine"

    assert describe_estimator(Mine())["title"] == describe_estimator(Mine())["axis"] == ""


def test_samples_survive_a_file():
    g = np.random.default_rng(0)
    samples = {
        ("needs_motion", f"stage {number}"): Sample(
            ("a", "ü", "c,d"),
            4,
            {"share": g.normal(size=(8, 2)), "score": g.normal(size=(8, 2))},
            g.normal(size=(4, 2, number + 1)).astype(np.float32),
            {"share": g.normal(size=(number % 3, 2))} if number % 3 else {},
        )
        for number in range(12)
    }
    back = read_samples(samples_as_bytes(samples))
    assert list(back) == list(samples)
    for key, sample in samples.items():
        assert back[key].videos == sample.videos
        assert back[key].replicates == 4
        assert {*back[key].layer} == {"share", "score"}
        assert {*back[key].fewer_styles} == {*sample.fewer_styles}
        for column, values in sample.fewer_styles.items():
            np.testing.assert_array_equal(back[key].fewer_styles[column], values)
        for column, values in sample.layer.items():
            np.testing.assert_array_equal(back[key].layer[column], values)
        np.testing.assert_array_equal(back[key].units, sample.units)
        assert back[key].units.dtype == np.float32
    assert read_samples(samples_as_bytes({})) == {}


def test_names_of_many_videos_are_stored_once(monkeypatch):
    monkeypatch.setattr(samples_module, "MOST_NAMES", 3)
    layer, units = {"share": np.zeros((4, 2))}, np.zeros((2, 1, 3), np.float32)
    few, many = ("a", "b", "ü"), ("a", "b", "c", "ü")
    given = {("one", str(n)): Sample(names, 1, layer, units) for n, names in enumerate((many, few, many))}
    content = samples_as_bytes(given)
    assert content.count(b'"c"') == 1
    assert [sample.videos for sample in read_samples(content).values()] == [many, few, many]


def test_a_sample_knows_how_many_videos_each_jackknife_row_leaves_out():
    sample = Sample(tuple("abcde"), 2, {}, np.zeros((1 + 3, 1, 1), np.float32))
    assert sample.left_out.tolist() == [2, 2, 1]


def test_a_file_that_holds_no_samples_says_so():
    from safetensors.numpy import save

    whole = samples_as_bytes({("a", "b"): Sample(("v",), 1, {}, np.zeros((2, 1, 3), np.float32))})
    told = {"samples": '[["a", "b", ["v"], 1]]'}
    for content in (
        b"",
        b"nothing",
        whole[:-4],
        save({}),
        save({}, told),
        save({}, {"samples": "[1]"}),
        b"\2" + bytes(7) + b"[]",
    ):
        with pytest.raises(ValueError, match="the numbers on resamples cannot be read"):
            read_samples(content)
