"""The training loop; devices, processes, precision and whole states are left to ``accelerate``."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd
import torch
import torch.nn.functional as F
from accelerate.utils import gather_object, set_seed
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import write_text
from static_dynamic.common.tables import as_csv
from static_dynamic.media.inputs import in_one_line
from static_dynamic.training.checkpoints import Progress, Row, States, Study, claimed, publish
from static_dynamic.training.data import IGNORED, Batch, Clips, Complaint, loader, too_many, write_complaints
from static_dynamic.training.machinery import accelerator_for, shown
from static_dynamic.training.optimise import rate_factor, set_dropout, sgd
from static_dynamic.training.options import LoopOptions
from static_dynamic.training.scores import accuracies, check_output, predict

UNDECISIVE = {"workers", "max_bad", "device", "eval_freq", "save_steps", "save_every", "resume", "cfg_file"}
"""Options that do not decide the weights: a run may be resumed with others."""

OnEpoch = Callable[[int], object]
"""Called with the number of epochs that are done."""


@runtime_checkable
class Changing(Protocol):
    """Clips that differ in every epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Called before every epoch, from 0."""
        ...


def fit(
    model: nn.Module,
    train: Clips,
    val: Clips | None,
    options: LoopOptions,
    folder: Path,
    arch: str = "model",
    study: Study | None = None,
    on_epoch: OnEpoch | None = None,
) -> list[Row]:
    """Train a model, or resume its training, and write metrics and checkpoints to a folder.

    Args:
        model: Takes clips, returns ``(N, classes)``; it holds the trained weights afterwards.
        train: ``index → (clip, label)``; its ``set_epoch``, if it has one, is called before every epoch.
        val: The same, to validate on.
        options: Options of the training.
        folder: Folder of the run; it holds the files named in ``training/checkpoints.py``, ``metrics.csv``,
            ``bad_videos.csv`` and ``tensorboard/``.
        arch: Name of the model, for the checkpoints.
        study: What else decides the weights, as plain data; a run of another study is not resumed.
        on_epoch: Called in the first process before the first epoch and after every one; it must leave the model and
            the random state as they are, as a :class:`static_dynamic.tracking.Tracker` does.

    Returns:
        The metrics of every epoch.

    Raises:
        UserError: For a run of another study, a loss that is not finite, or too many videos that cannot be read.
    """
    return _Run(model, train, val, options, folder, arch, study or {}, on_epoch).finish()


class _Run:
    """One run: what is trained, and how far it is."""

    def __init__(
        self,
        model: nn.Module,
        train: Clips,
        val: Clips | None,
        options: LoopOptions,
        folder: Path,
        arch: str,
        study: Study,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.options, self.folder, self.arch, self.clips = options, folder, arch, train
        self.on_epoch = on_epoch
        self.videos = len(train) + len(val or ())
        self.accelerator, self.progress, self.clock = accelerator_for(options, folder), Progress(), 0.0
        self.network = self._adapted(model)
        self.optimizer = sgd(self.network, options)
        self.schedule = LambdaLR(self.optimizer, rate_factor(options))
        prepare = self.accelerator.prepare
        self.model, self.optimizer, self.schedule = prepare(self.network, self.optimizer, self.schedule)
        self.batches = prepare(loader(train, options.batch_size, options.workers, training=True))
        self.tests = prepare(loader(val or [], options.batch_size, options.workers, training=False))
        self._check_size()
        self.accelerator.register_for_checkpointing(self.progress)
        self.states, self.study = States(self.accelerator, folder), {**study, **self._study()}

    def _check_size(self) -> None:
        if not len(self.batches):
            raise UserError(
                f"A batch needs {self.options.batch_size} clips for each of {self.accelerator.num_processes} "
                f"process(es), but there are only {len(self.clips)}. Lower --batch-size."
            )

    def _adapted(self, model: nn.Module) -> nn.Module:
        """The model with the dropout and batch norm of the options."""
        if self.options.dropout is not None:
            set_dropout(model, self.options.dropout)
        if self.options.sync_bn and self.accelerator.num_processes > 1:
            if self.accelerator.device.type != "cuda":
                raise UserError("--sync-bn requires GPUs, but none is available.")
            return nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return model

    def _study(self) -> dict[str, object]:
        """The options that decide the weights."""
        without = (
            UNDECISIVE if self.options.lr_type == "cos" else UNDECISIVE | {"epochs"}
        )  # it can be resumed for more epochs
        names = LoopOptions.model_fields.keys() - without
        decisive = {name: getattr(self.options, name) for name in sorted(names)}
        return {**decisive, "processes": self.accelerator.num_processes, "clips": len(self.clips)}

    def finish(self) -> list[Row]:
        """All epochs that are left."""
        set_seed(self.options.seed, device_specific=True)
        with claimed(self.accelerator, self.folder, self.study, self.options.resume):
            self._resume()
            with self._tensorboard():
                if not self.progress.step:
                    self._tell()
                while self.progress.epoch < self.options.epochs:
                    self._epoch()
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        return self.progress.history

    def _resume(self) -> None:
        """Resume from the newest state, if there is one."""
        if self.states.load():
            within = f" and {self.progress.step} steps" if self.progress.step else ""
            self.accelerator.print(f"Resuming after {self.progress.epoch} epochs{within}.")

    @contextmanager
    def _tensorboard(self) -> Iterator[None]:
        """A log without the epochs that are trained again."""
        settings = {"tensorboard": {"purge_step": self.progress.epoch + 1}}
        self.accelerator.init_trackers("tensorboard", init_kwargs=settings)
        try:
            yield
        finally:
            for tracker in self.accelerator.trackers:
                tracker.finish()

    def _epoch(self) -> None:
        """Train, validate if it is due, and save the results."""
        row = self._train()
        self.schedule.step()
        if len(self.tests) and self._is_time(self.options.eval_freq):
            row |= self._validate()
        self._share_complaints()
        is_best = self.progress.finish(row)
        if self.accelerator.is_main_process:
            self._write(is_best)
        self.accelerator.log(row, step=self.progress.epoch)
        self.accelerator.print(", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        self._tell()
        self.states.save(self.progress.epoch * len(self.batches))

    def _tell(self) -> None:
        """Report how many epochs are done; before the state is saved, so that a resumed run reports it again."""
        if self.on_epoch is not None and self.accelerator.is_main_process:
            self.on_epoch(self.progress.epoch)

    def _is_time(self, every: int) -> bool:
        done = self.progress.epoch + 1
        return every > 0 and (done % every == 0 or done == self.options.epochs)

    def _train(self) -> Row:
        """Train the rest of an epoch; return the metrics of all of it."""
        epoch, rate = self.progress.epoch, self.options.lr * rate_factor(self.options)(self.progress.epoch)
        self.batches.set_epoch(epoch)
        if isinstance(self.clips, Changing):
            self.clips.set_epoch(epoch)
        self.model.train()
        self.clock = time.perf_counter()
        batches = self.accelerator.skip_first_batches(self.batches, self.progress.step)
        batches.set_epoch(epoch)  # a separate loader, which older versions of accelerate start at epoch 0
        for batch in shown(batches, f"epoch {epoch + 1}/{self.options.epochs}", self.accelerator):
            self._step(batch)
            if self.options.save_steps and self.progress.step % self.options.save_steps == 0:
                self._save_within()
        sums = self.progress.sums
        clips = max(sums["clips"], 1)
        loss, top1 = sums["loss"] / clips, 100 * sums["correct"] / clips
        return {"epoch": epoch + 1, "lr": rate, "train_loss": loss, "train_top1": top1, "seconds": sums["seconds"]}

    def _step(self, batch: Batch) -> None:
        with in_one_line(batch.clips):
            logits, labels = self.model(batch.clips), batch.labels
        check_output(logits, labels)
        clips = (labels != IGNORED).sum()
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
        self._count(torch.stack([clips, loss.detach(), (logits.argmax(1) == labels).sum()]))
        self.accelerator.backward(loss / clips.clamp_min(1))
        if self.options.gd:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.gd)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._complain(batch.complaints)
        self.progress.step += 1

    def _count(self, sums: torch.Tensor) -> None:
        """Add clips, loss and correct of a step, over all processes, and its time."""
        clips, loss, correct = self.accelerator.reduce(sums, "sum").tolist()
        if not math.isfinite(loss):
            raise UserError(
                f"The loss is {loss} in epoch {self.progress.epoch + 1}, step {self.progress.step + 1}. Try a lower "
                "--lr, or --gd. Files that were saved before are kept."
            )
        before, self.clock = self.clock, time.perf_counter()
        for name, value in {"clips": clips, "loss": loss, "correct": correct, "seconds": self.clock - before}.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value

    def _validate(self) -> Row:
        found = predict(self.accelerator, self.model, self.tests, "validation")
        self._complain(found.complaints)
        return {f"val_{name}": value for name, value in accuracies(found.logits, found.labels).items()}

    # Unreadable videos

    def _complain(self, complaints: Iterable[Complaint]) -> None:
        self.progress.bad |= dict(complaints)
        too_many(self.progress.bad, self.videos, self.options.max_bad)

    def _share_complaints(self) -> None:
        """Share all unreadable videos among the processes."""
        self.progress.bad = dict(sorted(gather_object([*self.progress.bad.items()])))

    # Saved files

    def _save_within(self) -> None:
        if self.progress.step < len(self.batches):  # else the end of the epoch saves
            self._share_complaints()
            self.states.save(self.progress.epoch * len(self.batches) + self.progress.step)

    def _write(self, is_best: bool) -> None:
        metrics = pd.DataFrame(self.progress.history)
        write_text(self.folder / "metrics.csv", as_csv(metrics))
        write_complaints(self.folder, self.progress.bad)
        names = ["ckpt.pth.tar"]
        if is_best:
            names.append("best.pth.tar")
        if self.options.save_every and self.progress.epoch % self.options.save_every == 0:
            names.append(f"epoch_{self.progress.epoch}ckpt.pth.tar")
        publish(self.folder, names, self.arch, self.network, self.optimizer, self.progress)
