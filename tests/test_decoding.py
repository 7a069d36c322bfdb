"""Timelines: which frames there are, by what packets and decoded frames tell; odd streams that tell different things."""

from fractions import Fraction
from struct import pack
from types import SimpleNamespace

import av
import pytest
from media import coded_frames, numbers, patch, write_gops, write_video

from static_dynamic.media import decoding, packets
from static_dynamic.media.clip import Recipe

CLIP = Recipe(frames=8, rate=2, crop=16)
TENTH = Fraction(1, 10)
NOT_CODED = bytes([0, 0, 1, 0xB6, 0b01010101, 0b10011111])
"""A frame of MPEG-4 part 2 that shows nothing new: ``vop_coded`` is 0 (ISO/IEC 14496-2, 6.2.5)."""


def ends_early(folder):
    """The edit list ends at 3.4 s: the frames from there to the next key frame are read and not shown."""
    path = write_gops(folder / "a.mp4")
    place = path.read_bytes().index(b"elst") + 12
    assert path.read_bytes()[place : place + 4] == pack(">I", 4000)
    return patch(path, place, pack(">I", 3400))


def with_a_frame_not_coded(folder):
    """Twice as slow, with a packet behind frame 20 from which no frame is decoded."""
    path = write_video(folder / "whole.avi", coded_frames(40), codec="mpeg4", encoder={"qmin": "1", "qmax": "2"})
    with av.open(str(path)) as old, av.open(str(folder / "a.mkv"), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(old.streams.video[0]) if packet.size):
            packets = [packet, av.Packet(NOT_CODED)] if number == 20 else [packet]
            for place, each in enumerate(packets):
                each.pts = each.dts = 2 * number + place
                each.time_base, each.stream = TENTH, copy
                new.mux(each)
    return folder / "a.mkv"


@pytest.mark.parametrize(("make", "count"), [(ends_early, 34), (with_a_frame_not_coded, 40)])
def test_packets_that_show_nothing_are_no_frames(tmp_path, make, count):
    clip = decoding.read_clip(make(tmp_path), CLIP)
    assert clip.total == count
    assert clip.sample.numbers[0] == (count - 16) // 2
    assert numbers(clip.frames) == list(clip.sample.numbers)


@pytest.mark.parametrize(
    ("times", "fps"),
    [
        ([0, 1, 2], 10),
        ([5, 9], 2.5),
        ([0, 0, 4], 5),
        ([None, 0, None, 4], 2.5),
        ([0, 3, 0], None),
        ([4, 4], None),
        ([7], None),
        ([None, None], None),
        ([], None),
    ],
)
def test_the_rate_is_counted_from_the_first_to_the_last_frame_that_has_a_time(times, fps):
    stream = SimpleNamespace(average_rate=None, time_base=TENTH)
    timeline = decoding._timeline(times, stream)
    assert timeline.times == times
    assert timeline.fps == (fps if fps is None else pytest.approx(fps))


@pytest.mark.parametrize(
    ("pts", "dts", "duration", "end"),
    [(3, 1, 2, 5), (3, 1, None, 3), (None, 1, 2, 3), (0, -2, 1, 1), (None, None, 2, 0), (None, None, None, 0)],
)
def test_a_packet_ends_its_duration_after_it_is_shown(pts, dts, duration, end):
    packet = SimpleNamespace(pts=pts, dts=dts, duration=duration)
    assert packets._end(packet) == end


@pytest.mark.parametrize(
    ("duration", "end", "last", "whole"),
    [(None, 0, 0, True), (None, 5, 0, True), (10, 9, 0, True), (10, 8.9, 89, False), (10, 0, 90, True), (10, 0, 0, False)],
)  # fmt: skip
def test_a_file_is_whole_where_nine_tenths_of_its_time_or_of_its_bytes_are_there(tmp_path, duration, end, last, whole):
    (tmp_path / "a.m4v").write_bytes(bytes(100))
    container = SimpleNamespace(duration=duration and duration * av.time_base)
    assert packets._is_whole(tmp_path / "a.m4v", container, told=0, count=3, end=end, last=last) == whole
