"""Factorial shares: against an analysis of variance by loops, planted components, and from rows of a store."""

import numpy as np
import pytest
from stores import design_of, make_store, variants_of

from static_dynamic.common.errors import UserError
from static_dynamic.estimators import numbers
from static_dynamic.estimators.factorial import Factorial
from static_dynamic.estimators.numbers import Resampling, Scorer
from static_dynamic.functional import classify_factors, factorial_shares, jackknife_interval, pooled_p
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.sources.video_list import VideoList
from static_dynamic.variants import Cell, Conditions, Variant, describe_video
from static_dynamic.variants.prepared import describe_clip

UNITS = 5
QUICK = Resampling(replicates=10, nulls=3)


def planted(blocks, appearances, motions, draws, variances, seed=0):
    """Units made of known components, ``(B, K, O, r, C)``; ``variances`` is ``(4, C)``: A, M, AM, N."""
    g = np.random.default_rng(seed)
    shapes = (blocks, appearances, 1, 1), (blocks, 1, motions, 1), (blocks, appearances, motions, 1)
    deviations = np.sqrt(np.asarray(variances, float))
    parts = [g.normal(size=(*shape, deviations.shape[1])) for shape in (*shapes, (blocks, appearances, motions, draws))]
    return sum(deviation * part for deviation, part in zip(deviations, parts, strict=True)) + 3


def slow(table):
    """Mean squares of one unit ``(B, K, O, r)``, clip by clip, as a textbook has them; components; shares."""
    blocks, appearances, motions, draws = table.shape
    sums = np.zeros(4)
    for block in table:
        cell = [[np.mean(block[k, o]) for o in range(motions)] for k in range(appearances)]
        row = [np.mean(cell[k]) for k in range(appearances)]
        column = [np.mean([cell[k][o] for k in range(appearances)]) for o in range(motions)]
        grand = np.mean(row)
        sums[0] += motions * sum((value - grand) ** 2 for value in row) / (appearances - 1)
        sums[1] += appearances * sum((value - grand) ** 2 for value in column) / (motions - 1)
        places = [(k, o) for k in range(appearances) for o in range(motions)]
        rest = [(cell[k][o] - row[k] - column[o] + grand) ** 2 for k, o in places]
        sums[2] += sum(rest) / ((appearances - 1) * (motions - 1))
        sums[3] += np.mean([np.var(block[k, o], ddof=1) for k, o in places])
    ms_a, ms_m, ms_am, noise = sums / blocks
    return np.array([(ms_a - ms_am) / motions, (ms_m - ms_am) / appearances, ms_am - noise / draws, noise])


VARIANCES = np.array([[1, 0, 0.3, 2, 0], [0, 1, 0.3, 1, 0], [0, 0, 1, 0.5, 0], [0.2, 0.2, 0.5, 0.1, 1]])


@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (2, 4, 3, 2), (1, 3, 2, 4), (4, 4, 4, 2)])
def test_shares_are_those_of_an_analysis_of_variance(shape):
    table = planted(*shape, VARIANCES)
    components = np.array([slow(table[..., i]) for i in range(UNITS)]).T
    found = factorial_shares(table)
    np.testing.assert_allclose(found.units, components / components.sum(0), atol=1e-12)
    np.testing.assert_allclose(found.variance, components.sum(0), rtol=1e-12)
    np.testing.assert_allclose(found.layer, components.sum(1) / components.sum(), rtol=1e-9)
    np.testing.assert_allclose(found.units.sum(0), 1)
    assert (found.units < 0).any()  # a component that is truly 0 comes out negative half of the time


@pytest.mark.parametrize(("shape", "blocks"), [((2, 2, 2), 200), ((4, 4, 2), 125)])
def test_planted_components_are_found(shape, blocks):
    truth = VARIANCES / VARIANCES.sum(0)
    found = np.array([factorial_shares(planted(blocks, *shape, VARIANCES, seed)).units for seed in range(40)])
    error = found.std(0, ddof=1) / np.sqrt(40)
    # Components are unbiased; the bias of their ratio is of the order of its variance.
    assert (np.abs(found.mean(0) - truth) < 4 * error + 2 * found.var(0)).all()
    assert np.sqrt(((found - truth) ** 2).mean()) < 0.06
    classes = [classify_factors(units).tolist() for units in found]
    for expected, got in zip(["appearance", "motion", "joint", "joint", "neither"], np.transpose(classes), strict=True):
        assert (got == expected).mean() > 0.95


