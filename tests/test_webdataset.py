"""Videos in tar files: the same clips as from plain files, at their place, and nothing of a stranger's tar file does harm."""

import io
import os
import random
import struct
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import coded_frames, cut, noisy_frames, numbers, only, slow_clip, write_frames, write_video
from PIL import Image
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.files import FORGOTTEN, partial_path
from static_dynamic.config import open_data, read_config
from static_dynamic.media import stored
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import FrameFolders, VideoFiles, WebDataset, open_source
from static_dynamic.sources.left_out import by_reason
from static_dynamic.sources.tar_members import Damaged, members
from static_dynamic.sources.webdataset import tar_files

SMALL = Recipe(frames=8, rate=2, crop=16)
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def write_tar(path, files, kind=tarfile.PAX_FORMAT):
    """A tar file of names and contents, in this order."""
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in files.items() if isinstance(files, dict) else files:
            add(tar, name, content)
    return path


def add(tar, name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def packed(path, folder):
    """A tar file of a folder, in the order of names."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return write_tar(path, {file.relative_to(folder).as_posix(): file.read_bytes() for file in files})


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a video of 30 frames that tell their number."""
    return write_video(tmp_path_factory.mktemp("content") / "a.mp4", coded_frames(30)).read_bytes()


@pytest.fixture
def clips(tmp_path):
    """A folder of videos of several containers, one of them damaged."""
    write_video(tmp_path / "clips" / "run" / "a.mp4", coded_frames(30))
    write_video(tmp_path / "clips" / "run" / "b.avi", coded_frames(20), codec="mpeg4")
    write_video(tmp_path / "clips" / "walk" / "c.mkv", noisy_frames(24, 40, 60))
    write_video(tmp_path / "clips" / "walk" / "raw.h264", coded_frames(18), container_format="h264")
    cut(write_video(tmp_path / "clips" / "walk" / "whole.mp4", noisy_frames(30)), 0.5, "d.mp4")
    return tmp_path / "clips"


def same(one, other):
    assert np.array_equal(one.frames, other.frames)
    assert one.sample.numbers == other.sample.numbers
    assert (one.total, one.fps) == (other.total, other.fps)


def classes(source):
    return {video.name: video.label for video in source.videos}


# --- the same clips ----------------------------------------------------------------------------------------------


def test_a_clip_from_a_tar_file_is_that_of_the_plain_file(tmp_path, clips):
    there, here = VideoFiles(clips), open_source(packed(tmp_path / "a.tar", clips))
    assert isinstance(here, WebDataset)
    assert [video.name for video in here.videos] == [video.name for video in there.videos]
    for plain, video in zip(there.videos, here.videos, strict=True):
        if plain.name == "walk/d.mp4":
            messages = []
            for source, each in ((there, plain), (here, video)):
                with pytest.raises(BadClip) as caught:
                    source.read(each, SMALL)
                messages.append(str(caught.value))
            assert messages[1] == messages[0].replace(str(clips), str(tmp_path / "a.tar"))
        else:
            same(there.read(plain, SMALL), here.read(video, SMALL))
            assert here.read(video, SMALL).source == f"{tmp_path / 'a.tar'}/{video.name}"


@pytest.mark.parametrize("name", ["f/{:d}.jpg", "f/{:d}.png", "f.{:03d}.jpg", "{:d}.jpg"])
def test_a_video_of_frames_from_a_tar_file_is_that_of_the_folder(tmp_path, name):
    place = Path(name)
    write_frames(tmp_path / "frames" / place.parent, coded_frames(23), place.name)
    files = sorted((tmp_path / "frames").rglob("*.*"), key=lambda path: str(path)[::-1])  # not in playing order
    tar = write_tar(
        tmp_path / "f.tar", [(str(path.relative_to(tmp_path / "frames")), path.read_bytes()) for path in files]
    )
    there, here = FrameFolders(tmp_path / "frames"), open_source(tar)
    assert only(here).name == "f"
    clip = here.read(only(here), SMALL)
    same(there.read(only(there), SMALL), clip)
    assert numbers(clip.frames) == list(clip.sample.numbers)
    assert clip.source == f"{tar}/f"


def test_a_measurement_of_tar_files_is_that_of_the_folder(tmp_path, videos):
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    options = {"stages": {"relu": ("1", "N C T H W")}, "recipe": Recipe(frames=4, rate=1, crop=16), "twins": 0}
    shards = tmp_path / "shards"
    shards.mkdir()
    for name in "ab":
        write_tar(shards / f"{name}.tar", {f"{name}.mp4": (videos / f"{name}.mp4").read_bytes()})
    there, here = (sd.measure(network, str(place), **options) for place in (videos, shards))
    for name in ("layers", "units"):
        assert getattr(there, name).equals(getattr(here, name))


def test_the_program_takes_tar_files(tmp_path, clips):
    packed(tmp_path / "clips-000.tar", clips)
    config = read_config([f"--videos={tmp_path}/clips-{{000..000}}.tar", "--labels=folders"])
    assert classes(open_data(config, SMALL)) == classes(VideoFiles(clips, labels="folders"))


def test_videos_are_read_at_their_place_in_any_order_and_leave_no_file(tmp_path, monkeypatch, content):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    left = partial_path(tmp_path / "temporary" / "clip").with_name(".x.elsewhere.1-0.part")
    left.mkdir()
    os.utime(left, (0, os.stat(left).st_mtime - FORGOTTEN - 60))
    files = {f"{number}.mp4": content for number in range(4)} | {"broken.mp4": b"no video"}
    source = open_source(write_tar(tmp_path / "a.tar", files))
    opened = []
    monkeypatch.setattr(tarfile, "open", lambda *arguments, **options: opened.append(arguments))
    order = [*source.videos] * 2
    random.Random(0).shuffle(order)
    for video in order:
        if video.name == "broken.mp4":
            with pytest.raises(BadClip, match=f"^{tmp_path}/a.tar/broken.mp4: no video that can be read"):
                source.read(video, SMALL)
        else:
            assert numbers(source.read(video, SMALL).frames) == slow_clip(30, 7, 16, [8])[0]
    assert not opened
    assert not list((tmp_path / "temporary").iterdir())


# --- names, classes, samples -------------------------------------------------------------------------------------


def test_members_that_differ_in_their_extension_are_a_sample(tmp_path, content):
    files = {
        "x/a.mp4": content, "x/a.cls": b"3\n", "x/a.txt": b"a caption",
        "x/b.json": b'{"label": "run", "fps": 10}', "x/b.mp4": content,
        "x/c.mp4": content, "x/c.txt": "gehen über".encode(),
        "x/d.rgb.mp4": content, "x/d.flow.mp4": content, "x/d.cls": b"4", "x/d.flow.cls": b"5",
        "x/e.mp4": content, "x/e.json": b'{"caption": "long"}', "x/e.txt": b"word " * 50,
        "x/f.MP4": content, "x/f.json": b'{"label": 7}', "x/.g.mp4": b"hidden", "README.md": b"notes",
    }  # fmt: skip
    source = open_source(write_tar(tmp_path / "s-0.tar", files))
    assert classes(source) == {
        "x/a.mp4": "3", "x/b.mp4": "run", "x/c.mp4": "gehen über", "x/d.rgb.mp4": "4", "x/d.flow.mp4": "5",
        "x/e.mp4": None, "x/f.MP4": "7",
    }  # fmt: skip
    together = {video.name for video in source.videos if video.sequence == "s-0.tar/x/d"}
    assert together == {"x/d.rgb.mp4", "x/d.flow.mp4"}
    assert all(video.sequence is None for video in source.videos if video.name not in together)
    assert source.left_out == []
    one = open_source(tmp_path / "s-0.tar", pattern="*.rgb.mp4", labels="folders")
    assert classes(one) == {"x/d.rgb.mp4": "4"}
    assert only(one).sequence is None
    assert classes(open_source(tmp_path / "s-0.tar", labels="folders"))["x/e.mp4"] == "x"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", b"{", "Expecting property name"),
        ("a.json", b"[" * 100_000, "recursion"),
        ("a.json", b'{"label": [1]}', "the label in .json is a list"),
        ("a.cls", b"\xff\xfe", "can't decode byte"),
        ("a.txt", b" " * ((1 << 20) + 1), "more than 1048576 bytes in .txt"),
    ],
)
def test_a_video_whose_class_cannot_be_read_is_left_out_and_named(tmp_path, content, name, text, why):
    source = open_source(write_tar(tmp_path / "s.tar", {"a.mp4": content, name: text, "b.mp4": content}))
    assert [video.name for video in source.videos] == ["b.mp4"]
    ((left, reason),) = source.left_out
    assert left == "s.tar/a.mp4"
    assert reason.startswith("a class that cannot be read (")
    assert why in reason


