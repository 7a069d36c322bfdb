"""Four kinds of pairs: the components of a response to styles and scrambles."""

from collections.abc import Mapping
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.contrasts import Array, Contrast, cell_sums
from static_dynamic.functional.resampling import FEWEST_VIDEOS

COMPONENTS = ("style", "order", "joint", "content", "noise")
RESPONSE_CLASSES = ("style", "order", "both", "neither", "dead")


class FourPair(NamedTuple):
    """Components of the response to these styles and scrambles, in the order of ``COMPONENTS``.

    Attributes:
        units: Shares of the variance of every unit, ``(5, U)``; they add up to 1 and can be negative; NaN for a unit
            without variance.
        variance: ``V``, ``(U,)``.
        layer: Sum of the components over that of the variances, ``(5,)``.
    """

    units: Array
    variance: Array
    layer: Array


def four_pair(z: npt.ArrayLike, again: npt.ArrayLike | None = None) -> FourPair:
    """The components of the response to these interventions.

    Covariances over videos, centred per condition, averaged over all pairs of conditions of a kind:

        V     variance;  c_R of a clip with its replicate;  c_D same order, other style
              (each the mean of that over intact and that over scrambled clips)
        c_S   same style, intact and a scramble;            c_C other style, intact and a scramble
        style = c_S - c_C;  order = c_D - c_C;  joint = c_R - c_D - c_S + c_C;  content = c_C;  noise = V - c_R
        layer = Σ_i component_i / Σ_i V_i

    In words: what is lost when the style changes, when the order changes, and when either changes; what survives both;
    and what a replicate does not reproduce. These describe how a unit responds to *these* styles and scrambles. How
    much of its response to unmodified videos is due to appearance or motion does not follow.

    Args:
        z: ``(V, K, O, U)``: units of every video in K styles and O orders, the intact order first.
        again: The same for replicates; without them noise is 0, and its share counts as joint.

    Raises:
        UserError: If the shapes do not fit, or there are fewer than two styles, two orders or three videos.

    Example:
        >>> style = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[:, :, None, None]
        >>> four_pair(np.repeat(style, 2, axis=2)).layer.tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    given = [np.asarray(part, np.float64) for part in (z, again) if part is not None]
    shape = given[0].shape
    if len(shape) != 4 or any(part.shape != shape for part in given):
        shapes = ", ".join(str(part.shape) for part in given)
        raise UserError(f"Clips and replicates must be (videos, styles, orders, units), of one shape. Got {shapes}.")
    videos, styles, orders, units = shape
    if styles < 2 or orders < 2 or videos < FEWEST_VIDEOS:
        raise UserError(
            f"Two styles, two orders and {FEWEST_VIDEOS} videos or more are required. Got {styles}, {orders}, {videos}."
        )
    cells = np.concatenate([part.reshape(videos, styles * orders, units) for part in given], axis=1)
    covariance = cell_sums(cells, four_pair_contrasts(styles, orders, len(given) == 2)).covariances()
    parts, variance = components(covariance)[0], covariance["variance"][0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return FourPair(shares(parts, variance), variance, parts.sum(-1) / variance.sum())


def four_pair_contrasts(styles: int, orders: int, replicates: bool) -> dict[str, Contrast]:
    """The contrasts of cells in the order of styles, each in every order, intact first; then their replicates.

    An intact pair is named once for every scramble, so that intact and scrambled clips have half the weight each.
    """
    cells = [[style * orders + order for order in range(orders)] for style in range(styles)]
    intact = [(0, order) for order in range(1, orders)]
    same_order = [order for first, scramble in intact for order in (first, scramble)]
    again = styles * orders if replicates else 0
    return {
        "variance": [(of[order], of[order]) for of in cells for order in same_order],
        "replicate": [(of[order], of[order] + again) for of in cells for order in same_order],
        "other style": [(a[order], b[order]) for a, b in combinations(cells, 2) for order in same_order],
        "other order": [(of[first], of[scramble]) for of in cells for first, scramble in intact],
        "both differ": [(a[first], b[scramble]) for a, b in permutations(cells, 2) for first, scramble in intact],
    }


def components(covariance: Mapping[str, Array]) -> Array:
    """The five components ``(R, 5, U)`` from the covariances of :func:`four_pair_contrasts`, not yet divided."""
    names = ("variance", "replicate", "other style", "other order", "both differ")
    variance, again, other_style, other_order, both = (covariance[name] for name in names)
    parts = [
        other_order - both,
        other_style - both,
        again - other_style - other_order + both,
        both,
        variance - again,
    ]
    return np.stack(parts, axis=-2)


def shares(parts: Array, variance: Array) -> Array:
    """Components ``(…, 5, U)`` over the variance ``(…, U)``; NaN for a unit without."""
    whole = variance[..., None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, parts / whole, np.nan)


def classify_responses(units: npt.ArrayLike, threshold: float = 0.25) -> npt.NDArray[np.str_]:
    """Class of every unit from its components.

    With s, o, j its style, order and joint components within 0..1, and e = s + o + j:

        dead: no variance;  neither: e < τ;  both: s + j > τ e and o + j > τ e;  style: s > o;  order: otherwise

    Args:
        units: ``(…, 5, U)`` in the order of ``COMPONENTS``.
        threshold: τ, in [0, 1].

    Returns:
        ``(…, U)``.

    Raises:
        UserError: If the threshold is outside [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"The threshold of a component must be in 0..1. Got {threshold}.")
    values = np.asarray(units, np.float64)
    style, order, joint = (np.clip(values[..., part, :], 0, 1) for part in range(3))
    explained = style + order + joint
    least = threshold * explained
    changes = np.where(style > order, "style", "order")
    changes = np.where((style + joint > least) & (order + joint > least), "both", changes)
    changes = np.where(explained < threshold, "neither", changes)
    return np.where(np.isnan(values[..., 0, :]), "dead", changes)
