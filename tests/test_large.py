"""Many videos: read in parts, resampled in groups, stored in few files. That changes no number but by what is said."""

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from stores import design_of, make_store, variants_of

from static_dynamic import shards
from static_dynamic.common.errors import UserError
from static_dynamic.estimators import base, numbers, reading, released, streaming
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.design import Design
from static_dynamic.estimators.estimates import Estimates
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.estimators.streaming import dealt, is_streamed
from static_dynamic.functional import jackknife_interval, resample, resampling
from static_dynamic.functional.additive import bilinear
from static_dynamic.functional.resampling import fold_sizes
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.shards import Shards
from static_dynamic.store import Store
from static_dynamic.top_clips import top_clips
from static_dynamic.variants import Cell, Index, Variant

ALL = "needs_motion,needs_order,released,four_pair,pearson_within,gaussian_mi,copula_mi"
CELLS = [
    *(Cell(style, order) for style in ("original", "ink", "chalk") for order in ("intact", "shuffle")),
    *(Cell("original", order, 1) for order in ("intact", "shuffle")),
    *(Cell("original", "freeze", replicate) for replicate in (0, 1)),
]
STUDIED = {"styles": ["original", "ink", "chalk"], "orders": ["intact", "shuffle"]}
UNITS = 5
RUN = 4
"""Shards that are put together here."""


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Shards are put together four at a time."""
    monkeypatch.setattr(shards, "RUN", RUN)


def planted(folder, videos, shards=1, units=UNITS, **study):
    """A store of units that share content among the clips of a video; two videos in three are of one sequence."""
    g = np.random.default_rng(videos)
    content = g.normal(size=(videos, 1, units))
    x = content + np.linspace(0.3, 1, units) * g.normal(size=(videos, len(CELLS), units)) + 5
    names = [f"v{number:04d}" for number in range(videos)]
    records = {name: {"sequence": f"s{i // 3}" if i % 3 else None, "label": str(i % 2)} for i, name in enumerate(names)}
    x = x.reshape(-1, units).astype(np.float32)
    return make_store(folder, variants_of(names, CELLS), x, shards, records, **STUDIED, **study)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a handful of videos."""
    for module in (streaming, base, released):
        monkeypatch.setattr(module, "PART_VIDEOS", 7)
    monkeypatch.setattr(streaming, "RUN", 2)


# --- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1], [1] * 10, [3, 1, 2] * 20, [1] * 5000, [5000, 1, 1]])
def test_every_group_is_in_one_part(sizes):
    parts = dealt(np.array(sizes))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(sizes)))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_parts_take_their_videos_from_all_over_the_list():
    parts = dealt(np.ones(50_000, int))
    assert len(parts) == 25
    for part in parts:
        assert 1900 <= len(part) <= 2100
        assert np.histogram(part, 10, (0, 50_000))[0].min() > 64


