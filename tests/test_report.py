"""Pictures and the page: they show every stage, stand on their own, and come out the same twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import read_page
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.report.pictures import plot_part
from static_dynamic.report.plots import plot_means, plot_units
from static_dynamic.report.scores import histogram, plot_course, plot_histogram
from static_dynamic.report.stages import limits, plot_stages
from static_dynamic.report.theme import save_figure


@pytest.fixture(scope="module")
def result():
    return sd.measure(
        PlantedModel(),
        PlantedVideos(20, bad=(3,)),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2", "3"),
        scoring=sd.Scoring(replicates=50),
        twins=0,
    )


def released(result):
    """What a result says of the released score."""
    return next(part for part in result.parts if part.name == "released")


def few(count):
    return sd.measure(
        PlantedModel(),
        PlantedVideos(count),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2", "3"),
        scoring=sd.Scoring(replicates=20),
        estimators="released",
        twins=0,
    )


def renamed(result, names):
    """The same result with other stage names."""
    layers, units = (table.replace({"stage": names}) for table in (result.layers, result.units))
    return sd.Result(layers, units, result.manifest, result.warnings)


def test_the_bars_of_a_stage_add_up_to_all_its_units(result):
    axes = plot_units(result.unit("released")).axes[0]
    heights = pd.Series([bar.get_height() for bar in axes.patches]).to_numpy().reshape(-1, len(result.stages))
    assert heights.sum(0) == pytest.approx([100, 100])


def test_error_bars_are_the_intervals(result):
    axes = plot_part(released(result)).axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    rows = result.layer("released").query("factor == 'static'")
    segments = drawn["_static"].lines[2][0].get_segments()
    assert [segment[0][1] for segment in segments] == pytest.approx(rows["share_low"].tolist())
    assert [segment[1][1] for segment in segments] == pytest.approx(rows["share_high"].tolist())


def test_streams_get_a_panel_each(result):
    two = renamed(result, {"planted": "slow.stage1", "frames": "fast.stage1"})
    assert [axes.get_title() for axes in plot_part(two.parts[0]).axes] == ["slow", "fast"]


def test_plots_are_written_the_same_twice(result, tmp_path):
    first = {path.name: path.read_bytes() for path in result.plot(tmp_path / "one")}
    second = {path.name: path.read_bytes() for path in result.plot(tmp_path / "two")}
    assert sorted(first) == sorted(
        f"{name}{of}.{kind}"
        for name in ("layers", "units")
        for of in ("", "-released")
        for kind in ("png", "svg", "data.csv")
    )
    assert first == second
    assert first["layers.png"].startswith(b"\x89PNG")
    assert b"stage" in first["layers.svg"] or b"planted" in first["layers.svg"]


def test_the_page_stands_on_its_own_and_says_what_a_reader_must_know(result, tmp_path):
    page = read_page(result.report(tmp_path / "deep" / "report.html"))
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
    cells = [cell for table in page.tables for row in table for cell in row]
    for stage in result.stages:
        assert cells.count(stage) >= 4  # numbers and classes under both estimators
    for share in result.layers["share"]:
        assert any(cell.startswith(f"{share:.1f} [") for cell in cells)
    assert "never under 33.3" in page.words
    assert "Skipped v003" in page.words
    assert result.manifest["study"]["weights"] in cells


def test_names_from_outside_cannot_break_the_page(result, tmp_path):
    hostile = renamed(result, {"planted": "<script>alert(1)</script>"})
    page = read_page(hostile.report(tmp_path / "report.html"))
    assert len(page.scripts) == 3
    assert "<script>alert(1)</script>" in page.words
    assert not [text for _, text in page.scripts if "alert" in text and "\\u003cscript" not in text]


def test_one_or_two_videos_have_a_dash_for_an_interval_and_the_page_says_why(tmp_path):
    for count in (1, 2):
        result = few(count)
        page = read_page(result.report(tmp_path / "report.html"))
        cells = [cell for row in page.tables[0] for cell in row]
        for share in result.layers["share"]:
            assert f"{share:.1f} [–]" in cells
        assert f"Too few videos ({count}) for intervals: 3 are required" in page.words
        assert "nan" not in page.words
        assert not [one for one in page.elements if "nan" in {*map(str, one[1].values())}]
    assert "[–]" not in read_page(few(3).report(tmp_path / "report.html")).words


def test_one_or_two_videos_have_no_error_bars():
    for count, drawn in ((2, False), (3, True)):
        axes = plot_part(few(count).parts[0]).axes[0]
        for _, caps, bars in (container.lines for container in axes.containers):
            heights = [y for bar in bars for segment in bar.get_segments() for _, y in segment]
            heights += [y for cap in caps for y in cap.get_ydata()]
            assert np.isfinite(heights).tolist() == [drawn] * len(heights)
        for points in axes.get_legend_handles_labels()[0]:
            assert np.isfinite(np.asarray(points.get_ydata(), float)).all()


def test_a_share_that_is_undefined_is_a_dash(tmp_path, result):
    layers = result.layers.assign(share=np.nan, share_low=np.nan, share_high=np.nan, null=np.nan, ceiling=np.nan)
    layers.loc[layers["factor"] == "dynamic", "score"] = np.nan
    page = read_page(sd.Result(layers, result.units, result.manifest).report(tmp_path / "report.html"))
    cells = [cell for table in page.tables for row in table for cell in row]
    assert cells.count("– [–]") == len(layers)
    assert cells.count("–") == len(result.stages)
    assert "undefined of what units tell" in page.words


# Odd shapes


def table(stages, factors=("dynamic", "static", "residual"), mean=30.0):
    """Means with intervals."""
    rows = [(stage, factor, mean, mean - 1, mean + 2) for stage in stages for factor in factors]
    return pd.DataFrame(rows, columns=["stage", "factor", "mean", "low", "high"])


def ticks(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def png(figure, path):
    """The figure, drawn without a warning."""
    save_figure(figure, path)
    return path.read_bytes().startswith(b"\x89PNG")


def test_stages_side_by_side_have_a_panel_of_their_own():
    panels = plot_means(table(["slow.a", "slow.b+fast.b", "fast.a"]), "percent").axes
    assert [(axes.get_title(), ticks(axes)) for axes in panels] == [
        ("slow", ["a"]), ("side by side", ["slow.b+\nfast.b"]), ("fast", ["a"]),
    ]  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    figure = plot_means(table(["$x$.$\\foo$", "$x$.b"]), "share, $")
    assert png(figure, tmp_path / "a.png")
    save_figure(figure, tmp_path / "a.svg")
    assert ">$\\foo$<" in (tmp_path / "a.svg").read_text()
    assert png(plot_course(table(["$\\foo$"]).assign(iteration=1), "$"), tmp_path / "b.png")
    assert png(plot_stages(table(["a"]), "$\\foo$ & $", (0, 50), "$"), tmp_path / "c.png")


@pytest.mark.filterwarnings("error")
def test_names_of_any_length_leave_room_for_the_picture(tmp_path):
    name = "blocks.7." + 200 * "very_" + "long"
    figure = plot_means(table([name]), "percent")
    (text,) = ticks(figure.axes[0])
    assert len(text) < 50
    assert text.endswith("_long")
    assert png(figure, tmp_path / "a.png")


@pytest.mark.filterwarnings("error")
def test_stages_of_very_many_streams_stand_in_lines_under_their_full_names(tmp_path):
    names = [f"layer{i}.conv" for i in range(60)]
    lines = plot_means(table(names, ["dynamic"]), "percent").axes
    assert [name for axes in lines for name in ticks(axes)] == names
    thousand = plot_means(table([f"l{i}" for i in range(1000)], ["dynamic"]), "percent")
    assert thousand.get_figwidth() == 6.9
    assert sum(len(ticks(axes)) for axes in thousand.axes) == 1000


def test_an_interval_that_leaves_its_estimate_out_is_drawn_where_it_is():
    """Corrected intervals can; a length below zero could not be drawn."""
    odd = table(["a"], ["static"]).assign(low=31.0, high=33.0)
    (bars,) = plot_means(odd, "percent").axes[0].containers
    ((low, high),) = [[y for _, y in segment] for segment in bars.lines[2][0].get_segments()]
    assert (low, high) == (31, 33)


@pytest.mark.filterwarnings("error")
def test_a_stage_whose_units_never_vary_is_drawn_as_a_gap(tmp_path, result):
    dead = table(["a", "b", "c"])
    dead.loc[dead["stage"] == "b", ["mean", "low", "high"]] = np.nan
    for line in plot_means(dead, "percent").axes[0].get_legend_handles_labels()[0]:
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False]
    nothing = dead[dead["stage"] == "b"]
    assert png(plot_means(nothing, "percent"), tmp_path / "a.png")
    assert limits(nothing) == (10, 50)
    assert png(
        plot_histogram(histogram(pd.DataFrame({"stage": "b", "dynamic": [np.nan] * 3}), ["dynamic"]), "score"),
        tmp_path / "b.png",
    )
    units = result.units.assign(**{"class": "dead", "dynamic": np.nan, "static": np.nan})
    assert png(plot_units(units[units["estimator"] == "released"]), tmp_path / "c.png")
    assert "nan" not in page(result, units=units, tmp_path=tmp_path).words


def page(result, tmp_path, **tables):
    """A page with other tables."""
    changed = sd.Result(**{"layers": result.layers, "units": result.units, "manifest": result.manifest, **tables})
    return read_page(changed.report(tmp_path / "page.html"))


def test_a_page_of_five_factors_and_of_one_stage_names_them_all(result, tmp_path):
    one = result.layer("released").query("stage == 'planted'")
    template = one[one["factor"] == "static"]
    names = ["dynamic", "static", "differ", "same", "residual"]
    five = pd.concat([template.assign(factor=name) for name in names], ignore_index=True)
    found = page(result, tmp_path, layers=five, units=result.unit("released").query("stage == 'planted'"))
    for name in names:
        assert f"{name}, % [interval]" in found.tables[0][0]
    assert found.tables[0][1][0] == "planted"


@pytest.mark.parametrize("table", ["layer", "units"])
def test_the_order_of_rows_does_not_matter_within_a_stage(table, result):
    part = released(result)
    rows = getattr(part, table)
    mixed = rows.sample(frac=1, random_state=1).sort_values(
        "stage", key=lambda s: s.map(result.stages.index), kind="stable"
    )
    figures = (plot_units(rows) if table == "units" else plot_part(replace(part, layer=rows)) for rows in (rows, mixed))
    first, second = (axes for figure in figures for axes in figure.axes)
    assert ticks(first) == ticks(second)
    for left, right in zip(first.patches, second.patches, strict=True):
        assert left.get_height() == pytest.approx(right.get_height())
    drawn = [
        {
            line.get_label(): line.get_ydata().tolist()
            for line in axes.get_legend_handles_labels()[0]
            if hasattr(line, "get_ydata")
        }
        for axes in (first, second)
    ]
    assert drawn[0] == drawn[1]
