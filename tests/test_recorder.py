"""The recorder sees every stage in one forward and leaves the model as it found it, whatever happens."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.network.recorder import Recorder, record

STAGES = {"early": ("conv", "N C T H W"), "late": ("head", "N C")}


class Net(nn.Module):
    """A small net with batch norm, dropout, an in-place ReLU after its first stage, and outputs of every kind."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.pair = Returns(lambda x: (x, x.mean((2, 3, 4))))
        self.last = Returns(lambda x: x.movedim(1, -1))
        self.head = nn.Linear(4, 5)
        self.heads_run = 0

    def forward(self, x):
        x = self.drop(self.relu(self.norm(self.conv(x))))
        _, pooled = self.pair(x)
        self.last(x)
        self.heads_run += 1
        return self.head(pooled)


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def clip():
    return torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_activations_are_the_pooled_outputs(net, clip):
    found = record(net, clip, STAGES)
    net.eval()
    assert torch.allclose(found["early"], net.conv(clip).mean((2, 3, 4)), atol=1e-6)
    assert torch.allclose(found["late"], net(clip), atol=1e-6)


def test_outputs_are_equal_bit_for_bit(net, clip):
    net.eval()
    before = net(clip)
    with Recorder(net, STAGES):
        within = net(clip)
    assert torch.equal(before, within)
    assert torch.equal(before, net(clip))


def test_the_model_and_the_random_state_are_left_alone(net, clip):
    net.train()
    net.norm.eval()  # a mixed mode must come back as it was
    modes, weights, random = [m.training for m in net.modules()], state(net), torch.get_rng_state()
    record(net, clip, STAGES)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not hooks(net)


@pytest.mark.parametrize("stages", [{"x": ("conv", "N C")}, {"x": ("conv", None)}])
def test_nothing_remains_after_an_error(net, clip, stages):
    net.train()
    with pytest.raises(UserError):
        record(net, clip, stages)
    assert net.training
    assert not hooks(net)


def test_nothing_remains_when_the_forward_itself_fails(net):
    with pytest.raises(RuntimeError):
        record(net, torch.zeros(1, 7, 4, 8, 8), STAGES)
    assert not hooks(net)


def test_a_forward_stops_after_the_last_wanted_stage(net, clip):
    with Recorder(net, {"early": STAGES["early"]}) as recorder:
        first, second = recorder(clip), recorder(clip)
    assert net.heads_run == 1  # the first forward runs to the end, the second does not
    assert torch.equal(first["early"], second["early"])


def test_calling_the_model_within_runs_it_to_the_end(net, clip):
    with Recorder(net, {"early": STAGES["early"]}) as recorder:
        recorder(clip)
        assert net(clip).shape == (2, 5)
        assert recorder.activations["early"].shape == (2, 4)


def test_elements_of_tuples_and_channels_last(net, clip):
    found = record(
        net, clip, {"map": ("pair", "N C T H W", 0), "vector": ("pair", "N C", 1), "last": ("last", "N T H W C")}
    )
    assert torch.allclose(found["map"], found["vector"], atol=1e-6)
    assert torch.allclose(found["map"], found["last"], atol=1e-6)


def test_a_tuple_of_several_tensors_asks_which(net, clip):
    with pytest.raises(UserError, match=r"returns a tuple \(0: \(2, 4, 4, 8, 8\), 1: \(2, 4\)\)"):
        record(net, clip, {"map": ("pair", "N C T H W")})
    with pytest.raises(UserError, match="names the element 5"):
        record(net, clip, {"map": ("pair", "N C T H W", 5)})


def test_declared_stages_are_found_by_glob_and_side_by_side(net, clip):
    net.spec = SimpleNamespace(stages={"a.one": ("conv", "N C T H W"), "a.two": ("head", "N C")}, recipe={})
    assert list(record(net, clip)) == ["a.one", "a.two"]
    assert list(record(net, clip, ["*.two"])) == ["a.two"]
    both = record(net, clip, ["a.one+a.two"])["a.one+a.two"]
    assert torch.equal(both, torch.cat(list(record(net, clip).values()), 1))


