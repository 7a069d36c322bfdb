"""Every promise of docs/promises.md names what keeps it, and that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [line.strip("| ") for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
PROMISES = dict(row.split(" | ") for row in ROWS if not row.startswith("Promise |"))
NAMED = sorted({name for kept in PROMISES.values() for name in re.findall(r"`([^`]+)`", kept)})


@cache
def functions_of(path):
    """The tests of a file."""
    return {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test():
    assert len(PROMISES) > 40
    assert [promise for promise, kept in PROMISES.items() if "`tests/" not in kept] == []
    assert all(re.fullmatch(r"(`[^`]+`(, )?)+", kept) for kept in PROMISES.values())


@pytest.mark.parametrize("name", NAMED)
def test_what_keeps_a_promise_exists(name):
    if name.startswith("make "):
        assert re.search(rf"^{name.removeprefix('make ')}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        path, _, test = name.partition("::")
        assert any(one.startswith("test_") for one in functions_of(path))
        assert not test or test in functions_of(path)
