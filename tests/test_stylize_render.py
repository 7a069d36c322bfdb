"""Rendering writes what the readers read, whole or not at all, the same bytes however it was interrupted."""

import json
import weakref
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import (
    ANNOTATIONS,
    annotate,
    coded_frames,
    noisy_frames,
    numbers,
    tree,
    write_davis,
    write_frames,
    write_video,
)
from PIL import Image
from program import stylize as run

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.common.runs import alone_in
from static_dynamic.interventions import restyle
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.writing import image_folder, video_file
from static_dynamic.sources import Davis, FrameFolders, Stylized, VideoFiles, open_source
from static_dynamic.stylize.rendering.films import Film, find_films
from static_dynamic.stylize.rendering.layouts import LAYOUTS
from static_dynamic.stylize.rendering.looks import parse_looks
from static_dynamic.stylize.rendering.reel import Reel
from static_dynamic.stylize.rendering.render import Job, paint_film, render, spread
from static_dynamic.stylize.rendering.settings import Settings, data_set, read_note
from static_dynamic.variants import derive_seed

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "my.png"
    Image.fromarray(noisy_frames(1)[0]).save(path)
    return str(path)


def decode(path):
    return np.stack(list(find_films(path)[0]))


def read(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


# --- what is rendered --------------------------------------------------------------------------------------------


def test_a_rendered_video_is_the_whole_video_restyled(videos, painting, tmp_path):
    looks = ("ink", "random_filter", "oil", painting)
    report = render(videos, tmp_path / "out", Settings(looks, kind="png", seed=3), workers=0)
    assert (report.written, report.kept, report.problems) == (8, 0, {})
    for number, look in enumerate(looks, start=1):
        expected = restyle(decode(videos / "a.mp4"), look, derive_seed(3, "style", Path(look).name))
        np.testing.assert_array_equal(read(tmp_path / "out" / f"style_{number}" / "a"), expected)


def test_the_note_says_what_was_done(videos, painting, tmp_path):
    render(videos, tmp_path / "out", Settings(("original", "ink", painting), short_side=24, seed=5), workers=0)
    note = read_note(tmp_path / "out")
    assert note.settings.styles == {"0": "original", "1": "ink", "2": "my.png"}
    assert set(note.settings.digests) == {"my.png"}
    assert (note.settings.seed, note.settings.size, note.finished) == (5, 24, True)
    assert {name: place for name, (place, _) in note.videos.items()} == {
        name: str(videos / f"{name}.mp4") for name in "ab"
    }
    assert {"numpy", "opencv-python-headless", "decoder"} <= set(note.versions)


class Endless(Film):
    """Frames that are made one by one; how many there are at a time is counted."""

    alive, most = 0, 0

    @property
    def rate(self):
        return Fraction(25)

    def _frames(self):
        for frame in noisy_frames(1).repeat(60, axis=0):
            made = frame.copy()
            weakref.finalize(made, self.forget)
            Endless.alive += 1
            Endless.most = max(Endless.most, Endless.alive)
            yield made

    @staticmethod
    def forget():
        Endless.alive -= 1


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path, monkeypatch):
    monkeypatch.setattr(Reel.__init__, "__defaults__", (0,))  # nothing is kept, as of a long video
    film = Endless("endless", Path("endless"))
    clips = {look: tmp_path / look for look in ("random_filter", "poster")}
    assert paint_film(Job(film, clips, Settings(tuple(clips)))) is None
    assert {len(list(clip.iterdir())) for clip in clips.values()} == {60}
    assert Endless.most <= 3


@pytest.mark.parametrize("dataset", ANNOTATIONS)
def test_published_layouts_are_read_back(dataset, tmp_path):
    lengths = {"cat": 40, "dog": 33}
    for name, length in lengths.items():
        prefix = "v_" if dataset == "StylizedActivityNet" else ""
        write_video(tmp_path / "videos" / "train" / f"{prefix}{name}.mp4", coded_frames(length))
    out = tmp_path / "out"
    render(tmp_path / "videos", out, Settings(("original", "solarise", "ink"), dataset), workers=0)
    (out / ANNOTATIONS[dataset]).write_text(json.dumps(annotate(dataset, lengths)))
    source = Stylized(out, dataset, styles=("1", "2"), use_normal_app=True)
    assert {video.name for video in source.videos} == set(lengths)
    for video in source.videos:
        filmed, styled = (source.read(video, Recipe(8, 1, 32), style) for style in (None, "1"))
        assert numbers(filmed.frames) == list(filmed.sample.numbers) == list(styled.sample.numbers)
        assert not np.array_equal(filmed.frames, styled.frames)


