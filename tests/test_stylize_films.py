"""Films play whole videos, and tell what is wrong with them."""

import os
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import (
    coded_frames,
    cut,
    noisy_frames,
    numbers,
    write_frames,
    write_video,
)
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import VideoFiles, open_source
from static_dynamic.stylize.rendering.films import VideoFilm, at_rate, find_films
from static_dynamic.stylize.rendering.reel import Reel
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings


@pytest.mark.parametrize(("room", "decoded"), [(10**6, 1), (12 * 32 * 96 * 3, 1), (12 * 32 * 96 * 3 - 1, 3), (0, 3)])
def test_a_short_film_is_decoded_once_and_a_long_one_whenever_it_is_played(room, decoded, videos, monkeypatch):
    film, plays = find_films(videos)[0], []
    frames = type(film)._frames
    monkeypatch.setattr(type(film), "_frames", lambda self: plays.append(1) or frames(self))
    reel = Reel(film, room)
    next(iter(reel))  # a look at the beginning is no play
    plays.clear()
    for _ in range(3):
        assert numbers(reel) == list(range(12))
    assert len(plays) == decoded


gaps = st.lists(st.fractions(min_value=Fraction(1, 60), max_value=2, max_denominator=60), max_size=12)


@given(gaps, st.fractions(min_value=Fraction(1, 4), max_value=60, max_denominator=10), st.integers(0, 5))
def test_at_a_rate_every_moment_shows_the_frame_that_is_on_the_screen(gaps, fps, start):
    times = list(np.cumsum([Fraction(start), *gaps]))
    shown = list(at_rate(((time, number) for number, time in enumerate(times)), fps))
    moments = [Fraction(k) / fps for k in range(len(shown) + 1)]
    latest = [max(n for n, time in enumerate(times) if time - start <= moment) for moment in moments]
    assert shown == latest[:-1]
    assert moments[len(shown) - 1] <= times[-1] - start < moments[-1]


def test_films_tell_what_is_wrong_with_them(tmp_path):
    write_frames(tmp_path / "twice", coded_frames(3), "{:d}.jpg")
    write_frames(tmp_path / "twice", coded_frames(1), "{:d}.png")
    write_frames(tmp_path / "two" / "s", coded_frames(3), "img_{:d}.jpg")
    write_frames(tmp_path / "two" / "s", coded_frames(3), "flow_{:d}.jpg")
    write_frames(tmp_path / "sizes", [*noisy_frames(2), *noisy_frames(1, 40, 64)])
    (tmp_path / "text.mp4").write_text("no video")
    for place, said in (
        ("two", r"several sequences \(flow_, img_\)"),
        ("sizes", "change size"),
        ("twice", r"a frame twice, (0.jpg and 0.png|1.jpg and 1.png)"),
        ("text.mp4", "no video"),
    ):
        with pytest.raises(BadClip, match=said):
            list(find_films(tmp_path / place)[0])
    with pytest.raises(BadClip, match="too short: frame 7 is missing"):
        find_films(write_video(tmp_path / "short.mp4", coded_frames(5)))[0].pick([3, 7])


def test_files_and_folders_are_not_mixed(videos, tmp_path):
    Image.fromarray(coded_frames(1)[0]).save(videos / "poster.jpg")
    assert [film.name for film in find_films(videos)] == ["a", "b"]
    write_frames(videos / "folder", coded_frames(3))
    with pytest.raises(UserError, match=r"video files \(a.mp4\) and frame folders \(folder\)"):
        find_films(videos)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_a_film_that_was_cut_is_left_out_whatever_its_container(tmp_path, suffix):
    codec = "libvpx" if suffix == "webm" else "libx264"
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    write_video(tmp_path / "videos" / f"whole.{suffix}", coded_frames(5), codec=codec)
    bad = cut(write_video(tmp_path / f"noisy.{suffix}", noisy_frames(60), codec=codec, **options))
    bad.rename(tmp_path / "videos" / f"bad.{suffix}")
    report = render(tmp_path / "videos", tmp_path / "out", Settings(("ink",)), workers=0)
    assert list(report.problems) == ["bad"]
    assert report.written == 1


def test_times_that_jump_do_not_fill_a_disk(tmp_path):
    film = VideoFilm("a", write_video(tmp_path / "a.mp4", coded_frames(4)), fps=Fraction(5))
    steady = [(Fraction(n), n) for n in range(4)]
    assert list(film._steady(steady)) == steady
    with pytest.raises(BadClip, match=r"a\.mp4: its times jump by 5000 seconds"):
        list(film._steady([*steady, (Fraction(5003), 4)]))


def test_a_link_to_nothing_is_left_out_with_a_line(videos, tmp_path):
    (videos / "dangling.mp4").symlink_to(tmp_path / "not fetched.mp4")
    report = render(videos, tmp_path / "out", Settings(("ink",), short_side=32), workers=0)
    assert list(report.problems) == ["dangling"]
    assert "dangling.mp4: no video that can be read" in report.problems["dangling"]
    source = VideoFiles(videos)
    (missing,) = [video for video in source.videos if video.name == "dangling.mp4"]
    with pytest.raises(BadClip, match="dangling"):
        source.read(missing, Recipe(frames=2, rate=1, crop=32))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_films_whose_names_are_not_utf8_are_rendered_or_named(tmp_path):
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", coded_frames(5)).rename(folder / os.fsdecode(b"caf\xe9\n.mp4"))
    (folder / os.fsdecode(b"bad\xff.mp4")).write_text("no video")
    report = render(folder, tmp_path / "out", Settings(("ink",), short_side=32), workers=0)
    assert list(report.problems) == [r"bad\xff"]
    assert (tmp_path / "out" / "style_1" / r"caf\xe9\n").is_dir()
    assert [video.name for video in open_source(tmp_path / "out", dataset="folders").videos] == [r"caf\\xe9\\n"]


def test_films_behind_links_are_found(tmp_path, videos):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "set").symlink_to(videos)
    (tmp_path / "links" / "loop").symlink_to(tmp_path / "links")
    assert [film.name for film in find_films(tmp_path / "links")] == ["set/a", "set/b"]
    write_frames(tmp_path / "disk" / "swan", coded_frames(3))
    (tmp_path / "davis" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "davis" / "JPEGImages" / "480p").symlink_to(tmp_path / "disk")
    assert [film.name for film in find_films(tmp_path / "davis")] == ["swan"]
