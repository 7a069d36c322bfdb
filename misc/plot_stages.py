r"""Static and dynamic share over the stages of every stream, as a LaTeX figure (pgfplots) or as pictures.

python misc/plot_stages.py --in_file runs/rtnet_1 --out_plot 'rtnet_%s.png' --matplot --title RTNet
python misc/plot_stages.py --in_file dim_outputs/vos_models/final/rtnet/rtnet_final_001.txt --out_plot rtnet.tex

Of a run it draws the share with its interval over videos; of runs with several seeds the mean share with its interval
over seeds; of published texts, which hold nothing better, the truncated percent. The axis states which.
"""

import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from cyclopts import Parameter

from static_dynamic.common.commands import Several, script
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.misc._seeds import Parts, mean_over, read_seeds, require_one_study
from static_dynamic.misc._tables import Width, pick, picture, streams
from static_dynamic.report.stages import latex_stages, limits, plot_stages
from static_dynamic.report.theme import FORMATS, save_figure


def run(
    *,
    in_file: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    out_plot: Path,
    matplot: bool = False,
    title: str | None = None,
    y_range: tuple[float, float] | None = None,
    stages: Several = ("*",),
    across: Parts = (),
    width: Width = "double",
) -> None:
    """Draw the stages.

    Args:
        in_file: Runs, texts, or folders of one of them; each is a seed.
        out_plot: LaTeX file, or pictures: %s is the stream.
        matplot: Draw a picture per stream instead of LaTeX.
        title: Title. By default the name of the input, or of the folder that holds several.
        y_range: Lowest and highest percentage. By default 10 50, or wider.
        stages: Names or globs.
        across: What runs may differ in, in addition to the seed.
        width: Width of a figure: single, 3.35 inches, fits one column of a page; double, 6.9 inches, two.
    """
    if not matplot and out_plot.suffix[1:].lower() in FORMATS:
        raise UserError(f"{str(out_plot)!r} names a picture: add --matplot, or name a LaTeX file (.tex).")
    seeds = read_seeds(in_file)
    require_one_study(seeds, across)
    means = mean_over(seeds)
    table = pick(means.table, stages)
    table = table[table["factor"].isin(("dynamic", "static"))]
    low, high = y_range or limits(table)
    if not (low < high and isfinite(high - low)):
        raise UserError(f"--y_range must go from a lower to a higher percentage. Got {low:g} {high:g}.")
    title = _name(in_file) if title is None else title
    if not matplot:
        write_text(out_plot, latex_stages(table, title, (low, high), means.label))
        print(out_plot)
        return
    for stream, rows in streams(table):
        path = picture(out_plot, stream)
        save_figure(plot_stages(rows, title, (low, high), means.label, width), path, rows)
        print(path)


def _name(places: Sequence[Path]) -> str:
    """The name of the input; of several, that of the folder which holds them."""
    first = places[0].resolve()
    return first.stem if len(places) == 1 else first.parent.name


if __name__ == "__main__":
    sys.exit(script(run))
