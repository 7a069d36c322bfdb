"""Cost: equal to counting by hand, up to every stage."""

import warnings
from pathlib import Path

import pytest
import torch
from doors import fails, succeeds
from torch import nn

from static_dynamic import FlowRecipe, Recipe, models
from static_dynamic.common.errors import UserError
from static_dynamic.network.cost import measure_cost

RECIPE = Recipe(frames=4, rate=1, crop=10)
STAGES = {"conv": ("0", "N C T H W"), "both": ("2", "N C T H W")}


def net():
    return nn.Sequential(
        nn.Conv3d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv3d(4, 5, 1), nn.Flatten(), nn.Linear(5 * 2 * 8 * 8, 7)
    )


def test_macs_and_parameters_counted_by_hand():
    cost = measure_cost(net(), RECIPE, STAGES)
    positions = 2 * 8 * 8  # what a kernel of 3 leaves of 4 x 10 x 10
    first, second, last = positions * 4 * 3 * 27, positions * 5 * 4, 5 * positions * 7
    assert [stage.macs for stage in cost.stages] == [first, first + second]
    assert cost.macs == cost.fvcore_macs == first + second + last
    assert [stage.parameters for stage in cost.stages] == [4 * 3 * 27, 4 * 3 * 27 + 5 * 4 + 5]
    assert cost.parameters == 4 * 3 * 27 + 25 + 7 * 5 * positions + 7
    assert cost.uncounted == {}


