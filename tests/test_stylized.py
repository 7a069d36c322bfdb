"""The published stylized data sets: which videos, which frames, and what is wrong with an annotation."""

import json
import shutil
from pathlib import Path

import pytest
from media import (
    ANNOTATIONS,
    FOLDERS,
    NAMING,
    annotate,
    coded_frames,
    numbers,
    only,
    read_code,
    slow_clip,
    write_frames,
    write_stylized,
)

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import (
    StyleFolders,
    Stylized,
)

SMALL = Recipe(frames=8, rate=2, crop=16)
DATASETS = tuple(ANNOTATIONS)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("naming", [None, ("frame_{:05d}.jpg", 1)])
def test_every_layout_reads_the_same_frames_in_every_style(tmp_path, dataset, naming):
    write_stylized(tmp_path, dataset, {"a1": 40, "b2": 50}, naming=naming)
    source = Stylized(tmp_path, dataset, styles=["1", "2"])
    template, first = naming or NAMING[dataset]
    assert {Path(frames).name for frames in source.describe()["frames"].values()} == {Path(template.format(first)).stem}
    for video in source.videos:
        one, two = (source.read(video, SMALL, style) for style in source.styles)
        assert one.sample.numbers == two.sample.numbers
        assert numbers(one.frames) == numbers(two.frames) == list(one.sample.numbers)
        assert [read_code(clip.frames[0])[1] for clip in (one, two)] == [1, 2]
        assert one.frames.shape[1:] == (32, 96, 3)
        assert one.total == video.details["frames"]
    labels = {"StylizedActivityNet": "Surfing", "ssv2": "Pushing something left", "Diving48": "7"}
    assert {video.label for video in source.videos} == {labels[dataset]}
    json.dumps(source.describe())


def test_frames_that_count_from_one_in_diving48_are_found(tmp_path):
    write_stylized(tmp_path, "Diving48", {"a": 20}, naming=("image_{:05d}.jpg", 1))
    source = Stylized(tmp_path, "Diving48", styles=["1"])
    clip = source.read(only(source), SMALL, "1")
    assert numbers(clip.frames) == list(clip.sample.numbers)


def test_starts_are_drawn_once_per_video_over_the_whole_range_and_zero_is_one(tmp_path):
    lengths = {f"{index}": 18 for index in range(24)}
    write_stylized(tmp_path, "ssv2", lengths)
    starts = {}
    for seed in (1, 2):
        source = Stylized(tmp_path, "ssv2", styles=["1", "2"], seed=seed)
        starts[seed] = [source.read(video, SMALL, "1").sample.numbers[0] for video in source.videos]
        assert (
            starts[seed]
            == [source.read(video, SMALL, "2").sample.numbers[0] for video in reversed(source.videos)][::-1]
        )
    assert set(starts[1]) == {0, 1, 2}
    assert starts[1] != starts[2]
    part = Stylized(tmp_path, "ssv2", styles=["2"], limit=5)
    assert [part.read(video, SMALL, "2").sample.numbers[0] for video in part.videos] == starts[1][:5]


def test_short_videos_loop_from_their_start_and_too_short_ones_are_named(tmp_path):
    write_stylized(tmp_path, "ssv2", {"long": 30, "short": 9, "tiny": 7})
    source = Stylized(tmp_path, "ssv2", styles=["1", "2"])
    assert [video.name for video in source.videos] == ["long", "short"]
    assert source.left_out == [("tiny", "fewer than 8 frames (7)")]
    clip = source.read(source.videos[1], SMALL, "1")
    assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(9, 0, 16, [8])[0]


def test_frames_are_counted_in_all_styles(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 30, "b": 30, "c": 30})
    for number in range(21, 31):
        (tmp_path / "style_2" / "a" / f"{number:06d}.jpg").unlink()
    for path in (tmp_path / "style_2" / "b").iterdir():
        path.unlink()
    (tmp_path / "style_2" / "b").rmdir()
    source = Stylized(tmp_path, "ssv2", styles=["1", "2"])
    assert {video.name: video.details["frames"] for video in source.videos} == {"a": 20, "c": 30}
    assert source.left_out == [("b", "no folder in style 2")]


