"""Folders are walked behind links, never for ever; what cannot be printed in a name is escaped, and nothing is lost."""

import os
import shutil
import sys

import pytest
from media import coded_frames, numbers, write_davis, write_frames, write_video

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.sources import Davis, FrameFolders, VideoFiles, open_source
from static_dynamic.sources.walk import files_below, folders_below, name_below

FOUR = Recipe(frames=4, rate=1, crop=16)
posix_names = pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")


def below(root):
    return [path.relative_to(root).as_posix() for path in files_below(root)]


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_come_in_order_and_hidden_ones_do_not(tmp_path):
    root = tmp_path / ".hidden root"
    touch(*(root / name for name in ("b/2", "b/1", "a", "c/d/e", ".x", "c/.y/z")))
    assert below(root) == ["a", "b/1", "b/2", "c/d/e"]
    assert [(folder.name, names) for folder, names in folders_below(root / "c")] == [("c", []), ("d", ["e"])]


def test_linked_folders_are_walked_and_keep_the_name_of_the_link(tmp_path):
    touch(tmp_path / "elsewhere" / "deep" / "x", tmp_path / "root" / "a")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    assert below(tmp_path / "root") == ["a", "link/deep/x"]
    (tmp_path / "root link").symlink_to(tmp_path / "root")
    assert below(tmp_path / "root link") == ["a", "link/deep/x"]


def test_links_that_lead_back_end(tmp_path):
    touch(tmp_path / "root" / "a" / "x", tmp_path / "root" / "b" / "y")
    (tmp_path / "root" / "a" / "up").symlink_to("..")
    (tmp_path / "root" / "a" / "other").symlink_to("../b")
    (tmp_path / "root" / "b" / "other").symlink_to("../a")
    (tmp_path / "root" / "itself").symlink_to("itself")
    assert below(tmp_path / "root") == ["itself", "a/x", "a/other/y", "b/y", "b/other/x"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "x", tmp_path / "locked" / "y")
    scandir = os.scandir

    def refused(folder):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"locked: this folder cannot be read \(Permission denied\)"):
        below(tmp_path)


def test_sources_find_what_lies_behind_links(tmp_path):
    write_video(tmp_path / "disk" / "v.mp4", coded_frames(4))
    write_frames(tmp_path / "disk two" / "w", coded_frames(4))
    for name, target in (("files", "disk"), ("frames", "disk two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "set").symlink_to(tmp_path / target)
        (tmp_path / name / "loop").symlink_to(tmp_path / name)
        source = open_source(tmp_path / name)
        assert [video.name for video in source.videos] == [{"files": "set/v.mp4", "frames": "set/w"}[name]]
        assert numbers(source.read(source.videos[0], FOUR).frames) == [0, 1, 2, 3]


@posix_names
def test_names_can_be_printed_and_are_nobody_elses(tmp_path):
    odd = [
        b"caf\xe9.mp4",
        b"caf\\xe9.mp4",
        b"two\nlines.mp4",
        "café.mp4".encode(),
        b"tab\t.mp4",
        "nel\x85.mp4".encode(),
    ]
    names = {raw: name_below(tmp_path / os.fsdecode(raw), tmp_path) for raw in odd}
    assert list(names.values()) == [
        r"caf\xe9.mp4", r"caf\\xe9.mp4", r"two\nlines.mp4", "café.mp4", r"tab\u0009.mp4", r"nel\u0085.mp4",
    ]  # fmt: skip


@posix_names
def test_a_file_whose_name_is_not_utf8_is_read(tmp_path):
    original = write_video(tmp_path / "a.mp4", coded_frames(4))
    odd = tmp_path / os.fsdecode(b"b\xff\n.mp4")
    original.rename(odd)
    touch(tmp_path / os.fsdecode(b"c\xff\n.mp4"))
    source = VideoFiles(tmp_path)
    assert [video.name for video in source.videos] == [r"b\xff\n.mp4", r"c\xff\n.mp4"]
    clip = source.read(source.videos[0], FOUR)
    assert numbers(clip.frames) == [0, 1, 2, 3]
    assert clip.source.encode().endswith(rb"b\xff\n.mp4")
    assert source.stamp(source.videos[0])
    with pytest.raises(BadClip, match="the file is empty") as caught:
        source.read(source.videos[1], FOUR)
    assert rb"c\xff\n.mp4" in str(caught.value).encode()
    assert "\n" not in str(caught.value)


@posix_names
def test_frame_folders_with_odd_names_are_read(tmp_path):
    write_frames(tmp_path / os.fsdecode(b"\xffroot") / os.fsdecode(b"b\xff"), coded_frames(4))
    source = FrameFolders(tmp_path / os.fsdecode(b"\xffroot"))
    clip = source.read(source.videos[0], FOUR)
    assert source.videos[0].name == r"b\xff"
    assert (clip.source + str(source.describe())).encode()
    assert numbers(clip.frames) == [0, 1, 2, 3]


@posix_names
def test_sequences_of_davis_with_odd_names_are_read(tmp_path):
    write_davis(tmp_path, {"a": 3})
    shutil.rmtree(tmp_path / "ImageSets")
    for folder in [path for path in tmp_path.rglob("a") if path.is_dir()]:
        folder.rename(folder.with_name(os.fsdecode(b"a\xff")))
    source = Davis(tmp_path)
    assert [video.name for video in source.videos] == [r"a\xff/00000", r"a\xff/00001"]
    assert {video.sequence for video in source.videos} == {r"a\xff"}
    clip = source.read(source.videos[0], FlowRecipe(size=(32, 48)))
    assert (clip.source + str(source.describe())).encode()


def test_a_place_without_videos_says_what_it_holds(tmp_path):
    touch(*(tmp_path / name for name in ("a.docx", "b/c.docx", "d.RAW", "e")))
    for look in (VideoFiles, open_source):
        with pytest.raises(UserError, match=r"holds 2 \.docx, 1 \.raw, 1 without extension\."):
            look(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        open_source(tmp_path / "empty")


def test_images_beside_folders_of_frames_are_left_out(tmp_path):
    write_frames(tmp_path / "v", coded_frames(5))
    write_frames(tmp_path, coded_frames(3))
    source = FrameFolders(tmp_path)
    assert [video.name for video in source.videos] == ["v"]
    assert source.left_out == [(tmp_path.name, "images next to the folders of frames")]


def test_a_frame_that_is_there_twice_is_a_bad_clip(tmp_path):
    for name in ("{:02d}.jpg", "{:02d}.png"):
        write_frames(tmp_path / "v", coded_frames(5), name=name)
    source = FrameFolders(tmp_path)
    with pytest.raises(BadClip, match=r"holds a frame twice, \d+\.jpg and \d+\.png"):
        source.read(source.videos[0], FOUR)
