"""SGD with the published rules: which parameters learn faster, which do not decay, and how the rate falls."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.training.options import LoopOptions

Rule = tuple[float, float]  # factors of learning rate and of weight decay

DECAY = 0.1
WARM_UP, COLD = 10, 0.2  # of small_init_step: number of epochs at that share of the rate


def sgd(model: nn.Module, options: LoopOptions) -> torch.optim.SGD:
    """The optimiser of a model."""
    groups = parameter_groups(model, options.lr, options.weight_decay)
    return torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)


def parameter_groups(model: nn.Module, rate: float, decay: float) -> list[dict[str, Any]]:
    """Parameters by their rule (TSN and TSM): factors of the rate and of the decay.

    ===================  ====  =====
    parameter            rate  decay
    ===================  ====  =====
    weight               1     1
    bias                 2     0
    of a norm            1     0
    classifier, weight   5     1
    classifier, bias     10    0
    ===================  ====  =====
    """
    groups: dict[Rule, list[nn.Parameter]] = {}
    for rule, parameter in _ruled(model):
        groups.setdefault(rule, []).append(parameter)
    return [
        {"params": parameters, "lr": faster * rate, "weight_decay": decayed * decay}
        for (faster, decayed), parameters in groups.items()
    ]


def classifier(model: nn.Module) -> nn.Linear | None:
    """The linear layer that a model calls its ``classifier``, else its last one; ``None`` if there is none."""
    declared = getattr(model, "classifier", None)
    if isinstance(declared, nn.Linear):
        return declared
    return next((module for module in _backwards(model) if isinstance(module, nn.Linear)), None)


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set the dropout before the classifier.

    Raises:
        UserError: If the model has no dropout there.
    """
    last = classifier(model)
    for module in _backwards(model):
        if isinstance(module, nn.Dropout):
            module.p = probability
            return
        if module is not last and any(True for _ in module.parameters(recurse=False)):
            break  # a dropout before another layer is not that of the classifier
    raise UserError(f"The model has no dropout before its classifier that --dropout {probability:g} could set.")


def rate_factor(options: LoopOptions) -> Callable[[int], float]:
    """Epoch, from 0 → the factor of the learning rate.

    ``step``: 0.1 to the power of the number of steps passed. ``cos``: ``(1 + cos(π · epoch / epochs)) / 2``.
    ``small_init_step``: 0.2 in the first ten epochs, then ``step``.
    """
    if options.lr_type == "cos":
        return lambda epoch: (1 + math.cos(math.pi * epoch / options.epochs)) / 2

    def factor(epoch: int) -> float:
        if options.lr_type == "small_init_step" and epoch < WARM_UP:
            return COLD
        return DECAY ** sum(epoch >= step for step in options.lr_steps)

    return factor


def _ruled(model: nn.Module) -> Iterator[tuple[Rule, nn.Parameter]]:
    """Every parameter that learns, once, and its rule."""
    last, seen = classifier(model), set[int]()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield _rule(module, name.startswith("bias"), module is last), parameter


def _rule(module: nn.Module, is_bias: bool, is_classifier: bool) -> Rule:
    if "norm" in type(module).__name__.lower():
        return 1, 0
    if is_classifier:
        return (10, 0) if is_bias else (5, 1)
    return (2, 0) if is_bias else (1, 1)


def _backwards(model: nn.Module) -> Iterator[nn.Module]:
    return reversed([*model.modules()])
