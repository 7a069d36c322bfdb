"""Styles that redraw: brush, ink, pencil, tiles, dots. Fitted to a clip, each returns an operator on single frames.

Lengths are in pixels of a clip with a short side of 240, see `Census.pixels`. Paper, dots and tiles stay where they
are while the scene moves; they are drawn so faintly that optical flow still follows the scene, see the audit of styles.
"""

import cv2
import numpy as np

from static_dynamic.interventions import colour, texture
from static_dynamic.interventions.census import Census, Field, Frame, Paint, luminance
from static_dynamic.interventions.styles import style

Rng = np.random.Generator


def in_turn(*paints: Paint) -> Paint:
    """One operator out of several, applied left to right."""

    def paint(frame: Frame) -> Frame:
        for step in paints:
            frame = step(frame)
        return frame

    return paint


def kuwahara(radius: int) -> Paint:
    """The edge-preserving filter that paints in flat dabs.

    Each pixel takes the mean of that one of the four windows around it which varies least in luma. Kuwahara
    et al., "Processing of RI-angiocardiographic images", 1976.
    """
    side = radius + 1
    window, corners = (side, side), [(0, 0), (radius, 0), (0, radius), (radius, radius)]

    def paint(frame: Frame) -> Frame:
        grey = luminance(frame)
        best, least = np.empty_like(frame), np.full(grey.shape, np.inf, dtype=np.float32)
        for corner in corners:
            mean = cv2.boxFilter(grey, cv2.CV_32F, window, anchor=corner)
            variance = cv2.sqrBoxFilter(grey, cv2.CV_32F, window, anchor=corner) - mean * mean
            calmer = (variance < least).astype(np.uint8)
            cv2.copyTo(cv2.blur(frame, window, anchor=corner), calmer, best)
            cv2.copyTo(variance, calmer, least)
        return best

    return paint


def lines(tone: Field, sigma: float, sharpness: float = 18.0) -> Field:
    """Ink coverage by extended difference of Gaussians: ``(H, W)``, 0 (ink) .. 1 (paper).

    Winnemöller, Kyprianidis and Olsen, "XDoG: an extended difference-of-Gaussians compendium", 2012.
    """
    fine, coarse = texture.blur(tone, sigma), texture.blur(tone, 1.6 * sigma)
    response = (1 + sharpness) * fine - sharpness * coarse
    return np.asarray(np.clip(1 + np.tanh(8 * (response - 0.4)), 0, 1), dtype=np.float32)


def between(dark: Field, bright: Field, share: Field) -> Frame:
    """Two sheets, ``(H, W, 3)``, mixed by ``(H, W)`` in 0..1."""
    return np.asarray(dark + (bright - dark) * share[..., None], dtype=np.uint8)


@style("ink", "Black brush lines and shadows on cream paper.")
def ink(clip: Census, rng: Rng) -> Paint:
    """Extended difference of Gaussians on grainy paper."""
    curve = colour.tone_curve(clip.luminances)
    paper = texture.tinted(texture.grain(clip.size, clip.scaled(0.8), rng), colour.rgb("#f3ead3"), 5)
    brush = texture.tinted(texture.grain(clip.size, clip.scaled(0.8), rng), colour.rgb("#191718"), 5)
    sigma = clip.scaled(1.1, least=0.6)
    return lambda frame: between(brush, paper, lines(colour.tones(frame, curve), sigma))


