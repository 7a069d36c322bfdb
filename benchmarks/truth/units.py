"""Planted units: the definition of each is here, in one line where it fits.

`BASIC` units see a clip; `COMPOSED` ones are made of basic units at mean 0 and standard deviation 1 on clips drawn at
random. The share of a unit's variance that is due to appearance or to motion follows from enumeration, not from its
name: see `benchmarks.truth.enumeration`.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache, cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic.media.clip import Recipe
from static_dynamic.sources.factorial import CONTENTS, draw_scenes, render

RECIPE = Recipe(frames=8, rate=1, crop=32, mean=(0, 0, 0), std=(1, 1, 1))
STAGES = {"units": ("units", "N C")}
SHAPE = (3, 8, 32, 32)
"""Shape of a clip."""
NATURAL = 1000
"""Clips from which the mean and the standard deviation of basic units are taken."""
RANDOM = 6
"""Units of a random convolution."""
RADII = (5.5, 7.5, 9.5)
"""Radii of the shapes that units detect, pixels."""
UNSEEN, SLIGHT = 1e-4, 0.03
"""Energy of gradients, and change of luminance from frame to frame, that are mostly sensor noise; pixels in 0..1."""


def _drawn(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def _templates() -> Tensor:
    """Rings and crosses of all radii around the corner of a frame that is a torus, ``(2, len(RADII), 32, 32)``."""
    size = SHAPE[-1]
    places = (torch.arange(size) + size // 2) % size - size // 2
    y, x = (axis[None] / torch.tensor(RADII)[:, None, None] for axis in torch.meshgrid(places, places, indexing="ij"))
    ring = (torch.hypot(x, y) - 0.72).abs() < 0.27
    cross = (torch.minimum(x.abs(), y.abs()) < 0.34) & (torch.maximum(x.abs(), y.abs()) < 1)
    shapes = torch.stack([ring, cross]).float()
    centred = shapes - shapes.mean((2, 3), keepdim=True)
    return centred / centred.square().sum((2, 3), keepdim=True).sqrt()


SPECTRA = torch.fft.rfft2(_templates()).conj()
KERNELS = 0.15 * _drawn(5, RANDOM, 3, 3, 5, 5)
KERNELS[:3] -= KERNELS[:3].mean((1, 2, 3, 4), keepdim=True)
"""Kernels of the random convolution; half of them do not see luminance."""
CHAOS = _drawn(6, math.prod(SHAPE))
MIXER = -0x40A7B892E31B1A47
HASH = torch.from_numpy(np.random.default_rng(7).integers(-(2**63), 2**63, math.prod(SHAPE)))


class View:
    """Features of clips ``(N, 3, T, H, W)`` in 0..1. Frames are tori, as those of factorial clips are."""

    def __init__(self, clip: Tensor) -> None:
        self.clip = clip
        self.red, self.green, self.blue = clip.unbind(1)

    @cached_property
    def luma(self) -> Tensor:
        """Luminance, ``(N, T, H, W)``."""
        return 0.299 * self.red + 0.587 * self.green + 0.114 * self.blue

    @cached_property
    def smooth(self) -> Tensor:
        """Luminance without most of the sensor noise, ``(N, T, H, W)``."""
        rows = self.luma + self.luma.roll(1, 2) + self.luma.roll(-1, 2)
        return (rows + rows.roll(1, 3) + rows.roll(-1, 3)) / 9

    @cached_property
    def slopes(self) -> tuple[Tensor, Tensor]:
        """Gradients rightwards and downwards, each ``(N, T, H, W)``."""
        return _slope(self.smooth, 3), _slope(self.smooth, 2)

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor]:
        """Energy of both gradients, each ``(N,)``."""
        across, down = self.slopes
        return mean(across**2), mean(down**2)

    @cached_property
    def contrast(self) -> Tensor:
        """Energy of gradients, ``(N,)``."""
        return self.edges[0] + self.edges[1]

    @cached_property
    def change(self) -> Tensor:
        """Change from frame to frame, ``(N, T - 1, H, W)``."""
        return self.smooth.diff(dim=1)

    @cached_property
    def between(self) -> tuple[Tensor, Tensor]:
        """Gradients halfway between frames, each ``(N, T - 1, H, W)``."""
        across, down = self.slopes
        return (across[:, 1:] + across[:, :-1]) / 2, (down[:, 1:] + down[:, :-1]) / 2

    @cached_property
    def velocity(self) -> tuple[Tensor, Tensor]:
        """Velocity, rightwards and upwards, by least squares: each ``(N, T - 1)``, about pixels a frame."""
        moving = self.change**2 / (self.change**2 + SLIGHT**2)
        right, down = (
            -(moving * slope * self.change).sum((2, 3)) / ((moving * slope**2).sum((2, 3)) + 0.02)
            for slope in self.between
        )
        return right, -down

    @cached_property
    def object(self) -> Tensor:
        """How far a pixel is from the commonest colour of the clip, which is the background's: ``(N, T, H, W)``."""
        colour = self.clip[:, :, ::3, ::2, ::2].flatten(2).median(2).values[..., None, None, None]
        return (self.clip - colour).abs().sum(1)

    @cached_property
    def shapes(self) -> Tensor:
        """Best correlation with a ring and a cross, anywhere and of any radius, ``(N, 2)``; every third frame."""
        seen = self.object[:, ::3]
        seen = seen - seen.mean((2, 3), keepdim=True)
        size = seen.square().sum((2, 3)).sqrt() + 1e-3
        spectrum = torch.fft.rfft2(seen)[:, :, None, None] * SPECTRA
        match: Tensor = torch.fft.irfft2(spectrum, SHAPE[-2:]).amax((-3, -2, -1))
        return (match / size[..., None]).mean(1)

    @cached_property
    def random(self) -> Tensor:
        """A random convolution, rectified and averaged, ``(N, RANDOM)``."""
        return F.relu(F.conv3d(self.clip - 0.45, KERNELS, stride=(1, 2, 2))).mean((2, 3, 4))


