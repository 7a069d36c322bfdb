"""ResNets, SlowFast, X3D, TSM, detectors: the published numbers, and the parts against slower definitions."""

import json
import pickle
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import filler
from quick import quick
from torch import nn
from torch.nn import functional as F

from static_dynamic import models
from static_dynamic.models.action.detection import BoxPool
from static_dynamic.models.action.resnet3d import NonLocal
from static_dynamic.models.action.tsm import Shift
from static_dynamic.models.weights.finding import Target, find
from static_dynamic.models.weights.keys import STYLES
from static_dynamic.network.recorder import Recorder

COPIED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "ar"  # only where the goldens were made

CAFFE2 = [  # published as pickled blobs too
    "c2d_r50_8x8",
    "i3d_r50_8x8",
    "i3d_nln_r50_8x8",
    "slow_r50_8x8",
    "slow_r50_4x16",
    "slowfast_r50_8x8",
    "slowfast_r50_4x16",
]
TORCH = [
    *CAFFE2,
    "slow_ssv2_r50_8x8",
    "fast_r50_8x8",
    "fast_d48_r50_8x8",
    "slowfast_ssv2_16x8",
    "slowfast_ssv2_16x8_multigrid",
    "slowfast_ssv2_r50_8x8",
    "x3d_xs",
    "x3d_s",
    "x3d_m",
    "x3d_l",
    "tsm_r50_8f",
    "tsm_r50_16f",
]


# ---------------------------------------------------------------- golden numbers


def golden(name):
    """The facts, the filled state dict and the expected arrays of a model; the test skips where there are none."""
    folder = next((path for path in (COPIED, SHARED) if (path / f"{name}.json").exists()), None)
    if folder is None:
        pytest.skip("no golden numbers here")
    facts = json.loads((folder / f"{name}.json").read_text())
    checkpoint = facts["checkpoint"]["pytorch"]
    state = filler.state(checkpoint["keys"], facts["seed"], checkpoint["prefix"])
    with np.load(folder / f"{name}.npz") as arrays:
        return facts, state, dict(arrays)


def as_tensors(state):
    return {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}


def write_pytorch(path, facts, state):
    wrapper = facts["checkpoint"]["pytorch"]["wrapper"]
    torch.save({"epoch": 3, "cfg": "MODEL: x", "optimizer_state": {"state": {}}, wrapper: as_tensors(state)}, path)


def write_caffe2(path, facts, state):
    blobs = {blob: state[entry[0]] for blob, entry in facts["checkpoint"]["caffe2"]["blobs"].items()}
    blobs |= {f"{blob}_momentum": np.zeros(2, np.float32) for blob in list(blobs)}
    blobs |= {"lr": np.float32([0.1]), "model_iter": np.int64([7])}
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))


def record(model, inputs):
    """Logits, and the pooled stages."""
    with torch.no_grad(), Recorder(model) as recorder:
        return model(inputs), recorder.activations


def stages_of(array, declared):
    """``stage3_cat_fuse1`` → the stages that stand side by side in that array."""
    stage, path, fused = re.fullmatch(r"(stage\d)(?:_(slow|fast|cat)_fuse(\d))?", array).groups()
    if path is None:
        return [stage]
    wanted = ["fused", "slow"] if fused == "1" else ["slow", "fused"]  # PyTorchVideo's slow pathway is always fused
    slow = next(stream for stream in wanted if f"{stream}.{stage}" in declared)
    return [f"{stream}.{stage}" for stream in {"slow": [slow], "fast": ["fast"], "cat": [slow, "fast"]}[path]]


def golden_errors(model, facts, expected):
    """Array → largest deviation over the array's largest value."""
    clips = [torch.from_numpy(filler.clip(x["name"], x["shape"], facts["seed"])) for x in facts["input"]]
    logits, outputs = record(model, clips[0] if len(clips) == 1 else clips)
    given = {"logits": logits, "probs": logits.softmax(1)}
    for array in expected.keys() - given.keys():
        given[array] = torch.cat([outputs[stage] for stage in stages_of(array, outputs)], 1)
    return {
        array: np.abs(given[array].numpy() - values).max() / np.abs(values).max() for array, values in expected.items()
    }


