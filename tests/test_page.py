"""What the pages of results and comparisons show, from the tables to the places of marks."""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from pages import read_page
from PIL import Image
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from test_report_twins import MANIFEST, made

import static_dynamic as sd
from static_dynamic.functional.released import classify_units
from static_dynamic.report.answer import answer
from static_dynamic.report.atlas import MOST, atlas, thresholds
from static_dynamic.report.differences import Difference, save_differences, sentence, verdict
from static_dynamic.report.made import cost
from static_dynamic.report.made import made as how_made
from static_dynamic.report.page import embedded
from static_dynamic.report.profile import Axis, axis_of, profile
from static_dynamic.report.strips import as_jpeg, telling
from static_dynamic.store import Store
from static_dynamic.top_clips import top_clips
from static_dynamic.variants import Cell, Conditions

HUNDRED = Axis(0, 100, (0, 25, 50, 75, 100))
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def part(result, name):
    return next(part for part in result.parts if part.name == name)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    result = sd.measure(
        PlantedModel(), PlantedVideos(9, bad=(4,)), STAGES, recipe=RECIPE, styles=("1", "2"), twins=2,
        scoring=sd.Scoring(replicates=20), store=folder / "store", compute=sd.Compute(max_bad=0.5),
    )  # fmt: skip
    result.save(folder)
    return folder, result


# ---------------------------------------------------------------- the profile


def test_marks_lie_where_their_numbers_are():
    needs = part(made(), "needs_motion")
    rows = profile(needs.numbers, ["motion"], HUNDRED)
    for (mark,), (_, number) in zip(rows, needs.numbers.query("factor == 'motion'").iterrows(), strict=True):
        assert (mark.x, mark.ends) == (number["mean"], (number["low"], number["high"]))
        assert mark.hollow == number["inside"]
        assert (mark.x, 50) in mark.curve
        assert (number["twin"], 50) in mark.twin
        assert {(number["twin_low"], 50), (number["twin_high"], 50)} <= {*mark.band}
    assert [mark.hollow for (mark,) in rows] == [True, False, False]


def test_pieces_of_neighbours_meet_at_the_edge_between_them_and_streams_stay_apart():
    """They meet where the straight line from point to point crosses the edge."""
    for name, factors in (("needs_motion", ["motion"]), ("released", ["dynamic", "static", "residual"])):
        numbers = part(made(), name).numbers
        above, below, other = profile(numbers, factors, HUNDRED)  # slow.a, slow.b, fast.c
        for mark, next_mark in zip(above, below, strict=True):
            (x0, y0), (x1, y1) = (mark.x, mark.y), (next_mark.x, next_mark.y + 100)
            crossing = x0 + (x1 - x0) * (100 - y0) / (y1 - y0)
            assert mark.curve[-1] == pytest.approx((crossing, 100), abs=0.02)
            assert next_mark.curve[0] == pytest.approx((crossing, 0), abs=0.02)
        assert {len(mark.curve) for mark in other} == {1}
        assert {len(mark.curve) for mark in below} == {2}


def test_a_gap_is_a_gap_and_a_lone_stage_has_a_band():
    numbers = part(made(), "needs_motion").numbers
    gone = numbers.assign(mean=numbers["mean"].where(numbers["stage"] != "slow.b"))
    (first,), (second,), (third,) = profile(gone, ["motion"], HUNDRED)
    assert (second.x, list(second.curve), len(first.curve)) == (None, [], 1)
    heights = [y for _, y in third.band]
    assert (min(heights), max(heights)) == (12, 88)


