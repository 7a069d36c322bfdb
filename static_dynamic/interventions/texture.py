"""Procedural textures, fixed to the image plane so that they add no motion, and how they are applied to a frame.

A field is ``(H, W)`` float32. Unless stated otherwise it has mean 0 and standard deviation 1. Lengths: pixels.
"""

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.interventions.census import Field, Frame, Paint

Size = tuple[int, int]
Rng = np.random.Generator


def standardise(field: npt.NDArray[np.floating]) -> Field:
    """Mean 0, standard deviation 1 (or 0 for a constant field)."""
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)


def blur(image: npt.NDArray[np.generic], sigma: float) -> Field:
    """Gaussian blur, as float32."""
    return np.asarray(cv2.GaussianBlur(np.float32(image), (0, 0), sigma), dtype=np.float32)


def grain(size: Size, sigma: float, rng: Rng) -> Field:
    """Isotropic noise: Gaussian white noise, blurred."""
    return standardise(blur(rng.standard_normal(size, dtype=np.float32), sigma))


def along(size: Size, angle: float) -> Field:
    """The coordinate of every pixel in a direction, in pixels (not standardised)."""
    rows, columns = np.indices(size, dtype=np.float32)
    return np.asarray(np.cos(angle) * columns + np.sin(angle) * rows, dtype=np.float32)


def stripes(size: Size, pitch: float, angle: float) -> Field:
    """A sine wave across the plane."""
    return standardise(np.sin(2 * np.pi * along(size, angle) / pitch))


def weave(size: Size, pitch: int, rng: Rng) -> Field:
    """Plain-weave cloth: threads that pass over and under each other, unevenly spun."""
    rows, columns = np.indices(size)
    over = (rows // pitch + columns // pitch) % 2
    warp = np.abs(np.sin(np.pi * (columns + 0.5) / pitch))
    weft = np.abs(np.sin(np.pi * (rows + 0.5) / pitch))
    threads = np.where(over, warp, weft - 0.25)
    return standardise(standardise(threads) + 0.6 * grain(size, pitch / 3, rng))


def strokes(size: Size, length: int, rng: Rng, directions: int = 6) -> Field:
    """Brush marks: noise smeared along a slowly turning direction.

    A cheap form of line integral convolution (Cabral and Leedom, SIGGRAPH 1993): a smear for each of a few
    directions, mixed by a smooth random orientation field.
    """
    noise = grain(size, max(length / 12, 0.5), rng)
    turn = np.pi * (1 + np.tanh(grain(size, 2.5 * length, rng))) / 2
    mixed = np.zeros(size, dtype=np.float32)
    for angle in np.arange(directions) * np.pi / directions:
        near = np.cos(turn - angle) ** (2 * directions)
        mixed += near * standardise(np.asarray(cv2.filter2D(noise, -1, _line(length, angle))))
    return standardise(mixed)


def _line(length: int, angle: float) -> Field:
    """A normalised line segment through the middle of an odd square kernel."""
    half = length // 2 + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
    reach = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(v) for v in np.round(half + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], color=(1.0,))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def cells(size: Size, pitch: int, rng: Rng) -> npt.NDArray[np.int32]:
    """The Voronoi cells of a jittered grid: ``(H, W)`` labels from 0."""
    height, width = size
    grid = np.meshgrid(np.arange(0, height, pitch), np.arange(0, width, pitch))
    corners = np.stack(grid, axis=-1).reshape(-1, 2)
    points = np.minimum(corners + rng.integers(0, pitch, corners.shape), (height - 1, width - 1))
    mask = np.ones(size, dtype=np.uint8)
    mask[points[:, 0], points[:, 1]] = 0
    _, labels = cv2.distanceTransformWithLabels(mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return np.asarray(labels, dtype=np.int32) - 1


def borders(labels: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.bool_]:
    """Pixels on the seam between cells, ``width`` wide."""
    kernel = np.ones((width + 1, width + 1), dtype=np.uint8)
    plane = labels.astype(np.float32)
    return np.asarray(cv2.dilate(plane, kernel) != cv2.erode(plane, kernel))


def relief(field: Field, strength: float) -> Paint:
    """The operator that adds a texture, ``strength`` grey levels strong."""
    bumps = np.repeat(strength * field[..., None], 3, axis=2)

    def paint(frame: Frame) -> Frame:
        return np.asarray(cv2.add(frame, bumps, dtype=cv2.CV_8U), dtype=np.uint8)

    return paint


def tinted(field: Field, colour: Field, strength: float) -> Field:
    """A sheet of one colour with a texture in it: ``(H, W, 3)``, 0..255."""
    return np.clip(colour + strength * field[..., None], 0, 255).astype(np.float32)


def tonal_map(planes: npt.NDArray[np.float32], tone: Field) -> Frame:
    """The texture of each pixel's tone.

    Tonal art maps: Praun, Hoppe, Webb and Finkelstein, "Real-time hatching", SIGGRAPH 2001, here in two
    dimensions.

    Args:
        planes: ``(K, H, W, 3)``, one fixed texture per tone, dark to bright, 0..255.
        tone: ``(H, W)`` in 0..1; between two planes it blends.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    levels, height, width, _ = planes.shape
    position = np.clip(tone, 0, 1).ravel() * (levels - 1)
    below = np.minimum(position.astype(np.intp), levels - 2)
    flat = planes.reshape(-1, 3)
    here = below * (height * width) + np.arange(height * width)
    share = (position - below).astype(np.float32)[:, None]
    low = flat[here]
    mixed = low + share * (flat[here + height * width] - low)
    return mixed.round().astype(np.uint8).reshape(height, width, 3)
