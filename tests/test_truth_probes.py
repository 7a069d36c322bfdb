"""Probes of networks whose bias is known: what is kept says what the docs say, and the picture shows it."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.truth.probes import HERE, above_chance, picture, targets_of
from static_dynamic.sources import FactorialVideos


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(HERE / "probes.csv")


def last(table, network, target):
    rows = table[(table["family"] == "truth_cnn") & (table["network"] == network) & (table["target"] == target)]
    return rows.iloc[-1]


def test_what_is_kept_tells_the_networks_apart(table):
    assert last(table, "motion", "direction")["low"] > 0.9 > 0.3 > last(table, "appearance", "direction")["high"]
    assert last(table, "appearance", "colour")["low"] > 0.9 > 0.5 > last(table, "motion", "colour")["high"]
    assert last(table, "both", "direction")["low"] > 0.9
    assert last(table, "both", "colour")["low"] > 0.9
    assert (table[table["target"] == "arrow of time"]["score"] < 0.65).all()  # nothing in the clips tells it


def test_scores_are_drawn_between_chance_and_no_error():
    rows = pd.DataFrame(
        {"stage": ["a", "b"], "score": [0.625, 0.1], "low": [0.25, 0.0], "high": [1, 0.3], "chance": 0.25}
    )
    found = above_chance(rows)
    assert np.allclose(found[["mean", "low", "high"]], [[50, 0, 100], [0, 0, 100 * 0.05 / 0.75]])


def test_every_target_has_a_panel_and_every_network_a_curve(table):
    figure = picture(table[table["family"] == "truth_cnn"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(table["target"].unique())
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == set(table["network"])


def test_clips_without_a_direction_are_left_out_for_it():
    source = FactorialVideos(40)
    (direction,) = [target for target in targets_of(source) if getattr(target, "name", "") == "direction"]
    for video in source.videos:
        straight = {"right": 0, "up": 90, "left": 180, "down": 270}.get(video.details["kind"])
        assert direction.values[video.name] == straight
