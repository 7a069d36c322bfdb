"""The store: however its rows are cut into shards, it gives them back, in order, and counts only what is whole."""

import json
import shutil
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from static_dynamic import shards as store_module
from static_dynamic.common.errors import UserError
from static_dynamic.store import Store
from static_dynamic.variants import Variant

STUDY = {"stages": {"late": [], "early": [], "10": [], "9": []}, "seed": 3}
UNITS = {"late": 3, "early": 1, "10": 300, "9": 5}
ROWS = 4
"""Of a video."""


def keys_of(video):
    return [Variant(video, *key) for key in product(("ink", "1"), ("intact", "shuffle"))]


def rows_of(videos, seed=0):
    """Stage → activations of all rows of some videos; every number is another."""
    count = ROWS * len(videos)
    return {
        stage: (torch.arange(count)[:, None] * units + torch.arange(units)).float() + 1e6 * place + seed
        for place, (stage, units) in enumerate(UNITS.items())
    }


def fill(store, number, videos, first=0, skipped=(), judgements=()):
    """Add the videos from place ``first`` on as a shard; those that are skipped have a record alone."""
    kept = [video for video in videos if video not in skipped]
    whole = rows_of([*range(first), *kept])
    activations = {stage: x[ROWS * first :] for stage, x in whole.items()} if kept else {}
    keys = [key for video in kept for key in keys_of(video)]
    store.write(number, keys, activations, [record(video, video in skipped) for video in videos], judgements)


def record(video, skipped=False, sequence=None):
    return {"video": video, "label": "x", "sequence": sequence, "problem": f"{video}: broken." if skipped else None}


def keys(store):
    return [Variant(*row) for row in store.index()[list(Variant._fields)].itertuples(index=False)]


def names(count):
    return [f"v{number}" for number in range(count)]


@settings(deadline=None, max_examples=20)
@given(data=st.data(), sizes=st.lists(st.integers(1, 3), min_size=1, max_size=8))
def test_any_cut_into_shards_made_in_any_order_gives_the_same_rows(tmp_path_factory, data, sizes):
    store = Store(tmp_path_factory.mktemp("store"), STUDY)
    videos, starts = names(sum(sizes)), np.cumsum([0, *sizes])
    order = data.draw(st.permutations(range(len(sizes))))
    for number in order:
        fill(store, number, videos[starts[number] : starts[number + 1]], int(starts[number]))
    whole = rows_of(videos)
    assert store.shards() == list(range(len(sizes)))
    assert keys(store) == [key for video in videos for key in keys_of(video)]
    assert store.records() == [record(video) for video in videos]
    for stage, x in whole.items():
        assert store.stage(stage).dtype == np.float32
        np.testing.assert_array_equal(store.stage(stage), x)
        start = data.draw(st.integers(0, x.shape[1] - 1))
        block = slice(start, data.draw(st.integers(start + 1, x.shape[1])))
        np.testing.assert_array_equal(store.stage(stage, block), x[:, block])
    assert list(store.units().items()) == list(UNITS.items())
    for number in order:
        assert store.has(number)
        assert store.records(number) == [record(video) for video in videos[starts[number] : starts[number + 1]]]
    assert not store.has(len(sizes))


def test_shards_come_in_the_order_of_their_numbers_whatever_their_digits(tmp_path):
    """Also where 100000 is written with a digit more, and with shards missing in between."""
    store = Store(tmp_path, STUDY)
    numbers = [2, 10, 9, 0, 99999]
    for number in numbers:
        fill(store, number, [f"v{number}"])
    assert store.shards() == sorted(numbers)
    assert [record["video"] for record in store.records()] == [f"v{number}" for number in sorted(numbers)]
    assert [key.video for key in keys(store)[::ROWS]] == [f"v{number}" for number in sorted(numbers)]


