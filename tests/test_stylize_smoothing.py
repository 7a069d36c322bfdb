"""Smoothing along the motion: a second, slower way; what it must not mix; that it does not hold the whole clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from static_dynamic.common.errors import UserError
from static_dynamic.stylize.learning.smoothing import smooth


class Shift:
    """Knows that everything moves to the right by so many pixels for each frame."""

    name = "shift"

    def __init__(self, pixels):
        self.pixels = pixels

    def __call__(self, start, end):
        """The first pixel of a frame tells its number, so that the direction is known."""
        forward = 1 if end[0, 0, 0] > start[0, 0, 0] else -1
        flow = np.zeros((*start.shape[:2], 2), np.float32)
        flow[..., 0] = forward * self.pixels
        return flow


def moving(count, pixels, noise=0, height=6, width=10):
    """A texture that moves to the right; the first pixel is the number of the frame."""
    rng = np.random.default_rng(count)
    wide = rng.integers(60, 200, (height, width + count * pixels, 3))
    frames = [wide[:, (count - t) * pixels : (count - t) * pixels + width] for t in range(count)]
    clip = np.clip(np.stack(frames) + rng.normal(0, noise, (count, height, width, 3)), 0, 255).astype(np.uint8)
    clip[:, 0, 0, 0] = range(count)
    return clip


def slowly(frames, guide, radius, sigma, pixels):
    """The equation, pixel by pixel, for flow in whole pixels."""
    out = np.empty_like(frames)
    total, height, width, _ = frames.shape
    for t, y, x in np.ndindex(total, height, width):
        values, weights = [], []
        for k in range(-radius, radius + 1):
            s, u = t + k, x + k * pixels
            if 0 <= s < total and 0 <= u < width:
                apart = np.mean((guide[s, y, u].astype(float) - guide[t, y, x]) ** 2)
                time = k**2 / (2 * (radius / 2) ** 2) if radius else 0
                weights.append(np.exp(-apart / (2 * sigma**2) - time))
                values.append(frames[s, y, u].astype(float))
        out[t, y, x] = np.round(np.average(values, axis=0, weights=weights))
    return out


@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 2), st.sampled_from([4.0, 16.0, 60.0]))
@settings(max_examples=20, deadline=None)
def test_equal_to_the_equation_pixel_by_pixel(count, radius, pixels, sigma):
    guide, frames = moving(count, pixels, noise=5), moving(count, pixels, noise=20)
    smoothed = np.stack(list(smooth(frames, guide, radius, sigma, Shift(pixels))))
    expected = slowly(frames, guide, radius, sigma, pixels)
    assert np.abs(smoothed.astype(int) - expected).max() <= 1  # where a half is rounded the other way
    assert (smoothed == expected).mean() > 0.99


def test_noise_of_a_still_clip_is_averaged_away():
    noisy = np.clip(128 + np.random.default_rng(0).normal(0, 6, (15, 32, 48, 3)), 0, 255).astype(np.uint8)
    smoothed = np.stack(list(smooth(noisy)))
    assert smoothed.shape == noisy.shape
    assert smoothed.std(axis=0).mean() < 0.5 * noisy.std(axis=0).mean()


def test_what_a_cut_parts_is_not_mixed():
    clip = np.concatenate([np.full((4, 24, 32, 3), 40, np.uint8), np.full((4, 24, 32, 3), 220, np.uint8)])
    assert np.array_equal(np.stack(list(smooth(clip))), clip)


def test_a_clip_is_handed_on_before_it_has_ended():
    taken = []

    def frames():
        for number, frame in enumerate(moving(30, 0)):
            taken.append(number)
            yield frame

    next(smooth(frames(), radius=2, estimator=Shift(0)))
    assert len(taken) <= 4
    assert list(smooth([], radius=2)) == []


def test_frames_and_guide_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        list(smooth(moving(3, 0), moving(2, 0), estimator=Shift(0)))


@pytest.mark.parametrize("wrong", [{"radius": -1}, {"sigma": 0}])
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(UserError, match="Smoothing requires"):
        smooth([], **wrong)
