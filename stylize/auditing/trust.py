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
"""So many videos of a study are looked at, spread over all."""


@dataclass(frozen=True)
class Judged:
    """What is known of the styles of a study.

    Attributes:
        doubts: What must be said of them, a line each.
        weights: Style → how much of the motion is found again in it, 0..1; 1 where no motion could be judged.
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
    """Judge the styles of a study on some of its videos, painted as the study will paint them.

    Args:
        source: Where the videos are.
        styles: Those of the study.
        seed: That of the study.
        videos: How many videos the study uses; all if ``None``.
        on_video: Called for every video that is judged, with their number, that of all, and its name.

    Raises:
        UserError: If not a single video can be judged, there is no style to judge, a style or the seed is not valid,
            or the videos as filmed are missing.
    """
    painted = tuple(name for name in styles if name not in AS_FILMED)
    if not painted:
        raise UserError("There is nothing to audit: the videos are shown as filmed only.")
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
    """Styles that nobody looked at; those built in have passed on other videos."""
    unseen = [name for name in styles if is_style_file(name) or style.outside([name])]
    return Judged(
        [f"No audit has seen {', '.join(unseen)}: --audit warn tells what it keeps of motion."] if unseen else []
    )
