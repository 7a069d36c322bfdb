"""Other scores from the activations of a run, without the model and the videos: `python main.py score RUN`."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from anywhere

from static_dynamic.common.commands import Parser, as_flags, command
from static_dynamic.common.plugins import add_plugin_option, import_plugins
from static_dynamic.scoring import INTERVALS

EPILOG = """A run holds its activations in RUN/store. Every estimator whose clips were shown can be computed from them:
  python main.py score runs/i3d --estimators needs_motion,needs_order,released
Without --out the tables, pictures and the page of the run are replaced."""


def parser() -> Parser:
    """The options."""
    parser = Parser("main.py score", f"{__doc__}\n\n{EPILOG}")
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="folder of a run, or of a store")
    add_plugin_option(parser)
    add("--estimators", help="names with commas (default: needs_motion,released)")
    add("--interval", choices=INTERVALS, help="what intervals cover the choice of (default: as the run)")
    add("--replicates", type=int, help="bootstrap replicates (default: as the run)")
    add("--confidence", type=float, help="of the intervals (default: as the run)")
    add("--out", type=Path, help="folder for the tables, pictures and the page (default: RUN)")
    return parser


def show(arguments: Sequence[str]) -> None:
    """Score a run and write what was found.

    Raises:
        UserError: If there is no run, or an estimator needs clips that were not shown.
    """
    from dataclasses import replace

    from static_dynamic.reopening import open_run
    from static_dynamic.results import MEASUREMENT

    options = parser().parse_args(list(arguments))
    import_plugins(options.plugin)
    run = open_run(options.run)
    folder = options.out or run.folder
    MEASUREMENT.read(folder)  # the folder of another kind of run is refused first
    asked = {name: getattr(options, name) for name in ("interval", "replicates", "confidence")}
    scoring = replace(run.scoring, **{name: value for name, value in asked.items() if value is not None})
    result = run.score(options.estimators, scoring)
    result.save(folder)
    result.report(folder / "report.html")
    result.plot(folder)
    for estimator in result.estimators:
        print(f"\n{estimator}: {result.described(estimator)['summary']}")
        print(result.shares(estimator).round(1).to_string())
    for warning in result.warnings:
        print(f"Note: {as_flags(warning)}")
    print(f"Tables, pictures and report.html: {folder}/")


if __name__ == "__main__":
    sys.exit(command(lambda: show(sys.argv[1:])))
