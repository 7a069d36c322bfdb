"""Sources read exactly the frames that a recipe asks for, and say in one line what they cannot read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from media import (
    coded_frames,
    cut,
    noisy_frames,
    numbers,
    only,
    read_code,
    slow_clip,
    write_davis,
    write_frames,
    write_stylized,
    write_video,
)
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media import decoding
from static_dynamic.media.clip import Recipe, Video
from static_dynamic.media.images import natural_key
from static_dynamic.sources import (
    Davis,
    FactorialVideos,
    FrameFolders,
    Source,
    StyleFolders,
    Stylized,
    VideoFiles,
    open_source,
)

REAL = Path(__file__).parents[2] / "shared" / "data" / "videos"
SMALL = Recipe(frames=8, rate=2, crop=16)


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
    with pytest.raises(BadClip, match="all frames sampled from its 9 are frame 0"):
        source.read(only(source), Recipe(frames=8, rate=8, crop=16))  # the steps are 9 frames wide
    assert len(source.read(only(source), Recipe(frames=1, rate=8, crop=16)).frames) == 1


def test_frames_are_brought_down_to_the_short_side_and_never_enlarged(tmp_path):
    source = VideoFiles(write_video(tmp_path / "a.mp4", noisy_frames(12, 90, 142)))
    assert source.read(only(source), SMALL).frames.shape[1:] == (16, 25, 3)
    assert source.read(only(source), Recipe(frames=4, rate=2, crop=256)).frames.shape[1:] == (90, 142, 3)


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
        "damaged or truncated after",
    ),
    "mkv, cut": (
        lambda folder: cut(write_video(folder / "a.mkv", noisy_frames(40))),
        "damaged or truncated after",
    ),
    "webm, cut": (
        lambda folder: cut(write_video(folder / "a.webm", noisy_frames(40), codec="libvpx")),
        "damaged or truncated after",
    ),
    "avi, cut": (
        lambda folder: cut(write_video(folder / "a.avi", noisy_frames(40), codec="mpeg4")),
        "damaged or truncated after",
    ),
    "hole": (_hole, "damaged or truncated after"),
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


def test_a_source_on_disk_tells_when_the_data_of_a_video_change(tmp_path):
    write_video(tmp_path / "files" / "a.mp4", coded_frames(4))
    for style in "01":
        write_frames(tmp_path / "folders" / f"style_{style}" / "a", coded_frames(4))
    write_stylized(tmp_path / "ssv2", "ssv2", {"a": 12})
    write_davis(tmp_path / "davis", {"a": 3})
    frame = Path("JPEGImages/480p/a/00000.jpg")
    for source, file in (
        (VideoFiles(tmp_path / "files"), tmp_path / "files" / "a.mp4"),
        (FrameFolders(tmp_path / "folders" / "style_1"), tmp_path / "folders" / "style_1" / "a" / "2.jpg"),
        (StyleFolders(tmp_path / "folders"), tmp_path / "folders" / "style_1" / "a" / "2.jpg"),
        (Stylized(tmp_path / "ssv2", "ssv2", ["1", "2"]), next((tmp_path / "ssv2" / "style_2" / "a").iterdir())),
        (Davis(tmp_path / "davis"), tmp_path / "davis" / frame),
    ):
        video = source.videos[0]
        before = source.stamp(video)
        assert source.stamp(video) == before
        file.write_bytes(file.read_bytes() + b" ")
        assert source.stamp(video) != before


def test_frames_that_change_size_are_a_bad_clip(tmp_path, monkeypatch):
    source = VideoFiles(write_video(tmp_path / "a.mp4", coded_frames(12)))
    sizes = iter(range(8, 40))
    monkeypatch.setattr(decoding, "picture", lambda frame, short: np.zeros((8, next(sizes), 3), np.uint8))
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
        open_source("factorial:1"),
    ]


def test_every_source_keeps_the_promises(sources):
    kinds = [VideoFiles, VideoFiles, FrameFolders, FrameFolders, Stylized, FactorialVideos]
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
        with pytest.raises(UserError, match="does not have a video named 'nobody'"):
            source.read(Video("nobody"), SMALL)


def test_open_source_says_what_is_allowed(tmp_path):
    (tmp_path / "notes.txt").write_text("no video")
    for where in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"\.mp4"):
            open_source(where)
    with pytest.raises(UserError, match=r"notes\.txt, line 1: .*no video.* does not exist"):
        open_source(tmp_path / "notes.txt")
    for where in ("factorial:many", "factorial:0", "factorial:-2"):
        with pytest.raises(UserError):
            open_source(where)
    assert len(open_source("factorial").videos) == 16


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
