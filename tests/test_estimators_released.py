"""The pairs of the released score: which clips they compare, by chance and at the ceiling too."""

import numpy as np
import pytest
from stores import design_of, make_store, variants_of

from static_dynamic.common.seeds import derive_seed
from static_dynamic.estimators.numbers import Resampling, Scorer
from static_dynamic.estimators.released import Released
from static_dynamic.variants import Cell

CELLS = [Cell(style, order) for style in ("1", "2") for order in ("intact", "shuffle")]
AGAIN = [cell._replace(replicate=1) for cell in CELLS if cell.order == "intact"]
VIDEOS = ("d", "c", "b", "a", "e")
SEQUENCES = {"d": "z", "c": "z", "b": "y"}


@pytest.fixture
def planned(tmp_path):
    """Variants, plan and store; two videos are of one sequence, and another has no replicates."""

    def plan(cells=(*CELLS, *AGAIN)):
        variants = [key for key in variants_of(VIDEOS, cells) if not (key.video == "a" and key.replicate)]
        records = {video: {"sequence": SEQUENCES.get(video)} for video in VIDEOS}
        names = {"styles": ["1", "2"], "orders": ["intact", "shuffle"]}
        x = np.random.default_rng(0).normal(size=(len(variants), 3))
        store = make_store(tmp_path / str(len(variants)), variants, x, records=records, **names)
        design = design_of(store)
        return design.variants, Released().plan(design), store

    return plan


def clips(variants, plan):
    return [(variants[a], variants[b]) for a, b in zip(plan.found.a, plan.found.b, strict=True)]


def test_the_sample_are_sequences_in_the_order_of_the_store(planned):
    variants, plan, _ = planned()
    assert plan.videos == ("z", "y", "a", "e")
    assert [plan.videos[i] for i in plan.found.video] == [
        SEQUENCES.get(first.video, first.video) for first, _ in clips(variants, plan)
    ]


def test_replicates_make_no_pairs(planned):
    variants, plan, _ = planned()
    assert not any(key.replicate for pair in clips(variants, plan) for key in pair)
    assert sorted(clips(variants, plan)) == sorted(clips(*planned(CELLS)[:2]))


def test_an_unrelated_clip_is_of_another_sequence_under_the_same_condition(planned):
    variants, plan, _ = planned()
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
    variants, plan, _ = planned()
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


def test_a_layer_stands_between_chance_and_its_ceiling(planned):
    """Both are the score of other pairs: of unrelated clips, on the mean over draws, and of replicates."""
    _, plan, store = planned()
    one, x = Released(), store.stage("stage", slice(0, 3))

    def share(of):
        estimates = of.estimates(x, np.ones((1, len(of.videos))))
        return one.layer(estimates.parts.sum(-1) / estimates.whole.sum(-1), 3)["share"][0]

    found = Scorer(one, plan, Resampling(replicates=2, nulls=3, seed=4)).numbers(store, "stage", 3).layer
    chance = [share(plan.unrelated(derive_seed(4, "unrelated", draw))) for draw in range(3)]
    for column, expected in (("null", np.mean(chance, 0)), ("ceiling", share(plan.repeated()))):
        np.testing.assert_allclose(found[column], [*expected[:2], np.nan])
    assert abs(found["ceiling"] - found["null"]).max() > 0.1
