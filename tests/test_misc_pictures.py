"""The pictures of the published analysis scripts, and the numbers that are drawn in them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from doors import ROOT, SCORES, STAGES, fails, fake, is_picture, save, script, succeeds, write_pickles, write_texts
from PIL import Image

from static_dynamic.misc._seeds import Seeds
from static_dynamic.misc._tables import read_units
from static_dynamic.misc.estimate_dataset_centerbias import centre_bias
from static_dynamic.misc.plot_iterations import course, iteration
from static_dynamic.misc.plot_stats_fromtable import read_table, statistics
from static_dynamic.report.published import published_name, unit_softmax, write_published
from static_dynamic.report.stages import escape, latex_stages, limits

DAVIS = ROOT.parent / "shared" / "data" / "davis_mini" / "Annotations" / "480p"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_stages_are_drawn_per_stream():
    for seed in range(3):
        save(fake(seed), seed)
    drawn = succeeds("plot_stages", "--in_file", "dim/final/model", "--out_plot", "p_%s.png", "--matplot").split()
    assert drawn == ["p_app_stream.png", "p_mot_stream.png", "p_sensor_fusion.png"]
    assert all(is_picture(path) for path in drawn)
    (name,) = succeeds(
        "plot_stages", "--in_file", "runs/model_1", "--out_plot", "q.svg", "--matplot", "--title", "One & only",
        "--y_range", "0", "60", "--stages", "mot*",
    ).split()  # fmt: skip
    assert name == "q_mot_stream.svg"
    assert "One &amp; only" in Path(name).read_text()


def test_the_latex_figure_is_closed_and_holds_every_number():
    save(fake(1), 1)
    for _ in range(2):  # a second run does not append
        succeeds(
            "plot_stages",
            "--in_file",
            "dim/final/model/model_final_001.txt",
            "--out_plot",
            "p.tex",
            "--title",
            "50 % of a_b",
        )
    text = Path("p.tex").read_text()
    opened, closed = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(opened) == sorted(closed)
    assert opened.count("figure") == 1
    assert opened.count("axis") == 3
    assert text.count("{") == text.count("}")
    assert r"\caption{50 \% of a\_b}" in text
    assert r"app\_stream" in text
    rows = fake(1).layers.query("factor in ('dynamic', 'static')")
    drawn = [
        float(y)
        for line in text.splitlines()
        if line.startswith(" " * 8 + "(")
        for y in re.findall(r",(\d+\.\d+)\)", line)
    ]
    assert sorted(drawn) == pytest.approx(sorted(rows["percent"]))


def test_the_published_range_is_kept_unless_a_value_lies_outside():
    table = pd.DataFrame({"mean": [20.0, 41.0], "low": [np.nan, 37.0], "high": [np.nan, 45.0]})
    assert limits(table) == (10, 50)
    assert limits(table.assign(mean=[9.0, 58.0], high=[np.nan, 62.0])) == (0, 70)
    assert limits(table * np.nan) == (10, 50)


@pytest.mark.parametrize("title", ["", "a_b & c", "{", "\\", "é %"])
def test_any_title_can_stand_in_latex(title):
    means = fake(1).layers.assign(mean=lambda t: t["percent"], low=np.nan, high=np.nan)
    text = latex_stages(means[means["factor"] != "residual"], title, (10, 50), "percent")
    assert rf"\caption{{{escape(title)}}}" in text
    assert re.fullmatch(r"[\w-]*", re.search(r"\\label{fig:(.*)}", text)[1])


def test_histograms_have_the_published_names():
    save(fake(1), 1)
    names = [f"{published_name(STAGES[0])}_{kind}_hist" for kind in ("mot", "app")]
    for place, out in (("runs/model_1", "one"), ("dim/idv_scores/model", "two")):
        succeeds("plot_histogram", place, "--out", out, "--stages", "app_stream.conv*")
        assert {path.name for path in Path(out).iterdir()} == {
            f"{name}{end}" for name in names for end in (".png", ".data.csv")
        }
    for name in (f"{name}.png" for name in names):
        assert is_picture(Path("one") / name)
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_the_default_folders_are_the_published_ones():
    save(fake(1, stages=STAGES[:1]), 1, "twostream_deeplabv3plus_resnet101_davis")
    Path("dim_outputs").mkdir()
    Path("dim").rename("dim_outputs/vos_models")
    assert succeeds("plot_histogram").split() == ["conv1,app_stream_mot_hist.png", "conv1,app_stream_app_hist.png"]
    place = Path("dim_outputs/vos_models/results_final_4pairs/tatt_matnet")
    write_texts(place, "mean_var_analysis_4factors.py")
    assert succeeds("mean_var_analysis_4factors").count("\n") == 1 + 56


def test_the_softmax_of_units_is_that_of_the_published_arrays(work):
    units = read_units(write_pickles(work / "joint").parent / "idv")
    assert np.allclose(units[["dynamic", "static"]].to_numpy().T, SCORES[:2], atol=1e-12)
    assert np.allclose(unit_softmax(SCORES).sum(0), 1)


@pytest.mark.parametrize(
    ("name", "number"),
    [("a/m_100.txt", 100), ("m_v2_100.txt", 100), ("m_100_final_003.txt", 100), ("runs/m_100", 100), ("runs/m.b_7", 7)],
)
def test_the_name_tells_the_iteration(name, number):
    assert iteration(name) == number


def test_any_stage_is_drawn_over_iterations(work):
    for number in (1000, 200, 30):
        for seed in (1, 2):
            result = fake(seed, stages=["app_stream.conv1", "sensor_fusion.layer2"])
            write_published(result.layers, result.units, work / "dim", f"m_{number}", seed)
            result.save(work / "runs" / f"m_{number}")
    drawn = succeeds("plot_iterations", "--in_dir", "dim", "--out_plot", "c.png").split()
    assert drawn == ["c_app_stream.conv1.png", "c_sensor_fusion.layer2.png"]
    assert all(is_picture(path) for path in drawn)
    assert len(succeeds("plot_iterations", "--in_dir", "runs", "--out_plot", "d_%s.png").split()) == 2


def test_the_course_is_in_the_order_of_the_iterations():
    seeds = Seeds({f"m_{number}.txt": fake(number).layers for number in (1000, 30, 200)})
    means = course(seeds)
    assert means.table["iteration"].drop_duplicates().tolist() == [30, 200, 1000]
    assert means.label == "published percent (truncated dims)"


def test_statistics_come_from_tables_and_from_units(work):
    folder = work / "stats" / "model"
    folder.mkdir(parents=True)
    values = {seed: np.random.default_rng(seed).normal(0.3, 0.2, (20, 4)) for seed in (1, 2)}
    for seed, scores in values.items():
        pd.DataFrame(scores).to_csv(folder / f"layer1,mot_stream_{seed}.csv", header=seed == 2)
    table = statistics(pd.concat(map(read_table, sorted(folder.iterdir()))))
    together = np.concatenate(list(values.values()))
    assert table["stage"].unique().tolist() == ["mot_stream.layer1"]
    assert table["factor"].tolist() == ["dynamic", "static", "differ", "same"]
    assert table["mean"].to_numpy() == pytest.approx(together.mean(0))
    assert table["std"].to_numpy() == pytest.approx(together.std(0))
    assert succeeds("plot_stats_fromtable", folder).endswith("plots_stats/model.png\n")
    assert is_picture("plots_stats/model.png")
    save(fake(1), 1)
    assert len(succeeds("plot_stats_fromtable", "runs/model_1", "--out", "u.png").splitlines()) == 2 * len(STAGES) + 2


def test_a_malformed_table_is_named(work):
    path = work / "layer1,mot_stream_1.csv"
    path.write_text("id,a,b,c,d\n0,1,1,1,1\n1,1,x,1,1\n")
    assert f"{path}:3: " in fails("plot_stats_fromtable", work)
    path.write_text("0,1,1,1,1\n1,1,1\n")
    assert f"{path}:2: " in fails("plot_stats_fromtable", work)


# Centre bias


def write_mask(path, ids, mode="P"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids.astype(np.uint8), mode="L")
    if mode == "P":
        image = image.convert("P")
        image.putdata(ids.astype(np.uint8).ravel().tolist())
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])  # the first PASCAL colours hold no blue
    image.save(path)


def test_every_object_counts_whatever_its_colour(work):
    ids = np.zeros((480, 854), int)
    ids[100:200, 100:300], ids[150:250, 200:400], ids[400:, 800:] = 1, 2, 3
    small = np.zeros((120, 200), int)
    small[60:, 100:] = 1
    write_mask(work / "tao" / "set" / "a" / "0.png", ids)
    write_mask(work / "tao" / "set" / "a" / "1.png", np.zeros((480, 854)))
    write_mask(work / "tao" / "set" / "b" / "0.png", small)
    (work / "tao" / "set" / "b" / "1.png").write_bytes(b"no picture")
    write_mask(work / "davis" / "a" / "0.png", 255 * (ids > 0), mode="L")
    code, out, err = script("estimate_dataset_centerbias", "--taovos", "tao", "--davis", "davis", "--out", "priors")
    assert code == 0
    assert err.count("note: skipped") == 1
    assert "tao/set/b/1.png" in err
    assert "3 masks" in out
    with Image.open("priors/saliency_prior_davis.png") as image:
        assert np.array_equal(np.asarray(image), 255 * (ids > 0))
    # The small mask once more, by the pixel of it that covers each position.
    rows, columns = ((np.arange(n) + 0.5) * m / n for n, m in ((480, 120), (854, 200)))
    enlarged = small[rows.astype(int)][:, columns.astype(int)]
    total = (ids > 0) + enlarged
    with Image.open("priors/saliency_prior_taovos.png") as image:
        assert np.abs(np.asarray(image) - 255 * total / total.max()).max() <= 0.5


@pytest.mark.skipif(not DAVIS.is_dir(), reason="needs the DAVIS sequences")
def test_the_prior_of_davis_is_where_the_objects_are():
    paths = sorted(DAVIS.glob("*/*.png"))[::6]
    prior, count = centre_bias(paths)
    assert (prior.shape, count) == ((480, 854), len(paths))
    slow = sum((np.asarray(Image.open(path)) > 0).mean() for path in paths) / len(paths)
    assert prior.mean() == pytest.approx(slow)


def test_a_data_set_without_a_readable_mask_is_refused(work):
    (work / "a").mkdir()
    assert "A data set is required" in fails("estimate_dataset_centerbias")
    assert "does not contain masks: images */*" in fails("estimate_dataset_centerbias", "--davis", work)
    (work / "a" / "0.png").write_bytes(b"")
    assert "None of 1 masks can be read" in fails("estimate_dataset_centerbias", "--davis", work)
