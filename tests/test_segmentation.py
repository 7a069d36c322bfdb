"""Segmentation measures: equal to slow derivations, to pycocotools and to OpenCV, on random and real masks."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pycocotools.mask as coco
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import binary_erosion, gaussian_filter

from static_dynamic.common.errors import UserError
from static_dynamic.functional import segmentation as seg

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "davis_mini" / "Annotations" / "480p"
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))
TOLERANCES = st.sampled_from([0, 0.008, 0.1, 0.3, 1, 1.5, 2, 3])


def blobs(seed, shape=(480, 854), smooth=24, share=0.1):
    """A mask of a few round pieces, some with holes."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), smooth)
    return noise > np.quantile(noise, 1 - share)


def full_size_masks():
    """Masks of DAVIS where they are at hand, and always made ones."""
    real = sorted(SHARED.rglob("*.png"))[::12] if SHARED.exists() else []
    return [*(np.asarray(Image.open(path)) > 0 for path in real), *(blobs(seed) for seed in range(3))]


def changed(mask):
    """The same object, found not quite."""
    return [np.roll(mask, 6, axis=1), np.roll(mask, (-9, 4), axis=(0, 1)), binary_erosion(mask, iterations=5), mask]


def slow_boundary(mask):
    """Pixel by pixel; a neighbour outside the image is the pixel itself."""
    height, width = mask.shape
    edge = []
    for y in range(height):
        for x in range(width):
            below, right = min(y + 1, height - 1), min(x + 1, width - 1)
            if mask[y, x] != mask[y, right] or mask[y, x] != mask[below, x] or mask[y, x] != mask[below, right]:
                edge.append((y, x))
    return np.array(edge, int).reshape(-1, 2)


def slow_precision_and_recall(mask, truth, tolerance):
    """All distances between all pixels of the two boundaries."""
    found, wanted = slow_boundary(mask), slow_boundary(truth)
    if not len(found) or not len(wanted):
        return float(not len(wanted) or bool(len(found))), float(not len(found) or bool(len(wanted)))
    radius = tolerance if tolerance >= 1 else np.ceil(tolerance * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))
    near = ((found[:, None] - wanted[None]) ** 2).sum(-1) <= radius**2
    return near.any(1).mean(), near.any(0).mean()


# Region similarity J


@given(PAIRS)
def test_region_similarity_is_the_jaccard_index_of_the_sets_of_pixels(pair):
    a, b = (set(zip(*np.nonzero(mask), strict=True)) for mask in pair)
    expected = len(a & b) / len(a | b) if a | b else 1
    assert seg.region_similarity(*pair) == expected == seg.region_similarity(*pair[::-1])


def test_region_similarity_equals_that_of_pycocotools():
    random = np.random.default_rng(0).random((200, 2, 30, 40)) > np.linspace(0.02, 0.98, 200)[:, None, None, None]
    pairs = [pair for pair in random if pair.any()]
    pairs += [(other, mask) for mask in full_size_masks() for other in changed(mask)]
    for mask, truth in pairs:
        runs = [coco.encode(np.asfortranarray(side, np.uint8)) for side in (mask, truth)]
        assert seg.region_similarity(mask, truth) == coco.iou(runs[:1], runs[1:], [0])[0, 0]


# Boundary accuracy F


@given(SHAPES.flatmap(lambda shape: arrays(bool, shape)))
def test_the_boundary_is_where_the_next_pixels_differ(mask):
    assert np.argwhere(seg.boundary(mask)).tolist() == slow_boundary(mask).tolist()


@given(PAIRS, TOLERANCES)
def test_boundary_accuracy_equals_all_pairwise_distances(pair, tolerance):
    precision, recall = slow_precision_and_recall(*pair, tolerance)
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
    f = seg.boundary_accuracy(*pair, tolerance)
    assert f == pytest.approx(expected, abs=1e-12)
    assert 0 <= f <= 1
    assert f == seg.boundary_accuracy(*pair[::-1], tolerance)
    assert (f == 1) == (precision == recall == 1)