FILES = [*[(name, write_pytorch) for name in TORCH], *[(name, write_caffe2) for name in CAFFE2]]
KINDS = [  # of every kind of part one model
    ("i3d_nln_r50_8x8", write_pytorch),
    ("i3d_r50_8x8", write_caffe2),
    ("slowfast_r50_4x16", write_pytorch),
    ("slowfast_ssv2_r50_8x8", write_pytorch),
    ("x3d_xs", write_pytorch),
    ("tsm_r50_8f", write_pytorch),
]


@pytest.mark.parametrize(("name", "write"), quick(*KINDS, among=FILES))
def test_equals_the_published_code(name, write, tmp_path):
    facts, state, expected = golden(name)
    path = tmp_path / "weights.pkl"  # the SSv2 files are torch files of that name
    write(path, facts, state)
    model = models.create_model(name, checkpoint=path)
    path.unlink()  # 140 MB
    assert model.checkpoint.format == ("torch" if write is write_pytorch else "pickle")
    errors = golden_errors(model, facts, expected)
    assert max(errors.values()) < 1e-4, errors


# Millions, as the zoos print them.
SIZES = {
    "c2d_r50_8x8": 24.33,
    "i3d_r50_8x8": 28.04,
    "slow_r50_4x16": 32.45,
    "slow_r50_8x8": 32.45,
    "slowfast_r50_4x16": 34.48,
    "slowfast_r50_8x8": 34.57,
    "slowfast_r101_8x8": 62.83,
    "slowfast_r101_50_50_16x8": 53.77,
    "x3d_xs": 3.79,
    "x3d_m": 3.79,
    "x3d_l": 6.15,
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    spec = models.describe(name)
    with torch.device("meta"):
        model = spec.build(spec.num_classes)
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2) == SIZES[name]


def translate(state, own):
    """A state in the style of names that knows most of them."""
    return max((style(state) for style in STYLES), key=lambda named: len(named.keys() & own.keys()))


# ---------------------------------------------------------------- PyTorchVideo

HUBS = {  # model → module and function of pytorchvideo.models.hub, side of the clip
    "i3d_r50_8x8": ("resnet", "i3d_r50", 224),
    "slowfast_r50_8x8": ("slowfast", "slowfast_r50", 224),
    "slowfast_ava_hub_r50_8x8": ("slowfast", "slowfast_r50_detection", 224),
    "x3d_xs": ("x3d", "x3d_xs", 160),
    "mvit_b_16x4_kv16": ("vision_transformers", "mvit_base_16x4", 224),
}


@pytest.mark.parametrize("name", HUBS)
def test_equals_pytorchvideo(name, tmp_path):
    """Where pytorchvideo is installed (an extra), its own model is written as a hub file and run beside ours."""
    pytest.importorskip("pytorchvideo")
    module, function, side = HUBS[name]
    theirs = getattr(import_module(f"pytorchvideo.models.hub.{module}"), function)(pretrained=False).eval()
    theirs.load_state_dict(as_tensors(filler.state({key: x.shape for key, x in theirs.state_dict().items()}, 1)))
    path = tmp_path / "hub.pyth"
    torch.save({"model_state": theirs.state_dict()}, path)
    ours = models.create_model(name, checkpoint=path)
    path.unlink()

    frames = np.atleast_1d(models.describe(name).recipe["frames"])
    clips = [torch.from_numpy(filler.clip(f"{count} frames", (2, 3, count, side, side), 1)) for count in frames]
    one = clips[0] if len(clips) == 1 else None
    with torch.no_grad():
        if "_ava_" in name:
            boxes = [torch.tensor([[10.0, 20, 90, 200], [100, 5, 180, 150]]), torch.tensor([[50.0, 50, 120, 130]])]
            given = ours({"clips": clips, "boxes": boxes}).sigmoid()
            expected = theirs(list(clips), torch.cat([F.pad(box, (1, 0), value=i) for i, box in enumerate(boxes)]))
        else:
            given = ours(clips if one is None else one)
            expected = theirs(list(clips) if one is None else one)
        if name == "x3d_xs":
            given = given.softmax(1)  # theirs does it
    assert expected.std(0).max() > 1e-2 * expected.abs().max()  # the clips make a difference
    assert (given - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    {
        "model.blocks.0.conv.weight": "s1.pathway0_stem.conv.weight",
        "blocks.0.conv.conv_t.weight": "s1.pathway0_stem.conv_xy.weight",
        "blocks.0.conv.conv_xy.weight": "s1.pathway0_stem.conv.weight",
        "blocks.0.multipathway_blocks.1.norm.running_var": "s1.pathway1_stem.bn.running_var",
        "blocks.0.multipathway_fusion.norm.bias": "s1_fuse.bn.bias",
        "blocks.0.res_blocks.12.branch2.norm_b.0.bias": "s1.pathway0_res12.branch2.b_bn.bias",
        "blocks.0.res_blocks.0.branch2.norm_b.1.block.2.bias": "s1.pathway0_res0.branch2.se.fc2.bias",
        "detection_head.proj.bias": "head.projection.bias",
        "cls_positional_encoding.cls_token": "cls_token",
        "norm_embed.bias": "norm.bias",
    }.items(),
)
def test_names_of_pytorchvideo(theirs, ours):
    assert find({theirs: torch.zeros(1)}, Target({ours: (1,)})).state.keys() == {ours}


