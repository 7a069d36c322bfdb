"""Data sets of Hugging Face: the same clips as from plain files, with the classes and names that columns give."""

import re
import shutil

import numpy as np
import pytest
from media import coded_frames, cut, noisy_frames, numbers, only, slow_clip, write_frames, write_video
from planted import released
from torch import nn

from static_dynamic import main
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.config import open_data, read_config
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import FrameFolders, HuggingFace, VideoFiles, open_source

datasets = pytest.importorskip("datasets")
SMALL = Recipe(frames=8, rate=2, crop=16)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Data sets are cached here; the network is not asked."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.fixture
def clips(tmp_path):
    """Videos in folders of classes."""
    write_video(tmp_path / "clips" / "run" / "a.mp4", coded_frames(30))
    write_video(tmp_path / "clips" / "run" / "b.avi", coded_frames(20), codec="mpeg4")
    write_video(tmp_path / "clips" / "walk" / "c.mkv", noisy_frames(24, 40, 60))
    return tmp_path / "clips"


def table(paths, embed=True, **columns):
    """A data set of videos: their bytes, or their paths alone."""
    videos = [
        {"path": path.name, "bytes": path.read_bytes()} if embed else {"path": str(path), "bytes": None}
        for path in paths
    ]
    features = {name: kind for name, (_, kind) in columns.items()} | {"video": datasets.Video()}
    values = {name: values for name, (values, _) in columns.items()} | {"video": videos}
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def text(*values):
    return list(values), datasets.Value("string")


def files(clips):
    return sorted(path for path in clips.rglob("*.*") if path.is_file())


def same(one, other):
    assert np.array_equal(one.frames, other.frames)
    assert one.sample.numbers == other.sample.numbers
    assert (one.total, one.fps) == (other.total, other.fps)


def classes(source):
    return {video.name: video.label for video in source.videos}


# --- the same clips ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embed", [True, False])
def test_a_clip_of_a_data_set_is_that_of_the_plain_file(clips, embed):
    there, here = VideoFiles(clips), open_source(table(files(clips), embed))
    assert isinstance(here, HuggingFace)
    assert [video.name for video in here.videos] == ["row 0", "row 1", "row 2"]
    for plain, video in zip(there.videos, here.videos, strict=True):
        same(there.read(plain, SMALL), here.read(video, SMALL))
    assert here.read(here.videos[1], SMALL).source == ("row 1, b.avi" if embed else str(clips / "run" / "b.avi"))


def test_bytes_without_a_name_are_read(clips):
    bare = [{"path": None, "bytes": files(clips)[0].read_bytes()}]
    data = datasets.Dataset.from_dict({"video": bare}, features=datasets.Features(video=datasets.Video()))
    source = open_source(data)
    clip = source.read(only(source), SMALL)
    assert numbers(clip.frames) == slow_clip(30, 7, 16, [8])[0]
    assert clip.source == "row 0"


@pytest.mark.parametrize("kind", ["List", "LargeList", "Sequence"])
def test_a_list_of_images_is_a_video(tmp_path, kind):
    folder = write_frames(tmp_path / "f" / "a", coded_frames(23), "{:02d}.jpg")
    images = [
        {"bytes": path.read_bytes() if number % 2 else None, "path": str(path)}
        for number, path in enumerate(sorted(folder.iterdir()))
    ]
    features = datasets.Features({"frames": getattr(datasets, kind)(datasets.Image()), "thumbnail": datasets.Image()})
    data = datasets.Dataset.from_dict(
        {"frames": [images, images[:1], None], "thumbnail": [images[1]] * 3}, features=features
    )
    here, there = open_source(data), FrameFolders(tmp_path / "f")
    same(there.read(only(there), SMALL), here.read(here.videos[0], SMALL))
    for number, says in (
        (1, "row 1: a video requires at least two frames"),
        (2, "row 2: the column 'frames' is empty"),
    ):
        with pytest.raises(BadClip, match=says):
            here.read(here.videos[number], SMALL)


def test_selected_and_shuffled_rows_are_those_of_the_data_set(clips):
    data = table(files(clips), id=text("a", "b", "c"))
    for changed in (
        data.shuffle(seed=3),
        data.select([2, 0]),
        data.filter(lambda name: name != "a", input_columns="id"),
        data.with_format("numpy"),
    ):
        source = open_source(changed, names="id")
        assert [video.name for video in source.videos] == [str(name) for name in changed["id"]]
        for video in source.videos:
            plain = VideoFiles(files(clips)["abc".index(video.name)])
            same(plain.read(only(plain), SMALL), source.read(video, SMALL))


