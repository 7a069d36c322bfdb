"""Styles that recolour, each on a fixed material: palettes, curves, histograms, random filters."""

from itertools import pairwise

import cv2
import numpy as np
from scipy.special import betaincinv

from static_dynamic.interventions import colour, texture
from static_dynamic.interventions.census import Census, Field, Frame, Paint
from static_dynamic.interventions.painters import in_turn, kuwahara, outline
from static_dynamic.interventions.styles import style

Rng = np.random.Generator


def palette(clip: Census, name: str) -> Paint:
    """The operator that recolours by luminance rank with one of the built-in palettes."""
    return colour.map_luminance(colour.tone_curve(clip.luminances), colour.gradient(colour.PALETTES[name]))


@style("sunset", "Violet to gold, on woven canvas.")
def sunset(clip: Census, rng: Rng) -> Paint:
    """Palette and cloth."""
    cloth = texture.weave(clip.size, clip.pixels(4, least=2), rng)
    return in_turn(palette(clip, "sunset"), texture.relief(cloth, 12))


@style("lagoon", "Deep green to pale sand, under soft brush marks.")
def lagoon(clip: Census, rng: Rng) -> Paint:
    """Palette and strokes."""
    brush = texture.strokes(clip.size, clip.pixels(21, least=7), rng)
    return in_turn(palette(clip, "lagoon"), texture.relief(brush, 12))


@style("neon", "Purple, pink, cyan on a striped screen.")
def neon(clip: Census, rng: Rng) -> Paint:
    """Palette and stripes; the seed draws their slant."""
    pitch, slant = clip.pixels(6, least=3), rng.uniform(-0.3, 0.3)
    lines = texture.stripes(clip.size, pitch, np.pi / 2 + slant)
    return in_turn(palette(clip, "neon"), texture.relief(lines, 12))


@style("emboss", "A relief in copper, lit from one side.")
def emboss(clip: Census, rng: Rng) -> Paint:
    """The directional derivative of tone, on a third of the tone itself."""
    curve, sigma = colour.tone_curve(clip.luminances), clip.scaled(1)
    copper = colour.gradient(colour.PALETTES["copper"]).astype(np.uint8)
    hammered = 0.05 * texture.grain(clip.size, clip.pixels(3), rng)

    def paint(frame: Frame) -> Frame:
        tone = texture.blur(colour.tones(frame, curve), sigma)
        slope = cv2.Sobel(tone, -1, 1, 0) + cv2.Sobel(tone, -1, 0, 1)
        level = 0.35 + 0.3 * tone + 0.5 * np.tanh(1.5 * sigma * slope) + hammered
        return copper[np.clip(255 * level, 0, 255).astype(np.uint8)]

    return paint


@style("poster", "Five flat colours with dark outlines.")
def poster(clip: Census, rng: Rng) -> Paint:
    """Kuwahara filter, then steps instead of a gradient, with short ramps so that noise does not flicker."""
    colours = colour.PALETTES["poster"]
    curve, dabs = colour.tone_curve(clip.luminances), kuwahara(clip.pixels(4, least=2))
    place = curve * len(colours) - 0.5
    step = np.floor(place) + np.clip((place - np.floor(place) - 0.5) * 5 + 0.5, 0, 1)
    stairs = (step / (len(colours) - 1)).clip(0, 1).astype(np.float32)
    flat = colour.map_luminance(stairs, colour.gradient(colours))
    sigma = clip.scaled(1, least=0.6)
    paper = texture.relief(texture.grain(clip.size, 0.6, rng), 4)

    def paint(frame: Frame) -> Frame:
        smooth = dabs(frame)
        edge = outline(colour.tones(smooth, curve), sigma)
        return paper(np.asarray(cv2.multiply(flat(smooth), cv2.merge([edge] * 3), dtype=cv2.CV_8U)))

    return paint


@style("solarise", "A solarised negative with coloured fringes and coarse grain.")
def solarise(clip: Census, rng: Rng) -> Paint:
    """Negative curves that turn back at another tone in each channel (the Sabattier effect)."""
    turns = zip(clip.channels, (0.15, 0.22, 0.08), strict=True)
    curves = np.stack([_turning(colour.tone_curve(counts), at) for counts, at in turns])
    clumps = texture.grain(clip.size, clip.scaled(1.6), rng)
    return in_turn(colour.map_channels(curves), texture.relief(clumps, 9))


