"""What videos can be opened from, the classes that folders give, and what is said of videos that are not used."""

import json
import re
import shutil

import pytest
from media import coded_frames, write_frames, write_stylized, write_video
from planted import released
from torch import nn

import static_dynamic as sd
from static_dynamic import main
from static_dynamic.common.commands import as_flags
from static_dynamic.common.errors import UserError
from static_dynamic.config import open_data, read_config
from static_dynamic.media.clip import Recipe, Video
from static_dynamic.sources import (
    FactorialVideos,
    FrameFolders,
    StyleFolders,
    Stylized,
    VideoFiles,
    open_source,
)
from static_dynamic.sources.left_out import by_reason, summary, unused

TINY = Recipe(frames=4, rate=1, crop=16)
STAGES = {"relu": ("1", "N C T H W")}


def network():
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())


def classes(source):
    return {video.name: video.label for video in source.videos}


# --- wrong things ------------------------------------------------------------------------------------------------


class Half:
    name, styles = "Half", ()

    def describe(self):
        return {}


class Whole(Half):
    videos = (Video("a"), Video("b"))

    def read(self, video, recipe, style=None):
        raise sd.BadClip("nothing here")


class LeavesOut(Whole):
    left_out = "abc"


WRONG = {
    "a member is missing": (Half(), "This Half is not a source of videos: it must have name, styles, videos, read, describe. Missing: videos, read."),
    "a class": (Whole, "The class Whole is not a source of videos: .* Give an instance of it."),
    "nothing": (None, "Videos must be a path, a list of paths, 'factorial', a data set or a source. Got None."),
    "a number": (3, "Videos must be a path, .* Got 3."),
    "an empty path": ("", "Videos must be a path, .* Got an empty path."),
    "an empty list": ([], "A list of videos must hold at least one path. Got an empty list."),
    "bytes": (b"clips", "A list of videos must hold paths. Got 99 as item 0."),
}  # fmt: skip


@pytest.mark.parametrize("slip", WRONG)
def test_what_is_no_source_is_one_line(slip):
    given, says = WRONG[slip]
    for take in (open_source, lambda given: released(network(), given, STAGES, recipe=TINY)):
        with pytest.raises(UserError, match=says) as caught:
            take(given)
        assert "\n" not in str(caught.value)


def test_a_source_is_handed_back_and_takes_no_options():
    source = Whole()
    assert open_source(source) is source
    with pytest.raises(UserError, match=r"Options of videos \(labels\) require a path, but Half is a source"):
        open_source(source, labels="folders")
    with pytest.raises(UserError, match=r"'left_out' of a source must be pairs of name and reason\. Got 'abc'"):
        unused(LeavesOut())


def test_options_that_a_source_does_not_have_are_named(tmp_path):
    write_video(tmp_path / "a" / "a.mp4", coded_frames(4))
    write_frames(tmp_path / "b" / "b", coded_frames(4))
    for where, option, says in (
        (
            tmp_path / "a",
            {"lables": "folders"},
            "Unknown option 'lables' in VideoFiles. Did you mean 'labels'? Allowed: labels.",
        ),
        (tmp_path / "a", {"pattern": "*"}, "Unknown option 'pattern' in VideoFiles"),
        (tmp_path / "b", {"labels": "folder"}, "Unknown labels 'folder'. Did you mean 'folders'"),
        ("factorial", {"labels": "folders"}, "Unknown option 'labels' in FactorialVideos"),
        ([tmp_path / "a" / "a.mp4"], {"seed": 1}, "Unknown option 'seed' in VideoList"),
        (tmp_path, {"dataset": "ssv3"}, "Unknown data set 'ssv3'. Did you mean 'ssv2'"),
    ):
        with pytest.raises(UserError, match=re.escape(says)):
            open_source(where, **option)


def test_the_home_folder_is_found_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_video(tmp_path / "files" / "a.mp4", coded_frames(12))
    for style in "12":
        write_frames(tmp_path / "folders" / f"style_{style}" / "a", coded_frames(12))
    write_stylized(tmp_path / "ssv2", "ssv2", {"a": 12})
    assert isinstance(open_source("~/files"), VideoFiles)
    assert isinstance(open_source("~/folders/style_1"), FrameFolders)
    assert isinstance(open_source("~/folders", dataset="folders"), StyleFolders)
    assert isinstance(open_source("~/ssv2", dataset="ssv2", styles=["1"]), Stylized)
    assert isinstance(open_source("factorial:2", seed=3), FactorialVideos)
    options = read_config(["--stylized_data_dir=~/ssv2", "--dataset=ssv2", "--annotations=~/a.json"])
    assert options.stylized_data_dir == tmp_path / "ssv2"
    assert options.annotations == tmp_path / "a.json"


