"""Variants: what a model sees under every style and order is read back from the pixels."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.flow import paint
from static_dynamic.interventions import change_flow, restyle, scramble
from static_dynamic.media.clip import Clip, FlowRecipe, Recipe, Video
from static_dynamic.variants import Conditions, Variant, derive_seed, prepare_video, stack, style_seed

PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}
RECIPE = Recipe(frames=8, rate=2, crop=16, **PLAIN)
TWO = Recipe(frames=(8, 8), rate=2, crop=16, **PLAIN)
DISK = ("0", "1")


class Coded:
    """Every frame tells its number (red), the style on disk (green) and its video (blue)."""

    name = "Coded"
    styles = DISK
    flows = ("forward", "backward")

    def __init__(self, total=40, count=3, change=lambda clip, style: clip):
        self.total, self.change = total, change
        self.videos = [Video(f"v{number}", label="x", sequence=f"s{number // 2}") for number in range(count)]
        self.reads = []

    def read(self, video, recipe, style=None):
        self.reads.append((video.name, style))
        number = int(video.name[1:])
        numbers = range(recipe.frames) if isinstance(recipe, FlowRecipe) else None
        sample = recipe.sample(self.total) if numbers is None else None
        frames = np.zeros((len(numbers or sample.numbers), 16, 16, 3), np.uint8)
        frames[..., 0] = np.reshape(numbers or sample.numbers, (-1, 1, 1))
        frames[..., 1] = 250 if style is None else int(style)
        frames[..., 2] = number
        if sample is None:
            flows = {name: discs(2 * number + place, recipe.frames) for place, name in enumerate(self.flows)}
            sample = Recipe(frames=recipe.frames, rate=1, crop=16).sample(recipe.frames)
            return Clip(frames, sample, f"memory/{video.name}", recipe.frames, None, flows)
        return self.change(Clip(frames, sample, f"memory/{video.name}", self.total, 20.0), style)

    def describe(self):
        return {"kind": self.name}


def discs(seed, length):
    """Flow images of a moving disc."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16]
    inside = np.hypot(rows - 8, columns - 8)[None] < 4 + np.arange(length)[:, None, None]
    back, front = rng.uniform(-0.7, 0.7, (2, 2))
    return np.stack([paint(np.where(part[..., None], front, back).astype(np.float32)) for part in inside])


def codes(clip):
    """Frame number, style and video of every frame that a model sees: ``(T, 3)``."""
    levels = (clip * 255).round().long()
    assert (levels == levels[:, :, :1, :1]).all()
    return levels[:, :, 0, 0].T.numpy()


def shown(source, recipe, conditions, video=0):
    """``(video, style, order)`` → what a model sees of it."""
    prepared = prepare_video(source, source.videos[video], recipe, conditions)
    return {key[:3]: inputs for key, inputs in prepared.variants()}


# --- keys and seeds ----------------------------------------------------------------------------------------------


def test_a_seed_is_the_same_on_every_machine_and_in_every_version():
    """From `printf "(1, 'cat.mp4')" | sha256sum | cut -c1-16` and its like."""
    assert derive_seed(0, "order", "a.mp4", "shuffle", 0) == 0x9BA220E3DAD6DC9B
    assert derive_seed(1, "cat.mp4") == 0x8E18664AB3913F3D


