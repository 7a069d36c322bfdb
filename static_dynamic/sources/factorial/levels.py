"""What a factorial clip can show and how it can move: factors, and the levels of each."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple, TypeGuard

from static_dynamic.common.errors import UserError, unknown

Levels = Mapping[str, tuple[str, ...]]
"""Factor → names of its levels."""

LEVELS: Levels = {
    "colour": ("red", "green", "blue", "yellow", "magenta", "cyan"),
    "shape": ("disc", "square", "cross", "ring"),
    "texture": ("plain", "stripes", "checks", "dots"),
    "background": ("bars", "columns", "grid", "diagonal"),
    "kind": ("right", "up", "left", "down", "clockwise", "counterclockwise", "expand", "contract"),
    "speed": ("slow", "medium", "fast"),
    "coherence": ("quarter", "half", "full"),
}
"""All factors."""
DIRECTIONS: Mapping[str, int | None] = {
    **{kind: 90 * place for place, kind in enumerate(LEVELS["kind"][:4])},
    **dict.fromkeys(LEVELS["kind"][4:]),
}
"""Direction of a kind of motion, degrees, counter-clockwise from the right; ``None`` for those without a direction."""
SHIFTS = LEVELS["kind"][:6]
"""The kinds of motion that leave the size as it is."""


class Content(NamedTuple):
    """The factors of a content, with their levels.

    Attributes:
        appearance: Factors that one frame shows, with their levels.
        motion: Factors that require several frames.
    """

    appearance: Levels
    motion: Levels

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """All factors."""
        return {**self.appearance, **self.motion}

    def only(self, chosen: Mapping[str, object]) -> "Content":
        """The same content with fewer levels.

        Args:
            chosen: Factor → its levels, or one of them; each counts once.

        Raises:
            UserError: If a factor or a level is unknown, or a factor keeps no level.
        """
        if not isinstance(chosen, Mapping):
            raise UserError(f"Levels must be given by factor, e.g. {{'shape': ['disc', 'ring']}}. Got {chosen!r:.80}.")
        kept = {}
        for factor, names in chosen.items():
            if factor not in self.levels:
                raise unknown("factor", factor, self.levels, where="factorial clips")
            kept[factor] = tuple(dict.fromkeys(map(str, names if _are_several(names) else (names,))))
            for name in kept[factor]:
                if name not in self.levels[factor]:
                    raise unknown(factor, name, self.levels[factor], where="factorial clips")
            if not kept[factor]:
                raise UserError(f"The factor {factor} requires a level. Allowed: {', '.join(self.levels[factor])}.")
        return Content(*({factor: kept.get(factor, names) for factor, names in part.items()} for part in self))


def _are_several(names: object) -> TypeGuard[Iterable[object]]:
    return isinstance(names, Iterable) and not isinstance(names, str)


def _part(*factors: str, **changed: tuple[str, ...]) -> Levels:
    return {factor: LEVELS[factor] for factor in factors} | changed


CONTENTS: Mapping[str, Content] = {
    "objects": Content(_part("colour", "shape", "texture", "background"), _part("kind", "speed")),
    "dots": Content(_part("colour", "background"), _part("kind", "speed", "coherence")),
    "noise": Content(_part("colour"), _part("shape", "speed", kind=SHIFTS)),
}
"""A textured object in front of a pattern; random dots, of which a part moves together; noise in which only motion
distinguishes a shape from its background."""


def combinations(levels: Levels) -> list[tuple[int, ...]]:
    """Every combination of levels, as their places in ``LEVELS``."""
    return list(product(*([LEVELS[factor].index(name) for name in names] for factor, names in levels.items())))
