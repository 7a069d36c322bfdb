"""Files that packages bring: weights of optional ones, and the zoo's own."""

import importlib.util
from pathlib import Path

from static_dynamic.models.errors import ModelError
from static_dynamic.optional import OPTIONAL, Library

OWN = Library(use="Networks of known bias", install="static-dynamic truth", parts=("static_dynamic.models.truth",))
"""The networks whose weights are part of the zoo."""


def packaged_file(place: str) -> Path:
    """The file ``<module>/<file>`` in a package, an optional one or one of the zoo, which is not imported.

    Raises:
        ModelError: If it is missing, with the command that installs it.
    """
    name, _, file = place.partition("/")
    library = OPTIONAL.get(name, OWN)
    package = importlib.util.find_spec(name)
    if package is None:
        raise ModelError(f"{library.use} need {name}, which is not installed: {library.install}")
    found = [path for folder in package.submodule_search_locations or () if (path := Path(folder, file)).is_file()]
    if not found:
        raise ModelError(f"{library.use} need {place}, which this version of {name} does not have: {library.install}")
    return found[0]
