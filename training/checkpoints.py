"""What a training run leaves on disk: the whole state, to go on exactly, and checkpoints in the published format.

run.json                       what decides the weights; a run of another study is refused
state/000000240/               the whole state after so many steps; the newest one counts
checkpoint/ckpt.pth.tar        {epoch, arch, state_dict, optimizer, best_prec1} after the last epoch
checkpoint/best.pth.tar        after the best one
checkpoint/epoch_<e>ckpt.pth.tar   after others that are to be kept
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from static_dynamic.errors import UserError, differences
from static_dynamic.files import write_atomically, write_text

if TYPE_CHECKING:
    from accelerate import Accelerator

Row = dict[str, float]
Study = Mapping[str, object]


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: The one at work, from 0.
        step: Steps of it that are done.
        sums: Of its steps so far: clips, loss, correct, seconds.
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
        """End an epoch with its metrics; whether it is the best one so far."""
        is_best = row.get("val_top1", -1.0) > max((past.get("val_top1", -1.0) for past in self.history), default=-1.0)
        self.history.append(row)
        self.best = max(self.best, row.get("val_top1", 0.0))
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        return is_best

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Be as the state says."""
        vars(self).update(state)


class States:
    """The whole states of a run, of which the newest is kept; a folder of a state is whole or absent.

    Args:
        accelerator: Knows what belongs to a state, and writes it.
        folder: Of the run.
        study: What decides the weights, as plain data.
        resume: Whether to go on with what is there; otherwise it is deleted.

    Raises:
        UserError: If the folder holds a run of another study; the difference is named.
    """

    def __init__(self, accelerator: "Accelerator", folder: Path, study: Study, resume: bool) -> None:
        self.accelerator = accelerator
        self.folder = folder / "state"
        if resume and self._latest() is not None:
            claim(folder, study)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            if not resume:
                shutil.rmtree(self.folder, ignore_errors=True)
            write_text(folder / "run.json", json.dumps(study, indent=2) + "\n")
        accelerator.wait_for_everyone()

    def load(self) -> bool:
        """Take up the newest state, if there is one."""
        latest = self._latest()
        if latest is None:
            return False
        try:
            self.accelerator.load_state(str(latest))
        except Exception as error:
            reason = (str(error) or type(error).__name__).partition("\n")[0]
            raise UserError(f"The state {latest} cannot be read: {reason}. Start over with `resume=False`.") from None
        return True

    def save(self, steps: int) -> None:
        """Keep the state after so many steps, and no older one.

        Raises:
            UserError: If it cannot be written; the older one is still there then.
        """
        whole, partial = self.folder / f"{steps:09d}", self.folder / f".{steps:09d}.part"
        try:
            self.accelerator.wait_for_everyone()
            self.accelerator.save_state(str(partial))
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                partial.rename(whole)
                for other in self.folder.iterdir():
                    if other != whole:
                        shutil.rmtree(other)
        except OSError as error:
            raise UserError(f"Cannot write {str(whole)!r}: {error.strerror or error}.") from None
        self.accelerator.wait_for_everyone()

    def _latest(self) -> Path | None:
        return max(self.folder.glob("[0-9]*"), default=None)


def claim(folder: Path, study: Study) -> None:
    """Refuse to go on with a run of another study.

    Raises:
        UserError: With what differs.
    """
    try:
        there = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {folder / 'run.json'}: {error}.") from None
    here = json.loads(json.dumps(study))
    if there != here:
        raise UserError(
            f"The run in {folder} is another one: {differences(there, here)}. Choose another folder, or start over "
            "with `resume=False`."
        )


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
        folder: Of the run.
        names: Of the files.
        arch: Name of the model.
        model: Its weights; they are named as in a model that is spread over GPUs.
        optimizer: Its state.
        progress: How many epochs are done, and the best accuracy.
    """
    content = {
        "epoch": progress.epoch,
        "arch": arch,
        "state_dict": {f"module.{name}": value.cpu() for name, value in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "best_prec1": progress.best,
    }
    for name in names:
        write_atomically(folder / "checkpoint" / name, lambda path: torch.save(content, path))
