"""Lists of videos: what a row says is what is read; a bad row is named with its line; a missing file costs one line."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from media import coded_frames, numbers, only, slow_clip, write_frames, write_video
from planted import released
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.media.parts import Part
from static_dynamic.sources import VideoFiles, VideoList, open_source
from static_dynamic.sources.rows import read_rows

SMALL = Recipe(frames=8, rate=2, crop=16)
MARK = "\ufeff"


@pytest.fixture
def data(tmp_path):
    """A file of 60 frames at 10 a second, one whose name needs quotes, and a folder of frames."""
    write_video(tmp_path / "clips" / "a.mp4", coded_frames(60), fps=10)
    write_video(tmp_path / "clips" / "b, c.mp4", coded_frames(20), fps=10)
    write_frames(tmp_path / "frames" / "d", coded_frames(50))
    return tmp_path


def write(folder, text, name="list.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def read(source, index=0, recipe=SMALL):
    return source.read(source.videos[index], recipe)


def listed(text, folder, name="list.csv"):
    return [(row.written, row.label, row.part) for row in read_rows(write(folder, text, name))]


# --- rows --------------------------------------------------------------------------------------------------------

SAME = {
    "by position": "a.mp4,walk,1,2.5\nb.mp4,run,,\n",
    "by name": "path,label,start,end\na.mp4,walk,1,2.5\nb.mp4,run\n",
    "in another order": "End,Start,Path,Label\n2.5,1,a.mp4,walk\n,,b.mp4,run\n",
    "with other columns": "number,path,label,seconds,start,end\n1,a.mp4,walk,9,1,2.5\n2,b.mp4,run,7,,\n",
    "comments and blank lines": "# my list\n\n  # path\na.mp4, walk, 1, 2.5\n\n\nb.mp4, run, , \n",
    "a mark and ends of lines": MARK + "path,label,start,end\r\na.mp4,walk,1,2.5\r\nb.mp4,run,,\r\n",
    "quotes": '"path","label","start","end"\n"a.mp4","walk","1","2.5"\n"b.mp4","run","",""\n',
    "tabs": "path\tlabel\tstart\tend\na.mp4\twalk\t1\t2.5\nb.mp4\trun\t\t\n",
    "semicolons": "a.mp4;walk;1;2.5\nb.mp4;run;;\n",
}


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("name", ["list.csv", "list.txt", "list.TSV"])
def test_one_list_in_many_forms(tmp_path, form, name):
    assert listed(SAME[form], tmp_path, name) == [("a.mp4", "walk", Part(1, 2.5)), ("b.mp4", "run", None)]


def test_paths_alone_and_paths_with_commas(tmp_path):
    assert listed("a.mp4\nclass two/b.mp4\n", tmp_path, "list.txt") == [
        ("a.mp4", None, None),
        ("class two/b.mp4", None, None),
    ]
    assert listed('"b, c.mp4"\n"d; e.mp4",walk\n', tmp_path) == [
        ("b, c.mp4", None, None),
        ("d; e.mp4", "walk", None),
    ]
    assert listed('path\n"say ""hi"".mp4"\n', tmp_path) == [('say "hi".mp4', None, None)]


def test_parts_in_frames_and_open_parts(tmp_path):
    text = "path,start_frame,end_frame,start\na,10,30,\nb,,5,\nc,7,,\nd,,,3\n"
    assert [part for _, _, part in listed(text, tmp_path)] == [
        Part(10, 30, in_frames=True),
        Part(None, 5, in_frames=True),
        Part(7, None, in_frames=True),
        Part(3, None),
    ]


BAD_ROWS = {
    "three cells": ("a.mp4\nb.mp4,walk,3\n", "line 2: a row must be a path, or a path and a label, or path, label"),
    "five cells": ("a,b,1,2,3\n", "line 1: a row must be a path, or"),
    "more cells than names": ("path,label\na.mp4,x,y\n", "line 2: a row must be path, label. Got 3 cells: a.mp4, x, y"),
    "no path": ("path,label\n,walk\n", "line 2: the path is missing. Got , walk"),
    "no number": ("a.mp4,walk,one,2\n", "line 1: 'start' must be a number of seconds, 0 or more. Got 'one'"),
    "NaN": ("a.mp4,walk,nan,2\n", "'start' must be a number of seconds, 0 or more. Got 'nan'"),
    "infinite": ("a.mp4,walk,0,inf\n", "'end' must be a number of seconds, 0 or more. Got 'inf'"),
    "negative": ("a.mp4,walk,-1,2\n", "'start' must be a number of seconds, 0 or more. Got '-1'"),
    "half a frame": ("path,start_frame\na,1.5\n", "line 2: 'start_frame' must be a whole number of frames, 0 or more"),
    "huge": (f"path,start_frame\na,{10**400}\n", "'start_frame' must be a whole number"),
    "end before start": ("a.mp4,walk,5,2\n", "line 1: a part must end after its start. Got 5 to 2"),
    "nothing in it": ("path,end_frame\na,0\n", "a part must end after its start. Got 0 to 0"),
    "seconds and frames": ("path,start,end_frame\na,1,2\n", "line 2: a part must be either in seconds or in frames"),
    "open quotes": ('a.mp4\n"b.mp4\n', "line 2: this is not a row of a table"),
    "a slip in a name": ("path,lable\na,x\n", "Unknown column 'lable' in {path}, line 1. Did you mean 'label'"),
    "no column of paths": ("video,label\na,x\n", "Unknown column 'video' in {path}, line 1"),
    "labels alone": ("label\na\n", "line 1: the column 'path' is required. Got label"),
    "a column twice": ("path,label,label\na,x,y\n", "line 1: the column 'label' appears twice"),
    "nothing": ("# nothing yet\n\n", "{path} does not list any video"),
    "names alone": ("path,label\n", "{path} does not list any video"),
    "twice": ("a.mp4\n./a.mp4\n", "line 2: a.mp4 appears twice, first in {path}, line 1"),
    "a part twice": ("a.mp4,x,1,2\na.mp4,y,1.0,2.0\n", "line 2: a.mp4@1-2s appears twice, first in {path}, line 1"),
}


@pytest.mark.parametrize("slip", BAD_ROWS)
def test_a_bad_row_is_named_with_its_line(tmp_path, slip):
    text, says = BAD_ROWS[slip]
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        VideoList(path)
    assert says.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_first_video_that_is_called_like_a_column_is_a_video(tmp_path):
    write_frames(tmp_path / "path", coded_frames(4))
    assert listed("path\n", tmp_path) == [("path", None, None)]


# --- what is read ------------------------------------------------------------------------------------------------


def test_files_and_folders_are_read_side_by_side_relative_to_the_list(data, monkeypatch):
    monkeypatch.chdir("/")
    (data / "lists").mkdir()
    path = write(data / "lists", f'../clips/a.mp4,walk\n{data}/frames/d,run\n"../clips/b, c.mp4",\n')
    source = VideoList(path)
    assert [(video.name, video.label) for video in source.videos] == [
        ("../clips/a.mp4", "walk"),
        (f"{data}/frames/d", "run"),
        ("../clips/b, c.mp4", None),
    ]
    alone = VideoFiles(data / "clips" / "a.mp4")
    assert np.array_equal(read(source).frames, alone.read(only(alone), SMALL).frames)
    for index, total in enumerate([60, 50, 20]):
        clip = read(source, index)
        assert clip.total == total
        assert numbers(clip.frames) == slow_clip(total, (total - 16) // 2, 16, [8])[0]
        assert source.stamp(source.videos[index]).startswith(f"{50 if index == 1 else 1} files")
    assert json.loads(json.dumps(source.describe())) == source.describe()
    assert source.describe()["list"] == str(path)


PARTS = {
    # 10 frames a second: frame 20 is shown from 2 s on.
    "path,start,end": [("2,5", range(20, 50)), ("2.05,", range(21, 60)), (",1.2", range(12)), ("0,100", range(60))],
    "path,start_frame,end_frame": [("20,50", range(20, 50)), ("33,", range(33, 60)), (",11", range(11))],
}


@pytest.mark.parametrize("columns", PARTS)
def test_the_clip_is_the_middle_one_of_its_part(data, columns):
    for cells, span in PARTS[columns]:
        source = VideoList(write(data, f"{columns}\nclips/a.mp4,{cells}\n"))
        clip = read(source)
        assert clip.total == len(span)
        start = span.start + max(0, (len(span) - 16) // 2)
        looped = slow_clip(span.stop, start, 16, [8])[0]
        assert numbers(clip.frames[clip.sample.pathways[0]]) == looped
        assert {*looped} <= {*span}


def test_a_part_of_a_folder_of_frames_is_in_frames(data):
    source = VideoList(write(data, "path,start_frame,end_frame\nframes/d,30,40\n"))
    assert only(source).name == "frames/d@30-40"
    clip = read(source)
    assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(40, 30, 16, [8])[0]
    with pytest.raises(
        UserError, match=r"line 2: a folder of frames has no times in seconds: use the columns start_frame"
    ):
        VideoList(write(data, "path,start,end\nframes/d,1,2\n"))


def test_parts_of_one_file_have_names_of_their_own_and_are_one_sequence(data):
    source = VideoList(write(data, "path,start,end\nclips/a.mp4,0,2.5\nclips/a.mp4,3,\nframes/d,,\n"))
    assert [video.name for video in source.videos] == ["clips/a.mp4@0-2.5s", "clips/a.mp4@3-s", "frames/d"]
    assert [video.sequence for video in source.videos] == [str(data / "clips/a.mp4")] * 2 + [None]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("clips/gone.mp4", "gone.mp4 does not exist"),
        ("clips/a.mp4,10,20", "there is no frame in 10-20s. The video has 60 frames, the last at 5.9 s"),
        ("clips/a.mp4,,,70,80", "there is no frame in 70-80. The video has 60 frames"),
        ("clips/a.mp4,1.01,1.15", "at least two frames"),
        ("list.csv", "no video that can be read"),
        ("clips", "no images"),
    ],
)
def test_what_cannot_be_read_costs_one_line(data, row, says):
    source = VideoList(write(data, f"path,start,end,start_frame,end_frame\n{row}\nframes/d\n"))
    with pytest.raises(BadClip) as caught:
        read(source)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(read(source, 1).frames) == 8


def test_a_list_that_is_missing_or_empty_or_no_text_is_one_line(data):
    for name, content, says in (
        ("gone.csv", None, "gone.csv: the file does not exist"),
        ("empty.csv", b"", "empty.csv does not list any video"),
        ("wide.csv", "a.mp4".encode("utf-16"), "wide.csv is UTF-16 text"),
        ("latin.csv", "é.mp4".encode("latin-1"), "latin.csv, line 1: not UTF-8 text"),
    ):
        if content is not None:
            (data / name).write_bytes(content)
        with pytest.raises(UserError, match=says):
            open_source(data / name)
    (data / "folder.csv").mkdir()
    write_video(data / "folder.csv" / "a.mp4", coded_frames(4))
    assert isinstance(open_source(data / "folder.csv"), VideoFiles)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_path_that_is_not_utf8_can_be_listed_in_python(data):
    odd = data / os.fsdecode(b"caf\xe9.mp4")
    (data / "clips" / "a.mp4").rename(odd)
    source = VideoList([odd])
    assert only(source).name == f"{data}/caf\\xe9.mp4"
    assert read(source).total == 60


def test_a_list_of_which_nothing_exists_is_a_slip(data):
    with pytest.raises(UserError, match=r"line 1: .*clips/x\.mp4 does not exist, nor do all others"):
        VideoList(write(data, "clips/x.mp4\nclips/y.mp4\n"))


# --- from a path, from Python, in a measurement ------------------------------------------------------------------


def test_a_list_is_opened_by_its_name_and_from_python(data, monkeypatch):
    monkeypatch.chdir(data)
    monkeypatch.setenv("HOME", str(data))
    write(data, "clips/a.mp4\nframes/d\n", "list.txt")
    opened = [
        open_source("list.txt"),
        open_source(Path("list.txt")),
        open_source("~/list.txt"),
        open_source(["clips/a.mp4", Path("frames/d")]),
        open_source(("clips/a.mp4", "frames/d")),
        open_source(path for path in ("clips/a.mp4", "frames/d")),
        open_source(["~/clips/a.mp4", "~/frames/d"]),
    ]
    for source in opened:
        assert isinstance(source, VideoList)
        assert isinstance(source, sd.sources.Source)
        assert numbers(read(source, 1).frames) == slow_clip(50, 17, 16, [8])[0]
        assert source.name == "VideoList" == source.describe()["kind"]


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ([], "must hold at least one path. Got an empty list"),
        ([3], "must hold paths. Got 3 as item 0"),
        (["clips/a.mp4", None], "must hold paths. Got None as item 1"),
        (["clips/a.mp4", ""], "must hold paths. Got '' as item 1"),
        (
            ["clips/a.mp4", "clips/../clips/a.mp4"],
            "item 1 of the list: clips/../clips/a.mp4 appears twice, first in item 0",
        ),
        (["x.mp4"], "item 0 of the list: x.mp4 does not exist"),
    ],
)
def test_slips_in_a_list_of_python(data, monkeypatch, paths, says):
    monkeypatch.chdir(data)
    with pytest.raises(UserError) as caught:
        open_source(paths)
    assert says in str(caught.value)


def test_labels_of_a_list_are_its_own_and_otherwise_those_of_the_folders(data):
    path = write(data, "clips/a.mp4,walk\nframes/d\n")
    assert [video.label for video in open_source(path, labels="folders").videos] == ["walk", "frames"]
    assert [video.label for video in open_source(path).videos] == ["walk", None]


def network():
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    return net, {"relu": ("1", "N C T H W")}


def test_a_measurement_takes_a_list_and_goes_on_without_a_missing_file(data):
    net, stages = network()
    path = write(data, "path,label,start,end\nclips/a.mp4,x,0,3\nclips/a.mp4,y,3,6\nframes/d,x\nclips/gone.mp4,y\n")
    options = {"recipe": Recipe(frames=8, rate=1, crop=16), "compute": sd.Compute(max_bad=0.5)}
    result = released(net, path, stages, **options)
    assert [line for line in result.warnings if "gone" in line] == [
        f"Skipped clips/gone.mp4: {path}, line 5: {data / 'clips/gone.mp4'} does not exist."
    ]
    assert set(result.layers["videos"]) == {2}  # two parts of one file are one
    paths = [data / "clips" / "a.mp4", os.fspath(data / "frames" / "d")]
    assert set(released(net, paths, stages, **options).layers["videos"]) == {2}
