"""Rules that all sources share: which clips are too short, the size of images, the class of a video by its folder."""

import numpy as np
import pytest

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.media.reading import reduced, sampled
from static_dynamic.sources.base import folder_label


def test_a_reduced_square_keeps_its_side():
    for side in range(142, 220):  # int(112 / side * side) is 111 for some of them
        assert reduced(np.zeros((side, side, 3), np.uint8), 112).shape == (112, 112, 3)


@pytest.mark.parametrize("size", [(8, 12), (12, 8)])
def test_reduced_frames_hold_the_means_of_areas_wide_or_tall(size):
    image = 4 * np.random.default_rng(0).integers(0, 64, (*size, 3), dtype=np.uint8)
    blocks = image.reshape(size[0] // 2, 2, size[1] // 2, 2, 3)
    np.testing.assert_array_equal(reduced(image, 4), blocks.mean((1, 3)))


def test_the_class_is_the_folder_in_which_a_video_lies():
    assert folder_label("walk/a.mp4", None, "here") is None
    assert folder_label("train/walk/a.mp4", "folders", "here") == "walk"
    for path in ("a.mp4", "../a.mp4"):
        with pytest.raises(UserError, match=f"here: .* but {path} is not in one"):
            folder_label(path, "folders", "here")
    with pytest.raises(UserError, match=r"Unknown labels 'names'.*Allowed: folders"):
        folder_label("walk/a.mp4", "names", "here")


def test_a_pathway_of_several_frames_must_not_meet_one_alone():
    with pytest.raises(BadClip, match=r"here: too short: all frames sampled from its 9 are frame 0\."):
        sampled(Recipe(frames=(8, 1), rate=8), 9, "here")  # the steps of the first pathway are 9 frames wide
    assert sampled(Recipe(frames=1, rate=8), 9, "here").numbers == (0,)