def test_blocks_without_weights_are_not_stages():
    state = {f"blocks.{block}.res_blocks.0.branch1_conv.bias": torch.zeros(1) for block in (0, 1, 3, 4, 5)}
    state["blocks.6.proj.bias"] = torch.zeros(1)  # blocks.2 is a pool
    own = {f"s{level}.pathway0_res0.branch1.bias": () for level in (1, 2, 3, 4, 5)} | {"head.projection.bias": ()}
    assert translate(state, own).keys() == own.keys()


def test_a_missing_norm_is_the_identity():
    own = {"s1.pathway0_res0.branch1.weight": ()}
    state = translate({"blocks.0.res_blocks.0.branch1_conv.weight": torch.zeros(3, 3, 1, 1, 1)}, own)
    norm = nn.BatchNorm3d(3).eval()
    state = {key.rpartition(".")[2]: value for key, value in state.items() if ".branch1_bn." in key}
    assert norm.load_state_dict(state, strict=False).unexpected_keys == []
    x = torch.randn(2, 3, 1, 2, 2)
    torch.testing.assert_close(norm(x), x, rtol=1e-6, atol=0)


def test_query_key_and_value_become_one():
    state = {f"blocks.3.attn.{part}.bias": torch.full((2,), value) for value, part in enumerate("qkv")}
    (joined,) = translate(state, {"blocks.3.attn.qkv.bias": ()}).values()
    assert joined.tolist() == [0, 0, 1, 1, 2, 2]


# ---------------------------------------------------------------- the parts


def kernels(model, level):
    """Temporal kernel of every block of the slow, or only, pathway."""
    blocks = getattr(model, f"s{level}").named_children()
    return [block.branch2.a.kernel_size[0] for name, block in blocks if name.startswith("pathway0_res")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("i3d_r18_8x8", [[3, 3, 1], [3, 1, 1, 1], [3, 1, 1, 1, 1, 1], [1, 3, 1]]),
        ("i3d_r101_8x8", [[3] * 3, [3, 1] * 2, [3, 1] * 11 + [3], [1, 3, 1]]),
        ("slowfast_d48_r18_8x8", [[1] * 3, [1] * 4, [3, 3, 1, 1, 1, 1], [3, 3, 1]]),
        ("slowfast_r18_4x16", [[1] * 2, [1] * 2, [3] * 2, [3] * 2]),
        ("slowfast_r101_50_50_8x8", [[1] * 3, [1] * 4, [3] * 6 + [1] * 17, [3] * 3]),
    ],
)
def test_depths(name, expected):
    with torch.device("meta"):
        model = models.describe(name).build(400)
    assert [kernels(model, level) for level in (2, 3, 4, 5)] == expected


def test_dot_product_attention_is_its_definition():
    layer = NonLocal(4, dot_product=True, pool=(2, 2, 2)).eval()
    nn.init.ones_(layer.bn.weight)
    x = torch.randn(1, 4, 2, 2, 4)
    theta = layer.conv_theta(x)
    phi, g = layer.conv_phi(layer.pool(x)), layer.conv_g(layer.pool(x))
    affinity = torch.einsum("ncthw,ncuij->nthwuij", theta, phi) / phi[0, 0].numel()
    y = torch.einsum("nthwuij,ncuij->ncthw", affinity, g)
    torch.testing.assert_close(layer(x), x + layer.bn(layer.conv_out(y)))


