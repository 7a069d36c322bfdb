"""Synthetic videos: a function of seed and index, with factors that are known and independent."""

import numpy as np
import pytest

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import SyntheticVideos
from static_dynamic.sources.synthetic import LEVELS, Appearance, Motion, factors, render


def test_synthetic_videos_are_a_function_of_seed_and_index():
    few, many = SyntheticVideos(3, seed=5, size=24), SyntheticVideos(6, seed=5, size=24)
    assert few.videos == many.videos[:3]
    assert few.videos != SyntheticVideos(3, seed=6).videos
    short = many.read(many.videos[2], Recipe(frames=4, rate=2, crop=16))
    dense = many.read(many.videos[2], Recipe(frames=64, rate=1, crop=16))
    assert np.array_equal(short.frames, dense.frames[list(short.sample.numbers)])
    assert dense.frames.shape == (64, 24, 24, 3)


def test_synthetic_factors_are_told_and_independent():
    source = SyntheticVideos(600)
    levels = np.array([[video.details[factor] for factor in LEVELS] for video in source.videos])
    assert [len(set(column)) for column in levels.T] == [len(values) for values in LEVELS.values()]
    correlation = np.corrcoef(levels.T) - np.eye(len(LEVELS))
    assert np.abs(correlation).max() < 0.15
    video = source.videos[0]
    appearance, motion = factors(video.details)
    assert video.label == motion.pattern
    clip = source.read(video, Recipe(frames=2, rate=1, crop=16))
    assert np.array_equal(clip.frames, render(appearance, motion, clip.sample.numbers, 128))


@pytest.mark.parametrize("pattern", LEVELS["pattern"])
def test_every_pattern_moves_and_only_drift_moves_the_background(pattern):
    moved = [
        np.ptp(render(Appearance(), Motion(pattern, 0, drift=drift), range(0, 60, 6), 48).astype(int), axis=0)
        for drift in (False, True)
    ]
    shares = [(change.max(axis=-1) > 0).mean() for change in moved]
    assert 0.05 < shares[0] < 0.75
    assert shares[1] > 0.95


def test_one_motion_goes_with_any_appearance():
    for palette in LEVELS["palette"]:
        still = render(Appearance("disc", "dots", palette), Motion("translate", 0, 0.01), [0, 20], 50)
        assert np.array_equal(still[0, :, 15:35][20:30, 5:15], still[1, :, 25:45][20:30, 5:15])


def test_synthetic_slips_are_named():
    for options in ({"count": 0}, {"seed": -1}, {"size": 0}, {"frames": 1}):
        with pytest.raises(UserError):
            SyntheticVideos(**options)
    for factor in ("shape", "texture", "palette"):
        with pytest.raises(UserError, match=f"Unknown {factor}"):
            Appearance(**{factor: "nothing"})
    with pytest.raises(UserError, match="Unknown pattern"):
        Motion("still")
