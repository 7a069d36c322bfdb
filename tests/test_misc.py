"""The published analysis scripts: their numbers, on published files and on ours, and one line for every slip."""

import doctest
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from doors import (
    MEANS,
    ROOT,
    SCORES,
    STAGES,
    UNITS,
    fails,
    fake,
    is_picture,
    numbers,
    save,
    script,
    succeeds,
    write_pickles,
    write_texts,
)
from PIL import Image
from safetensors.numpy import save_file

from static_dynamic.common.errors import UserError
from static_dynamic.misc import _tables, plot_iterations
from static_dynamic.misc._tables import read_scores, read_units
from static_dynamic.misc.plot_iterations import iteration
from static_dynamic.misc.plot_jointencoding import classified
from static_dynamic.report.published import published_name


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Means over seeds


@pytest.mark.parametrize("name", ["mean_var_analysis", "mean_var_analysis_4factors"])
def test_the_published_lines_are_printed(name, work):
    printed = succeeds(name, write_texts(work / "final", f"{name}.py")).splitlines()
    assert printed.pop(0) == "# published percent (truncated dims): mean and 95 % interval over 4 seeds"
    printed = [line for line in printed if " : Same :" not in line]  # the published script leaves it out
    published = MEANS[f"{name}.py"]["stdout"]
    assert len(printed) == len(published)
    for own, line in zip(printed, published, strict=True):
        assert own.partition("[")[0].split()[:6] == line.partition("[")[0].split()[:6]
        assert numbers(own) == pytest.approx(numbers(line), abs=5.1e-4)


def test_stages_without_streams_or_published_names_keep_theirs():
    save(fake(1, stages=["stage1", "stage2"]), 1)
    assert "model , Stage  stage2 : App :" in succeeds("mean_var_analysis", "runs")


def test_a_seed_that_was_appended_twice_is_read_once(work):
    texts = MEANS["mean_var_analysis.py"]["files"]
    folder = write_texts(work / "final", "mean_var_analysis.py", texts)
    _, once, _ = script("mean_var_analysis", folder)
    first = next(iter(texts))
    (folder / first).write_text(texts[first] * 2)
    _, twice, note = script("mean_var_analysis", folder)
    assert once == twice
    assert f"note: {folder / first}: 14 stages appear more than once; the last lines count." in note


def test_seeds_that_do_not_belong_together_are_refused(work):
    save(fake(1), 1)
    save(fake(2, stages=STAGES[:-1]), 2)
    assert "must have the same stages" in fails("mean_var_analysis", "dim/final/model")
    folder = write_texts(work / "four", "mean_var_analysis_4factors.py")
    assert "mean_var_analysis_4factors.py is for it" in fails("mean_var_analysis", folder)
    assert "mean_var_analysis.py is for it" in fails("mean_var_analysis_4factors", "runs/model_1")
    (work / "four" / "odd.txt").write_text("Stage: conv1\n")
    assert f"{work / 'four' / 'odd.txt'}:1: a line must have the form" in fails("mean_var_analysis_4factors", folder)


# Unit classes