def test_a_path_that_several_tar_files_hold_is_named_after_them(tmp_path, content):
    for name in ("one/x.tar", "two/x.tar"):
        (tmp_path / name).parent.mkdir()
        write_tar(tmp_path / name, {"a.mp4": content, f"{name[:3]}.mp4": content})
    source = open_source(tmp_path)
    assert [video.name for video in source.videos] == ["one/x.tar/a.mp4", "one.mp4", "two/x.tar/a.mp4", "two.mp4"]
    for video in source.videos:
        assert source.read(video, SMALL).total == 30


def test_images_are_frames_only_where_they_are_no_samples_of_their_own(tmp_path, content):
    image = io.BytesIO()
    Image.fromarray(coded_frames(1)[0]).save(image, "JPEG")
    jpeg = image.getvalue()
    labelled = {f"c/{number}.{kind}": jpeg if kind == "jpg" else b"1" for number in range(3) for kind in ("jpg", "cls")}
    files = {f"a/{number}.jpg": jpeg for number in range(3)} | {"b/0.jpg": jpeg} | labelled
    source = open_source(write_tar(tmp_path / "s.tar", files | {"a.cls": b"walk"}))
    assert classes(source) == {"a": "walk"}
    assert source.left_out == [("s.tar/b", "a single image"), ("s.tar/c", "images with a class each, not frames")]
    beside = open_source(write_tar(tmp_path / "t.tar", {"v.mp4": content} | files))
    assert [video.name for video in beside.videos] == ["v.mp4"]
    assert ("t.tar/a", "images next to video files") in beside.left_out


