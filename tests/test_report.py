"""Pictures and the page: they show every stage, stand on their own, and come out the same twice."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.report.plots import plot_layers, plot_units


@pytest.fixture(scope="module")
def result():
    return sd.measure(
        PlantedModel(),
        PlantedVideos(20, bad=(3,)),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2", "3"),
        scoring=sd.Scoring(replicates=50),
    )


def few(count):
    return sd.measure(
        PlantedModel(),
        PlantedVideos(count),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2", "3"),
        scoring=sd.Scoring(replicates=20),
    )


def renamed(result, names):
    """The same result with other stage names."""
    layers, units = (table.replace({"stage": names}) for table in (result.layers, result.units))
    return sd.Result(layers, units, result.manifest, result.warnings)


def test_the_bars_of_a_stage_add_up_to_all_its_units(result):
    axes = plot_units(result.units).axes[0]
    heights = pd.Series([bar.get_height() for bar in axes.patches]).to_numpy().reshape(-1, len(result.stages))
    assert heights.sum(0) == pytest.approx([100, 100])


def test_error_bars_are_the_intervals(result):
    axes = plot_layers(result.layers).axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    rows = result.layers[result.layers["factor"] == "static"]
    segments = drawn["_static"].lines[2][0].get_segments()
    assert [segment[0][1] for segment in segments] == pytest.approx(rows["share_low"].tolist())
    assert [segment[1][1] for segment in segments] == pytest.approx(rows["share_high"].tolist())


def test_streams_get_a_panel_each(result):
    two = renamed(result, {"planted": "slow.stage1", "frames": "fast.stage1"})
    assert [axes.get_title() for axes in plot_layers(two.layers).axes] == ["slow", "fast"]


def test_plots_are_written_the_same_twice(result, tmp_path):
    first = {path.name: path.read_bytes() for path in result.plot(tmp_path / "one")}
    second = {path.name: path.read_bytes() for path in result.plot(tmp_path / "two")}
    assert sorted(first) == ["layers.png", "layers.svg", "units.png", "units.svg"]
    assert first == second
    assert first["layers.png"].startswith(b"\x89PNG")
    assert b"stage" in first["layers.svg"] or b"planted" in first["layers.svg"]


def test_the_page_stands_on_its_own_and_says_what_a_reader_must_know(result, tmp_path):
    text = result.report(tmp_path / "deep" / "report.html").read_text()
    HTMLParser().feed(text)
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert text.count("<svg") == 2
    for stage in result.stages:
        assert f"<td>{stage}</td>" in text
    for share in result.layers["share"]:
        assert f"{share:.1f} [" in text
    assert "never under 33.3" in text
    assert "Skipped v003" in text
    assert result.manifest["study"]["weights"] in text


def test_names_from_outside_cannot_break_the_page(result, tmp_path):
    hostile = renamed(result, {"planted": "<script>alert(1)</script>"})
    text = hostile.report(tmp_path / "report.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_one_or_two_videos_have_a_dash_for_an_interval_and_the_page_says_why(tmp_path):
    for count in (1, 2):
        result = few(count)
        text = result.report(tmp_path / "report.html").read_text()
        for share in result.layers["share"]:
            assert f"<td>{share:.1f} [–]</td>" in text
        assert f"<li>Too few videos ({count}) for intervals: 3 are needed" in text
        assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert "[–]" not in few(3).report(tmp_path / "report.html").read_text()


def test_one_or_two_videos_have_no_error_bars():
    for count, drawn in ((2, False), (3, True)):
        axes = plot_layers(few(count).layers).axes[0]
        for _, caps, bars in (container.lines for container in axes.containers):
            heights = [y for bar in bars for segment in bar.get_segments() for _, y in segment]
            heights += [y for cap in caps for y in cap.get_ydata()]
            assert np.isfinite(heights).tolist() == [drawn] * len(heights)
        for points in axes.get_legend_handles_labels()[0]:
            assert np.isfinite(np.asarray(points.get_ydata(), float)).all()


def test_a_share_that_is_undefined_is_a_dash(tmp_path, result):
    layers = result.layers.assign(share=np.nan, share_low=np.nan, share_high=np.nan, score=np.nan)
    text = sd.Result(layers, result.units, result.manifest).report(tmp_path / "report.html").read_text()
    assert text.count("<td>– [–]</td>") == len(layers)
    assert text.count("<td>–</td>") == 2 * len(result.stages)
