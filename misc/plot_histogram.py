"""The distribution of the units of every stage: share of the dynamic and of the static factor in their softmax.

python misc/plot_histogram.py dim_outputs/vos_models/idv_scores/rtnet --out histograms
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

from static_dynamic.common.commands import Several, script
from static_dynamic.misc._tables import Width, pick, picture, read_units
from static_dynamic.report.published import published_name, raw_scores, unit_softmax
from static_dynamic.report.scores import BINS, histogram, plot_histogram
from static_dynamic.report.theme import save_figure

PLACE = Path("dim_outputs/vos_models/idv_scores/twostream_deeplabv3plus_resnet101_davis")
"""Where the published protocol writes those of FusionSeg."""


def run(place: Path = PLACE, /, *, out: Path = Path(), stages: Several = ("*",), width: Width = "double") -> None:
    """Draw ``<stage>_mot_hist.png`` and ``<stage>_app_hist.png`` for every stage.

    Args:
        place: Scores of one model, or a run.
        out: Folder to write into.
        stages: Names or globs.
        width: Width of a figure: single, 3.35 inches, fits one column of a page; double, 6.9 inches, two.
    """
    for stage, units in pick(read_units(place), stages).groupby("stage", sort=False):
        dynamic, static, _ = 100 * unit_softmax(raw_scores(units))
        for short, factor, percent in (("mot", "dynamic", dynamic), ("app", "static", static)):
            path = picture(out / f"%s_{short}_hist.png", published_name(str(stage)))
            found = histogram(pd.DataFrame({"stage": stage, factor: percent}), [factor], BINS)
            figure = plot_histogram(found, f"{factor}, % of the unit's softmax", width)
            save_figure(figure, path, found.counts)
            print(path)


if __name__ == "__main__":
    sys.exit(script(run))
