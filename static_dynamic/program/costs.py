"""Tables of the cost of models."""

from dataclasses import replace
from typing import Any

import pandas as pd
from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import make_recipe
from static_dynamic.models.libraries.foreign import pair
from static_dynamic.models.spec import DECLARED, Input
from static_dynamic.network.cost import measure_cost

GIGA, MEGA = 1e9, 1e6


def cost_table(names: list[str], per_stage: bool, size: Input = DECLARED, **options: Any) -> pd.DataFrame:
    """One row per model, or per model and stage; GMACs per clip (GFLOPs = 2 · GMACs).

    Args:
        names: Names of the models.
        per_stage: Cost up to every stage instead of in total.
        size: Frames and size of the input, if they are not those that a model declares.
        options: Options of :func:`static_dynamic.models.create_model`; the cost does not depend on the weights.
    """
    rows = []
    for name in names:
        model = models.create_model(name, **size._asdict(), **options)
        cost = measure_cost(model, _recipe(model, size), fvcore=not per_stage)
        if per_stage:
            if not cost.stages:
                raise UserError(f"The model {name} does not declare stages, which --per-stage requires.")
            rows += [
                {"model": name, "stage": s.stage, "params_m": s.parameters / MEGA, "gmacs": s.macs / GIGA}
                for s in cost.stages
            ]
        else:
            rows.append(
                {
                    "model": name,
                    "params_m": cost.parameters / MEGA,
                    "gmacs_torch": cost.macs / GIGA,
                    "gmacs_fvcore": None if cost.fvcore_macs is None else cost.fvcore_macs / GIGA,
                    "not_counted_by_fvcore": " ".join(
                        f"{name.removeprefix('aten::')}:{n}" for name, n in cost.uncounted.items()
                    ),
                }
            )
    return pd.DataFrame(rows)


def _recipe(model: nn.Module, size: Input) -> Recipe | FlowRecipe:
    """The recipe that a model declares, with the requested frames and size."""
    spec: models.ModelSpec = vars(model)["spec"]
    if spec.recipe is None and None in size:
        raise UserError(f"{spec.name} does not declare its input: give --frames and --image-size.")
    recipe = make_recipe(spec.recipe) if spec.recipe else Recipe(rate=1)
    if isinstance(recipe, Recipe):
        return recipe.changed(frames=size.frames, image_size=size.image_size)
    return replace(recipe, size=pair(size.image_size)) if size.image_size else recipe
