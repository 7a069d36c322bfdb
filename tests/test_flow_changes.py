"""Changes of flow: the published jitter to the level, and changes of the motion itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from golden import filler
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from static_dynamic.common.errors import UserError
from static_dynamic.flow import paint, read
from static_dynamic.interventions.flow_changes import (
    change_flow,
    check_flow_change,
    list_flow_changes,
    needs_other,
    recolour,
)
from static_dynamic.media.clip import FlowRecipe, resize_images

COPIED = Path(__file__).parent / "golden"  # every third row and column
SHARED = Path(__file__).resolve().parents[2] / "shared" / "golden" / "vos"  # only where the goldens were made


def discs(seed, length=3, height=24, width=36):
    """Flow images of a disc that moves one way over a background that moves another way."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    images = []
    for t in range(length):
        inside = np.hypot(rows - height / 2, columns - width / 3 - 2 * t) < height / 4
        back, front = rng.uniform(-0.7, 0.7, (2, 2))
        images.append(paint(np.where(inside[..., None], front, back).astype(np.float32)))
    return np.stack(images)


FLOWS = {"forward": discs(0), "backward": discs(1)}
OTHER = {"forward": discs(2), "backward": discs(3)}

kinds = pytest.mark.parametrize("kind", list_flow_changes())


def vectors(frames):
    return np.stack([read(image) for image in frames])


def polar(frames):
    """Lengths, and angles in degrees, of the vectors that are long enough to have one."""
    found = vectors(frames)
    length = np.linalg.norm(found, axis=-1)
    return length, np.degrees(np.arctan2(found[..., 1], found[..., 0]))


# ---------------------------------------------------------------- golden numbers


def golden(folder):
    if not (folder / "vos_transforms.json").exists():
        pytest.skip("no golden numbers here")
    with np.load(folder / "vos_transforms.npz") as arrays:
        return json.loads((COPIED / "vos_transforms.json").read_text()), dict(arrays)


def published_input(name, seed):
    noise = filler.clip(name, (1, 3, 1, 60, 84), seed)[0, :, 0]
    return np.clip(127.5 + 60 * noise, 0, 255).astype(np.uint8).transpose(1, 2, 0)


@pytest.mark.parametrize(("folder", "step"), [(COPIED, 3), (SHARED, 1)], ids=["copied", "shared"])
def test_jitter_and_transform_give_the_published_numbers(folder, step):
    facts, expected = golden(folder)
    recipe = FlowRecipe(size=tuple(facts["crop_size"]))
    inputs = {name: published_input(name, facts["seed"])[None] for name in ("img", "fw", "bw")}
    resized = {name: recipe.resized(frames) for name, frames in inputs.items()}
    given = {"image": resized["img"], "flow_fw": resized["fw"], "flow_bw": resized["bw"]}
    calls = {"noisy_fw": "fw", "noisy_bw": "bw", "noisy_single": "fw"}
    for (output, name), values in zip(calls.items(), facts["jitter_color_values"], strict=True):
        numbers, _, _, saturation, hue = values
        order = [{2: "saturation", 3: "hue"}[number] for number in numbers if number > 1]
        given[output] = recolour(resized[name][0], saturation, hue, order)[None]
    for output, frames in given.items():
        values = recipe.normalised(frames)[0].numpy()[:, ::step, ::step]
        np.testing.assert_allclose(values, expected[output], atol=1e-5, err_msg=output)
    bicubic = resize_images(inputs["fw"], recipe.size, Image.Resampling.BICUBIC)[0]
    np.testing.assert_array_equal(bicubic[::step, ::step], expected["flow_resized_bicubic"])


# ---------------------------------------------------------------- what a change does


@kinds
def test_a_change_repeats_and_leaves_what_it_is_given_alone(kind):
    kept = {name: frames.copy() for name, frames in FLOWS.items()}
    first, again = (change_flow(FLOWS, kind, 3, OTHER) for _ in range(2))
    assert first.keys() == FLOWS.keys()
    for name, frames in first.items():
        assert np.array_equal(frames, again[name])
        assert np.array_equal(FLOWS[name], kept[name])
        assert frames.shape == FLOWS[name].shape
        assert frames.dtype == np.uint8
        assert not np.array_equal(frames, FLOWS[name])
    if kind not in ("swap", "freeze"):
        assert not np.array_equal(change_flow(FLOWS, kind, 4)["forward"], first["forward"])


@kinds
def test_what_a_direction_becomes_depends_neither_on_the_other_nor_on_later_frames(kind):
    whole = change_flow(FLOWS, kind, 5, OTHER)
    for name in FLOWS:
        alone = change_flow({name: FLOWS[name]}, kind, 5, OTHER)
        assert np.array_equal(alone[name], whole[name])
    short = change_flow({name: x[:2] for name, x in FLOWS.items()}, kind, 5, {name: x[:2] for name, x in OTHER.items()})
    assert np.array_equal(short["backward"], whole["backward"][:2])


