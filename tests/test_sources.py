import json
import os
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from static_dynamic.clip import Recipe, Video
from static_dynamic.errors import BadClip, UserError
from static_dynamic.sources import (
    FrameFolders,
    Source,
    Stylized,
    SyntheticVideos,
    VideoFiles,
    decoding,
    open_source,
)
from static_dynamic.sources.images import natural_key
from static_dynamic.sources.synthetic import FACTORS, Appearance, Motion, factors, render
from tests.media import (
    ANNOTATIONS,
    annotate,
    coded_frames,
    cut,
    noisy_frames,
    numbers,
    read_code,
    write_frames,
    write_stylized,
    write_video,
)

REAL = Path(__file__).parents[2] / "shared" / "data" / "videos"
SMALL = Recipe(frames=8, rate=2, crop=16)
DATASETS = tuple(ANNOTATIONS)


def only(source):
    (video,) = source.videos
    return video


def slow_clip(total, start, length, counts):
    """The published steps, one after the other: loop, take consecutive frames, subsample each pathway."""
    opened = list(islice(cycle(range(start, total)), length))
    return [[opened[int(step)] for step in np.linspace(0, length - 1, count)] for count in counts]


def full_decode(path, short_side):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]
    height, width = frames[0].shape[:2]
    if min(height, width) <= short_side:
        return frames
    ratio = max(height, width) / min(height, width)
    long_side = int(ratio * short_side)
    size = (long_side, short_side) if width >= height else (short_side, long_side)
    return [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]


# --- which frames ------------------------------------------------------------------------------------------------


