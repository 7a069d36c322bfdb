"""Networks of known bias: small networks of the zoo, taught on factorial clips how things look or how they move."""

from static_dynamic.training.truth.clips import Pool, Shortcut, as_input, draw_pool
from static_dynamic.training.truth.recipe import RECIPES, Recipe, chosen
from static_dynamic.training.truth.train import Trained, train

__all__ = ["RECIPES", "Pool", "Recipe", "Shortcut", "Trained", "as_input", "chosen", "draw_pool", "train"]