def test_diving48_honours_its_start_frame(tmp_path):
    entries = [
        {"vid_name": "a", "label": 3, "start_frame": 10, "end_frame": 26},
        {"vid_name": "b", "label": 3, "start_frame": 30, "end_frame": 99},
        {"vid_name": "c", "label": 3, "start_frame": 36, "end_frame": 40},
    ]
    write_stylized(tmp_path, "Diving48", {"a": 40, "b": 40, "c": 40}, entries, styles=["1"])
    source = Stylized(tmp_path, "Diving48", styles=["1"])
    first, second = (source.read(video, SMALL, "1") for video in source.videos)
    assert numbers(first.frames) == slow_clip(26, 10, 16, [8])[0]
    assert numbers(second.frames[second.sample.pathways[0]]) == slow_clip(40, 30, 16, [8])[0]
    assert source.left_out == [("c", "a segment of fewer than 8 frames (4)")]


def test_activitynet_takes_the_start_of_the_first_segment_and_filters(tmp_path):
    def entry(*segments, subset="validation", **more):
        annotations = [{"label": f"class {start:g}", "segment": [start, end]} for start, end in segments]
        return {"subset": subset, "annotations": annotations, **more}

    database = {
        "good": entry((2.3, 6.1), (7, 11), num_frames=60),
        "looped": entry((6.5, 20), num_frames=50),
        "brief": entry((0, 5), num_frames=31),
        "blink": entry((0, 8), (9, 11.9)),
        "train": entry((0, 5), subset="training"),
        "empty": entry(),
    }
    lengths = dict.fromkeys(database, 60)
    write_stylized(tmp_path, "StylizedActivityNet", lengths, {"database": database}, styles=["1"])
    source = Stylized(tmp_path, "StylizedActivityNet", styles=["1"])
    assert [(video.name, video.label) for video in source.videos] == [
        ("good", "class 2.3"),
        ("looped", "class 6.5"),
    ]
    assert source.left_out == [
        ("brief", "fewer than 32 frames (31)"),
        ("blink", "a segment of fewer than 16 frames (14)"),
        ("empty", "no annotated segment"),
    ]
    recipe = Recipe(frames=8, rate=8, crop=16)
    for video, (start, stop) in zip(source.videos, [(11, 30), (32, 50)], strict=True):
        clip = source.read(video, recipe, "1")
        # Published: files ⌊5s⌋ + 1 … min(⌊5e⌋, num_frames), counted from 1.
        assert numbers(clip.frames[clip.sample.pathways[0]]) == slow_clip(stop, start, 64, [8])[0]
        assert clip.fps == 5
    training = Stylized(tmp_path, "StylizedActivityNet", styles=["1"], split="training")
    assert only(training).name == "train"


@pytest.mark.parametrize("folder", ["style_0", "original", "normal"])
def test_videos_as_filmed_are_read_where_they_are(tmp_path, folder):
    write_stylized(tmp_path, "ssv2", {"a": 20}, folders=["style_1", folder])
    source = Stylized(tmp_path, "ssv2", styles=["1"], use_normal_app=True)
    for style in (None, "original"):
        assert read_code(source.read(only(source), SMALL, style).frames[0])[1] == 2
    assert source.styles == ("1",)


def test_missing_originals_say_what_was_looked_for(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 20})
    source = Stylized(tmp_path, "ssv2", styles=["1"])
    with pytest.raises(UserError, match="style_0, original, normal"):
        source.read(only(source), SMALL)
    with pytest.raises(UserError, match="style_0, original, normal"):
        Stylized(tmp_path, "ssv2", styles=["1"], use_normal_app=True)


def test_a_missing_frame_is_a_bad_clip_with_its_path(tmp_path):
    write_stylized(tmp_path, "ssv2", {"a": 16})
    (tmp_path / "style_1" / "a" / "000003.jpg").unlink()
    source = Stylized(tmp_path, "ssv2", styles=["1"])
    with pytest.raises(BadClip, match=r"000003.jpg: this frame is missing"):
        source.read(only(source), Recipe(frames=16, rate=1, crop=16), "1")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("extension", ["png", "jpeg", "JPG"])
