"""Scrambles that change pixels: blur and phase against slow loops, and in the variants of a clip."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.interventions import (
    apply_scramble,
    changes_pixels,
    check_scramble,
    contact_sheet,
    list_scrambles,
    restyle,
    scramble,
)
from static_dynamic.interventions.scrambles import scrambling
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.store import Store
from static_dynamic.variants import Cell, Conditions, Variant, derive_seed, prepare_video, style_seed
from static_dynamic.variants.nuisance import disturbed

LENGTHS = st.integers(3, 12)
RECIPE = Recipe(frames=6, rate=2, crop=16, short_side=18)
TWO = Recipe(frames=(4, 8), rate=4, crop=16, short_side=18)


def noise(length, seed=0, low=0, high=256, size=(20, 24)):
    return np.random.default_rng(seed).integers(low, high, (length, *size, 3)).astype(np.uint8)


# --- blur --------------------------------------------------------------------------------------------------------


@given(length=st.integers(2, 12), window=st.sampled_from([3, 5, 9]))
def test_blur_is_the_mean_over_a_window_that_ends_with_the_clip(length, window):
    frames = noise(length, size=(3, 4))
    blurred = apply_scramble(frames, f"blur:{window}")
    for t in range(length):
        around = [frames[s].astype(int) for s in range(t - window // 2, t + window // 2 + 1) if 0 <= s < length]
        np.testing.assert_array_equal(blurred[t], np.floor(sum(around) / len(around) + 0.5))


def test_blur_takes_five_frames_keeps_a_still_clip_and_leaves_what_it_is_given():
    frames = noise(8)
    before = frames.copy()
    frames.setflags(write=False)
    np.testing.assert_array_equal(apply_scramble(frames, "blur"), apply_scramble(frames, "blur:5", seed=7))
    np.testing.assert_array_equal(frames, before)
    still = np.repeat(noise(1), 7, axis=0)
    np.testing.assert_array_equal(apply_scramble(still, "blur"), still)
    everything = apply_scramble(frames, "blur:99")
    assert (everything == everything[0]).all()


# --- phase -------------------------------------------------------------------------------------------------------


def slow_phase(frames, angles):
    """Every pixel by itself, by the sums that define the transform."""
    count, out = len(frames), np.zeros(frames.shape)
    time = np.arange(count)
    for place in np.ndindex(frames.shape[1:]):
        x = frames[(slice(None), *place)].astype(float)
        out[(slice(None), *place)] = x.mean()
        for k in range(1, count // 2 + 1):
            coefficient = (x * np.exp(-2j * np.pi * k * time / count)).sum() / count
            turned = coefficient * np.exp(1j * angles[k])
            both = 1 if 2 * k == count else 2  # the negative frequency is the conjugate, but Nyquist has none
            out[(slice(None), *place)] += both * (turned * np.exp(2j * np.pi * k * time / count)).real
    return out


@given(length=LENGTHS, seed=st.integers(0, 2**32))
def test_phase_equals_the_slow_sums(length, seed):
    from static_dynamic.common.registry import generator

    frames = noise(length, size=(2, 3))
    angles = generator(seed, "phase").uniform(0, 2 * np.pi, length // 2 + 1)
    if length % 2 == 0:
        angles[-1] = 0
    expected = slow_phase(frames, angles).clip(0, 255)
    assert np.abs(apply_scramble(frames, "phase", seed).astype(float) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("length", [5, 8, 16])
def test_phase_keeps_mean_and_power_of_every_pixel_and_the_structure_in_space(length):
    """Levels near the middle are never clipped, so that rounding alone is left."""
    frames = noise(length, low=118, high=139, size=(40, 24))  # more rows than are transformed at a time
    changed = apply_scramble(frames, "phase", 3)
    assert not np.array_equal(changed, frames)
    np.testing.assert_allclose(changed.mean(0), frames.mean(0), atol=0.5)
    power, kept = (np.abs(np.fft.rfft(part.astype(float), axis=0)) for part in (frames, changed))
    assert np.abs(power - kept).max() <= 0.5 * length
    both = np.fft.rfft(changed, axis=0)[1:-1] * np.fft.rfft(frames, axis=0)[1:-1].conj()
    for frequency in both:  # one angle for all pixels and channels
        turn = frequency.sum() / np.abs(frequency.sum())
        assert np.abs((frequency * turn.conj()).imag).sum() < 0.1 * np.abs(frequency).sum()


def test_phase_repeats_by_its_seed_keeps_a_still_clip_and_clips_to_the_range():
    frames = noise(9)
    before = frames.copy()
    frames.setflags(write=False)
    np.testing.assert_array_equal(apply_scramble(frames, "phase", 4), apply_scramble(frames, "phase", 4))
    assert not np.array_equal(apply_scramble(frames, "phase", 4), apply_scramble(frames, "phase", 5))
    np.testing.assert_array_equal(frames, before)
    still = np.repeat(noise(1), 6, axis=0)
    np.testing.assert_array_equal(apply_scramble(still, "phase", 1), still)
    flash = np.zeros((9, 16, 16, 3), np.uint8)
    flash[4] = 255
    assert set(apply_scramble(flash, "phase", 2)[:, 0, 0, 0].tolist()) > {0}  # below 0 is 0, and not 255


@pytest.mark.parametrize(
    ("change", "given"),
    [(lambda frames: frames[1:], "uint8 (3, 20, 24, 3)"), (lambda frames: frames / 2, "float64 (4, 20, 24, 3)")],
)
def test_frames_of_another_form_are_refused(monkeypatch, change, given):
    monkeypatch.setattr(scrambling, "_entries", dict(scrambling.entries))
    scrambling("changed", "One line.", pixels=True)(lambda frames, rng: change(frames))
    with pytest.raises(UserError) as error:
        apply_scramble(noise(4), "changed")
    assert str(error.value) == f"Scramble 'changed' must return frames as uint8 (4, 20, 24, 3). Got {given}."


# --- names -------------------------------------------------------------------------------------------------------


def test_scrambles_that_change_pixels_are_told_from_orders():
    assert list_scrambles(pixels=True) == ["blur", "phase"]
    assert changes_pixels("blur:7")
    assert not changes_pixels("block_shuffle:8")
    with pytest.raises(UserError, match="'blur:7' changes pixels, so it does not have an order of frames"):
        scramble("blur:7", 8)
    for kind in ("blur", "blur:3", "phase"):
        check_scramble(kind)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("blur:4", "odd number of frames, 3 or more. Got 4"),
        ("blur:1", "odd number of frames, 3 or more. Got 1"),
        ("blur:x", "Unknown scramble 'blur:x'"),
        ("phase:3", "Unknown scramble 'phase:3'"),
        ("blurr", "Did you mean 'blur'"),
    ],
)
def test_bad_kinds_are_told_before_the_run(kind, says):
    with pytest.raises(UserError, match=says):
        check_scramble(kind)


def test_clips_that_are_too_short_are_told():
    with pytest.raises(UserError, match=r"'phase' requires a clip of 3 or more frames. Got 2"):
        apply_scramble(noise(2), "phase")
    with pytest.raises(UserError, match=r"'blur' requires a clip of 2 or more frames. Got 1"):
        apply_scramble(noise(1), "blur")


def test_the_sheet_has_a_row_for_each():
    rows = contact_sheet(noise(4), styles=[], scrambles=[]).shape[0]
    assert contact_sheet(noise(4), styles=[], scrambles=["blur", "phase"]).shape[0] == 3 * rows
    assert contact_sheet(noise(2), styles=[]).shape[0] == len(list_scrambles()) * rows  # as filmed, and no phase


# --- variants ----------------------------------------------------------------------------------------------------


class Moving:
    """Noise that a video of few frames has to loop."""

    name, styles, videos = "Moving", (), (Video("v"),)

    def __init__(self, total=9):
        self.frames = noise(total, size=(20, 24))

    def read(self, video, recipe, style=None):
        sample = recipe.sample(len(self.frames))
        return Clip(self.frames[list(sample.numbers)], sample, "memory", len(self.frames), 25.0)

    def describe(self):
        return {}


def prepared(recipe, conditions):
    source = Moving()
    return source, prepare_video(source, source.videos[0], recipe, conditions)


@pytest.mark.parametrize("recipe", [RECIPE, TWO])
@pytest.mark.parametrize("kind", ["blur:3", "phase"])
@pytest.mark.parametrize("style", ["original", "ink"])
def test_restyled_frames_are_changed_as_a_pathway_plays_them_and_then_prepared(recipe, kind, style):
    source, ready = prepared(recipe, Conditions((style,), (kind,), seed=5))
    cell = Cell(style, kind)
    clip = source.read(source.videos[0], recipe)
    shown = restyle(clip.frames, style, style_seed(5, style))
    pathways = ready.show(cell) if recipe is TWO else [ready.show(cell)]
    assert len(pathways) == len(clip.sample.pathways)
    for number, (played, path) in enumerate(zip(pathways, clip.sample.pathways, strict=True)):
        changed = apply_scramble(shown[path], kind, derive_seed(5, "order", "v", kind, number))
        torch.testing.assert_close(played, recipe.arranged(recipe.prepare(changed)), rtol=0, atol=0)


def test_orders_of_frames_are_as_before_beside_those_that_change_pixels():
    _, alone = prepared(RECIPE, Conditions(("original", "ink"), ("shuffle",), seed=1))
    _, beside = prepared(RECIPE, Conditions(("original", "ink"), ("shuffle", "phase"), seed=1))
    for cell in alone.conditions.cells:
        torch.testing.assert_close(alone.show(cell), beside.show(cell), rtol=0, atol=0)


def test_only_what_is_shown_is_kept():
    _, orders = prepared(RECIPE, Conditions(("original", "ink"), ("shuffle",)))
    assert list(orders.frames) == ["original", "ink"]
    assert orders.restyled == {}
    wanted = (Cell("original", "blur"), Cell("original", "intact"), Cell("ink", "phase"))
    _, mixed = prepared(RECIPE, Conditions(("original", "ink"), (), wanted=wanted))
    assert list(mixed.frames) == ["original"]
    assert list(mixed.restyled) == ["original", "ink"]


@pytest.mark.parametrize("values", ["normalised", "uint8"])
def test_a_replicate_disturbs_what_the_order_makes(values):
    recipe = Recipe(frames=6, rate=1, crop=16, short_side=18, values=values)
    cell = Cell("original", "phase", 1)
    _, ready = prepared(recipe, Conditions(("original",), (), seed=2, wanted=(cell._replace(replicate=0), cell)))
    first, again = ready.show(cell._replace(replicate=0)), ready.show(cell)
    std = recipe.std if values == "normalised" else None
    expected = disturbed(recipe.frames_of(first), ready.nuisance(cell), std)
    torch.testing.assert_close(recipe.frames_of(again), expected, rtol=0, atol=0)
    assert not torch.equal(first, again)
    torch.testing.assert_close(again, ready.show(cell), rtol=0, atol=0)


def test_a_model_is_measured_under_blur_and_phase(tmp_path):
    """What does not change over time stays; a course over time is another one."""
    from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

    sd.measure(
        PlantedModel(),
        PlantedVideos(12),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2"),
        scrambles=("blur:3", "phase"),
        estimators="released",
        scoring=sd.Scoring(replicates=10),
        twins=0,
        store=tmp_path,
    )
    store = Store.open(tmp_path)
    units = dict(zip(store.variants(), store.stage("planted"), strict=True))
    for (video, style, order, _), (still, course, name, _) in units.items():
        intact = units[Variant(video, style, "intact")]
        np.testing.assert_allclose([still, name], intact[[0, 2]], atol=1e-6)
        assert (order == "intact") == np.isclose(course, intact[1], atol=1e-6)
    assert {order for _, _, order, _ in units} == {"intact", "blur:3", "phase"}
