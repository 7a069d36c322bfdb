"""What a user can do wrong with `measure`, and what must not pass in silence."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos, released
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import reason
from static_dynamic.network.fingerprint import structure_digest
from static_dynamic.report.tables import time_seen


def measure(source=None, model=None, **options):
    options = {"recipe": RECIPE, "styles": ("1", "2", "3", "4"), **options}
    return released(model or PlantedModel(), source or PlantedVideos(), options.pop("stages", STAGES), **options)


class Failing(nn.Module):
    """A model whose forward pass raises."""

    def __init__(self, error):
        super().__init__()
        self.out, self.error = nn.Identity(), error

    def forward(self, clip):
        raise self.error


ERRORS = [
    AssertionError("Input height (96) doesn't match model (224)."),
    KeyError("pixel_values"),
    ValueError("two\nlines of text"),
    IndexError(),
    RuntimeError("shape '[3]' is invalid"),
    TypeError("forward() missing 1 required positional argument"),
    ZeroDivisionError("division by zero"),
    NotImplementedError("x" * 5000),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_model_raises_is_one_line_with_the_shape_that_it_was_fed(tmp_path, error):
    with pytest.raises(sd.UserError) as raised:
        measure(model=Failing(error), stages={"out": ("out", "N C T H W")}, store=tmp_path / "store")
    text = str(raised.value)
    assert text.startswith(f"The model failed on an input of shape (8, 3, 6, 16, 16): {type(error).__name__}")
    assert "\n" not in text
    assert len(text) < 500


def test_a_reason_keeps_the_words():
    assert reason(ValueError("a  b\n c.")) == "ValueError: a b c"
    assert reason(IndexError()) == "IndexError"


def test_two_architectures_with_the_same_weights_do_not_share_a_store(tmp_path):
    def dilated(rate):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv3d(3, 4, 3, dilation=(1, rate, rate)))

    stages = {"conv": ("0", "N C T H W")}
    measure(model=dilated(1), stages=stages, store=tmp_path)
    measure(model=dilated(1), stages=stages, store=tmp_path)
    with pytest.raises(sd.UserError, match="structure is"):
        measure(model=dilated(2), stages=stages, store=tmp_path)


def test_a_model_that_counts_its_forward_passes_resumes_its_own_store(tmp_path):
    model = PlantedModel()
    fresh = structure_digest(model)
    measure(model=model, store=tmp_path)
    assert model.forwards == 12 * 8
    measure(model=model, store=tmp_path)
    assert model.forwards == 12 * 8
    assert structure_digest(model) == fresh


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_models_of_other_precisions_are_measured_in_their_own(dtype):
    result = measure(model=PlantedModel().to(dtype), stages={"frames": STAGES["frames"]})
    plain = measure(stages={"frames": STAGES["frames"]})
    assert np.allclose(result.shares(), plain.shares(), atol=2 if dtype == torch.bfloat16 else 1e-3)


def test_the_seed_reaches_the_partners_of_pairs():
    rules = [measure(PlantedVideos(6), seed=seed).manifest["scoring"]["rule"]["seed"] for seed in (3, 4)]
    assert rules == [3, 4]


def test_options_go_by_name():
    for kind in (sd.PairRule, sd.Compute):
        with pytest.raises(TypeError):
            kind(3)


# ---------------------------------------------------------------- how much time clips span


class Rates(PlantedVideos):
    """Videos at several frame rates, as records say."""

    rates = (10.0, 30.0, 60.0)

    def read(self, video, recipe, style=None):
        clip = super().read(video, recipe, style)
        return replace(clip, fps=self.rates[int(video.name[1:]) % len(self.rates)])


def spans_of(result):
    return [warning for warning in result.warnings if warning.startswith("Clips span")]


def test_clips_that_span_different_times_are_named_with_the_remedy():
    result = measure(Rates())
    assert result.manifest["seconds_seen"] == {"min": 0.1, "median": 0.2, "max": 0.6}
    assert spans_of(result) == [
        "Clips span 0.1 to 0.6 s of their videos, at 10 to 60 frames per second. A target rate makes them equal, "
        "e.g. `fps=10`."
    ]


def test_the_time_seen_stands_on_the_page(tmp_path):
    page = measure(Rates()).report(tmp_path / "report.html").read_text()
    assert "Clips show 0.1 to 0.6 s of their videos (median 0.2 s)." in page
    assert time_seen({"min": 2.12, "median": 2.12, "max": 2.12}) == "Clips show 2.1 s of their videos."
    assert time_seen(None) == ""


def test_clips_of_one_time_or_of_unknown_rates_pass():
    assert spans_of(measure()) == []

    class Unknown(Rates):
        rates = (None,)

    result = measure(Unknown())
    assert spans_of(result) == []
    assert result.manifest["seconds_seen"] is None


# ---------------------------------------------------------------- judges


def judged(judge):
    return measure(stages={"planted": STAGES["planted"]}, judge=judge)


def test_a_judge_of_another_kind_is_one_line():
    with pytest.raises(sd.UserError, match=r"The judge failed on v000 with an output of shape \(1, 4\): TypeError"):
        judged(lambda video, output: output + "x")
    with pytest.raises(sd.UserError, match=r"A judge returns a mapping from a measure to its value. Got 3"):
        judged(lambda video, output: 3)
    with pytest.raises(sd.UserError, match="A judge returns a mapping"):
        judged(lambda video, output: {"J": "good"})


def test_an_output_that_cannot_be_judged_is_one_line():
    class Several(PlantedModel):
        def forward(self, clip):
            out = super().forward(clip)
            return out, out

    class Scalar(PlantedModel):
        def forward(self, clip):
            return super().forward(clip).sum()

    judge = lambda video, output: {"J": 1.0}  # noqa: E731
    with pytest.raises(sd.UserError, match=r"A judge needs a model with one tensor for its output. This one has 2"):
        measure(model=Several(), stages={"planted": STAGES["planted"]}, judge=judge)
    with pytest.raises(sd.UserError, match=r"The judge needs outputs with an axis for clips. Got \(\)"):
        measure(model=Scalar(), stages={"planted": STAGES["planted"]}, judge=judge)


def test_one_video_that_breaks_in_any_way_costs_one_line():
    class Breaks(PlantedVideos):
        def read(self, video, recipe, style=None):
            if video.name == "v003":
                raise ValueError("tiny\nvideo")
            return super().read(video, recipe, style)

    result = measure(Breaks())
    assert "Skipped v003: v003: cannot be read or prepared (ValueError: tiny video)." in result.warnings
    json.dumps(result.manifest, default=str)


# --- twins -------------------------------------------------------------------------------------------------------


class Normed(nn.Module):
    """One unit per clip and channel, normalised over clips alone."""

    def __init__(self, units=4):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(3, units, 1), nn.BatchNorm1d(units)

    def forward(self, clip):
        return self.norm(self.conv(clip).mean((2, 3, 4)))


NORMED = {"norm": ("norm", "N C")}
SMALL = sd.Recipe(frames=4, rate=2, crop=16)


def trained():
    """A model whose own statistics are those of something, so that those of its twins are set."""
    model = Normed()
    model.norm.running_mean += 0.5
    return model


def test_no_batch_of_clips_that_sets_statistics_is_one_clip():
    result = sd.measure(trained(), "factorial:9", NORMED, recipe=SMALL, twins=1)
    assert result.layers["twin"].notna().any()


@pytest.mark.parametrize(("videos", "batch_size"), [("factorial:1", 8), ("factorial:3", 1)])
def test_statistics_of_one_clip_are_one_line(videos, batch_size):
    with pytest.raises(sd.UserError, match="A random twin of the model failed on an input") as error:
        sd.measure(trained(), videos, NORMED, recipe=SMALL, twins=1, compute=sd.Compute(batch_size=batch_size))
    assert "`twins=0`" in str(error.value)


@pytest.mark.parametrize("there", [False, True])
def test_a_twin_with_other_units_is_refused(tmp_path, there):
    """Whether the model's own activations are of this run or of an earlier one."""
    model = Normed()
    if there:
        sd.measure(model, "factorial:3", NORMED, recipe=SMALL, twins=0, store=tmp_path)
    with pytest.raises(sd.UserError, match="it has 5 units in stage 'norm', and the model 4"):
        sd.measure(
            model, "factorial:3", NORMED, recipe=SMALL, twins=1, store=tmp_path, untrained=lambda: Normed(units=5)
        )