def test_frames_of_any_extension_are_found_in_every_style(tmp_path, dataset, extension):
    """Named and numbered as published in one style, as the README shows in the other."""
    write_stylized(tmp_path, dataset, {"a": 40}, styles=["1"])
    shutil.rmtree(tmp_path / "style_1")
    template, first = NAMING[dataset]
    for style, name, start in ((1, template, first), (2, "frame_{:05d}.jpg", 1)):
        folder = tmp_path / f"style_{style}" / FOLDERS[dataset].format("a")
        write_frames(folder, coded_frames(40, style), name.replace("jpg", extension), start)
    source = Stylized(tmp_path, dataset, styles=["1", "2"])
    for style in (1, 2):
        clip = source.read(only(source), SMALL, str(style))
        assert [read_code(frame) for frame in clip.frames] == [(number, style) for number in clip.sample.numbers]


@pytest.mark.parametrize("place", ["labels/validation.json", "validation.json"])
def test_something_something_is_found_under_its_names_of_today(tmp_path, place):
    write_stylized(tmp_path, "ssv2", {"a": 9})
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / "something-something-v2-validation.json").rename(tmp_path / place)
    assert only(Stylized(tmp_path, "ssv2", ["1"])).label == "Pushing something left"
    (tmp_path / place).rename((tmp_path / place).with_name("train.json"))
    assert only(Stylized(tmp_path, "ssv2", ["1"], split="train")).name == "a"
    with pytest.raises(
        UserError, match=r"labels/validation\.json.*JSON files there: .*train\.json.*`annotations=FILE`"
    ):
        Stylized(tmp_path, "ssv2", ["1"])


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_annotation_file_may_be_named(tmp_path, dataset):
    write_stylized(tmp_path / "data", dataset, {"a": 40, "b": 40})
    (tmp_path / "mine.json").write_text(json.dumps(annotate(dataset, {"b": 40})))
    source = Stylized(tmp_path / "data", dataset, ["1"], annotations=tmp_path / "mine.json")
    assert only(source).name == "b"
    assert source.describe()["annotations"] == str(tmp_path / "mine.json")
    with pytest.raises(UserError, match=r"nowhere\.json: the file does not exist"):
        Stylized(tmp_path / "data", dataset, ["1"], annotations=tmp_path / "nowhere.json")


OUTSIDE = ["../../x", "/etc", "a/../../x", "..", "C:\\x", "\\\\server\\x", "..\\x"]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_an_id_that_leads_out_of_the_data_is_refused(tmp_path, dataset, name):
    write_stylized(tmp_path / "data", dataset, {"a": 40}, annotate(dataset, {"a": 40, name: 40}), styles=["1"])
    with pytest.raises(UserError) as caught:
        Stylized(tmp_path / "data", dataset, styles=["1"])
    assert "must be a path inside the data set, neither absolute nor with '..'" in str(caught.value)
    assert repr(name) in str(caught.value)
    assert ANNOTATIONS[dataset] in str(caught.value)


SPANS = {
    "ends before it begins": ([20, 4], "a segment that ends before it begins (frames 20 to 4)"),
    "begins before the video": ([-2, 20], "a segment that begins before its video (frame -2)"),
    "begins after the video": ([90, 120], "a segment of fewer than 8 frames (0)"),
}