def test_boundary_accuracy_equals_dilation_with_a_disk_as_in_the_paper():
    y, x = np.mgrid[-8:9, -8:9]
    disk = (x**2 + y**2 <= 64).astype(np.uint8)  # ⌈0.008 · |(480, 854)|⌉ = 8
    for mask in full_size_masks():
        for other in changed(mask):
            edges = [seg.boundary(side).astype(np.uint8) for side in (other, mask)]
            grown = [cv2.dilate(edge, disk) for edge in edges]
            precision, recall = (
                (edge & near).sum() / edge.sum() for edge, near in zip(edges, grown[::-1], strict=True)
            )
            expected = 2 * precision * recall / (precision + recall)
            assert seg.boundary_accuracy(other, mask) == pytest.approx(expected, abs=1e-12)


@given(arrays(bool, (6, 6)), st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_within_the_tolerance_costs_nothing_and_a_longer_one_does(inner, dy, dx):
    mask = np.zeros((30, 30), bool)
    mask[12:18, 12:18] = inner
    shifted = np.roll(mask, (dy, dx), axis=(0, 1))
    reach = max(1, np.hypot(dy, dx))
    assert seg.boundary_accuracy(mask, shifted, reach) == 1
    assert not mask.any() or seg.boundary_accuracy(mask, np.roll(mask, 12, axis=1), reach) < 1


def test_masks_without_a_boundary():
    empty, full, spot = np.zeros((9, 9), bool), np.ones((9, 9), bool), np.zeros((9, 9), bool)
    spot[4, 4] = True
    assert seg.boundary_accuracy(empty, empty) == seg.boundary_accuracy(full, empty) == 1
    assert seg.boundary_accuracy(spot, empty) == seg.boundary_accuracy(full, spot) == 0
    assert seg.region_similarity(full, empty) == 0


# Boxes


def published_box(mask):
    """With OpenCV, in the published order: external contours, their boxes, the foreground inside each."""
    levels, best, found = mask.astype(np.uint8), 0, None
    for contour in cv2.findContours(levels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, width, height = cv2.boundingRect(contour)
        inside = levels[y : y + height, x : x + width].sum()
        if inside > best:
            best, found = inside, (x, y, x + width, y + height)
    return found


@given(SHAPES.flatmap(lambda shape: arrays(bool, shape)))
def test_the_largest_box_is_the_published_one(mask):
    assert seg.largest_box(mask) == published_box(mask)


@pytest.mark.parametrize("smooth", [0.6, 1, 2, 4])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_the_largest_box_is_the_published_one_where_there_are_many_pieces(smooth, share):
    for seed in range(20):
        mask = blobs(seed, (60, 80), smooth, share)
        assert seg.largest_box(mask) == published_box(mask)


def test_the_largest_box_of_full_size_masks_is_the_published_one():
    for mask in full_size_masks():
        assert seg.largest_box(mask) == published_box(mask)


def test_a_box_ends_after_its_last_pixel_and_an_empty_mask_has_none():
    mask = np.zeros((20, 30), bool)
    assert seg.largest_box(mask) is None
    mask[3:5, 7:10] = True
    mask[15, 20] = True
    assert seg.largest_box(mask) == (7, 3, 10, 5)


def test_a_piece_counts_with_what_lies_in_its_box():
    """A thin L beside a solid square: the square has more pixels, the box of the L holds its own and the square's."""
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2] = mask[17, 2:18] = True
    mask[5:14, 6:15] = True
    assert seg.largest_box(mask) == (2, 2, 18, 18)


BOXES = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(9, 16)] * 2)


@given(BOXES, BOXES)
def test_box_overlap_is_the_region_similarity_of_the_filled_boxes(a, b):
    filled = np.zeros((2, 16, 16), bool)
    for mask, (x0, y0, x1, y1) in zip(filled, (a, b), strict=True):
        mask[y0:y1, x0:x1] = True
    assert seg.box_overlap(a, b) == pytest.approx(seg.region_similarity(*filled), abs=1e-12)
    scaled = [seg.scale_box(box, (16, 16), (473, 854)) for box in (a, b)]
    assert seg.box_overlap(*scaled) == pytest.approx(seg.box_overlap(a, b), abs=1e-12)