@pytest.mark.parametrize("twins", [0, 1])
def test_a_model_without_numbers_is_one_line(twins):
    with pytest.raises(sd.UserError, match="on the device 'meta', where they hold no numbers"):
        sd.measure(Normed().to("meta"), "factorial:3", NORMED, recipe=SMALL, twins=twins)


# --- other estimators on a store -----------------------------------------------------------------------------------


def test_a_store_of_other_estimators_says_which_clips_it_lacks_or_that_it_can_be_scored(tmp_path):
    options = {"styles": ("1", "2"), "store": tmp_path}
    measure(estimators="released", **options)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(sd.UserError) as error:
        measure(estimators="released,needs_motion", **options)
    assert "it lacks 4 of the 8 conditions that these need (original, intact; original, freeze; " in str(error.value)
    assert "resume=False" in str(error.value)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert measure(estimators="released,gaussian_mi", **options).estimators == ["released", "gaussian_mi"]
    measure(estimators="released,needs_motion", resume=False, **options)
    with pytest.raises(sd.UserError, match=r"contains every clip that these estimators need, and more: score it"):
        measure(estimators="needs_motion", **options)
    with pytest.raises(sd.UserError, match="seed is 0 there, 1 here"):
        measure(estimators="needs_motion", seed=1, **options)


def test_more_or_fewer_twins_use_the_store_that_is_there(tmp_path):
    options = {"recipe": RECIPE, "styles": ("1", "2"), "store": tmp_path}
    stamps = {}
    for twins in (2, 1, 4, 0):
        result = sd.measure(PlantedModel(), PlantedVideos(), STAGES, twins=twins, **options)
        assert (0 if result.twins is None else result.twins["twin"].nunique()) == twins
        now = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
        assert stamps.items() <= now.items()
        stamps = now
    assert {path.parent.name for path in stamps} == {tmp_path.name, *(f"twin-{number}" for number in range(1, 5))}
