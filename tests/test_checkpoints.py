"""Weights are found whatever wraps them, what they do not fill is said, and nothing in a file runs."""

import copy
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from static_dynamic import models
from static_dynamic.models.weights.checkpoints import load_checkpoint
from static_dynamic.models.weights.finding import Target, find
from static_dynamic.models.weights.report import percent


class Net(nn.Module):
    """A backbone with batch norm, and a classifier."""

    def __init__(self, num_classes=5):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.Conv3d(4, 6, 1))
        self.head = nn.Linear(6, num_classes)


WEIGHTS = 2 + 4 + 2 + 2  # two convolutions, a norm without its counter, a linear layer
NUMBERS = (3 * 27 * 4 + 4) + 4 * 4 + (4 * 6 + 6)
HEAD = 6 * 5 + 5


def net(seed=0, **options):
    torch.manual_seed(seed)
    model = Net(**options)
    nn.init.normal_(model.backbone[1].running_mean)
    return model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def load(path, model=None, **options):
    """The report, after every weight has been compared with those of ``net(1)``."""
    model = net(2) if model is None else model
    report = load_checkpoint(model, path, **options)
    named = {key.replace("_orig_mod.", ""): tensor for key, tensor in model.state_dict().items()}
    for key, tensor in net(1).state_dict().items():
        assert torch.equal(named[key], tensor), key
    return report


