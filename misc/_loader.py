"""What both loader scripts do: prepare some videos as `main.py` would with these options, and draw their variants."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.places import local
from static_dynamic.config import Config, input_recipe, open_data, read_config
from static_dynamic.interventions import STRONG
from static_dynamic.measurement import usual_scrambles
from static_dynamic.media.pictures import write_png
from static_dynamic.report.variants import draw_variants
from static_dynamic.sources.left_out import unused
from static_dynamic.variants import Conditions, prepare_video

COUNT = 4
"""Number of videos that are drawn."""


def run_loader(arguments: Sequence[str]) -> list[Path]:
    """Write a contact sheet for some videos, spread over all; one that cannot be read is named and skipped.

    Args:
        arguments: Options of `main.py`; ``--max-videos`` says how many videos (4), ``--out`` where to (tmp).

    Raises:
        UserError: As `main.py`, or if no video could be read.
    """
    from static_dynamic.models import ModelError, describe

    config: Config = read_config(arguments)
    try:
        recipe = input_recipe(describe(config.model), config)
    except ModelError as error:
        raise UserError(str(error)) from None
    source = open_data(config, recipe)
    for line in unused(source):
        print(f"Note: {line}", file=sys.stderr)
    scrambles = usual_scrambles(recipe) if config.scrambles is None else config.scrambles
    conditions = Conditions(tuple(config.styles or source.styles or STRONG), scrambles, config.seed)
    conditions.check(source, recipe)
    count = config.max_videos if "max_videos" in config.model_fields_set else COUNT
    chosen = np.unique(np.linspace(0, len(source.videos) - 1, count).round().astype(int))
    folder, written = local(config.out or "tmp"), []
    for video in (source.videos[i] for i in chosen):
        try:
            sheet = draw_variants(prepare_video(source, video, recipe, conditions), recipe)
        except BadClip as error:
            print(f"Skipped {error}", file=sys.stderr)
            continue
        written.append(folder / f"{video.name.replace('/', '_')}.png")
        write_png(sheet, written[-1])
        print(written[-1])
    if not written:
        raise UserError(f"None of {count} videos of {source.name} could be read.")
    return written
