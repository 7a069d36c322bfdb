"""The body of "segment any moving": the published numbers, its file, and what goes in."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import filler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from static_dynamic import models
from static_dynamic.models.segmentation.sam import BGR_MEAN, Affine, ConvBody, flow_image

FOLDER = Path(__file__).parent / "golden"
FACTS = json.loads((FOLDER / "sam_conv_body.json").read_text())
SEED = FACTS["seed"]


def published_shapes():
    """Key under ``Conv_Body.`` → shape, as Detectron names the parts of two ResNet-50 with pyramids."""
    shapes = {}

    def conv(key, to, of, side, bias=True):
        shapes[f"{key}.weight"] = (to, of, side, side)
        if bias:
            shapes[f"{key}.bias"] = (to,)

    def affine(key, channels):
        shapes[f"{key}.weight"] = shapes[f"{key}.bias"] = (channels,)

    def conv_affine(conv_key, affine_key, to, of, side):
        conv(conv_key, to, of, side, bias=False)
        affine(affine_key, to)

    for body in ("bodies.0", "bodies.1"):
        conv(f"{body}.conv_top", 256, 2048, 1)
        for i, channels in enumerate((1024, 512, 256)):
            conv(f"{body}.topdown_lateral_modules.{i}.conv_lateral", 256, channels, 1)
        for i in range(4):
            conv(f"{body}.posthoc_modules.{i}", 256, 256, 3)
        net = f"{body}.conv_body"
        conv_affine(f"{net}.res1.conv1", f"{net}.res1.bn1", 64, 3, 7)
        before = 64
        for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 2):
            for i in range(blocks):
                block = f"{net}.res{stage}.{i}"
                conv_affine(f"{block}.conv1", f"{block}.bn1", width, before, 1)
                conv_affine(f"{block}.conv2", f"{block}.bn2", width, width, 3)
                conv_affine(f"{block}.conv3", f"{block}.bn3", 4 * width, width, 1)
                if i == 0:
                    conv_affine(f"{block}.downsample.0", f"{block}.downsample.1", 4 * width, before, 1)
                before = 4 * width
    for i, channels in enumerate((512, 256, 256)):
        conv(f"adaptor.{2 * i}", 256, channels, 3)
    return shapes


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A whole Mask R-CNN as its authors saved it, with small heads, and the body built from it."""
    state = {f"Conv_Body.{key}": torch.from_numpy(x) for key, x in filler.state(published_shapes(), SEED).items()}
    heads = {"RPN.FPN_RPN_conv.weight": torch.zeros(2), "Mask_Head.conv_fcn.0.bias": torch.zeros(2)}
    path = tmp_path_factory.mktemp("sam") / "model_step4999.pth"
    torch.save({"step": 4999, "train_size": 1, "batch_size": 8, "model": heads | state, "optimizer": {}}, path)
    model = models.create_model("sam_conv_body", checkpoint=path)
    path.unlink()
    return model


def picture(name):
    return torch.from_numpy(np.ascontiguousarray(filler.clip(name, (2, 3, 1, 96, 128), SEED)[:, :, 0]))


def places():
    """Array of the golden file → module and element."""
    stages = models.describe("sam").stages
    found = {}
    for short, stream in (("app", "app_stream"), ("mot", "mot_stream")):
        found |= {
            f"res{i + 1},{short}": stages[f"{stream}.{name}"]
            for i, name in enumerate(("conv1", "layer1", "layer2", "layer3", "layer4"))
        }
        found |= {f"P{level},{short}": models.Stage(stream, "", level - 2) for level in range(2, 7)}
    found |= {f"P{i + 1},merged": stages[f"sensor_fusion.layer{i}"] for i in range(1, 5)}
    return found | {"P6,merged": stages["sensor_fusion.conv1"]}


def outputs(model, wanted, image, flow):
    """Name → what its place returns."""
    seen, hooks = {}, []
    for name, (module, _, item) in wanted.items():

        def keep(_module, _args, output, name=name, item=item):
            seen[name] = output if item is None else list(output.values())[item]

        hooks.append(model.get_submodule(module).register_forward_hook(keep))
    with torch.no_grad():
        model({"Image": image, "Flow": flow})
    for hook in hooks:
        hook.remove()
    return seen


def test_every_level_equals_the_published_code(published):
    """Which has its images without their mean, and all in BGR."""
    mean = torch.tensor(BGR_MEAN)[:, None, None]
    seen = outputs(published, places(), (picture("rgb") + mean).flip(1), picture("flow").flip(1))
    with np.load(FOLDER / "sam_conv_body.npz") as expected:
        assert seen.keys() == set(expected)
        for array, values in expected.items():
            given = seen[array].mean((2, 3))[:, ::8].numpy()
            assert np.abs(given - values).max() < 1e-4 * np.abs(values).max(), array


def test_the_published_file_fits_and_its_heads_are_left_out(published):
    report = published.checkpoint
    assert report.missing == report.unexpected == ()
    assert report.mismatched == {}
    assert len(published_shapes()) == 356 == len(published.state_dict())
    assert sum(p.numel() for p in published.parameters()) == FACTS["n_parameters"] == 56_064_896