@style("chalk", "Pale chalk outlines on a slate board.")
def chalk(clip: Census, rng: Rng) -> Paint:
    """Luma gradient, laid down where the board is rough, over a faint fill by tone."""
    curve = colour.tone_curve(clip.luminances)
    slate = texture.tinted(texture.grain(clip.size, clip.pixels(9), rng), colour.rgb("#1f3a34"), 6)
    dust = texture.tinted(texture.grain(clip.size, 0.6, rng), colour.rgb("#f4f1e4"), 6)
    sigma = clip.scaled(1.2)
    rough = np.clip(0.8 + 0.2 * texture.grain(clip.size, 0.7 * sigma, rng), 0, 1.2).astype(np.float32)

    def paint(frame: Frame) -> Frame:
        tone = texture.blur(colour.tones(frame, curve), sigma)
        edge = cv2.magnitude(cv2.Sobel(tone, -1, 1, 0), cv2.Sobel(tone, -1, 0, 1))
        return between(slate, dust, np.minimum(rough * (1.2 * (sigma * edge) ** 0.7 - 0.05 + 0.3 * tone).clip(0), 1))

    return paint


@style("hatch", "Blue pencil hatching, denser where it is darker.")
def hatch(clip: Census, rng: Rng) -> Paint:
    """A tonal map whose planes add one direction of strokes after the other."""
    curve = colour.tone_curve(clip.luminances)
    pitch = clip.pixels(4, least=3)
    shade, planes = np.ones(clip.size, dtype=np.float32), []
    for angle in np.deg2rad([45, -45, 10, 80]):
        planes.append(shade.copy())
        wobble = 0.5 * texture.grain(clip.size, pitch, rng)
        shade *= 1 - 0.35 * (texture.stripes(clip.size, pitch, angle) + wobble > 0.1)
    sheets = np.stack([0.45 * shade, shade, *reversed(planes)])
    pencil, paper = colour.rgb("#1c2a5e"), colour.rgb("#f4f2ec")
    coloured = (pencil + (paper - pencil) * sheets[..., None]).astype(np.float32)
    sigma = clip.scaled(1, least=0.6)

    def paint(frame: Frame) -> Frame:
        tone = colour.tones(frame, curve)
        drawn = pencil + (texture.tonal_map(coloured, tone) - pencil) * (0.35 + 0.65 * tone[..., None])
        return np.asarray(cv2.multiply(drawn, cv2.merge([outline(tone, sigma)] * 3), dtype=cv2.CV_8U))

    return paint


def outline(tone: Field, sigma: float) -> Field:
    """Dark contours: ``(H, W)`` in 0 (line) .. 1 (none)."""
    dip = texture.blur(tone, 2 * sigma) - texture.blur(tone, sigma)
    return np.asarray(np.clip(1 - 9 * (dip - 0.015), 0.1, 1), dtype=np.float32)


@style("oil", "Flat dabs of ochre and blue with the relief of brush strokes.")
def oil(clip: Census, rng: Rng) -> Paint:
    """Kuwahara filter, then colour transfer to warm lights and cold shadows, then a fixed brush relief."""
    dabs = kuwahara(clip.pixels(3, least=2))
    spread = np.array([[75.0, 0, 0], [52.0, 22.0, 0], [10.0, 20.0, 38.0]])
    matrix = colour.transfer(clip.after(dabs).moments, (np.array([140.0, 118.0, 92.0]), spread @ spread.T))
    brush = texture.relief(texture.strokes(clip.size, clip.pixels(15, least=7), rng), 7)
    return in_turn(dabs, lambda frame: np.asarray(cv2.transform(frame, matrix)), brush)


