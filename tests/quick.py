"""Like cases, of which `make test` runs some and `make test-rest` the others."""

import pytest


def quick(*chosen, among):
    """The cases for ``parametrize``: all but the chosen are slow; a case is a name or a tuple of arguments."""
    assert set(chosen) <= set(among), f"no such cases: {set(chosen) - set(among)}"
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[] if case in chosen else pytest.mark.slow)
        for case in among
    ]
