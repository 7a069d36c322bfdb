"""Parameters and multiply-accumulates of models, in all and per stage.

python misc/estimate_flops_params.py --model 'slow*' [--per_stage] [--out costs.csv]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

import models
from static_dynamic.commands import Parser, command
from static_dynamic.cost import measure_cost
from static_dynamic.errors import UserError
from static_dynamic.files import write_atomically
from static_dynamic.inputs import declared_recipe

GIGA, MEGA = 1e9, 1e6


def cost_table(names: list[str], per_stage: bool) -> pd.DataFrame:
    """One row per model, or per model and stage; GMACs per clip at the model's own input (GFLOPs = 2 · GMACs)."""
    rows = []
    for name in names:
        model = models.create_model(name)
        cost = measure_cost(model, declared_recipe(model), fvcore=not per_stage)
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


def run() -> None:
    """Print the table.

    Raises:
        UserError: For a model that does not exist, or a file that cannot be written.
    """
    options = Parser("estimate_flops_params.py", __doc__)
    options.add_argument("--model", default="i3d", help="name, alias or glob")
    options.add_argument("--per_stage", action="store_true", help="cost up to every stage")
    options.add_argument("--out", type=Path, help="CSV file to write")
    chosen = options.parse_args()
    try:
        names = models.list_models(chosen.model) or [models.describe(chosen.model).name]
    except models.ModelError as error:
        raise UserError(str(error)) from None
    table = cost_table(names, chosen.per_stage).round(3)
    if chosen.out:
        write_atomically(chosen.out, lambda path: table.to_csv(path, index=False))
    print(
        "GMACs per clip: 1 MAC is a multiplication and an addition, 2 FLOPs; papers on video print GMACs as 'GFLOPs'."
    )
    print(table.to_string(index=False))


if __name__ == "__main__":
    sys.exit(command(run))