@pytest.mark.parametrize(
    ("scale", "values", "ends"),
    [
        ("percent", [3, 42], (0, 100)),
        ("percent", [-0.4, 100.3], (0, 100)),
        ("percent", [-3, 42], (-25, 100)),
        ("percent", [5, 130], (0, 150)),
        ("percent", [], (0, 100)),
        ("correlation", [0.2], (-1, 1)),
        ("nats", [0.31], (0, 0.5)),
        ("nats", [-0.1, 3], (-0.1, 5)),
        ("nats", [np.nan], (0, 1)),
    ],
)
def test_axes_are_the_same_in_every_report_unless_numbers_leave_them(scale, values, ends):
    axis = axis_of(pd.DataFrame({"mean": np.array(values, float)}), scale)
    assert (axis.low, axis.high) == ends
    assert {*ends} <= {*np.round(axis.ticks, 9)}
    assert len(axis.ticks) <= 7
    assert (axis.place(axis.low - 1), axis.place(axis.high + 1)) == (0, 100)


# ---------------------------------------------------------------- the answer


def test_the_answer_is_the_last_stage_its_interval_and_the_distance_from_untrained_networks():
    assert str(answer(made().parts)) == (
        "At the last stage, fast.c, 1.0 % [0.0, 3.0] of what units tell about the clip needs motion; that is 5.0 "
        "points below untrained networks of the same architecture (6.0 % [4.0, 7.0])."
    )
    layers = made().layers
    layers.loc[(layers["stage"] == "fast.c") & (layers["factor"] == "motion"), "share"] = 5.0
    said = str(answer(sd.Result(layers, made().units, MANIFEST).parts))
    assert said.endswith("(6.0 % [4.0, 7.0]), and not distinguishable from them.")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("released", "published score: dynamic 20.0 % [19.0, 22.0], static 30.0 % [29.0, 32.0], residual 50.0 % [49.0, "
                     "52.0]; untrained networks of the same architecture give 13.0 / 44.0 / 43.0."),
        ("mine", "mine, %: 60.0 % [59.0, 62.0]; that is 10.0 points above untrained"),
    ],
)  # fmt: skip
def test_other_headlines_have_an_answer_too(name, says):
    assert says in str(answer([part(made(), name)]))


def test_an_answer_without_twins_or_numbers_says_so():
    alone = made(twin=np.nan, twin_low=np.nan, twin_high=np.nan)
    assert "no untrained networks were measured, so it does not show what was learned" in str(answer(alone.parts))
    assert "undefined of what units tell" in str(answer(made(share=np.nan).parts))
    assert "undefined of what units tell" in str(answer(made(share=np.nan, twin=np.nan).parts))
    assert answer([]) is None


# ---------------------------------------------------------------- units


def test_the_map_holds_the_numbers_of_the_tables(measured):
    _, result = measured
    found = atlas(result.parts, result.top_clips)
    assert found["every"] == 1
    for i, stage in enumerate(found["stages"]):
        for one in found["estimators"]:
            rows = result.unit(one["name"])
            rows = rows[rows["stage"] == stage["name"]]
            drawn = one["stages"][i]
            assert stage["units"] == rows["unit"].tolist()
            assert [one["classes"][k]["name"] for k in drawn["class"]] == rows["class"].tolist()
            for name, columns in zip(one["columns"], drawn["values"], strict=True):
                for values, end in zip(columns, ("", "_low", "_high"), strict=True):
                    shown = [np.nan if value is None else value / 100 for value in values]
                    np.testing.assert_allclose(shown, rows[f"{name}{end}"], atol=0.0051)
        top = result.top_clips[result.top_clips["stage"] == stage["name"]]
        for unit, clips in zip(stage["units"], stage["clips"], strict=True):
            rows = top[top["unit"] == unit].sort_values("place")
            assert [found["videos"][place] for place in clips] == rows["video"].tolist()


def test_of_very_many_units_every_second_is_shown():
    count = MOST // 5 + 1  # 5 numbers each: class, stability, a number with two ends
    units = pd.DataFrame({"stage": "a", "estimator": "mine", "unit": np.arange(count), "class": "x", "fur": 0.25})
    layers = made().layers.query("estimator == 'mine'").assign(stage="a").head(1)
    found = atlas(sd.Result(layers, units, MANIFEST).parts)
    assert found["every"] == 2
    assert found["stages"][0]["units"] == list(range(0, count, 2))
    assert found["estimators"][0]["stages"][0]["values"][0][0][:3] == [25, 25, 25]


