"""``train`` and ``evaluate``: models that take clips."""

from static_dynamic.common.errors import UserError
from static_dynamic.common.options import takes
from static_dynamic.training.options import EvaluateOptions, TrainOptions


@takes(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a model that takes clips, in several processes with torchrun or accelerate launch.

    For example:
        static-dynamic train --model dyreg_tsm_r50 --data FRAMES --lists LISTS
    """
    from static_dynamic.models import ModelError
    from static_dynamic.training.train import train

    try:
        train(options)
    except ModelError as error:
        raise UserError(str(error)) from None


@takes(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Test a model that takes clips: top-1, top-5, every class, confusions.

    For example:
        static-dynamic evaluate --model dyreg_tsm_r50 --data FRAMES --lists LISTS
          --checkpoint best.pth.tar
    """
    from static_dynamic.models import ModelError
    from static_dynamic.training.evaluate import evaluate

    try:
        evaluate(options)
    except ModelError as error:
        raise UserError(str(error)) from None
