"""The options of a command that say which weights a model gets, for commands that are built with ``argparse``."""

import argparse
from pathlib import Path
from typing import Any


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``create_model`` that are about weights, so that every remedy exists."""
    add = parser.add_argument
    switch: dict[str, Any] = {"type": _switch, "nargs": "?", "const": True}
    add(
        "--checkpoint",
        type=Path,
        help="checkpoint file or folder, in any published format (default: what the model brings, else random)",
    )
    add("--checkpoint_key", help="where in the checkpoint the weights are, e.g. model_ema (default: what fits best)")
    add("--num_classes", type=int, help="size of the classifier (default: that of the checkpoint, else as published)")
    add("--strict", default=True, **switch, help="refuse a checkpoint whose keys do not all fit (default: True)")
    add("--trust_checkpoint", default=False, **switch, help="load a checkpoint even if it could run code")


def weights(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was chosen, as arguments of :func:`static_dynamic.models.create_model`."""
    names = ("checkpoint", "checkpoint_key", "num_classes", "strict", "trust_checkpoint")
    return {name: getattr(chosen, name) for name in names}


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise argparse.ArgumentTypeError(f"True or False is needed, got {text!r}")
    return text.lower() in ("true", "1")
