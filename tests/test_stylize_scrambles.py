"""Scrambles destroy order and keep every frame; how often two coincide is exact."""

from collections import Counter
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from media import coded_frames
from scipy.stats import kendalltau

from static_dynamic.interventions import apply_scramble, list_scrambles
from static_dynamic.stylize.rendering.scrambles import audit_scrambles, coincidence, tau


def test_scrambles_keep_every_frame_and_freeze_keeps_one():
    table = audit_scrambles(lengths=(2, 5, 9), draws=50).set_index(["kind", "length"])
    for kind in list_scrambles(pixels=False):
        for length in (2, 5, 9):
            frames = coded_frames(length)
            shown = Counter(frame.tobytes() for frame in apply_scramble(frames, kind, seed=3))
            kept = shown == Counter(frame.tobytes() for frame in frames)
            assert (table.loc[(kind, length), "frames_kept"] == 1) == kept == (kind != "freeze")
            if kind == "freeze":
                assert table.loc[(kind, length), "frames_kept"] == pytest.approx(1 / length)


@pytest.mark.parametrize("length", [3, 4, 5])
def test_shuffles_of_short_clips_are_what_counting_all_orders_gives(length):
    orders = np.array([order for order in permutations(range(length)) if list(order) != list(range(length))])
    (row,) = audit_scrambles(["shuffle"], [length], draws=3000).to_dict("records")
    assert row["coincide_exact"] == row["reversed_exact"] == pytest.approx(1 / (factorial(length) - 1))
    expected = {
        "tau": [kendalltau(order, range(length)).statistic for order in orders],
        "adjacent": (np.diff(orders) == 1).mean(axis=1),
        "displacement": abs(orders - np.arange(length)).mean(axis=1) / length,
        "reversed": (orders == np.arange(length)[::-1]).all(axis=1),
    }
    for name, values in expected.items():
        assert row[name] == pytest.approx(np.mean(values), abs=4 * np.std(values) / 3000**0.5)
    assert row["coincide"] == pytest.approx(1 / len(orders), rel=0.15)
    np.testing.assert_allclose(tau(orders), expected["tau"])


@pytest.mark.parametrize(("kind", "length", "orders"), [("block_shuffle", 9, 23), ("block_shuffle:3", 9, 5)])
def test_blocks_coincide_whatever_the_length(kind, length, orders):
    (row,) = audit_scrambles([kind], [length], draws=2000).to_dict("records")
    assert row["coincide_exact"] == 1 / orders
    assert row["coincide"] == pytest.approx(1 / orders, rel=0.1)
    assert row["reversed"] == row["reversed_exact"] == 0


def test_two_frames_have_one_other_order():
    table = audit_scrambles(["shuffle", "block_shuffle", "reverse"], [2], draws=20)
    assert (table[["coincide", "coincide_exact", "reversed", "reversed_exact"]] == 1).all(axis=None)
    assert (table["tau"] == -1).all()


def test_coincidence_counts_pairs_of_draws():
    assert coincidence(np.array([[0, 1], [0, 1], [1, 0]])) == pytest.approx(1 / 3)
