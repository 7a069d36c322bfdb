"""Collecting: what lies in the store is what the model says of each variant alone, whoever fills it and however often."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

from static_dynamic.collect import VIDEOS_PER_SHARD, Study, collect
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.network.recorder import Recorder
from static_dynamic.store import Store
from static_dynamic.variants import Conditions, Variant, prepare_video

CONDITIONS = Conditions(("1", "3"), ("shuffle", "reverse"))


def study_of(
    source=None, model=None, judge=None, stages=STAGES, conditions=CONDITIONS, recipe=RECIPE, pool="avg", **compute
):
    source = source or PlantedVideos(20)
    recorder = Recorder(model or PlantedModel(), stages, pool=pool)
    return Study(recorder, source, source.videos, recipe, conditions, Compute(device="cpu", **compute), judge)


def collected(folder, study, **options):
    store = Store(folder, study.describe())
    collect(study, store, **options)
    return store


def keys(store):
    return [Variant(*row) for row in store.index()[list(Variant._fields)].itertuples(index=False)]


@pytest.mark.parametrize("batch_size", [1, 5, 8, 64])
def test_the_store_holds_what_the_model_says_of_each_variant_alone(tmp_path, batch_size):
    """20 videos in three shards, one of them unreadable, with batches that end within videos."""
    study = study_of(PlantedVideos(20, bad=(9,)), batch_size=batch_size)
    store, model = collected(tmp_path, study), PlantedModel()
    expected = [
        (key, model.units(clip[None])[0], model.frames(clip[None])[0].mean((1, 2, 3)))
        for video in study.videos
        if video.name != "v009"
        for key, clip in prepare_video(study.source, video, RECIPE, CONDITIONS).variants()
    ]
    assert keys(store) == [key for key, _, _ in expected]
    for stage, place in {"planted": 1, "frames": 2}.items():
        wanted = torch.stack([row[place] for row in expected]).detach().numpy()
        assert store.stage(stage).dtype == np.float32
        np.testing.assert_allclose(store.stage(stage), wanted, atol=1e-5)
    assert store.shards() == [0, 1, 2]
    assert [len(store.records(shard)) for shard in store.shards()] == [8, 8, 4]
    assert [record["video"] for record in store.records()] == [video.name for video in study.videos]
    assert study.recorder.model.forwards == 19 * 6


def test_every_readable_video_has_a_record_of_what_was_read(tmp_path):
    records = collected(tmp_path, study_of(PlantedVideos(10, bad=(2,)))).records()
    assert records[2] == {"video": "v002", "label": "2", "problem": "v002: broken on purpose."}
    for number, record in enumerate(records):
        assert (record["problem"] is None) == (number != 2)
        if number != 2:
            assert (record["label"], record["frames"], record["total"]) == (str(number % 3), [0, 1, 2, 3, 4, 5], 6)


@pytest.mark.parametrize("there", [[], [1], [0, 2], [0, 1, 2]])
def test_shards_that_are_there_are_not_made_again_and_all_videos_are_told_once(tmp_path, there):
    whole, told = collected(tmp_path / "whole", study_of()), []
    study = study_of()
    store = Store(tmp_path / "part", study.describe())
    for shard in there:
        for path in (tmp_path / "whole").glob(f"{shard:05d}.*"):
            (tmp_path / "part" / path.name).write_bytes(path.read_bytes())
    collect(study, store, lambda done, total, name: told.append((done, total, name)))
    videos = [sum(i // VIDEOS_PER_SHARD == shard for i in range(20)) for shard in range(3)]
    assert study.recorder.model.forwards == 6 * sum(videos[shard] for shard in range(3) if shard not in there)
    first = [video.name for i, video in enumerate(study.videos) if i // VIDEOS_PER_SHARD in there]
    rest = [video.name for video in study.videos if video.name not in first]
    assert told == [(i, 20, name) for i, name in enumerate(first + rest, start=1)]
    assert keys(store) == keys(whole)
    for stage in STAGES:
        np.testing.assert_array_equal(store.stage(stage), whole.stage(stage))


class Stamped(PlantedVideos):
    """Says when the data of a video were changed; has no stamp for a video in ``silent``."""

    def __init__(self, *arguments, changed=(), **options):
        super().__init__(*arguments, **options)
        self.changed = set(changed)

    def stamp(self, video):
        return f"{video.name in self.changed}"


@pytest.mark.parametrize(("changed", "again"), [((), 0), (("v009",), 8), (("v001", "v017"), 8 + 4)])
def test_only_the_shards_of_changed_videos_are_made_again(tmp_path, changed, again):
    collected(tmp_path, study_of(Stamped(20)))
    study = study_of(Stamped(20, changed=changed))
    store = collected(tmp_path, study)
    assert study.recorder.model.forwards == 6 * again
    assert {record["video"] for record in store.records() if record["stamp"] == "True"} == set(changed)
    assert len(keys(store)) == 20 * 6


def test_a_video_that_can_be_read_now_is_and_one_that_still_cannot_costs_no_forward(tmp_path):
    collected(tmp_path, study_of(Stamped(20, bad=(3, 12)), max_bad=0.1))
    study = study_of(Stamped(20, bad=(3,)), max_bad=0.1)
    store = collected(tmp_path, study)
    assert study.recorder.model.forwards == 8 * 6
    assert [record["video"] for record in store.records() if record["problem"]] == ["v003"]


# --- videos that cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "max_bad", "allowed"), [(20, 0.1, 2), (20, 0.05, 1), (20, 0, 1), (19, 0.1, 1), (20, 1, 19), (3, 0.05, 1)]
)
def test_as_many_videos_may_be_bad_as_allowed_and_one_always(tmp_path, count, max_bad, allowed):
    study = study_of(PlantedVideos(count, bad=range(allowed)), max_bad=max_bad)
    store = collected(tmp_path / "allowed", study)
    assert len(keys(store)) == 6 * (count - allowed)
    if allowed + 1 == count:
        return
    study = study_of(PlantedVideos(count, bad=range(allowed + 1)), max_bad=max_bad)
    with pytest.raises(UserError, match=rf"{allowed + 1} of {count} videos cannot be read, .*max_bad={max_bad:g}"):
        collected(tmp_path / "more", study)


def test_too_many_bad_videos_end_the_run_where_they_are_found_and_what_is_stored_stays(tmp_path):
    study = study_of(PlantedVideos(20, bad=(9, 10)))
    with pytest.raises(UserError, match=r"2 of 20 videos cannot be read.*The last: v010"):
        collected(tmp_path, study)
    assert Store(tmp_path, study.describe()).shards() == [0]


def test_bad_videos_of_shards_that_are_there_count_too(tmp_path):
    collected(tmp_path, study_of(PlantedVideos(20, bad=(1,))))
    for path in tmp_path.glob("00002.*"):
        path.unlink()
    with pytest.raises(UserError, match=r"2 of 20 videos cannot be read.*The last: v018"):
        collected(tmp_path, study_of(PlantedVideos(20, bad=(1, 18))))


def test_without_a_single_video_the_first_reason_is_given(tmp_path):
    with pytest.raises(UserError, match=r"No video could be read\. The first: v000: broken on purpose"):
        collected(tmp_path, study_of(PlantedVideos(9, bad=range(9)), max_bad=1))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_reader_that_fails_in_its_own_way_costs_one_video(tmp_path, workers):
    class Fails(PlantedVideos):
        def read(self, video, recipe, style=None):
            if video.name == "v004":
                raise ZeroDivisionError("half a byte")
            return super().read(video, recipe, style)

    records = collected(tmp_path, study_of(Fails(9), workers=workers)).records()
    assert "v004" in records[4]["problem"]
    assert "half a byte" in records[4]["problem"]
    assert sum(record["problem"] is not None for record in records) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_slip_that_a_reader_finds_ends_the_run_as_it_is(tmp_path, workers):
    class Refuses(PlantedVideos):
        def read(self, video, recipe, style=None):
            raise UserError("This source takes no such recipe.")

    with pytest.raises(UserError, match=r"^This source takes no such recipe\.$"):
        collected(tmp_path, study_of(Refuses(9), workers=workers))


# --- judging -----------------------------------------------------------------------------------------------------


class Asked:
    """A judge that keeps what it was asked; some videos cannot be judged."""

    def __init__(self, cannot=()):
        self.cannot, self.asked = cannot, []

    def __call__(self, video, output):
        self.asked.append((video.name, output.clone(), output.requires_grad))
        if video.name in self.cannot:
            raise BadClip(f"{video.name}: no annotation.")
        return {"red": float(output[0, 0]), "size": len(output)}

    def __repr__(self):
        return "Asked()"


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_every_output_is_judged_once_with_its_video_and_its_row(tmp_path, batch_size):
    judge = Asked(cannot=("v001", "v008"))
    store = collected(tmp_path, study_of(PlantedVideos(10), judge=judge, batch_size=batch_size))
    index = store.index()
    assert [name for name, _, _ in judge.asked] == index["video"].tolist()
    planted = store.stage("planted")
    for row, (name, output, has_gradient) in enumerate(judge.asked):
        assert not has_gradient
        np.testing.assert_allclose(output[0].numpy(), planted[row], atol=1e-6)
        expected = [np.nan, np.nan] if name in judge.cannot else [planted[row, 0], 1]
        np.testing.assert_allclose(index.loc[row, ["red", "size"]].astype(float), expected, atol=1e-6)
    unjudged = {record["video"]: record.get("unjudged") for record in store.records()}
    assert unjudged == {f"v{i:03d}": None for i in range(10)} | {
        f"v{i:03d}": f"v{i:03d}: no annotation." for i in (1, 8)
    }


def test_a_judge_is_described_alike_in_every_process():
    """By its code where its own words name a place in memory, which is another one in every process."""

    def judge(factor):
        return lambda video, output: {"mean": factor * float(output.mean())}

    one, same = (study_of(judge=judge(2)).describe()["judge"] for _ in range(2))
    assert one == same
    assert " at 0x" not in one
    assert study_of(judge=lambda video, output: {"least": float(output.min())}).describe()["judge"] != one


def test_an_output_of_several_frames_for_every_clip_is_judged_together(tmp_path):
    class PerFrame(PlantedModel):
        def forward(self, clip):
            super().forward(clip)
            return clip.mean((3, 4)).movedim(2, 1).flatten(0, 1)  # (N · frames, 3)

    judge = Asked()
    study = study_of(PlantedVideos(3), PerFrame(), judge, batch_size=4)
    store = collected(tmp_path, study)
    shown = [
        clip.mean((2, 3)).T
        for video in study.videos
        for _, clip in prepare_video(study.source, video, RECIPE, CONDITIONS).variants()
    ]
    for (_, output, _), clip in zip(judge.asked, shown, strict=True):
        np.testing.assert_allclose(output, clip, atol=1e-6)
    assert store.index()["size"].tolist() == [6] * 18


class Answers(PlantedModel):
    """Gives something else than its units."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, clip):
        return self.answer(super().forward(clip))


