"""The options for the weights of a model."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Weights:
    """The arguments of ``create_model`` that concern weights, so that every remedy exists as a flag.

    Args:
        checkpoint: Checkpoint file or folder, in any published format. By default those of a package, else random.
        checkpoint_key: Where in the checkpoint the weights are, e.g. model_ema. By default the best fit.
        num_classes: Size of the classifier. By default that of the checkpoint, else as published.
        strict: Refuse a checkpoint whose keys do not all fit.
        trust_checkpoint: Load a checkpoint even if it could run code.
    """

    checkpoint: Path | None = None
    checkpoint_key: str | None = None
    num_classes: int | None = None
    strict: bool = True
    trust_checkpoint: bool = False

    def arguments(self) -> dict[str, Any]:
        """The options as arguments of :func:`static_dynamic.models.create_model`."""
        return asdict(self)
