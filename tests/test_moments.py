"""What happens at a bad moment: files that vanish between listing and reading, folders that stand in the way."""

import os

import numpy as np
import pytest
from media import coded_frames, write_frames, write_video
from planted import RECIPE, STAGES, PlantedModel

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import remove, stamp, write_text
from static_dynamic.flow.tree import compute_flow
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings

NAMES = "abc"


class Steady:
    name = "steady"

    def __call__(self, start, end):
        return np.zeros((*start.shape[:2], 2), np.float32)


def folders(root):
    for name in NAMES:
        write_frames(root / name, coded_frames(6), "{:05d}.png")


def files(root):
    for name in NAMES:
        write_video(root / f"{name}.mp4", coded_frames(6))


@pytest.mark.parametrize(("make", "gone"), [(folders, "b"), (files, "b.mp4")])
def test_a_video_that_vanishes_after_it_was_listed_is_recorded_and_the_rest_measured(make, gone, tmp_path):
    make(tmp_path)
    source = sd.open_source(tmp_path)
    assert len(source.videos) == len(NAMES)
    remove(tmp_path / gone)
    result = sd.measure(
        PlantedModel(),
        source,
        STAGES,
        recipe=RECIPE,
        compute=sd.Compute(max_bad=0.5, workers=0),
        estimators="released",
        twins=0,
    )
    problems = {video["video"]: video["problem"] for video in result.manifest["videos"]}
    assert [name for name, problem in problems.items() if problem] == [gone]
    assert gone in problems[gone]


def test_a_frame_that_vanishes_costs_the_flows_that_need_it(tmp_path):
    for name in NAMES:
        write_frames(tmp_path / "JPEGImages" / name, coded_frames(4), "{:05d}.png")
    frame = tmp_path / "JPEGImages" / "b" / "00002.png"

    report = compute_flow(tmp_path, estimator=Steady(), workers=0, on_done=lambda *_: remove(frame))
    assert report.written == 3 * 6 - 4
    assert report.problems == [f"{frame}: this frame is missing."]


@pytest.mark.parametrize("make", [folders, files])
def test_a_video_that_vanishes_while_others_are_rendered_is_left_out_by_name(make, tmp_path):
    make(tmp_path / "videos")
    last = tmp_path / "videos" / ("c" if make is folders else "c.mp4")
    settings = Settings(("ink",))
    report = render(tmp_path / "videos", tmp_path / "out", settings, 0, on_clips=lambda *_: remove(last))
    assert (report.written, list(report.problems)) == (2, ["c"])
    assert not list((tmp_path / "out").rglob("*c"))


def test_the_stamp_of_what_vanishes_meanwhile_is_that_of_what_is_left(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("y")
    (tmp_path / "link").symlink_to("nowhere")
    listed = os.scandir

    def vanishing(place):
        entries = list(listed(place))
        remove(tmp_path / "b")
        return entries

    monkeypatch.setattr("static_dynamic.common.files.os.scandir", vanishing)
    assert stamp(tmp_path).startswith("1 files, 1 bytes, ")


def test_a_file_where_a_folder_shall_be_is_one_line(tmp_path):
    (tmp_path / "out").write_text("a user's")
    for write in (
        lambda: write_text(tmp_path / "out" / "a", "x"),
        lambda: render(tmp_path / "videos", tmp_path / "out", Settings(("ink",)), 0),
    ):
        folders(tmp_path / "videos")
        with pytest.raises(
            UserError, match=r"^Cannot (write|make the folder) '.*out.*': (Not a directory|File exists)\.$"
        ):
            write()
    assert (tmp_path / "out").read_text() == "a user's"
