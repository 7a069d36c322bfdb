"""Pairs, found a second time: every two rows of the store are looked at, and what they share decides."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from static_dynamic.common.errors import UserError
from static_dynamic.estimators.pairs import PairRule, make_pairs
from static_dynamic.variants import Variant

STYLES = ("original", "ink", "mosaic", "1")
ORDERS = ("intact", "shuffle", "reverse", "shuffle-2")
SOUND = {(3, 2), (4, 2), (4, 3), (4, -1), (5, 4)}
"""Every sound number of factors with its residual."""


def rows_of(videos, styles=STYLES[1:3], orders=ORDERS[:2]):
    return [Variant(*key) for key in product(videos, styles, orders)]


def factor_of(a, b, rule):
    """What two rows of one video share: the name of their factor, if they make a pair of one; ``a`` comes first."""
    unpaired = "original" if rule.normal_static else None
    if a.style == b.style:
        if a.order == "intact" != b.order and (a.style == unpaired or unpaired is None):
            return "static"
    elif a.order == "intact" and unpaired not in (a.style, b.style):
        return "dynamic" if b.order == "intact" else "differ"
    return None


def expected(variants, rule, sequences):
    """(factor, rows, sequence) of all pairs of one video, and how often each occurs."""
    styles = list(dict.fromkeys(key.style for key in variants))
    found = Counter()
    for i, a in enumerate(variants):
        sequence = sequences.get(a.video, a.video)
        if "same" in rule.names and a.order == "intact" and not (rule.normal_static and a.style == "original"):
            found[rule.names.index("same"), frozenset({i}), sequence] += 1
        for j, b in enumerate(variants):
            name = factor_of(a, b, rule) if a.video == b.video else None
            earlier = name == "static" or styles.index(a.style) < styles.index(b.style)
            if name in rule.names and earlier:
                found[rule.names.index(name), frozenset({i, j}), sequence] += 1
    return found


@st.composite
def studies(draw):
    """Rows of a study in any order, and the sequence of some of its videos."""
    videos = [f"v{number}" for number in range(draw(st.integers(1, 5)))]
    styles = draw(st.permutations(STYLES))[: draw(st.integers(2, 4))]
    orders = ["intact", *draw(st.permutations(ORDERS[1:]))[: draw(st.integers(1, 3))]]
    variants = draw(st.permutations(rows_of(videos, styles, orders)))
    sequences = {video: draw(st.sampled_from("xy")) for video in videos if draw(st.booleans())}
    return variants, sequences


@given(studies(), st.sampled_from(sorted(SOUND)), st.booleans())
def test_pairs_of_one_video_are_all_rows_that_share_what_their_factor_says(study, factors, normal_static):
    variants, sequences = study
    rule = PairRule(n_factors=factors[0], residual_index=factors[1], normal_static=normal_static)
    wanted = expected(variants, rule, sequences)
    if {factor for factor, _, _ in wanted} != {f for f, name in enumerate(rule.names) if name != "residual"}:
        with pytest.raises(UserError, match=r"There are no \w+ pairs"):
            make_pairs(variants, rule, sequences=sequences)
        return
    pairs = make_pairs(variants, rule, sequences=sequences)
    sequence = [sequences.get(variants[row].video, variants[row].video) for row in pairs.a]
    found = Counter(
        (int(factor), frozenset({int(a), int(b)}), name)
        for a, b, factor, name in zip(pairs.a, pairs.b, pairs.factor, sequence, strict=True)
    )
    assert found == wanted
    assert len(set(pairs.video)) == len(set(sequence)) == len(set(zip(pairs.video, sequence, strict=True)))
    assert set(pairs.video) == set(range(len(set(sequence))))
    assert pairs.weight.tolist() == [1.0] * len(pairs.a)


def test_a_study_of_one_video_written_out():
    variants = [Variant("v", style, order) for style in ("ink", "mosaic") for order in ("intact", "shuffle")]
    pairs = make_pairs(variants, PairRule(n_factors=4, residual_index=-1))
    found = list(zip(pairs.factor.tolist(), pairs.a.tolist(), pairs.b.tolist(), strict=True))
    assert found == [(0, 0, 2), (1, 0, 1), (1, 2, 3), (2, 0, 3), (3, 0, 0), (3, 2, 2)]


# --- across videos -----------------------------------------------------------------------------------------------

ACROSS = PairRule(same_video=False, scrambled=False)


@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=12), st.integers(0, 99))
def test_partners_are_other_videos_of_the_same_class_or_of_another(labels, seed):
    videos = [f"v{number}" for number in range(len(labels))]
    of = dict(zip(videos, labels, strict=True))
    if len(set(labels)) == 1 or len(set(labels)) == len(labels):
        return
    variants = rows_of(videos, STYLES[1:], ["intact"])
    pairs = make_pairs(variants, PairRule(same_video=False, scrambled=False, seed=seed), of)
    sizes = Counter(labels)
    partners = {}
    for a, b, factor, number in zip(pairs.a, pairs.b, pairs.factor, pairs.video, strict=True):
        first, second = variants[a], variants[b]
        assert first.video != second.video
        assert number == videos.index(first.video)
        assert (of[first.video] == of[second.video]) == (factor == 0)
        assert (first.style == second.style) == (factor == 1)
        assert partners.setdefault((first.video, factor), second.video) == second.video
    counts = Counter(zip(pairs.video.tolist(), pairs.factor.tolist(), strict=True))
    for place, label in enumerate(labels):
        assert counts[place, 0] == (3 if sizes[label] > 1 else 0)  # 3 pairs of 3 styles
        assert counts[place, 1] == 3  # a pair in every style


def test_the_seed_and_the_video_draw_the_partner_and_every_other_video_may_be_it():
    videos = [f"v{number}" for number in range(5)]
    labels = dict.fromkeys(videos, "one") | {"w0": "two", "w1": "two"}
    variants = rows_of(labels, orders=["intact"])

    def partners(seed):
        pairs = make_pairs(variants, PairRule(same_video=False, scrambled=False, seed=seed), labels)
        return {
            (int(factor), variants[a].video): variants[b].video
            for a, b, factor in zip(pairs.a, pairs.b, pairs.factor, strict=True)
        }

    assert partners(3) == partners(3)
    drawn = [partners(seed) for seed in range(60)]
    for video in videos:
        assert {draw[0, video] for draw in drawn} == set(videos) - {video}
        assert {draw[1, video] for draw in drawn} == {"w0", "w1"}
    places = [tuple(videos.index(draw[0, video]) for video in videos) for draw in drawn]
    assert len(set(places)) > 50  # each video draws for itself: 4^5 ways
    assert any(draw[1, "v0"] != draw[1, "v1"] for draw in drawn)


def test_a_video_alone_in_its_class_has_no_dynamic_pairs_of_two_videos():
    labels = {"a": "x", "b": "x", "c": "y"}
    variants = rows_of(labels, orders=["intact"])
    pairs = make_pairs(variants, ACROSS, labels)
    assert sorted({variants[row].video for row in pairs.a[pairs.factor == 0]}) == ["a", "b"]
    assert sorted({variants[row].video for row in pairs.a[pairs.factor == 1]}) == ["a", "b", "c"]


@pytest.mark.parametrize("labels", [{}, {"a": "x"}, {"a": "x", "b": None}])
def test_pairs_across_videos_need_the_class_of_every_video(labels):
    with pytest.raises(UserError, match=r"need the class of every video; '[ab]' has none"):
        make_pairs(rows_of("ab"), ACROSS, labels)


def test_static_pairs_across_videos_may_be_of_the_originals():
    variants = rows_of("ab", STYLES[:3], ["intact"])
    pairs = make_pairs(variants, PairRule(same_video=True, scrambled=False, normal_static=True), {"a": "x", "b": "y"})
    static = [
        (variants[a], variants[b])
        for a, b in zip(pairs.a, pairs.b, strict=True)
        if variants[a].video != variants[b].video
    ]
    assert static == [(Variant(a, "original", "intact"), Variant(b, "original", "intact")) for a, b in ("ab", "ba")]
    dynamic = pairs.factor == 0
    assert {variants[row].style for row in np.r_[pairs.a[dynamic], pairs.b[dynamic]]} == {"ink", "mosaic"}


# --- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_factors", range(7))
@pytest.mark.parametrize("residual_index", range(-2, 7))
def test_factors_that_mean_nothing_are_refused_and_all_others_have_names(n_factors, residual_index):
    if (n_factors, residual_index) not in SOUND:
        with pytest.raises(UserError, match=f"n_factors={n_factors}, residual_index={residual_index}"):
            PairRule(n_factors=n_factors, residual_index=residual_index)
        return
    names = ["dynamic", "static", "differ", "same"][:n_factors] + ["residual"] * (n_factors == 5)
    if residual_index >= 0:
        names[residual_index] = "residual"
    assert PairRule(n_factors=n_factors, residual_index=residual_index).names == names


@pytest.mark.parametrize(
    ("variants", "rule", "says"),
    [
        (rows_of("ab", ["ink"]), PairRule(), "no dynamic pairs: two styles are required. Styles: ink; orders: intact, shuffle"),
        (rows_of("ab", orders=["intact"]), PairRule(), "no static pairs: a scramble is required. Styles: ink, mosaic; orders: intact"),
        (rows_of("ab", orders=["intact"]), PairRule(n_factors=4, residual_index=-1, scrambled=False), "no differ pairs: a scramble is required"),
        (rows_of("ab"), PairRule(normal_static=True), r"no static pairs: the original videos are required \(style 'original'\)"),
        (rows_of("ab", STYLES[:2]), PairRule(normal_static=True), "no dynamic pairs: two styles are required"),
        (rows_of("ab", ["ink"]), PairRule(same_video=False), "no dynamic pairs: two styles are required"),
        (rows_of("ab"), PairRule(same_video=False), "no dynamic pairs: two videos of one class are required"),
        (rows_of("a"), PairRule(scrambled=False), "no static pairs: two classes are required"),
    ],
)  # fmt: skip
def test_a_factor_without_pairs_says_what_would_give_it_some(variants, rule, says):
    with pytest.raises(UserError, match=says):
        make_pairs(variants, rule, {"a": "x", "b": "y"})


def test_some_pairs_of_all_keep_everything_that_belongs_to_them():
    pairs = make_pairs(rows_of("abc"), PairRule())
    pairs = pairs._replace(weight=np.arange(len(pairs.a), dtype=float))
    keep = np.arange(len(pairs.a)) % 3 == 1
    for whole, part in zip(pairs, pairs.only(keep), strict=True):
        assert part.tolist() == [value for value, kept in zip(whole.tolist(), keep, strict=True) if kept]
