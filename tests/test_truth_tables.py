"""The tables of how right estimators are, and of what clips are best spent on."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.truth import planted, sampling, units
from benchmarks.truth.judging import READINGS
from benchmarks.truth.picture import draw
from benchmarks.truth.responses import collected, needed, subsets
from benchmarks.truth.units import NAMES
from static_dynamic.estimators.base import Estimates
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.functional.factorial import SHARES
from static_dynamic.interventions import STRONG
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.store import Store

VIDEOS = 10
USED = find_estimators("needs_motion,released")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("planted") / "store"


@pytest.fixture(scope="module")
def there(folder):
    """Responses of the planted units to a few videos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "NATURAL", 60)
        units.planted_model.cache_clear()
        yield collected(folder, VIDEOS, needed(USED, STRONG, ("shuffle",)))
        units.planted_model.cache_clear()


@pytest.fixture(scope="module")
def truth():
    """A truth that fits the units, whatever they do."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(4), len(NAMES))
    return pd.DataFrame(shares, columns=[*SHARES]).assign(
        unit=NAMES, variance=1.0, needs_motion=rng.random(len(NAMES)), reliability=0.9, needs_variance=1.0
    )


def test_answers_of_all_videos_are_those_of_a_measurement(there, folder):
    samples = {
        sample.key["estimator"]: sample for sample in planted.of_videos(USED, there, np.ones(1), [VIDEOS], [0.0])
    }
    scores = score_store(Store.open(folder), Scoring().quick, USED).units
    for one in USED:
        (answers,) = samples[one.name].answers
        table, reading = scores[scores["estimator"] == one.name], READINGS[one.name]
        words = dict(zip(reading.classes, reading.question.classes, strict=True))
        assert list(answers.classes) == [words[name] for name in table["class"]]
        for quantity, values in answers.numbers.items():
            np.testing.assert_allclose(values, table[quantity], rtol=1e-9)
    assert samples["needs_motion"].key["forwards"] == 4 * VIDEOS
    assert samples["released"].key["forwards"] == 8 * VIDEOS


def test_tables_say_how_right_every_estimator_is_at_every_size_and_noise(there, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "SHOWN", {"videos": 6})
    samples = list(planted.of_videos(USED, there, np.ones(len(NAMES)), [6, VIDEOS], [0.0, 0.5]))
    right, classes, numbers = planted.tables(samples, truth)
    assert len(right) == 2 * 2 * (1 + 2)  # sizes, noises, quantities
    assert set(right["draws"]) == {planted.DRAWS, 1}
    counted = classes.groupby(["estimator", "sample", "noise"])["units"].sum()
    np.testing.assert_allclose(counted, len(NAMES), atol=0.1)
    diagonal = classes[classes["true"] == classes["estimated"]]
    for key, row in right.drop_duplicates(["estimator", "sample", "noise"]).iterrows():
        same = (diagonal[["estimator", "sample", "noise"]] == row[["estimator", "sample", "noise"]]).all(axis=1)
        assert row["right"] == pytest.approx(100 * diagonal["units"][same].sum() / len(NAMES), abs=0.3), key
    assert len(numbers) == 3 * len(NAMES)
    draw(numbers, planted.noisy(truth, 0.0), tmp_path / "planted.png")
    assert (tmp_path / "planted.png").stat().st_size > 10_000


def test_noise_has_the_size_that_is_asked_for():
    x, spread = np.zeros((4000, 3)), np.array([0.0, 1.0, 5.0])
    noise = planted.with_noise(x, spread, 0.5)
    np.testing.assert_allclose(noise.std(0), 0.5 * spread, rtol=0.05)
    np.testing.assert_array_equal(planted.with_noise(x, spread, 0.0), x)
    np.testing.assert_array_equal(noise, planted.with_noise(x, spread, 0.5))


def test_subsets_are_different_videos_in_order_and_all_of_them_once():
    names = [f"v{i}" for i in range(9)]
    some = list(subsets(names, 4, 3, np.random.default_rng(0)))
    assert len(some) == 3
    assert all(len(set(one)) == 4 and one == sorted(one) for one in some)
    assert some[0] != some[1]
    assert list(subsets(names, 9, 3, np.random.default_rng(0))) == [names]


def test_one_pair_of_each_kind_is_left_of_every_video(there):
    released = find_estimators("released")[0]
    plan = released.plan(there.design)
    left = sampling.one_pair_each(plan)
    assert len(plan.found.a) == VIDEOS * (6 + 4)
    assert sorted(zip(left.found.video, left.found.factor, strict=True)) == [
        (video, factor) for video in range(VIDEOS) for factor in (0, 1)
    ]
    pairs = set(zip(plan.found.a, plan.found.b, strict=True))
    assert set(zip(left.found.a, left.found.b, strict=True)) <= pairs


def test_only_the_conditions_asked_for_are_left(there):
    some = sampling.only(there, STRONG[:2], ("intact",), 1)
    assert {(key.style, key.order, key.replicate) for key in some.design.variants} == {
        (style, "intact", 0) for style in STRONG[:2]
    }
    assert some.design.styles == STRONG[:2]
    rows = [there.design.row[key] for key in some.design.variants]
    np.testing.assert_array_equal(some.x, there.x[rows])


def test_widths_are_those_of_the_numbers_over_draws(truth):
    rng = np.random.default_rng(1)
    parts = rng.random((200, 2, len(NAMES)))
    whole = 2 * np.ones((200, 1, len(NAMES)))
    (estimator,) = find_estimators("needs_motion")
    found = Estimates(np.clip(parts, 0, 1), parts, whole)
    (row,) = sampling.widths(estimator, ("motion", "reliability"), found, planted.noisy(truth, 0.0))
    layer = 100 * parts[:, 0].sum(1) / (2 * len(NAMES))
    assert row["layer"] == pytest.approx(layer.mean(), abs=0.051)
    assert row["layer_width"] == pytest.approx(3.92 * layer.std(ddof=1), abs=0.051)
    assert row["unit_width"] == pytest.approx(392 * parts[:, 0].std(0, ddof=1).mean(), abs=0.051)
    true = planted.noisy(truth, 0.0)["needs_class"].to_numpy()
    assert row["right"] == pytest.approx(100 * (estimator.classify(found.units) == true).mean(), abs=0.051)


def test_the_table_for_the_docs_has_a_line_for_every_design():
    designs = (("2 styles", 400, 3.0), ("2 styles", 1600, 1.5), ("4 styles", 400, 4.0))
    rows = [
        {"estimator": "four_pair", "design": design, "forwards": forwards, "quantity": quantity}
        | {"layer_width": width, "unit_width": 9.0, "right": 70.0}
        for design, forwards, width in designs
        for quantity in ("style", "order")
    ]
    lines = sampling.markdown(pd.DataFrame(rows)).splitlines()
    assert lines[2:] == [
        "| four_pair | 2 styles | order | 3.0 | 1.5 | 9.0 | 9.0 | 70.0 | 70.0 |",
        "| four_pair | 4 styles | order | 4.0 | – | 9.0 | – | 70.0 | – |",
    ]
    assert len({line.count("|") for line in lines}) == 1