def test_differences_between_blocks_count_for_nothing():
    table = planted(5, 3, 2, 2, VARIANCES)
    shifted = table + 100 * np.random.default_rng(1).normal(size=(5, 1, 1, 1, UNITS))
    np.testing.assert_allclose(factorial_shares(shifted).units, factorial_shares(table).units, atol=1e-9)


def test_dead_units_have_no_share_and_no_weight_in_the_layer():
    table = planted(6, 2, 2, 2, VARIANCES)
    alive = factorial_shares(table[..., 1:]).layer
    for level in (0.0, 0.1, 1e4):
        table[..., 0] = level * (1 + 1e-8 * np.random.default_rng(0).normal(size=table.shape[:-1]))
        found = factorial_shares(table)
        assert np.isnan(found.units[:, 0]).all()
        assert found.variance[0] == 0
        np.testing.assert_allclose(found.layer, alive, rtol=1e-13)
    assert np.isnan(factorial_shares(np.ones((2, 2, 2, 2, 1))).layer).all()


def test_a_little_more_than_rounding_counts():
    """Judged against the mean square of the clips, whatever their number: here a unit varies by 1.6e-11 of it."""
    noise = 4e-6 * np.random.default_rng(0).normal(size=(20, 2, 2, 2, 1))
    np.testing.assert_allclose(factorial_shares(1 + noise).units, factorial_shares(noise).units, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 2, 2, 3), (0, 2, 2, 2, 1), (3, 1, 2, 2, 1), (3, 2, 1, 2, 1), (3, 2, 2, 1, 1)])
def test_a_table_of_another_shape_says_so(shape):
    with pytest.raises(UserError, match=r"two or more appearances, motions and draws\. Got \(") as error:
        factorial_shares(np.zeros(shape))
    assert str(shape) in str(error.value)


def test_classes_by_total_effects():
    shares = {
        "appearance": [(0.8, 0.1, 0.0, 0.1), (0.5, 0.05, 0.1, 0.35), (0.25, 0.0, 0.0, 0.75)],
        "motion": [(0.05, 0.8, 0.05, 0.1), (0.0, 0.26, 0.0, 0.74), (0.25, 0.75, 0.0, 0.0)],
        "joint": [(0.5, 0.4, 0.0, 0.1), (0.0, 0.0, 0.7, 0.3), (0.7, 0.0, 0.3, 0.0)],
        "neither": [(0.1, 0.1, 0.04, 0.76), (0.0, 0.0, 0.0, 1.0), (0.24, 0.0, 0.0, 0.76)],
        "dead": [(np.nan, np.nan, np.nan, np.nan)],
    }
    for expected, rows in shares.items():
        assert classify_factors(np.transpose(rows)).tolist() == [expected] * len(rows)
    assert classify_factors(np.zeros((2, 4, 3))).shape == (2, 3)
    assert classify_factors([[0.5], [0.4], [0.0], [0.1]], depends=0.5).tolist() == ["appearance"]
    assert classify_factors([[0.5], [0.0], [0.0], [0.5]], explained=0.6).tolist() == ["neither"]
    for borders in ((-0.1, 0.5), (1.1, 0.5), (0.5, -0.1), (0.5, 1.1)):
        with pytest.raises(UserError, match=f"Got depends={borders[0]}, explained={borders[1]}"):
            classify_factors(np.zeros((4, 1)), *borders)
    with pytest.raises(UserError, match="Got depends=2"):
        Factorial(depends=2)
    shares = np.array([[0.5], [0.4], [0.0], [0.1]])
    assert Factorial(depends=0.5).classify(shares).tolist() == ["appearance"]
    assert Factorial(explained=0.95).classify(shares).tolist() == ["neither"]


