"""The zoo: one test that every model passes, the registry, downloads, and the checkpoint reader."""

import argparse
import collections
import os
import pickle
import re
from dataclasses import fields, replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quick import quick
from safetensors.torch import save_file
from torch import nn
from torch.utils._pytree import tree_map

from static_dynamic import models
from static_dynamic.collect import weights_digest
from static_dynamic.main import main
from static_dynamic.media.clip import FlowRecipe
from static_dynamic.media.inputs import example_inputs, make_recipe
from static_dynamic.models import registry
from static_dynamic.models.weights.keys import caffe2_key
from static_dynamic.network.testing import check_model
from static_dynamic.optional import is_there

# ---------------------------------------------------------------- every model


def tiny_input(spec):
    """Two clips of 32 pixels, and of 16 frames where the model has one pathway: some want 96, but take fewer."""
    recipe = make_recipe(spec.recipe)
    if isinstance(recipe, FlowRecipe):
        return example_inputs(replace(recipe, size=(32, 32)), clips=2)
    frames = min(recipe.frames, 16) if isinstance(recipe.frames, int) else recipe.frames
    crop = 32 if isinstance(recipe.crop, int) else recipe.crop  # who names height and width takes no other size
    return example_inputs(replace(recipe, frames=frames, crop=crop, short_side=32), clips=2)


def skip_without_package(name):
    packaged = models.describe(name).packaged
    if packaged and not is_there(packaged.partition("/")[0]):
        pytest.skip(f"{packaged.partition('/')[0]} is not installed")


def one_of_each_series():
    """All models, but of those that differ in nothing but their weights and outputs the first."""
    firsts = {}
    for name in models.list_models():
        firsts.setdefault(models.describe(name).series or name, name)
    return list(firsts.values())


@pytest.mark.parametrize("name", one_of_each_series())
def test_every_model_is_as_described(name):
    """Without numbers: its parts fit each other, every stage runs, and the outputs have the right shape."""
    skip_without_package(name)
    spec = models.describe(name)
    assert spec.name == name
    assert spec.summary.endswith(".")
    assert all(models.describe(alias) is spec for alias in spec.aliases)
    assert set(spec.recipe) <= {field.name for field in fields(make_recipe(spec.recipe))}

    with torch.device("meta"):
        model = spec.build(spec.num_classes).eval()
    seen = set()
    for place in {stage.module for stage in spec.stages.values()}:
        model.get_submodule(place).register_forward_hook(lambda *_, place=place: seen.add(place))
    inputs = tree_map(lambda x: x.to("meta"), tiny_input(spec))
    with torch.no_grad():
        found = model(inputs)
    assert seen == {stage.module for stage in spec.stages.values()}
    if isinstance(found, dict):  # the maps of a body without a head
        assert all(len(x) == 2 for x in found.values())
    elif isinstance(inputs, dict):  # masks, one for every frame
        assert found.shape == (inputs["Image"].shape[:-3].numel(), spec.num_classes, 32, 32)
    else:  # for a clip, or for every frame of one
        assert found.shape in ((2, spec.num_classes), (2, 16, spec.num_classes))


KINDS = [  # of every kind of part one model
    "i3d_nln_r50_8x8",
    "fast_r50_8x8",
    "slowfast_d48_r18_8x8",
    "slowfast_ava_r50_8x8",
    "x3d_xs",
    "tsm_r50_8f",
    "tsm_dyreg_l3_8f",
    "mvit_b_16x4_kv16",
    "timesformer_k400",
    "timesformer_joint_space_time",
    "fusionseg_late_os16",
    "matnet_coatt_gated",
    "rtnet34",
    "sam_conv_body",
    "transnetv2",
    "efficientnet_lite0",
    "truth_cnn_appearance",
    "truth_timesformer_appearance",
]