@pytest.mark.parametrize("prefix", ["", "module.", "Conv_Body.", "module.Conv_Body."])
def test_files_of_every_wrapping(prefix, published):
    """The state is that of the body alone, of a whole network, or of one of several GPUs."""
    names = [prefix + key for key in published_shapes()]
    adapted = published.adapt_checkpoint({name: torch.zeros(1) for name in names} | {"RPN.weight": torch.zeros(1)})
    extra = set() if "Conv_Body" in prefix else {"RPN.weight"}  # not a body's: said to be unexpected
    assert adapted.keys() == published.state_dict().keys() | extra


def test_own_files_load_too(published):
    own = published.state_dict()
    assert published.adapt_checkpoint(own).keys() == own.keys()


def test_the_stages_have_the_fifteen_published_names_and_fall_in_size(published):
    streams = ("app_stream", "mot_stream", "sensor_fusion")
    sizes = {"conv1": 32, "layer1": 32, "layer2": 16, "layer3": 8, "layer4": 4}
    expected = {f"{stream}.{layer}": size for stream in streams for layer, size in sizes.items()}
    seen = outputs(published, published.spec.stages, torch.rand(1, 3, 64, 128), torch.rand(1, 3, 64, 128))
    assert {name: x.shape[-1] for name, x in seen.items()} == expected | {"sensor_fusion.conv1": 2}


def test_what_comes_out_is_five_merged_levels(published):
    with torch.no_grad():
        levels = published({"Image": torch.rand(2, 3, 64, 64), "Flow": torch.rand(2, 3, 64, 64)})
    sides = {"p2": 16, "p3": 8, "p4": 4, "p5": 2, "p6": 1}
    assert {level: tuple(x.shape) for level, x in levels.items()} == {
        level: (2, 256, side, side) for level, side in sides.items()
    }


# ---------------------------------------------------------------- what goes in


def test_the_recipe_gives_bytes():
    recipe = models.describe("sam").recipe
    pixel = np.array([0, 100, 255])
    assert np.allclose((pixel / 255 - recipe["mean"]) / recipe["std"], pixel)


def mean_colour(height, width):
    return torch.tensor(BGR_MEAN[::-1])[None, :, None, None].expand(1, 3, height, width).clone()


def test_an_image_of_the_mean_colour_is_as_nothing(published):
    place = {"first": models.Stage("app_stream.body.conv1", "")}
    first = outputs(published, place, mean_colour(32, 32), torch.zeros(1, 3, 32, 32))["first"]
    assert torch.equal(first, torch.zeros_like(first))


@pytest.mark.parametrize(("height", "width"), [(33, 64), (40, 50)])
def test_edges_are_filled_up_to_a_multiple_of_32_with_nothing(published, height, width):
    image, flow = 255 * torch.rand(1, 3, height, width), torch.rand(1, 3, height, width)
    larger, stiller = mean_colour(64, 64), torch.zeros(1, 3, 64, 64)
    larger[..., :height, :width], stiller[..., :height, :width] = image, flow
    given, expected = (
        outputs(published, published.spec.stages, *inputs) for inputs in ((image, flow), (larger, stiller))
    )
    assert all(torch.equal(x, expected[stage]) for stage, x in given.items())


def test_a_block_strides_first_and_an_affine_is_a_norm_that_knows_its_statistics(published):
    strides = {
        name: module.stride
        for name, module in published.app_stream.body.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2)
    }
    assert set(strides) == {
        "conv1",
        *(f"layer{i}.0.{conv}" for i in (2, 3, 4) for conv in ("conv1", "downsample.0")),
    }
    affine, norm, x = Affine(5), nn.BatchNorm2d(5, eps=0).eval(), torch.randn(2, 5, 3, 3)
    for layer in (affine, norm):
        layer.load_state_dict({"weight": torch.arange(5.0), "bias": torch.ones(5)}, strict=False)
    assert torch.allclose(affine(x), norm(x))


vectors = st.tuples(st.floats(-300, 300, width=32), st.floats(-300, 300, width=32))


@given(st.lists(vectors, min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_flow_is_direction_and_length(field):
    flow = torch.tensor(field).T.reshape(1, 2, 2, 3)
    red, green, blue = flow_image(flow)[0].reshape(3, -1).tolist()
    diagonal = math.sqrt(2**2 + 3**2)
    for i, (right, down) in enumerate(field):
        assert red[i] == pytest.approx((math.degrees(math.atan2(down, right)) + 180) / 360 * 255, abs=1e-3)
        assert green[i] == pytest.approx(6 * min(math.hypot(right, down) / diagonal, 1), abs=1e-4)
    assert blue == [0] * 6


def test_wrong_inputs_are_one_line():
    with torch.device("meta"):
        model = ConvBody()
    with pytest.raises(models.ModelError, match=r"'Image' \(N, 3, H, W\), 'Flow' \(N, 3, H, W\)"):
        model({"Image": torch.zeros(1, 3, 8, 8), "Flow": torch.zeros(1, 2, 8, 8)})
