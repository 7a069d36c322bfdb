"""Of a video only those packets are decoded that the frames of a clip need, and the frames are the same, bit for bit."""

from functools import cache
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import noisy_frames, patch, write_video

from static_dynamic.common.deadlines import Deadline
from static_dynamic.common.errors import BadClip
from static_dynamic.media import decoding
from static_dynamic.media.clip import Recipe
from static_dynamic.media.packets import read_packets

COUNT = 48


def x264(parameters):
    return {"preset": "medium", "x264-params": parameters}


def x265(parameters):
    return {"preset": "fast", "x265-params": f"log-level=none:{parameters}"}


VP9 = {"b": "300k", "cpu-used": "5"}

# File → codec, its options, and how many packets can be entered.
SEEKABLE = {
    "closed.mp4": ("libx264", x264("keyint=12:scenecut=40:bframes=3"), 5),
    "pyramid.ts": ("libx264", x264("keyint=12:scenecut=0:bframes=5:b-pyramid=strict"), 4),
    "references.mkv": ("libx264", x264("keyint=24:ref=8:bframes=8:weightp=2"), 3),
    "no b.mkv": ("libx264", x264("keyint=9:scenecut=0:bframes=0"), 6),
    "slices.mov": ("libx264", x264("keyint=12:scenecut=0:slices=4"), 4),
    "a.flv": ("libx264", x264("keyint=12:scenecut=0"), 4),
    "open.mp4": ("libx264", x264("keyint=12:scenecut=0:open-gop=1"), 1),
    "intra refresh.mp4": ("libx264", x264("keyint=12:intra-refresh=1"), 1),
    "hevc.mp4": ("libx265", x265("keyint=12:scenecut=0:open-gop=0:radl=2"), 4),
    "hevc.mkv": ("libx265", x265("keyint=12:scenecut=0:open-gop=1"), 4),
    "hevc.ts": ("libx265", x265("keyint=12:scenecut=0:temporal-layers=3:bframes=7"), 4),
    "vp8.webm": ("libvpx", {"g": "12", "b": "300k", "deadline": "realtime", "cpu-used": "8"}, 4),
    "vp9.webm": ("libvpx-vp9", VP9 | {"g": "12"}, 4),
    "vp9 references.webm": ("libvpx-vp9", VP9 | {"g": "24", "auto-alt-ref": "1", "lag-in-frames": "16"}, 2),
    "av1.mp4": ("libsvtav1", {"g": "12", "preset": "12", "svtav1-params": "lp=1"}, 4),
    "mpeg4.avi": ("mpeg4", {"g": "12"}, 5),
    "mpeg4.mp4": ("mpeg4", {"g": "12", "bf": "2"}, 5),
    "mpeg2.mpg": ("mpeg2video", {"g": "12", "bf": "2"}, 5),
    "mpeg2.ts": ("mpeg2video", {"g": "12", "bf": "2", "sc_threshold": "1000000000", "flags": "+cgop"}, 5),
    "mpeg1.mpg": ("mpeg1video", {"g": "12", "bf": "2"}, 5),
    "jpeg.mov": ("mjpeg", {}, COUNT),
    "jpeg.avi": ("mjpeg", {}, COUNT),
    "prores.mov": ("prores_ks", {}, COUNT),
}

