"""Pairs: two variants, formed after the fact from the rows of a store.

A dynamic pair shares the order and differs in style; a static pair shares the style and differs in order. Every style
is paired with every other, and every scramble with the intact order, so few forwards give many pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import derive_seed
from static_dynamic.media.clip import INTACT, ORIGINAL
from static_dynamic.variants import Variant

SHARED = ("dynamic", "static", "differ", "same")
"""What the pairs of a factor share, by its published number: 2 differs in both, 3 in neither."""
FACTOR_COUNTS = ((3, 2), (4, 2), (4, 3), (4, -1), (5, 4))
"""Numbers of factors, each with the place of the residual: every other factor has a published meaning."""


@dataclass(frozen=True, kw_only=True)
class PairRule:
    """Which variants make pairs; the defaults are the published protocol.

    Attributes:
        n_factors: Number of factors, the residual included: 3, or 4 or 5 with ``differ`` and ``same`` pairs.
        residual_index: Which factor is the residual, which has no pairs: 2 or more, and the last of five; -1 if all
            four factors have pairs.
        same_video: Dynamic pairs come from one video; otherwise from two videos of one class (``m_same``).
        scrambled: Static pairs differ in order; otherwise they are two videos of different classes (``app_shuffle``).
        normal_static: Static pairs come from the videos as filmed (``use_normal_app``).
        seed: Draws the partners of pairs across videos.
    """

    n_factors: int = 3
    residual_index: int = 2
    same_video: bool = True
    scrambled: bool = True
    normal_static: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.n_factors, self.residual_index) not in FACTOR_COUNTS:
            allowed = ", ".join(f"{n} and {index}" for n, index in FACTOR_COUNTS)
            raise UserError(
                f"n_factors and residual_index must be {allowed}: 0 is dynamic, 1 is static, -1 means no residual. "
                f"Got n_factors={self.n_factors}, residual_index={self.residual_index}."
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
        UserError: If a factor has no pairs, and what would give it some.
    """
    row = {key: i for i, key in enumerate(variants)}
    videos = list(dict.fromkeys(key.video for key in variants))
    styles = list(dict.fromkeys(key.style for key in variants))
    orders = list(dict.fromkeys(key.order for key in variants))
    pairing = _Pairing(videos, styles, orders, rule, labels or {})
    whole = [(sequences or {}).get(video, video) for video in videos]
    number = {sequence: i for i, sequence in enumerate(dict.fromkeys(whole))}
    found = [
        (row[first], row[second], factor, number[sequence])
        for factor, name in enumerate(rule.names)
        if name != "residual"
        for video, sequence in zip(videos, whole, strict=True)
        for first, second in getattr(pairing, name)(video)
    ]
    a, b, factors, numbers = np.array(found, np.intp).reshape(-1, 4).T
    pairs = Pairs(a, b, factors, numbers, np.ones(len(found)))
    for factor, name in enumerate(rule.names):
        if name != "residual" and not (pairs.factor == factor).any():
            raise UserError(
                f"There are no {name} pairs: {pairing.advice(name)}. "
                f"Styles: {', '.join(styles)}; orders: {', '.join(orders)}."
            )
    return pairs


@dataclass(frozen=True)
class _Pairing:
    videos: list[str]
    styles: list[str]
    orders: list[str]
    rule: PairRule
    labels: Mapping[str, str | None]

    def dynamic(self, video: str) -> Iterator[tuple[Variant, Variant]]:
        other = video if self.rule.same_video else self._partner(video, same_class=True)
        if other is not None:
            for first, second in combinations(self._restyled, 2):
                yield Variant(video, first, INTACT), Variant(other, second, INTACT)

    def static(self, video: str) -> Iterator[tuple[Variant, Variant]]:
        styles = [style for style in self.styles if style == ORIGINAL] if self.rule.normal_static else self._restyled
        if self.rule.scrambled:
            for style in styles:
                for order in self._scrambles:
                    yield Variant(video, style, INTACT), Variant(video, style, order)
        elif (other := self._partner(video, same_class=False)) is not None:
            for style in styles:
                yield Variant(video, style, INTACT), Variant(other, style, INTACT)

    def differ(self, video: str) -> Iterator[tuple[Variant, Variant]]:
        for first, second in combinations(self._restyled, 2):
            for order in self._scrambles:
                yield Variant(video, first, INTACT), Variant(video, second, order)

    def same(self, video: str) -> Iterator[tuple[Variant, Variant]]:
        for style in self._restyled:
            yield Variant(video, style, INTACT), Variant(video, style, INTACT)

    @property
    def _restyled(self) -> list[str]:
        """The styles that are paired; the video as filmed serves the static pairs alone where those ask for it."""
        return [style for style in self.styles if not (self.rule.normal_static and style == ORIGINAL)]

    @property
    def _scrambles(self) -> list[str]:
        return [order for order in self.orders if order != INTACT]

    def _partner(self, video: str, same_class: bool) -> str | None:
        if self.labels.get(video) is None:
            raise UserError(
                f"Pairs across videos need the class of every video; {video!r} has none. Open the videos with "
                "`labels=\"folders\"`, which takes it from their folders, or give a list with a column 'label'."
            )
        others = [
            other
            for other in self.videos
            if other != video and (self.labels.get(other) == self.labels[video]) == same_class
        ]
        return others[derive_seed(self.rule.seed, "partner", video, same_class) % len(others)] if others else None

    def advice(self, name: str) -> str:
        """What would give a factor pairs."""
        if name in ("dynamic", "differ") and len(self._restyled) < 2:
            return "two styles are needed"
        if name == "dynamic":
            return "two videos of one class are needed"
        if name == "static" and self.rule.normal_static and ORIGINAL not in self.styles:
            return f"the original videos are needed (style {ORIGINAL!r})"
        return "a scramble is needed" if self.rule.scrambled or name != "static" else "two classes are needed"