@pytest.mark.parametrize("name", quick(*KINDS, among=one_of_each_series()))
def test_every_model(name):
    skip_without_package(name)
    before = torch.get_rng_state()
    model = models.create_model(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.spec == models.describe(name)
    assert not any(module.training for module in model.modules())
    check_model(model, tiny_input(model.spec))


@pytest.mark.parametrize("name", ["i3d_nln", "slowfast_r50_4x16", "x3d_xs", "tsm_r50_8f"])
def test_stages_and_inputs_are_not_changed_later(name):
    model = models.create_model(name)
    inputs = tiny_input(model.spec)
    given = list(inputs)
    seen = []

    def watch(module, args, output):
        seen.extend((x, x.clone()) for x in (output if isinstance(output, tuple) else [output]))

    for place in {place.module for place in model.spec.stages.values()}:
        model.get_submodule(place).register_forward_hook(watch)
    with torch.no_grad():
        model(inputs)
    assert seen
    assert all(torch.equal(now, then) for now, then in seen)
    assert all(torch.equal(now, then) for now, then in zip(inputs, given, strict=True))


def test_seed_and_classes():
    first, second = (models.create_model("fast", num_classes=5, seed=4) for _ in range(2))
    other = models.create_model("fast", num_classes=5, seed=5)
    assert weights_digest(first) == weights_digest(second) != weights_digest(other)
    assert first.spec.num_classes == first.head.projection.out_features == 5
    with pytest.raises(models.ModelError, match=r"positive integer\. Got 0"):
        models.create_model("fast", num_classes=0)


def test_names():
    assert models.list_models("slow_*") == ["slow_r50_4x16", "slow_r50_8x8", "slow_ssv2_r50_8x8"]
    assert models.describe("i3d").name == "i3d_r50_8x8"
    with pytest.raises(models.ModelError, match=r"Unknown model 'i4d'\. Did you mean 'i3d'.* Allowed: .*slow_r50_8x8"):
        models.create_model("i4d")
    with pytest.raises(models.ModelError, match="already taken"):
        models.register_model(stages={}, recipe=models.describe("i3d").recipe, paper="", aliases=("i3d",))(nn.Linear)


def test_wrong_input():
    model = models.create_model("fast")
    for wrong in (
        [torch.zeros(1, 3, 2, 32, 32)] * 2,
        torch.zeros(3, 2, 32, 32),
        torch.zeros(1, 2, 3, 32, 32),
    ):
        with pytest.raises(models.ModelError, match=r"must be 1 x \(N, 3, T, H, W\)"):
            model(wrong)


def test_command_line(capsys):
    assert main(["models", "list", "fast*"]) == 0
    assert "fast_d48_r50_8x8" in capsys.readouterr().out
    assert main(["models", "show", "i3d"]) == 0
    assert "s5[0]" in capsys.readouterr().out
    for slip in (["list", "x9*"], ["show", "i4d"]):
        assert main(slip) == 2
        assert capsys.readouterr().err.count("\n") == 1


# ---------------------------------------------------------------- downloads


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A file that a model of the registry claims to be published as, and torch.hub's directory; both empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    file = tmp_path / "zoo" / "FAST.pyth"
    file.parent.mkdir()

    def publish(sha256=None):
        spec = replace(models.describe("fast"), url=file.as_uri(), sha256=sha256)
        monkeypatch.setitem(registry.registered, "fast", spec)

    publish()
    return SimpleNamespace(file=file, kept=tmp_path / "hub" / "checkpoints", publish=publish)


def test_pretrained(published, fast):
    torch.save({"model_state": fast.state_dict()}, published.file)
    loaded = models.create_model("fast", pretrained=True)
    assert weights_digest(loaded) == weights_digest(fast)
    published.file.unlink()
    again = models.create_model("fast", pretrained=True)  # from torch.hub's directory
    assert [str(file) for file in published.kept.iterdir()] == [again.checkpoint.path]
    assert again.checkpoint.path.endswith("fast_r50_8x8-FAST.pyth")


@pytest.mark.parametrize(
    ("content", "sha256", "reason"),
    [
        (None, None, "No such file"),
        (b"<!doctype html>", None, "a web page came back"),
        (b"\x80", "00", "invalid hash value"),
    ],
)
def test_what_cannot_be_fetched(content, sha256, reason, published):
    if content:
        published.file.write_bytes(content)
    published.publish(sha256)
    with pytest.raises(models.ModelError, match=f"Cannot fetch file://.*FAST.pyth: .*{reason}.*checkpoint=") as caught:
        models.create_model("fast", pretrained=True)
    assert "\n" not in str(caught.value)
    assert list(published.kept.iterdir()) == []


def test_nothing_is_published_of_some():
    with pytest.raises(models.ModelError, match="No weights of 'i3d_r101_8x8' are published"):
        models.create_model("i3d_r101_8x8", pretrained=True)


# ---------------------------------------------------------------- the checkpoint reader


class Runs:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def fast():
    return models.create_model("fast", seed=7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pyth"


def error_of(path, name="fast", **options):
    with pytest.raises(models.ModelError) as caught:
        models.create_model(name, checkpoint=path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def save_old_torch(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content, path):
    arrays = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in content.items()}
    path.write_bytes(pickle.dumps(arrays, protocol=4))


@pytest.mark.parametrize(
    ("save", "kind"),
    [(torch.save, "torch"), (save_old_torch, "torch"), (save_file, "safetensors"), (save_pickle, "pickle")],
)
def test_formats(save, kind, fast, path):
    save(fast.state_dict(), path)
    loaded = models.create_model("fast", checkpoint=path)
    assert weights_digest(loaded) == weights_digest(fast)
    assert loaded.checkpoint.format == kind
    assert loaded.checkpoint.missing == loaded.checkpoint.unexpected == ()


@pytest.mark.parametrize("wrapper", ["model_state", "state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_wrappers_and_prefixes(wrapper, prefix, fast, path):
    state = {prefix + key: value for key, value in fast.state_dict().items()}
    torch.save({wrapper: state, "epoch": 1} if wrapper else state, path)
    assert weights_digest(models.create_model("fast", checkpoint=path)) == weights_digest(fast)


def test_what_research_checkpoints_hold(fast, path):
    extras = {
        "args": argparse.Namespace(lr=0.1, sizes=[1, 2]),
        "best": np.float64(0.7),
        "curve": np.arange(3.0),
        "name": np.str_("fast"),
        "seen": {1, 2},
        "order": collections.OrderedDict(a=1),
    }
    for save in (torch.save, save_old_torch):
        save({"state_dict": fast.state_dict(), **extras}, path)
        assert weights_digest(models.create_model("fast", checkpoint=path)) == weights_digest(fast)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_caffe2_pickles_of_every_age(protocol, path):
    layer = nn.Module()
    layer.head = nn.Module()
    layer.head.projection = nn.Linear(3, 2)
    weight = np.asfortranarray(np.array([[1, 2, 3], [4, 5, 6]], ">f4"))
    blobs = {"pred_w": weight, "pred_b": np.float32([7, 8]), "lr": np.float32(1)}
    content = pickle.dumps({"blobs": blobs}, protocol=protocol)
    if protocol == 2:
        content = content.replace(b"numpy._core", b"numpy.core")  # as NumPy 1 wrote it
    path.write_bytes(content)
    models.load_checkpoint(layer, path)
    assert layer.head.projection.weight.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert layer.head.projection.bias.tolist() == [7, 8]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("save", [torch.save, save_old_torch, save_pickle])
def test_code_in_a_file_is_refused(save, strict, fast, path, tmp_path):
    trace = tmp_path / "trace"
    save({**fast.state_dict(), "blobs": Runs(trace)}, path)
    message = error_of(path, strict=strict)
    assert ".mkdir'" in message
    assert "`trust_checkpoint=True`" in message
    assert not trace.exists()


class Pointers:
    """Claims that its bytes are Python objects; NumPy would follow them."""

    def __reduce__(self):
        return np.ndarray, ((1,), "O", b"12345678")


@pytest.mark.parametrize("save", [torch.save, save_old_torch, save_pickle])
def test_pointers_in_a_file_are_not_followed(save, fast, path):
    save({**fast.state_dict(), "extra": Pointers()}, path)
    assert "1 unexpected: extra" in error_of(path)
    save({**fast.state_dict(), "extra": np.array([None])}, path)
    assert "'numpy.dtype O8'" in error_of(path)


@pytest.mark.parametrize("save", [torch.save, save_pickle])
def test_trusted_files_may_hold_anything(save, fast, path):
    save({**fast.state_dict(), "ratio": Fraction(1, 3)}, path)
    assert "'fractions.Fraction'" in error_of(path)
    loaded = models.create_model("fast", checkpoint=path, trust_checkpoint=True)
    assert weights_digest(loaded) == weights_digest(fast)


def test_what_torch_itself_will_not_read(fast, path):
    torch.save({"model": fast.state_dict(), "log": collections.defaultdict(str, a="b")}, path)
    assert "'collections.defaultdict'" in error_of(path)


def test_a_trusted_whole_model(fast, path):
    torch.save({"model": fast}, path)
    assert "`trust_checkpoint=True`" in error_of(path)
    loaded = models.create_model("fast", checkpoint=path, trust_checkpoint=True)
    assert weights_digest(loaded) == weights_digest(fast)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a checkpoint.*begins with b'version"),
        (b"\x80\x02}q\x00X\x05", "damaged or cut short"),
        (pickle.dumps({"a": 1, "lr": "x"}), "holds no weights"),
        (pickle.dumps([1, 2]), "holds no weights"),
    ],
)
def test_files_that_are_no_checkpoint(content, words, path):
    path.write_bytes(content)
    assert re.search(words, error_of(path))
    assert re.search(words, error_of(path, strict=False))


@pytest.mark.parametrize("save", [torch.save, save_old_torch, save_file, save_pickle])
def test_truncated(save, fast, path):
    save(fast.state_dict(), path)
    os.truncate(path, path.stat().st_size // 2)
    assert "damaged or cut short" in error_of(path)


def test_no_file(path):
    assert "No such file" in error_of(path)
    assert "holds no checkpoint" in error_of(path.parent)


def test_another_model(fast, path):
    torch.save({"model_state": fast.state_dict()}, path)
    assert "another model: 1 of its 267 keys fit" in error_of(path, "i3d")  # the classifier's bias
    assert "another model: 0 of its 267 keys fit" in error_of(path, "i3d", num_classes=5, strict=False)
    assert "another model: 2" in error_of(path, "slowfast_r50_8x8")


def test_another_class_count(fast, path):
    torch.save({"model_state": fast.state_dict()}, path)
    message = error_of(path, "fast_d48_r50_8x8", num_classes=48)
    assert "has 400 classes, the model 48. Pass `num_classes=400`" in message
    for classes in (400, None):  # that of the file, where none is asked for
        model = models.create_model("fast_d48_r50_8x8", checkpoint=path, num_classes=classes)
        assert (model.checkpoint.mismatched, model.spec.num_classes, model.spec.notes) == ({}, 400, ())
    with pytest.warns(
        models.PartialWeights, match=r"Only 265 of 267 weights .* random: head\.projection\.weight, head"
    ):
        loose = models.create_model("fast_d48_r50_8x8", checkpoint=path, strict=False)
    assert loose.checkpoint.mismatched["head.projection.bias"] == ((400,), (48,))
    assert torch.equal(loose.s1.pathway1_stem.conv.weight, fast.s1.pathway1_stem.conv.weight)


def test_misfits_are_named(fast, path):
    state = fast.state_dict() | {"extra": torch.zeros(1)}
    state["s5.pathway1_res0.branch1.weight"] = torch.zeros(3, 3)
    del state["head.projection.bias"]
    torch.save(state, path)
    message = error_of(path)
    assert "1 missing: head.projection.bias; 1 unexpected: extra; 1 of another shape: s5.path" in message
    assert "(3, 3) for (256, 128, 1, 1, 1)" in message
    with pytest.warns(models.PartialWeights, match="265 of 267"):
        report = models.create_model("fast", checkpoint=path, strict=False).checkpoint
    assert report.missing == ("head.projection.bias",)
    assert report.unexpected == ("extra",)
    assert len(report.sha256) == 64


def test_a_failed_load_changes_nothing(fast, path):
    before = weights_digest(fast)
    torch.save({key: value + 1 for key, value in list(fast.state_dict().items())[:-1]}, path)
    with pytest.raises(models.ModelError, match=r"1 missing: head\.projection\.bias"):
        models.load_checkpoint(fast, path)
    assert weights_digest(fast) == before


@pytest.mark.parametrize("blob", ["lr", "model_iter", "conv1_w_momentum", "t_res2_0_branch2a_bn_s_momentum"])
def test_training_blobs_are_ignored(blob):
    assert caffe2_key(blob) is None


def test_unknown_blobs_keep_their_name():
    assert caffe2_key("res2_0_branch3_w") == "res2_0_branch3_w"
    assert caffe2_key("pred_z") == "pred_z"