def test_a_declared_stage_goes_before_a_module_of_its_name(net, clip):
    net.spec = SimpleNamespace(stages={"conv": ("head", "N C"), "x.y": ("conv", "N C T H W")})
    assert record(net, clip, ["conv"])["conv"].shape == (2, 5)
    assert list(record(net, clip, ["conv", "x.*"])) == ["conv", "x.y"]


def test_module_paths_serve_where_nothing_is_declared(net, clip):
    assert record(net, clip, ["hea*"], layout="N C")["head"].shape == (2, 5)


def test_an_unknown_stage_lists_the_nearest(net, clip):
    with pytest.raises(UserError, match=r"Unknown stage 'haed'\. Did you mean 'head'"):
        record(net, clip, ["haed"])
    with pytest.raises(UserError, match=r"Unknown module 'con'.*Did you mean 'conv'"):
        record(net, clip, {"x": ("con", "N C")})


def test_a_missing_layout_is_asked_for_never_guessed(net, clip):
    with pytest.raises(UserError, match=r"shape \(2, 4, 4, 8, 8\) for 2 clips; give a layout such as \"N C T H W\""):
        record(net, clip, ["conv"])


def test_a_module_that_runs_twice_is_refused(clip):
    conv = nn.Conv3d(3, 3, 1)
    with pytest.raises(UserError, match="runs more than once"):
        record(nn.Sequential(conv, nn.ReLU(), conv), clip, {"x": ("0", "N C T H W")})


def test_a_module_that_never_runs_is_named(net, clip):
    net.idle = nn.Identity()
    with pytest.raises(UserError, match="never reached stage 'idle'"):
        record(net, clip, {"idle": ("idle", "N C")})


def test_a_model_without_stages_asks_for_them(net, clip):
    with pytest.raises(UserError, match="declares no stages"):
        record(net, clip)


def test_an_in_place_operation_after_a_stage_does_not_reach_it(clip):
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(inplace=True))
    found = record(net, clip, {"conv": ("0", "N C T H W")})["conv"]
    assert torch.allclose(found, net[0](clip).mean((2, 3, 4)), atol=1e-6)


def test_lists_and_dicts_of_inputs(clip):
    class TwoStreams(nn.Module):
        def __init__(self):
            super().__init__()
            self.add = Returns(lambda pair: pair[0] + pair[1])

        def forward(self, inputs):
            return self.add(list(inputs.values()) if isinstance(inputs, dict) else inputs)

    stages = {"sum": ("add", "N C T H W")}
    expected = 2 * clip.mean((2, 3, 4))
    for inputs in ([clip, clip], {"Image": clip, "Flow": clip}):
        assert torch.allclose(record(TwoStreams(), inputs, stages)["sum"], expected, atol=1e-6)


def test_a_pooling_that_a_stage_does_not_allow_is_refused_at_once(net):
    with pytest.raises(UserError, match=r"Stage 'early': Pooling \"cls\" needs an extra token"):
        Recorder(net, STAGES, pool="cls")
    with pytest.raises(UserError, match="Did you mean 'frame'"):
        Recorder(net, STAGES, pool="frames")


def test_a_profile_over_frames(net, clip):
    profile = record(net, clip, {"early": STAGES["early"]}, pool="frame")["early"]
    net.eval()
    assert torch.allclose(profile.unflatten(1, (4, 4)), net.conv(clip).mean((3, 4)).transpose(1, 2), atol=1e-6)


# ---------------------------------------------------------------- several forwards


