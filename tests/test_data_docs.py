"""What docs/data.md shows is what the readers take."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from media import only, write_frames, write_stylized

from static_dynamic.media.parts import Part
from static_dynamic.sources import Stylized
from static_dynamic.sources.masks import read_boxes
from static_dynamic.sources.rows import read_rows
from static_dynamic.training.labels import label_sthv2

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
BLOCKS = re.findall(r"```(\w*)[^\n]*\n(.*?)```", TEXT, re.DOTALL)


def block(*words):
    """The one block that holds these words."""
    (found,) = [content for _, content in BLOCKS if all(word in content for word in words)]
    return found


@pytest.mark.parametrize(
    ("dataset", "word", "name", "label", "length"),
    [
        ("StylizedActivityNet", "num_frames", "YHfR8c0Iz0I", "Surfing", 40),
        ("ssv2", "template", "78687", "Holding something next to something", 9),
        ("Diving48", "vid_name", "_8Vy3dlHg2w_00000", "12", 140),
    ],
)
def test_the_annotations_that_are_shown_are_read(tmp_path, dataset, word, name, label, length):
    annotations = json.loads(block(word))
    write_stylized(tmp_path, dataset, {name: length}, annotations, styles=["1"])
    video = only(Stylized(tmp_path, dataset, ["1"]))
    assert (video.name, video.label) == (name, label)


def test_the_list_that_is_shown_is_read(tmp_path):
    (tmp_path / "list.csv").write_text(block("path,label"))
    assert [(row.written, row.label, row.part) for row in read_rows(tmp_path / "list.csv")] == [
        ("walking/a.mp4", "walking", Part(2, 5.5)),
        ("running/b.mp4", "running", None),
        ("frames/c, the third", "running", None),
    ]


def test_the_labels_and_boxes_that_are_shown_are_read(tmp_path):
    (tmp_path / "labels.json").write_text(block("Turning something"))
    (tmp_path / "train.json").write_text(block("template").replace("78687", "v"))
    write_frames(tmp_path / "frames" / "v", np.zeros((2, 8, 8, 3), np.uint8))
    label_sthv2(tmp_path, tmp_path / "frames", tmp_path)
    assert (tmp_path / "train_videofolder.txt").read_text() == "v 2 0\n"
    (tmp_path / "boxes.csv").write_text(block("region_shape"))
    assert read_boxes(tmp_path / "boxes.csv") == {("arctic_fox", "00010"): ((10, 20, 74, 68), "locomotion")}
