"""The page and the figure of a course: its answer, charts, tables, and what it says of little or broken input."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from pages import read_page
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from test_page import HOSTILE

import static_dynamic as sd
from static_dynamic.estimators.registry import describe_estimator, find_estimators
from static_dynamic.report.course_page import answer, axis_of_steps, axis_of_values, panel
from static_dynamic.report.course_picture import plot_course_stages
from static_dynamic.tracking.course import KEY, Tracked

STEPS = (0, 500, 1000, 4000)
NUMBERS = {"stage1": (10.0, 8.0, 6.0, 4.0), "stage5": (19.0, 22.0, np.nan, 31.0)}
CHANGE = {"stage1": (-6.0, -7.5, -4.5), "stage5": (12.0, 9.0, 15.0)}
FACTORS = {"needs_motion": ("motion", "reliability"), "released": ("dynamic", "static", "residual")}


def course(numbers=NUMBERS, steps=STEPS, estimators="needs_motion", twins=True, unit="step", model="net", **changed):
    """A course whose every factor has the numbers of its stage, from 3 below to 2 above."""
    rows, changes, untrained = [], [], []
    described = [describe_estimator(one) for one in find_estimators(estimators)]
    keys = [(stage, one["name"], factor) for one in described for stage in numbers for factor in FACTORS[one["name"]]]
    for step, place in zip(steps, range(len(steps)), strict=True):
        for key in keys:
            value = numbers[key[0]][place]
            rows.append((step, *key, value, value - 3, value + 2))
    for key in keys:
        changes.append((*key, *CHANGE.get(key[0], (math.nan,) * 3)))
        untrained += [(*key, 9.0, 7.0, 11.0)] if twins else []
    tables = {
        "table": pd.DataFrame(rows, columns=["step", *KEY, "value", "low", "high"]),
        "changes": pd.DataFrame(changes, columns=[*KEY, "change", "low", "high"]),
        "untrained": pd.DataFrame(untrained, columns=[*KEY, "twin", "twin_low", "twin_high"], dtype=None),
    }
    return Tracked(model, **{**tables, "described": described, "unit": unit, **changed})


# ---------------------------------------------------------------- the answer


def test_the_answer_is_the_last_stage_its_change_and_untrained_networks():
    assert answer(course()) == (
        "At the last stage, stage5, 31.0 % [28.0, 33.0] of what units tell about the clip needs motion after 4000 "
        "steps; that is 12.0 points [9.0, 15.0] more than at step 0 (19.0 %); untrained networks of the same "
        "architecture give 9.0 % [7.0, 11.0]."
    )


def test_a_fall_is_less_and_its_interval_turns_with_it():
    said = answer(course({"stage1": NUMBERS["stage1"]}, unit="epoch", twins=False))
    assert said == (
        "At the last stage, stage1, 4.0 % [1.0, 6.0] of what units tell about the clip needs motion after 4000 epochs; "
        "that is 6.0 points [4.5, 7.5] less than at epoch 0 (10.0 %)."
    )


def test_a_change_whose_interval_holds_0_is_not_distinguishable():
    changes = course().changes.assign(low=-1.0, high=25.0)
    assert "12.0 points [-1.0, 25.0] more than at step 0 (19.0 %), not distinguishable from 0;" in answer(
        course(changes=changes)
    )


def test_every_factor_is_told_where_an_estimator_has_several():
    said = answer(course(estimators="released"))
    assert "stage5, dynamic 31.0 % [28.0, 33.0], static 31.0 % [28.0, 33.0], residual" in said
    assert said.count("12.0 points [9.0, 15.0] more") == 3


def test_a_number_that_is_undefined_now_is_said_to_be():
    said = answer(course({"stage5": NUMBERS["stage5"][:3]}, STEPS[:3]))
    assert said.startswith("At the last stage, stage5, needs motion is undefined after 1000 steps; that is")


def test_one_point_has_no_change(tmp_path):
    lone = course({"stage5": (19.0,)}, (0,))
    assert answer(lone).endswith("give 9.0 % [7.0, 11.0]. Its change is shown from the second point on.")
    page = read_page(lone.report(tmp_path / "course.html"))
    assert "Measured 1 time on the same clips" in page.words
    assert page.tables[0][0] == ["stage", "step 0, % [interval]", "untrained, % [spread]"]
    assert ("circle", sum(name == "circle" and "cx" in given and given["cx"] == "50.0%" and given["r"] == "3.5" for name, given in page.elements)) == ("circle", 1)  # fmt: skip


# ---------------------------------------------------------------- charts


@pytest.mark.parametrize(
    ("steps", "ticks"),
    [
        ((0, 4000), (0, 1000, 2000, 3000, 4000)),
        ((500, 4200), (1000, 2000, 3000, 4000)),
        ((0, 3), (0, 1, 2, 3)),
        ((0, 1), (0, 1)),
        ((7,), (7,)),
        ((0, 90000), (0, 50000)),
    ],
)
def test_steps_are_marked_at_round_numbers(steps, ticks):
    axis = axis_of_steps(steps)
    assert axis.ticks == ticks
    assert axis.place(steps[0]) == (0 if len(steps) > 1 else 50)


@pytest.mark.parametrize(("most", "high"), [(3, 25), (23.5, 50), (31, 50), (74, 100), (98, 100)])
def test_shares_have_an_axis_from_0_to_the_next_quarter_above_all_numbers(most, high):
    """The interval goes 2 above the number."""
    (part,) = course({"a": (3.0, float(most))}, (0, 1)).parts
    axis = axis_of_values(part)
    assert (axis.low, axis.high) == (0, high)
    assert axis.ticks[-1] == high


def test_marks_lie_where_their_numbers_are_and_a_gap_is_a_gap():
    found = course()
    (part,) = found.parts
    charts = {chart["stage"]: chart["series"] for chart in panel(found, part)["charts"]}
    (one,) = charts["stage5"]
    high = axis_of_values(part).high
    places = [
        (100 * step / 4000, 100 - 100 * value / high) for step, value in zip(STEPS, NUMBERS["stage5"], strict=True)
    ]
    assert one["dots"] == [places[0], places[1], places[3]]
    assert one["curves"] == [places[:2], [places[3]]]
    down, up = 300 / high, 200 / high
    around = [(0, places[0][1] + down), (12.5, places[1][1] + down), (12.5, places[1][1] - up), (0, places[0][1] - up)]
    assert one["bands"][0] == around
    assert one["bars"] == [((100, places[3][1] + down), (100, places[3][1] - up))]
    assert one["twin"] == 100 - 900 / high
    assert one["spread"] == (100 - 1100 / high, 400 / high)


# ---------------------------------------------------------------- the page


def test_tables_hold_the_first_the_last_the_change_and_every_step(tmp_path):
    page = read_page(course(estimators="needs_motion,released").report(tmp_path))
    assert (tmp_path / "course.html").exists()
    first, every, of_released, _ = page.tables
    assert first[1:] == [
        ["stage1", "10.0 [7.0, 12.0]", "4.0 [1.0, 6.0]", "-6.0 [-7.5, -4.5]", "less", "9.0 [7.0, 11.0]"],
        ["stage5", "19.0 [16.0, 21.0]", "31.0 [28.0, 33.0]", "12.0 [9.0, 15.0]", "more", "9.0 [7.0, 11.0]"],
    ]
    assert every[3] == ["1000", "6.0 [3.0, 8.0]", "– [–]"]
    assert [row[:2] for row in of_released[1:]] == [[s, f] for s in NUMBERS for f in FACTORS["released"]]
    values = [given["value"] for name, given in page.elements if name == "input"]
    assert values == ["needs_motion", "released"]


def test_the_page_fetches_nothing_and_runs_only_its_own_scripts(tmp_path):
    page = read_page(course().report(tmp_path / "course.html"))
    (policy,) = [
        given["content"] for name, given in page.elements if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not [given for _, given in page.elements if "src" in given or given.get("href", "#")[0] != "#"]


def test_names_of_strangers_are_shown_as_they_are(tmp_path):
    numbers = {HOSTILE: NUMBERS["stage1"], "stage5": NUMBERS["stage5"]}
    hostile = course(numbers, model=HOSTILE, unit=HOSTILE, notes=[HOSTILE], made={HOSTILE: HOSTILE})
    page = read_page(hostile.report(tmp_path / "course.html"))
    assert page.words.count(HOSTILE) > 8
    assert len(page.scripts) == 2
    assert not [name for name, _ in page.elements if name == "img"]


@pytest.mark.parametrize("numbers", [{"a": (np.nan, np.nan)}, {"a": (np.nan, 5.0)}, {"a": (5.0, np.nan)}, {}])
def test_numbers_that_are_missing_break_neither_page_nor_figure(numbers, tmp_path):
    found = course(numbers, (0, 1), twins=False, notes=["Step 1: Stage a has no scores."])
    page = read_page(found.report(tmp_path / "course.html"))
    assert "Stage a has no scores." in page.words
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page.words)
    assert [len(plot_course_stages(found, part).axes) for part in found.parts] == ([1] if numbers else [])


def test_a_figure_has_a_panel_for_every_stage():
    found = course({f"s{i}": (1.0 * i, 2.0 * i) for i in range(1, 6)}, (0, 100), "needs_motion,released")
    figure = plot_course_stages(found, found.parts[1])
    shown = [axes for axes in figure.axes if axes.axison]  # of two rows of four
    assert [axes.get_title() for axes in shown] == [f"s{i}" for i in range(1, 6)]
    lines = {line.get_label(): line for line in shown[2].lines}
    assert lines["static"].get_xydata().tolist() == [[0, 3], [100, 6]]
    assert shown[0].get_ylim()[1] >= 12


def test_figures_are_written_for_every_estimator(tmp_path):
    paths = course({"a": (1.0, 2.0)}, (0, 100), "needs_motion,released").plot(tmp_path)
    assert [path.name for path in paths] == ["course.svg", "course.png", "course-released.svg", "course-released.png"]
    assert all(path.exists() for path in paths)


def test_what_is_true_of_every_point_is_said_once(tmp_path):
    tracker = sd.track(
        PlantedModel(), PlantedVideos(6), {"planted": STAGES["planted"]}, recipe=RECIPE, styles=("1", "2"), twins=2, every=1,
        scoring=sd.Scoring(replicates=20),
    )  # fmt: skip
    for step in (0, 1):
        tracker(step)
        page = read_page(tracker.report(tmp_path / "course.html"))
        assert ("The course has one point so far" in page.words) == (step == 0)
        assert page.words.count("Few videos (6)") == 1
    assert "PlantedModel" in page.words
