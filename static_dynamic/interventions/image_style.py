"""The style of an image: its colours, and its brushwork for every tone, fixed to the image plane."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from static_dynamic.common.errors import UserError
from static_dynamic.interventions import colour, texture
from static_dynamic.interventions.census import Census, Frame, Paint, Style, luminance
from static_dynamic.media.images import eight_bit, opacity, open_image

Rng = np.random.Generator
Plane = npt.NDArray[np.float32]

SMALLEST = 16
"""Least side of an image, pixels."""
TONES = 7
"""Textures cut from an image, dark to bright."""
PATCHES = 4
"""Patches along the short side of a frame."""
CANDIDATES = 16
"""Patches of the image that a tone chooses from."""
ZOOM = 1.2
"""Short side of the image relative to that of the frame, when its patches are cut."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def read_image(path: Path) -> Frame:
    """An image as ``(H, W, 3)`` uint8 RGB.

    Transparent parts become white, and the orientation stored in the file is applied.

    Raises:
        UserError: If it is missing, cannot be decoded, or is smaller than 16 pixels.
    """
    image = eight_bit(open_image(path, "style image"))
    if min(image.size) < SMALLEST:
        size = "x".join(map(str, image.size))
        raise UserError(
            f"The style image {str(path)!r} is {size} pixels: at least {SMALLEST} on each side are required."
        )
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image.convert("RGB"), mask=Image.fromarray(opacity(image)))
    return np.asarray(paper)


def image_style(path: Path) -> Style:
    """The style of one image, which is read immediately, so that an invalid one is noticed early.

    Every tone of the clip is painted with a texture quilted from patches of the image that have this tone, as
    in texture transfer (Efros and Freeman, "Image quilting", SIGGRAPH 2001), but with one fixed quilt per
    tone, so that nothing flickers. A share of the clip's own colours, moved to the image's statistics, keeps
    the shapes apart.

    Raises:
        UserError: See `read_image`.
    """
    image = read_image(path)

    def fit(clip: Census, rng: Rng) -> Paint:
        curve = colour.tone_curve(clip.luminances)
        quilts = tonal_quilts(image, clip.size, rng)
        matrix = colour.transfer(clip.moments, Census(image[None]).moments)
        sigma = clip.scaled(2.5, least=0.8)

        def paint(frame: Frame) -> Frame:
            tone = colour.tones(frame, curve)
            quilted = texture.tonal_map(quilts, tone)
            mixed = cv2.addWeighted(quilted, 0.8, cv2.transform(frame, matrix), 0.2, 0)
            detail = 110 * (tone - texture.blur(tone, sigma))
            return np.asarray(cv2.add(mixed, cv2.merge([detail] * 3), dtype=cv2.CV_8U))

        return paint

    return fit


def tonal_quilts(image: Frame, size: texture.Size, rng: Rng) -> Plane:
    """One texture per tone, from patches of the image with this tone: ``(TONES, H, W, 3)``, 0..255."""
    side = max(min(size) // PATCHES, 4)
    scale = ZOOM * min(size) / min(image.shape[:2])
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    luma = luminance(canvas)
    means = cv2.boxFilter(luma, cv2.CV_32F, (side, side), anchor=(0, 0))[: 1 - side, : 1 - side]
    order = np.argsort(means, axis=None, kind="stable")
    levels = (np.arange(TONES) + 0.5) / TONES
    dark, bright = np.quantile(luma, [0.03, 0.97])
    targets = np.interp(levels, [0, 1], [min(dark, 50), max(bright, 205)])
    quilts = np.empty((TONES, *size, 3), dtype=np.float32)
    for quilt, level, target in zip(quilts, levels, targets, strict=True):
        near = order[int((level - 0.5 / TONES) * len(order)) : int((level + 0.5 / TONES) * len(order))]
        corners = np.stack(np.unravel_index(rng.choice(near, CANDIDATES), means.shape), axis=1)
        patches = np.stack([canvas[y : y + side, x : x + side] for y, x in corners]).astype(np.float32)
        quilt[:] = _quilt(patches, size, rng)
        quilt[:] = _to_luma(quilt, target)
    return quilts


def _to_luma(quilt: Plane, target: float) -> Plane:
    """Darken towards black or lighten towards white, keeping the hue, until mean luma is ``target``."""
    now = float((quilt.mean(axis=(0, 1)) @ LUMA).clip(1, 254))
    return quilt * (target / now) if target < now else 255 - (255 - quilt) * ((255 - target) / (255 - now))


def _quilt(patches: Plane, size: texture.Size, rng: Rng) -> Plane:
    """A plane of overlapping patches, ``(N, S, S, 3)``, drawn at random; each fades into its neighbours."""
    side = patches.shape[1]
    ramp = np.minimum(1, 2 * np.hanning(side + 2)[1:-1]).astype(np.float32)
    window = np.outer(ramp, ramp)[..., None]
    total = np.zeros((size[0] + 2 * side, size[1] + 2 * side, 3), dtype=np.float32)
    weight = np.full((*total.shape[:2], 1), 1e-6, dtype=np.float32)
    for y in range(0, size[0] + side, side * 2 // 3):
        for x in range(0, size[1] + side, side * 2 // 3):
            total[y : y + side, x : x + side] += window * patches[rng.integers(len(patches))]
            weight[y : y + side, x : x + side] += window
    inside = np.s_[side : side + size[0], side : side + size[1]]
    return np.asarray(total[inside] / weight[inside], dtype=np.float32)