# --- classes -----------------------------------------------------------------------------------------------------


def test_folders_give_classes(tmp_path):
    for name in ("walk/a.mp4", "walk/b.mp4", "train/run/c.mp4"):
        write_video(tmp_path / "files" / name, coded_frames(4))
        write_frames(tmp_path / "frames" / name.removesuffix(".mp4"), coded_frames(4))
    for style in ("style_1", "style_2"):
        (tmp_path / "styles").mkdir(exist_ok=True)
        shutil.copytree(tmp_path / "files", tmp_path / "styles" / style)
    expected = {"walk/a.mp4": "walk", "walk/b.mp4": "walk", "train/run/c.mp4": "run"}
    assert classes(VideoFiles(tmp_path / "files", labels="folders")) == expected
    assert classes(StyleFolders(tmp_path / "styles", labels="folders")) == expected
    of_frames = {name.removesuffix(".mp4"): label for name, label in expected.items()}
    assert classes(FrameFolders(tmp_path / "frames", labels="folders")) == of_frames
    assert classes(open_source(tmp_path / "frames", labels="folders")) == of_frames
    assert set(classes(open_source(tmp_path / "files")).values()) == {None}


@pytest.mark.parametrize("kind", ["files", "one file", "frames", "one folder"])
def test_a_video_that_lies_in_no_folder_of_a_class_is_named(tmp_path, kind):
    write_video(tmp_path / "files" / "a.mp4", coded_frames(4))
    write_video(tmp_path / "files" / "walk" / "b.mp4", coded_frames(4))
    write_frames(tmp_path / "frames" / "a", coded_frames(4))
    place = {"files": "files", "one file": "files/a.mp4", "frames": "frames", "one folder": "frames/a"}[kind]
    with pytest.raises(UserError) as caught:
        open_source(tmp_path / place, labels="folders")
    assert "takes the class of a video from its folder" in str(caught.value)
    assert "--labels" in as_flags(str(caught.value))


ACROSS = {"scoring": sd.Scoring(sd.PairRule(same_video=False, scrambled=False))}


def test_pairs_across_videos_work_on_videos_in_folders(tmp_path):
    for label in ("walk", "run"):
        for name in "ab":
            write_video(tmp_path / label / f"{name}.mp4", coded_frames(4))
    source = open_source(tmp_path, labels="folders")
    result = released(network(), source, STAGES, recipe=TINY, styles=("ink", "neon"), **ACROSS)
    assert set(result.layers["pairs"]) == {0, 4, 8}  # residual; one pair of styles; two styles
    with pytest.raises(
        UserError, match=r"class of every video; 'run/a\.mp4' has none.*`labels=\"folders\"`.*'label'"
    ) as caught:
        released(network(), tmp_path, STAGES, recipe=TINY, styles=("ink", "neon"), **ACROSS)
    assert '--labels "folders"' in as_flags(str(caught.value))


def test_the_command_line_takes_classes_from_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("walk/a", "walk/b", "run/c", "run/d"):
        write_frames(tmp_path / "videos" / name, coded_frames(4))
    command = ["--model", "c2d", "--videos", "videos", "--m_same", "False", "--replicates", "10"]
    config = read_config([*command, "--labels", "folders"])
    assert set(classes(open_data(config, Recipe())).values()) == {"walk", "run"}
    with pytest.raises(UserError, match="Unknown option 'labels' in FactorialVideos"):
        open_data(read_config(["--videos", "factorial", "--labels", "folders"]), Recipe())
    with pytest.raises(UserError, match=r"--labels requires --videos or --dataset folders"):
        read_config(["--original_data_root", "D", "--labels", "folders"])
    with pytest.raises(UserError, match=r"--annotations requires --stylized-data-dir"):
        read_config(["--videos", "videos", "--annotations", "a.json"])


# --- what is not used --------------------------------------------------------------------------------------------

