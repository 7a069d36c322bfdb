"""A layout says which axis is what: pooling must find the same number however the axes are arranged."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from static_dynamic.common.errors import UserError
from static_dynamic.network.layout import parse_layout
from static_dynamic.network.poolings import pooling

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


@pytest.mark.parametrize("text", [*ARRANGED, "N (1 T H W 2) C"])
def test_flattened_every_position_is_there_once_in_order(text):
    n, c, t, h, w = 2, 3, 4, 5, 6
    x = np.arange(n * c * t * h * w, dtype=np.float32).reshape(n, c, t, h, w)
    if text in ARRANGED:
        output = torch.from_numpy(np.ascontiguousarray(ARRANGED[text](x)))
        expected = [sorted(x[i, 0].ravel().tolist()) for i in range(n)]
    else:
        output = torch.arange(n * (t * h * w + 3) * c).float().reshape(n, -1, c)
        expected = output[:, :, 0].tolist()
    flat = parse_layout(text).flatten(output, n)
    assert flat.shape == (n, len(expected[0]), c)
    assert [sorted(clip[:, 0].tolist()) for clip in flat] == expected
    for unit in range(c):
        between = flat[:, :, unit] - flat[:, :, 0]
        assert (between == between[0, 0]).all()  # units of one position stay together
    with pytest.raises(UserError, match="axes expected"):
        parse_layout(text).flatten(output[0], n)


@pytest.mark.parametrize("how", [how for how in pooling.names() if how not in ("cls", "frame")])
@pytest.mark.parametrize("text", ["N C", "C N"])
def test_an_output_without_positions_is_its_own_mean_and_largest(text, how):
    x = torch.rand(4, 3)
    expected = torch.cat((x, x), 1) if how == "avgmaxc" else x
    assert torch.equal(parse_layout(text).pool(x if text == "N C" else x.T, 4, how), expected)


def test_extra_tokens_are_part_of_the_published_mean():
    tokens = torch.arange(12.0).reshape(1, 6, 2)  # one class token and five others
    pooled = parse_layout("N (1 T) C").pool(tokens, 1)
    assert pooled.tolist() == [[5.0, 6.0]]


def test_side_by_side_pooling_doubles_the_units():
    x = torch.rand(2, 3, 4)
    both = parse_layout("N C T").pool(x, 2, "avgmaxc")
    assert torch.equal(both, torch.cat((x.mean(2), x.amax(2)), 1))
    assert torch.equal(parse_layout("N C T").pool(x, 2, "avgmax"), (x.mean(2) + x.amax(2)) / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_pooled_in_float32(dtype):
    """The mean of a number and the next one lies between the two."""
    step = torch.finfo(dtype).eps
    x = torch.tensor([1.0, 1 + step], dtype=dtype).repeat(1, 1, 1000)
    for how, expected in {"avg": 1 + step / 2, "max": 1 + step, "avgmax": 1 + 3 * step / 4}.items():
        pooled = parse_layout("N C T").pool(x, 1, how)
        assert pooled.dtype == torch.float32
        assert pooled.item() == expected


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
        ("N C", (3, 4), "axis 0 should have 2 clips"),
        ("N C", (4, 4), "axis 0 should have 2 clips"),
        ("(N T) C", (5, 4), "axis 0 should have 2 clips"),
        ("N (1 T) C", (2, 1, 4), "contains only the 1 extra tokens"),
    ],
)
def test_a_layout_that_does_not_fit_says_what_it_saw(text, shape, says):
    with pytest.raises(UserError, match=says) as error:
        parse_layout(text).pool(torch.zeros(shape), 2)
    assert str(shape) in str(error.value)


def test_an_unknown_pooling_lists_the_others():
    with pytest.raises(UserError, match=f"Did you mean 'avgmax'.*Allowed: {', '.join(pooling.names())}"):
        parse_layout("N C").pool(torch.zeros(1, 1), 1, "avgmx")


# ---------------------------------------------------------------- extra tokens, lengths, frames


@pytest.mark.parametrize("text", ["N (2 T H W) C", "N (T H W 2) C", "N (1 T H W 1) C"])
def test_extra_tokens_in_front_behind_or_both(text):
    axis = parse_layout(text).axes[1]
    patches, extra = torch.rand(3, 24, 5), torch.rand(3, 2, 5)
    tokens = torch.cat((extra[:, : axis.before], patches, extra[:, axis.before :]), 1)
    assert torch.equal(parse_layout(text).pool(tokens, 3, "cls"), extra[:, 0])
    assert torch.allclose(parse_layout(text).pool(tokens, 3, "patch"), patches.mean(1))
    assert torch.allclose(parse_layout(text).pool(tokens, 3, "avg"), tokens.mean(1))


def test_frames_folded_into_the_batch_keep_their_extra_tokens():
    tokens = torch.rand(2 * 3, 1 + 4, 5)  # two clips of three frames
    layout = parse_layout("(N T) (1 H W) C")
    frames = tokens.unflatten(0, (2, 3))
    assert torch.allclose(layout.pool(tokens, 2, "cls"), frames[:, :, 0].mean(1))
    assert torch.allclose(layout.pool(tokens, 2, "patch"), frames[:, :, 1:].mean((1, 2)))
    assert torch.allclose(layout.pool(tokens, 2, "frame"), frames[:, :, 1:].mean(2).flatten(1))


WITH_LENGTH = {
    "N (T H W) C": "N (T={t} H W) C",
    "N (H W T) C": "N (H={h} W={w} T) C",
    "N (1 T H W) C": "N (1 T={t} H W) C",
}


@pytest.mark.parametrize("text", [text for text in ARRANGED if text not in WITH_LENGTH] + list(WITH_LENGTH.values()))
@given(st.tuples(*[st.integers(1, 4)] * 5), st.integers(0, 99))
def test_every_arrangement_gives_the_same_frames(text, shape, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    n, c, t, h, w = shape
    plain = next((plain for plain, written in WITH_LENGTH.items() if written == text), text)
    arranged = ARRANGED.get(
        plain, lambda x: np.concatenate((np.full((n, 1, c), 9, np.float32), ARRANGED["N (T H W) C"](x)), 1)
    )
    output = torch.from_numpy(np.ascontiguousarray(arranged(x)))
    pooled = parse_layout(text.format(t=t, h=h, w=w)).pool(output, n, "frame")
    np.testing.assert_allclose(pooled.unflatten(1, (t, c)), x.mean((3, 4)).transpose(0, 2, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "how", "says"),
    [
        ("N C T H W", "cls", "needs an extra token"),
        ("N C H W", "frame", "needs an axis T"),
        ("N (1 T H W) C", "frame", r'needs the length of T.*write e\.g\. "N \(1 T=8 H W\) C"'),
        ("(N T H) C W", "frame", "needs the length of T"),
        ("N C", "avgg", "Unknown pooling 'avgg'"),
    ],
)
def test_a_pooling_that_the_layout_does_not_allow(text, how, says):
    with pytest.raises(UserError, match=says) as error:
        parse_layout(text).check_pooling(how)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "shape", "says"),
    [
        ("N (T=2 H=3 W=3) C", (2, 19, 4), "axis 1 should have T=2 x H=3 x W=3"),
        ("N (T=2 H=3 W=3) C", (2, 36, 4), "axis 1 should have T=2 x H=3 x W=3"),
        ("N (1 T=4 H W) C", (2, 12, 4), "axis 1 should have T=4"),
        ("(N T=3) C", (8, 4), "axis 0 should have 2 clips x T=3"),
        ("N C=5", (2, 4), "axis 1 should have C=5"),
    ],
)
def test_a_length_that_does_not_fit(text, shape, says):
    with pytest.raises(UserError, match=says):
        parse_layout(text).pool(torch.zeros(shape), 2)


@pytest.mark.parametrize("text", ["N (T 1 H) C", "N (T=0 H) C", "N (T= H) C", "N (1) C", "N 1 C"])
def test_a_malformed_axis_is_shown(text):
    with pytest.raises(UserError, match="cannot be read at"):
        parse_layout(text)


def test_numbers_of_extra_tokens_add_up():
    axis = parse_layout("N (1 2 T H 3 4) C").axes[1]
    assert (axis.before, axis.after, axis.extra, axis.names) == (3, 7, 10, ("T", "H"))
    tokens = torch.rand(2, 10 + 6, 5)
    assert torch.allclose(parse_layout("N (1 2 T H 3 4) C").pool(tokens, 2, "patch"), tokens[:, 3:9].mean(1))
    assert torch.equal(parse_layout("N (1 2 T H 3 4) C").pool(tokens, 2, "cls"), tokens[:, 0])