def crossed(tmp_path, shape=(6, 3, 2, 2), leave_out=(), shuffled=True, **options):
    """A store of videos that cross both factors, in any order, and the table ``(B, K, O, r, C)``."""
    table = planted(*shape, VARIANCES).astype(np.float32)
    records = {
        f"v{number:03d}": {"factors": {"block": f"b{b}", "appearance": a, "motion": ("left", "right", "up")[m]}}
        for number, (b, a, m, _) in enumerate(np.ndindex(shape))
    }
    order = np.random.default_rng(0).permutation(len(records)) if shuffled else np.arange(len(records))
    names = [name for name in (f"v{number:03d}" for number in order) if name not in leave_out]
    x = table.reshape(-1, UNITS)[[int(name[1:]) for name in names]]
    cells = options.pop("cells", [("original", "intact")])
    store = make_store(
        tmp_path / "store", variants_of(names, cells), np.repeat(x, len(cells), 0), records=records, **options
    )
    return store, table.astype(np.float64), records


def scored(store, resampling=QUICK, one=None):
    one = one or Factorial()
    return Scorer(one, one.plan(design_of(store)), resampling).numbers(store, "stage", UNITS)


@pytest.mark.parametrize("block_bytes", [1, 2**26])
def test_the_tables_are_those_of_the_pure_function(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(numbers, "BLOCK_BYTES", block_bytes)
    store, table, _ = crossed(tmp_path, shards=3)
    found, expected = scored(store), factorial_shares(table)
    folds = [factorial_shares(np.delete(table, block, 0)) for block in range(6)]
    plan = Factorial().plan(design_of(store))
    assert sorted(plan.videos) == [f"b{number}" for number in range(6)]
    for q, name in enumerate(("appearance", "motion", "interaction", "nuisance")):
        ends = jackknife_interval(expected.units[q], [fold.units[q] for fold in folds])
        columns = found.units[[name, f"{name}_low", f"{name}_high"]].to_numpy().T
        np.testing.assert_allclose(columns, [expected.units[q], *ends], atol=1e-5)
        row = found.layer.set_index("factor").loc[name]
        ends = jackknife_interval(expected.layer[q], [fold.layer[q] for fold in folds])
        np.testing.assert_allclose(
            row[["share", "share_low", "share_high"]].astype(float),
            100 * np.array([expected.layer[q], *ends]),
            atol=1e-3,
        )
        assert row["pairs"] == 72
        assert row["videos"] == 6
    assert found.units["class"].tolist() == classify_factors(expected.units).tolist()
    assert not found.alike


def test_weights_repeat_blocks(tmp_path):
    store, table, _ = crossed(tmp_path, shuffled=False)
    times = np.array([2, 0, 1, 1, 0, 3])
    estimates = (
        Factorial().plan(design_of(store)).estimates(store.stage("stage", slice(0, UNITS)), times[None].astype(float))
    )
    expected = factorial_shares(np.repeat(table, times, 0))
    np.testing.assert_allclose(estimates.units[0], expected.units, atol=1e-6)
    np.testing.assert_allclose(estimates.parts.sum(-1)[0] / estimates.whole.sum(-1)[0], expected.layer, atol=1e-6)


def test_chance_deals_the_clips_of_a_block_anew(tmp_path):
    store, _, _ = crossed(tmp_path, shape=(20, 2, 2, 2))
    plan = Factorial().plan(design_of(store))
    x = store.stage("stage", slice(0, UNITS))
    dealt = [plan.unrelated(seed) for seed in range(30)]
    for other in dealt[:3]:
        assert other.rows.shape == plan.rows.shape
        assert (np.sort(other.rows.reshape(20, -1)) == np.sort(plan.rows.reshape(20, -1))).all()
        assert (other.rows != plan.rows).any()
    assert (dealt[0].rows != dealt[1].rows).any()
    blocks = zip(plan.rows.reshape(20, -1).tolist(), dealt[0].rows.reshape(20, -1).tolist(), strict=True)
    assert len({tuple(map(before.index, after)) for before, after in blocks}) > 10  # each in its own way
    assert (plan.unrelated(0).rows == dealt[0].rows).all()
    chance = np.array([factorial_shares(x[other.rows]).units for other in dealt])
    np.testing.assert_allclose(chance.mean((0, 2)), [0, 0, 0, 1], atol=0.05)
    assert plan.repeated() is None
    found = scored(store, Resampling(replicates=2, nulls=20))
    assert found.units["appearance_p"][0] < 0.02
    assert found.units["motion_p"][1] < 0.02
    assert found.units["interaction_p"][4] > 0.05
    assert found.units["motion_p"][4] > 0.05
    assert "nuisance_p" not in found.units
    null = found.layer.set_index("factor")["null"]
    assert np.isnan(null["nuisance"])
    assert null[:3].abs().max() < 10


def test_p_are_those_of_the_dealt_clips(tmp_path):
    from static_dynamic.common.seeds import derive_seed

    store, table, _ = crossed(tmp_path)
    plan, x = Factorial().plan(design_of(store)), store.stage("stage", slice(0, UNITS)).astype(np.float64)
    chance = [factorial_shares(x[plan.unrelated(derive_seed(0, "unrelated", draw)).rows]).units[1] for draw in range(3)]
    np.testing.assert_allclose(scored(store).units["motion_p"], pooled_p(factorial_shares(table).units[1], chance))


def test_blocks_of_another_shape_are_left_out(tmp_path):
    """A block lacks one clip, another a whole motion: they do not count, and their videos are named."""
    gone = {"v003", *(f"v{12 + 4 * a + 2 * m + draw:03d}" for a in range(3) for m in (1,) for draw in range(2))}
    store, table, records = crossed(tmp_path, leave_out=gone)
    plan = Factorial().plan(design_of(store))
    assert sorted(plan.videos) == ["b2", "b3", "b4", "b5"]
    left = {name for name, record in records.items() if record["factors"]["block"] in ("b0", "b1")} - gone
    assert {*plan.incomplete} == left
    np.testing.assert_allclose(scored(store).units["motion"], factorial_shares(table[2:]).units[1], atol=1e-5)


def test_the_commonest_shape_is_read(tmp_path):
    """Two of three blocks have two appearances, the first has three."""
    gone = [f"v{number:03d}" for block in (1, 2) for number in range(12 * block + 8, 12 * block + 12)]
    store, table, _ = crossed(tmp_path, shape=(3, 3, 2, 2), leave_out=gone)
    plan = Factorial().plan(design_of(store))
    assert sorted(plan.videos) == ["b1", "b2"]
    assert plan.rows.shape == (2, 2, 2, 2)
    np.testing.assert_allclose(scored(store).units["motion"], factorial_shares(table[1:, :2]).units[1], atol=1e-5)


def test_a_video_without_an_intact_clip_is_left_out(tmp_path):
    _, table, records = crossed(tmp_path, shape=(3, 2, 2, 2), shuffled=False)
    variants = [Variant(name, "original", "shuffle" if name == "v001" else "intact") for name in records]
    store = make_store(tmp_path / "other", variants, table.reshape(-1, UNITS), records=records)
    plan = Factorial().plan(design_of(store))
    assert plan.videos == ("b1", "b2")
    assert list(plan.incomplete) == [f"v{number:03d}" for number in range(8)]


def test_rounding_of_a_dead_unit_counts_for_nothing(tmp_path):
    store, table, _ = crossed(tmp_path, shuffled=False)
    x = table.reshape(-1, UNITS).astype(np.float32)
    x[:, 3] = 1 + 1e-7 * np.random.default_rng(0).integers(0, 2, len(x))
    estimates = Factorial().plan(design_of(store)).estimates(x, np.ones((2, 6)))
    assert np.isnan(estimates.units[..., 3]).all()
    assert (estimates.parts[..., 3] == 0).all()
    assert (estimates.whole[..., 3] == 0).all()


def test_further_draws_of_a_cell_are_left_out(tmp_path):
    """Three draws, of which every block lacks one in another cell: two remain."""
    gone = [f"v{12 * block + 2:03d}" for block in range(3)]
    store, table, _ = crossed(tmp_path, shape=(3, 2, 2, 3), leave_out=gone, shuffled=False)
    assert Factorial().plan(design_of(store)).rows.shape == (3, 2, 2, 2)
    np.testing.assert_allclose(scored(store).units["motion"], factorial_shares(table[:, :, :, :2]).units[1], atol=1e-5)


def test_one_block_has_shares_but_no_interval(tmp_path):
    store, table, _ = crossed(tmp_path, shape=(1, 3, 2, 2))
    found = scored(store)
    np.testing.assert_allclose(found.layer["share"], 100 * factorial_shares(table).layer, atol=1e-3)
    assert found.layer["share_low"].isna().all()


def test_the_clips_that_are_read_are_intact_and_as_filmed_where_there_are_some(tmp_path):
    assert Factorial().cells(Conditions(("ink",))) == [Cell("original", "intact")]
    assert Factorial().cells(Conditions(("ink",), original=False)) == [Cell("ink", "intact")]
    cells = [("ink", "intact"), ("original", "shuffle"), ("original", "intact")]
    store, _, _ = crossed(tmp_path, cells=cells)
    design = design_of(store)
    rows = Factorial().plan(design).rows
    assert {design.variants[row].cell for row in rows.ravel()} == {Cell("original", "intact")}
    styled, _, _ = crossed(tmp_path / "styled", cells=cells[:1])
    assert Factorial().plan(design_of(styled)).rows.size == 72
    other, _, _ = crossed(tmp_path / "other", cells=[("ink", "shuffle")])
    with pytest.raises(UserError, match="factorial_shares needs clips that this store does not hold: original, intact"):
        Factorial().plan(design_of(other))


def test_what_is_missing_is_one_clear_line(tmp_path):
    variants = variants_of(["a", "b"], [("original", "intact")])
    x = np.zeros((2, UNITS))
    needed = "The estimator factorial_shares needs the factors block, appearance, motion of every video; "
    for number, (factors, missing) in enumerate(
        {"{}": "'a' has no block and no appearance and no motion", "some": "'a' has no motion"}.items()
    ):
        given = {"factors": {"block": 0, "appearance": 0}} if factors == "some" else {}
        store = make_store(tmp_path / str(number), variants, x, records={"a": given})
        with pytest.raises(UserError) as error:
            Factorial().plan(design_of(store))
        assert (
            str(error.value)
            == f"{needed}{missing}. Give crossed clips, 'factorial:200x2x2x2', or a list of videos with these columns, see docs/data.md."
        )
    crossed_once, _, _ = crossed(tmp_path, shape=(3, 2, 2, 1), shuffled=False)
    with pytest.raises(
        UserError, match=r"Block 'b0' has 2 x 2 x 1 \(appearances x motions x draws of the rarest cell\)"
    ):
        Factorial().plan(design_of(crossed_once))
    not_crossed, _, _ = crossed(tmp_path / "one", shape=(3, 1, 3, 2), shuffled=False)
    with pytest.raises(UserError, match="Block 'b0' has 1 x 3 x 2"):
        Factorial().plan(design_of(not_crossed))


def test_a_list_of_videos_names_factors_and_records_keep_them(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("path,Motion,block,appearance\na.mp4,left,3,red\nb.mp4,,,\n")
    first, second = VideoList(tmp_path / "list.csv").videos
    assert first == Video("a.mp4", details={"block": "3", "appearance": "red", "motion": "left"})
    assert second == Video("b.mp4")
    (tmp_path / "wrong.csv").write_text("path,apearance\na.mp4,red\n")
    with pytest.raises(UserError, match="appearance"):
        VideoList(tmp_path / "wrong.csv")

    clip = Clip(np.zeros((2, 4, 4, 3), np.uint8), Recipe(frames=2).sample(2), "a.mp4", total=2, fps=None)
    record = describe_clip(first, clip)
    assert record["factors"] == first.details
    assert describe_video(first) == {"video": "a.mp4", "label": None, "sequence": None, "factors": first.details}
    plain = describe_clip(Video("b.mp4", details={"frames": 3}), clip)
    assert list(plain) == ["video", "label", "sequence", "source", "total", "fps", "frames", "seconds", "problem"]
