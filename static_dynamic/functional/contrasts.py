"""Covariances between conditions, over videos: the basis of every score of whole videos.

A *cell* is a condition under which every video is shown. ``z[v, a, i]`` is unit ``i`` on video ``v`` in cell ``a``. A
*contrast* is a list of pairs of cells, and its covariance is the mean over them, centred per cell:

    C_i = n / (n - 1) · mean over (a, b) of [Σ_v w_v z_vai z_vbi / n - m_ai m_bi]
    m_ai = Σ_v w_v z_vai / n,   n = Σ_v w_v

These follow from one row of sums per video. So a bootstrap or a jackknife over videos is the same formula with other
weights ``w``, and the sums of two sets of videos can be concatenated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.functional.additive import Additive, Ints, bilinear
from static_dynamic.functional.released import ROUNDING

Array = npt.NDArray[np.float64]
Contrast = Sequence[tuple[int, int]]
"""Pairs of cells, by their numbers; a pair of a cell with itself means its variance."""


@dataclass(frozen=True)
class Sums(Additive):
    """Sums over the videos of each group.

    Attributes:
        count: Videos, ``(G,)``.
        cells: ``Σ z``, ``(G, K, U)``.
        products: Contrast → mean over its pairs of ``Σ z_a z_b``, ``(G, U)``.
        contrasts: Contrast → its pairs of cells.
        shift: See `Additive`.
        size: See `Additive`.
        entries: See `Additive`.
    """

    count: Array
    cells: Array
    products: Mapping[str, Array]
    contrasts: Mapping[str, Contrast]
    shift: Array
    size: Array
    entries: int

    def arrays(self) -> list[Array]:
        """Numbers of videos, cells and products."""
        return [self.count, self.cells, *self.products.values()]

    def of(self, arrays: Sequence[Array], size: Array, entries: int) -> "Sums":
        """See `Additive.of`."""
        count, cells, *products = arrays
        named = dict(zip(self.products, products, strict=True))
        return replace(self, count=count, cells=cells, products=named, size=size, entries=entries)

    def covariances(self, weights: Array | None = None) -> dict[str, Array]:
        """Covariance of every contrast, ``(R, U)``, with each group counted ``weights`` times, ``(R, G)``.

        Variances that are only rounding are exactly 0. NaN where fewer than two videos count.
        """
        return self.weighted(weights).covariances_by_group()

    def covariances_by_group(self) -> dict[str, Array]:
        """The same for every group, or resample, by itself: ``(G, U)``."""
        n = self.count[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self.cells / n[..., None]
            unbiased = np.where(n > 1, n / (n - 1), np.nan)
            found = {
                name: unbiased * (self.products[name] / n - _mean_product(means, means, pairs))
                for name, pairs in self.contrasts.items()
            }
        floor = ROUNDING * self.size
        for name, pairs in self.contrasts.items():
            if all(a == b for a, b in pairs):
                found[name] = np.where(found[name] <= floor, 0.0, found[name])
        return found


def cell_sums(
    z: npt.ArrayLike,
    contrasts: Mapping[str, Contrast],
    group: npt.ArrayLike | None = None,
    partner: npt.ArrayLike | None = None,
    shift: Array | None = None,
) -> Sums:
    """The sums from which the covariances of contrasts follow.

    Args:
        z: Units of every video in every cell, ``(V, K, U)``.
        contrasts: Name → pairs of cells.
        group: Group of each video, ``(V,)`` integers from 0; each video is a group if ``None``.
        partner: Video whose second cell is taken, ``(V,)``: another video gives the covariance of unrelated videos
            under the same conditions. Variances remain those of the video.
        shift: The number subtracted from every unit, ``(U,)``; its mean if ``None``.

    Raises:
        UserError: If the shapes do not fit, or a contrast names a cell that does not exist.
    """
    values = np.asarray(z, np.float64)
    if values.ndim != 3 or not values.shape[0]:
        raise UserError(f"Units in cells must be (videos, cells, units). Got {values.shape}.")
    groups = np.arange(len(values)) if group is None else np.asarray(group, np.intp)
    if groups.shape != values.shape[:1]:
        raise UserError(f"Every video needs one group. Got {groups.shape} for {len(values)} videos.")
    for name, pairs in contrasts.items():
        if not pairs or not all(0 <= cell < values.shape[1] for pair in pairs for cell in pair):
            raise UserError(f"The contrast {name!r} needs pairs of cells in 0..{values.shape[1] - 1}. Got {pairs}.")
    size = (values**2).mean((0, 1))
    shift = values.mean((0, 1)) if shift is None else shift
    values = values - shift
    others = values if partner is None else values[np.asarray(partner, np.intp)]
    products = {
        name: _mean_product(values, values if all(a == b for a, b in pairs) else others, pairs)
        for name, pairs in contrasts.items()
    }
    return Sums(
        count=np.bincount(groups).astype(np.float64),
        cells=_summed(values, groups),
        products={name: _summed(product, groups) for name, product in products.items()},
        contrasts=dict(contrasts),
        shift=shift,
        size=size,
        entries=values.shape[0] * values.shape[1],
    )


def with_partners(sums: Sums, z: Array, partners: Sequence[Ints]) -> list[Sums]:
    """The sums of :func:`cell_sums` over all groups, for several choices of partners of the videos.

    Args:
        sums: Sums of the videos themselves.
        z: Units of every video in every cell, ``(V, K, U)``.
        partners: For each choice the partner of every video, ``(V,)``.
    """
    total, cells = sums.weighted(), z.shape[1]
    values = (z - sums.shift).reshape(-1, z.shape[2])
    row = np.arange(len(z)) * cells
    found = []
    for partner in partners:
        products = dict(total.products)
        for name, pairs in sums.contrasts.items():
            if not all(a == b for a, b in pairs):
                first, second = (
                    np.concatenate([of + pair[side] for pair in pairs])
                    for side, of in enumerate((row, np.asarray(partner) * cells))
                )
                products[name] = bilinear(values, first, second)[None] / len(pairs)
        found.append(replace(total, products=products))
    return found


def _mean_product(x: Array, y: Array, pairs: Contrast) -> Array:
    """Mean over pairs of the product of their cells: ``(…, K, U)`` twice → ``(…, U)``."""
    total = np.zeros(x.shape[:-2] + x.shape[-1:])
    for a, b in pairs:
        total += x[..., a, :] * y[..., b, :]
    return total / len(pairs)


def _summed(values: Array, groups: npt.NDArray[np.intp]) -> Array:
    """Sums over the members of every group."""
    if len(values) == groups.max() + 1 and (groups == np.arange(len(values))).all():
        return values
    total = np.zeros((groups.max() + 1, *values.shape[1:]))
    np.add.at(total, groups, values)
    return total