@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_plain_folders_are_read_back_without_annotations(videos, tmp_path, kind):
    out, recipe = tmp_path / "out", Recipe(frames=4, rate=2, crop=32)
    render(videos, out, Settings(("original", "solarise", "ink"), kind=kind), workers=0)
    source, plain = open_source(out, dataset="folders"), open_source(videos)
    assert source.styles == ("1", "2")
    for video, filmed in zip(source.videos, plain.videos, strict=True):
        chosen = plain.read(filmed, recipe).sample.numbers
        shown = [source.read(video, recipe, style) for style in (None, "1", "2")]
        assert [clip.sample.numbers for clip in shown] == [chosen] * 3
        assert numbers(shown[0].frames) == list(chosen)
        assert not np.array_equal(shown[1].frames, shown[2].frames)
    json.dumps(source.describe())


def test_davis_keeps_the_names_of_frames_and_sequences(tmp_path):
    root = write_davis(tmp_path / "davis", {"bear": 5, "cow": 4})
    out = tmp_path / "Stylized_DAVIS"
    report = render(root, out, Settings(("ink", "lagoon"), "DAVIS"), workers=0)
    assert report.written == 4
    source = Davis(root, stylized=out, styles=("ink", "lagoon"))
    assert [video.name for video in source.videos] == [
        f"{s}/{t:05d}" for s, n in (("bear", 4), ("cow", 3)) for t in range(n)
    ]
    clip = source.read(source.videos[2], FlowRecipe(size=(32, 48)), "lagoon")
    np.testing.assert_array_equal(clip.frames[0], np.asarray(Image.open(out / "JPEGImages/lagoon/bear/00002.jpg")))


def test_frame_folders_and_encoded_videos_are_read_back(videos, tmp_path):
    render(videos, tmp_path / "jpg", Settings(("original",)), workers=0)
    folders = FrameFolders(tmp_path / "jpg" / "style_0")
    assert [video.name for video in folders.videos] == ["a", "b"]
    render(tmp_path / "jpg" / "style_0", tmp_path / "mp4", Settings(("original", "neon"), kind="mp4"), workers=0)
    for style in (0, 1):
        encoded = VideoFiles(tmp_path / "mp4" / f"style_{style}")
        assert [video.name for video in encoded.videos] == ["a.mp4", "b.mp4"]
        assert [encoded.read(video, Recipe(2, 1, 32)).total for video in encoded.videos] == [12, 9]
    assert numbers(decode(tmp_path / "mp4" / "style_0" / "a.mp4")) == list(range(12))


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_encoded_videos_keep_size_rate_and_bytes(size, tmp_path):
    frames = noisy_frames(5, *size)
    for name in ("a.mp4", "b.mp4"):
        with video_file(tmp_path / name, Fraction(30000, 1001)) as write:
            for frame in frames:
                write(frame)
    (film, _) = find_films(tmp_path)
    assert (film.shape, film.rate, film.count) == ((1, *size, 3), Fraction(30000, 1001), 5)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_rate_and_size_can_be_chosen(videos, tmp_path):
    render(videos, tmp_path / "out", Settings(("original",), short_side=16, fps=Fraction(5)), workers=0)
    frames = read(tmp_path / "out" / "style_0" / "a")
    assert numbers(frames) == [0, 2, 4, 6, 8, 10]  # of a video of 10 frames a second
    assert frames.shape[1:] == (16, 48, 3)


def test_styles_are_spread_where_there_are_fewer_films_than_workers():
    jobs = [
        Job(Endless("film", Path("film")), {look: Path(look) for look in ("ink", "oil", "film")}, Settings(("ink",)))
    ]
    assert [list(job.clips) for job in spread(jobs, 2)] == [["ink", "film"], ["oil"]]
    assert [list(job.clips) for job in spread(jobs, 9)] == [["ink"], ["oil"], ["film"]]
    assert list(spread(2 * jobs, 2)) == 2 * jobs
    assert list(spread([replace(jobs[0], clips={})], 0)) == []


# --- what is refused ---------------------------------------------------------------------------------------------