def test_an_estimator_that_lacks_a_stage_leaves_it_out():
    units = made().units
    some = units[(units["estimator"] != "mine") | (units["stage"] != "slow.b")]
    found = atlas(sd.Result(made().layers, some, MANIFEST).parts)
    missing = {one["name"]: [stage is None for stage in one["stages"]] for one in found["estimators"]}
    assert missing["mine"] == [False, True, False]
    assert missing["released"] == [False, False, False]


def test_the_slider_shows_what_classifying_anew_gives():
    random = np.random.default_rng(1)
    scores = np.round(random.uniform(-1, 1, (2, 300)), 2)
    scores[:, :7] = np.nan
    units = pd.DataFrame({"stage": ["a"] * 200 + ["b"] * 100, "unit": np.arange(300), "estimator": "released"})
    units = units.assign(dynamic=scores[0], static=scores[1])
    units["class"] = classify_units(scores, 0.5)
    layers = made().layers.query("estimator == 'released'")
    found = thresholds(part(sd.Result(layers, units, MANIFEST), "released"))
    for where, stage in zip((slice(0, 200), slice(200, 300)), found["stages"], strict=True):
        for i in range(101):
            classes = classify_units(scores[:, where], i / 100)
            shares = [100 * (classes == name).mean() for name in found["classes"]]
            np.testing.assert_allclose(stage["shares"][i], shares, atol=0.0501)
    assert found["now"] == 50
    assert thresholds(part(made(), "needs_motion")) is None


def test_top_clips_equal_a_slow_derivation(measured):
    folder, result = measured
    store = Store.open(folder / "store")
    rows = dict(zip(store.variants(), store.stage("frames"), strict=True))
    shown = {key.video: x for key, x in rows.items() if key.cell == Cell("original", "intact")}
    for unit in (0, 1):
        expected = sorted(shown, key=lambda video: -shown[video][unit])[:3]
        found = result.top_clips.query("stage == 'frames' and unit == @unit")
        assert found["place"].tolist() == [1, 2, 3]
        assert found["video"].tolist() == expected
        assert found["activation"].tolist() == [shown[video][unit] for video in expected]
    assert "v004" not in {*result.top_clips["video"]}
    dead = result.top_clips.query("stage == 'planted' and unit == 3")
    assert dead.empty  # it never varies
    pd.testing.assert_frame_equal(top_clips(store), result.top_clips)
    assert top_clips(store, top=1)["place"].unique().tolist() == [1]


# ---------------------------------------------------------------- what the model saw


@pytest.mark.parametrize("noise", [0, 20, 255])
def test_pictures_that_hardly_compress_are_kept(noise, capfd):
    image = np.random.default_rng(0).integers(0, noise + 1, (96, 768, 3)).astype(np.uint8)
    kept = np.asarray(Image.open(BytesIO(as_jpeg(image)))).astype(int)
    assert kept.shape == image.shape
    assert abs(kept - image).mean() < 30
    assert capfd.readouterr().err == ""


def test_strips_show_the_first_videos_as_they_were_shown(measured):
    folder, result = measured
    pictures = result.pictures
    assert list(dict.fromkeys(pictures["video"])) == ["v000", "v001"]
    cells = [Cell(*row) for row in pictures[pictures["video"] == "v000"][["style", "order", "replicate"]].to_numpy()]
    assert cells == [
        ("original", "intact", 0), ("original", "freeze", 0), ("1", "shuffle", 0), ("original", "intact", 1),
        ("1", "intact", 0), ("2", "intact", 0),
    ]  # fmt: skip
    source = PlantedVideos(9)
    filmed = source.read(source.videos[0], RECIPE).frames
    for cell, numbers in (("intact", range(6)), ("freeze", [3] * 6)):
        row = pictures[(pictures["video"] == "v000") & (pictures["order"] == cell) & (pictures["style"] == "original")]
        strip = np.asarray(Image.open(BytesIO(row["picture"].iloc[0])))
        assert strip.shape == (16, 6 * 16, 3)
        expected = np.concatenate([filmed[i] for i in numbers], 1)
        assert np.abs(strip.astype(int) - expected)[:, 4:12].mean() < 8  # JPEG
    again = sd.load(folder)
    pd.testing.assert_frame_equal(again.pictures, pictures)
    pd.testing.assert_frame_equal(sd.score(folder).pictures, pictures)
    page = read_page(result.report(folder / "report.html"))
    shown = [attributes["src"] for name, attributes in page.elements if name == "img"]
    assert shown == [f"data:image/jpeg;base64,{b64encode(picture).decode()}" for picture in pictures["picture"]]
    assert all(b64decode(source.partition(",")[2]) for source in shown)
    for words in ("original", "frozen: the middle frame throughout", "restyled: 2", "replicate: moved by a pixel"):
        assert words in page.under("seen")


