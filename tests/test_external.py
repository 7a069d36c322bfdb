"""Models of other libraries: what the layouts say is proven by changing one frame or one patch of the input."""

import copy
import dataclasses
import json
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from quick import quick
from torch import nn

from static_dynamic import Recipe, models, record
from static_dynamic.main import main
from static_dynamic.models.libraries.vision import TORCHVISION
from static_dynamic.models.probe import probe, suggest
from static_dynamic.network.layout import parse_layout
from static_dynamic.network.recorder import Recorder
from static_dynamic.network.stages import select

TIMM = [
    "resnet18",
    "convnext_atto",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "swin_tiny_patch4_window7_224",
    "hiera_tiny_224",
]


@pytest.fixture(autouse=True)
def quiet():
    torch.set_num_threads(1)
    torch.manual_seed(0)


# ---------------------------------------------------------------- layouts, proven


def outputs(model, clip):
    """Stage → the raw output, and its layout."""
    seen, hooks = {}, []
    for stage, (path, layout, item) in model.spec.stages.items():

        def keep(_module, _args, output, stage=stage, layout=layout, item=item):
            seen[stage] = select(output, item, stage).clone(), parse_layout(layout)

        hooks.append(model.get_submodule(path).register_forward_hook(keep))
    with torch.no_grad():
        model(clip)
    for hook in hooks:
        hook.remove()
    return seen


