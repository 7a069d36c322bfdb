"""Published result files: what we write, they and we can read; what they wrote, we can; nothing in them runs."""

import ast
import json
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from safetensors.numpy import load_file

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.functional.released import allocate
from static_dynamic.misc._tables import read_units
from static_dynamic.report.published import (
    PUBLISHED_FACTORS,
    final_text,
    over_seeds,
    published_name,
    read_final,
    stage_name,
    write_published,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "misc_mean_var.json").read_text())
TEXTS = [
    text
    for script in ("mean_var_analysis.py", "mean_var_analysis_4factors.py")
    for text in GOLDEN[script]["files"].values()
]


@pytest.fixture(scope="module")
def result():
    return sd.measure(
        PlantedModel(), PlantedVideos(12), STAGES, recipe=RECIPE, styles=("1", "2"), scoring=sd.Scoring(replicates=10)
    )


def written(tmp_path, text, name="model_final_001.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def layer_table(stages, rows):
    """A layer table from the percents of every stage; dims are of a thousand units."""
    return pd.DataFrame(
        [
            {"stage": stage, "factor": factor, "dims": round(10 * value), "percent": value}
            for stage, percents in zip(stages, rows, strict=True)
            for factor, value in zip(PUBLISHED_FACTORS[len(percents)], percents, strict=True)
        ]
    )


# Texts


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9_+]*", fullmatch=True), min_size=1, max_size=4))
def test_names_of_stages_come_back(parts):
    assert stage_name(published_name(".".join(parts))) == ".".join(parts)


@pytest.mark.parametrize("text", TEXTS)
def test_published_texts_are_read_and_written_to_the_letter(text, tmp_path):
    layers = read_final(written(tmp_path, text)).layers
    assert final_text(layers) == text
    line = text.splitlines()[0].partition("Dimensions: ")[2]
    dims, percent = ast.literal_eval(line.replace("] [", "], ["))
    first = layers[layers["stage"] == "app_stream.conv1"]
    assert (first["dims"].tolist(), first["percent"].tolist()) == (dims, percent)
    assert first["factor"].tolist() == list(PUBLISHED_FACTORS[len(dims)])


def test_numbers_as_numpy_2_prints_them_are_read(tmp_path):
    path = written(
        tmp_path,
        "Stage: layer1,app_stream , Dimensions: [np.int64(15), np.int64(30), 19] [np.float64(23.4), 46.9, 29.7]\n\n",
    )
    assert read_final(path).layers["percent"].tolist() == [23.4, 46.9, 29.7]


percents = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 1))


@settings(max_examples=30, deadline=None)
@given(data=st.data(), factors=st.sampled_from(sorted(PUBLISHED_FACTORS)))
def test_any_table_comes_back(data, factors, tmp_path_factory):
    stages = data.draw(
        st.lists(st.from_regex(r"([a-z]{1,3}\.)?[a-z]{1,4}[0-9]{0,2}", fullmatch=True), min_size=1, unique=True)
    )
    rows = [data.draw(st.lists(percents, min_size=factors, max_size=factors)) for _ in stages]
    table = layer_table(stages, rows)
    undefined = table.groupby("stage")["dims"].transform("sum") == 0
    table.loc[undefined, "percent"] = np.nan
    back = read_final(written(tmp_path_factory.mktemp("final"), final_text(table)))
    key = ["stage", "factor"]
    pd.testing.assert_frame_equal(
        back.layers.set_index(key).sort_index(), table.set_index(key).sort_index(), check_exact=True
    )
    assert back.repeated == ()


def test_streams_come_one_after_the_other(tmp_path):
    stages = ["app_stream.conv1", "mot_stream.conv1", "app_stream.layer1", "mot_stream.layer1"]
    text = final_text(layer_table(stages, [[20.0, 30.0, 50.0]] * 4))
    assert [line.split()[1] for line in text.splitlines()] == [
        "conv1,app_stream", "layer1,app_stream", "conv1,mot_stream", "layer1,mot_stream",
    ]  # fmt: skip


def test_of_a_seed_that_was_appended_twice_the_last_lines_count(tmp_path):
    first, second = TEXTS[0], TEXTS[1]
    final = read_final(written(tmp_path, first + second))
    pd.testing.assert_frame_equal(final.layers, read_final(written(tmp_path, second)).layers)
    assert len(final.repeated) == 14