@style("watercolour", "Pale washes of pigment that pool on rough paper.")
def watercolour(clip: Census, rng: Rng) -> Paint:
    """Domain-transform smoothing (Gastal and Oliveira, 2011), then pigment thinned by a fixed paper."""
    curve = colour.tone_curve(clip.luminances)
    pool = texture.grain(clip.size, clip.pixels(14), rng)
    paper = 0.3 * texture.grain(clip.size, clip.scaled(0.9), rng) + 0.6 * pool
    density = (1 + 0.2 * paper).clip(0.3, 1.5).astype(np.float32)[..., None]
    wash = colour.gradient(("#14213d", "#2f6f8f", "#8fb996", "#e8c7a0", "#fdf6e9"))
    grade, vivid = colour.map_luminance(curve, wash), colour.saturation(1.8)
    reach, sigma = clip.pixels(10), clip.scaled(1, least=0.6)

    def paint(frame: Frame) -> Frame:
        smooth = cv2.edgePreservingFilter(frame, flags=cv2.RECURS_FILTER, sigma_s=reach, sigma_r=0.25)
        pigment = cv2.addWeighted(grade(smooth), 0.75, cv2.transform(smooth, vivid), 0.25, 0)
        edge = outline(colour.tones(smooth, curve), sigma)[..., None]
        thinned = 255 - (255 - pigment.astype(np.float32)) * density * (1.35 - 0.35 * edge)
        return np.clip(thinned, 0, 255).astype(np.uint8)

    return paint


@style("mosaic", "Small glazed tiles in red, blue and white.")
def mosaic(clip: Census, rng: Rng) -> Paint:
    """Cells of a fixed Voronoi diagram in their mean colour, with the clip visible through it; red and blue."""
    labels = texture.cells(clip.size, clip.pixels(5, least=4), rng)
    count = int(labels.max()) + 1
    flat, area = labels.ravel(), np.bincount(labels.ravel(), minlength=count).clip(1)
    glaze = rng.normal(5, 5, (count, 1))
    grout = cv2.merge([1 - 0.15 * texture.borders(labels, 1).astype(np.float32)] * 3)
    spread = np.array([[62.0, 45.0, -12.0], [62.0, -8.0, 34.0], [62.0, -42.0, -14.0]])
    matrix = colour.transfer(clip.moments, (np.array([120.0, 110.0, 130.0]), spread @ spread.T))

    def paint(frame: Frame) -> Frame:
        bright = cv2.transform(frame, matrix).reshape(-1, 3)
        means = np.stack([np.bincount(flat, bright[:, c], count) / area for c in range(3)], axis=1)
        tiles = np.clip(means + glaze, 0, 255).astype(np.uint8)[labels]
        glass = cv2.addWeighted(tiles, 0.6, bright.reshape(frame.shape), 0.4, 0)
        return np.asarray(cv2.multiply(glass, grout, dtype=cv2.CV_8U))

    return paint


@style("halftone", "Printed dots in yellow, blue and red ink on newsprint.")
def halftone(clip: Census, rng: Rng) -> Paint:
    """Three rotated dot screens over each other; each channel has another's ink, which turns the hues."""
    stretch = colour.map_channels(np.stack([colour.tone_curve(counts) for counts in clip.channels]))
    vivid, pitch = colour.saturation(1.6), clip.pixels(5, least=4)
    screens = np.stack([_dots(clip.size, pitch, angle) for angle in np.deg2rad([15, 75, 0])], axis=-1)
    paper = texture.tinted(texture.grain(clip.size, 0.7, rng), colour.rgb("#f2e9d0"), 6) / 255
    inks = [colour.rgb(name) / 255 for name in ("#ffcf2e", "#1d84c9", "#e8384f")]

    def paint(frame: Frame) -> Frame:
        light = cv2.transform(stretch(frame), vivid).astype(np.float32) / 255
        bare = np.clip(0.5 + 1.8 * (light - screens), 0, 1)
        printed = paper
        for c, pigment in enumerate(inks):
            printed = printed * (pigment + (1 - pigment) * bare[..., c : c + 1])
        return np.asarray(255 * printed, dtype=np.uint8)

    return paint


def _dots(size: texture.Size, pitch: float, angle: float) -> Field:
    """The thresholds of a halftone screen: ``(H, W)`` in 0.32..0.68."""
    phase = 2 * np.pi / pitch
    rows, columns = texture.along(size, angle), texture.along(size, angle + np.pi / 2)
    return np.asarray(0.5 + 0.09 * (np.cos(phase * rows) + np.cos(phase * columns)), dtype=np.float32)
