"""Factorial clips: a function of seed and number; one frame does not tell the motion; masks and flow are true."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import FACTORS, Recipe
from static_dynamic.sources import FactorialVideos, open_source
from static_dynamic.sources.factorial import (
    CONTENTS,
    LEVELS,
    draw_scenes,
    one_scene,
    render,
    render_masks,
    true_flow,
)
from static_dynamic.sources.factorial.dots import draw_dots
from static_dynamic.sources.factorial.motion import LARGEST, SMALLEST, frames_and_moments, path_of

OBJECTS = CONTENTS["objects"]
LEFTWARDS = {"right": "left", "up": "down", "clockwise": "counterclockwise", "expand": "contract"}
DISC = {"colour": "red", "shape": "disc", "texture": "plain", "background": "bars", "kind": "right", "speed": "fast"}


def scene(**changed):
    return one_scene({**DISC, **{name: value for name, value in changed.items() if isinstance(value, str)}},
                     **{name: value for name, value in changed.items() if not isinstance(value, str)})  # fmt: skip


def read_out(features, labels, classes, train):
    """Share of held-out clips that a ridge read-out of the squares and products of features puts in the right class."""
    features = (features - features[:train].mean(0)) / (features[:train].std(0) + 1e-6)
    features = np.concatenate([features, features**2, np.ones((len(features), 1))], 1)
    targets = np.eye(classes)[labels]
    gram = features[:train].T @ features[:train] + 10 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[:train].T @ targets[:train])
    return (np.argmax(features[train:] @ weights, 1) == labels[train:]).mean()


def looks(frames):
    """What a still classifier may see of frames ``(N, …, H, W, 3)``: a coarse picture, its power, and its edges."""
    grey = frames.float().mean(-1)
    spectrum = torch.fft.rfft2(grey).abs()[..., :8, :8].flatten(-2)
    coarse = torch.nn.functional.avg_pool2d(frames.float().movedim(-1, -3).flatten(0, -4), 8)
    edges = torch.stack([grey.diff(dim=axis).abs().mean((-1, -2)) for axis in (-1, -2)], -1)
    return torch.cat([spectrum, coarse.flatten(1).view(*spectrum.shape[:-1], -1), edges], -1).numpy()


# ---------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("recipe", [Recipe(frames=4, rate=2, crop=32), Recipe(frames=(8, 2), rate=1, crop=40)])
def test_a_frame_depends_on_seed_and_numbers_alone(content, recipe):
    few, many = (FactorialVideos(count, seed=5, frames=8, content=content) for count in (3, 6))
    assert few.videos == many.videos[:3]
    assert few.videos != FactorialVideos(3, seed=6, content=content).videos
    clip = many.read(many.videos[2], recipe)
    every = render(many.scenes(), 8, recipe.side)
    assert np.array_equal(clip.frames, every[2, list(clip.sample.numbers)].numpy())
    assert (clip.total, clip.frames.shape[1:]) == (8, (recipe.side, recipe.side, 3))
    other = FactorialVideos(3, seed=6, frames=8, content=content)
    assert not np.array_equal(other.read(other.videos[2], recipe).frames, clip.frames)


def test_clips_last_as_long_and_are_as_large_as_the_model_sees():
    source = FactorialVideos(1)
    long = source.read(source.videos[0], Recipe(frames=16, rate=4, crop=48))
    assert (long.total, long.frames.shape) == (64, (16, 48, 48, 3))
    timed = source.read(source.videos[0], Recipe(frames=4, rate=2, crop=32, fps=25))
    assert (timed.total, timed.fps) == (8, 25)
    fixed = FactorialVideos(1, size=24, frames=12)
    assert fixed.read(fixed.videos[0], Recipe(frames=4, rate=1, crop=48)).frames.shape == (4, 24, 24, 3)


@pytest.mark.parametrize("content", CONTENTS)
def test_levels_are_told_and_independent(content):
    parts = CONTENTS[content]
    source = FactorialVideos(1500, content=content)
    levels = np.array([[parts.levels[f].index(video.details[f]) for f in parts.levels] for video in source.videos])
    assert [len(set(column)) for column in levels.T] == [len(names) for names in parts.levels.values()]
    assert np.abs(np.corrcoef(levels.T) - np.eye(len(parts.levels))).max() < 0.1
    assert all(video.label == video.details["kind"] and video.sequence is None for video in source.videos)
    scenes = source.scenes()
    assert all(scenes.levels[f][7] == LEVELS[f].index(source.videos[7].details[f]) for f in parts.levels)


def test_nuisance_is_drawn_anew_for_every_clip_and_is_uniform():
    scenes = draw_scenes(OBJECTS, 0, range(4000))
    drawn = torch.stack(list(scenes.nuisance.values())).numpy()
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 0.06
    for part in drawn:
        assert np.abs(np.sort(part) - np.arange(4000) / 4000).max() < 0.04
    assert len(set(scenes.grain.tolist())) == 4000


def test_sensor_noise_is_as_strong_as_it_is_said_to_be():
    source, quiet, loud = (FactorialVideos(2, sensor=sensor) for sensor in (4, 0, 12))
    clips = [
        one.read(one.videos[0], Recipe(frames=8, rate=1, crop=64)).frames.astype(float) for one in (source, quiet, loud)
    ]
    assert 3.8 < (clips[0] - clips[1]).std() < 4.2
    assert 11 < (clips[2] - clips[1]).std() < 12.5
    noise = (clips[0] - clips[1]).reshape(8, -1)
    assert np.abs(np.corrcoef(noise) - np.eye(8)).max() < 0.03


def test_crossed_clips_come_in_blocks():
    source = FactorialVideos("5x3x2x4", seed=2)
    assert len(source.videos) == 5 * 3 * 2 * 4
    found = {}
    for video in source.videos:
        block, appearance, motion = (video.details[name] for name in FACTORS)
        assert video.sequence == block
        assert appearance == " ".join(video.details[f] for f in OBJECTS.appearance)
        assert motion == " ".join(video.details[f] for f in OBJECTS.motion)
        found.setdefault(block, {}).setdefault((appearance, motion), []).append(video.name)
    assert len(found) == 5
    for cells in found.values():
        appearances, motions = map(set, zip(*cells, strict=True))
        assert (len(appearances), len(motions), {len(videos) for videos in cells.values()}) == (3, 2, {4})
        assert len(cells) == 6
    assert len({appearance for cells in found.values() for appearance, _ in cells}) > 9
    scenes = source.scenes()
    assert len(set(scenes.nuisance["x"].tolist())) == len(source.videos)
    assert open_source("factorial:5x3x2x4,seed=2").videos == source.videos
    assert FactorialVideos((5, 3, 2, 4), seed=2).videos == source.videos


def test_options_stand_behind_the_name():
    source = open_source("factorial:9,content=dots,colour=red+blue,speed=fast,seed=3,size=24,frames=6")
    assert source.describe() == {
        "kind": "FactorialVideos",
        "count": 9,
        "drawn": 3,
        "size": 24,
        "frames": 6,
        "content": "dots",
        "sensor": 4.0,
        "levels": {**{f: list(names) for f, names in CONTENTS["dots"].levels.items()},
                   "colour": ["red", "blue"], "speed": ["fast"]},
    }  # fmt: skip
    assert {video.details["colour"] for video in source.videos} == {"red", "blue"}
    assert len(open_source("factorial").videos) == 16
    assert len(open_source("factorial:content=noise").videos) == 16


SLIPS = {
    "how many": ("factorial:many", "a number, e.g. 24, or blocks x appearances.*Got 'many'"),
    "none": ("factorial:0", "at least 1. Got 0"),
    "negative": ("factorial:-2", "Got '-2'"),
    "one draw": ("factorial:3x2x2x1", "two or more appearances, motions and draws.*Got '3x2x2x1'"),
    "two numbers": ("factorial:3x2", "Got '3x2'"),
    "too many motions": ("factorial:3x2x25x2", "cannot hold 25 different motions: with these levels there are 24"),
    "too many appearances": ("factorial:3x17x2x2,shape=disc,colour=red", "hold 17 different appearances.*there are 16"),
    "a factor": ("factorial:4,color=red", "Unknown option 'color' in factorial clips. Did you mean 'colour'"),
    "a factor of other clips": ("factorial:4,coherence=full", "Unknown factor 'coherence' in factorial clips. Allowed"),
    "a level": ("factorial:4,colour=rod", "Unknown colour 'rod' in factorial clips. Did you mean 'red'"),
    "no level": ("factorial:4,colour=", "Unknown colour ''"),
    "a kind that noise has not": ("factorial:4,content=noise,kind=expand", "Unknown kind 'expand'"),
    "a content": ("factorial:4,content=dot", "Unknown content of factorial clips 'dot'. Did you mean 'dots'"),
    "a size": ("factorial:4,size=8", "'size' of factorial clips must be at least 16. Got 8"),
    "a large size": ("factorial:4,size=2000", "'size' of factorial clips.*at most 1024. Got 2000"),
    "many frames": ("factorial:4,frames=9999999", "'frames' of factorial clips.*at most 1000000. Got 9999999"),
    "many clips": ("factorial:10000000", "At most 100000 factorial clips are allowed. Got '10000000'"),
    "many blocks": ("factorial:20000x2x2x2", "At most 100000 factorial clips are allowed. Got '20000x2x2x2', which is 160000"),
    "the same level twice": ("factorial:3x2x2x2,speed=fast+fast,kind=up", "cannot hold 2 different motions.*there are 1"),
    "a size in words": ("factorial:4,size=big", "'size'.*whole number. Got 'big'"),
    "noise in words": ("factorial:4,sensor=much", "'sensor'.*must be a number. Got 'much'"),
    "negative noise": ("factorial:4,sensor=-1", "'sensor'.*0 or more"),
    "noise that is no number": ("factorial:4,sensor=nan", "'sensor'.*0 or more"),
    "frames": ("factorial:4,frames=1", "'frames' of factorial clips must be at least 2"),
    "the old name": ("synthetic:4", "called 'factorial'"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_are_named(slip):
    where, message = SLIPS[slip]
    with pytest.raises(UserError, match=message) as raised:
        open_source(where)
    assert "\n" not in str(raised.value)


ARGUMENTS = {
    "part of a pixel": ({"size": 20.5}, "'size' of factorial clips must be a whole number. Got 20.5"),
    "a size in words": ({"size": "32"}, "'size' of factorial clips must be a whole number. Got '32'"),
    "part of a frame": ({"frames": 2.5}, "'frames' of factorial clips must be a whole number. Got 2.5"),
    "part of a seed": ({"seed": 1.5}, "'seed' must be a non-negative integer. Got 1.5"),
    "noise in words": ({"sensor": "much"}, r"'sensor'.*Got 'much'"),
    "several contents": ({"content": ["dots"]}, "Unknown content of factorial clips"),
    "levels of no factor": ({"levels": "disc"}, r"Levels must be given by factor.*Got 'disc'"),
    "a level in numbers": ({"levels": {"shape": 3}}, "Unknown shape '3'"),
}


@pytest.mark.parametrize(("options", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_of_a_wrong_type_are_named(options, message):
    with pytest.raises(UserError, match=message) as raised:
        FactorialVideos(2, **options)
    assert "\n" not in str(raised.value)


def test_scenes_of_unknown_names_and_clips_without_frames_are_refused():
    with pytest.raises(UserError, match=r"Unknown shape 'rng' in a factorial clip. Did you mean 'ring'"):
        one_scene({"shape": "rng"})
    with pytest.raises(UserError, match="Unknown factor 'form'"):
        one_scene({"form": "ring"})
    with pytest.raises(UserError, match="Unknown nuisance 'xx'"):
        one_scene({"shape": "ring"}, xx=0.2)
    with pytest.raises(UserError, match="at least one frame"):
        render(scene(), [])
    with pytest.raises(UserError, match="Random dots have no shape"):
        render_masks(draw_scenes(CONTENTS["dots"], 0, [0]))


def test_one_frame_alone_is_the_first_of_a_clip():
    torch.testing.assert_close(render(scene(), 1), render(scene(), 8)[:, :1])


def test_a_model_whose_frames_are_too_small_or_too_large_is_refused():
    source = FactorialVideos(1)
    with pytest.raises(UserError, match=r"at most 1024. Got 1200"):
        source.read(source.videos[0], Recipe(frames=4, rate=1, crop=1200))
    with pytest.raises(UserError, match="below 16 pixels, and this model takes 12"):
        source.read(source.videos[0], Recipe(frames=4, rate=1, crop=12))
    with pytest.raises(UserError, match="colour requires a level"):
        FactorialVideos(1, levels={"colour": ()})
    with pytest.raises(UserError, match="seed"):
        FactorialVideos(1, seed=-1)
    with pytest.raises(UserError, match="Unknown style"):
        source.read(source.videos[0], Recipe(), "ink")


# ---------------------------------------------------------------- what a frame tells


def test_one_frame_does_not_tell_the_motion_nor_do_all_without_their_order():
    """A read-out that finds shape and background in one frame is at chance for the motion."""
    scenes = draw_scenes(OBJECTS, 1, range(3000))
    clips = render(scenes)
    kind, train = scenes.levels["kind"].numpy(), 2000
    for number in (0, 3, 7):  # of all frames, those at the ends are where a clip could betray how it goes on
        features = looks(clips[:, number])
        assert read_out(features, kind, 8, train) < 1 / 8 + 0.04
        assert read_out(features, scenes.levels["speed"].numpy(), 3, train) < 1 / 3 + 0.05
        assert read_out(features, scenes.levels["background"].numpy(), 4, train) > 0.9
    opposite = np.isin(kind, [LEVELS["kind"].index(name) for name in LEFTWARDS.values()]).astype(int)
    bag = looks(clips)
    bag = np.concatenate([bag.mean(1), bag.std(1)], 1)
    assert read_out(bag, opposite, 2, train) < 0.5 + 0.05
    # The same read-out finds it in how the object moves from frame to frame.
    masks, angles = render_masks(scenes).float(), 2 * np.pi * (torch.arange(32) + 0.5) / 32
    along = [masks.sum(axis) for axis in (2, 3)]
    places = [torch.atan2((part * angles.sin()).sum(-1), (part * angles.cos()).sum(-1)) for part in along]
    steps = torch.stack([(place.diff(dim=1) + np.pi) % (2 * np.pi) - np.pi for place in places], -1).mean(1)
    assert read_out(steps.numpy(), kind, 8, train) > 0.4


@pytest.mark.parametrize("kind", LEVELS["kind"])
def test_at_every_moment_the_object_is_anywhere_and_of_any_size(kind):
    scenes = draw_scenes(OBJECTS.only({"kind": kind}), 3, range(3000))
    path = path_of(scenes, frames_and_moments(8, None)[1])
    size = torch.log(path.radius / SMALLEST) / np.log(LARGEST / SMALLEST)
    for part in (path.x % 1, path.y % 1, size):
        for number in (0, 4, 7):
            ranks = np.sort(part[:, number].numpy())
            assert np.abs(ranks - np.linspace(0, 1, len(ranks))).max() < 0.035


@pytest.mark.parametrize(("kind", "opposite"), LEFTWARDS.items())
def test_played_backwards_a_motion_is_its_opposite(kind, opposite):
    forwards, backwards = (render_masks(scene(kind=one, shape="ring", size=0.4, turn=0.3)) for one in (kind, opposite))
    assert torch.equal(forwards.flip(1), backwards)
    assert not torch.equal(forwards, backwards)


def test_of_random_dots_one_frame_does_not_tell_the_motion():
    scenes = draw_scenes(CONTENTS["dots"].only({"coherence": "full", "speed": "fast"}), 1, range(1600))
    clips = render(scenes)
    assert read_out(looks(clips[:, 0]), scenes.levels["kind"].numpy(), 8, 1100) < 1 / 8 + 0.05
    covered = torch.stack([clips[scenes.levels["kind"] == level].float().std((1, 2, 3)).mean() for level in range(8)])
    assert covered.std() / covered.mean() < 0.03


@pytest.mark.parametrize("kind", ["right", "expand", "contract"])
def test_coherent_dots_follow_the_flow(kind):
    """Moved along the true flow, a frame is like the next one; where most dots go their own way, it is not."""
    found = []
    for coherence in ("full", "quarter"):
        content = CONTENTS["dots"].only({"coherence": coherence, "kind": kind, "speed": "medium"})
        scenes = draw_scenes(content, 2, range(40))
        dots, flow = draw_dots(scenes, frames_and_moments(8, None)[1], 48), true_flow(scenes, size=48)
        found.append(warped_error(dots, flow).mean() / (dots[:, 1:] - dots[:, :-1]).abs().mean())
    assert found[0] < 0.6 < 0.85 < found[1]


def warped_error(clips, flow):
    """Mean difference of frames to the next, which is looked up where the flow says."""
    size = clips.shape[-1]
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy"), -1) + 0.5
    where = (place + flow) / size * 2 - 1
    ahead = torch.nn.functional.grid_sample(
        clips[:, 1:].flatten(0, 1)[:, None], where.flatten(0, 1), align_corners=False
    )
    inside = (where.abs() < 0.9).all(-1)
    return (ahead[:, 0].view_as(inside) - clips[:, :-1]).abs()[inside]


def test_in_noise_nothing_but_motion_tells_the_shape():
    scenes = draw_scenes(CONTENTS["noise"].only({"kind": "right", "speed": "fast"}), 0, range(400))
    clips = render(scenes).float().mean(-1)
    masks = render_masks(scenes)
    inside, outside = (torch.stack([clips[i][m[i]].std() for i in range(400)]).mean() for m in (masks, ~masks))
    assert abs(inside / outside - 1) < 0.02
    change = (clips[:, 1:] - clips[:, :-1]).abs()
    core, away = masks[:, 1:] & masks[:, :-1], ~masks[:, 1:] & ~masks[:, :-1]
    assert change[core].mean() > 3 * change[away].mean()


# ---------------------------------------------------------------- what is true


@pytest.mark.parametrize("shape", LEVELS["shape"])
def test_the_mask_is_where_the_object_hides_the_background(shape):
    red, cyan = (
        render(scene(shape=shape, colour=colour, x=0.9, kind="clockwise"), size=64).float()
        for colour in ("red", "cyan")
    )
    hidden = (red - cyan).abs().sum(-1)
    masks = render_masks(scene(shape=shape, x=0.9, kind="clockwise"), size=64)
    assert masks.dtype == torch.bool
    assert hidden[masks].median() > 200
    assert hidden[~masks].median() == 0
    assert ((hidden > 150) == masks).float().mean() > 0.985
    assert 0.02 < masks.float().mean() < 0.3


@pytest.mark.parametrize("size", [24, 32, 64, 96])
def test_of_noise_every_pixel_is_where_flow_and_mask_say(size):
    scenes = draw_scenes(CONTENTS["noise"], 3, range(12))
    clips, masks, flow = render(scenes, 8, size, sensor=0), render_masks(scenes, 8, size), true_flow(scenes, 8, size)
    away = ~masks[:, :-1] & ~masks[:, 1:]
    assert torch.equal(clips[:, 1:][away], clips[:, :-1][away])
    clip, frame, row, column = torch.nonzero(masks[:, :-1], as_tuple=True)
    x, y = (flow[clip, frame, row, column].round().long() + torch.stack([column, row], -1)).remainder(size).unbind(-1)
    stays = masks[clip, frame + 1, y, x]  # the shape may round otherwise at its edge
    assert stays.float().mean() > 0.99
    assert torch.equal(clips[clip, frame + 1, y, x][stays], clips[clip, frame, row, column][stays])


@pytest.mark.parametrize("size", [24, 64])
@pytest.mark.parametrize("kind", LEVELS["kind"])
def test_the_flow_is_where_the_mask_goes(kind, size):
    """Pixels of the object, moved along the flow, land in the object of the next frame; others do not move."""
    one = scene(kind=kind, speed="medium", x=0.8, turn=0.6)
    masks, flow = render_masks(one, size=size)[0], true_flow(one, size=size)[0]
    assert not flow[~masks[:-1]].any()
    moved = 0.0
    for now, after, step in zip(masks[:-1], masks[1:], flow, strict=True):
        row, column = torch.nonzero(now, as_tuple=True)
        place = torch.stack([column, row], -1) + 0.5 + step[row, column]
        x, y = (place.floor().long() % size).unbind(-1)
        assert after[y, x].float().mean() > 0.85
        moved += float(step[row, column].norm(dim=-1).mean())
    assert moved > 0.05 * size


def test_the_flow_of_a_line_is_its_speed_and_a_new_beginning_has_none():
    speeds = [true_flow(scene(speed=speed), size=32, frames=9)[0] for speed in LEVELS["speed"]]
    found = [float(flow[..., 0].max()) for flow in speeds]
    assert np.allclose(found, np.array([0.13, 0.26, 0.44]) * 32 / 8, rtol=1e-3)
    growing = true_flow(scene(kind="expand", size=0.9))[0]
    began = growing.isnan().flatten(1).any(1)
    assert began.sum() == 1
    assert growing.isnan()[began].float().mean() < 0.5


@given(
    content=st.sampled_from(sorted(CONTENTS)),
    seed=st.integers(0, 2**40),
    frames=st.integers(2, 12),
    size=st.integers(16, 50),
    count=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_any_size_and_length_can_be_drawn(content, seed, frames, size, count):
    scenes = draw_scenes(CONTENTS[content], seed, range(count))
    clips = render(scenes, frames, size)
    assert (clips.shape, clips.dtype) == ((count, frames, size, size, 3), torch.uint8)
    assert torch.equal(clips[-1:], render(scenes[-1:], frames, size))
    assert torch.equal(clips[:, 1:2], render(scenes, [1], size, length=frames))
    assert clips.float().std((1, 2, 3)).min() > 2


class Reddish(torch.nn.Module):
    """How much more red than blue a clip is, and nothing."""

    def __init__(self):
        super().__init__()
        self.units = torch.nn.Identity()

    def forward(self, clip):
        red, _, blue = clip.mean((2, 3, 4)).unbind(1)
        return self.units(torch.stack([red - blue, torch.ones(len(clip))], 1))


def test_crossed_clips_are_measured_by_blocks():
    """The whole flow gives the shares of the table that is drawn, and computed, in one piece."""
    recipe = Recipe(frames=4, rate=1, crop=16, mean=(0, 0, 0), std=(1, 1, 1))
    stages, options = {"units": ("units", "N C")}, {"recipe": recipe, "estimators": "factorial_shares", "twins": 0}
    found = sd.measure(Reddish(), "factorial:12x2x2x2", stages, **options).units
    assert found["class"].tolist() == ["appearance", "dead"]
    clips = render(FactorialVideos("12x2x2x2").scenes(), 4, 16).movedim(-1, 1) / 255
    shares = sd.functional.factorial_shares(Reddish()(clips).view(12, 2, 2, 2, 2).numpy())
    assert np.allclose(
        found[["appearance", "motion", "interaction", "nuisance"]].iloc[0], shares.units[:, 0], atol=1e-3
    )
    with pytest.raises(UserError, match=r"factorial_shares needs the factors.*factorial:200x2x2x2"):
        sd.measure(Reddish(), "factorial:8", stages, **options)
