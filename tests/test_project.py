"""The promises of the repository itself: what the README says works, and nothing happens at import."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
PACKAGES = ("static_dynamic", "models", "training", "stylize")
MODULES = sorted(
    ".".join(["static_dynamic", *path.relative_to(ROOT).with_suffix("").parts])
    .replace("static_dynamic.static_dynamic", "static_dynamic")
    .removesuffix(".__init__")
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.stem != "__main__"
)


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def unfolded(requirements):
    """The packages that requirements name, extras of the project among them in full."""
    for requirement in map(Requirement, requirements):
        if requirement.name != PROJECT["name"]:
            yield str(requirement)
        for extra in requirement.extras if requirement.name == PROJECT["name"] else ():
            yield from unfolded(PROJECT["optional-dependencies"][extra])


def test_requirements_are_all_of_the_project():
    listed = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == {*PROJECT["dependencies"], *unfolded(["static-dynamic[all]"])}
    assert {"torch", "torchvision", "numpy", "scipy", "pandas", "seaborn", "fvcore", "pycocotools", "timm"} <= {
        re.match(r"[\w-]+", line)[0] for line in listed
    }


def test_the_lock_file_satisfies_the_project():
    pins = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line[0] != "#"]
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") for pin in pins)
    wanted = map(Requirement, chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()))
    for requirement in (r for r in wanted if r.name != PROJECT["name"]):
        versions = [str(pin.specifier)[2:] for pin in pins if canonical(pin.name) == canonical(requirement.name)]
        assert versions, f"{requirement} is not locked: make lock"
        assert all(map(requirement.specifier.contains, versions)), f"{requirement}, locked {versions}: make lock"


def test_one_version_everywhere():
    """The package says it, pyproject.toml reads it there; the citation and the newest release of the changelog agree."""
    import static_dynamic as sd

    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == sd.__version__
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(sd.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])


@pytest.mark.parametrize("place", ["models", "training", "stylize", "misc", "configs", "main.py", "config.py"])
def test_every_folder_at_the_top_is_part_of_the_package(place):
    link = ROOT / "static_dynamic" / place
    assert link.is_symlink()
    assert link.resolve() == ROOT / place


def test_the_readme_shows_the_two_commands():
    assert "make demo" in README
    assert "make test" in README
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    ran = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert {"demo", *ran} <= set(targets)
    assert ran == ["test", "test-rest"]


QUIET_IMPORT = """
import random, sys, importlib
import numpy, torch
sys.modules["detectron2"] = None  # nobody needs it
before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_num_threads(), torch.is_grad_enabled()
sys.argv = ["odd", "--nonsense", "--help"]
for name in MODULES:
    importlib.import_module(name)
after = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_num_threads(), torch.is_grad_enabled()
assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
"""


def test_nothing_happens_at_import():
    """No parsing, printing, seeding, or thread setting, whatever the command line says; detectron2 may be missing."""
    assert run(QUIET_IMPORT.replace("MODULES", repr([*MODULES, "static_dynamic.main", "static_dynamic.config"]))) == ""


def test_importing_the_package_is_cheap():
    heavy = ("torch", "pandas", "cv2", "av", "matplotlib", "seaborn", "timm", "pyarrow")
    assert run(f"import sys, static_dynamic; print([name for name in {heavy} if name in sys.modules])").strip() == "[]"


def test_public_names_are_there():
    import static_dynamic as sd

    for name in sd.__all__:
        assert getattr(sd, name) is not None
    sd.measure  # noqa: B018 - importing the module of that function must not hide it
    assert callable(sd.measure)
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        sd.mesure  # noqa: B018


def test_examples_in_docstrings_run():
    import doctest
    import importlib

    results = [doctest.testmod(importlib.import_module(name)) for name in [*MODULES, "static_dynamic.main"]]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 10


def test_no_file_is_too_long_to_hold_in_mind():
    lengths = {
        path.name: len(path.read_text().splitlines()) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 430} == {}
