"""Logs for the numbers of a course: TensorBoard, trackio, Weights & Biases, or an object like theirs."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from static_dynamic.common.errors import UserError, reason, unknown
from static_dynamic.optional import need

Log = Callable[[Mapping[str, float], int], object]
"""Writes tag → value at a step."""
LOGS = ("tensorboard", "trackio", "wandb")


def scalar_log(to: Any, folder: Path) -> Log:
    """A function that writes scalars to a log.

    Args:
        to: ``"tensorboard"``, ``"trackio"`` or ``"wandb"`` (its open run), or any object with
            ``add_scalar(tag, value, step)`` or ``log(values, step=…)``.
        folder: Folder for the log of TensorBoard, which is made at the first point.

    Raises:
        UserError: If it is something else, or the package is not installed.
    """
    if isinstance(to, str):
        if to not in LOGS:
            raise unknown("log", to, LOGS, where="log_to")
        return _TensorBoard(folder) if to == "tensorboard" else _open_run(to)
    if callable(getattr(to, "add_scalar", None)):
        return lambda values, step: [to.add_scalar(tag, value, step) for tag, value in values.items()]
    if callable(getattr(to, "log", None)):
        return lambda values, step: to.log(dict(values), step=step)
    raise UserError(
        f"`log_to` takes {', '.join(LOGS)}, or an object with add_scalar(tag, value, step) or log(values, step=…). "
        f"Got {type(to).__name__}."
    )


def _open_run(package: str) -> Log:
    """Log to the run that the user has opened."""
    try:
        module = import_module(package)
    except ImportError:
        raise UserError(f"{package} is not installed: pip install {package}.") from None

    def log(values: Mapping[str, float], step: int) -> None:
        try:
            module.log(dict(values), step=step)
        except Exception as error:
            raise UserError(
                f"{package} does not accept numbers: {reason(error)}. Open a run first: {package}.init(…)."
            ) from error

    return log


class _TensorBoard:
    """Log to a separate folder, which is made with the first numbers."""

    def __init__(self, folder: Path) -> None:
        need("tensorboard", UserError)
        self.folder = folder
        self.writer: Any = None

    def __call__(self, values: Mapping[str, float], step: int) -> None:
        self.writer = self.writer or import_module("torch.utils.tensorboard").SummaryWriter(str(self.folder))
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()
