"""What a result says of its own numbers: which units, estimators and videos a remark is about."""

from itertools import product

import numpy as np
import pytest
import torch
from stores import make_store, variants_of

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Variant

STYLES, ORDERS = ("ink", "chalk"), ("intact", "shuffle")
CROSSED = [Cell(style, order) for style, order in product(STYLES, ORDERS)]
FILMED = [Cell("original", order, replicate) for replicate in (0, 1) for order in ("intact", "freeze")]
VIDEOS = [f"v{i}" for i in range(6)]
QUICK = Scoring(replicates=5, nulls=2)


def remarks(folder, cells, names, x=None, lost=(), scoring=QUICK):
    """The warnings of a store of four units in these cells; some variants are not there."""
    variants = variants_of(VIDEOS, cells)
    x = np.random.default_rng(0).normal(size=(len(variants), 4)) if x is None else x(variants)
    keep = [row for row, key in enumerate(variants) if key not in lost]
    store = make_store(folder, [variants[row] for row in keep], x[keep], styles=STYLES, orders=ORDERS)
    scores = score_store(store, scoring, find_estimators(names))
    return scores.warnings, scores


def constant_as_filmed(variants):
    """Unit 0 never varies; unit 1 varies in restyled clips alone."""
    x = np.random.default_rng(1).normal(size=(len(variants), 4))
    x[:, 0] = 1
    x[[row for row, key in enumerate(variants) if key.style == "original"], 1] = 2
    return x


def test_dead_units_are_counted_once_or_by_estimator(tmp_path):
    said, _ = remarks(tmp_path / "one", CROSSED, "released,four_pair", constant_as_filmed)
    assert [line for line in said if "dead" in line] == ["Stage stage: 1 of 4 units is dead (it never varies)."]
    said, _ = remarks(tmp_path / "two", [*FILMED, *CROSSED], "needs_motion,released,four_pair", constant_as_filmed)
    assert [line for line in said if "dead" in line] == [
        "Stage stage: 1 of 4 units is dead (it never varies on the clips of released, four_pair).",
        "Stage stage: 2 of 4 units are dead (they never vary on the clips of needs_motion).",
    ]


def test_a_stage_that_varies_for_one_estimator_has_scores_of_it(tmp_path):
    def restyled_only(variants):
        x = np.random.default_rng(1).normal(size=(len(variants), 4))
        x[[row for row, key in enumerate(variants) if key.style == "original"]] = 2
        return x

    said, _ = remarks(tmp_path, [*FILMED, *CROSSED], "needs_motion,released", restyled_only)
    assert "Stage stage: no unit varies on the clips of needs_motion, so these scores are undefined." in said


def test_intervals_that_cannot_cover_styles_say_so(tmp_path):
    styles = Scoring(replicates=5, nulls=0, interval="styles")
    said, _ = remarks(tmp_path, CROSSED, "released,four_pair", scoring=styles)
    for name in ("released", "four_pair"):
        line = f"{name}: its intervals cover the choice of videos alone, since styles cannot be left out: three"
        assert sum(told.startswith(line) for told in said) == 1


def test_needs_motion_says_what_it_did_without(tmp_path):
    said, _ = remarks(tmp_path / "all", FILMED, "needs_motion")
    assert not any("replicates" in line or "original" in line for line in said)
    said, _ = remarks(tmp_path / "few", FILMED[:2], "needs_motion")
    assert sum("needs_motion: replicates are missing, so noise counts as motion" in line for line in said) == 1
    said, _ = remarks(tmp_path / "order", CROSSED, "needs_order")
    assert any("noise counts as order" in line for line in said)
    expected = "needs_order: it compares clips in the style 'ink', since clips of the original videos are missing."
    assert expected in said


