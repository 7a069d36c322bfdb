"""What one network needs more than another, over the same videos: `python main.py compare RUN RUN …`."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError

EPILOG = """Every further run is compared with the first: differences of layers and units, paired over videos.
  python main.py compare runs/random runs/trained --out differences/
  python main.py compare runs/i3d runs/timesformer --stages stage5=block11"""


def parser() -> Parser:
    """The options."""
    parser = Parser("main.py compare", f"{__doc__}\n\n{EPILOG}")
    add = parser.add_argument
    add("runs", metavar="RUN", type=Path, nargs="+", help="folders of runs; the first is what others are compared with")
    add("--stages", help="stages that belong together, e.g. stage5=block11 (default: those of one name)")
    add("--other_clips", nargs="?", const="True", default="False", help="compare runs that saw other clips, too")
    add("--out", type=Path, help="folder for layers.csv, units.csv and the page report.html")
    return parser


def show(arguments: Sequence[str]) -> None:
    """Compare runs, print the differences of layers, and write them.

    Raises:
        UserError: If fewer than two runs are named, or they cannot be compared.
    """
    import pandas as pd

    from static_dynamic.common.files import write_text
    from static_dynamic.comparison import compare, save_comparisons

    options = parser().parse_args(list(arguments))
    first, *others = options.runs
    if not others:
        raise UserError(f"Two runs or more are needed for a comparison. Got {first}.")
    layers, units, comparisons = [], [], []
    for other in others:
        found = compare(first, other, stages=_stages(options.stages), other_clips=options.other_clips != "False")
        title = f"{found.names[1]} less {found.names[0]}"
        print(f"\n{title}{'' if found.paired else ' (not paired)'}")
        print(found.layers.round(2).to_string(index=False))
        for note in found.notes:
            print(f"Note: {note}")
        comparisons.append(found)
        layers.append(found.layers.assign(comparison=title))
        units.append(found.units.assign(comparison=title))
    if options.out:
        for name, tables in (("layers", layers), ("units", units)):
            write_text(options.out / f"{name}.csv", pd.concat(tables).to_csv(index=False))
        save_comparisons(comparisons, options.out / "report.html")
        print(f"Differences of layers and units, and report.html: {options.out}/")


def _stages(text: str | None) -> dict[str, str] | None:
    """``"a=b,c=d"`` → ``{"a": "b", "c": "d"}``."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(here and there for here, _, there in pairs):
        raise UserError(f"--stages pairs stages as in stage5=block11,stage4=block8. Got {text!r}.")
    return {here.strip(): there.strip() for here, _, there in pairs}


if __name__ == "__main__":
    sys.exit(command(lambda: show(sys.argv[1:])))
