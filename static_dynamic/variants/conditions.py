"""The conditions under which every video is shown: styles, and what is done to its dynamics."""

from dataclasses import dataclass

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import check_seed
from static_dynamic.interventions import check_flow_change, check_scramble, check_style
from static_dynamic.media.clip import INTACT, FlowRecipe, Recipe
from static_dynamic.sources import Source


@dataclass(frozen=True)
class Conditions:
    """The static and dynamic conditions under which every video is shown.

    Attributes:
        styles: Static conditions: names of built-in styles, image files, ``original``, or styles that lie on disk.
        scrambles: Dynamic conditions beside the intact order: scrambles of a clip's frames, or changes of the optical
            flow for a model that takes flow; one named twice is drawn twice.
        seed: Seed of the study.
    """

    styles: tuple[str, ...]
    scrambles: tuple[str, ...] = ("shuffle",)
    seed: int = 0

    @property
    def orders(self) -> dict[str, str | None]:
        """Order name → kind of scramble; the intact order has none."""
        orders: dict[str, str | None] = {INTACT: None}
        for kind in self.scrambles:
            repeat = sum(other == kind for other in orders.values())
            orders[f"{kind}-{repeat + 1}" if repeat else kind] = kind
        return orders

    def check(self, source: Source, recipe: Recipe | FlowRecipe) -> None:
        """Fail before the run does: every style and scramble must exist, and each style be named once.

        Raises:
            UserError: Naming the first that is wrong.
        """
        check_seed(self.seed)
        if len(set(self.styles)) < len(self.styles):
            raise UserError(f"A style is named twice: {', '.join(self.styles)}.")
        if not self.styles:
            raise UserError("At least one style is needed. Got none.")
        for style in self.styles:
            if style not in source.styles:
                check_style(style)
        check = check_flow_change if isinstance(recipe, FlowRecipe) else check_scramble
        for kind in self.scrambles:
            check(kind)
