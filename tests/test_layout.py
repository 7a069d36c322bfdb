"""A layout says which axis is what: pooling must find the same number however the axes are arranged."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from static_dynamic.errors import UserError
from static_dynamic.layout import POOLINGS, parse_layout

# How an array (N, C, T, H, W) is rearranged into each layout, written out by hand.
ARRANGED = {
    "N C T H W": lambda x: x,
    "N T C H W": lambda x: x.transpose(0, 2, 1, 3, 4),
    "N T H W C": lambda x: x.transpose(0, 2, 3, 4, 1),
    "T N C H W": lambda x: x.transpose(2, 0, 1, 3, 4),
    "(N T) C H W": lambda x: x.transpose(0, 2, 1, 3, 4).reshape(-1, x.shape[1], *x.shape[3:]),
    "(T N) C H W": lambda x: x.transpose(2, 0, 1, 3, 4).reshape(-1, x.shape[1], *x.shape[3:]),
    "N (T H W) C": lambda x: x.transpose(0, 2, 3, 4, 1).reshape(x.shape[0], -1, x.shape[1]),
    "N (H W T) C": lambda x: x.transpose(0, 3, 4, 2, 1).reshape(x.shape[0], -1, x.shape[1]),
    "(N H W) T C": lambda x: x.transpose(0, 3, 4, 2, 1).reshape(-1, x.shape[2], x.shape[1]),
}


@pytest.mark.parametrize("text", ARRANGED)
@given(st.tuples(*[st.integers(1, 4)] * 5), st.integers(0, 99))
def test_every_arrangement_pools_to_the_same_numbers(text, shape, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    output = torch.from_numpy(np.ascontiguousarray(ARRANGED[text](x)))
    for how, expected in {"avg": x.mean((2, 3, 4)), "max": x.max((2, 3, 4))}.items():
        np.testing.assert_allclose(parse_layout(text).pool(output, shape[0], how), expected, atol=1e-5)


def test_extra_tokens_are_part_of_the_published_mean():
    tokens = torch.arange(12.0).reshape(1, 6, 2)  # one class token and five others
    pooled = parse_layout("N (1 T) C").pool(tokens, 1)
    assert pooled.tolist() == [[5.0, 6.0]]


def test_side_by_side_pooling_doubles_the_units():
    x = torch.rand(2, 3, 4)
    both = parse_layout("N C T").pool(x, 2, "avgmaxc")
    assert torch.equal(both, torch.cat((x.mean(2), x.amax(2)), 1))
    assert torch.equal(parse_layout("N C T").pool(x, 2, "avgmax"), (x.mean(2) + x.amax(2)) / 2)


def test_half_precision_is_pooled_in_float32():
    x = torch.full((1, 1, 70000), 1.0, dtype=torch.float16)  # the sum overflows float16
    assert parse_layout("N C T").pool(x, 1).item() == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("N C (T", "cannot be read"),
        ("N c T", "capital"),
        ("N C C", "twice"),
        ("N T", "axis C"),
        ("N (C T)", "axis C"),
        ("C T", "axis N"),
        ("C (T N H)", "axis N"),
        ("C (1 N)", "axis N"),
        ("N () C", "cannot be read"),
    ],
)
def test_a_malformed_layout_is_one_clear_line(text, says):
    with pytest.raises(UserError, match=says) as error:
        parse_layout(text)
    assert "\n" not in str(error.value)
    assert f'"{text}"' in str(error.value)


@pytest.mark.parametrize(
    ("text", "shape", "says"),
    [
        ("N C T", (2, 3), "3 axes expected, 2 found"),
        ("N C", (3, 4), "axis 0 should hold 2 clips"),
        ("N C", (4, 4), "axis 0 should hold 2 clips"),
        ("(N T) C", (5, 4), "axis 0 should hold 2 clips"),
        ("N (1 T) C", (2, 1, 4), "no more than the 1 extra tokens"),
    ],
)
def test_a_layout_that_does_not_fit_says_what_it_saw(text, shape, says):
    with pytest.raises(UserError, match=says) as error:
        parse_layout(text).pool(torch.zeros(shape), 2)
    assert str(shape) in str(error.value)


def test_an_unknown_pooling_lists_the_others():
    with pytest.raises(UserError, match=f"Nearest: avgmax.*Allowed: {', '.join(POOLINGS)}"):
        parse_layout("N C").pool(torch.zeros(1, 1), 1, "avgmx")