def test_a_store_without_shards_is_empty(tmp_path):
    store = Store(tmp_path, STUDY)
    assert store.shards() == store.records() == []
    assert store.units() == {}
    assert store.judgements() is None
    assert list(store.index().columns) == ["video", "style", "order", "replicate"]
    assert len(store.index()) == 0
    assert not store.has(0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_shard_whose_videos_are_all_skipped_has_records_alone(tmp_path, place):
    store, videos, first = Store(tmp_path, STUDY), names(6), 0
    for number in range(3):
        part = videos[2 * number : 2 * number + 2]
        fill(store, number, part, first, skipped=part if number == place else ())
        first += 2 * (number != place)
    kept = [video for i, video in enumerate(videos) if i // 2 != place]
    assert keys(store) == [key for video in kept for key in keys_of(video)]
    assert [record["video"] for record in store.records() if record["problem"]] == videos[2 * place : 2 * place + 2]
    assert list(store.units().items()) == list(UNITS.items())
    for stage, x in rows_of(kept).items():
        np.testing.assert_array_equal(store.stage(stage), x)
        np.testing.assert_array_equal(store.stage(stage, slice(0, 1)), x[:, :1])


def test_activations_of_any_memory_order_are_kept(tmp_path):
    store, x = Store(tmp_path, {}), torch.arange(12.0).reshape(3, 4).T
    store.write(0, keys_of("v"), {"x": x, "y": x[:, ::2]}, [record("v")])
    np.testing.assert_array_equal(store.stage("x"), x)
    np.testing.assert_array_equal(store.stage("y"), x[:, ::2])


def test_a_shard_that_is_written_again_is_replaced(tmp_path):
    store = Store(tmp_path, STUDY)
    fill(store, 0, ["old", "v1"])
    fill(store, 0, ["new"])
    assert [record["video"] for record in store.records()] == ["new"]
    assert {key.video for key in keys(store)} == {"new"}
    assert len(store.stage("late")) == ROWS


# --- judgements --------------------------------------------------------------------------------------------------


def test_judgements_stand_beside_their_rows_and_missing_ones_are_missing(tmp_path):
    store, worth = Store(tmp_path, STUDY), [{"J": i / 10, "F": -i} for i in range(ROWS)]
    fill(store, 0, ["a"], judgements=worth)
    fill(store, 1, ["b"], 1, judgements=[{}, {"J": 1.0}, {}, {"F": 2.0}])
    fill(store, 2, ["c"], 2, skipped=["c"])
    index = store.index()
    assert index.columns.tolist() == ["video", "style", "order", "replicate", "J", "F"]
    np.testing.assert_allclose(index["J"], [0, 0.1, 0.2, 0.3, np.nan, 1, np.nan, np.nan])
    np.testing.assert_allclose(index["F"], [0, -1, -2, -3, np.nan, np.nan, np.nan, 2])
    assert keys(store) == keys_of("a") + keys_of("b")


def test_rows_of_a_store_from_before_replicates_are_none(tmp_path):
    fill(Store(tmp_path, STUDY), 0, ["a"], judgements=[{"J": i / 10} for i in range(ROWS)])
    path = tmp_path / "00000.parquet"
    pd.read_parquet(path).drop(columns="replicate").to_parquet(path, index=False)
    store = Store.open(tmp_path)
    assert store.index().columns.tolist() == ["video", "style", "order", "replicate", "J"]
    assert store.variants() == keys_of("a")
    assert store.index()["J"].tolist() == [0, 0.1, 0.2, 0.3]


def test_judgements_name_the_sequence_of_their_video(tmp_path):
    store = Store(tmp_path, STUDY)
    rows = rows_of(["a", "b"])
    store.write(0, keys_of("a") + keys_of("b"), rows, [record("a", sequence="film"), record("b")], [{"J": 1.0}] * 8)
    judged = store.judgements()
    assert judged.columns.tolist() == ["video", "sequence", "style", "order", "replicate", "J"]
    assert judged["sequence"].fillna("none").tolist() == ["film"] * 4 + ["none"] * 4
    pd.testing.assert_frame_equal(judged.drop(columns="sequence"), store.index())


def test_without_judgements_there_are_none(tmp_path):
    store = Store(tmp_path, STUDY)
    fill(store, 0, ["a"], judgements=[{}] * ROWS)
    assert store.judgements() is None


# --- what is whole, and whose it is ------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process between two files."""


def test_a_shard_counts_only_once_all_of_it_is_there(tmp_path, monkeypatch):
    """A process that is killed after any file leaves no shard; the next one adds it."""
    written = []
    fill(Store(tmp_path / "whole", STUDY), 0, ["a"])
    wanted = {path.name for path in (tmp_path / "whole").iterdir()}
    writers = [name for name in ("write_atomically", "write_bytes", "write_text") if hasattr(store_module, name)]

    def killed_after(count, write):
        def writes(path, *arguments, **options):
            if len(written) == count:
                raise Killed
            written.append(path.name)
            write(path, *arguments, **options)

        return writes

    store = Store(tmp_path / "killed", STUDY)
    plain = {name: getattr(store_module, name) for name in writers}
    for count in range(3):
        written.clear()
        for name, write in plain.items():
            monkeypatch.setattr(store_module, name, killed_after(count, write))
        with pytest.raises(Killed):
            fill(store, 0, ["a"])
        assert not store.has(0)
        assert store.shards() == store.records() == []
        assert len(store.index()) == 0
    monkeypatch.undo()
    fill(store, 0, ["a"])
    assert store.has(0)
    assert {path.name for path in (tmp_path / "killed").iterdir()} >= wanted
    assert [path.read_bytes() for path in sorted((tmp_path / "killed").glob("0*"))] == [
        path.read_bytes() for path in sorted((tmp_path / "whole").glob("0*"))
    ]


def test_equal_shards_have_equal_bytes_whoever_makes_them(tmp_path):
    for folder, order in (("one", [0, 1, 2]), ("two", [2, 0, 1])):
        store = Store(tmp_path / folder, STUDY)
        for number in order:
            fill(store, number, [f"v{number}"], number)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_same_study_goes_on_with_its_store_and_another_is_refused(tmp_path):
    fill(Store(tmp_path, STUDY), 0, ["a"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert Store(tmp_path, {**STUDY, "seed": 3}).has(0)
    with pytest.raises(UserError, match=r"another study: seed is 3 there, 4 here") as error:
        Store(tmp_path, {**STUDY, "seed": 4})
    assert str(tmp_path) in str(error.value)
    assert "`resume=False`" in str(error.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_studies_are_compared_as_plain_data(tmp_path):
    fill(Store(tmp_path, {"styles": ("a", "b"), "weights": {1: 2}}), 0, ["a"])
    Store(tmp_path, {"weights": {"1": 2}, "styles": ["a", "b"]})
    with pytest.raises(UserError, match="another study"):
        Store(tmp_path, {"styles": ["b", "a"], "weights": {"1": 2}})


def test_a_new_store_takes_the_place_of_the_old_only_if_asked(tmp_path):
    fill(Store(tmp_path, STUDY), 0, ["a"])
    store = Store(tmp_path, {**STUDY, "seed": 4}, resume=False)
    assert store.shards() == []
    assert json.loads((tmp_path / "study.json").read_text())["seed"] == 4
    assert not list(tmp_path.glob("00000.*"))
    fill(store, 0, ["b"])
    assert Store(tmp_path, {**STUDY, "seed": 4}).has(0)


@pytest.mark.parametrize("content", ["", "{", "nonsense"])
def test_a_description_that_cannot_be_read_is_one_line(tmp_path, content):
    Store(tmp_path, STUDY)
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(UserError, match=r"study\.json") as error:
        Store(tmp_path, STUDY)
    assert "\n" not in str(error.value)


def test_the_folder_is_made_and_its_place_does_not_matter(tmp_path):
    fill(Store(tmp_path / "deep" / "store", STUDY), 0, ["a"])
    shutil.move(tmp_path / "deep" / "store", tmp_path / "moved")
    assert Store(tmp_path / "moved", STUDY).has(0)
