"""What a power loss can leave: files that are in place, but empty, cut, or filled with zeros.

What takes long to make is on the disk before it is put in place; the rest is noticed and made again.
"""

import errno
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from planted import RECIPE, STAGES, STYLES, PlantedModel, PlantedVideos
from tiny import TRAIN, succeeds

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import whole, write_bytes, write_text
from static_dynamic.scoring import Scoring
from static_dynamic.shards import RUN
from static_dynamic.store import Store
from static_dynamic.variants import Variant

pytest_plugins = ("tiny_data",)  # the fixture `work`


@pytest.fixture
def disk(monkeypatch):
    """What reaches the disk, and what is put in place, in turn: ``("flushed", name)`` and ``("placed", name)``."""
    said = []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor):
        fsync(descriptor)
        said.append(("flushed", os.readlink(f"/proc/self/fd/{descriptor}")))

    def placed(source, target):
        replace(source, target)
        said.append(("placed", os.path.abspath(source), os.path.abspath(target)))

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", placed)
    return said


def lasting(said):
    """The files and folders that were on the disk, with all that is in them, before they were put in place."""
    found, flushed = set(), set()
    for what, source, *target in said:
        if what == "flushed":
            flushed.add(source)
        elif source in flushed or any(path.startswith(f"{source}/") for path in flushed):
            found.add(target[0])
    return found


def test_lasting_files_and_folders_are_on_the_disk_before_they_are_in_place(disk, tmp_path):
    write_bytes(tmp_path / "a", b"x", lasting=True)
    write_text(tmp_path / "b", "x")
    with whole(tmp_path / "c", lasting=True) as place:
        (place / "deep").mkdir(parents=True)
        for name in ("1", "deep/2"):
            (place / name).write_text(name)
    assert [what for what, *_ in disk] == ["flushed", "placed", "placed", "flushed", "flushed", "placed"]
    assert lasting(disk) == {str(tmp_path / name) for name in "ac"}
    assert (tmp_path / "c" / "deep" / "2").read_text() == "deep/2"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_place_that_cannot_wait_for_the_disk_is_written_without(number, tmp_path, monkeypatch):
    def unable(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", unable)
    write_bytes(tmp_path / "a", b"x", lasting=True)
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_full_disk_that_is_noticed_only_then_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch):
    """As on network disks."""
    write_bytes(tmp_path / "a", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"^Cannot write '.*/a': No space left on device\.$"):
        write_bytes(tmp_path / "a", b"new", lasting=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


# ---------------------------------------------------------------- shards


def add(store, shard):
    keys = [Variant(f"v{shard}", "1", "original")]
    store.write(shard, keys, {"a": torch.full((1, 2), float(shard))}, [{"video": f"v{shard}", "problem": None}])


def test_activations_are_on_the_disk_before_the_index_that_makes_them_count(disk, tmp_path):
    """Zeros in place of activations would be numbers."""
    add(Store(tmp_path, {"stages": {"a": []}}), 0)
    assert str(tmp_path / "00000.safetensors") in lasting(disk)
    placed = [Path(target).name for what, _, *rest in disk if what == "placed" for target in rest]
    assert placed == ["study.json", "00000.safetensors", "00000.json", "00000.parquet"]


def test_all_of_a_merged_file_is_on_the_disk_before_its_parts_are_removed(disk, tmp_path, monkeypatch):
    store = Store(tmp_path, {"stages": {"a": []}})
    for shard in range(RUN - 1):
        add(store, shard)
    removed = []
    from static_dynamic import shards

    remove = shards.remove
    monkeypatch.setattr(shards, "remove", lambda path: (removed.append((path.name, lasting(disk))), remove(path)))
    add(store, RUN - 1)
    merged = {str(tmp_path / f"00000-00063.{kind}") for kind in ("safetensors", "json", "parquet")}
    assert all(merged <= there for name, there in removed if name != f"{RUN - 1:05d}.parquet")
    assert len(removed) == 3 * RUN + 1


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "store"
    return folder, measure(folder)


def measure(store, model=None):
    """Ten videos, two shards."""
    options = {"recipe": RECIPE, "estimators": "released", "twins": 0, "styles": STYLES}
    scoring = Scoring(replicates=20)
    return sd.measure(model or PlantedModel(), PlantedVideos(10), STAGES, store=store, scoring=scoring, **options)


LEFT = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "zeros from the first page on": lambda content: content[:64] + bytes(len(content) - 64),
    "zeros at its end": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "cut": lambda content: content[: len(content) // 2],
}


NOTICED = [(kind, left) for kind in ("json", "parquet", "safetensors") for left in LEFT]
NOTICED.remove(("safetensors", "zeros at its end"))  # these would be numbers: activations are on the disk first


@pytest.mark.parametrize(("kind", "left"), NOTICED)
def test_a_shard_that_is_not_on_the_disk_is_named_and_measured_again(kind, left, measured, tmp_path):
    before, expected = measured
    folder = Path(shutil.copytree(before, tmp_path / "store"))
    path = folder / f"00001.{kind}"
    path.write_bytes(LEFT[left](path.read_bytes()))
    model = PlantedModel()
    again = measure(folder, model)
    (line,) = [warning for warning in again.warnings if warning not in expected.warnings]
    assert line.startswith(f"Shard 00001 of {folder} is damaged (00001.{kind}: ")
    assert model.forwards == 2 * len(STYLES) * 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in before.iterdir()
    }
    pd.testing.assert_frame_equal(again.layers, expected.layers)


# ---------------------------------------------------------------- training


def test_a_state_of_a_training_run_is_on_the_disk_before_the_older_one_is_removed(disk, work, monkeypatch):
    from static_dynamic.training import checkpoints

    removed = []
    remove = checkpoints.remove
    monkeypatch.setattr(checkpoints, "remove", lambda path: (removed.append((path, lasting(disk))), remove(path)))
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "r")
    ((older, there),) = removed
    (newer,) = (work / "r" / "state").iterdir()
    assert older.name < newer.name
    assert str(newer) in there
    on_disk = {source.rpartition("/")[2] for what, source, *_ in disk if what == "flushed"}
    assert {path.name for path in newer.iterdir()} <= on_disk
    assert {str(work / "r" / "checkpoint" / f"{name}.pth.tar") for name in ("ckpt", "best")} <= lasting(disk)