def test_jitter_draws_within_the_published_bounds_and_in_both_orders(monkeypatch):
    drawn = []

    def note(image, saturation, hue, order):
        drawn.append((saturation, hue, tuple(order)))
        return image

    monkeypatch.setattr("static_dynamic.interventions.flow_changes.recolour", note)
    still = {name: np.full((500, 1, 1, 3), 255, np.uint8) for name in FLOWS}
    change_flow(still, "jitter", 0)
    saturation, hue = np.array([draw[:2] for draw in drawn]).T
    # s ~ U(.1, 1), factor ~ U(1 - s, 1 + s): variance E[s²] / 3; h ~ U(.1, .5), shift ~ U(-h, h): likewise
    for values, mean, low, high in ((saturation, 1, 0.1, 1.0), (hue, 0, 0.1, 0.5)):
        spread = np.sqrt((low**2 + low * high + high**2) / 9)
        assert values.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(1000))
        assert values.std() == pytest.approx(spread, rel=0.1)
        assert high * 0.8 < abs(values - mean).max() <= high
    hue_first = np.mean([draw[2] == ("hue", "saturation") for draw in drawn])
    assert hue_first == pytest.approx(0.5, abs=0.07)
    assert {draw[2] for draw in drawn} == {("hue", "saturation"), ("saturation", "hue")}
    # of one frame both directions share the bounds and nothing else: sizes of their shifts go together
    sizes = abs(hue.reshape(-1, 2).T)
    assert np.corrcoef(sizes)[0, 1] > 0.1
    assert not np.isclose(*sizes).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rotate_turns_every_vector_by_one_angle(seed):
    (length, angle), (turned_length, turned) = (
        polar(np.concatenate(list(x.values()))) for x in (FLOWS, change_flow(FLOWS, "rotate", seed))
    )
    np.testing.assert_allclose(turned_length, length, atol=0.01)
    turn = (turned - angle)[length > 0.1] % 360
    assert np.ptp(turn) < 8
    assert 58 < turn.mean() < 302


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scale_shortens_every_vector_by_one_factor(seed):
    (length, angle), (short, scaled) = (
        polar(np.concatenate(list(x.values()))) for x in (FLOWS, change_flow(FLOWS, "scale", seed))
    )
    moving = length > 0.3
    factor = short[moving] / length[moving]
    assert np.ptp(factor) < 0.02
    assert 0.19 < factor.mean() < 0.51
    assert (abs((scaled - angle)[moving & (short > 0.1)] + 180) % 360 - 180 < 6).all()


@pytest.mark.parametrize("kind", ["rotate", "scale"])
def test_where_nothing_moves_a_change_of_motion_changes_nothing(kind):
    still = {"forward": np.full((2, 8, 8, 3), 255, np.uint8)}
    assert (change_flow(still, kind)["forward"] == 255).all()


def test_swap_takes_the_flow_of_the_other_clip_in_the_size_of_this_one():
    assert np.array_equal(change_flow(FLOWS, "swap", other=OTHER)["backward"], OTHER["backward"])
    larger = {name: frames.repeat(2, axis=1).repeat(2, axis=2) for name, frames in OTHER.items()}
    swapped = change_flow(FLOWS, "swap", other=larger)
    assert swapped["forward"].shape == FLOWS["forward"].shape
    assert np.abs(vectors(swapped["forward"]) - vectors(OTHER["forward"])).mean() < 0.05


# ---------------------------------------------------------------- names and slips


def test_frozen_flow_has_no_motion():
    frozen = change_flow(FLOWS, "freeze")
    for frames in frozen.values():
        assert (frames == 255).all()


def test_names():
    assert list_flow_changes() == ["jitter", "rotate", "scale", "freeze", "swap"]
    assert list_flow_changes("s*") == ["scale", "swap"]
    assert [kind for kind in list_flow_changes() if needs_other(kind)] == ["swap"]


SLIPS = {
    "kind": (FLOWS, "jiter", {}, r"Unknown flow change 'jiter'\. Did you mean 'jitter'"),
    "seed": (FLOWS, "rotate", {"seed": -1}, r"'seed' must be .*Got -1"),
    "no other": (FLOWS, "swap", {}, r"'swap' requires the flow of another clip"),
    "frames of the other": (
        FLOWS,
        "swap",
        {"other": {name: x[:2] for name, x in OTHER.items()}},
        r"must have forward, backward flow of 3 frames\. Got forward, backward flow of 2",
    ),
    "directions of the other": (FLOWS, "swap", {"other": {"forward": OTHER["forward"]}}, r"Got forward flow of 3"),
    "no flow": ({}, "scale", {}, r"'flows' must be uint8 .*Got none"),
    "sizes": (
        {"forward": FLOWS["forward"], "backward": FLOWS["backward"][:, :5]},
        "scale",
        {},
        r"Got uint8 \(3, 24, 36, 3\), uint8 \(3, 5, 36, 3\)",
    ),
    "type": ({"forward": FLOWS["forward"] / 255}, "scale", {}, r"Got float64"),
    "direction": (
        {"foward": FLOWS["forward"]},
        "scale",
        {},
        r"Unknown direction of flow 'foward'.*Did you mean 'forward'",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line(slip):
    flows, kind, options, message = SLIPS[slip]
    with pytest.raises(UserError, match=message) as error:
        change_flow(flows, kind, **options)
    assert "\n" not in str(error.value)


def test_an_unknown_name_is_found_before_there_is_any_flow():
    check_flow_change("swap")
    with pytest.raises(UserError, match="Unknown flow change"):
        check_flow_change("swop")