def test_several_sequences_in_a_folder_of_frames_are_a_bad_clip(tmp_path):
    for name in ("img_{}.jpg", "flow_{}.jpg"):
        write_frames(tmp_path / "f" / "a", coded_frames(4), name)
    tar = packed(tmp_path / "s.tar", tmp_path / "f")
    recipe = Recipe(frames=4, rate=1, crop=16)
    with pytest.raises(
        BadClip, match=r"s\.tar/a: holds several sequences .* WebDataset\(pattern='flow_\*'\) reads one"
    ):
        open_source(tar).read(only(open_source(tar)), recipe)
    source = open_source(tar, pattern="img_*")
    assert numbers(source.read(only(source), recipe).frames) == [0, 1, 2, 3]


# --- which tar files ---------------------------------------------------------------------------------------------


def test_patterns_name_tar_files_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (2, 10, 9):
        write_tar(Path(f"s-{number}.tar"), {})
        write_tar(Path(f"s-{number:03d}.tar"), {})
    for pattern, names in {
        "s-{9..10}.tar": ["s-9", "s-10"],
        "s-{009..010}.tar": ["s-009", "s-010"],
        "s-{10,2}.tar": ["s-10", "s-2"],
        "s-??.tar": ["s-10"],
        "{s,s}-0[01]*.tar": ["s-002", "s-009", "s-010"] * 2,
    }.items():
        assert [path.stem for path in tar_files(pattern)] == names
    assert [path.stem for path in tar_files(tmp_path)] == ["s-002", "s-2", "s-009", "s-9", "s-010", "s-10"]
    Path("s{1..2}.tar").touch()
    assert tar_files("s{1..2}.tar") == [Path("s{1..2}.tar")]