@pytest.mark.parametrize("fault", SPANS)
def test_a_segment_that_cannot_be_is_left_out_and_told(tmp_path, fault):
    (start, end), reason = SPANS[fault]
    for dataset, entries in (
        (
            "Diving48",
            [
                {"vid_name": "good", "label": 1, "start_frame": 0, "end_frame": 40},
                {"vid_name": "odd", "label": 1, "start_frame": start, "end_frame": end},
            ],
        ),
        (
            "StylizedActivityNet",
            {
                "database": {
                    "good": {"subset": "validation", "annotations": [{"label": "x", "segment": [0, 8]}]},
                    "odd": {
                        "subset": "validation",
                        "annotations": [
                            {"label": "x", "segment": [0, 8]},
                            {"label": "x", "segment": [start / 5, end / 5]},
                        ],
                    },
                }
            },
        ),
    ):
        root = write_stylized(tmp_path / dataset, dataset, {"good": 40, "odd": 40}, entries, styles=["1"])
        source = Stylized(root, dataset, styles=["1"])
        assert only(source).name == "good"
        expected = reason if dataset == "Diving48" else reason.replace("than 8 frames", "than 16 frames")
        assert source.left_out == [("odd", expected)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", '"nan"', "1e999", "true", "null", "[]", '"x"'])
def test_what_is_no_finite_number_is_refused_with_its_place(tmp_path, number):
    for dataset, text in (
        ("Diving48", f'[{{"vid_name": "a", "label": 1, "start_frame": 0, "end_frame": {number}}}]'),
        (
            "StylizedActivityNet",
            f'{{"database": {{"a": {{"subset": "validation", "annotations": [{{"label": "x", "segment": [0, {number}]}}]}}}}}}',
        ),
    ):
        write_stylized(tmp_path / dataset, dataset, {"a": 40}, text, styles=["1"])
        with pytest.raises(UserError, match=r"entry (0|a), field .* must be a finite number\. Got "):
            Stylized(tmp_path / dataset, dataset, styles=["1"])


def test_videos_that_are_annotated_twice_are_named(tmp_path):
    once = annotate("ssv2", {"a": 9, "b": 9})
    write_stylized(tmp_path / "list", "ssv2", {"a": 9, "b": 9}, [*once, once[0]], styles=["1"])
    source = Stylized(tmp_path / "list", "ssv2", styles=["1"])
    assert [video.name for video in source.videos] == ["a", "b"]
    assert source.left_out == [("a", "annotated more than once")]
    entry = '"a": {"subset": "validation", "annotations": []}'
    write_stylized(tmp_path / "object", "StylizedActivityNet", {"a": 40}, f'{{"database": {{{entry}, {entry}}}}}')
    with pytest.raises(UserError, match="the name 'a' appears twice"):
        Stylized(tmp_path / "object", "StylizedActivityNet", styles=["1"])


def test_other_segments_are_other_data(tmp_path):
    """A run that goes on measures a video again whose annotation has changed."""
    stamps = []
    for end in (40, 30):
        entry = [{"vid_name": "a", "label": 1, "start_frame": 0, "end_frame": end}]
        root = tmp_path / "data"
        if not root.exists():
            write_stylized(root, "Diving48", {"a": 40}, entry, styles=["1"])
        (root / "Diving48_V2_test.json").write_text(json.dumps(entry))
        source = Stylized(root, "Diving48", styles=["1"])
        stamps.append(source.stamp(only(source)))
    assert stamps[0] != stamps[1]


def without(dataset, field):
    text = json.dumps(annotate(dataset, {"a": 40}))
    return text.replace(f'"{field}"', '"other"')


FIELDS = {
    "StylizedActivityNet": ["database", "subset", "annotations", "label", "segment"],
    "ssv2": ["id", "template"],
    "Diving48": ["vid_name", "label", "start_frame", "end_frame"],
}


@pytest.mark.parametrize(("dataset", "field"), [(dataset, field) for dataset in DATASETS for field in FIELDS[dataset]])
def test_a_missing_field_is_named(tmp_path, dataset, field):
    write_stylized(tmp_path, dataset, {"a": 40}, without(dataset, field), styles=["1"])
    with pytest.raises(UserError, match=rf"{ANNOTATIONS[dataset]}.*no field '{field}'"):
        Stylized(tmp_path, dataset, styles=["1"])


BAD_ANNOTATIONS = {
    "no JSON": ("ssv2", "{", "not valid JSON"),
    "no list": ("ssv2", "3", "must be a list or an object"),
    "no video": ("ssv2", "[]", "do not name any video"),
    "no object": ("ssv2", "[5]", "entry 0 must be an object with the field 'template'. Got 5"),
    "no number": (
        "Diving48",
        [{"vid_name": "a", "label": 1, "start_frame": "first", "end_frame": 9}],
        "entry 0, field 'start_frame' must be a finite number. Got 'first'",
    ),
    "no text": ("ssv2", [{"id": "a", "template": None}], "'template' must be text"),
    "three times": (
        "StylizedActivityNet",
        {"database": {"a": {"subset": "validation", "annotations": [{"label": "x", "segment": [0, 1, 2]}]}}},
        r"entry a.*must be \[start, end\]",
    ),
    "no number of frames": (
        "StylizedActivityNet",
        {"database": {"a": {"subset": "validation", "annotations": [], "num_frames": "many"}}},
        "'num_frames' must be a finite number. Got 'many'",
    ),
}


@pytest.mark.parametrize("fault", BAD_ANNOTATIONS)
def test_a_wrong_annotation_is_named(tmp_path, fault):
    dataset, written, expected = BAD_ANNOTATIONS[fault]
    write_stylized(tmp_path, dataset, {"a": 40}, written, styles=["1"])
    with pytest.raises(UserError, match=expected):
        Stylized(tmp_path, dataset, styles=["1"])


def test_what_the_user_got_wrong_is_said(tmp_path):
    write_stylized(tmp_path, "StylizedActivityNet", {"a": 40, "b": 20, "c": 21})
    with pytest.raises(UserError, match="Did you mean 'StylizedActivityNet'"):
        Stylized(tmp_path, "ActivityNet", styles=["1"])
    with pytest.raises(UserError, match=r"Unknown style '3'.*Allowed: 1, 2"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1", "3"])
    with pytest.raises(UserError, match="Unknown split 'test'"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1"], split="test")
    with pytest.raises(UserError, match=r"something-something-v2-validation\.json.*activitynet_v13\.json"):
        Stylized(tmp_path, "ssv2", styles=["1"])
    source = Stylized(tmp_path, "StylizedActivityNet", styles=["1", "2"])
    with pytest.raises(UserError, match="Unknown style '4'"):
        source.read(only(source), SMALL, "4")
    for path in (tmp_path / "style_1" / "v_a").glob("00003*"):
        path.unlink()
    (tmp_path / "style_1" / "v_a" / "000040.jpg").unlink()
    with pytest.raises(UserError, match=r"3 of 3 videos left out: 3 fewer than 32 frames \(a, b, c\)"):
        Stylized(tmp_path, "StylizedActivityNet", styles=["1"])


def test_style_folders_need_no_annotations_and_leave_out_what_a_style_lacks(tmp_path):
    for style, lengths in ((0, {"a": 9, "b": 9, "c": 9}), (2, {"a": 9, "b": 9}), (10, {"a": 9, "c": 9, "d": 9})):
        for name, length in lengths.items():
            write_frames(tmp_path / f"style_{style}" / name, coded_frames(length, style))
    source = StyleFolders(tmp_path)
    assert source.styles == ("2", "10")
    assert [video.name for video in source.videos] == ["a"]
    assert dict(source.left_out) == {"b": "not in style 10", "c": "not in style 2", "d": "not in style 2, original"}
    clip = source.read(only(source), SMALL, "10")
    assert numbers(clip.frames) == list(clip.sample.numbers)
    assert read_code(clip.frames[0])[1] == 10
    assert read_code(source.read(only(source), SMALL).frames[0])[1] == 0
    assert len(StyleFolders(tmp_path, styles=["2"]).videos) == 2
    json.dumps(source.describe())


def test_slips_with_style_folders(tmp_path):
    write_frames(tmp_path / "style_1" / "a", coded_frames(4))
    write_frames(tmp_path / "style_2" / "b", coded_frames(4))
    for options, said in (
        ({}, r"No video in .* is in every style\. 2 of 2 videos left out: 1 not in style 2 \(a\)"),
        ({"styles": ["3"]}, "Unknown style '3' in .*Allowed: 1, 2"),
        ({"use_normal_app": True}, "No original videos"),
    ):
        with pytest.raises(UserError, match=said):
            StyleFolders(tmp_path, **options)
    with pytest.raises(UserError, match=r"No stylized data in .*style_1"):
        StyleFolders(tmp_path / "style_1")
    (tmp_path / "style_1").rename(tmp_path / "style_0")
    (tmp_path / "style_2").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"At least one style is required\. Got none\. Available in .*: 0"):
        StyleFolders(tmp_path)
    (tmp_path / "style_0").rename(tmp_path / "style_1")
    source = StyleFolders(tmp_path, styles=["1"])
    with pytest.raises(UserError, match="No original videos"):
        source.read(only(source), SMALL)
    with pytest.raises(UserError, match="Unknown style '2'"):
        source.read(only(source), SMALL, "2")
