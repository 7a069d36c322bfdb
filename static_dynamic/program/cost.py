"""``cost``: parameters and multiply-accumulates of models, in total and per stage."""

import re
from pathlib import Path
from typing import Annotated
from warnings import catch_warnings, simplefilter

from static_dynamic.common.commands import also
from static_dynamic.common.errors import UserError
from static_dynamic.common.slips import invalid
from static_dynamic.program.weights import Weights

USUAL = Weights()


def cost(
    *,
    model: str = "i3d",
    cfg_file: Path | None = None,
    frames: int | None = None,
    image_size: Annotated[str | None, also("crop_size")] = None,
    per_stage: bool = False,
    weights: Weights = USUAL,
    out: Path | None = None,
) -> None:
    """Count the parameters and multiply-accumulates of models, in total or up to every stage.

    For example:
        static-dynamic cost --model 'slow*' --per-stage --out costs.csv
        static-dynamic cost --cfg-file configs/matnet_davis.json --image-size 240x427

    Args:
        model: Name, alias or glob, library:model, or module:function.
        cfg_file: Published configuration of a segmentation model, instead of its name.
        frames: Frames of a clip. By default the model's.
        image_size: Side, or height x width, e.g. 240x427. By default the model's.
        per_stage: Cost up to every stage.
        weights: Weights of the model.
        out: CSV file to write.
    """
    size = image_size and _height_and_width(image_size)
    from static_dynamic import models
    from static_dynamic.common.files import write_text
    from static_dynamic.common.options import read_mapping
    from static_dynamic.common.tables import as_csv
    from static_dynamic.models.segmentation.published import segmentation_model
    from static_dynamic.models.spec import Input
    from static_dynamic.program.costs import cost_table

    try:
        if cfg_file:
            model = segmentation_model({"model": None, **read_mapping(cfg_file)})
        names = models.list_models(model) or [models.describe(model).name]
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the cost is that of any weights
            table = cost_table(names, per_stage, Input(frames, size or None), **weights.arguments()).round(3)
    except models.ModelError as error:
        raise UserError(str(error)) from None
    if out:
        write_text(out, as_csv(table))
    print(
        "GMACs per clip: 1 MAC is a multiplication and an addition, 2 FLOPs; papers on video print GMACs as 'GFLOPs'."
    )
    print(table.to_string(index=False))


def _height_and_width(text: str) -> int | tuple[int, int]:
    """``224`` → 224; ``240x427`` → 240 and 427."""
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise invalid("--image-size", "a side, or height x width, is required, e.g. 224 or 240x427", text)
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])
