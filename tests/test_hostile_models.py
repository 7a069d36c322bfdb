"""Models that are not steady are named, and digests see all that decides activations."""

import torch
import torch.nn.functional as F
from torch import nn

import static_dynamic as sd
from static_dynamic.media.clip import Recipe
from static_dynamic.network.fingerprint import weights_digest

RECIPE = Recipe(frames=4, rate=1, crop=16)
STAGES = {"relu": ("1", "N C T H W")}


def measured(net):
    result = sd.measure(net, "factorial:8", STAGES, recipe=RECIPE, twins=0, estimators="released")
    return "\n".join(result.warnings)


class Dropping(nn.Sequential):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5, training=True))


class Learning(nn.Sequential):
    def forward(self, x):
        self.train()
        return super().forward(x)


def net(kind=nn.Sequential, *more):
    torch.manual_seed(0)
    return kind(nn.Conv3d(3, 4, 3), nn.ReLU(), *more)


def test_dropout_that_is_always_on_is_named():
    assert "Two equal forward passes of this model differ (stages relu)" in measured(net(Dropping))


def test_statistics_that_move_are_named_and_modes_come_back():
    model = net(Learning, nn.BatchNorm3d(4)).eval()
    assert "changes weights or buffers of this model (2." in measured(model)
    assert not any(module.training for module in model.modules())


def test_a_steady_model_is_not_named_and_its_random_state_stays():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    said = measured(net(nn.Sequential, nn.Dropout(0.5)))
    assert "forward pass" not in said
    torch.manual_seed(3)
    assert torch.equal(torch.get_rng_state(), before)


class Packed(nn.Module):
    """Keeps its weights as quantised modules do: in the checkpoint, but neither as a parameter nor as a buffer."""

    def __init__(self, value):
        super().__init__()
        self.__dict__["_packed"] = [torch.full((2, 2), value, dtype=torch.int8)]

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "_packed"] = tuple(self._packed)


def test_packed_weights_and_hidden_buffers_are_in_the_digest():
    assert weights_digest(Packed(1)) == weights_digest(Packed(1)) != weights_digest(Packed(2))
    hidden = [nn.Module(), nn.Module()]
    for number, module in enumerate(hidden):
        module.register_buffer("mask", torch.full((2,), float(number)), persistent=False)
    assert weights_digest(hidden[0]) != weights_digest(hidden[1])


def test_the_digest_of_a_usual_model_is_what_it_was():
    model = nn.Linear(2, 1)
    nn.init.constant_(model.weight, 0.5)
    nn.init.constant_(model.bias, 0.25)
    assert weights_digest(model) == OLD


OLD = "63ba10e2fff1bc4c9c1b2d5702bc6e8ae703da526e691743900e46506053fe2d"
