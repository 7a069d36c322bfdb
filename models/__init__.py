"""The model zoo: one file per family, a registry, one checkpoint reader.

Example:
    >>> from static_dynamic import models
    >>> models.list_models("i3d")
    ['i3d_r50_8x8']
    >>> models.describe("i3d").stages["stage5"]
    Stage(module='s5', layout='N C T H W', item=0)
"""

from static_dynamic.models.errors import ModelError, PartialWeights
from static_dynamic.models.registry import register_model
from static_dynamic.models.spec import ModelSpec, Recipe, Stage
from static_dynamic.models.weights.checkpoints import OtherClasses, load_checkpoint
from static_dynamic.models.weights.report import LoadReport
from static_dynamic.models.zoo import create_model, describe, list_models

__all__ = [
    "LoadReport",
    "ModelError",
    "ModelSpec",
    "OtherClasses",
    "PartialWeights",
    "Recipe",
    "Stage",
    "create_model",
    "describe",
    "list_models",
    "load_checkpoint",
    "register_model",
]