@pytest.mark.parametrize("lost", [("ink", "intact", 0), ("chalk", "shuffle", 0)])
def test_released_leaves_out_a_video_that_lacks_a_variant(tmp_path, lost):
    x = np.random.default_rng(0).normal(size=(24, 4))
    said, scores = remarks(tmp_path / "some", CROSSED, "released", lambda _: x, [Variant("v2", *lost)])
    assert "released: 1 video lacks variants and is left out: v2." in said
    whole = [Variant("v2", *cell) for cell in CROSSED]
    _, without = remarks(tmp_path / "without", CROSSED, "released", lambda _: x, whole)
    columns = ["share", "share_low", "share_high", "pairs", "videos"]
    np.testing.assert_allclose(scores.layers[columns], without.layers[columns])
    assert set(scores.layers["videos"]) == {5}


def test_a_store_without_clips_says_that_its_run_was_stopped(tmp_path):
    with pytest.raises(UserError, match="does not contain clips yet: run its study again"):
        score_store(Store(tmp_path, {"stages": {}}), QUICK, find_estimators("released"))


def test_names_of_estimators_may_be_empty_but_not_all():
    assert [one.name for one in find_estimators("released, ,needs_motion,")] == ["released", "needs_motion"]
    for nothing in ("", ",", [], [" "]):
        with pytest.raises(UserError, match="At least one estimator is required: needs_motion, needs_order"):
            find_estimators(nothing)
    with pytest.raises(UserError, match=r"Unknown estimator 'nope'\. Allowed: needs_motion, needs_order"):
        find_estimators("nope")


def test_ends_of_intervals_stay_where_numbers_can_be(tmp_path):
    """Three styles of which one is unlike the others, over few videos: the widest interval that there can be."""
    styles = ("ink", "chalk", "neon")
    variants = variants_of(VIDEOS[:3], [Cell(style, order) for style, order in product(styles, ORDERS)])
    g = np.random.default_rng(3)
    x = g.normal(size=(len(variants), 4)) + 9 * np.array([key.style == "neon" for key in variants])[:, None]
    store = make_store(tmp_path, variants, x, styles=styles, orders=ORDERS)
    scoring = Scoring(replicates=5, nulls=0, interval="styles")
    layers = score_store(store, scoring, find_estimators("released,pearson_within")).layers.set_index("estimator")
    share, score = layers.loc["released"], layers.loc["pearson_within"]
    assert share["share_low"].min() == 0
    assert share["share_high"].max() <= 100
    assert (share["share_low"] <= share["share"]).all()
    assert share["score_high"].max() > 1, "a score of the released measure has no limits"
    assert score["score_low"].min() == -1
    assert score["score_high"].max() <= 1


def test_an_estimator_that_a_stage_has_too_little_for_is_left_out_there(tmp_path):
    """One broken video takes the only block that is whole; other stages and estimators keep their numbers."""
    levels = list(product("ab", "xy", range(2)))
    videos = [f"{a}{m}{draw}" for a, m, draw in levels]
    records = {
        video: {"factors": {"block": "0", "appearance": a, "motion": m}}
        for video, (a, m, _) in zip(videos, levels, strict=True)
    }
    variants = variants_of(videos, CROSSED)
    x = np.random.default_rng(0).normal(size=(len(variants), 3)).astype(np.float32)
    broken = x.copy()
    broken[0] = np.nan
    told = [{"video": name, "label": None, "problem": None, **records[name]} for name in videos]
    study = {"stages": {"good": [], "bad": []}, "styles": STYLES, "orders": ORDERS}
    store = Store(tmp_path, study)
    store.write(0, variants, {"good": torch.from_numpy(x), "bad": torch.from_numpy(broken)}, told)
    scores = score_store(store, QUICK, find_estimators("factorial_shares,released"))
    there = set(zip(scores.layers["estimator"], scores.layers["stage"], strict=True))
    assert there == {("factorial_shares", "good"), ("released", "good"), ("released", "bad")}
    assert any(line.startswith("Stage bad: factorial_shares needs blocks in which") for line in scores.warnings)
