r"""Scrambles: the frames of a clip in another order, or blended over time. Appearance stays, motion is lost.

Most scrambles are index maps, ``(length, rng) → indices``: ``frames[scramble(kind, length, seed)]`` holds exactly the
frames of the clip. Others change pixels, ``(frames, rng) → frames``, and are registered with ``pixels=True``.

For short clips, kinds may coincide by chance: one of the ``n! - 1`` orders that `shuffle` draws from is
`reverse`, so the two agree with probability ``1 / (n! - 1)``: always for 2 frames, 1/5 for 3, 1/23 for 4,
below 1/40000 from 8 on. With ``b`` blocks of equal length `block_shuffle` has only ``b! - 1`` orders, and
from ``b = n`` on it *is* `shuffle`.
"""

from collections.abc import Callable
from inspect import signature

import numpy as np

from static_dynamic.common.errors import UserError, reason, unknown
from static_dynamic.common.registry import Registry, generator
from static_dynamic.media.clip import INTACT, Frames, Indices

scrambling: Registry[Callable[..., Indices | Frames]] = Registry(
    "scramble", reserved=(INTACT,), pixels=False, shortest=2
)
"""Decorator and registry of scrambles; ``shortest`` is the minimum number of frames."""

ROWS = 16
"""Rows of pixels that are Fourier-transformed at a time, which limits memory."""


def _disorder(length: int, rng: np.random.Generator) -> Indices:
    """A uniform draw from all permutations except the identity (by rejection)."""
    identity = np.arange(length, dtype=np.intp)
    order = identity
    while np.array_equal(order, identity):
        order = rng.permutation(identity)
    return order


@scrambling("shuffle", "All frames in random order.")
def shuffle(length: int, rng: np.random.Generator) -> Indices:
    """Draw an order; all except the intact one are equally likely."""
    return _disorder(length, rng)


@scrambling("block_shuffle", "Contiguous blocks in random order, each played as it was; block_shuffle:8 has 8.")
def block_shuffle(length: int, rng: np.random.Generator, blocks: int = 4) -> Indices:
    """Order blocks at random; their lengths differ by at most one frame, or are one frame if the clip is short."""
    if blocks < 2:
        raise UserError(f"The blocks of 'block_shuffle' must be 2 or more. Got {blocks}.")
    pieces = np.array_split(np.arange(length, dtype=np.intp), min(blocks, length))
    return np.concatenate([pieces[i] for i in _disorder(len(pieces), rng)])


@scrambling("reverse", "Last frame first: the same motion, backwards.")
def reverse(length: int, rng: np.random.Generator) -> Indices:
    """Play the clip backwards; its speed and its static content are unchanged."""
    return np.arange(length, dtype=np.intp)[::-1].copy()


