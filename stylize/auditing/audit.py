"""The audit of styles: does a style change the appearance of a clip, keep its motion, and differ from the others?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import cv2
import numpy as np
import pandas as pd

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.processes import in_processes
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.media.clip import ORIGINAL, Frames
from static_dynamic.stylize.auditing.cases import Case
from static_dynamic.stylize.auditing.measures import Histogram, Motion, colours, edge_overlap, textures, total_variation
from static_dynamic.stylize.rendering.looks import ANOTHER, FLOOR

MEASURES = ("colour", "texture", "flow_error", "angle", "flicker", "edges")
DISTANCES = ["style", "other", "colour", "texture"]
PROBLEMS = ["video", "style", "why"]
TOLD = 3
"""Copies in a style for which the reason why they are left out is given."""
PASS = "pass"
SURE = 0.5
"""The motion of a video is judged if the relative error of flow in a re-encoded copy is at most this."""
UNKNOWN = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Limit:
    """What a style must reach.

    Attributes:
        measure: Column of the table of styles.
        value: The limit.
        least: Whether it is the least allowed value; otherwise it is the greatest.
        reason: Why the limit is there.
    """

    measure: str
    value: float
    least: bool
    reason: str

    def missed(self, found: float) -> bool:
        """Whether a value misses the limit; one that could not be measured does not."""
        return found < self.value if self.least else found > self.value

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.value}"


LIMITS = (
    Limit("colour", 0.5, True, "half of all pixels get a colour that the clip did not contain"),
    Limit("texture", 0.1, True, "twice what noise and JPEG do"),
    Limit("motion", 0.5, True, "more of the motion is recovered than lost, compared with a re-encoded copy"),
    Limit("flicker", 0.25, False, "a quarter of noise that is new in every frame"),
    Limit("edges", 0.5, True, "half of the edges, beyond chance, stay where they were"),
)


@dataclass(frozen=True)
class Findings:
    """What was measured of one video.

    Attributes:
        clips: A row for each style, and for the re-encoded copy.
        distances: A row for each two styles.
        filmed: Colours and textures of the original.
        problems: Style, or ``"original"`` → why it cannot be judged.
    """

    clips: Sequence[Mapping[str, object]] = ()
    distances: Sequence[Mapping[str, object]] = ()
    filmed: Sequence[Histogram] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """The results of an audit.

    Attributes:
        clips: ``video``, ``style`` and a column per measure: a row per video and style.
        distances: ``style``, ``other``, ``colour``, ``texture``: how far two styles are apart, averaged over videos.
        styles: A row per style: averages over videos, the style whose colours are nearest, the verdict.
        problems: ``video``, ``style``, ``why``: a row per copy that cannot be judged, or per video, which is style
            ``"original"`` then.
    """

    clips: pd.DataFrame
    distances: pd.DataFrame
    styles: pd.DataFrame
    problems: pd.DataFrame

    def left_out(self) -> list[str]:
        """Lines that name what cannot be judged: the first copies in each style, and how many more."""
        lines = []
        for style, reasons in self.problems.groupby("style", sort=False)["why"]:
            lines += reasons[:TOLD].tolist()
            if len(reasons) > TOLD:
                what = "videos" if style == ORIGINAL else f"copies in style {style}"
                lines.append(f"{len(reasons) - TOLD} more {what}")
        return lines


def audit(
    cases: Sequence[Case],
    workers: int = 2,
    on_video: OnDone = untold,
) -> Audit:
    """Judge styles by their effect on videos.

    Args:
        cases: The videos and their restyled copies.
        workers: Processes; with 0, this one.
        on_video: Called with the number of videos that are done, of all, and the name of the last.

    Raises:
        UserError: If none of the videos can be judged.
    """
    found: dict[str, Findings] = {}
    for done, (case, findings) in enumerate(in_processes(judge, cases, workers), start=1):
        found[case.name] = findings
        on_video(done, len(cases), case.name)
    every = [(case.name, found[case.name]) for case in cases]  # in order, since processes finish in any order
    problems = [(video, style, why) for video, findings in every for style, why in findings.problems.items()]
    judged = [findings for _, findings in every if findings.clips]
    if not judged:
        raise UserError(f"None of the videos can be judged. The first: {problems[0][-1]}")
    clips = pd.DataFrame([row for findings in judged for row in findings.clips])
    apart = pd.DataFrame([row for findings in judged for row in findings.distances], columns=DISTANCES)
    distances = apart.groupby(["style", "other"], sort=False)[["colour", "texture"]].mean().reset_index()
    another = [_apart(a.filmed, b.filmed) for a, b in pairwise(judged)]
    styles = style_table(clips, distances, another)
    return Audit(clips, distances, styles, pd.DataFrame(problems, columns=PROBLEMS))


def judge(case: Case) -> Findings:
    """Measure one video in all its styles, and report those that cannot be read."""
    try:
        filmed, copies, problems = case.clips()
    except BadClip as problem:
        return Findings(problems={ORIGINAL: str(problem)})
    motion, shown = Motion(filmed), {FLOOR: re_encoded(filmed), **copies}
    errors = {style: motion.errors(frames) for style, frames in shown.items()}
    if not errors[FLOOR][0] <= SURE:
        errors = dict.fromkeys(shown, UNKNOWN)
    look, steady = _look(filmed), motion.warp_error(filmed)
    looks = {style: _look(frames) for style, frames in shown.items()}
    rows = [
        {
            "video": case.name,
            "style": style,
            **_apart(look, looks[style]),
            "flow_error": errors[style][0],
            "floor": errors[FLOOR][0],
            "angle": errors[style][1],
            "flicker": motion.warp_error(frames) - steady,
            "edges": edge_overlap(filmed, frames),
            "moving": float(np.mean(motion.moving)),
        }
        for style, frames in shown.items()
    ]
    distances = [{"style": a, "other": b, **_apart(looks[a], looks[b])} for a, b in combinations(copies, 2)]
    return Findings(rows, distances, look, problems)


def re_encoded(frames: Frames) -> Frames:
    """A copy with Gaussian noise of two grey levels, as JPEG of quality 75: as two recordings may differ."""
    rng = np.random.default_rng(0)

    def copy(frame: Frames) -> Frames:
        noisy = np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 75])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)

    return np.stack([copy(frame) for frame in frames])


def style_table(
    clips: pd.DataFrame, distances: pd.DataFrame, another: Sequence[Mapping[str, float]] = ()
) -> pd.DataFrame:
    """A row per style: averages over videos, ``motion``, the nearest other style, and the verdict.

    ``motion = (1 - flow_error) / (1 - floor)``, ``floor`` being the ``flow_error`` of the re-encoded copies of the same
    videos: the share of the detectable motion that is recovered.

    Args:
        clips: See `Audit`.
        distances: See `Audit`.
        another: The distance of two videos, for the row of that name.
    """
    table = clips.groupby("style", sort=False)[[*MEASURES, "floor"]].mean()
    table.insert(0, "videos", clips.groupby("style", sort=False)["video"].nunique())
    table["motion"] = (1 - table["flow_error"]) / (1 - table.pop("floor"))
    nearest = [_nearest(str(style), distances) for style in table.index]
    table["nearest"] = [name for name, _ in nearest]
    table["nearest_colour"] = [distance for _, distance in nearest]
    table["verdict"] = [verdict(row) if style != FLOOR else "reference" for style, row in table.iterrows()]
    if another:
        apart = pd.DataFrame(list(another)).mean()
        judged = clips["video"].nunique()
        columns = ["videos", "colour", "texture", "verdict"]
        table.loc[ANOTHER, columns] = [judged, apart["colour"], apart["texture"], "reference"]
    return table.astype({"videos": int}).reset_index()


def verdict(row: "pd.Series[float]") -> str:
    """``pass``, or every limit that a style misses, or what could not be measured."""
    values = {limit: row[limit.measure] for limit in LIMITS}
    if missed := [f"{limit.measure} {value:.2f}, {limit}" for limit, value in values.items() if limit.missed(value)]:
        return f"fail: {'; '.join(missed)}"
    if unknown := [limit.measure for limit, value in values.items() if np.isnan(value)]:
        return f"not judged: {', '.join(unknown)} cannot be measured in these videos"
    return PASS


def _nearest(style: str, distances: pd.DataFrame) -> tuple[str | None, float]:
    """The style whose colours are nearest, and their distance."""
    own = distances[(distances["style"] == style) | (distances["other"] == style)]
    if own.empty:
        return None, float("nan")
    row = own.sort_values("colour", kind="stable").iloc[0]
    return str(row["other"] if row["style"] == style else row["style"]), float(row["colour"])


def _look(frames: Frames) -> tuple[Histogram, Histogram]:
    return colours(frames), textures(frames)


def _apart(a: Sequence[Histogram], b: Sequence[Histogram]) -> dict[str, float]:
    return {"colour": total_variation(a[0], b[0]), "texture": total_variation(a[1], b[1])}