def refused(path, model=None, **options):
    model = net(2) if model is None else model
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(models.ModelError) as caught:
        load_checkpoint(model, path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    return str(caught.value)


def behind(prefix, state):
    return {prefix + key: tensor for key, tensor in state.items()}


# ---------------------------------------------------------------- where they are


STATE = net(1).state_dict()
OTHER = {key: tensor + 1 for key, tensor in STATE.items()}
OPTIMIZER = {"state": {i: {"exp_avg": tensor, "step": torch.tensor(1.0)} for i, tensor in enumerate(STATE.values())}}
PLACES = {
    "bare": (STATE, ""),
    **{
        name: ({name: STATE, "epoch": 3, "optimizer": OPTIMIZER}, name)
        for name in (
            "state_dict",
            "model",
            "net",
            "network",
            "params",
            "weights",
            "model_ema",
            "ema_state_dict",
            "teacher",
        )
    },
    "nested": ({"checkpoint": {"model": {"params": STATE}}, "args": {"lr": 0.1}}, "checkpoint.model.params"),
    "in a list": ([STATE, {"epoch": 3}], "0"),
    "DistributedDataParallel": ({"state_dict": behind("module.", STATE)}, "state_dict"),
    "torch.compile": (behind("_orig_mod.", STATE), ""),
    "compiled, then distributed": ({"model": behind("module._orig_mod.", STATE)}, "model"),
    "a compiled part": ({key.replace("backbone.", "backbone._orig_mod."): x for key, x in STATE.items()}, ""),
    "fully sharded": (behind("_fsdp_wrapped_module.", STATE), ""),
    "Lightning": (
        {"state_dict": {**behind("model.", STATE), "loss.weight": torch.ones(5)}, "loops": {}, "callbacks": {"a": {}}},
        "state_dict.model",
    ),
    "part of a larger model": (
        {**behind("encoder.video.", STATE), **behind("text.", {"a": torch.ones(2)})},
        "encoder.video",
    ),
    "parts apart": (
        {
            "model": {
                "backbone": {key.removeprefix("backbone."): x for key, x in STATE.items() if "backbone" in key},
                "head": {key.removeprefix("head."): x for key, x in STATE.items() if "head" in key},
            },
            "optimizer": OPTIMIZER,
        },
        "model",
    ),
    "beside an optimiser": ({**STATE, "optimizer": OPTIMIZER}, ""),
}


@pytest.mark.parametrize("name", PLACES)
def test_weights_are_found_by_what_fits(name, path):
    content, place = PLACES[name]
    torch.save(content, path)
    report = load(path)
    assert report.found_at == place
    assert report.filled == (WEIGHTS, WEIGHTS, NUMBERS + HEAD, NUMBERS + HEAD)
    assert report.notes() == ()


def test_a_bare_backbone_fits_the_backbone_of_a_model(path):
    torch.save({key.removeprefix("backbone."): x for key, x in STATE.items() if "backbone" in key}, path)
    model = net(2)
    report = load_checkpoint(model, path, strict=False)
    assert torch.equal(model.backbone[2].weight, STATE["backbone.2.weight"])
    assert report.missing == ("head.weight", "head.bias")
    assert "2 missing: head.weight, head.bias" in refused(path)


def test_a_compiled_model_takes_plain_names(path):
    torch.save(STATE, path)
    load(path, torch.compile(net(2)))


def test_names_that_only_look_alike_do_not_count(path):
    """The same names with other shapes stand first; those that fit are taken."""
    wrong = {key: torch.zeros(7) for key in STATE}
    torch.save({"model": wrong, "weights": STATE}, path)
    assert load(path).found_at == "weights"


def test_a_content_that_holds_itself_ends(path):
    content = {"state_dict": STATE}
    content["self"] = content
    torch.save(content, path)
    assert load(path).found_at == "state_dict"


AVERAGED = {
    "PySlowFast": ({"model_state": STATE, "ema_state": OTHER}, "model_state", "ema_state"),
    "timm": ({"state_dict_ema": OTHER, "state_dict": STATE}, "state_dict", "state_dict_ema"),
    "DINO": (
        {"teacher": behind("backbone.", OTHER), "student": behind("module.", STATE)},
        "student",
        "teacher.backbone",
    ),
    "prefixes": ({**behind("ema.", OTHER), **behind("net.", STATE)}, "net", "ema"),
}


@pytest.mark.parametrize("name", AVERAGED)
def test_raw_weights_go_before_averaged_ones_and_the_choice_is_said(name, path):
    content, raw, averaged = AVERAGED[name]
    torch.save(content, path)
    report = load(path)
    assert (report.found_at, report.others) == (raw, (averaged,))
    (note,) = report.notes()
    assert f"came from '{raw}' of {path}; {averaged} would fit as well: `checkpoint_key='{averaged}'`" in note
    model = net(2)
    report = load_checkpoint(model, path, key=averaged.partition(".")[0])
    assert report.found_at == averaged
    assert torch.equal(model.head.weight, OTHER["head.weight"])
    assert report.notes() == ()


def test_equal_weights_in_two_places_need_no_choice(path):
    torch.save({"model": STATE, "model_ema": copy.deepcopy(STATE)}, path)
    assert load(path).others == ()


def test_a_place_that_is_not_there(path):
    torch.save({"model": STATE}, path)
    assert "holds no weights at 'model_ema'. Allowed: model" in refused(path, key="model_ema")


def test_the_search_is_the_same_in_any_process():
    content = {"b": STATE, "a": OTHER}
    own = Target({key: tuple(x.shape) for key, x in STATE.items()})
    assert {find(content, own).place for _ in range(5)} == {"b"}  # the earlier one


# ---------------------------------------------------------------- several files


def halves():
    keys = list(STATE)
    return {key: STATE[key] for key in keys[:5]}, {key: STATE[key] for key in keys[5:]}


@pytest.mark.parametrize(("kind", "save"), [("safetensors", save_file), ("bin", torch.save)])
@pytest.mark.parametrize("given", ["index", "folder"])
def test_shards_behind_an_index(given, kind, save, tmp_path):
    names = [f"model-0000{i}-of-00002.{kind}" for i in (1, 2)]
    for name, part in zip(names, halves(), strict=True):
        save(part, tmp_path / name)
    index = tmp_path / f"model.{kind}.index.json"
    of = {key: name for name, part in zip(names, halves(), strict=True) for key in part}
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": of}))
    report = load(index if given == "index" else tmp_path)
    assert report.notes() == ()
    assert len(report.sha256) == 64
    (tmp_path / names[1]).unlink()
    path = index if given == "index" else tmp_path
    assert f"files that are missing: {names[1]}" in refused(path)
    for text in ("[]", "{", '{"weight_map": {"head.bias": "../elsewhere.bin"}}', '{"weight_map": {"head.bias": 3}}'):
        index.write_text(text)
        assert "must hold a 'weight_map' of weights to files in the same folder" in refused(path)


def test_a_folder_of_safetensors(tmp_path):
    for name, part in zip("ab", halves(), strict=True):
        save_file(part, tmp_path / f"{name}.safetensors")
    assert load(tmp_path).filled.tensors == WEIGHTS
    save_file(halves()[0], tmp_path / "c.safetensors")
    assert "several checkpoints" in refused(tmp_path)


def test_other_folders(tmp_path):
    assert "holds no checkpoint. Looked for: .safetensors" in refused(tmp_path)
    torch.save(STATE, tmp_path / "one.pth")
    load(tmp_path)
    torch.save(STATE, tmp_path / "two.pth")
    assert "holds several checkpoints. Give one: one.pth, two.pth" in refused(tmp_path)


# ---------------------------------------------------------------- what they do not fill


def test_partial_weights_are_said(path):
    torch.save({"model": {key: x for key, x in STATE.items() if key.startswith("backbone.0")}}, path)
    report = load_checkpoint(net(2), path, strict=False)
    numbers = 3 * 27 * 4 + 4
    assert report.filled == (2, WEIGHTS, numbers, NUMBERS + HEAD)
    share = f"{1000 * numbers // (NUMBERS + HEAD) / 10} %"
    assert report.notes() == (
        f"Only 2 of {WEIGHTS} weights ({share} of parameters) came from {path}; random: backbone.1.weight, "
        "backbone.1.bias, backbone.1.running_mean and 5 more.",
    )


def test_counters_of_batch_norm_do_not_count(path):
    torch.save({key: x for key, x in STATE.items() if "num_batches" not in key}, path)
    report = load_checkpoint(net(2), path)
    assert (report.missing, report.notes()) == ((), ())
    frozen = nn.Linear(2, 2)
    torch.save({**frozen.state_dict(), "num_batches_tracked": torch.tensor(3)}, path)
    assert load_checkpoint(frozen, path).unexpected == ()


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 5, "0.0 %"), (1, 10**5, "under 0.1 %"), (99999, 10**5, "99.9 %"), (5, 5, "100.0 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part, whole, words):
    assert percent(part, whole) == words


def test_when_nothing_fits_both_sides_are_shown(path):
    torch.save(
        {
            "state_dict": {"module.conv1.weight": torch.zeros(8, 3, 7, 7), "module.fc.bias": torch.zeros(9)},
            "arch": "resnet18",
        },
        path,
    )
    for strict in (True, False):
        message = refused(path, strict=strict)
        assert "looks like another model (it names 'resnet18'): 0 of its 2 keys fit" in message
        assert (
            "Its first: conv1.weight (8, 3, 7, 7), fc.bias (9,); the model's: backbone.0.weight (4, 3, 3, 3, 3)"
            in message
        )


# ---------------------------------------------------------------- what cannot be copied


def test_tensors_without_numbers_are_refused(path):
    torch.save({key: x.to("meta") for key, x in STATE.items()}, path)
    assert "weights without values (the meta device): backbone.0.weight" in refused(path)
    torch.save({**STATE, "head.weight": STATE["head.weight"].to_sparse()}, path)
    assert "head.weight in a form that the model cannot take" in refused(path)
    torch.save(STATE, path)
    with torch.device("meta"):
        empty = Net()
    with pytest.raises(models.ModelError, match="no memory for its weights"):
        load_checkpoint(empty, path)


def test_torchscript_is_said_to_be_code(path):
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    assert "is TorchScript, which is code. Save the state_dict()" in refused(path)


def test_state_that_is_no_tensor_is_left_alone(path):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"version": 1}

        def set_extra_state(self, state):
            raise AssertionError

    torch.save(nn.Linear(2, 2).state_dict(), path)
    assert load_checkpoint(Extra(2, 2), path).missing == ()