def test_shift_is_its_definition():
    frames = torch.randn(2 * 3, 16, 4, 5)
    clips = frames.view(2, 3, 16, 4, 5)
    expected = clips.clone()
    for time in range(3):
        expected[:, time, :2] = clips[:, time + 1, :2] if time < 2 else 0
        expected[:, time, 2:4] = clips[:, time - 1, 2:4] if time > 0 else 0
    assert torch.equal(Shift(nn.Identity(), frames=3)(frames), expected.flatten(0, 1))


def test_tsm_refuses_another_number_of_frames():
    with pytest.raises(models.ModelError, match=r"must be \(N, 3, 8, H, W\)\. Got \(1, 3, 16, 32, 32\)"):
        models.create_model("tsm_r50_8f")(torch.zeros(1, 3, 16, 32, 32))


# ---------------------------------------------------------------- persons


@pytest.mark.parametrize(("aligned", "offset"), [(True, 0.5), (False, 0.0)])
def test_boxes_are_cut_out_between_pixels(aligned, offset):
    """Interpolation keeps a ramp a ramp, so a bin holds the coordinate of its centre: in detectron2's pixels, less ½."""
    across, down = torch.arange(12.0).expand(10, 12), torch.arange(10.0)[:, None].expand(10, 12)
    left, top, right, bottom = 32.0, 24, 144, 136  # pixels of the input: 2, 1.5, 9, 8.5 positions of the map
    bins = (torch.arange(7) + 0.5) / 7
    cut = BoxPool(aligned).cut(torch.stack([across, down])[None], [torch.tensor([[left, top, right, bottom]])])
    torch.testing.assert_close(cut[0, 0], (2 + 7 * bins - offset).expand(7, 7))
    torch.testing.assert_close(cut[0, 1], (1.5 + 7 * bins - offset)[:, None].expand(7, 7))


@pytest.fixture(scope="module")
def detector():
    return models.create_model("slowfast_ava_r50_8x8")


def persons(*boxes):
    clips = [torch.from_numpy(filler.clip(f"{count}", (len(boxes), 3, count, 64, 64), 1)) for count in (8, 32)]
    return {"clips": clips, "boxes": [torch.tensor(box, dtype=torch.float32).view(-1, 4) for box in boxes]}


def test_every_person_is_measured(detector):
    inputs = persons([[0, 0, 30, 60], [20, 10, 60, 50]], [[20, 10, 60, 50]])
    seen = {}
    for name, index in {"slow": 0, "fast": 1}.items():
        module = detector.get_submodule(f"head.pathway{index}_boxes")
        module.register_forward_hook(lambda module, args, output, name=name: seen.update({name: output}))
    with torch.no_grad():
        logits = detector(inputs)
        alone = detector({"clips": [clip[:1] for clip in inputs["clips"]], "boxes": [inputs["boxes"][0][1:]]})
    assert logits.shape == (3, 80)
    assert seen["slow"].shape[1:] == (2048,)
    assert seen["fast"].shape[1:] == (256,)
    torch.testing.assert_close(alone[0], logits[1], rtol=1e-4, atol=1e-4)


def test_stage_5_keeps_its_size(detector):
    with torch.no_grad():
        maps = detector.as_maps(persons([], [])["clips"])
        for stage in list(detector.children())[:-1]:
            maps = stage(maps)
    assert [tuple(x.shape) for x in maps] == [(2, 2048, 8, 4, 4), (2, 256, 32, 4, 4)]


def test_without_boxes_the_frame_is_the_person(detector):
    inputs = persons([[0, 0, 64, 64]], [[0, 0, 64, 64]])
    framed, (logits, outputs) = record(detector, inputs)[0], record(detector, inputs["clips"])
    assert torch.equal(logits, framed)
    assert outputs["slow.persons"].shape == (2, 2048)
    assert outputs["fast.stage5"].shape == (2, 256)


def test_boxes_must_fit_the_clips(detector):
    inputs = persons([[0, 0, 64, 64]], [[0, 0, 64, 64]])
    for wrong in ([inputs["boxes"][0]], [torch.zeros(1, 5)] * 2):
        with pytest.raises(models.ModelError, match=r"'boxes' must be 2 x \(K, 4\), one for each clip"):
            detector(inputs | {"boxes": wrong})
