"""What a model states about itself, in plain data, so that any measurement can read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NotRequired, TypedDict

from torch import Tensor, nn

from static_dynamic.models.errors import ModelError
from static_dynamic.models.weights.report import LoadReport

Builder = Callable[..., nn.Module]
"""Takes ``num_classes``; and ``frames``, where a model has to be built for them."""


class Stage(NamedTuple):
    """A named place in a model.

    Attributes:
        module: Dotted path of the module whose output is the stage.
        layout: The axes of that output, e.g. ``"N C T H W"``.
        item: Which element to take, where the module returns a tuple.
    """

    module: str
    layout: str
    item: int | None = None


class Recipe(TypedDict):
    """The input that a model expects, in plain data.

    Keys: ``frames`` per pathway; ``rate``, source frames per sampled frame of the first pathway; ``crop``, the side or
    height and width, and ``short_side``, pixels; ``mean`` and ``std`` per channel, for RGB in 0..1; where they are
    unusual, ``span`` and ``fps``, the ``layout`` of a clip (``"C T H W"``) and its ``values`` (``"normalised"``).
    """

    frames: int | tuple[int, ...]
    rate: int
    crop: int | tuple[int, int]
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    span: NotRequired[int]
    fps: NotRequired[float]
    layout: NotRequired[str]
    values: NotRequired[str]


class FlowRecipe(TypedDict):
    """The input that a model of images and their optical flow expects, in plain data.

    Keys: ``frames``, images of a clip; ``flows``, the directions (``forward``, ``backward``) of the flow that comes
    with every image; ``size``, height and width in pixels; ``mean`` and ``std`` per channel, of images and of drawn
    flow, for RGB in 0..1.
    """

    frames: int
    flows: tuple[str, ...]
    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Input(NamedTuple):
    """The requested input, where a model has to be built for it; ``None``: as the model declares.

    Attributes:
        frames: Frames of a clip.
        image_size: Side, or height and width, in pixels.
    """

    frames: int | None = None
    image_size: int | tuple[int, int] | None = None


DECLARED = Input()


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a model; all but the last two before it is built.

    Attributes:
        name: Its name in the registry.
        summary: One line.
        build: Number of classes → the module with random weights.
        stages: Stage name → place, from the input to the output.
        recipe: The input that it expects; ``None`` if it does not declare one.
        paper: What to cite.
        num_classes: Classes of the published checkpoint.
        aliases: Other names, those of the published ``--model`` option among them.
        url: The published checkpoint, where there is a public one.
        licence: Under which that checkpoint is released.
        sha256: Its digest, or the beginning of it, where it is known.
        own: Whether a user's function builds it: only then may its initial weights be other than random.
        fixed_classes: Whether the function that builds it leaves the number of classes as it is.
        packaged: Trained weights in a package, ``<module>/<file>``: they are the default.
        series: The glob of similar models, which a list of models shows in one line.
        checkpoint: What its weights came from; ``None`` for random weights.
        notes: What a reader of a measurement must know about its weights.
    """

    name: str
    summary: str
    build: Builder
    stages: Mapping[str, Stage]
    recipe: Recipe | FlowRecipe | None
    paper: str
    num_classes: int = 400
    aliases: tuple[str, ...] = ()
    url: str | None = None
    licence: str | None = None
    sha256: str | None = None
    own: bool = False
    fixed_classes: bool = False
    packaged: str | None = None
    series: str | None = None
    checkpoint: LoadReport | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)


def require_clip(clip: Tensor, frames: int | None = None) -> None:
    """Raise a ModelError if the input of a model is not ``(N, 3, T, H, W)``, or T is not ``frames``."""
    if clip.ndim != 5 or clip.shape[1] != 3 or frames not in (None, clip.shape[2]):
        raise ModelError(f"The input must be (N, 3, {frames or 'T'}, H, W). Got {tuple(clip.shape)}.")
