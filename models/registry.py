"""The list of models: a decorated function is an entry, and its name is the model's name (as in timm).

To add a model, write one function that takes the number of classes and returns an ``nn.Module``, and put
``@register_model(stages=…, recipe=…, paper=…)`` above it. The first line of its docstring is the summary. A new
file is named in ``models.zoo.FAMILIES``.
"""

from collections.abc import Callable, Mapping

from static_dynamic.models.errors import ModelError
from static_dynamic.models.spec import Builder, FlowRecipe, ModelSpec, Recipe, Stage

registered: dict[str, ModelSpec] = {}
"""Name → what is known about the model; aliases too. `models.zoo` fills it."""


def register_model(
    *,
    stages: Mapping[str, Stage],
    recipe: Recipe | FlowRecipe,
    paper: str,
    num_classes: int = 400,
    aliases: tuple[str, ...] = (),
    url: str | None = None,
    licence: str | None = None,
    sha256: str | None = None,
    fixed_classes: bool = False,
    packaged: str | None = None,
    series: str | None = None,
    name: str | None = None,
    summary: str | None = None,
) -> Callable[[Builder], Builder]:
    """Decorator: enter a function ``num_classes -> nn.Module`` into the registry (fields: see ``ModelSpec``).

    Without a ``name`` and a ``summary``, those are the function's name and the first line of its docstring.

    Raises:
        ModelError: If the name or an alias is taken.
    """

    def enter(build: Builder) -> Builder:
        names = (name or build.__name__, *aliases)
        if taken := registered.keys() & set(names):
            raise ModelError(f"The model name '{min(taken)}' is already taken.")
        spec = ModelSpec(
            names[0],
            summary or (build.__doc__ or "").partition("\n")[0],
            build,
            stages,
            recipe,
            paper,
            num_classes,
            aliases,
            url,
            licence,
            sha256,
            fixed_classes=fixed_classes,
            packaged=packaged,
            series=series,
        )
        registered.update(dict.fromkeys(names, spec))
        return build

    return enter