def test_an_output_of_one_number_for_every_clip_is_judged(tmp_path):
    study = study_of(PlantedVideos(3), Answers(lambda units: units[:, 0]), lambda _, output: {"red": float(output)})
    store = collected(tmp_path, study)
    np.testing.assert_allclose(store.index()["red"], store.stage("planted")[:, 0], atol=1e-6)


@pytest.mark.parametrize(("answer", "shape"), [(torch.mean, r"\(\)"), (lambda units: units[1:], r"\(5, \d\)")])
def test_outputs_that_are_not_one_or_more_for_every_clip_cannot_be_judged(tmp_path, answer, shape):
    study = study_of(PlantedVideos(3), Answers(answer), Asked(), batch_size=6)
    with pytest.raises(UserError, match=f"outputs with an axis for clips. Got {shape} for 6 clips"):
        collected(tmp_path, study)


def test_without_a_judge_nothing_is_judged_and_forwards_stop_at_the_last_stage(tmp_path):
    class Counts(PlantedModel):
        ends = 0

        def forward(self, clip):
            output = super().forward(clip)
            self.ends += 1
            return output

    study = study_of(PlantedVideos(9), Counts(), batch_size=6)
    assert list(collected(tmp_path, study).index().columns) == ["video", "style", "order", "replicate"]
    assert study.recorder.model.ends == 1  # the first runs to the end to see that each module runs once