@pytest.mark.parametrize("name", ALL.split(","))
def test_numbers_do_not_depend_on_the_parts(name, tmp_path, request):
    """Those of unrelated videos do: partners are of the same part."""
    store, estimator = planted(tmp_path, 40, 3), find_estimators(name)
    whole = score_store(store, Scoring(replicates=30), estimator)
    request.getfixturevalue("small_parts")
    assert (len(list(estimator[0].plan(design_of(store)).parts())) > 3) == (name != "copula_mi")
    parts = score_store(store, Scoring(replicates=30), estimator)
    columns = [column for column in whole.units if not column.endswith(("_p", "_q"))]
    pd.testing.assert_frame_equal(whole.units[columns], parts.units[columns], rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(
        whole.layers.drop(columns="null"), parts.layers.drop(columns="null"), rtol=1e-7, atol=1e-9
    )
    assert whole.warnings == parts.warnings
    for one, other in zip(whole.samples.values(), parts.samples.values(), strict=True):
        assert one.videos == other.videos
        for column in one.layer:
            np.testing.assert_allclose(one.layer[column], other.layer[column], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ALL.split(","))
def test_draws_of_unrelated_videos_are_those_of_plans_of_their_own(name, tmp_path):
    """Together from sums, and one after the other from the rows."""
    store = planted(tmp_path, 20)
    plan = find_estimators(name)[0].plan(design_of(store))
    part = next(iter(plan.parts()))
    x, seeds = store.stage("stage", rows=part.rows), [3, 4, 5]
    found = part.plan.strangers(x, part.plan.sums(x), seeds)
    for seed, sums in zip(seeds, found, strict=True):
        estimates = part.plan.unrelated(seed).estimates(x, np.ones((1, len(part.plan.videos))))
        np.testing.assert_allclose(part.plan.read(sums).units, estimates.units, rtol=1e-8, atol=1e-10)


def test_a_bilinear_form_is_a_sum_of_products():
    g = np.random.default_rng(0)
    x, first, second, weight = g.normal(size=(9, 3)), g.integers(0, 9, 30), g.integers(0, 9, 30), g.random(30)
    expected = sum(w * x[a] * x[b] for a, b, w in zip(first, second, weight, strict=True))
    np.testing.assert_allclose(bilinear(x, first, second, weight), expected)


# --- groups of videos --------------------------------------------------------------------------------------------


def test_many_videos_are_drawn_in_groups_and_every_fold_is_one_of_videos(monkeypatch):
    monkeypatch.setattr(resampling, "GROUPS", 40)
    resamples = resample(1003, replicates=30, seed=2, folds=20)
    assert resamples.weights.shape == (1 + 30 + 20, 40)
    assert (resamples.weights[1:31].sum(1) == 40).all()
    assert set(np.bincount(resamples.group)) == {25, 26}
    left_out = (resamples.jackknife(resamples.of_videos) == 0).sum(1)
    assert left_out.tolist() == resamples.left_out.tolist() == fold_sizes(1003, 20).tolist()
    assert (np.diff(resamples.group[:100]) != 1).any()  # dealt at random: lists are often sorted


def test_the_sizes_of_folds_are_those_of_earlier_results():
    for videos in (3, 199, 200, 3999, 4000, 4001, 123_457):
        folds = min(videos, 200)
        assert fold_sizes(videos, folds).tolist() == np.bincount(np.arange(videos) % folds).tolist()


def test_groups_vary_as_single_videos_do(monkeypatch):
    """The bootstrap's variance of a mean, from groups of a sorted list, is the usual one."""
    x = np.sort(np.random.default_rng(0).normal(size=20_000))
    resamples = resample(len(x), replicates=400)
    sums, counts = (np.bincount(resamples.group, of) for of in (x, np.ones_like(x)))
    drawn = resamples.bootstrap(resamples.weights @ sums / (resamples.weights @ counts))
    assert np.isclose(drawn.std(), x.std() / np.sqrt(len(x)), rtol=0.15)
    values = resamples.weights @ sums / (resamples.weights @ counts)
    low, high = jackknife_interval(values[0], resamples.jackknife(values), resamples.left_out)
    assert np.isclose(high - low, 2 * 1.97 * x.std() / np.sqrt(len(x)), rtol=0.25)


def test_grouped_sums_are_weighted_as_their_videos_would_be(tmp_path, monkeypatch, small_parts):
    """Every row of weights, written out for every video."""
    monkeypatch.setattr(resampling, "GROUPS", 9)
    store = planted(tmp_path, 50)
    for one in find_estimators("needs_motion,released"):
        plan = one.plan(design_of(store))
        resamples = resample(len(plan.videos), 20, 1)
        assert resamples.weights.shape[1] == 9
        found = reading.read(plan, lambda rows: store.stage("stage", slice(0, 5), rows), resamples, 0, 2)
        slow = plan.estimates(store.stage("stage"), resamples.of_videos)
        np.testing.assert_allclose(found.own.units, slow.units, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.own.parts, slow.parts, rtol=1e-9, atol=1e-12)


def test_memory_does_not_grow_with_the_videos(tmp_path, monkeypatch, small_parts):
    """What a block of units takes."""
    import tracemalloc

    monkeypatch.setattr(resampling, "GROUPS", 20)
    peaks = []
    for videos in (30, 120):
        store = planted(tmp_path / str(videos), videos, units=100)
        plan = find_estimators("released")[0].plan(design_of(store))
        resamples = resample(len(plan.videos), 20)
        rows = lambda of: store.stage("stage", slice(0, 100), of)  # noqa: B023, E731
        reading.read(plan, rows, resamples, 0, 2)
        tracemalloc.start()
        reading.read(plan, rows, resamples, 0, 2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# --- plans from outside ------------------------------------------------------------------------------------------


class Means:
    """A plan that knows nothing of parts: means over all rows, with weights of the videos."""

    quantities, pairs, incomplete = ("mean",), (0,), ()

    def __init__(self, videos):
        self.videos = videos

    def size(self, resamples):
        return 10

    def estimates(self, x, weights):
        of_videos = x.reshape(len(self.videos), -1, x.shape[1]).mean(1)
        units = (weights @ of_videos / weights.sum(1)[:, None])[:, None]
        return Estimates(units, units, np.ones_like(units))

    def unrelated(self, seed):
        return self

    def repeated(self):
        return None

    def alike(self, x):
        return False


class MeanOf(Estimator):
    name, summary, of_units = "mean_of", "The mean.", ("mean",)

    def cells(self, conditions):
        return []

    def plan(self, design):
        return Means(tuple(design.videos))


def test_a_plan_from_outside_gets_all_rows_and_the_weight_of_every_video(tmp_path, monkeypatch):
    monkeypatch.setattr(resampling, "GROUPS", 10)
    monkeypatch.setattr(numbers, "GROUPS", 10)
    store = planted(tmp_path, 30)
    scores = score_store(store, Scoring(replicates=10, nulls=2), [MeanOf()])
    np.testing.assert_allclose(scores.units["mean"], store.stage("stage").mean(0), rtol=1e-5)
    assert scores.units["mean_low"].notna().all()


def test_one_that_does_not_fit_is_told_before_memory_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Means, "size", lambda self, resamples: 10**15)
    message = r"mean_of reads all 12 videos at once and needs about 8000000\.0 GB for one unit\. .* are available"
    with pytest.raises(UserError, match=message):
        score_store(planted(tmp_path, 12), Scoring(replicates=10), [MeanOf()])


def test_pairs_across_videos_are_read_at_once_also_where_some_videos_have_none(tmp_path):
    """The only video of its class has no dynamic pair."""
    labels = {f"v{i}": {"label": "alone" if i == 3 else str(i % 2)} for i in range(9)}
    cells = [Cell(style, order) for style in ("original", "ink") for order in ("intact", "shuffle")]
    x = np.random.default_rng(0).normal(size=(36, 2))
    store = make_store(tmp_path, variants_of(list(labels), cells), x, 2, labels, **STUDIED)
    rule = PairRule(same_video=False)
    plan = find_estimators("released")[0].plan(Design.of(store, rule, {}))
    assert [part.groups.tolist() for part in plan.parts()] == [list(range(9))]
    scores = score_store(store, Scoring(rule, replicates=20, nulls=3), find_estimators("released"))
    found = plan.estimates(store.stage("stage"), np.ones((1, 9)))
    np.testing.assert_allclose(scores.units["dynamic"], found.units[0, 0], rtol=1e-9)
    assert scores.layers["null"].notna().tolist() == [True, True, False]


def test_one_that_changes_how_an_estimator_reads_is_not_cut_into_parts():
    class Own(released.PairPlan):
        def estimates(self, x, weights):
            return super().estimates(x, weights)

    assert is_streamed(released.PairPlan.__new__(released.PairPlan))
    assert not is_streamed(Own.__new__(Own))
    assert not is_streamed(Means(("a",)))


# --- keys --------------------------------------------------------------------------------------------------------


def test_an_index_gives_keys_back_and_takes_rows_in_any_order():
    keys = [Variant(*key) for key in product("cab", ("x", "y"), ("intact", "shuffle"), (0, 1))]
    mixed = [keys[i] for i in np.random.default_rng(0).permutation(len(keys))][:17]
    index = Index.of(mixed)
    assert list(index) == mixed
    assert index[2:5] == mixed[2:5]
    assert index.videos == list(dict.fromkeys(key.video for key in mixed))
    assert [index[row] for row in index.table[index.table >= 0]] != []
    for video, cell in product(range(3), range(len(index.cells))):
        row = index.table[video, cell]
        key = Variant(index.videos[video], *index.cells[cell])
        assert mixed[row] == key if row >= 0 else key not in mixed
    rows = np.array([9, 3, 12])
    assert list(index.take(rows)) == [mixed[row] for row in rows]
    assert index.take(rows).videos == list(dict.fromkeys(mixed[row].video for row in rows))
    assert (index.columns([Cell("z", "intact")]) == -1).all()
    assert list(Index.crossed(["a", "b"], CELLS)) == variants_of(["a", "b"], CELLS)


# --- shards that are put together --------------------------------------------------------------------------------


def filled(folder, count, skipped=()):
    """Shards of one video each, of which some could not be read; every number is another."""
    store = Store(folder, {"stages": {"a": [], "b": []}})
    for shard in range(count):
        add(store, shard, skipped=shard in skipped)
    return store


def add(store, shard, value=0.0, skipped=False):
    name = f"v{shard:03d}"
    x = torch.arange(6.0).reshape(2, 3) + 10 * shard + value
    keys = [Variant(name, "original", order) for order in ("intact", "shuffle")]
    record = {"video": name, "problem": "broken" if skipped else None, "label": "x"}
    found = {} if skipped else {"a": x, "b": -x[:, :1]}
    store.write(shard, [] if skipped else keys, found, [record], () if skipped else [{"J": shard + value}] * 2)


def files_of(folder):
    return sorted(path.name for path in Path(folder).glob("[0-9]*"))


def content(store):
    """All that a store says."""
    return (
        store.stage("a").tolist(),
        store.stage("b").tolist(),
        store.variants(),
        store.records(),
        store.index()["J"].tolist(),
        store.shards(),
        store.units(),
        store.details(),
    )


@pytest.mark.parametrize("skipped", [(), (0, 2), range(RUN)])
def test_a_run_of_shards_becomes_three_files_that_say_the_same(tmp_path, skipped, monkeypatch):
    together = filled(tmp_path / "one", RUN + 3, skipped)
    monkeypatch.setattr(Store, "_put_together", lambda self, shard: None)
    apart = filled(tmp_path / "two", RUN + 3, skipped)
    assert len(files_of(tmp_path / "two")) == 3 * (RUN + 3)
    assert files_of(tmp_path / "one")[:4] == [
        f"{stem}.{kind}" for stem, kind in [("00000-00003", k) for k in ("json", "parquet", "safetensors")]
    ] + ["00004.json"]
    assert len(files_of(tmp_path / "one")) == 12
    assert content(together) == content(apart) == content(Store.open(tmp_path / "one"))
    assert all(together.has(shard) for shard in range(RUN + 3))
    assert not together.has(RUN + 3)
    assert [together.records(shard) for shard in (0, 3, 4)] == [apart.records(shard) for shard in (0, 3, 4)]


def test_any_rows_and_units_can_be_read(tmp_path):
    store = filled(tmp_path, 20, (7,))
    whole, g = store.stage("a"), np.random.default_rng(0)
    for size in (0, 1, 5, 30, len(whole)):
        rows = np.sort(g.permutation(len(whole))[:size])
        units = slice(1, 3)
        np.testing.assert_array_equal(store.stage("a", units, rows).reshape(-1, 2), whole[rows][:, units])


def test_activations_of_half_precision_are_read_as_float32(tmp_path):
    from safetensors.numpy import load_file, save_file

    whole = filled(tmp_path, 2).stage("a")
    for path in tmp_path.glob("*.safetensors"):
        save_file({name: x.astype(np.float16) for name, x in load_file(path).items()}, path)
    found = Store.open(tmp_path).stage("a")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, whole)


