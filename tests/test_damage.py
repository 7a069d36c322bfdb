"""Stores that were damaged, interrupted or copied: what is measured again, and what can be read without the model."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import RECIPE, STAGES, STYLES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.estimators.released import Released
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.store import Store
from static_dynamic.variants import Variant


def measure(store, model=None, count=10, **options):
    """Ten videos, two shards."""
    options = {
        "recipe": RECIPE,
        "estimators": "released",
        "twins": 0,
        "styles": STYLES,
        "scoring": Scoring(replicates=20),
        **options,
    }
    return sd.measure(model or PlantedModel(), PlantedVideos(count), STAGES, store=store, **options)


def stored(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "store"
    return folder, measure(folder)


def rows(content):
    """A table of activations that lacks a row."""
    from safetensors.torch import load, save

    return save({name: tensor[:-1].contiguous() for name, tensor in load(content).items()})


DAMAGE = {
    "cut activations": ("safetensors", lambda content: content[:-1]),
    "no activations": ("safetensors", lambda content: b""),
    "activations of other rows": ("safetensors", rows),
    "activations that are gone": ("safetensors", None),
    "a garbled index": ("parquet", lambda content: b"PAR1" + bytes(len(content) - 8) + b"PAR1"),
    "a cut index": ("parquet", lambda content: content[: len(content) // 2]),
    "an index of something else": ("parquet", lambda content: pd.DataFrame({"a": [1]}).to_parquet()),
    "records that are gone": ("json", None),
    "cut records": ("json", lambda content: content[:-9]),
    "records of another form": ("json", lambda content: b'{"video": "v000"}'),
    "records that are no text": ("json", lambda content: b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_named_and_measured_again(damage, measured, tmp_path):
    whole, expected = measured
    folder = Path(shutil.copytree(whole, tmp_path / "store"))
    kind, change = DAMAGE[damage]
    path = folder / f"00000.{kind}"
    path.unlink() if change is None else path.write_bytes(change(path.read_bytes()))
    with pytest.raises(sd.UserError) as error:
        Store.open(folder).check()
    assert f"Shard 00000 of {folder} is damaged (00000.{kind}: " in str(error.value)
    assert str(error.value).endswith("A run of the same study measures it again.")
    model = PlantedModel()
    result = measure(folder, model)
    assert model.forwards == 8 * len(STYLES) * 2  # the videos of this shard, in every style and order
    assert stored(folder) == stored(whole)
    assert [warning for warning in result.warnings if warning not in expected.warnings] == [str(error.value)]
    pd.testing.assert_frame_equal(result.layers, expected.layers)
    assert measure(folder).warnings == expected.warnings


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(["safetensors", "parquet", "json"]), at=st.integers(0, 400), bytes_=st.binary(max_size=9))
def test_whatever_bytes_are_wrong_a_shard_is_whole_or_named(kind, at, bytes_, measured, tmp_path_factory):
    folder = Path(shutil.copytree(measured[0], tmp_path_factory.mktemp("fuzz") / "store"))
    path = folder / f"00001.{kind}"
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes_ + content[at + len(bytes_) :] if bytes_ else content[:at])
    store = Store.open(folder)
    if store.has(1):
        assert not store.damaged
        assert len(store.records(1)) == 2
    else:
        assert len(store.damaged) == 1
        assert "\n" not in store.damaged[0]


def test_a_shard_that_is_replaced_does_not_count_until_it_is_whole(tmp_path, monkeypatch):
    def write(store, value, video):
        keys = [Variant(video, "1", "original")]
        store.write(0, keys, {"a": torch.full((1, 2), value)}, [{"video": video, "problem": None}])

    store = Store(tmp_path / "store", {"stages": {"a": []}})
    write(store, 1.0, "old")
    wrote = []

    def stopped(path, text):
        wrote.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as disk:
        disk.setattr("static_dynamic.shards.write_text", stopped)
        with pytest.raises(KeyboardInterrupt):
            write(store, 2.0, "new")
    assert wrote == ["00000.json"]
    assert not store.has(0)
    assert store.shards() == []
    write(store, 2.0, "new")
    assert (store.stage("a").tolist(), store.index()["video"].tolist()) == ([[2.0, 2.0]], ["new"])


# ---------------------------------------------------------------- reading without the model


def test_a_store_is_scored_without_model_and_videos_and_is_not_touched(measured):
    folder, expected = measured
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    store = Store.open(folder)
    assert store.study["videos"] == [f"v{number:03d}" for number in range(10)]
    found = score_store(store, Scoring(replicates=20), [Released()])
    pd.testing.assert_frame_equal(found.layers, expected.layers[found.layers.columns])
    pd.testing.assert_frame_equal(found.units, expected.units)
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before


def test_what_is_no_store_cannot_be_opened(tmp_path):
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(sd.UserError, match=r"is not a store: it does not contain study\.json"):
            Store.open(place)
    (tmp_path / "study.json").write_text('{"kind": "training run"}')
    with pytest.raises(sd.UserError, match="describes a training run, not a study"):
        Store.open(tmp_path)


def test_stores_of_earlier_versions_are_recognised(measured, tmp_path):
    folder = Path(shutil.copytree(measured[0], tmp_path / "store"))
    study = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({name: study[name] for name in study if name != "kind"}))
    model = PlantedModel()
    measure(folder, model)
    assert model.forwards == 0


def test_a_whole_store_on_a_disk_that_cannot_be_written_is_scored(measured, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(30, "Read-only file system")

    folder, expected = measured
    model = PlantedModel()
    for name in ("pathlib.Path.write_bytes", "pathlib.Path.write_text", "pathlib.Path.unlink", "os.replace"):
        monkeypatch.setattr(name, refused)
    monkeypatch.setattr("filelock.FileLock._acquire", refused)
    pd.testing.assert_frame_equal(measure(folder, model).layers, expected.layers)
    assert model.forwards == 0


# ---------------------------------------------------------------- what measuring keeps and removes


class Failing(PlantedModel):
    def forward(self, clip):
        raise RuntimeError("no such layer")


def test_a_run_that_fails_before_its_first_shard_leaves_no_store(tmp_path):
    for resume in (True, False):
        with pytest.raises(sd.UserError, match="no such layer"):
            measure(tmp_path / "runs" / "store", Failing(), resume=resume)
        assert list(tmp_path.iterdir()) == []


def test_starting_over_removes_the_store_and_nothing_else(measured, tmp_path):
    whole, _ = measured
    folder = Path(shutil.copytree(whole, tmp_path / "store"))
    others = {"notes.txt": "mine", "00000.parquet.bak": "mine", "00001.csv": "mine", "layers.parquet": "mine"}
    for name, text in others.items():
        (folder / name).write_text(text)
    (folder / "videos").mkdir()
    (folder / "videos" / "00000.parquet").write_text("mine")
    measure(folder, count=8, resume=False)
    assert {path.name for path in folder.glob("0000?.*") if path.name not in others} == {
        "00000.safetensors",
        "00000.json",
        "00000.parquet",
    }
    assert {name: (folder / name).read_text() for name in others} == others
    assert (folder / "videos" / "00000.parquet").read_text() == "mine"


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_no_store_is_refused_and_kept(resume, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    with pytest.raises(
        sd.UserError, match=r"holds 'thesis', but study\.json is missing, which states what wrote it.*empty folder"
    ):
        measure(tmp_path, resume=resume)
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter.tex"]


def test_two_measurements_do_not_share_a_store(tmp_path):
    refusals = []

    def second(done, total, name):
        if done == 1:
            with pytest.raises(sd.UserError) as refusal:
                measure(tmp_path / "store")
            refusals.append(str(refusal.value))

    measure(tmp_path / "store", on_video=second)
    assert refusals[0].startswith(f"Another run is at work in {tmp_path / 'store'}: process ")
    measure(tmp_path / "store")
