"""What training and evaluation share of ``accelerate``, and their progress bar."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from accelerate import Accelerator, PartialState
from accelerate.utils import DataLoaderConfiguration, ProjectConfiguration

from training.options import RunOptions

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}

Step = TypeVar("Step")


def accelerator_for(options: RunOptions, log: Path | None = None) -> Accelerator:
    """Device, processes and precision as the options and ``torchrun`` say; the order of clips follows from the seed.

    Args:
        options: Of the run.
        log: Folder for TensorBoard's log.
    """
    return Accelerator(
        cpu=options.device == "cpu",
        mixed_precision=PRECISIONS[options.precision],
        log_with="tensorboard" if log else None,
        project_config=ProjectConfiguration(project_dir=str(log)) if log else None,
        # The sampler's seed is this one plus the epoch: seeds far apart share no order.
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=options.random_seed << 16),
        step_scheduler_with_optimizer=False,  # it is stepped once per epoch
    )


def say(options: RunOptions, line: str) -> None:
    """Print a line, in the first process only."""
    PartialState(cpu=options.device == "cpu").print(line)


def shown(steps: Iterable[Step], what: str, accelerator: Accelerator) -> Iterable[Step]:
    """The same, with a progress bar if the first process has a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not (accelerator.is_main_process and console.is_terminal)
    return track(steps, what, console=console, transient=True, disable=hidden)