def test_every_part_of_a_seed_counts_and_so_does_where_a_part_ends():
    parts = [(0, "a", "b"), (1, "a", "b"), (0, "ab"), (0, "a", "c"), (0, "b", "a"), (0, "a", "b", 0), (0, "a", "b", 1)]
    seeds = [derive_seed(*part) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_the_name_of_a_style_file_draws_its_grain_and_not_its_folder():
    assert style_seed(3, "here/my.jpg") == style_seed(3, "there/deep/my.jpg") == style_seed(3, "my.jpg")
    assert len({style_seed(3, "my.jpg"), style_seed(3, "your.jpg"), style_seed(4, "my.jpg")}) == 3


# --- conditions --------------------------------------------------------------------------------------------------


def test_orders_are_intact_and_every_scramble_as_often_as_it_is_named():
    conditions = Conditions(("ink",), ("shuffle", "reverse", "shuffle", "block_shuffle:8", "shuffle"))
    assert conditions.orders == {
        "intact": None,
        "shuffle": "shuffle",
        "reverse": "reverse",
        "shuffle-2": "shuffle",
        "block_shuffle:8": "block_shuffle:8",
        "shuffle-3": "shuffle",
    }
    assert next(iter(conditions.orders)) == "intact"
    assert Conditions(("ink",)).orders == {"intact": None, "shuffle": "shuffle"}


@pytest.mark.parametrize(
    ("conditions", "recipe", "says"),
    [
        (Conditions(("ink",), seed=-1), RECIPE, "'seed' must be a non-negative integer. Got -1"),
        (Conditions(()), RECIPE, "At least one style is required"),
        (Conditions(("ink", "0", "ink")), RECIPE, "named twice: ink, 0, ink"),
        (Conditions(("2",)), RECIPE, "Unknown style '2'"),
        (Conditions(("ink",), ("jitter",)), RECIPE, "Unknown scramble 'jitter'"),
        (Conditions(("ink",), ("shuffle",)), FlowRecipe(), "Unknown flow change 'shuffle'"),
    ],
)
def test_conditions_that_cannot_be_shown_are_found_before_the_run(conditions, recipe, says):
    with pytest.raises(UserError, match=says):
        conditions.check(Coded(), recipe)


def test_sound_conditions_pass():
    Conditions(("ink", "0", "1", "original"), ("shuffle", "freeze", "shuffle"), 0).check(Coded(), RECIPE)
    Conditions(("0",), ("jitter", "rotate", "swap")).check(Coded(), FlowRecipe())


# --- clips -------------------------------------------------------------------------------------------------------


def test_the_intact_order_plays_the_frames_of_the_recipe_in_every_style():
    seen = shown(Coded(), RECIPE, Conditions(DISK))
    first = (40 - 16) // 2
    for style in DISK:
        clip = seen["v0", style, "intact"]
        assert clip.shape == (3, 8, 16, 16)
        assert codes(clip)[:, 0].tolist() == [first + int(15 * i / 7) for i in range(8)]
        assert set(codes(clip)[:, 1]) == {int(style)}
        assert set(codes(clip)[:, 2]) == {0}


def test_variants_come_style_by_style_and_order_by_order():
    source = Coded()
    conditions = Conditions(("1", "ink", "0"), ("shuffle", "freeze"))
    keys = [key for key, _ in prepare_video(source, source.videos[1], RECIPE, conditions).variants()]
    assert keys == [Variant("v1", *key) for key in product(("1", "ink", "0"), ("intact", "shuffle", "freeze"))]


def test_an_order_shows_the_same_frames_in_the_same_order_in_every_style():
    scrambles = ("shuffle", "reverse", "block_shuffle", "shuffle")
    seen = shown(Coded(), RECIPE, Conditions(DISK, scrambles))
    intact = codes(seen["v0", "0", "intact"])[:, 0]
    for order in Conditions(DISK, scrambles).orders:
        played = [codes(seen["v0", style, order])[:, 0].tolist() for style in DISK]
        assert played[0] == played[1]
        assert sorted(played[0]) == intact.tolist()
        assert (played[0] == intact.tolist()) == (order == "intact")
    assert codes(seen["v0", "1", "reverse"])[:, 0].tolist() == intact[::-1].tolist()


def test_a_scramble_is_of_what_a_pathway_plays_also_where_a_short_video_loops():
    """Five frames, played eight times over: the scramble is of the eight."""
    seen = shown(Coded(total=5), RECIPE, Conditions(DISK))
    intact, mixed = (codes(seen["v0", "0", order])[:, 0] for order in ("intact", "shuffle"))
    assert intact.tolist() == [int(15 * i / 7) % 5 for i in range(8)]
    seed = derive_seed(0, "order", "v0", "shuffle", 0)
    assert mixed.tolist() == intact[scramble("shuffle", 8, seed)].tolist()


def orders_seen(recipe=TWO, seed=0, scrambles=("shuffle", "shuffle")):
    """(video, order, pathway) → the numbers of the frames, as they play."""
    source, found = Coded(count=4), {}
    for video in range(4):
        for (name, _, order), clips in shown(source, recipe, Conditions(("0",), scrambles, seed), video).items():
            for pathway, clip in enumerate(clips if isinstance(clips, list) else [clips]):
                found[name, order, pathway] = tuple(codes(clip)[:, 0].tolist())
    return found


def test_videos_pathways_repeats_and_seeds_are_scrambled_independently():
    """Eight frames have 40319 orders: none should come twice among 4 videos x 2 repeats x 2 pathways x 2 seeds."""
    found = [order for seed in (0, 1) for key, order in orders_seen(seed=seed).items() if key[1] != "intact"]
    assert len(found) == len(set(found)) == 32
    assert orders_seen() == orders_seen()


def test_every_pathway_plays_its_own_frames():
    recipe = Recipe(frames=(4, 16), rate=8, crop=16, **PLAIN)
    seen = shown(Coded(total=60), recipe, Conditions(DISK))
    for order in ("intact", "shuffle"):
        slow, fast = seen["v0", "1", order]
        assert slow.shape == (3, 4, 16, 16)
        assert fast.shape == (3, 16, 16, 16)
        for clip, count in ((slow, 4), (fast, 16)):
            assert sorted(codes(clip)[:, 0].tolist()) == [14 + int(31 * i / (count - 1)) for i in range(count)]


def test_a_clip_comes_in_the_layout_of_the_recipe():
    for layout, order in {"T C H W": (1, 0, 2, 3), "T H W C": (1, 2, 3, 0)}.items():
        plain, arranged = (
            shown(Coded(), recipe, Conditions(DISK)) for recipe in (RECIPE, replace(RECIPE, layout=layout))
        )
        for key, clip in plain.items():
            assert torch.equal(arranged[key], clip.permute(order))


# --- reading -----------------------------------------------------------------------------------------------------


def test_the_original_is_read_once_for_all_styles_that_are_made():
    source = Coded()
    seen = shown(source, RECIPE, Conditions(("ink", "0", "neon", "original", "1"), seed=5))
    assert source.reads == [("v0", None), ("v0", "0"), ("v0", "1")]
    original = source.read(source.videos[0], RECIPE).frames
    for style in ("ink", "neon"):
        expected = RECIPE.prepare(restyle(original, style, style_seed(5, style)))
        assert torch.equal(seen["v0", style, "intact"], expected.movedim(1, 0))
    assert set(codes(seen["v0", "original", "intact"])[:, 1]) == {250}


def test_styles_are_drawn_by_the_seed_of_the_study():
    ink = [
        shown(Coded(), RECIPE, Conditions(("random_filter",), seed=seed))["v0", "random_filter", "intact"]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(ink[0], ink[1])
    assert not torch.equal(ink[0], ink[2])


def test_the_record_says_what_was_read():
    source = Coded()
    record = prepare_video(source, source.videos[2], RECIPE, Conditions(("0", "ink"))).record
    numbers = [12 + int(15 * i / 7) for i in range(8)]
    assert record == {
        "video": "v2", "label": "x", "sequence": "s1", "source": "memory/v2", "total": 40, "fps": 20.0,
        "frames": numbers, "seconds": 16 / 20, "problem": None,
    }  # fmt: skip


@pytest.mark.parametrize(("fps", "seconds"), [(30000 / 1001, 0.534), (None, None)])
def test_the_time_seen_is_told_in_milliseconds_where_the_rate_is_known(fps, seconds):
    source = Coded(change=lambda clip, style: replace(clip, fps=fps))
    assert prepare_video(source, source.videos[0], RECIPE, Conditions(("ink",))).record["seconds"] == seconds


def test_copies_that_show_other_frames_are_refused():
    def shift(clip, style):
        return replace(clip, sample=RECIPE.sample(44)) if style == "1" else clip

    source = Coded(change=shift)
    with pytest.raises(BadClip, match="memory/v0: the frames of style '1' are not those of style 'ink'"):
        prepare_video(source, source.videos[0], RECIPE, Conditions(("ink", "0", "1")))


@pytest.mark.parametrize(
    ("height", "width", "sound"), [(16, 8, False), (8, 16, False), (32, 32, True), (100, 101, True)]
)
def test_copies_of_other_proportions_are_refused(height, width, sound):
    def resize(clip, style):
        wide = np.zeros((len(clip.frames), height, width, 3), np.uint8)
        return replace(clip, frames=wide) if style == "1" else clip

    source = Coded(change=resize)
    if sound:
        prepare_video(source, source.videos[0], RECIPE, Conditions(("0", "1")))
        return
    with pytest.raises(BadClip, match="style '1' has other proportions than style '0'"):
        prepare_video(source, source.videos[0], RECIPE, Conditions(("0", "1")))


# --- images and flow ---------------------------------------------------------------------------------------------

FLOW = FlowRecipe(frames=3, flows=("forward", "backward"), size=(16, 16), **PLAIN)
CHANGES = ("rotate", "scale", "swap", "rotate")


def levels(tensor):
    return (tensor * 255).round().to(torch.uint8)


def test_styles_change_the_images_alone_and_orders_the_flow_alone():
    seen = shown(Coded(), FLOW, Conditions(DISK, CHANGES))
    for (_, style, order), inputs in seen.items():
        assert inputs["Image"].shape == (3, 3, 16, 16)
        assert inputs["Flow"].shape == (3, 6, 16, 16)
        assert torch.equal(inputs["Image"], seen["v0", style, "intact"]["Image"])
        assert torch.equal(inputs["Flow"], seen["v0", "0", order]["Flow"])
        assert set(levels(inputs["Image"])[:, 1].unique().tolist()) == {int(style)}
    flows = [seen["v0", "0", order]["Flow"] for order in Conditions(DISK, CHANGES).orders]
    assert all(not torch.equal(flows[i], flows[j]) for i in range(5) for j in range(i))


@pytest.mark.parametrize("directions", [("forward",), ("backward",), ("forward", "backward"), ("backward", "forward")])
def test_every_order_changes_the_flow_as_it_was_drawn_and_directions_lie_side_by_side(directions):
    source, recipe = Coded(count=6), replace(FLOW, flows=directions)
    conditions = Conditions(DISK, CHANGES, seed=7)
    seen = shown(source, recipe, conditions, 3)
    given = source.read(source.videos[3], recipe).flows
    for order, kind in conditions.orders.items():
        flows = {name: given[name] for name in directions}
        if kind == "swap":
            others = [video for video in source.videos if video.sequence != "s1"]
            drawn = others[derive_seed(7, "order", "v3", order) % 4]
            flows = source.read(drawn, recipe).flows
        elif kind is not None:
            flows = change_flow(flows, kind, derive_seed(7, "order", "v3", order))
        expected = np.concatenate([flows[name] for name in directions], axis=3)
        assert np.array_equal(levels(seen["v3", "1", order]["Flow"]).movedim(1, -1).numpy(), expected)


def test_the_flow_of_another_sequence_may_be_that_of_any_of_them_and_never_its_own():
    source = Coded(count=6)
    flows = {video.name: source.read(video, FLOW).flows["forward"] for video in source.videos}
    taken = set()
    for seed in range(24):
        seen = levels(shown(source, FLOW, Conditions(("0",), ("swap",), seed), 2)["v2", "0", "swap"]["Flow"])
        taken |= {name for name, flow in flows.items() if np.array_equal(seen[:, :3].movedim(1, -1).numpy(), flow)}
    assert taken == {"v0", "v1", "v4", "v5"}


def test_a_video_without_another_sequence_is_a_bad_clip():
    source = Coded(count=2)  # both moments of one sequence
    with pytest.raises(BadClip, match="v0: there is no other sequence to take flow from"):
        shown(source, FLOW, Conditions(("0",), ("swap",)))


def test_videos_that_name_no_sequence_are_one_each():
    source = Coded(count=2)
    source.videos = [replace(video, sequence=None) for video in source.videos]
    seen = levels(shown(source, FLOW, Conditions(("0",), ("swap",)))["v0", "0", "swap"]["Flow"])
    assert np.array_equal(seen[:, :3].movedim(1, -1).numpy(), source.read(source.videos[1], FLOW).flows["forward"])


def test_one_image_has_no_axis_of_frames_and_flow_is_resized_before_it_is_changed():
    recipe = FlowRecipe(frames=1, size=(20, 24), **PLAIN)
    source = Coded()
    seen = shown(source, recipe, Conditions(("0",), ("rotate",)))
    flow = {"forward": recipe.resized(source.read(source.videos[0], recipe).flows["forward"])}
    expected = change_flow(flow, "rotate", derive_seed(0, "order", "v0", "rotate"))["forward"]
    assert seen["v0", "0", "rotate"]["Image"].shape == seen["v0", "0", "rotate"]["Flow"].shape == (3, 20, 24)
    assert np.array_equal(levels(seen["v0", "0", "rotate"]["Flow"]).movedim(0, -1).numpy(), expected[0])


# --- batches -----------------------------------------------------------------------------------------------------


def test_variants_are_stacked_in_the_form_of_each():
    cpu = torch.device("cpu")
    clips = [torch.full((3, 2), float(number)) for number in range(4)]
    assert torch.equal(stack(clips, cpu), torch.stack(clips))
    slow, fast = stack([[clip, 2 * clip] for clip in clips], cpu)
    assert torch.equal(slow, torch.stack(clips))
    assert torch.equal(fast, 2 * torch.stack(clips))
    pair = stack([{"Image": clip, "Flow": clip + 1} for clip in clips], cpu)
    assert torch.equal(pair["Image"], torch.stack(clips))
    assert torch.equal(pair["Flow"], torch.stack(clips) + 1)


def test_a_batch_goes_to_the_device_whatever_its_form():
    clip, meta = torch.zeros(3, 2), torch.device("meta")
    assert stack([clip], meta).device == meta
    assert [part.device for part in stack([[clip, clip]], meta)] == [meta, meta]
    assert [part.device for part in stack([{"Image": clip, "Flow": clip}], meta).values()] == [meta, meta]


def test_videos_without_a_filmed_version_are_compared_in_their_first_style():
    assert Conditions(("ink", "mosaic")).filmed == "original"
    assert Conditions(("ink", "mosaic"), original=False).filmed == "ink"