def test_a_model_of_image_and_flow():
    class TwoStreams(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.flow = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(6, 5, 1, bias=False)

        def forward(self, inputs):
            image, flow = (inputs[name].flatten(0, 1) for name in ("Image", "Flow"))
            return self.image(image).mean() + self.flow(flow).mean()

    stages = {"image": ("image", "(N T) C H W"), "flow": ("flow", "(N T) C H W")}
    recipe = FlowRecipe(frames=2, flows=("forward", "backward"), size=(10, 20))
    cost = measure_cost(TwoStreams(), recipe, stages)
    assert [stage.macs for stage in cost.stages] == [2 * 200 * 12, 2 * 200 * (12 + 30)]
    assert cost.fvcore_macs == cost.macs


def test_the_model_is_left_as_it_was_found():
    model = net().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure_cost(model, RECIPE, STAGES)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# ---------------------------------------------------------------- models that shapes alone do not satisfy


class Awkward(nn.Module):
    """One 1 x 1 convolution from 3 to 5 channels, between things that need care."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 5, 1)
        self.never = nn.Conv3d(3, 5, 1)
        self.scale = torch.ones(3, 1, 1, 1)  # neither a parameter nor a buffer
        self.register_buffer("seen", torch.zeros(()))

    def before(self, x):
        return x * self.scale

    def forward(self, x):
        self.seen += 1
        self.last = self.conv(self.before(x))
        return self.last


class Number(Awkward):
    def before(self, x):
        return x * (1 + x.mean().item())


class NewTensor(Awkward):
    def before(self, x):
        return x + torch.arange(3.0).view(3, 1, 1, 1)


class NewTensorOnTheCpu(Awkward):
    def before(self, x):
        return x + torch.arange(3.0, device="cpu").view(3, 1, 1, 1)


class Branch(Awkward):
    def before(self, x):
        return x if (x > 0).any() else -x


class WeightNorm(Awkward):
    """The old form keeps the weight as a plain tensor, which cannot be copied."""

    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            nn.utils.weight_norm(self.conv)


class Half(Awkward):
    def __init__(self):
        super().__init__()
        self.to(torch.bfloat16)
        self.scale = self.scale.to(torch.bfloat16)


PARAMETERS = dict.fromkeys((Awkward, Number, NewTensor, NewTensorOnTheCpu, Branch, Half), 3 * 5 + 5)
PARAMETERS[WeightNorm] = 3 * 5 + 5 + 5  # direction and length


@pytest.mark.parametrize("kind", PARAMETERS, ids=lambda kind: kind.__name__)
def test_models_that_shapes_alone_do_not_satisfy(kind):
    model = kind()
    plain = {name: value for name, value in vars(model.conv).items() if isinstance(value, torch.Tensor)}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    cost = measure_cost(model, RECIPE, {"conv": ("conv", "N C T H W")})
    assert cost.macs == cost.stages[0].macs == 3 * 5 * 4 * 10 * 10
    assert cost.stages[0].parameters == PARAMETERS[kind]
    assert cost.parameters == PARAMETERS[kind] + 3 * 5 + 5  # the convolution that never runs, too
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(vars(model.conv)[name] is value for name, value in plain.items())
    assert model.scale.device.type == "cpu"
    assert not hasattr(model, "last")
    assert torch.equal(torch.get_rng_state(), random)


def test_attention_counts_alike_with_shapes_and_with_numbers():
    """Of 4 heads of width 2 over 6 tokens: two products of 6 x 6 x 8 each."""

    class Attend(nn.Module):
        def forward(self, x):
            q = x.flatten(2).reshape(1, 4, 6, 2)
            return nn.functional.scaled_dot_product_attention(q, q, q)

    class AttendToNumbers(Attend):
        def forward(self, x):
            return super().forward(x * (1 + x.mean().item()))

    recipe = Recipe(frames=1, rate=1, crop=4)
    expected = 2 * 6 * 6 * 8
    for kind in (Attend, AttendToNumbers):
        assert measure_cost(kind(), recipe, {}, fvcore=False).macs == expected


def test_a_stage_that_never_runs_and_a_model_that_fails_are_one_line():
    with pytest.raises(UserError, match=r"The forward pass never reached stage 'x': its module 'never' did not run\."):
        measure_cost(Awkward(), RECIPE, {"x": ("never", "N C T H W")})

    class Wrong(Awkward):
        def before(self, x):
            raise KeyError("lost\nfor ever")

    with pytest.raises(UserError, match=r"failed on an input of shape \(1, 3, 4, 10, 10\): KeyError: .*lost") as caught:
        measure_cost(Wrong(), RECIPE, {"x": ("conv", "N C T H W")})
    assert "\n" not in str(caught.value)


def test_a_model_that_fvcore_cannot_trace_is_counted_by_torch_alone():
    class Odd(Awkward):
        def forward(self, x):
            if torch.jit.is_tracing():
                raise LookupError
            return super().forward(x)

    cost = measure_cost(Odd(), RECIPE, {})
    assert (cost.fvcore_macs, cost.macs) == (None, 3 * 5 * 4 * 10 * 10)


@pytest.mark.parametrize(
    ("name", "published"), [("slow_r50_8x8", (54.52, 32.45)), ("slowfast_r50_8x8", (65.71, 34.57))]
)
def test_equal_to_the_published_figures(name, published):
    model = models.create_model(name)
    cost = measure_cost(model, Recipe(**model.spec.recipe), fvcore=False)
    assert (cost.macs / 1e9, cost.parameters / 1e6) == pytest.approx(published, abs=0.006)


def test_the_script_prints_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = succeeds("estimate_flops_params", "--model", "x3d_xs", "--per_stage", "--out", "c.csv")
    assert "stage5" in shown
    assert "2 FLOPs" in shown
    assert len(Path("c.csv").read_text().splitlines()) == 6


def test_the_script_takes_your_own_and_names_slips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine_cost.py").write_text(
        "from torch import nn\ndef build(num_classes=4):\n    return nn.Sequential(nn.Conv3d(3, 4, 1), nn.Flatten(2))\n"
        "class Lost(nn.Conv3d):\n    def __init__(self):\n        super().__init__(3, 4, 1)\n"
        "    def forward(self, x):\n        raise KeyError('lost')\n"
        "def broken():\n    raise LookupError('gone')\n"
    )
    sized = ["--frames", "4", "--crop_size", "100x250"]
    shown = succeeds("estimate_flops_params", "--model", "mine_cost:build", *sized)
    assert float(shown.split()[-1]) == round(3 * 4 * 4 * 100 * 250 / 1e9, 3)  # the last column counts nothing here
    assert "does not declare stages" in fails(
        "estimate_flops_params", "--model", "mine_cost:build", *sized, "--per_stage"
    )
    slips = {
        "i4d": "Did you mean 'i3d'",
        "mine_cost:build": "does not declare its input: give --frames and --image-size",
        "mine_cost:broken": "mine_cost:broken failed with LookupError: gone",
    }
    for model, says in slips.items():
        assert says in fails("estimate_flops_params", "--model", model)
    says = fails("estimate_flops_params", "--model", "mine_cost:Lost", *sized)
    assert "failed on an input of shape (1, 3, 4, 100, 250): KeyError: 'lost'" in says