def arranged(output, layout, clips, frames):
    """An output as ``(N, T, H, W, C)``; folded axes are taken apart for square pictures of so many frames."""
    names, sizes = [], []
    for i, axis in enumerate(layout.axes):
        output = output.narrow(i, axis.before, output.shape[i] - axis.extra)
        side = math.isqrt(output.shape[i] // (frames if "T" in axis.names else 1))
        folded = {"N": clips, "T": frames, "H": side, "W": side}
        names += axis.names
        sizes += [folded[name] for name in axis.names] if len(axis.names) > 1 else [output.shape[i]]
    return output.reshape(sizes).movedim(tuple(names.index(name) for name in "NTHWC"), tuple(range(5)))


def moved(model, clip, changed, frames):
    """Stage → how far every ``(n, t, h, w)`` moves when the input changes."""
    before, after = outputs(model, clip), outputs(model, changed)
    assert before.keys() == model.spec.stages.keys()
    return {
        stage: arranged((after[stage][0] - output).abs(), layout, len(clip), frames).mean(-1)
        for stage, (output, layout) in before.items()
    }


def balance(far):
    """Where the weight lies along an axis: from -1, all at its beginning, to 1, all at its end."""
    return 0.0 if len(far) == 1 else float((far * torch.linspace(-1, 1, len(far))).sum() / far.sum())


def answers(model, clip, changed, frames):
    """Stage → the positions that move most. Everything mixes a little; a position's own change is the largest."""
    return {
        stage: {tuple(position) for position in (far > 0.5 * far.max()).nonzero().tolist()}
        for stage, far in moved(model, clip, changed, frames).items()
    }


def everywhere(n, t, h, w):
    """All positions with these indices."""
    return {(a, b, c, d) for a in n for b in t for c in h for d in w}


def tiny_folder(tmp_path, kind, **options):
    size = {"crop_size": 48, "frames_per_clip": 8} if kind == "vjepa2" else {"image_size": 48, "num_frames": 8}
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    predictor = {"pred_hidden_size": 32, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = {"model_type": kind, **small, **size, **(predictor if kind == "vjepa2" else {}), **options}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("kind", ["timesformer", "videomae", "vivit", "vjepa2"])
def test_token_orders_of_transformers(kind, tmp_path):
    pytest.importorskip("transformers")
    model = models.create_model(f"hf:{tiny_folder(tmp_path, kind)}")
    thickness = 1 if kind == "timesformer" else 2
    frames = 8 // thickness
    clip = torch.rand(2, 3, 8, 48, 48)
    assert model(clip).shape == (2, 400)

    frame, patch = clip.clone(), clip.clone()
    frame[1, :, 2 * thickness : 3 * thickness] += 3
    patch[0, :, :, 16:32, 32:48] += 3  # row 1, column 2: an order of rows and columns that cannot be swapped
    by_frame, by_patch = (answers(model, clip, changed, frames) for changed in (frame, patch))
    assert set(by_frame) == {"block0", "block1"}
    for stage in by_frame:
        assert by_frame[stage] == everywhere([1], [2], range(3), range(3)), stage
        assert by_patch[stage] == everywhere([0], range(frames), [1], [2]), stage


@pytest.mark.parametrize("kind", ["joint_space_time", "space_only"])
def test_other_kinds_of_attention_of_timesformer(kind, tmp_path):
    pytest.importorskip("transformers")
    model = models.create_model(f"hf:{tiny_folder(tmp_path, 'timesformer', attention_type=kind)}")
    clip = torch.rand(2, 3, 8, 48, 48)
    changed = clip.clone()
    changed[1, :, 5] += 3
    for found in answers(model, clip, changed, 8).values():
        assert found == everywhere([1], [5], range(3), range(3))


def tiny_mvit(name):
    """torchvision's MViT, which takes one input size only, in small: the same class, the same stages."""
    from torchvision.models.video.mvit import MSBlockConfig, MViT

    second = name == "mvit_v2_s"
    new = dict.fromkeys(("residual_pool", "rel_pos_embed", "proj_after_attn"), second)
    width = [16, 16] + [32] * 14
    blocks = [
        MSBlockConfig(
            num_heads=1,
            input_channels=width[max(0, i - 1)],
            output_channels=width[i],
            kernel_q=[3, 3, 3],
            kernel_kv=[3, 3, 3],
            stride_q=[1, 2, 2] if i == 2 else [1, 1, 1],
            stride_kv=[1, 2, 2],
        )
        for i in range(16)
    ]
    model = MViT((64, 64), 16, blocks, residual_with_cls_embed=not second, num_classes=7, **new)
    model.spec = models.describe(f"torchvision:{name}")
    return model.eval()


def tiny_torchvision(name):
    if name.startswith("mvit"):
        return tiny_mvit(name)
    model = models.create_model(f"torchvision:{name}")
    if name == "s3d":
        model.avgpool = nn.AdaptiveAvgPool3d(1)  # its own needs 224 pixels
    return model


SMALL = [name for name in TORCHVISION if name not in ("swin3d_s", "swin3d_b")]  # two larger ones of a kind


def is_late_and_left(far):
    """Whether the output moves where the last frame and the left of the picture lie; ``far`` is ``(T, H, W)``."""
    late, down, right = (balance(far.sum(others)) for others in ((1, 2), (0, 2), (0, 1)))
    if min(far.shape) > 2:  # a deep map of 2 x 2 is too coarse to be strict about
        return min(late, -right) > max(0.05, 2 * abs(down))
    return (len(far) == 1 or late > 0) and (far.shape[-1] == 1 or right < 0)


@pytest.mark.parametrize("name", quick(*SMALL, among=TORCHVISION))
def test_axes_of_torchvision(name):
    for seed in range(5):  # one draw of a small MViT in seven spreads any change; wrong axes are wrong in every draw
        torch.manual_seed(seed)
        model = tiny_torchvision(name)
        clip = torch.rand(2, 3, 16, 64, 64)
        changed = clip.clone()
        changed[1, :, -1, :, :8] += 3  # the last frame, the left of the picture, the second clip
        stages = moved(model, clip, changed, frames=8)
        assert all(far[0].max() == 0 for far in stages.values())
        misplaced = [stage for stage, far in stages.items() if not is_late_and_left(far[1])]
        if not misplaced:
            break
    assert not misplaced


@pytest.mark.parametrize("name", TIMM)
def test_axes_of_timm(name):
    model = models.create_model(f"timm:{name}")
    side = model.spec.recipe["crop"]
    clip = torch.rand(2, 3, 2, side, side)
    changed = clip.clone()
    changed[1, :, 0, :16] += 3  # one frame, the top of the picture, the second clip
    if any("L" in stage.layout for stage in model.spec.stages.values()):
        assert name.startswith("hiera")  # whose order of positions the library does not state
        with Recorder(model, pool="frame") as recorder:
            before, after = recorder(clip), recorder(changed)
        for stage in before:
            frames = (after[stage] - before[stage]).unflatten(1, (2, -1)).abs().amax(-1)
            assert (frames > 0).nonzero().tolist() == [[1, 0]], stage
        return
    for stage, far in moved(model, clip, changed, frames=2).items():
        assert far[0].max() == far[1, 1].max() == 0, stage
        assert far[1, 0].mean(1).argmax() <= far.shape[2] // 4, stage


def test_frames_are_averaged_one_by_one():
    model = models.create_model("timm:resnet18", num_classes=5)
    clip = torch.rand(2, 3, 3, 64, 64)
    each = torch.stack([model.net(clip[:, :, t]) for t in range(3)])
    assert torch.allclose(model(clip), each.mean(0), atol=1e-5)


@pytest.mark.parametrize("name", ["i3d_r50", "x3d_xs", "slowfast_r50"])
def test_pytorchvideo_takes_its_recipe(name):
    pytest.importorskip("pytorchvideo")
    model = models.create_model(f"pytorchvideo:{name}", num_classes=7)
    counts = Recipe(**model.spec.recipe).frame_counts
    side = 160 if name == "x3d_xs" else 224
    clips = [torch.rand(1, 3, count, side, side) for count in counts]
    changed = [clip.clone() for clip in clips]
    changed[-1][:, :, -1] += 3
    clips, changed = (given[0] if len(given) == 1 else given for given in (clips, changed))
    before, after = outputs(model, clips), outputs(model, changed)
    assert before.keys() == model.spec.stages.keys()
    for stage, (output, layout) in before.items():
        assert layout.text == "N C T H W"
        if stage != "slow.stage1":  # which does not see the fast pathway yet
            assert balance((after[stage][0] - output).abs().sum((0, 1, 3, 4))) > 0, stage


@pytest.mark.parametrize(
    "name",
    [f"torchvision:{name}" for name in TORCHVISION] + ["timm:resnet18", "hf:videomae", "pytorchvideo:mvit_base_16x4"],
)
def test_real_sizes_fit_the_layouts(name):
    """At the size of the recipe, on the meta device: shapes without arithmetic."""
    library = {"hf": "transformers", "pytorchvideo": "pytorchvideo"}.get(name.partition(":")[0])
    if library:
        pytest.importorskip(library)
    with torch.device("meta"):
        spec = models.describe(name)
        model = spec.build(spec.num_classes).eval() if library is None else models.create_model(name).to("meta")
    vars(model)["spec"] = spec
    recipe = Recipe(**spec.recipe)
    clip = torch.zeros(2, 3, recipe.frame_counts[0], recipe.crop, recipe.crop, device="meta")
    seen = outputs(model, clip)
    assert seen.keys() == spec.stages.keys()
    for output, layout in seen.values():
        layout.check(output, 2)
        layout.check_pooling("frame")


# ---------------------------------------------------------------- weights


def test_a_published_file_fits_a_wrapped_network(tmp_path):
    timm = pytest.importorskip("timm")
    path = tmp_path / "weights.pth"
    net = timm.create_model("resnet18", num_classes=1000)
    torch.save({"state_dict": net.state_dict()}, path)
    model = models.create_model("timm:resnet18", checkpoint=path)
    assert model.checkpoint.format == "torch"
    assert not model.checkpoint.missing
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_folder_with_weights_is_loaded_and_what_it_lacks_is_said(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.from_pretrained(tiny_folder(tmp_path, "videomae"))
    net = transformers.AutoModel.from_config(config)  # no classifier
    net.save_pretrained(tmp_path)
    preprocessor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    with pytest.warns(models.PartialWeights, match=r"Only \d+ of \d+ .* random: .*classifier\.weight"):
        model = models.create_model(f"hf:{tmp_path}", num_classes=5)
    mine = model.net.videomae.encoder.layer[1].output.dense.weight
    assert torch.equal(mine, net.encoder.layer[1].output.dense.weight)
    assert "classifier.weight" in model.checkpoint.missing
    assert len(model.checkpoint.sha256) == 64
    assert model.spec.notes == model.checkpoint.notes() != ()
    total = len(model.state_dict())
    assert (model.checkpoint.filled.tensors, model.checkpoint.filled.of) == (
        total - len(model.checkpoint.missing),
        total,
    )
    assert model.spec.recipe["mean"] == (0.1, 0.2, 0.3)
    assert model(torch.rand(1, 3, 8, 48, 48)).shape == (1, 5)


def test_random_weights_are_said_and_follow_the_seed(tmp_path):
    pytest.importorskip("transformers")
    name = f"hf:{tiny_folder(tmp_path, 'vivit')}"
    assert "random weights" in models.describe(name).summary
    before = torch.get_rng_state()
    first, again, other = (models.create_model(name, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.checkpoint is None
    weights = [model.net.classifier.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_clip_of_another_size_is_refused(tmp_path):
    pytest.importorskip("transformers")
    model = models.create_model(f"hf:{tiny_folder(tmp_path, 'vjepa2')}")
    with pytest.raises(models.ModelError, match=r"frames of 48 x 48 pixels\. Got \(64, 64\)"):
        model(torch.rand(1, 3, 8, 64, 64))


def test_half_a_folder_is_said_and_a_damaged_one_is_one_line(tmp_path):
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    config = transformers.AutoConfig.from_pretrained(tiny_folder(tmp_path, "videomae"))
    transformers.AutoModelForVideoClassification.from_config(config).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    assert models.create_model(f"hf:{tmp_path}").spec.notes == ()
    kept = list(state)[::2]
    save_file({key: state[key] for key in kept}, file, metadata={"format": "pt"})
    with pytest.warns(
        models.PartialWeights, match=rf"Only {len(kept)} of {len(state)} weights .* came from .*; random: "
    ):
        model = models.create_model(f"hf:{tmp_path}")
    numbers = [sum(state[key].numel() for key in keys) for keys in (kept, state)]
    assert model.checkpoint.filled == (len(kept), len(state), *numbers)

    raw = file.read_bytes()
    damaged = {"cut": raw[:100], "no header": b"\xff" * 8 + raw[8:], "empty": b""}
    for content in damaged.values():
        file.write_bytes(content)
        with pytest.raises(models.ModelError, match=r"cannot be read: .*header") as error:
            models.create_model(f"hf:{tmp_path}")
        assert "\n" not in str(error.value)
    file.unlink()
    torch.save({key: x.to("meta") for key, x in state.items()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(models.ModelError, match="meta"):
        models.create_model(f"hf:{tmp_path}")
    for text in ("{", "{}"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(models.ModelError, match=r"cannot be read: .*config\.json"):
            models.describe(f"hf:{tmp_path}")
    (tmp_path / "config.json").unlink()
    with pytest.raises(models.ModelError, match=r"cannot be read"):
        models.describe(f"hf:{tmp_path}")


# ---------------------------------------------------------------- other sizes of input


def test_a_vision_transformer_is_built_for_the_size(tmp_path):
    name = "timm:vit_tiny_patch16_224"
    model = models.create_model(name, num_classes=3, image_size=96)
    assert (model.spec.recipe["crop"], model.spec.recipe["short_side"]) == (96, math.floor(96 / 0.9))
    assert outputs(model, torch.rand(1, 3, 2, 96, 96))["block0"][0].shape == (2, 1 + 6 * 6, 192)
    wide = models.create_model(name, num_classes=3, image_size=(48, 96))
    clip = torch.rand(2, 3, 2, 48, 96)
    assert outputs(wide, clip)["block0"][0].shape == (4, 1 + 3 * 6, 192)
    usual = models.create_model(name, num_classes=3)
    torch.save(usual.state_dict(), tmp_path / "usual.pth")
    loaded = models.create_model(name, num_classes=3, image_size=96, checkpoint=tmp_path / "usual.pth")
    assert loaded.checkpoint.adapted == ("pos_embed",)  # resampled by the library
    assert torch.equal(loaded.net.blocks[3].mlp.fc1.weight, usual.net.blocks[3].mlp.fc1.weight)


def test_an_image_model_that_takes_any_size_needs_no_building():
    model = models.create_model("timm:resnet18", num_classes=3, image_size=(64, 96))
    assert model.spec.recipe["crop"] == (64, 96)
    assert model(torch.rand(1, 3, 2, 64, 96)).shape == (1, 3)


def test_a_model_of_timm_for_pictures_that_are_not_square():
    if not pytest.importorskip("timm").is_model("vit_base_patch16_sapiens2"):
        pytest.skip("this version of timm has no such model")
    spec = models.describe("timm:vit_base_patch16_sapiens2")
    assert spec.recipe["crop"] == (1024, 768)
    assert {stage.layout for stage in spec.stages.values()} == {"(N T) (9 H W) C"}


@pytest.mark.parametrize("name", ["torchvision:mvit_v1_b", "pytorchvideo:mvit_base_16x4"])
def test_a_model_for_one_input_says_which(name):
    pytest.importorskip(name.partition(":")[0])
    for asked in ({"frames": 8}, {"image_size": 96}):
        with pytest.raises(models.ModelError, match="can only be built for 16 frames of 224 x 224 pixels"):
            models.describe(name, **asked)
    assert models.describe(name, frames=16, image_size=224).recipe["frames"] == 16


@pytest.mark.parametrize("name", ["dyreg_tsm_r50", "tsm_r50_16f", "dyreg:layer3.4"])
def test_models_of_a_fixed_number_of_frames_are_built_for_it(name):
    model = models.create_model(name, frames=4, num_classes=3)
    assert model.spec.recipe["frames"] == 4
    assert model(torch.rand(1, 3, 4, 32, 32)).shape == (1, 3)
    assert models.describe(name).recipe["frames"] == 16


@pytest.mark.parametrize("kind", ["videomae", "vjepa2", "vivit", "timesformer"])
def test_transformers_are_built_for_the_size(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    name = f"hf:{tiny_folder(tmp_path, kind)}"
    model = models.create_model(name, image_size=96, frames=4)
    clip = torch.rand(1, 3, 4, 96, 96)
    assert model(clip).shape == (1, 400)
    for output, layout in outputs(model, clip).values():
        layout.check(output, 1)
    transformers.AutoModelForVideoClassification.from_config(
        transformers.AutoConfig.from_pretrained(tmp_path)
    ).save_pretrained(tmp_path)
    if kind in ("videomae", "vjepa2"):  # whose positions follow from the size
        assert models.create_model(name, image_size=96).spec.notes == ()
    else:
        with pytest.raises(models.ModelError, match=r"for another size of input .*Allowed: the frames and the size of"):
            models.create_model(name, image_size=96)
    with pytest.raises(models.ModelError, match="take square frames here"):
        models.describe(name, image_size=(96, 64))


# ---------------------------------------------------------------- your own

OWN = """
from types import SimpleNamespace
from torch import nn

def build(num_classes=5):
    return nn.Sequential(nn.Conv3d(3, num_classes, 3), nn.ReLU())

def declared():
    net = build()
    net.spec = SimpleNamespace(stages={"late": ("1", "N C T H W")}, recipe={"frames": 4, "rate": 1, "crop": 16})
    return net

class Net(nn.Conv3d):
    def __init__(self):
        super().__init__(3, 4, 1)

def nothing():
    return 3

def broken():
    raise KeyError("lost")

def leaves():
    raise SystemExit("usage: my_net")

def misdeclared():
    net = build()
    net.spec = SimpleNamespace(stages=["1"], recipe=None)
    return net

def sized(frames=8, image_size=224):
    net = build()
    net.spec = SimpleNamespace(recipe={"frames": frames, "crop": image_size, "layout": "T C H W"})
    return net

class FramesFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        recipe = {"frames": 4, "crop": (8, 12), "layout": "T H W C", "values": "uint8"}
        self.spec = SimpleNamespace(stages={}, recipe=recipe)

    def forward(self, clip):
        if clip.dtype.is_floating_point:
            raise TypeError("bytes are needed")
        return self.conv(clip.flatten(0, 1).permute(0, 3, 1, 2) / 255.0)

class Fails(nn.Conv3d):
    def __init__(self):
        super().__init__(3, 4, 1)

    def forward(self, clip):
        raise LookupError("no such\\nthing")

number = 4
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_net.py").write_text(OWN)
    (tmp_path / "my_slip.py").write_text("import not_there_at_all")
    monkeypatch.chdir(tmp_path)
    yield "my_net"
    sys.modules.pop("my_net", None)


def test_your_own_function(own):
    path = list(sys.path)
    model = models.create_model(f"{own}:build", num_classes=9)
    assert sys.path == path
    assert (model[0].out_channels, dict(model.spec.stages), model.spec.recipe) == (9, {}, None)
    assert models.create_model(f"{own}:build")[0].out_channels == 5
    assert not model.training
    units = record(model, torch.rand(2, 3, 4, 8, 8), {"late": ("1", "N C T H W")})["late"]
    assert units.shape == (2, 9)
    assert models.create_model(f"{own}:Net").out_channels == 4


def test_your_own_function_may_declare_stages_and_recipe(own):
    model = models.create_model(f"{own}:declared")
    assert model.spec.stages == {"late": models.Stage("1", "N C T H W")}
    assert Recipe(**model.spec.recipe).crop == 16
    assert list(record(model, torch.rand(2, 3, 4, 16, 16))) == ["late"]


def test_the_recipe_of_the_measurement_will_do(own):
    models.create_model(f"{own}:build")
    my_net = sys.modules[own]

    def build():
        net = my_net.build()
        net.spec = SimpleNamespace(recipe=Recipe(frames=4, crop=16))
        return net

    my_net.other = build
    assert models.create_model("my_net:other").spec.recipe == dataclasses.asdict(Recipe(frames=4, crop=16))


def test_a_checkpoint_for_your_own(own, tmp_path):
    torch.save(nn.Sequential(nn.Conv3d(3, 5, 3), nn.ReLU()).state_dict(), tmp_path / "mine.pt")
    assert models.create_model(f"{own}:build", checkpoint=tmp_path / "mine.pt").checkpoint.format == "torch"


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("torchvison:r3d_18", "Unknown library 'torchvison'. Did you mean 'torchvision'"),
        ("torchvision:r3d_19", "Unknown torchvision model 'r3d_19'. Did you mean 'r3d_18'"),
        ("timm:resnet5O", "Unknown timm model 'resnet5O'. Did you mean 'resnet50'"),
        ("no.such.module:build", "Unknown library 'no.such.module'"),
        (":build", "Unknown library ''"),
        ("my_net:bild", "Unknown function of 'my_net' 'bild'. Did you mean 'build'"),
        ("my_net:number", "must be a function that returns an nn.Module. Got int."),
        ("my_net:nothing", "must return an nn.Module. Got int."),
        ("my_net:broken", "my_net:broken failed with KeyError: 'lost' ("),
        ("my_net:leaves", "my_net:leaves failed with SystemExit: usage: my_net ("),
        ("my_net:misdeclared", "The 'spec' of the module that my_net:misdeclared returns is invalid: "),
        ("my_slip:build", "The module 'my_slip' cannot be imported: No module named 'not_there_at_all'"),
    ],
)
def test_a_slip_is_one_line(own, name, says, capsys):
    assert main(["models", "stages", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("name", "extra"), [("hf:videomae", "transformers"), ("pytorchvideo:i3d_r50", "pytorchvideo")])
def test_a_missing_extra_says_how_to_install_it(name, extra, monkeypatch):
    for module in (extra, "pytorchvideo.models.hub"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(models.ModelError, match=rf"pip install 'static-dynamic\[{extra}\]'$"):
        models.describe(name)


def test_slips_with_transformers(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    with pytest.raises(models.ModelError, match="Did you mean 'videomae'"):
        models.describe("hf:videomea")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(models.ModelError, match=r"Unknown model type of .* 'bert'"):
        models.describe(f"hf:{tmp_path}")

    def offline(name, **options):
        raise OSError("We couldn't connect.\nCheck your connection.")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    with pytest.raises(
        models.ModelError,
        match=r"hf:some/one cannot be read: We couldn't connect\. Offline, give",
    ) as error:
        models.describe("hf:some/one")
    assert "\n" not in str(error.value)


def test_unknown_pytorchvideo():
    pytest.importorskip("pytorchvideo")
    with pytest.raises(models.ModelError, match="Did you mean 'slowfast_r50'"):
        models.describe("pytorchvideo:slowfast_r5O")


# ---------------------------------------------------------------- a look inside


def test_stages_of_a_model_that_declares_them(capsys):
    assert main(["models", "stages", "torchvision:r3d_18", "--depth", "1", "--size", "32", "--frames", "8"]) == 0
    shown = capsys.readouterr().out
    assert "input of shape (1, 3, 8, 32, 32)" in shown
    assert "layer4       Sequential         (1, 512, 1, 2, 2)   stage5" in shown
    assert "Stages: stage1-5." in shown


def test_stages_of_a_model_that_declares_none(own, capsys):
    assert main(["models", "stages", f"{own}:build", "--size", "16"]) == 2
    assert "give --frames" in capsys.readouterr().err
    assert main(["models", "stages", f"{own}:build", "--size", "16", "--frames", "4"]) == 0
    shown = capsys.readouterr().out
    assert "suggested" in shown
    assert "declares no stages" in shown
    for wrong in (["--frames", "x"], ["--frames", "0"], ["--frames", "4", "--size", "1"]):
        assert main(["models", "stages", f"{own}:build", "--size", "16", *wrong]) == 2


def test_your_own_function_gets_the_size_that_it_has_arguments_for(own):
    model = models.create_model(f"{own}:sized", frames=4, image_size=96)
    assert (model.spec.recipe["frames"], model.spec.recipe["crop"]) == (4, 96)
    assert models.create_model(f"{own}:sized").spec.recipe["frames"] == 8
    models.create_model(f"{own}:build", frames=4, image_size=96)  # which has none


def test_a_look_inside_feeds_what_the_recipe_says(own, capsys):
    assert main(["models", "stages", f"{own}:FramesFirst"]) == 0
    assert "input of shape (1, 4, 8, 12, 3)" in capsys.readouterr().out
    assert main(["models", "stages", f"{own}:FramesFirst", "--size", "6x10", "--frames", "2"]) == 0
    assert "input of shape (1, 2, 6, 10, 3)" in capsys.readouterr().out
    assert main(["models", "show", f"{own}:FramesFirst"]) == 0
    assert "crop 8 x 12 pixels" in capsys.readouterr().out


def test_whatever_a_forward_raises_is_one_line_with_the_shape(own, capsys):
    assert main(["models", "stages", f"{own}:Fails", "--size", "16", "--frames", "4"]) == 2
    error = capsys.readouterr().err
    assert error == ("error: The model failed on an input of shape (1, 3, 4, 16, 16): LookupError: no such.\n")


@pytest.mark.parametrize("arguments", [["stages"], ["shwo", "i3d"], ["stages", "i3d", "--depth", "x"]])
def test_slips_of_the_command_line_are_one_line(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_all_about_your_own(own, capsys):
    for name in ("build", "declared"):
        assert main(["models", "show", f"{own}:{name}"]) == 0
    assert "not declared" in capsys.readouterr().out


class Needy(nn.Module):
    """Takes two inputs, needs numbers while it runs, returns a tuple, and runs one module twice."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Conv3d(3, 3, 1)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv3d(3, 3, 1), nn.ReLU()) for _ in range(2))

    def forward(self, inputs):
        slow, fast = inputs
        x = self.twice(self.twice(slow)) * float(fast.mean())
        for block in self.blocks:
            x = block(x)
        return x, {"mean": x.mean(), "size": (1, None)}


def test_a_model_that_needs_numbers_runs_for_real():
    model = Needy()
    weights = copy.deepcopy(model.state_dict())
    found = probe(model, [(1, 3, 2, 8, 8), (1, 3, 4, 8, 8)])
    assert found[0].output == "tuple[0: (1, 3, 2, 8, 8), 1: dict[mean: (), size: tuple[0: 1, 1: None]]]"
    assert {module.path: module.runs for module in found}["twice"] == 2
    assert [module.path for module in suggest(found)] == ["blocks.0", "blocks.1"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
