"""The nuisance of a replicate: a shift by one pixel and mild sensor noise, drawn by key."""

import numpy as np
import pytest
import torch
from planted import RECIPE, PlantedVideos

from static_dynamic.interventions import STRONG
from static_dynamic.variants import Cell, Conditions, prepare_video
from static_dynamic.variants.nuisance import NOISE, SHIFTS, disturbed


def clip(frames=5, channels=3, height=24, width=32, seed=0):
    return torch.from_numpy(
        np.random.default_rng(seed).uniform(30, 220, (frames, channels, height, width)).round()
    ).byte()


def moved(frames, down, right):
    """Pixel by pixel, with the border repeated."""
    height, width = frames.shape[-2:]
    rows = [min(max(y - down, 0), height - 1) for y in range(height)]
    columns = [min(max(x - right, 0), width - 1) for x in range(width)]
    return frames[..., rows, :][..., columns]


def shift_of(before, after):
    """The shift that fits best, and what is left."""
    left = {shift: (after.float() - moved(before, *shift).float()) for shift in SHIFTS}
    best = min(left, key=lambda shift: left[shift].abs().mean())
    return best, left[best]


def test_pictures_move_alike_by_one_pixel_under_noise_of_their_own():
    frames = clip()
    found = set()
    for seed in range(40):
        out = disturbed(frames, np.random.default_rng(seed))
        assert out.dtype == torch.uint8
        assert out.shape == frames.shape
        shift, noise = shift_of(frames, out)
        assert {shift_of(frames[[t]], out[[t]])[0] for t in range(5)} == {shift}
        assert noise.std() == pytest.approx(np.sqrt(2**2 + 1 / 12), rel=0.03)  # rounding adds its own
        assert abs(noise.mean()) < 0.1
        assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
        found.add(shift)
    assert found == {(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)} - {(0, 0)}


def test_the_border_repeats():
    frames = clip(height=3, width=4)
    for seed in range(10):
        shift, noise = shift_of(frames, disturbed(frames, np.random.default_rng(seed)))
        assert shift in SHIFTS
        assert noise.abs().max() < 6 * NOISE


def test_normalised_clips_get_the_same_noise_in_their_own_scale():
    frames, std = clip().float(), (0.2, 0.25, 0.5)
    normalised = frames / 255 / torch.tensor(std).view(-1, 1, 1)
    for seed in range(5):
        out = disturbed(normalised, np.random.default_rng(seed), std)
        assert out.dtype == torch.float32
        pixels = disturbed(frames.byte(), np.random.default_rng(seed))
        back = out * 255 * torch.tensor(std).view(-1, 1, 1)
        assert (back - pixels).abs().max() < 0.51  # but for the rounding of pixels


def test_one_deviation_for_three_channels_repeats():
    frames = clip(channels=6).float()
    alike = disturbed(frames, np.random.default_rng(3), (0.2, 0.3, 0.5, 0.2, 0.3, 0.5))
    assert torch.equal(disturbed(frames, np.random.default_rng(3), (0.2, 0.3, 0.5)), alike)


def test_pixels_stay_in_their_range():
    for value in (0, 255):
        out = disturbed(torch.full((2, 3, 8, 8), value, dtype=torch.uint8), np.random.default_rng(0))
        assert (out.float() - value).abs().max() < 6 * NOISE


def shown(conditions, cell, video=0):
    source = PlantedVideos(3)
    return prepare_video(source, source.videos[video], RECIPE, conditions).show(Cell(*cell))


def test_a_replicate_follows_from_its_key_and_the_seed():
    conditions = Conditions(("1", "2"), original=False)
    first = shown(conditions, ("1", "intact", 1))
    assert torch.equal(first, shown(conditions, ("1", "intact", 1)))
    assert not torch.equal(first, shown(conditions, ("1", "intact", 0)))
    others = [shown(conditions, cell) for cell in (("1", "intact", 2), ("1", "freeze", 1), ("2", "intact", 1))]
    others += [shown(conditions, ("1", "intact", 1), 1), shown(Conditions(("1", "2"), seed=1), ("1", "intact", 1))]
    plain = [shown(conditions, (*cell, 0)) for cell in (("1", "intact"), ("1", "freeze"), ("2", "intact"))]
    plain = [plain[0], *plain, shown(conditions, ("1", "intact", 0), 1), plain[0]]
    noise = [a - b for a, b in zip([first, *others], plain, strict=True)]
    for i, one in enumerate(noise):
        assert not any(torch.equal(one, other) for other in noise[:i])


def test_every_condition_has_a_nuisance_of_its_own_and_of_a_file_the_name_counts():
    source = PlantedVideos(1)
    video = prepare_video(source, source.videos[0], RECIPE, Conditions(("1",)))
    styles = ("here/my.jpg", "there/my.jpg", "there/other.jpg")
    here, there, other = (video.nuisance(Cell(style, "intact", 1)).integers(2**60) for style in styles)
    assert here == there != other
    assert here != video.nuisance(Cell("here/my.jpg", "shuffle", 1)).integers(2**60)


def test_a_frozen_clip_stays_frozen():
    conditions = Conditions(("1",), original=False)
    frozen = shown(conditions, ("1", "freeze", 1))
    assert (frozen == frozen[:, :1]).all()
    assert not torch.equal(frozen, shown(conditions, ("1", "freeze", 0)))


def test_the_styles_are_disturbed_after_they_are_drawn():
    """The nuisance is that of a camera on the clip that is shown, not of the video before it is restyled."""
    conditions = Conditions(STRONG[:1])
    style = STRONG[0]
    plain, again = (shown(conditions, (style, "intact", replicate)) for replicate in (0, 1))
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    distance = {shift: (again - moved(plain, *shift))[inner].abs().mean() for shift in SHIFTS}
    assert min(distance.values()) < 2.5 / 255
