"""What packets tell without being decoded: written by hand, bit by bit, as the standards say."""

from types import SimpleNamespace

import av
import pytest
from media import coded_frames, write_video

from static_dynamic.common.deadlines import Deadline
from static_dynamic.media import bitstreams
from static_dynamic.media.bitstreams import UNKNOWN, Coded, reader
from static_dynamic.media.packets import Packet, Packets, Stretch, read_packets

SPS, PPS, IDR, FIELD = b"\x67sps", b"\x68pps", b"\x65\x88slice", b"\x65\x08slice"
REFERENCE, SPARE, SPARE_PART = b"\x41\x9aslice", b"\x01\x9aslice", b"\x01\x1aslice"
TURN, WRITER, PARTITION = b"\x06\x2f\x01", b"\x06\x05\xffx264", b"\x42\x80a"


def annex_b(*units):
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def lengths(*units):
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


def read(name, data, extradata=b"", pix_fmt="yuv420p"):
    codec = SimpleNamespace(canonical_name=name)
    return reader(SimpleNamespace(codec=codec, extradata=extradata, pix_fmt=pix_fmt))(data)


H264 = {
    "key": ((SPS, PPS, WRITER, IDR), Coded(True, 1, False, 0, frozenset({SPS, PPS}))),
    "turned": ((TURN, REFERENCE), Coded(False, 1, False, 0, frozenset({TURN}))),
    "not referenced": ((SPARE, SPARE_PART), Coded(False, 1, True)),
    "one part referenced": ((SPARE, b"\x21\x1aslice"), Coded(False, 1, False)),
    "key and other": ((IDR, b"\x61\x1aslice"), Coded(False, 1, False)),
    "two fields": ((IDR, IDR), Coded(True, None, False)),
    "no beginning": ((FIELD,), Coded(True, None, False)),
    "partition": ((PARTITION,), UNKNOWN),
    "nothing": ((), Coded(False, None, True)),
}


@pytest.mark.parametrize("kind", H264)
def test_h264(kind):
    units, expected = H264[kind]
    assert read("h264", annex_b(*units)) == expected
    assert read("h264", lengths(*units), b"\1\x64\0\x1f\xff") == expected


def test_who_wrote_a_file_matters_where_decoders_ask():
    data = annex_b(WRITER, IDR)
    assert not read("h264", data).headers
    assert read("h264", data, pix_fmt="yuv444p").headers == {WRITER}


def hevc(kind, layer=0, level=0, first=1):
    return bytes([kind << 1 | layer >> 5, (layer & 31) << 3 | level + 1, first << 7 | 1]) + b"slice"


HEVC = {
    "key": ((hevc(32), hevc(33), hevc(34), hevc(19)), Coded(True, 1, False, 0, frozenset(map(hevc, (32, 33, 34))))),
    "open": ((hevc(21),), Coded(True, 1, False)),
    "reference": ((hevc(1), hevc(1, first=0)), Coded(False, 1, False)),
    "spare": ((hevc(0), hevc(0, first=0)), Coded(False, 1, True)),
    "spare of a level": ((hevc(2, level=2),), Coded(False, 1, True, 2)),
    "other layer": ((hevc(1), hevc(1, layer=33)), Coded(False, 1, False)),
    "turned": ((b"\x4e\x01\x2f", hevc(8)), Coded(False, 1, True, 0, frozenset({b"\x4e\x01\x2f"}))),
    "two": ((hevc(1), hevc(1)), Coded(False, None, False)),
}


@pytest.mark.parametrize("kind", HEVC)
def test_hevc(kind):
    units, expected = HEVC[kind]
    assert read("hevc", annex_b(*units)) == expected
    assert read("hevc", lengths(*units), b"\1" + bytes(20) + b"\x0f") == expected


def vop(kind, coded=bytes(20)):
    return b"\0\0\1\xb6" + bytes([kind << 6]) + coded


