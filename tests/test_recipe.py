"""Recipes: which frames, of what size, in which order of axes, and at which rate a model wants its input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_sources import slow_clip

from static_dynamic import BadClip, Recipe, UserError
from static_dynamic.media.inputs import example_inputs
from static_dynamic.media.reading import sampled


def slow_resize(frame, height, width):
    """Bilinear, half-pixel centres, edges repeated: one output pixel after the other."""
    tall, wide = frame.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v, u = (y + 0.5) * tall / height - 0.5, (x + 0.5) * wide / width - 0.5
            v, u = max(v, 0), max(u, 0)
            top, left = int(v), int(u)
            below, right = min(top + 1, tall - 1), min(left + 1, wide - 1)
            a, b = v - top, u - left
            out[y, x] = (1 - a) * ((1 - b) * frame[top, left] + b * frame[top, right]) + a * (
                (1 - b) * frame[below, left] + b * frame[below, right]
            )
    return out


@pytest.mark.parametrize(("height", "width", "resized"), [(36, 64, (27, 48)), (64, 36, (85, 48)), (30, 30, (48, 48))])
def test_a_crop_that_is_not_square_is_covered_whatever_the_proportions(height, width, resized):
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    recipe = Recipe(frames=2, rate=1, crop=(27, 48), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    tall, wide = resized
    top, left = (tall - 27 + 1) // 2, (wide - 48 + 1) // 2
    prepared = recipe.prepare(frames)
    assert prepared.shape == (2, 3, 27, 48)
    for t in range(2):
        for channel in range(3):
            whole = slow_resize(frames[t, ..., channel].astype(float), tall, wide) / 255
            expected = (whole[top : top + 27, left : left + 48] - recipe.mean[channel]) / recipe.std[channel]
            np.testing.assert_allclose(prepared[t, channel].numpy(), expected, atol=1e-4)


@given(st.integers(16, 400), st.integers(16, 400), st.integers(1, 80), st.integers(1, 80))
def test_any_frame_gives_the_size_of_the_crop(height, width, tall, wide):
    frames = np.zeros((1, height, width, 3), np.uint8)
    assert Recipe(frames=1, rate=1, crop=(tall, wide)).prepare(frames).shape == (1, 3, tall, wide)


def test_uint8_values_are_the_pixels_themselves():
    frames = np.random.default_rng(1).integers(0, 256, (3, 20, 20, 3), np.uint8)
    recipe = Recipe(frames=3, rate=1, crop=20, values="uint8", layout="T H W C")
    prepared = recipe.prepare(frames)
    assert prepared.dtype == torch.uint8
    assert np.array_equal(recipe.arranged(prepared).numpy(), frames)
    assert np.array_equal(recipe.pixels(prepared), frames)


def test_resized_uint8_values_are_rounded_to_the_nearest_level():
    frames = np.random.default_rng(3).integers(0, 256, (1, 20, 20, 3), np.uint8)
    prepared = Recipe(frames=1, rate=1, crop=12, values="uint8").prepare(frames)
    for channel in range(3):
        exact = slow_resize(frames[0, ..., channel].astype(float), 12, 12)
        assert np.abs(prepared[0, channel].numpy() - exact).max() < 0.5 + 1e-3


@pytest.mark.parametrize("values", ["normalised", "uint8"])
@pytest.mark.parametrize(
    ("height", "width", "short_side"), [(24, 31, 24), (16, 21, None), (40, 31, None), (12, 14, 20)]
)
def test_the_short_way_gives_the_bits_of_the_published_formula(height, width, short_side, values):
    """All pixels as floats, normalised, resized, and cropped only then."""
    frames = np.random.default_rng(4).integers(0, 256, (5, height, width, 3), np.uint8)[::-1]
    recipe = Recipe(5, 1, 16, short_side, mean=(0.1, 0.45, 0.9), std=(0.2, 0.225, 0.4), values=values)
    clip = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float()
    if values == "normalised":
        mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (recipe.mean, recipe.std))
        clip = (clip / 255 - mean) / std
    size = recipe._resized(height, width)
    if size != (height, width):
        clip = torch.nn.functional.interpolate(clip, size=size, mode="bilinear", align_corners=False)
    top, left = ((side - 16 + 1) // 2 for side in size)
    expected = clip[..., top : top + 16, left : left + 16]
    expected = expected if values == "normalised" else expected.round().clamp(0, 255).byte()
    before = frames.copy()
    assert torch.equal(recipe.prepare(frames), expected)
    assert np.array_equal(frames, before)


def test_pixels_undo_the_normalisation():
    frames = np.random.default_rng(2).integers(0, 256, (3, 20, 20, 3), np.uint8)
    recipe = Recipe(frames=3, rate=1, crop=20, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    assert np.array_equal(recipe.pixels(recipe.prepare(frames)), frames)


@pytest.mark.parametrize("layout", ["C T H W", "T C H W", "T H W C", "C H W T"])
def test_axes_of_a_clip_are_those_of_its_layout(layout):
    recipe = Recipe(frames=(2, 5), rate=1, crop=(6, 7), layout=layout)
    length = {"C": 3, "H": 6, "W": 7}
    expected = tuple(tuple({**length, "T": count}[axis] for axis in layout.split()) for count in (2, 5))
    assert recipe.shapes == expected
    assert [tuple(clip.shape) for clip in example_inputs(recipe, clips=4)] == [(4, *shape) for shape in expected]
    frames = torch.rand(5, 3, 6, 7)
    assert torch.equal(recipe.frames_of(recipe.arranged(frames)), frames)
    where = layout.split().index("T")
    assert torch.equal(recipe.arranged(frames).select(where, 3), recipe.arranged(frames[3:4]).select(where, 0))


def test_noise_for_uint8_is_uint8():
    noise = example_inputs(Recipe(frames=4, rate=1, crop=8, values="uint8"), clips=2)
    assert noise.dtype == torch.uint8
    assert len(noise.unique()) > 200


@pytest.mark.parametrize(("source", "seconds"), [(10, 6.4), (30, 6.4), (60, 6.4), (25, 6.4)])
def test_a_target_rate_makes_every_clip_span_the_same_time(source, seconds):
    """8 frames x 8 at 10 fps is 6.4 s; without a target rate it would be 2.1 s at 30 fps and 1.1 s at 60."""
    recipe = Recipe(frames=8, rate=8, fps=10)
    sample = recipe.sample(2000, fps=source)
    played = [sample.numbers[i] for i in sample.pathways[0]]
    first = (2000 - (int(63 * source / 10) + 1)) // 2
    assert played == [first + int(step * source / 10) for step in np.linspace(0, 63, 8)]
    assert (played[-1] - played[0] + source / 10) / source == pytest.approx(seconds, abs=1.01 / source)


@given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 12), st.none() | st.integers(0, 20))
def test_a_rate_that_the_source_has_changes_nothing(total, frames, rate, start):
    start = None if start is None else min(start, total - 1)
    plain = Recipe(frames=frames, rate=rate).sample(total, start, fps=25)
    timed = Recipe(frames=frames, rate=rate, fps=25).sample(total, start, fps=25)
    first = max(0, (total - frames * rate) // 2) if start is None else start
    for sample in (plain, timed):
        assert [[sample.numbers[i] for i in path] for path in sample.pathways] == slow_clip(
            total, first, frames * rate, [frames]
        )


def test_a_slow_source_repeats_frames_at_a_higher_target_rate():
    sample = Recipe(frames=4, rate=1, fps=20).sample(10, 0, fps=10)
    assert [sample.numbers[i] for i in sample.pathways[0]] == [0, 0, 1, 1]


def test_a_source_without_a_frame_rate_is_named():
    with pytest.raises(BadClip, match=r"clips/a: The frame rate of this video is unknown.*`fps=10`"):
        sampled(Recipe(fps=10), 100, "clips/a")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0}, "'rate' of a recipe must be a positive integer. Got 0"),
        ({"rate": (2,)}, "'rate' of a recipe must be a positive integer. Got (2,)"),
        ({"frames": "8"}, "'frames' of a recipe must be positive integers. Got '8'"),
        ({"frames": ()}, "'frames' of a recipe must be positive integers"),
        ({"frames": (8, 0)}, "'frames' of a recipe must be positive integers"),
        ({"frames": True}, "'frames' of a recipe must be positive integers"),
        ({"crop": 22.4}, "'crop' of a recipe must be positive integers. Got 22.4"),
        ({"crop": (1, 2, 3)}, "a side or (height, width)"),
        ({"crop": 224, "short_side": 112}, "'short_side' of a recipe must be at least the crop's. Got 112"),
        ({"mean": 0.5}, "'mean' of a recipe must be three numbers"),
        ({"std": (1, 1, 0)}, "'std' of a recipe must be three positive numbers"),
        ({"std": (1, 1, float("nan"))}, "'std' of a recipe must be three positive numbers"),
        ({"fps": -1}, "'fps' of a recipe must be a positive number. Got -1"),
        ({"layout": "N C T H W"}, "must name the axes C, T, H and W of one clip once each"),
        ({"layout": 3}, "must name the axes C, T, H and W"),
        (
            {"values": "uint16"},
            "Unknown 'values' of a recipe 'uint16'. Did you mean 'uint8'? Allowed: normalised, uint8.",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_one_line(fields, message):
    with pytest.raises(UserError) as error:
        Recipe(**fields)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_changed_keeps_the_proportion_of_the_short_side():
    recipe = Recipe(crop=224, short_side=256)
    assert recipe.changed(image_size=(56, 112)).short_side == round(56 * 256 / 224)
    assert recipe.changed(fps=5).fps == 5
    assert recipe.changed() == recipe


def test_only_a_square_crop_has_a_side():
    assert Recipe(crop=(20, 20)).side == 20
    with pytest.raises(UserError, match="Only a square crop"):
        _ = Recipe(crop=(20, 21)).side