class Branches(nn.Module):
    """Reaches its second stage only for clips whose first value is above 0."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.grad = nn.Identity(), nn.Identity(), []

    def forward(self, x):
        self.grad.append(torch.is_grad_enabled())
        x = self.first(x)
        return self.second(2 * x) if x.flatten()[0] > 0 else x


def test_a_stage_that_is_not_reached_again_is_not_remembered(clip):
    stages = {"first": ("first", "N C T H W"), "second": ("second", "N C T H W")}
    with Recorder(Branches(), stages) as recorder:
        assert torch.equal(recorder(clip.abs())["second"], 2 * recorder.activations["first"])
        with pytest.raises(UserError, match="never reached stage 'second'"):
            recorder(-clip.abs())
        assert recorder(clip.abs()).keys() == stages.keys()


def test_every_forward_is_recorded_by_itself(net, clip):
    alone = [record(net, clip[i : i + 1], STAGES) for i in range(2)]
    with Recorder(net, STAGES) as recorder:
        for i in (0, 1, 0):
            found = recorder(clip[i : i + 1])
            for stage in STAGES:
                assert found[stage].shape[0] == 1
                assert torch.allclose(found[stage], alone[i][stage], atol=1e-6)


def test_forwards_of_the_recorder_keep_no_gradients(clip):
    net = Branches()
    with Recorder(net, {"first": ("first", "N C T H W")}) as recorder:
        found = recorder(clip.requires_grad_())["first"]
        recorder.run(clip)
        net(clip)
    assert net.grad == [False, False, True]
    assert not found.requires_grad


def test_clips_are_counted_in_arguments_by_name_too(clip):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, *, clip, scale=1.0):
            return self.out(scale * clip)

    net = Named()
    with Recorder(net, {"out": ("out", "N C T H W")}) as recorder:
        net(scale=2.0, clip=clip)
        assert torch.allclose(recorder.activations["out"], 2 * clip.mean((2, 3, 4)), atol=1e-6)


def test_an_output_that_is_overwritten_later_is_recorded_as_it_was(clip):
    class Overwrites(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            y = self.out(x + 0)
            y.zero_()
            return y

    for pool, expected in (("avg", clip.mean((2, 3, 4))), ("max", clip.amax((2, 3, 4)))):
        found = record(Overwrites(), clip, {"out": ("out", "N C T H W")}, pool=pool)["out"]
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_pooling_that_returns_a_part_of_an_output_keeps_it_as_it_was():
    class Overwrites(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            y = self.out(x + 0)
            y.zero_()
            return y

    def first_place(x):
        return x[:, 0]

    features = torch.rand(2, 5)
    found = record(Overwrites(), features, {"out": ("out", "N C")}, pool=first_place)["out"]
    assert torch.equal(found, features)


def test_stages_come_in_the_order_in_which_they_are_named_whatever_the_order_of_the_modules(net, clip):
    stages = {"late": STAGES["late"], "again": STAGES["late"], "early": STAGES["early"]}
    found = record(net, clip, stages)
    assert list(found) == ["late", "again", "early"]
    assert torch.equal(found["late"], found["again"])
    assert found["early"].shape == (2, 4)


def test_units_side_by_side_keep_the_order_in_which_they_are_named(net, clip):
    net.spec = SimpleNamespace(stages=STAGES)
    found = record(net, clip, ["late+early", "early", "late"])
    assert torch.equal(found["late+early"], torch.cat((found["late"], found["early"]), 1))


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_the_recorder_can_go_on_after_a_forward_that_fails(net, clip, kind):
    def fails(*_):
        raise kind

    with Recorder(net, STAGES) as recorder:
        first = recorder(clip)
        handle = net.head.register_forward_pre_hook(fails)
        with pytest.raises(kind):
            recorder(clip)
        handle.remove()
        assert net(clip).shape == (2, 5)  # a forward of the user's own runs to its end
        assert torch.equal(recorder(clip)["late"], first["late"])
    assert not hooks(net)


def test_global_random_numbers_drawn_in_a_forward_do_not_move_the_state(net, clip):
    """Of torch; those of Python and NumPy are in the tests of stages."""

    class Draws(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            return self.out(x + torch.rand(()))

    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    record(Draws(), clip, {"out": ("out", "N C T H W")})
    assert torch.equal(torch.rand(4), expected)
