"""Clips: which frames a recipe takes, step by step as published, and what becomes of their pixels."""

from itertools import cycle, islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from media import slow_clip
from PIL import Image
from test_recipe import slow_resize

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import FlowRecipe, Recipe, centre_crop, resize_images, same_proportions


def played(sample):
    return [[sample.numbers[place] for place in path] for path in sample.pathways]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


# --- which frames ------------------------------------------------------------------------------------------------


def test_eight_frames_of_64_are_nine_apart():
    """As published: 8 x 8 means every ninth frame, since the last of 64 is one of the eight."""
    assert played(Recipe(frames=8, rate=8).sample(64)) == [[0, 9, 18, 27, 36, 45, 54, 63]]
    assert played(Recipe(frames=8, rate=8).sample(100)) == [[18, 27, 36, 45, 54, 63, 72, 81]]
    assert played(Recipe(frames=8, rate=8).sample(100, 3)) == [[3, 12, 21, 30, 39, 48, 57, 66]]
    assert played(Recipe(frames=4, rate=4).sample(16)) == [[0, 5, 10, 15]]


def test_steps_are_truncated_and_not_rounded():
    """15 over 7 is 2.14: at i = 5 that makes 10.71, which is frame 10."""
    assert played(Recipe(frames=8, rate=2).sample(16)) == [[0, 2, 4, 6, 8, 10, 12, 15]]


def test_slow_and_fast_pathways_span_the_same_frames():
    slow, fast = played(Recipe(frames=(8, 32), rate=8).sample(64))
    assert slow == [0, 9, 18, 27, 36, 45, 54, 63]
    assert fast == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 63]  # fmt: skip


