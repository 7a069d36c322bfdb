"""How far a measurement can trust its styles: their audit on its own videos, before it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from static_dynamic.common.errors import UserError
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.tables import rows_of
from static_dynamic.interventions import is_style_file
from static_dynamic.interventions.styles import style
from static_dynamic.media.clip import Recipe
from static_dynamic.sources import Source
from static_dynamic.stylize.auditing.audit import PASS, audit
from static_dynamic.stylize.auditing.cases import StudyCase
from static_dynamic.stylize.rendering.looks import AS_FILMED
from static_dynamic.variants import Conditions

VIDEOS = 8
"""Number of videos of a study that are examined, spread over all."""


@dataclass(frozen=True)
class Judged:
    """The verdict on the styles of a study.

    Attributes:
        doubts: Warnings about them, a line each.
        weights: Style → how much of the motion is recovered in it, 0..1; 1 where no motion could be judged.
        table: The table of the audit, row by row, as plain data.
    """

    doubts: list[str]
    weights: Mapping[str, float] = field(default_factory=dict)
    table: Sequence[Mapping[str, object]] = ()


def judge_study(
    source: Source,
    styles: Sequence[str],
    seed: int,
    videos: int | None = None,
    on_video: OnDone = untold,
) -> Judged:
    """Judge the styles of a study on some of its videos, rendered as in the study.

    Args:
        source: Source of the videos.
        styles: Styles of the study.
        seed: Seed of the study.
        videos: How many videos the study uses; all if ``None``.
        on_video: Called for every video that is judged, with their number, that of all, and its name.

    Raises:
        UserError: If none of the videos can be judged, there is no style to judge, a style or the seed is not valid,
            or the originals are missing.
    """
    painted = tuple(name for name in styles if name not in AS_FILMED)
    if not painted:
        raise UserError("There is nothing to audit: only originals are shown.")
    Conditions(painted, (), seed).check(source, Recipe())
    chosen = list(source.videos)[:videos]
    count = min(VIDEOS, len(chosen))
    cases = [StudyCase(source, chosen[i * len(chosen) // count], painted, seed) for i in range(count)]
    found = audit(cases, workers=0, on_video=on_video)
    judged = found.styles[found.styles["style"].isin(painted)]
    doubts = [
        f"Style {row.style} does not pass its audit on {row.videos} of these videos ({row.verdict})."
        for row in judged.itertuples()
        if row.verdict != PASS
    ]
    return Judged(
        doubts + [f"The audit left out {line}" for line in found.left_out()],
        dict(zip(judged["style"], judged["motion"].fillna(1.0).clip(0, 1).round(4), strict=True)),
        rows_of(found.styles.astype(object).where(found.styles.notna(), None)),
    )


def unjudged(styles: Sequence[str]) -> Judged:
    """Styles without an audit; the built-in ones have passed on other videos."""
    unseen = [name for name in styles if is_style_file(name) or style.outside([name])]
    return Judged(
        [f"{', '.join(unseen)} has not been audited: --audit warn reports how much motion it keeps."] if unseen else []
    )