@scrambling("freeze", "The middle frame throughout: no motion at all.", shortest=1)
def freeze(length: int, rng: np.random.Generator) -> Indices:
    """Repeat frame ``length // 2``; the only scramble that drops frames, and that is possible for a single frame."""
    return np.full(length, length // 2, dtype=np.intp)


@scrambling("blur", "Every frame the mean of the 5 around it, fewer at the ends; blur:9 takes 9.", pixels=True)
def blur(frames: Frames, rng: np.random.Generator, window: int = 5) -> Frames:
    """Frame ``t`` is the mean of frames ``t - window // 2 … t + window // 2`` of the clip, rounded half up."""
    if window < 3 or window % 2 == 0:
        raise UserError(f"The window of 'blur' must be an odd number of frames, 3 or more. Got {window}.")
    blurred = np.empty_like(frames)
    for t in range(len(frames)):
        around = frames[max(0, t - window // 2) : t + window // 2 + 1]
        blurred[t] = (2 * around.sum(0, dtype=np.uint32) + len(around)) // (2 * len(around))
    return blurred


@scrambling(
    "phase", "Temporal frequencies shifted in phase at random: the order of events goes.", pixels=True, shortest=3
)
def phase(frames: Frames, rng: np.random.Generator) -> Frames:
    """Shift each temporal frequency by one random angle, the same for all pixels and channels.

        F'(k) = F(k) · exp(i φ(k)),  φ(k) ~ U(0, 2π),  φ = 0 for the mean and, with an even number of frames, at Nyquist

    Spatial structure, the mean and the power spectrum of every pixel over time stay, except for rounding and clipping
    to uint8.
    """
    count = len(frames)
    angles = rng.uniform(0, 2 * np.pi, count // 2 + 1)
    angles[0] = 0
    if count % 2 == 0:
        angles[-1] = 0
    turns = np.exp(1j * angles)[:, None, None, None]
    shifted = np.empty_like(frames)
    for top in range(0, frames.shape[1], ROWS):
        spectrum = np.fft.rfft(frames[:, top : top + ROWS], axis=0) * turns
        levels = np.fft.irfft(spectrum, count, axis=0)
        shifted[:, top : top + ROWS] = np.rint(levels).clip(0, 255)
    return shifted


def list_scrambles(pattern: str = "*", pixels: bool | None = None, length: int | None = None) -> list[str]:
    """Names of all scrambles that match a glob.

    Args:
        pattern: The glob.
        pixels: Those that change pixels, or those that are index maps; ``None`` means both.
        length: Those possible for a clip of ``length`` frames.
    """
    return [
        name
        for name in scrambling.names(pattern)
        if pixels in (None, changes_pixels(name)) and (length is None or scrambling[name].options["shortest"] <= length)
    ]


def changes_pixels(kind: str) -> bool:
    """Whether a scramble changes pixels rather than only the order of frames.

    Raises:
        UserError: If the kind is unknown.
    """
    return bool(scrambling[kind.partition(":")[0]].options["pixels"])


def scramble(kind: str, length: int, seed: int = 0) -> Indices:
    """Positions of the intact clip in the new playing order.

    Args:
        kind: A name from `list_scrambles`; ``"block_shuffle:8"`` sets the number of blocks.
        length: Frames of the clip.
        seed: Same kind, length and seed: same order.

    Returns:
        ``(length,)`` intp, values in ``0..length - 1``; for built-in ones a permutation other than the identity, except
        for `freeze`.

    Raises:
        UserError: For an unknown kind, or one that changes pixels, an invalid argument, a negative seed, or a clip that
            is too short.

    Example:
        >>> scramble("reverse", 4)
        array([3, 2, 1, 0])
    """
    function, rng, arguments = _drawn(kind, length, seed)
    if changes_pixels(kind):
        raise UserError(
            f"Scramble {kind!r} changes pixels, so it does not have an order of frames: see apply_scramble."
        )
    order = np.asarray(function(length, rng, *arguments))
    if order.shape != (length,) or order.dtype.kind not in "iu" or order.min() < 0 or order.max() >= length:
        raise UserError(
            f"Scramble {kind!r} must return {length} indices of frames, 0 to {length - 1}. Got {order.tolist()!r:.80}. "
            "Register one that changes pixels with pixels=True."
        )
    return order.astype(np.intp, copy=False)


def check_scramble(kind: str) -> None:
    """Check a kind before it is used in `apply_scramble`.

    Raises:
        UserError: If the kind is unknown, its argument is invalid, or it fails on the shortest clip.
    """
    name, _ = _parse(kind)
    length = max(2, scrambling[name].options["shortest"])
    try:
        apply_scramble(np.zeros((length, 16, 16, 3), np.uint8), kind)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"Scramble {kind!r} failed on a clip of {length} frames: {reason(error)}. It must be a function of "
            "(length, rng), or with pixels=True of (frames, rng)."
        ) from error


def apply_scramble(frames: Frames, kind: str, seed: int = 0) -> Frames:
    """The frames of a clip in the order that `scramble` gives, or changed.

    Args:
        frames: ``(T, ...)``; ``(T, H, W, 3)`` uint8 for a scramble that changes pixels. They are not modified.
        kind: A name from `list_scrambles`; ``"blur:9"`` sets the window.
        seed: Same kind, frames and seed: same result.

    Raises:
        UserError: As `scramble`, or if a scramble returns frames of another form.
    """
    if not changes_pixels(kind):
        return frames[scramble(kind, len(frames), seed)]
    function, rng, arguments = _drawn(kind, len(frames), seed)
    changed: Frames = np.asarray(function(frames, rng, *arguments))
    if changed.dtype != np.uint8 or changed.shape != frames.shape:
        given = f"{changed.dtype} {changed.shape}"
        raise UserError(f"Scramble {kind!r} must return frames as uint8 {frames.shape}. Got {given}.")
    return changed


def _drawn(kind: str, length: int, seed: int) -> tuple[Callable[..., Indices | Frames], np.random.Generator, list[int]]:
    """The function of a kind, its random numbers and its arguments, for a clip of ``length`` frames."""
    name, arguments = _parse(kind)
    shortest = scrambling[name].options["shortest"]
    if length < shortest:
        raise UserError(f"Scramble {kind!r} requires a clip of {shortest} or more frames. Got {length}.")
    return scrambling[name].function, generator(seed, name), arguments


def _parse(kind: str) -> tuple[str, list[int]]:
    """``"block_shuffle:8"`` → ``("block_shuffle", [8])``."""
    name, colon, argument = kind.partition(":")
    if not colon:
        return scrambling[name].name, []
    takes_argument = len(signature(scrambling[name].function).parameters) > 2
    if not (takes_argument and argument.isdecimal()):
        raise unknown("scramble", kind, [*scrambling.entries, "block_shuffle:8", "blur:9"])
    return name, [int(argument)]
