"""Models of detectron2, against a small package of the same shape; and the real one, where it is installed."""

import pickle
import sys

import numpy as np
import pytest
import torch

from static_dynamic import Recipe, check_model, models, record
from static_dynamic.main import main

CONFIG = """
from fvcore.common.config import CfgNode  # what the real one builds on

def get_cfg():
    model = {
        "META_ARCHITECTURE": "GeneralizedRCNN", "WEIGHTS": "", "DEVICE": "cuda", "BACKBONE": {"NAME": "pyramid"},
        "PIXEL_MEAN": [100.0, 110.0, 120.0], "ROI_HEADS": {"NUM_CLASSES": 80}, "RETINANET": {"NUM_CLASSES": 80},
        "SEM_SEG_HEAD": {"NUM_CLASSES": 54},
    }
    return CfgNode({"MODEL": model, "INPUT": {"FORMAT": "BGR", "MIN_SIZE_TEST": 800}})
"""

MODELING = """
from types import SimpleNamespace
import torch
from torch import nn
import torch.nn.functional as F

WIDTHS = {"stem": 3, "res2": 4, "res3": 5, "res4": 6, "res5": 7}

class ResNet(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.returned, before = returned, 3
        for name, width in WIDTHS.items():
            self.add_module(name, nn.Conv2d(before, width, 3, 4 if name == "stem" else 2, 1))
            before = width

    def output_shape(self):
        return {name: SimpleNamespace(channels=WIDTHS[name]) for name in self.returned}

    def forward(self, x):
        seen = {}
        for name in WIDTHS:
            seen[name] = x = getattr(self, name)(x).relu()
        return {name: seen[name] for name in self.returned}

class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.bottom_up = ResNet(["res2", "res3", "res4", "res5"])
        for i in range(2, 6):
            self.add_module(f"lateral{i}", nn.Conv2d(WIDTHS[f"res{i}"], 8, 1))

    def output_shape(self):
        return {f"p{i}": SimpleNamespace(channels=8) for i in range(2, 7)}

    def forward(self, x):
        levels = {f"p{i}": getattr(self, f"lateral{i}")(y) for i, y in enumerate(self.bottom_up(x).values(), 2)}
        return levels | {"p6": levels["p5"][..., ::2, ::2]}

def build_backbone(cfg, input_shape=None):
    return {"pyramid": Pyramid, "c4": lambda: ResNet(["res4"])}[cfg.MODEL.BACKBONE.NAME]()

class Detector(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.backbone = build_backbone(cfg)
        self.head = nn.Linear(8, cfg.MODEL.ROI_HEADS.NUM_CLASSES + 1)
        self.register_buffer("pixel_mean", torch.tensor(cfg.MODEL.PIXEL_MEAN).view(3, 1, 1), False)

    def forward(self, images):
        assert not self.training and isinstance(images, list)
        for image in images:
            assert set(image) == {"image"} and image["image"].ndim == 3
        x = torch.stack([image["image"] for image in images]) - self.pixel_mean
        x = F.pad(x, (0, -x.shape[-1] % 32, 0, -x.shape[-2] % 32))
        last = list(self.backbone(x).values())[-1]
        return [{"instances": SimpleNamespace(scores=y)} for y in last.mean((2, 3))]

def build_model(cfg):
    known = {"GeneralizedRCNN": Detector}
    if cfg.MODEL.META_ARCHITECTURE not in known:
        raise KeyError("No object named 'TwoHeads' found in 'META_ARCH' registry!")
    return known[cfg.MODEL.META_ARCHITECTURE](cfg).to(torch.device(cfg.MODEL.DEVICE))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, beside a package of the name and the shape of detectron2."""
    package = tmp_path / "site" / "detectron2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.6"')
    (package / "config.py").write_text(CONFIG)
    (package / "modeling.py").write_text(MODELING)
    for name in [name for name in sys.modules if name.partition(".")[0] == "detectron2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(package.parent)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield work
    for name in [name for name in sys.modules if name.partition(".")[0] == "detectron2"]:
        del sys.modules[name]


def written(text="MODEL: {WEIGHTS: ''}\n"):
    with open("mine.yaml", "w") as file:
        file.write(text)
    return "detectron2:mine.yaml"


def clip(clips=2, frames=3, side=64):
    return 255 * torch.rand(clips, 3, frames, side, side, generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------- stages and input


def test_a_pyramid_has_its_residual_stages_and_its_levels(folder):
    model = models.create_model(written())
    expected = ["stem", "res2", "res3", "res4", "res5", "p2", "p3", "p4", "p5", "p6"]
    assert sorted(model.spec.stages) == sorted(expected)
    units = record(model, clip())
    widths = {"stem": 3, "res2": 4, "res3": 5, "res4": 6, "res5": 7} | {f"p{i}": 8 for i in range(2, 7)}
    assert {stage: x.shape for stage, x in units.items()} == {stage: (2, width) for stage, width in widths.items()}


def test_the_order_of_the_stages_is_that_of_the_network(folder):
    stages = list(models.describe(written()).stages)
    assert stages == ["stem", "res2", "res3", "res4", "res5", "p2", "p3", "p4", "p5", "p6"]


def test_a_backbone_without_a_pyramid(folder):
    model = models.create_model(written("MODEL: {BACKBONE: {NAME: c4}}\n"))
    assert list(model.spec.stages) == ["stem", "res2", "res3", "res4", "res5"]
    assert model.spec.stages["res4"] == models.Stage("net.backbone.res4", "(N T) C H W")
    assert record(model, clip())["res4"].shape == (2, 6)


def test_frames_are_seen_one_by_one_in_the_order_that_the_layouts_say(folder):
    model = models.create_model(written())
    changed = clip()
    changed[1, :, 2] = 0
    before, after = (record(model, given, pool="frame") for given in (clip(), changed))
    for stage in before:
        moved = (before[stage] - after[stage]).unflatten(1, (3, -1)).abs().amax(-1)
        assert moved.nonzero().tolist() == [[1, 2]], stage


@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_the_network_gets_bytes_in_the_order_of_colours_that_it_wants(folder, channels):
    model = models.create_model(written(f"INPUT: {{FORMAT: {channels}}}\n"))
    given = clip()
    found = model(given)
    assert [len(frames) for frames in found] == [3, 3]
    for n in range(2):
        for t in range(3):
            image = given[n, :, t] if channels == "RGB" else given[n, [2, 1, 0], t]
            (alone,) = model.net([{"image": image}])
            assert torch.allclose(found[n][t]["instances"].scores, alone["instances"].scores, atol=1e-4)


def test_the_recipe_gives_bytes_at_the_size_of_the_configuration(folder):
    recipe = Recipe(**models.describe(written("INPUT: {MIN_SIZE_TEST: 96}\n")).recipe)
    assert (recipe.crop, recipe.resize) == (96, 96)
    frames = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    assert np.allclose(recipe.prepare(frames).numpy(), frames.transpose(0, 3, 1, 2), atol=1e-3)
    assert models.describe(written("INPUT: {MIN_SIZE_TEST: 0}\n")).recipe["crop"] == 800


def test_the_public_checks(folder):
    check_model(models.create_model(written()), clip())


def test_shapes_need_no_memory_and_no_gpu(folder, capsys):
    assert main(["models", "show", written()]) == 0
    assert "net.backbone[4]" in capsys.readouterr().out
    assert main(["models", "stages", written(), "--size", "64", "--frames", "2"]) == 0
    assert "res5" in capsys.readouterr().out


# ---------------------------------------------------------------- weights


def other_weights(name, seed=9):
    return models.create_model(name, seed=seed).state_dict()


def equal(model, state):
    return all(torch.equal(x, state[key]) for key, x in model.state_dict().items())


def test_random_weights_follow_the_seed_and_leave_randomness_alone(folder):
    before = torch.get_rng_state()
    first, again, other = (models.create_model(written(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert equal(first, again.state_dict())
    assert not equal(first, other.state_dict())
    assert first.checkpoint is None
    assert "random weights" in first.spec.summary


def test_a_file_that_training_wrote(folder):
    state = other_weights(written())
    torch.save({"model": state, "optimizer": {"state": {}}, "scheduler": {}, "iteration": 90000}, "model_final.pth")
    assert equal(models.create_model(written(), checkpoint="model_final.pth"), state)


def test_a_file_of_the_zoo_with_what_old_ones_hold_beside_weights(folder):
    """Arrays in a pickle; the mean of the input and anchors, which are no weights of this network."""
    state = other_weights(written())
    arrays = {key: x.numpy() for key, x in state.items()}
    beside = {"pixel_mean": np.zeros(3), "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4))}
    with open("model_final_f10217.pkl", "wb") as file:
        pickle.dump({"model": arrays | beside, "__author__": "Detectron2 Model Zoo"}, file)
    model = models.create_model(written(), checkpoint="model_final_f10217.pkl")
    assert equal(model, state)
    assert model.checkpoint.unexpected == ()


def test_the_weights_that_the_configuration_names(folder):
    state = other_weights(written())
    torch.save({"model": state}, "model_final.pth")
    name = written("MODEL: {WEIGHTS: model_final.pth}\n")
    model = models.create_model(name)
    assert equal(model, state)
    assert model.checkpoint.path == "model_final.pth"
    assert "weights of model_final.pth" in model.spec.summary
    later = other_weights(written(), seed=10)
    torch.save({"model": later}, "later.pth")
    assert equal(models.create_model(written("MODEL: {WEIGHTS: model_final.pth}\n"), checkpoint="later.pth"), later)


def test_what_those_weights_lack_is_said(folder):
    state = other_weights(written())
    torch.save({"model": {key: x for key, x in state.items() if "bottom_up" in key}}, "imagenet.pth")
    with pytest.warns(models.PartialWeights, match=r"Only 10 of 20 weights .* came from imagenet\.pth; random: "):
        models.create_model(written("MODEL: {WEIGHTS: imagenet.pth}\n"))
    with pytest.warns(models.PartialWeights, match="Only 10 of 20"):
        fewer = models.create_model(written("MODEL: {WEIGHTS: imagenet.pth}\n"), num_classes=3)
    assert fewer.net.head.out_features == 4
    assert fewer.spec.num_classes == 3


@pytest.mark.parametrize(
    "weights", ["detectron2://COCO/model_final.pkl", "https://somewhere.org/model.pth", "gone.pth"]
)
def test_weights_that_are_elsewhere_are_not_fetched_unasked(folder, weights):
    name = written(f"MODEL: {{WEIGHTS: '{weights}'}}\n")
    model = models.create_model(name)
    assert model.checkpoint is None
    assert f"random weights (not those of {weights})" in model.spec.summary
    urls = {"detectron2": "https://dl.fbaipublicfiles.com/detectron2/COCO/model_final.pkl", "https": weights}
    assert model.spec.url == urls.get(weights.partition(":")[0])


def test_weights_are_fetched_on_request(folder, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(folder / "hub"))
    state = other_weights(written())
    torch.save({"model": state}, "model_final.pth")
    name = written(f"MODEL: {{WEIGHTS: '{(folder / 'model_final.pth').as_uri()}'}}\n")
    assert equal(models.create_model(name, pretrained=True), state)


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("MODEL: {META_ARCHITECTURE: TwoHeads}\n", "detectron2 cannot build mine.yaml: KeyError: "),
        ("MODEL: {BACKBONE: {NAME: vit}}\n", "detectron2 cannot build mine.yaml: KeyError: 'vit'"),
        ("MODEL: {DEPT: 50}\n", "detectron2 cannot read mine.yaml: KeyError: 'Non-existent config key: MODEL.DEPT'"),
        ("MODEL: [\n", "detectron2 cannot read mine.yaml: "),
        ("INPUT: {FORMAT: L}\n", "Unknown INPUT.FORMAT in mine.yaml 'L'. Allowed: BGR, RGB."),
        ("MODEL: {WEIGHTS: mine.yaml}\n", "mine.yaml is not a checkpoint"),
    ],
)
def test_a_slip_is_one_line(folder, text, says, capsys):
    with pytest.raises(models.ModelError) as caught:
        models.create_model(written(text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    if "not a checkpoint" not in says:
        assert main(["models", "show", written(text)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_no_file(folder):
    with pytest.raises(models.ModelError, match=r"detectron2:gone.yaml is not a file\. Give a configuration"):
        models.describe("detectron2:gone.yaml")


def test_a_configuration_cannot_run_code(folder):
    name = written("MODEL: {WEIGHTS: !!python/object/apply:os.mkdir ['trace']}\n")
    with pytest.raises(
        models.ModelError, match=r"read mine.yaml: ConstructorError: .*python/object/apply.*as cfg\.dump"
    ):
        models.describe(name)
    assert not (folder / "trace").exists()


def test_weights_cannot_run_code(folder):
    class Runs:
        def __reduce__(self):
            import os

            return os.mkdir, ("trace",)

    with open("bad.pkl", "wb") as file:
        pickle.dump({"model": {"x": Runs()}}, file)
    for options in ({"checkpoint": "bad.pkl"}, {}):
        name = written("MODEL: {WEIGHTS: bad.pkl}\n" if not options else "MODEL: {WEIGHTS: ''}\n")
        with pytest.raises(models.ModelError, match="which may run code"):
            models.create_model(name, **options)
    assert not (folder / "trace").exists()


# ---------------------------------------------------------------- the real one


def test_the_real_library(tmp_path):
    pytest.importorskip("detectron2.modeling")
    zoo = pytest.importorskip("detectron2.model_zoo")
    path = zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml")
    model = models.create_model(f"detectron2:{path}")
    assert list(model.spec.stages) == ["stem", "res2", "res3", "res4", "res5", "p2", "p3", "p4", "p5", "p6"]
    check_model(model, clip(side=64))
