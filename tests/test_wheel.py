"""What `pip install` gives: all of the package, under its own name, next to other code with the same names."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.common.options import read_mapping

ROOT = Path(__file__).parents[1]
PLACES = ("models", "training", "stylize", "misc", "configs", "main.py", "config.py")


def python(executable, *arguments, cwd):
    """What a Python prints that sees this checkout only where it stands in it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind, project, folder):
    """The file that the build backend makes of a project."""
    code = f"import sys; from hatchling.build import build_{kind} as build; build(sys.argv[1])"
    python(sys.executable, "-c", code, str(folder), cwd=project)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def files(*folders):
    """Every file of the checkout that is not made by running it."""
    return {
        path
        for folder in folders
        for path in (folder.rglob("*") if folder.is_dir() else [folder])
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    package = {path for path in files(ROOT / "static_dynamic") if not path.is_symlink()}
    expected = {path.relative_to(ROOT).as_posix() for path in package}
    expected |= {f"static_dynamic/{path.relative_to(ROOT).as_posix()}" for path in files(*(ROOT / p for p in PLACES))}
    names = set(zipfile.ZipFile(wheel).namelist())
    information = f"static_dynamic-{sd.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(information)} == expected
    assert {"static_dynamic/py.typed", "static_dynamic/report/templates/page.html"} < names
    assert not any("test_" in name for name in names if "/misc/" not in name)


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(wheel, tmp_path):
    for folder in ("sdist", "wheel"):
        (tmp_path / folder).mkdir()
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path, filter="data")
    top = f"static_dynamic-{sd.__version__}"
    assert {name.split("/")[1] for name in names} == {
        *("static_dynamic", "pyproject.toml", "PKG-INFO", "README.md", "LICENSE", ".gitignore"),
        *("CHANGELOG.md", "CITATION.cff"),
    }
    assert build("wheel", tmp_path / top, tmp_path / "wheel").read_bytes() == wheel.read_bytes()


SCRIPT = """
import config, main, models, stylize, training

import static_dynamic as sd
import static_dynamic.config, static_dynamic.main, static_dynamic.stylize, static_dynamic.training
from static_dynamic import models as zoo
from static_dynamic.common.options import read_mapping

assert "environment" in sd.__file__, sd.__file__
assert all(module.mine for module in (config, main, models, stylize, training))
assert zoo.create_model("truth_cnn_motion").checkpoint  # its weights are in the package
assert read_mapping("configs/rtnet_davis.json") == read_mapping("rtnet_davis.json") != {}
options = {"recipe": sd.Recipe(frames=4, rate=1, crop=16), "stages": {"conv": ("0", "N C T H W")}, "twins": 0}
result = sd.measure(models.net(), "factorial:3", **options)
result.save("run")
result.report("run/report.html")
print(len(result.layers) > 0)
"""


@pytest.mark.slow
def test_an_installed_package_lives_beside_packages_of_the_same_names(wheel, tmp_path):
    environment, foreign = tmp_path / "environment", tmp_path / "foreign"
    venv.create(environment, with_pip=False)
    inside = next(environment.glob("bin/python")) if os.name != "nt" else environment / "Scripts" / "python.exe"
    install = ["-m", "pip", "--python", str(inside), "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    python(sys.executable, *install, cwd=tmp_path)
    site = Path(
        python(str(inside), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    (site / "others.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    for name in ("models", "training", "stylize"):
        (foreign / name).mkdir(parents=True)
        (foreign / name / "__init__.py").write_text("mine = True\n")
    for name in ("config", "main"):
        (foreign / f"{name}.py").write_text("mine = True\n")
    with (foreign / "models" / "__init__.py").open("a") as file:
        file.write("from torch import nn\ndef net(): return nn.Sequential(nn.Conv3d(3, 4, 3))\n")
    (foreign / "script.py").write_text(SCRIPT)
    assert python(str(inside), "script.py", cwd=foreign) == "True\n"
    assert (foreign / "run" / "report.html").is_file()


@pytest.mark.slow
def test_a_checkout_without_links_finds_the_folders_beside_the_package(tmp_path):
    """Where links cannot be made, git writes text files that hold what they lead to."""
    for place in ("static_dynamic", *PLACES):
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        copy(ROOT / place, tmp_path / place, **({"symlinks": True} if copy is shutil.copytree else {}))
    for link in (path for path in (tmp_path / "static_dynamic").iterdir() if path.is_symlink()):
        target = os.readlink(link)
        link.unlink()
        link.write_text(target)
    code = "import static_dynamic.main, static_dynamic.program.doctor; from static_dynamic import models; print(models.__file__)"
    assert python(sys.executable, "-c", code, cwd=tmp_path).strip() == str(tmp_path / "models" / "__init__.py")


def test_a_configuration_of_the_package_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = read_mapping("configs/cc_types/matnet_davis_bidir.json")
    assert packaged == read_mapping(ROOT / "configs" / "cc_types" / "matnet_davis_bidir.json")
    assert packaged == read_mapping("cc_types/matnet_davis_bidir.json")
    (tmp_path / "rtnet_davis.json").write_text('{"mine": 1}')  # a file here goes first
    assert read_mapping("rtnet_davis.json") == {"mine": 1}
    with pytest.raises(
        UserError, match=r"the file does not exist\. Configurations in the package: .*configs/sam_davis\.json"
    ):
        read_mapping("rtnet.json")