# --- the model ---------------------------------------------------------------------------------------------------


def test_the_model_is_left_as_it_was_found(tmp_path):
    model = PlantedModel().train()
    model.frames.eval()
    collected(tmp_path, study_of(PlantedVideos(3), model))
    assert model.training
    assert not model.frames.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model.frames.weight.device.type == "cpu"
    assert model.frames.weight.grad is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_forwards_run_at_the_precision_asked_for_and_activations_are_float32(tmp_path, precision):
    seen = []

    class Watched(PlantedModel):
        def forward(self, clip):
            seen.append((torch.is_autocast_enabled("cpu"), self.frames(clip).dtype, torch.is_grad_enabled()))
            return self.units(clip)

    store = collected(tmp_path, study_of(PlantedVideos(2), Watched(), precision=precision))
    assert set(seen) == {(precision != "float32", getattr(torch, precision), False)}
    assert store.stage("frames").dtype == np.float32


@pytest.mark.parametrize("last", [False, True])
def test_clips_lie_in_memory_as_asked_for_and_are_the_same(tmp_path, last):
    seen = []

    class Watched(PlantedModel):
        def forward(self, clip):
            seen.append(clip.is_contiguous(memory_format=torch.channels_last_3d))
            return super().forward(clip)

    store = collected(tmp_path / "store", study_of(PlantedVideos(3), Watched(), channels_last=last, batch_size=4))
    assert {*seen} == {last}
    plain = collected(tmp_path / "plain", study_of(PlantedVideos(3), batch_size=4))
    for stage in STAGES:
        np.testing.assert_allclose(store.stage(stage), plain.stage(stage), atol=1e-5)


