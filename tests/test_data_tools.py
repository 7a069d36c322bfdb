"""Videos to folders of frames, annotations to lists: whole or absent, resumable, nothing bad without its name."""

import csv
import json
import os
import sys

import numpy as np
import pytest
from doors import script
from hypothesis import given, settings
from hypothesis import strategies as st
from media import coded_frames, cut, noisy_frames, numbers, write_frames, write_video

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.media.images import read_image
from static_dynamic.training.data import EvaluationClips
from static_dynamic.training.frames import Extraction, extract, extract_one
from static_dynamic.training.labels import label_other, label_sthv1, label_sthv2
from static_dynamic.training.lists import Entry, check_frames, read_categories, read_list, write_list
from static_dynamic.training.sampling import SAMPLINGS

AS_THEY_ARE = Extraction(height=0)
NAMES = ["Lifting something up", "Pushing something from left to right"]


@pytest.fixture
def videos(tmp_path):
    """Three good videos in three containers, one of text, one cut short."""
    folder = tmp_path / "videos"
    write_video(folder / "11.webm", coded_frames(9), codec="libvpx", crf="4", b="2M")
    write_video(folder / "22.mp4", coded_frames(12))
    write_video(folder / "more" / "33.avi", coded_frames(7), codec="mpeg4")
    (folder / "44.mp4").write_text("no video")
    cut(write_video(tmp_path / "whole.mkv", noisy_frames(40)), name="whole_cut.mkv").rename(folder / "55.mkv")
    return folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def frames_of(folder):
    return [read_image(path) for path in sorted(folder.glob("*.jpg"))]


def test_every_frame_becomes_a_numbered_image_in_the_folder_of_its_video(videos, tmp_path):
    found = extract(videos, tmp_path / "frames", AS_THEY_ARE)
    assert found.done == 3
    for name, count in {"22": 12, "more/33": 7}.items():
        folder = tmp_path / "frames" / name
        assert files(folder) == [f"{number:06d}.jpg" for number in range(1, count + 1)]
        assert numbers(frames_of(folder)) == list(range(count))
    assert len(frames_of(tmp_path / "frames" / "11")) == 9