def test_a_measurement_of_a_data_set_is_that_of_the_files(tmp_path, videos):
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    stages, recipe = {"relu": ("1", "N C T H W")}, Recipe(frames=4, rate=1, crop=16)
    data = table(files(videos), names=text("a.mp4", "b.mp4"))
    there, here = (
        released(network, place, stages, recipe=recipe) for place in (str(videos), HuggingFace(data, names="names"))
    )
    assert there.layers.equals(here.layers)
    assert there.units.equals(here.units)


# --- classes and names -------------------------------------------------------------------------------------------


def test_classes_and_names_come_from_columns(clips):
    kinds = datasets.ClassLabel(names=["run", "walk"])
    data = table(
        files(clips), label=([0, 1, -1], kinds), id=([7, 8, 9], datasets.Value("int64")), other=text("x", None, "")
    )
    assert classes(open_source(data, names="id")) == {"7": "run", "8": "walk", "9": None}
    assert classes(open_source(data, labels="other")) == {"row 0": "x", "row 1": None, "row 2": None}
    assert classes(open_source(data, labels="id"))["row 0"] == "7"
    assert list(classes(open_source(data.rename_column("label", "action"))).values()) == ["run", "walk", None]
    assert list(classes(open_source(data.remove_columns("label"))).values()) == [None] * 3


WRONG = {
    "a column": ({"column": "vidoe"}, "Unknown column 'vidoe' in the data set. Did you mean 'video'"),
    "no video": ({"column": "id"}, "The column 'id' must hold videos, or lists of images. Got Value"),
    "a class": ({"labels": "lable"}, "Unknown column 'lable' in the data set. Did you mean 'label'"),
    "numbers": ({"labels": "score"}, "The column 'score' must hold classes: texts, numbers or a ClassLabel"),
    "folders": ({"labels": "folders"}, "Unknown column 'folders' in the data set"),
    "no names": ({"names": "id"}, "The column 'id' cannot name videos: row 1 holds None"),
    "names twice": ({"names": "label"}, "The column 'label' cannot name videos: rows 0 and 2 are 'x'"),
    "an option": ({"split": "train"}, "Unknown option 'split' in HuggingFace. Allowed: column, labels, names."),
}


@pytest.mark.parametrize("slip", WRONG)
def test_columns_that_do_not_fit_are_one_line(clips, slip):
    options, says = WRONG[slip]
    score = ([0.5, 1.0, 2.0], datasets.Value("float32"))
    data = table(files(clips), id=text("a", None, "c"), label=text("x", "y", "x"), score=score)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        open_source(data, **options)
    assert "\n" not in str(caught.value)


def test_data_sets_without_a_row_a_video_or_a_choice_are_one_line(clips):
    data = table(files(clips), id=text("a", "b", "c"))
    with pytest.raises(UserError, match="has no rows"):
        open_source(data.select([]))
    with pytest.raises(
        UserError, match=r"no column of videos, or of lists of images: id \(Value\)\. A column of paths"
    ):
        open_source(data.remove_columns("video"))
    paths = datasets.Dataset.from_dict({"file": [str(path) for path in files(clips)]})
    assert len(open_source(paths.cast_column("file", datasets.Video())).videos) == 3  # what the message says
    two = table(files(clips), again=([str(path) for path in files(clips)], datasets.Video()))
    with pytest.raises(UserError, match=r"several columns of videos \(again, video\): choose one with HuggingFace"):
        open_source(two)
    assert open_source(two, column="again").column == "again"


def test_what_is_not_map_style_says_what_to_do(clips):
    data = table(files(clips))
    for given, says in (
        (
            data.to_iterable_dataset(),
            "An? IterableDataset cannot be measured. Its rows have no numbers: load it without",
        ),
        (
            datasets.DatasetDict(train=data, test=data),
            r"A DatasetDict .* splits: dataset\['train'\], dataset\['test'\]\.",
        ),
        (
            datasets.IterableDatasetDict(train=data.to_iterable_dataset()),
            r"without streaming=True.* dataset\['train'\]",
        ),
    ):
        with pytest.raises(UserError, match=says):
            open_source(given)
    with pytest.raises(UserError, match=r"HuggingFace takes a datasets\.Dataset\. Got 3"):
        HuggingFace(3)


