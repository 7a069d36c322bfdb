"""MViT and TimeSformer: golden numbers of the published code, the order of tokens, what is done to checkpoints."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from golden import filler
from quick import quick

from static_dynamic import models
from static_dynamic.models.action.mvit import MViT
from static_dynamic.models.action.timesformer import TimeSformer
from static_dynamic.network.layout import parse_layout
from static_dynamic.network.recorder import Recorder

SHARED = Path(__file__).parents[2] / "shared" / "golden" / "ar"  # every block; only where the goldens were made
COPIED = Path(__file__).parent / "golden"  # some blocks


# ---------------------------------------------------------------- golden numbers


def golden(name):
    folder = next((path for path in (SHARED, COPIED) if (path / f"{name}.json").exists()), None)
    if folder is None:
        pytest.skip("no golden numbers here")
    with np.load(folder / f"{name}.npz") as arrays:
        return json.loads((folder / f"{name}.json").read_text()), dict(arrays)


def write(path, facts):
    """The file as its authors would have written it."""
    checkpoint = facts["checkpoint"]["pytorch"]
    state = filler.state(checkpoint["keys"], facts["seed"], checkpoint["prefix"])
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    torch.save({"epoch": 3, "cfg": "MODEL: x", "optimizer_state": {"state": {}}, checkpoint["wrapper"]: tensors}, path)


def record(model, clip):
    """Pooled stages, and the logits."""
    with torch.no_grad(), Recorder(model) as recorder:
        logits = model(clip)
        return recorder.activations | {"logits": logits}


ADAPTED = {"timesformer_ssv2": ("time_embed",)}  # 8 in the file, 16 in the model


GOLDEN = ["mvit_b_16x4", "mvit_b_16x4_kv16", "timesformer_k400", "timesformer_k400_resized", "timesformer_ssv2"]


@pytest.mark.parametrize("name", quick("mvit_b_16x4", "timesformer_k400", among=GOLDEN))
def test_equals_the_published_code(name, tmp_path):
    facts, expected = golden(name)
    path = tmp_path / "weights.pyth"
    write(path, facts)
    model = models.create_model(name.removesuffix("_resized"), checkpoint=path)
    path.unlink()  # 490 MB
    assert model.checkpoint.missing == model.checkpoint.unexpected == ()
    assert model.checkpoint.adapted == ADAPTED.get(name, ())

    (source,) = facts["input"]
    clip = filler.clip(source["name"], source["shape"], facts["seed"])[:1]  # for time's sake only the first
    given = record(model, torch.from_numpy(clip))
    expected.pop("ref_cls_probs", None)  # of the reference's own head, which was never trained
    assert given.keys() >= expected.keys() >= {"block0", "logits"}
    errors = {
        array: np.abs(given[array].numpy() - values[:1]).max() / np.abs(values).max()
        for array, values in expected.items()
    }
    assert max(errors.values()) < 1e-4, errors


# Frames, side in pixels, classes: the table of the published zoo.
ZOO = {
    "timesformer_k400": (8, 224, 400),
    "timesformer_hr_k400": (16, 448, 400),
    "timesformer_l_k400": (96, 224, 400),
    "timesformer_k600": (8, 224, 600),
    "timesformer_hr_k600": (16, 448, 600),
    "timesformer_l_k600": (96, 224, 600),
    "timesformer_hr_ssv2": (16, 448, 174),
    "timesformer_l_ssv2": (64, 224, 174),
}


@pytest.mark.parametrize("name", ZOO)
def test_presets_fit_the_published_files(name):
    frames, crop, classes = ZOO[name]
    spec = models.describe(name)
    with torch.device("meta"):
        model = spec.build(spec.num_classes)
    assert (spec.recipe["frames"], spec.recipe["crop"]) == (frames, crop)
    assert model.time_embed.shape == (1, frames, 768)
    assert model.pos_embed.shape == (1, {224: 197, 448: 785}[crop], 768)
    assert model.head.out_features == classes


# ---------------------------------------------------------------- an image model, and what it makes of frames


@pytest.fixture(scope="module")
def image_model():
    torch.manual_seed(0)
    return timm.create_model("vit_base_patch16_224", num_classes=400).eval()


def with_weights_of(image_model, name):
    """A model of that name, what it is given of an image model's weights, and what it still misses."""
    model = models.create_model(name)
    adapted = model.adapt_checkpoint(image_model.state_dict())
    missing, unexpected = model.load_state_dict(adapted, strict=False)
    assert unexpected == []
    return model, adapted, set(missing)


@pytest.fixture(scope="module")
def clip():
    return torch.randn(1, 3, 2, 224, 224, generator=torch.Generator().manual_seed(1))


def patches_of(vit, frame):
    return vit.patch_embed(frame) + vit.pos_embed[:, 1:]