def test_a_device_that_is_out_of_memory_names_the_input_and_the_remedy(tmp_path):
    class Hungry(PlantedModel):
        def forward(self, clip):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with pytest.raises(UserError, match=r"out of memory at \(4, 3, 6, 16, 16\).*batch_size"):
        collected(tmp_path, study_of(PlantedVideos(2), Hungry(), batch_size=4))


def test_all_pathways_are_named_when_a_model_fails(tmp_path):
    class Picky(PlantedModel):
        def forward(self, clips):
            raise RuntimeError("sizes do not match\nmore of it")

    recipe = replace(RECIPE, frames=(2, 6))
    message = r"failed on an input of shape \(3, 3, 2, 16, 16\) and \(3, 3, 6, 16, 16\): .*sizes do not match"
    with pytest.raises(UserError, match=message):
        collected(tmp_path, study_of(PlantedVideos(2), Picky(), recipe=recipe, batch_size=3))


# --- what a store is of ------------------------------------------------------------------------------------------


def weights_changed():
    model = PlantedModel()
    torch.nn.init.ones_(model.frames.bias)
    return model


def with_an_attribute():
    model = PlantedModel()
    model.gain = 2.0
    return model


def named(name):
    model = PlantedModel()
    model.spec = SimpleNamespace(name=name)
    return model


OTHER = {
    "the weights": lambda: study_of(model=weights_changed()),
    "the structure": lambda: study_of(model=with_an_attribute()),
    "the name of the model": lambda: study_of(model=named("other")),
    "the stages": lambda: study_of(stages={"planted": STAGES["planted"]}),
    "the layout of a stage": lambda: study_of(stages={**STAGES, "frames": ("frames", "N C T W H")}),
    "the name of a stage": lambda: study_of(stages={"other": STAGES["planted"], "frames": STAGES["frames"]}),
    "the order of the stages": lambda: study_of(stages=dict(reversed(STAGES.items()))),
    "the pooling": lambda: study_of(pool="max"),
    "the judge": lambda: study_of(judge=Asked()),
    "the recipe": lambda: study_of(recipe=Recipe(frames=6, rate=1, crop=16)),
    "the source": lambda: study_of(PlantedVideos(20, name="Elsewhere")),
    "the videos": lambda: study_of(PlantedVideos(19)),
    "the styles": lambda: study_of(conditions=replace(CONDITIONS, styles=("1", "2"))),
    "the order of the styles": lambda: study_of(conditions=replace(CONDITIONS, styles=("3", "1"))),
    "the scrambles": lambda: study_of(conditions=replace(CONDITIONS, scrambles=("shuffle",))),
    "the order of the scrambles": lambda: study_of(conditions=replace(CONDITIONS, scrambles=("reverse", "shuffle"))),
    "the seed": lambda: study_of(conditions=replace(CONDITIONS, seed=1)),
    "the size of the batches": lambda: study_of(batch_size=3),
    "the precision": lambda: study_of(precision="bfloat16"),
    "the place of the channels": lambda: study_of(channels_last=True),
}


@pytest.mark.parametrize("what", OTHER)
def test_whatever_decides_activations_makes_another_study(what):
    one, again, other = study_of().describe(), study_of(workers=3, max_bad=1).describe(), OTHER[what]().describe()
    assert json.loads(json.dumps(one)) == json.loads(json.dumps(again))
    assert list(one["stages"]) == list(STAGES)
    different = json.dumps(one) != json.dumps(other)
    assert different


def test_a_style_file_counts_with_what_is_in_it(tmp_path):
    from PIL import Image

    path, digests = tmp_path / "look.png", []
    for colour in ("red", "red", "blue"):
        Image.new("RGB", (8, 8), colour).save(path)
        digests.append(study_of(conditions=Conditions((str(path), "1"))).describe()["style_files"])
    assert digests[0] == digests[1] != digests[2]
    assert list(digests[0]) == [str(path)]  # a style on disk is no file
    assert "style_files" not in study_of().describe()


def test_the_variants_of_a_study_are_those_of_all_its_videos():
    study = study_of(PlantedVideos(2))
    assert study.variants() == [
        Variant(video, style, order)
        for video in ("v000", "v001")
        for style in ("1", "3")
        for order in ("intact", "shuffle", "reverse")
    ]
    assert [len(part) for part in study_of(PlantedVideos(17)).shards()] == [8, 8, 1]
