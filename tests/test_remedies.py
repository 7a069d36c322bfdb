"""Remedies in messages exist where the user is: arguments in Python, flags on a command line."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from static_dynamic.common.commands import FLAGS, as_flags, command, flag, program, spelled, start
from static_dynamic.common.errors import UserError
from static_dynamic.config import read_config
from static_dynamic.main import COMMANDS, app

ROOT = Path(__file__).parents[1]
ALL = [name for commands in COMMANDS.values() for name in commands]
MEASURING = ["measure", "score", "compare", "report", "sheet", "flow", "cost", "demo"]
TRAINING = ["train", "evaluate", "regions", "syncmnist", "truth"]
STYLING = ["stylize", "audit", "scrambles", "styles", "learn", "generate"]
PARTS = {
    "static_dynamic/program": ALL,
    "static_dynamic": MEASURING,
    "models": ["measure", "models stages", "stages", "cost", *TRAINING],
    "training": TRAINING,
    "stylize": [*STYLING, "measure"],
    "misc": MEASURING,
    "config.py": ["measure"],
}
"""Part of the project → the commands whose flags its messages may name."""
PYTHON_ONLY = re.compile(
    r"static_dynamic/(probes/|functional/(probing|questions)|network/(ablation|controls|selections|intercepting))"
)
"""What no command reaches, so that its messages name arguments alone."""


@cache
def trees(place):
    path = ROOT / place
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    found = [(str(file.relative_to(ROOT)), ast.parse(file.read_text())) for file in files]
    return [(file, tree) for file, tree in found if place != "static_dynamic" or "/program/" not in file]


def options(commands: App):
    """Every flag of a command, in one spelling."""
    return {spelled(name) for one in commands.assemble_argument_collection() for name in one.names if name[:2] == "--"}


@cache
def flags(part):
    """Every flag of the commands that a part serves; of the scripts, their own too."""
    whole, found = app(), {"--help", "--install-completion"}
    for name in PARTS[part]:
        one = whole
        for word in name.split():
            one = one[word]
        found |= options(one)
    if part == "misc":
        for file in (ROOT / "misc").glob("*.py"):
            if hasattr(module := import_module(f"static_dynamic.misc.{file.stem}"), "run"):
                one = program(file.stem)
                one.default(module.run)
                found |= options(one)
    return found


def strings(tree):
    """Line and text of every string that is no docstring."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        if isinstance(node, ast.JoinedStr):
            skipped |= {value for value in node.values if isinstance(value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


def messages(part):
    for file, tree in trees(part):
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
        for name in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
            assert spelled(name) in flags(part), f"{where} names {name}"


@pytest.mark.parametrize("part", PARTS)
def test_every_argument_in_a_message_exists_in_python_and_as_a_flag(part):
    for where, text in messages(part):
        for argument in re.findall(r"`(\w+)=[^`]*`", text):
            assert argument in arguments(), f"{where} names {argument}"
            if not PYTHON_ONLY.match(where):
                name = as_flags(f"`{argument}=x`").split()[0]
                assert name in flags(part), f"{where} names {argument}, which no command has as {name}"


def test_the_collection_sees_what_it_should():
    assert {"--trust-checkpoint", "--stages", "--stg", "--gaps", "--no-fuse"} <= flags("static_dynamic")
    assert {"--lr", "--multi-clip", "--columns"} <= flags("training")
    assert {"--resume", "--max-videos"} <= flags("stylize")
    assert "--y-range" in flags("misc")
    assert any("`resume=False`" in text for _, text in messages("static_dynamic"))
    assert any("--frames (e.g. 8" in text for _, text in messages("models"))


@pytest.mark.parametrize(
    "name", ["stages", "pool", "seed", "max_videos", "styles", "scrambles", "estimators", "twins", "store", "resume"]
)
def test_an_argument_of_measure_has_the_flag_of_its_name(name):
    import inspect

    import static_dynamic as sd

    assert name in inspect.signature(sd.measure).parameters
    assert flag(FLAGS.get(name, name)) in options(app()["measure"])


def test_one_option_has_one_name():
    """What was published under another name has that as a second one."""
    others = {"--random-seed", "--num-workers", "--save-dir", "--n-examples", "--jobs", "--batch"}
    for name in ALL:
        if name != "models":
            for option in app()[name].assemble_argument_collection():
                assert spelled(option.name) not in others, name


# ---------------------------------------------------------------- the mechanism


def test_an_error_shows_flags_on_a_command_line_and_arguments_in_python(capsys):
    error = UserError("Start over with `resume=False`, or see fewer videos: `max_videos=3`. A `name` stays.")
    assert "`resume=False`" in str(error)

    def run():
        raise error

    assert command(run) == 2
    shown = capsys.readouterr().err
    assert shown == "error: Start over with --resume False, or see fewer videos: --max-videos 3. A `name` stays.\n"


@pytest.mark.parametrize("stroke", ["--max_videos", "--max-videos"])
@pytest.mark.parametrize("other", ["--trust_checkpoint", "--trust-checkpoint"])
def test_a_dash_in_a_name_is_as_good_as_an_underscore(stroke, other):
    def run(*, max_videos: int, trust_checkpoint: str):
        return max_videos, trust_checkpoint

    one = program("test")
    one.default(run)
    assert start(one, [stroke, "3", f"{other}=my-file_name"]) == (3, "my-file_name")
    with pytest.raises(UserError, match=r"Unknown option '--max-video'\. Did you mean '--max-videos'"):
        start(one, ["--max-video", "3"])


def test_options_too_take_either():
    config = read_config(["--videos", "factorial", "--trust-checkpoint", "--n-examples=3"])
    assert (config.trust_checkpoint, config.max_videos) == (True, 3)