# Files of which packets do not tell for certain which frames there are, or where decoding can begin.
FROM_THE_FIRST = {
    "b.avi": ("libx264", x264("keyint=12:bframes=2")),
    "a.h264": ("libx264", x264("keyint=12")),
    "a.gif": ("gif", {}),
    "a.wmv": ("wmv2", {"g": "12"}),
    "a.mkv": ("ffv1", {}),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Files by name, each with all its frames, decoded one after the other."""
    folder = tmp_path_factory.mktemp("videos")

    @cache
    def made(name):
        codec, options = (SEEKABLE | FROM_THE_FIRST)[name][:2]
        path = write_video(folder / name, moving(), 25, codec, encoder=options)
        with av.open(str(path)) as container:
            return path, [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    return made


@cache
def moving():
    """A texture that moves by parts of a pixel, with a cut."""
    texture = np.random.default_rng(0).integers(0, 255, (16, 160, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    frames = np.stack([texture[:, 5 * t : 5 * t + 128] for t in range(COUNT)])
    frames[30:] = 255 - frames[30:]
    return frames


def taken(path, wanted):
    """The wanted frames as they are first tried, and how many packets that takes; nothing else may be tried."""
    with decoding.open_video(path) as (container, stream):
        packets = read_packets(container, stream, path, Deadline(path))
        frames = list(decoding._needed(container, stream, path, packets, Deadline(path), wanted))
    return [decoding.picture(frame) for frame in frames], [stretch.needed for stretch in packets.stretches(wanted)]


@pytest.mark.parametrize("name", SEEKABLE)
def test_frames_are_those_that_decoding_from_the_first_gives(videos, name):
    path, expected = videos(name)
    assert len(expected) == COUNT

    @settings(deadline=None, max_examples=12)
    @given(st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=6))
    def check(numbers):
        wanted = sorted(numbers)
        frames, needed = taken(path, wanted)
        assert len(frames) == len(wanted)
        assert all((frame == expected[number]).all() for frame, number in zip(frames, wanted, strict=True))
        assert all(a[-1] < b[0] for a, b in pairwise(needed))

    check()
    assert all((frame == good).all() for frame, good in zip(taken(path, range(COUNT))[0], expected, strict=True))


@pytest.mark.parametrize("name", SEEKABLE)
def test_decoding_begins_where_it_can(videos, name):
    path, _ = videos(name)
    with decoding.open_video(path) as (container, stream):
        packets = read_packets(container, stream, path, Deadline(path))
    assert packets.plain
    assert sum(row.enters for row in packets.rows) == SEEKABLE[name][2]
    order = [packets.times.index(row.pts) for row in packets.rows]
    for number in range(COUNT):
        end = order.index(number)
        entries = [i for i in range(end + 1) if packets.rows[i].enters and order[i] <= number]
        (stretch,) = packets.stretches([number])
        assert (stretch.first, stretch.last) == (entries[-1], end)
        left_out = [packets.rows[i] for i in range(entries[-1], end + 1) if i not in stretch.needed]
        assert all(row.coded.spare or row.pts < packets.rows[entries[-1]].pts for row in left_out)


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened, in order."""
    names, open_file = [], av.open
    monkeypatch.setattr(
        av, "open", lambda name, *rest, **options: names.append(name) or open_file(name, *rest, **options)
    )
    return names


CLIP = Recipe(frames=4, rate=3, crop=32)


@pytest.mark.parametrize("name", [*SEEKABLE, *FROM_THE_FIRST])
def test_a_clip_is_that_of_all_frames_and_its_file_is_opened_once(videos, opened, name):
    path, expected = videos(name)
    opened.clear()
    clip = decoding.read_clip(path, CLIP)
    assert clip.total == len(expected) == COUNT
    shown = [decoding.reduced(expected[number], CLIP.resize) for number in clip.sample.numbers]
    if name != "b.avi":  # whose frames come in another order than they are shown
        assert clip.sample.numbers == (18, 21, 25, 29)
    np.testing.assert_array_equal(clip.frames, np.stack(shown))
    # From the first packet on, it is opened again for the frames; and twice more where times are not those of packets.
    assert len(opened) == (1 if name in SEEKABLE else 4 if name in ("b.avi", "a.h264") else 2)


def noisy(folder):
    """Key frames at 0, 12, 24 and 36; the clip is made of frames 18 to 29."""
    path = write_video(folder / "a.mp4", noisy_frames(COUNT), 25, encoder=x264("crf=1:keyint=12:scenecut=0:bframes=2"))
    with av.open(str(path)) as container:
        return path, [packet.pos for packet in container.demux(video=0) if packet.size]


def test_damage_in_frames_that_are_not_needed_does_not_matter(tmp_path):
    path, places = noisy(tmp_path)
    clip = decoding.read_clip(path, CLIP)
    for place in (places[3], places[45]):
        patch(path, place + 600, b"U" * 900)
    np.testing.assert_array_equal(decoding.read_clip(path, CLIP).frames, clip.frames)
    with pytest.raises(BadClip, match="damaged or truncated after 2 frames"):
        list(decoding.decoded_frames(path))


def test_damage_in_a_frame_that_is_needed_is_named(tmp_path):
    path, places = noisy(tmp_path)
    patch(path, places[12] + 600, b"U" * 900)
    with pytest.raises(BadClip, match=r"damaged or truncated after 1\d frames"):
        decoding.read_clip(path, CLIP)


@pytest.mark.parametrize("wrong", ["is_corrupt", "pts", "missing", "error"])
def test_where_decoding_gives_something_else_it_begins_with_the_first(videos, opened, monkeypatch, wrong):
    path, _ = videos("closed.mp4")
    expected = decoding.read_clip(path, CLIP)
    decoded = decoding._decoded

    class Other:
        def __init__(self, frame):
            self.pts, self.is_corrupt = (frame.pts + (wrong == "pts")), wrong == "is_corrupt"

    def others(*arguments):
        first, *rest = decoded(*arguments)
        if wrong == "error":
            raise av.InvalidDataError(1, "odd")
        yield from rest if wrong == "missing" else [Other(first), *rest]

    monkeypatch.setattr(decoding, "_decoded", others)
    opened.clear()
    clip = decoding.read_clip(path, CLIP)
    np.testing.assert_array_equal(clip.frames, expected.frames)
    assert clip.sample.numbers == expected.sample.numbers
    assert len(opened) == 2
