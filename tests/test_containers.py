"""What decodes counts, whatever the header says: the same pictures are read from any container."""

import os
import re
import sys
from struct import pack

import av
import cv2
import numpy as np
import pytest
from media import (
    coded_frames,
    cut,
    noisy_frames,
    numbers,
    only,
    patch,
    remux,
    slow_clip,
    turned,
    write_gops,
    write_video,
)
from planted import STAGES, PlantedModel

import static_dynamic as sd
from static_dynamic.common.errors import BadClip
from static_dynamic.media import decoding
from static_dynamic.media.clip import Recipe
from static_dynamic.media.containers import breaks_off
from static_dynamic.media.decoding import decoded_frames, picture, upright
from static_dynamic.sources import VideoFiles
from static_dynamic.variants import Conditions, prepare_video

CLIP = Recipe(frames=8, rate=2, crop=16)
ALL = range(40)


def edit_list(folder):
    """Copied from the key frame before the wanted moment; the edit list hides the frames up to it."""
    return remux(write_gops(folder / "whole.mp4"), folder / "a.mp4", first=10, shift=-1.55)


def sound(name, shift=0.0, seconds=20):
    return lambda folder: remux(write_gops(folder / "whole.mp4"), folder / name, shift=shift, sound=seconds)


def copied(name, first=0, shift=0.0, **options):
    return lambda folder: remux(write_gops(folder / "whole.mp4"), folder / name, first, shift, **options)


def encoded(name, codec, fps=10, **options):
    return lambda folder: write_video(folder / name, coded_frames(40), fps, codec, **options)


def open_gop(folder):
    """The first key frame is cut off, so that nothing before the next one can be decoded."""
    return remux(write_gops(folder / "whole.mp4", open_gops=True), folder / "a.mkv", first=3)


def false_count(count):
    """An AVI that was written to a pipe: its counts were never filled in."""

    def make(folder):
        path = write_video(folder / "a.avi", coded_frames(40), codec="mpeg4")
        for place in (path.read_bytes().index(b"avih") + 8 + 16, path.read_bytes().index(b"strh") + 8 + 32):
            assert path.read_bytes()[place] == 40
            patch(path, place, pack("<I", count))
        return path

    return make


def vp8_gops(path):
    encoder = {"g": "10", "keyint_min": "10", "crf": "4", "b": "2M"}
    return write_video(path, coded_frames(40), codec="libvpx", encoder=encoder)


def no_key_frame(folder):
    """A VP8 stream whose first packets need a key frame that was cut off."""
    return remux(vp8_gops(folder / "whole.webm"), folder / "a.webm", first=3)


def hidden_frames(folder):
    """A VP8 stream in which every key frame comes twice, first not to be shown: bit 4 of its first byte (RFC 6386, 9.1)."""
    with av.open(str(vp8_gops(folder / "whole.webm"))) as old, av.open(str(folder / "a.webm"), "w") as new:
        (stream,) = old.streams
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.size and packet.is_keyframe:
                content = bytes(packet)
                hidden = av.Packet(bytes([content[0] & ~0x10]) + content[1:])
                hidden.pts, hidden.dts, hidden.time_base, hidden.stream = packet.pts, packet.dts, packet.time_base, copy
                new.mux(hidden)
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    return folder / "a.webm"


# How to make a file, and the frames that are shown of it.
READABLE = {
    "edit list": (edit_list, range(16, 40)),
    "edit list and sound": (
        lambda folder: remux(write_gops(folder / "whole.mp4"), folder / "a.mov", first=10, shift=-1.55, sound=9),
        range(16, 40),
    ),
    "longer sound": (sound("a.mp4"), ALL),
    "longer sound, mkv": (sound("a.mkv"), ALL),
    "late start": (copied("a.mkv", shift=30), ALL),
    "late start, mp4": (copied("a.mp4", shift=30), ALL),
    "late start, sound": (sound("a.mkv", shift=30, seconds=10), ALL),
    "false count": (false_count(1 << 30), ALL),
    "count of a few too many": (false_count(43), ALL),
    "count of too few": (false_count(12), ALL),
    "h264": (copied("a.h264"), ALL),
    "264": (copied("a.264"), ALL),
    "m4v without container": (encoded("a.m4v", "mpeg4", container_format="m4v"), ALL),
    "mjpeg": (encoded("a.mjpeg", "mjpeg"), ALL),
    "flv": (copied("a.flv"), ALL),
    "wmv": (encoded("a.wmv", "wmv2"), ALL),
    "asf": (encoded("a.asf", "msmpeg4v3", encoder={"qmin": "1", "qmax": "2"}), ALL),
    "ts": (copied("a.ts"), ALL),
    "mts": (copied("a.mts"), ALL),
    "m2ts": (copied("a.m2ts"), ALL),
    "vob": (encoded("a.vob", "mpeg2video", fps=25), ALL),
    "mxf": (encoded("a.mxf", "mpeg2video", fps=25), ALL),
    "fragments": (copied("a.mp4", movflags="frag_keyframe+empty_moov"), ALL),
    "open gop": (open_gop, range(10, 40)),
    "no key frame": (no_key_frame, range(10, 40)),
    "hidden frames": (hidden_frames, ALL),
}


