"""The commands of the program as a test calls them: a slip is raised."""

from static_dynamic.main import run

STYLIZE = {"render": "stylize", "train": "learn"}


def door(*command):
    """A function of the words that come after the command."""
    return lambda arguments=(): run([*command, *map(str, arguments)])


def stylize(arguments):
    """What `python -m stylize` does."""
    name, *rest = map(str, arguments)
    run([STYLIZE.get(name, name), *rest])