def test_two_videos_of_one_name_are_refused(videos, tmp_path):
    def refused(layout="folders"):
        with pytest.raises(UserError, match=r"to one place|are called 'a'") as error:
            render(videos, tmp_path / "out", Settings(("ink",), layout), workers=0)
        assert not (tmp_path / "out").exists()
        return str(error.value)

    write_video(videos / "x" / "a.mp4", coded_frames(3))
    assert str(videos / "x" / "a.mp4") in refused("ssv2")
    render(videos, tmp_path / "fine", Settings(("ink",)), workers=0)
    write_video(videos / "a.avi", coded_frames(3), codec="mpeg4")
    assert f"{videos / 'a.avi'} and {videos / 'a.mp4'}" in refused()
    (videos / "a.avi").unlink()
    (videos / "x").rename(videos / "a")
    assert str(videos / "a" / "a.mp4") in refused()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Settings(("ink",), seed=1), "settings.seed is 0 there, 1 here"),
        (Settings(("ink",), short_side=20), "settings.size is None there, 20 here"),
        (Settings(("ink", "oil")), "settings.styles.2 is missing there, 'oil' here"),
        (Settings(("ink",), kind="png"), "settings.format is 'jpg' there, 'png' here"),
        (Settings(("ink",), "ssv2"), "settings.layout is 'folders' there, 'ssv2' here"),
    ],
)
def test_the_data_of_another_run_are_left_alone(other, said, videos, tmp_path):
    render(videos, tmp_path / "out", Settings(("ink",)), workers=0)
    before = tree(tmp_path / "out")
    with pytest.raises(UserError, match=f"belongs to another stylized data set: {said}"):
        render(videos, tmp_path / "out", other, workers=0)
    assert tree(tmp_path / "out") == before


