"""Models that segment moving objects: the published numbers, and the parts against the published parts."""

import json
import re
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import filler
from quick import quick
from torch import nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP

from static_dynamic import models
from static_dynamic.models.segmentation.matnet import (
    Boundary,
    CoAttention,
    Gated,
    GatedConvex,
    GlobalConv,
    Pyramid,
    Refine,
    softmax,
    tanh,
)
from static_dynamic.models.segmentation.rtnet import Attention, Exchange, Fusion, Scaling, SelfExchange
from static_dynamic.models.segmentation.vos_blocks import Gating

COPIED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "vos"  # only where the goldens were made

# ---------------------------------------------------------------- golden numbers


def golden(name):
    """The facts and the expected arrays of a model; the test skips where there are none."""
    folder = next((path for path in (COPIED, SHARED) if (path / f"{name}.json").exists()), None)
    if folder is None:
        pytest.skip("no golden numbers here")
    with np.load(folder / f"{name}.npz") as arrays:
        return json.loads((folder / f"{name}.json").read_text()), dict(arrays)


drawn = cache(filler.parameter)  # variants of a model share most of their draws


@pytest.fixture(scope="module", autouse=True)
def forget_draws():
    yield
    drawn.cache_clear()


def filled(shapes, seed, gains=(), draw=filler.parameter):
    """A state dict; the gains keep attention out of saturation, where rounding would decide."""
    state = {}
    for key, shape in shapes.items():
        array = np.asarray(draw(key, tuple(shape), seed))
        for pattern, factor in gains:
            if array.dtype == np.float32 and re.search(pattern, key):
                array = array * np.float32(factor)
        state[key] = torch.from_numpy(array)
    return state


def shapes_of(facts, name):
    """Key → shape as published; where they are not at hand, ours, which give other values if a name differs."""
    if "keys" in facts:
        return {key: shape for key, shape, _ in facts["keys"]}
    return {key: x.shape for key, x in on_meta(name).state_dict().items()}


def on_meta(name):
    spec = models.describe(name)
    with torch.device("meta"):
        return spec.build(spec.num_classes)


def picture(name, shape, seed):
    """``(N, C, H, W)`` or ``(N, T, C, H, W)``."""
    n, *frames, c, h, w = shape
    clip = filler.clip(name, (n, c, *(frames or [1]), h, w), seed).swapaxes(1, 2)
    return torch.from_numpy(np.ascontiguousarray(clip if frames else clip[:, 0]))


def place_of(array, spec):
    """``layer2,mot_stream`` → the module of that stage; ``decoder.bdry5_pool8`` → that module."""
    if array.endswith("_pool8"):
        return array.removesuffix("_pool8"), None
    stage = spec.stages[".".join(reversed(array.split(",")))]
    return stage.module, stage.item


def summary(array, x):
    return F.adaptive_avg_pool2d(x, 8) if array.endswith("_pool8") else x.mean((2, 3))


def outputs_of(model, inputs, arrays):
    """Array → its value, each row of it a frame; outputs that the model never computes are absent."""
    given = {}

    def keep(array, item):
        return lambda module, args, output: given.update({array: output if item is None else output[item]})

    handles = []
    for array in arrays - {"mask_mean", "mask_pool8"}:
        place, item = place_of(array, model.spec)
        handles.append(model.get_submodule(place).register_forward_hook(keep(array, item)))
    with torch.no_grad():
        mask = model(inputs)
    for handle in handles:
        handle.remove()
    given |= {"mask_mean": mask, "mask_pool8": mask}
    return {array: summary(array, x).numpy() for array, x in given.items()}


def golden_errors(model, facts, expected):
    """Array → largest deviation over the array's largest value."""
    inputs = {name: picture(name, x["shape"], facts["seed"]) for name, x in facts["inputs"].items()}
    given = outputs_of(model, inputs, expected.keys())
    return {
        array: np.abs(given[array].reshape(expected[array].shape) - expected[array]).max()
        / np.abs(expected[array]).max()
        for array in given
    }


def write(folder, wrapper, state):
    path = folder / "latest.pth"
    torch.save({"epoch": 3, wrapper: state}, path)
    return path


FUSIONSEGS = ["fusionseg_os16", "fusionseg_os8_bnorm", "fusionseg_late_os16"]


