"""The networks of learned styles: golden numbers of the published program, its files, and files of our own."""

import json
import os
import pickle
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from golden import filler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from static_dynamic.common.errors import UserError
from static_dynamic.common.registry import generator as numbers
from static_dynamic.interventions.census import Census
from static_dynamic.stylize.learning.learn import PRESETS, discriminator_loss, generator_losses
from static_dynamic.stylize.learning.perception import Perception, find_weights, load_perception
from static_dynamic.stylize.networks.learned import learned_style, load_style, write_style
from static_dynamic.stylize.networks.network import Architecture, Discriminator, Generator, as_frames, as_input
from static_dynamic.stylize.networks.pickled import read_module

SEED = 101
GOLDEN = np.load(Path(__file__).parent / "golden" / "generatorj_parts.npz")
"""Of the published program: ``<case>.<output>``; of pictures, every fifth row from 1 and every fifth column from 2."""
CASES = {
    "P": PRESETS["P"].architecture,
    "F": PRESETS["F"].architecture,
    "P_disco": Architecture((32, 64, 128, 128, 128, 64), 7, bias=True, tanh=True, smoothers=True, inputs=6),
    "default": Architecture(),
    "instancenorm": Architecture((16, 24, 32, 32, 32, 24), 2, norm="instance"),
}
PARAMETERS = {"P": 3_267_523, "F": 2_381_251, "default": 4_089_795, "instancenorm": 144_195}
TINY = Architecture((4, 6, 8, 8, 6, 5), 2, bias=True, tanh=True, smoothers=True)


def filled(network):
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.as_tensor(x) for key, x in filler.state(shapes, SEED).items()})
    return network


def picture(name, channels=3):
    return torch.from_numpy(np.tanh(filler.clip(name, (2, channels, 1, 64, 48), SEED)[:, :, 0]))


def parts(pictures):
    return pictures.detach().numpy()[:, :, 1::5, 2::5]


def assert_near(given, name):
    expected = GOLDEN[name]
    assert np.abs(np.asarray(given) - expected).max() < 1e-4 * (expected.max() - expected.min())


