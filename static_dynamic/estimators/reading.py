"""Reading a block of units by a plan: in parts where its numbers follow from sums over videos, else at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import derive_seed
from static_dynamic.estimators.base import Plan
from static_dynamic.estimators.estimates import Estimates, joined
from static_dynamic.estimators.streaming import Streamed, is_streamed
from static_dynamic.functional.additive import Additive, Collected, Ints, side_by_side
from static_dynamic.functional.resampling import Resamples

Rows = Callable[[Ints | None], npt.NDArray[np.float32]]
"""Some rows of a block of units, ``(rows, U)``; all of them for ``None``."""


class Read(NamedTuple):
    """The estimates for a block of units.

    Attributes:
        own: Estimates on every resample of the videos.
        strangers: Estimates on pairs of unrelated videos, a row for every draw; ``None`` without draws.
        again: Estimates on replicates of the first clips; ``None`` without replicates.
        alike: Whether the conditions that are compared are equal, except for rounding.
    """

    own: Estimates
    strangers: Estimates | None
    again: Estimates | None
    alike: bool


def read(plan: Plan, rows: Rows, resamples: Resamples, seed: int, draws: int) -> Read:
    """The numbers of a plan.

    Args:
        plan: The plan.
        rows: Gives rows of the block.
        resamples: Resamples of its videos.
        seed: Seed of the unrelated videos.
        draws: How often these are drawn.
    """
    if isinstance(plan, Streamed) and is_streamed(plan):
        return _by_parts(plan, rows, resamples, seed, draws)
    x, once = rows(None), np.ones((1, len(plan.videos)))
    again = plan.repeated() if resamples.enough else None
    return Read(
        plan.estimates(x, resamples.of_videos),
        joined(plan.unrelated(derive_seed(seed, "unrelated", draw)).estimates(x, once) for draw in range(draws)),
        None if again is None else again.estimates(x, once),
        plan.alike(x),
    )


def read_once(plan: Plan, rows: Rows) -> Estimates:
    """The numbers of a plan on all videos, each once."""
    if not (isinstance(plan, Streamed) and is_streamed(plan)):
        return plan.estimates(rows(None), np.ones((1, len(plan.videos))))
    total: Collected[Additive] = Collected(1)
    for part in plan.parts():
        total.add(part.plan.sums(rows(part.rows), total.shift).weighted())
    return plan.read(total.sums)


def _by_parts(plan: Streamed, rows: Rows, resamples: Resamples, seed: int, draws: int) -> Read:
    own: Collected[Any] = Collected(resamples.weights.shape[1])
    null: list[Collected[Any]] = [Collected(1) for _ in range(draws)]
    ceiling: Collected[Any] = Collected(1)
    alike = True
    for number, part in enumerate(plan.parts()):
        x = rows(part.rows)
        sums = part.plan.sums(x, own.shift)
        own.add(sums, resamples.group[part.groups])
        seeds = [derive_seed(seed, "unrelated", draw, *([number] if number else [])) for draw in range(draws)]
        for total, found in zip(null, part.plan.strangers(x, sums, seeds), strict=True):
            total.add(found)
        if resamples.enough and (again := part.plan.repeated()) is not None:
            ceiling.add(again.sums(x, sums.shift).weighted())
        alike = alike and part.plan.alike(x)
    return Read(
        plan.read(own.sums.weighted(resamples.weights)),
        plan.read(side_by_side([total.sums for total in null])) if null else None,
        plan.read(ceiling.sums) if ceiling.shift is not None else None,
        alike,
    )


def require_memory(size: int, estimator: str, videos: int) -> None:
    """Check that what must be held at once fits in memory.

    Args:
        size: Required memory in bytes.
        estimator: Name of the estimator that needs it.
        videos: Number of videos that it reads.

    Raises:
        UserError: If less memory is available.
    """
    import psutil

    if size > (there := psutil.virtual_memory().available):
        raise UserError(
            f"The estimator {estimator} reads all {videos} videos at once and needs about {size / 1e9:.1f} GB for one "
            f"unit. {there / 1e9:.1f} GB of memory are available. Score fewer videos, or use an estimator whose sums "
            "add up over videos (docs/large.md)."
        )