@pytest.mark.parametrize("threshold", list(UNITS["units"]))
def test_classes_are_those_of_the_published_code(threshold, work):
    """But for units at the threshold, to which it gives none."""
    units = classified(read_units(write_pickles(work / "joint")), float(threshold))
    at = (SCORES[:2] == float(threshold)).any(0)
    for number, name in enumerate(("dynamic", "static", "joint", "residual")):
        members = units.loc[(units["class"] == name) & ~at, "unit"].tolist()
        assert members == UNITS["units"][threshold][str(number)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("numpy_1", [False, True])
def test_old_pickles_are_read(protocol, numpy_1, work):
    path = write_pickles(work / "joint", protocol) / "raw_layer4,sensor_fusion.pkl"
    if numpy_1:
        content = path.read_bytes()
        for module in (b"multiarray", b"numeric"):
            new, old = b"numpy._core." + module, b"numpy.core." + module
            content = content.replace(b"\x8c%c%s" % (len(new), new), b"\x8c%c%s" % (len(old), old)).replace(new, old)
        if protocol >= 4:  # framed: the frame is three bytes shorter for every name
            content = re.sub(rb"\x95.{8}", b"", content, count=1, flags=re.DOTALL)
        path.write_bytes(content)
    assert np.array_equal(read_scores(path), SCORES)


def test_every_form_of_the_same_scores_gives_the_same_table(work):
    save(result := fake(3), 3)
    for stage, rows in result.units.groupby("stage"):
        raw = np.stack([rows["dynamic"], rows["static"], np.where(rows["static"].isna(), np.nan, 1)])
        write_pickles(work / "old" / "joint", scores=raw, stage=published_name(stage))
    places = ["runs/model_3", "dim/joint_encoding/model", "dim/idv_scores/model", "old/joint", "old/idv"]
    tables = [read_units(Path(place)) for place in places]
    for table in tables:
        pd.testing.assert_frame_equal(table, tables[0], atol=1e-12)
    classes = result.units[result.units["stage"] == STAGES[0]]["class"]
    words = {"dynamic": "Dynamic", "static": "Static", "joint": "Joint", "residual": "None", "dead": "Dead"}
    printed = succeeds("plot_jointencoding", places[0], "--out", "classes.png").splitlines()
    assert succeeds("plot_jointencoding", places[-1], "--out", "classes.png").splitlines() == printed
    assert printed[0].split() == list(words.values())
    assert numbers(printed[1]) == pytest.approx([100 * (classes == name).mean() for name in words], abs=0.05)
    assert is_picture("classes.png")


def test_bars_of_earlier_stages_do_not_stay():
    save(fake(1), 1)
    table = succeeds("plot_jointencoding", "runs/model_1", "--stages", "layer4,sensor_fusion", "app_stream.*")
    assert [line.split()[0] for line in table.splitlines()[1:-1]] == [*STAGES[:2], STAGES[4]]
    assert is_picture("joint_encoding_plots/model_1.png")


def test_the_threshold_is_that_of_the_run_unless_one_is_given():
    result = fake(1)
    result.manifest["estimators"][0]["options"]["threshold"] = 0.8
    save(result, 1)
    of_the_run = succeeds("plot_jointencoding", "runs/model_1", "--out", "c.png")
    assert succeeds("plot_jointencoding", "runs/model_1", "--out", "c.png", "--threshold", "0.8") == of_the_run
    published = succeeds("plot_jointencoding", "dim/joint_encoding/model", "--out", "c.png")
    assert succeeds("plot_jointencoding", "runs/model_1", "--out", "c.png", "--threshold", "0.5") == published
    assert published != of_the_run


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


@pytest.mark.parametrize("content", [Bomb(), [Bomb()], np.array([Bomb()], dtype=object)])
@pytest.mark.parametrize("name", ["plot_jointencoding", "plot_histogram", "plot_stats_fromtable"])
def test_a_hostile_pickle_does_not_run(name, content, work):
    (work / "joint").mkdir()
    (work / "joint" / "raw_layer4,sensor_fusion.pkl").write_bytes(pickle.dumps(content))
    assert "which may run code" in fails(name, "joint")
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"garbage", "cannot be read"),
        (pickle.dumps(SCORES)[:500], "cannot be read"),
        (pickle.dumps({"0": [1]}), "Got dict"),
        (pickle.dumps(np.zeros(3)), "must hold the scores of units"),
        (pickle.dumps(np.zeros((7, 3))), r"\(3, C\)\. Got \(7, 3\)"),
        (pickle.dumps(np.array([["a"]])), "must hold the scores of units"),
    ],
)
def test_a_file_that_holds_no_scores_is_named(content, reason, work):
    path = work / "raw_layer4,sensor_fusion.pkl"
    path.write_bytes(content)
    line = fails("plot_jointencoding", work)
    assert str(path) in line
    assert re.search(reason, line)


def test_a_stage_in_two_files_is_refused(work):
    folder = write_pickles(work / "joint")
    save_file({"scores": SCORES}, folder / "raw_layer4,sensor_fusion.safetensors")
    assert "is in two files" in fails("plot_jointencoding", folder)


# Slips

DOORS = {
    "mean_var_analysis": ["{}"],
    "mean_var_analysis_4factors": ["{}"],
    "plot_jointencoding": ["{}"],
    "plot_histogram": ["{}"],
    "plot_stats_fromtable": ["{}"],
    "plot_stages": ["--in_file", "{}", "--out_plot", "out.tex"],
    "plot_iterations": ["--in_dir", "{}", "--out_plot", "out.png"],
    "estimate_dataset_centerbias": ["--davis", "{}"],
}


@pytest.mark.parametrize("name", DOORS)
def test_a_folder_that_is_missing_or_empty_is_named(name, work):
    (work / "empty").mkdir()
    for folder, reason in (("missing", ("'missing' is missing",)), ("empty", ("hold", "contain"))):
        line = fails(name, *(argument.format(folder) for argument in DOORS[name]))
        assert folder in line
        assert any(part in line for part in reason)


