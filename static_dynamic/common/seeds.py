"""Random numbers that depend only on a seed and on names, so that any worker at any time draws the same.

All random numbers of the project follow this rule, with two exceptions. Styles and scrambles mix the seed
with a checksum of their own name (`static_dynamic.common.registry`), as they did when the tables and pictures in the
docs were made. Initial weights, dropout and the order of training batches are drawn by torch, from its own generators.
"""

from hashlib import sha256

import numpy as np

from static_dynamic.common.errors import UserError, shown
from static_dynamic.common.numbers import is_whole


def derive_seed(seed: int, *names: object) -> int:
    """A seed for one purpose, in 0 … 2⁶⁴ − 1: the beginning of the SHA-256 of seed and names.

    Args:
        seed: The seed of the study.
        names: What is drawn and for what: text, whole numbers, truth values.

    Example:
        >>> derive_seed(1, "cat.mp4", "shuffle") == derive_seed(1, "cat.mp4", "shuffle")
        True
    """
    return int.from_bytes(sha256(repr((int(seed), *names)).encode()).digest()[:8], "big")


def generator(seed: int, *names: object) -> np.random.Generator:
    """Random numbers for one purpose, see `derive_seed`.

    Raises:
        UserError: If the seed is not a whole number, or is negative.

    Example:
        >>> generator(1, "start", "cat.mp4").random() == generator(1, "start", "cat.mp4").random()
        True
    """
    check_seed(seed)
    return np.random.default_rng(derive_seed(seed, *names))


def check_seed(seed: int) -> None:
    """Raise a UserError if a seed is not a whole number, or is negative."""
    if not is_whole(seed) or seed < 0:
        raise UserError(f"The 'seed' must be a non-negative integer. Got {shown(seed)}.")