# Files whose packets do not tell when frames are shown; they are decoded as a whole.
UNTIMED = ("h264", "264")


@pytest.mark.parametrize("kind", READABLE)
def test_the_frames_that_are_shown_are_numbered(tmp_path, kind):
    make, shown = READABLE[kind]
    path = make(tmp_path)
    source = VideoFiles(path)
    clip = source.read(only(source), CLIP)
    middle = slow_clip(len(shown), (len(shown) - 16) // 2, 16, [8])[0]
    assert numbers(clip.frames) == [shown[number] for number in middle]
    assert clip.total == len(shown)
    assert list(clip.sample.numbers) == middle
    assert numbers(picture(frame) for _, frame in decoded_frames(path)) == list(shown)


def holed(path, size=4000):
    """A copy in which bytes in the middle are nought."""
    return patch(path, path.stat().st_size // 2, bytes(size))


def noisy(name, codec="libx264", **options):
    return lambda folder: write_video(folder / name, noisy_frames(40), 25, codec, **options)


# Kinds of files, and whether they tell that their end is missing; streams that are made to be cut anywhere do not.
BREAKABLE = {
    "mp4": noisy("a.mp4", movflags="faststart"),
    "fragments": noisy("a.mp4", movflags="frag_keyframe+empty_moov", encoder={"g": "10"}),
    "mkv": noisy("a.mkv"),
    "webm": noisy("a.webm", "libvpx"),
    "avi": noisy("a.avi", "mpeg4"),
    "wmv": noisy("a.wmv", "wmv2"),
    "flv": noisy("a.flv"),
    "h264": noisy("a.h264"),
}


@pytest.mark.parametrize("kind", BREAKABLE)
def test_a_file_that_breaks_off_is_named(tmp_path, kind, capfd):
    path = BREAKABLE[kind](tmp_path)
    assert len(list(decoded_frames(path))) == 40
    for share in (0.4, 0.7):
        source = VideoFiles(cut(path, share))
        with pytest.raises(BadClip, match=r"cut_a.*: damaged or truncated after [0-9]+ frames"):
            source.read(only(source), CLIP)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["mp4", "fragments", "mkv", "avi", "flv", "h264", "ts"])
def test_damage_in_the_middle_is_named(tmp_path, kind, capfd):
    path = holed((BREAKABLE | {"ts": noisy("a.ts")})[kind](tmp_path))
    with pytest.raises(BadClip, match=r"damaged or truncated after [0-9]+ frames"):
        list(decoded_frames(path))
    assert capfd.readouterr().err == ""


def test_bad_files_among_odd_and_good_ones_cost_a_line_each(tmp_path):
    for number, (make, _) in enumerate(READABLE.values()):
        (folder := tmp_path / "videos" / f"{number:02d}").mkdir(parents=True)
        make(folder)
        for whole in folder.glob("whole.*"):
            whole.unlink()
    for name, make in BREAKABLE.items():
        (folder := tmp_path / "videos" / f"cut {name}").mkdir()
        cut(make(folder)).replace(next(folder.glob("a.*")))
    source = VideoFiles(tmp_path / "videos")
    assert len(source.videos) == len(READABLE) + len(BREAKABLE)
    for video in source.videos:
        if video.name.startswith("cut"):
            with pytest.raises(BadClip, match=re.escape(video.name)):
                source.read(video, CLIP)
        else:
            assert len(source.read(video, CLIP).frames) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_run_over_odd_files_and_names_ends_well(tmp_path):
    """Good files, odd ones, names that are not UTF-8, a small video and a broken one, all in one folder."""
    root = tmp_path / os.fsdecode(b"odd \xff")
    root.mkdir()
    for number in range(4):
        write_video(root / f"good {number}.mp4", coded_frames(20))
    edit_list(root).rename(root / os.fsdecode(b"trim\xfe.mp4"))
    (root / "whole.mp4").unlink()
    copied("a.h264")(root).rename(root / "two\nlines.h264")
    (root / "whole.mp4").rename(root / "whole")
    write_video(root / "small.mp4", noisy_frames(20, 14, 24))
    (root / os.fsdecode(b"bad\xfd.mp4")).write_text("no video")
    result = sd.measure(
        PlantedModel(), root, STAGES, recipe=CLIP, styles=("original", "ink"), compute=sd.Compute(max_bad=0.5)
    )
    records = {record["video"]: record["problem"] for record in result.manifest["videos"]}
    good = {*(f"good {number}.mp4" for number in range(4)), r"trim\xfe.mp4", r"two\nlines.h264"}
    assert {name for name, problem in records.items() if problem is None} == good
    assert records.keys() - good == {"small.mp4", r"bad\xfd.mp4"}
    assert all(name in problem for name, problem in records.items() if problem)
    folder = result.save(tmp_path / "run")
    assert r"trim\\xfe.mp4" in (folder / "run.json").read_text(encoding="utf-8")
    result.report(folder / "report.html")


def test_a_video_that_is_too_small_to_be_restyled_costs_a_line(tmp_path):
    write_video(tmp_path / "small.mp4", noisy_frames(20, 14, 24))
    write_video(tmp_path / "fits.mp4", noisy_frames(20, 16, 24))
    source = VideoFiles(tmp_path)
    conditions = Conditions(("original", "ink"))
    fits, small = source.videos
    assert prepare_video(source, fits, CLIP, conditions)
    with pytest.raises(BadClip, match=r"small\.mp4: 24x14 pixels are too few: at least 16 on each side are required"):
        prepare_video(source, small, CLIP, conditions)


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("odd\nthing"), ValueError("odd thing")])
def test_whatever_goes_wrong_with_a_frame_is_one_line(tmp_path, monkeypatch, error):
    path = write_video(tmp_path / "a.mp4", coded_frames(20))

    def fail(*_):
        raise error

    monkeypatch.setattr(decoding, "picture", fail)
    with pytest.raises(BadClip, match=r"a\.mp4: no video that can be read \((MemoryError|.*odd thing)"):
        decoding.read_clip(path, CLIP)


