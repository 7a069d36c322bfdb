"""Share of the units of every class per stage: dynamic, static, joint, none.

python misc/plot_jointencoding.py dim_outputs/vos_models/joint_encoding/rtnet --stages 'sensor_fusion.*'
python misc/plot_jointencoding.py runs/rtnet_1 --threshold 0.7 --out classes.pdf
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import numpy as np
import pandas as pd

from static_dynamic.common.commands import Parser, command
from static_dynamic.functional.released import classify_units
from static_dynamic.misc._tables import RELEASED, add_width, pick, read_run, read_units
from static_dynamic.report.plots import UNITS, plot_units, units_drawn
from static_dynamic.report.tables import class_shares
from static_dynamic.report.theme import format_of, save_figure

PUBLISHED = 0.5
"""Threshold of the published script."""


def classified(units: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Units with their class; a score at the threshold is not above it, and dead units have a class of their own."""
    scores = np.stack([units["dynamic"], units["static"]])
    return units.assign(**{"class": classify_units(scores, threshold)})


def usual_threshold(place: Path) -> float:
    """The threshold at which a run classified its units; the published one for published scores."""
    if not (place / "run.json").exists():
        return PUBLISHED
    return float(read_run(place).described(RELEASED)["options"]["threshold"])


def run(arguments: Sequence[str] | None = None) -> None:
    """Print the percentages and draw them.

    Raises:
        UserError: If nothing can be read, or the threshold or a stage is not allowed.
    """
    options = Parser("plot_jointencoding.py", __doc__)
    options.add_argument("dir", type=Path, help="published scores of one model, or a run")
    options.add_argument("--threshold", type=float, help="a unit encodes a factor above it (that of the run, or 0.5)")
    options.add_argument("--stages", nargs="+", default=["*"], help="names or globs (all)")
    options.add_argument("--out", type=Path, help="picture to write (joint_encoding_plots/<name of DIR>.png)")
    add_width(options)
    chosen = options.parse_args(arguments)
    out = chosen.out or Path("joint_encoding_plots") / f"{chosen.dir.resolve().name}.png"
    format_of(out)
    units = pick(read_units(chosen.dir), chosen.stages)
    threshold = usual_threshold(chosen.dir) if chosen.threshold is None else chosen.threshold
    units = classified(units, threshold)
    shares = class_shares(units).rename(columns={"residual": "none"}).rename(columns=str.capitalize)
    figure = plot_units(units, f"{UNITS}\nscore above {threshold:g}", width=chosen.width)
    save_figure(figure, out, units_drawn(units))
    print(shares.drop(columns="Dead" if not shares["Dead"].any() else []).round(1).to_string(index_names=False))
    print(out)


if __name__ == "__main__":
    sys.exit(command(run))