def test_boxes_may_be_narrower_than_a_pixel():
    for box in ((0, 0, 0.5, 3), (0, 0, 3, 0.5), (0.25, 0.25, 0.5, 0.75)):
        assert seg.box_overlap(box, box) == 1
    assert seg.box_overlap((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)


def test_boxes_apart_or_missing_do_not_overlap():
    assert seg.box_overlap((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert seg.box_overlap((0, 0, 2, 2), (1, 1, 1, 1)) == 0
    assert seg.box_overlap(None, (0, 0, 2, 2)) == seg.box_overlap(None, None) == 0
    assert seg.scale_box((1, 2, 3, 4), (10, 20), (20, 10)) == (0.5, 4, 1.5, 8)


# Rates, means, upright masks, curves


def test_a_success_is_above_its_threshold():
    rates, mean = seg.success_rates([0.5, 0.500001, 0.75, 0.95])
    assert rates.tolist() == [0.75, 0.5, 0.5, 0.25, 0.25]
    assert mean == pytest.approx(0.45)
    with pytest.raises(UserError, match="at least one frame"):
        seg.success_rates([])


def test_the_published_rates_have_the_published_mean():
    """MATNet on MoCA: .759 .708 .619 .486 .260, mean .566."""
    frames = np.repeat([0.95, 0.85, 0.75, 0.65, 0.55, 0.4], [260, 226, 133, 89, 51, 241])
    rates, mean = seg.success_rates(frames)
    np.testing.assert_allclose(rates, [0.759, 0.708, 0.619, 0.486, 0.26])
    assert round(mean, 3) == 0.566


def test_a_long_sequence_counts_like_a_short_one():
    g = np.random.default_rng(0)
    values, sequences = g.random(50), g.choice(["bear", "crab", "goat_1"], 50).tolist()
    assert seg.mean_over_sequences([1, 1, 1, 0], ["bear", "bear", "bear", "crab"]) == 0.5
    assert seg.mean_over_sequences(values, sequences) == pytest.approx(
        pd.Series(values).groupby(sequences).mean().mean()
    )
    with pytest.raises(UserError, match="Got 2 values and 1 sequences"):
        seg.mean_over_sequences([1, 2], ["bear"])


def test_a_mask_is_inverted_when_more_than_half_of_the_border_is_foreground():
    probability = np.zeros((5, 7))
    border = [*((0, x) for x in range(7)), *((4, x) for x in range(7)), *((y, x) for y in (1, 2, 3) for x in (0, 6))]
    probability[1:-1, 1:-1] = 1
    for count, place in enumerate(border, start=1):
        probability[place] = 0.6
        assert seg.mask_inverted(probability) == (count > len(border) / 2)
    assert not seg.mask_inverted(probability, threshold=0.6)
    np.testing.assert_allclose(seg.upright(probability), 1 - probability)
    np.testing.assert_allclose(seg.upright(1 - probability), 1 - probability)


def published_overlap(levels, truth, threshold):
    """The published steps for one frame, on 8-bit levels."""
    border = np.concatenate([levels[0], levels[-1], levels[1:-1, 0], levels[1:-1, -1]])
    turned = 255 - levels if (border > 127.5).mean() > 0.5 else levels
    box = published_box(turned > threshold * 255)
    if box is None:
        return 0.0
    filled = np.zeros((2, *levels.shape), bool)
    for mask, (x0, y0, x1, y1) in zip(filled, (box, truth), strict=True):
        mask[y0:y1, x0:x1] = True
    return (filled[0] & filled[1]).sum() / (filled[0] | filled[1]).sum()


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.5])
def test_the_protocol_for_camouflaged_animals_frame_by_frame(threshold):
    turned = 0
    for seed in range(40):
        noise = gaussian_filter(np.random.default_rng(seed).normal(size=(60, 80)), 5)
        levels = np.clip(128 + 3000 * (noise + (seed % 4 - 2) * 0.02), 0, 255).astype(np.uint8)
        turned += seg.mask_inverted(levels / 255)
        box = seg.largest_box(seg.upright(levels / 255) > threshold)
        expected = published_overlap(levels, (20, 10, 60, 45), threshold)
        assert seg.box_overlap(box, (20, 10, 60, 45)) == pytest.approx(expected, abs=1e-12)
    assert 5 < turned < 35


def test_the_curve_holds_the_overlap_at_every_threshold():
    probability = gaussian_filter(np.pad(np.ones((20, 30)), 20), 4)
    truth, box = probability > 0.5, (20, 20, 50, 40)
    for wanted, overlap in [
        (truth, lambda level: seg.region_similarity(probability > level, truth)),
        (box, lambda level: seg.box_overlap(seg.largest_box(probability > level), box)),
    ]:
        curve = seg.overlap_curve(probability, wanted)
        assert curve.overlaps.tolist() == [overlap(level) for level in np.linspace(0, 1, 21)]
        steps = np.diff(curve.thresholds) * (curve.overlaps[1:] + curve.overlaps[:-1]) / 2
        assert curve.area == pytest.approx(steps.sum(), abs=1e-12)
        assert curve.overlaps.max() > 0.9 > curve.area > 0.3


def test_the_area_is_what_no_threshold_can_flatter():
    """Right inside the box at 0.3 certainty: perfect below 0.3, nothing above."""
    probability = np.zeros((40, 40))
    probability[10:20, 5:25] = 0.3
    fine = np.linspace(0, 1, 1001)
    assert seg.overlap_curve(probability, (5, 10, 25, 20), fine).area == pytest.approx(0.3, abs=1e-3)
    assert seg.overlap_curve(probability, probability > 0, [0.1, 0.15, 0.2]).area == pytest.approx(1)


def test_two_thresholds_make_a_curve():
    probability = np.zeros((8, 8))
    probability[2:6, 2:6] = 0.5
    curve = seg.overlap_curve(probability, (2, 2, 6, 6), [0.2, 0.6])
    assert curve.overlaps.tolist() == [1, 0]
    assert curve.area == pytest.approx(0.5)


# Slips


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        (lambda: seg.region_similarity(np.zeros((4, 5)), np.zeros((5, 4))), r"of one size. Got \(4, 5\) and \(5, 4\)"),
        (
            lambda: seg.boundary_accuracy(np.zeros((2, 4, 5)), np.zeros((2, 4, 5))),
            r"\(H, W\). Got the shape \(2, 4, 5\)",
        ),
        (lambda: seg.boundary_accuracy(np.eye(4), np.eye(4), -1), "'tolerance' .* negative. Got -1"),
        (lambda: seg.largest_box(np.zeros(4)), r"\(H, W\). Got the shape \(4,\)"),
        (lambda: seg.mask_inverted(np.full((4, 4), 255, np.uint8)), "in 0..1. Got 255..255"),
        (lambda: seg.upright(np.full((4, 4), np.nan)), "in 0..1. Got nan"),
        (lambda: seg.upright(np.zeros((1, 4, 4))), r"\(H, W\). Got the shape \(1, 4, 4\)"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1, 1), [0.5, 0.2]), "rising numbers in 0..1"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1, 1), [0.5]), "two or more"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1, 1), [0.1, 0.5, 1.2]), "rising numbers in 0..1"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1, 1), [-0.1, 0.5, 0.9]), "rising numbers in 0..1"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1, 1), [0.1, 0.5, 0.5]), "rising numbers in 0..1"),
        (lambda: seg.overlap_curve(np.eye(4), (0, 0, 1)), r"\(H, W\). Got the shape \(3,\)"),
    ],
)
def test_a_slip_gets_one_line(slip, message):
    with pytest.raises(UserError, match=message) as error:
        slip()
    assert "\n" not in str(error.value)
