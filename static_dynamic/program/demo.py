"""``demo``: the idea in one picture: networks trained on appearance, motion or both."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
"""Training target → name of the network; the networks do not differ otherwise."""
REAL = "transnetv2"
"""A network trained on real videos, with weights from an optional package."""
WORDS = """Same architecture, same clips. One network was taught what things look like, one how they move, one both.
Needs motion: of what a unit tells about which clip it sees, the share that the frozen clip does not give. It tells the
networks apart, and those that were taught motion from those that were never taught. The published score hardly does."""


def demo(*, out: Path = Path("runs/demo"), clips: int = 24, real_clips: int = 8) -> None:
    """Measure networks trained on appearance, motion or both, on generated clips, and draw the results.

    Args:
        out: Folder for the results.
        clips: Clips for these networks.
        real_clips: Clips for a network that was trained on real videos.
    """
    from static_dynamic.program.demo_picture import picture
    from static_dynamic.report.theme import save_figure
    from static_dynamic.sources import FactorialVideos

    for count in (clips, real_clips):
        FactorialVideos(count)  # invalid numbers are refused before the folder is made
    make_folder(out)
    results = {
        what: _measured(name, f"factorial:{clips}", out, twins=3 if what == "taught both" else 0)
        for what, name in NETWORKS.items()
    }
    real = _real(real_clips, out)
    for kind in ("png", "svg"):
        save_figure(picture(results, real), out / f"demo.{kind}")
    print(f"\n{WORDS}\n")
    for estimator in ("needs_motion", "released"):
        print(f"{estimator}, % [95 % interval]\n{_table(results, estimator).to_string()}\n")
    if real:
        print(f"needs_motion of {REAL}, trained on real videos\n{_table({REAL: real}, 'needs_motion').to_string()}\n")
    print(f"Picture: {out / 'demo.png'}. Tables, plots and a page for every network are next to it.")


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
    """The network that was trained on real videos, if its weights are available."""
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
    from static_dynamic.program.demo_picture import curves_of, numbers_of
    from static_dynamic.report.tables import with_interval

    columns = {
        what: [with_interval(row["mean"], row["low"], row["high"], 0) for row in rows_of(curve.numbers)]
        for what, curve in curves_of(results, estimator, dict.fromkeys(results, "")).items()
    }
    stages = numbers_of(next(iter(results.values())), estimator)["stage"]
    return pd.DataFrame(columns, index=pd.Index(stages, name="stage"))