def test_what_is_missing_behind_the_last_frame_does_not_matter(tmp_path):
    path = write_gops(tmp_path / "a.mp4", movflags="faststart")
    path.write_bytes(path.read_bytes() + pack(">I4s", 1000, b"free"))
    assert breaks_off(path)
    assert len(list(decoded_frames(path))) == 40


@pytest.mark.parametrize("kind", [kind for kind in READABLE if kind not in UNTIMED])
def test_no_frame_after_the_last_one_wanted_is_decoded(tmp_path, monkeypatch, kind):
    make, shown_numbers = READABLE[kind]
    path = make(tmp_path)
    decoded = []

    def counted(decode):
        def count(*arguments):
            for frame in decode(*arguments):
                decoded.append(frame.pts)
                yield frame

        return count

    for name in ("_shown", "_decoded"):
        monkeypatch.setattr(decoding, name, counted(getattr(decoding, name)))
    clip = decoding.read_clip(path, CLIP)
    assert clip.total == len(shown_numbers)
    assert decoded == sorted(decoded)
    assert len(clip.frames) <= len(decoded) <= clip.sample.numbers[-1] + 1


@pytest.mark.parametrize(
    ("kind", "fps"),
    [("edit list", 10), ("late start, sound", 10), ("false count", 10), ("h264", None), ("open gop", 10)],
)
def test_the_frame_rate_is_that_of_the_frames_that_are_shown(tmp_path, kind, fps):
    path = READABLE[kind][0](tmp_path)
    assert decoding.read_clip(path, CLIP).fps == fps


