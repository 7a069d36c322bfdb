r"""Static and dynamic share over the stages of every stream, as a LaTeX figure (pgfplots) or as pictures.

python misc/plot_stages.py --in_file runs/rtnet_1 --out_plot 'rtnet_%s.png' --matplot --title RTNet
python misc/plot_stages.py --in_file dim_outputs/vos_models/final/rtnet/rtnet_final_001.txt --out_plot rtnet.tex

Of a run it draws the share with its interval over videos; of runs with several seeds the mean share with its interval
over seeds; of published texts, which hold nothing better, the truncated percent. The axis says which.
"""

import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.misc._seeds import add_across, mean_over, read_seeds, require_one_study
from static_dynamic.misc._tables import add_width, pick, picture, streams
from static_dynamic.report.stages import latex_stages, limits, plot_stages
from static_dynamic.report.theme import FORMATS, save_figure


def run(arguments: Sequence[str] | None = None) -> None:
    """Draw the stages.

    Raises:
        UserError: If nothing can be read, or a stage, a range or the kind of a picture is not allowed.
    """
    options = Parser("plot_stages.py", __doc__)
    options.add_argument(
        "--in_file", type=Path, nargs="+", required=True, help="runs, texts, or folders of one of them; each is a seed"
    )
    options.add_argument("--out_plot", type=Path, required=True, help="LaTeX file, or pictures: %%s is the stream")
    options.add_argument("--matplot", action="store_true", help="draw a picture per stream instead of LaTeX")
    options.add_argument("--title", help="title (the name of the input, or of the folder that holds several)")
    options.add_argument("--y_range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="percent (10 50, or wider)")
    options.add_argument("--stages", nargs="+", default=["*"], help="names or globs (all)")
    add_across(options)
    add_width(options)
    chosen = options.parse_args(arguments)
    if not chosen.matplot and chosen.out_plot.suffix[1:].lower() in FORMATS:
        raise UserError(f"{str(chosen.out_plot)!r} names a picture: add --matplot, or name a LaTeX file (.tex).")
    seeds = read_seeds(chosen.in_file)
    require_one_study(seeds, chosen.across)
    means = mean_over(seeds)
    table = pick(means.table, chosen.stages)
    table = table[table["factor"].isin(("dynamic", "static"))]
    low, high = chosen.y_range or limits(table)
    if not (low < high and isfinite(high - low)):
        raise UserError(f"--y_range must go from a lower to a higher percentage. Got {low:g} {high:g}.")
    title = _name(chosen.in_file) if chosen.title is None else chosen.title
    if not chosen.matplot:
        write_text(chosen.out_plot, latex_stages(table, title, (low, high), means.label))
        print(chosen.out_plot)
        return
    for stream, rows in streams(table):
        path = picture(chosen.out_plot, stream)
        save_figure(plot_stages(rows, title, (low, high), means.label, chosen.width), path, rows)
        print(path)


def _name(places: Sequence[Path]) -> str:
    """The name of the input; of several, that of the folder which holds them."""
    first = places[0].resolve()
    return first.stem if len(places) == 1 else first.parent.name


if __name__ == "__main__":
    sys.exit(command(run))
