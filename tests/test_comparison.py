"""Two measurements side by side, planning from a run, and intervals that cover styles: each derived a second time."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from planted import RECIPE, PlantedModel, PlantedVideos
from program import door
from scipy.stats import t as student

import static_dynamic as sd
from static_dynamic import functional
from static_dynamic.common.commands import command
from static_dynamic.estimators.needs_motion import NeedsMotion
from static_dynamic.store import Store

STAGES = {"planted": ("units", "N C"), "frames": ("frames", "N C T H W")}


def measured(folder, seed=0, count=16, **options):
    """A run of a network with other first weights for every seed."""
    model = PlantedModel()
    drawn = np.random.default_rng(seed).normal(size=(2, 3, 1, 1, 1)).astype(np.float32)
    model.frames.weight.data += 0.3 * torch.from_numpy(drawn)
    settings = {
        "recipe": RECIPE,
        "styles": ("1", "2", "3"),
        "twins": 2,
        "estimators": "needs_motion,released",
        **options,
    }
    result = sd.measure(model, PlantedVideos(count), settings.pop("stages", STAGES), store=folder / "store", **settings)
    result.save(folder)
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        measured(root / f"seed{seed}", seed)
    return root


def leave_one_out(folder):
    """Needs-motion of a layer and its reliability without each video in turn, by the pure function."""
    store = Store.open(folder / "store")
    rows = dict(zip(store.variants(), store.stage("frames"), strict=True))
    videos = list(dict.fromkeys(key.video for key in rows))
    found = []
    for left_out in videos:
        kept = [video for video in videos if video != left_out]
        cells = [(order, replicate) for replicate in (0, 1) for order in ("intact", "freeze")]
        z = [np.array([rows[video, "original", *cell] for video in kept], np.float64) for cell in cells]
        numbers = functional.needs_motion(*z)
        variance = z[0].var(0, ddof=1)
        again = [np.cov(z[0][:, i], z[2][:, i])[0, 1] for i in range(z[0].shape[1])]
        reliable = np.minimum(again, variance).sum() / variance.sum()
        found.append([100 * numbers.layer, 100 * reliable])
    return np.array(found)


def test_paired_differences_equal_those_of_both_runs_without_each_video(runs):
    found = sd.compare(runs / "seed0", runs / "seed1")
    assert found.paired
    without = [leave_one_out(runs / f"seed{seed}") for seed in (0, 1)]
    differences = without[1] - without[0]
    spread = np.sqrt((len(differences) - 1) / len(differences) * ((differences - differences.mean(0)) ** 2).sum(0))
    reach = student.ppf(0.975, len(differences) - 1) * spread
    rows = found.layers.query("stage == 'frames' and estimator == 'needs_motion'")
    both = [sd.load(runs / f"seed{seed}").layer("needs_motion").query("stage == 'frames'")["share"] for seed in (0, 1)]
    difference = both[1].to_numpy() - both[0].to_numpy()
    np.testing.assert_allclose(rows["first"], both[0], rtol=1e-9)
    np.testing.assert_allclose(rows["second"], both[1], rtol=1e-9)
    np.testing.assert_allclose(rows["difference"], difference, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rows["low"], difference - reach, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(rows["high"], difference + reach, rtol=1e-6, atol=1e-6)
    assert rows["differs"].tolist() == (np.abs(difference) > reach).tolist()


def test_a_run_does_not_differ_from_itself(runs):
    found = sd.compare(runs / "seed0", runs / "seed0")
    assert (found.layers["difference"] == 0).all()
    assert not found.layers["differs"].any()
    assert (found.layers[["low", "high"]] == 0).all(axis=None)


def test_runs_are_named_by_their_folders_and_results_by_their_models(runs):
    one = sd.load(runs / "seed0")
    assert sd.compare(one, runs / "seed1").names == ("PlantedModel", "seed1")
    assert sd.compare(runs / "seed0", replace(one, manifest={})).names == ("seed0", "measurement 2")


def test_the_confidence_widens_the_intervals(runs):
    usual, narrow = (sd.compare(runs / "seed0", runs / "seed1", confidence=level).layers for level in (0.95, 0.5))
    varies = usual["low"] < usual["high"]
    assert varies.sum() > 4
    for rows in (usual, narrow):
        differs = (rows["low"] > 0) | (rows["high"] < 0)
        assert rows["differs"].tolist() == differs.tolist()
    assert (narrow["high"] - narrow["low"])[varies].lt(0.6 * (usual["high"] - usual["low"])[varies]).all()


def shifted(result, points):
    """The same with more of everything, on every resample."""
    samples = {
        key: replace(sample, layer={name: values + points for name, values in sample.layer.items()})
        for key, sample in result.samples.items()
    }
    return replace(result, samples=samples)


@pytest.mark.parametrize("points", [5, -5])
def test_a_difference_without_spread_differs_in_either_direction(runs, points):
    one = sd.load(runs / "seed0")
    found = sd.compare(one, shifted(one, points)).layers.dropna(subset="difference")
    np.testing.assert_allclose(found["difference"], points)
    assert found["differs"].all()


def test_tables_say_first_what_a_row_is_about(runs):
    found = sd.compare(runs / "seed0", runs / "seed1")
    numbers = ["first", "second", "difference", "low", "high", "differs"]
    assert list(found.layers) == ["stage", "estimator", "factor", *numbers, "grain"]
    assert list(found.units) == ["stage", "estimator", "factor", "unit", *numbers]
    counted = found.units.query("estimator == 'released' and stage == 'planted'")
    assert counted.groupby("factor", sort=False)["unit"].apply(list).to_dict() == {
        name: [0, 1, 2, 3] for name in ("dynamic", "static", "residual")
    }


@pytest.mark.parametrize(("width", "smaller"), [(11, True), (10, False), (0, False)])
def test_differences_within_the_spread_of_twins_are_counted(runs, width, smaller):
    """They are 5 points, and the spread is that of the network whose twins differ more."""
    one = sd.load(runs / "seed0")
    wide, narrow = (replace(one, layers=one.layers.assign(twin_low=0.0, twin_high=1.0 * end)) for end in (width, 0))
    results = [
        replace(
            sample,
            samples={
                key: replace(of, layer={name: np.zeros_like(v) + k for name, v in of.layer.items()})
                for key, of in sample.samples.items()
            },
        )
        for k, sample in ((0.0, wide), (5.0, narrow))
    ]
    found = sd.compare(*results)
    said = f"{len(found.layers)} differences exclude 0, but are smaller than the spread of random twins."
    assert (said in found.notes) == smaller
    assert any("smaller than" in note for note in found.notes) == smaller


def test_a_stage_that_one_has_no_numbers_of_is_left_out(runs):
    one, other = (sd.load(runs / f"seed{seed}") for seed in (0, 1))
    gone = ("released", "frames")
    for pair in (
        (one, replace(other, samples={key: of for key, of in other.samples.items() if key != gone})),
        (replace(one, samples={key: of for key, of in one.samples.items() if key != gone}), other),
    ):
        found = sd.compare(*pair).layers
        assert gone not in {*zip(found["estimator"], found["stage"], strict=True)}
        assert ("released", "planted") in {*zip(found["estimator"], found["stage"], strict=True)}


@pytest.mark.parametrize("silent", [0, 1])
def test_a_result_that_does_not_say_what_was_shown_is_noted(runs, silent):
    results = [sd.load(runs / f"seed{seed}") for seed in (0, 1)]
    results[silent] = replace(results[silent], manifest={})
    assert "One of the results does not record which clips were shown." in sd.compare(*results).notes


def test_units_are_compared_one_by_one(runs):
    found = sd.compare(runs / "seed0", runs / "seed1").units
    rows = found.query("estimator == 'released' and factor == 'static' and stage == 'frames'")
    scores = [sd.load(runs / f"seed{seed}").unit("released").query("stage == 'frames'")["static"] for seed in (0, 1)]
    np.testing.assert_allclose(rows["difference"], scores[1].to_numpy() - scores[0].to_numpy(), rtol=1e-5, atol=1e-6)
    assert rows["unit"].tolist() == [0, 1]


def test_the_grain_is_half_of_what_twins_spread_over(runs):
    found = sd.compare(runs / "seed0", runs / "seed1").layers
    ends = [sd.load(runs / f"seed{seed}").layers for seed in (0, 1)]
    widths = np.maximum(*[(table["twin_high"] - table["twin_low"]) / 2 for table in ends])
    keys = ["stage", "estimator", "factor"]
    expected = ends[0][keys].assign(grain=widths)
    merged = found.merge(expected, on=keys)
    np.testing.assert_allclose(merged["grain_x"], merged["grain_y"])


def test_other_clips_are_refused_with_what_differs_or_noted(runs, tmp_path):
    measured(tmp_path / "few", count=9)
    with pytest.raises(
        sd.UserError,
        match=r"saw different clips, or were .*: .*videos: 'v009', 'v010', 5 more only there.*`other_clips=True`",
    ):
        sd.compare(runs / "seed0", tmp_path / "few")
    found = sd.compare(runs / "seed0", tmp_path / "few", other_clips=True)
    assert not found.paired
    assert any("only there" in note for note in found.notes)
    both = [sd.load(folder).layer("released") for folder in (runs / "seed0", tmp_path / "few")]
    reach = np.hypot(*[(table["share_high"] - table["share_low"]) / 2 for table in both])
    rows = found.layers.query("estimator == 'released'")
    np.testing.assert_allclose(rows["high"] - rows["low"], 2 * reach, rtol=1e-9)


def test_stages_of_other_names_are_paired_on_request(runs, tmp_path):
    measured(tmp_path / "renamed", 1, stages={"late": STAGES["frames"]})
    with pytest.raises(sd.UserError, match=r"no common stage: planted, frames; late.*`stages="):
        sd.compare(runs / "seed0", tmp_path / "renamed")
    found = sd.compare(runs / "seed0", tmp_path / "renamed", stages={"frames": "late"}).layers
    assert set(found["stage"]) == {"frames → late"}
    same = sd.compare(runs / "seed0", runs / "seed1").layers.query("stage == 'frames'")
    for column in ("difference", "low", "high", "grain"):
        np.testing.assert_allclose(found[column], same[column])
    with pytest.raises(sd.UserError, match=r"Unknown stage 'early'\. Allowed: planted, frames"):
        sd.compare(runs / "seed0", tmp_path / "renamed", stages={"early": "late"})


def test_what_cannot_be_compared_is_named(runs):
    one = sd.load(runs / "seed0")
    for pair in ((one, replace(one, samples={})), (replace(one, samples={}, manifest={}), one)):
        with pytest.raises(sd.UserError, match=r"does not contain numbers on resamples.*`static-dynamic score RUN`"):
            sd.compare(*pair)
    (key, sample), *_ = one.samples.items()
    others = {(name, "elsewhere"): sample for name, _ in one.samples}
    with pytest.raises(sd.UserError, match="lack numbers of one estimator on the same stages"):
        sd.compare(replace(one, samples={key: sample}), replace(one, samples=others))
    with pytest.raises(sd.UserError, match="no common estimator: needs_motion, released; needs_order"):
        sd.compare(
            one,
            sd.score(runs / "seed0", "needs_motion")
            and replace(one, layers=one.layers.assign(estimator="needs_order")),
        )


def test_a_result_in_memory_equals_the_same_on_disk(runs):
    here = sd.measure(
        PlantedModel(), PlantedVideos(16), STAGES, recipe=RECIPE, styles=("1", "2", "3"), twins=0, scoring=sd.Scoring()
    )
    for pair in ((here, runs / "seed0"), (runs / "seed0", here)):
        assert sd.compare(*pair).paired


def test_what_changes_no_number_is_no_difference(runs):
    """Other estimators beside the common ones, confidence, and what intervals cover."""
    other = sd.score(runs / "seed1", "released,gaussian_mi", sd.Scoring(confidence=0.9, interval="styles", nulls=0))
    found = sd.compare(runs / "seed0", other)
    assert set(found.layers["estimator"]) == {"released"}
    same = sd.compare(runs / "seed0", runs / "seed1").layers.query("estimator == 'released'").reset_index(drop=True)
    np.testing.assert_allclose(found.layers["low"], same["low"])
    with pytest.raises(sd.UserError, match=r"scored differently: estimators.needs_motion.style is None there, '1'"):
        sd.compare(sd.score(runs / "seed0", "needs_motion"), _with_option(runs / "seed0", style="1"))


def _with_option(folder, **options):
    result = sd.score(folder, "needs_motion")
    one = result.manifest["estimators"][0]
    changed = {**one, "options": {**one["options"], **options}}
    return replace(result, manifest={**result.manifest, "estimators": [changed]})


def test_a_long_list_of_differences_is_cut(runs):
    one = sd.load(runs / "seed0")
    study = {**one.manifest["study"], "recipe": {"frames": 1}}
    with pytest.raises(sd.UserError) as error:
        sd.compare(one, replace(one, manifest={**one.manifest, "study": study}))
    assert str(error.value).count(" here") == 3
    assert " …. Shares belong to clips" in str(error.value)


@pytest.mark.filterwarnings("error")
def test_differences_over_fewer_than_three_videos_have_no_interval(tmp_path):
    pair = [measured(tmp_path / str(count), count=count, twins=0) for count in (1, 2)]
    for one, other in ((pair[0], pair[0]), (pair[0], pair[1]), (pair[1], pair[1])):
        found = sd.compare(one, other, other_clips=True)
        assert found.layers[["low", "high"]].isna().all(axis=None)
        assert not found.layers["differs"].any()
        assert "Too few videos for intervals: 3 are required." in found.notes


def test_the_command_prints_and_writes_the_differences(runs, tmp_path, capsys):
    door("compare")([str(runs / "seed0"), str(runs / "seed1"), "--out", str(tmp_path / "out")])
    out = capsys.readouterr().out
    assert "seed1 less seed0" in out
    written = pd.read_csv(tmp_path / "out" / "layers.csv")
    expected = sd.compare(runs / "seed0", runs / "seed1").layers
    pd.testing.assert_frame_equal(written[expected.columns], expected)
    assert set(pd.read_csv(tmp_path / "out" / "units.csv")["comparison"]) == {"seed1 less seed0"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ONE"], "two runs or more"),
        (["ONE", "nowhere"], "No result can be read"),
        (["ONE", "ONE", "--stages", "a"], "a=b"),
    ],
)
def test_slips_of_the_command_are_one_line(runs, capsys, arguments, says):
    given = [str(runs / "seed0") if word == "ONE" else word for word in arguments]
    says = "--stages must be pairs" if says == "a=b" else says
    assert command(lambda: door("compare")(given)) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


# ---------------------------------------------------------------- planning


def test_needed_videos_follow_from_the_width_of_the_interval(runs):
    result = sd.load(runs / "seed0")
    found = sd.needed(result, 1.5, "released")
    layer = result.layer("released")
    reach = np.maximum(layer["share_high"] - layer["share"], layer["share"] - layer["share_low"])
    expected = np.maximum(3, np.ceil(16 * (reach / 1.5) ** 2)).astype(int)
    assert found["videos"].tolist() == [str(n) for n in expected]
    assert sd.needed(result, 0.75, "released")["styles"].astype(int).gt(found["styles"].astype(int)).all()
    for stage in result.stages:
        sample = result.samples["released", stage]
        ends = functional.jackknife_interval(sample.layer["share"][0], sample.fewer_styles["share"])
        wide = (ends[1] - ends[0]) / 2
        expected = [str(max(2, int(np.ceil(3 * (reach / 1.5) ** 2)))) if reach else "–" for reach in wide]
        assert found[found["stage"] == stage]["styles"].tolist() == expected
    assert set(sd.needed(result, 1e6, "released")["videos"]) == {"3"}
    certain = replace(
        result, layers=result.layers.assign(share_low=result.layers["share"], share_high=result.layers["share"])
    )
    assert set(sd.needed(certain, 1.5, "released")["videos"]) == {"–"}
    skewed = replace(result, layers=result.layers.assign(share_high=result.layers["share"]))
    below = sd.needed(skewed, 1.5, "released")["reach"]
    np.testing.assert_allclose(below, layer["share"] - layer["share_low"])
    with pytest.raises(sd.UserError, match=r"'points' must be a positive number\. Got 0"):
        sd.needed(result, 0)


def test_a_single_style_needs_no_further_ones(runs):
    assert set(sd.needed(sd.load(runs / "seed0"))["styles"]) == {"–"}


def test_a_sweep_classifies_the_same_numbers_at_other_borders(runs):
    result = sd.load(runs / "seed0")
    found = sd.sweep(result, "motion", [0.5, 0.75, 0.9])
    assert found["value"].tolist() == [0.5, 0.5, 0.75, 0.75, 0.9, 0.9]
    usual = found[found["value"] == 0.75].set_index("stage")[list(NeedsMotion.classes)]
    np.testing.assert_allclose(usual, result.classes().loc[usual.index])
    changed = sd.score(runs / "seed0", [NeedsMotion(motion=0.5)]).classes()
    np.testing.assert_allclose(found[found["value"] == 0.5][list(NeedsMotion.classes)], changed)
    others = sd.score(runs / "seed0", [NeedsMotion(motion=0.5, still=0.45, reliable=0.1)])
    again = sd.sweep(others, "motion", [0.5]).set_index("stage")[list(NeedsMotion.classes)]
    np.testing.assert_allclose(again, others.classes().loc[again.index])
    with pytest.raises(sd.UserError, match="Did you mean 'motion'"):
        sd.sweep(result, "motoin", [0.5])


def test_slips_in_planning_are_one_line(runs):
    result = sd.load(runs / "seed0")
    for points in (0, -1, np.nan, "2", None):
        with pytest.raises(sd.UserError, match="must be a positive number"):
            sd.needed(result, points)
    with pytest.raises(
        sd.UserError,
        match=r"Unknown border of needs_motion 'style'\. Did you mean 'still'\? Allowed: still, motion, reliable",
    ):
        sd.sweep(result, "style", ["original"])
    with pytest.raises(sd.UserError, match=r"The border 'motion' must be a number\. Got 'much'"):
        sd.sweep(result, "motion", ["much"])
    with pytest.raises(sd.UserError, match="does not contain numbers of units to classify again"):
        sd.sweep(replace(result, samples={}), "motion", [0.5])
    assert sd.needed(replace(result, samples={}))["videos"].tolist() == sd.needed(result)["videos"].tolist()


@pytest.mark.parametrize("length", [0, 100, -10])
def test_resamples_that_are_not_whole_are_one_line_with_a_remedy(runs, tmp_path, length):
    folder = shutil.copytree(runs / "seed0", tmp_path / "run")
    path = folder / "samples.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(sd.UserError, match="the numbers on resamples cannot be read") as error:
        sd.load(folder)
    assert "`static-dynamic score RUN`" in str(error.value)
    assert "\n" not in str(error.value)
    sd.score(folder, "released").save(folder)
    assert sd.load(folder).samples


def test_a_sweep_moves_one_border_and_keeps_the_others(runs):
    """Ten units that need 5, 15, … 95 % motion, all reliable but the last, by the numbers on all videos."""
    result = sd.score(runs / "seed0", [NeedsMotion(still=0.1, reliable=0.3)])
    share = np.linspace(0.05, 0.95, 10)
    units = np.zeros((4, 2, 10), np.float32)
    units[0] = share, np.append(np.full(9, 0.4), 0.2)
    spread = replace(result, samples={key: replace(of, units=units) for key, of in result.samples.items()})
    found = sd.sweep(spread, "motion", [0.2, 0.5]).query("stage == 'frames'").set_index("value")
    expected = {0.2: {"still": 10, "mixed": 10, "motion": 70}, 0.5: {"still": 10, "mixed": 40, "motion": 40}}
    for border, classes in expected.items():
        assert found.loc[border, list(NeedsMotion.classes)].to_dict() == {**classes, "unreliable": 10, "dead": 0}


# ---------------------------------------------------------------- styles


def test_intervals_over_styles_are_those_of_videos_and_of_styles_together(runs):
    usual, wide = (sd.score(runs / "seed0", "released", sd.Scoring(interval=over)) for over in ("videos", "styles"))
    for stage in wide.stages:
        fewer = []
        for left_out in ("1", "2", "3"):
            weights = {left_out: 0.0}
            scored = sd.score(runs / "seed0", "released", sd.Scoring(style_weights=weights)).layer()
            fewer.append(scored[scored["stage"] == stage]["share"].to_numpy())
        fewer = np.array(fewer)
        reach = student.ppf(0.975, 2) * np.sqrt(2 / 3 * ((fewer - fewer.mean(0)) ** 2).sum(0))
        before, after = (result.layer()[result.layer()["stage"] == stage] for result in (usual, wide))
        np.testing.assert_allclose(after["style_low"], fewer.min(0))
        np.testing.assert_allclose(after["style_high"], fewer.max(0))
        for end, sign in (("share_low", -1), ("share_high", 1)):
            expected = before["share"] + sign * np.hypot(before[end] - before["share"], reach)
            np.testing.assert_allclose(after[end], expected, rtol=1e-9)


def test_what_intervals_can_cover_is_named():
    with pytest.raises(sd.UserError, match="Did you mean 'styles'"):
        sd.Scoring(interval="style")
