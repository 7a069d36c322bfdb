"""Colour maps: tone curves, palettes, colour transfer. Arrays are RGB, 0..255 unless stated otherwise."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from static_dynamic.interventions.census import Field, Frame, Paint, luminance

Matrix = npt.NDArray[np.float64]

PALETTES = {
    "sunset": ("#1b0b3b", "#5b1a66", "#b8325c", "#f0713a", "#fcc35c", "#fff3cf"),
    "lagoon": ("#03131f", "#07405a", "#0d7f86", "#4fbf9a", "#bfe6a6", "#fdfbe0"),
    "neon": ("#0a0033", "#5a00b8", "#e0108c", "#ff5db1", "#38e8e0", "#f4ff7a"),
    "copper": ("#0d1512", "#2f3a2c", "#7a4a26", "#c47a3d", "#efb98a", "#fff2df"),
    "poster": ("#1d2a44", "#c8321f", "#f08a24", "#f6d55c", "#f7f3e3"),
}


def rgb(colour: str) -> Field:
    """``"#ff8000"`` → ``(3,)`` float32."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)


def gradient(colours: Sequence[str]) -> Field:
    """A palette, dark to bright, interpolated to ``(256, 3)`` tones."""
    stops = np.stack([rgb(colour) for colour in colours])
    tones = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(tones, range(len(stops)), stop) for stop in stops.T]
    return np.stack(channels, axis=1).astype(np.float32)


def tone_curve(counts: npt.NDArray[np.int64]) -> Field:
    """A monotone curve, ``(256,)`` in 0..1, that spreads the counted values over the whole range.

    The mean of a linear stretch between the 0.5 and 99.5 percentiles and of the rank (histogram
    equalisation): the first keeps flat regions flat, the second opens up dark clips.
    """
    share = np.cumsum(counts) / counts.sum()
    rank = share - counts / counts.sum() / 2
    low, high = np.searchsorted(share, (0.005, 0.995))
    stretch = np.clip((np.arange(256) - low) / max(high - low, 32), 0, 1)
    return ((stretch + rank) / 2).astype(np.float32)


def tones(frame: Frame, curve: Field) -> Field:
    """Luma of an RGB frame through a tone curve: ``(H, W)`` in 0..1."""
    return np.asarray(cv2.LUT(luminance(frame), curve), dtype=np.float32)


def map_luminance(curve: Field, palette: Field) -> Paint:
    """The operator that gives every pixel the palette's colour at its tone."""
    table = palette[np.round(255 * curve).astype(np.intp)].round().astype(np.uint8)[:, None]

    def paint(frame: Frame) -> Frame:
        return np.asarray(cv2.applyColorMap(luminance(frame), table), dtype=np.uint8)

    return paint


def map_channels(curves: Field) -> Paint:
    """The operator that sends red, green and blue through their own curve, ``(3, 256)`` in 0..1."""
    table = np.clip(255 * curves, 0, 255).round().astype(np.uint8).T[:, None].copy()

    def paint(frame: Frame) -> Frame:
        return np.asarray(cv2.LUT(frame, table), dtype=np.uint8)

    return paint


def transfer(
    source: tuple[Matrix, Matrix], target: tuple[Matrix, Matrix], strongest: float = 6.0
) -> npt.NDArray[np.float32]:
    r"""The affine colour map that takes one mean and covariance to another with the least displacement.

    .. math:: A = \Sigma_s^{-1/2} (\Sigma_s^{1/2} \Sigma_t \Sigma_s^{1/2})^{1/2} \Sigma_s^{-1/2}, \quad
              x \mapsto A (x - \mu_s) + \mu_t

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour
    transfer", CVMP 2007.

    Args:
        source: Mean ``(3,)`` and covariance ``(3, 3)`` of the clip.
        target: Those it shall have.
        strongest: Bound on the gain in any direction: the noise of a grey clip must not become colour.

    Returns:
        ``(3, 4)`` float32 for ``cv2.transform``.
    """
    (source_mean, source_covariance), (target_mean, target_covariance) = source, target
    root = _power(source_covariance, 0.5)
    inverse = _power(source_covariance, -0.5)
    matrix = inverse @ _power(root @ target_covariance @ root, 0.5) @ inverse
    gains, axes = np.linalg.eigh(matrix)
    matrix = (axes * np.minimum(gains, strongest)) @ axes.T
    return np.column_stack([matrix, target_mean - matrix @ source_mean]).astype(np.float32)


def _power(covariance: Matrix, exponent: float) -> Matrix:
    """A power of a symmetric matrix, whose variances are kept above one grey level."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, 1.0) ** exponent) @ vectors.T)


def saturation(gain: float) -> npt.NDArray[np.float32]:
    """The ``(3, 3)`` matrix that multiplies the distance from grey and keeps luma."""
    luma = np.array([0.299, 0.587, 0.114])
    return (gain * np.eye(3) + (1 - gain) * luma).astype(np.float32)
