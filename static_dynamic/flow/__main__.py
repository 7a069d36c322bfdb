"""Compute the optical flow of a data set in the DAVIS layout, as colour-wheel PNGs beside its frames.

ROOT/JPEGImages/480p/<sequence>/00000.jpg gets OUT/FlowImages_gap1/<sequence>/00000.png (to the next frame) and
OUT/FlowImages_gap-1/<sequence>/00000.png (to the one before). A run that is stopped goes on with the same command.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.errors import UserError
from static_dynamic.common.progress import progress_bar
from static_dynamic.flow.estimators import PRESETS, Dis, Raft
from static_dynamic.flow.sheet import flow_sheet
from static_dynamic.flow.tree import FlowReport, compute_flow
from static_dynamic.media.pictures import write_png


def parser() -> Parser:
    """The options of the command."""
    options = Parser("python -m static_dynamic.flow", __doc__)
    options.add_argument("root", type=Path, metavar="ROOT", help="the data set")
    options.add_argument("--out", type=Path, metavar="OUT", help="where the flow goes (ROOT)")
    options.add_argument("--gaps", default="1,-1", help="1 next frame, -1 the one before, 2, … (%(default)s)")
    options.add_argument("--frames", help="the folder of the sequences in ROOT (JPEGImages/480p or JPEGImages)")
    options.add_argument("--preset", default="medium", help=f"DIS, {', '.join(PRESETS)} (%(default)s)")
    options.add_argument("--raft", type=Path, metavar="WEIGHTS", help="RAFT instead: a state dict of torchvision's")
    options.add_argument("--device", default="auto", help="where RAFT runs (%(default)s)")
    options.add_argument("--workers", type=int, default=2, help="threads (%(default)s)")
    options.add_argument("--sheet", type=Path, metavar="PNG", help="draw frames and flow of every sequence here")
    return options


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        UserError: For any slip in it.
    """
    options = parser().parse_args(arguments)
    gaps = _gaps(options.gaps)
    if options.sheet and options.sheet.suffix.lower() != ".png":
        raise UserError(f"The sheet is a PNG: its name must end in .png. Got {str(options.sheet)!r}.")
    estimator = Raft(options.raft, options.device) if options.raft else Dis(options.preset)
    with progress_bar("flows") as on_done:
        report = compute_flow(options.root, options.out, gaps, estimator, options.workers, on_done, options.frames)
    print(summary(report))
    if options.sheet:
        write_png(flow_sheet(options.root, options.out, gaps, options.frames), options.sheet)
        print(options.sheet)


def summary(report: FlowReport) -> str:
    """What was done, and a line for everything that was left out."""
    counts = f"{report.written} flows written, {report.kept} were there already."
    short = [f"left out: {name}: too short, no pair of frames." for name in report.too_short]
    return "\n".join([counts, *short, *(f"left out: {problem}" for problem in report.problems)])


def _gaps(text: str) -> list[int]:
    """``"1,-1"`` → ``[1, -1]``."""
    try:
        return [int(gap) for gap in text.split(",")]
    except ValueError:
        raise UserError(f"The --gaps are whole numbers with commas between, e.g. 1,-1. Got {text!r}.") from None


if __name__ == "__main__":
    sys.exit(command(run))