REASONS = [
    ("a", "fewer than 8 frames (7)"),
    ("b", "not in style 2"),
    ("c", "fewer than 8 frames (2)"),
    ("d", "fewer than 8 frames (0)"),
    ("e", "fewer than 8 frames (3)"),
]


def test_reasons_are_grouped_and_counted():
    assert by_reason(REASONS) == [("fewer than 8 frames", ["a", "c", "d", "e"]), ("not in style 2", ["b"])]
    assert summary(REASONS, used=3) == (
        "5 of 8 videos left out: 4 fewer than 8 frames (a, c, d, …), 1 not in style 2 (b)."
    )
    assert summary([], used=3) is None
    assert unused(FactorialVideos(count=3), limit=3) == unused(FactorialVideos(count=3)) == []
    assert unused(FactorialVideos(count=3), limit=2) == ["Only the first 2 of 3 videos are used: `max_videos=2`."]


def test_what_lies_beside_the_videos_and_is_not_used_is_said(tmp_path):
    write_video(tmp_path / "mixed" / "a.mp4", coded_frames(4))
    for name in ("b", "c/d"):
        write_frames(tmp_path / "mixed" / name, coded_frames(4))
    write_frames(tmp_path / "mixed" / "poster", coded_frames(1))
    source = open_source(tmp_path / "mixed")
    assert unused(source) == ["2 of 3 videos left out: 2 a folder of frames next to video files (b, c/d)."]
    write_frames(tmp_path / "frames" / "b", coded_frames(4))
    write_frames(tmp_path / "frames", coded_frames(2))
    source = open_source(tmp_path / "frames")
    assert [video.name for video in source.videos] == ["b"]
    assert source.left_out == [("frames", "images next to the folders of frames")]


def short_and_lacking(root):
    """A data set of which one video of three is used."""
    write_stylized(root, "ssv2", {"good": 9, "short": 3, "gone": 9})
    shutil.rmtree(root / "style_2" / "gone")
    return root


LINE = "2 of 3 videos left out: 1 fewer than 8 frames (short), 1 no folder in style 2 (gone)."


def test_videos_that_are_left_out_are_told_in_the_result_and_on_the_page(tmp_path):
    source = Stylized(short_and_lacking(tmp_path / "ssv2"), "ssv2", ["1", "2"])
    result = released(network(), source, STAGES, recipe=TINY, styles=("1", "2"), max_videos=1)
    assert result.warnings[0] == LINE
    assert result.manifest["left_out"] == [["short", "fewer than 8 frames (3)"], ["gone", "no folder in style 2"]]
    page = result.report(tmp_path / "page.html").read_text()
    assert LINE in page
    section = page[page.index("Left out") : page.index("<summary>Videos")]
    assert re.findall(r"<td[^>]*>(.*?)</td>", section) == [
        "fewer than 8 frames", "1", "short", "no folder in style 2", "1", "gone",
    ]  # fmt: skip
    assert json.loads((result.save(tmp_path / "run") / "run.json").read_text())["warnings"][0] == LINE
    whole = released(network(), "factorial:2", STAGES, recipe=TINY, styles=("ink", "neon"))
    assert "Left out" not in whole.report(tmp_path / "whole.html").read_text()


def test_videos_that_are_left_out_are_told_on_the_terminal_before_and_after(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short_and_lacking(tmp_path / "ssv2")
    command = "--model c2d --image_size 32 --frames 4 --rate 1 --replicates 5 --stg stage1 --n_examples 3"
    code = main.main([*command.split(), "--stylized_data_dir", "ssv2", "--dataset", "ssv2", "--styles", "1,2"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert f"Note: {LINE}" in err
    assert f"Note: {LINE}" in out


def test_every_source_says_what_it_leaves_out(tmp_path):
    for style, names in (("style_1", "ab"), ("style_2", "a")):
        for name in names:
            write_frames(tmp_path / style / name, coded_frames(4))
    assert unused(StyleFolders(tmp_path)) == ["1 of 2 videos left out: 1 not in style 2 (b)."]
    shutil.rmtree(tmp_path / "style_2")
    write_frames(tmp_path / "style_2" / "c", coded_frames(4))
    with pytest.raises(
        UserError, match=r"No video .* is in every style\. 3 of 3 videos left out: 2 not in style 2 \(a, b\)"
    ):
        StyleFolders(tmp_path)