def classify(vit, sequences):
    """Run timm's blocks over sequences of patches, average the class tokens, classify."""
    first = vit.cls_token + vit.pos_embed[:, :1]
    ends = [vit.blocks(torch.cat([first, patches], 1))[:, 0] for patches in sequences]
    return vit.head(vit.norm(sum(ends) / len(ends)))


@torch.no_grad()
def test_space_only(image_model, clip):
    model, _, missing = with_weights_of(image_model, "timesformer_space_only")
    assert missing == set()
    expected = classify(image_model, [patches_of(image_model, frame) for frame in clip.unbind(2)])
    torch.testing.assert_close(model(clip), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_joint_space_time(image_model, clip):
    model, _, missing = with_weights_of(image_model, "timesformer_joint_space_time")
    assert missing == {"time_embed"}
    model.time_embed[:, :4], model.time_embed[:, 4:] = 0.5, -0.5  # of 8 frames; 2 take those of the 1st and 5th
    frames = [patches_of(image_model, frame) + shift for frame, shift in zip(clip.unbind(2), (0.5, -0.5), strict=True)]
    expected = classify(image_model, [torch.cat(frames, 1)])  # attention does not mind the order
    torch.testing.assert_close(model(clip), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_divided_attention_starts_from_an_image_model(image_model, clip):
    model, adapted, missing = with_weights_of(image_model, "timesformer")
    # As published, these are not made up; at zero, a frame is seen as the image model sees it.
    assert missing == {key for key in model.state_dict() if key == "time_embed" or "temporal_fc" in key}
    temporal, spatial = (adapted[f"blocks.3.{name}.qkv.weight"] for name in ("temporal_attn", "attn"))
    assert torch.equal(temporal, spatial)
    assert torch.equal(adapted["blocks.3.temporal_norm1.bias"], adapted["blocks.3.norm1.bias"])
    for key in missing:
        model.get_parameter(key).zero_()
    frame = clip[:, :, :1]
    torch.testing.assert_close(model(frame), image_model(frame[:, :, 0]), rtol=0, atol=1e-5)


# ---------------------------------------------------------------- the order of tokens


def outputs_of(model, stage, *clips):
    place, outputs = model.spec.stages[stage], []
    hook = model.get_submodule(place.module).register_forward_hook(lambda module, args, output: outputs.append(output))
    with torch.no_grad():
        for clip in clips:
            model(clip)
    hook.remove()
    return [output if place.item is None else output[place.item] for output in outputs]


def answering(model, stage, clip, changed, **sizes):
    """Whether the class token answers to a change of the clip, and which of the others: a mask over T, H, W."""
    before, after = outputs_of(model, stage, clip, changed)
    (first, *others) = ((before - after).abs().amax(2) > 1e-4)[0]
    names = parse_layout(model.spec.stages[stage].layout).axes[1].names
    mask = torch.stack(others).unflatten(0, [sizes[name] for name in names])
    return bool(first), mask.permute([names.index(name) for name in "THW"])


def only(*place, **sizes):
    """A mask over T, H, W with one place, or one row of places, set."""
    mask = torch.zeros([sizes[name] for name in "THW"], dtype=torch.bool)
    mask[place] = True
    return mask


def silence(layer):
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)


ALL = slice(None)


def test_tokens_of_timesformer():
    model = models.create_model("timesformer")
    clip, sizes = torch.zeros(1, 3, 8, 32, 48), {"T": 8, "H": 2, "W": 3}
    changed = clip.clone()
    changed[:, 0, 5, 16:20, 1] = 100  # frame 5, second row, first column of patches

    spatial = model.blocks[0].attn.proj.weight.detach().clone()
    silence(model.blocks[0].attn.proj)
    first, mask = answering(model, "block0", clip, changed, **sizes)
    assert not first
    assert torch.equal(mask, only(ALL, 1, 0, **sizes))  # one patch, at all times

    silence(model.blocks[0].temporal_fc)
    first, mask = answering(model, "block0", clip, changed, **sizes)
    assert not first
    assert torch.equal(mask, only(5, 1, 0, **sizes))

    model.blocks[0].attn.proj.weight.data = spatial
    first, mask = answering(model, "block0", clip, changed, **sizes)
    assert first
    assert torch.equal(mask, only(5, **sizes))  # one frame, all of it


def test_tokens_of_the_joint_model():
    model = models.create_model("timesformer_joint_space_time")
    clip, sizes = torch.zeros(1, 3, 8, 32, 48), {"T": 8, "H": 2, "W": 3}
    changed = clip.clone()
    changed[:, 0, 5, 16:20, 1] = 100
    silence(model.blocks[0].attn.proj)
    first, mask = answering(model, "block0", clip, changed, **sizes)
    assert not first
    assert torch.equal(mask, only(5, 1, 0, **sizes))


def test_tokens_of_the_space_only_model():
    model = models.create_model("timesformer_space_only")
    assert model.spec.stages["block0"].layout == "(N T) (1 H W) C"
    clip = torch.zeros(2, 3, 8, 32, 48)
    changed = clip.clone()
    changed[1, 0, 5, 16:20, 1] = 100
    silence(model.blocks[0].attn.proj)
    before, after = outputs_of(model, "block0", clip, changed)
    moved = (before - after).abs().amax(2).unflatten(0, (2, 8)) > 1e-4
    assert moved.nonzero().tolist() == [[1, 5, 1 + 1 * 3 + 0]]


def test_tokens_of_mvit():
    model = models.create_model("mvit")
    for block in model.blocks:
        silence(block.attn.proj)  # what is left does not move tokens, only pools them
    clip = torch.zeros(1, 3, 16, 32, 64)
    changed = clip.clone()
    changed[:, 0, 4, 16, 32] = 100  # the middle of the kernel of token (2, 4, 8)
    for stage, place, sizes in (
        ("block0", (2, 4, 8), {"T": 8, "H": 8, "W": 16}),
        ("block1", (2, 2, 4), {"T": 8, "H": 4, "W": 8}),
        ("block3", (2, 1, 2), {"T": 8, "H": 2, "W": 4}),
    ):
        first, mask = answering(model, stage, clip, changed, **sizes)
        assert not first
        assert torch.equal(mask, only(*place, **sizes)), stage


# ---------------------------------------------------------------- clips and files of other sizes


@torch.no_grad()
def test_timesformer_stretches_embeddings_at_run_time():
    model = models.create_model("timesformer")
    silence(model.patch_embed.proj)
    tokens = model.embed(torch.zeros(1, 3, 4, 32, 48))[0, 1:].unflatten(0, (2, 3, 4))
    rows, columns, times = torch.tensor([0, 7]), torch.tensor([0, 4, 9]), torch.tensor([0, 2, 4, 6])
    places = model.pos_embed[0, 1:].unflatten(0, (14, 14))[rows][:, columns]
    torch.testing.assert_close(tokens, places[:, :, None] + model.time_embed[0, times])


def on_meta(build, *args, **options):
    with torch.device("meta"):
        return build(*args, **options)


def test_timesformer_stretches_embeddings_at_load_as_published():
    model = on_meta(TimeSformer, 5, frames=4, crop=64)
    places, times = torch.randn(1, 1 + 4, 768), torch.randn(1, 2, 768)
    adapted = model.adapt_checkpoint({"pos_embed": places, "time_embed": times})
    index = [0, *(1 + i // 4 for i in range(16))]  # a row of 4 becomes a row of 16, not a square
    assert torch.equal(adapted["pos_embed"], places[:, index])
    assert torch.equal(adapted["time_embed"], times[:, [0, 0, 1, 1]])


@torch.no_grad()
def test_mvit_resizes_embeddings_linearly():
    model = models.create_model("mvit")
    silence(model.patch_embed.proj)
    tokens, size = model.embed(torch.zeros(1, 3, 8, 112, 112))
    assert size == (4, 28, 28)
    spatial = F.avg_pool2d(model.pos_embed_spatial[0].T.unflatten(1, (56, 56)), 2)  # halving is the mean of pairs
    temporal = F.avg_pool1d(model.pos_embed_temporal[0].T, 2)
    expected = (temporal[..., None, None] + spatial[:, None]).flatten(1).T
    torch.testing.assert_close(tokens[0, 1:], expected)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("pools", [True, False])
def test_the_other_mvit_is_named(pools, strict, tmp_path):
    path = tmp_path / "weights.pyth"
    keys = ["blocks.15.attn.qkv.weight"] + ["blocks.15.attn.pool_k.weight"] * pools
    torch.save({"model_state": dict.fromkeys(keys, torch.zeros(1))}, path)
    fact = "it pools .* 'mvit_b_16x4_kv16' does" if pools else "it does not pool .* 'mvit_b_16x4' does"
    with pytest.raises(models.ModelError, match=rf"weights\.pyth .*{fact}\.$"):
        models.load_checkpoint(on_meta(MViT, 5, pool_last=not pools), path, strict)
    with pytest.raises(models.ModelError, match="another model: 0 of its"):  # the right one, but nothing in it fits
        models.load_checkpoint(on_meta(MViT, 5, pool_last=pools), path, strict)


@pytest.mark.parametrize(("build", "options"), [(TimeSformer, {}), (MViT, {"pool_last": True})])
def test_wrong_input(build, options):
    model = on_meta(build, 5, **options)
    for wrong in (torch.zeros(3, 4, 32, 32), torch.zeros(1, 2, 4, 32, 32)):
        with pytest.raises(models.ModelError, match=r"must be \(N, 3, T, H, W\)\. Got \("):
            model(wrong)