@pytest.mark.parametrize(
    "line",
    [
        "Stage: layer1,app_stream",
        "Stage: layer1,app_stream , Dimensions: [1, 2, 3] [10.0, 20.0]",
        "Stage: layer1,app_stream , Dimensions: [1, 2] [10.0, 20.0]",
        "Stage: layer1,app_stream , Dimensions: [1, two, 3] [10.0, 20.0, 70.0]",
        "Stage: layer1,app_stream , Dimensions: [] []",
        "x" * 5000,
    ],
)
def test_a_malformed_line_is_named(line, tmp_path):
    path = written(tmp_path, f"{TEXTS[0]}\n{line}\n")
    with pytest.raises(UserError) as error:
        read_final(path)
    assert f"{path}:16: " in str(error.value)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "Stage: a , Dimensions: [inf, 2, 3] [10.0, 20.0, 70.0]",
        "Stage: a , Dimensions: [nan, 2, 3] [10.0, 20.0, 70.0]",
        "Stage: a , Dimensions: [1.5, 2, 3] [10.0, 20.0, 70.0]",
        "Stage: a , Dimensions: [0, 0, 0] [0.0, 0.0]",
        "Stage:  , Dimensions: [1, 2, 3] [10.0, 20.0, 70.0]",
        "Stage: a , Dimensions: [1, 2, 3, 4, 5, 6] [1, 2, 3, 4, 5, 6]",
    ],
)
def test_numbers_that_no_stage_has_are_refused(line, tmp_path):
    with pytest.raises(UserError, match=":1: a line must have the form"):
        read_final(written(tmp_path, line))


def test_a_stage_whose_units_never_vary_comes_back_without_a_percent(tmp_path):
    dims = allocate(np.array([np.nan, np.nan, 1.0]), 7)
    layers = pd.DataFrame(
        {"stage": "s.dead", "factor": PUBLISHED_FACTORS[3], "dims": dims.dims, "percent": dims.percent}
    )
    back = read_final(written(tmp_path, final_text(layers))).layers
    assert back["dims"].tolist() == [0, 0, 0]
    assert back["percent"].isna().all()


def test_a_stage_of_one_unit_comes_back(tmp_path):
    one = allocate(np.array([0.4, 0.9, 1.0]), 1)
    layers = pd.DataFrame({"stage": "head", "factor": PUBLISHED_FACTORS[3], "dims": one.dims, "percent": one.percent})
    back = read_final(written(tmp_path, final_text(layers))).layers
    assert (back["dims"].tolist(), back["percent"].tolist()) == ([0, 0, 1], [0, 0, 100])


@pytest.mark.parametrize("stage", ["my stage", "a.my stage", "slow.a+fast.a", "encoder/1", "50%", "100%2F", "層.一"])
def test_a_stage_of_any_name_comes_back(stage, tmp_path):
    back = read_final(written(tmp_path, final_text(layer_table([stage], [[20.0, 30.0, 50.0]])))).layers
    assert set(back["stage"]) == {stage}
    units = pd.DataFrame({"stage": stage, "unit": range(3), "dynamic": 0.7, "static": 0.1, "class": "dynamic"})
    write_published(layer_table([stage], [[20.0, 30.0, 50.0]]), units, tmp_path, "model", 1)
    for folder in ("idv_scores", "joint_encoding"):
        assert set(read_units(tmp_path / folder / "model")["stage"]) == {stage}


