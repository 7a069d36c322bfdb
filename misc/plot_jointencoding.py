"""Share of the units of every class per stage: dynamic, static, joint, none.

python misc/plot_jointencoding.py dim_outputs/vos_models/joint_encoding/rtnet --stages 'sensor_fusion.*'
python misc/plot_jointencoding.py runs/rtnet_1 --threshold 0.7 --out classes.pdf
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import numpy as np
import pandas as pd

from static_dynamic.common.commands import Several, script
from static_dynamic.functional.released import classify_units
from static_dynamic.misc._tables import RELEASED, Width, pick, read_run, read_units
from static_dynamic.report.plots import UNITS, plot_units, units_drawn
from static_dynamic.report.tables import class_shares
from static_dynamic.report.theme import format_of, save_figure

PUBLISHED = 0.5
"""Threshold of the published script."""


def classified(units: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Units with their class; a score at the threshold is not above it, and dead units have their own class."""
    scores = np.stack([units["dynamic"], units["static"]])
    return units.assign(**{"class": classify_units(scores, threshold)})


def usual_threshold(place: Path) -> float:
    """The threshold at which a run classified its units; the published one for published scores."""
    if not (place / "run.json").exists():
        return PUBLISHED
    return float(read_run(place).described(RELEASED)["options"]["threshold"])


def run(
    place: Path,
    /,
    *,
    threshold: float | None = None,
    stages: Several = ("*",),
    out: Path | None = None,
    width: Width = "double",
) -> None:
    """Print the percentages and draw them.

    Args:
        place: Published scores of one model, or a run.
        threshold: A unit encodes a factor above it. By default that of the run, or 0.5.
        stages: Names or globs.
        out: Picture to write. By default joint_encoding_plots/<name of PLACE>.png.
        width: Width of a figure: single, 3.35 inches, fits one column of a page; double, 6.9 inches, two.
    """
    path = out or Path("joint_encoding_plots") / f"{place.resolve().name}.png"
    format_of(path)
    units = pick(read_units(place), stages)
    border = usual_threshold(place) if threshold is None else threshold
    units = classified(units, border)
    shares = class_shares(units).rename(columns={"residual": "none"}).rename(columns=str.capitalize)
    figure = plot_units(units, f"{UNITS}\nscore above {border:g}", width=width)
    save_figure(figure, path, units_drawn(units))
    print(shares.drop(columns="Dead" if not shares["Dead"].any() else []).round(1).to_string(index_names=False))
    print(path)


if __name__ == "__main__":
    sys.exit(script(run))
