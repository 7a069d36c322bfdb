"""How training and evaluation use ``accelerate``, and how they show progress."""

from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from accelerate import Accelerator, PartialState
from accelerate.utils import DataLoaderConfiguration, ProjectConfiguration, broadcast_object_list

from static_dynamic.common.commands import as_flags
from static_dynamic.common.errors import UserError
from static_dynamic.common.progress import tracked
from static_dynamic.training.options import RunOptions

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}

Step = TypeVar("Step")


def accelerator_for(options: RunOptions, log: Path | None = None) -> Accelerator:
    """Device, processes and precision from the options and ``torchrun``; the order of clips follows from the seed.

    Args:
        options: Options of the run.
        log: Folder for TensorBoard's log.
    """
    return Accelerator(
        cpu=options.device == "cpu",
        mixed_precision=PRECISIONS[options.precision],
        log_with="tensorboard" if log else None,
        project_config=ProjectConfiguration(project_dir=str(log)) if log else None,
        # The sampler's seed is this one plus the epoch: seeds far apart share no order.
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=options.seed << 16),
        step_scheduler_with_optimizer=False,  # it is stepped once per epoch
    )


@contextmanager
def held_for_all(accelerator: Accelerator, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Hold what only one run can have, such as a folder: the first of several processes does so for all.

    Raises:
        UserError: In every process, if the first cannot have it.
    """
    with ExitStack() as held:
        refusal: list[str | None] = [None]
        if accelerator.is_main_process:
            try:
                held.enter_context(lock)
            except UserError as error:
                refusal = [str(error)]
        broadcast_object_list(refusal)
        if refusal[0] is not None:
            raise UserError(refusal[0])
        yield


def say_notes(options: RunOptions, *notes: str | None) -> None:
    """Print messages, a line each, in the first process only."""
    for note in filter(None, notes):
        PartialState(cpu=options.device == "cpu").print(f"Note: {as_flags(note)}")


def shown(steps: Iterable[Step], what: str, accelerator: Accelerator) -> Iterable[Step]:
    """Pass steps on; the first process shows their progress."""
    if not accelerator.is_main_process:
        return readable(steps)
    return tracked(readable(steps), what, len(steps) if isinstance(steps, Sized) else 0, transient=True)


def readable(steps: Iterable[Step]) -> Iterator[Step]:
    """Pass steps on; report a loader process that ends too early in one line.

    Raises:
        UserError: If a process ends too early.
    """
    iterator = iter(steps)
    while True:
        try:
            step = next(iterator)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(
                f"A process that reads clips ended too early ({str(error).splitlines()[0].rstrip('. ')}). If it was "
                "killed, most likely memory ran out; if it never started, the calls of a script must be below "
                '`if __name__ == "__main__":`. With `workers=0`, this process reads the clips.'
            ) from None
        yield step
