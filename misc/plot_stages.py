r"""Static and dynamic share over the stages of every stream, as a LaTeX figure (pgfplots) or as pictures.

python misc/plot_stages.py --in_file dim_outputs/vos_models/final/rtnet/rtnet_final_001.txt --out_plot rtnet.tex
python misc/plot_stages.py --in_file runs/rtnet_1 --out_plot 'rtnet_%s.png' --matplot --title RTNet
"""

import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from misc._tables import pick, picture, read_layers, streams
from static_dynamic.commands import Parser, command
from static_dynamic.errors import UserError
from static_dynamic.files import write_text
from static_dynamic.published import over_seeds
from static_dynamic.report.plots import save_figure
from static_dynamic.report.stages import latex_stages, limits, plot_stages


def run(arguments: Sequence[str] | None = None) -> None:
    """Draw the stages.

    Raises:
        UserError: If nothing can be read, or a stage, a range or the kind of a picture is not allowed.
    """
    options = Parser("plot_stages.py", __doc__)
    options.add_argument(
        "--in_file", type=Path, required=True, help="a text or a run; a folder of them is one of seeds"
    )
    options.add_argument("--out_plot", type=Path, required=True, help="LaTeX file, or pictures: %%s is the stream")
    options.add_argument("--matplot", action="store_true", help="draw a picture per stream instead of LaTeX")
    options.add_argument("--title", help="title (the name of the input)")
    options.add_argument("--y_range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="percent (10 50, or wider)")
    options.add_argument("--stages", nargs="+", default=["*"], help="names or globs (all)")
    chosen = options.parse_args(arguments)
    means = pick(over_seeds(read_layers([chosen.in_file])), chosen.stages)
    means = means[means["factor"].isin(("dynamic", "static"))]
    low, high = chosen.y_range or limits(means)
    if not (low < high and isfinite(high - low)):
        raise UserError(f"--y_range must go from a lower to a higher percentage. Got {low:g} {high:g}.")
    title = chosen.in_file.resolve().stem if chosen.title is None else chosen.title
    if not chosen.matplot:
        write_text(chosen.out_plot, latex_stages(means, title, (low, high)))
        print(chosen.out_plot)
        return
    for stream, table in streams(means):
        path = picture(chosen.out_plot, stream)
        save_figure(plot_stages(table, title, (low, high)), path)
        print(path)


if __name__ == "__main__":
    sys.exit(command(run))
