"""Media of strangers: whatever a file is called and holds, nothing else is opened, and nothing large is decoded."""

import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.interventions.image_style import read_image as read_style
from static_dynamic.media import limits
from static_dynamic.media.clip import Recipe
from static_dynamic.media.decoding import read_clip
from static_dynamic.media.images import read_image, read_images
from static_dynamic.media.writing import video_file
from static_dynamic.sources.masks import decode, read_mask
from tests.media import coded_frames, write_video

RECIPE = Recipe(frames=4, rate=1, crop=16)


@pytest.fixture
def listener():
    """A server at which nobody must call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def address(listener):
    return "{}:{}".format(*listener.getsockname())


def called(listener):
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_the_listener_notices_a_caller(listener):
    with socket.create_connection(listener.getsockname()):
        assert called(listener)


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:{}\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration='
    '"PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "ffmetadata": ";FFMETADATA1\ntitle={}\n",
    "asx": "[Reference]\nRef1={}\n",
    "rtsp": "RTSPtext{}",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".mov"])
def test_a_file_that_lists_others_opens_none(tmp_path, listener, kind, suffix):
    write_video(tmp_path / "other.mp4", coded_frames(8))
    for target in (f"http://{address(listener)}/other.mp4", "other.mp4", str(tmp_path / "other.mp4")):
        path = tmp_path / f"list{suffix}"
        path.write_text(PLAYLISTS[kind].format(target))
        with pytest.raises(BadClip, match="no video that can be read"):
            read_clip(path, RECIPE)
    assert not called(listener)


@pytest.mark.parametrize(
    "name", ["http:/{}/a.mp4", "tcp:/{}", "concat:other.mp4|other.mp4", "subfile:,,start,0:other.mp4"]
)
def test_a_name_is_a_path_whatever_protocol_it_looks_like(tmp_path, listener, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(Path("other.mp4"), coded_frames(8))
    path = Path(name.format(address(listener)))
    with pytest.raises(BadClip, match="No such file"):
        read_clip(path, RECIPE)
    write_video(tmp_path / "real.mp4", coded_frames(8))
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace("real.mp4", path)
    assert read_clip(path, RECIPE).total == 8
    with video_file(path.with_name("written.mp4"), 5) as write:
        for frame in coded_frames(4):
            write(frame)
    assert read_clip(path.with_name("written.mp4"), RECIPE).total == 4
    assert not called(listener)


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    with pytest.raises(BadClip, match="this video is not a regular file"):
        read_clip(tmp_path / "a.mp4", RECIPE)
    for read, kind in ((read_image, "frame"), (read_mask, "mask"), (read_style, "style image")):
        with pytest.raises(BadClip, match=f"this {kind} is not a regular file"):
            read(tmp_path / "b.png")


def test_formats_that_run_programs_are_not_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(BadClip, match="cannot be read"):
        read_image(tmp_path / "a.png")


def png(width, height):
    """A PNG of which a few bytes make many pixels."""
    pieces = (
        (b"IHDR", struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in pieces
    )


def tiff(width, height):
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 9))
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        + bytes(4)
    )


HUGE = {
    "png": png,
    "tif": tiff,
    "ppm": lambda width, height: b"P5 %d %d 255\n" % (width, height),
    "bmp": lambda width, height: (
        b"BM"
        + struct.pack("<IHHI", 99, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 1, 1, 0, 0)
    ),
    "gif": lambda width, height: (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\0;"
    ),
}


@pytest.mark.parametrize("side", [9000, 40000])
@pytest.mark.parametrize("kind", HUGE)
def test_a_huge_image_is_refused_by_its_header(tmp_path, monkeypatch, kind, side):
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    path = tmp_path / f"a.{kind}"
    path.write_bytes(HUGE[kind](side, side))
    for read in (read_image, read_mask, read_style):
        with pytest.raises(BadClip, match=rf"pixels; allowed are {8192**2}, .*variable STATIC_DYNAMIC_MAX_PIXELS"):
            read(path)


def test_the_environment_moves_the_limit(tmp_path, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setenv(limits.VARIABLE, "1199")
    with pytest.raises(BadClip, match="has 40x30 pixels; allowed are 1199, the limit for one image"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv(limits.VARIABLE, "1200")
    assert read_image(tmp_path / "a.png").shape == (30, 40, 3)
    for wrong in ("0", "many", "-1", "1.5", "9" * 400):
        monkeypatch.setenv(limits.VARIABLE, wrong)
        with pytest.raises(UserError, match="must be a whole number from 1 to"):
            read_image(tmp_path / "a.png")


def test_the_frames_of_a_clip_have_a_limit_together(tmp_path, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setenv(limits.VARIABLE, "1200")
    assert len(read_images([tmp_path / "a.png"] * 16)) == 16
    with pytest.raises(BadClip, match="frames of 20400 pixels together; allowed are 19200, 16 times the limit"):
        read_images([tmp_path / "a.png"] * 17)
    assert len(read_images([tmp_path / "a.png"] * 60, short_side=15)) == 60
    video = write_video(tmp_path / "a.mp4", np.zeros((20, 32, 32, 3), np.uint8))
    assert read_clip(video, Recipe(frames=16, rate=1, crop=32)).total == 20
    with pytest.raises(BadClip, match="frames of 19456 pixels together"):
        read_clip(video, Recipe(frames=20, rate=1, crop=32))


def test_a_huge_video_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "2000")
    video = write_video(tmp_path / "a.mp4", np.zeros((4, 40, 60, 3), np.uint8))
    with pytest.raises(BadClip, match="this video has 60x40 pixels; allowed are 2000"):
        read_clip(video, RECIPE)
    gif = write_video(tmp_path / "a.gif", np.zeros((4, 40, 60, 3), np.uint8), codec="gif")
    with pytest.raises(BadClip, match="video has 60x40 pixels; allowed are 2000"):
        read_clip(gif, RECIPE)
    (tmp_path / "b.gif").write_bytes(gif.read_bytes().replace(struct.pack("<HH", 60, 40), struct.pack("<HH", 999, 999)))
    with pytest.raises(BadClip, match="has too many pixels; allowed are 2000"):
        read_clip(tmp_path / "b.gif", RECIPE)


def test_run_lengths_take_no_memory_for_a_size_that_is_not_allowed():
    for counts in ([0, 10**10], "abc", []):
        with pytest.raises(BadClip, match="A mask in run lengths has 100000x100000 pixels; allowed"):
            decode({"size": [100000, 100000], "counts": counts})
    for size in ([4.0, 4], ["4", 4], [4], None, [-4, -4]):
        with pytest.raises(BadClip, match="Run lengths must be"):
            decode({"size": size, "counts": [16]})