def test_what_is_shown_leaves_no_order_and_no_style_out():
    crossed = Conditions(("ink", "neon"), ("shuffle", "reverse"), original=False)
    assert telling(crossed) == [
        ("ink", "intact", 0), ("ink", "shuffle", 0), ("ink", "reverse", 0), ("neon", "intact", 0),
    ]  # fmt: skip
    many = Conditions(tuple(f"s{i}" for i in range(30)))
    assert len(telling(many)) == 12


def test_a_store_of_an_earlier_version_has_no_pictures_and_the_page_says_so(measured, tmp_path):
    folder, result = measured
    Store.open(folder / "store")
    bare = replace(result, pictures=None, top_clips=None)
    bare.save(tmp_path)
    assert not {"pictures.parquet", "top_clips.parquet"} & {path.name for path in tmp_path.iterdir()}
    page = read_page(sd.load(tmp_path).report(tmp_path / "report.html"))
    assert "does not contain pictures of the clips" in page.under("seen")
    assert all(stage["clips"] is None for stage in page.data["atlas"]["stages"])


# ---------------------------------------------------------------- the page as a whole


def test_the_page_names_the_question_the_model_the_run_and_what_was_left_out(measured):
    folder, result = measured
    page = read_page(result.report(folder / "report.html"))
    assert page.headings[0][2] == "PlantedModel"
    assert f"Run {folder.name}. 8 videos" in page.words
    assert str(answer(result.parts)) in page.words
    assert "v004 v004: broken on purpose." in page.under("made")
    assert f"{8} × {len(result.manifest['study']['cells'])} conditions × 3 networks" in page.under("made")
    assert [name for name, attributes in page.elements if name == "details" and attributes.get("class") == "notes"]
    assert "{'" not in page.under("made")  # no Python


def test_a_browser_may_run_the_scripts_of_the_page_and_fetch_nothing(measured):
    folder, result = measured
    page = read_page(result.report(folder / "report.html"))
    (policy,) = [
        one["content"] for name, one in page.elements if one.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    run = [text for attributes, text in page.scripts if "type" not in attributes]
    digests = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in run)
    assert policy == f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:"
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    targets = [one["href"] for name, one in page.elements if name == "a"]
    assert {target[1:] for target in targets} <= {*ids}


def everywhere(result):
    """A result whose names are all hostile."""
    text = json.dumps(result.manifest, default=str)
    manifest = json.loads(text)
    manifest["study"] |= {"model": HOSTILE, "styles": [HOSTILE], "orders": [HOSTILE], "source": {HOSTILE: HOSTILE}}
    manifest |= {"left_out": [[HOSTILE, HOSTILE]], "finished": HOSTILE, "checkpoint": {"path": HOSTILE}}
    manifest["videos"][0] |= {"video": HOSTILE, "problem": HOSTILE}
    for one in manifest["estimators"]:
        one |= {"title": HOSTILE, "axis": HOSTILE, "summary": HOSTILE}
    names = {"planted": HOSTILE}
    layers = result.layers.replace({"stage": names, "factor": {"motion": HOSTILE}})
    units = result.units.replace({"stage": names, "class": {"still": HOSTILE}})
    units = units.rename(columns=lambda name: name.replace("motion", HOSTILE))
    pictures = result.pictures.assign(video=HOSTILE, style=HOSTILE, order=HOSTILE)
    return sd.Result(
        layers, units, manifest, [HOSTILE], pictures=pictures, top_clips=result.top_clips.assign(video=HOSTILE)
    )


