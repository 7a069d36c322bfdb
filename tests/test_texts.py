"""Text files as people write them: one rule for marks, line ends and encodings, and one line for what cannot be read."""

import codecs
import json

import pytest
from doors import script
from media import annotate, write_davis, write_frames, write_stylized
from test_data_tools import annotate_v2, coded_frames

from static_dynamic.common.errors import UserError
from static_dynamic.common.texts import read_json, read_lines, read_text
from static_dynamic.config import read_config
from static_dynamic.report.published import read_final
from static_dynamic.results import load
from static_dynamic.sources import Davis, Stylized
from static_dynamic.sources.masks import read_boxes
from static_dynamic.training.labels import label_sthv1, label_sthv2
from static_dynamic.training.lists import Entry, read_categories, read_list

MARK = codecs.BOM_UTF8


def mark(path):
    """Put a byte-order mark and the line ends of Windows into a text file."""
    path.write_bytes(MARK + path.read_bytes().replace(b"\n", b"\r\n"))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", MARK])
def test_marks_and_line_ends_are_no_part_of_a_text(tmp_path, start, end):
    path = tmp_path / "list.txt"
    path.write_bytes(start + end.join(["first é", "", " second\x0b\x85 ", "# third", ""]).encode())
    assert read_text(path) == "first é\n\n second\x0b\x85 \n# third\n"
    assert read_lines(path) == [(1, "first é"), (3, "second"), (4, "# third")]
    assert read_lines(path, comment="#") == [(1, "first é"), (3, "second")]


UNREADABLE = {
    "missing": (None, "Cannot read {path}: the file does not exist."),
    "UTF-16, little": (
        "a\nb".encode("utf-16-le"),
        "{path}, line 1: not UTF-8 text (byte 0x00). Save the file as UTF-8.",
    ),
    "UTF-16 with a mark": (
        codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le"),
        "{path} is UTF-16 text: save it as UTF-8.",
    ),
    "UTF-16, big": (codecs.BOM_UTF16_BE + "a\nb".encode("utf-16-be"), "{path} is UTF-16 text: save it as UTF-8."),
    "Latin-1": (
        "plain\ncaf\u00e9\n".encode("latin-1"),
        "{path}, line 2: not UTF-8 text (byte 0xe9). Save the file as UTF-8.",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_text_is_one_line_with_its_place(tmp_path, kind):
    content, says = UNREADABLE[kind]
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    for read in (read_text, read_lines, read_json):
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value) == says.format(path=path)
    with pytest.raises(UserError, match=rf"Cannot read {tmp_path}: "):
        read_text(tmp_path)


JSON = {
    "missing": (None, "the file does not exist"),
    "empty": (" \n", "is empty: it must hold JSON"),
    "invalid": ('{"a": 1,\n "b" 2}', "line 2, column 6: not valid JSON (Expecting ':' delimiter)"),
    "twice": ('[{"a": {"b": 1, "c": 2, "b": 3}}]', "the name 'b' appears twice in one object"),
    "deep": ("[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize("kind", JSON)
def test_a_missing_an_empty_and_an_invalid_json_file_differ(tmp_path, kind):
    content, says = JSON[kind]
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError) as caught:
        read_json(tmp_path / "a.json")
    assert says in str(caught.value)
    assert str(tmp_path / "a.json") in str(caught.value)
    assert "\n" not in str(caught.value)


# --- every file that a person may have written ---------------------------------------------------------------------


def test_the_first_entry_of_a_davis_list_is_kept(tmp_path):
    root = write_davis(tmp_path, {"swan": 3, "bmx": 3})
    before = [video.name for video in Davis(root).videos]
    mark(root / "ImageSets/480p/val.txt")
    assert [video.name for video in Davis(root).videos] == before
    assert before[0] == "swan/00000"


def test_the_first_class_and_the_first_video_of_training_lists_are_kept(tmp_path):
    (tmp_path / "category.txt").write_text("a\nb\n")
    (tmp_path / "train_videofolder.txt").write_text("v 3 0\nw 3 1\n")
    assert read_categories(tmp_path) == ["a", "b"] == (mark(tmp_path / "category.txt") and read_categories(tmp_path))
    assert read_list(mark(tmp_path / "train_videofolder.txt"), 2) == [Entry("v", 3, 0), Entry("w", 3, 1)]


def test_annotations_of_something_something_may_bear_a_mark(tmp_path):
    for name in "12":
        write_frames(tmp_path / "frames" / name, coded_frames(3), "{:06d}.jpg", first=1)
    second = annotate_v2(tmp_path / "v2", [("1", 0)], [("2", 1)])
    first = tmp_path / "v1"
    first.mkdir()
    (first / "something-something-v1-labels.csv").write_text("Turning something\n")
    (first / "something-something-v1-train.csv").write_text("1;Turning something\n")
    for path in (*second.iterdir(), *first.iterdir()):
        mark(path)
    assert label_sthv2(second, tmp_path / "frames", tmp_path / "two").missing == []
    assert label_sthv1(first, tmp_path / "frames", tmp_path / "one").missing == []
    assert (tmp_path / "one" / "category.txt").read_text() == "Turning something\n"
    assert (tmp_path / "one" / "train_videofolder.txt").read_text() == "1 3 0\n"


def test_annotations_options_boxes_and_results_may_bear_a_mark(tmp_path):
    write_stylized(tmp_path / "ssv2", "ssv2", {"a": 9}, annotate("ssv2", {"a": 9}), styles=["1"])
    mark(tmp_path / "ssv2" / "something-something-v2-validation.json")
    assert [video.name for video in Stylized(tmp_path / "ssv2", "ssv2", ["1"]).videos] == ["a"]

    (tmp_path / "options.yaml").write_text("videos: factorial\nmodel: c2d\n")
    assert read_config(["--cfg_file", str(mark(tmp_path / "options.yaml"))]).videos == "factorial"

    shape = json.dumps({"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}).replace('"', '""')
    (tmp_path / "boxes.csv").write_text(
        f'filename,region_shape_attributes,region_attributes\n/swan/00001.jpg,"{shape}",{{}}\n'
    )
    assert read_boxes(mark(tmp_path / "boxes.csv"))[("swan", "00001")].box == (1, 2, 4, 6)

    (tmp_path / "final.txt").write_text("Stage: stage1 , Dimensions: [1, 2, 3] [10.0, 20.0, 70.0]\n")
    assert read_final(mark(tmp_path / "final.txt")).layers["percent"].tolist() == [10, 20, 70]

    with pytest.raises(UserError, match=r"No result can be read .*run\.json: the file does not exist"):
        load(tmp_path)


def test_tables_of_scores_may_bear_a_mark(tmp_path):
    (tmp_path / "layer4,sensor_fusion_1.csv").write_text("0,0.5,0.25,1,0\n1,0.25,0.5,1,0\n")
    mark(tmp_path / "layer4,sensor_fusion_1.csv")
    code, _, err = script("plot_stats_fromtable", tmp_path, "--out", tmp_path / "picture.png")
    assert code == 0, err