def test_what_cannot_be_read_is_named_and_leaves_nothing_behind(videos, tmp_path):
    found = extract(videos, tmp_path / "frames", AS_THEY_ARE)
    assert set(found.bad) == {"44", "55"}
    listed = (tmp_path / "frames" / "bad_videos.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in listed] == [str(videos / "44.mp4"), str(videos / "55.mkv")]
    assert "damaged or truncated after" in listed[1]
    assert {path.name for path in (tmp_path / "frames").iterdir()} == {
        "11", "22", "more", "bad_videos.txt", ".extraction.json"
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_videos_whose_names_are_not_utf8_get_names_that_can_be_printed(videos, tmp_path):
    (videos / "22.mp4").rename(videos / os.fsdecode(b"caf\xe9.mp4"))
    (videos / "44.mp4").rename(videos / os.fsdecode(b"bad\xff.mp4"))
    found = extract(videos, tmp_path / "frames", AS_THEY_ARE)
    assert set(found.bad) == {r"bad\xff", "55"}
    assert numbers(frames_of(tmp_path / "frames" / r"caf\xe9")) == list(range(12))
    assert r"bad\xff.mp4: no video" in (tmp_path / "frames" / "bad_videos.txt").read_text()


@pytest.mark.parametrize("height", [16, 64])
def test_frames_get_the_height_that_is_asked_for_and_keep_their_proportions(tmp_path, height):
    write_video(tmp_path / "v" / "a.mp4", coded_frames(3))
    extract(tmp_path / "v", tmp_path / "frames", Extraction(height=height))
    assert {frame.shape for frame in frames_of(tmp_path / "frames" / "a")} == {(height, 3 * height, 3)}


def test_a_turned_video_is_upright_and_its_height_is_that_of_the_upright_picture(tmp_path):
    write_video(tmp_path / "v" / "a.mp4", coded_frames(3), rotation=90)
    extract(tmp_path / "v", tmp_path / "frames", Extraction(height=48))
    assert {frame.shape for frame in frames_of(tmp_path / "frames" / "a")} == {(48, 16, 3)}


def test_only_the_first_seconds_if_asked_for(tmp_path):
    write_video(tmp_path / "v" / "a.mp4", coded_frames(30), fps=10)
    extract(tmp_path / "v", tmp_path / "frames", Extraction(height=0, seconds=1.5))
    assert numbers(frames_of(tmp_path / "frames" / "a")) == list(range(15))


def test_a_second_call_does_only_what_is_missing_and_tries_the_bad_again(videos, tmp_path):
    extract(videos, tmp_path / "frames", AS_THEY_ARE)
    times = {name: (tmp_path / "frames" / name).stat().st_mtime_ns for name in ("11", "more/33")}
    for path in (tmp_path / "frames" / "22").iterdir():
        path.unlink()
    (tmp_path / "frames" / "22").rmdir()
    write_video(videos / "44.mp4", coded_frames(4))
    found = extract(videos, tmp_path / "frames", AS_THEY_ARE)
    assert found.done == 4
    assert set(found.bad) == {"55"}
    assert {name: (tmp_path / "frames" / name).stat().st_mtime_ns for name in times} == times
    assert len(frames_of(tmp_path / "frames" / "22")) == 12
    assert len(frames_of(tmp_path / "frames" / "44")) == 4


def test_a_stopped_extraction_leaves_no_half_folder(tmp_path, monkeypatch):
    write_video(tmp_path / "v" / "a.mp4", coded_frames(6))
    target = tmp_path / "frames" / "a"

    from PIL import Image

    save, left = Image.Image.save, iter(range(3))
    monkeypatch.setattr(Image.Image, "save", lambda *a, **k: save(*a, **k) if next(left, None) is not None else stop())

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_one(tmp_path / "v" / "a.mp4", target, AS_THEY_ARE)
    assert not list((tmp_path / "frames").iterdir())
    monkeypatch.undo()
    assert extract_one(tmp_path / "v" / "a.mp4", target, AS_THEY_ARE) == 6
    assert len(files(target)) == 6


def test_frames_of_two_settings_are_not_mixed(tmp_path):
    write_video(tmp_path / "v" / "a.mp4", coded_frames(3))
    extract(tmp_path / "v", tmp_path / "frames", AS_THEY_ARE)
    with pytest.raises(UserError, match="height is 0 there, 256 here"):
        extract(tmp_path / "v", tmp_path / "frames", Extraction())


def test_two_videos_of_one_name_are_refused(tmp_path):
    for kind in ("mp4", "avi"):
        write_video(tmp_path / "v" / f"a.{kind}", coded_frames(3), codec="mpeg4")
    with pytest.raises(UserError, match=r"a\.avi and .*a\.mp4 would both become a/"):
        extract(tmp_path / "v", tmp_path / "frames", AS_THEY_ARE)
    assert not (tmp_path / "frames").exists()


@pytest.mark.parametrize("damage", ["cut", "hole"])
def test_a_video_that_breaks_off_or_has_a_hole_is_bad(tmp_path, damage):
    path = write_video(tmp_path / "a.mp4", noisy_frames(40), movflags="faststart")
    if damage == "cut":
        path = cut(path)
    else:
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes(4000) + data[middle + 4000 :])
    with pytest.raises(BadClip, match="damaged or truncated after"):
        extract_one(path, tmp_path / "frames", AS_THEY_ARE)
    assert not (tmp_path / "frames").exists()


def test_processes_make_the_same_frames(videos, tmp_path):
    one = extract(videos, tmp_path / "one", AS_THEY_ARE)
    two = extract(videos, tmp_path / "two", AS_THEY_ARE, workers=2)
    assert one == two
    assert files(tmp_path / "one") == files(tmp_path / "two")
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# --- lists -------------------------------------------------------------------------------------------------------


ENTRIES = st.lists(
    st.builds(
        Entry,
        st.from_regex(r"[\w-]([\w /.-]*[\w-])?", fullmatch=True),
        st.integers(1, 9999),
        st.integers(0, 173),
    ),
    min_size=1,
)


@settings(deadline=None, max_examples=50)
@given(ENTRIES)
def test_a_list_reads_as_it_was_written(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("lists") / "train_videofolder.txt"
    write_list(path, entries)
    assert read_list(path, 174) == entries


SLIPS = {
    "outside": ("11 3 0\n../12 30 0", "line 2: the name of a video must be a path inside the data set"),
    "absolute": ("/etc 30 0", "line 1: the name of a video must be a path inside the data set"),
    "two fields": ("11 30\n12 30", "line 1: must be '<id> <frames> <label>'"),
    "no number": ("11 30 0\n\n12 30 one", "line 3: must be"),
    "unknown class": ("11 30 0\n12 30 2", "line 2: unknown class 2. Allowed: 0 to 1, as in category.txt"),
    "negative": ("11 30 -1", "line 1: must be"),
    "no frame": ("11 0 1", "line 1: a video needs at least one frame"),
    "empty": ("\n", "lists no video"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_list_is_named_with_file_and_line(tmp_path, slip):
    text, says = SLIPS[slip]
    (tmp_path / "val_videofolder.txt").write_text(text)
    with pytest.raises(UserError) as caught:
        read_list(tmp_path / "val_videofolder.txt", classes=2)
    assert "val_videofolder.txt" in str(caught.value)
    assert says in str(caught.value)


def test_a_class_that_is_there_twice_is_named_with_its_line(tmp_path):
    (tmp_path / "category.txt").write_text("a\nb\n\na\n")
    with pytest.raises(UserError, match=r"category\.txt, line 4: the class 'a' repeats that of line 1"):
        read_categories(tmp_path)
    (tmp_path / "something-something-v1-labels.csv").write_text("Turning something\nTurning something\n")
    with pytest.raises(UserError, match=r"labels\.csv, line 2: the class 'Turning something' repeats that of line 1"):
        label_sthv1(tmp_path, tmp_path, tmp_path)


def test_a_list_whose_frames_are_elsewhere_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "train_videofolder.txt"
    entries = [Entry(name, 3, 0) for name in "abcd"]
    path.write_text("\n" + "".join(f"{name} 3 0\n" for name in "abcd"))
    for name in "abc":
        (tmp_path / "frames" / name).mkdir(parents=True)
    check_frames(path, entries, tmp_path / "frames", share=0.05)  # one may always be missing
    (tmp_path / "frames" / "b").rmdir()
    check_frames(path, entries, tmp_path / "frames", share=0.5)
    with pytest.raises(
        UserError, match=r"videofolder\.txt, line 3: the folder .*frames/b is missing. Of 4 videos in the list, 2"
    ):
        check_frames(path, entries, tmp_path / "frames", share=0.05)


def annotate_v2(folder, train, validation, test=(), names=NAMES):
    """The published JSON files: ids and class numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "something-something-v2"
    (folder / f"{stem}-labels.json").write_text(json.dumps({name: str(i) for i, name in enumerate(names)}))
    for split, rows in {"train": train, "validation": validation}.items():
        content = [
            {"id": name, "label": "a", "template": names[label].replace("something", "[something]")}
            for name, label in rows
        ]
        (folder / f"{stem}-{split}.json").write_text(json.dumps(content))
    (folder / f"{stem}-test.json").write_text(json.dumps([{"id": name} for name in test]))
    return folder


@pytest.fixture
def frames(tmp_path):
    for name, count in {"1": 3, "2": 5, "3": 4, "9": 2}.items():
        write_frames(tmp_path / "frames" / name, coded_frames(count), "{:06d}.jpg", first=1)
    return tmp_path / "frames"


def test_lists_of_something_something_v2(tmp_path, frames):
    annotations = annotate_v2(tmp_path / "a", [("1", 1), ("7", 0), ("2", 0)], [("3", 1)], test=["9"])
    written = label_sthv2(annotations, frames, tmp_path / "lists")
    assert written.missing == ["7"]
    assert read_categories(tmp_path / "lists") == NAMES
    texts = {path.name: path.read_text() for path in (tmp_path / "lists").glob("*_*.txt")}
    assert texts == {
        "train_videofolder.txt": "1 3 1\n2 5 0\n",
        "val_videofolder.txt": "3 4 1\n",
        "test_videofolder.txt": "9 2 0\n",
    }


@pytest.mark.parametrize("place", ["", "labels/"])
def test_the_files_of_version_2_are_found_under_their_names_of_today(tmp_path, frames, place):
    annotations = annotate_v2(tmp_path / "a", [("1", 1)], [("3", 0)])
    for path in list(annotations.iterdir()):
        target = annotations / place / path.name.removeprefix("something-something-v2-")
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    label_sthv2(annotations, frames, tmp_path / "lists")
    assert read_categories(tmp_path / "lists") == NAMES
    assert (tmp_path / "lists" / "train_videofolder.txt").read_text() == "1 3 1\n"


ODD = {
    "outside": ([{"id": "../1"}], r"entry 0, field 'id': the name of a video must be a path inside"),
    "no id": ([{"id": "1"}, {}], r"entry 1 has no field 'id'"),
    "no object": ([7], r"entry 0 must be an object with the field 'id'"),
    "no list": (7, r"train\.json must be a list or an object\. Got 7"),
    "no text": ([{"id": "1", "template": None}], r"field 'template' must be text\. Got None"),
}


@pytest.mark.parametrize("slip", ODD)
def test_odd_annotations_of_version_2_are_one_line(tmp_path, frames, slip):
    content, says = ODD[slip]
    annotations = annotate_v2(tmp_path / "a", [], [])
    (annotations / "something-something-v2-train.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=says):
        label_sthv2(annotations, frames, tmp_path / "lists")
    assert not (tmp_path / "lists").exists()


def test_an_id_of_version_1_that_leads_outside_is_refused(tmp_path, frames):
    (tmp_path / "something-something-v1-labels.csv").write_text("Turning something\n")
    (tmp_path / "something-something-v1-train.csv").write_text("1;Turning something\n/etc;Turning something\n")
    with pytest.raises(UserError, match=r"train\.csv, line 2: the name of a video must be a path inside"):
        label_sthv1(tmp_path, frames, tmp_path / "lists")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_folder_whose_name_cannot_stand_in_a_list_is_named(tmp_path):
    for name in (b"a", b"b\xff", b"c\nd"):
        write_frames(tmp_path / os.fsdecode(name), coded_frames(2))
    written = label_other(tmp_path, tmp_path / "list.txt")
    assert (tmp_path / "list.txt").read_text() == "a 2 0\n"
    assert written.missing == [r"b\xff", r"c\nd"]


def test_videos_and_frames_behind_links_are_found(tmp_path):
    write_video(tmp_path / "disk" / "v.mp4", coded_frames(3))
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "videos" / "loop").symlink_to(tmp_path / "videos")
    extract(tmp_path / "videos", tmp_path / "elsewhere", AS_THEY_ARE)
    assert files(tmp_path / "elsewhere" / "link") == ["v/000001.jpg", "v/000002.jpg", "v/000003.jpg"]
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "set").symlink_to(tmp_path / "elsewhere" / "link")
    label_other(tmp_path / "frames", tmp_path / "list.txt")
    assert read_list(tmp_path / "list.txt", 1) == [Entry("set/v", 3, 0)]


@pytest.mark.parametrize("extension", ["png", "jpeg", "JPG"])
def test_frames_of_any_extension_are_trained_on(tmp_path, extension):
    write_frames(tmp_path / "v", coded_frames(9), f"{{:06d}}.{extension}", first=1)
    recipe = Recipe(frames=4, rate=1, crop=32)
    clips = EvaluationClips(tmp_path, [Entry("v", 9, 0)], recipe, SAMPLINGS["segments"](recipe))
    item = clips[0]
    assert item.complaint is None
    frames = clips.read(clips.entries[0], clips.sampling.at(9, 0.5))
    assert numbers(frames) == list(clips.sampling.at(9, 0.5).numbers)


def test_classes_of_version_2_are_numbered_as_its_file_says(tmp_path, frames):
    annotations = annotate_v2(tmp_path / "a", [("1", 1)], [("3", 0)])
    path = annotations / "something-something-v2-labels.json"
    path.write_text(json.dumps({NAMES[1]: "0", NAMES[0]: "1"}))
    label_sthv2(annotations, frames, tmp_path / "lists")
    assert read_categories(tmp_path / "lists") == NAMES[::-1]
    assert (tmp_path / "lists" / "train_videofolder.txt").read_text() == "1 3 0\n"


def test_lists_of_something_something_v1(tmp_path, frames):
    for split, text in {
        "labels": "Turning something\nDropping something\n",
        "train": "1;Turning something\n2;Dropping something\n",
        "validation": "3;Turning something\n",
        "test": "9\n",
    }.items():
        (tmp_path / f"something-something-v1-{split}.csv").write_text(text)
    label_sthv1(tmp_path, frames, tmp_path)
    assert read_categories(tmp_path) == ["Dropping something", "Turning something"]
    assert (tmp_path / "train_videofolder.txt").read_text() == "1 3 1\n2 5 0\n"
    assert (tmp_path / "val_videofolder.txt").read_text() == "3 4 1\n"
    assert (tmp_path / "test_videofolder.txt").read_text() == "9 2 0\n"


def test_an_unknown_class_in_annotations_is_named_and_nothing_is_written(tmp_path, frames):
    (tmp_path / "something-something-v1-labels.csv").write_text("Turning something\n")
    (tmp_path / "something-something-v1-train.csv").write_text("1;Turning something\n2;Turnin something\n")
    with pytest.raises(
        UserError, match=r"'Turnin something' in .*v1-train.csv, line 2. Did you mean 'Turning something"
    ):
        label_sthv1(tmp_path, frames, tmp_path / "lists")
    annotations = annotate_v2(tmp_path / "a", [("1", 0)], [])
    path = annotations / "something-something-v2-train.json"
    path.write_text(path.read_text().replace("Lifting", "Lofting"))
    with pytest.raises(UserError, match=r"video 1\. Did you mean 'Lifting something up'"):
        label_sthv2(annotations, frames, tmp_path / "lists")
    assert not (tmp_path / "lists").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1, column 2: not valid JSON"),
        ("[1]", "must number its classes from 0, each once, as in"),
        ('{"Lifting something up": "1"}', "must number its classes from 0, each once"),
    ],
)
def test_damaged_annotations_are_one_line(tmp_path, frames, text, says):
    annotations = annotate_v2(tmp_path / "a", [("1", 0)], [])
    (annotations / "something-something-v2-labels.json").write_text(text)
    with pytest.raises(UserError, match=says):
        label_sthv2(annotations, frames, tmp_path / "lists")


# --- the doors ---------------------------------------------------------------------------------------------------


def test_the_scripts_go_from_videos_to_lists(videos, tmp_path):
    frames = tmp_path / "frames"
    code, out, _ = script("vid2img_sthv2", videos, frames, "--workers", "0")
    assert code == 0
    assert "3 videos are in" in out
    assert "2 could not be read" in out
    assert frames_of(frames / "22")[0].shape == (256, 768, 3)
    annotations = annotate_v2(tmp_path / "a", [("11", 0), ("22", 1), ("44", 1)], [("22", 1)])
    code, out, _ = script("gen_label_sthv2", annotations, frames, "--out", tmp_path / "lists")
    assert code == 0
    assert "train_videofolder.txt: 2 videos" in out
    assert "frames are missing: 1 (the first is 44)" in out


def test_the_scripts_for_videos_of_ones_own(tmp_path):
    write_video(tmp_path / "v" / "a b.mp4", coded_frames(60), fps=10)
    assert script("vid2img_other", tmp_path / "v", tmp_path / "f", "--height", "32", "--workers", "0")[0] == 0
    assert script("gen_label_other", tmp_path / "f")[0] == 0
    assert (tmp_path / "f" / "gifs-frames-5s.txt").read_text() == "a b 50 0\n"
    assert read_list(tmp_path / "f" / "gifs-frames-5s.txt", 174) == [Entry("a b", 50, 0)]


def test_the_script_of_version_1(tmp_path, frames):
    (tmp_path / "something-something-v1-labels.csv").write_text("Turning something\n")
    (tmp_path / "something-something-v1-train.csv").write_text("1;Turning something\n")
    assert script("gen_label_sthv1", tmp_path, frames)[0] == 0
    assert next(csv.reader((tmp_path / "train_videofolder.txt").open(), delimiter=" ")) == ["1", "3", "0"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("vid2img_sthv2", "nowhere", "frames"),
        ("gen_label_sthv2", "nowhere", "frames"),
        ("gen_label_sthv1", "nowhere", "frames"),
        ("gen_label_other", "nowhere"),
        ("vid2img_other",),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, _, err = script(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not os.listdir(tmp_path)


def test_frames_are_close_to_the_video(tmp_path):
    """JPEG at high quality: a few grey levels."""
    pictures = coded_frames(4)
    write_video(tmp_path / "v" / "a.mp4", pictures)
    extract(tmp_path / "v", tmp_path / "frames", AS_THEY_ARE)
    seen = np.stack(frames_of(tmp_path / "frames" / "a")).astype(int)
    assert np.abs(seen - pictures).mean() < 3