@pytest.mark.parametrize("text", ["\ufeff{}", "{}\n\n", "\n  {}"])
def test_marks_and_blank_lines_are_no_stages(text, tmp_path):
    line = "Stage: layer1,app_stream , Dimensions: [1, 2, 3] [10.0, 20.0, 70.0]\r"
    assert set(read_final(written(tmp_path, text.format(line))).layers["stage"]) == {"app_stream.layer1"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00garbage"])
def test_a_file_without_stages_is_refused(content, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.txt"):
        read_final(path)
    with pytest.raises(UserError, match="the file does not exist"):
        read_final(tmp_path / "none.txt")


# Seeds


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_means_over_seeds_are_those_of_the_textbook(n, ddof):
    draw = np.random.default_rng(n)
    stages = ["a.conv1", "a.layer1", "b.conv1"]
    rows = draw.uniform(0, 60, (n, 3, 3)).round(1)
    # The order of the stages in a file does not matter.
    tables = {
        f"seed{i}": layer_table(stages, row.tolist()).sample(frac=1, random_state=i) for i, row in enumerate(rows)
    }
    means = over_seeds(tables, ddof).set_index(["stage", "factor"])
    for s, stage in enumerate(stages):
        for f, factor in enumerate(PUBLISHED_FACTORS[3]):
            values = rows[:, s, f].tolist()
            found = means.loc[(stage, factor)]
            assert found["mean"] == pytest.approx(statistics.fmean(values))
            assert found["seeds"] == n
            if n == 1:
                assert np.isnan(found["low"])
                assert np.isnan(found["high"])
            else:
                reach = 1.96 * (statistics.stdev(values) if ddof else statistics.pstdev(values)) / n**0.5
                ends = [statistics.fmean(values) - reach, statistics.fmean(values) + reach]
                assert found[["low", "high"]].tolist() == pytest.approx(ends)


def test_seeds_of_different_models_are_not_averaged():
    one, two = (layer_table(stages, [[20.0, 30.0, 50.0]] * 2) for stages in (["a.x", "a.y"], ["a.x", "a.z"]))
    with pytest.raises(UserError, match=r"Seeds of one model must have the same stages: a\.y .*in first"):
        over_seeds({"first": one, "second": two})
    with pytest.raises(UserError, match=r"a\.y .*in second, but not in first"):
        over_seeds({"first": one[one["stage"] == "a.x"], "second": one})


# Everything that is written


def test_a_result_is_written_in_the_published_forms(result, tmp_path):
    write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 3)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        "final/planted/planted_final_003.txt",
        *(f"idv_scores/planted/{stage}.safetensors" for stage in STAGES),
        *(f"joint_encoding/planted/{name}" for s in STAGES for name in (f"{s}.json", f"raw_{s}.safetensors")),
    }
    columns = ["stage", "factor", "dims", "percent"]
    pd.testing.assert_frame_equal(
        read_final(tmp_path / "final/planted/planted_final_003.txt").layers,
        result.layer("released")[columns],
        check_dtype=False,
    )


def test_unit_files_hold_scores_softmax_and_classes(result, tmp_path):
    write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 1)
    units = result.unit("released").query("stage == 'planted'")
    raw = load_file(tmp_path / "joint_encoding/planted/raw_planted.safetensors")["scores"]
    soft = load_file(tmp_path / "idv_scores/planted/planted.safetensors")["scores"]
    members = json.loads((tmp_path / "joint_encoding/planted/planted.json").read_text())
    assert raw.shape == (3, 4)
    assert soft.shape == (4, 3)
    alive = units["class"].to_numpy() != "dead"
    assert alive.tolist() == [True, True, True, False]
    for unit in np.flatnonzero(alive):
        scores = [units["dynamic"].iloc[unit], units["static"].iloc[unit], 1.0]
        assert raw[:, unit].tolist() == scores
        assert soft[unit] == pytest.approx(np.exp(scores) / np.exp(scores).sum())
    assert np.isnan(raw[:, ~alive]).all()
    assert np.isnan(soft[~alive]).all()
    assert members == {"0": [1], "1": [0], "2": [2], "3": []}


@pytest.mark.parametrize("folder", ["idv_scores", "joint_encoding"])
def test_unit_scores_come_back(folder, result, tmp_path):
    write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 1)
    back = read_units(tmp_path / folder / "planted").set_index(["stage", "unit"]).sort_index()
    own = result.unit("released").set_index(["stage", "unit"])[["dynamic", "static"]].sort_index()
    pd.testing.assert_frame_equal(back, own, check_dtype=False, atol=1e-12)


def test_a_seed_that_is_run_again_replaces_its_file(result, tmp_path):
    for _ in range(2):
        write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 1)
    write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 2)
    texts = sorted((tmp_path / "final/planted").iterdir())
    assert [path.name for path in texts] == ["planted_final_001.txt", "planted_final_002.txt"]
    assert read_final(texts[0]).repeated == ()


def test_a_place_that_cannot_be_written_is_one_line(result, tmp_path):
    (tmp_path / "final").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write"):
        write_published(result.layer("released"), result.unit("released"), tmp_path, "planted", 1)
