"""``flow``: the optical flow of a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from static_dynamic.common.commands import also
from static_dynamic.common.errors import UserError
from static_dynamic.common.progress import progress_bar
from static_dynamic.program.values import whole_numbers

if TYPE_CHECKING:
    from static_dynamic.flow.tree import FlowReport


def flow(
    root: Path,
    /,
    *,
    out: Path | None = None,
    gaps: str = "1,-1",
    frame_folder: Annotated[str | None, also("frames")] = None,
    preset: Literal["ultrafast", "fast", "medium"] = "medium",
    raft: Path | None = None,
    device: str = "auto",
    workers: int = 2,
    sheet: Path | None = None,
) -> None:
    """Compute the optical flow of a data set in the layout of DAVIS, as colour-wheel PNGs next to its frames.

    ROOT/JPEGImages/480p/<sequence>/00000.jpg gets OUT/FlowImages_gap1/<sequence>/00000.png (to the next frame) and
    OUT/FlowImages_gap-1/<sequence>/00000.png (to the one before). The same command resumes a run that was stopped.

    Args:
        root: The data set.
        out: Folder for the flow. By default ROOT.
        gaps: 1 for the next frame, -1 for the one before, and so on, separated by commas.
        frame_folder: Folder of the sequences in ROOT. By default JPEGImages/480p or JPEGImages.
        preset: Preset of DIS.
        raft: State dict of torchvision's RAFT, to use it instead.
        device: Where RAFT runs.
        workers: Threads.
        sheet: PNG for a sheet of frames and flow of every sequence.
    """
    from static_dynamic.flow.estimators import Dis, Raft
    from static_dynamic.flow.sheet import flow_sheet
    from static_dynamic.flow.tree import compute_flow
    from static_dynamic.media.pictures import write_png

    distances = list(whole_numbers("--gaps", gaps, "1,-1"))
    if sheet and sheet.suffix.lower() != ".png":
        raise UserError(f"The sheet is a PNG, so its name must end in .png. Got {str(sheet)!r}.")
    estimator = Raft(raft, device) if raft else Dis(preset)
    with progress_bar("flows") as on_done:
        report = compute_flow(root, out, distances, estimator, workers, on_done, frame_folder)
    print(summary(report))
    if sheet:
        write_png(flow_sheet(root, out, distances, frame_folder), sheet)
        print(sheet)


def summary(report: "FlowReport") -> str:
    """The counts, and a line for everything that was left out."""
    counts = f"{report.written} flows written, {report.kept} existed already."
    short = [f"left out: {name}: too short for a pair of frames." for name in report.too_short]
    return "\n".join([counts, *short, *(f"left out: {problem}" for problem in report.problems)])
