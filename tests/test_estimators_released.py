"""The pairs of the released score: which clips they compare, by chance and at the ceiling too."""

import numpy as np
import pytest
from stores import design_of, make_store, variants_of

from static_dynamic.estimators.numbers import Resampling, Scorer
from static_dynamic.estimators.released import Released
from static_dynamic.variants import Cell

CELLS = [Cell(style, order) for style in ("1", "2") for order in ("intact", "shuffle")]
AGAIN = [cell._replace(replicate=1) for cell in CELLS if cell.order == "intact"]
VIDEOS = ("d", "c", "b", "a", "e")
SEQUENCES = {"d": "z", "c": "z", "b": "y"}


@pytest.fixture
def planned(tmp_path):
    """Variants and plan; two videos are of one sequence, and another has no replicates."""

    def plan(cells=(*CELLS, *AGAIN)):
        variants = [key for key in variants_of(VIDEOS, cells) if not (key.video == "a" and key.replicate)]
        records = {video: {"sequence": SEQUENCES.get(video)} for video in VIDEOS}
        names = {"styles": ["1", "2"], "orders": ["intact", "shuffle"]}
        x = np.random.default_rng(0).normal(size=(len(variants), 3))
        store = make_store(tmp_path / str(len(variants)), variants, x, records=records, **names)
        design = design_of(store)
        return design.variants, Released().plan(design)

    return plan


def clips(variants, plan):
    return [(variants[a], variants[b]) for a, b in zip(plan.found.a, plan.found.b, strict=True)]


def test_the_sample_are_sequences_in_the_order_of_the_store(planned):
    variants, plan = planned()
    assert plan.videos == ("z", "y", "a", "e")
    assert [plan.videos[i] for i in plan.found.video] == [
        SEQUENCES.get(first.video, first.video) for first, _ in clips(variants, plan)
    ]


def test_replicates_make_no_pairs(planned):
    variants, plan = planned()
    assert not any(key.replicate for pair in clips(variants, plan) for key in pair)
    assert sorted(clips(variants, plan)) == sorted(clips(*planned(CELLS)))


def test_an_unrelated_clip_is_of_another_sequence_under_the_same_condition(planned):
    variants, plan = planned()
    for seed in range(5):
        other = plan.unrelated(seed)
        assert len(other.found.a) == len(plan.found.a)
        for (first, second), (still, stranger) in zip(clips(variants, plan), clips(variants, other), strict=True):
            assert still == first
            assert stranger.cell == second.cell
            assert SEQUENCES.get(stranger.video, stranger.video) != SEQUENCES.get(first.video, first.video)
    partners = {tuple(clips(variants, plan.unrelated(seed))) for seed in range(5)}
    assert len(partners) > 1


def test_the_ceiling_is_a_replicate_of_the_first_clip(planned):
    variants, plan = planned()
    found = clips(variants, plan.repeated())
    wanted = [pair for pair in clips(variants, plan) if pair[0].order == "intact" and pair[0].video != "a"]
    assert [first for first, _ in found] == [first for first, _ in wanted]
    assert all(second == first._replace(replicate=1) for first, second in found)
    assert planned(CELLS)[1].repeated() is None


def test_one_video_has_scores_and_no_interval(tmp_path):
    x = np.random.default_rng(0).normal(size=(len(CELLS), 3))
    store = make_store(tmp_path / "store", variants_of(["v"], CELLS), x)
    one = Released()
    found = Scorer(one, one.plan(design_of(store)), Resampling(replicates=2)).numbers(store, "stage", 3)
    assert np.isfinite(found.layer["score"]).all()
    assert np.isfinite(found.units[["dynamic", "static"]]).all(axis=None)
    assert found.layer[["score_low", "score_high"]].isna().all(axis=None)
