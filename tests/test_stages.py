"""Naming places in a model, and reading the tensors there: what works, and what is refused in one line."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.network.recorder import Recorder, record
from static_dynamic.network.stages import resolve_stages, select

CLIP = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
LAYOUT = "N C T H W"


def tower():
    """blocks.0.conv … blocks.1.conv, and a head."""
    torch.manual_seed(0)
    net = nn.Module()
    net.blocks = nn.ModuleList(nn.ModuleDict({"conv": nn.Conv3d(3, 3, 1)}) for _ in range(2))
    net.head = nn.Conv3d(3, 5, 1)
    net.forward = lambda x: net.head(net.blocks[1]["conv"](net.blocks[0]["conv"](x)))
    return net


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["blocks", "head"]),
        ("blocks.*", ["blocks.0", "blocks.1"]),
        ("blocks.*.conv", ["blocks.0.conv", "blocks.1.conv"]),
        ("blocks.**", ["blocks.0", "blocks.0.conv", "blocks.1", "blocks.1.conv"]),
        ("**conv", ["blocks.0.conv", "blocks.1.conv"]),
        ("blocks.[1-3].conv", ["blocks.1.conv"]),
        ("blocks.?", ["blocks.0", "blocks.1"]),
        ("hea?", ["head"]),
    ],
)
def test_a_star_stops_at_dots_and_two_cross_them(pattern, found):
    assert list(resolve_stages(tower(), [pattern])) == found


def test_a_dot_is_a_dot():
    with pytest.raises(UserError, match=r"Unknown stage 'blocks.0xconv'"):
        resolve_stages(tower(), ["blocks.0xconv"])
    with pytest.raises(UserError, match=r"Unknown stage 'block\(s'"):
        resolve_stages(tower(), ["block(s"])


def test_a_mapping_may_name_a_path_alone():
    net = tower()
    assert record(net, CLIP, {"x": "head"}, layout=LAYOUT)["x"].shape == (2, 5)
    with pytest.raises(UserError, match="Stage 'x' has no layout and none is guessed"):
        record(net, CLIP, {"x": "head"})


@pytest.mark.parametrize(
    "stages",
    [{"x": 3}, {"x": ()}, {"x": ("head", LAYOUT, 0, 1)}, {"x": ("head", 5)}, {"x": ("head", LAYOUT, 1.5)}, {1: "head"}],
)
def test_a_stage_of_another_form_is_one_line(stages):
    with pytest.raises(UserError, match=r"must be a module path or \(module path, layout\[, item\]\)") as error:
        resolve_stages(tower(), stages)
    assert "\n" not in str(error.value)


def test_no_stage_and_names_that_are_no_text_are_refused():
    with pytest.raises(UserError, match="At least one stage is required"):
        resolve_stages(tower(), [])
    with pytest.raises(UserError, match=r"The name of a stage must be text.*Got 3"):
        resolve_stages(tower(), [3])


def test_a_module_under_two_names_is_found_under_both():
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
    net.alias = net[0]
    net.forward = lambda x: net[1](net[0](x))
    found = record(net, CLIP, {"one": ("0", LAYOUT), "other": ("alias", LAYOUT)})
    assert torch.equal(found["one"], found["other"])


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


Named = namedtuple("Named", "logits hidden")


@pytest.mark.parametrize("kind", [Output, Named, lambda logits, hidden: {"logits": logits, "hidden": hidden}])
def test_elements_go_by_name_or_number(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            self.out(kind(x[:, :2], x))

    stages = {
        "a": ("out", LAYOUT, "hidden"),
        "b": ("out", LAYOUT, 1),
        "c": ("out", LAYOUT, -1),
        "d": ("out", LAYOUT, 0),
    }
    found = record(Net(), CLIP, stages)
    mean = CLIP.mean((2, 3, 4))
    for name in "abc":
        assert torch.allclose(found[name], mean)
    assert torch.allclose(found["d"], mean[:, :2])
    with pytest.raises(
        UserError, match=r"names the element 'logit'.*logits: \(2, 2, 4, 8, 8\), hidden: \(2, 3, 4, 8, 8\)"
    ):
        record(Net(), CLIP, {"a": ("out", LAYOUT, "logit")})


def test_elements_by_number_of_a_dict_with_numbers_for_keys():
    assert float(select({1: torch.zeros(1), 0: torch.ones(1)}, 1, "x")) == 0


@pytest.mark.parametrize(("index", "item"), [(0, 0), (1, 1), (2, 2), (0, -3), (2, -1)])
def test_each_element_of_a_tuple_has_its_own_number(index, item):
    parts = tuple(torch.full((1,), float(i)) for i in range(3))
    assert float(select(parts, item, "x")) == index


@pytest.mark.parametrize("item", [3, -4, "x"])
def test_elements_that_are_not_there_are_named(item):
    with pytest.raises(
        UserError, match=rf"names the element {item!r}; its module returns a tuple \(0: \(1,\), 1: str, 2: \(1,\)\)"
    ):
        select((torch.zeros(1), "text", torch.zeros(1)), item, "x")


# ---------------------------------------------------------------- misuse


def test_a_recorder_cannot_be_opened_twice_and_leaves_nothing_behind():
    net = tower().train()
    recorder = Recorder(net, ["head"], LAYOUT)
    with recorder:
        with pytest.raises(UserError, match="already open"), recorder:
            pass
        assert recorder(CLIP)["head"].shape == (2, 5)
    assert net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    with recorder:  # but again later
        assert recorder(CLIP)["head"].shape == (2, 5)


def test_a_recorder_outside_of_its_block_says_so():
    recorder = Recorder(tower(), ["head"], LAYOUT)
    for call in (recorder, recorder.run):
        with pytest.raises(UserError, match=r"This recorder is not open: call it inside 'with Recorder"):
            call(CLIP)


def test_what_is_no_module_is_refused():
    with pytest.raises(UserError, match=r"must be a torch.nn.Module. Got function"):
        record(lambda x: x, CLIP, {"x": "head"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_refused():
    scripted = torch.jit.trace(nn.Sequential(nn.Conv3d(3, 4, 1)), CLIP)
    with pytest.raises(UserError, match="TorchScript model cannot be measured: it does not support hooks"):
        record(scripted, CLIP, {"x": ("0", LAYOUT)})


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_compiled_model_is_measured_under_its_own_paths_or_says_why_not():
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
    stages = {"relu": ("1", LAYOUT)}
    compiled = torch.compile(net, backend="eager")
    assert torch.allclose(record(compiled, CLIP, stages)["relu"], record(net, CLIP, stages)["relu"])
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager").eval()
    with torch.no_grad():
        compiled(CLIP)
    with pytest.raises(UserError, match=r"was compiled and had already run.*original model .model\._orig_mod"):
        record(compiled, CLIP, stages)


# ---------------------------------------------------------------- what can be known of axes


def test_frames_and_channels_the_wrong_way_round_are_noticed():
    net = nn.Sequential(nn.Conv3d(3, 16, 1), nn.Sequential(nn.Identity()))
    record(net, CLIP, {"x": ("1", LAYOUT)})
    with pytest.raises(UserError, match=r"axis 1 has 16 time steps \(T\), more than the 4 frames of a clip"):
        record(net, CLIP, {"x": ("1", "N T C H W")})
    with pytest.raises(UserError, match=r"axis 4 should have the 16 units \(C\) of this module"):
        record(net, CLIP, {"x": ("0", "N H T W C")})


@pytest.mark.parametrize("axes", ["N T C H W", "N T H W C"])
def test_frames_are_counted_where_the_input_has_them(axes):
    order = ["NCTHW".index(axis) for axis in axes.split()]
    net = nn.Sequential(nn.Identity())
    record(net, CLIP.permute(order), {"x": ("0", axes)})
    with pytest.raises(UserError, match="more than the 4 frames"):
        record(net, CLIP.permute(order), {"x": ("0", axes.replace("T", "x").replace("H", "T").replace("x", "H"))})


def test_frames_folded_into_the_batch_are_counted_too():
    class Folds(nn.Module):
        def __init__(self, per_frame):
            super().__init__()
            self.out, self.per_frame = nn.Identity(), per_frame

        def forward(self, x):
            self.out(x.transpose(1, 2).flatten(0, 1).repeat(self.per_frame, 1, 1, 1))

    layout = "(N T) C H W"
    assert record(Folds(1), CLIP, {"x": ("out", layout)})["x"].shape == (2, 3)
    with pytest.raises(UserError, match=r"axis 0 has 8 time steps \(T\), more than the 4 frames"):
        record(Folds(2), CLIP, {"x": ("out", layout)})
    assert record(Folds(2), CLIP, {"x": ("out", "(N T=8) C H W")})["x"].shape == (2, 3)  # said so, so believed


def test_a_stage_may_have_fewer_time_steps():
    net = nn.Sequential(nn.Conv3d(3, 4, (2, 1, 1), stride=(2, 1, 1)))
    assert record(net, CLIP, {"x": ("0", LAYOUT)})["x"].shape == (2, 4)


# ---------------------------------------------------------------- precision and randomness


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_runs_in_its_own_precision(dtype):
    net = nn.Sequential(nn.Conv3d(3, 4, 1)).to(dtype)
    found = record(net, CLIP, {"x": ("0", LAYOUT)})["x"]
    exact = nn.functional.conv3d(CLIP.double(), net[0].weight.double(), net[0].bias.double()).mean((2, 3, 4))
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), exact, atol=20 * torch.finfo(dtype).eps + 1e-7)


def test_a_mean_in_float64_is_taken_in_float64():
    net = nn.Sequential(nn.Identity(), nn.Conv3d(3, 1, 1)).double()
    far = torch.full((1, 3, 4, 8, 8), 2.0**30, dtype=torch.float64) + torch.arange(256).view(1, 1, 4, 8, 8) * 2.0**-20
    found = record(net, far, {"x": ("0", LAYOUT)})["x"]
    assert torch.equal(found, far.mean((2, 3, 4)).float())


def test_random_states_of_python_and_numpy_are_left_alone():
    import random

    import numpy as np

    class Draws(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            return self.out(x + random.random() + np.random.rand() + torch.rand(()))

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    record(Draws(), CLIP, {"x": ("out", LAYOUT)})
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
