"""Flow of a whole data set, written in the published layout.

``ROOT/JPEGImages/480p/<sequence>/00007.jpg`` has its flow to the next frame in
``OUT/FlowImages_gap1/<sequence>/00007.png``, and to the one before in ``OUT/FlowImages_gap-1/<sequence>/00007.png``.
Nothing is written for the last frame (next) and the first (before), and the published loaders leave these frames out.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from static_dynamic.common.compute import prefetch
from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.files import write_bytes
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.runs import Kind, alone_in, claim
from static_dynamic.common.texts import read_text
from static_dynamic.flow.colour_wheel import Frame, draw
from static_dynamic.flow.estimators import Dis, Estimator
from static_dynamic.media.images import FORMATS, is_image, natural_key, read_image
from static_dynamic.media.reading import bad_clip
from static_dynamic.sources.davis_layouts import image_root
from static_dynamic.sources.frame_folders import frame_folders

GAPS = (1, -1)
SMALLEST = 16
FLOWS = Kind("set of flows", "run.json", ("[!.]*/",))
"""Flows of one gap: a folder for each sequence."""
EARLIER = "made_by.txt"
"""The file with the name of the estimator next to flows of earlier versions."""


@dataclass
class FlowReport:
    """The outcome of `compute_flow`.

    Attributes:
        written: Flows that were computed.
        kept: Flows that existed already.
        problems: One line per unusable frame; flow from and to it is left out.
        too_short: Sequences without a pair of frames.
    """

    written: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)
    too_short: list[str] = field(default_factory=list)

    def add(self, outcome: bool | BadClip) -> None:
        """Count a flow that was written (true) or kept (false), or record the problem with its frames."""
        if isinstance(outcome, BadClip):
            self.problems += [] if str(outcome) in self.problems else [str(outcome)]
        else:
            self.written += outcome
            self.kept += not outcome


@dataclass(frozen=True)
class Pair:
    """Two frames of a sequence, and the image for the flow from one to the other."""

    sequence: str
    start: Path
    end: Path
    image: Path


def compute_flow(
    root: str | Path,
    out: str | Path | None = None,
    gaps: Sequence[int] = GAPS,
    estimator: Estimator | None = None,
    workers: int = 2,
    on_done: OnDone = untold,
    frames: str | None = None,
) -> FlowReport:
    """Draw the flow between the frames of every sequence as colour-wheel PNGs; resume an earlier run.

    Args:
        root: The data set; a folder for each sequence holds its frames, in natural order.
        out: Where ``FlowImages_gap<gap>/<sequence>/`` are written; ``root`` if not given.
        gaps: 1 for the flow to the next frame, -1 to the one before, 2 to the next but one.
        estimator: What computes flow; `Dis` if not given.
        workers: Threads; 0 means none.
        on_done: Called after every flow with the number done, the total, and the name of the sequence.
        frames: The folder of the sequences below ``root``; ``JPEGImages/480p`` or ``JPEGImages`` if not given.

    Raises:
        UserError: If an option is invalid, there are no sequences, the existing flows are of another estimator, a file
            cannot be written, or no flow can be computed.
    """
    if not gaps or 0 in gaps or workers < 0:
        raise UserError(f"Flow requires gaps other than 0 and workers ≥ 0. Got gaps {list(gaps)}, {workers} workers.")
    gaps = list(dict.fromkeys(gaps))
    estimator = estimator or Dis()
    sequences, target = read_sequences(root, frames), Path(out or root)
    pairs = [pair for name, paths in sequences.items() for pair in _pairs(name, paths, target, gaps)]
    if not pairs:
        raise UserError(f"Every sequence in {root} is too short for gaps {gaps}.")
    paired = {pair.sequence for pair in pairs}
    report = FlowReport(too_short=[one_line(name) for name in sequences if name not in paired])
    with ExitStack() as claims:
        for gap in gaps:
            claims.enter_context(_claimed(target / folder_name(gap), estimator.name, paired))
        outcomes = prefetch(partial(_write_flow, estimator), pairs, workers)
        for done, (pair, outcome) in enumerate(zip(pairs, outcomes, strict=True), start=1):
            report.add(outcome)
            on_done(done, len(pairs), one_line(pair.sequence))
    if not report.written + report.kept:
        raise UserError(f"No flow in {root} could be computed. {report.problems[0]}")
    return report


def read_sequences(root: str | Path, frames: str | None = None) -> dict[str, list[Path]]:
    """Name → frames in natural order, of every folder of images below ``root/frames``, or in DAVIS's folder of images.

    Raises:
        UserError: If there are none.
    """
    place = image_root(Path(root)) if frames is None else Path(root) / frames
    folders = [folder for folder in frame_folders(place) if folder != place]
    if not folders:
        raise UserError(f"No sequences in {place}: each must be a folder of frames, e.g. {place}/bear/00000.jpg.")
    return {folder.relative_to(place).as_posix(): _frames(folder) for folder in folders}


def folder_name(gap: int) -> str:
    """The folder for flows of a gap, below the root of the data set."""
    return f"FlowImages_gap{gap}"


def flow_path(out: str | Path, gap: int, sequence: str, frame: Path) -> Path:
    """The path of the flow from a frame."""
    return Path(out) / folder_name(gap) / sequence / f"{frame.stem}.png"


def _frames(folder: Path) -> list[Path]:
    return sorted(filter(is_image, folder.iterdir()), key=lambda path: natural_key(path.name))


def _pairs(name: str, frames: Sequence[Path], target: Path, gaps: Sequence[int]) -> Iterator[Pair]:
    for number, start in enumerate(frames):
        for gap in gaps:
            if 0 <= number + gap < len(frames):
                yield Pair(name, start, frames[number + gap], flow_path(target, gap, name, start))


@contextmanager
def _claimed(folder: Path, maker: str, sequences: Iterable[str]) -> Iterator[None]:
    """Lock a folder of flows, which must not be another estimator's; folders without a description are completed."""
    with alone_in(folder, FLOWS, [folder / name for name in sequences]):
        if (earlier := folder / EARLIER).exists():
            there = FLOWS.full({"estimator": read_text(earlier).strip()})
            FLOWS.refuse_other(folder, there, FLOWS.full({"estimator": maker}))
        elif FLOWS.read(folder) or not FLOWS.owned(folder):
            claim(folder, FLOWS, {"estimator": maker})
        yield