def test_a_shard_that_is_made_again_takes_the_place_of_that_in_the_run(tmp_path):
    store = filled(tmp_path, RUN + 1)
    add(store, 2, value=0.5)
    expected = [10 * shard + (0.5 if shard == 2 else 0) for shard in range(RUN + 1)]
    for found in (store, Store.open(tmp_path)):
        assert found.stage("a")[::2, 0].tolist() == expected
        assert found.index()["J"].tolist()[4:6] == [2.5, 2.5]
        assert [key.video for key in found.variants()[::2]] == [f"v{shard:03d}" for shard in range(RUN + 1)]
        assert len(found.records()) == RUN + 1
        assert found.shards() == list(range(RUN + 1))


@pytest.mark.parametrize("kind", ["json", "parquet", "safetensors"])
def test_a_damaged_run_is_named_once_and_all_its_shards_are_made_again(tmp_path, kind):
    whole = content(filled(tmp_path, RUN + 1))
    path = tmp_path / f"00000-00003.{kind}"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"Shard 00000-00003 of .* is damaged \(00000-00003\."):
        Store.open(tmp_path).check()
    store = Store(tmp_path, {"stages": {"a": [], "b": []}})
    assert [shard for shard in range(RUN + 1) if store.has(shard)] == [RUN]
    assert len(store.damaged) == 1
    for shard in range(RUN):
        add(store, shard)
    assert content(store) == whole
    assert len(files_of(tmp_path)) == 6


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("after", range(7))
def test_whenever_a_run_is_killed_while_shards_are_put_together_nothing_is_lost(tmp_path, after, monkeypatch):
    whole = content(filled(tmp_path / "whole", RUN))
    steps = iter(range(100))

    def killed(function):
        def step(*arguments, **options):
            if next(steps) == after:
                raise Killed
            return function(*arguments, **options)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_put_together", lambda self, shard: None)
        store = filled(tmp_path / "killed", RUN)
    with monkeypatch.context() as patched:
        for name in ("_concatenate", "write_text", "write_bytes", "remove"):
            patched.setattr(shards, name, killed(getattr(shards, name)))
        with pytest.raises(Killed):
            store._put_together(RUN - 1)
    found = Store(tmp_path / "killed", {"stages": {"a": [], "b": []}})
    assert all(found.has(shard) for shard in range(RUN))
    assert content(found) == whole


