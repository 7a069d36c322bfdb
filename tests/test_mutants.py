"""The list of faults stays true: the code holds every text that it replaces, once, and what it makes is code."""

import ast

import pytest

from benchmarks import mutants
from benchmarks.mutants import ROOT, TESTS


def test_every_fault_changes_code_and_makes_code():
    listed = list(mutants.mutants())
    assert len(listed) > 700
    for one in listed:
        assert one.kind == "drawn" or one.source != (ROOT / one.path).read_text(), one.what
        ast.parse(one.source)


@pytest.mark.parametrize("module", TESTS)
def test_the_tests_of_a_module_exist(module):
    assert (ROOT / "static_dynamic" / f"{module}.py").is_file()
    assert all((ROOT / "tests" / f"test_{name}.py").is_file() for name in TESTS[module])


def test_a_text_that_the_code_does_not_hold_is_named(tmp_path, monkeypatch):
    text = "[[mutant]]\nmodule = 'shards'\nwhat = 'x'\nold = 'nowhere'\nnew = ''\n"
    (tmp_path / "mutants.toml").write_text(text)
    monkeypatch.setattr(mutants, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=r"shards\.py holds this text 0 times instead of once: nowhere"):
        list(mutants.mutants())
