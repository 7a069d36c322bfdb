"""Mean and standard deviation of the unit scores of every stage.

python misc/plot_stats_fromtable.py dim_outputs/vos_models/stats_tables/matnet
python misc/plot_stats_fromtable.py runs/matnet_1 --out matnet.pdf

A table is `<stage>,<stream>_<seed>.csv` with five columns: a unit's number and its scores for the factors 0 to 3.
"""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

import pandas as pd

from static_dynamic.common.commands import Several, script
from static_dynamic.common.errors import UserError
from static_dynamic.common.texts import read_text
from static_dynamic.misc._tables import Width, pick, read_units, require_folder
from static_dynamic.report.published import PUBLISHED_FACTORS, stage_name
from static_dynamic.report.scores import plot_scores
from static_dynamic.report.tables import in_order
from static_dynamic.report.theme import format_of, save_figure

COLUMNS = ("unit", *PUBLISHED_FACTORS[4])


def read_table(path: Path) -> pd.DataFrame:
    """Scores of the units of one stage and seed; a first line of words is a heading.

    Raises:
        UserError: If a line does not hold five numbers; the line is named. Also if there are no lines.
    """
    rows = []
    try:
        lines = list(csv.reader(read_text(path).split("\n")))
    except csv.Error as error:
        raise UserError(f"Cannot read {path}: {error}.") from None
    for number, line in enumerate(lines, 1):
        try:
            unit, *scores = map(float, line)
        except ValueError:
            unit, scores = 0, []
        if len(scores) == len(PUBLISHED_FACTORS[4]):
            rows.append((unit, *scores))
        elif line and not (number == 1 and len(line) == len(COLUMNS)):
            raise UserError(f"{path}:{number}: a line must be {', '.join(COLUMNS)}. Got {','.join(line)[:80]!r}.")
    if not rows:
        raise UserError(f"{path} holds no scores: a line must be {', '.join(COLUMNS)}.")
    name = path.stem.rpartition("_")[0] or path.stem
    return pd.DataFrame(rows, columns=COLUMNS).assign(stage=stage_name(name))


def statistics(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and population standard deviation over the units, of all seeds, that are not dead."""
    factors = [factor for factor in PUBLISHED_FACTORS[4] if factor in scores]
    tall = scores.melt(id_vars="stage", value_vars=factors, var_name="factor", value_name="score")
    groups = tall.groupby(["stage", "factor"])["score"]
    table = pd.DataFrame({"mean": groups.mean(), "std": groups.std(ddof=0), "units": groups.count()})
    return table.loc[[(stage, factor) for stage in in_order(scores, "stage") for factor in factors]].reset_index()


def run(place: Path, /, *, stages: Several = ("*",), out: Path | None = None, width: Width = "double") -> None:
    """Print the statistics and draw them.

    Args:
        place: Folder of the tables of one model, or of its published scores, or a run.
        stages: Names or globs.
        out: Picture to write. By default plots_stats/<name of PLACE>.png.
        width: Width of a figure: single, 3.35 inches, fits one column of a page; double, 6.9 inches, two.
    """
    path = out or Path("plots_stats") / f"{place.resolve().name}.png"
    format_of(path)
    require_folder(place)
    tables = sorted(place.glob("[!.]*,*.csv"))
    scores = pd.concat(map(read_table, tables)) if tables else read_units(place)
    found = statistics(pick(scores, stages))
    ends = {"low": found["mean"] - found["std"], "high": found["mean"] + found["std"]}
    save_figure(plot_scores(found.assign(**ends), width=width), path, found)
    print(found.round(3).to_string(index=False))
    print(path)


if __name__ == "__main__":
    sys.exit(script(run))
