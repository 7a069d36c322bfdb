"""A store fits one model: whatever decides activations changes a fingerprint, and nothing else does."""

import os
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from static_dynamic.network.fingerprint import DEEPEST, _own_classes, forwards_of, structure_digest, weights_digest


class Net(nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 4, 3, dilation=attributes.pop("dilation", 1))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.conv(x)


class Other(Net):
    """The same weights and attributes; another forward."""

    def forward(self, x):
        return self.conv(x).relu()


def both(model):
    return weights_digest(model), structure_digest(model)


def test_equal_models_have_equal_fingerprints():
    assert both(Net(scale=2.0)) == both(Net(scale=2.0))


def aliased():
    net = Net()
    net.alias = net.conv
    return net


class Opaque:
    """An object whose text says nothing of its number."""

    def __init__(self, number):
        self.number = number


def deep(number):
    value = Opaque(number)
    for _ in range(DEEPEST - 1):
        value = [value]
    return value


DIFFERENT = {
    "dilation": (Net(), Net(dilation=2)),
    "class": (Net(), Other()),
    "number": (Net(scale=2.0), Net(scale=3.0)),
    "text": (Net(mode="a"), Net(mode="b")),
    "private": (Net(_mode="a"), Net(_mode="b")),
    "function": (Net(act=torch.relu), Net(act=torch.tanh)),
    "own function": (Net(act=lambda x: x + 1), Net(act=lambda x: x + 2)),
    "partial function": (
        Net(act=partial(nn.functional.leaky_relu, negative_slope=0.1)),
        Net(act=partial(nn.functional.leaky_relu, negative_slope=0.2)),
    ),
    "function in a partial": (Net(act=partial(torch.relu, 1)), Net(act=partial(torch.tanh, 1))),
    "argument of a partial": (Net(act=partial(torch.clamp, 1)), Net(act=partial(torch.clamp, 2))),
    "module under a second name": (Net(), aliased()),
    "deep inside": (Net(options=deep(3)), Net(options=deep(4))),
    "nested": (Net(options={"a": [1, (2, 3)]}), Net(options={"a": [1, (2, 4)]})),
    "object": (Net(options=SimpleNamespace(depth=3)), Net(options=SimpleNamespace(depth=4))),
    "plain tensor": (Net(kernels=[torch.zeros(2)]), Net(kernels=[torch.ones(2)])),
    "array": (Net(kernel=np.zeros(2)), Net(kernel=np.ones(2))),
    "class attribute": (Net(kind=nn.ReLU), Net(kind=nn.GELU)),
    "stages in another order": (nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.Tanh(), nn.ReLU())),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_decides_activations_beside_weights_changes_the_structure(name):
    first, second = DIFFERENT[name]
    assert weights_digest(first) == weights_digest(second)
    assert structure_digest(first) != structure_digest(second)


def test_order_in_sets_bookkeeping_and_mode_change_nothing():
    plain = structure_digest(Net(names={"a", "b", "c"}))
    noted = Net(names={"c", "b", "a"})
    noted.spec, noted.checkpoint = "where it came from", "x.pth"
    noted.eval().conv.register_forward_hook(lambda *_: None)
    assert structure_digest(noted) == plain


def test_a_forward_pass_that_leaves_a_tensor_behind_is_seen_and_a_circle_ends():
    net = Net()
    net.parent = SimpleNamespace(child=net, itself=None)
    net.parent.itself = net.parent
    assert len(structure_digest(net)) == 64


class Holder:
    pass


def circles():
    holder, listed, mapped = Holder(), [], {}
    holder.held, mapped["held"] = holder, mapped
    listed.append(listed)

    def calls_itself(x):
        return calls_itself(x)

    def calls_the_other(x):
        return other(x)

    def other(x):
        return calls_the_other(x)

    return [holder, listed, mapped, calls_itself, calls_the_other, partial(calls_the_other, holder)]