def mean(x: Tensor) -> Tensor:
    """Mean over frames and pixels, ``(N, T, H, W)`` → ``(N,)``."""
    return x.mean((1, 2, 3))


def _slope(x: Tensor, axis: int) -> Tensor:
    return (x.roll(-1, axis) - x.roll(1, axis)) / 2


def _fineness(view: View) -> Tensor:
    """Energy of second differences over that of first ones, logarithm."""
    second = sum(view.luma.roll(step, axis) for step in (-1, 1) for axis in (2, 3)) - 4 * view.luma
    return torch.log(mean(second**2) + UNSEEN) - torch.log(view.contrast + UNSEEN)


def _expansion(view: View) -> Tensor:
    """Median over time of how much more is seen of the object than in the frame before, logarithm."""
    spread = view.object - view.object.mean((2, 3), keepdim=True)
    return torch.log(spread.square().mean((2, 3)) + UNSEEN).diff(dim=1).median(1).values


def _turning(view: View) -> Tensor:
    """How the velocity turns from one frame to the next, counterclockwise."""
    right, up = view.velocity
    return (right[:, :-1] * up[:, 1:] - up[:, :-1] * right[:, 1:]).mean(1)


def _layout(view: View, axis: int) -> Tensor:
    """Where in the frame the object is, as the cosine of its place on the torus."""
    profile = view.object.sum((1, axis))
    angle = 2 * math.pi * torch.arange(profile.shape[1]) / profile.shape[1]
    cosine, sine = (profile * torch.cos(angle)).sum(1), (profile * torch.sin(angle)).sum(1)
    return cosine / (torch.hypot(cosine, sine) + 1e-3)


def _hash(view: View) -> Tensor:
    """Normal noise, drawn by a hash of the pixels: equal clips get equal noise."""
    mixed = ((255 * view.clip).round().long().flatten(1) * HASH).sum(1)
    for shift in (29, 32):  # so that clips that differ in one pixel have nothing in common
        mixed = (mixed ^ (mixed >> shift)) * MIXER
    return math.sqrt(2) * torch.erfinv(((mixed >> 30) % 2**20 + 0.5) / 2**19 - 1)


BASIC: Mapping[str, Callable[[View], Tensor]] = {
    "red_green": lambda v: mean(v.red - v.green),
    "blue_yellow": lambda v: mean(v.blue - (v.red + v.green) / 2),
    "saturation": lambda v: mean(v.clip.amax(1) - v.clip.amin(1)),
    "luminance": lambda v: mean(v.luma),
    "orientation": lambda v: (v.edges[1] - v.edges[0]) / (v.contrast + UNSEEN),
    "fineness": _fineness,
    "ring": lambda v: v.shapes[:, 0],
    "cross": lambda v: v.shapes[:, 1],
    "energy": lambda v: mean(v.change**2),
    "energy_by_contrast": lambda v: mean(v.change**2) / (v.contrast + UNSEEN),
    "rightwards": lambda v: v.velocity[0].mean(1),
    "upwards": lambda v: v.velocity[1].mean(1),
    "opponent": lambda v: -mean(v.between[0] * v.change),
    "rectified_right": lambda v: F.relu(v.velocity[0]).mean(1),
    "speed": lambda v: torch.hypot(*v.velocity).mean(1),
    "expansion": _expansion,
    "turning": _turning,
    "layout_x": lambda v: _layout(v, 2),
    "layout_y": lambda v: _layout(v, 3),
    "chaos": lambda v: torch.sin(40 * (v.clip.flatten(1) @ CHAOS)),
    "hash": _hash,
    "dead": lambda v: torch.zeros(len(v.clip)),
    **{f"random_{i}": lambda v, i=i: v.random[:, i] for i in range(RANDOM)},  # type: ignore[misc]
}
"""Name → the unit's response to clips, ``(N,)``."""

