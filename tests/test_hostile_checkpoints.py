"""Checkpoints of strangers: refused in one line, soon, with little memory, and the model is as it was."""

import copy
import io
import json
import pickle
import resource
import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from static_dynamic import models
from static_dynamic.common import pickles
from static_dynamic.common.pickles import check_pickle, check_saved
from static_dynamic.models.weights import finding, reading
from static_dynamic.models.weights.checkpoints import load_checkpoint
from tests import bombs

STATE = nn.Linear(4, 3).state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def refused(path, model=None):
    """What is said; the model and the memory are checked."""
    model = model or nn.Linear(4, 3)
    before, memory = copy.deepcopy(model.state_dict()), _peak()
    with pytest.raises(models.ModelError) as caught:
        load_checkpoint(model, path, strict=False)
    assert _peak() - memory < 1 << 30
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0, equal_nan=True)
    return str(caught.value)


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.mark.parametrize("kind", bombs.PICKLES)
@pytest.mark.parametrize("wrap", [bytes, bombs.as_saved])
def test_a_pickle_that_never_ends_is_refused(path, kind, wrap, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 200_000)
    path.write_bytes(wrap(bombs.PICKLES[kind]))
    assert "unlimited time or memory" in refused(path)


def test_parts_that_stand_in_many_places_are_looked_at_so_often_and_no_more(path, monkeypatch):
    monkeypatch.setattr(finding, "MOST_ENTRIES", 10_000)
    inner = []
    content = [inner] * 90
    for _ in range(10):
        inner += [[]] * 90
        inner = inner[0]
    torch.save({"state": content, **STATE}, path)
    assert "the same ones again and again" in refused(path)


def test_what_is_refused_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr(reading, "HarmlessUnpickler", lambda *_, **__: pytest.fail("read"))
    path.write_bytes(bombs.PICKLES["a tower of tuples"])
    assert "trust_checkpoint=True" in refused(path)


def test_usual_files_pass(tmp_path):
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(100)))
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.zeros(1, 2)).sum().backward()
    optimiser.step()
    content = {"state_dict": net.state_dict(), "optimizer": optimiser.state_dict(), "seed": 1 << 127}
    for new in (True, False):
        torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
        check_saved(tmp_path / "a.pt")
    shared = ["the same"] * 1000
    torch.save({"configs": [shared] * 50}, tmp_path / "a.pt")
    check_saved(tmp_path / "a.pt")


@pytest.mark.parametrize("protocol", range(6))
def test_any_pickle_of_data_passes(protocol):
    shared = (1, "two")
    content = [{"a": [1.5, None], shared: {3, 4}}, shared, b"bytes", bytearray(9), frozenset("ab"), 1 << 70, True]
    array = np.zeros((2, 3))
    check_pickle(io.BytesIO(pickle.dumps([*content, array, array.dtype, array[0, 0], OrderedDict(a=1)], protocol)))


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x02", b"\x80\x02t.", b"\x80\x02h\x05.", b"\x80\x02\x86.", b"\x80\x02((.", b"junk"]
)
def test_a_damaged_pickle_is_an_error_of_one_kind(data):
    with pytest.raises(pickle.UnpicklingError):
        check_pickle(io.BytesIO(data))


def test_a_packed_archive_is_refused(path):
    path.write_bytes(bombs.packed())
    assert path.stat().st_size < 1_000_000
    assert "bytes packed into" in refused(path)


def test_tensors_that_repeat_their_numbers_are_refused(path):
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, path)
    assert "its tensors need" in refused(path)
    numbers = torch.zeros(1_000_000)
    torch.save({f"a{i}": numbers[i:] for i in range(300)}, path)
    assert "its tensors need" in refused(path)


def test_a_header_of_safetensors_has_a_limit(path):
    path.write_bytes(struct.pack("<Q", (32 << 20) + 1) + b"{" + b" " * 99)
    assert "its header is longer than" in refused(path)
    for header in (
        {"weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}},
        {"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 60]}},
        {"weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"weight": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 0]}},
    ):
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
        refused(path)


def test_names_that_are_all_dots_take_no_time(path):
    torch.save({"." * 100_000: torch.zeros(1), **STATE}, path)
    assert "too many entries" in refused(path)


WRONG = {
    "nan": (lambda x: x.index_fill(0, torch.tensor([1]), torch.nan), "NaN or infinite: weight"),
    "inf": (lambda x: x.index_fill(0, torch.tensor([1]), torch.inf), "NaN or infinite: weight"),
    "too large": (lambda x: x.double() + 1e300, "NaN or infinite: weight"),
    "complex": (lambda x: x.to(torch.complex64), r"another kind (complex64) than the model takes: weight"),
    "bytes": (lambda x: x.to(torch.int8), "another kind (int8)"),
    "meta": (lambda x: x.to("meta"), "weights without values"),
    "sparse": (lambda x: x.to_sparse(), "sparse or quantised"),
    "csr": (lambda x: x.to_sparse_csr(), "sparse or quantised"),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), ""),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_no_numbers_for_a_model_change_nothing(path, kind, first):
    change, said = WRONG[kind]
    wrong = {"weight": change(STATE["weight"])}
    torch.save({**wrong, "bias": STATE["bias"]} if first else {"bias": STATE["bias"], **wrong}, path)
    assert said in refused(path)


def test_masks_may_be_infinite(path):
    model = nn.Linear(4, 3)
    model.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))
    torch.save(model.state_dict(), path)
    assert load_checkpoint(model, path).missing == ()
    torch.save({**model.state_dict(), "mask": torch.full((2, 2), torch.nan)}, path)
    assert "NaN or infinite: mask" in refused(path, model)


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "..", ".", "", "a/b.safetensors", 3, None])
def test_an_index_names_files_beside_it(tmp_path, name):
    save_file(STATE, tmp_path / "other.safetensors")
    folder = tmp_path / "model"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": name}}))
    assert "index" in refused(index)


def test_an_index_without_end_is_invalid(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map":' * 100_000)
    assert "is invalid" in refused(index)
