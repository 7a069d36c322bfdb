"""Runs on disk: further scores from the activations alone, as if they had been measured so."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from program import door

import static_dynamic as sd
from static_dynamic.common.commands import command
from static_dynamic.reopening import open_run
from static_dynamic.store import Store

ESTIMATORS = ("needs_motion", "needs_order", "released")


def blueness(video, output):
    return {"blue": float(output[..., 2].mean())}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of three estimators and two twins, and what it found."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = sd.measure(
        PlantedModel(),
        PlantedVideos(12),
        STAGES,
        recipe=RECIPE,
        styles=("1", "2", "3"),
        estimators=ESTIMATORS,
        twins=2,
        judge=blueness,
        store=folder / "store",
        scoring=sd.Scoring(sd.PairRule(seed=3), replicates=50, seed=3),
        provenance={"checkpoint": "some.pth"},
    )
    result.save(folder)
    return folder, result


def copied(measured, tmp_path):
    return shutil.copytree(measured[0], tmp_path / "run")


def test_the_scores_of_a_run_are_found_again_from_its_store(measured):
    folder, result = measured
    again = sd.score(folder, ESTIMATORS)
    pd.testing.assert_frame_equal(again.layers, result.layers)
    pd.testing.assert_frame_equal(again.units, result.units)
    pd.testing.assert_frame_equal(again.twins, result.twins)
    pd.testing.assert_frame_equal(again.quality, result.quality)
    assert again.manifest["scoring"] == result.manifest["scoring"]
    assert again.manifest["checkpoint"] == "some.pth"
    assert set(result.warnings) >= set(again.warnings)


@pytest.mark.parametrize("wanted", ["needs_order", ["released", "needs_motion"]])
def test_some_of_the_estimators_give_what_all_gave(measured, wanted):
    folder, result = measured
    found = sd.open_run(folder).score(wanted)
    assert found.estimators == ([wanted] if isinstance(wanted, str) else wanted)
    assert [one["name"] for one in found.manifest["estimators"]] == found.estimators
    for name in found.estimators:
        pd.testing.assert_frame_equal(found.layer(name), result.layer(name))
        pd.testing.assert_frame_equal(found.unit(name), result.unit(name), check_like=True)


def test_a_run_has_its_result_and_its_store(measured):
    folder, result = measured
    run = open_run(str(folder))
    pd.testing.assert_frame_equal(run.result.layers, result.layers)
    assert run.store.study["model"] == "PlantedModel"
    assert [store.study["twin"]["seed"] for store in run.twins] == [twin["seed"] for twin in result.manifest["twins"]]


def test_what_is_told_of_a_twin_is_what_its_store_gives(measured):
    folder, result = measured
    for number in (1, 2):
        alone = sd.score(folder / "store" / f"twin-{number}", ESTIMATORS, sd.Scoring(sd.PairRule(seed=3), seed=3))
        for name in ESTIMATORS:
            told = result.twins.query("twin == @number and estimator == @name")
            layer = alone.layer(name)
            assert told[["stage", "factor"]].to_numpy().tolist() == layer[["stage", "factor"]].to_numpy().tolist()
            np.testing.assert_allclose(told["value"], layer["share"], rtol=1e-9)


def test_a_store_alone_is_scored_too(measured, tmp_path):
    """Without its twins."""
    store = shutil.copytree(measured[0] / "store", tmp_path / "alone", ignore=shutil.ignore_patterns("twin-*"))
    for given in (store, Store.open(store)):
        found = sd.score(given, "released", sd.Scoring(sd.PairRule(seed=3), replicates=50, seed=3))
        expected = measured[1].layer("released").drop(columns=["twin", "twin_low", "twin_high"])
        pd.testing.assert_frame_equal(found.layer(), expected)
    assert found.manifest["study"]["styles"] == ["1", "2", "3"]


def test_other_options_change_the_intervals_and_not_the_numbers(measured):
    folder, result = measured
    narrow = sd.score(folder, "released", sd.Scoring(confidence=0.5, seed=3)).layer()
    before = result.layer("released")
    pd.testing.assert_series_equal(narrow["share"], before["share"])
    assert (narrow["share_high"] - narrow["share_low"] < before["share_high"] - before["share_low"]).all()


@pytest.mark.parametrize(
    ("shown", "asked", "first"),
    [("released", "needs_motion", "original, intact"), ("needs_motion", "released", "1, intact; 1, shuffle")],
)
def test_clips_that_were_not_shown_are_named(tmp_path, shown, asked, first):
    folder = tmp_path / "store"
    options = {"recipe": RECIPE, "styles": ("1", "2"), "twins": 0, "store": folder}
    sd.measure(PlantedModel(), PlantedVideos(4), STAGES, estimators=shown, **options)
    with pytest.raises(sd.UserError) as error:
        sd.score(folder, asked)
    assert f"{asked} needs clips that this store does not hold: {first}" in str(error.value)
    assert f"`estimators={asked!r}`" in str(error.value)


def test_twins_are_those_of_the_run(measured, tmp_path):
    """Neither those of an earlier run with more of them, nor of another study; what is no twin is passed over."""
    folder = copied(measured, tmp_path)
    shutil.copytree(folder / "store" / "twin-1", folder / "store" / "twin-10")
    assert [store.folder.name for store in sd.open_run(folder).twins] == ["twin-1", "twin-2"]
    assert [store.folder.name for store in sd.open_run(folder / "store").twins] == ["twin-1", "twin-2", "twin-10"]
    study = json.loads((folder / "store" / "twin-1" / "study.json").read_text())
    (folder / "store" / "twin-1" / "study.json").write_text(json.dumps({**study, "seed": 99}))
    (folder / "store" / "twin-2" / "study.json").unlink()
    (folder / "store" / "twin-x").mkdir()
    assert [store.folder.name for store in sd.open_run(folder / "store").twins] == ["twin-10"]
    assert sd.score(folder, "released").twins is None


def test_a_run_that_was_stopped_is_scored_with_a_warning(measured, tmp_path):
    folder = copied(measured, tmp_path)
    assert not any("not finished" in line for line in sd.score(folder, "released").warnings)
    for path in (folder / "store" / "twin-2").glob("00001.*"):
        path.unlink()
    found = sd.score(folder, "released")
    assert "Random twin 2 lacks clips and is left out: run the study again." in found.warnings
    assert set(found.twins["twin"]) == {1}
    (folder / "store" / "twin-1" / "00000.safetensors").write_bytes(b"")
    found = sd.score(folder, "released")
    assert any("Shard 00000 of" in line and "is damaged" in line for line in found.warnings)
    assert found.twins is None
    for path in (folder / "store").glob("*/00001.*"):
        path.unlink()
    for path in (folder / "store").glob("00001.*"):
        path.unlink()
    assert "The store contains 8 of 12 videos: its run was not finished." in sd.score(folder, "released").warnings


def test_what_was_said_of_the_run_is_said_again(measured, tmp_path):
    folder = copied(measured, tmp_path)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "notes": ["The weights are random."]}))
    sd.score(folder, "released").save(folder)
    found = sd.score(folder, "needs_order")
    assert found.warnings[0] == "The weights are random."
    assert found.warnings.count("The weights are random.") == 1


def test_a_run_whose_activations_are_gone_is_one_line(measured, tmp_path):
    folder = copied(measured, tmp_path)
    shutil.rmtree(folder / "store")
    run = sd.open_run(folder)
    assert run.result.estimators == list(ESTIMATORS)
    with pytest.raises(sd.UserError, match=r"The activations of .* are missing.* Measure again\."):
        run.score("released")


@pytest.mark.parametrize("content", ['{"kind": "training run"}', "[1]", '{"kin'])
def test_a_folder_of_another_kind_of_run_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(sd.UserError, match=r"run\.json"):
        sd.open_run(tmp_path)


def test_where_there_is_no_run_one_line_says_so(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(sd.UserError, match="does not contain a run"):
            sd.open_run(place)


def test_the_command_replaces_tables_pictures_and_page(measured, tmp_path, capsys):
    folder = copied(measured, tmp_path)
    door("score")([str(folder), "--estimators", "needs_order,released", "--confidence", "0.8"])
    out = capsys.readouterr().out
    assert "needs_order: Of what a unit reproducibly tells" in out
    found = sd.load(folder)
    assert found.estimators == ["needs_order", "released"]
    assert found.manifest["scoring"]["confidence"] == 0.8
    assert {"layers.svg", "units.png", "report.html"} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "run.json").read_text())["checkpoint"] == "some.pth"


def test_nothing_of_the_scores_before_is_left(measured, tmp_path):
    folder = copied(measured, tmp_path)
    sd.load(folder).plot(folder)
    assert {"layers-released.png", "units-needs_order.svg", "twins.csv"} <= {path.name for path in folder.iterdir()}
    (folder / "layers-mine.png").write_bytes(b"not of a run")
    for twin in (folder / "store").glob("twin-*"):
        shutil.rmtree(twin)
    door("score")([str(folder), "--estimators", "released"])
    there = {path.name for path in folder.iterdir()}
    assert not {name for name in there if name.startswith(("layers-", "units-"))} - {"layers-mine.png"}
    assert sd.load(folder).twins is None
    assert {"layers.png", "units.svg"} <= there


def test_the_command_writes_elsewhere_on_request(measured, tmp_path):
    folder, before = copied(measured, tmp_path), (measured[0] / "layers.csv").read_bytes()
    door("score")([str(folder), "--estimators", "released", "--out", str(tmp_path / "new")])
    assert (folder / "layers.csv").read_bytes() == before
    assert sd.load(tmp_path / "new").estimators == ["released"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere does not contain a run"),
        (["RUN", "--estimators", "needs_moton"], "Did you mean 'needs_motion'"),
        (["RUN", "--estimators", "released,released"], "The estimator released is listed twice"),
        (["RUN", "--interval", "videoss"], "Unknown value 'videoss' in --interval. Did you mean 'videos'"),
        (["RUN", "--confidence", "2"], "confidence in (0, 1)"),
    ],
)
def test_slips_are_one_line_and_change_nothing(measured, tmp_path, capsys, arguments, says):
    folder = copied(measured, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    given = [str(folder) if word == "RUN" else word for word in arguments]
    assert command(lambda: door("score")(given)) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_command_repeats_the_notes_of_the_run_as_flags(measured, tmp_path, capsys):
    folder = copied(measured, tmp_path)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "notes": ["No `checkpoint=FILE`: random weights."]}))
    door("score")([str(folder), "--estimators", "released"])
    assert "Note: No --checkpoint FILE: random weights." in capsys.readouterr().out