def test_hostile_names_are_text_everywhere(measured, tmp_path):
    page = read_page(everywhere(measured[1]).report(tmp_path / "report.html"))
    assert len(page.scripts) == 3
    assert not [one for name, one in page.elements if name == "img" and not one["src"].startswith("data:")]
    assert not [one for _, one in page.elements if any(key.startswith("on") for key in one)]
    assert page.headings[0][2] == HOSTILE
    assert page.data["atlas"]["videos"] == [HOSTILE]
    assert page.words.count(HOSTILE) > 20


def test_names_that_are_no_utf_8_do_not_stop_the_page(tmp_path):
    odd = "caf\udce9.mp4"
    manifest = {**MANIFEST, "videos": [{"video": odd, "problem": f"{odd}: broken."}], "left_out": [[odd, "short"]]}
    page = read_page(made(manifest).report(tmp_path / "report.html"))
    assert "caf?.mp4" in page.words


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: sd.Result(r.layers.iloc[:0], r.units.iloc[:0]), "This result does not contain numbers of layers."),
        (lambda r: sd.Result(r.layers, r.units.iloc[:0], {}), "This result does not record how it was made."),
        (lambda r: replace(r, manifest={"study": {"model": "m"}, "videos": []}), "Layer by layer"),
    ],
)
def test_results_that_lack_parts_make_a_page_that_says_so(measured, tmp_path, change, says):
    page = read_page(change(measured[1]).report(tmp_path / "report.html"))
    assert says in page.words
    assert "nan" not in page.words.split()


def test_one_unit_of_one_stage_makes_a_page(measured, tmp_path):
    result = measured[1]
    layers, units = (table[table["stage"] == "planted"] for table in (result.layers, result.units))
    page = read_page(sd.Result(layers, units[units["unit"] == 1], result.manifest).report(tmp_path / "r.html"))
    assert [stage["units"] for stage in page.data["atlas"]["stages"]] == [[1]]


def test_models_of_image_and_flow_are_told_of_in_their_own_words(tmp_path):
    records = [{"video": f"car/{i}", "sequence": "car", "problem": None} for i in range(3)]
    study = {**MANIFEST["study"], "recipe": {"frames": 1, "flows": ["forward"]}, "orders": ["intact", "jitter"]}
    pictures = pd.DataFrame(
        [("car/0", "ink", "jitter", 0, 2, 8, 4, b"picture")],
        columns=["video", "style", "order", "replicate", "frames", "width", "height", "picture"],
    )
    result = replace(made({**MANIFEST, "study": study, "videos": records}), pictures=pictures)
    page = read_page(result.report(tmp_path / "report.html"))
    assert "3 frames of 1 sequence" in page.words
    assert "restyled: ink; flow jitter" in page.under("seen")
    assert "compares every image and its flow with the same image" in page.under("reading")
    assert "button" not in {name for name, _ in page.elements}  # an image does not play


def test_how_it_was_made_is_told_in_rows():
    manifest = {
        "study": {"model": "net", "recipe": {"frames": 8, "mean": [0.45, 0.5]}, "stages": {"a": [["b", "N C", None]]}},
        "scoring": {"rule": {"same_video": True}, "seed": 3},
        "twins": [{"seed": 5, "weights": "reset"}],
        "cost": {"parameters": 2_500_000, "macs": 3.2e9, "stages": [{"stage": "a", "macs": 1e9, "parameters": 1e6}]},
        "seconds": 71.2,
    }
    rows = {group.title: dict(group.rows) for group in how_made(manifest)}
    assert rows["Model"] == {"model": "net", "checkpoint": "none: random weights, or weights that the caller loaded"}
    assert rows["Stages"] == {"a": "b, N C"}
    assert rows["Input"] == {"frames": "8", "mean": "0.45, 0.5"}
    assert rows["Scoring"] == {"rule, same video": "yes", "seed": "3"}
    assert rows["Untrained networks"] == {"1": "reset, seed 5"}
    assert dict(cost(manifest)) == {
        "parameters": "2.50 million", "multiply-accumulates of a clip": "3.2 billion (GMACs)",
        "up to a": "1 GMACs, 1 million parameters", "time of the run": "71 s",
    }  # fmt: skip
    assert how_made({}) == []