FOREIGN = {
    "a picture": lambda place: Image.new("RGB", (32, 32)).save(place),
    "an empty text": lambda place: Path(place).touch(),
    "bytes": lambda place: Path(place).write_bytes(bytes(range(256))),
}
WITHIN = ("raw_a.pkl", "raw_a.safetensors", "a,b_1.csv", "m_1.txt", "seq/0.png", "layers.parquet", "units.parquet")


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", DOORS)
def test_a_file_of_another_kind_is_one_line(name, kind, work):
    FOREIGN[kind](work / "file.png")
    assert "file.png" in fails(name, *(argument.format("file.png") for argument in DOORS[name]))


@pytest.mark.parametrize("file", WITHIN)
@pytest.mark.parametrize("name", DOORS)
def test_a_folder_of_damaged_files_is_one_line(name, file, work):
    """Empty, and a folder of that name."""
    (work / "empty" / file).parent.mkdir(parents=True)
    (work / "empty" / file).touch()
    (work / "folder" / file).mkdir(parents=True)
    for place in ("empty", "folder"):
        fails(name, *(argument.format(place) for argument in DOORS[name]))


@pytest.mark.parametrize("name", DOORS)
def test_an_unknown_option_is_one_line(name):
    assert "--nonsense" in fails(name, *(argument.format("x") for argument in DOORS[name]), "--nonsense")


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("plot_jointencoding", ["runs/model_1", "--threshold", "1.5"], r"range \[0, 1\]"),
        ("plot_jointencoding", ["runs/model_1", "--threshold", "-0.1"], r"range \[0, 1\]"),
        ("plot_jointencoding", ["runs/model_1", "--threshold", "half"], "--threshold is invalid: a number is required"),
        ("plot_jointencoding", ["runs/model_1", "--stages", "mot_stream.layr1"], "Did you mean 'mot_stream.layer1'"),
        ("plot_jointencoding", ["runs/model_1", "--out", "a.tiff"], "must end in one of .pdf, .svg, .png"),
        ("plot_histogram", ["runs/model_1", "--stages", "layer9,app_stream"], "Unknown stage"),
        ("plot_stats_fromtable", ["runs/model_1", "--stages", "x"], "Unknown stage"),
        (
            "plot_stages",
            ["--in_file", "runs/model_1", "--out_plot", "a", "--matplot"],
            "must end in one of .pdf, .svg, .png",
        ),
        ("plot_stages", ["--in_file", "runs/model_1", "--out_plot", "a.tex", "--y_range", "50", "10"], "--y_range"),
        ("plot_stages", ["--in_file", "runs/model_1", "--out_plot", "a.tex", "--y_range", "0", "inf"], "--y_range"),
        ("plot_stages", ["--in_file", "runs/model_1"], "--out-plot is required: LaTeX"),
        ("plot_iterations", ["--in_dir", "runs", "--out_plot", "a.png", "--stages", "x"], "Unknown stage"),
        ("plot_iterations", ["--in_dir", "dim", "--out_plot", "a.png"], "must end in its iteration"),
        ("plot_stages", ["--in_file", "runs/model_1", "--out_plot", "a.png"], "names a picture: add --matplot"),
        ("plot_stages", ["--in_file", "runs/model_1", "--out_plot", "runs"], "Cannot write 'runs'"),
        (
            "plot_iterations",
            ["--in_dir", "runs/model_1/run.json", "--out_plot", "a.png"],
            "The folder 'runs/model_1/run.json' is missing",
        ),
        ("mean_var_analysis", ["runs", "--out", "dim"], "Cannot write 'dim'"),
        ("mean_var_analysis", ["runs", "--ddof", "2"], "Allowed: 0, 1"),
        ("mean_var_analysis", ["runs/model_1/run.json"], "a line must have the form"),
    ],
)
def test_a_slip_is_one_line(name, arguments, reason):
    save(fake(1), 1)
    assert re.search(reason, fails(name, *arguments))


def test_a_name_without_an_iteration_is_refused():
    for name in ("model_final.txt", "model_final_001.txt", "model"):
        with pytest.raises(UserError, match="must end in its iteration"):
            iteration(name)


def test_a_damaged_run_is_one_line():
    save(fake(1), 1)
    Path("runs/model_1/layers.parquet").write_bytes(b"PAR1 cut short")
    assert "No result can be read" in fails("mean_var_analysis", "runs")


def test_examples_in_docstrings_run():
    results = [doctest.testmod(module) for module in (_tables, plot_iterations)]
    assert [(result.failed, result.attempted > 0) for result in results] == [(0, True)] * 2


def test_a_script_runs_from_anywhere(work):
    command = [sys.executable, ROOT / "misc" / "mean_var_analysis.py", "--help"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True)
    assert "mean_var_analysis.py" in done.stdout