@pytest.mark.parametrize("number", range(6))
def test_a_circle_of_any_kind_ends(number):
    assert structure_digest(Net(held=circles()[number])) == structure_digest(Net(held=circles()[number]))


def test_classes_of_torch_count_by_name_alone():
    """Their code differs from version to version; what it does is torch's promise."""
    assert list(_own_classes(Other)) == [Other, Net]
    assert list(_own_classes(nn.Conv3d)) == []


def test_the_names_of_weights_count():
    one, other = (nn.ParameterDict({name: torch.ones(2), "x": torch.zeros(2)}) for name in "ab")
    assert weights_digest(one) != weights_digest(other)


def test_every_weight_counts():
    plain = weights_digest(Net())
    for change in ("conv.weight", "conv.bias"):
        net = Net()
        with torch.no_grad():
            net.get_parameter(change).view(-1)[-1] += 1
        assert weights_digest(net) != plain
    for persistent in (True, False):
        digests = set()
        for value in (0.0, 1.0):
            net = Net()
            net.register_buffer("table", torch.tensor([value]), persistent=persistent)
            digests.add(weights_digest(net))
        assert len(digests) == 2
    assert weights_digest(Net().double()) != plain


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.int8, torch.bool])
def test_weights_of_any_type_are_digested(dtype):
    digests = set()
    for value in (0, 1):
        net = nn.Module()
        net.register_buffer("table", torch.full((3,), value, dtype=dtype))
        digests.add(weights_digest(net))
    assert len(digests) == 2


CODE = """
from torch import nn
from static_dynamic.network.fingerprint import structure_digest
class A(nn.Module):
    def forward(self, x): return x + 1
def wrapped(function):
    return lambda x: function(x)
class Holder: pass
net = A()
net.deep = wrapped(wrapped(wrapped(wrapped(nn.functional.relu))))
net.deeper = [[[[[[[[Holder(), net.deep]]]]]]]]
net.names, net.act = {'x', 'y', 'z'}, nn.functional.relu
digest = structure_digest(net)
"""


def run(code):
    names = {"__name__": "somewhere"}
    exec(code, names)
    return names["digest"]


def test_without_a_source_what_was_compiled_tells():
    assert run(CODE) == run(CODE)
    assert run(CODE) != run(CODE.replace("x + 1", "x + 2"))
    assert run(CODE) != run(CODE.replace("functional.relu", "functional.silu"))


def test_another_process_gets_the_same():
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    code = CODE.replace("class A", "__name__ = 'somewhere'\nclass A") + "print(digest)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == run(CODE)


def test_values_that_a_function_closes_over_count():
    def adding(number):
        return lambda x: x + number

    assert structure_digest(Net(act=adding(1))) == structure_digest(Net(act=adding(1)))
    assert structure_digest(Net(act=adding(1))) != structure_digest(Net(act=adding(2)))


def test_functions_in_functions_count_as_deep_as_a_fingerprint_looks():
    """Defaults and closed values lie two deeper than their function, so a second function around it ends the look."""

    def holding(value):
        return lambda x: x + value.number

    def wrapped(function):
        return lambda x: function(x)

    near, far = ([Net(act=around(holding(Opaque(n)))) for n in (3, 4)] for around in (lambda act: act, wrapped))
    assert structure_digest(near[0]) != structure_digest(near[1])
    assert structure_digest(far[0]) == structure_digest(far[1])


def test_what_forward_passes_change_is_no_structure_but_what_a_user_changes_is():
    net = Net(steps=0, scale=2.0)
    fresh = structure_digest(net)
    with forwards_of(net):
        net.steps += 3
        net.kept = torch.zeros(3)
    assert structure_digest(net) == fresh
    with forwards_of(net):
        net.steps += 1
    assert structure_digest(net) == fresh == structure_digest(Net(steps=0, scale=2.0))
    net.scale = 3.0
    assert structure_digest(net) != fresh