@given(
    total=st.integers(1, 300),
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    rate=st.integers(1, 16),
    span=st.none() | st.integers(1, 300),
    data=st.data(),
)
def test_a_sample_is_the_published_one(total, counts, rate, span, data):
    recipe = Recipe(frames=tuple(counts), rate=rate, span=span)
    length = span or counts[0] * rate
    start = data.draw(st.none() | st.integers(0, total - 1))
    sample = recipe.sample(total, start)
    assert recipe.length == recipe.covered() == length
    first = start if start is not None else max(0, (total - length) // 2)
    assert played(sample) == slow_clip(total, first, length, counts)
    assert list(sample.numbers) == sorted({number for path in played(sample) for number in path})


@given(st.integers(1, 300), st.integers(1, 80))
def test_the_clip_lies_in_the_middle(total, length):
    start = Recipe(frames=1, rate=length).start(total)
    after = total - start - length
    assert start == 0 if total <= length else after - start in (0, 1)


def test_a_short_video_is_looped_from_the_start_of_its_clip():
    opened = list(islice(cycle([7, 8, 9]), 8))
    assert played(Recipe(frames=8, rate=1).sample(10, start=7)) == [opened]
    assert Recipe(frames=8, rate=1).sample(10, start=7).numbers == (7, 8, 9)


def test_a_video_without_frames_is_refused():
    with pytest.raises(UserError, match=r"at least one frame\. Got a video of 0"):
        Recipe().sample(0)
    assert Recipe().sample(1).numbers == (0,)


@pytest.mark.parametrize(("fps", "covered"), [(10, 64), (30, 190), (5, 32), (25, 158)])
def test_a_target_rate_covers_as_much_time_in_more_or_fewer_frames(fps, covered):
    """The last of 64 frames at 10 a second is shown at 6.3 s: the frame before which 6.3 fps frames were."""
    recipe = Recipe(frames=8, rate=8, fps=10)
    assert recipe.covered(fps) == covered == int(63 / 10 * fps) + 1
    assert recipe.start(1001, fps) == (1001 - covered) // 2
    assert recipe.start(20, fps) == 0
    first, *_, last = played(recipe.sample(1001, fps=fps))[0]
    assert last - first + 1 == covered


def test_without_a_target_rate_the_rate_of_the_source_does_not_matter():
    assert played(Recipe().sample(99, fps=7.5)) == played(Recipe().sample(99))
    with pytest.raises(UserError, match="frame rate of this video is unknown"):
        Recipe(fps=10).sample(99)


# --- pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "short_side", "resized"),
    [(20, 33, 14, (14, 23)), (33, 20, 14, (23, 14)), (20, 20, 14, (14, 14)), (10, 17, None, (12, 20)), (40, 61, 12, (12, 18))],
)  # fmt: skip
def test_the_short_side_is_resized_the_middle_is_cropped_and_every_channel_normalised(
    height, width, short_side, resized
):
    frames, crop = noise(2, height, width), 12
    recipe = Recipe(frames=2, rate=1, crop=crop, short_side=short_side, mean=(0.1, 0.2, 0.3), std=(0.5, 1.5, 0.7))
    top, left = ((side - crop + 1) // 2 for side in resized)
    prepared = recipe.prepare(frames)
    assert prepared.shape == (2, 3, crop, crop)
    assert prepared.dtype == torch.float32
    for t in range(2):
        for channel in range(3):
            whole = slow_resize(frames[t, ..., channel].astype(float), *resized)[top : top + crop, left : left + crop]
            expected = (whole / 255 - recipe.mean[channel]) / recipe.std[channel]
            np.testing.assert_allclose(prepared[t, channel].numpy(), expected, atol=1e-4)


def test_frames_that_have_the_size_keep_their_pixels():
    frames = noise(3, 16, 16)
    prepared = Recipe(frames=3, rate=1, crop=16, mean=(0, 0, 0), std=(1, 1, 1)).prepare(frames)
    assert np.array_equal((prepared * 255).round().byte().movedim(1, -1).numpy(), frames)


def test_the_published_normalisation_is_the_default():
    grey = Recipe(frames=1, rate=1, crop=16).prepare(np.full((1, 16, 16, 3), 255, np.uint8))
    np.testing.assert_allclose(grey.numpy(), (1 - 0.45) / 0.225, rtol=1e-6)
    image = FlowRecipe(size=(16, 16)).normalised(np.full((1, 16, 16, 3), 255, np.uint8))[0, :, 0, 0]
    np.testing.assert_allclose(image, [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-6)


@pytest.mark.parametrize(("size", "first"), [(8, 0), (7, 1), (6, 1), (5, 2), (4, 2), (1, 4)])
def test_a_crop_is_the_middle_and_half_a_pixel_goes_down_and_right(size, first):
    """As published: the offset is rounded up from a half."""
    ramp = torch.arange(8.0).expand(8, 8)
    across, down = centre_crop(ramp, (8, size)), centre_crop(ramp.T, (size, 8))
    expected = torch.arange(first, first + size).float()
    assert torch.equal(across[0], expected)
    assert torch.equal(down[:, 0], expected)


def test_size_and_short_side_follow_the_crop():
    assert Recipe(crop=(20, 30)).size == (20, 30)
    assert Recipe(crop=20).size == (20, 20)
    assert Recipe(crop=(20, 30)).resize == 30
    assert Recipe(crop=20, short_side=25).resize == 25
    changed = Recipe(frames=8, rate=4, crop=224, short_side=256).changed(frames=16, rate=2, image_size=112, span=9)
    assert changed == Recipe(frames=16, rate=2, crop=112, short_side=128, span=9)
    assert Recipe(crop=224).changed(image_size=112) == Recipe(crop=112)


# --- images and flow ---------------------------------------------------------------------------------------------


def test_images_are_resized_by_pil_whatever_their_proportions():
    frames = noise(2, 30, 50)
    resized = FlowRecipe(size=(12, 24)).resized(frames)
    expected = [np.asarray(Image.fromarray(frame).resize((24, 12), Image.Resampling.BILINEAR)) for frame in frames]
    assert np.array_equal(resized, expected)
    assert FlowRecipe(size=(30, 50)).resized(frames) is frames
    nearest = resize_images(frames, (60, 100), Image.Resampling.NEAREST)
    assert np.array_equal(nearest, frames.repeat(2, 1).repeat(2, 2))


def test_pixels_of_images_come_back():
    recipe, frames = FlowRecipe(size=(12, 24)), noise(2, 12, 24)
    assert recipe.normalised(frames).shape == (2, 3, 12, 24)
    assert np.array_equal(recipe.pixels(recipe.normalised(frames)), frames)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"frames": 0}, r"Got 0, \(480, 854\)"),
        ({"size": (480,)}, r"Got 1, \(480,\)"),
        ({"size": (0, 10)}, r"Got 1, \(0, 10\)"),
        ({"size": (1, 2, 3)}, r"Got 1, \(1, 2, 3\)"),
        ({"flows": ("forward", "backwards")}, "Unknown direction of flow 'backwards'. Did you mean 'backward'"),
    ],
)
def test_a_recipe_of_images_that_cannot_be_is_refused(fields, says):
    with pytest.raises(UserError, match=says):
        FlowRecipe(**fields)
    assert FlowRecipe(frames=1, size=(1, 1), flows=("backward", "forward")).flows == ("backward", "forward")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [((100, 200), (50, 100), True), ((100, 200), (100, 203), True), ((100, 200), (100, 205), False), ((100, 200), (100, 195), False), ((50, 99), (99, 50), False)],
)  # fmt: skip
def test_proportions_may_differ_by_a_fiftieth(one, other, alike):
    a, b = (np.zeros((1, *size, 3), np.uint8) for size in (one, other))
    assert same_proportions(a, b) == same_proportions(b, a) == alike
