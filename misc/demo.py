"""What this is about, in one picture: networks that were taught looks, motion or both, on clips made on the spot.

python main.py demo
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, command
from static_dynamic.common.files import make_folder
from static_dynamic.common.progress import progress_bar

if TYPE_CHECKING:
    from pandas import DataFrame

    from static_dynamic import Result

NETWORKS = {
    "taught motion": "truth_cnn_motion",
    "taught both": "truth_cnn_both",
    "taught looks": "truth_cnn_appearance",
}
"""What the networks were taught → their names; they differ in nothing else."""
REAL = "transnetv2"
"""A network that was trained on real videos, whose weights an optional package brings."""
WORDS = """Same architecture, same clips. One network was taught what things look like, one how they move, one both.
Needs motion: of what a unit tells about which clip it sees, the share that the frozen clip does not give. It tells the
networks apart, and those that were taught motion from those that were never taught. The published score hardly does."""


def parser() -> Parser:
    """The options."""
    parser = Parser("main.py demo", __doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder for what is found (%(default)s)")
    parser.add_argument("--clips", type=int, default=24, help="clips that the networks are shown (%(default)s)")
    parser.add_argument("--real_clips", type=int, default=8, help=f"clips that {REAL} is shown (%(default)s)")
    return parser


def show(arguments: Sequence[str]) -> None:
    """Measure the networks, print what was found, and draw the picture.

    Raises:
        UserError: If an option does not fit, or the folder cannot be written.
    """
    from static_dynamic.misc._demo_picture import picture
    from static_dynamic.report.theme import save_figure
    from static_dynamic.sources import FactorialVideos

    options = parser().parse_args(list(arguments))
    for count in (options.clips, options.real_clips):
        FactorialVideos(count)  # slips come before the folder is made
    make_folder(options.out)
    results = {
        what: _measured(name, f"factorial:{options.clips}", options.out, twins=3 if what == "taught both" else 0)
        for what, name in NETWORKS.items()
    }
    real = _real(options.real_clips, options.out)
    for kind in ("png", "svg"):
        save_figure(picture(results, real), options.out / f"demo.{kind}")
    print(f"\n{WORDS}\n")
    for estimator in ("needs_motion", "released"):
        print(f"{estimator}, % [95 % interval]\n{_table(results, estimator).to_string()}\n")
    if real:
        print(f"needs_motion of {REAL}, trained on real videos\n{_table({REAL: real}, 'needs_motion').to_string()}\n")
    print(f"Picture: {options.out / 'demo.png'}. Tables, plots and a page of every network lie beside it.")


def _measured(name: str, clips: str, folder: Path, twins: int, estimators: str = "needs_motion,released") -> "Result":
    import static_dynamic as sd
    from static_dynamic import models

    with progress_bar(f"clips for {name}") as on_video:
        result = sd.measure(models.create_model(name), clips, estimators=estimators, twins=twins, on_video=on_video)
    result.save(folder / name)
    result.plot(folder / name)
    result.report(folder / name / "report.html")
    return result


def _real(clips: int, folder: Path) -> "Result | None":
    """The network that was trained on real videos, where its weights can be had."""
    from static_dynamic import models

    try:
        models.create_model(REAL)
    except models.ModelError as error:
        print(f"Note: {REAL} is left out. {error}", file=sys.stderr)
        return None
    return _measured(REAL, f"factorial:{clips}", folder, twins=1, estimators="needs_motion")


def _table(results: Mapping[str, "Result"], estimator: str) -> "DataFrame":
    """A row per stage, a column per network."""
    import pandas as pd

    from static_dynamic.common.tables import rows_of
    from static_dynamic.misc._demo_picture import curves_of, numbers_of
    from static_dynamic.report.tables import with_interval

    columns = {
        what: [with_interval(row["mean"], row["low"], row["high"], 0) for row in rows_of(curve.numbers)]
        for what, curve in curves_of(results, estimator, dict.fromkeys(results, "")).items()
    }
    stages = numbers_of(next(iter(results.values())), estimator)["stage"]
    return pd.DataFrame(columns, index=pd.Index(stages, name="stage"))


if __name__ == "__main__":
    sys.exit(command(lambda: show(sys.argv[1:])))