def _write_flow(estimator: Estimator, pair: Pair) -> bool | BadClip:
    """True if the flow was written, false if it existed already, or the problem with its frames."""
    import cv2

    if _is_whole(pair.image):
        return False
    try:
        image = _flow_image(estimator, pair)
    except BadClip as problem:
        return problem
    _, png = cv2.imencode(".png", image[..., ::-1])
    write_bytes(pair.image, png.tobytes())
    return True


def _flow_image(estimator: Estimator, pair: Pair) -> Frame:
    start, end = read_image(pair.start), read_image(pair.end)
    if start.shape != end.shape:
        raise BadClip(f"{pair.start}: this frame is {_size(start)} pixels, but {pair.end.name} is {_size(end)}.")
    if min(start.shape[:2]) < SMALLEST:
        raise BadClip(
            f"{pair.start}: flow requires {SMALLEST} pixels or more on each side, but this frame is {_size(start)}."
        )
    with bad_clip(f"{pair.start}: the flow to {pair.end.name} cannot be computed"):
        flow = estimator(start, end)
    if not np.isfinite(flow).all():
        raise BadClip(f"{pair.start}: the flow to {pair.end.name} is not finite.")
    return draw(flow)


def _size(frame: Frame) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"


def _is_whole(path: Path) -> bool:
    """Whether an image exists and is not truncated."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.verify()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
