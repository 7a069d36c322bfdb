"""Parameters and multiply-accumulates of models, in all and per stage.

python misc/estimate_flops_params.py --model 'slow*' [--per_stage] [--out costs.csv]
python misc/estimate_flops_params.py --cfg_file configs/matnet_davis.json [--checkpoint matnet/] [--crop_size 240x427]
"""

import re
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd
from torch import nn

from static_dynamic import models
from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_atomically
from static_dynamic.common.options import read_mapping
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import make_recipe
from static_dynamic.models.libraries.foreign import pair
from static_dynamic.models.options import add_weights, weights
from static_dynamic.models.segmentation.published import segmentation_model
from static_dynamic.models.spec import DECLARED, Input
from static_dynamic.network.cost import measure_cost

GIGA, MEGA = 1e9, 1e6


def cost_table(names: list[str], per_stage: bool, size: Input = DECLARED, **options: Any) -> pd.DataFrame:
    """One row per model, or per model and stage; GMACs per clip (GFLOPs = 2 · GMACs).

    Args:
        names: Of the models.
        per_stage: Cost up to every stage instead of in all.
        size: Frames and size of the input, where they are not those that a model declares.
        options: Which weights a model gets, as of :func:`static_dynamic.models.create_model`; its cost is that of any.
    """
    rows = []
    for name in names:
        model = models.create_model(name, **size._asdict(), **options)
        cost = measure_cost(model, _recipe(model, size), fvcore=not per_stage)
        if per_stage:
            if not cost.stages:
                raise UserError(f"The model {name} declares no stages: --per_stage needs some.")
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
    """The recipe that a model declares, with the frames and the size that are asked for."""
    spec: models.ModelSpec = vars(model)["spec"]
    if spec.recipe is None and None in size:
        raise UserError(f"{spec.name} declares no input: give --frames and --crop_size.")
    recipe = make_recipe(spec.recipe) if spec.recipe else Recipe(rate=1)
    if isinstance(recipe, Recipe):
        return recipe.changed(frames=size.frames, image_size=size.image_size)
    return replace(recipe, size=pair(size.image_size)) if size.image_size else recipe


def height_and_width(text: str) -> int | tuple[int, int]:
    """``224`` → 224; ``240x427`` → 240 and 427."""
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise ArgumentTypeError(f"a size is a side, or height and width, e.g. 224 or 240x427; got {text!r}")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def run() -> None:
    """Print the table.

    Raises:
        UserError: For a model that does not exist or does not run, or a file that cannot be written.
    """
    options = Parser("estimate_flops_params.py", __doc__)
    options.add_argument("--model", default="i3d", help="name, alias or glob, library:model, or module:function")
    options.add_argument("--cfg_file", type=Path, help="published configuration of a segmentation model")
    options.add_argument("--frames", type=int, help="frames of a clip (default: the model's)")
    options.add_argument("--crop_size", type=height_and_width, help="side, or height and width, e.g. 240x427")
    options.add_argument("--per_stage", action="store_true", help="cost up to every stage")
    options.add_argument("--out", type=Path, help="CSV file to write")
    add_weights(options)
    chosen = options.parse_args()
    try:
        if chosen.cfg_file:
            chosen.model = segmentation_model({"model": None, **read_mapping(chosen.cfg_file)})
        names = models.list_models(chosen.model) or [models.describe(chosen.model).name]
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the cost is that of any weights
            size = Input(chosen.frames, chosen.crop_size)
            table = cost_table(names, chosen.per_stage, size, **weights(chosen)).round(3)
    except models.ModelError as error:
        raise UserError(str(error)) from None
    if chosen.out:
        write_atomically(chosen.out, lambda path: table.to_csv(path, index=False))
    print(
        "GMACs per clip: 1 MAC is a multiplication and an addition, 2 FLOPs; papers on video print GMACs as 'GFLOPs'."
    )
    print(table.to_string(index=False))


if __name__ == "__main__":
    sys.exit(command(run))