def _turning(curve: Field, at: float) -> Field:
    """The negative of a curve, except that it rises up to ``at``."""
    rising, falling = 0.35 + 0.65 * curve / at, 1 - 0.95 * (curve - at) / (1 - at)
    return np.where(curve < at, rising, falling).astype(np.float32)


@style("film", "Cross-processed film: a random colour histogram, dust and heavy grain.")
def film(clip: Census, rng: Rng) -> Paint:
    """Each channel's histogram goes to a beta distribution drawn from the seed."""
    shapes = rng.permutation([[0.7, 2.2], [1.0, 1.0], [2.2, 0.8]]) * rng.uniform(0.8, 1.3, (3, 2))
    ranks = [colour.tone_curve(counts) for counts in clip.channels]
    curves = np.stack([betaincinv(a, b, rank) for rank, (a, b) in zip(ranks, shapes, strict=True)])
    fine, coarse = (texture.grain(clip.size, clip.scaled(sigma), rng) for sigma in (1.2, 4))
    return in_turn(colour.map_channels(curves.astype(np.float32)), texture.relief(fine + 0.5 * coarse, 8))


@style("tapestry", "Coloured yarn: each tone shows another thread of one cloth.")
def tapestry(clip: Census, rng: Rng) -> Paint:
    """A tonal map of diagonal twills, whose colours alternate between neighbours of a palette."""
    curve, pitch = colour.tone_curve(clip.luminances), clip.pixels(5, least=3)
    names = ("#140f26", "#140f26", "#7d1d3f", "#1f7a72", "#e08e0b", "#a5d6b0", "#fff6e4", "#fff6e4")
    yarns = [colour.rgb(name) for name in names]
    planes = []
    for level, (dark, bright) in enumerate(pairwise(yarns)):
        twill = texture.stripes(clip.size, pitch, np.pi / 4 * (1 if level % 2 else -1))
        share = 0.5 + 0.4 * twill + 0.12 * texture.grain(clip.size, 0.7, rng)
        planes.append(dark + (bright - dark) * share[..., None].clip(0, 1))
    cloth = np.stack(planes).astype(np.float32)
    return lambda frame: texture.tonal_map(cloth, colour.tones(frame, curve))


@style("random_filter", "Random convolutions in random colours; every seed is another style.")
def random_filter(clip: Census, rng: Rng, branches: int = 4) -> Paint:
    """Whiten colour, sum a few random filters through tanh, then colour the sum with a random covariance.

    After Xu et al., "Robust and generalizable visual representation learning via random convolutions", ICLR
    2021; the middle tap outweighs the others so that shapes survive.
    """
    whiten = colour.transfer(clip.moments, (np.zeros(3), np.eye(3)), strongest=0.03)
    side = clip.pixels(5, least=3) | 1
    kernels = rng.standard_normal((branches, 5, 5), dtype=np.float32)
    kernels[:, 2, 2] += 5
    kernels /= np.linalg.norm(kernels, axis=(1, 2), keepdims=True)
    taps = [cv2.resize(kernel, (side, side), interpolation=cv2.INTER_AREA) for kernel in kernels]
    mixes = rng.standard_normal((branches, 3, 3), dtype=np.float32)

    def respond(frame: Frame) -> Frame:
        white = cv2.transform(frame.astype(np.float32), whiten)
        branch = (cv2.transform(cv2.filter2D(white, -1, tap), mix) for tap, mix in zip(taps, mixes, strict=True))
        return np.clip(128 + 127 / branches * sum(map(np.tanh, branch)), 0, 255).astype(np.uint8)

    recolour = colour.transfer(clip.after(respond).moments, _random_colours(rng))
    return in_turn(respond, lambda frame: np.asarray(cv2.transform(frame, recolour)))


def _random_colours(rng: Rng) -> tuple[colour.Matrix, colour.Matrix]:
    """A mean ``(3,)`` and a covariance ``(3, 3)`` whose main axis is within about 40 degrees of grey."""
    main = np.ones(3) / np.sqrt(3) + 0.35 * rng.standard_normal(3)
    axes, _ = np.linalg.qr(np.column_stack([main, rng.standard_normal((3, 2))]))
    return rng.uniform(95, 155, 3), (axes * np.array([85.0, 45.0, 20.0]) ** 2) @ axes.T
