"""Units are taken out or exchanged in any layout: those that are meant, to exactly the right values, and nothing else."""

import random
import re
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import static_dynamic as sd
from static_dynamic.common.errors import UserError

# How outputs (N, C, T, H, W) are arranged into each layout, written out by hand.
ARRANGED = {
    "N C T H W": lambda x: x,
    "N T H W C": lambda x: x.permute(0, 2, 3, 4, 1),
    "C N T H W": lambda x: x.permute(1, 0, 2, 3, 4),
    "T N C H W": lambda x: x.permute(2, 0, 1, 3, 4),
    "(N T) C H W": lambda x: x.permute(0, 2, 1, 3, 4).reshape(-1, x.shape[1], *x.shape[3:]),
    "(T N) C H W": lambda x: x.permute(2, 0, 1, 3, 4).reshape(-1, x.shape[1], *x.shape[3:]),
    "N (T H W) C": lambda x: x.permute(0, 2, 3, 4, 1).reshape(x.shape[0], -1, x.shape[1]),
    "(N H W) T C": lambda x: x.permute(0, 3, 4, 2, 1).reshape(-1, x.shape[2], x.shape[1]),
}
TOKENS = "N (1 T H W) C"
CELLS = "N C T H W"


class Arranged(nn.Module):
    """Its one stage puts out what it is given, (N, C, T, H, W), in some layout; tokens get a class token in front."""

    def __init__(self, layout):
        super().__init__()
        self.layout, self.stage = layout, nn.Identity()

    def arrange(self, x):
        if self.layout != TOKENS:
            return ARRANGED[self.layout](x)
        patches = ARRANGED["N (T H W) C"](x)
        return torch.cat((3 * patches[:, :1] + 1, patches), 1)

    def forward(self, flat, shape):
        return self.stage(self.arrange(flat.reshape(-1, *shape)))


class Shaped(nn.Module):
    """Takes clips without their shape, so that nothing is taken for a number of frames."""

    def __init__(self, layout, shape):
        super().__init__()
        self.net, self.shape = Arranged(layout), shape

    def forward(self, flat):
        return self.net(flat, self.shape)

    def canonical(self, flat):
        """``(N, C, positions)``, the class token last."""
        x = flat.reshape(-1, *self.shape).flatten(2)
        return torch.cat((x, 3 * x[:, :, :1] + 1), 2) if self.net.layout == TOKENS else x

    def arranged(self, canonical):
        """``(N, C, positions)``, the class token last → the layout."""
        if self.net.layout == TOKENS:
            return canonical.roll(1, 2).transpose(1, 2)
        return ARRANGED[self.net.layout](canonical.reshape(-1, *self.shape))


def replaced(x, units, instead):
    """``x`` ``(N, C, positions)`` with ``instead(n, c, p)`` in the place of units, number by number."""
    expected = x.clone()
    for n in range(x.shape[0]):
        for c in units:
            for p in range(x.shape[2]):
                expected[n, c, p] = instead(n, c, p)
    return expected


def replaced_within(x, directions, instead):
    """The same within the span of directions: of each vector the component that least squares find."""
    expected = x.clone()
    columns = np.asarray(directions, np.float64).T
    for n in range(x.shape[0]):
        for p in range(x.shape[2]):
            off = np.array([float(instead(n, c, p) - x[n, c, p]) for c in range(x.shape[1])])
            component = columns @ np.linalg.lstsq(columns, off, rcond=None)[0]
            expected[n, :, p] += torch.from_numpy(component)
    return expected


def contents(how, x, reference, other):
    """What stands in place of unit c of clip n at position p."""
    return {
        "zero": lambda n, c, p: 0.0,
        "mean": lambda n, c, p: sum(float(clip[c, p]) for clip in reference) / len(reference),
        "resample": lambda n, c, p: x[other[n], c, p],
    }[how]


def others(clips, seed):
    """Whose map each clip of a batch gets: seen from clips that are constant, each its own number."""
    net = nn.Sequential(nn.Identity())
    with sd.ablate(net, {"0": [0]}, how="resample", layout="N C", seed=seed):
        return [int(number) for number in net(torch.arange(float(clips))[:, None])[:, 0]]


