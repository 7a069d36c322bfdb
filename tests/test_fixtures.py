"""What earlier versions left on disk, in `golden/`, is read, and gives the numbers that it gave.

`make_fixtures.py` wrote them. A store of format 1 is in `test_large.py`, results of format 1 in `test_results.py`.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from make_fixtures import CELLS, MAKERS, SCORED, STYLES
from safetensors.torch import load_file
from tiny import metrics
from tiny_models import Tiny

import static_dynamic as sd
from static_dynamic import models
from static_dynamic.common.runs import claim, open_run
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.results import MEASUREMENT
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.shards import RUN
from static_dynamic.store import STUDY, Store
from static_dynamic.stylize.rendering.settings import NOTE
from static_dynamic.tracking import open_course
from static_dynamic.tracking.course import COURSE
from static_dynamic.training.checkpoints import TRAINING

GOLDEN = Path(__file__).parent / "golden"


def equal(found, expected):
    """Tables of the same columns and numbers, within the rounding of other libraries."""
    found = found[list(expected)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6, atol=1e-7, check_dtype=False)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (STUDY, "store_format_{}"),
        (MEASUREMENT, "result_format_{}"),
        (TRAINING, "training_format_{}"),
        (COURSE, "course"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_newest_format_of_every_kind_has_a_fixture(kind, name):
    """A new format needs one of its own: add it to `make_fixtures.py`, and keep the old one."""
    folder = GOLDEN / name.format(kind.format)
    assert folder.is_dir()
    assert json.loads((folder / kind.file).read_text())["format"] == kind.format
    assert folder.name in {*MAKERS, "training_format_2"}


def test_a_store_of_format_2_is_read_and_gives_the_scores_that_it_gave():
    folder = GOLDEN / "store_format_2"
    store = Store.open(folder)
    store.check()
    assert store.shards() == [*range(RUN + 2)]
    assert len(store.variants()) == (RUN + 2) * len(CELLS)
    assert [record["stamp"] for record in store.records()] == ["1 files"] * (RUN + 2)
    draw = np.random.default_rng(0)
    numbers = np.stack([draw.normal(size=(2, 4, 2)) for _ in range(RUN + 2)]).astype(np.float32)
    for place, stage in enumerate(("late", "early")):
        np.testing.assert_array_equal(store.stage(stage), numbers[:, place].reshape(-1, 2))
    scores = score_store(store, Scoring(replicates=20), find_estimators(SCORED))
    for name in ("layers", "units"):
        equal(getattr(scores, name), pd.read_csv(folder / f"{name}.csv"))


def test_a_store_of_format_2_is_resumed(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "store_format_2", tmp_path / "store"))
    for name in ("layers.csv", "units.csv"):
        (folder / name).unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    study = {name: value for name, value in json.loads(before["study.json"]).items() if name not in ("kind", "format")}
    assert study["styles"] == list(STYLES)
    store = Store(folder, study)
    assert all(store.has(shard) for shard in range(RUN + 2))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_result_of_format_2_is_read_and_shown(tmp_path):
    folder = GOLDEN / "result_format_2"
    result = sd.load(folder)
    assert result.estimators == ["released", "needs_motion"]
    assert result.stages == ["planted", "frames"]
    equal(result.layers, pd.read_csv(folder / "layers.csv"))
    assert result.layer("released").query("stage == 'planted'")["share"].sum() == pytest.approx(100)
    assert result.unit("released")["class"].isin(["dynamic", "static", "joint", "residual", "dead"]).all()
    assert sorted(result.twins["twin"].unique()) == [1, 2]
    assert len(result.samples) == 4
    assert result.quality["mean"].notna().all()
    assert set(result.pictures["video"]) <= {f"v{number:03d}" for number in range(6)}
    assert len(result.top_clips)
    assert any("v004: broken on purpose" in warning for warning in result.warnings)
    assert result.manifest["checkpoint"] == "a.pth"
    page = result.report(tmp_path / "report.html").read_text()
    assert "v004: broken on purpose" in page
    again = sd.load(result.save(tmp_path / "again"))
    pd.testing.assert_frame_equal(again.layers, result.layers)
    pd.testing.assert_frame_equal(again.units, result.units)
    assert {**again.manifest} == {**result.manifest}
    assert sd.compare(folder, tmp_path / "again").layers["difference"].abs().max() == 0


def test_a_checkpoint_of_training_gives_the_outputs_that_it_gave():
    folder = GOLDEN / "training_format_2"
    path = folder / "checkpoint" / "ckpt.pth.tar"
    model = models.create_model("tiny_models:Tiny", checkpoint=path, num_classes=3).eval()
    expected = json.loads((folder / "outputs.json").read_text())
    assert model(torch.zeros(1, 3, 4, 16, 16))[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.load(path, weights_only=True)["epoch"] == 2
    (state,) = (folder / "state").iterdir()
    plain = Tiny()
    plain.load_state_dict(load_file(state / "model.safetensors"))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in plain.state_dict().items())


def test_a_training_run_is_that_of_its_options_and_of_no_others(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "training_format_2", tmp_path / "run"))
    study = {name: value for name, value in TRAINING.read(folder).items() if name not in ("kind", "format")}
    assert len(metrics(folder)) == 2
    with open_run(folder, TRAINING, study) as there:
        assert there["lr"] == 0.05
    with pytest.raises(sd.UserError, match=r"belongs to another training run: lr is 0\.05 there, 0\.5 here"):
        claim(folder, TRAINING, {**study, "lr": 0.5})


def test_a_course_is_read_and_gives_the_numbers_that_it_gave(tmp_path):
    folder = GOLDEN / "course"
    course = open_course(folder)
    assert course.steps == [0, 10]
    equal(course.table, pd.read_csv(folder / "course.csv"))
    assert len(course.untrained) == course.table.groupby(["stage", "estimator", "factor"]).ngroups


def test_a_stylized_data_set_is_read(tmp_path):
    folder = GOLDEN / "stylized" / "rendered"
    note = json.loads((folder / NOTE).read_text())
    assert note["settings"]["styles"] == {"0": "original", "1": "ink"}
    assert note["finished"]
    source = sd.open_source(folder / "style_0")
    assert [video.name for video in source.videos] == ["a", "b"]
    draw = np.random.default_rng(0)
    for video in source.videos:
        frames = source.read(video, sd.Recipe(frames=4, rate=1, crop=16)).frames
        np.testing.assert_array_equal(frames, draw.integers(0, 255, (4, 16, 16, 3), dtype=np.uint8))


# ---------------------------------------------------------------- altered by hand


ALTERED = {
    "quality of other columns": ("quality.csv", "twins.csv", "its quality lack the column 'video'"),
    "twins of other columns": ("twins.csv", "quality.csv", "its twins lack the column 'twin'"),
    "layers of units": ("layers.parquet", "units.parquet", "its layers lack the column 'factor'"),
    "pictures of clips": ("pictures.parquet", "top_clips.parquet", "its pictures lack the column 'style'"),
}


@pytest.mark.parametrize("altered", ALTERED)
def test_a_result_with_the_table_of_another_name_is_one_line(altered, tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "result_format_2", tmp_path / "run"))
    name, other, says = ALTERED[altered]
    shutil.copy(folder / other, folder / name)
    with pytest.raises(sd.UserError, match=f"^No result can be read from .*/run: {says}"):
        sd.load(folder)


def test_a_result_with_text_in_place_of_a_number_is_one_line(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "result_format_2", tmp_path / "run"))
    text = (folder / "quality.csv").read_text()
    (folder / "quality.csv").write_text(text.replace(",0.", ",0x", 1))
    with pytest.raises(sd.UserError, match=r"'mean' of its quality is not a number\.$"):
        sd.load(folder)


@pytest.mark.parametrize("key", ["value", "stage", "low"])
def test_a_course_with_lists_of_other_lengths_is_one_line(key, tmp_path):
    folder = Path(shutil.copytree(GOLDEN / "course", tmp_path / "course"))
    path = folder / "000000000010.json"
    point = json.loads(path.read_text())
    point["rows"][key].pop()
    path.write_text(json.dumps(point))
    with pytest.raises(sd.UserError, match=r"^The course in .* is damaged \(ValueError: .*\)\.$"):
        open_course(folder)
