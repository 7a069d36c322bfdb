"""The whole flow: planted units get their class, each variant is forwarded once, and a stopped run loses nothing."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from killed import killed
from planted import CLASSES, RECIPE, STAGES, PlantedModel, PlantedVideos, released

import static_dynamic as sd
from static_dynamic.common.compute import prefetch
from static_dynamic.functional import released_layerwise, released_unitwise
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, derive_seed


def measure(source=None, model=None, **options):
    options = {"recipe": RECIPE, "styles": ("1", "2", "3", "4"), **options}
    return released(model or PlantedModel(), source or PlantedVideos(), STAGES, **options)


def stored(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_planted_units_get_their_class():
    result = measure(PlantedVideos(40))
    units = result.units[result.units["stage"] == "planted"]
    assert units["class"].tolist() == CLASSES
    assert (units["stability"] > 0.9).all()
    assert units["static"].iloc[0] == pytest.approx(1, abs=1e-6)  # a shuffle shows the same frames
    assert units["dynamic"].iloc[1] == pytest.approx(1, abs=1e-6)  # a style keeps the order


def test_tables_equal_a_slow_derivation_from_the_store(tmp_path):
    """Pairs and scores once more, from the files alone."""
    result = measure(store=tmp_path, scrambles=("shuffle", "reverse"))
    from safetensors.numpy import load_file

    shards = sorted(tmp_path.glob("[0-9]*.parquet"))
    keys = [tuple(row) for shard in shards for row in pd.read_parquet(shard)[["video", "style", "order"]].to_numpy()]
    for stage in STAGES:
        x = np.concatenate([load_file(shard.with_suffix(".safetensors"))[stage] for shard in shards])
        a, b, factor = [], [], []
        for i, (video, style, order) in enumerate(keys):
            for j, (other, other_style, other_order) in enumerate(keys):
                if video == other and order == other_order == "intact" and style < other_style:
                    a, b, factor = [*a, x[i]], [*b, x[j]], [*factor, 0]
                if video == other and style == other_style and order == "intact" != other_order:
                    a, b, factor = [*a, x[i]], [*b, x[j]], [*factor, 1]
        expected = released_layerwise(np.array(a), np.array(b), factor)
        layer = result.layers[result.layers["stage"] == stage]
        np.testing.assert_allclose(layer["score"], expected.scores, rtol=1e-9)
        assert layer["dims"].tolist() == expected.dims.tolist()
        assert layer["pairs"].tolist() == [factor.count(0), factor.count(1), 0]
        units = result.units[result.units["stage"] == stage]
        np.testing.assert_allclose(
            units[["dynamic", "static"]].T, released_unitwise(np.array(a), np.array(b), factor)[:2], rtol=1e-9
        )


def test_every_estimate_lies_in_its_interval_columns():
    result = measure(PlantedVideos(30))
    layers = result.layers[result.layers["factor"] != "residual"]
    assert {"score_low", "score_high", "share_low", "share_high"} <= set(layers)
    assert (layers["share_low"] <= layers["share_high"]).all()
    assert (layers["share_low"] < layers["share"] + 1).all()
    np.testing.assert_allclose(result.shares().sum(axis=1), 100)
    np.testing.assert_allclose(result.classes().sum(axis=1), 100)


def test_each_variant_is_forwarded_once_and_each_style_read_once():
    source, model = PlantedVideos(5), PlantedModel()
    measure(source, model, scrambles=("shuffle", "shuffle", "reverse"))
    assert model.forwards == 5 * 4 * (1 + 3)
    assert sorted(source.reads) == sorted(set(source.reads))
    assert len(source.reads) == 5 * 4


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_store_is_the_same_whoever_fills_it(tmp_path, workers):
    measure(store=tmp_path / "one", compute=sd.Compute(workers=2))
    measure(store=tmp_path / "two", compute=sd.Compute(workers=workers))
    assert stored(tmp_path / "one") == stored(tmp_path / "two")


def test_another_batch_size_agrees_within_rounding():
    one, many = (measure(compute=sd.Compute(batch_size=size)) for size in (1, 13))
    pd.testing.assert_frame_equal(one.layers, many.layers, rtol=1e-4)


def test_the_seed_decides_the_scrambles():
    first, again, other = (measure(seed=seed, scoring=sd.Scoring(seed=0)).layers for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_a_stopped_run_goes_on_and_equals_an_uninterrupted_one(tmp_path):
    whole = measure(PlantedVideos(20), store=tmp_path / "whole")

    def stop(done, total, name):
        if name == "v013":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(PlantedVideos(20), store=tmp_path / "stopped", on_video=stop)
    assert (
        0 < len(Store(tmp_path / "stopped", json.loads((tmp_path / "stopped" / "study.json").read_text())).shards()) < 3
    )
    model = PlantedModel()
    resumed = measure(PlantedVideos(20), model, store=tmp_path / "stopped")
    assert model.forwards == (20 - 8) * 8  # the first shard of 8 videos is not measured again
    assert stored(tmp_path / "whole") == stored(tmp_path / "stopped")
    pd.testing.assert_frame_equal(whole.layers, resumed.layers)
    pd.testing.assert_frame_equal(whole.units, resumed.units)


MEASURE = """
import static_dynamic as sd
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos, released
released(PlantedModel(), PlantedVideos(40), STAGES, recipe=RECIPE, styles=("1", "2"), store=sys.argv[1])
"""


def test_a_killed_process_leaves_whole_shards(tmp_path):
    killed(MEASURE, 4, tmp_path / "killed")
    assert 0 < len(list(tmp_path.glob("killed/*.parquet"))) < 5
    for folder in ("killed", "whole"):
        measure(PlantedVideos(40), styles=("1", "2"), store=tmp_path / folder)
    left = {name: data for name, data in stored(tmp_path / "killed").items() if not name.endswith(".part")}
    assert left == stored(tmp_path / "whole")


def test_a_store_of_another_study_is_refused_and_kept(tmp_path):
    measure(store=tmp_path)
    before = stored(tmp_path)
    with pytest.raises(sd.UserError, match="another study: seed is 0 there, 5 here"):
        measure(store=tmp_path, seed=5)
    other = PlantedModel()
    torch.nn.init.ones_(other.frames.bias)
    with pytest.raises(sd.UserError, match="another study: weights"):
        measure(model=other, store=tmp_path)
    assert stored(tmp_path) == before
    measure(store=tmp_path, seed=5, resume=False)
    assert stored(tmp_path) != before


def test_one_bad_video_is_recorded_and_skipped():
    result = measure(PlantedVideos(30, bad=(9,)))
    assert result.warnings[0] == "Skipped v009: v009: broken on purpose."
    assert result.layers["videos"].eq(29).all()
    assert [record["video"] for record in result.manifest["videos"] if record["problem"]] == ["v009"]


def test_too_many_bad_videos_end_the_run_and_keep_what_is_done(tmp_path):
    with pytest.raises(
        sd.UserError, match=r"3 of 40 videos cannot be read, more than `max_bad=0.05` allows. The last: v022"
    ):
        measure(PlantedVideos(40, bad=(20, 21, 22)), store=tmp_path)
    assert len(list(tmp_path.glob("[0-9]*.parquet"))) == 2


def test_no_readable_video_at_all_says_so():
    with pytest.raises(sd.UserError, match=r"No video could be read\. The first: v000"):
        measure(PlantedVideos(1, bad=(0,)))


def test_a_video_that_was_mended_is_measured_when_the_run_goes_on(tmp_path):
    assert measure(PlantedVideos(20, bad=(9,)), store=tmp_path).layers["videos"].eq(19).all()
    model = PlantedModel()
    assert measure(PlantedVideos(20), model, store=tmp_path).layers["videos"].eq(20).all()
    assert model.forwards == 8 * 8  # its shard alone is measured again


class TouchedVideos(PlantedVideos):
    """Tells when the data of a video were changed."""

    times = {}  # noqa: RUF012

    def stamp(self, video):
        return str(self.times.get(video.name, 0))


def test_a_video_whose_data_have_changed_is_measured_anew_when_the_run_goes_on(tmp_path, monkeypatch):
    source = TouchedVideos(20)
    measure(source, store=tmp_path)
    for times, shards in (({}, 0), ({"v009": 1}, 1), ({"v009": 1}, 0)):
        monkeypatch.setattr(TouchedVideos, "times", times)
        model = PlantedModel()
        result = measure(source, model, store=tmp_path)
        assert model.forwards == shards * 8 * 8
    assert {record["video"]: record["stamp"] for record in result.manifest["videos"]}["v009"] == "1"


def test_copies_of_other_proportions_are_skipped():
    class Squeezed(PlantedVideos):
        def read(self, video, recipe, style=None):
            clip = super().read(video, recipe, style)
            narrow = video.name == "v003" and style == "2"
            return replace(clip, frames=clip.frames[:, :, : clip.frames.shape[2] // 2]) if narrow else clip

    (skipped,) = [warning for warning in measure(Squeezed(20)).warnings if warning.startswith("Skipped")]
    assert "style '2' has other proportions than style '1'" in skipped


def test_activations_that_are_not_finite_are_named():
    class Breaks(PlantedModel):
        def forward(self, clip):
            return super().forward(torch.where(clip[:, 2:, :1, :1, :1] > 0.9, torch.nan, 1.0) * clip)

    result = measure(PlantedVideos(30), Breaks())
    assert any("NaN or infinite" in warning for warning in result.warnings)
    assert 0 < result.layers["videos"].max() < 30
    assert result.layers["share"].notna().all()


def test_few_videos_are_warned_of():
    assert any("Few videos (12)" in warning for warning in measure().warnings)
    assert not any("Only" in warning for warning in measure(PlantedVideos(60)).warnings)


def test_the_model_is_left_as_it_was_found():
    model = PlantedModel().train()
    weights, random = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    measure(model=model)
    assert model.training
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_that_fails_on_its_input_says_on_which():
    with pytest.raises(sd.UserError, match=r"failed on an input of shape \(8, 3, 6, 16, 16\)"):
        released(
            torch.nn.Sequential(torch.nn.Conv3d(5, 2, 1)),
            PlantedVideos(),
            {"conv": ("0", "N C T H W")},
            recipe=RECIPE,
            styles=("1", "2"),
        )


def test_a_model_of_image_and_flow_needs_a_source_of_both():
    with pytest.raises(sd.UserError, match=r"takes images with their forward flow; Planted: it has no optical flow"):
        measure(recipe=sd.FlowRecipe())


def test_saved_results_load_equal(tmp_path):
    result = measure()
    loaded = sd.load(result.save(tmp_path / "deep" / "run"))
    pd.testing.assert_frame_equal(loaded.layers, result.layers)
    pd.testing.assert_frame_equal(loaded.units, result.units)
    assert loaded.warnings == result.warnings
    assert {path.name for path in (tmp_path / "deep" / "run").iterdir()} == {
        "layers.parquet",
        "layers.csv",
        "units.parquet",
        "samples.safetensors",
        "pictures.parquet",
        "top_clips.parquet",
        "run.json",
    }
    manifest = json.loads((tmp_path / "deep" / "run" / "run.json").read_text())
    assert {"torch", "numpy", "python"} <= manifest["versions"].keys()
    assert manifest["study"]["styles"] == ["1", "2", "3", "4"]
    assert manifest["videos"][0]["frames"] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(sd.UserError, match="No result can be read"):
        sd.load(tmp_path / "nowhere")


def test_pairs_across_videos():
    result = measure(
        PlantedVideos(30), scoring=sd.Scoring(sd.PairRule(same_video=False, scrambled=False)), scrambles=()
    )
    units = result.units[result.units["stage"] == "planted"]
    assert units["class"].tolist()[:3] == ["residual"] * 3  # other videos share neither colour, course nor identity


def test_four_factors_have_pairs_that_differ_and_pairs_that_are_the_same():
    layers = measure(PlantedVideos(30), scoring=sd.Scoring(sd.PairRule(n_factors=5, residual_index=4))).layers
    planted = layers[layers["stage"] == "planted"].set_index("factor")["score"]
    assert list(planted.index) == ["dynamic", "static", "differ", "same", "residual"]
    assert planted["same"] > planted["dynamic"] > planted["differ"]


def test_static_pairs_of_the_videos_as_filmed():
    source = PlantedVideos(12, styles=("1", "2"))
    result = measure(source, styles=("1", "2"), scoring=sd.Scoring(sd.PairRule(normal_static=True)))
    assert result.layers["pairs"].tolist()[:2] == [12, 12]


def test_a_style_of_weight_zero_might_as_well_not_be_there(tmp_path):
    weighed = measure(scoring=sd.Scoring(style_weights={"3": 0, "4": 0}, replicates=50), store=tmp_path)
    without = measure(styles=("1", "2"), scoring=sd.Scoring(replicates=50))
    pd.testing.assert_frame_equal(weighed.layers, without.layers)
    pd.testing.assert_frame_equal(weighed.units, without.units)
    assert weighed.manifest["scoring"]["style_weights"] == {"3": 0, "4": 0}


def test_equal_weights_change_nothing_and_others_do():
    plain, equal, other = (
        measure(scoring=sd.Scoring(style_weights=weights, replicates=50)).layers["score"]
        for weights in ({}, dict.fromkeys("1234", 0.5), {"1": 0.1})
    )
    np.testing.assert_allclose(equal, plain, rtol=1e-9)
    assert not np.allclose(other, plain, rtol=1e-3)


def test_weights_that_leave_no_pair_say_so():
    with pytest.raises(sd.UserError, match="Every dynamic pair has a style of weight 0"):
        measure(scoring=sd.Scoring(style_weights={"1": 0, "2": 0, "3": 0}))
    with pytest.raises(sd.UserError, match=r"weight of style 'ink' must be 0 or more. Got -1"):
        sd.Scoring(style_weights={"ink": -1})


def test_a_missing_factor_says_what_is_needed():
    with pytest.raises(sd.UserError, match=r"no dynamic pairs: two styles are required"):
        measure(styles=("1",))
    with pytest.raises(sd.UserError, match=r"no static pairs: a scramble is required"):
        measure(scrambles=())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"styles": ("1", "inck")}, "Unknown style 'inck'.*ink"),
        ({"styles": ("1", "1")}, "named twice"),
        ({"styles": ()}, "At least one style"),
        ({"scrambles": ("shufle",)}, "shufle.*shuffle"),
        ({"recipe": None}, "does not declare its input"),
        ({"seed": -1}, "seed"),
        ({"pool": "mean"}, "Unknown pooling 'mean'"),
    ],
)
def test_slips_are_found_before_anything_runs(options, says, tmp_path):
    model = PlantedModel()
    with pytest.raises(sd.UserError, match=says):
        measure(model=model, store=tmp_path / "store", **options)
    assert not model.forwards
    assert not (tmp_path / "store").exists()


def test_orders_are_drawn_per_video_and_shared_by_its_styles():
    conditions = Conditions(("a", "b"), ("shuffle", "reverse", "shuffle"))
    assert list(conditions.orders) == ["intact", "shuffle", "reverse", "shuffle-2"]
    assert derive_seed(1, "order", "x", "shuffle", 0) != derive_seed(1, "order", "y", "shuffle", 0)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_prefetching_keeps_the_order_and_passes_errors_on(workers):
    assert list(prefetch(lambda i: i * i, range(9), workers)) == [i * i for i in range(9)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda i: 1 // i, [1, 0], workers))