# ---------------------------------------------------------------- every layout


@pytest.mark.parametrize("layout", [*ARRANGED, TOKENS])
@settings(max_examples=25)
@given(st.data())
def test_the_units_meant_change_to_the_right_values_and_no_others(layout, data):
    n, c, t, h, w = data.draw(st.tuples(st.integers(2, 4), st.integers(1, 4), *[st.integers(1, 3)] * 3))
    units = data.draw(st.lists(st.integers(0, c - 1), min_size=1, max_size=5))
    how, seed = data.draw(st.sampled_from(["zero", "mean", "resample"])), data.draw(st.integers(0, 99))
    draw = torch.Generator().manual_seed(seed)
    flat, reference = (torch.randn(k, c * t * h * w, generator=draw, dtype=torch.float64) for k in (n, n + 1))
    net = Shaped(layout, (c, t, h, w))
    x = net.canonical(flat)
    expected = replaced(x, set(units), contents(how, x, net.canonical(reference), others(n, seed)))
    mask = [number in units for number in range(c)]
    for given_as in (units, torch.tensor(units), mask, np.array(mask)):
        with sd.ablate(
            net, {"s": given_as}, how=how, reference=reference, stages={"s": ("net.stage", layout)}, seed=seed
        ) as same:
            assert same is net
            assert torch.allclose(net(flat), net.arranged(expected), rtol=1e-12, atol=1e-12)
    kept = [number for number in range(c) if number not in units]
    assert torch.equal(expected[:, kept], x[:, kept])
    assert torch.equal(net(flat), net.arranged(x))


