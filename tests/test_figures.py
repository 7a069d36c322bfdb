"""Figures: their widths, fonts and colours, that names do not overlap, the data beside them, and notebooks."""

import math
import re
import struct
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.estimators.registry import describe_estimator, estimators
from static_dynamic.report.figures import KINDS
from static_dynamic.report.own import BUILT_IN
from static_dynamic.report.theme import COLOURS, FORMATS, PALE, WIDTHS

STAGE_NAMES = {
    "one": ["stage1"],
    "five": [f"stage{i}" for i in range(1, 6)],
    "twenty": [f"block{i}" for i in range(20)],
    "long": [f"blocks.{i}.attention_projection_{i:02d}" for i in range(20)],
    "streams": [f"{stream}.layer{i}" for stream in ("app_stream", "mot_stream", "sensor_fusion") for i in range(1, 6)],
    "beside": ["slow.stage1+fast.stage1", *(f"{stream}.stage{i}" for stream in ("slow", "fast") for i in range(1, 6))],
}
CLASSES = {
    "needs_motion": ["still", "mixed", "motion", "unreliable", "dead"],
    "released": ["dynamic", "static", "joint", "residual", "dead"],
}


def made(stages, units=10, twins=True, undefined=False, classes=CLASSES):
    """Needs-motion and the published score of any stages."""
    draw = np.random.default_rng(len(stages))
    layers, tables = [], []
    for number, stage in enumerate(stages):
        for name, factor in (("needs_motion", "motion"), ("released", "dynamic"), ("released", "static")):
            value = np.nan if undefined and number == 1 else draw.uniform(10, 90)
            ends = {"share_low": value - 4, "share_high": value + 5}
            beside = {"twin": 20.0, "twin_low": 14.0, "twin_high": 26.0} if twins else {}
            row = {"stage": stage, "estimator": name, "factor": factor, "share": value, "videos": 60}
            layers.append({**row, **ends, **beside, "units": units, "pairs": 9})
        for name, factors in (("needs_motion", ["motion"]), ("released", ["dynamic", "static"])):
            scores = {factor: draw.uniform(-0.2 if name == "released" else 0, 1, units) for factor in factors}
            if undefined:
                scores[factors[0]][0] = np.nan
            kinds = [classes[name][unit % len(classes[name])] for unit in range(units)]
            table = {"stage": stage, "estimator": name, "unit": range(units), **scores, "class": kinds}
            tables.append(pd.DataFrame(table))
    described = [describe_estimator(estimators()[name]()) for name in CLASSES]
    manifest = {"study": {"model": "net", "source": {"kind": "clips"}}, "estimators": described}
    return sd.Result(pd.DataFrame(layers), pd.concat(tables, ignore_index=True), manifest, ["<b>Few</b> videos."])


@pytest.fixture(scope="module")
def measured():
    """A real one, small."""
    scoring = sd.Scoring(replicates=20)
    return sd.measure(
        PlantedModel(), PlantedVideos(6), STAGES, recipe=RECIPE, styles=("1", "2"), twins=0, scoring=scoring
    )


def several(kind, result):
    """What `sd.draw` is given for a kind."""
    if kind in ("models", "datasets", "curves"):
        return {"first": result, "second": result}
    return {1000: result, 2000: result} if kind == "course" else result