WRONG = {
    "a missing tar file": ("{}/s-{{0..3}}.tar", r"s-1\.tar does not exist"),
    "nothing matches": ("{}/t-*.tar", r"No tar file in .*t-\*\.tar"),
    "backwards": ("{}/s-{{3..0}}.tar", r"\{3\.\.0\} must count up"),
    "too many": ("{}/s-{{0..999999999}}.tar", "at most 1000000 tar files"),
    "far too many": ("{}/{{0..9999}}-{{0..9999}}.tar", "names 100000000 tar files"),
    "a program": ("pipe:cat {}/s-0.tar", "does not exist"),
    "an address": ("http://localhost/s-0.tar", "can be neither listed nor written"),
}


@pytest.mark.parametrize("slip", WRONG)
def test_what_names_no_tar_file_is_one_line(tmp_path, slip):
    given, says = WRONG[slip]
    write_tar(tmp_path / "s-0.tar", {})
    with pytest.raises(UserError, match=says) as caught:
        open_source(given.format(tmp_path))
    assert "\n" not in str(caught.value)


def test_lists_of_tar_files(tmp_path, content):
    paths = [write_tar(tmp_path / f"{name}.tar", {f"{name}.mp4": content}) for name in "ba"]
    source = open_source(paths)
    assert [video.name for video in source.videos] == ["b.mp4", "a.mp4"]
    assert source.describe()["shards"] == 2
    with pytest.raises(UserError, match="is listed twice"):
        open_source([*paths, paths[0]])
    with pytest.raises(UserError, match="must hold paths"):
        WebDataset([3])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_tar_file_is_one_line(tmp_path, kind):
    for name in (f"a.tar.{kind}", f"{kind}.tar"):
        with tarfile.open(tmp_path / name, f"w:{kind}") as tar:
            add(tar, "a.mp4", b"content")
        with pytest.raises(UserError, match=r"is compressed with \w+, so that .* unpack it to \.tar"):
            open_source(tmp_path / name)


def test_what_lies_next_to_tar_files(tmp_path, content, clips):
    write_tar(clips / "more.tar", {"a.mp4": content})
    source = open_source(clips)
    assert isinstance(source, VideoFiles)
    assert source.left_out == [("more.tar", "a tar file next to video files")]
    write_frames(tmp_path / "frames" / "a", coded_frames(3))
    write_tar(tmp_path / "frames" / "b.tar", {})
    assert open_source(tmp_path / "frames").left_out == [("b.tar", "a tar file next to folders of frames")]


def test_tar_files_without_videos_say_what_is_there(tmp_path):
    write_tar(tmp_path / "a.tar", {"a.txt": b"x", "b/0.jpg": b""})
    with pytest.raises(UserError, match=r"No video in .*a\.tar: 1 tar files\. Left out: a\.tar/b, a single image\."):
        open_source(tmp_path / "a.tar")
    with pytest.raises(UserError, match=r"No video named '\*\.flow' in"):
        open_source(tmp_path / "a.tar", pattern="*.flow")


# --- changes -----------------------------------------------------------------------------------------------------


def test_a_tar_file_that_changes_is_noticed(tmp_path, content):
    tar = write_tar(tmp_path / "a.tar", {"a.mp4": content, "b.mp4": content})
    source = open_source(tar)
    first = [source.stamp(video) for video in source.videos]
    assert len({*first}) == 2
    assert first == [open_source(tar).stamp(video) for video in source.videos]
    with tarfile.open(tar, "a") as opened:
        add(opened, "c.mp4", content)
    with pytest.raises(BadClip, match="has changed since its members were listed"):
        source.read(source.videos[0], SMALL)
    assert source.stamp(source.videos[0]) != first[0]
    tar.unlink()
    with pytest.raises(BadClip, match="has changed"):
        source.read(source.videos[0], SMALL)


def test_a_disk_without_space_is_said(tmp_path, content, monkeypatch):
    source = open_source(write_tar(tmp_path / "a.tar", {"a.mp4": content}))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        BadClip, match=rf"a.tar/a.mp4: {len(content)} bytes are too many to unpack: 10 are free in .*TMPDIR"
    ):
        source.read(only(source), SMALL)
    monkeypatch.undo()
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r": real(Path("/dev/full") if mode == "wb" else path, mode))
    with pytest.raises(UserError, match=r"Cannot unpack .*a\.mp4 to .*: No space left on device.*TMPDIR") as caught:
        source.read(only(source), SMALL)
    assert not isinstance(caught.value, BadClip)