def frame(height=21, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return Generator(TINY).eval()


# ---------------------------------------------------------------- golden numbers


@pytest.mark.parametrize("case", CASES)
def test_the_generator_paints_as_the_published_one(case):
    plan = CASES[case]
    network = filled(Generator(plan)).eval()
    with torch.inference_mode():
        assert_near(parts(network(picture("pre", plan.inputs))), f"{case}.out")


@pytest.mark.parametrize("case", PARAMETERS)
def test_the_generator_has_as_many_parameters_as_the_published_one(case):
    with torch.device("meta"):
        assert sum(p.numel() for p in Generator(CASES[case]).parameters()) == PARAMETERS[case]


@pytest.mark.parametrize("case", ["P", "F"])
def test_losses_and_features_are_those_of_the_published_trainer(case):
    network, judge = filled(Generator(CASES[case])).train(), filled(Discriminator())
    perception = Perception()
    names = {key: f"features.{key.removeprefix('features.')}" for key in perception.state_dict()}
    shapes = {names[key]: tuple(value.shape) for key, value in perception.state_dict().items()}
    perception.load_state_dict({key: torch.from_numpy(x) for key, x in filler.state(shapes, SEED).items()})
    with torch.no_grad():
        fake, painted, other = network(picture("pre")), picture("post"), picture("already")
        losses = generator_losses(judge, perception, fake, painted)
        losses["discriminator"] = discriminator_loss(judge, fake, other)
        assert_near(parts(fake), f"{case}.out_train_mode")
        assert_near(judge(fake), f"{case}.disc_fake")
        assert_near(judge(other), f"{case}.disc_true")
        assert_near(perception(fake)[:, :64], f"{case}.vgg_feature_head")
    names = ("discriminator", "image", "perception", "adversarial", "generator")
    assert [losses[name].item() for name in names] == pytest.approx(GOLDEN[f"{case}.losses"].tolist(), rel=1e-4)


# ---------------------------------------------------------------- the generator


@given(height=st.integers(8, 19), width=st.integers(8, 19))
@settings(max_examples=12, deadline=None)
def test_a_frame_of_any_size_is_painted_as_the_corner_of_its_reflection(height, width):
    torch.manual_seed(0)
    network, x = Generator(TINY).eval(), torch.rand(1, 3, height, width) * 2 - 1
    with torch.inference_mode():
        padded = F.pad(x, (0, -(-width // 4) * 4 - width, 0, -(-height // 4) * 4 - height), mode="reflect")
        assert torch.equal(network(x), network(padded)[..., :height, :width])


def test_every_norm_moves_its_statistics_once_for_a_training_step(tiny):
    tiny.train()(torch.rand(2, 3, 16, 16))
    counts = {key: int(value) for key, value in tiny.state_dict().items() if key.endswith("num_batches_tracked")}
    assert set(counts.values()) == {1}


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 3),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(["batch", "instance"]),
    st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_weights_tell_the_architecture(filters, blocks, switches, norm, guides):
    a, b, c, d, e = filters
    plan = Architecture((a, b, c, c, d, e), blocks, *switches, norm, 3 * guides)
    with torch.device("meta"):
        assert Architecture.of(Generator(plan).state_dict()) == plan


@pytest.mark.parametrize(
    "wrong", [{"filters": (1, 2, 3)}, {"filters": (4, 4, 4, 5, 4, 4)}, {"blocks": -1}, {"norm": "layer"}, {"inputs": 1}]
)
def test_an_impossible_architecture_is_refused(wrong):
    with pytest.raises(UserError):
        Architecture(**wrong)


def test_levels_are_cut_off_not_wrapped():
    beyond = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert as_frames(beyond)[0, 0, :, 0].tolist() == [0, 0, 127, 255, 255]
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    assert np.abs(as_frames(as_input(ramp)).astype(int) - ramp).max() <= 1  # cut off to whole levels, as published


# ---------------------------------------------------------------- our files


def test_a_style_paints_the_same_after_it_was_written_and_read(tiny, tmp_path):
    write_style(tmp_path / "a.safetensors", tiny, {"steps": 7})
    style = load_style(tmp_path / "a.safetensors", "cpu")
    with torch.inference_mode():
        expected = as_frames(tiny(as_input(frame()[None])))[0]
    assert style.facts["steps"] == 7
    assert np.array_equal(style(frame()), expected)
    assert expected.shape == frame().shape


def test_a_learned_style_paints_each_frame_regardless_of_the_others(tiny, tmp_path):
    write_style(tmp_path / "a.safetensors", tiny, {})
    clip = np.stack([frame(seed=seed) for seed in range(3)])
    paint = learned_style(tmp_path / "a.safetensors", "cpu")(Census(clip), numbers(0, "a"))
    other = learned_style(tmp_path / "a.safetensors", "cpu")(Census(clip[:1]), numbers(9, "b"))
    assert all(np.array_equal(paint(image), other(image)) for image in clip)
    assert paint is other  # the file was read once
    write_style(tmp_path / "a.safetensors", Generator(TINY), {})
    os.utime(tmp_path / "a.safetensors", ns=(1, 1))
    changed = learned_style(tmp_path / "a.safetensors", "cpu")(Census(clip), numbers(0, "a"))
    assert not np.array_equal(paint(clip[0]), changed(clip[0]))


def test_what_is_no_style_is_refused_in_one_line(tiny, tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "weights.safetensors")
    write_style(tmp_path / "whole.safetensors", tiny, {})
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:2000])
    note = json.dumps({"architecture": asdict(TINY)})
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors", {"learned_style": note})
    write_style(tmp_path / "guided.safetensors", Generator(Architecture((4, 6, 8, 8, 6, 5), 1, inputs=6)), {})
    for name, facts in (("bare", {}), ("odd", {"architecture": {"x": 1}})):
        save_file({"x": torch.zeros(2)}, tmp_path / f"{name}.safetensors", {"learned_style": json.dumps(facts)})
    reasons = {
        "bare": "does not describe the generator",
        "odd": "does not describe the generator",
        "weights": "not a learned style",
        "cut": "cannot be read",
        "other": "does not hold the weights of a generator",
        "guided": "1 guide",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=reason) as error:
            load_style(tmp_path / f"{name}.safetensors", "cpu")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="is missing"):
        load_style(tmp_path / "absent.safetensors")


