"""Features of VGG-19, in which a painted patch should resemble the key's; used if its weights are available."""

from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from static_dynamic.common.errors import UserError
from static_dynamic.common.pickles import check_saved

FETCHED = "vgg19-dcbb9e9d.pth"
"""The file that torchvision fetches: ``VGG19_Weights.IMAGENET1K_V1``."""


class Perception(nn.Module):
    """The first layers of VGG-19: outputs of its first convolution, its second after ReLU, its third.

    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015. As
    published, the input stays in -1..1, without ImageNet's mean and standard deviation.

    Args:
        digest: Digest of the weights that are loaded later.
    """

    TAPS = (0, 3, 5)

    def __init__(self, digest: str = "") -> None:
        super().__init__()
        self.digest = digest
        first, second, third = (nn.Conv2d(of, to, 3, padding=1) for of, to in ((3, 64), (64, 64), (64, 128)))
        self.features = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), third)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` → ``(N, F)``: the features of all three, flattened."""
        taps = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.TAPS:
                taps.append(x.flatten(1))
        return torch.cat(taps, dim=1)


def find_weights(where: str) -> Path | None:
    """The file of VGG-19's weights: ``auto`` is the one that torchvision has downloaded, if it exists.

    Raises:
        UserError: If a named file is missing.
    """
    if where == "none":
        return None
    if where == "auto":
        path = Path(torch.hub.get_dir(), "checkpoints", FETCHED)
        return path if path.is_file() else None
    if not Path(where).is_file():
        raise UserError(f"The file {where!r} of VGG-19's weights is missing. Give a file, 'auto' or 'none' with --vgg.")
    return Path(where)


def load_perception(path: Path) -> Perception:
    """The network with the weights of a file.

    Args:
        path: A state dict of torchvision's ``vgg19``: ``.pth`` or ``.safetensors``. The file cannot run code.

    Raises:
        UserError: If it is not such a file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        perception = Perception(sha256(path.read_bytes()).hexdigest()[:16])
        safe = path.suffix == ".safetensors"
        if not safe:
            check_saved(path)
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
        perception.load_state_dict({key: state[key] for key in perception.state_dict()})
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, UnpicklingError, SafetensorError) as bad:
        wanted = "Give a state dict of torchvision's vgg19, or --vgg none."
        raise UserError(f"{path} does not hold weights of VGG-19 ({type(bad).__name__}). {wanted}") from None
    return perception