def test_data_cannot_end_the_element_that_holds_them():
    text = str(embedded({HOSTILE: [HOSTILE, "&amp;", "\u2028"]}))
    assert not {*"<>&"} & {*text}
    assert json.loads(text) == {HOSTILE: [HOSTILE, "&amp;", "\u2028"]}
    with pytest.raises(ValueError, match="JSON"):
        embedded([float("nan")])


# ---------------------------------------------------------------- comparisons


def differences(names=("one", "two"), **changes):
    rows = [
        ("a", "needs_motion", "motion", 10.0, 30.0, 20.0, 12.0, 28.0, True, 5.0),
        ("a", "needs_motion", "reliability", 90.0, 91.0, 1.0, -1.0, 3.0, False, 5.0),
        ("b", "needs_motion", "motion", 50.0, 46.0, -4.0, -6.0, -2.0, True, 5.0),
        ("b", "needs_motion", "reliability", 90.0, 80.0, -10.0, -12.0, -8.0, True, 5.0),
    ]
    columns = ["stage", "estimator", "factor", "first", "second", "difference", "low", "high", "differs", "grain"]
    units = pd.DataFrame({"stage": ["a", "a", "b"], "estimator": "needs_motion", "factor": "motion", "unit": [0, 1, 0]})
    units = units.assign(low=0.1, differs=[True, False, True])
    return Difference(names, pd.DataFrame(rows, columns=columns).assign(**changes), units, ["Few videos."])


def test_the_page_of_a_comparison_shows_every_difference(tmp_path):
    page = read_page(save_differences([differences(), differences(("one", "three"))], tmp_path / "report.html"))
    assert page.headings[0][2] == "two, three compared with one"
    together, motion, reliability, *_ = page.tables
    assert together[0][2:] == ["1: one", "2: two", "3: three"]
    assert together[1:] == [["a", "", "10.0", "30.0", "30.0"], ["b", "", "50.0", "46.0", "46.0"]]
    assert motion[1:] == [
        ["a", "", "20.0 [12.0, 28.0]", "more", "10.0", "30.0", "50.0"],
        ["b", "", "-4.0 [-6.0, -2.0]", "smaller than the spread of untrained networks", "50.0", "46.0", "100.0"],
    ]
    assert [row[3] for row in reliability[1:]] == ["not distinguishable from 0", "less"]
    assert "three less one: Few videos." in page.words
    assert not [one for _, one in page.elements if one.get("src")]


def test_a_comparison_is_told_in_a_sentence():
    assert sentence(differences()) == (
        "At the last stage, b, two has 4.0 points [2.0, 6.0] less than one (needs motion, motion), which is smaller than "
        "the spread of untrained networks."
    )
    assert sentence(differences(grain=np.nan)).endswith("less than one (needs motion, motion).")
    assert "undefined" in sentence(differences(difference=np.nan))
    assert verdict({"difference": 3.0, "low": np.nan, "high": np.nan, "differs": False, "grain": 1.0}) == ""


def test_hostile_names_are_text_in_comparisons(tmp_path):
    one = differences((HOSTILE, HOSTILE), stage=[HOSTILE, HOSTILE, "b", "b"])
    page = read_page(save_differences([one], tmp_path / "r.html"))
    assert len(page.scripts) == 2
    assert HOSTILE in page.headings[0][2]
    assert not [one for name, one in page.elements if name == "img"]
