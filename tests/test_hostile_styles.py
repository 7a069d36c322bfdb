"""Learned styles of strangers: a small file that promises a large network takes no memory."""

import json
import pickle
import struct

import pytest
import torch
from torch import nn

from static_dynamic.common import pickles
from static_dynamic.common.errors import UserError
from static_dynamic.stylize.networks.learned import load_style, write_style
from static_dynamic.stylize.networks.network import Architecture, Generator
from tests import bombs

TINY = Architecture((4, 4, 4, 4, 4, 4), 1)


def promise(path, **architecture):
    """A file of a few bytes whose note promises this network."""
    note = {"learned_style": json.dumps({"architecture": {"filters": [4] * 6, "blocks": 1, **architecture}})}
    header = json.dumps({"__metadata__": note}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    "architecture",
    [
        {"filters": [1 << 40] * 6},
        {"filters": [4000] * 6},
        {"filters": [4.5] * 6},
        {"filters": "abcdef"},
        {"filters": 3},
        {"filters": [[4]] * 6},
        {"blocks": 1 << 60},
        {"blocks": 4000},
        {"blocks": None},
        {"inputs": 10**30},
        {"norm": [1]},
        {"unknown": 1},
    ],
)
def test_a_promise_takes_no_memory(tmp_path, architecture):
    path = promise(tmp_path / "a.safetensors", **architecture)
    with pytest.raises(UserError) as caught:
        load_style(path, "cpu")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_are_finite(tmp_path, number):
    network = Generator(TINY)
    nn.init.constant_(network.conv0.conv.weight, number)
    write_style(tmp_path / "a.safetensors", network, {})
    with pytest.raises(UserError, match="not finite"):
        load_style(tmp_path / "a.safetensors", "cpu")


@pytest.mark.parametrize("kind", bombs.PICKLES)
@pytest.mark.parametrize("wrap", [bytes, bombs.as_saved])
def test_a_pickle_that_never_ends_is_refused(tmp_path, kind, wrap, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 200_000)
    path = tmp_path / "a.pth"
    path.write_bytes(wrap(bombs.PICKLES[kind]))
    with pytest.raises(UserError, match="does not hold a saved module") as caught:
        load_style(path, "cpu")
    assert "\n" not in str(caught.value)


def test_modules_that_lie_in_each_other_end(tmp_path):
    ring = nn.Module()
    ring.again = nn.Module()
    ring.again._modules["again"] = ring
    torch.save(ring, tmp_path / "a.pth")
    with pytest.raises(UserError, match="without end"):
        load_style(tmp_path / "a.pth", "cpu")


def test_the_bombs_are_pickles():
    """They would be read, given time: what refuses them is not that they are damaged."""
    assert pickle.loads(bombs._tower(10))
    assert pickle.loads(bombs._again(b"ccollections\nOrderedDict\nh\x00R", 3, b"](K\x01N\x86" + b"e\x85"))