@pytest.mark.parametrize("name", quick("fusionseg_late_os16", among=FUSIONSEGS))
def test_fusionseg_equals_the_published_code(name, tmp_path):
    facts, expected = golden(name)
    path = write(tmp_path, "model_state", filled(shapes_of(facts, name), facts["seed"], draw=drawn))
    model = models.create_model(name, checkpoint=path)
    path.unlink()
    errors = golden_errors(model, facts, expected)
    assert errors.keys() == expected.keys()
    assert max(errors.values()) < 1e-4, errors


MATNETS = [  # not "matnet_coatt", which is "matnet_gated" again
    "matnet_gated",
    "matnet_gated_noglobal",
    "matnet_convex_gated",
    "matnet_convex_gated_spatialconv",
    "matnet_coatt_add",
    "matnet_coatt_gated",
    "matnet_coatt_recip",
    "matnet_coatt_gated_recip",
    "matnet_coatt_softmax",
    "matnet_coatt_recip_softmax_convex",
]


def write_pair(folder, state, prefix="module."):
    for part in ("encoder", "decoder"):
        named = {prefix + key.removeprefix(f"{part}."): x for key, x in state.items() if key.startswith(part)}
        torch.save(named, folder / f"{part}_24.pt")
        torch.save({}, folder / f"{part}_9.pt")  # an earlier epoch


@pytest.mark.parametrize("name", quick("matnet_coatt_gated", among=MATNETS))
def test_matnet_equals_the_published_code(name, tmp_path):
    facts, expected = golden(name)
    write_pair(tmp_path, filled(shapes_of(facts, name), facts["seed"], facts["gains"], drawn))
    model = models.create_model(name, checkpoint=tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    model.size = 473, 473
    errors = golden_errors(model, facts, expected)
    assert errors.keys() == expected.keys()
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize("name", quick("rtnet34", among=["rtnet34", "rtnet"]))
def test_rtnet_equals_the_published_code(name, tmp_path):
    facts, expected = golden(f"{name}_b1")
    state = filled(shapes_of(facts, name), facts["seed"], facts["gains"])
    path = write(tmp_path, "state_dict", {f"module.{key}": x for key, x in state.items()})
    model = models.create_model(name, checkpoint=path)
    path.unlink()
    errors = golden_errors(model, facts, expected)
    assert all(array.startswith("temporal_net.out") for array in expected.keys() - errors.keys())  # for training only
    assert max(errors.values()) < 1e-4, errors


def test_clips_of_a_batch_are_kept_apart():
    """The published code relates frames of different clips."""
    model = models.create_model("rtnet34")
    inputs = {"Image": torch.randn(2, 2, 3, 64, 64), "Flow": torch.randn(2, 2, 6, 64, 64)}
    with torch.no_grad():
        together, alone = model(inputs), model({name: x[1:] for name, x in inputs.items()})
    torch.testing.assert_close(together[2:], alone, rtol=1e-4, atol=1e-5)


SIZES = {  # parameters as published; those that never run are among them
    "fusionseg_os16": 112_394_210,
    "fusionseg_os8_bnorm": 112_401_890,
    "matnet_gated": 142_691_843,
    "rtnet": 277_236_532,
    "rtnet34": 105_549_876,
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    assert sum(parameter.numel() for parameter in on_meta(name).parameters()) == SIZES[name]


# ---------------------------------------------------------------- what goes in and out


@pytest.fixture(scope="module")
def matnet():
    return models.create_model("matnet")


def test_masks_have_the_size_of_the_input(matnet):
    inputs = {"Image": torch.randn(1, 3, 48, 80), "Flow": torch.randn(1, 3, 48, 80)}
    with torch.no_grad():
        mask = matnet(inputs)
    assert mask.shape == (1, 1, 48, 80)
    assert 0 <= mask.min() < mask.max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 3, 8, 8),
        {"Image": torch.zeros(1, 3, 8, 8)},
        {"Image": torch.zeros(1, 3, 8, 8), "Flow": torch.zeros(1, 3, 8, 9)},
        {"Image": torch.zeros(1, 3, 8, 8), "Flow": torch.zeros(1, 6, 8, 8)},
    ],
)
def test_inputs_must_be_an_image_and_its_flow(matnet, wrong):
    with pytest.raises(
        models.ModelError, match=r"dict of 'Image' \(N, 3, H, W\), 'Flow' \(N, 3, H, W\), all of one size"
    ):
        matnet(wrong)


