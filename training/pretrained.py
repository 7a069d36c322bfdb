"""The published initial weights of TSM and DyReg: a ResNet-50 trained on ImageNet."""

import re

import torch
from torch import nn
from torchvision.models import ResNet

from static_dynamic.common.errors import UserError
from static_dynamic.models.weights.report import LoadReport, filled, is_counter

SOURCE = "resnet50.tv_in1k"


def load_imagenet(model: nn.Module) -> LoadReport:
    """Load timm's ImageNet ResNet-50 into the ``base_model`` of a model; other parts keep their weights.

    Returns:
        Which weights came from there, and which did not.

    Raises:
        UserError: If the model has no such part, or the weights are neither cached nor available from the network.
    """
    base = getattr(model, "base_model", None)
    if not isinstance(base, ResNet):
        raise UserError("--pretrained-backbone is for models around an image ResNet-50, such as TSM and DyReg.")
    state = fetched()
    # A convolution may be wrapped in a shift (`net`), or followed by a graph (`0.block`).
    homes = {re.sub(r"\.(net|0\.block)\.", ".", key): key for key in base.state_dict()}
    fitting = {homes[key]: value for key, value in state.items() if key in homes and not key.startswith("fc.")}
    if lacking := [key for key in state if key not in homes and not key.startswith("fc.")]:
        raise UserError(f"The base of the model is not a ResNet-50: it has no {lacking[0]}.")
    base.load_state_dict(fitting, strict=False)
    own = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    loaded = {f"base_model.{key}" for key in fitting}
    missing = tuple(key for key in own if key not in loaded and not is_counter(key))
    return LoadReport(SOURCE, "timm", "", missing=missing, filled=filled(own, missing))


def fetched() -> dict[str, torch.Tensor]:
    """The weights, from the cache of the Hugging Face hub or from the network.

    Raises:
        UserError: If both are unavailable.
    """
    import timm

    try:
        state: dict[str, torch.Tensor] = timm.create_model(SOURCE, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises various errors without a network
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise UserError(
            f"Cannot fetch timm's {SOURCE}: {reason} Without a network, start from a --checkpoint, or copy the hub's "
            "cache (HF_HOME) from a machine that has one."
        ) from None
    return state