# ---------------------------------------------------------------- published files


def save_published(path, monkeypatch, **options):
    """A whole module of the class ``models.GeneratorJ``, which nobody can import afterwards."""
    network = type("GeneratorJ", (Generator,), {"__module__": "models"})(TINY)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old format wants the source of the class
        patch.setitem(sys.modules, "models", ModuleType("models"))
        patch.setattr("models.GeneratorJ", type(network), raising=False)
        torch.save(network, path, **options)
    return network.eval()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_published_style_is_read_from_its_pickle(new, tmp_path, monkeypatch, recwarn):
    path = tmp_path / "model_00001.pth"
    network = save_published(path, monkeypatch, _use_new_zipfile_serialization=new)
    recwarn.clear()
    state = read_module(path)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    style = load_style(path, "cpu")
    assert style.network.plan == TINY
    with torch.inference_mode():
        assert np.array_equal(style(frame()), as_frames(network(as_input(frame()[None])))[0])
    assert not recwarn.list


class Hostile:
    """Makes a directory when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("where", ["alone", "in a module"])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_hostile_pickle_runs_nothing(new, where, tmp_path, tiny):
    tiny.conv0.extra = Hostile(tmp_path / "mark")
    content = tiny.conv0.extra if where == "alone" else tiny
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    if where == "alone":
        with pytest.raises(UserError, match="does not hold a saved module"):
            load_style(tmp_path / "a.pth")
    else:
        assert load_style(tmp_path / "a.pth", "cpu").network.plan == TINY
    assert not (tmp_path / "mark").exists()


def test_files_of_other_kinds_are_no_published_styles(tmp_path, tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "script.pth")
    torch.save(tiny.state_dict(), tmp_path / "state.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "linear.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "linear.pth").read_bytes()[:500])
    (tmp_path / "empty.pth").write_bytes(b"")
    for path in tmp_path.iterdir():
        with pytest.raises(UserError) as error:
            load_style(path)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="is missing"):
        load_style(tmp_path / "absent.pth")


# ---------------------------------------------------------------- perception


def test_features_are_those_of_torchvision(tmp_path):
    from torchvision.models import vgg19

    with torch.device("meta"):
        layers = vgg19().features[:6]
    torch.manual_seed(0)
    layers = layers.to_empty(device="cpu")
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, tmp_path / "vgg.pth")
    perception = load_perception(tmp_path / "vgg.pth")
    x = torch.rand(2, 3, 16, 16)
    taps, inner = [], x
    for number, layer in enumerate(layers):
        inner = layer(inner.clone())
        taps += [inner.flatten(1).clone()] if number in (0, 3, 5) else []
    assert torch.equal(perception(x), torch.cat(taps, 1))
    assert len(perception.digest) == 16


def test_weights_of_vgg_are_used_only_when_they_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_weights("auto") is None
    assert find_weights("none") is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth").write_bytes(b"no weights")
    path = find_weights("auto")
    assert path == tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"
    with pytest.raises(UserError, match="does not hold weights of VGG-19"):
        load_perception(path)
    with pytest.raises(UserError, match="is missing"):
        find_weights(str(tmp_path / "absent.pth"))
