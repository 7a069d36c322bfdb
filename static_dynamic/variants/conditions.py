"""The conditions under which every video is shown: styles, changes of its dynamics, and replicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import check_seed
from static_dynamic.interventions import check_flow_change, check_scramble, check_style
from static_dynamic.media.clip import INTACT, ORIGINAL, FlowRecipe, Recipe
from static_dynamic.sources import Source
from static_dynamic.variants.keys import Cell


@dataclass(frozen=True)
class Conditions:
    """The static and dynamic conditions under which every video is shown.

    Attributes:
        styles: Static conditions: names of built-in styles, image files, ``original``, or styles on disk.
        scrambles: Dynamic conditions in addition to the intact order: scrambles of a clip's frames, or changes of the
            optical flow for a model that takes flow. One named twice is drawn twice.
        seed: Seed of the study.
        wanted: The conditions that are shown; ``None`` means every style in every order, once.
        original: Whether the original videos can be read.
    """

    styles: tuple[str, ...]
    scrambles: tuple[str, ...] = ("shuffle",)
    seed: int = 0
    wanted: tuple[Cell, ...] | None = None
    original: bool = True

    @cached_property
    def orders(self) -> dict[str, str | None]:
        """Order name → kind of scramble, for orders that make pairs; ``None`` for the intact order."""
        orders: dict[str, str | None] = {INTACT: None}
        for kind in self.scrambles:
            repeat = sum(other == kind for other in orders.values())
            orders[f"{kind}-{repeat + 1}" if repeat else kind] = kind
        return orders

    @property
    def crossed(self) -> tuple[Cell, ...]:
        """Every style in every order."""
        return tuple(Cell(style, order) for style in self.styles for order in self.orders)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The conditions that are shown, each once, style by style."""
        wanted = self.crossed if self.wanted is None else self.wanted
        styles = list(dict.fromkeys(cell.style for cell in wanted))
        return tuple(sorted(dict.fromkeys(wanted), key=lambda cell: styles.index(cell.style)))

    @property
    def filmed(self) -> str:
        """The original video or, if it is missing, the first style."""
        return ORIGINAL if self.original else self.styles[0]

    def kind(self, order: str) -> str | None:
        """The scramble or change of flow in an order; ``None`` for the intact one."""
        return self.orders.get(order, order)

    def shown(self) -> tuple[list[str], list[str]]:
        """Styles and orders of all cells."""
        return [*dict.fromkeys(cell.style for cell in self.cells)], [*dict.fromkeys(cell.order for cell in self.cells)]

    def check(self, source: Source, recipe: Recipe | FlowRecipe) -> None:
        """Check before the run that every style and scramble exists, and that each style is named once.

        Raises:
            UserError: For the first invalid one.
        """
        check_seed(self.seed)
        if len(set(self.styles)) < len(self.styles):
            raise UserError(f"A style is named twice: {', '.join(self.styles)}.")
        if not self.styles:
            raise UserError("At least one style is required. Got none.")
        styles, orders = self.shown()
        for style in (*self.styles, *styles):
            if style not in source.styles:
                check_style(style)
        check = check_flow_change if isinstance(recipe, FlowRecipe) else check_scramble
        for kind in (*self.scrambles, *filter(None, map(self.kind, orders))):
            check(kind)


def union(cells: Sequence[Sequence[Cell]]) -> tuple[Cell, ...]:
    """All cells of several lists, each once, in order of first appearance."""
    return tuple(dict.fromkeys(cell for some in cells for cell in some))
