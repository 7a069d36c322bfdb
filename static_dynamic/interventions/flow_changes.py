"""Changes of optical flow: the dynamic conditions of models that see frames and the flow between them.

Flow comes as colour-wheel images. `jitter` changes their colours, as the published study does; the others change
the motion that the colours represent, and can be described in words.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
from PIL import Image

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.registry import Registry, generator
from static_dynamic.flow.colour_wheel import Flow, Frame, paint, read
from static_dynamic.media.clip import FLOWS, INTACT, Frames, resize_images
from static_dynamic.optional import need

Flows = Mapping[str, Frames]
"""Direction (``"forward"``, ``"backward"``) → ``(T, H, W, 3)`` uint8 RGB."""
Rng = np.random.Generator

flow_change: Registry[Callable[..., dict[str, Frames]]] = Registry("flow change", reserved=(INTACT,))
"""Decorator and registry of changes of optical flow."""

HUE_RANGE, SATURATION_RANGE = (0.1, 0.5), (0.1, 1.0)
"""Bounds between which `jitter` draws its ranges."""
ANGLES = (60.0, 300.0)
"""Bounds between which `rotate` draws its angle, degrees."""
SLOWER = (0.2, 0.5)
"""Bounds between which `scale` draws its factor."""


@flow_change("jitter", "Colours of every flow image changed at random, as published; no motion in particular.")
def jitter(flows: Flows, rng: Rng) -> dict[str, Frames]:
    """Change saturation and hue of every image by separate factors: the published flow jitter.

    For every frame ``h ~ U(0.1, 0.5)`` and ``s ~ U(0.1, 1)``, the same for all directions; for every direction then a
    saturation factor ``U(max(0, 1 - s), 1 + s)``, a hue shift ``U(-h, h)`` in turns of the circle, and which of the
    two comes first. The published code resizes flow first, so give it in the size that the model sees.
    """
    changed: dict[str, list[Frame]] = {direction: [] for direction in flows}
    for i in range(_length(flows)):
        h, s = rng.uniform(*HUE_RANGE), rng.uniform(*SATURATION_RANGE)
        for (
            direction
        ) in FLOWS:  # drawn for both, so that the draw for one does not depend on whether the other is given
            order = [str(name) for name in rng.permutation(["saturation", "hue"])]
            saturation, hue = rng.uniform(max(0, 1 - s), 1 + s), rng.uniform(-h, h)
            if direction in flows:
                changed[direction].append(recolour(flows[direction][i], saturation, hue, order))
    return {direction: np.stack(images) for direction, images in changed.items()}


@flow_change("rotate", "All motion turned by one angle, drawn from 60 to 300 degrees.")
def rotate(flows: Flows, rng: Rng) -> dict[str, Frames]:
    """Turn every vector of the clip by the same angle; speeds and motion boundaries stay."""
    angle = np.radians(rng.uniform(*ANGLES))
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    turn = np.array([[cos, sin], [-sin, cos]])
    return _moved(flows, lambda vectors: vectors @ turn)


@flow_change("scale", "All motion slower by one factor, drawn from 0.2 to 0.5.")
def scale(flows: Flows, rng: Rng) -> dict[str, Frames]:
    """Shorten every vector of the clip by the same factor ``exp U(log 0.2, log 0.5)``; directions stay.

    A drawn flow image is normalised by its longest vector, so slower motion looks the same. Here the colours fade,
    unlike in any image of a data set. Vectors cannot become longer than the longest one, so motion cannot be faster.
    """
    factor = np.float32(np.exp(rng.uniform(*np.log(SLOWER))))
    return _moved(flows, lambda vectors: vectors * factor)


@flow_change("freeze", "No motion at all: every vector is zero.")
def freeze(flows: Flows, rng: Rng) -> dict[str, Frames]:
    """Replace the flow by white images, the colour of no motion."""
    return _moved(flows, np.zeros_like)


@flow_change("swap", "The flow of another clip instead of its own.")
def swap(flows: Flows, rng: Rng, other: Flows) -> dict[str, Frames]:
    """Take the flow of ``other``, which has as many frames; it is resized (bilinear, with PIL) if its size differs."""
    size = next(iter(flows.values())).shape[1:3]
    return {direction: resize_images(other[direction], size, Image.Resampling.BILINEAR) for direction in flows}


def list_flow_changes(pattern: str = "*") -> list[str]:
    """Names of all changes of flow that match a glob."""
    return flow_change.names(pattern)


def check_flow_change(kind: str) -> None:
    """Check a name before it is used in `change_flow`.

    Raises:
        UserError: If the change is unknown.
    """
    _ = flow_change[kind]


def needs_other(kind: str) -> bool:
    """Whether a change requires the flow of another clip.

    Raises:
        UserError: If the change is unknown.
    """
    return "other" in signature(flow_change[kind].function).parameters


def change_flow(flows: Flows, kind: str, seed: int = 0, other: Flows | None = None) -> dict[str, Frames]:
    """Give a clip other dynamics by changing its flow; its frames are unchanged.

    Args:
        flows: Direction → ``(T, H, W, 3)`` uint8 RGB on the colour wheel, all of one shape; not modified.
        kind: A name from `list_flow_changes`.
        seed: Same kind, seed and flows: same result. Draws for a direction do not depend on the other one, and
            draws for a frame do not depend on later frames.
        other: The flow of another clip, with the same directions and number of frames, in any size; only if
            `needs_other` is true.

    Returns:
        The changed flow, of the same directions and shapes.

    Raises:
        UserError: For an unknown kind, a negative seed, flow of another form, or an ``other`` that is missing or
            invalid.

    Example:
        >>> still = np.full((2, 32, 32, 3), 255, np.uint8)
        >>> bool((change_flow({"forward": still}, "rotate")["forward"] == still).all())
        True
    """
    function, rng = flow_change[kind].function, generator(seed, kind)
    _check(flows, "flows")
    if needs_other(kind):
        _check_fit(other, kind, flows)
    changed = function(flows, rng, other) if needs_other(kind) else function(flows, rng)
    _check_result(changed, kind, flows)
    return changed


def recolour(image: Frame, saturation: float, hue: float, order: Sequence[str] = ("saturation", "hue")) -> Frame:
    """Change saturation and hue of an image, with torchvision's operators on PIL images, as published.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        saturation: 0 is grey, 1 no change.
        hue: Shift in turns of the circle, -0.5..0.5.
        order: The order of the two.
    """
    functional: Any = need("torchvision.transforms.functional", UserError)
    changes = {
        "saturation": lambda picture: functional.adjust_saturation(picture, saturation),
        "hue": lambda picture: functional.adjust_hue(picture, hue),
    }
    picture = Image.fromarray(image)
    for name in order:
        picture = changes[name](picture)
    return np.array(picture)


def _moved(flows: Flows, move: Callable[[Flow], Flow]) -> dict[str, Frames]:
    """Flow with changed vectors."""
    return {direction: np.stack([paint(move(read(image))) for image in flows[direction]]) for direction in flows}


def _length(flows: Flows) -> int:
    return len(next(iter(flows.values())))


def _check(flows: Flows, name: str) -> None:
    for direction in flows:
        if direction not in FLOWS:
            raise unknown("direction of flow", direction, FLOWS, where=name)
    forms = {f"{frames.dtype} {frames.shape}" for frames in flows.values()}
    first = next(iter(flows.values()), np.empty(0))
    if len(forms) != 1 or first.dtype != np.uint8 or first.ndim != 4 or first.shape[-1] != 3 or not first.size:
        given = ", ".join(sorted(forms)) or "none"
        raise UserError(f"The {name!r} must be uint8 (T, H, W, 3), the same for every direction. Got {given}.")


def _check_fit(other: Flows | None, kind: str, flows: Flows) -> None:
    if other is None:
        raise UserError(f"The change {kind!r} requires the flow of another clip: give it as 'other'.")
    _check(other, "other")
    if _length(other) != _length(flows) or not flows.keys() <= other.keys():
        raise UserError(
            f"The 'other' must have {', '.join(flows)} flow of {_length(flows)} frames. "
            f"Got {', '.join(other)} flow of {_length(other)}."
        )


def _check_result(changed: object, kind: str, flows: Flows) -> None:
    first = next(iter(flows.values()))
    sound = isinstance(changed, Mapping) and changed.keys() == flows.keys()
    if not sound or any(part.dtype != np.uint8 or part.shape != first.shape for part in changed.values()):  # type: ignore[attr-defined]
        raise UserError(f"The change {kind!r} must return {', '.join(flows)} flow, each uint8 {first.shape}.")
