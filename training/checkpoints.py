"""What a training run leaves on disk: the whole state, to resume exactly, and checkpoints in the published format.

run.json                       what decides the weights; a run of another study is refused
state/000000240/               the whole state after that many steps; the newest one counts
checkpoint/ckpt.pth.tar        {epoch, arch, state_dict, optimizer, best_prec1} after the last epoch
checkpoint/best.pth.tar        after the best one
checkpoint/epoch_<e>ckpt.pth.tar   after other epochs whose checkpoints are kept
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import plain_errors, remove, whole, write_bytes
from static_dynamic.common.runs import START_OVER, Kind, open_run
from static_dynamic.training.machinery import held_for_all

if TYPE_CHECKING:
    from accelerate import Accelerator

Row = dict[str, float]
Study = Mapping[str, object]


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: The current epoch, from 0.
        step: Steps of it that are done.
        sums: Sums over its steps so far: clips, loss, correct, seconds.
        best: The best top-1 accuracy of a validation, percent.
        history: The metrics of every epoch.
        bad: Video → why it could not be read.
    """

    epoch: int = 0
    step: int = 0
    sums: Row = field(default_factory=dict)
    best: float = 0.0
    history: list[Row] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    def finish(self, row: Row) -> bool:
        """End an epoch with its metrics; return whether it is the best one so far."""
        is_best = row.get("val_top1", -1.0) > max((past.get("val_top1", -1.0) for past in self.history), default=-1.0)
        self.history.append(row)
        self.best = max(self.best, row.get("val_top1", 0.0))
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        return is_best

    def state_dict(self) -> dict[str, Any]:
        """Return all fields as plain data."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all fields from a state."""
        vars(self).update(state)


TRAINING = Kind(
    "training run",
    "run.json",
    (
        f"state/{'[0-9]' * 9}/",
        "checkpoint/ckpt.pth.tar",
        "checkpoint/best.pth.tar",
        "checkpoint/epoch_[0-9]*ckpt.pth.tar",
        "metrics.csv",
        "bad_videos.csv",
    ),
    format=2,  # earlier versions drew clips by another rule
    restarts=True,
)


@contextmanager
def claimed(accelerator: "Accelerator", folder: Path, study: Study, resume: bool) -> Iterator[None]:
    """Claim a folder, which must not hold another run; the first of several processes does so for all.

    Args:
        accelerator: Knows the processes.
        folder: Folder of the run.
        study: What decides the weights, as plain data.
        resume: Whether to resume a run in the folder; otherwise its files are removed.

    Raises:
        UserError: If the folder holds a run of another study; the difference is named.
    """
    within = [folder / "state", folder / "checkpoint"]
    with held_for_all(accelerator, open_run(folder, TRAINING, study, resume, within)):
        yield


class States:
    """The whole states of a run, of which the newest is kept; a folder of a state is whole or absent.

    Args:
        accelerator: Knows what belongs to a state, and writes it.
        folder: Folder of the run.
    """

    def __init__(self, accelerator: "Accelerator", folder: Path) -> None:
        self.accelerator = accelerator
        self.folder = folder / "state"

    def load(self) -> bool:
        """Load the newest state, if there is one."""
        latest = max(self._all(), default=None)
        if latest is None:
            return False
        try:
            self.accelerator.load_state(str(latest))
        except Exception as error:
            reason = (str(error) or type(error).__name__).partition("\n")[0]
            raise UserError(f"The state {latest} cannot be resumed: {reason}. Choose to {START_OVER}.") from None
        return True

    def save(self, steps: int) -> None:
        """Save the state after ``steps`` steps, and remove older ones.

        Raises:
            UserError: If it cannot be written; then the older one is kept.
        """
        target = self.folder / f"{steps:09d}"
        with ExitStack() as written:
            # Every process writes its share to the place that the first one chooses.
            places = [
                str(written.enter_context(whole(target, lasting=True))) if self.accelerator.is_main_process else ""
            ]
            broadcast_object_list(places)
            with plain_errors(
                target, RuntimeError, SafetensorError
            ):  # torch and safetensors report a full disk in this way
                self.accelerator.save_state(places[0])
            self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            for other in self._all():
                if other != target:
                    remove(other)
        self.accelerator.wait_for_everyone()

    def _all(self) -> list[Path]:
        return [path for path in TRAINING.owned(self.folder.parent) if path.parent == self.folder]


def publish(
    folder: Path,
    names: Iterable[str],
    arch: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write the weights after an epoch in the published format, which the published loaders and ours read.

    Args:
        folder: Folder of the run.
        names: Names of the files.
        arch: Name of the model.
        model: The model, whose weights are named as in a model that is spread over GPUs.
        optimizer: The optimiser, whose state is saved.
        progress: How many epochs are done, and the best accuracy.
    """
    content = {
        "epoch": progress.epoch,
        "arch": arch,
        "state_dict": {f"module.{name}": value.cpu() for name, value in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "best_prec1": progress.best,
    }
    buffer = BytesIO()
    torch.save(content, buffer)
    for name in names:
        write_bytes(folder / "checkpoint" / name, buffer.getbuffer(), lasting=True)
