"""What the analysis scripts average and draw of runs and of published texts, and what they refuse to put together."""

import json
import re
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from doors import STAGES, beside_another, fails, fake, manifest, numbers, save, script, succeeds, write_texts

from static_dynamic.functional.released import allocate
from static_dynamic.misc._seeds import mean_over, read_seeds
from static_dynamic.misc.plot_iterations import course
from static_dynamic.results import Result, load

ONE_UNIT = "head.logit"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(seed, place, **parts):
    """A run in a folder."""
    fake(seed, **parts).save(place)
    return place


def shares(*places):
    """Stage and factor → the share that every run reports."""
    tables = [pd.read_parquet(Path(place) / "layers.parquet").set_index(["stage", "factor"]) for place in places]
    return {key: [float(table.loc[key, "share"]) for table in tables] for key in tables[0].index}


# Shares and truncated percents


def test_a_run_gives_its_shares_with_their_intervals_and_a_text_its_percents():
    save(fake(1, channels=3), 1)  # of three units the dims are 0, 1 and 2
    layers = load("runs/model_1").layers
    printed = succeeds("mean_var_analysis", "runs/model_1").splitlines()
    assert printed[0] == "# share of the layer, %: mean and 95 % interval over videos"
    first = layers[layers["stage"] == STAGES[0]].set_index("factor")
    line = next(line for line in printed if " : Mot :" in line)
    dynamic = first.loc["dynamic"]
    assert numbers(line) == pytest.approx([dynamic["share"], dynamic["share_low"], dynamic["share_high"]], abs=5e-4)
    assert numbers(printed[1]) == pytest.approx(first["share"].tolist(), abs=0.05)
    text = succeeds("mean_var_analysis", "dim/final/model").splitlines()
    assert text[0] == "# published percent (truncated dims): mean and no interval"
    assert numbers(text[1]) == pytest.approx(first["percent"].tolist(), abs=0.05)
    assert numbers(text[1]) != numbers(printed[1])


def test_a_stage_of_one_unit_has_shares():
    """Its dims are 0, 0 and 1 whatever its scores."""
    save(fake(1, stages=[ONE_UNIT], channels=1), 1)
    (dynamic, static, _) = load("runs/model_1").layers["share"]
    assert 15 < dynamic < 43
    assert 15 < static < 43
    succeeds("plot_stages", "--in_file", "runs/model_1", "--out_plot", "run.tex")
    succeeds("plot_stages", "--in_file", "dim/final/model", "--out_plot", "text.tex")
    points = {
        name: re.findall(r"^ *\(0,(\d+\.\d+)\)", Path(f"{name}.tex").read_text(), re.M) for name in ("run", "text")
    }
    assert list(map(float, points["run"])) == pytest.approx([dynamic, static], abs=5e-3)
    assert list(map(float, points["text"])) == [0, 0]
    assert r"ylabel={share of the layer, \% \\ 95 \% interval over videos}" in Path("run.tex").read_text()
    assert r"ylabel={published percent (truncated dims)}" in Path("text.tex").read_text()


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n", [2, 4, 7])
def test_the_means_of_runs_are_those_of_their_shares(n, ddof):
    places = [run(seed, f"runs/model_{seed}") for seed in range(n)]
    printed = succeeds("mean_var_analysis", *places, "--ddof", ddof, "--out", "means.csv").splitlines()
    assert succeeds("mean_var_analysis", "runs", "--ddof", ddof).splitlines() == printed
    assert printed[0] == f"# share of the layer, %: mean and 95 % interval over {n} seeds"
    assert len(printed) == 1 + 4 * len(STAGES)
    means = pd.read_csv("means.csv").set_index(["stage", "factor"])
    assert set(means["quantity"]) == {"share of the layer, %"}
    deviation = statistics.stdev if ddof else statistics.pstdev
    for key, values in shares(*places).items():
        row, reach = means.loc[key], 1.96 * deviation(values) / n**0.5
        expected = [statistics.fmean(values), statistics.fmean(values) - reach, statistics.fmean(values) + reach, n]
        assert row[["mean", "low", "high", "seeds"]].tolist() == pytest.approx(expected)
    static = next(line for line in printed if " : App :" in line)
    row = means.loc[(STAGES[0], "static")]
    assert numbers(static) == pytest.approx([row["mean"], (row["high"] - row["low"]) / 2], abs=1e-3)


