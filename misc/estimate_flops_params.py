"""Parameters and multiply-accumulates of models, in all and per stage.

python misc/estimate_flops_params.py --model 'slow*' [--per_stage] [--out costs.csv]
python misc/estimate_flops_params.py --cfg_file configs/matnet_davis.json [--checkpoint matnet/] [--crop_size 240x427]
"""

import re
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

import models
from models.published import segmentation_model
from static_dynamic.clip import FlowRecipe
from static_dynamic.commands import Parser, command
from static_dynamic.cost import measure_cost
from static_dynamic.errors import UserError
from static_dynamic.files import write_atomically
from static_dynamic.inputs import declared_recipe
from static_dynamic.options import read_mapping

GIGA, MEGA = 1e9, 1e6


def cost_table(
    names: list[str], per_stage: bool, size: tuple[int, int] | None = None, checkpoint: Path | None = None
) -> pd.DataFrame:
    """One row per model, or per model and stage; GMACs per clip (GFLOPs = 2 · GMACs).

    Clips are of the model's own size; images of ``size``, if it is given.
    """
    rows = []
    for name in names:
        model = models.create_model(name, checkpoint=checkpoint)
        recipe = declared_recipe(model)
        if size and isinstance(recipe, FlowRecipe):
            recipe = replace(recipe, size=size)
        cost = measure_cost(model, recipe, fvcore=not per_stage)
        if per_stage:
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


def height_and_width(text: str) -> tuple[int, int]:
    """``240x427`` → 240 and 427."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise ArgumentTypeError(f"a size is height and width, e.g. 240x427; got {text!r}")
    return int(match[1]), int(match[2])


def run() -> None:
    """Print the table.

    Raises:
        UserError: For a model that does not exist, or a file that cannot be written.
    """
    options = Parser("estimate_flops_params.py", __doc__)
    options.add_argument("--model", default="i3d", help="name, alias or glob")
    options.add_argument("--cfg_file", type=Path, help="published configuration of a segmentation model")
    options.add_argument("--checkpoint", type=Path, help="its checkpoint; the cost is that of any weights")
    options.add_argument("--crop_size", type=height_and_width, help="image and flow: height and width, e.g. 240x427")
    options.add_argument("--per_stage", action="store_true", help="cost up to every stage")
    options.add_argument("--out", type=Path, help="CSV file to write")
    chosen = options.parse_args()
    try:
        if chosen.cfg_file:
            chosen.model = segmentation_model({"model": None, **read_mapping(chosen.cfg_file)})
        names = models.list_models(chosen.model) or [models.describe(chosen.model).name]
        table = cost_table(names, chosen.per_stage, chosen.crop_size, chosen.checkpoint).round(3)
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