def test_weights_without_what_never_runs(matnet, tmp_path):
    """Those of the study of MATNet's variants; their file names end in an epoch, of which the last complete one counts."""
    kept = {
        key: x.new_tensor(number).expand(x.shape)  # a small file
        for number, (key, x) in enumerate(matnet.state_dict().items())
        if not re.search(r"convFS1|block[23]", key)
    }
    write_pair(tmp_path, kept, prefix="")
    torch.save({}, tmp_path / "encoder_25.pt")  # its decoder was not written any more
    loaded = models.create_model("matnet", checkpoint=tmp_path, seed=1)
    assert all(torch.equal(x, kept[key]) for key, x in loaded.state_dict().items() if key in kept)
    assert len(loaded.checkpoint.adapted) == 18
    for path in tmp_path.iterdir():
        path.unlink()


# ---------------------------------------------------------------- the parts


class Messages(nn.Module):
    """A cross connection before it is added to its inputs; the published one returns more, in another order."""

    def __init__(self, connection):
        super().__init__()
        self.connection = connection

    def forward(self, image, flow):
        return self.connection.messages(image, flow)


def crossing(name, **options):
    """Published as Za, Zb, Qa, Qb; the image stream takes Zb, the flow stream Za or Qb."""
    return {
        f"matnet.{name}.{normalise.__name__}": (
            lambda normalise=normalise: Messages(CoAttention(64, normalise=normalise, **options)),
            (1, 0 if options.get("reciprocal") else 3),
        )
        for normalise in ((tanh,) if name == "CoAttentionGatedRecip" else (tanh, softmax))
    }


def reciprocal(model, transposed):
    attention = {
        old: partial(Attention, transposed=transposed or old, reduced=old) for old in (False, True)
    }  # "old": the one of level 1
    parts = {
        "RScaling": lambda: Scaling(16, 8, 2),
        "RGating": lambda: Gating(16, 2),
        "SelfScaling": lambda: Scaling(16, 8, 1),
        "SelfGating": lambda: Gating(16, 1),
        "STAFM": lambda: Fusion(16, 4),
        "RTrans": lambda: attention[False](32, 4),
        "OldRTrans": lambda: attention[True](32, 1),
        "SelfModule.redunction=True": lambda: SelfExchange(32, 1, attention[True]),
        "SelfModule.redunction=False": lambda: SelfExchange(32, 2, attention[False]),
    }
    for alike in (True, False):
        for old in (True, False):
            parts[f"RTModule.ST={not alike}.redunction={old}"] = partial(
                Exchange, 32, 1 if old else 4, attention[old], alike
            )
    return {f"{model}.{name}": (build, None) for name, build in parts.items()}


PARTS = {  # name in the file → how to build ours, which of the published outputs it returns (None: all)
    **crossing("CoAttention"),
    **crossing("CoAttentionGated", gated=True),
    **crossing("CoAttentionRecip", reciprocal=True),
    **crossing("CoAttentionGatedRecip", gated=True, reciprocal=True),
    "matnet.RGating": (lambda: Gating(16, 2), None),
    "matnet.Gated.use_global=True": (lambda: Gated(32), None),
    "matnet.Gated.use_global=False": (lambda: Gated(32, whole=False), None),
    "matnet.GatedConvex.use_spatial_conv=True": (lambda: GatedConvex(32, maximum=True), None),
    "matnet.GatedConvex.use_spatial_conv=False": (lambda: GatedConvex(32), None),
    "matnet.BoundaryModule": (lambda: Boundary(32), None),
    "matnet.GC": (lambda: GlobalConv(17, 24), None),
    "matnet.PyramidDilationConv": (lambda: Pyramid(17, 6), None),
    "matnet.Refine": (lambda: Refine(17, 24), None),
    **reciprocal("rtnet", transposed=True),
    **reciprocal("rtnet34", transposed=False),
    "deeplab.ASPP": (lambda: ASPP(24, (6, 12, 18)), None),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_equal_the_published_ones(name):
    facts, expected = golden("vos_modules")
    build, wanted = PARTS[name]
    there, ours = facts["modules"][name], build().eval()
    state = filled(shapes_of(there, name), facts["seed"])
    inner = ours.connection if isinstance(ours, Messages) else ours
    inner.load_state_dict(state)
    inputs = [picture(f"in{index}", shape, facts["seed"]) for index, shape in enumerate(there["inputs"])]
    if name.startswith("matnet.Gated."):  # takes the two streams side by side
        inputs = inputs[0].chunk(2, dim=1)
    with torch.no_grad():
        given = ours(*inputs)
    given = [given] if isinstance(given, torch.Tensor) else given
    for index, x in zip(wanted or range(len(given)), given, strict=True):
        array = expected[f"{name}:out{index}"]
        assert np.abs(x.numpy() - array).max() < 1e-4 * np.abs(array).max()