def drawn(figure):
    """The figure, laid out, with what measures its texts."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def texts(figure):
    """Every text of a figure that is seen."""
    found = []
    for text in figure.findobj(Text):
        axes = text.axes
        if text.get_visible() and text.get_text().strip() and (axes is None or axes.get_visible()):
            found.append(text)
    return found


def ticks(axes):
    """The names below a panel."""
    return [label for label in axes.get_xticklabels() if label.get_visible() and label.get_text()]


def apart(labels, renderer):
    """Whether neighbours leave room for each other, measured across their direction if they are slanted."""
    angles = {label.get_rotation() for label in labels}
    if angles <= {0.0, 90.0} or len(labels) == 1:
        boxes = [label.get_window_extent(renderer) for label in labels]
        return not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    (angle,) = angles
    places = [label.get_transform().transform((label.get_position()[0], 0))[0] for label in labels]
    for label in labels:
        label.set_rotation(0)
    height = max(label.get_window_extent(renderer).height for label in labels)
    return min(np.diff(places)) * math.sin(math.radians(angle)) >= 0.95 * height


# The docs


@pytest.mark.parametrize("place", [0, 1])
def test_the_examples_of_the_docs_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "docs" / "figures.md").read_text()
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[place]
    exec(compile(block, "docs/figures.md", "exec"), {"__name__": "figures"})
    for name in re.findall(r"figures/[\w.]+\.\w+", block):
        assert (tmp_path / name).exists()
    assert {kind for kind in BUILT_IN if f"`{kind}`" in text} == {*BUILT_IN}


# Every kind


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_kind_is_drawn_of_a_real_result_and_written_with_its_data(kind, measured, tmp_path):
    assert tuple(KINDS) == BUILT_IN
    figure = sd.draw(several(kind, measured), tmp_path, kind=kind, width="single", format=FORMATS)
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == WIDTHS["single"] == 3.35
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}.{end}" for end in (*FORMATS, "data.csv")}
    assert len(pd.read_csv(tmp_path / f"{kind}.data.csv"))
    assert len(figure.axes)


def test_a_figure_is_returned_to_a_notebook_and_nothing_is_written(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for figure in (measured.plot(), measured.plot(kind="units"), sd.draw([measured, measured])):
        assert figure._repr_png_().startswith(b"\x89PNG")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("width", "inches"), [("single", 3.35), ("double", 6.9)])
def test_files_are_as_wide_as_a_column(width, inches, tmp_path):
    made(STAGE_NAMES["long"]).plot(tmp_path, kind="layers", width=width, format=FORMATS)
    pixels = struct.unpack(">I", (tmp_path / "layers.png").read_bytes()[16:20])[0]
    assert pixels == pytest.approx(300 * inches, abs=1)
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", (tmp_path / "layers.pdf").read_bytes())
    assert float(box[1]) == pytest.approx(72 * inches, abs=0.1)
    points = re.search(r'<svg[^>]* width="([\d.]+)pt"', (tmp_path / "layers.svg").read_text())
    assert float(points[1]) == pytest.approx(72 * inches, abs=0.1)


def test_settings_of_the_reader_change_neither_width_nor_fonts(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"savefig.bbox": "tight", "font.size": 30, "pdf.fonttype": 3, "savefig.dpi": 30}):
        made(["a", "b"]).plot(tmp_path / "a.pdf", kind="layers")
    made(["a", "b"]).plot(tmp_path / "b.pdf", kind="layers")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_fonts_are_embedded_in_a_pdf(tmp_path):
    made(["a", "b"]).plot(tmp_path / "a.pdf", kind="units")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


# Names


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stages", STAGE_NAMES)
def test_names_do_not_overlap_and_are_large_enough(width, stages):
    result = made(STAGE_NAMES[stages])
    for kind in ("layers", "units", *(["histogram"] if stages in ("one", "long") else [])):
        figure = result.plot(kind=kind, width=width)
        renderer = drawn(figure)
        assert min(text.get_fontsize() for text in texts(figure)) >= 7
        headings = [axes.title for axes in figure.axes if axes.get_visible() and axes.get_title()]
        assert apart(headings, renderer)
        page = figure.bbox
        for text in texts(figure):
            box = text.get_window_extent(renderer)
            if text in [label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]:
                continue  # some lie beyond the axis and are not drawn
            assert box.x0 >= page.x0 - 1, text
            assert box.x1 <= page.x1 + 1, text
            assert box.y0 >= page.y0 - 1, text
            assert box.y1 <= page.y1 + 1, text
        for axes in figure.axes if kind != "histogram" else ():
            labels = ticks(axes)
            assert len(labels) == len(axes.get_xticks())
            assert apart(labels, renderer)
        if figure.legends:
            legend = figure.legends[0].get_window_extent(renderer)
            assert not any(legend.overlaps(axes.get_window_extent(renderer)) for axes in figure.axes)
        if kind != "histogram":
            names = [label.get_text() for axes in figure.axes for label in ticks(axes)]
            assert len(names) == len(STAGE_NAMES[stages])  # none is left out


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_of_models_do_not_overlap(width, count):
    results = {f"a_model_with_a_long_name_{i:04d}": made(["stage5"]) for i in range(count)}
    figure = sd.draw(results, kind="models", estimator="released", width=width)
    renderer = drawn(figure)
    assert sum(len(ticks(axes)) for axes in figure.axes) == count
    assert all(apart(ticks(axes), renderer) for axes in figure.axes)


# Colours


def bars(figure):
    """Name → colour of the bars of a legend."""
    legend = figure.legends[0]
    patches = zip(legend.get_texts(), legend.get_patches(), strict=True)
    return {text.get_text(): to_hex(patch.get_facecolor()).upper() for text, patch in patches}


def test_panels_of_equal_places_are_equally_wide_unless_a_title_needs_more():
    from static_dynamic.report.panels import Panel, in_lines

    def widths(titles, counts, room):
        panels = [
            Panel(title, {place: f"stage{place}" for place in range(count)})
            for title, count in zip(titles, counts, strict=True)
        ]
        (line,) = in_lines(panels, room)
        return [width for _, width in line], [panel.least for panel in panels]

    assert widths(["a", "a rather long title", "b"], [4, 4, 4], 6.0)[0] == pytest.approx([2, 2, 2])
    assert widths(["a", "b"], [2, 8], 6.0)[0] == pytest.approx([1.2, 4.8])
    found, least = widths(["a", "a title that is so long that it needs more than its part"], [4, 4], 6.0)
    assert found == pytest.approx([6.0 - least[1], least[1]])


@pytest.mark.parametrize(("kind", "name"), [("units", "needs_motion"), ("joint", "released")])
def test_colours_are_the_same_whatever_classes_are_there(kind, name):
    whole = bars(made(["a", "b"]).plot(kind=kind))
    assert whole == {one: COLOURS[one] for one in CLASSES[name]}
    for left_out in CLASSES[name]:
        some = {name: [one for one in CLASSES[name] if one != left_out]}
        fewer = bars(made(["a", "b"], classes={**CLASSES, **some}).plot(kind=kind))
        assert fewer == {one: colour for one, colour in whole.items() if one != left_out}


def test_every_factor_and_class_has_a_colour_and_those_of_one_estimator_differ():
    for entry in estimators().values():
        known = [COLOURS[name] for name in entry.classes]
        assert len({*known}) == len(known)


def test_the_page_knows_the_colour_of_dead_units():
    from importlib.resources import files

    assert f'"{PALE}"' in files("static_dynamic.report").joinpath("templates", "style.css").read_text()


# Data


def test_the_data_are_what_is_drawn(tmp_path):
    result = made(STAGE_NAMES["streams"], undefined=True)
    layers = result.plot(tmp_path, kind="layers")
    table = pd.read_csv(tmp_path / "layers.data.csv")
    lines = [line for axes in layers.axes for line in axes.lines if line.get_label() == "this model"]
    assert np.array_equal(np.concatenate([line.get_ydata() for line in lines]), table["mean"], equal_nan=True)
    units = result.plot(tmp_path, kind="units")
    table = pd.read_csv(tmp_path / "units.data.csv").pivot(index="stage", columns="class", values="percent")
    heights = [bar.get_height() for axes in units.axes for bar in axes.patches]
    assert sorted(heights) == pytest.approx(sorted(table.to_numpy().ravel()))
    assert table.sum(axis=1).tolist() == pytest.approx([100] * 15)


def test_a_histogram_counts_every_unit_that_has_a_score(tmp_path):
    result = made(["a", "b"], units=50, undefined=True)
    figure = result.plot(tmp_path, kind="histogram", estimator="released")
    table = pd.read_csv(tmp_path / "histogram.data.csv")
    units = result.unit("released")
    for (stage, factor), rows in table.groupby(["stage", "factor"]):
        scores = units.loc[units["stage"] == stage, factor].dropna()
        assert rows["units"].sum() == len(scores)
        for row in rows.itertuples():
            last = row.high == rows["high"].max()
            inside = (scores >= row.low) & ((scores <= row.high) if last else (scores < row.high))
            assert inside.sum() == row.units
    assert [axes.get_title() for axes in figure.axes] == ["a (1 undefined)", "b (1 undefined)"]


def test_bars_of_models_are_those_of_their_last_stages(tmp_path):
    results = {"one": made(["a", "b"]), "other": made(["a", "b", "c"], twins=False)}
    figure = sd.draw(results, tmp_path / "m.svg", kind="models")
    table = pd.read_csv(tmp_path / "m.data.csv")
    assert table["stage"].tolist() == ["b", "c"]
    assert table["mean"].tolist() == pytest.approx([result.shares().iloc[-1, 0] for result in results.values()])
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx(table["mean"].tolist())


def test_a_course_is_in_the_order_of_its_iterations(tmp_path):
    results = {2000: made(["a", "b"]), 500: made(["a", "b", "c"])}
    figure = sd.draw(results, tmp_path / "c.png", kind="course")
    table = pd.read_csv(tmp_path / "c.data.csv")
    assert table["iteration"].drop_duplicates().tolist() == [500, 2000]
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == ["a", "b", "c"]


def test_results_without_names_have_those_of_their_models_or_data():
    result = made(["a"])
    names = [[label.get_text() for label in ticks(sd.draw([result, result], kind=kind).axes[0])]
             for kind in ("models", "datasets")]  # fmt: skip
    assert names == [["net 1", "net 2"], ["clips 1", "clips 2"]]


def test_the_table_of_a_result_is_left_alone_in_its_folder(tmp_path):
    result = made(["a", "b"])
    result.save(tmp_path)
    before = (tmp_path / "layers.csv").read_bytes()
    result.plot(tmp_path)
    assert (tmp_path / "layers.csv").read_bytes() == before
    assert sd.load(tmp_path).stages == ["a", "b"]


def test_files_of_estimators_that_are_no_longer_there_vanish(tmp_path):
    made(["a"]).plot(tmp_path, format="pdf")
    assert (tmp_path / "layers-released.pdf").exists()
    whole = made(["a"])
    only = sd.Result(*(table[table["estimator"] == "needs_motion"] for table in (whole.layers, whole.units)))
    only.plot(tmp_path, format="pdf")
    assert not list(tmp_path.glob("*-released*"))


# Figures from outside


def spread(result):
    """A figure with its data."""
    figure = Figure()
    figure.subplots().plot(result.stages, result.shares()["motion"])
    return figure, result.shares().reset_index()


def test_a_function_is_a_kind_without_being_registered(tmp_path):
    figure = made(["a", "b"]).plot(tmp_path, kind=spread, width="single", format="pdf")
    assert figure.get_figwidth() == 3.35  # the style sets the width of a figure that names none
    assert {path.name for path in tmp_path.iterdir()} == {"spread.pdf", "spread.data.csv"}
    assert "spread" not in sd.plot.names()
    nameless = made(["a", "b"]).plot(tmp_path, kind=lambda result: spread(result), format="svg")
    assert isinstance(nameless, Figure)
    assert (tmp_path / "figure.svg").exists()


def test_a_registered_name_is_a_kind():
    sd.plot("spread_of_motion", "How it spreads.")(spread)
    try:
        assert isinstance(made(["a", "b"]).plot(kind="spread_of_motion"), Figure)
    finally:
        del sd.plot.entries["spread_of_motion"]
    with pytest.raises(UserError, match="is reserved"):
        sd.plot("histogram", "Taken.")(spread)


# Slips


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "layer"}, "Unknown kind of figure 'layer'. Did you mean 'layers'"),
        ({"kind": 3}, "A kind of figure is a name or a function. Got 3"),
        ({"width": "duble"}, "Unknown width 'duble'. Did you mean 'double'"),
        ({"format": "pfd"}, "Unknown format of a figure 'pfd'. Did you mean 'pdf'"),
        ({"format": ()}, "Allowed: pdf, svg, png"),
        ({"estimator": "needs_motio"}, "Did you mean 'needs_motion'"),
        ({"kind": "course"}, "A course needs the iteration of every result"),
        ({"path": "x.foo", "kind": "layers"}, "must end in one of .pdf, .svg, .png. Got 'x.foo'"),
        ({"path": "x.pdf"}, "'x.pdf' names a file, but the default figures need a folder"),
        ({"path": "x", "estimator": "released"}, "To choose one, choose one figure too"),
    ],
)
def test_slips_are_one_line_and_nothing_is_written(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        made(["a", "b"]).plot(**arguments)
    assert says in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_a_result_lacks_is_said():
    whole = made(["a"])
    only = sd.Result(*(table[table["estimator"] == "needs_motion"] for table in (whole.layers, whole.units)))
    with pytest.raises(UserError, match="this result has needs_motion"):
        only.plot(kind="joint")
    with pytest.raises(UserError, match=r"shows one result. Got 2: x, y"):
        sd.draw({"x": whole, "y": whole}, kind="layers")
    with pytest.raises(UserError, match="Only a Result can be drawn"):
        sd.draw({"x": "runs/x"})
    with pytest.raises(UserError, match="At least one result is required"):
        sd.draw({})
    bare = sd.Result(whole.layers, whole.units.drop(columns=["motion", "class"]), whole.manifest)
    with pytest.raises(UserError, match="does not give numbers of units"):
        bare.plot(kind="histogram")
    with pytest.raises(UserError, match="does not sort units into classes"):
        bare.plot(kind="units")


def test_an_unknown_ending_of_a_figure_of_probes_or_a_comparison_is_one_line(measured, tmp_path):
    activations = {"late": np.random.default_rng(0).normal(size=(30, 4))}
    labels = np.tile([0, 1, 2], 10)
    found = sd.probe_activations(activations, {"label": labels}, groups=np.arange(30))
    for draw in (found.plot, sd.compare(measured, measured).plot):
        with pytest.raises(UserError, match=r"must end in one of .pdf, .svg, .png. Got '.*x.foo'"):
            draw(tmp_path / "x.foo")
    assert not list(tmp_path.iterdir())
    assert found.plot(tmp_path / "x.pdf") == tmp_path / "x.pdf"
    assert len(pd.read_csv(tmp_path / "x.data.csv")) == len(found.table)
    assert found.plot(width="single").get_figwidth() == 3.35
    assert "<img" in found._repr_html_()


# Notebooks and terminals


def test_a_notebook_shows_a_small_table_the_figure_and_what_a_reader_must_know():
    result = made([f"stage{i}" for i in range(40)], units=200)
    page = result._repr_html_()
    assert len(page) < 200_000
    assert page.count("<tr>") == 30  # and the heading
    assert "and 10 more rows" in page
    assert "14.0, 26.0" in page
    assert "&lt;b&gt;Few" in page
    assert "data:image/png;base64," in page


def test_a_terminal_shows_a_line_and_the_answer(measured):
    first, second = repr(made(["a", "b"])).split("\n")
    assert first == "Result(net: 2 stages, 60 videos, needs_motion, released; 1 warning)"
    assert second.startswith("  At the last stage, b, ")
    assert repr(sd.Result(measured.layers[:0], measured.units[:0])).startswith("Result(a model: 0 stages")


def test_a_comparison_is_shown_and_drawn(measured, tmp_path):
    found = sd.compare(measured, measured)
    assert repr(found).startswith("Comparison(PlantedModel less PlantedModel: 2 stages, paired)\n  At the last stage")
    assert "<img" in found._repr_html_()
    figure = found.plot(tmp_path / "d.svg", width="single", estimator="released")
    assert figure.get_figwidth() == 3.35
    table = pd.read_csv(tmp_path / "d.data.csv")
    assert set(table["difference"]) == {0}
    with pytest.raises(UserError, match="Did you mean 'released'"):
        found.plot(estimator="releasd")
