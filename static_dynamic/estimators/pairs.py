"""Pairs: two variants, formed from the rows of a store.

A dynamic pair shares the order and differs in style; a static pair shares the style and differs in order. Every style
is paired with every other, and every scramble with the intact order, so few forward passes give many pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError, shown
from static_dynamic.common.numbers import is_whole
from static_dynamic.common.seeds import check_seed, derive_seed
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.variants import Cell, Index, Variant

Ints = npt.NDArray[np.intp]

SHARED = ("dynamic", "static", "differ", "same")
"""What the pairs of a factor share, by its published number: pairs of 2 differ in both, those of 3 in neither."""
FACTOR_COUNTS = ((3, 2), (4, 2), (4, 3), (4, -1), (5, 4))
"""Numbers of factors, each with the index of the residual: every other factor has a published meaning."""


@dataclass(frozen=True, kw_only=True)
class PairRule:
    """Which variants make pairs; the defaults are the published protocol.

    Attributes:
        n_factors: Number of factors, the residual included: 3, or 4 or 5 with ``differ`` and ``same`` pairs.
        residual_index: The factor that is the residual, which has no pairs: 2 or more, and the last of five. -1 if all
            four factors have pairs.
        same_video: Dynamic pairs come from one video; otherwise from two videos of one class (``m_same``).
        scrambled: Static pairs differ in order; otherwise they are two videos of different classes (``app_shuffle``).
        normal_static: Static pairs come from the original videos (``use_normal_app``).
        seed: Draws the partners of pairs across videos.
    """

    n_factors: int = 3
    residual_index: int = 2
    same_video: bool = True
    scrambled: bool = True
    normal_static: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("same_video", "scrambled", "normal_static"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"The '{name}' of a rule is True or False. Got {shown(getattr(self, name))}.")
        check_seed(self.seed)
        counts = (self.n_factors, self.residual_index)
        if not all(map(is_whole, counts)) or counts not in FACTOR_COUNTS:
            allowed = ", ".join(f"{n} and {index}" for n, index in FACTOR_COUNTS)
            raise UserError(
                f"n_factors and residual_index must be {allowed}: 0 is dynamic, 1 is static, -1 means no residual. "
                f"Got n_factors={shown(self.n_factors)}, residual_index={shown(self.residual_index)}."
            )

    @property
    def names(self) -> list[str]:
        """Name of every factor."""
        return ["residual" if f == self.residual_index else SHARED[f] for f in range(self.n_factors)]


class Pairs(NamedTuple):
    """Rows of a store that make pairs; all arrays are ``(n,)``."""

    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    factor: npt.NDArray[np.intp]
    video: npt.NDArray[np.intp]
    """Number of the first element's video, or of its sequence: pairs of one sequence depend on each other."""
    weight: npt.NDArray[np.float64]
    """How much the pair counts."""

    def only(self, keep: npt.NDArray[np.bool_]) -> "Pairs":
        """Some of them: ``keep`` is ``(n,)``."""
        return Pairs(self.a[keep], self.b[keep], self.factor[keep], self.video[keep], self.weight[keep])


def make_pairs(
    variants: Sequence[Variant],
    rule: PairRule,
    labels: Mapping[str, str | None] | None = None,
    sequences: Mapping[str, str] | None = None,
) -> Pairs:
    """All pairs among the rows of a store.

    Args:
        variants: Key of every row.
        rule: Which variants make pairs.
        labels: Video → class, for pairs across videos.
        sequences: Video → the sequence that it is a moment of.

    Raises:
        UserError: If a factor has no pairs; the message names what would give it some.
    """
    index = Index.of(variants)
    styles = list(dict.fromkeys(cell.style for cell in index.cells))
    orders = list(dict.fromkeys(cell.order for cell in index.cells))
    pairing = _Pairing(index.videos, styles, orders, rule, labels or {})
    number: dict[str, int] = {}
    whole = [number.setdefault((sequences or {}).get(video, video), len(number)) for video in index.videos]
    found = [
        _rows(index, pairing, factor, np.array(whole, np.intp))
        for factor, name in enumerate(rule.names)
        if name != "residual"
    ]
    a, b, factors, numbers = np.concatenate(found, axis=1)
    pairs = Pairs(a, b, factors, numbers, np.ones(len(a)))
    for factor, name in enumerate(rule.names):
        if name != "residual" and not (pairs.factor == factor).any():
            raise UserError(
                f"There are no {name} pairs: {pairing.advice(name)}. "
                f"Styles: {', '.join(styles)}; orders: {', '.join(orders)}."
            )
    return pairs