def test_starting_over_removes_runs_of_shards_too(tmp_path):
    filled(tmp_path, RUN + 1)
    Store(tmp_path, {"stages": {"a": [], "b": []}}, resume=False)
    assert files_of(tmp_path) == []


def test_more_than_100000_shards_count(tmp_path):
    store = Store(tmp_path, {"stages": {"a": [], "b": []}})
    for shard in (99_999, 100_000, 123_456):
        add(store, shard)
    assert store.shards() == [99_999, 100_000, 123_456]
    assert store.stage("a")[::2, 0].tolist() == [999_990, 1_000_000, 1_234_560]
    run = Shards(tmp_path, 100_000, 100_003)
    assert run.stem == "100000-100003"
    Store(tmp_path, {"stages": {"a": [], "b": []}}, resume=False)
    assert files_of(tmp_path) == []


# --- stores of earlier versions ----------------------------------------------------------------------------------

EARLIER = Path(__file__).parent / "golden" / "store_format_1"


def test_a_store_of_format_1_is_read_and_gives_the_scores_that_it_gave():
    store = Store.open(EARLIER)
    assert store.study["format"] == 1
    assert store.shards() == [0, 1]
    assert len(store.records()) == 12
    scores = score_store(store, Scoring(replicates=100), find_estimators(ALL))
    for name in ("layers", "units"):
        expected = pd.read_csv(EARLIER / f"{name}.csv")
        found = getattr(scores, name)[list(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6, atol=1e-7, check_dtype=False)


def test_one_is_gone_on_with_and_stays_as_versions_of_its_time_can_read_it(tmp_path):
    folder = Path(shutil.copytree(EARLIER, tmp_path / "store"))
    for path in folder.glob("*.csv"):
        path.unlink()
    study = json.loads((folder / "study.json").read_text())
    store = Store(folder, {name: value for name, value in study.items() if name not in ("kind", "format")})
    assert store.has(0)
    assert store.has(1)
    assert store.study["format"] == 1
    for shard in range(RUN):
        store.write(shard, [], {}, [{"video": str(shard), "problem": "broken"}])
    assert store.shards() == list(range(RUN))
    assert not list(folder.glob("*-*"))


# --- the clips to which units respond most -----------------------------------------------------------------------


def test_top_clips_do_not_depend_on_how_many_rows_are_read_at_once(tmp_path, monkeypatch):
    from static_dynamic import top_clips as module

    store = planted(tmp_path, 40, 3)
    whole = top_clips(store)
    monkeypatch.setattr(module, "BLOCK_BYTES", 16 * UNITS * 7)
    pd.testing.assert_frame_equal(whole, top_clips(store))
    x = store.stage("stage")[:: len(CELLS), 2]
    assert whole[whole["unit"] == 2]["video"].tolist() == [f"v{i:04d}" for i in np.argsort(-x)[:3]]
