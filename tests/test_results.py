"""Results and their summaries: what is saved comes back, and every mean is taken by hand a second time."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.report.tables import (
    class_shares,
    factor_numbers,
    in_order,
    number,
    quality_means,
    with_interval,
)
from static_dynamic.results import Result, load

STAGES = ("late", "early", "10", "9")
FACTORS = ("dynamic", "static", "residual")
CLASSES = ("dynamic", "static", "joint", "residual", "dead")


@pytest.fixture
def result():
    g = np.random.default_rng(0)
    keys = pd.DataFrame(list(product(STAGES, FACTORS)), columns=["stage", "factor"])
    layers = keys.assign(estimator="released", share=g.uniform(0, 100, len(keys)), dims=g.integers(0, 9, len(keys)))
    columns = {
        "unit": [*range(7), *range(5), *range(3), 0],
        "estimator": "released",
        "class": g.choice(CLASSES[:4], 16),
    }
    units = pd.DataFrame({"stage": np.repeat(STAGES, [7, 5, 3, 1]), **columns})
    return Result(layers, units, {"study": {"seed": 3}, "left_out": [["a", "b"]]}, ["Mind the gap."])


def test_stages_and_factors_come_in_the_order_of_the_study(result):
    assert result.stages == list(STAGES)
    assert result.factors == list(FACTORS)
    assert in_order(pd.DataFrame({"x": ["b", "a", "b", "c", "a"]}), "x") == ["b", "a", "c"]


def test_shares_are_those_of_the_table(result):
    shares = result.shares()
    assert list(shares.index) == list(STAGES)
    assert list(shares.columns) == list(FACTORS)
    for row in result.layers.itertuples():
        assert shares.loc[row.stage, row.factor] == row.share
    pd.testing.assert_frame_equal(shares, factor_numbers(result.layers))


def test_classes_are_shares_of_the_units_of_their_stage_and_all_five_are_there(result):
    shares = result.classes()
    assert list(shares.index) == list(STAGES)
    assert list(shares.columns) == list(CLASSES)
    for stage, name in product(STAGES, CLASSES):
        classes = result.units.loc[result.units["stage"] == stage, "class"].tolist()
        assert shares.loc[stage, name] == pytest.approx(100 * classes.count(name) / len(classes))
    assert (shares["dead"] == 0).all()
    pd.testing.assert_frame_equal(shares, class_shares(result.units))


@pytest.mark.parametrize("judged", [False, True])
def test_a_result_comes_back_as_it_was_saved(result, tmp_path, judged):
    quality = pd.DataFrame(
        {"video": ["a", "b"], "sequence": [None, "s"], "style": "1", "order": "intact", "J": [0.5, np.nan]}
    )
    saved = Result(result.layers, result.units, result.manifest, result.warnings, quality if judged else None)
    folder = saved.save(tmp_path / "deep" / "run")
    names = {"layers.parquet", "layers.csv", "units.parquet", "samples.safetensors", "run.json"} | (
        {"quality.csv"} if judged else set()
    )
    assert {path.name for path in folder.iterdir()} == names
    loaded = load(folder)
    pd.testing.assert_frame_equal(loaded.layers, result.layers)
    pd.testing.assert_frame_equal(loaded.units, result.units)
    assert loaded.manifest == result.manifest
    assert loaded.warnings == result.warnings
    described = json.loads((folder / "run.json").read_text())
    assert described == {"kind": "measurement", "format": 2, **result.manifest, "warnings": ["Mind the gap."]}
    pd.testing.assert_frame_equal(pd.read_csv(folder / "layers.csv", dtype={"stage": str}), result.layers)
    if not judged:
        assert loaded.quality is None
        return
    assert list(pd.read_csv(folder / "quality.csv").columns) == list(quality.columns)
    np.testing.assert_array_equal(loaded.quality["J"], quality["J"])
    assert loaded.quality["sequence"].isna().tolist() == [True, False]


def test_a_result_takes_the_place_of_an_older_one_and_of_nothing_else(result, tmp_path):
    result.save(tmp_path)
    result.save(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "training run"}')
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match="describes a training run, not a measurement"):
        Result(result.layers[:1], result.units).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("missing", ["run.json", "layers.parquet", "units.parquet"])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_result_that_is_not_whole_is_one_line(result, tmp_path, missing, how):
    path = result.save(tmp_path) / missing
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="No result can be read from") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


# --- several estimators ------------------------------------------------------------------------------------------


@pytest.fixture
def several():
    """Needs-motion, whose share is undefined in one stage, and the published score."""
    keys = {"stage": "a", "units": 4}
    layers = [
        {**keys, "estimator": "needs_motion", "factor": "motion", "share": np.nan, "twin": 3.0},
        *({**keys, "estimator": "released", "factor": f, "score": 0.5, "share": 20.0, "dims": 1} for f in FACTORS),
    ]
    units = [
        {"stage": "a", "unit": 0, "estimator": "needs_motion", "motion": np.nan, "class": "dead"},
        {"stage": "a", "unit": 0, "estimator": "released", "dynamic": 0.9, "static": np.nan, "class": "odd"},
    ]
    return Result(pd.DataFrame(layers), pd.DataFrame(units))


def test_the_table_of_an_estimator_has_its_own_columns_even_where_they_are_undefined(several):
    assert several.estimators == ["needs_motion", "released"]
    assert list(several.layer().columns) == ["stage", "units", "estimator", "factor", "share", "twin"]
    assert list(several.layer("released").columns) == [
        "stage", "units", "estimator", "factor", "share", "score", "dims",
    ]  # fmt: skip
    assert list(several.unit("needs_motion").columns) == ["stage", "unit", "estimator", "motion", "class"]
    assert list(several.unit("released").columns) == ["stage", "unit", "estimator", "class", "dynamic", "static"]


def test_counts_are_whole_numbers_beside_rows_that_have_none(several):
    assert several.layers["dims"].dtype == float
    assert several.layer("released")["dims"].tolist() == [1, 1, 1]
    assert several.layer("released")["dims"].dtype == np.int64


def test_an_estimator_is_described_by_the_manifest_then_by_this_version_then_by_its_rows(several):
    own = {"name": "released", "summary": "of old", "scale": "percent", "column": "share", "classes": [], "options": {}}
    told = Result(several.layers, several.units, {"estimators": [own]})
    assert told.described("released") == own
    assert several.described("released")["options"] == {"threshold": 0.5}
    unknown = Result(several.layers.replace("released", "mine"), several.units.replace("released", "mine"))
    assert (unknown.described("mine")["name"], unknown.described("mine")["classes"]) == ("mine", [])


def test_a_class_that_is_not_named_counts_too(several):
    assert several.classes("released").loc["a", "odd"] == 100


def test_the_headline_is_what_was_asked_for_first_though_a_stage_lacks_it(several):
    asked = [{"name": name} for name in several.estimators]
    later = several.layers.iloc[::-1]  # as if the first stage had no numbers of the headline
    assert Result(later, several.units, {"estimators": asked}).estimators == several.estimators
    assert Result(later, several.units).headline != several.headline


# --- results of format 1 -----------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path):
    """A folder as format 1 has it: one estimator that no column names, and its threshold among the scoring."""
    rows = [
        ("a", "dynamic", 0.1, 0.0, 0.2, 20.0, 19.0, 21.0, 0, 0.0, 2, 3, 3),
        ("a", "static", 0.5, 0.4, 0.6, 30.0, 29.0, 31.0, 0, 0.0, 2, 2, 3),
        ("a", "residual", 1.0, 1.0, 1.0, 50.0, 49.0, 51.0, 2, 100.0, 2, 0, 3),
    ]
    ends = ["score", "score_low", "score_high", "share", "share_low", "share_high"]
    layers = pd.DataFrame(rows, columns=["stage", "factor", *ends, "dims", "percent", "units", "pairs", "videos"])
    scores = {"dynamic": [0.7, np.nan], "static": [0.2, np.nan]}
    scores |= {f"{name}_{end}": [0.0, np.nan] for name in scores for end in ("low", "high")}
    units = pd.DataFrame({"stage": "a", "unit": [0, 1], **scores, "class": ["residual", "dead"], "stability": 1.0})
    layers.to_parquet(tmp_path / "layers.parquet", index=False)
    layers.to_csv(tmp_path / "layers.csv", index=False)
    units.to_parquet(tmp_path / "units.parquet", index=False)
    scoring = {"rule": {"n_factors": 3}, "threshold": 0.8, "replicates": 10, "confidence": 0.95, "seed": 0}
    about = {"study": {"model": "m", "styles": ["1"], "orders": ["intact"]}, "scoring": scoring, "videos": []}
    run = {"kind": "measurement", "format": 1, **about, "warnings": ["Few videos."]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


@pytest.mark.parametrize("told", [True, False])
def test_a_result_of_format_1_is_one_of_the_released_score(old, told):
    if not told:  # the first runs said neither kind nor format
        run = json.loads((old / "run.json").read_text())
        (old / "run.json").write_text(json.dumps({key: run[key] for key in run if key not in ("kind", "format")}))
    result = load(old)
    assert result.estimators == ["released"]
    assert result.shares().loc["a"].tolist() == [20, 30, 50]
    assert result.classes().loc["a", "dead"] == 50
    assert result.described()["options"] == {"threshold": 0.8}
    assert (result.twins, dict(result.samples), result.warnings) == (None, {}, ["Few videos."])


def test_a_result_of_format_1_is_drawn_shown_and_saved_anew(old):
    result = load(old)
    names = {f"{name}.{kind}" for name in ("layers", "units") for kind in ("svg", "png", "data.csv")}
    assert {path.name for path in result.plot(old)} == names
    page = result.report(old / "report.html").read_text()
    assert ">20.0 [19.0, 21.0]</td>" in page
    assert "No untrained networks were measured" in page
    again = load(result.save(old / "new"))
    assert json.loads((old / "new" / "run.json").read_text())["format"] == 2
    pd.testing.assert_frame_equal(again.layers, result.layers)
    assert again.described() == result.described()


# --- quality -----------------------------------------------------------------------------------------------------


def judged():
    """Frames of two sequences and one that names none, under two styles and two orders; some are not judged."""
    g = np.random.default_rng(1)
    frames = [("a0", "a"), ("a1", "a"), ("a2", "a"), ("b0", "b"), ("c", None)]
    rows = [
        (video, sequence, style, order)
        for style, order in product("21", ("intact", "jitter"))
        for video, sequence in frames
    ]
    table = pd.DataFrame(rows, columns=["video", "sequence", "style", "order"])
    table["J"], table["box"] = g.random((2, len(table)))
    table.loc[[2, 8], "J"] = np.nan
    table.loc[2, "box"] = np.nan
    return table


def test_quality_is_the_mean_over_sequences_of_the_mean_over_their_judged_frames():
    table = judged()
    means = quality_means(table)
    assert list(zip(means["style"], means["order"], strict=True)) == [
        ("2", "intact"), ("2", "jitter"), ("1", "intact"), ("1", "jitter"),
    ]  # fmt: skip
    for row in means.itertuples():
        shown = [r for r in table.itertuples() if (r.style, r.order) == (row.style, row.order)]
        for measure in ("J", "box"):
            of = {"a": [], "b": [], "c": []}
            for frame in shown:
                value = getattr(frame, measure)
                if not np.isnan(value):
                    of[frame.video[0]].append(value)
            assert getattr(row, measure) == pytest.approx(
                np.mean([np.mean(values) for values in of.values() if values])
            )
        boxes = [frame.box for frame in shown if not np.isnan(frame.box)]
        rates = [np.mean([box > threshold for box in boxes]) for threshold in (0.5, 0.6, 0.7, 0.8, 0.9)]
        found = [row.success_50, row.success_60, row.success_70, row.success_80, row.success_90]
        assert found == pytest.approx(rates)
        assert row.success == pytest.approx(np.mean(rates))
    assert means["frames"].tolist() == [4, 5, 5, 5]


def test_without_boxes_there_is_no_success_and_a_measure_without_values_is_missing():
    table = judged().drop(columns="box")
    table.loc[table["style"] == "1", "J"] = np.nan
    means = quality_means(table)
    assert not [column for column in means.columns if column.startswith("success")]
    assert means["J"].isna().tolist() == [False, False, True, True]
    assert means["frames"].tolist() == [4, 4, 0, 0]


# --- numbers as they are shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((11.94, 11.0, 12.25), "11.9 [11.0, 12.2]"),
        ((11.94, np.nan, np.nan), "11.9 [–]"),
        ((11.94, np.nan, 12.0), "11.9 [–]"),
        ((11.94, 11.0, np.nan), "11.9 [–]"),
        ((np.nan, np.nan, np.nan), "– [–]"),
    ],
)
def test_an_interval_that_is_undefined_is_a_dash(numbers, shown):
    assert with_interval(*numbers) == shown


def test_numbers_have_one_digit_unless_asked_otherwise():
    assert (number(1.26), number(1.26, 3), number(-np.inf), number(np.nan, 3)) == ("1.3", "1.260", "–", "–")
