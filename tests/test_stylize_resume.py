"""A run that is interrupted or meets bad videos goes on to the same bytes."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from media import (
    coded_frames,
    cut,
    noisy_frames,
    tree,
    write_frames,
    write_video,
)

from static_dynamic.common.errors import UserError
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings, read_note

ROOT = Path(__file__).resolve().parents[1]


def stylize(*arguments, before="pass"):
    code = f"import sys; sys.path.insert(0, 'tests'); {before}; from program import stylize as run; from static_dynamic.common.commands import command; "
    line = f"{code} sys.exit(command(lambda: run({list(map(str, arguments))!r})))"
    return subprocess.Popen(
        [sys.executable, "-c", line], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_run_killed_at_work_goes_on_to_the_same_bytes(tmp_path):
    for name in "abcdef":
        write_video(tmp_path / "videos" / f"{name}.mp4", noisy_frames(12, 90, 120))
    looks = ("ink", "watercolour")
    render(tmp_path / "videos", tmp_path / "whole", Settings(looks), workers=0)
    killed = tmp_path / "killed"
    process = stylize("render", tmp_path / "videos", "--out", killed, "--styles", ",".join(looks), "--workers", 2)
    while not list(killed.glob("style_*/[a-f]")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # its pipes close when its workers are gone too
    assert not read_note(killed).finished
    there = [clip for clip in killed.glob("style_*/[a-f]") if clip.is_dir()]
    assert 0 < len(there) < 12
    assert {len(list(clip.iterdir())) for clip in there} == {12}

    report = render(tmp_path / "videos", killed, Settings(looks), workers=0)
    assert report.kept == len(there)
    assert tree(killed) == tree(tmp_path / "whole")
    assert read_note(killed).finished


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))"


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    write_video(tmp_path / "videos" / "calm.mp4", coded_frames(4))
    write_video(tmp_path / "videos" / "noisy.mp4", noisy_frames(8, 96, 128))

    def arguments(kind):
        return [
            "render",
            tmp_path / "videos",
            "--out",
            tmp_path / kind,
            "--format",
            kind,
            "--styles",
            "original",
            "--workers",
            0,
        ]

    first = f"{FULL}; from static_dynamic.common.commands import command; from program import stylize as run"
    png = f"print(command(lambda: run({list(map(str, arguments('png')))!r})))"
    process = stylize(*arguments("mp4"), before=f"{first}; {png}")
    printed, errors = process.communicate()
    assert (printed, process.returncode) == ("2\n", 2)
    told = [line for line in errors.splitlines() if line.startswith("error: ")]
    for kind, line in zip(("png", "mp4"), told, strict=True):
        assert line.startswith("error: Cannot write")
        assert line.endswith("File too large.")
        assert [path.name.partition(".")[0] for path in (tmp_path / kind / "style_0").iterdir()] == ["calm"]
        report = render(tmp_path / "videos", tmp_path / kind, Settings(("original",), kind=kind), workers=0)
        assert (report.written, report.kept) == (1, 1)


def test_films_and_styles_are_counted_as_they_are_done(videos, tmp_path):
    seen = []
    for _ in range(2):
        render(videos, tmp_path / "out", Settings(("ink", "film")), 0, lambda *state: seen.append(state))
    assert seen == [(0, 4, ""), (2, 4, "a"), (4, 4, "b"), (4, 4, "")]


def test_a_bad_video_costs_one_line_and_is_taken_up_when_mended(videos, tmp_path):
    bad = cut(write_video(tmp_path / "noisy.mp4", noisy_frames(20), movflags="faststart"))
    bad.rename(videos / "c.mp4")
    tiny = write_frames(tmp_path / "tiny" / "t", noisy_frames(3, 8, 24))
    settings = Settings(("ink",))
    report = render(videos, tmp_path / "out", settings, workers=0)
    assert list(report.problems) == ["c"]
    assert read_note(tmp_path / "out").problems == report.problems
    assert sorted(path.name for path in (tmp_path / "out" / "style_1").iterdir()) == ["a", "b"]
    write_video(videos / "c.mp4", coded_frames(5))
    assert render(videos, tmp_path / "out", settings, workers=0).problems == {}
    with pytest.raises(UserError, match=r"None of the videos can be read.*24x8 pixels.*16 a side"):
        render(tiny, tmp_path / "small", settings, workers=0)


def test_clips_of_a_video_that_was_renamed_are_noticed(videos, tmp_path):
    render(videos, tmp_path / "out", Settings(("ink",)), workers=0)
    (videos / "b.mp4").rename(videos / "c.mp4")
    with pytest.raises(UserError, match=r"out holds 'b', which is no longer in"):
        render(videos, tmp_path / "out", Settings(("ink",)), workers=0)
    shutil.rmtree(tmp_path / "out" / "style_1" / "b")
    assert render(videos, tmp_path / "out", Settings(("ink",)), workers=0).written == 1


def test_a_video_that_was_replaced_is_noticed(videos, tmp_path):
    render(videos, tmp_path / "out", Settings(("ink",)), workers=0)
    before = tree(tmp_path / "out")
    write_video(videos / "b.mp4", coded_frames(5))
    with pytest.raises(UserError, match=r"b.mp4 has changed since .*out was rendered"):
        render(videos, tmp_path / "out", Settings(("ink",)), workers=0)
    assert tree(tmp_path / "out") == before
