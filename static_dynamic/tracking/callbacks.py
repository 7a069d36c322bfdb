"""Callbacks for the trainers of Lightning and of transformers; only these need the packages."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from static_dynamic.common.errors import UserError

if TYPE_CHECKING:
    from static_dynamic.tracking.track import Tracker


def _first_of(package: str, *modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    raise UserError(f"{package} is not installed: pip install {package}.")


def lightning_callback(tracker: "Tracker") -> Any:
    """A callback of Lightning that measures in the first process: at the start, when it is due, and at the end.

    Raises:
        UserError: If Lightning is not installed.
    """
    lightning: Any = _first_of("lightning", "lightning.pytorch", "pytorch_lightning")

    class Course(lightning.Callback):
        """Measures with the tracker."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self._call(trainer, tracker)

        def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
            self._call(trainer, tracker)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self._call(trainer, tracker.now)

        @staticmethod
        def _call(trainer: Any, measure: Any) -> None:
            if trainer.is_global_zero:
                measure(int(trainer.global_step))

    return Course()


def transformers_callback(tracker: "Tracker") -> Any:
    """A callback for the ``Trainer`` of transformers that measures at the same times.

    Raises:
        UserError: If transformers is not installed.
    """
    transformers: Any = _first_of("transformers", "transformers")

    class Course(transformers.TrainerCallback):
        """Measures with the tracker."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._call(state, tracker)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._call(state, tracker)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._call(state, tracker.now)

        @staticmethod
        def _call(state: Any, measure: Any) -> None:
            if state.is_world_process_zero:
                measure(int(state.global_step))

    return Course()
