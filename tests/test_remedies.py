"""Remedies in messages exist where the user is: arguments in Python, flags on a command line."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from static_dynamic.common.commands import Parser, as_flags, command
from static_dynamic.common.errors import UserError
from static_dynamic.common.options import Options

ROOT = Path(__file__).parents[1]
PARTS = {
    "static_dynamic": ["main.py", "config.py", "static_dynamic", "misc"],
    "models": ["main.py", "config.py", "models"],
    "training": ["training"],
    "stylize": ["main.py", "config.py", "stylize"],
    "misc": ["misc"],
    "main": ["main.py", "config.py"],
}
"""Part of the project → where the flags are that its messages may name."""
PYTHON_ONLY = re.compile(
    r"static_dynamic/(probes/|functional/(probing|questions)|network/(ablation|controls|selections|intercepting))"
)
"""What no command reaches, so that its messages name arguments alone."""


@cache
def trees(place):
    path = ROOT / place
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [(str(file.relative_to(ROOT)), ast.parse(file.read_text())) for file in files]


def is_name_of_option(call):
    return isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in (
        "add_argument",
        "add",
    )


@cache
def flags(part):
    """Every flag that a command of this part has: of ``argparse``, and fields of ``Options``."""
    found = {"--help"}
    for place in PARTS[part]:
        for _, tree in trees(place):
            for node in ast.walk(tree):
                if is_name_of_option(node):
                    names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                    found |= {name for name in names if str(name).startswith("--")}
                    found |= {f"--no-{name[2:]}" for name in names if "BooleanOptional" in ast.unparse(node)}
                    if any(isinstance(argument, ast.JoinedStr) for argument in node.args):  # names from a table
                        found |= {f"--{key}" for key in keys(tree)}
    import static_dynamic.training.options  # noqa: F401
    from static_dynamic import config  # noqa: F401

    kinds = [kind for kind in subclasses(Options) if home(kind) in [p.removesuffix(".py") for p in PARTS[part]]]
    return found | {f"--{name}" for kind in kinds for name in kind.model_fields}


def home(kind):
    """The top-level place of a class: `static_dynamic.training.options` is in `training`."""
    _, first, *_ = kind.__module__.split(".")
    return first if (ROOT / first).exists() or (ROOT / f"{first}.py").exists() else "static_dynamic"


def keys(tree):
    tables = (node.keys for node in ast.walk(tree) if isinstance(node, ast.Dict))
    return {key.value for table in tables for key in table if isinstance(key, ast.Constant)}


def subclasses(kind):
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in subclasses(child))]


def strings(tree):
    """Line and text of every string that is no docstring and no name of an option."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        if is_name_of_option(node):
            skipped |= {argument for argument in node.args if isinstance(argument, ast.Constant)}
        if isinstance(node, ast.JoinedStr):
            skipped |= {value for value in node.values if isinstance(value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


def messages(part):
    for place in [f"{part}.py", "config.py"] if part == "main" else [part]:
        for file, tree in trees(place):
            for line, text in strings(tree):
                if "pip install" not in text:
                    yield f"{file}:{line}", text


def arguments():
    """Every argument of a function, and every field of a class."""
    found = set()
    for place in ("main.py", "config.py", "static_dynamic", "models", "training", "stylize"):
        for _, tree in trees(place):
            for node in ast.walk(tree):
                if isinstance(node, ast.arg):
                    found.add(node.arg)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found.add(node.target.id)
    return found


@pytest.mark.parametrize("part", PARTS)
def test_every_flag_in_a_message_exists_there(part):
    for where, text in messages(part):
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
            assert flag in flags(part), f"{where} names {flag}"


@pytest.mark.parametrize("part", PARTS)
def test_every_argument_in_a_message_exists_in_python_and_as_a_flag(part):
    from static_dynamic import main

    for where, text in messages(part):
        for argument in re.findall(r"`(\w+)=[^`]*`", text):
            assert argument in arguments(), f"{where} names {argument}"
            if PYTHON_ONLY.match(where):
                continue
            flag = as_flags(f"`{argument}=x`", main.FLAGS).split()[0]
            assert flag in flags(part), f"{where} names {argument}, which no command has as {flag}"


def test_the_collection_sees_what_it_should():
    assert {"--trust_checkpoint", "--stg", "--gaps"} <= flags("static_dynamic")
    assert {"--lr", "--multi_clip", "--columns"} <= flags("training")
    assert {"--resume", "--max-videos"} <= flags("stylize")
    assert any("`resume=False`" in text for _, text in messages("static_dynamic"))
    assert any("--frames (e.g. 8" in text for _, text in messages("models"))


# ---------------------------------------------------------------- the mechanism


def test_an_error_shows_flags_on_a_command_line_and_arguments_in_python(capsys):
    error = UserError("Start over with `resume=False`, or see fewer videos: `max_videos=3`. A `name` stays.")
    assert "`resume=False`" in str(error)

    def run():
        raise error

    assert command(run, {"max_videos": "n_examples"}) == 2
    shown = capsys.readouterr().err
    assert shown == "error: Start over with --resume False, or see fewer videos: --n_examples 3. A `name` stays.\n"


@pytest.mark.parametrize("stroke", ["--max_videos", "--max-videos"])
@pytest.mark.parametrize("other", ["--trust_checkpoint", "--trust-checkpoint"])
def test_a_dash_in_a_name_is_as_good_as_an_underscore(stroke, other):
    parser = Parser("test", None)
    parser.add_argument("--max-videos", type=int)
    parser.add_argument("--trust_checkpoint")
    options = parser.parse_args([stroke, "3", f"{other}=my-file_name"])
    assert (options.max_videos, options.trust_checkpoint) == (3, "my-file_name")
    with pytest.raises(UserError, match="--max-video"):
        parser.parse_args(["--max-video", "3"])


def test_options_too_take_either():
    from static_dynamic.config import read_config

    config = read_config(["--videos", "factorial", "--trust-checkpoint", "--n-examples=3"])
    assert (config.trust_checkpoint, config.n_examples) == (True, 3)
