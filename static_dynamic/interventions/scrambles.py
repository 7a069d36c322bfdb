r"""Scrambles: the frames of a clip in another order. Appearance stays, motion goes.

A scramble is an index map: ``frames[scramble(kind, length, seed)]`` holds the very frames of the clip.

For short clips kinds coincide by chance: of the ``n! - 1`` orders that `shuffle` draws from, one is
`reverse`, so the two agree with probability ``1 / (n! - 1)``: always for 2 frames, 1/5 for 3, 1/23 for 4,
below 1/40000 from 8 on. With ``b`` blocks of equal length `block_shuffle` has only ``b! - 1`` orders, and
from ``b = n`` on it *is* `shuffle`.
"""

from collections.abc import Callable
from inspect import signature

import numpy as np

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.registry import Registry, generator
from static_dynamic.media.clip import Frames, Indices

scrambling: Registry[Callable[..., Indices]] = Registry("scramble")


def _disorder(length: int, rng: np.random.Generator) -> Indices:
    """A uniform draw from all permutations but the identity (by rejection)."""
    identity = np.arange(length, dtype=np.intp)
    order = identity
    while np.array_equal(order, identity):
        order = rng.permutation(identity)
    return order


@scrambling("shuffle", "All frames in random order.")
def shuffle(length: int, rng: np.random.Generator) -> Indices:
    """Every order but the intact one is equally likely."""
    return _disorder(length, rng)


@scrambling("block_shuffle", "Contiguous blocks in random order, each played as it was; block_shuffle:8 has 8.")
def block_shuffle(length: int, rng: np.random.Generator, blocks: int = 4) -> Indices:
    """Blocks differ by at most one frame in length; a clip shorter than ``blocks`` has one frame in each."""
    if blocks < 2:
        raise UserError(f"The blocks of 'block_shuffle' must be 2 or more. Got {blocks}.")
    pieces = np.array_split(np.arange(length, dtype=np.intp), min(blocks, length))
    return np.concatenate([pieces[i] for i in _disorder(len(pieces), rng)])


@scrambling("reverse", "Last frame first: the same motion, backwards.")
def reverse(length: int, rng: np.random.Generator) -> Indices:
    """The clip played backwards; its speed and its static content are untouched."""
    return np.arange(length, dtype=np.intp)[::-1].copy()


@scrambling("freeze", "The middle frame throughout: no motion at all.")
def freeze(length: int, rng: np.random.Generator) -> Indices:
    """Frame ``length // 2``; the only scramble that drops frames, and that a clip of one frame can have."""
    return np.full(length, length // 2, dtype=np.intp)


def list_scrambles(pattern: str = "*") -> list[str]:
    """Names of all scrambles that match a glob."""
    return scrambling.names(pattern)


def scramble(kind: str, length: int, seed: int = 0) -> Indices:
    """Positions of the intact clip in the new playing order.

    Args:
        kind: A name from `list_scrambles`; ``"block_shuffle:8"`` sets the number of blocks.
        length: Frames of the clip.
        seed: Same kind, length and seed: same order.

    Returns:
        ``(length,)`` intp, values in ``0..length - 1``; a permutation other than the identity, but for
        `freeze`.

    Raises:
        UserError: For an unknown kind, a bad argument, a negative seed, or a clip without an order to
        destroy.

    Example:
        >>> scramble("reverse", 4)
        array([3, 2, 1, 0])
    """
    name, arguments = _parse(kind)
    shortest = 1 if name == "freeze" else 2
    if length < shortest:
        raise UserError(f"Scramble {kind!r} needs a clip of {shortest} or more frames. Got {length}.")
    return scrambling[name].function(length, generator(seed, name), *arguments)


def check_scramble(kind: str) -> None:
    """Raise now what `scramble` would raise for this kind later."""
    scramble(kind, 2)


def apply_scramble(frames: Frames, kind: str, seed: int = 0) -> Frames:
    """The frames of a clip, ``(T, ...)``, in the order that `scramble` gives."""
    return frames[scramble(kind, len(frames), seed)]


def _parse(kind: str) -> tuple[str, list[int]]:
    """``"block_shuffle:8"`` → ``("block_shuffle", [8])``."""
    name, colon, argument = kind.partition(":")
    if not colon:
        return scrambling[name].name, []
    takes_argument = len(signature(scrambling[name].function).parameters) > 2
    if not (takes_argument and argument.isdecimal()):
        raise unknown("scramble", kind, [*scrambling.entries, "block_shuffle:8"])
    return name, [int(argument)]
