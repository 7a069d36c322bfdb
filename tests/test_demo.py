"""The demo: the networks come out in the order in which they were taught, and the picture shows it."""

import itertools

import pytest
from doors import fails, succeeds
from hypothesis import given
from hypothesis import strategies as st

import static_dynamic as sd
from static_dynamic import models
from static_dynamic.program.demo import NETWORKS
from static_dynamic.program.demo_picture import curves_of, picture
from static_dynamic.report.several import spread


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def test_the_demo_tells_the_networks_apart(folder, monkeypatch):
    def without(name, *args, create=models.create_model, **options):
        if name == "transnetv2":
            raise models.ModelError("not installed here")
        return create(name, *args, **options)

    monkeypatch.setattr(models, "create_model", without)
    said = succeeds("demo", "--out", folder, "--clips", 12)
    assert "taught motion" in said
    assert "never taught" in said
    results = {what: sd.load(folder / name) for what, name in NETWORKS.items()}
    curves = curves_of(results, "needs_motion", dict.fromkeys(results, "black"))
    last = {what: curve.numbers.iloc[-1] for what, curve in curves.items()}
    assert list(last) == ["taught motion", "taught both", "taught looks", "never taught"]
    assert last["taught motion"]["low"] > last["taught both"]["high"] > last["taught both"]["low"]
    assert last["taught both"]["low"] > last["taught looks"]["high"]
    assert last["never taught"]["high"] < 30
    assert (
        curves["never taught"]
        .numbers["mean"]
        .equals(results["taught both"].layer("needs_motion").query("factor == 'motion'")["twin"])
    )
    for name in NETWORKS.values():
        assert (folder / name / "report.html").is_file()
    svg = (folder / "demo.svg").read_text()
    assert all(text in svg for text in [*last, "Same architecture, same clips.", "frozen", "Published score"])
    assert (folder / "demo.png").stat().st_size > 20_000


def test_a_network_of_real_videos_has_a_panel_of_its_own(folder):
    results = {what: sd.load(folder / name) for what, name in NETWORKS.items()}
    axes = picture(results, results["taught both"]).axes
    assert [one.get_title(loc="left") for one in axes if one.get_title(loc="left")] == [
        "Needs motion",
        "Published score: dynamic",
        "Needs motion, trained on real videos",
    ]


def test_slips_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "at least 1" in fails("demo", "--clips", 0, "--out", tmp_path / "new")
    assert "--clips" in fails("demo", "--clips", "many")
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in fails("demo", "--out", tmp_path / "file" / "demo")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0.5, 10))
def test_names_are_moved_no_further_than_they_must(heights, apart):
    moved = spread(heights, apart)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    gaps = [moved[b] - moved[a] for a, b in itertools.pairwise(order)]
    assert all(gap >= apart - 1e-6 for gap in gaps)
    assert abs(sum(moved) - sum(heights)) < 1e-6 * max(1, sum(heights))
    if all(heights[b] - heights[a] >= apart for a, b in itertools.pairwise(order)):
        assert moved == pytest.approx(heights)
