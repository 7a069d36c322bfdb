"""Deterministic parameters and clips, so that golden arrays need no weights beside them.

Each tensor is one draw from NumPy's frozen ``RandomState``, seeded by the CRC-32 of ``"<seed>:<name>"``, in float64
and C order, cast to float32 at the end. ``torch.randn`` will not do: its values depend on the CPU.
"""

from zlib import crc32

import numpy as np


def stream(seed, name):
    return np.random.RandomState(crc32(f"{seed}:{name}".encode()))


def parameter(key, shape, seed):
    """The value of a state-dict entry; what it looks like depends on its name."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    draw = stream(seed, key)
    if key.endswith("running_var"):
        return np.float32(0.5 + draw.random_sample(shape))
    noise = np.asarray(draw.standard_normal(tuple(shape)))
    last = key.split(".")[-1]
    if key.endswith("running_mean"):
        noise *= 0.1
    elif "embed" in last or "token" in last:
        noise *= 0.5
    elif len(shape) > 1:
        noise /= np.sqrt(np.prod(shape[1:], dtype=float))
    elif key.endswith("weight"):
        noise = 1 + 0.1 * noise
    else:
        noise *= 0.1
    return noise.astype(np.float32)


def state(shapes, seed, prefix=""):
    """A whole state dict; the prefix that a checkpoint puts before its keys takes no part in the seed."""
    return {key: parameter(key.removeprefix(prefix), shape, seed) for key, shape in shapes.items()}


def clip(name, shape, seed):
    """``(N, C, T, H, W)``: 8 × 8 blocks, half as much pixel noise, and an offset per sample and channel."""
    n, c, t, h, w = shape
    draw = stream(seed, f"input:{name}")
    blocks = draw.standard_normal((n, c, t, -(-h // 8), -(-w // 8)))
    pixels = draw.standard_normal(shape)
    offset = draw.standard_normal((n, c, 1, 1, 1))
    enlarged = np.kron(blocks, np.ones((8, 8)))[..., :h, :w]
    return (enlarged + 0.5 * pixels + offset).astype(np.float32)