VOL, USER = b"\x20vol", b"\xb2XviD"
PICTURE = b"\0\0\1\0"
OTHERS = {
    "mpeg4 key": ("mpeg4", annex_b(VOL, USER) + vop(0), Coded(True, 1, False, 0, frozenset({VOL, USER}))),
    "mpeg4 P": ("mpeg4", vop(1), Coded(False, 1)),
    "mpeg4 B": ("mpeg4", vop(2), Coded(False, 1, True)),
    "mpeg4 packed": ("mpeg4", vop(1) + vop(2), UNKNOWN),
    "mpeg4 not coded": ("mpeg4", vop(1, b"\x7f"), UNKNOWN),
    "mpeg2 key": ("mpeg2video", b"\0\0\1\xb3seq" + PICTURE + b"\0\x08", Coded(True, 1)),
    "mpeg2 key without header": ("mpeg2video", PICTURE + b"\0\x08", Coded(False, 1)),
    "mpeg2 P": ("mpeg1video", b"\0\0\1\xb3seq" + PICTURE + b"\0\x10", Coded(False, 1)),
    "mpeg2 B": ("mpeg2video", PICTURE + b"\0\xd8", Coded(False, 1, True)),
    "mpeg2 fields": ("mpeg2video", 2 * (PICTURE + b"\0\x08"), UNKNOWN),
    "vp8 key": ("vp8", b"\x10", Coded(True, 1)),
    "vp8": ("vp8", b"\x11", Coded(False, 1)),
    "vp8 hidden": ("vp8", b"\x01", Coded(False, 0)),
    "vp9 key": ("vp9", b"\x82\0", Coded(True, 1)),
    "vp9 key, profile 3": ("vp9", b"\xb1\0", Coded(True, 1)),
    "vp9": ("vp9", b"\x86\0", Coded(False, 1)),
    "vp9 shown again": ("vp9", b"\x88\0", Coded(False, 1)),
    "vp9 hidden": ("vp9", b"\x84\0", Coded(False, 0)),
    "vp9 two of which one is hidden": ("vp9", b"\x84\0\x86\0\0\xc1\2\3\xc1", Coded(False, 1)),
    "vp9 two that are shown": ("vp9", b"\x82\0\x86\0\0\xc1\2\3\xc1", Coded(True, None)),
    "vp9 of something else": ("vp9", b"\x02\0", UNKNOWN),
    "av1 key": ("av1", b"\x0a\1\0" + b"\x32\2\x10\0", Coded(True, 1)),
    "av1 key without header": ("av1", b"\x32\2\x10\0", Coded(False, 1)),
    "av1 key that is hidden": ("av1", b"\x0a\1\0" + b"\x32\2\0\0" + b"\x1a\1\x80", Coded(False, 1)),
    "av1, header and tiles, extended": ("av1", b"\x1e\x20\1\x30" + b"\x26\x20\x81\0" + bytes(129), Coded(False, 1)),
    "av1, last without size": ("av1", b"\x30\x30\0\0", Coded(False, 1)),
    "av1 of two layers": ("av1", 2 * b"\x32\2\x30\0", Coded(False, None)),
    "av1 still": ("av1", b"\x0a\1\x18" + b"\x32\2\x10\0", UNKNOWN),
    "jpeg": ("mjpeg", b"\xff\xd8\xff\xdb..\xff\xc4..", Coded(True, 1, True)),
    "jpeg with tables of another": ("mjpeg", b"\xff\xd8\xff\xdb..", UNKNOWN),
    "jpeg in jpeg": ("mjpeg", b"\xff\xd8\xff\xdb..\xff\xc4..\xff\xd8\xff", UNKNOWN),
    "dv": ("dvvideo", b"any", Coded(True, 1, True)),
    "another": ("wmv2", b"any", UNKNOWN),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_codecs(kind):
    name, data, expected = OTHERS[kind]
    assert read(name, data) == expected


@pytest.mark.parametrize("name", ["h264", "hevc", "av1", *bitstreams.READERS])
def test_bytes_that_break_off_tell_nothing(name):
    for data in (
        b"",
        b"\0\0\1",
        b"\0\0\1\x65",
        b"\0\0\1\x26",
        b"\0\0\1\xb6",
        b"\0\0\1\0",
        b"\x32\x7f",
        b"\xc1",
        b"\x0a\xff",
    ):
        assert not read(name, data).shows or name in ("prores", "dnxhd", "dvvideo", "vp8")


def packets(*rows, free=False, timed=True, steady=True):
    """Of times and what packets tell; the first can be entered, others where they are told to."""
    made = [
        Packet(pts, pts, (pts, place, 9), hidden=False, coded=coded, enters=coded.starts)
        for place, (pts, coded) in enumerate(rows)
    ]
    return Packets(made, free, timed, steady)


KEY, NEEDED, LEAF = Coded(True, 1), Coded(False, 1), Coded(False, 1, True)


def test_packets_are_plain_where_it_is_certain_what_they_show():
    reordered = [(0, KEY), (3, NEEDED), (1, LEAF), (2, LEAF)]
    assert packets(*reordered).plain
    assert packets(*reordered, free=True).plain
    assert not packets(*reordered, free=True, timed=False).plain
    assert packets(*reordered, timed=False).plain
    assert not packets(*reordered, steady=False).plain
    assert packets((0, KEY), (1, NEEDED), free=True).plain
    assert packets((0, KEY), (1, Coded(False, 0)), (1, NEEDED)).plain
    not_plain = {
        "no time": [(0, KEY), (None, NEEDED)],
        "a time twice": [(0, KEY), (1, NEEDED), (1, NEEDED)],
        "no beginning": [(0, NEEDED), (1, NEEDED)],
        "shown before the beginning": [(2, KEY), (1, LEAF), (3, NEEDED)],
        "nothing told": [(0, KEY), (1, UNKNOWN)],
        "times that were guessed": [(0, KEY), (1, NEEDED), (2, LEAF), (3, LEAF)],
        "one frame": [(0, KEY)],
        "none": [],
    }
    for why, rows in not_plain.items():
        assert not packets(*rows).plain, why
    assert not packets((0, KEY), (1, NEEDED), (2, LEAF), free=True).plain


def test_a_stretch_begins_at_a_frame_that_is_not_shown_after_the_wanted_one():
    """Frames 1 and 2 come after key frame 3 in the file, and may need frame 0."""
    found = packets((0, KEY), (3, KEY), (1, LEAF), (2, LEAF), (4, NEEDED))
    assert found.stretches([1]) == [Stretch(0, 2, [0, 1, 2])]
    assert found.stretches([4]) == [Stretch(1, 4, [1, 4])]
    assert found.stretches([1, 3]) == [Stretch(0, 2, [0, 1, 2])]
    assert found.stretches([0, 4]) == [Stretch(0, 0, [0]), Stretch(1, 4, [1, 4])]


def test_levels_that_others_need_are_decoded():
    middle = Coded(False, 1, True, 1)
    rows = [(0, KEY), (4, NEEDED), (2, middle), (1, Coded(False, 1, True, 2)), (3, Coded(False, 1, True, 2))]
    assert packets(*rows, free=True).stretches([3])[0].needed == [0, 1, 2, 4]
    last = (6, NEEDED)
    assert packets(*rows, last, free=True).stretches([5])[0].needed == [0, 1, 2, 5]
    assert packets(*rows[:3], last, free=True).stretches([3])[0].needed == [0, 1, 3]


def test_headers_that_a_key_frame_does_not_repeat_are_needed(tmp_path):
    """Of a stream that begins anew with other parameters: every key frame repeats its own, or the second does not."""
    path = write_video(tmp_path / "a.ts", coded_frames(30), encoder={"g": "10", "preset": "ultrafast"})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert sum(row.enters for row in read_packets(container, stream, path, Deadline(path)).rows) == 3
        context = SimpleNamespace(codec=stream.codec_context.codec, extradata=b"", pix_fmt="yuv420p")

        class Odd:
            def __init__(self, data, number):
                self.pts = self.dts = self.pos = number
                self.data, self.size, self.duration, self.time_base = data, len(data), 1, 1
                self.is_corrupt = self.is_discard = False
                self.stream = SimpleNamespace(index=0)

            def __bytes__(self):
                return self.data

            def iter_sidedata(self):
                return [SimpleNamespace(data_type="palette" if self.pts == 9 else "mpegts_stream_id")]

        def entered(*contents):
            odd = SimpleNamespace(
                demux=lambda: [Odd(annex_b(*units), number) for number, units in enumerate(contents)],
                format=SimpleNamespace(name="mpegts"),
                streams=[SimpleNamespace(time_base=1)],
                duration=None,
            )
            found = read_packets(odd, SimpleNamespace(index=0, frames=0, codec_context=context), path, Deadline(path))
            return [row.enters for row in found.rows], found.steady

    other = SPS + b"2"
    assert entered((SPS, PPS, IDR), (REFERENCE,), (IDR,)) == ([True, False, False], True)
    assert entered((SPS, PPS, IDR), (REFERENCE,), (SPS, PPS, IDR)) == ([True, False, True], True)
    assert entered((SPS, PPS, IDR), (other, PPS, REFERENCE), (SPS, PPS, IDR)) == ([True, False, False], True)
    assert entered(*[(IDR,)] * 10) == ([True] * 10, False)
