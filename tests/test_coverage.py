"""The simulation of intervals: what it counts, and that its table keeps the rows of other estimators."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import coverage
from static_dynamic.estimators.registry import find_estimators


def test_what_is_counted():
    truth = np.array([0.5, 2.0])
    found = np.array(
        [[[0.4, 1.0], [0.3, 1.5], [0.6, 2.5]], [[0.7, 1.0], [0.6, 0.5], [0.9, 1.5]], [[0.5, 2], [np.nan, 1], [1, 3]]]
    )
    summary = coverage.summary(found, truth)
    assert summary["trials"] == 3
    assert summary["coverage"] == pytest.approx(np.mean([100, 0, 100]), abs=0.05)
    assert summary["error"] == pytest.approx(np.std([100, 0, 100], ddof=1) / np.sqrt(3), abs=0.05)
    assert (summary["above"], summary["below"]) == pytest.approx((100 * 0.5 / 3, 100 * 0.5 / 3), abs=0.05)
    assert summary["bias"] == pytest.approx(np.mean(found[:, 0] - truth), abs=1e-3)
    assert summary["width"] == pytest.approx(np.mean([0.3, 1, 0.3, 1, 2]), abs=1e-3)
    assert summary["undefined"] == pytest.approx(100 / 6, abs=0.05)


@pytest.mark.parametrize("name", ["needs_motion", "needs_order", "released", "factorial_shares"])
def test_the_population_gives_every_estimator_what_it_needs(monkeypatch, name):
    monkeypatch.setattr(coverage, "POPULATION", 300)
    (estimator,) = find_estimators(name)
    rows = pd.DataFrame(coverage.coverage(estimator, "skewed", [30], trials=20, seed=0))
    assert {*rows["of"]} == {"layer", "unit"}
    assert (rows["coverage"] > 60).all()
    assert np.isfinite(rows["width"]).all()


def test_the_kinds_are_as_skewed_as_they_say():
    for kind, skewness in {"gaussian": 0, "skewed": 1.75, "heavy": 4}.items():
        drawn = coverage.World(kind, 0, ("look",)).draw(100000).ravel()
        assert drawn.mean() == pytest.approx(0, abs=0.02)
        assert drawn.std() == pytest.approx(1, abs=0.03)
        assert (drawn**3).mean() == pytest.approx(skewness, rel=0.15, abs=0.05)


def test_rows_of_other_estimators_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "POPULATION", 40)
    table = tmp_path / "table.csv"
    pd.DataFrame({"estimator": ["other", "needs_motion"], "videos": [7, 7]}).to_csv(table, index=False)
    options = [
        "--estimators",
        "needs_motion",
        "--kinds",
        "gaussian",
        "--videos",
        "8",
        "--trials",
        "2",
        "--table",
        str(table),
    ]
    monkeypatch.setattr(sys, "argv", ["coverage", *options])
    coverage.main()
    found = pd.read_csv(table)
    assert found["estimator"].tolist() == ["other"] + ["needs_motion"] * 4
    assert found["videos"].tolist() == [7, 8, 8, 8, 8]