def _rows(index: Index, pairing: "_Pairing", factor: int, whole: Ints) -> Ints:
    """Both rows, factor and sequence of all pairs of a factor, video by video: ``(4, n)``."""
    cells = list(getattr(pairing, pairing.rule.names[factor])())
    partner = pairing.partners(pairing.rule.names[factor]) if cells else np.empty(0, np.intp)
    videos = np.flatnonzero(partner >= 0)
    first, second = (index.columns([pair[side] for pair in cells]) for side in (0, 1))
    a, b = first[videos], second[partner[videos]]
    for rows, of, side in ((a, videos, 0), (b, partner[videos], 1)):
        if (rows < 0).any():
            video, pair = np.argwhere(rows < 0)[0]
            raise KeyError(Variant(index.videos[of[video]], *cells[pair][side]))
    each = np.repeat(whole[videos], len(cells))
    return np.stack([a.ravel(), b.ravel(), np.full(a.size, factor), each])


@dataclass(frozen=True)
class _Pairing:
    """The conditions of the two clips of every pair of a video, and which video the second clip is of."""

    videos: Sequence[str]
    styles: list[str]
    orders: list[str]
    rule: PairRule
    labels: Mapping[str, str | None]

    def dynamic(self) -> Iterator[tuple[Cell, Cell]]:
        for first, second in combinations(self._restyled, 2):
            yield Cell(first, INTACT), Cell(second, INTACT)

    def static(self) -> Iterator[tuple[Cell, Cell]]:
        styles = [style for style in self.styles if style == ORIGINAL] if self.rule.normal_static else self._restyled
        for style in styles:
            for order in self._scrambles if self.rule.scrambled else [INTACT]:
                yield Cell(style, INTACT), Cell(style, order)

    def differ(self) -> Iterator[tuple[Cell, Cell]]:
        for first, second in combinations(self._restyled, 2):
            for order in self._scrambles:
                yield Cell(first, INTACT), Cell(second, order)

    def same(self) -> Iterator[tuple[Cell, Cell]]:
        for style in self._restyled:
            yield Cell(style, INTACT), Cell(style, INTACT)

    @property
    def _restyled(self) -> list[str]:
        """The styles that are paired; with `normal_static` the original video serves the static pairs alone."""
        return [style for style in self.styles if not (self.rule.normal_static and style == ORIGINAL)]

    @property
    def _scrambles(self) -> list[str]:
        return [order for order in self.orders if order != INTACT]

    def partners(self, name: str) -> Ints:
        """Number of the video of every video's second clip, ``(V,)``; -1 where there is none."""
        if name == "dynamic" and not self.rule.same_video:
            return self._others(same_class=True)
        if name == "static" and not self.rule.scrambled:
            return self._others(same_class=False)
        return np.arange(len(self.videos))

    def _others(self, same_class: bool) -> Ints:
        """Draw another video for every video, among those of its class or of other classes."""
        members: dict[str, list[int]] = {}
        for number, video in enumerate(self.videos):
            members.setdefault(self._label(video), []).append(number)
        of_class = {label: np.array(numbers, np.intp) for label, numbers in members.items()}
        return np.array([self._other(i, of_class[self._label(v)], same_class) for i, v in enumerate(self.videos)])

    def _other(self, video: int, members: Ints, same_class: bool) -> int:
        """Draw a member other than the video, or a video that is not a member; -1 if there is none."""
        pool = len(members) - 1 if same_class else len(self.videos) - len(members)
        if not pool:
            return -1
        drawn = derive_seed(self.rule.seed, "partner", self.videos[video], same_class) % pool
        if same_class:
            return int(members[drawn + (drawn >= np.searchsorted(members, video))])
        return int(drawn + np.searchsorted(members - np.arange(len(members)), drawn, side="right"))

    def _label(self, video: str) -> str:
        label = self.labels.get(video)
        if label is None:
            raise UserError(
                f"Pairs across videos need the class of every video; {video!r} has none. Open the videos with "
                "`labels=\"folders\"`, which takes it from their folders, or give a list with a column 'label'."
            )
        return label

    def advice(self, name: str) -> str:
        """The remedy for a factor without pairs."""
        if name in ("dynamic", "differ") and len(self._restyled) < 2:
            return "two styles are required"
        if name == "dynamic":
            return "two videos of one class are required"
        if name == "static" and self.rule.normal_static and ORIGINAL not in self.styles:
            return f"the original videos are required (style {ORIGINAL!r})"
        return "a scramble is required" if self.rule.scrambled or name != "static" else "two classes are required"
