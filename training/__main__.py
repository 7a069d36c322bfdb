"""Train and test models that take clips.

python -m training train --model dyreg_tsm_r50 --data FRAMES --lists LISTS
python -m training evaluate --model dyreg_tsm_r50 --data FRAMES --lists LISTS --checkpoint best.pth.tar

Both run in several processes with torchrun or accelerate launch. With --help a command lists its options.
"""

import sys
from collections.abc import Sequence

from static_dynamic import models
from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.options import read_options
from static_dynamic.training.options import EvaluateOptions, TrainOptions

COMMANDS = ("train", "evaluate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it went well, 2 after a user's slip, 130 if it was stopped."""
    return command(lambda: _main(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: Sequence[str]) -> None:
    name, *rest = [*arguments, "--help"][: len(arguments) or 1]
    if name in ("-h", "--help"):
        print(__doc__)
        return
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    try:
        _train(rest) if name == "train" else _evaluate(rest)
    except models.ModelError as error:
        raise UserError(str(error)) from None


def _train(arguments: Sequence[str]) -> None:
    from static_dynamic.training.train import train

    options = read_options(TrainOptions, arguments, "python -m training train", "Train a model that takes clips.")
    train(options)


def _evaluate(arguments: Sequence[str]) -> None:
    from static_dynamic.training.evaluate import evaluate

    about = "Test a model that takes clips: top-1, top-5, every class, confusions."
    options = read_options(EvaluateOptions, arguments, "python -m training evaluate", about)
    evaluate(options)


if __name__ == "__main__":
    sys.exit(main())
