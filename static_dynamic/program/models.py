"""``models list``, ``models show`` and ``stages``: the models, and what can be measured in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from warnings import catch_warnings, simplefilter

from static_dynamic.common.commands import also, program
from static_dynamic.common.errors import UserError
from static_dynamic.common.slips import invalid

app = program("models")


@app.default
def models() -> None:
    """List the models, or show one."""
    list_models()


@app.command(name="list")
def list_models(pattern: str = "*", /, *, params: bool = False) -> None:
    """List the models, one per line.

    Args:
        pattern: Glob of names, e.g. 'slow*'.
        params: Also count the parameters, for which every model is built.
    """
    from static_dynamic.models.catalogue import listing

    with _in_one_line():
        print(listing(pattern, params))


@app.command
def show(name: str, /) -> None:
    """Show everything about one model.

    Args:
        name: A name of the list, library:model, or module:function for your own.
    """
    from static_dynamic.models.catalogue import details

    with _in_one_line():
        print(details(name))


@app.command
def stages(
    name: str,
    /,
    *,
    image_size: Annotated[str | None, also("size")] = None,
    frames: str | None = None,
    depth: int = 2,
) -> None:
    """Show what is inside a model: its modules, the shapes of their outputs, and which of them are stages.

    Args:
        name: A name of the list, library:model, or module:function for your own.
        image_size: Side, or height x width, of the input, in pixels. By default as the model declares.
        frames: Frames of the input; separated by commas for several pathways. By default as the model declares.
        depth: Depth of the tree of modules.
    """
    from static_dynamic.models.catalogue import tree

    size = image_size and _height_and_width(image_size)
    counts = frames and _numbers("--frames", frames, ",")
    with _in_one_line():
        print(tree(name, size or None, counts or None, depth))


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Show errors of models in one line, and ignore the warning about random weights."""
    from static_dynamic import models as zoo

    try:
        with catch_warnings():
            simplefilter("ignore", zoo.PartialWeights)
            yield
    except zoo.ModelError as error:
        raise UserError(str(error)) from None


def _numbers(name: str, text: str, separator: str) -> tuple[int, ...]:
    """``8,32`` → 8 and 32."""
    numbers = tuple(int(part) if part.strip().isdecimal() else 0 for part in text.split(separator))
    if min(numbers) < 1:
        raise invalid(name, "positive whole numbers are required", text)
    return numbers


def _height_and_width(text: str) -> tuple[int, int]:
    """``112`` or ``112x160``, in pixels."""
    match _numbers("--image-size", text.lower(), "x"):
        case (side,):
            return side, side
        case (height, width):
            return height, width
    raise invalid("--image-size", "a side, or height x width, is required", text)