Units = Mapping[str, Tensor]


def _sum(first: str, second: str, share: float) -> Callable[[Units], Tensor]:
    """A sum to whose variance the first gives a share, where both are independent."""
    return lambda z: math.sqrt(share) * z[first] + math.sqrt(1 - share) * z[second]


def _rectified(of: Callable[[Units], Tensor], border: float) -> Callable[[Units], Tensor]:
    return lambda z: F.relu(of(z) - border)


COMPOSED: Mapping[str, Callable[[Units], Tensor]] = {
    "red*right": lambda z: z["red_green"] * z["rightwards"],
    "red_and_right": lambda z: F.relu(z["red_green"]) * F.relu(z["rightwards"]),
    "red_xor_right": lambda z: torch.tanh(3 * z["red_green"]) * torch.tanh(3 * z["rightwards"]),
    "orientation*expansion": lambda z: z["orientation"] * z["expansion"],
    "blue_and_up": lambda z: F.relu(z["blue_yellow"]) * F.relu(z["upwards"]),
    **{f"red+right_{share}": _sum("red_green", "rightwards", share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)},
    **{f"relu_red+right_{s}": _rectified(_sum("red_green", "rightwards", s), 0.5) for s in (0.3, 0.5, 0.7)},
    **{f"orientation+up_{share}": _sum("orientation", "upwards", share) for share in (0.3, 0.5, 0.7)},
    **{f"luminance+expansion_{share}": _sum("luminance", "expansion", share) for share in (0.3, 0.7)},
    "relu_red": lambda z: F.relu(z["red_green"] - 0.5),
    "relu_right": lambda z: F.relu(z["rightwards"] - 0.3),
    "noisy_right": lambda z: z["rightwards"] + 0.7 * z["hash"],
    "noisy_red": lambda z: z["red_green"] + 0.7 * z["hash"],
    "red+layout": lambda z: z["red_green"] + z["layout_x"],
    "right+layout": lambda z: z["rightwards"] + z["layout_x"],
    "noisy_layout": lambda z: z["layout_x"] + 0.5 * z["hash"],
}
"""Name → the unit as a function of the basic ones at mean 0 and standard deviation 1."""
NAMES = (*BASIC, *COMPOSED)


class PlantedUnits(nn.Module):
    """All units, the basic ones at mean 0 and standard deviation 1.

    Args:
        mean: Mean of the basic units, ``(len(BASIC),)``.
        spread: Their standard deviation; a unit that never varies stays as it is.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", torch.where(spread > 0, spread, 1))

    def forward(self, clip: Tensor) -> Tensor:
        """``(N, 3, 8, 32, 32)`` in 0..1 → ``(N, len(NAMES))``."""
        basic = (basic_units(clip) - self.mean) / self.spread
        z = dict(zip(BASIC, basic.unbind(1), strict=True))
        return torch.cat([basic, torch.stack([unit(z) for unit in COMPOSED.values()], 1)], 1)


class PlantedModel(nn.Module):
    """The units as a stage of a model; see `STAGES` and `RECIPE`."""

    def __init__(self, units: PlantedUnits) -> None:
        super().__init__()
        self.units = units

    def forward(self, clip: Tensor) -> Tensor:
        """The responses of the units."""
        found: Tensor = self.units(clip)
        return found


def basic_units(clip: Tensor) -> Tensor:
    """``(N, 3, 8, 32, 32)`` in 0..1 → ``(N, len(BASIC))``."""
    view = View(clip)
    return torch.stack([unit(view) for unit in BASIC.values()], 1)


@cache
def planted_model() -> PlantedModel:
    """The planted units, their means and deviations taken from clips drawn at random."""
    scenes = draw_scenes(CONTENTS["objects"], 0, range(NATURAL))
    seen = torch.cat([basic_units(_clips(scenes[i : i + 100])) for i in range(0, NATURAL, 100)])
    return PlantedModel(PlantedUnits(seen.mean(0), seen.std(0))).eval()


def _clips(scenes: object) -> Tensor:
    return render(scenes).permute(0, 4, 1, 2, 3).contiguous() / 255  # type: ignore[arg-type]
