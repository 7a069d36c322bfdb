"""Cost: equal to counting by hand, up to every stage."""

import pytest
import torch
from doors import script, succeeds
from torch import nn

import models
from static_dynamic import FlowRecipe, Recipe
from static_dynamic.cost import measure_cost

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


@pytest.mark.parametrize(
    ("name", "published"), [("slow_r50_8x8", (54.52, 32.45)), ("slowfast_r50_8x8", (65.71, 34.57))]
)
def test_equal_to_the_published_figures(name, published):
    model = models.create_model(name)
    cost = measure_cost(model, Recipe(**model.spec.recipe), fvcore=False)
    assert (cost.macs / 1e9, cost.parameters / 1e6) == pytest.approx(published, abs=0.006)


def test_the_script_prints_a_table_and_names_a_slip(tmp_path):
    table = succeeds("estimate_flops_params", "--model", "x3d_xs", "--per_stage", "--out", tmp_path / "c.csv")
    assert "stage5" in table
    assert "2 FLOPs" in table
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 6
    code, _, error = script("estimate_flops_params", "--model", "i4d")
    assert (code, error.count("\n")) == (2, 1)
    assert "Nearest: i3d" in error
