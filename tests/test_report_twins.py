"""Several estimators beside untrained networks, in pictures and on the page: every number is where it belongs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_hex
from pages import read_page

import static_dynamic as sd
from static_dynamic.report.parts import beside_untrained
from static_dynamic.report.pictures import HOLLOW, LINE, MODEL, SPREAD, plot_part
from static_dynamic.report.plots import plot_units
from static_dynamic.report.theme import COLOURS, CYCLE, colours_of

STAGES = ["slow.a", "slow.b", "fast.c"]
MOTION = {"slow.a": (4.0, 3.0, 2.0, 8.0), "slow.b": (40.0, 5.0, 1.0, 9.0), "fast.c": (1.0, 6.0, 4.0, 7.0)}
"""Stage → number, mean of untrained networks, ends of their spread."""
RELEASED = {"dynamic": (20.0, 13.0), "static": (30.0, 44.0), "residual": (50.0, 43.0)}
"""Factor → number, mean of untrained networks, whose spread is 2 to both sides."""
KEYS = {"units": 3, "pairs": 7, "videos": 60}
MANIFEST = {
    "study": {"model": "net", "styles": ["ink", "neon"], "orders": ["intact", "shuffle"]},
    "twins": [{"seed": seed, "weights": "reset"} for seed in (1, 2, 3)],
    "scoring": {"confidence": 0.95},
}


def row(stage, estimator, factor, value, twin, low, high, **more):
    ends = {"share_low": value - 1, "share_high": value + 2, "twin": twin, "twin_low": low, "twin_high": high}
    return {"stage": stage, "estimator": estimator, "factor": factor, "share": value, **ends, **KEYS, **more}


def made(manifest=MANIFEST, **changes):
    """Needs-motion, the released score, and an estimator from outside, of which this version knows nothing."""
    layers, units = [], []
    for stage, (value, *twin) in MOTION.items():
        layers.append(row(stage, "needs_motion", "motion", value, *twin))
        layers.append(row(stage, "needs_motion", "reliability", 91.0, 80.0, 70.0, 90.0, null=-2.5))
        for factor, (share, mean) in RELEASED.items():
            null = {"dynamic": 16.0, "static": 33.0}.get(factor, np.nan)
            layers.append(row(stage, "released", factor, share, mean, mean - 2, mean + 2, score=0.5, null=null))
        layers.append(row(stage, "mine", "fur", 60.0, 50.0, 40.0, 59.0, ceiling=77.0))
        for name, kinds in {
            "needs_motion": ["still", "motion", "unreliable"],
            "released": ["joint", "residual", "dead"],
            "mine": ["furry", "bald", "dead"],
        }.items():
            units += [{"stage": stage, "estimator": name, "unit": i, "class": kind} for i, kind in enumerate(kinds)]
    return sd.Result(pd.DataFrame(layers).assign(**changes), pd.DataFrame(units), manifest)


@pytest.fixture
def result():
    return made()


def part(result, name):
    return next(part for part in result.parts if part.name == name)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


# Pictures


def test_the_headline_stands_on_the_band_of_untrained_networks(result):
    figure = plot_part(part(result, "needs_motion"))
    assert [axes.get_title() for axes in figure.axes] == ["slow", "fast"]
    assert "needs motion" in figure.axes[0].get_ylabel()
    assert legend(figure) == [MODEL, LINE, SPREAD, HOLLOW]
    for axes, stages in zip(figure.axes, (STAGES[:2], STAGES[2:]), strict=True):
        low, high = axes.get_ylim()
        assert low < 0 < 100 < high < 110
        assert line(axes, MODEL).get_ydata().tolist() == [MOTION[stage][0] for stage in stages]
        assert to_hex(line(axes, MODEL).get_color()).upper() == COLOURS["motion"]
        assert line(axes, LINE).get_ydata().tolist() == [MOTION[stage][1] for stage in stages]
        (band,) = [shape for shape in axes.collections if isinstance(shape, FillBetweenPolyCollection)]
        corners = band.get_paths()[0].vertices
        for place, stage in enumerate(stages):
            heights = sorted({y for x, y in corners if x == place})
            assert heights == sorted(MOTION[stage][2:])
        assert np.ptp(corners[:, 0]) > 0.5  # a lone stage has a band to be seen


def test_a_point_within_the_band_is_hollow_and_no_other(result):
    slow, fast = plot_part(part(result, "needs_motion")).axes
    hollow = line(slow, "_hollow")
    assert (hollow.get_xdata().tolist(), hollow.get_ydata().tolist()) == ([0], [4])
    assert hollow.get_markerfacecolor() == "white"
    assert not [line for line in fast.lines if line.get_label() == "_hollow"]


def test_hollow_is_explained_though_only_a_later_panel_has_such_a_point(result):
    layers = result.layers.copy()
    layers.loc[(layers["stage"] == "slow.a") & (layers["factor"] == "motion"), "share"] = 50.0
    layers.loc[(layers["stage"] == "fast.c") & (layers["factor"] == "motion"), "share"] = 5.0
    figure = plot_part(sd.Result(layers, result.units, MANIFEST).parts[0])
    assert HOLLOW in legend(figure)
    assert [line.get_label() for line in figure.axes[1].lines].count("_hollow") == 1


def test_the_released_score_has_a_dashed_line_of_untrained_networks_for_every_factor(result):
    figure = plot_part(part(result, "released"))
    assert legend(figure) == ["dynamic", "static", "residual", LINE]  # none is hollow
    dashed = [line for line in figure.axes[0].lines if line.get_label() == f"_{LINE}"]
    for line_of, (factor, (value, twin)) in zip(dashed, RELEASED.items(), strict=True):
        assert set(line_of.get_ydata()) == {twin}
        assert line_of.get_linestyle() == "--"
        assert to_hex(line_of.get_color()).upper() == COLOURS[factor]
        assert set(line(figure.axes[0], factor).get_ydata()) == {value}


@pytest.mark.parametrize("changes", [{"twin": np.nan, "twin_low": np.nan, "twin_high": np.nan}, {}])
def test_untrained_networks_are_drawn_where_there_are_some(changes):
    for name, own in (("needs_motion", [MODEL]), ("released", list(RELEASED))):
        shown = legend(plot_part(part(made(**changes), name)))
        assert (shown == own) == bool(changes)


def test_one_untrained_network_is_a_line_without_a_band_and_nothing_is_hollow():
    figure = plot_part(part(made(twin_low=np.nan, twin_high=np.nan), "needs_motion"))
    assert legend(figure) == [MODEL, LINE]


def test_what_every_network_gives_alike_is_within_their_spread_in_spite_of_rounding():
    value = 4.784753
    same = made(share=value, twin=value, twin_low=value * (1 + 1e-15), twin_high=value * (1 + 2e-15))
    assert part(same, "needs_motion").numbers["inside"].all()


def test_further_estimators_have_pictures_under_their_names(result, tmp_path):
    names = {path.name for path in result.plot(tmp_path)}
    assert names == {
        f"{name}{of}.{kind}"
        for name in ("layers", "units")
        for of in ("", "-released", "-mine")
        for kind in ("svg", "png", "data.csv")
    }
    texts = {of: (tmp_path / f"layers{of}.svg").read_text() for of in ("", "-released", "-mine")}
    assert "needs motion" in texts[""]
    assert "share of the layer" in texts["-released"]
    assert "mine, %" in texts["-mine"]


def test_names_from_outside_get_colours_that_nothing_else_in_the_picture_has(result):
    figure = plot_units(part(result, "mine").units, classes=[])
    colours = {name: to_hex(bar.get_facecolor()).upper() for name, bar in zip(
        legend(figure), figure.legends[0].get_patches(), strict=True)}  # fmt: skip
    assert set(colours) == {"furry", "bald", "dead"}
    assert len(set(colours.values())) == 3
    assert colours["dead"] == COLOURS["dead"]
    assert {colours["furry"], colours["bald"]} <= set(CYCLE)
    many = colours_of([f"class {i}" for i in range(20)])
    assert len(set(many.values())) == len(CYCLE)
    known = ("dynamic", "static", "joint", "residual", "dead"), ("still", "mixed", "motion", "unreliable", "dead")
    for classes in known:
        assert len({COLOURS[name] for name in classes}) == len(classes)


# Words


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((4, 3, 2, 8, True), "not distinguishable from an untrained network"),
        ((9, 3, 2, 8, False), "above untrained"),
        ((1, 3, 2, 8, False), "below untrained"),
        ((9, 3, np.nan, np.nan, False), ""),
        ((np.nan, 3, 2, 8, False), ""),
    ],
)
def test_what_untrained_networks_make_of_a_number(numbers, words):
    assert (
        beside_untrained(dict(zip(("mean", "twin", "twin_low", "twin_high", "inside"), numbers, strict=True))) == words
    )


# The page


def page(result, tmp_path):
    return read_page(result.report(tmp_path / "report.html"))


def test_the_headline_comes_first_and_every_estimator_has_a_section(result, tmp_path):
    found = page(result, tmp_path)
    heads = [(name, text) for kind, name, text in found.headings if kind == "h3" and name]
    assert heads == [
        ("needs_motion", "Needs motion"), ("released", "Published score"), ("mine", "Mine"),
    ]  # fmt: skip
    panels = [one["data-estimator"] for name, one in found.elements if name == "section"]
    assert panels == ["needs_motion", "released", "mine"]
    shown, released, mine = (found.under(name) for name, _ in heads)
    assert "the share that a still frame of the clip does not give" in shown
    assert "how little the response to a video changes" in released
    assert "slow.a 4.0 [3.0, 6.0] 3.0 [2.0, 8.0] not distinguishable from an untrained network 91.0" in shown
    assert "slow.b 40.0 [39.0, 42.0] 5.0 [1.0, 9.0] above untrained" in shown
    assert "fast.c 1.0 [0.0, 3.0] 6.0 [4.0, 7.0] below untrained" in shown
    assert "slow.a reliability -2.5 –" in shown
    assert "20.0 [19.0, 22.0] untrained 13.0 [11.0, 15.0]" in released
    assert "slow.a dynamic 16.0 –" in released
    assert "slow.a fur – 77.0" in mine
    assert "furry, % " in mine


def test_how_to_read_it_is_told_with_the_numbers_of_the_result(result, tmp_path):
    shown = page(result, tmp_path).under("reading")
    assert "They are 3 of the same architecture" in shown
    assert "At the last stage, fast.c, they give 6.0 [4.0, 7.0] %; over all stages 3.0 to 6.0." in shown
    assert "response to these 60 videos" in shown
    assert "untrained networks have 13.0 / 44.0 / 43.0 (dynamic / static / residual)" in shown
    assert "unrelated videos have 16.0 / 33.0 / 51.0" in shown
    assert "never under 33.3 %" in shown
    assert "styles (ink, neon)" in shown


def test_without_untrained_networks_the_page_says_so_and_how_to_get_them(tmp_path):
    bare = made({key: value for key, value in MANIFEST.items() if key != "twins"})
    layers = bare.layers.drop(columns=["twin", "twin_low", "twin_high"])
    shown = page(sd.Result(layers, bare.units, bare.manifest), tmp_path).words
    assert "No untrained networks were measured" in shown
    assert "twins=3" in shown
    assert "untrained, %" not in shown
    assert "not distinguishable" not in shown
    assert "nan" not in shown.lower().split()


def test_one_untrained_network_has_no_spread_and_the_page_says_so(tmp_path):
    one = {**MANIFEST, "twins": [{"seed": 1, "weights": "reset"}]}
    shown = page(made(one, twin_low=np.nan, twin_high=np.nan), tmp_path).words
    assert "One untrained network has no spread" in shown
    assert "4.0 [3.0, 6.0] 3.0 [–]" in shown