def test_a_rate_that_the_times_deny_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.avi", coded_frames(40), fps=25, codec="mpeg4")
    assert decoding.read_clip(path, CLIP).fps == 25
    slow = tmp_path / "slow.mkv"
    with av.open(str(path)) as old, av.open(str(slow), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts, packet.stream = 5 * packet.pts, 5 * packet.dts, copy
                new.mux(packet)
    assert decoding.read_clip(slow, CLIP).fps == pytest.approx(5, rel=0.01)


# --- sizes that containers tell ----------------------------------------------------------------------------------


def ebml(size):
    return b"\x1a\x45\xdf\xa3\x83abc" + b"\x18\x53\x80\x67" + size + bytes(40)


SIZES = {
    "box": (pack(">I4s8x", 16, b"ftyp") + pack(">I4s32x", 40, b"mdat"), False),
    "box too long": (pack(">I4s8x", 16, b"ftyp") + pack(">I4s32x", 41, b"mdat"), True),
    "box up to the end": (pack(">I4s8x", 16, b"ftyp") + pack(">I4s32x", 0, b"mdat"), False),
    "box of 64 bits": (pack(">I4s8x", 16, b"ftyp") + pack(">I4sQ32x", 1, b"mdat", 48), False),
    "box of 64 bits, too long": (pack(">I4s8x", 16, b"ftyp") + pack(">I4sQ32x", 1, b"mdat", 1 << 33), True),
    "riff": (pack("<4sI32x", b"RIFF", 32), False),
    "riff too long": (pack("<4sI32x", b"RIFF", 33), True),
    "riff never filled in": (pack("<4sI32x", b"RIFF", 0xFFFFFFFF), False),
    "two riffs": (pack("<4sI32x", b"RIFF", 32) + pack("<4sI32x", b"RIFF", 60), True),
    "riff and rubbish": (pack("<4sI32x", b"RIFF", 32) + b"rubbish" * 9, False),
    "segment": (ebml(b"\xa8"), False),
    "segment too long": (ebml(b"\xa9"), True),
    "segment of 8 bytes, too long": (ebml(b"\x01" + bytes(6) + b"\x29"), True),
    "segment of unknown size": (ebml(b"\x01" + b"\xff" * 7), False),
    "neither": (b"GIF89a" + bytes(50), False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_tell_whether_a_file_breaks_off(tmp_path, kind):
    content, expected = SIZES[kind]
    (tmp_path / "file").write_bytes(content)
    assert breaks_off(tmp_path / "file") == expected


# --- display matrices --------------------------------------------------------------------------------------------

TURNS = [(sx, 0, 0, sy) for sx in (1, -1) for sy in (1, -1)] + [(0, sx, sy, 0) for sx in (1, -1) for sy in (1, -1)]


def shown_by(a, b, c, d, image):
    """Every pixel (x, y) goes to (a x + c y, b x + d y), moved back into the picture: ISO/IEC 14496-12, 6.2.2."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    shown = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
    shown[down, right] = image
    return shown


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_is_turned_and_mirrored_as_its_matrix_says(tmp_path, turn):
    path = write_video(tmp_path / "a.mp4", np.repeat(noisy_frames(1), 4, axis=0))
    plain = decoding.read_clip(path, Recipe(frames=2, rate=2, crop=48)).frames
    shown = decoding.read_clip(turned(path, *turn), Recipe(frames=2, rate=2, crop=48)).frames
    assert np.array_equal(shown, [shown_by(*turn, frame) for frame in plain])


def test_an_oblique_matrix_is_brought_to_the_nearest_quarter_turn():
    image = noisy_frames(1, 4, 6)[0]
    oblique = np.array([[0.9, 0.4, 0], [-0.4, 0.9, 0], [0, 0, 1]]) * 65536
    assert np.array_equal(upright(image, oblique.astype(np.int32)), image)


# --- colours -----------------------------------------------------------------------------------------------------

# Weights of red and blue in luma, and the codes of the matrices: ITU-T H.273, table 4.
MATRICES = {"bt601": (0.299, 0.114, 6), "bt709": (0.2126, 0.0722, 1)}


def rgb(luma, blueness, redness, matrix, full):
    """The colour of one sample: ITU-R BT.601 and BT.709, 3.2 and 3.4, with the offsets and scales of 8-bit coding."""
    red_weight, blue_weight, _ = MATRICES[matrix]
    y = luma / 255 if full else (luma - 16) / 219
    cb, cr = ((level - 128) / (255 if full else 224) for level in (blueness, redness))
    red, blue = y + 2 * (1 - red_weight) * cr, y + 2 * (1 - blue_weight) * cb
    green = (y - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return [round(255 * part) for part in (red, green, blue)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_are_those_of_the_matrix_that_the_file_names(tmp_path, matrix, full):
    samples = (110, 90, 160)
    planes = np.repeat(np.array(samples, np.uint8), (32 * 48, 16 * 24, 16 * 24)).reshape(48, 48)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = MATRICES[matrix][2], 2 if full else 1
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.colorspace, frame.color_range = context.colorspace, context.color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    shown = decoding.read_clip(tmp_path / "a.mp4", Recipe(frames=2, rate=2, crop=32)).frames
    assert np.abs(shown.astype(int) - rgb(*samples, matrix, full)).max() <= 2