def test_the_confidence_of_a_run_is_told():
    result = fake(1)
    result.manifest["scoring"]["confidence"] = 0.8
    result.save("runs/model_1")
    assert mean_over(read_seeds([Path("runs/model_1")])).label == "share of the layer, %\n80 % interval over videos"


def test_a_run_without_intervals_draws_and_prints_none():
    result = fake(1)
    result.layers[["share_low", "share_high"]] = np.nan  # of too few videos
    result.save("runs/model_1")
    printed = succeeds("mean_var_analysis", "runs/model_1").splitlines()
    assert printed[0] == "# share of the layer, %: mean and no interval"
    assert printed[2].endswith("   -")
    succeeds("plot_stages", "--in_file", "runs/model_1", "--out_plot", "p.tex")
    assert "+=" not in Path("p.tex").read_text()
    succeeds("plot_stages", "--in_file", "runs/model_1", "--out_plot", "p.png", "--matplot")


def test_the_course_of_runs_is_that_of_their_shares():
    for number in (1000, 200):
        run(number, f"deep/runs/m_{number}", weights=str(number))
    means = course(read_seeds([Path("deep")], deep=True))
    assert means.label == "share of the layer, %\n95 % interval over videos"
    for number in (200, 1000):
        rows = means.table[means.table["iteration"] == number].set_index(["stage", "factor"])
        for key, (value,) in shares(f"deep/runs/m_{number}").items():
            assert rows.loc[key, ["mean", "low", "high"]].tolist() == pytest.approx([value, value - 1, value + 2])


# What does not belong together

