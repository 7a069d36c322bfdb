"""Plugins: users' modules that register styles, scrambles, poolings and the like, and are imported by name."""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

from static_dynamic.common.errors import UserError, reason

Plugins = tuple[str, ...]
"""The option ``--plugin`` of a command, which may be given several times."""
HELP = (
    "your module that registers styles, scrambles, poolings, ..., named as in `import`; the current folder is searched "
    "too. May be repeated, or list several, separated by commas"
)
_imported: list[str] = []


def import_plugins(modules: Iterable[str]) -> None:
    """Import modules, each once, in order.

    Args:
        modules: Names as in ``import``; one string may hold several, with commas between them.

    Raises:
        UserError: If a module is missing, or raises an error.
    """
    for module in (name.strip() for given in modules for name in given.split(",") if name.strip()):
        if module not in _imported:
            _import(module)
            _imported.append(module)


def imported_plugins() -> tuple[str, ...]:
    """The modules that were imported, which worker processes have to import too."""
    return tuple(_imported)


def _import(module: str) -> None:
    try:
        with _current_folder():
            import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"The plugin module {module!r} does not exist. Give a name as in `import my.module`, of a "
                "module that is installed or is in the current folder."
            ) from None
        raise _broken(module, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(module, error) from error


def _broken(module: str, error: BaseException) -> UserError:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return UserError(
        f"The plugin {module!r} cannot be imported: {reason(error)} ({where.filename}, line {where.lineno})."
    )


@contextmanager
def _current_folder() -> Iterator[None]:
    """Put the current folder first on the import path and, for later imports of a plugin, leave it at the end."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
