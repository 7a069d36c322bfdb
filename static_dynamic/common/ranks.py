"""Which of several processes this one is, as ``torchrun`` and ``srun`` state it, and how they share work."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from static_dynamic.common.errors import UserError, shown

SPECIAL_STEPS = 2**32 - 16
"""SLURM numbers the steps that are not started by ``srun``, such as an interactive shell, from here."""
OF_TORCHRUN = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
OF_SRUN = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")


@dataclass(frozen=True)
class Rank:
    """One of the processes that a launcher started together.

    Attributes:
        number: Its number, from 0.
        count: How many there are.
        local: Its number among those of this machine, from 0.
        launcher: ``torchrun``, ``srun``, or nothing for a process that is alone.
        launch: A text that all of them share; another launch may have the same.
    """

    number: int = 0
    count: int = 1
    local: int = 0
    launcher: str = ""
    launch: str = ""

    def __str__(self) -> str:
        return f"rank {self.number} of {self.count}"


def here(variables: Mapping[str, str] = os.environ) -> Rank:
    """The rank of this process.

    Variables of ``torchrun`` come first. Those of SLURM count in a process that ``srun`` started, not in the script of
    a job or in an interactive shell, which see them too.

    Args:
        variables: The environment.

    Raises:
        UserError: If a variable is not a number in its range.

    Example:
        >>> here({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
        Rank(number=3, count=8, local=1, launcher='torchrun', launch='')
        >>> here({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"})
        Rank(number=0, count=1, local=0, launcher='', launch='')
    """
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return _rank(variables, "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", OF_TORCHRUN)
    if "SLURM_PROCID" in variables and _is_step(variables.get("SLURM_STEP_ID", "")):
        count = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in variables else "SLURM_NTASKS"
        return _rank(variables, "srun", "SLURM_PROCID", count, "SLURM_LOCALID", OF_SRUN)
    return Rank()


def rank() -> int:
    """The number of this process among those that ``torchrun`` or ``srun`` started; 0 if it is alone.

    Raises:
        UserError: If a variable of the launcher is not a number in its range.
    """
    return here().number


def shares(missing: Sequence[int], total: int, count: int) -> list[range]:
    """Parts of consecutive work, one for each rank; they differ by at most one in how much of it is missing.

    Args:
        missing: What is not done yet, in rising order.
        total: The number of all parts.
        count: The number of ranks.

    Example:
        >>> shares([0, 1, 2, 3, 4], 5, 2), shares([3, 4], 5, 2), shares([0], 1, 2)
        ([range(0, 3), range(3, 5)], [range(0, 4), range(4, 5)], [range(0, 1), range(1, 1)])
    """
    parts = missing or range(total)
    first = [-(-len(parts) * number // count) for number in range(1, count)]
    borders = [0, *(parts[place] if place < len(parts) else total for place in first), total]
    return [range(start, end) for start, end in pairwise(borders)]


def _rank(
    variables: Mapping[str, str], launcher: str, number: str, count: str, local: str, launch: Sequence[str]
) -> Rank:
    ranks = _number(variables, count, 1, None)
    if ranks == 1:
        return Rank()
    place = _number(variables, number, 0, ranks - 1)
    return Rank(
        place,
        ranks,
        _number(variables, local, 0, None) if local in variables else place,
        launcher,
        " ".join(variables[name] for name in launch if name in variables),
    )


def _is_step(step: str) -> bool:
    return step.isdecimal() and int(step) < SPECIAL_STEPS


def _number(variables: Mapping[str, str], name: str, least: int, most: int | None) -> int:
    given = variables.get(name, "")
    if not given.isdecimal() or len(given) > 9 or int(given) < least or (most is not None and int(given) > most):
        wanted = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise UserError(
            f"The environment variable {name}, which torchrun or srun sets, must be a whole number {wanted}. "
            f"Got {shown(given)}."
        )
    return int(given)