@given(
    total=st.integers(1, 400),
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    rate=st.integers(1, 16),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_a_sample_reads_each_frame_once_and_plays_the_looped_line(total, counts, rate, data):
    recipe = Recipe(frames=tuple(counts), rate=rate)
    start = data.draw(st.none() | st.integers(0, total - 1))
    sample = recipe.sample(total, start)
    first = max(0, (total - recipe.length) // 2) if start is None else start
    assert list(sample.numbers) == sorted(set(sample.numbers))
    assert all(0 <= number < total for number in sample.numbers)
    played = [[sample.numbers[place] for place in path] for path in sample.pathways]
    assert played == slow_clip(total, first, recipe.length, counts)


@given(st.lists(st.text("ab0123456789._", max_size=8), max_size=12))
def test_natural_order_puts_two_before_ten(names):
    once, again = (sorted(order, key=natural_key) for order in (names, names[::-1]))
    assert once == again
    assert sorted(["f10", "f2", "f1"], key=natural_key) == ["f1", "f2", "f10"]


# --- video files -------------------------------------------------------------------------------------------------

CONTAINERS = [
    ("a.mp4", "libx264"),
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx"),
    ("a.avi", "mpeg4"),
    ("a.mov", "libx264"),
]


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_a_video_file_gives_the_middle_clip(tmp_path, name, codec):
    path = write_video(tmp_path / name, coded_frames(40), codec=codec)
    source = VideoFiles(path)
    clip = source.read(only(source), SMALL)
    assert clip.total == 40
    assert clip.fps == 10
    assert clip.frames.dtype == np.uint8
    assert numbers(clip.frames) == list(clip.sample.numbers) == slow_clip(40, 12, 16, [8])[0]
    whole = full_decode(path, 16)
    assert np.array_equal(clip.frames, [whole[number] for number in clip.sample.numbers])


def test_a_short_video_loops_and_two_pathways_share_its_frames(tmp_path):
    source = VideoFiles(write_video(tmp_path / "short.mp4", coded_frames(10)))
    clip = source.read(only(source), Recipe(frames=(4, 16), rate=8, crop=16))
    played = [numbers(clip.frames[path]) for path in clip.sample.pathways]
    assert played == slow_clip(10, 0, 32, [4, 16])
    assert len(clip.frames) == len(set(clip.sample.numbers)) <= 10


def test_a_loop_that_always_meets_the_same_frame_is_a_bad_clip(tmp_path):
    source = VideoFiles(write_video(tmp_path / "nine.mp4", coded_frames(9)))
    with pytest.raises(BadClip, match="every frame sampled from its 9 is number 0"):
        source.read(only(source), Recipe(frames=8, rate=8, crop=16))  # the steps are 9 frames wide
    assert len(source.read(only(source), Recipe(frames=1, rate=8, crop=16)).frames) == 1


def test_frames_are_brought_down_to_the_short_side_and_never_enlarged(tmp_path):
    source = VideoFiles(write_video(tmp_path / "a.mp4", noisy_frames(12, 90, 142)))
    assert source.read(only(source), SMALL).frames.shape[1:] == (16, 25, 3)
    assert source.read(only(source), Recipe(frames=4, rate=2, crop=256)).frames.shape[1:] == (90, 142, 3)


def test_a_reduced_square_keeps_its_side():
    from static_dynamic.sources.base import reduced

    for side in range(142, 220):  # int(112 / side * side) is 111 for some of them
        assert reduced(np.zeros((side, side, 3), np.uint8), 112).shape == (112, 112, 3)


def test_names_keep_the_folder_and_the_extension(tmp_path):
    for name in ("b.avi", "b.mp4", "class two/c.MP4"):
        write_video(tmp_path / name, coded_frames(4), codec="mpeg4")
    for hidden in ("._b.mp4", ".cache/d.mp4"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_text("not shown")
    (tmp_path / "notes.txt").write_text("no video")
    source = VideoFiles(tmp_path)
    assert [video.name for video in source.videos] == ["b.avi", "b.mp4", "class two/c.MP4"]
    recipe = Recipe(frames=4, rate=1, crop=16)
    assert all(numbers(source.read(video, recipe).frames) == [0, 1, 2, 3] for video in source.videos)


def test_a_gif_is_a_video(tmp_path):
    source = VideoFiles(write_video(tmp_path / "a.gif", noisy_frames(6), codec="gif"))
    assert source.read(only(source), SMALL).total == 6


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_rotation_tag_is_honoured(tmp_path, rotation):
    frames = np.zeros((6, 32, 64, 3), np.uint8)
    frames[:, :16, :32] = (250, 0, 0)  # top left is red, bottom right is blue
    frames[:, 16:, 32:] = (0, 0, 250)
    source = VideoFiles(write_video(tmp_path / "phone.mp4", frames, rotation=rotation))
    shown = source.read(only(source), Recipe(frames=2, rate=2, crop=224)).frames[0]
    expected = np.rot90(frames[0], rotation // 90)  # np.rot90 turns counter-clockwise, as the tag is written
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected)[::8, ::8].mean() < 12


def test_cover_art_is_not_the_video(tmp_path):
    path = write_video(tmp_path / "song.mp4", coded_frames(12), cover_art=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    source = VideoFiles(path)
    assert source.read(only(source), SMALL).frames.shape[2] == 48
    art, film, second = (SimpleNamespace(disposition=Disposition(flag)) for flag in (1024, 1, 1))
    assert decoding.first_video([art, film, second]) is film
    assert decoding.first_video([art]) is None


def _text(folder):
    path = folder / "text.mp4"
    path.write_text("this is no video\n" * 50)
    return path


def _empty(folder):
    path = folder / "empty.mp4"
    path.touch()
    return path


def _hole(folder):
    path = write_video(folder / "hole.mp4", noisy_frames(40), codec="mpeg4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    return path


def _sound_only(folder):
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


DAMAGED = {
    "text": (_text, "no video that can be read"),
    "empty": (_empty, "the file is empty"),
    "sound": (_sound_only, "no video stream"),
    "moov at the end, cut": (
        lambda folder: cut(write_video(folder / "a.mp4", noisy_frames(40))),
        "no video that can be",
    ),
    "faststart, cut": (
        lambda folder: cut(write_video(folder / "a.mp4", noisy_frames(40), movflags="faststart")),
        "of 40 announced frames",
    ),
    "mkv, cut": (
        lambda folder: cut(write_video(folder / "a.mkv", noisy_frames(40))),
        "of 40 announced frames",
    ),
    "webm, cut": (
        lambda folder: cut(write_video(folder / "a.webm", noisy_frames(40), codec="libvpx")),
        "announced frames",
    ),
    "avi, cut": (
        lambda folder: cut(write_video(folder / "a.avi", noisy_frames(40), codec="mpeg4")),
        "of 40 announced",
    ),
    "hole": (_hole, "of 40 announced frames"),
    "one frame": (lambda folder: write_video(folder / "a.mp4", coded_frames(1)), "at least two frames"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_video_is_one_quiet_line_with_its_path(tmp_path, damage, capfd):
    make, expected = DAMAGED[damage]
    source = VideoFiles(make(tmp_path))
    with pytest.raises(BadClip, match=expected) as caught:
        source.read(only(source), Recipe(frames=8, rate=8, crop=16))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_container_that_promises_a_few_frames_too_many_is_counted_again(tmp_path):
    path = write_video(tmp_path / "a.avi", coded_frames(40), codec="mpeg4")
    data = bytearray(path.read_bytes())
    length = data.index(b"strh") + 8 + 32
    assert data[length] == 40
    data[length] = 43
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 43
    source = VideoFiles(path)
    clip = source.read(only(source), Recipe(frames=64, rate=1, crop=16))
    assert clip.total == 40
    assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(40, 0, 64, [64])[0]


def test_frames_that_change_size_are_a_bad_clip(tmp_path, monkeypatch):
    source = VideoFiles(write_video(tmp_path / "a.mp4", coded_frames(12)))
    sizes = iter(range(8, 40))
    monkeypatch.setattr(decoding, "_picture", lambda frame, short: np.zeros((8, next(sizes), 3), np.uint8))
    with pytest.raises(BadClip, match="change size"):
        source.read(only(source), SMALL)


def test_nothing_to_read_names_the_extensions(tmp_path):
    (tmp_path / "notes.txt").write_text("no video")
    for root in (tmp_path, tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(UserError, match=r"\.mp4"):
            VideoFiles(root)


# --- frame folders -----------------------------------------------------------------------------------------------


def test_frame_folders_play_in_natural_order(tmp_path):
    write_frames(tmp_path / "v10", coded_frames(30))
    write_frames(tmp_path / "v2", coded_frames(12), name="img_{:03d}.png")
    source = FrameFolders(tmp_path)
    assert [video.name for video in source.videos] == ["v2", "v10"]
    clip = source.read(source.videos[1], SMALL)
    assert clip.frames.shape[1:] == (16, 48, 3)
    assert numbers(clip.frames) == slow_clip(30, 7, 16, [8])[0]


def test_a_folder_of_frames_is_one_video_named_after_it(tmp_path):
    source = FrameFolders(write_frames(tmp_path / "swan", coded_frames(5)))
    assert only(source).name == "swan"
    clip = source.read(only(source), Recipe(frames=8, rate=1, crop=64))
    assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(5, 0, 8, [8])[0]


def test_several_sequences_in_one_folder_need_a_pattern(tmp_path):
    write_frames(tmp_path / "v", coded_frames(6), name="img_{:05d}.jpg")
    write_frames(tmp_path / "v", coded_frames(6, style=3), name="flow_x_{:05d}.jpg")
    source = FrameFolders(tmp_path)
    with pytest.raises(BadClip, match=r"flow_x_, img_"):
        source.read(only(source), SMALL)
    source = FrameFolders(tmp_path, pattern="img_*")
    assert {read_code(frame)[1] for frame in source.read(only(source), SMALL).frames} == {0}


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "size"])
def test_a_bad_frame_is_a_bad_clip_with_its_path(tmp_path, damage):
    folder = write_frames(tmp_path / "v", noisy_frames(6), name="{:02d}.jpg")
    bad = folder / "03.jpg"
    if damage == "size":
        Image.new("RGB", (8, 8)).save(bad)
    else:
        bad.write_bytes({"empty": b"", "cut": bad.read_bytes()[:900], "text": b"no image"}[damage])
    source = FrameFolders(tmp_path)
    with pytest.raises(BadClip, match=r"03\.jpg"):
        source.read(only(source), SMALL)


def test_one_frame_has_no_order(tmp_path):
    source = FrameFolders(write_frames(tmp_path / "v", coded_frames(1)))
    with pytest.raises(BadClip, match="at least two frames"):
        source.read(only(source), SMALL)


def test_a_folder_without_frames_is_refused(tmp_path):
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"\.jpg"):
            FrameFolders(root)


# --- stylized data sets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("naming", [None, ("frame_{:05d}.jpg", 1)])
def test_every_layout_reads_the_same_frames_in_every_style(tmp_path, dataset, naming):
    write_stylized(tmp_path, dataset, {"a1": 40, "b2": 50}, naming=naming)
    source = Stylized(tmp_path, dataset, styles=["1", "2"])
    assert source.describe()["frames"].endswith(naming[0] if naming else str(source.layout.naming.template))
    for video in source.videos:
        one, two = (source.read(video, SMALL, style) for style in source.styles)
        assert one.sample.numbers == two.sample.numbers
        assert numbers(one.frames) == numbers(two.frames) == list(one.sample.numbers)
        assert [read_code(clip.frames[0])[1] for clip in (one, two)] == [1, 2]
        assert one.frames.shape[1:] == (32, 96, 3)
        assert one.total == video.details["frames"]
    labels = {"StylizedActivityNet": "Surfing", "ssv2": "Pushing something left", "Diving48": "7"}
    assert {video.label for video in source.videos} == {labels[dataset]}
    json.dumps(source.describe())


def test_frames_that_count_from_one_in_diving48_are_found(tmp_path):
    write_stylized(tmp_path, "Diving48", {"a": 20}, naming=("image_{:05d}.jpg", 1))
    source = Stylized(tmp_path, "Diving48", styles=["1"])
    clip = source.read(only(source), SMALL, "1")
    assert numbers(clip.frames) == list(clip.sample.numbers)


def test_starts_are_drawn_once_per_video_over_the_whole_range_and_zero_is_one(tmp_path):
    lengths = {f"{index}": 18 for index in range(24)}
    write_stylized(tmp_path, "ssv2", lengths)
    starts = {}
    for seed in (1, 2):
        source = Stylized(tmp_path, "ssv2", styles=["1", "2"], seed=seed)
        starts[seed] = [source.read(video, SMALL, "1").sample.numbers[0] for video in source.videos]
        assert (
            starts[seed]
            == [source.read(video, SMALL, "2").sample.numbers[0] for video in reversed(source.videos)][::-1]
        )
    assert set(starts[1]) == {0, 1, 2}
    assert starts[1] != starts[2]
    part = Stylized(tmp_path, "ssv2", styles=["2"], limit=5)
    assert [part.read(video, SMALL, "2").sample.numbers[0] for video in part.videos] == starts[1][:5]


def test_short_videos_loop_from_their_start_and_too_short_ones_are_named(tmp_path):
    write_stylized(tmp_path, "ssv2", {"long": 30, "short": 9, "tiny": 7})
    source = Stylized(tmp_path, "ssv2", styles=["1", "2"])
    assert [video.name for video in source.videos] == ["long", "short"]
    assert source.left_out == [("tiny", "7 frames, fewer than 8")]
    clip = source.read(source.videos[1], SMALL, "1")
    assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(9, 0, 16, [8])[0]


def test_frames_are_counted_in_all_styles(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 30, "b": 30, "c": 30})
    for number in range(21, 31):
        (tmp_path / "style_2" / "a" / f"{number:06d}.jpg").unlink()
    for path in (tmp_path / "style_2" / "b").iterdir():
        path.unlink()
    (tmp_path / "style_2" / "b").rmdir()
    source = Stylized(tmp_path, "ssv2", styles=["1", "2"])
    assert {video.name: video.details["frames"] for video in source.videos} == {"a": 20, "c": 30}
    assert source.left_out == [("b", "no folder in style 2")]


def test_diving48_honours_its_start_frame(tmp_path):
    entries = [
        {"vid_name": "a", "label": 3, "start_frame": 10, "end_frame": 26},
        {"vid_name": "b", "label": 3, "start_frame": 30, "end_frame": 99},
        {"vid_name": "c", "label": 3, "start_frame": 36, "end_frame": 40},
    ]
    write_stylized(tmp_path, "Diving48", {"a": 40, "b": 40, "c": 40}, entries, styles=["1"])
    source = Stylized(tmp_path, "Diving48", styles=["1"])
    first, second = (source.read(video, SMALL, "1") for video in source.videos)
    assert numbers(first.frames) == slow_clip(26, 10, 16, [8])[0]
    assert numbers(second.frames[second.sample.pathways[0]]) == slow_clip(40, 30, 16, [8])[0]
    assert source.left_out == [("c", "a segment of 4 frames, fewer than 8")]


def test_activitynet_takes_the_start_of_the_first_segment_and_filters(tmp_path):
    def entry(*segments, subset="validation", **more):
        annotations = [{"label": f"class {start:g}", "segment": [start, end]} for start, end in segments]
        return {"subset": subset, "annotations": annotations, **more}

    database = {
        "good": entry((2.3, 6.1), (7, 11), num_frames=60),
        "looped": entry((6.5, 20), num_frames=50),
        "brief": entry((0, 5), num_frames=31),
        "blink": entry((0, 8), (9, 11.9)),
        "train": entry((0, 5), subset="training"),
        "empty": entry(),
    }
    lengths = dict.fromkeys(database, 60)
    write_stylized(tmp_path, "StylizedActivityNet", lengths, {"database": database}, styles=["1"])
    source = Stylized(tmp_path, "StylizedActivityNet", styles=["1"])
    assert [(video.name, video.label) for video in source.videos] == [
        ("good", "class 2.3"),
        ("looped", "class 6.5"),
    ]
    assert source.left_out == [
        ("brief", "31 frames, fewer than 32"),
        ("blink", "a segment of 14 frames, fewer than 16"),
        ("empty", "no annotated segment"),
    ]
    recipe = Recipe(frames=8, rate=8, crop=16)
    for video, (start, stop) in zip(source.videos, [(11, 30), (32, 50)], strict=True):
        clip = source.read(video, recipe, "1")
        # Published: files ⌊5s⌋ + 1 … min(⌊5e⌋, num_frames), counted from 1.
        assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(stop, start, 64, [8])[0]
        assert clip.fps == 5
    training = Stylized(tmp_path, "StylizedActivityNet", styles=["1"], split="training")
    assert only(training).name == "train"


@pytest.mark.parametrize("folder", ["style_0", "original", "normal"])
def test_videos_as_filmed_are_read_where_they_are(tmp_path, folder):
    write_stylized(tmp_path, "ssv2", {"a": 20}, folders=["style_1", folder])
    source = Stylized(tmp_path, "ssv2", styles=["1"], use_normal_app=True)
    for style in (None, "original"):
        assert read_code(source.read(only(source), SMALL, style).frames[0])[1] == 2
    assert source.styles == ("1",)


def test_missing_originals_say_what_was_looked_for(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 20})
    source = Stylized(tmp_path, "ssv2", styles=["1"])
    with pytest.raises(UserError, match="style_0, original, normal"):
        source.read(only(source), SMALL)
    with pytest.raises(UserError, match="style_0, original, normal"):
        Stylized(tmp_path, "ssv2", styles=["1"], use_normal_app=True)


def test_a_missing_frame_is_a_bad_clip_with_its_path(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 16})
    (tmp_path / "style_1" / "a" / "000003.jpg").unlink()
    source = Stylized(tmp_path, "ssv2", styles=["1"])
    with pytest.raises(BadClip, match=r"000003.jpg: this frame is missing"):
        source.read(only(source), Recipe(frames=16, rate=1, crop=16), "1")


def without(dataset, field):
    text = json.dumps(annotate(dataset, {"a": 40}))
    return text.replace(f'"{field}"', '"other"')


FIELDS = {
    "StylizedActivityNet": ["database", "subset", "annotations", "label", "segment"],
    "ssv2": ["id", "template"],
    "Diving48": ["vid_name", "label", "start_frame", "end_frame"],
}


@pytest.mark.parametrize(("dataset", "field"), [(dataset, field) for dataset in DATASETS for field in FIELDS[dataset]])
def test_a_missing_field_is_named(tmp_path, dataset, field):
    write_stylized(tmp_path, dataset, {"a": 40}, without(dataset, field), styles=["1"])
    with pytest.raises(UserError, match=rf"{ANNOTATIONS[dataset]}.*no field '{field}'"):
        Stylized(tmp_path, dataset, styles=["1"])


BAD_ANNOTATIONS = {
    "no JSON": ("ssv2", "{", "not valid JSON"),
    "no list": ("ssv2", "3", "must be a list or an object"),
    "no video": ("ssv2", "[]", "name no video"),
    "no object": ("ssv2", "[5]", "entry 0 has no field"),
    "no number": (
        "Diving48",
        [{"vid_name": "a", "label": 1, "start_frame": "first", "end_frame": 9}],
        "entry 0, field 'start_frame' must be a number",
    ),
    "no text": ("ssv2", [{"id": "a", "template": None}], "'template' must be text"),
    "three times": (
        "StylizedActivityNet",
        {"database": {"a": {"subset": "validation", "annotations": [{"label": "x", "segment": [0, 1, 2]}]}}},
        r"entry a.*must be \[start, end\]",
    ),
    "no number of frames": (
        "StylizedActivityNet",
        {"database": {"a": {"subset": "validation", "annotations": [], "num_frames": "many"}}},
        "'num_frames' must be a number",
    ),
}


@pytest.mark.parametrize("fault", BAD_ANNOTATIONS)
def test_a_wrong_annotation_is_named(tmp_path, fault):
    dataset, written, expected = BAD_ANNOTATIONS[fault]
    write_stylized(tmp_path, dataset, {"a": 40}, written, styles=["1"])
    with pytest.raises(UserError, match=expected):
        Stylized(tmp_path, dataset, styles=["1"])


def test_what_the_user_got_wrong_is_said(tmp_path):
    write_stylized(tmp_path, "StylizedActivityNet", {"a": 40, "b": 20, "c": 21})
    with pytest.raises(UserError, match="Nearest: StylizedActivityNet"):
        Stylized(tmp_path, "ActivityNet", styles=["1"])
    with pytest.raises(UserError, match=r"Unknown style '3'.*Allowed: 1, 2"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1", "3"])
    with pytest.raises(UserError, match="Unknown split 'test'"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1"], split="test")
    with pytest.raises(UserError, match=r"something-something-v2-validation\.json.*activitynet_v13\.json"):
        Stylized(tmp_path, "ssv2", styles=["1"])
    source = Stylized(tmp_path, "StylizedActivityNet", styles=["1", "2"])
    with pytest.raises(UserError, match="Unknown style '4'"):
        source.read(only(source), SMALL, "4")
    for path in (tmp_path / "style_1" / "v_a").glob("00003*"):
        path.unlink()
    (tmp_path / "style_1" / "v_a" / "000040.jpg").unlink()
    with pytest.raises(UserError, match=r"Commonest reason \(3 of 3\), here of a: 29 frames, fewer than 32"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1"])


# --- synthetic videos --------------------------------------------------------------------------------------------


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
    levels = np.array([[video.details[factor] for factor in FACTORS] for video in source.videos])
    assert [len(set(column)) for column in levels.T] == [len(values) for values in FACTORS.values()]
    correlation = np.corrcoef(levels.T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.15
    video = source.videos[0]
    appearance, motion = factors(video.details)
    assert video.label == motion.pattern
    clip = source.read(video, Recipe(frames=2, rate=1, crop=16))
    assert np.array_equal(clip.frames, render(appearance, motion, clip.sample.numbers, 128))


@pytest.mark.parametrize("pattern", FACTORS["pattern"])
def test_every_pattern_moves_and_only_drift_moves_the_background(pattern):
    moved = [
        np.ptp(render(Appearance(), Motion(pattern, 0, drift=drift), range(0, 60, 6), 48).astype(int), axis=0)
        for drift in (False, True)
    ]
    shares = [(change.max(axis=-1) > 0).mean() for change in moved]
    assert 0.05 < shares[0] < 0.75
    assert shares[1] > 0.95


def test_one_motion_goes_with_any_appearance():
    for palette in FACTORS["palette"]:
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


# --- all sources -------------------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path):
    write_video(tmp_path / "files" / "a.mp4", coded_frames(20))
    write_frames(tmp_path / "folders" / "a", coded_frames(20))
    write_stylized(tmp_path / "ssv2", "ssv2", {"a": 20}, folders=["style_1", "style_0"])
    return [
        open_source(tmp_path / "files"),
        open_source(tmp_path / "files" / "a.mp4"),
        open_source(tmp_path / "folders"),
        open_source(tmp_path / "folders" / "a"),
        open_source(tmp_path / "ssv2", dataset="ssv2", styles=["1"]),
        open_source("synthetic:1"),
    ]


def test_every_source_keeps_the_promises(sources):
    kinds = [VideoFiles, VideoFiles, FrameFolders, FrameFolders, Stylized, SyntheticVideos]
    for source, kind in zip(sources, kinds, strict=True):
        assert isinstance(source, kind)
        assert isinstance(source, Source)
        assert open_source(source) is source
        assert source.name == kind.__name__ == source.describe()["kind"]
        assert json.loads(json.dumps(source.describe())) == source.describe()
        clip = source.read(only(source), SMALL)
        assert len(clip.frames) == len(clip.sample.numbers)
        assert np.array_equal(clip.frames, source.read(only(source), SMALL, "original").frames)
        with pytest.raises(UserError, match="Unknown style 'inck'"):
            source.read(only(source), SMALL, "inck")
        with pytest.raises(UserError, match="no video named 'nobody'"):
            source.read(Video("nobody"), SMALL)


def test_open_source_says_what_is_allowed(tmp_path):
    (tmp_path / "notes.txt").write_text("no video")
    for where in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing"):
        with pytest.raises(UserError, match=r"\.mp4"):
            open_source(where)
    for where in ("synthetic:many", "synthetic:0", "synthetic:-2"):
        with pytest.raises(UserError):
            open_source(where)
    assert len(open_source("synthetic").videos) == 16


def test_importing_the_sources_loads_no_decoder():
    code = "import sys, static_dynamic.sources; print([name for name in ('av', 'cv2') if name in sys.modules])"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=os.environ, check=True
    )
    assert done.stdout.strip() == "[]"


# --- real clips --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="no real clips here")
def test_real_clips():
    source = VideoFiles(REAL)
    assert len(source.videos) == 16
    recipe = Recipe(frames=8, rate=8, crop=224)
    clips = {video.name: source.read(video, recipe) for video in source.videos}
    assert {name: clips[name].total for name in ("nasa_13013.mp4", "office_plant_short.mp4")} == {
        "nasa_13013.mp4": 325,
        "office_plant_short.mp4": 36,
    }
    assert clips["nasa_13013.mp4"].frames.shape[1:3] == (180, 320)
    assert clips["cockatoo.mp4"].frames.shape[1:3] == (224, 398)
    for name in ("nasa_13013.mp4", "ucf101_v_BaseballPitch_g01_c01.avi", "office_plant_short.mp4"):
        whole = full_decode(REAL / name, 224)
        clip = clips[name]
        assert clip.total == len(whole)
        assert np.array_equal(clip.frames, [whole[number] for number in clip.sample.numbers])
