"""Data sets of torch and arrays as videos: the recipe picks their frames, and what is no frame is one bad clip."""

import re

import av
import numpy as np
import pytest
import torch
from media import coded_frames, noisy_frames, numbers, only, slow_clip, write_video
from planted import released
from torch import nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

import static_dynamic as sd
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe, Video
from static_dynamic.sources import Clips, VideoFiles, open_source

SMALL = Recipe(frames=8, rate=2, crop=16)
STAGES = {"relu": ("1", "N C T H W")}


class Films(Dataset):
    """Videos of 30 frames and more, each with its number as class; one of them fails."""

    def __init__(self, count=4, bad=()):
        self.count, self.bad, self.read = count, bad, []

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        self.read.append(number)
        if number in self.bad:
            raise KeyError("two\nlines")
        return torch.from_numpy(coded_frames(30 + number)), number


def decode(path):
    """Every frame of a video file."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def network():
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())


def test_a_clip_in_memory_is_that_of_the_file_it_was_decoded_from(tmp_path):
    files = VideoFiles(write_video(tmp_path / "a.mp4", noisy_frames(30, 40, 60)))
    decoded = decode(tmp_path / "a.mp4")
    for given in ([decoded], decoded[None], TensorDataset(torch.from_numpy(decoded[None]))):
        source = open_source(given, fps=10)
        clip, there = source.read(only(source), SMALL), files.read(only(files), SMALL)
        assert np.array_equal(clip.frames, there.frames)
        assert (clip.sample.numbers, clip.total, clip.fps) == (there.sample.numbers, there.total, there.fps)


def test_a_data_set_of_torch_is_measured_like_its_files(tmp_path):
    films = {
        f"{number}.mp4": write_video(tmp_path / "clips" / f"{number}.mp4", coded_frames(9 + number))
        for number in range(3)
    }
    decoded = [decode(path) for path in films.values()]
    model = network()
    there, here = (
        released(model, source, STAGES, recipe=Recipe(frames=4, rate=1, crop=16))
        for source in (str(tmp_path / "clips"), Clips(decoded, names=list(films)))
    )
    assert there.layers.equals(here.layers)
    assert there.units.equals(here.units)


def test_items_are_read_by_number_with_names_and_classes():
    source = open_source(Films(), names=["a", "b\nc", "d", "e"], labels=[0, "run", None, 3], fps=25)
    assert isinstance(source, Clips)
    assert source.dataset.read == []
    assert {video.name: video.label for video in source.videos} == {"a": "0", r"b\nc": "run", "d": None, "e": "3"}
    clip = source.read(source.videos[2], SMALL)
    assert numbers(clip.frames) == list(clip.sample.numbers) == slow_clip(32, 8, 16, [8])[0]
    assert (clip.total, clip.fps, clip.source) == (32, 25, "d")
    assert source.dataset.read == [2]
    assert [video.name for video in open_source(Subset(Films(), [3, 1])).videos] == ["clip 0", "clip 1"]
    assert open_source(Subset(Films(), [3, 1])).read(Video("clip 0"), SMALL).total == 33


def test_what_only_looks_like_a_data_set_is_taken_too():
    class Own:
        def __len__(self):
            return 2

        def __getitem__(self, number):
            return coded_frames(20 + number)

    assert [open_source(Own()).read(Video(f"clip {number}"), SMALL).total for number in (0, 1)] == [20, 21]


@pytest.mark.parametrize("layout", ["C T H W", "T C H W", "H W C T"])
def test_axes_come_in_the_order_that_is_said(layout):
    axes = layout.split()
    frames = coded_frames(20).transpose(["THWC".index(axis) for axis in axes])
    source = Clips([frames], layout=layout)
    assert numbers(source.read(only(source), SMALL).frames) == slow_clip(20, 2, 16, [8])[0]


WRONG_ITEMS = {
    "floats": (np.zeros((20, 8, 8, 3)), "Got float64 of shape (20, 8, 8, 3)."),
    "channels first": (np.zeros((3, 20, 8, 8), np.uint8), "Got uint8 of shape (3, 20, 8, 8)."),
    "one image": (np.zeros((8, 8, 3), np.uint8), "Got uint8 of shape (8, 8, 3)."),
    "a text": ("a.mp4", "an item must be frames of shape (T, H, W, C), uint8 RGB. Got <U5 of shape ()."),
    "nothing": ((), "an item must be frames"),
    "ragged": ([[1], [1, 2]], "clip 0: the data set fails (ValueError"),
    "one frame": (np.zeros((1, 8, 8, 3), np.uint8), "clip 0: a video requires at least two frames"),
}


@pytest.mark.parametrize("slip", WRONG_ITEMS)
def test_an_item_that_is_no_video_is_a_bad_clip(slip):
    item, says = WRONG_ITEMS[slip]
    source = Clips([item])
    with pytest.raises(BadClip, match=re.escape(says)) as caught:
        source.read(only(source), SMALL)
    assert "\n" not in str(caught.value)
    assert isinstance(source.stamp(only(source)), str)


def test_an_item_that_fails_is_recorded_and_the_run_goes_on():
    recipe = Recipe(frames=4, rate=1, crop=16)
    result = sd.measure(network(), Films(22, bad=[5]), STAGES, recipe=recipe, twins=0)
    problems = {record["video"]: record["problem"] for record in result.manifest["videos"] if record["problem"]}
    assert list(problems) == ["clip 5"]
    assert problems["clip 5"].startswith("clip 5: the data set fails (KeyError: ")


WRONG = {
    "too few names": ({"names": ["a"]}, "Clips requires names for each of its 4 items. Got ['a']."),
    "one name": ({"names": "abcd"}, "Clips requires names for each of its 4 items. Got 'abcd'."),
    "names twice": ({"names": [*"abca"]}, "The names of clips must all be different."),
    "too few labels": ({"labels": []}, "Clips requires labels for each of its 4 items. Got []."),
    "a layout": ({"layout": "T H W"}, "The layout of clips must be 'T H W C' in any order. Got 'T H W'."),
    "a rate": ({"fps": 0}, "The rate of clips must be a number of frames per second, above 0. Got 0."),
    "an option": ({"label": [1]}, "Unknown option 'label' in Clips. Did you mean 'labels'"),
}


@pytest.mark.parametrize("slip", WRONG)
def test_options_that_do_not_fit_are_one_line(slip):
    options, says = WRONG[slip]
    with pytest.raises(UserError, match=re.escape(says)):
        open_source(Films(), **options)


def test_what_has_no_numbers_says_what_to_do():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([coded_frames(9)])

    for given in (Stream(), iter([])):
        with pytest.raises(
            UserError, match=r"Clips takes a data set with len\(dataset\) and dataset\[number\].* in a list"
        ):
            Clips(given)
    with pytest.raises(UserError, match=r"Clips takes a data set"):
        open_source(Stream())
    with pytest.raises(UserError, match="This data set of clips is empty"):
        open_source(np.zeros((0, 4, 8, 8, 3), np.uint8))


def test_paths_in_arrays_remain_paths(tmp_path):
    write_video(tmp_path / "a.mp4", coded_frames(9))
    assert only(open_source(np.array([str(tmp_path / "a.mp4")]))).name == str(tmp_path / "a.mp4")


def test_other_frames_are_noticed_unless_a_version_tells(tmp_path):
    one, other = (noisy_frames(30 + more, 20, 20) for more in (0, 1))
    stamps = {open_source([frames]).stamp(Video("clip 0")) for frames in (one, one.copy(), other, one[::-1], 255 - one)}
    assert len(stamps) == 4
    films = Films(2)
    source = open_source(films, version="2")
    assert [source.stamp(video) for video in source.videos] == ["2", "2"]
    assert films.read == []


def test_a_run_that_is_resumed_on_other_frames_reads_them(tmp_path):
    model, recipe = network(), Recipe(frames=4, rate=1, crop=16)

    def measured(frames):
        films = [frames, frames[::-1]]
        return released(model, films, STAGES, recipe=recipe, store=tmp_path / "store").units

    one, other = noisy_frames(30, 20, 20), 255 - noisy_frames(30, 20, 20)
    first = measured(one)
    assert measured(one).equals(first)
    assert not measured(other).equals(first)
    assert measured(one).equals(first)