# --- rows that cannot be read ------------------------------------------------------------------------------------


def test_rows_that_cannot_be_read_are_bad_clips_that_name_the_row(tmp_path, clips):
    short = cut(files(clips)[0], 0.5)
    videos = [
        {"path": "a.mp4", "bytes": b"no video"}, None, {"path": str(tmp_path / "missing.mp4"), "bytes": None},
        {"path": "hf://datasets/user/name/a.mp4", "bytes": None}, {"path": short.name, "bytes": short.read_bytes()},
        {"path": "../../x\n.mp4", "bytes": b""}, {"path": str(files(clips)[0]), "bytes": None},
    ]  # fmt: skip
    source = open_source(
        datasets.Dataset.from_dict({"video": videos}, features=datasets.Features(video=datasets.Video()))
    )
    for number, says in enumerate(
        (
            r"^row 0, a\.mp4: no video that can be read",
            r"^row 1: the column 'video' is empty\.",
            r"missing\.mp4: no video that can be read \(No such file",
            r"^row 3: hf://datasets/user/name/a\.mp4 is not on this machine\. Download it",
            r"^row 4, cut_a\.mp4: damaged or truncated|^row 4, cut_a\.mp4: no video that can be read",
            r"^row 5, \.\./\.\./x\\n\.mp4: no video that can be read \(the file is empty",
        )
    ):
        with pytest.raises(BadClip, match=says):
            source.read(source.videos[number], SMALL)
        assert source.stamp(source.videos[number])
    assert source.read(source.videos[6], SMALL).total == 30


# --- changes -----------------------------------------------------------------------------------------------------


def test_other_data_are_noticed(clips):
    first = table(files(clips), embed=False)
    source, again = open_source(first), open_source(table(files(clips), embed=False))
    assert source.describe() == again.describe()
    stamps = [source.stamp(video) for video in source.videos]
    assert stamps == [again.stamp(video) for video in again.videos]
    assert len({*stamps}) == 3
    assert open_source(first.select([0, 2, 1])).describe() != source.describe()
    shutil.copy(files(clips)[1], files(clips)[0])
    assert [open_source(first).stamp(video) == stamp for video, stamp in zip(source.videos, stamps, strict=True)] == [
        False,
        True,
        True,
    ]


# --- folders -----------------------------------------------------------------------------------------------------


def test_data_sets_in_folders_are_opened_by_name(tmp_path, clips):
    there = VideoFiles(clips, labels="folders")
    kinds = datasets.ClassLabel(names=["run", "walk"])
    data = table(files(clips), label=([0, 0, 1], kinds))
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict(train=data, test=data.select([1])).save_to_disk(tmp_path / "splits")
    data.to_parquet(tmp_path / "parquet" / "train.parquet")
    for where in ("saved", "splits:train", "parquet", "parquet:train", "clips", "clips:train"):
        source = open_data(read_config([f"--videos=hf:{tmp_path}/{where}"]), SMALL)
        assert [video.label for video in source.videos] == ["run", "run", "walk"]
        for plain, video in zip(there.videos, source.videos, strict=True):
            same(there.read(plain, SMALL), source.read(video, SMALL))
    assert len(open_source(f"hf:{tmp_path}/splits:test").videos) == 1
    for where, says in (
        ("splits", r"has several splits \(train, test\): give one, as in hf:.*splits:train"),
        ("splits:tset", r"Unknown split 'tset' in .*splits\. Did you mean 'test'"),
        ("missing", "missing is not a folder: 'hf:' takes a data set in a folder"),
        ("missing:train", "missing is not a folder"),
    ):
        with pytest.raises(UserError, match=says):
            open_source(f"hf:{tmp_path}/{where}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty cannot be read as a data set of Hugging Face: "):
        open_source(f"hf:{tmp_path}/empty")
    with pytest.raises(UserError, match="is not a folder"):
        open_source("hf:")


def test_the_program_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert main.main(["sheet", "hf:user/name:train", "--out", str(tmp_path / "a.png")]) == 2
    said = capsys.readouterr().err.strip()
    assert "user/name is not a folder" in said
    assert len(said.splitlines()) == 1