# --- tar files of strangers --------------------------------------------------------------------------------------


@given(
    kind=st.sampled_from(FORMATS),
    files=st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=20),
            st.integers(1, 9),
            st.binary(max_size=1100),
        ),
        max_size=6,
    ),
)
def test_members_are_those_that_tarfile_finds(tmp_path_factory, kind, files):
    tar = tmp_path_factory.mktemp("tar") / "a.tar"
    files = [("/".join([name] * deep), content) for name, deep, content in files]
    try:
        write_tar(tar, files, kind)
    except (ValueError, UnicodeEncodeError):
        return  # USTAR cannot hold long names
    with tarfile.open(tar) as opened:
        there = [(info.name, info.offset_data, info.size) for info in opened if info.isfile()]
    assert [(found.name, found.offset, found.size) for found in members(tar)] == there
    whole = tar.read_bytes()
    assert [whole[found.offset :][: found.size] for found in members(tar)] == [
        content for name, content in files if not name.endswith("/")
    ][: len(there)]


HOSTILE = {
    "absolute": ("/etc/passwd.mp4", {}, "a path that leads out of the tar file"),
    "upwards": ("x/../../a.mp4", {}, "a path that leads out of the tar file"),
    "a link": ("a.mp4", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link in a tar file"),
    "a hard link": ("a.mp4", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, "a link in a tar file"),
    "a device": ("a.mp4", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, "a device or pipe in a tar file"),
    "a pipe": ("a.mp4", {"type": tarfile.FIFOTYPE}, "a device or pipe in a tar file"),
    "sparse": ("a.mp4", {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 12}}, "a sparse file in a tar file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_members_that_are_no_plain_files_are_left_out(tmp_path, content, kind):
    name, fields, why = HOSTILE[kind]
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        add(tar, name, b"", **fields)
        add(tar, "good.mp4", content)
    source = open_source(tmp_path / "s.tar")
    assert [video.name for video in source.videos] == ["good.mp4"]
    assert source.left_out == [(f"s.tar/{name}", why)]
    assert source.read(only(source), SMALL).total == 30


def test_names_are_one_line_and_those_that_appear_twice_are_left_out(tmp_path, content):
    names = [
        "two\nlines.mp4",
        "back\\slash.mp4",
        "<script>.mp4",
        "=1+1.mp4",
        "-x.mp4",
        "twice.mp4",
        "twice.mp4",
        "n" * 3000 + ".mp4",
        "bad\udcff.mp4",
    ]
    source = open_source(write_tar(tmp_path / "s.tar", [(name, content) for name in names], tarfile.GNU_FORMAT))
    assert [video.name for video in source.videos] == [
        r"two\nlines.mp4", r"back\\slash.mp4", "<script>.mp4", "=1+1.mp4", "-x.mp4", "n" * 3000 + ".mp4", r"bad\xff.mp4",
    ]  # fmt: skip
    assert by_reason(source.left_out) == [("several members of one name", ["s.tar/twice.mp4"])]
    assert all(source.read(video, SMALL).total == 30 for video in source.videos)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_tar_file_that_breaks_off_is_named_and_its_whole_members_are_read(tmp_path, content, share):
    whole = write_tar(
        tmp_path / "s.tar", {f"{number}.mp4": content for number in range(6)}, tarfile.USTAR_FORMAT
    ).read_bytes()
    length = int(share * 6 * (512 + len(padded(content))))
    (tmp_path / "s.tar").write_bytes(whole[:length])
    source = open_source(tmp_path / "s.tar")
    count = length // (512 + len(padded(content)))
    assert [video.name for video in source.videos] == [f"{number}.mp4" for number in range(count)]
    assert source.left_out == [("s.tar", f"damaged or truncated (after {count} members)")]
    assert all(source.read(video, SMALL).total == 30 for video in source.videos)


def test_a_file_that_is_no_tar_file_is_said(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(b"no tar file " * 99)
    (tmp_path / "empty.tar").touch()
    for name in ("a", "empty"):
        with pytest.raises(UserError, match=rf"Left out: {name}\.tar, not a tar file\."):
            open_source(tmp_path / f"{name}.tar")
    write_tar(tmp_path / "b.tar", {"b.mp4": content})
    source = open_source(tmp_path)
    assert [video.name for video in source.videos] == ["b.mp4"]
    assert source.left_out == [("a.tar", "not a tar file"), ("empty.tar", "not a tar file")]
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(BadClip, match="this tar file is not a regular file"):
        open_source(tmp_path)


def header(kind=b"0", size=0, name=b"a.mp4", tail=b""):
    """The header of a member, with its sum of bytes, whatever its fields say."""
    number = b"%011o\0" % size if size >= 0 else struct.pack(">q", size).rjust(12, b"\xff")
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + number + b"0" * 11 + b"\0" + b" " * 8 + kind)
    block = bytearray(block.ljust(257, b"\0") + b"ustar\0" + b"00" + bytes(119) + tail).ljust(512, b"\0")[:512]
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content):
    return content.ljust(-(-len(content) // 512) * 512, b"\0")


def extended(record):
    return header(b"x", len(record)) + padded(record)


BOMBS = {
    "a size below zero": header(size=-512),
    "a longer header below zero": header(b"x", -512),
    "a size below zero in a longer header": extended(b"13 size=-512\n") + header(),
    "a size of many digits": extended(b"9999 size=" + b"9" * 9989) + header(),
    "a size that is no number": extended(b"14 size=a lot\n") + header(),
    "a giant size": header(size=8**11 - 1),
    "a giant longer header": header(b"x", 8**11 - 1),
    "a giant name": header(b"L", 8**11 - 1),
    "digits without end": extended(b"1" * 1_000_000) * 4 + header(),
    "records of no length": extended(b"0 path=b\n" * 9) + header(size=8**11 - 1),
    "many longer headers": extended(b"9 a=bcde\n") * 2_000 + header(size=8**11 - 1),
    "a sparse map without end": header(b"S", tail=bytes(482 - 384) + b"\1") + (bytes(504) + b"\1" + bytes(7)) * 20_000,
    "nothing follows": header(b"x", 9) + padded(b"9 a=bcde\n"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_headers_that_lie_end_the_list_of_members(tmp_path, bomb):
    good = header(size=3, name=b"good.mp4") + padded(b"abc")
    (tmp_path / "a.tar").write_bytes(good + BOMBS[bomb] + bytes(0 if "sparse" in bomb else 1024))
    found = members(tmp_path / "a.tar")
    assert next(found)[:3:2] == ("good.mp4", 3)
    with pytest.raises(Damaged, match="after 1 members"):
        next(found)
    assert open_source(tmp_path / "a.tar").left_out == [("a.tar", "damaged or truncated (after 1 members)")]


def test_what_a_video_in_a_tar_file_is_called_or_holds_opens_nothing_else(tmp_path, content):
    playlist = f"ffconcat version 1.0\nfile '{write_video(tmp_path / 'other.mp4', coded_frames(8))}'\n".encode()
    files = {"list.mp4": playlist, "concat:other.mp4|other.mp4": content, "a.mp4": content, "b.mp4;rm -rf x": content}
    source = open_source(write_tar(tmp_path / "s.tar", files))
    assert [video.name for video in source.videos] == ["list.mp4", "concat:other.mp4|other.mp4", "a.mp4"]
    with pytest.raises(BadClip, match=r"s\.tar/list\.mp4: no video that can be read"):
        source.read(source.videos[0], SMALL)
    assert source.read(source.videos[1], SMALL).total == 30


def test_an_image_that_is_damaged_is_named(tmp_path):
    write_frames(tmp_path / "f" / "a", coded_frames(4))
    (tmp_path / "f" / "a" / "2.jpg").write_bytes(b"no image")
    source = open_source(packed(tmp_path / "s.tar", tmp_path / "f"))
    with pytest.raises(BadClip, match=rf"^{tmp_path}/s\.tar/a/2\.jpg: this frame cannot be read"):
        source.read(only(source), Recipe(frames=4, rate=1, crop=16))