OTHERS = {
    "model": ("other", "model is 'model' there, 'other' here"),
    "structure": ("e" * 64, "structure is"),
    "weights": ("b" * 64, "weights is 'aaaaaaaaaaaa…' there, 'bbbbbbbbbbbb…' here"),
    "pool": ("max", "pool is 'avg' there, 'max' here"),
    "recipe": ({"frames": 8, "crop": 64}, "recipe.crop is 32 there, 64 here"),
    "source": ({"kind": "Davis", "root": "e", "seed": 2}, "source.root is 'd' there, 'e' here"),
    "videos": (["v1", "v3"], "videos: 'v2' only there, 'v3' only here"),
    "styles": (["ink"], "styles: 'neon' only there"),
    "orders": (["intact", "reverse"], "orders: 'shuffle' only there, 'reverse' only here"),
    "precision": ("bfloat16", "precision is 'float32' there, 'bfloat16' here"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(name):
    value, words = OTHERS[name]
    places = [run(1, "runs/a"), run(2, "runs/b", **{name: value})]
    for arguments in (["mean_var_analysis", *places], ["plot_stages", "--in_file", "runs", "--out_plot", "p.tex"]):
        line = fails(*arguments)
        assert "runs/b (here) and runs/a (there) differ in more than the seed" in line
        assert words in line
        assert "--across" in line
    assert succeeds("mean_var_analysis", *places, "--across", name).startswith("# share")


def test_every_difference_is_named():
    run(1, "runs/trained", weights="c" * 64)
    run(2, "runs/random", model="m", stages=["a.x"], styles=["ink"], pool="max", precision="bfloat16")
    line = fails("mean_var_analysis", "runs/trained", "runs/random")
    for name in ("model", "weights", "stages", "pool", "precision", "styles"):
        assert re.search(rf"\b{name}\b", line)


def test_a_random_and_a_trained_network_are_not_averaged_across_weights():
    save(fake(1), 1)
    trained = fake(2, weights="b" * 64)
    trained.manifest["checkpoint"] = {"path": "best.pth", "sha256": "c" * 64}
    trained.save("runs/model_2")
    line = fails("mean_var_analysis", "runs", "--across", "weights")
    assert "checkpoint is 'none' there, 'a file' here" in line


def test_scoring_counts_except_its_seed():
    results = [fake(seed) for seed in (1, 2, 3)]
    results[2].manifest["scoring"]["replicates"] = 7
    for number, result in enumerate(results):
        result.save(f"runs/{number}")
    assert succeeds("mean_var_analysis", "runs/0", "runs/1")
    assert "scoring.replicates is missing there, 7 here" in fails("mean_var_analysis", "runs")


def test_options_of_the_released_score_count_and_no_other_estimator_does():
    fake(1).save("runs/a")
    other = beside_another(fake(2, cells=[["original", "freeze", 0]]))
    other.save("runs/b")
    assert succeeds("mean_var_analysis", "runs")
    other.manifest["estimators"][1]["options"]["threshold"] = 0.7
    other.save("runs/b")
    assert "estimators.released.threshold is 0.5 there, 0.7 here" in fails("mean_var_analysis", "runs")


def test_rows_of_other_estimators_are_left_alone():
    save(fake(1), 1, "alone")
    save(beside_another(fake(1)), 1, "beside")
    alone, beside = (succeeds("mean_var_analysis", f"runs/{name}_1") for name in ("alone", "beside"))
    assert alone == beside
    texts = (Path(f"dim/final/{name}/{name}_final_001.txt").read_text() for name in ("alone", "beside"))
    assert len(set(texts)) == 1
    charts = [succeeds("plot_jointencoding", f"runs/{name}_1", "--out", "c.png") for name in ("alone", "beside")]
    assert charts[0] == charts[1]


def test_a_run_without_the_released_score_is_one_line():
    result = beside_another(fake(1))
    layers, units = (table.query("estimator == 'needs_motion'") for table in (result.layers, result.units))
    Result(layers, units, result.manifest).save("runs/a")
    line = fails("mean_var_analysis", "runs/a")
    assert "needs_motion" in line
    assert "--estimators 'released'" in line


@pytest.mark.parametrize("cost", [{"batch_size": 4}, {"device": "cuda"}])
def test_what_changes_activations_by_rounding_alone_may_differ(cost):
    assert succeeds("mean_var_analysis", run(1, "runs/a"), run(2, "runs/b", **cost))


def test_a_video_that_one_run_could_not_read_is_a_difference():
    run(1, "runs/a")
    result = fake(2)
    result.manifest["videos"] = [{"video": "v1", "problem": "v1: damaged."}, {"video": "v2", "problem": None}]
    result.save("runs/b")
    assert "videos: 'v1' only there" in fails("mean_var_analysis", "runs")


def test_the_same_seed_counts_once():
    run(1, "runs/a")
    run(1, "runs/b")
    assert "runs/b repeats runs/a: not even the seed differs" in fails("mean_var_analysis", "runs")
    assert "is given twice" in fails("mean_var_analysis", "runs/a", Path("runs/a").resolve())
    Path("link").symlink_to("runs/a")
    assert "is given twice" in fails("mean_var_analysis", "runs/a", "link")
    folder = write_texts(Path("final"), "mean_var_analysis.py")
    assert "is given twice" in fails("mean_var_analysis", folder, folder / "model_x_final_001.txt")


def test_an_unknown_part_is_named():
    run(1, "runs/a")
    run(2, "runs/b")
    assert "Unknown part of a study 'wieghts' in --across. Did you mean 'weights'" in fails(
        "mean_var_analysis", "runs", "--across", "wieghts"
    )


def test_across_is_checked_also_where_nothing_is_compared():
    save(fake(1), 1)
    assert "Unknown part of a study 'x'" in fails("mean_var_analysis", "runs/model_1", "--across", "x")
    assert "--across is for runs" in fails("mean_var_analysis", "dim/final/model", "--across", "weights")


def test_a_run_and_a_text_are_not_put_together():
    save(fake(1), 1)
    for arguments in (
        ["mean_var_analysis", "runs/model_1", "dim/final/model"],
        ["plot_stages", "--in_file", "dim/final/model", "runs/model_1", "--out_plot", "p.tex"],
        ["plot_iterations", "--in_dir", ".", "--out_plot", "p.png"],
    ):
        assert "runs/model_1 is a run and dim/final/model" in fails(*arguments)
    write_texts(Path("runs"), "mean_var_analysis.py")
    assert "is a run and runs/model_x_final_001.txt a published text" in fails("mean_var_analysis", "runs")


def test_texts_of_two_models_are_not_averaged():
    save(fake(1), 1, "rtnet")
    save(fake(2), 2, "matnet")
    line = fails("mean_var_analysis", "dim/final/rtnet", "dim/final/matnet")
    assert "rtnet_final_001.txt and dim/final/matnet/matnet_final_002.txt belong to two models" in line
    for name in ("rtnet_100.txt", "matnet_200.txt"):
        write_texts(Path("texts"), "", {name: Path("dim/final/rtnet/rtnet_final_001.txt").read_text()})
    assert "are not of one training" in fails("plot_iterations", "--in_dir", "texts", "--out_plot", "p.png")


def test_iterations_of_one_training_differ_in_the_weights_alone():
    run(1, "runs/m_100", weights="b" * 64)
    run(1, "runs/m_200")
    assert len(succeeds("plot_iterations", "--in_dir", "runs", "--out_plot", "p.png").split()) == len(STAGES)
    run(1, "runs/m_300", styles=["ink"])
    assert "styles: 'neon' only there" in fails("plot_iterations", "--in_dir", "runs", "--out_plot", "q.png")


def test_runs_of_one_iteration_are_seeds():
    for seed in (1, 2):
        run(seed, f"runs/m_100_final_00{seed}", weights=str(seed) * 64)
    run(1, "runs/m_200_final_001")
    assert "weights is" in fails("plot_iterations", "--in_dir", "runs", "--out_plot", "p.png")
    means = course(read_seeds([Path("runs")], deep=True), ["weights"])
    assert means.interval == "95 % interval over 2 seeds\n95 % interval over videos"
    for key, values in shares("runs/m_100_final_001", "runs/m_100_final_002").items():
        rows = means.table[means.table["iteration"] == 100].set_index(["stage", "factor"])
        assert rows.loc[key, "mean"] == pytest.approx(statistics.fmean(values))


def test_folders_are_found_through_links_and_loops_end(work):
    for number in (100, 200):
        run(number, f"elsewhere/m_{number}")
    Path("runs/deep").mkdir(parents=True)
    Path("runs/deep/linked").symlink_to(work / "elsewhere")
    Path("elsewhere/back").symlink_to(work / "runs")
    found = list(read_seeds([Path("runs")], deep=True).tables)
    assert found == ["runs/deep/linked/m_100", "runs/deep/linked/m_200"]


# Odd runs


def test_runs_whose_stages_come_in_another_order_are_averaged_stage_by_stage():
    places = [run(1, "runs/a"), run(2, "runs/b")]
    layers = pd.read_parquet("runs/b/layers.parquet")
    layers.iloc[::-1].to_parquet("runs/b/layers.parquet")
    succeeds("mean_var_analysis", *places, "--out", "means.csv")
    means = pd.read_csv("means.csv").set_index(["stage", "factor"])["mean"]
    for key, values in shares(*places).items():
        assert means[key] == pytest.approx(statistics.fmean(values))


def test_stages_side_by_side_are_a_stream_of_their_own():
    names = ["slow.stage3+fast.stage3", "slow.stage4"]
    save(fake(1, stages=names), 1)
    printed = succeeds("mean_var_analysis", "runs/model_1")
    assert "side by side , Stage  slow.stage3+fast.stage3 : App" in printed
    assert "slow , Stage  stage4 : App" in printed
    drawn = succeeds("plot_stages", "--in_file", "runs/model_1", "--out_plot", "p_%s.png", "--matplot").split()
    assert drawn == ["p_side_by_side.png", "p_slow.png"]
    assert succeeds("mean_var_analysis", "dim/final/model").count("slow.stage3+fast.stage3") == 4
    succeeds("plot_stages", "--in_file", "runs/model_1", "--out_plot", "p.tex")
    assert r"xticklabels={slow.stage3+\\fast.stage3}" in Path("p.tex").read_text()


def dead(result, stage):
    """The same result, but that no unit of a stage varies."""
    here, layer = result.layers["stage"] == stage, allocate(np.array([np.nan, np.nan, 1.0]), 24)
    for column in ("share", "share_low", "share_high"):
        result.layers.loc[here, column] = np.nan
    result.layers.loc[here, ["dims", "percent"]] = np.stack([layer.dims, layer.percent], axis=1)
    of_stage = result.units["stage"] == stage
    result.units.loc[of_stage, ["dynamic", "static"]] = np.nan
    result.units.loc[of_stage, "class"] = "dead"
    return Result(result.layers, result.units, result.manifest)


def test_a_stage_whose_units_never_vary_has_no_value_anywhere():
    save(dead(fake(1), STAGES[0]), 1)
    for place in ("runs/model_1", "dim/final/model"):
        printed = succeeds("mean_var_analysis", place).splitlines()
        assert "[nan, nan, nan]" in printed[1]
        assert printed[2].split()[-2:] == ["nan", "-"]
        succeeds("plot_stages", "--in_file", place, "--out_plot", "p.tex")
        assert "(0,nan)" in Path("p.tex").read_text()
        succeeds("plot_stages", "--in_file", place, "--out_plot", "p.png", "--matplot", "--stages", STAGES[0])
    for name, arguments in {
        "plot_jointencoding": ["--out", "u.png"], "plot_histogram": [], "plot_stats_fromtable": ["--out", "s.png"],
    }.items():  # fmt: skip
        succeeds(name, "runs/model_1", "--stages", STAGES[0], *arguments)


@pytest.mark.parametrize(
    "factors", [("dynamic", "static", "differ", "residual"), ("dynamic", "static", "differ", "same", "residual")]
)
def test_runs_of_more_factors_are_printed_in_full(factors):
    save(fake(1, factors=factors), 1)
    printed = succeeds("mean_var_analysis_4factors", "runs/model_1")
    assert printed.count(" : ") == 2 * len(STAGES) * len(factors)
    line = fails("mean_var_analysis", "runs/model_1")
    assert f"has {len(factors)} factors: mean_var_analysis_4factors.py is for it" in line


# Damaged and foreign runs


def test_a_run_that_is_damaged_or_foreign_is_one_line():
    run(1, "runs/a")
    Path("runs/a/run.json").unlink()
    assert "the file does not exist" in fails("mean_var_analysis", "runs/a")
    Path("runs/a/run.json").write_text("[1, 2]")
    assert "run.json must hold an object. Got list" in fails("mean_var_analysis", "runs/a")
    Path("runs/a/run.json").write_text("{}")
    assert succeeds("mean_var_analysis", "runs/a")  # alone, there is nothing to compare it with
    run(2, "runs/b")
    assert "runs/a/run.json does not state what was measured" in fails("mean_var_analysis", "runs")


@pytest.mark.parametrize(("name", "column"), [("layers", "share_low"), ("units", "static")])
def test_a_table_of_another_version_is_one_line(name, column):
    run(1, "runs/a")
    path = Path(f"runs/a/{name}.parquet")
    table = pd.read_parquet(path)
    table.drop(columns=column).to_parquet(path)
    assert f"runs/a/{name}.parquet has no column {column!r}" in fails("mean_var_analysis", "runs/a")
    table.iloc[:0].to_parquet(path)
    assert f"runs/a/{name}.parquet holds no stage" in fails("mean_var_analysis", "runs/a")


def test_seeds_of_published_texts_are_averaged_as_before():
    code, _, notes = script("mean_var_analysis", write_texts(Path("final"), "mean_var_analysis.py"))
    assert (code, notes) == (0, "")


def test_the_manifest_of_the_tests_is_json():
    assert json.loads(json.dumps(manifest(1))) == manifest(1)