# ---------------------------------------------------------------- models of one's own

OWN = """
from torch import nn

def build(num_classes=400):
    return nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, num_classes))

def fixed():
    return build(3)

class Checkpointing(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.checkpoint = "mine"
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    import sys

    (tmp_path / "own_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "own_net"
    sys.modules.pop("own_net", None)


def test_the_size_of_the_classifier_is_that_of_the_file_where_none_is_asked_for(own, path):
    model = models.create_model(f"{own}:build", num_classes=7)
    torch.save({"state_dict": behind("module.", model.state_dict())}, path)
    loaded = models.create_model(f"{own}:build", checkpoint=path)
    assert (loaded.spec.num_classes, loaded[3].out_features, loaded.spec.notes) == (7, 7, ())
    with pytest.raises(
        models.OtherClasses, match=r"has 7 classes, the model 5\. Pass `num_classes=7`, or `strict=False`"
    ):
        models.create_model(f"{own}:build", checkpoint=path, num_classes=5)
    with pytest.raises(models.ModelError, match="own_net:fixed has no argument num_classes"):
        models.create_model(f"{own}:fixed", num_classes=7)
    with pytest.raises(
        models.ModelError, match=r"7 classes, the model 3, and own_net:fixed has no argument num_classes\."
    ):
        models.create_model(f"{own}:fixed", checkpoint=path)


def test_weights_of_your_own_function_are_as_it_made_them(own, path):
    model = models.create_model(f"{own}:build")
    assert model.spec.notes == ("No `checkpoint=FILE`: the weights of own_net:build are as your function made them.",)
    torch.save({"0.weight": model[0].weight}, path)
    with pytest.warns(models.PartialWeights, match=r"Only 1 of 8 weights .*; as your function made them: 0\.bias, 1\."):
        models.create_model(f"{own}:build", checkpoint=path, strict=False)


def test_an_attribute_of_your_own_is_kept(own):
    model = models.create_model(f"{own}:Checkpointing")
    assert model.checkpoint == "mine"
    assert model.spec.checkpoint is None