def test_an_output_that_is_not_free_is_refused(videos, tmp_path):
    settings = Settings(("ink",))
    render(videos, tmp_path / "out", settings, workers=0)
    with pytest.raises(UserError, match=r"source is .*videos' there, .*a\.mp4' here"):
        render(videos / "a.mp4", tmp_path / "out", settings, workers=0)
    with alone_in(tmp_path / "out", data_set()), pytest.raises(UserError, match="Another run is at work"):
        render(videos, tmp_path / "out", settings, workers=0)
    with pytest.raises(UserError, match="among the videos"):
        render(videos, videos / "out", settings, workers=0)
    (tmp_path / "foreign" / "style_1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"but run\.json is missing"):
        render(videos, tmp_path / "foreign", settings, workers=0)
    (tmp_path / "out" / "run.json").write_text("{}")
    with pytest.raises(UserError, match="describes something else, not a stylized data set"):
        render(videos, tmp_path / "out", settings, workers=0)


def test_a_run_goes_on_from_wherever_it_is_called(videos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(("ink",))
    render("videos", "out", settings, workers=0)
    report = render(videos, tmp_path / "out", settings, workers=0)
    assert (report.written, report.kept) == (0, 2)


def test_the_note_names_the_versions_of_every_run_that_made_clips(videos, tmp_path):
    out, settings = tmp_path / "out", Settings(("ink",))
    render(videos, out, settings, workers=0)
    first = read_note(out)
    first.model_copy(update={"versions": {**first.versions, "numpy": "0.9"}}).write(out)
    for _ in range(2):
        render(videos, out, settings, workers=0)
        assert read_note(out).versions == {**first.versions, "numpy": f"0.9, then {first.versions['numpy']}"}


def test_settings_are_checked_before_anything_is_written(painting, tmp_path):
    for looks, options, said in (
        ((), {}, "At least one style"),
        (("inck",), {}, "Did you mean 'ink'"),
        (("ink", "ink"), {}, "Two styles are called 'ink'"),
        (("ink",), {"short_side": -3}, "'size' must be 16"),
        (("ink",), {"fps": Fraction(0)}, "'fps' must be positive"),
        (("ink",), {"fps": Fraction(10**9)}, "at most 1000"),
    ):
        with pytest.raises(UserError, match=said):
            Settings(looks, **options)
    for name in ("original", "0", "re-encoded"):
        file = Path(painting).rename(tmp_path / f"{name}.png")
        with pytest.raises(UserError, match=f"cannot be called '{name}'"):
            parse_looks(str(file))
        file.rename(painting)


def test_the_file_that_could_not_be_written_is_the_one_that_is_named(tmp_path):
    frame = coded_frames(1)[0]
    with ExitStack() as clips:
        one = clips.enter_context(image_folder(tmp_path / "first", lambda n: "x" * 300 + ".png"))
        clips.enter_context(image_folder(tmp_path / "second", lambda n: f"{n}.png"))(frame)
        with pytest.raises(UserError, match="first"):
            one(frame)


def test_styles_are_names_globs_images_and_learned(painting, tmp_path):
    assert parse_looks(f"original, ink,po*,{painting}") == ("original", "ink", "poster", painting)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    other = tmp_path / "other" / "my.jpg"
    other.parent.mkdir()
    Image.open(painting).save(other)
    both = parse_looks(f"{tmp_path}/*.png,ink")
    assert both == (painting, "ink")
    assert parse_looks("ink,in*,ink") == ("ink",)
    for text, said in (
        ("inck", "Unknown style 'inck'. Did you mean 'ink'"),
        ("gone.jpg", "gone.jpg: this style image is missing"),
        ("my.svg", r"not a file of a supported kind. Allowed: \.jpg, \.jpeg, \.png, .*\.safetensors, \.pth"),
        (str(broken), "broken.jpg: this style image cannot be read"),
        ("gone.safetensors", "The file 'gone.safetensors' is missing"),
        (f"{painting},{other}", "Two styles are called 'my'"),
        (" ,", "At least one style"),
    ):
        with pytest.raises(UserError, match=said):
            parse_looks(text)


def test_a_learned_style_is_rendered_like_any_other(videos, tmp_path):
    from static_dynamic.stylize.networks.learned import load_style, write_style
    from static_dynamic.stylize.networks.network import Architecture, Generator

    path = tmp_path / "lynx.safetensors"
    write_style(path, Generator(Architecture(filters=(4, 4, 4, 4, 4, 4), blocks=1)), {})
    render(videos / "b.mp4", tmp_path / "out", Settings(parse_looks(str(path)), kind="png"), workers=0)
    painted = read(tmp_path / "out" / "style_1" / "b")
    np.testing.assert_array_equal(painted[4], load_style(path, "cpu")(decode(videos / "b.mp4")[4]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("rendr VIDEOS", "Unknown command 'rendr'"),
        ("render VIDEOS --styles ink", "The option --out is required: folder of the data set"),
        ("render VIDEOS --out OUT --styles ink --layout ssv", "Unknown value 'ssv' in --layout. Did you mean 'ssv2'"),
        ("render VIDEOS --out OUT --styles ink --layout DAVIS --format png", "Unknown format 'png' in layout DAVIS"),
        ("render VIDEOS --out OUT --styles ink --fps fast", "frames per second are required, e.g. 5"),
        ("render VIDEOS --out OUT --styles ink --size 0", "The 'size' must be 16 pixels or more. Got 0"),
        ("render VIDEOS --out OUT --styles ink --seed -1", "The 'seed' must be a non-negative integer"),
        ("render VIDEOS --out OUT --styles ink --workers -1", "The 'workers' must be 0 or more"),
        ("render OUT --out OUT --styles ink", "does not exist"),
        ("render FRAMES --out OUT --styles ink --fps 5", "have no frame rate"),
        ("render VIDEOS --out FRAMES/f/0.jpg/x --styles ink", "Cannot make the folder"),
        ("styles --video VIDEOS", "--video requires --pictures"),
    ],
)
def test_a_slip_is_one_line(arguments, said, videos, tmp_path, capsys):
    write_frames(tmp_path / "frames" / "f", coded_frames(3))
    places = {"VIDEOS": videos, "FRAMES": tmp_path / "frames", "OUT": tmp_path / "out"}
    for name, place in places.items():
        arguments = arguments.replace(name, str(place))
    assert command(lambda: run(arguments.split())) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not (tmp_path / "out").exists()


def test_the_command_renders_and_says_what_is_missing(videos, tmp_path, capsys):
    (videos / "c.mp4").write_text("no video")
    arguments = [
        "render",
        str(videos),
        "--out",
        str(tmp_path / "out"),
        "--styles",
        "ink",
        "--layout",
        "ssv2",
        "--workers",
        "0",
    ]
    assert command(lambda: run(arguments)) == 0
    out, err = capsys.readouterr()
    assert "2 clips written" in out
    assert f"left out: {videos / 'c.mp4'}" in out
    assert "something-something-v2-validation.json" in err


def test_the_commands_and_the_styles_are_named(capsys):
    run(["--help"])
    told = capsys.readouterr().out
    assert all(f"│ {name} " in told for name in ("stylize", "audit", "scrambles", "styles", "learn", "generate"))
    run(["styles"])
    assert "watercolour" in capsys.readouterr().out


def test_every_layout_has_another_place_for_every_style():
    for name, layout in LAYOUTS.items():
        assert len(set(layout.style_ids(("original", "ink", "a/my.jpg")).values())) == 3, name