@pytest.mark.parametrize("layout", [*ARRANGED, TOKENS])
@settings(max_examples=25)
@given(st.data())
def test_the_component_within_a_subspace_changes_and_the_rest_stays(layout, data):
    n, c, t, h, w = data.draw(st.tuples(st.integers(2, 3), st.integers(2, 5), *[st.integers(1, 2)] * 3))
    how, seed = data.draw(st.sampled_from(["zero", "mean", "resample"])), data.draw(st.integers(0, 99))
    draw = torch.Generator().manual_seed(seed)
    flat, reference = (torch.randn(k, c * t * h * w, generator=draw, dtype=torch.float64) for k in (n, n + 1))
    directions = 5 * torch.randn(data.draw(st.integers(1, c)), c, generator=draw, dtype=torch.float64)
    dependent = torch.cat((directions, directions.sum(0, keepdim=True)))  # spans the same
    net = Shaped(layout, (c, t, h, w))
    x = net.canonical(flat)
    expected = replaced_within(x, directions, contents(how, x, net.canonical(reference), others(n, seed)))
    for given_as in (directions, dependent.numpy()):
        with sd.ablate(
            net, {"s": given_as}, how=how, reference=reference, stages={"s": ("net.stage", layout)}, seed=seed
        ):
            assert torch.allclose(net(flat), net.arranged(expected), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("layout", [*ARRANGED, TOKENS])
def test_units_of_a_donor_come_clip_by_clip_and_position_by_position(layout):
    shape = (5, 2, 3, 2)
    flat, donor = torch.randn(2, 3, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = Shaped(layout, shape)
    x, other = net.canonical(flat), net.canonical(donor)
    for units, expected in (
        ([1, 4], replaced(x, [1, 4], lambda n, c, p: other[n, c, p])),
        ([[1.0, 2, 0, 0, -1]], replaced_within(x, [[1.0, 2, 0, 0, -1]], lambda n, c, p: other[n, c, p])),
        (np.eye(5), other),
    ):
        with sd.patch(net, {"s": units}, donor, stages={"s": ("net.stage", layout)}):
            assert torch.allclose(net(flat), net.arranged(expected), atol=1e-12)
        assert torch.equal(net(flat), net.arranged(x))


# ---------------------------------------------------------------- a whole model


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Net(nn.Module):
    """Batch norm and dropout, a shortcut that holds the output of the first stage, in-place ReLU, a classifier."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.norm, self.relu, self.drop = nn.BatchNorm3d(4), nn.ReLU(inplace=True), nn.Dropout()
        self.mix, self.head = nn.Conv3d(4, 6, 1), nn.Linear(6, 5)
        self.spec = SimpleNamespace(
            stages={"early": ("conv", CELLS), "middle": ("mix", CELLS), "late": ("head", "N C")}, recipe={}
        )

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        return self.head(self.mix(self.drop(x)).mean((2, 3, 4)))

    def after_conv(self, x):
        return self.head(self.mix(self.norm(x).relu()).mean((2, 3, 4)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = Net()
    net.norm.running_mean.uniform_(-0.1, 0.1)
    return net


@pytest.fixture
def clips():
    return torch.randn(3, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_the_model_goes_on_with_what_is_left(net, clips):
    with sd.ablate(net, {"early": [0, 3]}, how="zero"):
        found = net(clips)
    net.eval()
    x = net.conv(clips)
    x[:, [0, 3]] = 0
    assert torch.allclose(found, net.after_conv(x), atol=1e-6)
    assert not torch.allclose(found, net(clips), atol=1e-3)


def test_means_are_over_all_reference_clips_whatever_their_batches(net, clips):
    reference = torch.randn(5, 3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    net.eval()
    x = net.conv(clips)
    x[:, 2] = net.conv(reference)[:, 2].mean(0)
    expected = net.after_conv(x)
    batches = [reference[:1], reference[1:]]
    for given_as in (reference, iter(batches), (batch for batch in batches), torch.utils.data.DataLoader(reference, 2)):
        with sd.ablate(net, {"early": [2]}, reference=given_as):
            assert torch.allclose(net(clips), expected, atol=1e-6)


def test_reference_and_donor_come_in_the_precision_of_the_model(net, clips):
    net.double()
    with sd.ablate(net, {"late": range(5)}, reference=clips):
        means = net(clips.double())
    with sd.patch(net, {"late": range(5)}, clips):
        assert torch.allclose(net(clips.double()).mean(0).expand(3, -1), means)


def test_a_list_is_one_input_of_several_tensors(clips):
    net = nn.Sequential(Returns(lambda pair: pair[0] + pair[1]))
    with sd.ablate(net, {"0": [1]}, reference=[clips, clips], layout=CELLS):
        found = net([clips, 0 * clips])
    assert torch.allclose(found[:, 1], 2 * clips[:, 1].mean(0).expand(3, -1, -1, -1), atol=1e-6)
    assert torch.equal(found[:, 0], clips[:, 0])


def test_several_stages_at_once_and_means_are_those_of_the_intact_model(net, clips):
    with sd.ablate(net, {"early": [1], "middle": [0, 5], "late": [4]}, reference=clips):
        found = net(clips)
    net.eval()
    x = net.conv(clips)
    intact = net.mix(net.norm(x).relu())
    x[:, 1] = x[:, 1].mean(0)
    x = net.mix(net.norm(x).relu())
    x[:, [0, 5]] = intact[:, [0, 5]].mean(0)
    x = net.head(x.mean((2, 3, 4)))
    x[:, 4] = net(clips)[:, 4].mean()
    assert torch.allclose(found, x, atol=1e-5)


def test_units_are_those_of_another_clip_the_same_at_every_stage():
    net = nn.Sequential(nn.Identity(), nn.Identity())
    clips = torch.arange(7.0)[:, None].expand(7, 2)
    with sd.ablate(net, {"0": [0], "1": [1]}, how="resample", layout="N C", seed=5):
        found, again = net(clips), net(clips)
    assert torch.equal(found, again)
    assert torch.equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("clips", [2, 3, 4, 9])
def test_no_clip_keeps_its_own_and_every_clip_gives_once(clips):
    drawn = [others(clips, seed) for seed in range(30)]
    for one in drawn:
        assert sorted(one) == list(range(clips))
        assert all(number != other for number, other in enumerate(one))
    assert (clips == 2) == (len({tuple(one) for one in drawn}) == 1)


def test_all_units_of_a_donor_give_the_output_of_the_donor(net, clips):
    frozen = clips[:, :, :1].expand_as(clips)
    net.eval()
    for stage, width in (("early", 4), ("middle", 6), ("late", 5)):
        with sd.patch(net, {stage: range(width)}, frozen):
            assert torch.allclose(net(clips), net(frozen), atol=1e-6)
    assert not torch.allclose(net(clips), net(frozen), atol=1e-3)


def test_a_clip_that_is_its_own_donor_changes_nothing(net, clips):
    net.eval()
    whole = net(clips)
    for units in ([0, 2], [True, False, False, True], torch.randn(2, 4, generator=torch.Generator().manual_seed(3))):
        with sd.patch(net, {"early": units}, clips):
            assert torch.allclose(net(clips), whole, atol=1e-5)


# ---------------------------------------------------------------- outputs of every kind

Named = namedtuple("Named", "first second")


@dataclass(frozen=True)
class Fields:
    first: torch.Tensor
    second: torch.Tensor


@pytest.mark.parametrize(
    ("make", "item", "get"),
    [
        (lambda a, b: (a, b), 1, lambda out: out),
        (lambda a, b: [a, b], -1, lambda out: out),
        (Named, 1, lambda out: out),
        (Named, "second", lambda out: out),
        (lambda a, b: {"first": a, "second": b}, "second", lambda out: list(out.values())),
        (lambda a, b: {"first": a, "second": b}, 1, lambda out: list(out.values())),
        (Fields, "second", lambda out: (out.first, out.second)),
        (lambda a, b: torch.return_types.max([a, b]), 1, lambda out: out),
        (lambda a, b: ("text", b), None, lambda out: out),
    ],
)
def test_of_several_tensors_one_changes_and_the_type_stays(make, item, get):
    made = []

    def returns(x):
        made.append(make(x, 2 * x))
        return made[-1]

    net, x = nn.Sequential(Returns(returns)), torch.rand(2, 3)
    with sd.ablate(net, {"s": [0]}, how="zero", stages={"s": ("0", "N C", item)}):
        out = net(x)
    assert type(out) is type(made[0])
    first, second = get(out)
    assert first is get(made[0])[0]
    assert torch.equal(second, torch.cat((torch.zeros(2, 1), 2 * x[:, 1:]), 1))
    assert torch.equal(get(made[0])[1], 2 * x)  # what the module put out itself is as it was


def test_two_elements_of_one_output_are_two_stages():
    net, x = nn.Sequential(Returns(lambda x: (x, x + 1))), torch.rand(2, 3)
    with sd.ablate(net, {"a": [0], "b": [1]}, how="zero", stages={"a": ("0", "N C", 0), "b": ("0", "N C", 1)}):
        a, b = net(x)
    assert torch.equal(a, x * torch.tensor([0.0, 1, 1]))
    assert torch.equal(b, (x + 1) * torch.tensor([1.0, 0, 1]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("units", [[1], [[1.0, 1.0, 0.0]]])
@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_outputs_keep_their_precision(dtype, units, how):
    net, x = nn.Sequential(nn.Identity()), torch.rand(4, 3, 5).to(dtype)
    with sd.ablate(net, {"0": units}, how=how, reference=x, layout="N C T"):
        found = net(x)
    assert found.dtype == dtype
    assert torch.equal(found[:, 2], x[:, 2])


def test_the_mean_of_many_half_precision_clips_is_exact_and_a_subspace_is_not_rounded_under_autocast():
    net, x = nn.Sequential(nn.Identity()), torch.full((1000, 1), 100.0, dtype=torch.float16)
    with sd.ablate(net, {"0": [0]}, reference=x, layout="N C"):
        assert torch.equal(net(x[:2]), x[:2])  # a sum in half precision would be infinite
    fine = torch.tensor([[1.001, 0.0]])
    with sd.ablate(net, {"0": [[0.0, 1.0]]}, how="zero", layout="N C"), torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(net(fine + torch.tensor([0.0, 1.001])), fine, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- what is left behind


def test_the_model_and_the_random_state_are_left_as_found(net, clips):
    net.train()
    net.norm.eval()
    modes, states = [m.training for m in net.modules()], (torch.get_rng_state(), np.random.get_state()[1].copy())
    of_python, weights = random.getstate(), {name: value.clone() for name, value in net.state_dict().items()}
    for block in (
        lambda: sd.ablate(net, {"early": [0]}, reference=clips),
        lambda: sd.patch(net, {"early": [0]}, clips),
        lambda: sd.ablate(net, {"early": [0]}, how="resample"),
    ):
        with block():
            assert not any(m.training for m in net.modules())
            net(clips)
            torch.rand(1), np.random.rand(), random.random()
        with pytest.raises(KeyboardInterrupt), block():
            raise KeyboardInterrupt
        with pytest.raises(RuntimeError), block():
            net(torch.zeros(1, 7, 4, 8, 8))
        assert not hooks(net)
        assert [m.training for m in net.modules()] == modes
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1] == states[1]).all()
        assert random.getstate() == of_python
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("units", [{"early": [4]}, {"early": [0], "late": [9]}])
def test_nothing_remains_when_the_reference_fails(net, clips, units):
    net.train()
    for block in (sd.ablate(net, units, reference=clips), sd.patch(net, units, clips)):
        with pytest.raises(UserError), block:
            pass
        assert net.training
        assert not hooks(net)


def test_the_next_forward_is_counted_anew_after_one_that_fails(net, clips):
    with sd.ablate(net, {"early": [0]}, how="zero"):
        expected = net(clips)
        handle = net.head.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            net(clips)
        handle.remove()
        assert torch.equal(net(clips), expected)
        assert torch.allclose(net(clips[:1]), expected[:1], atol=1e-6)


def test_other_branches_that_hold_the_output_see_it_as_it_was():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage = Returns(lambda x: x)

        def forward(self, x):
            return x, self.stage(x)

    net, x = Held(), torch.rand(2, 3)
    for units in ([0], [[1.0, 1.0, 1.0]]):
        with sd.ablate(net, {"stage": units}, how="zero", layout="N C"):
            held, changed = net(x)
        assert held is x
        assert not torch.equal(held, changed)


@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_gradients_flow_through_what_is_kept_alone(how):
    net, x = nn.Sequential(nn.Identity()), torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(3, 4, dtype=torch.float64)
    direction = torch.tensor([[3.0, 0.0, 4.0, 0.0]]).double() / 5
    for units, expected in (
        ([1, 2], weights * torch.tensor([1.0, 0, 0, 1]).double()),
        (direction, weights - weights @ direction.T @ direction),
    ):
        with sd.ablate(net, {"0": units}, how=how, reference=x, layout="N C"):
            (gradient,) = torch.autograd.grad((weights * net(x)).sum(), x)
        assert torch.allclose(gradient, expected)


# ---------------------------------------------------------------- one within another


def test_a_recording_within_sees_the_changed_activations(net, clips):
    intact = sd.record(net, clips)
    with sd.ablate(net, {"early": [1]}, how="zero"):
        changed = sd.record(net, clips)
    assert torch.equal(changed["early"][:, 1], torch.zeros(3))
    assert torch.equal(changed["early"][:, [0, 2, 3]], intact["early"][:, [0, 2, 3]])
    assert not torch.allclose(changed["late"], intact["late"], atol=1e-3)
    again = sd.record(net, clips)
    assert all(torch.equal(again[stage], intact[stage]) for stage in intact)


def test_a_recorder_that_was_open_before_sees_the_stage_as_it_was_and_what_follows_changed(net, clips):
    intact = sd.record(net, clips)
    with sd.Recorder(net) as recorder, sd.ablate(net, {"early": [1]}, how="zero"):
        found = recorder(clips)
    assert torch.equal(found["early"], intact["early"])
    assert not torch.allclose(found["late"], intact["late"], atol=1e-3)


def test_blocks_within_blocks_add_up_and_end_one_by_one(net, clips):
    net.eval()
    whole = net(clips)
    with sd.ablate(net, {"early": [0]}, how="zero"):
        outer = net(clips)
        with sd.ablate(net, {"early": [1], "late": [2]}, how="zero"):
            both = net(clips)
        assert torch.equal(net(clips), outer)
    with sd.ablate(net, {"early": [0, 1], "late": [2]}, how="zero"):
        assert torch.allclose(net(clips), both, atol=1e-6)
    assert torch.equal(net(clips), whole)


def test_means_of_an_inner_block_are_those_of_the_model_as_the_outer_one_left_it(net, clips):
    net.eval()
    with sd.ablate(net, {"early": range(4)}, how="zero"):
        constant = net(clips)
        with sd.ablate(net, {"late": range(5)}, reference=clips):
            assert torch.allclose(net(clips), constant, atol=1e-6)


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("units", "options", "says"),
    [
        ({"early": [1, 4]}, {}, r"Stage 'early': Unit 4 does not exist: units are numbered 0\.\.3\."),
        ({"early": [-1]}, {}, r"Stage 'early': Unit -1 does not exist"),
        ({"early": [True] * 3}, {}, r"Stage 'early': The mask must have one truth value per unit, 4\. Got 3\."),
        ({"early": [False] * 4}, {}, "Stage 'early': At least one unit is required"),
        ({"early": []}, {}, "At least one unit is required"),
        ({"early": torch.ones(2, 5)}, {}, r"Directions must have one number per unit, 4\. Got 5\."),
        ({"early": torch.zeros(2, 4)}, {}, "The directions span nothing: all 2 of them are 0"),
        ({"early": [[1.0, float("nan"), 0.0, 0.0]]}, {}, "Directions must be finite"),
        ({"early": [0.5, 1.0]}, {}, r"Units must be given as units=\[0, 3\].*Got \[0\.5, 1\.0\]"),
        ({"early": [[1.0], [1.0, 2.0]]}, {}, "Units must be given as"),
        ({"early": 3}, {}, r"Units must be given as.*Got 3\."),
        ({"early": np.ones((2, 4), bool)}, {}, "Units must be given as"),
        ({"erly": [0]}, {}, "Unknown stage 'erly'.*Did you mean 'early'"),
        ({"erly": [0]}, {"stages": ["early", "late"]}, "Unknown stage 'erly' in units.*Did you mean 'early'"),
        ({"late": [0]}, {"stages": {"early": ("conv", CELLS)}}, "Unknown stage 'late' in units.*Allowed: early"),
        ({"e*": [0]}, {}, r"Unknown stage 'e\*' in units.*Allowed: early"),
        ({"early+late": [0]}, {}, "joins several tensors"),
        ({"conv": [0]}, {"how": "zero"}, 'no layout and none is guessed.*give a layout such as "N C T H W"'),
        ({"x": [0]}, {"how": "zero", "stages": {"x": ("conv", "N C")}}, "Stage 'x': .*does not fit"),
        ([0], {}, r"`units` must be a mapping from stages to units, e\.g\. units=\{'late': \[0, 3\]\}\. Got \[0\]"),
        ({}, {}, "`units` must be a mapping from stages to units"),
        (
            {"early": [0]},
            {"how": "means"},
            r"Unknown way to ablate 'means' in how. Did you mean 'mean'\? Allowed: zero, mean",
        ),
        ({"early": [0]}, {"reference": None}, "Means need clips: give `reference=clips`"),
        ({"early": [0]}, {"reference": iter([])}, "the `reference` is empty"),
        (
            {"early": [0]},
            {"reference": torch.full((2, 3, 4, 8, 8), torch.nan)},
            "Stage 'early': these units are NaN or infinite on the `reference` clips",
        ),
        (
            {"early": [0]},
            {"reference": 3},
            "The `reference` must be an input of the model, or batches of inputs. Got 3",
        ),
        ({"early": [0]}, {"reference": [torch.ones(1)]}, r"The model failed on an input of shape.*iter\("),
        ({"early": [0]}, {"how": "resample", "seed": -1}, "The 'seed' must be a non-negative integer"),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing(net, clips, units, options, says):
    net.train()
    with pytest.raises(UserError, match=says) as error, sd.ablate(net, units, **{"reference": clips, **options}):
        net(clips)
    assert "\n" not in str(error.value)
    assert net.training
    assert not hooks(net)


def test_one_clip_has_no_other(net, clips):
    with (
        pytest.raises(UserError, match=r"a batch must have at least 2 clips\. Got 1\."),
        sd.ablate(net, {"early": [0]}, how="resample"),
    ):
        net(clips[:1])


def test_a_donor_of_another_size_is_refused(net, clips):
    with sd.patch(net, {"early": [0]}, clips):
        with pytest.raises(UserError, match=r"Stage 'early': The donor .*: \(2, 4, 8, 8\)\. Got \(3, 4, 8, 8\)\."):
            net(clips[:2])
        with pytest.raises(UserError, match=r": \(3, 4, 4, 8\)\. Got \(3, 4, 8, 8\)\."):
            net(clips[:, :, :, :4])
        net(clips)


def test_means_of_other_positions_are_refused(net, clips):
    says = r"the positions of the reference, \(2, 8, 8\)\. Got \(4, 8, 8\)\."
    with pytest.raises(UserError, match=says), sd.ablate(net, {"early": [0]}, reference=clips[:, :, :2]):
        net(clips)
    with (
        pytest.raises(UserError, match="the positions of the reference"),
        sd.ablate(net, {"early": [0]}, reference=iter([clips, clips[:, :, :2]])),
    ):
        pass


def test_a_module_that_runs_twice_is_refused(clips):
    conv = nn.Conv3d(3, 3, 1)
    net = nn.Sequential(conv, nn.ReLU(), conv)
    with (
        pytest.raises(UserError, match="Stage 'x': module '0' runs more than once"),
        sd.ablate(net, {"x": [0]}, how="zero", stages={"x": ("0", CELLS)}),
    ):
        net(clips)


def test_a_stage_that_is_not_reached_is_named(net, clips):
    net.idle = nn.Identity()
    with (
        pytest.raises(UserError, match="never reached stage 'idle'"),
        sd.ablate(net, {"idle": [0]}, how="zero", layout="N C"),
    ):
        net(clips)


def test_a_module_that_runs_alone_is_refused(net, clips):
    with sd.ablate(net, {"early": [0]}, how="zero"):
        net(clips)
        with pytest.raises(UserError, match=r"Stage 'early': its module ran alone\. Call the model itself"):
            net.conv(clips)


def test_outputs_that_are_no_real_numbers_are_refused():
    net = nn.Sequential(Returns(lambda x: x.long()))
    with (
        pytest.raises(UserError, match=r"Stage '0': Only real numbers can be replaced\. Its output is torch\.int64\."),
        sd.ablate(net, {"0": [0]}, how="zero", layout="N C"),
    ):
        net(torch.rand(2, 3))


def test_models_that_take_no_lasting_hooks_are_refused(net):
    compiled = nn.Module()
    compiled._orig_mod = net  # as torch.compile, which takes seconds to load, wraps it
    says = r"A compiled model cannot be changed.*model\._orig_mod"
    with pytest.raises(UserError, match=says), sd.ablate(compiled, {"early": [0]}, how="zero"):
        pass
    with pytest.raises(UserError, match=r"must be a torch\.nn\.Module\. Got str"), sd.patch("net", {"0": [0]}, None):
        pass


# ---------------------------------------------------------------- the docs


BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "docs" / "measure.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_the_examples_in_the_docs_run(block, capsys):
    torch.manual_seed(0)
    exec(compile(block, "measure.md", "exec"), {"__name__": "measure"})
    assert "nan" not in capsys.readouterr().out
